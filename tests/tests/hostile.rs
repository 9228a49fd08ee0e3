//! The attacks of protocol.md section 7 on the index, each by a peer that is a real node on a real
//! connection and drives the protocol's machines itself.
//!
//! Everyday adverts have 3,000 people and two of the runs that hide tags are made.
//! `FAIRSHARE_HOSTILE_ENTRIES=20000 FAIRSHARE_HOSTILE_RUNS=20` is what counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use fairshare_node::engine::drive::now;
use fairshare_node::engine::matching::Error;
use fairshare_node::status;
use fairshare_protocol::codec;
use fairshare_protocol::crypto::blind::{Secret, base_to_each};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Fixed, Handle, MatchId, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Own, Slot};
use fairshare_protocol::index::advert::{Header, Void, cap, chunk_hash, root, to_bytes};
use fairshare_protocol::index::delta;
use fairshare_protocol::index::delta::frame::Frame as Telling;
use fairshare_protocol::index::delta::job::{Fact as Told, Load};
use fairshare_protocol::index::delta::said::{list_hash, most};
use fairshare_protocol::index::evidence::Evidence;
use fairshare_protocol::index::fetch::Failure;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::frame::Frame;
use fairshare_protocol::index::matching::job::{Fact, Job};
use fairshare_protocol::index::matching::links::handle;
use fairshare_protocol::index::matching::tags::{self, Tag, Tagger, order, spans};
use fairshare_protocol::index::matching::{Outcome, reason::Reason};
use fairshare_protocol::journal::Act;
use fairshare_protocol::limits::{BATCH_SIZES, MAX_BULK_FRAME, MAX_CHUNK_ENTRIES};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::statement::Signed;
use fairshare_tests::figures::number;
use fairshare_tests::harness::federation::until;
use fairshare_tests::lying::{
    Liar, Line, Memory, Way, blinded, fetched, keep, publish, straight, truly,
};
use fairshare_tests::mesh::{Mesh, Running, key, match_up};
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng, TryCryptoRng, TryRng};
use rayon::prelude::*;

/// What the roster allows everybody: more than any attack here needs, but for the last.
const POPULATION: u64 = 25_000;
/// People nobody but the liar holds.
const STRANGERS: u32 = 100_000;
/// People nobody but the honest third member holds.
const OTHERS: u32 = 300_000;

/// How many people are in an advert.
fn people() -> u32 {
    number("FAIRSHARE_HOSTILE_ENTRIES", 3000)
}

fn keys(numbers: Range<u32>) -> Vec<IndexKey> {
    numbers.into_par_iter().map(key).collect()
}

/// People only the liar holds: as many as fill an advert in which `beside` entries are others.
fn strangers(beside: usize) -> Vec<IndexKey> {
    keys(STRANGERS..STRANGERS + people() - beside as u32)
}

/// An honest node with an advert of that many people, an honest third, and liars.
struct Scene {
    mesh: Mesh,
    /// The honest node's advert.
    own: Arc<Own>,
}

impl Scene {
    /// With so many liars, of this population.
    async fn with(liars: usize, population: u64) -> Self {
        let codes: Vec<_> = (0..liars).map(|at| format!("L83{at:03}")).collect();
        let mut members = vec![
            ("RH8", MemberKind::AcuteTrust, POPULATION),
            ("912", MemberKind::AdultSocialCare, POPULATION),
        ];
        members.extend(
            codes
                .iter()
                .map(|code| (code.as_str(), MemberKind::GpPractice, population)),
        );
        let mesh = Mesh::sized(&members).await;
        let held = keys(0..people());
        let own = publish(&mesh.all[0], &held, &mut rand::rng(), |blinding| {
            blinded(blinding, &held)
        });
        Self { mesh, own }
    }

    fn honest(&self) -> &Running {
        &self.mesh.all[0]
    }

    fn third(&self) -> &Running {
        &self.mesh.all[1]
    }

    fn liar(&self, at: usize) -> &Running {
        &self.mesh.all[2 + at]
    }

