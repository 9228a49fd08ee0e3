//! The exchange: showing, both ways (protocol.md section 4).
//!
//! **Participants.** A *requester*, who looks after a person and asks, and a *holder*, who looks
//! after the same person and answers. They know the person by a handle of a match both proved.
//!
//! **Goals.** The holder answers and delivers at once, under its own offer. The requester's own
//! bundle about the same person follows in the same exchange, under the same rule of shows and
//! needs. Every word is a signed statement; everything shown is in the journal before it leaves.
//! A bundle about another person than the receiver's own is quarantined, never filed.
//!
//! **Non-goals.** Making the return a condition: if it does not follow, that is recorded, nothing
//! more. Proving that a record is true or a purpose honest.
//!
//! **Sequence.**
//!
//! ```text
//! requester                               holder
//!    | request ------------------------------> |
//!    | <------------------------------- answer |  delivered | nothing-to-show | refused | deferred
//!    | <---------- key, chunk…, commitment     |  if delivered
//!    | receipt ------------------------------> |
//!    | answer in return ---------------------> |  unless refused or deferred
//!    | key, chunk…, commitment --------------> |  if delivered
//!    | <------------------------------ receipt |
//! ```
//!
//! **Failure.** A lost line ends the exchange where it stands, with what was filed before it. An
//! exchange id is executed once: asked again, the holder repeats its signed answer and shows
//! nothing a second time; a requester that wants to try again takes a new id.
//!
//! **A notice** is begun by whoever showed somebody before and has news of them ([`notice`]):
//!
//! ```text
//! teller                                  hearer
//!    | notice -------------------------------> |
//!    | <-------------------------------- go on |  or refused, or the receipt if it came before
//!    | key, chunk…, commitment --------------> |
//!    | <------------------------------ receipt |
//! ```
//!
//! **Emergencies** need a reason. Each side opens a [`review::Review`] with the exchange: durable at
//! the requester before its request leaves, at the holder before its answer does, whatever it says.
//!
//! Nothing here asks a ledger: the care lane takes no such argument. What an exchange leaves for
//! the account it writes ([`account`]), and never reads.

pub mod account;
pub mod answer;
pub mod ask;
pub mod bundle;
pub mod dispute;
pub mod notice;
pub mod reconcile;
pub mod request;
pub mod review;
#[cfg(test)]
pub(crate) mod testing;
