//! Why a statement is not taken, and why there are no terms.

use super::Status;
use crate::ids::OdsCode;
use crate::limits::MAX_PREDECESSORS;
use crate::time::Timestamp;
use crate::{charter, codec, offer, statement};

/// Why there are no terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTerms {
    /// Terms are between two.
    #[error("{0} has no terms with itself; name another member")]
    Oneself(OdsCode),
    /// Not a member.
    #[error("{0} is not a member; `fairshare members` lists who is")]
    Unknown(OdsCode),
    /// No active member.
    #[error("{0} takes no part: it is {1}")]
    Inactive(OdsCode, Status),
    /// No offer.
    #[error("{0} has published no offer; ask it to run `fairshare offer publish`")]
    NoOffer(OdsCode),
}

/// Why a statement is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is about another federation.
    #[error("the statement belongs to another federation")]
    OtherFederation,
    /// It was decided under a charter version that is not held; it may be taken later.
    #[error("the statement was decided under a charter version this node does not know")]
    OtherCharter,
    /// A rule of charters: among them, who must sign.
    #[error(transparent)]
    Charter(#[from] charter::Refusal),
    /// A number out of range, or a first statement with a predecessor.
    #[error("the statement's number is out of range or does not go with its predecessor")]
    Number,
    /// A kind from a later version.
    #[error("statements of kind {0} are not supported; a newer version may know them")]
    UnknownKind(u16),
    /// None, or too many.
    #[error("{0} predecessors; name 1 to {MAX_PREDECESSORS}")]
    Predecessors(usize),
    /// A member is merged into itself.
    #[error("{0} cannot succeed itself; name other members")]
    OwnPredecessor(OdsCode),
    /// Nobody was ever admitted under that code.
    #[error("{0} was never a member, so nobody can succeed it; `fairshare members` lists who was")]
    UnknownPredecessor(OdsCode),
    /// It is merged into another, for good.
    #[error("{about} is merged into {into}; decide about {into}")]
    Merged {
        /// Whom it concerns.
        about: OdsCode,
        /// Its successor.
        into: OdsCode,
    },
    /// Not what the kind carries.
    #[error("the statement does not carry what its kind should")]
    Body,
    /// Nobody, or more than an advert holds.
    #[error("a population of {0}; give at least 1 and at most 4194304")]
    Population(u64),
    /// Too many, one twice, or one that is no multiaddr.
    #[error("addresses must be at most 16 different multiaddrs such as /ip4/10.0.0.5/tcp/4850")]
    Addresses,
    /// An offer that is none.
    #[error(transparent)]
    Offer(#[from] offer::Refusal),
    /// Dated ahead of our clock; it may be taken later.
    #[error("dated {0}, more than 5 minutes ahead of this node's clock; check both clocks")]
    Ahead(Timestamp),
    /// Nothing held names its signer; it may be taken later.
    #[error("nothing known names this statement's signer")]
    Unfounded,
    /// A bound of `limits.rs` is reached.
    #[error("no more statements of this kind about this member are kept")]
    Full,
    /// A decision that does not fit what the member is.
    #[error("`{kind}` does not fit {about}, which is {status}")]
    DoesNotFit {
        /// Whom it concerns.
        about: OdsCode,
        /// The decision.
        kind: &'static str,
        /// What the member is.
        status: &'static str,
    },
    /// A signature or the bytes.
    #[error(transparent)]
    Statement(#[from] statement::Error),
    /// The bytes are no statement.
    #[error(transparent)]
    Codec(#[from] codec::Error),
}

impl Refusal {
    /// Whether the same statement may be taken another time: whoever sent it did no wrong.
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Ahead(_) | Self::Unfounded | Self::OtherCharter | Self::Full
        )
    }
}
