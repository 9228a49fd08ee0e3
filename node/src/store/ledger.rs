//! The ledgers of all pairs: both chains, what waits to be written, and every exchange as both
//! chains have it.
//!
//! | table | key | value |
//! |---|---|---|
//! | `ledger chains` | code | [`Chains`] |
//! | `ledger pages` | code, chain, number | [`Signed`] [`Page`] |
//! | `ledger rewinds` | code, chain, number of the last page lost | [`Signed`] [`Rewind`] |
//! | `ledger forks` | code, chain, hash | [`Fork`] |
//! | `ledger open` | code, exchange, asker | [`Entry`] of an exchange under way |
//! | `ledger waiting` | code, exchange, asker | [`Entry`] of one that is over |
//! | `ledger drafts` | code | [`Page`] that may have been signed |
//! | `ledger accounts` | code, exchange, asker | [`Account`] |
//! | `ledger unsettled` | code, exchange, asker | one that the chains do not have alike |
//! | `ledger steps` | code, the code it is about | [`Rung`] last journaled |
//!
//! **A number is never signed twice.** A page is a draft, durable, before it is signed; a draft
//! found later is signed as it is. sled's log is one, so what is on disk is always a beginning of
//! what was written: a chain's head comes after its page and the accounts it changes, and doing
//! them again changes nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairshare_protocol::exchange::account::Stage;
use fairshare_protocol::ids::{ExchangeId, Hash, OdsCode};
use fairshare_protocol::ledger::account::Account;
use fairshare_protocol::ledger::chain::{Chains, Which};
use fairshare_protocol::ledger::entry::Entry;
use fairshare_protocol::ledger::ladder::Rung;
use fairshare_protocol::ledger::page::{Fork, Page, Rewind};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;

use super::{Error, Store, Table};

mod filling;
mod reading;

/// The tables of the ledgers. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    chains: Table,
    pages: Table,
    rewinds: Table,
    forks: Table,
    open: Table,
    waiting: Table,
    drafts: Table,
    accounts: Table,
    unsettled: Table,
    steps: Table,
    /// Held while a chain grows.
    growing: Arc<Mutex<()>>,
}

