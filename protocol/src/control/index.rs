//! Questions about the private index: matching with peers, and who else holds somebody.

use serde::{Deserialize, Serialize};

use crate::ids::OdsCode;
use crate::index::key::IndexKey;
use crate::member::MemberKind;
use crate::time::Timestamp;

/// Match with one peer, or with all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// With whom; none means everybody there can be a match with.
    pub peer: Option<OdsCode>,
}

/// How a match with one peer went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchReport {
    /// The peer's code.
    pub peer: OdsCode,
    /// Its name.
    pub name: String,
    /// What it found; none if it failed.
    pub found: Option<Found>,
    /// Why it failed, in words, with the remedy; none if it did not.
    pub failed: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What a match found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// People both hold, proved by both.
    pub links: u64,
    /// Candidates only we had: not honoured. More than none deserves a look.
    pub ours_only: u64,
    /// Candidates only the peer had: not honoured.
    pub theirs_only: u64,
    /// When the peer's index was made.
    pub index_made: Timestamp,
}

/// Who else holds this person? Never printed: the key has a redacted `Debug`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The person's NHS number and date of birth.
    pub person: IndexKey,
}

/// Who holds a person, and how complete that answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Whether this node holds them: only then can anybody be linked.
    pub held: bool,
    /// When this node's own index was made, if it has one.
    pub index_made: Option<Timestamp>,
    /// Whether they are in that index yet; who came later waits for the next match.
    pub indexed: bool,
    /// How many people of this node cannot be found by anybody: no valid number or date of birth.
    pub not_indexable: u64,
    /// Every other member, in the order of their codes.
    pub peers: Vec<FindPeer>,
}

/// What is known of one person at one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindPeer {
    /// The peer's code.
    pub code: OdsCode,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MemberKind,
    /// What is known.
    pub state: FindState,
    /// When the peer's index was made that this rests on.
    pub index_made: Option<Timestamp>,
    /// When the two were last matched.
    pub matched: Option<Timestamp>,
}

/// Whether a peer holds a person, as far as this node can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindState {
    /// Both hold them, and both proved it.
    Linked,
    /// They were not in both indexes when last matched. That is not "no record".
    NotLinked,
    /// There was no match yet, or none since this person came.
    NotMatched,
    /// The offers of the two do not let them match.
    NoPresence,
}
