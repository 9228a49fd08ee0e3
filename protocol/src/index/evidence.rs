//! Evidence: what proves to others that a member broke the rules of the index, without any
//! patient data.
//!
//! Most of it is two signed statements that cannot both be. Whoever sees it checks it alone, with
//! [`Evidence::accuses`]. A wrong canary is shown to both operators; the other side can check it
//! against what it sent.

use serde::{Deserialize, Serialize};

use super::advert::Header;
use super::delta::said::{Answer, Batch};
use super::matching::said::{Opening, TagCommitment};
use super::matching::tags::Tag;
use crate::codec::Bytes;
use crate::ids::{Hash, PublicKey};
use crate::statement::{Body, Signed};

/// What proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two headers for one generation of an advert.
    Headers(Box<Two<Header>>),
    /// Two openings for one pair of headers: a match would have two ids.
    Openings(Box<Two<Opening>>),
    /// Two tag commitments under one match id.
    Commitments(Box<Two<TagCommitment>>),
    /// Two batches under one number.
    Batches(Box<Two<Batch>>),
    /// Two answers to one batch.
    Answers(Box<Two<Answer>>),
    /// A committed tag that is not what our canary was bound to become.
    Canary(Box<WrongCanary>),
}

/// Two statements of one signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Two<T> {
    /// One.
    pub one: Signed<T>,
    /// The other.
    pub other: Signed<T>,
}

/// A tag that was committed to, and what it should have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCanary {
    /// The peer's signed commitment.
    pub commitment: Signed<TagCommitment>,
    /// The hashes of the committed chunks.
    pub chunks: Vec<Hash>,
    /// Which chunk it is in.
    pub chunk: u32,
    /// That chunk's tags.
    pub tags: Bytes,
    /// The canary's position in our advert.
    pub position: u32,
    /// What it should have been: the tag of `(g^k)^r`.
    pub expected: Tag,
}

impl<T: Body + PartialEq> Two<T> {
    /// Whether both are `signer`'s, differ, and contradict each other.
    fn contradict(&self, signer: &PublicKey, about_one_thing: impl Fn(&T, &T) -> bool) -> bool {
        match (self.one.verify(signer), self.other.verify(signer)) {
            (Ok(one), Ok(other)) => one != other && about_one_thing(&one, &other),
            _ => false,
        }
    }
}

impl Evidence {
    /// Whether this shows that the member with this node key broke the rules. A wrong canary shows
    /// it only to who holds both adverts; here it counts if the member committed to that chunk.
    pub fn accuses(&self, signer: &PublicKey) -> bool {
        match self {
            Self::Headers(two) => two.contradict(signer, |a, b| a.names() == b.names()),
            Self::Openings(two) => two.contradict(signer, |a, b| a.names() == b.names()),
            Self::Commitments(two) => two.contradict(signer, |a, b| a.names() == b.names()),
            Self::Batches(two) => two.contradict(signer, |a, b| a.names() == b.names()),
            Self::Answers(two) => two.contradict(signer, |a, b| a.names() == b.names()),
            Self::Canary(wrong) => wrong.commitment.verify(signer).is_ok_and(|said| {
                let hash = super::advert::chunk_hash(&wrong.tags.0);
                said.root == super::advert::root(&wrong.chunks)
                    && wrong.chunks.get(wrong.chunk as usize) == Some(&hash)
            }),
        }
    }

    /// In a word, for the journal and operators.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Headers(_) => "two-headers",
            Self::Openings(_) => "two-openings",
            Self::Commitments(_) => "two-commitments",
            Self::Batches(_) => "two-batches",
            Self::Answers(_) => "two-answers",
            Self::Canary(_) => "wrong-canary",
        }
    }
}
