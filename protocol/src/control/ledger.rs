//! Questions about the account with a peer: the ledger, standing, the ladder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{ExchangeId, Hash, OdsCode};
use crate::ledger::export::Checked;
use crate::ledger::ladder::Step;
use crate::ledger::page::Head;
use crate::ledger::standing::Standing;
use crate::time::Timestamp;

/// How is the ledger with this peer?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The peer.
    pub peer: OdsCode,
    /// Whether every page is to be checked.
    pub verify: bool,
    /// Where to write all of it; there must be no file yet.
    pub export: Option<PathBuf>,
}

/// How the ledger with a peer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The peer.
    pub peer: OdsCode,
    /// Its name.
    pub name: String,
    /// Our chain: its last page, and the last the peer quoted.
    pub ours: ChainState,
    /// The peer's chain: its last page here, and the last we quoted.
    pub theirs: ChainState,
    /// What waits to be written into a page.
    pub waiting: u64,
    /// Exchanges in either chain.
    pub exchanges: u64,
    /// Of these, with the same statements in both.
    pub settled: u64,
    /// Those that are not, the oldest first: at most [`MAX_UNSETTLED`].
    pub unsettled: Vec<Unsettled>,
    /// Pairs of pages that contradict each other.
    pub forks: Vec<Contradiction>,
    /// What a check found, if one was asked for.
    pub verified: Option<Checked>,
    /// Where it was written, if that was asked for, and how many bytes.
    pub exported: Option<(PathBuf, u64)>,
}

/// The most unsettled exchanges that are listed.
pub const MAX_UNSETTLED: usize = 50;

/// Where one chain stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    /// Its last page.
    pub head: Head,
    /// The last page its reader quoted.
    pub agreed: u64,
}

/// An exchange the two chains do not have alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked.
    pub asker: OdsCode,
    /// When.
    pub asked_at: Timestamp,
    /// Statements our chain names; none if it does not have the exchange.
    pub ours: Option<u64>,
    /// Statements the peer's chain names; none if it does not have the exchange.
    pub theirs: Option<u64>,
    /// Whether that is so for more than a day.
    pub overdue: bool,
}

/// Two pages of one chain that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Who signed both.
    pub writer: OdsCode,
    /// Number and hash of the page held.
    pub held: Head,
    /// Number of the other.
    pub number: u64,
    /// Its hash.
    pub other: Hash,
}

/// How do the two of us answer each other?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowStanding {
    /// With whom; none means with everybody.
    pub peer: Option<OdsCode>,
}

/// How a peer and we answer each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Us.
    pub own: OdsCode,
    /// The peer.
    pub peer: OdsCode,
    /// Its name.
    pub name: String,
    /// How the peer answers us, by our chain.
    pub theirs: Standing,
    /// Where that puts it on the ladder.
    pub their_step: Step,
    /// How we answer the peer, by its chain.
    pub ours: Standing,
    /// Where that puts us.
    pub our_step: Step,
    /// Whom to talk to there: name, and mail or telephone.
    pub contact: Option<String>,
    /// Whether the bulk lane is paused.
    pub paused: Option<Paused>,
}

/// Why the bulk lane between two is paused. The care lane never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Who did not answer.
    pub about: OdsCode,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// The account with a peer, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Requests we made of it in 90 days that count, and how many it answered in time.
    pub asked: (u64, u64),
    /// The same, the other way round.
    pub asked_of_us: (u64, u64),
    /// Where the peer stands on the ladder.
    pub their_step: Step,
    /// Where we stand, as the peer counts.
    pub our_step: Step,
    /// Exchanges overdue to be settled.
    pub overdue: u64,
    /// Contradictions found in either chain.
    pub forks: u64,
}
