//! Proposals: what stewards have not all signed yet (protocol.md section 1).
//!
//! A decision, or a version of the charter, counts once as many stewards signed it as the charter
//! says. Until then it is a proposal: the thing itself, with the signatures there are. It goes from steward to steward as
//! a file, or between their nodes ([`talk`]); signatures of several copies add up. What one steward
//! signs is exactly what counts in the end, so nobody has to trust whoever carries it.
//!
//! A proposal that does not follow what the roster says now is none any more: it was decided, or
//! another was. So is one of [`MAX_PROPOSAL_AGE`] ago.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::armour::Paper;
use crate::charter::{self, Charter, Version};
use crate::codec;
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, OdsCode, PublicKey};
use crate::join::{self, Candidacy};
use crate::limits::{CLOCK_SKEW, MAX_FRAME, MAX_PROPOSAL_AGE, MAX_PROPOSALS, MAX_PROPOSALS_BY_ONE};
use crate::roster::{self, Decision, Inserted, Roster, Statement, StewardStatement};
use crate::statement::{self, CoSigned};
use crate::time::Timestamp;

pub mod talk;

/// What stewards sign, on its way from one to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// About somebody who is a member, or was.
    Decision(CoSigned<StewardStatement>),
    /// About somebody who asks to join.
    Admission(Candidacy),
    /// The next version of the charter. What it pins everybody knows who has the roster.
    Charter {
        /// The version.
        charter: CoSigned<Charter>,
        /// When it was written, as whoever sends it says.
        at: Timestamp,
    },
}

impl Paper for Proposal {
    const NAME: &'static str = "proposal";
    const VERSION: u16 = 1;
    const LIMIT: usize = 2 * MAX_FRAME;
}

/// What a proposal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A decision about a member.
    Decision(OdsCode, Decision),
    /// The next version of the charter.
    Charter(Charter),
}

impl Subject {
    /// Its kind in a word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Decision(_, decision) => decision.kind().word(),
            Self::Charter(_) => "charter",
        }
    }

    /// Whom it concerns, unless it is everybody.
    pub const fn about(&self) -> Option<&OdsCode> {
        match self {
            Self::Decision(about, _) => Some(about),
            Self::Charter(_) => None,
        }
    }

    /// What it says beside, as names and values. Of a charter that follows `before`, what changes.
    pub fn says(&self, before: Option<&Charter>) -> Vec<(String, String)> {
        match self {
            Self::Decision(_, decision) => decision.says(),
            Self::Charter(next) => next.says(before),
        }
    }
}

/// A proposal that follows what the roster says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What would be decided.
    pub subject: Subject,
    /// When it was written.
    pub at: Timestamp,
    /// The stewards who signed.
    pub signed: Vec<OdsCode>,
    /// How many must.
    pub needed: u16,
}

impl Checked {
    /// Whether enough stewards signed.
    pub fn is_decided(&self) -> bool {
        self.signed.len() >= usize::from(self.needed)
    }
}

impl Proposal {
    /// A version of the charter that nobody has signed.
    pub fn charter(next: &Charter, at: Timestamp) -> Self {
        let charter = CoSigned::draft(next);
        Self::Charter { charter, at }
    }

    /// The decision about a member, if it is one.
    pub const fn decision(&self) -> Option<&CoSigned<StewardStatement>> {
        match self {
            Self::Decision(decision) => Some(decision),
            Self::Admission(candidacy) => Some(&candidacy.decision),
            Self::Charter { .. } => None,
        }
    }

    /// The statement it is once enough have signed, if nothing was decided since.
    pub fn statement(self, roster: &Roster) -> Statement {
        match self {
            Self::Decision(decision) => Statement::Steward(decision),
            Self::Admission(candidacy) => Statement::Steward(candidacy.decision),
            Self::Charter { charter, .. } => Statement::Charter(Version {
                charter,
                pins: roster.pins(),
            }),
        }
    }

    /// Its name: that of the statement. Signatures do not change it.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Decision(decision) => decision.hash(),
            Self::Admission(candidacy) => candidacy.decision.hash(),
            Self::Charter { charter, .. } => charter.hash(),
        }
    }

    /// Signs it; signing twice changes nothing.
    pub fn add(&mut self, key: &KeyPair) {
        match self {
            Self::Decision(decision) => decision.add(key),
            Self::Admission(candidacy) => candidacy.decision.add(key),
            Self::Charter { charter, .. } => charter.add(key),
        }
    }

    /// Takes over the signatures of another copy; of another proposal, none.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Decision(held), Self::Decision(other)) => held.merge(other),
            (Self::Admission(held), Self::Admission(other)) => held.decision.merge(&other.decision),
            (Self::Charter { charter, .. }, Self::Charter { charter: other, .. }) => {
                charter.merge(other);
            }
            _ => {}
        }
    }

    /// What it says, when it was written, and who signed it.
    ///
    /// # Errors
    /// If a signature does not hold, or the bytes are no such statement.
    pub fn read(&self) -> Result<(Subject, Timestamp, BTreeSet<PublicKey>), Refusal> {
        let decision = match self {
            Self::Decision(decision) => decision,
            Self::Admission(candidacy) => &candidacy.decision,
            Self::Charter { charter, at } => {
                let (next, signers) = charter.verify()?;
                return Ok((Subject::Charter(next), *at, signers));
            }
        };
        let (body, signers) = decision.verify()?;
        let decision = body.decision()?;
        Ok((Subject::Decision(body.about, decision), body.at, signers))
    }

    /// What it says, if it follows what `roster` says and nobody but stewards signed.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self, roster: &Roster, now: Timestamp) -> Result<Checked, Refusal> {
        let (subject, at, signers) = self.read()?;
        if at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead(at));
        }
        if at + MAX_PROPOSAL_AGE < now {
            return Err(Refusal::Stale(at));
        }
        roster.charter().signed_by(&signers)?;
        match (self, &subject) {
            (Self::Admission(candidacy), _) => drop(candidacy.check(roster, now)?),
            (_, Subject::Charter(next)) => roster.follows(next, now)?,
            (_, Subject::Decision(about, decision)) => {
                let next = roster.decide(about, decision, at)?;
                if CoSigned::draft(&next).hash() != self.hash() {
                    return Err(Refusal::Overtaken);
                }
            }
        }
        let stewards = roster.charter().stewards.iter();
        let signed = stewards.filter(|(_, key)| signers.contains(key));
        Ok(Checked {
            subject,
            at,
            signed: signed.map(|(code, _)| code.clone()).collect(),
            needed: roster.charter().threshold,
        })
    }
}

