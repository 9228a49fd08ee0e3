use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::frame::Frame;
use super::links::Link;
use super::said::Nonce;
use super::*;
use crate::conversation::pair::{self, End, Side};
use crate::crypto::sign::KeyPair;
use crate::ids::{FederationId, Handle, MatchId, Point};
use crate::index::advert::own::{Blinding, Slot};
use crate::index::evidence::Evidence;
use crate::index::key::IndexKey;
use crate::index::testing::people;

mod figures;
mod hostile;

const FEDERATION: FederationId = FederationId::new([9; 32]);
const NOW: Timestamp = Timestamp(1_000_000);

/// A member with its advert, and who is in it.
struct Member {
    node: KeyPair,
    own: Arc<Own>,
    keys: Vec<IndexKey>,
}

impl Member {
    fn new(code: &str, seed: u8, numbers: Range<u32>) -> Self {
        let keys = people(numbers);
        let rng = &mut StdRng::seed_from_u64(seed.into());
        let blinding = Blinding::generate(&FEDERATION, 4, rng);
        let entries = blinding.entries(&keys);
        Self {
            keys,
            ..Self::with(code, seed, &blinding, entries)
        }
    }

    /// One who advertises whatever it likes.
    fn with(code: &str, seed: u8, blinding: &Blinding, entries: Vec<Point>) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed.into());
        let node = KeyPair::from_seed(&[seed; 32]);
        let code = code.parse().unwrap();
        let own = Own::first(code, blinding, entries, &node, NOW, rng).unwrap();
        Self {
            node,
            own: Arc::new(own),
            keys: Vec::new(),
        }
    }

    fn code(&self) -> &OdsCode {
        &self.own.advert().header().member
    }

    fn against(&self, peer: &Self, before: Before) -> Match {
        Match::new(Setup {
            own: Arc::clone(&self.own),
            peer: Arc::new(peer.own.advert().clone()),
            node: self.node.clone(),
            peer_node: peer.node.public(),
            kept: before.kept,
            heard: before.heard,
        })
    }

    /// Whom the links are about.
    fn linked(&self, links: &[Link]) -> BTreeMap<IndexKey, Handle> {
        let person = |link: &Link| match self.own.slot(link.position) {
            Some(Slot::Person(number)) => (self.keys[number as usize], link.handle),
            other => panic!("a link to {other:?}"),
        };
        links.iter().map(person).collect()
    }

    /// The position of a person's entry.
    fn position(&self, person: u32) -> u32 {
        let count = self.own.advert().header().count;
        let is = |position: &u32| self.own.slot(*position) == Some(Slot::Person(person));
        (0..count).find(is).unwrap()
    }
}

/// What one side kept of a match that was cut.
#[derive(Debug, Clone, Default)]
struct Before {
    kept: Kept,
    heard: Vec<Tag>,
}

/// What one side was left with.
struct Left {
    outcome: Outcome,
    before: Before,
    tables: Option<Tables>,
    links: Option<Matched>,
    acts: Vec<Act>,
}

impl Left {
    fn matched(&self) -> &Matched {
        match &self.outcome {
            Outcome::Matched(matched) => {
                assert_eq!(self.links.as_ref(), Some(&**matched), "links are saved");
                matched
            }
            Outcome::Failed(failed) => panic!("{failed:?}"),
        }
    }

    fn failed(&self) -> (Reason, bool) {
        match &self.outcome {
            Outcome::Failed(failed) => {
                assert_eq!(self.links, None, "no links are saved");
                (failed.reason, failed.said_by_peer)
            }
            Outcome::Matched(matched) => panic!("{matched:?}"),
        }
    }

    fn evidence(&self) -> &Evidence {
        match &self.outcome {
            Outcome::Failed(failed) => failed.evidence.as_ref().unwrap(),
            Outcome::Matched(matched) => panic!("{matched:?}"),
        }
    }
}

type Work<'a> = Box<dyn FnMut(Job) -> Fact + 'a>;
type Line<'a> = &'a mut dyn FnMut(Side, Vec<u8>) -> Option<Vec<u8>>;

fn honest<'a>() -> Work<'a> {
    Box::new(|job| job::run(&job))
}

/// Runs a match to its end.
fn play(
    sides: (&Member, &Member),
    before: (Before, Before),
    work: (Work<'_>, Work<'_>),
    line: Line<'_>,
) -> (Left, Left) {
    let (a, b) = sides;
    let mut left = End::new(a.against(b, before.0.clone()), work.0);
    let mut right = End::new(b.against(a, before.1.clone()), work.1);
    let rng = &mut StdRng::seed_from_u64(77);
    pair::run(&mut left, &mut right, NOW, rng, line);
    (end(left, before.0), end(right, before.1))
}