    /// A liar with these people in its advert, truly, and strangers.
    fn lying(&self, at: usize, held: &[IndexKey]) -> Liar<'_> {
        let all = [held, &strangers(held.len())].concat();
        let own = publish(self.liar(at), &all, &mut rand::rng(), |blinding| {
            blinded(blinding, &all)
        });
        Liar::new(self.liar(at), own)
    }

    /// The position of a person's entry in the honest node's advert.
    fn position(&self, person: u32) -> u32 {
        let is = |position: &u32| self.own.slot(*position) == Some(Slot::Person(person));
        (0..self.own.len()).find(is).unwrap()
    }

    /// What the journal refuses this member, in words, in order.
    fn refused(&self, at: usize) -> Vec<String> {
        let code = self.liar(at).code();
        let refused = |act| match act {
            Act::MatchFailed { peer, why } if peer == *code => Some(why),
            Act::Refused {
                peer: Some(peer),
                what,
            } if peer == *code => Some(what),
            _ => None,
        };
        self.honest()
            .acts()
            .into_iter()
            .filter_map(refused)
            .collect()
    }

    fn until_refused(&self, at: usize, reasons: &[&str]) {
        until("it is refused", || self.refused(at).len() >= reasons.len());
        assert_eq!(self.refused(at), reasons);
    }

    /// The links, and candidates only the honest node had, of the match with a liar.
    fn found(&self, at: usize) -> (u64, u32) {
        let code = self.liar(at).code();
        let matched = || self.honest().node.index.matched(code).unwrap();
        until("the honest side has finished", || matched().is_some());
        let matched = matched().unwrap();
        (matched.links, matched.ours_only)
    }

    fn evidence_against(&self, at: usize) -> Vec<Evidence> {
        let index = &self.honest().node.index;
        until("evidence is kept", || !index.evidence().unwrap().is_empty());
        let kept = index.evidence().unwrap();
        let [liar, honest] = [self.liar(at), self.honest()].map(|of| of.node.keys.node.public());
        assert!(kept.iter().all(|it| it.accuses(&liar)));
        assert!(!kept.iter().any(|it| it.accuses(&honest)));
        kept
    }

    /// Nobody has a handle with this liar but these.
    fn check_handles(&self, at: usize, linked: Range<u32>) {
        let (index, code) = (&self.honest().node.index, self.liar(at).code());
        for number in 0..people() + 100 {
            let handle = index.handle(&key(number), code).unwrap();
            assert_eq!(handle.is_some(), linked.contains(&number), "{number}");
        }
    }

    /// A handle the liar can work out names nobody.
    fn check_nobody(&self, at: usize, match_id: &MatchId, handle: &Handle) {
        let named = &self.honest().node.index;
        let named = named.person(self.liar(at).code(), match_id, handle);
        assert_eq!(named.unwrap(), None);
    }

    /// The honest node matches with the honest third as ever.
    async fn end(self) {
        let (one, third) = (self.honest(), self.third());
        third.import_people(0..30).await;
        third.import_people(OTHERS..OTHERS + 40).await;
        let found = match_up(&third.node, one.code()).await.unwrap();
        assert_eq!(found.links, 30);
        for number in [0, 29, 30, OTHERS] {
            let ours = one.node.index.handle(&key(number), third.code()).unwrap();
            let theirs = third.node.index.handle(&key(number), one.code()).unwrap();
            assert_eq!(ours, theirs);
            assert_eq!(ours.is_some(), number < 30);
        }
        self.mesh.stop().await;
    }
}

fn read(frame: &[u8]) -> Frame {
    codec::decode(frame, MAX_BULK_FRAME).unwrap()
}

fn read_telling(frame: &[u8]) -> Telling {
    codec::decode(frame, MAX_BULK_FRAME).unwrap()
}

fn failed(outcome: &Outcome) -> (Reason, bool) {
    match outcome {
        Outcome::Failed(failed) => (failed.reason, failed.said_by_peer),
        Outcome::Matched(matched) => unreachable!("{} links", matched.links.len()),
    }
}

fn broken_off(outcome: &delta::Outcome) -> (delta::reason::Reason, bool) {
    match outcome {
        delta::Outcome::Failed(_, failed) => (failed.reason, failed.said_by_peer),
        delta::Outcome::Told(told) => unreachable!("{told:?}"),
    }
}

fn told(outcome: &delta::Outcome) -> delta::Told {
    match outcome {
        delta::Outcome::Told(told) => *told,
        delta::Outcome::Failed(_, failed) => unreachable!("{failed:?}"),
    }
}