/// The proposals a steward's node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposals(BTreeMap<Hash, Proposal>);

impl Proposals {
    /// Adds a proposal, or the signatures another copy of it has. Gives it as it is then held.
    ///
    /// # Errors
    /// If it is none, nobody signed it, or there is no room.
    pub fn add(
        &mut self,
        proposal: Proposal,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<(Inserted, &Proposal), Refusal> {
        let checked = proposal.check(roster, now)?;
        if checked.signed.is_empty() {
            return Err(Refusal::Unsigned);
        }
        // What a frame cannot carry goes as a file.
        if codec::encode(&proposal).len() + 1 > MAX_FRAME {
            return Err(Refusal::TooLong);
        }
        let hash = proposal.hash();
        if !self.0.contains_key(&hash) {
            let alone = |held: &&Proposal| {
                let signed = held.check(roster, now).map(|it| it.signed);
                signed.is_ok_and(|signed| signed == checked.signed)
            };
            if self.0.len() >= MAX_PROPOSALS
                || checked.signed.len() == 1
                    && self.0.values().filter(alone).count() >= MAX_PROPOSALS_BY_ONE
            {
                return Err(Refusal::Full);
            }
            let held = self.0.entry(hash).or_insert(proposal);
            return Ok((Inserted::New, held));
        }
        let held = self.0.entry(hash).or_insert_with(|| proposal.clone());
        let before = held.clone();
        held.merge(&proposal);
        let inserted = if *held == before {
            Inserted::Known
        } else {
            Inserted::New
        };
        Ok((inserted, held))
    }

    /// Takes away what is no proposal any more; gives the names.
    pub fn tidy(&mut self, roster: &Roster, now: Timestamp) -> Vec<Hash> {
        let over = |proposal: &Proposal| {
            let checked = proposal.check(roster, now);
            checked.is_err_and(|refusal| !matches!(refusal, Refusal::Ahead(_)))
        };
        let gone = self.0.iter().filter(|(_, proposal)| over(proposal));
        let gone: Vec<Hash> = gone.map(|(hash, _)| *hash).collect();
        for hash in &gone {
            self.0.remove(hash);
        }
        gone
    }

    /// The proposal of this name.
    pub fn get(&self, name: &Hash) -> Option<&Proposal> {
        self.0.get(name)
    }

    /// The proposals, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &Proposal)> {
        self.0.iter()
    }
}

impl FromIterator<Proposal> for Proposals {
    fn from_iter<I: IntoIterator<Item = Proposal>>(all: I) -> Self {
        Self(all.into_iter().map(|it| (it.hash(), it)).collect())
    }
}

/// Why something is no proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Dated ahead of our clock; it may be taken later.
    #[error("the proposal is dated {0}, ahead of this node's clock; check both clocks")]
    Ahead(Timestamp),
    /// Nobody decided it in time.
    #[error("the proposal is of {0}, more than 30 days ago; propose it anew")]
    Stale(Timestamp),
    /// The roster has gone on.
    #[error("stewards have decided about this member since; propose it anew")]
    Overtaken,
    /// Nobody vouches for it.
    #[error("no steward has signed the proposal; sign it with `fairshare steward sign`")]
    Unsigned,
    /// No frame carries it.
    #[error("the proposal is too long to go over the network; send it as a file")]
    TooLong,
    /// No room.
    #[error("too many proposals are open; decide some, or send this one as a file")]
    Full,
    /// Of an admission.
    #[error(transparent)]
    Join(#[from] join::Refusal),
    /// A rule of the roster.
    #[error(transparent)]
    Roster(#[from] roster::Refusal),
    /// Somebody signed who is no steward.
    #[error(transparent)]
    Charter(#[from] charter::Refusal),
    /// A signature or the bytes.
    #[error(transparent)]
    Statement(#[from] statement::Error),
}

impl Refusal {
    /// Whether whoever sent it did no wrong: two rosters may differ for a moment.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Statement(_) => false,
            Self::Roster(refusal) => {
                refusal.may_pass() || matches!(refusal, roster::Refusal::DoesNotFit { .. })
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
