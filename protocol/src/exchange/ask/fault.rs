//! What goes wrong in an exchange. Every fault has a name.

use crate::exchange::bundle::stream::Unreadable;
use crate::{codec, statement};

/// What went wrong in an exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The stream is gone.
    #[error("the line was lost")]
    Lost,
    /// The other side said nothing for too long.
    #[error("the other side fell silent")]
    Silent,
    /// The other side does not know a message we sent.
    #[error("the other side does not support this kind of exchange")]
    Unsupported,
    /// A message that does not belong here.
    #[error("the other side sent a message (kind {0}) that does not belong here")]
    OutOfOrder(u8),
    /// A message that does not decode.
    #[error("the other side sent a malformed message: {0}")]
    Malformed(#[from] codec::Error),
    /// A statement that is not the other side's.
    #[error("the other side sent a statement that is not its own: {0}")]
    Statement(#[from] statement::Error),
    /// A statement about another exchange, member, federation or time.
    #[error("the other side's statement does not fit: {0}")]
    Unfit(&'static str),
    /// A bundle that does not open, or is none.
    #[error(transparent)]
    Bundle(#[from] Unreadable),
    /// Larger than this node takes.
    #[error("the bundle is larger than this node's limit")]
    TooLarge,
    /// An operator stopped it.
    #[error("stopped by an operator")]
    Stopped,
    /// An offer was narrowed while something was on its way.
    #[error("not offered any more: an offer was narrowed while it was on its way")]
    Narrowed,
    /// The node could not do its part.
    #[error("this node could not do its part")]
    Ours,
}
