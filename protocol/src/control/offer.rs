//! Questions about offers and terms.

use serde::{Deserialize, Serialize};

use crate::ids::{Hash, OdsCode};
use crate::member::MemberKind;
use crate::offer::Offer;
use crate::terms::Terms;
use crate::text::Line;

/// What does a member offer?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowOffer {
    /// Whose; none for this node's own.
    pub member: Option<OdsCode>,
}

/// What a member offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferReport {
    /// Whose it is.
    pub member: OdsCode,
    /// The member's name.
    pub name: String,
    /// The member's kind.
    pub kind: MemberKind,
    /// What it published; none if nothing.
    pub published: Option<Offer>,
    /// What that is called.
    pub hash: Option<Hash>,
}

/// Publish this offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishOffer {
    /// The offer.
    pub offer: Offer,
    /// Why, for this node's own journal; demanded if the offer differs from what is published.
    pub reason: Option<Line>,
}

/// An offer was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// What it is called.
    pub hash: Hash,
    /// Whether it differs from what was published before.
    pub changed: bool,
    /// Active members who will hear of it.
    pub members: u64,
}

/// What flows between this node's member and another?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowTerms {
    /// The other.
    pub peer: OdsCode,
}

/// What flows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsReport {
    /// This node's member.
    pub own: OdsCode,
    /// The other, its name and kind.
    pub peer: (OdsCode, String, MemberKind),
    /// Members of the two that are limited: nothing flows in bulk.
    pub limited: Vec<OdsCode>,
    /// The terms.
    pub terms: Terms,
    /// What they are called, the same on both sides.
    pub hash: Hash,
}
