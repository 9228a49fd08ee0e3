//! The engine: gives the protocol's machines what they order, and nothing of its own.
//!
//! Every conversation is a task that runs one machine over one stream ([`drive`]). What the machine
//! orders to be kept is durable before what it orders to be sent leaves; tasks that commit at the
//! same time share one fsync. A task that fails or panics ends its own conversation only.

pub mod advert;
pub mod asking;
pub mod care;
pub mod contact;
pub mod copies;
pub mod coverage;
pub mod delta;
pub mod disputes;
pub mod drive;
pub mod finding;
pub mod joining;
pub mod keeping;
pub mod ledger;
pub mod matching;
pub mod notices;
pub mod preview;
pub mod progress;
pub mod proposals;
pub mod reconcile;
pub mod roster;
pub mod sessions;
pub mod showing;
pub mod turns;
pub mod withholding;
