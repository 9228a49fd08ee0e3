//! Why a match ends without links.

use serde::{Deserialize, Serialize};

/// A match that ended without links.
pub type Failed = crate::index::failed::Failed<Reason>;

/// Why. Told to the other side too, except when there is no line to tell it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// The line was lost.
    #[error("the line was lost; the match goes on when it is back")]
    Lost,
    /// Nothing came for too long.
    #[error("the other side fell silent; the match goes on when it answers")]
    Silent,
    /// One side holds another advert of the other than its newest.
    #[error("one side has a newer advert; fetch it and match again")]
    Stale,
    /// No message of this stream.
    #[error("a message could not be read; are both sides of one version?")]
    Malformed,
    /// A message of a kind this version does not know.
    #[error("a message of an unknown kind; the other side is newer")]
    Unsupported,
    /// A message whose turn it is not.
    #[error("a message out of turn")]
    OutOfTurn,
    /// A statement is not signed by the member, or about something else.
    #[error("a statement is not the member's, or not about this match")]
    Statement,
    /// Two headers for one generation.
    #[error("two headers for one generation of an advert; show the evidence to the stewards")]
    TwoHeaders,
    /// Two openings for one pair of headers.
    #[error("two openings for one pair of adverts; show the evidence to the stewards")]
    TwoOpenings,
    /// Two tag commitments under one match id.
    #[error("two commitments under one match id; show the evidence to the stewards")]
    TwoCommitments,
    /// The nonce shown is not the one opened with.
    #[error("the nonce is not the one committed to")]
    Nonce,
    /// An entry of the advert is no point.
    #[error("an entry of the advert is no element of the group")]
    VoidAdvert,
    /// The commitment covers another number of tags, or does not fit its chunks.
    #[error("the commitment does not fit the advert it is about")]
    Commitment,
    /// A chunk of tags is not the one committed to.
    #[error("tags are not those committed to")]
    Tags,
    /// A canary came back wrong.
    #[error("a canary came back wrong: tags were hidden or made up")]
    Canary,
    /// The candidates are not a sorted list of positions.
    #[error("the candidates are no list of positions")]
    Candidates,
    /// The proof of links does not hold.
    #[error("the proof of links does not hold")]
    Proof,
    /// This node is at fault.
    #[error("the match could not go on; this is a fault in this program")]
    Internal,
}

impl Reason {
    /// In a word, for the journal and operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::OutOfTurn => "out-of-turn",
            Self::Statement => "statement",
            Self::TwoHeaders => "two-headers",
            Self::TwoOpenings => "two-openings",
            Self::TwoCommitments => "two-commitments",
            Self::Nonce => "nonce",
            Self::VoidAdvert => "void-advert",
            Self::Commitment => "commitment",
            Self::Tags => "tags",
            Self::Canary => "canary",
            Self::Candidates => "candidates",
            Self::Proof => "proof",
            Self::Internal => "internal",
        }
    }

    /// Whether the same match may well succeed later.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Lost | Self::Silent | Self::Stale)
    }
}
