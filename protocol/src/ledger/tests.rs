//! Tests of the account: what one side keeps, in memory, and a line between two.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::account::Account;
use super::chain::{Chains, Pair, Which};
use super::entry::{Entry, Shown};
use super::keys::Keys;
use super::page::{Fork, Head, Page, Rewind, room};
use super::sync::{Fact, Load, Missing, Outcome, Save, Sync};
use crate::category::{Category, Purpose};
use crate::codec::{self, Bytes};
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::hash;
use crate::crypto::sign::KeyPair;
use crate::exchange::answer::{Receipt, Verdict};
use crate::ids::{ExchangeId, FederationId, Hash, OdsCode};
use crate::journal::Act;
use crate::statement::Signed;
use crate::time::Timestamp;

mod duty;
mod hostile;
mod lines;
mod standing;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn code(text: &str) -> OdsCode {
    text.parse().unwrap()
}

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn entry(n: u64, asker: &str) -> Entry {
    let hash = |what: &str| hash::parts(what, &[&n.to_le_bytes()]);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    Entry {
        exchange: ExchangeId::new(id),
        asker: code(asker),
        purpose: Purpose::Care,
        categories: [Category::Medications].into(),
        asked_at: NOW,
        answered_at: Some(NOW),
        answer: Shown::Bundle([Category::Medications].into()),
        in_return: Shown::Nothing,
        statements: ["request", "answer", "commitment", "receipt"]
            .map(hash)
            .into(),
    }
}

/// What one side keeps durably.
#[derive(Clone, Default)]
struct Kept {
    chains: Chains,
    pages: BTreeMap<(Which, u64), Signed<Page>>,
    rewinds: Vec<(Which, Rewind, Signed<Rewind>)>,
    forks: Vec<(Which, Fork)>,
    accounts: BTreeMap<(ExchangeId, OdsCode), Account>,
    waiting: BTreeMap<(ExchangeId, OdsCode), Entry>,
    draft: Option<Page>,
    acts: Vec<Act>,
}

/// One side: what is kept, what of it is durable, and whether it may write.
struct Side {
    pair: Pair,
    key: KeyPair,
    kept: Kept,
    durable: Kept,
    /// What the journal knows of our chain; it may be newer than the store.
    known: Head,
    recovered: bool,
    /// Every page it ever signed, by number: what must not differ.
    signed: BTreeMap<u64, Hash>,
    /// Statements of exchanges.
    statements: BTreeMap<Hash, Bytes>,
}

impl Side {
    fn new(me: (&str, u8), peer: (&str, u8)) -> Self {
        let keys = |n| Keys::from_iter([key(n).public()]);
        Self {
            pair: Pair {
                federation: FederationId::new([7; 32]),
                me: code(me.0),
                my_keys: keys(me.1),
                peer: code(peer.0),
                peer_keys: keys(peer.1),
            },
            key: key(me.1),
            kept: Kept::default(),
            durable: Kept::default(),
            known: Head::ORIGIN,
            recovered: false,
            signed: BTreeMap::new(),
            statements: BTreeMap::new(),
        }
    }

    fn enter(&mut self, entry: Entry) {
        self.kept.waiting.insert(entry.key(), entry);
        self.commit();
    }

    fn commit(&mut self) {
        self.durable = self.kept.clone();
    }

    /// Falls back to what is durable, as after a kill.
    fn restart(&mut self) {
        self.kept = self.durable.clone();
        self.recovered = false;
        self.finish_draft();
    }

    /// Falls back to a copy made earlier.
    fn restore(&mut self, copy: &Kept) {
        self.durable = copy.clone();
        self.restart();
    }

    /// Writes what waits into a page, if this side may.
    fn write(&mut self, now: Timestamp) {
        if !self.recovered {
            return;
        }
        let waiting = self.kept.waiting.values().filter(|entry| {
            let account = self.kept.accounts.get(&entry.key());
            !account.is_some_and(|account| account.has(entry))
        });
        let mut entries: Vec<_> = waiting.cloned().collect();
        entries.truncate(room(&entries));
        if entries.is_empty() && !self.kept.chains.owes_quote() {
            return;
        }
        self.kept.draft = Some(self.kept.chains.next(&self.pair, entries, now));
        self.commit();
        self.finish_draft();
    }

