//! The two chains of a pair, as one side holds them.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::keys::Keys;
use super::page::{Fork, Head, Page, Rewind};
use crate::category::words;
use crate::crypto::sign::KeyPair;
use crate::ids::{FederationId, OdsCode};
use crate::limits::{CLOCK_SKEW, MAX_PAGE_ENTRIES};
use crate::roster::Statements;
use crate::statement::{self, Signed};
use crate::time::Timestamp;

words! {
    /// One of the two chains.
    Which {
        /// The one this side writes.
        Ours = "ours",
        /// The one the other side writes.
        Theirs = "theirs",
    }
}

impl Which {
    /// The same chain, as the other side calls it.
    pub const fn turned(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// The two members, as one of them sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Inside which federation.
    pub federation: FederationId,
    /// This side.
    pub me: OdsCode,
    /// Every node key this side's organisation ever named.
    pub my_keys: Keys,
    /// The other.
    pub peer: OdsCode,
    /// Every node key the other's organisation ever named.
    pub peer_keys: Keys,
}

impl Pair {
    /// Two members, with the node keys these statements name of them.
    pub fn of_members(statements: &Statements, me: &OdsCode, peer: &OdsCode) -> Self {
        Self {
            federation: statements.federation(),
            me: me.clone(),
            my_keys: Keys::of(statements, me),
            peer: peer.clone(),
            peer_keys: Keys::of(statements, peer),
        }
    }

    /// Writer and reader of a chain, and the keys that may have signed it.
    pub const fn of(&self, which: Which) -> (&OdsCode, &OdsCode, &Keys) {
        match which {
            Which::Ours => (&self.me, &self.peer, &self.my_keys),
            Which::Theirs => (&self.peer, &self.me, &self.peer_keys),
        }
    }

    /// A page of that chain, whichever its number.
    ///
    /// # Errors
    /// If it is not one.
    pub fn page(
        &self,
        which: Which,
        signed: &Signed<Page>,
        now: Timestamp,
    ) -> Result<Page, Refusal> {
        let (writer, reader, keys) = self.of(which);
        if !keys.contains(signed.signer()) {
            return Err(Refusal::Statement(statement::Error::OtherSigner));
        }
        let page = signed.verify(signed.signer())?;
        if page.federation != self.federation {
            return Err(Refusal::Federation);
        }
        if page.writer != *writer || page.reader != *reader {
            return Err(Refusal::OtherPair);
        }
        if page.at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead);
        }
        let fit = page.entries.iter().all(|entry| entry.fits(writer, reader));
        if page.number == 0 || page.entries.len() > MAX_PAGE_ENTRIES || !fit {
            return Err(Refusal::Entries);
        }
        Ok(page)
    }

    /// Whether a page of that chain was signed by a key that stewards had voided by then.
    pub fn is_void(&self, which: Which, signed: &Signed<Page>, page: &Page) -> bool {
        let (_, _, keys) = self.of(which);
        keys.is_void(signed.signer(), page.at)
    }

    /// A writer's word that it lost pages.
    ///
    /// # Errors
    /// If it is not one.
    pub fn rewind(
        &self,
        which: Which,
        signed: &Signed<Rewind>,
        now: Timestamp,
    ) -> Result<Rewind, Refusal> {
        let (writer, reader, keys) = self.of(which);
        if !keys.contains(signed.signer()) {
            return Err(Refusal::Statement(statement::Error::OtherSigner));
        }
        let rewind = signed.verify(signed.signer())?;
        if rewind.federation != self.federation {
            return Err(Refusal::Federation);
        }
        if rewind.writer != *writer || rewind.reader != *reader {
            return Err(Refusal::OtherPair);
        }
        if rewind.at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead);
        }
        // No page comes after the last number there is.
        if rewind.lost.number <= rewind.held.number || rewind.lost.number == u64::MAX {
            return Err(Refusal::Rewind);
        }
        Ok(rewind)
    }

    /// Whether these two pages contradict each other, both being of that chain.
    ///
    /// # Errors
    /// If one of them is no page of it, or they can both be true.
    pub fn fork(&self, which: Which, fork: &Fork, now: Timestamp) -> Result<(), Refusal> {
        let held = self.page(which, &fork.held, now)?;
        let other = self.page(which, &fork.other, now)?;
        let same = held.number == other.number && fork.held.hash() != fork.other.hash();
        let next =
            held.number.checked_add(1) == Some(other.number) && other.previous != fork.held.hash();
        if same || next {
            Ok(())
        } else {
            Err(Refusal::NoFork)
        }
    }
}

