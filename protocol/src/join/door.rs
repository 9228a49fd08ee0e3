//! The join conversation, over [`crate::wire::JOIN`]: the only stream a stranger may open.
//!
//! The newcomer sends its request. The steward's node answers that it waits, why it is refused, or,
//! once it is admitted, the charter and all statements. A newcomer that waits asks again later.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::codec;
use crate::conversation::{Conversation, Output};
use crate::ids::OdsCode;
use crate::limits::MAX_FRAME;
use crate::wire;

mod newcomer;
mod steward;

pub use newcomer::{Newcomer, enters};
pub use steward::{Save, Steward};

const REQUEST: u8 = 1;
const WAITING: u8 = 2;
const REFUSED: u8 = 3;
const CHARTER: u8 = 4;
const STATEMENTS: u8 = 5;
const END: u8 = 6;
const PIECE: u8 = 7;

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The newcomer is a member and has everything.
    Welcome(OdsCode),
    /// Its request waits for the stewards.
    Waiting(OdsCode),
    /// The steward's node refused it, in its words.
    RefusedBy(String),
    /// We refused it.
    Refused(Refusal),
    /// The welcome does not hold, or does not make us a member.
    NotWelcome,
    /// The other side does not keep to the conversation.
    OutOfTurn,
    /// The other side sent more than allowed.
    TooMuch,
    /// One side used a message kind the other does not know.
    Unsupported(u8),
    /// The other side fell silent.
    Silent,
    /// The stream was lost.
    Lost,
}

fn send<C: Conversation, T: Serialize + ?Sized>(kind: u8, message: &T) -> Output<C> {
    Output::Send(wire::frame(kind, message))
}

fn read<T: Serialize + DeserializeOwned>(message: &[u8]) -> Result<T, Outcome> {
    codec::decode(message, MAX_FRAME).map_err(|_| Outcome::OutOfTurn)
}
