//! One exchange, as both chains have it.

use serde::{Deserialize, Serialize};

use super::chain::Which;
use super::entry::Entry;
use crate::ids::Hash;
use crate::limits::SETTLE_WITHIN;
use crate::time::Timestamp;

/// What both chains say of one exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What our chain says; several entries add up.
    pub ours: Option<Entry>,
    /// What theirs says.
    pub theirs: Option<Entry>,
    /// When this side first had it in either chain.
    pub since: Timestamp,
}

impl Account {
    /// Takes in an entry of that chain.
    pub fn enter(&mut self, which: Which, entry: &Entry, now: Timestamp) {
        if self.ours.is_none() && self.theirs.is_none() {
            self.since = now;
        }
        let side = match which {
            Which::Ours => &mut self.ours,
            Which::Theirs => &mut self.theirs,
        };
        match side {
            Some(before) => before.add(entry),
            none => *none = Some(entry.clone()),
        }
    }

    /// Whether an entry of ours would say nothing new.
    pub fn has(&self, entry: &Entry) -> bool {
        self.ours.as_ref().is_some_and(|ours| {
            let mut with = ours.clone();
            with.add(entry);
            with == *ours
        })
    }

    /// What their chain names and ours does not, of an exchange that is in both.
    pub fn missing(&self) -> Vec<Hash> {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => {
                let missing = theirs.statements.difference(&ours.statements);
                missing.copied().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether both chains name the same statements.
    pub fn is_settled(&self) -> bool {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => ours.statements == theirs.statements,
            _ => false,
        }
    }

    /// Whether it should have been settled by now, and is to be shown to both operators.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.is_settled() && now.since(self.since) > SETTLE_WITHIN
    }
}
