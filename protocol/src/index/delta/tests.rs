use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::frame::Frame;
use super::job::Next;
use super::*;
use crate::conversation::pair::{self, End as Conversing, Side};
use crate::crypto::blind::Secret;
use crate::ids::{FederationId, Handle, MatchId, Point};
use crate::index::advert::own::{Blinding, Own, Slot};
use crate::index::key::IndexKey;
use crate::index::matching::links::Tables;
use crate::index::matching::tags::Tag;
use crate::index::matching::{self, Match};
use crate::index::testing::people;

mod hostile;

const FEDERATION: FederationId = FederationId::new([9; 32]);
const NOW: Timestamp = Timestamp(1_000_000);

/// A member that has been matched with one other.
struct Member {
    node: KeyPair,
    own: Arc<Own>,
    keys: Vec<IndexKey>,
    heard: BTreeMap<Tag, u32>,
    expected: BTreeMap<Tag, u32>,
    /// The peer's entries.
    entries: Vec<Point>,
    links: BTreeMap<IndexKey, Handle>,
    kept: Kept,
    acts: Vec<Act>,
    contact: Option<IndexKey>,
}

impl Member {
    fn new(code: &str, seed: u8, keys: Vec<IndexKey>) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed.into());
        let blinding = Blinding::generate(&FEDERATION, 4, rng);
        let node = KeyPair::from_seed(&[seed; 32]);
        let entries = blinding.entries(&keys);
        let own = Own::first(code.parse().unwrap(), &blinding, entries, &node, NOW, rng);
        Self {
            node,
            own: Arc::new(own.unwrap()),
            keys,
            heard: BTreeMap::new(),
            expected: BTreeMap::new(),
            entries: Vec::new(),
            links: BTreeMap::new(),
            kept: Kept::default(),
            acts: Vec::new(),
            contact: None,
        }
    }

    fn add(&mut self, numbers: Range<u32>) {
        self.add_all(people(numbers));
    }

    fn add_all(&mut self, more: Vec<IndexKey>) {
        let rng = &mut StdRng::seed_from_u64(self.keys.len() as u64);
        let entries = self.own.blinding().entries(&more);
        let own = self.own.with_batch(entries, &self.node, NOW, rng).unwrap();
        self.own = Arc::new(own);
        self.keys.extend(more);
    }

    fn person(&self, position: u32) -> IndexKey {
        match self.own.slot(position) {
            Some(Slot::Person(number)) => self.keys[number as usize],
            None if position == self.own.len() => self.contact.unwrap(),
            other => panic!("a link to {other:?}"),
        }
    }

    fn finish(&mut self, peer: &Self, found: &matching::links::Matched, tables: Tables) {
        self.heard = tables.heard.into_iter().collect();
        self.expected = tables.expected.into_iter().collect();
        self.entries = peer.own.advert().entries().to_vec();
        self.kept.length = self.entries.len() as u32;
        for link in &found.links {
            self.links.insert(self.person(link.position), link.handle);
        }
    }

    fn ground(&self, peer: &Self, match_id: MatchId) -> Arc<Ground> {
        Arc::new(Ground {
            own: Arc::clone(&self.own),
            peer: peer.own.advert().header().clone(),
            theirs: peer.own.advert().signed().hash(),
            match_id,
        })
    }

    fn machine(&self, peer: &Self, match_id: MatchId, part: Part) -> Delta {
        Delta::new(Setup {
            ground: self.ground(peer, match_id),
            node: self.node.clone(),
            peer_node: peer.node.public(),
            kept: self.kept.clone(),
            additions_per_day: 2000,
            cap: 5000,
            part,
        })
    }

    fn work(&self, load: &Load) -> Fact {
        let look = |tags: &[Tag], all: &BTreeMap<Tag, u32>| -> Vec<Option<u32>> {
            tags.iter().map(|tag| all.get(tag).copied()).collect()
        };
        match load {
            Load::Batch(number) => {
                let made = self.own.batches().get(*number as usize - 1);
                Fact::Next(made.cloned().map(Next::Batch))
            }
            Load::Contact => {
                let entries = self.own.blinding().entries(&[self.contact.unwrap()]);
                Fact::Next(Some(Next::Contact(entries[0])))
            }
            Load::Heard(tags) => Fact::Heard(
                look(tags, &self.heard),
                tags.iter().any(|tag| self.expected.contains_key(tag)),
            ),
            Load::Expected(tags, positions) => {
                let entry = |at: &u32| self.entries.get(*at as usize).copied();
                let entries = positions.iter().map(entry).collect();
                Fact::Expected(look(tags, &self.expected), entries)
            }
            other => job::run(other).unwrap(),
        }
    }

    fn keep(&mut self, save: &Save) {
        match save {
            Save::Kept(kept) => self.kept = (**kept).clone(),
            Save::Entries {
                from,
                entries,
                expected,
            } => {
                assert_eq!(*from as usize, self.entries.len());
                let entries = crate::index::advert::from_bytes(&entries.0);
                self.entries.extend(entries.unwrap());
                self.expected.extend(expected.iter().copied());
            }
            Save::Heard(heard) => self.heard.extend(heard.iter().copied()),
            Save::Links(links) => {
                for link in links {
                    self.links.insert(self.person(link.position), link.handle);
                }
            }
        }
    }
}

