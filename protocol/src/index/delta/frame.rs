//! What the two sides of a delta send each other.

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::said::{Answer, Batch, Contact};
use crate::codec::Bytes;
use crate::crypto::dleq::Proof;
use crate::index::matching::links::Pair;
use crate::statement::Signed;

/// What is said in this stream. The numbers of the kinds are their order here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Giver: the next batch.
    Batch {
        /// What is signed of it.
        batch: Signed<Batch>,
        /// Its entries, 32 bytes each.
        entries: Bytes,
    },
    /// Giver: one entry, for this peer only.
    Contact(Signed<Contact>),
    /// Taker: what came of it.
    Answer {
        /// What is signed of it.
        answer: Signed<Answer>,
        /// A tag for every entry, 16 bytes each.
        tags: Bytes,
        /// The links: place of the entry, position of the taker's own; by place.
        links: Vec<Pair>,
        /// That every link's point is the giver's entry raised to the taker's key; none if there
        /// is no link.
        proof: Option<Proof>,
    },
    /// Giver: the links it finds too, and that their point is the taker's entry raised to its key.
    Confirm {
        /// Those of the answer's links that are its own too.
        links: Vec<Pair>,
        /// The proof; none if there is no link.
        proof: Option<Proof>,
    },
    /// Taker: the links are durable; the next batch may come.
    Done,
    /// Giver: there is nothing more. Now the other side gives, or all is said.
    Turn,
    /// It is over, and why.
    Stopped(Reason),
}

/// How many kinds of frame there are.
pub(super) const KINDS: u8 = 7;
