//! Joining (protocol.md section 1): how an organisation becomes a member.
//!
//! **Participants.** A *newcomer* and the stewards of a federation.
//!
//! **Sequence.**
//!
//! 1. A steward gives the newcomer an [`Invitation`]: which federation, and where its node is.
//! 2. The newcomer makes a [`JoinRequest`], signed by its organisation key and complete: with the
//!    node statement, contact and offer that will count from the moment it is admitted. So the
//!    organisation key is needed once, and can stay offline.
//! 3. It reaches the stewards as a file or a link, or over the join stream ([`door`]). The newcomer
//!    reads its fingerprint to a steward over the telephone.
//! 4. Stewards admit it. Where more than one must sign, a [`Candidacy`] goes from one to the next.
//! 5. The newcomer is given a [`Welcome`], as a file or over the stream.
//!
//! **Goals.** Nobody is admitted by a message alone: stewards sign. A stranger costs little: one
//! request per conversation, a bounded list of those waiting. Whoever holds only a copy of a
//! request is told nothing: the stream's node key must be the one the request names.
//!
//! **Non-goals.** Proving that an organisation is who it says: that is what the telephone is for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::armour::Paper;
use crate::charter::Charter;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{
    CLOCK_SKEW, MAX_ADDRESSES, MAX_FRAME, MAX_PENDING_JOINS, MAX_PENDING_PER_CODE, MAX_WELCOME,
};
use crate::roster::{
    self, Admission, Claim, Contact, Decision, Inserted, NodeKeys, Roster, SelfStatement,
    StewardStatement, Welcome,
};
use crate::statement::{self, Body, CoSigned, Signed};
use crate::text::Line;
use crate::time::Timestamp;

pub mod door;

/// What a newcomer asks to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The federation it wants to join.
    pub federation: FederationId,
    /// Its code.
    pub member: OdsCode,
    /// What it asks to be admitted as.
    pub admission: Admission,
    /// What it says of itself: its node, its contact, and its offer if it has one.
    pub statements: Vec<Signed<SelfStatement>>,
    /// When it was made.
    pub at: Timestamp,
}

impl Body for JoinRequest {
    const LABEL: &'static str = "join request";
}

impl Paper for Signed<JoinRequest> {
    const NAME: &'static str = "join request";
    const VERSION: u16 = 1;
    const LIMIT: usize = MAX_FRAME - 1024;
}

impl Paper for CoSigned<Charter> {
    const NAME: &'static str = "charter";
    const VERSION: u16 = 1;
    const LIMIT: usize = MAX_FRAME;
}

impl Paper for Welcome {
    const NAME: &'static str = "welcome";
    const VERSION: u16 = 1;
    const LIMIT: usize = MAX_WELCOME;
}

/// Which federation to join, and through whom. Not signed: the federation's fingerprint is read
/// over the telephone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The federation.
    pub federation: FederationId,
    /// Its name.
    pub name: Line,
    /// The steward who invites.
    pub steward: OdsCode,
    /// The steward's node, if it can be reached over a network.
    pub node: Option<PublicKey>,
    /// Where, as multiaddr text.
    pub addresses: Vec<Line>,
}

impl Paper for Invitation {
    const NAME: &'static str = "invitation";
    const VERSION: u16 = 1;
    const LIMIT: usize = MAX_ADDRESSES * 512;
}

/// A join request that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// What was asked.
    pub request: JoinRequest,
    /// Hash of the request: what the fingerprint shows.
    pub hash: Hash,
    /// The number its self statements hang on.
    pub n: u32,
    /// Its node's keys.
    pub node: NodeKeys,
    /// Its contact.
    pub contact: Contact,
}

impl Joining {
    /// Checks a request on its own: every signature, and that all of it is the newcomer's.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(
        signed: &Signed<JoinRequest>,
        federation: FederationId,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let organisation = signed.peek()?.admission.organisation;
        let request = signed.verify(&organisation)?;
        if request.federation != federation {
            return Err(Refusal::OtherFederation);
        }
        if request.at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead(request.at));
        }
        request.admission.check()?;
        let (node_statement, rest) = request
            .statements
            .split_first()
            .ok_or(Refusal::Statements)?;
        let own = |statement: &Signed<SelfStatement>, signer: &PublicKey, u| {
            let body = statement.verify(signer)?;
            let of_it = (body.federation, &body.member) == (federation, &request.member);
            if !of_it || body.u != u || body.at > now + CLOCK_SKEW {
                return Err(Refusal::Statements);
            }
            Ok((body.n, body.claim()?))
        };
        let (n, Claim::Node(node)) = own(node_statement, &organisation, 1)? else {
            return Err(Refusal::Statements);
        };
        let said = rest.iter().zip(1..).map(|(s, u)| own(s, &node.node, u));
        let said = said.collect::<Result<Vec<_>, _>>()?;
        let ([(at, Claim::Contact(contact))]
        | [(at, Claim::Contact(contact)), (_, Claim::Offer(_))]) = &said[..]
        else {
            return Err(Refusal::Statements);
        };
        if said.iter().any(|(at, _)| *at != n) || *at != n {
            return Err(Refusal::Statements);
        }
        Ok(Self {
            contact: contact.clone(),
            hash: signed.hash(),
            n,
            node,
            request,
        })
    }

    /// The decision that admits it, for stewards to sign.
    ///
    /// # Errors
    /// If it is a member already, or its statements hang on another number than the admission will
    /// have.
    pub fn admit(&self, roster: &Roster, now: Timestamp) -> Result<StewardStatement, Refusal> {
        let code = &self.request.member;
        if let Some(member) = roster.member(code)
            && member.is_active()
        {
            return Err(match self.n == roster.next_anchor(code) {
                true => Refusal::AsksForKey(code.clone()),
                false => Refusal::Member(code.clone()),
            });
        }
        self.hangs_right(roster)?;
        let decision = Decision::Admit(self.request.admission.clone());
        Ok(roster.decide(code, &decision, now)?)
    }

    fn hangs_right(&self, roster: &Roster) -> Result<(), Refusal> {
        roster.unmerged(&self.request.member)?;
        let expected = roster.next_anchor(&self.request.member);
        if self.n == expected {
            Ok(())
        } else {
            Err(Refusal::Anchor {
                given: self.n,
                expected,
            })
        }
    }
}