    /// A page that is durable is signed: the same page, however often.
    fn finish_draft(&mut self) {
        let Some(page) = self.kept.draft.take() else {
            return;
        };
        if page.number != self.kept.chains.ours.number + 1 {
            return;
        }
        let signed = Signed::sign(&page, &self.key);
        let before = self.signed.insert(page.number, signed.hash());
        assert!(
            before.is_none_or(|before| before == signed.hash()),
            "signed twice"
        );
        self.append(Which::Ours, signed, &page, page.at);
        self.known = self.known.max(self.kept.chains.ours);
    }

    fn append(&mut self, which: Which, signed: Signed<Page>, page: &Page, now: Timestamp) {
        let head = page.head(&signed);
        self.kept.chains.append(which, head, page, now);
        self.kept.pages.insert((which, page.number), signed);
        for entry in &page.entries {
            let account = self.kept.accounts.entry(entry.key()).or_default();
            account.enter(which, entry, now);
            if which == Which::Ours {
                let key = entry.key();
                if self
                    .kept
                    .waiting
                    .get(&key)
                    .is_some_and(|it| account.has(it))
                {
                    self.kept.waiting.remove(&key);
                }
            }
        }
    }

    fn save(&mut self, save: Save, now: Timestamp) {
        match save {
            Save::Page(which, page) => {
                let (signed, page) = *page;
                // Two conversations at once may bring the same page.
                if page.number == self.kept.chains.head(which).number + 1 {
                    self.append(which, signed, &page, now);
                }
            }
            Save::Rewind(which, rewind) => {
                let (signed, rewind) = *rewind;
                self.kept.chains.rewound(which, &rewind);
                self.kept.rewinds.push((which, rewind, signed));
            }
            Save::Fork(which, fork) => self.kept.forks.push((which, *fork)),
            Save::Filled(missing, _, bytes) => {
                let key = (missing.exchange, missing.asker);
                let mut entry = self.kept.accounts[&key].ours.clone().unwrap();
                entry.statements.insert(missing.statement);
                self.statements.insert(missing.statement, bytes);
                self.kept.waiting.insert(key, entry);
            }
        }
    }

    fn load(&self, load: &Load) -> Fact {
        match load {
            Load::Chains => Fact::Chains {
                chains: self.kept.chains,
                known: self.known,
            },
            Load::Page(which, number) => {
                if let Some(page) = self.kept.pages.get(&(*which, *number)) {
                    return Fact::Page(page.clone());
                }
                let gap = |(chain, rewind, _): &&(Which, Rewind, Signed<Rewind>)| {
                    chain == which && rewind.held.number < *number && *number <= rewind.lost.number
                };
                match self.kept.rewinds.iter().find(gap) {
                    Some((_, _, signed)) => Fact::Rewind(signed.clone()),
                    None => Fact::NoPage,
                }
            }
            Load::Missing => {
                let accounts = self.kept.accounts.iter();
                let missing = accounts.flat_map(|((exchange, asker), account)| {
                    let missing = account.missing().into_iter();
                    missing.map(|statement| Missing {
                        exchange: *exchange,
                        asker: asker.clone(),
                        statement,
                    })
                });
                Fact::Missing(missing.collect())
            }
            Load::Statements(hashes) => {
                let kept = hashes.iter().filter_map(|hash| self.statements.get(hash));
                Fact::Statements(kept.cloned().collect())
            }
        }
    }
}

/// What a line does to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Good,
    /// One frame in so many is lost with the line, doubled, overtaken, or spoilt; and one output in
    /// so many is the last before a kill.
    Bad(u32),
}

