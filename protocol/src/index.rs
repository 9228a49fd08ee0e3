//! The private index: finding the people both hold (protocol.md section 3).

pub mod key;
