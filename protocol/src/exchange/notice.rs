//! The notice: one member tells another, unasked, what changed of somebody it showed before
//! (protocol.md section 4, "care lane").
//!
//! A new allergy, alert or safeguarding concern, and every record that was shown and has been
//! amended, goes as a bundle like any other; what was wrong is named in it without content
//! ([`Correction`]). A notice is owed to everybody who holds a copy, enters nobody's account and
//! waits for none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::category::{Category, words};
use crate::ids::{ExchangeId, FederationId, Handle, MatchId, OdsCode};
use crate::statement::Body;
use crate::time::Timestamp;

/// How long a notice may be taken after it was signed; it is signed anew for every try.
pub const VALID: Duration = Duration::from_secs(5 * 60);
/// How long a notice may wait for its acknowledgement before operators are told.
pub const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// A notice about one person, signed by the node key of whoever holds the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Inside which federation.
    pub federation: FederationId,
    /// Chosen at random by the sender; taken once, however often it is said.
    pub exchange: ExchangeId,
    /// Who tells.
    pub from: OdsCode,
    /// Who is told.
    pub to: OdsCode,
    /// The match the handle belongs to.
    pub match_id: MatchId,
    /// About whom.
    pub handle: Handle,
    /// When it was signed.
    pub issued: Timestamp,
    /// After this it is not taken any more.
    pub expires: Timestamp,
}

impl Body for Notice {
    const LABEL: &'static str = "notice";
}

/// Whether everybody who holds a copy of a person's records is told of a new one at once: allergies,
/// and alerts and safeguarding concerns, which are of one category.
pub const fn is_urgent(category: Category) -> bool {
    matches!(category, Category::Allergies | Category::Safeguarding)
}

words! {
    /// Why a record that was shown does not hold any more.
    Correction {
        /// Its author says that it never should have been.
        EnteredInError = "entered-in-error",
        /// It is about somebody else.
        WrongPerson = "wrong-person",
        /// It was amended, and what it says now is not shown to whoever is told.
        Amended = "amended",
    }
}
