//! What a ledger conversation orders of its node, and what it is told.

use crate::codec::Bytes;
use crate::ids::{ExchangeId, Hash, OdsCode};
use crate::ledger::chain::{Chains, Which};
use crate::ledger::page::{Fork, Head, Page, Rewind};
use crate::statement::Signed;

/// What is to be kept.
#[derive(Debug)]
pub enum Save {
    /// The next page of a chain, verified.
    Page(Which, Box<(Signed<Page>, Page)>),
    /// A chain goes on after lost pages.
    Rewind(Which, Box<(Signed<Rewind>, Rewind)>),
    /// Two pages that contradict each other.
    Fork(Which, Box<Fork>),
    /// A signed statement that was missing, and what kind of an exchange's statements it is: to be
    /// kept, and entered.
    Filled(Missing, u8, Bytes),
}

/// A statement of an exchange in both chains that only theirs names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked.
    pub asker: OdsCode,
    /// The statement.
    pub statement: Hash,
}

/// What the machine wants to know.
#[derive(Debug)]
pub enum Load {
    /// Where the chains stand, and where the journal says that ours stood.
    Chains,
    /// The page of this number.
    Page(Which, u64),
    /// What is missing of exchanges in both chains, and not for a moment only: at most
    /// [`MAX_WANTED`](crate::limits::MAX_WANTED).
    Missing,
    /// These statements, if our chain names them.
    Statements(Vec<Hash>),
}

/// What the machine is told.
#[derive(Debug)]
pub enum Fact {
    /// Answers [`Load::Chains`].
    Chains {
        /// As they are kept.
        chains: Chains,
        /// The furthest page of ours this node ever journaled.
        known: Head,
    },
    /// Answers [`Load::Page`].
    Page(Signed<Page>),
    /// Answers [`Load::Page`]: it was lost for good, as its writer said.
    Rewind(Signed<Rewind>),
    /// Answers [`Load::Page`]: it is not there.
    NoPage,
    /// Answers [`Load::Missing`].
    Missing(Vec<Missing>),
    /// Answers [`Load::Statements`]: as they are kept.
    Statements(Vec<Bytes>),
}
