//! Questions about the reviews of emergencies.

use serde::{Deserialize, Serialize};

use crate::exchange::review::Side;
use crate::ids::{ExchangeId, OdsCode};
use crate::member::User;
use crate::text::Line;
use crate::time::Timestamp;

/// The most reviews one request closes.
pub const MAX_CLOSED: usize = 1024;

/// Which reviews are there? That somebody looked is journaled if any names a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListReviews {
    /// Which.
    pub which: Which,
}

/// Reviews by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Those nobody has closed.
    Open,
    /// All there ever were.
    All,
}

/// The reviews of emergencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewsReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The reviews: open ones first, the oldest of each first.
    pub reviews: Vec<ReviewItem>,
}

/// One emergency, to be reviewed or reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewItem {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked whom.
    pub side: Side,
    /// The other member.
    pub peer: OdsCode,
    /// Who asked.
    pub user: User,
    /// Why, in their words.
    pub reason: Line,
    /// The ids of the person's Patients here; none if they are not held.
    pub local: Vec<String>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it is to be closed at the latest.
    pub due: Timestamp,
    /// Who closed it; none while it is open.
    pub closed: Option<Closure>,
}

impl ReviewItem {
    /// Whether it should have been closed by `now`, and was not.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.closed.is_none() && now > self.due
    }
}

/// What closed a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// Who.
    pub by: User,
    /// When.
    pub at: Timestamp,
    /// What they found.
    pub note: Line,
}

/// Close reviews. Only somebody the node's config names may.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseReviews {
    /// The exchanges they belong to; at most [`MAX_CLOSED`].
    pub exchanges: Vec<ExchangeId>,
    /// What was found, without anything that identifies a patient: it is journaled.
    pub note: Line,
}
