//! Questions about the private index: matching with peers, who else holds somebody, and audits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::node::MatchState;
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
    /// Our people who wait for another day's batch: the peer is told of them then.
    pub waiting: u64,
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
    /// Whether they are withheld here, or known only through masked services: they are in no new
    /// index, and nothing of ours is shown.
    pub withheld: bool,
    /// Whether they can be found by others at all: they have a valid number and a date of birth,
    /// and are not withheld, or are in the index of this epoch yet.
    pub indexable: bool,
    /// When this node's own index was made, if it has one.
    pub index_made: Option<Timestamp>,
    /// Whether they are in that index yet.
    pub indexed: bool,
    /// If not, whether more people wait than may go out today, so that they may go out another day.
    pub later: bool,
    /// Every other member, in the order of their codes.
    pub peers: Vec<FindPeer>,
    /// How many of them are what.
    pub completeness: Completeness,
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
    /// Whether it is connected, so that it can be asked now; none if this node is not running.
    pub reachable: Option<bool>,
    /// When the peer's index was made that this rests on.
    pub index_made: Option<Timestamp>,
    /// When the two were last matched.
    pub matched: Option<Timestamp>,
}

/// Whether a peer holds a person, as far as this node can know. None of these is "no record".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindState {
    /// Both hold them, and both proved it.
    Linked,
    /// They were not in both indexes when last matched.
    NotLinked,
    /// There was no match of the two newest adverts yet.
    NotMatched,
    /// There was a match, and they came to this node later than the peer was last told of its
    /// people. Asking tells it (first contact).
    NotYetIndexed,
    /// This node holds them without a valid number or date of birth: nobody can find them.
    NotIndexable,
    /// This node does not hold them, and an index tells only of people both hold.
    NotHeld,
    /// The offers of the two do not let them match.
    NoPresence,
}

/// How complete an answer about one person is. A member counts once under what it is to the person
/// (the first seven), and besides under what came of asking it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Every other member that takes part.
    pub members: u32,
    /// Of these, linked with the person.
    pub linked: u32,
    /// Not in both indexes when last matched.
    pub not_linked: u32,
    /// Never matched with.
    pub not_matched: u32,
    /// Matched with before the person was in this node's index.
    pub not_yet_indexed: u32,
    /// All, if the person cannot be found by anybody.
    pub not_indexable: u32,
    /// All, if the person is not held here.
    pub not_held: u32,
    /// Not matching with this node by the offers.
    pub no_presence: u32,
    /// Asked, whatever came of it.
    pub asked: u32,
    /// Answered: showed records, or had nothing to show.
    pub answered: u32,
    /// Refused or deferred.
    pub refused: u32,
    /// Not reached; in a search, not connected now.
    pub unreachable: u32,
    /// Asked, and something went wrong.
    pub failed: u32,
    /// Linked, and not among those who were to be asked.
    pub left_out: u32,
    /// When the oldest peer's index was made that this rests on.
    pub oldest_index: Option<Timestamp>,
    /// People of this node whom nobody can find: no valid number or date of birth.
    pub people_not_indexable: u64,
}

impl Completeness {
    /// Counts what members are to one person.
    pub fn of<'a>(
        peers: impl IntoIterator<Item = &'a FindPeer>,
        people_not_indexable: u64,
    ) -> Self {
        let mut counted = Self {
            people_not_indexable,
            ..Self::default()
        };
        for peer in peers {
            counted.members += 1;
            *match peer.state {
                FindState::Linked => &mut counted.linked,
                FindState::NotLinked => &mut counted.not_linked,
                FindState::NotMatched => &mut counted.not_matched,
                FindState::NotYetIndexed => &mut counted.not_yet_indexed,
                FindState::NotIndexable => &mut counted.not_indexable,
                FindState::NotHeld => &mut counted.not_held,
                FindState::NoPresence => &mut counted.no_presence,
            } += 1;
            let older = [counted.oldest_index, peer.index_made];
            counted.oldest_index = older.into_iter().flatten().min();
        }
        counted
    }
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
    /// The batches that continue the advert, and the entries in them: none of these is opened.
    pub not_opened: (u32, u32),
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

/// How is this node's own index, and how far have peers come with it?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowIndex {
    /// Whether to take in everybody new first: a batch or, if they are too many, a new advert.
    pub make: bool,
}

/// This node's own index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The epoch, and when it ends.
    pub epoch: (u32, Timestamp),
    /// Our advert of this epoch, if there is one.
    pub advert: Option<AdvertState>,
    /// The batches that continue it, the first first.
    pub batches: Vec<BatchState>,
    /// The most entries the roster allows us.
    pub cap: u32,
    /// The most entries a day the charter allows.
    pub additions_per_day: u32,
    /// How many people cannot be found by anybody: no valid number or date of birth.
    pub not_indexable: u64,
    /// Where everybody else is.
    pub places: Places,
    /// Every member there is or can be a match with, in the order of their codes.
    pub peers: Vec<IndexPeer>,
}

/// Where the people of a node are with its index. Two registrations of one NHS number and date of
/// birth are one person here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Can be in it: they have a valid number and date of birth, and are not withheld.
    pub possible: u64,
    /// Are in it, those included who left or were withheld inside the epoch.
    pub indexed: u64,
    /// Can be in it and are not yet.
    pub waiting: u64,
    /// Of these, those who wait for another day, for want of room by the charter today.
    pub later: u64,
    /// In no new index, though they have a valid number and date of birth: withheld, or known only
    /// through masked services.
    pub withheld: u64,
}

/// One batch of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// Its number.
    pub number: u32,
    /// When it was made.
    pub made: Timestamp,
    /// Its entries, canaries included.
    pub entries: u32,
}

/// How far one peer has come with our index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPeer {
    /// The peer's code.
    pub code: OdsCode,
    /// When the two adverts were matched, if they were.
    pub matched: Option<Timestamp>,
    /// How far a match with it is, if one is under way.
    pub matching: Option<MatchState>,
    /// Whether a match was begun here and is not finished: it goes on by itself.
    pub unfinished: bool,
    /// Whether these are the newest adverts of both: if not, they are to be matched anew.
    pub current: bool,
    /// Our batches it has answered.
    pub batches: u32,
    /// People both hold.
    pub links: u64,
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
