use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::orders::{Found, Given, Locked, Ours, Partial, Prepared, Round, Theirs, Unlocked};
use super::*;
use crate::category::Category;
use crate::crypto::hash;
use crate::exchange::answer::Verdict;
use crate::exchange::bundle::stream::{Opening, sealed};
use crate::exchange::bundle::{Content, Item, Manifest, Root};
use crate::exchange::testing::{defaults, pairs};
use crate::ids::{Commitment, ExchangeId, Fixed, Hash};
use crate::index::key::IndexKey;
use crate::index::testing::people;
use crate::limits::BUNDLE_CHUNK;

mod faults;
mod hostile;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MATCH: MatchId = MatchId::new([6; 32]);

/// Somebody both look after, as one side knows them.
#[derive(Clone)]
struct Known {
    key: IndexKey,
    active: bool,
    news: bool,
    body: Vec<u8>,
}

/// What one side has on disk.
#[derive(Clone, Default)]
struct Disk {
    round: Option<Round>,
    over: Vec<RoundId>,
    given: Given,
    ours: BTreeMap<u32, Ours>,
    theirs: Vec<Theirs>,
    begun: Option<(Hash, u64, u64)>,
    /// Sealed chunks, by where they begin.
    spool: BTreeMap<u64, Rc<Vec<u8>>>,
    filed: BTreeMap<ExchangeId, (Vec<u8>, Verdict)>,
    acts: Vec<Act>,
}

impl Disk {
    fn end(&self) -> u64 {
        let last = self.spool.iter().next_back();
        last.map_or(0, |(at, chunk)| at + chunk.len() as u64)
    }

    fn kept(&self) -> Option<Box<Kept>> {
        let round = self.round.clone()?;
        let next = self.theirs.last().map_or(0, |t| t.offset + sealed(t.size));
        let partial = self
            .begun
            .filter(|(_, _, at)| *at == next && self.end() > next);
        Some(Box::new(Kept {
            round,
            given: self.given,
            ours: self
                .ours
                .range(self.given.receipted..)
                .map(|(_, ours)| ours.clone())
                .collect(),
            theirs: self.theirs.clone(),
            partial: partial.map(|(key, size, at)| {
                let mut root = Root::default();
                let chunks = self.spool.range(at..);
                chunks.clone().for_each(|(_, chunk)| root.add(chunk));
                Partial {
                    key,
                    size,
                    chunks: chunks.count() as u64,
                    root,
                }
            }),
        }))
    }
}

/// One side: a machine and what works for it.
struct Side {
    pair: Pair,
    machine: Reconcile,
    known: BTreeMap<Handle, Known>,
    disk: Disk,
    durable: Disk,
    /// What was ordered and is not done yet.
    loads: VecDeque<Load>,
    plain: VecDeque<u8>,
    sent: VecDeque<Vec<u8>>,
    ended: Option<Ended>,
    /// How many keys ever left, and how many bundles of the other were ever opened.
    released: u32,
    opened: u32,
    /// After so many things done its operator calls the round off.
    patience: Option<u32>,
}

impl Side {
    fn new(pair: Pair, known: BTreeMap<Handle, Known>) -> Self {
        Self {
            machine: Reconcile::answer(pair.clone()),
            pair,
            known,
            disk: Disk::default(),
            durable: Disk::default(),
            loads: VecDeque::new(),
            plain: VecDeque::new(),
            sent: VecDeque::new(),
            ended: None,
            released: 0,
            opened: 0,
            patience: None,
        }
    }

    fn active(&self) -> Vec<(Handle, bool)> {
        let active = self.known.iter().filter(|(_, known)| known.active);
        active
            .map(|(handle, known)| (*handle, known.news))
            .collect()
    }

    /// A new conversation: the machine goes on with what is kept, or begins.
    fn begin(&mut self, proposes: bool, rng: &mut StdRng) {
        let pair = self.pair.clone();
        let kept = self.disk.kept().filter(|kept| kept.round.proposed);
        self.machine = match (proposes, kept) {
            (false, _) => Reconcile::answer(pair),
            (true, Some(kept)) => Reconcile::resume(pair, *kept),
            (true, None) => Reconcile::propose(pair, MATCH, self.active()),
        };
        self.ended = None;
        self.loads.clear();
        self.feed(Input::Opened, rng);
    }