/// Puts the tags of `point` at one position of the peer's advert, as if it were there.
fn plant(job: &Job, fact: Fact, at: u32, point: &Point) -> Fact {
    match (job, fact) {
        (Job::Raise { ground, chunk }, Fact::Raised(mut tags)) => {
            let from = *chunk as usize * MAX_CHUNK_ENTRIES;
            let place = (at as usize).checked_sub(from);
            if let Some(tags) = place.and_then(|place| tags.get_mut(place)) {
                let tag = |raised_by| Tagger::new(&ground.match_id, raised_by).tag(point);
                *tags = (tag(ground.we()), tag(ground.they()));
            }
            Fact::Raised(tags)
        }
        // She knows the shared point, but not a key that makes it of the stranger's entry: her
        // proof is of something that is not so.
        (Job::Share { ground, pairs }, Fact::Shared(_)) => {
            assert_eq!(pairs.len(), 1);
            assert_eq!(ground.split(pairs[0]).1, at, "both list the pair");
            Fact::Shared(vec![*point])
        }
        (_, fact) => fact,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_publishes_g_s_links_nobody_and_is_counted_if_it_hides_the_pair() {
    let scene = Scene::with(1, POPULATION).await;
    let s = Secret::from_uniform(&[66; 64]);
    // The one stranger whose record it wants, at a position it happens to guess.
    let wanted = 7;
    let at = scene.position(wanted);
    let people = strangers(1);
    let own = publish(scene.liar(0), &[], &mut rand::rng(), |blinding| {
        [vec![s.public()], blinded(blinding, &people)].concat()
    });
    let liar = Liar::new(scene.liar(0), own);
    let point = s.raise(&[scene.own.advert().header().key]).unwrap()[0];
    let lie = || Box::new(|job: &Job, fact| plant(job, fact, at, &point));
    // The honest side's own proof is true, so it may believe what it likes.
    liar.match_with(scene.honest(), lie(), straight()).await;
    scene.until_refused(0, &["proof"]);
    let matched = scene.honest().node.index.matched(scene.liar(0).code());
    assert_eq!(matched.unwrap(), None);
    scene.check_handles(0, 0..0);

    // It comes again, the match goes on, and it leaves the pair out: no proof is asked of it.
    let hide: Line<'_> = Box::new(|way, frame| match (way, read(&frame)) {
        (Way::Out, Frame::Candidates { .. }) => {
            let (pairs, last) = (Vec::new(), true);
            Some(codec::encode(&Frame::Candidates { pairs, last }))
        }
        _ => Some(frame),
    });
    liar.match_with(scene.honest(), lie(), hide).await;
    assert_eq!(scene.found(0), (0, 1), "counted as one-sided");
    let one_sided = |act: &Act| {
        matches!(
            act,
            Act::Matched {
                links: 0,
                ours_only: 1,
                ..
            }
        )
    };
    assert!(scene.honest().acts().iter().any(one_sided));
    scene.check_handles(0, 0..0);
    let matched = scene.honest().node.index.matched(scene.liar(0).code());
    let match_id = matched.unwrap().unwrap().match_id;
    scene.check_nobody(0, &match_id, &handle(&match_id, &point));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_of_our_entries_links_nobody_and_its_second_commitment_is_evidence() {
    let scene = Scene::with(1, POPULATION).await;
    let theirs = fetched(scene.liar(0), scene.honest()).await;
    let r = Secret::from_uniform(&[67; 64]);
    let own = publish(scene.liar(0), &[], &mut rand::rng(), |_| {
        let runs = theirs.entries().par_chunks(256);
        runs.flat_map_iter(|run| r.raise(run).unwrap()).collect()
    });
    let liar = Liar::new(scene.liar(0), own);
    // It keeps to the sequence, reads a round, and drops the line.
    let shown = Mutex::new(Vec::new());
    let listen: Line<'_> = Box::new(|way, frame| match (way, read(&frame)) {
        (Way::In, Frame::Tags { tags, .. }) => {
            shown
                .lock()
                .unwrap()
                .extend(tags::from_bytes(&tags.0).unwrap());
            None
        }
        _ => Some(frame),
    });
    let ended = liar.match_with(scene.honest(), truly(), listen).await;
    assert_eq!(failed(&ended), (Reason::Lost, false));
    let shown = shown.into_inner().unwrap();
    assert!(!shown.is_empty());
    // Coming back with the echo, it contradicts what it signed.
    let echo = Box::new(|job: &Job, mut fact| {
        if let (Job::Raise { chunk: 0, .. }, Fact::Raised(tags)) = (job, &mut fact) {
            for (tag, echo) in tags.iter_mut().zip(&shown) {
                tag.0 = *echo;
            }
        }
        fact
    });
    let ended = liar.match_with(scene.honest(), echo, straight()).await;
    assert_eq!(failed(&ended), (Reason::TwoCommitments, true));
    scene.until_refused(0, &["two-commitments"]);
    let kept = scene.evidence_against(0);
    assert!(matches!(kept[..], [Evidence::Commitments(_)]), "{kept:?}");
    scene.check_handles(0, 0..0);
    // Had it kept to it, nothing would have come of it: the tag names who raised.
    let ended = liar.match_with(scene.honest(), truly(), straight()).await;
    assert!(matches!(ended, Outcome::Matched(matched) if matched.links.is_empty()));
    assert_eq!(scene.found(0), (0, 0));
    scene.check_handles(0, 0..0);
    scene.end().await;
}