/// Where the two chains of a pair stand, as one side holds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chains {
    /// The last page we wrote.
    pub ours: Head,
    /// The last page of theirs we hold.
    pub theirs: Head,
    /// The last page of ours they quoted: it and all before are agreed.
    pub agreed: Head,
    /// The last page of theirs we quoted.
    pub quoted: Head,
    /// The last page of theirs that has entries, and so waits to be quoted.
    pub due: u64,
    /// When the first page was read that waits to be quoted.
    pub due_since: Timestamp,
}

impl Chains {
    /// Where that chain stands.
    pub const fn head(&self, which: Which) -> Head {
        match which {
            Which::Ours => self.ours,
            Which::Theirs => self.theirs,
        }
    }

    /// Whether there is a page of theirs that waits to be quoted.
    pub const fn owes_quote(&self) -> bool {
        self.due > self.quoted.number
    }

    /// Our next page. It must be durable before it is signed, and signed before it is sent.
    pub fn next(&self, pair: &Pair, entries: Vec<Entry>, now: Timestamp) -> Page {
        Page {
            federation: pair.federation,
            writer: pair.me.clone(),
            reader: pair.peer.clone(),
            number: self.ours.number + 1,
            previous: self.ours.hash,
            at: now,
            quoted: self.theirs,
            entries,
        }
    }

    /// Where our chain will stand with this page, signed under this key: known before it is signed.
    pub fn head_of(page: &Page, key: &KeyPair) -> Head {
        // A signature changes no name: the hash is over signer and body.
        page.head(&Signed::sign(page, key))
    }

    /// A page is now the last of its chain: the next, in order, of that chain's writer.
    pub fn append(&mut self, which: Which, head: Head, page: &Page, now: Timestamp) {
        match which {
            Which::Ours => {
                self.ours = head;
                self.quoted = self.quoted.max(page.quoted);
            }
            Which::Theirs => {
                self.theirs = head;
                self.agreed = self.agreed.max(page.quoted);
                if !page.entries.is_empty() {
                    if !self.owes_quote() {
                        self.due_since = now;
                    }
                    self.due = head.number;
                }
            }
        }
    }

    /// A chain goes on after pages that were lost.
    pub fn rewound(&mut self, which: Which, rewind: &Rewind) {
        match which {
            Which::Ours => self.ours = rewind.lost,
            Which::Theirs => self.theirs = rewind.lost,
        }
    }
}

/// Why a page, or a word about a chain, is not taken. Whoever sent it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not signed by the chain's writer.
    #[error("a page that is not its writer's: {0}")]
    Statement(#[from] statement::Error),
    /// Signed by a key after stewards had voided it.
    #[error("a page signed by a key that stewards had voided by then")]
    Void,
    /// Of another federation.
    #[error("a page of another federation")]
    Federation,
    /// Of another pair, or of the other chain.
    #[error("a page of another pair")]
    OtherPair,
    /// Dated ahead of our clock.
    #[error("a page dated ahead of time")]
    Ahead,
    /// Too many entries, or one that cannot be between these two.
    #[error("a page with entries that cannot be between these two")]
    Entries,
    /// Not the next page.
    #[error("a page out of order")]
    OutOfOrder,
    /// It quotes a page we never wrote.
    #[error("a page that quotes one we never wrote")]
    NeverWritten,
    /// A rewind that does not go on from where the chain stands.
    #[error("a rewind that does not fit the pages held")]
    Rewind,
    /// Two pages that do not contradict each other.
    #[error("two pages that do not contradict each other")]
    NoFork,
}