    /// Killed: what was not durable may be gone.
    fn kill(&mut self, rng: &mut StdRng) {
        // The journal is a file of its own: it may have lost what the store has, and the store what
        // the journal has.
        let acts = match rng.random() {
            true => self.durable.acts.clone(),
            false => self.disk.acts.clone(),
        };
        if rng.random() {
            self.disk = self.durable.clone();
        }
        self.disk.acts = acts;
        self.durable = self.disk.clone();
        self.machine.state = State::Over;
        self.loads.clear();
    }

    fn feed(&mut self, input: Input<Fact>, rng: &mut StdRng) {
        for output in self.machine.handle(input, NOW, rng) {
            match output {
                Output::Record(act) => self.disk.acts.push(act),
                Output::Save(save) => self.save(save),
                Output::Send(frame) => {
                    self.durable = self.disk.clone();
                    if let Ok(Frame::Key(index, _)) = codec::decode(&frame, MAX_BULK_FRAME) {
                        self.released = self.released.max(index + 1);
                        self.check_key(index);
                    }
                    self.sent.push_back(frame);
                }
                Output::Load(load) => self.loads.push_back(load),
                Output::Close(ended) => {
                    self.durable = self.disk.clone();
                    self.ended = Some(ended);
                }
            }
        }
    }

    /// Before a key leaves it is in the journal that it does, and the window holds.
    fn check_key(&self, index: u32) {
        let (_, exchange) = self.disk.round.as_ref().unwrap().at(index).unwrap();
        let shown = |act: &Act| matches!(act, Act::Shown { exchange: e, .. } if *e == exchange);
        assert!(
            self.durable.acts.iter().any(shown),
            "a key left unjournaled"
        );
        assert!(
            self.released <= self.opened + 1,
            "more than one bundle ahead"
        );
    }

    fn save(&mut self, save: Save) {
        let disk = &mut self.disk;
        match save {
            Save::Round(round) => {
                let (acts, filed) = (disk.acts.clone(), disk.filed.clone());
                let over = disk.over.clone();
                *disk = Disk {
                    round: Some(*round),
                    acts,
                    filed,
                    over,
                    ..Disk::default()
                };
                (self.released, self.opened) = (0, 0);
            }
            Save::Statement(..) => {}
            Save::Given(given) => disk.given = given,
            Save::Begin { key, size, offset } => {
                disk.begun = Some((key, size, offset));
                disk.spool.split_off(&offset);
            }
            Save::Spool(chunk) => {
                let end = disk.end();
                disk.spool.insert(end, Rc::new(chunk));
            }
            Save::Over => disk.over.extend(disk.round.as_ref().map(|round| round.id)),
        }
    }

    /// Does one thing that was ordered; says whether there was one.
    fn work(&mut self, rng: &mut StdRng) -> bool {
        let called_off = self.patience == Some(0);
        let Some(at) = (0..self.loads.len()).rev().find(|at| {
            let waits = matches!(self.loads[*at], Load::Cancellation);
            waits == called_off && (called_off || *at == 0 || rng.random())
        }) else {
            return false;
        };
        self.patience = match self.patience {
            Some(0) => None,
            patience => patience.map(|more| more - 1),
        };
        let load = self.loads.remove(at).unwrap();
        let fact = self.load(load);
        self.feed(Input::Loaded(fact), rng);
        true
    }

