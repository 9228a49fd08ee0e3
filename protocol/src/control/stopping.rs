//! Questions about stops: what an operator no longer lets be shown (protocol.md section 4).

use serde::{Deserialize, Serialize};

use super::withholding::Whom;
use crate::category::Category;
use crate::ids::OdsCode;
use crate::member::User;
use crate::text::Line;
use crate::time::Timestamp;

/// Show no more of what all of these say together; none of them: show nobody anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Only to this member.
    pub peer: Option<OdsCode>,
    /// Only records of this category.
    pub category: Option<Category>,
    /// Only records of this person.
    pub person: Option<Whom>,
    /// Why, without anything that identifies somebody.
    pub reason: Line,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The stop, as it stands now.
    pub stop: Standing,
    /// Rounds under way that it called off: with whom.
    pub rounds: Vec<OdsCode>,
}

/// Show again what a stop kept back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The number of the stop.
    pub number: u64,
    /// Why, without anything that identifies somebody.
    pub reason: Line,
}

/// Which stops stand?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListStops {}

/// The stops that stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopsReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The stops, the oldest first.
    pub stops: Vec<Standing>,
}

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its number, never used again.
    pub number: u64,
    /// The member nothing is shown to; none: nobody.
    pub peer: Option<OdsCode>,
    /// The category nothing is shown of; none: any.
    pub category: Option<Category>,
    /// The person nothing is shown of, by the ids of their Patients here; none: anybody. Empty if
    /// they are not held here.
    pub person: Option<Vec<String>>,
    /// Why.
    pub reason: Line,
    /// Who stopped it.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
}