fn end(end: End<'_, Match>, mut before: Before) -> Left {
    let (mut links, mut tables) = (None, None);
    for save in end.saved {
        match save {
            Save::Kept(newer) => before.kept = *newer,
            Save::Heard(_, tags) => before.heard.extend(tags::from_bytes(&tags.0).unwrap()),
            Save::Links(matched, found) => (links, tables) = (Some(*matched), Some(found)),
        }
    }
    Left {
        outcome: end.outcome.expect("every match ends"),
        before,
        tables,
        links,
        acts: end.acts,
    }
}

fn plain(a: &Member, b: &Member) -> (Left, Left) {
    let line: Line<'_> = &mut |_, frame| Some(frame);
    play((a, b), Default::default(), (honest(), honest()), line)
}

fn decode(frame: &[u8]) -> Frame {
    codec::decode(frame, MAX_BULK_FRAME).unwrap()
}

#[test]
fn each_side_learns_exactly_the_people_both_hold() {
    let (a, b) = (
        Member::new("RH8", 1, 0..300),
        Member::new("L83024", 2, 250..600),
    );
    let (left, right) = plain(&a, &b);
    let (ours, theirs) = (left.matched(), right.matched());
    let both: BTreeSet<_> = people(250..300).into_iter().collect();
    let linked = a.linked(&ours.links);
    assert!(linked.keys().eq(&both));
    // What the peer showed for whom, and would show, meets in exactly these people.
    let Tables { heard, expected } = left.tables.as_ref().unwrap();
    assert_eq!((heard.len(), expected.len()), (300, 2048));
    let hit = |(tag, _): &&(Tag, u32)| expected.binary_search_by_key(tag, |(t, _)| *t).is_ok();
    assert_eq!(heard.iter().filter(hit).count(), 50);
    assert_eq!(linked, b.linked(&theirs.links), "one handle for one person");
    assert_eq!(linked.values().collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(ours.match_id, theirs.match_id);
    assert_eq!((ours.ours_only, ours.theirs_only), (0, 0));
    let kinds: Vec<_> = left.acts.iter().map(mem::discriminant).collect();
    assert_eq!(
        kinds,
        right.acts.iter().map(mem::discriminant).collect::<Vec<_>>()
    );
    assert!(matches!(
        left.acts[..],
        [
            Act::TagsCommitted { .. },
            Act::TagsHeard { .. },
            Act::Matched { links: 50, .. }
        ]
    ));
}

#[test]
fn nobody_in_common_or_nobody_at_all_gives_no_links() {
    let a = Member::new("RH8", 1, 0..30);
    for b in [
        Member::new("L83024", 2, 40..60),
        Member::new("912", 3, 0..0),
    ] {
        let (left, right) = plain(&a, &b);
        assert_eq!(left.matched().links, []);
        assert_eq!(right.matched().links, []);
    }
}

#[test]
fn adverts_of_several_chunks_and_links_of_several_batches_match() {
    let (a, b) = (
        Member::new("RH8", 1, 0..4500),
        Member::new("L83024", 2, 200..9000),
    );
    // A second frame of candidates goes out only when one of the other side's has come: sent all at
    // once, both sides would write and neither read.
    let (mut ahead, mut most) = ([0_i32; 2], 0);
    let line: Line<'_> = &mut |side, frame| {
        if let Frame::Candidates { .. } = decode(&frame) {
            ahead[side as usize] += 1;
            most = most.max((ahead[0] - ahead[1]).abs());
        }
        Some(frame)
    };
    let (left, right) = play((&a, &b), Default::default(), (honest(), honest()), line);
    assert_eq!((ahead, most), ([2, 2], 1));
    let linked = a.linked(&left.matched().links);
    assert_eq!(linked.len(), 4300);
    assert_eq!(linked, b.linked(&right.matched().links));
}

#[test]
fn same_number_with_another_date_of_birth_is_nobody_in_common() {
    let mut b = Member::new("L83024", 2, 0..0);
    let mut other = people(5..6)[0];
    other.born = crate::time::Date::new(1900, 1, 1).unwrap();
    let rng = &mut StdRng::seed_from_u64(2);
    let blinding = Blinding::generate(&FEDERATION, 4, rng);
    b.own = Member::with("L83024", 2, &blinding, blinding.entries(&[other])).own;
    let (left, _) = plain(&Member::new("RH8", 1, 0..30), &b);
    assert_eq!(left.matched().links, []);
}