    fn load(&mut self, load: Load) -> Fact {
        match load {
            Load::People(of) if of != MATCH => Fact::People(Err(Why::NotMatched)),
            Load::People(_) => Fact::People(Ok(self.active())),
            Load::Recall(_) => Fact::Recalled(self.disk.kept()),
            Load::Prepare { handle, at, .. } => Fact::Prepared(self.prepare(handle, at)),
            Load::Seal(mut sealing) => {
                let wanted = sealing.wanted();
                let plain = self.plain.drain(..wanted).collect();
                let chunk = sealing.seal(plain);
                Fact::Sealed(sealing, chunk)
            }
            Load::Keep(first, ours) => {
                self.disk.ours.extend((first..).zip(ours));
                self.durable = self.disk.clone();
                Fact::Kept
            }
            Load::Hold(first, theirs) => {
                assert_eq!(self.disk.theirs.len(), first as usize);
                self.disk
                    .theirs
                    .extend(theirs.into_iter().map(|(theirs, _)| theirs));
                self.durable = self.disk.clone();
                Fact::Held
            }
            Load::Open(locked) => self.open(locked),
            Load::File(unlocked) => {
                for one in unlocked {
                    let filed = (
                        one.manifest.items[0].hash.as_bytes().to_vec(),
                        one.found.verdict,
                    );
                    let exchange = one.locked.exchange;
                    let before = self.disk.filed.insert(exchange, filed.clone());
                    assert!(before.is_none_or(|before| before == filed), "filed twice");
                    self.disk.theirs[one.locked.index as usize].found = Some(one.found);
                }
                self.durable = self.disk.clone();
                Fact::Filed
            }
            Load::Cancellation => Fact::Cancelled(Why::Cancelled),
        }
    }

    fn prepare(&mut self, handle: Handle, at: Timestamp) -> Prepared {
        let known = &self.known[&handle];
        let manifest = manifest(&self.pair, known, at);
        let head = manifest.head().unwrap();
        self.plain = [&head[..], &known.body].concat().into();
        Prepared {
            counts: manifest.counts(),
            length: self.plain.len() as u64,
            head: hash::bytes(&head),
            person: Commitment(Fixed(handle.0.0)),
        }
    }

    fn open(&mut self, locked: Vec<Locked>) -> Fact {
        let mut unlocked = Vec::new();
        for one in locked {
            let mut opening = Opening::new(&one.key, one.context, one.theirs.size);
            let end = one.theirs.offset + sealed(one.theirs.size);
            for (_, chunk) in self.disk.spool.range(one.theirs.offset..end) {
                if let Err(bad) = opening.open(&mut chunk.to_vec()) {
                    return Fact::Opened(unlocked, Some(bad));
                }
            }
            let manifest = match opening.finish() {
                Ok(manifest) => manifest,
                Err(bad) => return Fact::Opened(unlocked, Some(bad)),
            };
            let verdict = match manifest.subject == self.known[&one.handle].key {
                true => Verdict::Opened,
                false => Verdict::WrongPerson,
            };
            self.opened = self.opened.max(one.index + 1);
            let found = Found {
                verdict,
                counts: manifest.counts(),
                person: Commitment(Fixed(one.handle.0.0)),
            };
            unlocked.push(Unlocked {
                locked: one,
                manifest,
                found,
            });
        }
        Fact::Opened(unlocked, None)
    }
}

fn manifest(pair: &Pair, known: &Known, at: Timestamp) -> Manifest {
    Manifest {
        author: pair.me.clone(),
        as_of: at,
        subject: known.key,
        items: vec![Item {
            content: Content::Record {
                category: Category::CarePlans,
                kind: "CarePlan".into(),
                id: "1".into(),
                urn: None,
            },
            length: known.body.len() as u64,
            hash: hash::bytes(&known.body),
        }],
    }
}

/// Two sides that both look after `count` people.
fn sides(count: u32) -> [Side; 2] {
    let (one, two) = pairs(defaults());
    let known = |who: u8| -> BTreeMap<Handle, Known> {
        let all = people(0..count).into_iter().zip(0_u32..);
        all.map(|(key, number)| {
            let handle = Handle(hash::bytes(&number.to_le_bytes()).0);
            // Every seventh bundle has several chunks.
            let long = if number % 7 == 3 {
                3 * BUNDLE_CHUNK
            } else {
                40
            };
            let known = Known {
                key,
                active: true,
                news: true,
                body: vec![who ^ number as u8; long],
            };
            (handle, known)
        })
        .collect()
    };
    [Side::new(one, known(1)), Side::new(two, known(2))]
}

/// What becomes of a frame from this side: what arrives, or that the line is cut.
type Line<'a> = dyn FnMut(usize, Vec<u8>, &mut StdRng) -> Option<Vec<Vec<u8>>> + 'a;

