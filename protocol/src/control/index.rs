//! Questions about the private index: matching with peers, who else holds somebody, and audits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{Hash, OdsCode, Point, PublicKey};
use crate::index::advert::Header;
use crate::index::audit::Passed;
use crate::index::key::IndexKey;
use crate::member::MemberKind;
use crate::statement::Signed;
use crate::text::Line;
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

/// Draw a sample of this node's own advert and open it, into a file. Who audits is journaled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// What the auditor chose.
    pub seed: Line,
    /// How many entries.
    pub sample: u32,
    /// Who audits.
    pub auditor: Line,
    /// Where to; there must be no file yet.
    pub to: PathBuf,
}

/// What was opened, and where it is written. Without patient data: that is in the file alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The file.
    pub path: PathBuf,
    /// The advert.
    pub advert: AdvertState,
    /// What was opened.
    pub opened: Passed,
}

/// An advert, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertState {
    /// Whose it is.
    pub member: OdsCode,
    /// Its epoch.
    pub epoch: u32,
    /// Its generation.
    pub generation: u32,
    /// When its member signed it.
    pub made: Timestamp,
    /// Its entries, canaries included.
    pub entries: u32,
    /// Hash of its signed header.
    pub header: Hash,
}

impl AdvertState {
    /// That of a signed header.
    pub fn of(signed: &Signed<Header>, header: &Header) -> Self {
        Self {
            member: header.member.clone(),
            epoch: header.epoch,
            generation: header.generation,
            made: header.made,
            entries: header.count,
            header: signed.hash(),
        }
    }
}

/// Write an advert into a file: what every peer has of it, without patient data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportAdvert {
    /// Whose; none means this node's own.
    pub member: Option<OdsCode>,
    /// Where to; there must be no file yet.
    pub to: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedAdvert {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Where.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// The advert.
    pub advert: AdvertState,
    /// The node key the roster has for its member: what a check of the file needs.
    pub node: PublicKey,
}

/// Draw an audit's sample of an advert as this node has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawSample {
    /// Whose advert.
    pub member: OdsCode,
    /// What the auditor chose.
    pub seed: Line,
    /// How many entries.
    pub sample: u32,
}

/// A sample of an advert.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The signed header.
    pub header: Signed<Header>,
    /// The node key the roster has for its member.
    pub node: PublicKey,
    /// The entries by their positions.
    pub entries: Vec<(u32, Point)>,
}
