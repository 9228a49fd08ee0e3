//! Everything two Fairshare nodes must agree on: types, rules and state machines.
//!
//! This crate is pure. It has no input or output, no clock and no random source of its own: time
//! and randomness are passed in, and every conversation is a [`conversation::Conversation`]. Nodes,
//! tests and the simulator drive the very same machines.

pub mod armour;
pub mod codec;
pub mod conversation;
pub mod ids;
pub mod limits;
pub mod redact;
pub mod statement;
pub mod text;
pub mod time;
pub mod wire;

pub mod crypto;

pub mod category;
pub mod member;

pub mod charter;
pub mod join;
pub mod offer;
pub mod proposal;
pub mod roster;
pub mod terms;

pub mod exchange;
pub mod index;
pub mod journal;
pub mod ledger;

pub mod control;

#[cfg(test)]
mod tests;