/// Jobs done once per match: a match that is taken up again asks for the very same ones.
#[derive(Default)]
struct Memo(RefCell<BTreeMap<(OdsCode, MatchId, u32), Fact>>);

impl Memo {
    fn work(&self) -> Work<'_> {
        Box::new(|job| {
            let (ground, chunk) = match &job {
                Job::Raise { ground, chunk } => (ground, *chunk),
                Job::Canaries { ground } => (ground, u32::MAX),
                _ => return job::run(&job),
            };
            let key = (ground.we().clone(), ground.match_id, chunk);
            let mut memo = self.0.borrow_mut();
            memo.entry(key).or_insert_with(|| job::run(&job)).clone()
        })
    }
}

#[test]
fn a_match_cut_at_any_message_is_taken_up_again_and_finds_the_same() {
    let (a, b) = (
        Member::new("RH8", 1, 0..40),
        Member::new("L83024", 2, 20..60),
    );
    let memo = Memo::default();
    let mut frames = 0;
    let run = |kept: (Before, Before), line: Line<'_>| {
        play((&a, &b), kept, (memo.work(), memo.work()), line)
    };
    let (whole, _) = run(Default::default(), &mut |_, frame| {
        frames += 1;
        Some(frame)
    });
    let expected = a.linked(&whole.matched().links);
    assert_eq!((expected.len(), frames), (20, 2 + 2 + 2 + 128 + 2 + 2 + 2));
    for cut in 0..frames {
        let mut left = cut;
        let first = run(Default::default(), &mut |_, frame| {
            left -= i32::from(left >= 0);
            (left >= 0).then_some(frame)
        });
        let before = (first.0.before.clone(), first.1.before.clone());
        let heard = (before.0.heard.len() + before.1.heard.len()) / 32;
        let mut shown = 0;
        let second = run(before, &mut |_, frame| {
            shown += usize::from(matches!(decode(&frame), Frame::Tags { .. }));
            Some(frame)
        });
        assert_eq!(heard + shown, 128, "no chunk is shown twice; cut at {cut}");
        assert_eq!(
            a.linked(&second.0.matched().links),
            expected,
            "cut at {cut}"
        );
        assert_eq!(
            b.linked(&second.1.matched().links),
            expected,
            "cut at {cut}"
        );
        for (first, second) in [(&first.0, &second.0), (&first.1, &second.1)] {
            let acts = [first.acts.as_slice(), &second.acts].concat();
            assert_eq!(
                acts.len(),
                3,
                "each word is journaled once; cut at {cut}: {acts:?}"
            );
            assert!(matches!(first.outcome, Outcome::Matched(_)) || first.failed().0.passes());
        }
    }
}

#[test]
fn what_must_outlive_a_crash_is_saved_before_what_depends_on_it_is_sent() {
    let (a, b) = (Member::new("RH8", 1, 0..9), Member::new("L83024", 2, 0..9));
    let (mut one, mut two) = (
        a.against(&b, Before::default()),
        b.against(&a, Before::default()),
    );
    let rng = &mut StdRng::seed_from_u64(5);
    let mut trace = String::new();
    let mut to_one = VecDeque::new();
    let mut to_two = VecDeque::from([Input::Opened]);
    to_one.push_back(Input::Opened);
    while !(to_one.is_empty() && to_two.is_empty()) {
        for (machine, mine, others, traced) in [(&mut one, 0, 1, true), (&mut two, 1, 0, false)] {
            let queues = [&mut to_one, &mut to_two];
            let Some(input) = queues[mine].pop_front() else {
                continue;
            };
            for output in machine.handle(input, NOW, rng) {
                let word = match output {
                    Output::Record(Act::TagsCommitted { .. }) => "committed ",
                    Output::Record(Act::TagsHeard { .. }) => "heard ",
                    Output::Record(_) => "matched ",
                    Output::Save(Save::Kept(_)) => "keep ",
                    Output::Save(Save::Heard(..)) => "",
                    Output::Save(Save::Links(..)) => "links ",
                    Output::Load(job) => {
                        let fact = job::run(&job);
                        [&mut to_one, &mut to_two][mine].push_back(Input::Loaded(fact));
                        ""
                    }
                    Output::Close(_) => "close",
                    Output::Send(frame) => {
                        let word = match decode(&frame) {
                            Frame::Hello { .. } => "HELLO ",
                            Frame::Nonce(_) => "NONCE ",
                            Frame::Commitment { .. } => "COMMITMENT ",
                            Frame::Tags { chunk: 0, .. } => "TAGS ",
                            Frame::Candidates { .. } => "CANDIDATES ",
                            Frame::Proofs(_) => "PROOFS ",
                            Frame::Done => "DONE ",
                            _ => "",
                        };
                        [&mut to_one, &mut to_two][others].push_back(Input::Received(frame));
                        word
                    }
                };
                if traced {
                    trace.push_str(word);
                }
            }
        }
    }
    assert_eq!(
        trace,
        "HELLO keep NONCE committed keep COMMITMENT heard keep TAGS CANDIDATES PROOFS \
         links matched keep DONE close"
    );
}

