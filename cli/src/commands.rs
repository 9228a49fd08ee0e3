//! One file per command.

pub mod ask;
pub mod find;
pub mod import;
pub mod journal;
pub mod matching;
pub mod peer;
pub mod peers;
pub mod person;
pub mod received;
pub mod run;
pub mod status;
pub mod who_saw;
