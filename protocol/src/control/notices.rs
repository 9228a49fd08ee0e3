//! Questions about notices.

use serde::{Deserialize, Serialize};

use crate::exchange::notice::LATE;
use crate::ids::OdsCode;
use crate::time::Timestamp;

/// Which notices wait? That somebody looked is journaled if there are any.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListNotices {}

/// Notices without their acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The notices, the oldest first.
    pub notices: Vec<NoticeItem>,
}

/// A peer that is to be told what changed of somebody it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeItem {
    /// Who is to be told.
    pub peer: OdsCode,
    /// The id of the person's Patient here.
    pub local: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// How often it left.
    pub tries: u32,
    /// Why it waits; none while it is on its way.
    pub why: Option<String>,
}

impl NoticeItem {
    /// Whether it has waited for longer than it should.
    pub fn is_late(&self, now: Timestamp) -> bool {
        now > self.since + LATE
    }
}
