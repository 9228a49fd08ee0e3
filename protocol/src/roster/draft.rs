//! What stewards sign, one after the other, before it is a statement.
//!
//! A decision ([`Roster::decide`](super::Roster::decide)) and a charter version
//! ([`Statements::amend`]) are drafted alike: a [`Draft`] goes as paper from steward to steward, each
//! reviews it against the statements held here and adds a signature, and what enough have signed is
//! a [`Statement`] like any other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::statements::{MAX_ENCODED, Statement, Statements};
use super::{Refusal, Roster, StewardStatement};
use crate::armour::Paper;
use crate::charter::{self, Amendment, Version};
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, OdsCode, PublicKey};
use crate::limits::CLOCK_SKEW;
use crate::statement::CoSigned;
use crate::time::Timestamp;

/// Something for stewards to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Draft {
    /// A decision about a member.
    Decision(CoSigned<StewardStatement>),
    /// The next version of the charter.
    Charter(Version),
}

impl Paper for Draft {
    const NAME: &'static str = "draft";
    const VERSION: u16 = 1;
    const LIMIT: usize = MAX_ENCODED;
}

/// What a steward should know before signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Which stewards have signed.
    pub signed: BTreeSet<OdsCode>,
    /// How many must.
    pub needed: u16,
    /// Of a charter: members whose last steward statement here it does not pin. What it does not
    /// pin ends to count, and what it pins instead goes on.
    pub not_pinned: BTreeSet<OdsCode>,
}

impl Review {
    /// Whether it is a statement that counts.
    pub fn is_complete(&self) -> bool {
        self.signed.len() >= usize::from(self.needed)
    }
}

impl Draft {
    /// A decision signed by nobody yet.
    pub fn of(decision: &StewardStatement) -> Self {
        Self::Decision(CoSigned::draft(decision))
    }

    /// Adds a signature; signing twice changes nothing.
    pub fn add(&mut self, key: &KeyPair) {
        match self {
            Self::Decision(decision) => decision.add(key),
            Self::Charter(version) => version.charter.add(key),
        }
    }

    /// Takes over the signatures of another copy; of another draft, none.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Decision(decision), Self::Decision(other)) => decision.merge(other),
            (Self::Charter(version), Self::Charter(other)) => version.charter.merge(&other.charter),
            _ => {}
        }
    }

    /// What fingerprints show. Signatures do not change it.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Decision(decision) => decision.hash(),
            Self::Charter(version) => version.hash(),
        }
    }
}

impl From<Draft> for Statement {
    fn from(draft: Draft) -> Self {
        match draft {
            Draft::Decision(decision) => Self::Steward(decision),
            Draft::Charter(version) => Self::Charter(version),
        }
    }
}

impl Statements {
    /// The next version of the charter, for stewards to sign: it pins the last statement about every
    /// member. Where versions contradict each other about what follows, it names all of them void.
    ///
    /// A change of the epochs' length is drafted to begin at the end of the present epoch, or of the
    /// next if the present one has less than 14 days left.
    ///
    /// # Errors
    /// If it would break a rule, or say what the current one does.
    pub fn amend(&self, change: &Amendment, now: Timestamp) -> Result<Version, charter::Refusal> {
        self.charters().amend(change, self.last(), now)
    }

    /// Whether a steward may sign this now: it keeps every rule, and nothing has been decided since
    /// it was drafted.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn review(&self, draft: &Draft, now: Timestamp) -> Result<Review, Refusal> {
        let current = self.charters().current();
        let (signers, not_pinned) = match draft {
            Draft::Charter(version) => {
                let signers = self.charters().review(version, now)?;
                let last = self.last().into_iter();
                let dropped = last.filter(|(code, hash)| version.pins.last.get(code) != Some(hash));
                (signers, dropped.map(|(code, _)| code).collect())
            }
            Draft::Decision(decision) => {
                let (body, signers) = decision.verify()?;
                if body.at > now + CLOCK_SKEW {
                    return Err(Refusal::Ahead(body.at));
                }
                if body.federation != self.federation() {
                    return Err(Refusal::OtherFederation);
                }
                if body.charter != current.hash() {
                    let version = current.charter().version;
                    return Err(charter::Refusal::Overtaken(version).into());
                }
                let roster = Roster::of(self);
                if roster.decide(&body.about, &body.decision()?, body.at)? != body {
                    return Err(Refusal::SpokenSince(body.about));
                }
                (signers, BTreeSet::new())
            }
        };
        let charter = current.charter();
        charter.signed_by(&signers)?;
        let signed = |(_, key): &(&OdsCode, &PublicKey)| signers.contains(*key);
        let signed = charter.stewards.iter().filter(signed);
        Ok(Review {
            signed: signed.map(|(code, _)| code.clone()).collect(),
            needed: charter.threshold,
            not_pinned,
        })
    }

    /// The last steward statement about everyone ever admitted.
    fn last(&self) -> BTreeMap<OdsCode, Hash> {
        let members = self.members();
        members.map(|it| (it.code.clone(), it.last.1)).collect()
    }
}