/// Runs one conversation: frames and work in any order, each frame through `line`, which may say
/// that the line is cut. Says whether both waited for each other.
fn run(sides: &mut [Side; 2], rng: &mut StdRng, line: &mut Line<'_>) -> bool {
    let mut waited = false;
    sides[1].sent.clear();
    sides[0].sent.clear();
    sides[1].begin(false, rng);
    sides[0].begin(true, rng);
    while sides.iter().any(|side| side.ended.is_none()) {
        let from = usize::from(rng.random::<bool>());
        let to = 1 - from;
        if rng.random() && sides[from].work(rng) {
            continue;
        }
        if let Some(frame) = sides[from].sent.pop_front() {
            match line(from, frame, rng) {
                Some(frames) => {
                    for frame in frames {
                        sides[to].feed(Input::Received(frame), rng);
                    }
                }
                None => break,
            }
        } else if sides[from].ended.is_some() || sides[to].ended.is_some() {
            // Whoever has ended has closed the stream; the last words were heard.
            if sides[to].sent.is_empty() && sides[from].sent.is_empty() {
                break;
            }
        } else if sides.iter().all(|side| {
            side.sent.is_empty()
                && side
                    .loads
                    .iter()
                    .all(|load| matches!(load, Load::Cancellation))
        }) {
            waited = true;
            break;
        }
    }
    for side in sides {
        side.feed(Input::Lost, rng);
        while side.ended.is_none() && !side.loads.is_empty() {
            side.work(rng);
        }
    }
    waited
}

fn quiet(_: usize, frame: Vec<u8>, _: &mut StdRng) -> Option<Vec<Vec<u8>>> {
    Some(vec![frame])
}

/// Both showed the other everything, once, and both know it.
fn assert_done(sides: &[Side; 2], count: u32) {
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        let round = side.disk.round.as_ref().unwrap();
        assert_eq!(round.len(), count);
        assert_eq!((side.released, side.opened), (count, count));
        assert_eq!(side.disk.given.receipted, count);
        assert_eq!(side.disk.filed.len(), count as usize);
        for index in 0..count {
            let (handle, exchange) = round.at(index).unwrap();
            let (body, verdict) = &side.disk.filed[&exchange];
            assert_eq!(*verdict, Verdict::Opened);
            let shown = hash::bytes(&other.known[&handle].body);
            assert_eq!(body, shown.as_bytes());
        }
        let received = |act: &&Act| matches!(act, Act::Received { .. });
        assert!(side.disk.acts.iter().filter(received).count() >= count as usize);
    }
}

#[test]
fn both_show_each_other_everybody_in_step() {
    let rng = &mut StdRng::seed_from_u64(1);
    for count in [1, 2, 3, 10, 100] {
        let mut sides = sides(count);
        assert!(!run(&mut sides, rng, &mut quiet));
        for side in &sides {
            let ended = side.ended.as_ref().unwrap();
            assert_eq!(ended.how, End::Done, "{count}");
            assert_eq!((ended.totals.given, ended.totals.taken), (count, count));
            assert_eq!(ended.totals.round, Some(side.disk.over[0]));
        }
        assert_done(&sides, count);
        assert_ne!(
            sides[0].disk.round.as_ref().unwrap().leads,
            sides[1].disk.round.as_ref().unwrap().leads
        );
    }
}

#[test]
fn keys_leave_in_the_order_that_keeps_both_one_ahead_at_most() {
    let mut keys = Vec::new();
    let rng = &mut StdRng::seed_from_u64(2);
    let mut sides = sides(12);
    run(&mut sides, rng, &mut |from, frame, _| {
        if let Ok(Frame::Key(index, _)) = codec::decode(&frame, MAX_BULK_FRAME) {
            keys.push((from, index));
        }
        Some(vec![frame])
    });
    let leads = keys[0].0;
    let turns: Vec<_> = keys
        .chunk_by(|one, other| one.0 == other.0)
        .map(<[_]>::len)
        .collect();
    // A1 | B1 B2 | A2 A3 | …: two at most, and whoever leads begins with one.
    assert_eq!(turns[0], 1);
    assert!(turns.iter().all(|turn| *turn <= 2), "{turns:?}");
    assert!(keys.iter().filter(|(from, _)| *from == leads).count() == 12);
}

