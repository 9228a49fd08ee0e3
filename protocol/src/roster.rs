//! The roster: who is a member, with which keys, addresses and offer (protocol.md section 1).
//!
//! It is a pure function of the charter and the set of valid statements: no leader, no order, no
//! clock. Two nodes that hold the same statements compute the same roster.
//!
//! **The walk.** The stewards' statements about a member are followed upward from `n` = 1. At each
//! number those are considered that name the statement taken before and fit what the member is
//! then; remove is taken before limit before key before reinstate before succeed before admit, then
//! the smaller hash. Where there was a choice, all are shown as evidence.
//!
//! **What fits.** The first must be an `admit`. `admit` fits always (a member that was removed or
//! left joins anew; particulars change); `reinstate` and `key` fit anyone admitted once; `limit` and
//! `remove` anyone not removed, and so does `succeed`.
//!
//! **Merging.** Whom a `succeed` names is merged into the member it is about: no member any more,
//! never again, and its cap is added to the successor's. The last word about two successors of one,
//! or a circle, has the statement with the smaller hash; what is passed over is shown as evidence.
//!
//! **Self statements** count under the newest `admit`, `reinstate` or `key`; see [`own`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::category::words;
use crate::charter::Charter;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey, SealKey};
use crate::member::MemberKind;
use crate::offer::Offer;
use crate::terms::{Party, Terms};
use crate::text::Line;
use crate::time::Timestamp;

mod amending;
mod book;
pub mod charters;
pub mod decision;
mod incoming;
mod merging;
pub mod own;
mod refusal;
pub mod statements;
pub mod sync;
mod walk;
pub mod welcome;

pub use charters::{Charters, Current};
pub use decision::{Admission, Decision, StewardStatement, Succession};
pub use incoming::Incoming;
pub use own::{Claim, Contact, NodeKeys, SelfStatement};
pub use refusal::{NoTerms, Refusal};
pub use statements::{Statement, Statements};
pub use welcome::Welcome;

words! {
    /// What a member is at this moment.
    Status {
        /// A member like any other.
        Admitted = "admitted",
        /// Its bulk lane is off.
        Limited = "limited",
        /// Removed by stewards.
        Removed = "removed",
        /// It left.
        Left = "left",
        /// Another succeeds it.
        Merged = "merged",
        /// It said two different things at once; no node key is valid.
        Contested = "contested",
    }
}

/// One member, or former member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its code.
    pub code: OdsCode,
    /// What it was admitted as.
    pub kind: MemberKind,
    /// Its name.
    pub name: Line,
    /// Its organisation key.
    pub organisation: PublicKey,
    /// People it may at most put into its advert: its own, and those of the members merged into it
    /// since stewards last set this.
    pub population: u64,
    /// What it is now.
    pub status: Status,
    /// Why, where stewards gave a reason or it can be told.
    pub why: Option<String>,
    /// When stewards last spoke about it.
    pub since: Timestamp,
    /// Number and hash of the last steward statement taken.
    pub last: (u32, Hash),
    /// The number self statements must hang on.
    pub anchor: u32,
    /// The number of the last admission taken.
    pub admitted: u32,
    /// Who is merged into it, with number and hash of the statement that says so.
    pub predecessors: BTreeMap<OdsCode, (u32, Hash)>,
    /// Into whom it is merged.
    pub successor: Option<OdsCode>,
    /// Its node's keys: none if it named none, its node never spoke, or it is no active member.
    pub node: Option<NodeKeys>,
    /// Where and through whom it is reached.
    pub contact: Option<Contact>,
    /// Its current offer.
    pub offer: Option<Offer>,
    /// Contradictions found.
    pub evidence: Vec<Evidence>,
}

/// Statements that contradict each other, by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Evidence {
    /// Stewards decided more than one thing under one number.
    Decisions {
        /// The number.
        n: u32,
        /// What was taken.
        taken: Hash,
        /// What was passed over.
        passed: Vec<Hash>,
    },
    /// Stewards merged one member into more than one, or two into each other.
    Successors {
        /// The statement that says what was passed over.
        passed: Hash,
        /// Who is merged.
        predecessor: OdsCode,
    },
    /// A member said two things under one `u`.
    Own {
        /// Whose key signed both.
        signer: PublicKey,
        /// The number.
        u: u32,
        /// The two.
        statements: Vec<Hash>,
    },
}

impl Member {
    /// Whether it takes part: admitted or limited.
    pub const fn is_active(&self) -> bool {
        matches!(self.status, Status::Admitted | Status::Limited)
    }

    /// Its seal key, if it has a valid node.
    pub fn seal(&self) -> Option<SealKey> {
        self.node.map(|node| node.seal)
    }
}

/// Who is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    federation: FederationId,
    current: Current,
    members: BTreeMap<OdsCode, Arc<Member>>,
    nodes: BTreeMap<PublicKey, OdsCode>,
}

impl Roster {
    /// The roster these statements make.
    pub fn of(statements: &Statements) -> Self {
        let members = statements.members();
        let mut members: BTreeMap<_, _> = members.map(|it| (it.code.clone(), it)).collect();
        merging::merge(&mut members);
        let mut nodes = BTreeMap::new();
        for (code, member) in &mut members {
            let Some(keys) = member.node else { continue };
            // A node key counts once it signed a contact for this very member, so nobody can claim
            // another's. One key that did so for two members serves the first in order of codes.
            if let Some(other) = nodes.get(&keys.node) {
                let member = Arc::make_mut(member);
                member.node = None;
                member.why = Some(format!("its node key is already that of {other}"));
            } else {
                nodes.insert(keys.node, code.clone());
            }
        }
        Self {
            federation: statements.federation(),
            current: statements.charters().current().clone(),
            members,
            nodes,
        }
    }

