//! The ledger of a pair: what two members did for each other (protocol.md section 5).
//!
//! **Participants.** Two members. Each writes a *chain* of its own and reads the other's; a chain
//! has one writer, so both may write at any time.
//!
//! **Goals.** Both hold the same account of every exchange, signed by both, that a third party can
//! check. A page is *agreed* when the other chain quotes it. An exchange is *settled* when both
//! chains name the same signed statements for it. A node that was restored from a copy takes its
//! own pages back from its peer before it writes: no number is signed twice. Two pages of one chain
//! that contradict each other are a *fork*, and evidence.
//!
//! **Non-goals.** Deciding anything about care: no answer waits for a page or looks at one.
//! Carrying patient data: an entry names an exchange and hashes of statements, no person, no handle.
//! Scoring what was in a bundle: the unit of account is the answered request.
//!
//! **Sequence.** See [`sync`]. What is entered is gathered for [`crate::limits::GATHER`], written
//! as one [`page::Page`], made durable, signed, sent, and sent again until it is quoted.
//!
//! **Failure.** A lost line loses nothing: the next conversation begins with what each side holds. A
//! page that does not fit is refused and journaled, and the chain stays where it was.

pub mod account;
pub mod balance;
pub mod chain;
pub mod duty;
pub mod entry;
pub mod export;
pub mod keys;
pub mod ladder;
pub mod page;
pub mod standing;
pub mod sync;
#[cfg(test)]
mod tests;
