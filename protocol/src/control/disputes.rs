//! Questions about what was promised in an exchange and did not come.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exchange::dispute::Checked;
use crate::ids::{ExchangeId, OdsCode, RoundId};
use crate::time::Timestamp;

/// What of this peer's lies here unopened?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListOwed {
    /// The peer.
    pub peer: OdsCode,
}

/// What of a peer's lies here unopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The peer.
    pub peer: OdsCode,
    /// Its name.
    pub name: String,
    /// The bundles, the oldest round first: at most [`MAX_OWED`].
    pub owed: Vec<OwedBundle>,
    /// How many there are.
    pub total: u64,
}

/// The most bundles that are listed.
pub const MAX_OWED: usize = 50;

/// A bundle that lies here unopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedBundle {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Its round.
    pub round: RoundId,
    /// When the round was proposed.
    pub at: Timestamp,
    /// Whether the round is over: else the key may still come by itself.
    pub over: bool,
    /// Bytes, padding included.
    pub size: u64,
    /// Whether its key came, and opens no bundle.
    pub unreadable: bool,
}

/// Complain of an exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complain {
    /// Of whom.
    pub peer: OdsCode,
    /// Of which exchange.
    pub exchange: ExchangeId,
    /// The file to write; there must be none yet.
    pub to: PathBuf,
}

/// A complaint that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complained {
    /// What it shows.
    pub checked: Checked,
    /// Where it is.
    pub file: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// Release the key of a bundle again, in answer to a complaint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseAgain {
    /// The file with the complaint.
    pub complaint: PathBuf,
    /// The file to write; there must be none yet.
    pub to: PathBuf,
}

/// A key that was released again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedAgain {
    /// To whom it is sealed.
    pub peer: OdsCode,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Where it is.
    pub file: PathBuf,
}

/// Open a bundle with a key that was released again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeReleased {
    /// The file.
    pub file: PathBuf,
}
