//! Questions about the node itself and its peers.

use serde::{Deserialize, Serialize};

use super::index::Places;
use super::ledger::AccountState;
use crate::ids::{FederationId, Hash, OdsCode};
use crate::member::MemberKind;
use crate::time::Timestamp;

/// How is the node?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Its member.
    pub member: OdsCode,
    /// The member's name.
    pub name: String,
    /// The member's kind.
    pub kind: MemberKind,
    /// Its federation, once it has one.
    pub federation: Option<Federation>,
    /// When the node started.
    pub started: Timestamp,
    /// The version of its program.
    pub version: String,
    /// Addresses it listens on.
    pub listening: Vec<String>,
    /// Peers it could be connected to.
    pub peers: u64,
    /// Peers it is connected to.
    pub connected: u64,
    /// What it holds.
    pub holdings: Holdings,
    /// Its journal.
    pub journal: JournalState,
    /// When it last exchanged with anybody, either way.
    pub last_exchange: Option<Timestamp>,
    /// Stops that stand: what an operator no longer lets be shown.
    pub stops: u64,
    /// How the accounts with its peers stand.
    pub accounts: Accounts,
    /// The reviews of emergencies.
    pub reviews: ReviewsState,
    /// What it takes on disk.
    pub disk: Disk,
    /// What is not as it should be. Empty: the node is healthy.
    pub problems: Vec<Problem>,
}

/// The accounts with all peers, in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// Peers with an account.
    pub peers: u64,
    /// Pairs below what is owed, in either direction, on any step of the ladder.
    pub below: u64,
    /// Of these, with the bulk lane paused.
    pub paused: u64,
    /// Exchanges overdue to be settled.
    pub overdue: u64,
}

/// A federation, for screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federation {
    /// Its name, from the charter.
    pub name: String,
    /// Its id.
    pub id: FederationId,
    /// What this node's member is in it: `admitted`, `limited`, … or `waiting`.
    pub standing: String,
}

/// People and records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// People with records.
    pub people: u64,
    /// Of these, those with a valid NHS number and date of birth: who can be in the index.
    pub indexable: u64,
    /// Where they are with the index; none while they are counted.
    pub places: Option<Places>,
    /// Records about people.
    pub records: u64,
    /// Bundles received from others and kept.
    pub received: u64,
    /// When records were last imported.
    pub imported: Option<Timestamp>,
}

/// The journal, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalState {
    /// Entries.
    pub entries: u64,
    /// Hash of the last.
    pub head: Hash,
    /// When all of it was last checked.
    pub verified: Timestamp,
}

/// The reviews of emergencies, in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewsState {
    /// Nobody has closed them yet.
    pub open: u64,
    /// Of these, open for longer than they may be.
    pub overdue: u64,
}

/// Bytes on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes the home takes.
    pub used: u64,
    /// Bytes left where the home is.
    pub free: u64,
    /// What is kept for when nothing is left.
    pub reserve: Reserve,
}

/// Room kept for care when the disk is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// Its bytes.
    pub size: u64,
    /// Whether it is there; otherwise it was given back, and what can wait waits.
    pub held: bool,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is so.
    pub fact: String,
    /// What to do about it.
    pub remedy: String,
}

/// How is each peer?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {}

/// How is this peer?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its code.
    pub code: OdsCode,
}

/// How a peer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The peer's code.
    pub code: OdsCode,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MemberKind,
    /// What it is in the roster: `admitted`, `limited`, `removed`, …
    pub roster: String,
    /// Whether it takes part in the federation, so that it should be connected.
    pub takes_part: bool,
    /// Whether it is connected, or why not.
    pub connection: Connection,
    /// Since when that has been so, if ever it changed.
    pub since: Option<Timestamp>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its index, if we hold it.
    pub index: Option<IndexState>,
    /// People both hold, once matched.
    pub links: Option<u64>,
    /// When the links were last proven.
    pub matched: Option<Timestamp>,
    /// How far a match with it is, if one is under way.
    pub matching: Option<MatchState>,
    /// How many of those whose own record names the peer are linked; none while it is counted,
    /// and until the newest indexes of the two are matched.
    pub coverage: Option<Coverage>,
    /// When we last exchanged, either way.
    pub last_exchange: Option<Timestamp>,
    /// Numbers of the stops that keep something from it.
    pub stops: Vec<u64>,
    /// The account with it; none if nothing was entered yet.
    pub account: Option<AccountState>,
    /// The latest errors, newest first.
    pub errors: Vec<PeerError>,
    /// What is not as it should be between the two.
    pub problems: Vec<Problem>,
}

/// Of the people whose own record names a peer, how many are linked with it (protocol.md section
/// 3). Counts those who were in this node's index when the two were last matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// People whose record names the peer.
    pub named: u64,
    /// Of these, linked.
    pub linked: u64,
}

/// Fewer people than this tell nothing by their share.
const FEW: u64 = 20;
/// Fewer of a hundred deserve a look: the two lists differ, or the peer's entries are such that it
/// links alone.
const LOW_PERCENT: u64 = 80;

impl Coverage {
    /// The share that is linked, in whole percent; none if nobody is named.
    pub const fn percent(&self) -> Option<u64> {
        match self.named {
            0 => None,
            named => Some(self.linked * 100 / named),
        }
    }

    /// Whether so few are linked that it deserves a look.
    pub const fn is_low(&self) -> bool {
        // Counts of people: far from overflow.
        self.named >= FEW && self.linked * 100 < self.named * LOW_PERCENT
    }
}

/// Whether a peer is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// It is.
    Up,
    /// It is not, and why.
    Down(String),
}

/// A peer's advert, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexState {
    /// When the peer signed it.
    pub made: Timestamp,
    /// Its epoch.
    pub epoch: u32,
    /// Its generation.
    pub generation: u32,
    /// Its entries, canaries included.
    pub entries: u64,
}

/// A match that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchState {
    /// Since when.
    pub since: Timestamp,
    /// Entries raised and tags heard.
    pub done: u64,
    /// Entries and tags in all.
    pub total: u64,
}

/// Something that went wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerError {
    /// When.
    pub at: Timestamp,
    /// What, without patient data.
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_low_below_four_in_five_of_at_least_twenty() {
        for (named, linked, percent, low) in [
            (0, 0, None, false),
            (19, 0, Some(0), false),
            (20, 15, Some(75), true),
            (20, 16, Some(80), false),
            (1000, 799, Some(79), true),
            (1000, 1000, Some(100), false),
        ] {
            let coverage = Coverage { named, linked };
            assert_eq!((coverage.percent(), coverage.is_low()), (percent, low));
        }
    }
}
