//! What an exchange leaves in the account both members keep of it (protocol.md section 5).
//!
//! Both sides put down the same statements: request, answer, commitment, receipt, and the same in
//! return. The exchange writes here and never reads: nothing in the care lane can ask how the
//! account stands.

use std::collections::BTreeSet;

use super::answer::{Answer, Receipt, Reply, Verdict};
use super::ask::kind;
use super::bundle::Shown as Commitment;
use super::request::Request;
use crate::category::Category;
use crate::ids::Hash;
use crate::statement::Body as _;
use crate::time::Timestamp;

pub use crate::ledger::entry::{Entry, Shown};

/// What the statements of an exchange are, each with its domain label and its kind: what one side
/// lacks because a line was lost at the last word the other gives it afterwards.
pub const STATEMENTS: [(&str, u8); 4] = [
    (Request::LABEL, kind::REQUEST),
    (Answer::LABEL, kind::ANSWER),
    (Commitment::LABEL, kind::COMMITMENT),
    (Receipt::LABEL, kind::RECEIPT),
];

/// Whether an exchange is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Under way: entered as it stands if the node stops before it is over.
    Open,
    /// Over: to be entered.
    Over,
}

/// What one exchange has left so far.
#[derive(Debug, Clone)]
pub struct Account {
    entry: Entry,
}

impl Account {
    /// It was asked for these categories.
    pub fn asked(request: &Request, hash: Hash, categories: BTreeSet<Category>) -> Self {
        Self {
            entry: Entry {
                exchange: request.exchange,
                asker: request.from.clone(),
                purpose: request.purpose,
                categories,
                asked_at: request.issued,
                answered_at: None,
                answer: Shown::Missing,
                in_return: Shown::NotDue,
                statements: BTreeSet::from([hash]),
            },
        }
    }

    /// One side replied: the holder, or the requester in return.
    pub fn replied(&mut self, in_return: bool, reply: Reply, hash: Hash, at: Timestamp) {
        self.entry.statements.insert(hash);
        let shown = match reply {
            // It counts once it has come whole.
            Reply::Delivered => Shown::Missing,
            Reply::NothingToShow => Shown::Nothing,
            Reply::Refused(code) => Shown::Refused(code),
            Reply::Deferred(_) => Shown::Deferred,
        };
        if in_return {
            self.entry.in_return = shown;
            return;
        }
        self.entry.answer = shown;
        self.entry.answered_at = Some(at);
        self.entry.in_return = match reply {
            Reply::Delivered | Reply::NothingToShow => Shown::Missing,
            Reply::Refused(_) | Reply::Deferred(_) => Shown::NotDue,
        };
    }

    /// A bundle went or came whole, under this commitment.
    pub fn shown(&mut self, in_return: bool, commitment: Hash, counts: &[(Category, u32)]) {
        self.entry.statements.insert(commitment);
        let records = counts.iter().filter(|(_, count)| *count > 0);
        *self.side(in_return) = Shown::Bundle(records.map(|(category, _)| *category).collect());
    }

    /// It was acknowledged; or found to be about somebody else, which is no answer.
    pub fn acknowledged(&mut self, in_return: bool, receipt: Hash, verdict: Verdict) {
        self.entry.statements.insert(receipt);
        if verdict == Verdict::WrongPerson {
            *self.side(in_return) = Shown::Missing;
        }
    }

    /// What is to be entered as it stands.
    pub fn entry(&self) -> Entry {
        self.entry.clone()
    }

    const fn side(&mut self, in_return: bool) -> &mut Shown {
        match in_return {
            true => &mut self.entry.in_return,
            false => &mut self.entry.answer,
        }
    }
}