#[test]
fn an_outdated_advert_on_either_side_stops_a_match_before_it_begins() {
    let (a, b) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let rng = &mut StdRng::seed_from_u64(9);
    let more = b.own.blinding().entries(&people(40..41));
    let newer = b.own.next(more, &b.node, NOW, rng).unwrap();
    let newer = Member {
        own: Arc::new(newer),
        node: b.node.clone(),
        keys: Vec::new(),
    };
    let mut left = End::new(a.against(&b, Before::default()), |job| job::run(&job));
    let mut right = End::new(newer.against(&a, Before::default()), |job| job::run(&job));
    pair::run(&mut left, &mut right, NOW, rng, &mut |_, frame| Some(frame));
    let (left, right) = (end(left, Before::default()), end(right, Before::default()));
    assert_eq!(left.failed(), (Reason::Stale, false));
    assert_eq!(right.failed().0, Reason::Stale);
    assert_eq!((left.acts, right.acts), (vec![], vec![]));
}

#[test]
fn silence_unknown_kinds_nonsense_and_words_out_of_turn_are_named() {
    let (a, b) = (Member::new("RH8", 1, 0..9), Member::new("L83024", 2, 0..9));
    let rng = &mut StdRng::seed_from_u64(5);
    let mut told = |input: Input<Fact>| {
        let mut machine = a.against(&b, Before::default());
        machine.handle(Input::Opened, NOW, rng);
        assert_eq!(machine.deadline(), Some(NOW + SILENCE));
        let mut out = machine.handle(input, NOW, rng);
        assert_eq!(machine.deadline(), None);
        assert!(machine.handle(Input::Lost, NOW, rng).is_empty());
        match out.pop() {
            Some(Output::Close(Outcome::Failed(failed))) => failed.reason,
            _ => panic!("it goes on"),
        }
    };
    assert_eq!(told(Input::DeadlinePassed), Reason::Silent);
    assert_eq!(told(Input::Lost), Reason::Lost);
    assert_eq!(told(Input::Opened), Reason::Internal);
    assert_eq!(told(Input::Loaded(Fact::Unfit)), Reason::Internal);
    assert_eq!(told(Input::Received(vec![9, 0])), Reason::Unsupported);
    assert_eq!(told(Input::Received(vec![])), Reason::Malformed);
    assert_eq!(told(Input::Received(vec![1, 2, 3])), Reason::Malformed);
    let done = codec::encode(&Frame::Done);
    assert_eq!(told(Input::Received(done)), Reason::OutOfTurn);
}

#[test]
fn who_is_at_work_says_so_and_is_waited_for() {
    let (a, b) = (
        Member::new("RH8", 1, 0..9),
        Member::new("L83024", 2, 0..4500),
    );
    let rng = &mut StdRng::seed_from_u64(5);
    let (mut one, mut two) = (
        a.against(&b, Before::default()),
        b.against(&a, Before::default()),
    );
    let sent = |out: Outputs| -> Vec<Vec<u8>> {
        let frame = |output| match output {
            Output::Send(frame) => Some(frame),
            _ => None,
        };
        out.into_iter().filter_map(frame).collect()
    };
    let hello = sent(two.handle(Input::Opened, NOW, rng)).remove(0);
    let first = sent(one.handle(Input::Opened, NOW, rng)).remove(0);
    one.handle(Input::Received(hello), NOW, rng);
    let nonce = sent(two.handle(Input::Received(first), NOW, rng)).remove(0);
    let mut out = one.handle(Input::Received(nonce), NOW, rng);
    let Some(Output::Load(job)) = out.pop() else {
        panic!("no job");
    };
    assert_eq!(
        one.deadline(),
        None,
        "nobody waits for the peer while at work"
    );
    let later = NOW + SIGN_OF_LIFE;
    let out = one.handle(Input::Loaded(job::run(&job)), later, rng);
    assert!(sent(out).contains(&codec::encode(&Frame::Working)));
    let before = two.deadline();
    assert!(
        two.handle(Input::Received(codec::encode(&Frame::Working)), later, rng)
            .is_empty()
    );
    assert!(two.deadline() > before);
}
