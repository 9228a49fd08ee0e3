//! Questions about who and what stays home: people withheld, services masked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::index::key::IndexKey;
use crate::member::User;
use crate::offer::Service;
use crate::text::Line;
use crate::time::Timestamp;

/// The most people one request names.
pub const MAX_PEOPLE: usize = 4096;

/// Whom it is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// NHS number and date of birth.
    Person(IndexKey),
    /// The id of their Patient at this organisation: for somebody without a valid number.
    Local(Line),
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whom(…)")
    }
}

/// Withhold these people.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withhold {
    /// Whom; at most [`MAX_PEOPLE`].
    pub people: Vec<Whom>,
    /// Why: `objection`, `sensitive`, or in other words, without anything that identifies somebody.
    pub reason: Line,
}

/// What became of people to be withheld.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Withheld now.
    pub added: u64,
    /// Withheld already: nothing was changed.
    pub already: u64,
    /// Of those added, not held here. They are withheld from the moment they come.
    pub not_held: u64,
}

/// Withhold somebody no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Whom.
    pub whom: Whom,
    /// Why, without anything that identifies somebody.
    pub reason: Line,
}

/// Mask a service, or mask it no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// `system|code`, `Organization/` and an ODS code or id, or another type and id.
    pub service: Line,
    /// Why.
    pub reason: Line,
    /// Whether it is to be masked.
    pub masked: bool,
}

/// What masking or unmasking a service concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked {
    /// The service.
    pub service: Line,
    /// Whether it is masked now.
    pub masked: bool,
    /// Whether that was so already.
    pub already: bool,
    /// People known through it.
    pub people: u64,
    /// Of these, known through nothing that is not masked: they are in no new index.
    pub only_so: u64,
}

/// Who and what is withheld? That somebody looked is journaled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListWithheld {}

/// Who and what is withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The people, the latest first.
    pub people: Vec<WithheldPerson>,
    /// The services masked by an operator, the latest first.
    pub services: Vec<MaskedService>,
    /// The services that stay closed until this member's offer opens them.
    pub closed: Vec<ClosedService>,
}

/// Somebody withheld: named by what this organisation itself calls them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldPerson {
    /// The ids of their Patients here; none if they are not held.
    pub local: Vec<String>,
    /// Why.
    pub reason: Line,
    /// Who withheld them.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
}

/// A service masked by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedService {
    /// What names it.
    pub service: Line,
    /// Why.
    pub reason: Line,
    /// Who masked it.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
}

/// A service that stays closed until it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedService {
    /// Which.
    pub service: Service,
    /// Whether the offer opened it.
    pub opened: bool,
    /// The codes it is known by; none if the operator must name it.
    pub codes: Vec<String>,
}