/// One conversation to its end; gives how it ended for both. Persist, then send.
fn talk(
    (one, other): (&mut Side, &mut Side),
    line: Line,
    rng: &mut StdRng,
    now: Timestamp,
) -> [Option<Outcome>; 2] {
    let mut machines = [&*one, &*other].map(|side| Sync::new(side.pair.clone(), side.key.clone()));
    let sides = [one, other];
    let mut on_the_way: [VecDeque<Vec<u8>>; 2] = Default::default();
    let mut ended = [None, None];
    let mut inputs: VecDeque<(usize, Input<Fact>)> =
        [(0, Input::Opened), (1, Input::Opened)].into();
    let mut cut = false;
    loop {
        let Some((at, input)) = inputs.pop_front() else {
            if cut {
                break;
            }
            let to = usize::from(rng.random_bool(0.5));
            let to = if on_the_way[to].is_empty() {
                1 - to
            } else {
                to
            };
            match on_the_way[to].pop_front() {
                Some(frame) => inputs.push_back((to, Input::Received(frame))),
                None => {
                    cut = true;
                    inputs.extend([(0, Input::Lost), (1, Input::Lost)]);
                }
            }
            continue;
        };
        if ended[at].is_some() {
            continue;
        }
        for output in machines[at].handle(input, now, rng) {
            if let Line::Bad(n) = line
                && rng.random_ratio(1, n * 4)
            {
                // Killed: what was not yet durable is gone, and the line with it.
                sides[at].restart();
                ended[at] = Some(Outcome::Lost);
                cut = true;
                inputs = [(1 - at, Input::Lost)].into();
                break;
            }
            match output {
                Output::Record(act) => sides[at].kept.acts.push(act),
                Output::Save(save) => sides[at].save(save, now),
                Output::Load(load) => inputs.push_front((at, Input::Loaded(sides[at].load(&load)))),
                Output::Send(frame) => {
                    sides[at].commit();
                    let frames = &mut on_the_way[1 - at];
                    match line {
                        Line::Bad(n) if rng.random_ratio(1, n) => match rng.random_range(0..5) {
                            0 => frames.extend([frame.clone(), frame]),
                            1 => frames.push_front(frame),
                            2 => {
                                let mut frame = frame;
                                let spoilt = rng.random_range(0..frame.len());
                                frame[spoilt] ^= 1 << rng.random_range(0..8);
                                frames.push_back(frame);
                            }
                            3 => {}
                            _ => cut = true,
                        },
                        _ => frames.push_back(frame),
                    }
                }
                Output::Close(outcome) => {
                    sides[at].commit();
                    sides[at].recovered |= matches!(outcome, Outcome::Synced { .. });
                    ended[at] = Some(outcome);
                }
            }
        }
        if cut {
            on_the_way = Default::default();
            inputs.extend([(0, Input::Lost), (1, Input::Lost)]);
        }
    }
    ended
}

fn pair() -> [Side; 2] {
    [
        Side::new(("RH8", 1), ("L83024", 2)),
        Side::new(("L83024", 2), ("RH8", 1)),
    ]
}

fn synced(one: &mut Side, other: &mut Side, rng: &mut StdRng) {
    let ended = talk((one, other), Line::Good, rng, NOW);
    for end in ended {
        assert!(matches!(end, Some(Outcome::Synced { .. })), "{end:?}");
    }
}

/// Writes, sends and quotes until nothing is left to be said.
fn settle(one: &mut Side, other: &mut Side, rng: &mut StdRng) {
    for _ in 0..4 {
        synced(one, other, rng);
        one.write(NOW);
        other.write(NOW);
    }
    synced(one, other, rng);
}

#[test]
fn what_both_entered_is_agreed_and_settled_once_both_have_read_and_quoted() {
    let mut rng = StdRng::seed_from_u64(1);
    let [mut one, mut other] = pair();
    synced(&mut one, &mut other, &mut rng);
    for n in 0..1000 {
        one.enter(entry(n, "RH8"));
        other.enter(entry(n, "RH8"));
    }
    while !(one.kept.waiting.is_empty() && other.kept.waiting.is_empty()) {
        settle(&mut one, &mut other, &mut rng);
    }
    settle(&mut one, &mut other, &mut rng);
    for side in [&one, &other] {
        assert_eq!(side.kept.accounts.len(), 1000);
        assert!(side.kept.accounts.values().all(Account::is_settled));
        assert!(!side.kept.chains.owes_quote());
        assert!(side.kept.chains.agreed.number >= 4);
    }
    assert_eq!(one.kept.chains.ours, other.kept.chains.theirs);
    // Quoting a page that only quotes would never end.
    let before = one.kept.chains;
    settle(&mut one, &mut other, &mut rng);
    assert_eq!(one.kept.chains, before);
}

#[test]
fn an_exchange_in_one_chain_only_is_overdue_after_a_day() {
    let mut account = Account::default();
    account.enter(Which::Ours, &entry(1, "RH8"), NOW);
    let day = std::time::Duration::from_secs(24 * 3600 + 1);
    assert!(!account.is_settled() && !account.is_overdue(NOW));
    assert!(account.is_overdue(NOW + day));
    let mut theirs = entry(1, "RH8");
    let late = theirs.statements.pop_first().unwrap();
    account.enter(Which::Theirs, &theirs, NOW);
    assert!(account.is_overdue(NOW + day));
    theirs.statements = [late].into();
    account.enter(Which::Theirs, &theirs, NOW);
    assert!(account.is_settled() && !account.is_overdue(NOW + day));
}