/// Two members and the match they finished.
struct Two {
    a: Member,
    b: Member,
    match_id: MatchId,
}

type Line<'a> = &'a mut dyn FnMut(Side, Vec<u8>) -> Option<Vec<u8>>;

fn straight() -> impl FnMut(Side, Vec<u8>) -> Option<Vec<u8>> {
    |_, frame| Some(frame)
}

impl Two {
    fn matched(a: Range<u32>, b: Range<u32>) -> Self {
        Self::matched_of(people(a), people(b))
    }

    fn matched_of(a: Vec<IndexKey>, b: Vec<IndexKey>) -> Self {
        let (mut a, mut b) = (Member::new("RH8", 1, a), Member::new("L83024", 2, b));
        let machine = |own: &Member, peer: &Member| {
            Match::new(matching::Setup {
                own: Arc::clone(&own.own),
                peer: Arc::new(peer.own.advert().clone()),
                node: own.node.clone(),
                peer_node: peer.node.public(),
                kept: matching::Kept::default(),
                heard: Vec::new(),
            })
        };
        let run = |job| matching::job::run(&job);
        let mut left = Conversing::new(machine(&a, &b), run);
        let mut right = Conversing::new(machine(&b, &a), run);
        let rng = &mut StdRng::seed_from_u64(3);
        pair::run(&mut left, &mut right, NOW, rng, &mut straight());
        let mut ids = BTreeSet::new();
        let found = |saved: Vec<matching::Save>| {
            saved.into_iter().find_map(|save| match save {
                matching::Save::Links(matched, tables) => Some((*matched, tables)),
                _ => None,
            })
        };
        let (one, two) = (found(left.saved).unwrap(), found(right.saved).unwrap());
        ids.extend([one.0.match_id, two.0.match_id]);
        a.finish(&b, &one.0, one.1);
        b.finish(&a, &two.0, two.1);
        let match_id = ids.pop_first().unwrap();
        assert!(ids.is_empty());
        Self { a, b, match_id }
    }

    /// One delta that `a` begins.
    fn delta(&mut self, part: Part, line: Line<'_>) -> (Outcome, Outcome) {
        let machines = (
            self.a.machine(&self.b, self.match_id, part),
            self.b.machine(&self.a, self.match_id, Part::Answerer),
        );
        let (a, b) = (RefCell::new(&mut self.a), RefCell::new(&mut self.b));
        let mut left = Conversing::new(machines.0, |load: Load| a.borrow().work(&load));
        let mut right = Conversing::new(machines.1, |load: Load| b.borrow().work(&load));
        left.keep = Box::new(|save| a.borrow_mut().keep(save));
        right.keep = Box::new(|save| b.borrow_mut().keep(save));
        let rng = &mut StdRng::seed_from_u64(5);
        pair::run(&mut left, &mut right, NOW, rng, line);
        a.borrow_mut().acts.append(&mut left.acts);
        b.borrow_mut().acts.append(&mut right.acts);
        (left.outcome.take().unwrap(), right.outcome.take().unwrap())
    }

