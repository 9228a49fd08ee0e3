//! One file per command.

pub mod admissions;
pub mod admit;
pub mod ask;
mod completeness;
pub mod demo;
pub mod federation;
pub mod find;
pub mod import;
pub mod index;
pub mod init;
pub mod join;
pub mod journal;
pub mod ledger;
pub mod matching;
pub mod members;
pub mod offer;
pub mod peer;
pub mod peers;
pub mod person;
pub mod received;
pub mod reviews;
pub mod run;
pub mod standing;
pub mod status;
pub mod terms;
pub mod who_saw;
pub mod withhold;