/// Draws what leaves everything in its order when an advert is shuffled.
struct Unshuffled(u64);

impl TryRng for Unshuffled {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 -= 1;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Unshuffled {}

#[tokio::test(flavor = "multi_thread")]
async fn the_60_people_wanted_most_gain_nothing_by_standing_first() {
    let scene = Scene::with(1, POPULATION).await;
    let all = [keys(0..60), strangers(60)].concat();
    let mut in_order = Unshuffled(cap(all.len() as u64, 1).into());
    let own = publish(scene.liar(0), &all, &mut in_order, |blinding| {
        blinded(blinding, &all)
    });
    assert!((0..60).all(|at| own.slot(at) == Some(Slot::Person(at))));
    let count = own.advert().header().count;
    let liar = Liar::new(scene.liar(0), own);
    let (to_show, to_hear) = (spans(scene.own.advert().header().count), spans(count));
    let heard = Mutex::new((Vec::new(), BTreeSet::new()));
    let match_id = Mutex::new(None);
    let stop: Line<'_> = Box::new(|way, frame| {
        match (way, read(&frame)) {
            (Way::In, Frame::Commitment { commitment, .. }) => {
                *match_id.lock().unwrap() = Some(commitment.peek().unwrap().match_id);
            }
            (Way::In, Frame::Tags { chunk, .. }) => {
                let span = to_hear[chunk as usize];
                let (places, rounds) = &mut *heard.lock().unwrap();
                places.extend(span.from..span.to);
                rounds.insert(span.round);
            }
            // It has shown one round's worth, and stops.
            (Way::Out, Frame::Tags { chunk, .. }) if to_show[chunk as usize].round > 0 => {
                return None;
            }
            _ => {}
        }
        Some(frame)
    });
    let ended = liar.match_with(scene.honest(), truly(), stop).await;
    assert_eq!(failed(&ended), (Reason::Lost, false));
    let (places, rounds) = heard.into_inner().unwrap();
    assert!(
        (1..=2).contains(&rounds.len()),
        "at most a round more than it gave"
    );
    let match_id = match_id.into_inner().unwrap().unwrap();
    let order = order(&match_id, scene.honest().code(), count);
    let told = places.iter().filter(|place| order[**place] < 60).count();
    println!(
        "{} of {count} entries heard in {} rounds: {told} of the 60 wanted among them",
        places.len(),
        rounds.len()
    );
    assert!(told < 10, "{told} of the 60 wanted");
    // What broke off passes: it is no refusal, and there is nothing to honour.
    assert_eq!(scene.refused(0), Vec::<String>::new());
    let begun = |act: &Act| matches!(act, Act::TagsHeard { .. });
    assert!(scene.honest().acts().iter().any(begun));
    let matched = scene.honest().node.index.matched(scene.liar(0).code());
    assert_eq!(matched.unwrap(), None);
    scene.check_handles(0, 0..0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_members_entries_relayed_or_blinded_again_link_nobody_and_show_nothing() {
    let scene = Scene::with(3, POPULATION).await;
    // The first of them is no liar here: half of its people are the honest node's.
    let half = people() / 2;
    let true_one = scene.lying(0, &keys(0..half));
    let stolen = fetched(scene.liar(1), scene.liar(0)).await;
    let r = Secret::from_uniform(&[68; 64]);
    let hear = async |liar: &Liar<'_>| {
        let heard = Mutex::new(BTreeSet::new());
        let listen: Line<'_> = Box::new(|way, frame| {
            if let (Way::In, Frame::Tags { tags, .. }) = (way, read(&frame)) {
                heard
                    .lock()
                    .unwrap()
                    .extend(tags::from_bytes(&tags.0).unwrap());
            }
            Some(frame)
        });
        let ended = liar.match_with(scene.honest(), truly(), listen).await;
        let Outcome::Matched(matched) = ended else {
            unreachable!("{ended:?}")
        };
        (heard.into_inner().unwrap(), matched.links.len())
    };
    let (true_tags, links) = hear(&true_one).await;
    assert_eq!(links, half as usize);
    assert_eq!(scene.found(0), (half.into(), 0));
    scene.check_handles(0, 0..half);
    let again = stolen.entries().par_chunks(256);
    let again = again.flat_map_iter(|run| r.raise(run).unwrap()).collect();
    for (at, entries) in [(1, stolen.entries().to_vec()), (2, again)] {
        let own = publish(scene.liar(at), &[], &mut rand::rng(), |_| entries);
        let (tags, links) = hear(&Liar::new(scene.liar(at), own)).await;
        assert_eq!((links, scene.found(at)), (0, (0, 0)));
        assert!(
            tags.is_disjoint(&true_tags),
            "tags of one match mean nothing in another"
        );
        scene.check_handles(at, 0..0);
    }
    scene.end().await;
}

