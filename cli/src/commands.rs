//! One file per command.

pub mod import;
pub mod journal;
pub mod peer;
pub mod peers;
pub mod run;
pub mod status;
