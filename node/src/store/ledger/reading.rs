//! Reading all of a ledger: its chains, and every exchange.

use std::collections::BTreeMap;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::account::Account;
use fairshare_protocol::ledger::chain::{Chains, Which};
use fairshare_protocol::ledger::entry::Entry;
use fairshare_protocol::ledger::export::Link;
use fairshare_protocol::ledger::page::{Page, Rewind};
use fairshare_protocol::statement::Signed;

use super::{Error, Ledger, chain, link, under};

impl Ledger {
    /// Both chains whole and in order, ours first, as they stood at one moment, and where that was:
    /// what either quotes of the other is then there.
    ///
    /// # Errors
    /// If sled fails.
    pub fn both(&self, peer: &OdsCode) -> Result<(Chains, [Vec<Link>; 2]), Error> {
        let chains = self.chains(peer)?;
        let links = |which| self.links(peer, which, chains.head(which).number);
        Ok((chains, [links(Which::Ours)?, links(Which::Theirs)?]))
    }

    /// A chain up to and with its page `last`.
    fn links(&self, peer: &OdsCode, which: Which, last: u64) -> Result<Vec<Link>, Error> {
        let mut all = BTreeMap::new();
        for pair in self.pages.scan::<Signed<Page>>(&chain(peer, which)) {
            let (key, page) = pair?;
            all.insert(key, Link::Page(page));
        }
        for pair in self.rewinds.scan::<Signed<Rewind>>(&chain(peer, which)) {
            let (key, rewind) = pair?;
            all.insert(key, Link::Rewind(rewind));
        }
        // More may have been written since.
        all.retain(|key, _| *key <= link(peer, which, last));
        Ok(all.into_values().collect())
    }

    /// Every exchange with this peer, as both chains have it.
    pub fn accounts(
        &self,
        peer: &OdsCode,
    ) -> impl Iterator<Item = Result<Account, Error>> + use<'_> {
        let all = self.accounts.scan::<Account>(&under(peer));
        all.map(|pair| pair.map(|(_, account)| account))
    }

    /// The same, and what is under way or waits to be written as if our chain had it already.
    ///
    /// # Errors
    /// If sled fails.
    pub fn with_waiting(&self, peer: &OdsCode) -> Result<Vec<Account>, Error> {
        // In the order in which it moves on: what does so meanwhile is met twice, and adds nothing.
        let mut entries = BTreeMap::<Vec<u8>, Entry>::new();
        for table in [&self.open, &self.waiting] {
            for pair in table.scan::<Entry>(&under(peer)) {
                let (key, entry) = pair?;
                match entries.get_mut(&key[..]) {
                    Some(before) => before.add(&entry),
                    None => drop(entries.insert(key.to_vec(), entry)),
                }
            }
        }
        let mut found = Vec::new();
        for pair in self.accounts.scan::<Account>(&under(peer)) {
            let (key, mut account) = pair?;
            if let Some(entry) = entries.remove(&key[..]) {
                account.enter(Which::Ours, &entry, account.since);
            }
            found.push(account);
        }
        for entry in entries.into_values() {
            let mut account = Account::default();
            account.enter(Which::Ours, &entry, entry.asked_at);
            found.push(account);
        }
        Ok(found)
    }
}