#[test]
fn only_people_active_on_both_sides_with_news_on_one_are_in_a_round() {
    let rng = &mut StdRng::seed_from_u64(3);
    let mut sides = sides(6);
    let handles: Vec<_> = sides[0].known.keys().copied().collect();
    let mut set = |side: usize, person: usize, active, news| {
        let known = sides[side].known.get_mut(&handles[person]).unwrap();
        (known.active, known.news) = (active, news);
    };
    set(0, 0, false, true);
    set(1, 1, false, true);
    set(0, 2, true, false);
    set(0, 3, true, false);
    set(1, 3, true, false);
    sides[1].known.remove(&handles[4]);
    run(&mut sides, rng, &mut quiet);
    let round = sides[0].disk.round.as_ref().unwrap();
    let people: BTreeSet<_> = round.people.iter().copied().collect();
    assert_eq!(people, BTreeSet::from([handles[2], handles[5]]));
    for side in &mut sides {
        side.known.values_mut().for_each(|known| known.news = false);
        side.disk.round = None;
    }
    run(&mut sides, rng, &mut quiet);
    for side in &sides {
        assert_eq!(side.ended.as_ref().unwrap().how, End::Nothing);
        assert!(side.disk.round.is_none());
    }
}

#[test]
fn a_bundle_about_somebody_else_is_quarantined_and_the_round_goes_on() {
    let rng = &mut StdRng::seed_from_u64(4);
    let mut sides = sides(4);
    let handle = *sides[0].known.keys().next().unwrap();
    sides[0].known.get_mut(&handle).unwrap().key = people(90..91)[0];
    run(&mut sides, rng, &mut quiet);
    for side in &sides {
        assert_eq!(side.ended.as_ref().unwrap().how, End::Done);
        assert_eq!(side.ended.as_ref().unwrap().totals.quarantined, 1);
        let wrong = |act: &&Act| matches!(act, Act::ReceiptHeard { filed: false, .. });
        assert_eq!(side.disk.acts.iter().filter(wrong).count(), 1);
    }
}

#[test]
fn an_operator_calls_it_off_and_the_other_side_hears_so() {
    let rng = &mut StdRng::seed_from_u64(5);
    let mut sides = sides(20);
    let mut frames = 0;
    run(&mut sides, rng, &mut |_, frame, _| {
        frames += 1;
        (frames < 200).then(|| vec![frame])
    });
    assert!(
        sides
            .iter()
            .all(|side| side.ended.as_ref().unwrap().how.goes_on())
    );
    sides[0].begin(true, rng);
    sides[0].feed(Input::Loaded(Fact::Cancelled(Why::Cancelled)), rng);
    let ended = sides[0].ended.clone().unwrap();
    let by_peer = false;
    assert_eq!(
        ended.how,
        End::Stopped {
            why: Why::Cancelled,
            by_peer
        }
    );
    assert_eq!(sides[0].disk.over.len(), 1);
    let last = sides[0].sent.pop_back().unwrap();
    assert_eq!(
        codec::decode(&last, 100),
        Ok(Frame::Stopped(Why::Cancelled))
    );
}

#[test]
fn what_was_opened_before_a_round_was_called_off_is_filed_and_in_the_journal() {
    let mut partly = 0;
    for seed in 0..200 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut sides = sides(20);
        sides[usize::from(rng.random::<bool>())].patience = Some(rng.random_range(0..150));
        run(&mut sides, rng, &mut quiet);
        for side in &sides {
            let received = |act: &&Act| matches!(act, Act::Received { .. });
            let received = side.disk.acts.iter().filter(received).count();
            let opened = side.opened as usize;
            assert_eq!(
                (side.disk.filed.len(), received),
                (opened, opened),
                "{seed}"
            );
            assert!(
                side.ended.is_some() && side.released <= side.opened + 1,
                "{seed}"
            );
            partly += usize::from(opened > 0 && opened < 20);
        }
    }
    assert!(partly > 50, "{partly}");
}