    fn in_full(&mut self) -> (Told, Told) {
        match self.delta(Part::Beginner, &mut straight()) {
            (Outcome::Told(one), Outcome::Told(two)) => (one, two),
            other => panic!("{other:?}"),
        }
    }

    /// Both sides have links to exactly the people both hold, under one handle each.
    fn check(&self) {
        let of = |member: &Member| member.keys.iter().copied().collect::<BTreeSet<_>>();
        let both: BTreeSet<_> = of(&self.a).intersection(&of(&self.b)).copied().collect();
        assert!(self.a.links.keys().copied().eq(both));
        assert_eq!(self.a.links, self.b.links);
    }
}

#[test]
fn batches_both_ways_link_exactly_the_people_both_hold() {
    let mut two = Two::matched(0..40, 20..60);
    two.check();
    // b held 45 all the time; 70 to 79 are new at both; 300 to 359 at one only.
    two.a.add(45..46);
    two.a.add(70..80);
    two.b.add(70..80);
    two.b.add(300..360);
    let (a, b) = two.in_full();
    assert_eq!((a.given, a.taken), (2, 2));
    assert_eq!((b.given, b.taken), (2, 2));
    assert_eq!((a.links, b.links, a.one_sided, b.one_sided), (11, 11, 0, 0));
    two.check();
    // Nothing new: a word each way.
    assert_eq!(two.in_full().0, Told::default());
    // Whom a brought by a batch is found when b brings them by a later one.
    two.a.add(500..503);
    two.in_full();
    two.b.add(501..502);
    assert_eq!(two.in_full().0.links, 1);
    two.check();
}

#[test]
fn one_entry_given_alone_links_one_person_and_what_follows_is_another_conversation() {
    let mut two = Two::matched(0..40, 20..60);
    for (person, links) in [(50, 1), (99, 0)] {
        two.a.contact = Some(people(person..person + 1)[0]);
        let mut frames = Vec::new();
        let ends = two.delta(Part::Contact, &mut |_, frame| {
            frames.push(frame.clone());
            Some(frame)
        });
        let (Outcome::Told(a), Outcome::Told(b)) = &ends else {
            panic!("{ends:?}");
        };
        assert_eq!((a.given, a.links), (1, links));
        assert_eq!((b.taken, b.links), (1, links));
        assert_eq!(frames.len(), 3);
    }
    let known = people(50..51)[0];
    assert_eq!(two.a.links[&known], two.b.links[&known]);
    // They come in a batch later and keep their handle.
    let handle = two.a.links[&known];
    two.a.add(50..51);
    two.in_full();
    two.check();
    assert_eq!(two.a.links[&known], handle);
}

#[test]
fn a_delta_cut_at_any_message_goes_on_and_finds_the_same() {
    let fresh = || {
        let mut two = Two::matched(0..30, 20..60);
        two.a.add(50..55);
        two.a.add(55..57);
        two.b.add(3..5);
        two
    };
    let mut frames = 0;
    fresh().delta(Part::Beginner, &mut |_, frame| {
        frames += 1;
        Some(frame)
    });
    assert_eq!(frames, 3 * 4 + 2);
    for cut in 0..frames {
        let mut two = fresh();
        let mut left = cut;
        let ends = two.delta(Part::Beginner, &mut |_, frame| {
            left -= 1;
            (left >= 0).then_some(frame)
        });
        if let Outcome::Failed(_, failed) = &ends.0 {
            assert_eq!(failed.reason, Reason::Lost, "cut at {cut}");
        }
        two.in_full();
        two.check();
        let answers = |acts: &[Act]| {
            let taken = acts.iter().filter(|act| matches!(act, Act::Taken { .. }));
            taken.count()
        };
        assert_eq!(
            (answers(&two.a.acts), answers(&two.b.acts)),
            (1, 2),
            "each batch is answered once; cut at {cut}"
        );
    }
}

