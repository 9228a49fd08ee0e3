//! What an offer would let each member see, in counts: asked before it is published.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::category::{Category, Purpose, words};
use crate::ids::OdsCode;
use crate::member::MemberKind;
use crate::offer::Offer;
use crate::roster::Status;
use crate::terms::Closed;
use crate::time::Timestamp;

/// What would members see under this offer?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewOffer {
    /// The offer; none for the one that is published.
    pub offer: Option<Offer>,
    /// Only this member; none for all.
    pub member: Option<OdsCode>,
}

/// What they would see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewReport {
    /// The node's time.
    pub now: Timestamp,
    /// When the last import that changed anything ended; none if there was none.
    pub imported: Option<Timestamp>,
    /// Whether the offer is what is published.
    pub published: bool,
    /// People whom the index can find, withheld or not.
    pub findable: u64,
    /// People held whom nobody finds: without an NHS number and a date of birth, or labelled
    /// restricted.
    pub unfindable: u64,
    /// By code.
    pub members: Vec<Preview>,
}

/// What one member would see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Its code.
    pub code: OdsCode,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// How it stands.
    pub status: Status,
    /// When the match ended whose people are counted: those both hold. None: no match was made with
    /// it, and everybody is counted whom it might find, the most it could come to.
    pub matched: Option<Timestamp>,
    /// How many people are counted.
    pub people: u64,
    /// Of how many of them it would see something.
    pub some: u64,
    /// What it would see.
    pub visible: Vec<Visible>,
    /// What it would not: each record of everybody counted is either here or there, once.
    pub withheld: Vec<Kept>,
}

/// A category that would be visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visible {
    /// The category.
    pub category: Category,
    /// For these purposes.
    pub purposes: BTreeSet<Purpose>,
    /// For these not, and why.
    pub closed: BTreeMap<Purpose, Why>,
    /// People of whom such records would be visible.
    pub people: u64,
    /// How many records.
    pub records: u64,
}

/// Something that would not be visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Of this category; none: all of these people, whatever is held of them.
    pub category: Option<Category>,
    /// Why.
    pub why: Why,
    /// People of whom something is kept back so.
    pub people: u64,
    /// How many records.
    pub records: u64,
}

words! {
    /// Why something would not be visible to a member: whole people first, then categories, then
    /// single records.
    Why {
        /// The member has published no offer: there are no terms with it.
        NoOffer = "no-offer",
        /// One of the two does not show presence to the other.
        NoPresence = "presence-not-shown",
        /// They objected: `fairshare withhold`.
        Objection = "objection",
        /// They are flagged sensitive: `fairshare withhold`.
        Sensitive = "sensitive",
        /// They are withheld in other words: `fairshare withhold`.
        Withheld = "withheld",
        /// They are known only through services that are closed or masked.
        OnlyMasked = "only-closed-services",
        /// They were held when the match was made, and are no longer.
        Gone = "no-longer-held",
        /// The category never travels.
        Never = "never-shown",
        /// The offer does not show it to this kind of member.
        NotOffered = "not-offered",
        /// The member does not need it from this kind.
        NotNeeded = "not-needed",
        /// It would go in bulk only, and one of the two is limited.
        Limited = "limited",
        /// It would go in bulk only, and the member shows nothing equivalent.
        NotLevel = "not-level",
        /// An operator stopped showing it: `fairshare stop`.
        Stopped = "stopped",
        /// It comes from a service that stays closed unless the offer opens it.
        ClosedService = "closed-service",
        /// It comes from a service that an operator masked: `fairshare withhold --service`.
        MaskedService = "masked-service",
        /// It is labelled restricted or very restricted, and the offer does not open that label.
        Label = "restricted-label",
    }
}

impl From<Closed> for Why {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Never => Self::Never,
            Closed::NoPresence => Self::NoPresence,
            Closed::NotShown => Self::NotOffered,
            Closed::NotNeeded => Self::NotNeeded,
            Closed::Limited => Self::Limited,
            Closed::NotLevel => Self::NotLevel,
        }
    }
}
