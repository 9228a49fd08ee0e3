//! Questions about the journal.

use serde::{Deserialize, Serialize};

use crate::ids::{Hash, OdsCode, PublicKey};
use crate::time::Timestamp;

/// Is the journal as it was written?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {}

/// What checking a journal found, all of it sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Entries in the chain.
    pub entries: u64,
    /// Hash of the last, or of nothing.
    pub head: Hash,
    /// When the first was written.
    pub first: Option<Timestamp>,
    /// When the last was written.
    pub last: Option<Timestamp>,
    /// Signed heads the chain was held against.
    pub heads: u64,
    /// The last entry a signed head vouches for.
    pub vouched: u64,
    /// Bytes at the end that are an entry still being written, or one that a crash cut short.
    pub unfinished: u64,
    /// Whose journal it says it is, from its last start.
    pub member: Option<OdsCode>,
    /// The node key its last start named.
    pub node: Option<PublicKey>,
}