#[test]
fn what_must_outlive_a_crash_is_saved_before_what_depends_on_it_is_sent() {
    let mut two = Two::matched(0..30, 20..60);
    two.a.add(50..55);
    let mut machines = [
        two.a.machine(&two.b, two.match_id, Part::Beginner),
        two.b.machine(&two.a, two.match_id, Part::Answerer),
    ];
    let members = [&two.a, &two.b];
    let rng = &mut StdRng::seed_from_u64(5);
    let mut queues = [
        VecDeque::from([Input::Opened]),
        VecDeque::from([Input::Opened]),
    ];
    let mut traces = [String::new(), String::new()];
    while let Some(mine) = (0..2).find(|at| !queues[*at].is_empty()) {
        let input = queues[mine].pop_front().unwrap();
        for output in machines[mine].handle(input, NOW, rng) {
            traces[mine] += match output {
                Output::Record(_) => "journal ",
                Output::Save(Save::Kept(_)) => "keep ",
                Output::Save(Save::Entries { .. }) => "entries ",
                Output::Save(Save::Heard(_)) => "heard ",
                Output::Save(Save::Links(_)) => "links ",
                Output::Load(load) => {
                    let fact = members[mine].work(&load);
                    queues[mine].push_back(Input::Loaded(fact));
                    ""
                }
                Output::Close(_) => "close",
                Output::Send(frame) => {
                    let word = match codec::decode(&frame, MAX_BULK_FRAME).unwrap() {
                        Frame::Batch { .. } => "BATCH ",
                        Frame::Answer { .. } => "ANSWER ",
                        Frame::Confirm { .. } => "CONFIRM ",
                        Frame::Done => "DONE ",
                        Frame::Turn => "TURN ",
                        other => panic!("{other:?}"),
                    };
                    queues[1 - mine].push_back(Input::Received(frame));
                    word
                }
            };
        }
    }
    assert_eq!(
        traces[0],
        "BATCH journal links keep CONFIRM heard keep TURN close"
    );
    assert_eq!(traces[1], "journal entries keep ANSWER links DONE TURN ");
}

/// Every day some come to one side, some to the other and some to both, and some leave; some days
/// the line is cut. After a month the links are those of a match of everybody made that day.
#[test]
fn thirty_days_of_churn_end_with_the_links_of_a_fresh_match() {
    let rng = &mut StdRng::seed_from_u64(30);
    let mut two = Two::matched(0..200, 150..350);
    let mut left: BTreeSet<IndexKey> = BTreeSet::new();
    let (mut next, mut cuts) = (1000, 0);
    for day in 0..30 {
        let come = |rng: &mut StdRng, next: &mut u32| {
            let from = *next;
            *next += rng.random_range(0..9);
            from..*next
        };
        let (a, b, both) = (
            come(rng, &mut next),
            come(rng, &mut next),
            come(rng, &mut next),
        );
        // Who is new at a was known at b for long, sometimes.
        let late = 200 + day..201 + day;
        let all = |come: &[Range<u32>]| come.iter().cloned().flat_map(people).collect();
        two.a.add_all(all(&[a, both.clone(), late]));
        two.b.add_all(all(&[b, both]));
        for keys in [&two.a.keys, &two.b.keys] {
            left.insert(keys[rng.random_range(0..keys.len())]);
        }
        let mut frames = rng.random_range(2..16);
        let ends = two.delta(Part::Beginner, &mut |_, frame| {
            frames -= 1;
            (frames > 0 || day == 29).then_some(frame)
        });
        cuts += u32::from(matches!(ends.0, Outcome::Failed(..)));
    }
    assert!(cuts > 3, "the line was cut on {cuts} days");
    two.in_full();
    two.check();
    let fresh = Two::matched_of(two.a.keys.clone(), two.b.keys.clone());
    assert!(two.a.links.keys().eq(fresh.a.links.keys()));
    // Of those who are still there, they are those of a match of those who are still there.
    let stay = |keys: &[IndexKey]| -> Vec<_> {
        let there = keys.iter().filter(|key| !left.contains(key));
        there.copied().collect()
    };
    let fresh = Two::matched_of(stay(&two.a.keys), stay(&two.b.keys));
    let links = two.a.links.keys().filter(|key| !left.contains(key));
    assert!(links.eq(fresh.a.links.keys()));
}
