//! Why a delta ends before its time.

use serde::{Deserialize, Serialize};

/// A delta that was broken off. What was answered before stands.
pub type Failed = crate::index::failed::Failed<Reason>;

/// Why. Told to the other side too, except when there is no line to tell it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// The line was lost.
    #[error("the line was lost; it goes on when it is back")]
    Lost,
    /// Nothing came for too long.
    #[error("the other side fell silent; it goes on when it answers")]
    Silent,
    /// The two do not continue the same match.
    #[error("there is no finished match of these two adverts; run `fairshare match`")]
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
    /// A batch that is not the next, has another size or other entries than it says, or is dated
    /// before the one before it or ahead of our clock.
    #[error("the batch is not the next one of its advert")]
    Batch,
    /// Two batches under one number.
    #[error("two batches under one number; show the evidence to the stewards")]
    TwoBatches,
    /// Two answers to one batch.
    #[error("two answers to one batch; show the evidence to the stewards")]
    TwoAnswers,
    /// More entries in a day than the charter allows.
    #[error("more new entries in one day than the charter allows; the rest comes tomorrow")]
    OverAdditions,
    /// More entries in all than the roster allows.
    #[error("more entries than the roster allows; the stewards can raise the population")]
    OverCap,
    /// An entry is no point, or was there before.
    #[error("an entry of the batch is no element of the group, or was there before")]
    VoidEntry,
    /// The answer is not about what was given, or does not fit it.
    #[error("the answer does not fit what was given")]
    Answer,
    /// A canary came back wrong.
    #[error("a canary came back wrong: tags were hidden or made up")]
    Canary,
    /// The proof of links does not hold.
    #[error("the proof of links does not hold")]
    Proof,
    /// This node is at fault.
    #[error("it could not go on; this is a fault in this program")]
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
            Self::Batch => "batch",
            Self::TwoBatches => "two-batches",
            Self::TwoAnswers => "two-answers",
            Self::OverAdditions => "over-additions",
            Self::OverCap => "batch-over-cap",
            Self::VoidEntry => "batch-void",
            Self::Answer => "batch-answer",
            Self::Canary => "canary",
            Self::Proof => "proof",
            Self::Internal => "internal",
        }
    }

    /// Whether the same may well succeed later.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Lost | Self::Silent | Self::Stale)
    }
}
