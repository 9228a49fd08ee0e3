//! One exchange, as one side enters it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::category::{Category, Lane, Purpose};
use crate::exchange::answer::RefusalCode;
use crate::ids::{ExchangeId, Hash, OdsCode};
use crate::limits::MAX_ENTRY_STATEMENTS;
use crate::time::Timestamp;

/// One exchange about one person: in the care lane an ask, in the bulk lane one person of a round.
/// It names no person: whoever holds the statements can tell, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked; in the bulk lane, who began the round.
    pub asker: OdsCode,
    /// What for.
    pub purpose: Purpose,
    /// The categories that were in scope: what was wanted and flows.
    pub categories: BTreeSet<Category>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// What the side that was asked showed.
    pub answer: Shown,
    /// What the asker showed in return.
    pub in_return: Shown,
    /// Hashes of the signed statements of the exchange that this side holds: its own and the
    /// other's.
    pub statements: BTreeSet<Hash>,
}

/// What one side of an exchange showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// A bundle, with records of these categories.
    Bundle(BTreeSet<Category>),
    /// It said that there is nothing to show.
    Nothing,
    /// It refused.
    Refused(RefusalCode),
    /// It said: later.
    Deferred,
    /// It said nothing that counts.
    Missing,
    /// Nothing was due.
    NotDue,
}

impl Shown {
    /// Whether it says that something is still to come or was never due.
    const fn is_open(&self) -> bool {
        matches!(self, Self::Missing | Self::NotDue)
    }
}

impl Entry {
    /// The lane it travelled in.
    pub const fn lane(&self) -> Lane {
        self.purpose.lane()
    }

    /// What names the exchange in both chains. The asker is part of it: an id is chosen by whoever
    /// asks, and the other may choose the same.
    pub fn key(&self) -> (ExchangeId, OdsCode) {
        (self.exchange, self.asker.clone())
    }

    /// Whether it can be entered between these two.
    pub fn fits(&self, one: &OdsCode, other: &OdsCode) -> bool {
        (self.asker == *one || self.asker == *other)
            && self.statements.len() <= MAX_ENTRY_STATEMENTS
    }

    /// Takes in what a later entry of the same writer says of the same exchange: statements add up,
    /// and what came later is no longer missing.
    pub fn add(&mut self, later: &Self) {
        self.statements.extend(&later.statements);
        self.categories.extend(&later.categories);
        self.answered_at = later.answered_at.or(self.answered_at);
        if !later.answer.is_open() {
            self.answer.clone_from(&later.answer);
        }
        if !later.in_return.is_open() || self.in_return == Shown::NotDue {
            self.in_return.clone_from(&later.in_return);
        }
    }
}
