//! The private index: finding the people both hold (protocol.md section 3).

pub mod advert;
pub mod canary;
pub mod key;

#[cfg(test)]
mod testing;