/// The honest node's import brings 40 more people, who go out in its next batch.
async fn more_people(scene: &Scene, from: u32) {
    let honest = scene.honest();
    honest.import_people(from..from + 40).await;
    let roster = honest.node.membership.roster().unwrap();
    honest
        .node
        .adverts
        .newest(&honest.node, &roster)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taker_that_hides_its_links_links_nobody_has_signed_and_waits_for_the_next_batch() {
    let scene = Scene::with(1, POPULATION).await;
    let all = people();
    // A hundred both hold, and twenty who will come to the honest node.
    let liar = scene.lying(0, &[keys(0..100), keys(all..all + 20)].concat());
    let (honest, code) = (scene.honest(), scene.liar(0).code().clone());
    let found = match_up(&scene.liar(0).node, honest.code()).await.unwrap();
    assert_eq!(found.links, 100);
    more_people(&scene, all).await;
    let node_key = scene.liar(0).node.keys.node.clone();
    let batches = Mutex::new(Vec::new());
    let hide = |then: bool| -> Line<'_> {
        let (node_key, batches) = (&node_key, &batches);
        Box::new(move |way, frame| match (way, read_telling(&frame)) {
            (Way::In, Telling::Batch { batch, .. }) => {
                batches.lock().unwrap().push(batch.peek().unwrap().number);
                Some(frame)
            }
            (
                Way::Out,
                Telling::Answer {
                    answer,
                    tags,
                    links,
                    ..
                },
            ) => {
                let mut said = answer.peek().unwrap();
                let mut tags = tags::from_bytes(&tags.0).unwrap();
                // Canaries, which it cannot tell from people it does not hold, stay right.
                for (place, _) in &links {
                    tags[*place as usize] = Tag(Fixed([1; 16]));
                }
                let tags = codec::Bytes(tags::to_bytes(&tags));
                (said.tags, said.links) = (chunk_hash(&tags.0), list_hash(&[]));
                Some(codec::encode(&Telling::Answer {
                    answer: Signed::sign(&said, node_key),
                    tags,
                    links: Vec::new(),
                    proof: None,
                }))
            }
            (Way::In, Telling::Confirm { .. }) if !then => None,
            _ => Some(frame),
        })
    };
    let kept = || honest.node.index.pair(&code).unwrap().unwrap().kept;
    // It goes without a word when it has seen its links.
    let ended = liar.tell(honest, Memory::Keeps, truly(), hide(false)).await;
    assert_eq!(broken_off(&ended), (delta::reason::Reason::Lost, false));
    assert_eq!(*batches.lock().unwrap(), [1]);
    assert_eq!(kept().answered, 0);
    let answer = kept().answer.unwrap();
    assert!(answer.verify(&node_key.public()).is_ok(), "it has signed");
    let signed = |act: &Act| {
        matches!(act, Act::Given { answer: hash, links: 0, ours_only: 0, theirs_only: 0, .. }
            if *hash == answer.hash())
    };
    assert!(honest.acts().iter().any(signed), "and it is journaled");
    scene.check_handles(0, 0..100);

    // There is a second batch: it does not get it, nor may it say otherwise now.
    more_people(&scene, all + 40).await;
    let listen: Line<'_> = Box::new(|way, frame| {
        if let (Way::In, Telling::Batch { batch, .. }) = (way, read_telling(&frame)) {
            batches.lock().unwrap().push(batch.peek().unwrap().number);
        }
        Some(frame)
    });
    let ended = liar.tell(honest, Memory::Keeps, truly(), listen).await;
    assert_eq!(
        broken_off(&ended),
        (delta::reason::Reason::TwoAnswers, true)
    );
    scene.until_refused(0, &["two-answers"]);
    let evidence = scene.evidence_against(0);
    assert!(
        matches!(evidence[..], [Evidence::Answers(_)]),
        "{evidence:?}"
    );
    assert_eq!(*batches.lock().unwrap(), [1, 1]);

    // Only when it keeps to what it signed and says so the next one comes.
    let ended = liar.tell(honest, Memory::Keeps, truly(), hide(true)).await;
    assert_eq!(told(&ended).taken, 2);
    assert_eq!(*batches.lock().unwrap(), [1, 1, 1, 2]);
    until("both are answered", || kept().answered == 2);
    scene.check_handles(0, 0..100);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giver_of_g_s_and_of_echoes_gets_no_handle_whatever_it_says_next() {
    let scene = Scene::with(1, POPULATION).await;
    let all = people();
    let mut liar = scene.lying(0, &[]);
    let (honest, liar_node) = (scene.honest(), scene.liar(0));
    let found = match_up(&liar_node.node, honest.code()).await.unwrap();
    assert_eq!((found.links, scene.found(0)), (0, (0, 0)));
    let s = Secret::from_uniform(&[66; 64]);
    let entries = scene.own.advert().entries();
    let entries = [vec![s.public()], s.raise(&entries[..40]).unwrap()].concat();
    let (node_key, rng) = (liar_node.node.keys.node.clone(), &mut rand::rng());
    let own = liar.own.with_batch(entries, &node_key, now(), rng).unwrap();
    let first = own.batches()[0].from;
    let is = |position: &u32| own.entry(*position) == Some(s.public());
    let of_g_s = (first..own.len()).find(is).unwrap();
    liar.own = Arc::new(own);

    // It claims a link nobody found.
    let claim: Line<'_> = Box::new(|way, frame| match (way, read_telling(&frame)) {
        (Way::Out, Telling::Confirm { .. }) => {
            let (links, proof) = (vec![(0, 5)], None);
            Some(codec::encode(&Telling::Confirm { links, proof }))
        }
        _ => Some(frame),
    });
    let ended = liar.tell(honest, Memory::Keeps, truly(), claim).await;
    assert_eq!(broken_off(&ended), (delta::reason::Reason::Answer, true));
    scene.until_refused(0, &["batch-answer"]);
    // It gives the batch as it should: nobody is linked by it.
    let ended = liar.tell(honest, Memory::Keeps, truly(), straight()).await;
    assert_eq!((told(&ended).given, told(&ended).links), (1, 0));
    let taken = |act: &Act| matches!(act, Act::Taken { links: 0, .. });
    assert!(honest.acts().iter().any(taken));
    scene.check_handles(0, 0..0);

    // The honest node has new people. For one of them it answers with the tag of (g^a)^s, which
    // the honest node expects of somebody in its batch, and says it is a link.
    more_people(&scene, all).await;
    let roster = honest.node.membership.roster().unwrap();
    let ours = honest
        .node
        .adverts
        .newest(&honest.node, &roster)
        .await
        .unwrap();
    let slots = &ours.own.batches()[0].slots;
    let stranger = slots.iter().position(Slot::is_person).unwrap();
    let point = s.raise(&[scene.own.advert().header().key]).unwrap()[0];
    let plant = |claims: bool| {
        Box::new(move |_: &Load, fact| match fact {
            Told::Raised(mut raised) => {
                raised[stranger] = point;
                Told::Raised(raised)
            }
            Told::Heard(mut found, _) => {
                found.fill(None);
                found[stranger] = claims.then_some(of_g_s);
                Told::Heard(found, false)
            }
            fact => fact,
        })
    };
    let ended = liar
        .tell(honest, Memory::Forgets, plant(true), straight())
        .await;
    assert_eq!(broken_off(&ended), (delta::reason::Reason::Proof, true));
    scene.until_refused(0, &["batch-answer", "proof"]);
    // Without the claim it is counted as one-sided.
    let ended = liar
        .tell(honest, Memory::Forgets, plant(false), straight())
        .await;
    assert_eq!((told(&ended).taken, told(&ended).links), (1, 0));
    let one_sided = |act: &Act| {
        matches!(
            act,
            Act::Given {
                links: 0,
                ours_only: 1,
                ..
            }
        )
    };
    assert!(honest.acts().iter().any(one_sided));
    scene.check_handles(0, 0..0);
    scene.check_nobody(0, &found.match_id, &handle(&found.match_id, &point));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hiding_one_percent_of_the_tags_ends_the_match() {
    let runs = number("FAIRSHARE_HOSTILE_RUNS", 2);
    let scene = Scene::with(runs, POPULATION).await;
    let mut caught = 0;
    for run in 0..runs {
        // A new advert, a new match, other tags hidden each time.
        let liar = scene.lying(run, &keys(0..100));
        let mut rng = StdRng::seed_from_u64(rand::rng().next_u64());
        let hide = Box::new(move |_: &Job, mut fact| {
            if let Fact::Raised(tags) = &mut fact {
                for at in sample(&mut rng, tags.len(), tags.len() / 100) {
                    rng.fill_bytes(&mut tags[at].0.0.0);
                }
            }
            fact
        });
        let ended = liar.match_with(scene.honest(), hide, straight()).await;
        assert_eq!(failed(&ended), (Reason::Canary, true));
        scene.until_refused(run, &["canary"]);
        let key = scene.liar(run).node.keys.node.public();
        let index = &scene.honest().node.index;
        let accuses = |it: &Evidence| matches!(it, Evidence::Canary(_)) && it.accuses(&key);
        until("evidence is kept", || {
            index.evidence().unwrap().iter().any(accuses)
        });
        scene.check_handles(run, 0..0);
        caught += 1;
    }
    println!(
        "1 % of {} tags hidden: caught in {caught} of {runs} runs",
        scene.own.len()
    );
    scene.end().await;
}

