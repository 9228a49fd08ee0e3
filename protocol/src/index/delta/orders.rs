//! What a delta needs, what it wants kept, and how it ends.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::job::Ground;
use super::reason::Failed;
use super::said::{Answer, Batch};
use crate::codec::Bytes;
use crate::crypto::sign::KeyPair;
use crate::ids::PublicKey;
use crate::index::matching::links::Link;
use crate::index::matching::tags::Tag;
use crate::statement::Signed;
use crate::time::Timestamp;

/// What a delta needs to begin.
pub struct Setup {
    /// What both know of the match it continues.
    pub ground: Arc<Ground>,
    /// Our node key.
    pub node: KeyPair,
    /// The peer's node key.
    pub peer_node: PublicKey,
    /// How far the two have come.
    pub kept: Kept,
    /// How many entries a member may add in a day, by the charter.
    pub additions_per_day: u32,
    /// How many entries the peer may have in all, see [`cap`](crate::index::advert::cap).
    pub cap: u32,
    /// What we are there for.
    pub part: Part,
}

/// One side's part in a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Gives its batches, then takes the peer's.
    Beginner,
    /// Takes the peer's batches, or its contact, then gives its own.
    Answerer,
    /// Gives one entry.
    Contact,
}

/// How far two members have come after a match, kept from one delta to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The number of the last of our batches whose links both sides have.
    pub answered: u32,
    /// The answer to the batch after it, if it came and we had to stop then.
    pub answer: Option<Signed<Answer>>,
    /// The peer's last batch we answered, with that answer as it was sent.
    pub taken: Option<Taken>,
    /// How many entries of the peer's there are: its advert's and those of its batches.
    pub length: u32,
    /// How many more came alone, as first contacts.
    pub contacts: u32,
    /// The day of the peer's last entries, and how many of that day it has given.
    pub day: (u64, u32),
}

/// A batch that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The batch.
    pub batch: Signed<Batch>,
    /// Its number.
    pub number: u32,
    /// When it was made.
    pub made: Timestamp,
    /// The frame of the answer.
    pub answer: Bytes,
}

/// What a delta wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// In place of what was kept.
    Kept(Box<Kept>),
    /// The entries of a batch of the peer's.
    Entries {
        /// The position of the first.
        from: u32,
        /// The entries, 32 bytes each.
        entries: Bytes,
        /// The tag the peer would show for each if it were also ours, with its position; by tag.
        expected: Vec<(Tag, u32)>,
    },
    /// The tag the peer showed for each of our people in a batch, with the position of their
    /// entry; by tag.
    Heard(Vec<(Tag, u32)>),
    /// Further links with this peer.
    Links(Vec<Link>),
}

/// How a delta ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything there was to say was said.
    Told(Told),
    /// It was broken off.
    Failed(Told, Failed),
}

/// What came of a delta.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Batches or contacts of ours that were answered.
    pub given: u32,
    /// Batches or contacts of the peer's we answered.
    pub taken: u32,
    /// Links both proved.
    pub links: u32,
    /// Links only the peer claimed, or only we found: not honoured.
    pub one_sided: u32,
}