    /// The federation.
    pub const fn federation(&self) -> FederationId {
        self.federation
    }

    /// The current charter.
    pub fn charter(&self) -> &Charter {
        self.current.charter()
    }

    /// The current charter, with its hash, its epochs, and whether others contradict each other
    /// about what follows it.
    pub const fn current(&self) -> &Current {
        &self.current
    }

    /// The epoch `now` lies in; 0 before the first began.
    pub fn epoch(&self, now: Timestamp) -> u32 {
        self.current.epochs().at(now)
    }

    /// The first moment after `epoch`.
    pub fn epoch_end(&self, epoch: u32) -> Timestamp {
        self.current.epochs().end(epoch)
    }

    /// Everyone ever admitted, in the order of their codes.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(|member| &**member)
    }

    /// The member, or former member, of this code.
    pub fn member(&self, code: &OdsCode) -> Option<&Member> {
        self.members.get(code).map(|member| &**member)
    }

    /// The active member whose node this is: whoever is none is a stranger.
    pub fn by_node(&self, node: &PublicKey) -> Option<&Member> {
        self.member(self.nodes.get(node)?)
    }

    /// The terms between two members.
    ///
    /// # Errors
    /// If one of them takes no part or has published no offer.
    pub fn terms(&self, one: &OdsCode, other: &OdsCode) -> Result<Terms, NoTerms> {
        if one == other {
            return Err(NoTerms::Oneself(one.clone()));
        }
        let (one, other) = (self.party(one, None)?, self.party(other, None)?);
        Ok(Terms::between(one, other, self.charter()))
    }

    /// A member as one side of terms: under `offer`, or, without one, under what it published.
    ///
    /// # Errors
    /// If it takes no part or has no offer.
    pub fn party<'a>(
        &'a self,
        code: &OdsCode,
        offer: Option<&'a Offer>,
    ) -> Result<Party<'a>, NoTerms> {
        let member = self.member(code);
        let member = member.ok_or_else(|| NoTerms::Unknown(code.clone()))?;
        if !member.is_active() {
            return Err(NoTerms::Inactive(code.clone(), member.status));
        }
        let offer = offer.or(member.offer.as_ref());
        Ok(Party {
            code: &member.code,
            kind: member.kind,
            bulk: member.status == Status::Admitted,
            offer: offer.ok_or_else(|| NoTerms::NoOffer(code.clone()))?,
        })
    }

    /// A decision about a member, for stewards to sign: the next in its chain.
    ///
    /// # Errors
    /// If it would not fit what the member is now.
    pub fn decide(
        &self,
        about: &OdsCode,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<StewardStatement, Refusal> {
        let member = self.member(about);
        self.unmerged(about)?;
        if decision.kind().admits() {
            self.current.uncontested()?;
        }
        let status = member.map(|member| member.status);
        // Whoever left or contradicts itself takes nobody over.
        let apart = member.is_none_or(|member| !member.is_active());
        let fits = walk::fits(status, decision.kind());
        if !fits || (decision.kind() == decision::Kind::Succeed && apart) {
            return Err(Refusal::DoesNotFit {
                about: about.clone(),
                kind: decision.kind().word(),
                status: status.map_or("not a member", Status::word),
            });
        }
        match decision {
            Decision::Admit(admission) => admission.check()?,
            Decision::Succeed(succession) => self.succeedable(about, succession)?,
            _ => {}
        }
        let (n, previous) = member.map_or((0, decision::NOTHING), |member| member.last);
        Ok(StewardStatement::new(
            (self.federation, self.current.hash()),
            about.clone(),
            (n + 1, previous),
            now,
            decision,
        ))
    }

    /// That a member is not merged into another, which it is for good.
    ///
    /// # Errors
    /// If it is.
    pub fn unmerged(&self, code: &OdsCode) -> Result<(), Refusal> {
        let into = self
            .member(code)
            .and_then(|member| member.successor.clone());
        into.map_or(Ok(()), |into| {
            let about = code.clone();
            Err(Refusal::Merged { about, into })
        })
    }

    fn succeedable(&self, about: &OdsCode, succession: &Succession) -> Result<(), Refusal> {
        succession.check(about)?;
        for code in &succession.predecessors {
            if self.member(code).is_none() {
                return Err(Refusal::UnknownPredecessor(code.clone()));
            }
            self.unmerged(code)?;
        }
        Ok(())
    }

    /// The number the self statements of a joining organisation must hang on.
    pub fn next_anchor(&self, code: &OdsCode) -> u32 {
        self.member(code).map_or(1, |member| member.last.0 + 1)
    }

    /// Addresses of the active members' nodes.
    pub fn addresses(&self) -> BTreeMap<PublicKey, BTreeSet<&str>> {
        let of = |(node, code): (&PublicKey, &OdsCode)| {
            let contact = self.member(code)?.contact.as_ref()?;
            let addresses = contact.addresses.iter().map(Line::as_str).collect();
            Some((*node, addresses))
        };
        self.nodes.iter().filter_map(of).collect()
    }
}

/// Whether a statement was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It was not held before.
    New,
    /// It, or what proves the same, was.
    Known,
}

#[cfg(test)]
pub(crate) mod tests;
