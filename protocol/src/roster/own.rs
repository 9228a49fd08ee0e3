//! What a member says of itself: self statements (protocol.md section 1).
//!
//! A self statement hangs on `n`, the number of the last `admit`, `reinstate` or `key` statement
//! about the member, and counts only while that is the newest. (Not of `succeed`, as the design had
//! it, nor of a `reinstate` that lifts a limit: neither changes a key, and the node of a successor
//! would be a stranger to everybody until its organisation had signed anew.) Under one `n` each *signing key* has
//! one sequence `u` = 1, 2, 3, … of its own:
//!
//! * the organisation key's: which node key (and seal key) is the member's, and leaving;
//! * each node key's: addresses and contacts, and the offer.
//!
//! So an offline organisation key never has to know how often the node spoke, and what a replaced
//! (perhaps stolen) node key says no longer matters. In a sequence the highest unbroken `u` counts;
//! two different statements with one `u` make the member contested: the organisation's until
//! stewards speak again, a node key's until the organisation names another or stewards speak again.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::category::words;
use crate::codec::{self, Bytes};
use crate::ids::{FederationId, OdsCode, PublicKey, SealKey};
use crate::limits::{MAX_ADDRESSES, MAX_STATEMENT};
use crate::offer::Offer;
use crate::statement::Body;
use crate::text::Line;
use crate::time::{Date, Timestamp};

/// One statement of a member about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfStatement {
    /// The federation.
    pub federation: FederationId,
    /// Who speaks.
    pub member: OdsCode,
    /// The steward statement it hangs on.
    pub n: u32,
    /// 1 for the first of this signer under this `n`.
    pub u: u32,
    /// When it was written.
    pub at: Timestamp,
    kind: u16,
    body: Bytes,
}

impl Body for SelfStatement {
    const LABEL: &'static str = "self statement";
}

impl SelfStatement {
    /// A statement to be signed by the organisation key or the node key, as the claim demands.
    pub fn new(
        federation: FederationId,
        member: OdsCode,
        (n, u): (u32, u32),
        at: Timestamp,
        claim: &Claim,
    ) -> Self {
        let (kind, body) = match claim {
            Claim::Node(keys) => (1, codec::encode(keys)),
            Claim::Leave => (2, Vec::new()),
            Claim::Contact(contact) => (3, codec::encode(contact)),
            Claim::Offer(offer) => (4, codec::encode(offer)),
        };
        Self {
            federation,
            member,
            n,
            u,
            at,
            kind,
            body: body.into(),
        }
    }

    /// What is said.
    ///
    /// # Errors
    /// If the kind is not one we know, or the body is not what the kind carries.
    pub fn claim(&self) -> Result<Claim, Refusal> {
        fn body<T: Serialize + DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
            codec::decode(&bytes.0, MAX_STATEMENT).map_err(|_| Refusal::Body)
        }
        match self.kind {
            1 => Ok(Claim::Node(body(&self.body)?)),
            2 if self.body.0.is_empty() => Ok(Claim::Leave),
            2 => Err(Refusal::Body),
            3 => {
                let contact: Contact = body(&self.body)?;
                contact.check()?;
                Ok(Claim::Contact(contact))
            }
            4 => {
                let offer: Offer = body(&self.body)?;
                offer.check()?;
                Ok(Claim::Offer(offer))
            }
            other => Err(Refusal::UnknownKind(other)),
        }
    }
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Its node's keys. By the organisation key.
    Node(NodeKeys),
    /// It leaves. By the organisation key.
    Leave,
    /// Where and through whom it is reached. By the node key.
    Contact(Contact),
    /// What it shows and needs. By the node key.
    Offer(Offer),
}

impl Claim {
    /// The word on screens and in the journal.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Leave => "leave",
            Self::Contact(_) => "contact",
            Self::Offer(_) => "offer",
        }
    }

    /// Whose key must sign it.
    pub const fn signer(&self) -> Signer {
        match self {
            Self::Node(_) | Self::Leave => Signer::Organisation,
            Self::Contact(_) | Self::Offer(_) => Signer::Node,
        }
    }
}

/// Which of a member's keys signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    /// The organisation key.
    Organisation,
    /// The node key the organisation key named.
    Node,
}

/// The keys of a member's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeKeys {
    /// Signs for the node, and is its name on the network.
    pub node: PublicKey,
    /// To which user details are sealed.
    pub seal: SealKey,
}

/// Where a member's node listens, and who answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Addresses of the node, as multiaddr text; none if it only dials out.
    pub addresses: Vec<Line>,
    /// Who is called when an exchange goes wrong.
    pub exchange: Reach,
    /// The Caldicott Guardian.
    pub guardian: Reach,
    /// The member's Data Security and Protection Toolkit status.
    pub dspt: Dspt,
    /// The last day that status holds.
    pub dspt_expires: Option<Date>,
}

impl Contact {
    /// Whether this can be anyone's contact.
    ///
    /// # Errors
    /// If there are too many addresses, or one is no multiaddr or stands twice.
    pub fn check(&self) -> Result<(), Refusal> {
        let distinct: BTreeSet<_> = self.addresses.iter().collect();
        let shaped = |line: &&Line| line.as_str().starts_with('/') && !line.as_str().contains(' ');
        if self.addresses.len() > MAX_ADDRESSES || distinct.len() < self.addresses.len() {
            return Err(Refusal::Addresses);
        }
        if !distinct.iter().all(shaped) {
            return Err(Refusal::Addresses);
        }
        Ok(())
    }
}

/// A person or desk at a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Name or desk.
    pub name: Line,
    /// Mail address.
    pub email: Option<Line>,
    /// Telephone.
    pub telephone: Option<Line>,
}

words! {
    /// Status in the Data Security and Protection Toolkit.
    Dspt {
        /// Standards exceeded.
        Exceeded = "standards-exceeded",
        /// Standards met.
        Met = "standards-met",
        /// Approaching standards: an improvement plan is agreed.
        Approaching = "approaching-standards",
        /// Standards not met.
        NotMet = "standards-not-met",
        /// Nothing published.
        NotPublished = "not-published",
    }
}
