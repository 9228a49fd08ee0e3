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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use fairshare_protocol::crypto::seal::SecretKey;
    use fairshare_protocol::crypto::sign::KeyPair;
    use fairshare_protocol::ids::FederationId;
    use fairshare_protocol::ledger::chain::Pair;
    use fairshare_protocol::ledger::page::Head;
    use fairshare_protocol::time::Timestamp;

    use super::*;
    use crate::store::Store;

    /// Our pair, and the peer's.
    fn pairs() -> [Pair; 2] {
        let codes: [OdsCode; 2] = ["RH8", "L83024"].map(|code| code.parse().unwrap());
        let keys = [1, 2].map(|n| KeyPair::from_seed(&[n; 32]).public());
        [(0, 1), (1, 0)].map(|(me, peer)| Pair {
            federation: FederationId::new([9; 32]),
            me: codes[me].clone(),
            my_keys: [keys[me]].into_iter().collect(),
            peer: codes[peer].clone(),
            peer_keys: [keys[peer]].into_iter().collect(),
        })
    }

    #[test]
    fn both_chains_are_read_as_of_one_moment_while_they_grow() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), key).unwrap();
        let ledger = Ledger::open(&store).unwrap();
        let [ours, theirs] = pairs();
        let peer = ours.peer.clone();
        let (done, growing) = (AtomicBool::new(false), ledger.clone());
        // Each quotes the other's last page, as fast as they can.
        let grow = || {
            let mut seen = Chains::default();
            while !done.load(Ordering::Relaxed) {
                for (which, pair, n) in [(Which::Ours, &ours, 1), (Which::Theirs, &theirs, 2)] {
                    let turned = Chains {
                        ours: seen.head(which),
                        theirs: seen.head(which.turned()),
                        ..seen
                    };
                    let page = turned.next(pair, Vec::new(), Timestamp(1));
                    let signed = Signed::sign(&page, &KeyPair::from_seed(&[n; 32]));
                    let head = page.head(&signed);
                    let appended = growing.append(&peer, which, &(signed, page.clone()), page.at);
                    assert!(appended.unwrap());
                    seen.append(which, head, &page, page.at);
                }
            }
        };
        let pages = |links: &[Link]| {
            let pages = links.iter().map(|link| match link {
                Link::Page(signed) => (signed.peek().unwrap(), signed.hash()),
                Link::Rewind(_) => unreachable!("nothing was lost"),
            });
            pages.collect::<Vec<_>>()
        };
        let last = |pages: &[(Page, _)]| {
            let last = pages.last();
            last.map_or(Head::ORIGIN, |(page, hash)| Head {
                number: page.number,
                hash: *hash,
            })
        };
        let mut wrong = Vec::new();
        let mut grown = 0;
        thread::scope(|scope| {
            scope.spawn(grow);
            while grown < 400 && wrong.is_empty() {
                let (chains, [ours, theirs]) = ledger.both(&peer).unwrap();
                let (ours, theirs) = (pages(&ours), pages(&theirs));
                let quoted =
                    |pages: &[(Page, _)]| pages.last().map_or(0, |(it, _)| it.quoted.number);
                let whole = (last(&ours), last(&theirs)) == (chains.ours, chains.theirs)
                    && quoted(&ours) <= chains.theirs.number
                    && quoted(&theirs) <= chains.ours.number;
                wrong.extend((!whole).then_some(chains));
                grown = chains.ours.number;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