impl Ledger {
    /// The tables in `store`. What was under way when the node stopped is over.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        let ledger = Self {
            chains: store.table("ledger chains")?,
            pages: store.table("ledger pages")?,
            rewinds: store.table("ledger rewinds")?,
            forks: store.table("ledger forks")?,
            open: store.table("ledger open")?,
            waiting: store.table("ledger waiting")?,
            drafts: store.table("ledger drafts")?,
            accounts: store.table("ledger accounts")?,
            unsettled: store.table("ledger unsettled")?,
            steps: store.table("ledger steps")?,
            growing: Arc::default(),
        };
        for pair in ledger.open.scan::<Entry>(b"") {
            let (key, entry) = pair?;
            ledger.waiting.put(&key, &entry)?;
            ledger.open.remove(&key)?;
        }
        Ok(ledger)
    }

    fn grow(&self) -> MutexGuard<'_, ()> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what an exchange with this peer leaves. Durable after the next commit.
    ///
    /// # Errors
    /// If sled fails.
    pub fn enter(&self, peer: &OdsCode, stage: Stage, entry: &Entry) -> Result<(), Error> {
        let key = exchange(peer, entry);
        match stage {
            Stage::Open => self.open.put(&key, entry),
            Stage::Over => {
                let mut whole = entry.clone();
                if let Some(mut before) = self.waiting.load::<Entry>(&key)? {
                    before.add(entry);
                    whole = before;
                }
                self.waiting.put(&key, &whole)?;
                self.open.remove(&key)?;
                Ok(())
            }
        }
    }

    /// What waits to be written to this peer: at most so much.
    ///
    /// # Errors
    /// If sled fails.
    pub fn waiting(&self, peer: &OdsCode, at_most: usize) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        for pair in self.waiting.scan::<Entry>(&under(peer)).take(at_most) {
            let (key, entry) = pair?;
            let account = self.accounts.load::<Account>(&key)?;
            if account.is_some_and(|account| account.has(&entry)) {
                // It stands in a page that came back.
                self.waiting.remove(&key)?;
            } else {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// How much waits to be written to this peer.
    pub fn count_waiting(&self, peer: &OdsCode) -> u64 {
        self.waiting.keys(&under(peer)).count() as u64
    }

    /// Whether anything waits to be written to this peer.
    pub fn has_waiting(&self, peer: &OdsCode) -> bool {
        self.waiting.keys(&under(peer)).next().is_some()
    }

    /// Where the two chains stand.
    ///
    /// # Errors
    /// If sled fails.
    pub fn chains(&self, peer: &OdsCode) -> Result<Chains, Error> {
        let chains = self.chains.load(peer.as_str().as_bytes())?;
        Ok(chains.unwrap_or_default())
    }

    /// Keeps a page that is to be signed once this is durable.
    ///
    /// # Errors
    /// If sled fails.
    pub fn draft(&self, peer: &OdsCode, page: &Page) -> Result<(), Error> {
        self.drafts.put(peer.as_str().as_bytes(), page)
    }

    /// A page that may have been signed and is not yet in its chain.
    ///
    /// # Errors
    /// If sled fails.
    pub fn drafted(&self, peer: &OdsCode) -> Result<Option<Page>, Error> {
        let Some(page) = self.drafts.load::<Page>(peer.as_str().as_bytes())? else {
            return Ok(None);
        };
        let next = self.chains(peer)?.ours.number + 1;
        Ok((page.number == next).then_some(page))
    }

    /// A page is the next of its chain: says whether it was, and not there before.
    ///
    /// # Errors
    /// If sled fails.
    pub fn append(
        &self,
        peer: &OdsCode,
        which: Which,
        (signed, page): &(Signed<Page>, Page),
        now: Timestamp,
    ) -> Result<bool, Error> {
        let _growing = self.grow();
        let mut chains = self.chains(peer)?;
        let head = chains.head(which);
        if page.number != head.number + 1 || page.previous != head.hash {
            return Ok(false);
        }
        self.pages.put(&link(peer, which, page.number), signed)?;
        for entry in &page.entries {
            let key = exchange(peer, entry);
            let mut account = self.accounts.load::<Account>(&key)?.unwrap_or_default();
            account.enter(which, entry, now);
            self.accounts.put(&key, &account)?;
            if account.is_settled() {
                self.unsettled.remove(&key)?;
            } else {
                self.unsettled.put(&key, &())?;
            }
            if which == Which::Ours
                && let Some(waiting) = self.waiting.load::<Entry>(&key)?
                && account.has(&waiting)
            {
                self.waiting.remove(&key)?;
            }
        }
        chains.append(which, page.head(signed), page, now);
        self.chains.put(peer.as_str().as_bytes(), &chains)?;
        if which == Which::Ours {
            self.drafts.remove(peer.as_str().as_bytes())?;
        }
        Ok(true)
    }

    /// A chain goes on after pages that were lost.
    ///
    /// # Errors
    /// If sled fails.
    pub fn rewind(
        &self,
        peer: &OdsCode,
        which: Which,
        (signed, rewind): &(Signed<Rewind>, Rewind),
    ) -> Result<(), Error> {
        let _growing = self.grow();
        let mut chains = self.chains(peer)?;
        if chains.head(which) != rewind.held {
            return Ok(());
        }
        self.rewinds
            .put(&link(peer, which, rewind.lost.number), signed)?;
        chains.rewound(which, rewind);
        self.chains.put(peer.as_str().as_bytes(), &chains)
    }

    /// Keeps two pages that contradict each other.
    ///
    /// # Errors
    /// If sled fails.
    pub fn fork(&self, peer: &OdsCode, which: Which, fork: &Fork) -> Result<(), Error> {
        let mut key = under(peer);
        key.push(which as u8);
        key.extend(fork.other.hash().as_bytes());
        self.forks.put(&key, fork)
    }

    /// Every pair of pages that contradict each other.
    ///
    /// # Errors
    /// If sled fails.
    pub fn forks(&self, peer: &OdsCode) -> Result<Vec<Fork>, Error> {
        let all = self.forks.scan::<Fork>(&under(peer));
        all.map(|pair| pair.map(|(_, fork)| fork)).collect()
    }

    /// A page of a chain.
    ///
    /// # Errors
    /// If sled fails.
    pub fn page(
        &self,
        peer: &OdsCode,
        which: Which,
        number: u64,
    ) -> Result<Option<Signed<Page>>, Error> {
        self.pages.load(&link(peer, which, number))
    }

    /// The word that says this page was lost.
    ///
    /// # Errors
    /// If sled fails.
    pub fn lost(
        &self,
        peer: &OdsCode,
        which: Which,
        number: u64,
    ) -> Result<Option<Signed<Rewind>>, Error> {
        for pair in self.rewinds.scan::<Signed<Rewind>>(&chain(peer, which)) {
            let (_, signed) = pair?;
            let covers = signed
                .peek()
                .is_ok_and(|rewind| rewind.held.number < number && number <= rewind.lost.number);
            if covers {
                return Ok(Some(signed));
            }
        }
        Ok(None)
    }

    /// The statements of one exchange with this peer that either chain names, or will.
    ///
    /// # Errors
    /// If sled fails.
    pub fn statements(
        &self,
        peer: &OdsCode,
        exchange: &ExchangeId,
        asker: &OdsCode,
    ) -> Result<BTreeSet<Hash>, Error> {
        let key = exchange_key(peer, exchange, asker);
        let account = self.accounts.load::<Account>(&key)?.unwrap_or_default();
        let waiting = [&self.waiting, &self.open].map(|table| table.load::<Entry>(&key));
        let mut entries = vec![account.ours, account.theirs];
        for entry in waiting {
            entries.push(entry?);
        }
        let statements = entries
            .into_iter()
            .flatten()
            .flat_map(|entry| entry.statements);
        Ok(statements.collect())
    }

    /// The step of the ladder last journaled about `about`, between this peer and us.
    ///
    /// # Errors
    /// If sled fails.
    pub fn rung(&self, peer: &OdsCode, about: &OdsCode) -> Result<Rung, Error> {
        let key = [&under(peer), about.as_str().as_bytes()].concat();
        Ok(self.steps.load(&key)?.unwrap_or(Rung::Even))
    }

    /// Remembers a step that is journaled.
    ///
    /// # Errors
    /// If sled fails.
    pub fn climb(&self, peer: &OdsCode, about: &OdsCode, rung: Rung) -> Result<(), Error> {
        let key = [&under(peer), about.as_str().as_bytes()].concat();
        self.steps.put(&key, &rung)
    }
}

/// What all keys about a peer begin with: no code is the beginning of another with this.
fn under(peer: &OdsCode) -> Vec<u8> {
    [peer.as_str().as_bytes(), b" "].concat()
}

fn chain(peer: &OdsCode, which: Which) -> Vec<u8> {
    let mut key = under(peer);
    key.push(which as u8);
    key
}

fn link(peer: &OdsCode, which: Which, number: u64) -> Vec<u8> {
    [&chain(peer, which)[..], &number.to_be_bytes()].concat()
}

fn exchange(peer: &OdsCode, entry: &Entry) -> Vec<u8> {
    exchange_key(peer, &entry.exchange, &entry.asker)
}

fn exchange_key(peer: &OdsCode, exchange: &ExchangeId, asker: &OdsCode) -> Vec<u8> {
    let asker = asker.as_str().as_bytes();
    [&under(peer)[..], exchange.as_bytes(), asker].concat()
}
