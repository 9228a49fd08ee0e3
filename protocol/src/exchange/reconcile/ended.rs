//! How a round ends. Every end has a name.

use super::frame::Why;
use crate::exchange::ask::Fault;
use crate::ids::RoundId;

/// How far a round has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// The round, once it is agreed.
    pub round: Option<RoundId>,
    /// How many people it is about.
    pub people: u32,
    /// Bundles of ours whose keys left.
    pub given: u32,
    /// Bundles of the peer's that were opened.
    pub taken: u32,
    /// Of these, quarantined in this conversation.
    pub quarantined: u32,
}

/// How a round, or a part of it, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How far it came.
    pub totals: Totals,
    /// How it ended.
    pub how: End,
}

/// The ways in which it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everybody's turn came.
    Done,
    /// There was nobody with anything new.
    Nothing,
    /// One side did not want to, or no longer.
    Stopped {
        /// Why.
        why: Why,
        /// Whether the peer said so.
        by_peer: bool,
    },
    /// It was broken off.
    Broken(Fault),
}

impl End {
    /// Whether the round stands where it is and may go on.
    pub const fn goes_on(&self) -> bool {
        matches!(
            self,
            Self::Broken(Fault::Lost | Fault::Silent | Fault::Ours)
                | Self::Stopped {
                    why: Why::Busy | Why::Paused | Why::NotReasonablyAble,
                    ..
                }
        )
    }

    /// It in a word, for the journal.
    pub fn code(&self) -> String {
        match self {
            Self::Done => "done".into(),
            Self::Nothing => "nothing-new".into(),
            Self::Stopped { why, by_peer: true } => format!("peer says {why}"),
            Self::Stopped { why, .. } => why.to_string(),
            Self::Broken(fault) => fault.to_string(),
        }
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}