#[test]
fn a_last_word_lost_with_the_line_is_given_afterwards_and_both_settle() {
    let mut rng = StdRng::seed_from_u64(6);
    let [mut one, mut other] = pair();
    let receipt = Receipt {
        exchange: entry(1, "RH8").exchange,
        commitment: Hash::new([1; 32]),
        from: code("L83024"),
        to: code("RH8"),
        verdict: Verdict::Opened,
        at: NOW,
    };
    let receipt = Signed::sign(&receipt, &key(2));
    let mut whole = entry(1, "RH8");
    whole.statements.insert(receipt.hash());
    let bytes = Bytes(codec::encode(&receipt));
    other.statements.insert(receipt.hash(), bytes.clone());
    other.enter(whole);
    one.enter(entry(1, "RH8"));
    settle(&mut one, &mut other, &mut rng);
    settle(&mut one, &mut other, &mut rng);
    for side in [&one, &other] {
        assert!(side.kept.accounts.values().all(Account::is_settled));
    }
    assert_eq!(one.statements[&receipt.hash()], bytes);
    // What is not what its name says is not taken, and neither is what a third one signed.
    for by in [2, 3] {
        let mut lie = receipt.verify(&key(2).public()).unwrap();
        lie.at = Timestamp(by);
        let lie = Signed::sign(&lie, &key(by as u8));
        let name = if by == 2 {
            Hash::new([9; 32])
        } else {
            lie.hash()
        };
        let mut more = entry(by, "RH8");
        one.enter(more.clone());
        more.statements.insert(name);
        other.enter(more);
        other.statements.insert(name, Bytes(codec::encode(&lie)));
        settle(&mut one, &mut other, &mut rng);
        settle(&mut one, &mut other, &mut rng);
        assert!(!one.statements.contains_key(&name), "{by}");
    }
}

#[test]
fn a_node_that_lost_pages_takes_them_back_before_it_writes() {
    let mut rng = StdRng::seed_from_u64(2);
    let [mut one, mut other] = pair();
    one.enter(entry(1, "RH8"));
    settle(&mut one, &mut other, &mut rng);
    let copy = one.kept.clone();
    for n in 2..9 {
        one.enter(entry(n, "RH8"));
        settle(&mut one, &mut other, &mut rng);
    }
    let before = one.kept.chains.ours;
    one.restore(&copy);
    one.known = Head::ORIGIN;
    one.enter(entry(10, "RH8"));
    one.write(NOW);
    assert_eq!(
        one.kept.chains.ours, copy.chains.ours,
        "it does not write yet"
    );
    settle(&mut one, &mut other, &mut rng);
    assert_eq!(one.kept.chains.ours.number, before.number + 1);
    assert_eq!(other.kept.chains.theirs, one.kept.chains.ours);
    assert_eq!(one.kept.accounts.len(), 9);
}

#[test]
fn pages_nobody_can_give_back_are_said_to_be_lost_and_the_chain_goes_on_after_them() {
    let mut rng = StdRng::seed_from_u64(3);
    let [mut one, mut other] = pair();
    one.enter(entry(1, "RH8"));
    settle(&mut one, &mut other, &mut rng);
    let copy = one.kept.clone();
    // Written and journaled, never sent; then the store falls back to a copy, not the journal.
    one.enter(entry(2, "RH8"));
    one.write(NOW);
    let lost = one.kept.chains.ours;
    one.restore(&copy);
    assert!(one.known == lost && one.kept.chains.ours != lost);
    one.enter(entry(3, "RH8"));
    settle(&mut one, &mut other, &mut rng);
    assert_eq!(one.kept.chains.ours.number, lost.number + 1);
    assert_eq!(other.kept.chains.theirs, one.kept.chains.ours);
    assert_eq!(other.kept.rewinds.len(), 1);
    // And whoever falls back behind the rewind takes it back with the pages.
    one.restore(&copy);
    one.known = Head::ORIGIN;
    settle(&mut one, &mut other, &mut rng);
    assert_eq!(other.kept.chains.theirs, one.kept.chains.ours);
    assert_eq!(one.kept.rewinds.len(), 1);
    // The reader too.
    other.restore(&copy_of_reader(&copy, &other));
    settle(&mut one, &mut other, &mut rng);
    assert_eq!(other.kept.chains.theirs, one.kept.chains.ours);
}

/// The reader as it was when the writer had one page.
fn copy_of_reader(writer: &Kept, reader: &Side) -> Kept {
    let mut copy = reader.kept.clone();
    copy.chains.theirs = writer.chains.ours;
    copy.rewinds.clear();
    let gone =
        |which: &Which, number: u64| *which == Which::Theirs && number > writer.chains.ours.number;
    copy.pages
        .retain(|(which, number), _| !gone(which, *number));
    copy
}