/// A request and the decision about it, on its way from steward to steward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidacy {
    /// What the newcomer asks.
    pub request: Signed<JoinRequest>,
    /// The stewards' decision, as far as it is signed.
    pub decision: CoSigned<StewardStatement>,
}

impl Paper for Candidacy {
    const NAME: &'static str = "admission";
    const VERSION: u16 = 1;
    const LIMIT: usize = 2 * MAX_FRAME;
}

impl Candidacy {
    /// The checked request, and how many stewards signed, if the decision admits exactly what the
    /// request asks and follows what `roster` knows.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self, roster: &Roster, now: Timestamp) -> Result<(Joining, usize), Refusal> {
        let joining = Joining::check(&self.request, roster.federation(), now)?;
        let (body, signers) = self.decision.verify()?;
        let signed = roster.charter().signed_by(&signers);
        let signed = signed.map_err(roster::Refusal::from)?;
        if body != joining.admit(roster, body.at)? {
            return Err(Refusal::OtherDecision);
        }
        Ok((joining, signed))
    }
}

/// The requests that wait for a steward, by hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting(BTreeMap<Hash, Signed<JoinRequest>>);

impl Waiting {
    /// Adds a request that was checked.
    ///
    /// # Errors
    /// If the list, or the part of it one code may take, is full.
    pub fn add(&mut self, signed: Signed<JoinRequest>) -> Result<Inserted, Refusal> {
        let hash = signed.hash();
        if self.0.contains_key(&hash) {
            return Ok(Inserted::Known);
        }
        let code = signed.peek()?.member;
        let same = |other: &&Signed<JoinRequest>| other.peek().is_ok_and(|r| r.member == code);
        if self.0.len() >= MAX_PENDING_JOINS
            || self.0.values().filter(same).count() >= MAX_PENDING_PER_CODE
        {
            return Err(Refusal::ListFull);
        }
        self.0.insert(hash, signed);
        Ok(Inserted::New)
    }

    /// Takes a request off the list.
    pub fn remove(&mut self, request: &Hash) -> Option<Signed<JoinRequest>> {
        self.0.remove(request)
    }

    /// The requests, by hash.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &Signed<JoinRequest>)> {
        self.0.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was made for another federation.
    #[error("the request is for another federation; make it with this one's invitation")]
    OtherFederation,
    /// It is dated ahead of our clock.
    #[error("the request is dated {0}, ahead of the steward's clock; check both clocks")]
    Ahead(Timestamp),
    /// It is not exactly a node, a contact and at most an offer of the newcomer's own.
    #[error("the request does not carry the newcomer's own node, contact and offer, in this order")]
    Statements,
    /// Its statements hang on the wrong number.
    #[error(
        "the request's statements hang on number {given}, but the admission will have number \
         {expected}; make it again with `fairshare join --number {expected}`"
    )]
    Anchor {
        /// As the request has it.
        given: u32,
        /// As it must be.
        expected: u32,
    },
    /// It is a member.
    #[error("{0} is a member already; `fairshare members` shows it")]
    Member(OdsCode),
    /// It is a member, and asks for another organisation key or node.
    #[error(
        "{0} is a member: if its key was lost or stolen, compare the fingerprint and run \
         `fairshare steward propose key {0}`"
    )]
    AsksForKey(OdsCode),
    /// It is a member under another organisation key.
    #[error("{0} is a member under another organisation key; only stewards can change it")]
    OtherOrganisation(OdsCode),
    /// It came from another node than it names.
    #[error("the request names another node than the one it came from")]
    OtherNode,
    /// We are no steward.
    #[error("this node's organisation is no steward; ask one of {0}")]
    NotASteward(String),
    /// No room.
    #[error("too many requests are waiting; send the request to a steward as a file")]
    ListFull,
    /// The decision is not the one this request asks for, or not the next one.
    #[error("the decision is not about this request, or stewards have spoken since; start anew")]
    OtherDecision,
    /// A rule of the roster.
    #[error(transparent)]
    Roster(#[from] roster::Refusal),
    /// A signature or the bytes.
    #[error(transparent)]
    Statement(#[from] statement::Error),
}

#[cfg(test)]
mod tests;
