//! The offer: what a member shows and needs (protocol.md section 2).
//!
//! An offer is a matrix of category × purpose. A row says to which kinds of member the category is
//! **shown** for that purpose, from which kinds it is **needed**, and on what legal basis. A
//! category flows from A to B only if A shows it to B's kind and B needs it from A's kind.
//!
//! `presence` ("this person is known to us") is a category too, but it has no purpose of its own:
//! it is what a match tells, before anybody asks for anything. So it has one row for all purposes,
//! and no bundle carries it. `other` is never shown; `safeguarding` never travels in bulk.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::category::{Category, Lane, Purpose, words};
use crate::codec;
use crate::crypto::hash;
use crate::ids::Hash;
use crate::member::MemberKind;
use crate::text::Line;

pub mod change;
mod default;

words! {
    /// A confidentiality label of a record (FHIR `meta.security`, HL7 v3 Confidentiality).
    Label {
        /// R: restricted.
        Restricted = "restricted",
        /// V: very restricted.
        VeryRestricted = "very-restricted",
    }
}

words! {
    /// A service whose records stay closed until the operator opens them.
    Service {
        /// Sexual health.
        SexualHealth = "sexual-health",
        /// HIV.
        Hiv = "hiv",
        /// Fertility.
        Fertility = "fertility",
        /// Termination of pregnancy.
        Termination = "termination",
        /// Gender identity.
        GenderIdentity = "gender-identity",
        /// Addiction.
        Addiction = "addiction",
        /// Forensic.
        Forensic = "forensic",
        /// Child and adolescent mental health.
        ChildMentalHealth = "child-and-adolescent-mental-health",
        /// Services that people use without giving their name.
        AnonymousAccess = "anonymous-access",
    }
}

/// What a member says about one category under one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Kinds of member it is shown to.
    pub shows: BTreeSet<MemberKind>,
    /// Kinds of member it is needed from.
    pub needs: BTreeSet<MemberKind>,
    /// Why that is lawful, if not for the reason its section gives.
    pub basis: Option<Line>,
}

/// What a member says for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Why that is lawful, unless a row says otherwise.
    pub basis: Line,
    /// By category.
    pub rows: BTreeMap<Category, Row>,
}

/// To whom a member shows that a person is known to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Kinds of member.
    pub shows: BTreeSet<MemberKind>,
    /// Why that is lawful.
    pub basis: Line,
}

/// A member's offer. What it does not name is neither shown nor needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// To whom people's presence is shown: with these kinds there can be a match.
    pub presence: Presence,
    /// Per purpose and category.
    pub matrix: BTreeMap<Purpose, Section>,
    /// Whether, having asked, we show our own records about the same person in the same exchange.
    pub show_in_return: bool,
    /// Labels the operator opened.
    pub opened_labels: BTreeSet<Label>,
    /// Services the operator opened.
    pub opened_services: BTreeSet<Service>,
}

impl Offer {
    /// The default of protocol.md section 2 for a member of this kind.
    pub fn default_for(kind: MemberKind) -> Self {
        default::offer(kind)
    }

    /// Whether this can be anyone's offer.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self) -> Result<(), Refusal> {
        for (purpose, section) in &self.matrix {
            for category in section.rows.keys() {
                match category {
                    Category::Presence => return Err(Refusal::PresenceInMatrix(*purpose)),
                    Category::Other => return Err(Refusal::Other(*purpose)),
                    Category::Safeguarding if purpose.lane() == Lane::Bulk => {
                        return Err(Refusal::SafeguardingInBulk(*purpose));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether `category` is shown to members of kind `to` for `purpose`.
    pub fn shows(&self, category: Category, purpose: Purpose, to: MemberKind) -> bool {
        match category {
            Category::Presence => self.presence.shows.contains(&to),
            _ => self
                .row(category, purpose)
                .is_some_and(|row| row.shows.contains(&to)),
        }
    }

    /// Whether `category` is needed from members of kind `from` for `purpose`.
    pub fn needs(&self, category: Category, purpose: Purpose, from: MemberKind) -> bool {
        self.row(category, purpose)
            .is_some_and(|row| row.needs.contains(&from))
    }

    /// The row of `category` under `purpose`, unless it is one that never flows that way.
    fn row(&self, category: Category, purpose: Purpose) -> Option<&Row> {
        may_travel(category, purpose)
            .then(|| self.matrix.get(&purpose)?.rows.get(&category))
            .flatten()
    }

    /// On what legal basis `category` is shown or needed for `purpose`.
    pub fn basis(&self, category: Category, purpose: Purpose) -> Option<&Line> {
        if category == Category::Presence {
            return Some(&self.presence.basis);
        }
        let own = self.row(category, purpose)?.basis.as_ref();
        own.or_else(|| Some(&self.matrix.get(&purpose)?.basis))
    }

    /// The offer's name: two offers are the same if and only if their hashes are.
    pub fn hash(&self) -> Hash {
        hash::parts("offer", &[&codec::encode(self)])
    }
}

/// Whether records of `category` may be in a bundle for `purpose`, whatever any offer says.
pub const fn may_travel(category: Category, purpose: Purpose) -> bool {
    match category {
        Category::Presence | Category::Other => false,
        Category::Safeguarding => matches!(purpose.lane(), Lane::Care),
        _ => true,
    }
}

/// Why something is no offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `presence` stands under a purpose.
    #[error("`presence` stands under `{0}`; it has a row of its own, for all purposes")]
    PresenceInMatrix(Purpose),
    /// `other` is offered.
    #[error("`other` stands under `{0}`; it is never shown: remove the row")]
    Other(Purpose),
    /// `safeguarding` is offered in bulk.
    #[error("`safeguarding` stands under `{0}`; it never travels in bulk: remove the row")]
    SafeguardingInBulk(Purpose),
}
