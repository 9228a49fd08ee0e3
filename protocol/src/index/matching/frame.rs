//! What the two sides of a match send each other.

use serde::{Deserialize, Serialize};

use super::links::Pair;
use super::reason::Reason;
use super::said::{Nonce, Opening, TagCommitment};
use crate::codec::Bytes;
use crate::crypto::dleq::Proof;
use crate::ids::Hash;
use crate::index::advert::Header;
use crate::statement::Signed;

/// What is said in this stream. The numbers of the kinds are their order here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Step 1.
    Hello {
        /// The sayer's newest header.
        header: Signed<Header>,
        /// Its opening.
        opening: Signed<Opening>,
    },
    /// Step 2.
    Nonce(Nonce),
    /// Step 3.
    Commitment {
        /// The signed commitment.
        commitment: Signed<TagCommitment>,
        /// The hash of every chunk of tags, which its root covers.
        chunks: Vec<Hash>,
        /// How many chunks of the other side's tags the sayer holds, from before the line was
        /// lost: they need not be shown again.
        seen: u32,
    },
    /// Step 4: one chunk of one round.
    Tags {
        /// The chunk's number.
        chunk: u32,
        /// Its tags, 16 bytes each.
        tags: Bytes,
    },
    /// Step 5: candidates in ascending order, a frame's worth at a time.
    Candidates {
        /// The next of them.
        pairs: Vec<Pair>,
        /// Whether these were all.
        last: bool,
    },
    /// Step 5: a proof for each batch of the common list.
    Proofs(Vec<Proof>),
    /// Step 6.
    Done,
    /// At work; please wait.
    Working,
    /// The match is over, and why.
    Stopped(Reason),
}

/// How many kinds of frame there are.
pub(super) const KINDS: u8 = 9;