/// This advert, with one entry of it replaced by another, as if it were the next generation.
fn replaced(own: &Own, at: usize, by: Point, key: &KeyPair) -> Own {
    let mut entries = own.advert().entries().to_vec();
    entries[at] = by;
    let chunks = entries
        .chunks(MAX_CHUNK_ENTRIES)
        .map(|chunk| chunk_hash(&to_bytes(chunk)));
    let header = own.advert().header().clone();
    let header = Header {
        generation: header.generation + 1,
        root: root(&chunks.collect::<Vec<_>>()),
        ..header
    };
    let side = own.secret_side().clone();
    Own::restore(side, Signed::sign(&header, key), entries, Vec::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_leaves_an_advert_within_an_epoch_makes_it_void() {
    let mut scene = Scene::with(1, POPULATION).await;
    let first = Arc::clone(&scene.lying(0, &keys(0..100)).own);
    let code = scene.liar(0).code().clone();
    let found = match_up(&scene.honest().node, &code).await.unwrap();
    assert_eq!(found.links, 100);
    let (node_key, rng) = (scene.liar(0).node.keys.node.clone(), &mut rand::rng());
    let held = [keys(0..100), strangers(100)].concat();
    // One entry gives way to another: somebody objected, or somebody else is asked after.
    let new = Secret::from_uniform(&[69; 64]).public();
    let withdrawn = replaced(&first, 11, new, &node_key);
    keep(scene.liar(0), &withdrawn, &held);
    scene.mesh.restart(2).await;
    let refused = match_up(&scene.honest().node, &code).await.unwrap_err();
    let is = |it: &Error| matches!(it, Error::Fetch(Failure::Void(Void::Withdrawn)));
    assert!(is(&refused), "{refused}");
    scene.until_refused(0, &["advert-withdrawn"]);
    // As void it is when it begins the match.
    let told = match_up(&scene.liar(0).node, scene.honest().code()).await;
    assert!(told.is_err());
    scene.until_refused(0, &["advert-withdrawn", "advert-withdrawn"]);
    let shown = status::peer(&scene.honest().node, &code).await.unwrap();
    assert_eq!(shown.errors[0].what, "refused: advert-withdrawn");
    // What was linked before stays, and its new entry was never raised.
    scene.check_handles(0, 0..100);

    // A void generation makes no room: the one after it is held against the first, too.
    let again = replaced(
        &withdrawn,
        12,
        Secret::from_uniform(&[70; 64]).public(),
        &node_key,
    );
    keep(scene.liar(0), &again, &held);
    scene.mesh.restart(2).await;
    let refused = match_up(&scene.honest().node, &code).await.unwrap_err();
    assert!(is(&refused), "{refused}");
    // One with everything in it is good.
    let more = first.blinding().entries(&keys(100..105));
    let whole = first.next(more, &node_key, first.made(), rng).unwrap();
    let whole = (0..2).fold(whole, |own, _| {
        own.next(Vec::new(), &node_key, own.made(), rng).unwrap()
    });
    let held = [held, keys(100..105)].concat();
    keep(scene.liar(0), &whole, &held);
    scene.mesh.restart(2).await;
    let found = match_up(&scene.honest().node, &code).await.unwrap();
    assert_eq!(found.links, 105);
    scene.check_handles(0, 0..105);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advert_over_its_cap_and_additions_over_theirs_are_refused_journaled_and_shown() {
    // The roster lets the first have 902 people, the second enough for its advert.
    let scene = Scene::with(1, 902).await;
    scene.lying(0, &keys(0..100));
    let code: OdsCode = scene.liar(0).code().clone();
    let refused = match_up(&scene.honest().node, &code).await.unwrap_err();
    let over = |it: &Error| matches!(it, Error::Fetch(Failure::Void(Void::OverCap { .. })));
    assert!(over(&refused), "{refused}");
    scene.until_refused(0, &["advert-over-cap"]);
    let shown = status::peer(&scene.honest().node, &code).await.unwrap();
    assert_eq!(shown.errors[0].what, "refused: advert-over-cap");
    scene.check_handles(0, 0..0);
    scene.end().await;

    let scene = Scene::with(1, POPULATION).await;
    let mut liar = scene.lying(0, &keys(0..100));
    let (honest, liar_node) = (scene.honest(), scene.liar(0));
    match_up(&liar_node.node, honest.code()).await.unwrap();
    // Five batches of 4,096 in a day; the charter allows 20,000 entries.
    let key = liar_node.node.keys.node.clone();
    let secrets: Vec<_> = (0..5 * most(BATCH_SIZES[3]) as u32)
        .map(|n| {
            let mut uniform = [71; 64];
            uniform[..4].copy_from_slice(&n.to_le_bytes());
            Secret::from_uniform(&uniform)
        })
        .collect();
    let mut own = (*liar.own).clone();
    for run in secrets.chunks(most(BATCH_SIZES[3])) {
        let (entries, at) = (base_to_each(run.iter()), own.made());
        own = own.with_batch(entries, &key, at, &mut rand::rng()).unwrap();
    }
    liar.own = Arc::new(own);
    let ended = liar.tell(honest, Memory::Keeps, truly(), straight()).await;
    assert_eq!(
        broken_off(&ended),
        (delta::reason::Reason::OverAdditions, true)
    );
    scene.until_refused(0, &["over-additions"]);
    let taken = |act: &Act| matches!(act, Act::Taken { links: 0, .. });
    let acts = honest.acts();
    assert_eq!(acts.iter().filter(|act| taken(act)).count(), 4);
    let shown = status::peer(&honest.node, liar_node.code()).await.unwrap();
    assert_eq!(shown.errors[0].what, "refused: over-additions");
    scene.check_handles(0, 0..100);
    scene.end().await;
}
