//! The private index: finding the people both hold (protocol.md section 3).

pub mod advert;
pub mod audit;
pub mod canary;
pub mod delta;
pub mod evidence;
pub mod failed;
pub mod fetch;
pub mod key;
pub mod matching;

#[cfg(test)]
pub(crate) mod testing;
