//! Every row of protocol.md section 7 that concerns the index, against a peer that does it.

#![allow(clippy::print_stdout, reason = "figures are for people to read")]

use rand::Rng;
use rand::seq::index::sample;

use super::*;
use crate::crypto::blind::Secret;
use crate::crypto::dleq;
use crate::ids::Fixed;
use crate::index::matching::links::proof_context;
use crate::index::matching::tags::{Tag, Tagger, order, spans};
use crate::limits::MIN_CANARIES;

fn blinding(seed: u64) -> Blinding {
    Blinding::generate(&FEDERATION, 4, &mut StdRng::seed_from_u64(seed))
}

/// Changes the tags a side works out, and so what it commits to.
fn with_tags<'a>(mut change: impl FnMut(&Job, &mut Vec<(Tag, Tag)>) + 'a) -> Work<'a> {
    Box::new(move |job| {
        let mut fact = job::run(&job);
        if let Fact::Raised(tags) = &mut fact {
            change(&job, tags);
        }
        fact
    })
}

fn straight() -> impl FnMut(Side, Vec<u8>) -> Option<Vec<u8>> {
    |_, frame| Some(frame)
}

/// Mallory knows nobody: she publishes g^s, and commits the tag of (g^a)^s for a stranger.
struct Planted {
    alice: Member,
    mallory: Member,
    at: u32,
    point: Point,
}

impl Planted {
    fn new() -> Self {
        let alice = Member::new("RH8", 1, 0..30);
        let s = Secret::from_uniform(&[66; 64]);
        let mallory = Member::with("L83024", 2, &blinding(2), vec![s.public()]);
        let point = s.raise(&[alice.own.advert().header().key]).unwrap()[0];
        let at = alice.position(7);
        Self {
            alice,
            mallory,
            at,
            point,
        }
    }

    fn plant(&self, job: &Job, tags: &mut [(Tag, Tag)]) {
        let Job::Raise { ground, chunk: 0 } = job else {
            panic!("{job:?}");
        };
        let tag = |raised_by| Tagger::new(&ground.match_id, raised_by).tag(&self.point);
        tags[self.at as usize] = (tag(ground.we()), tag(ground.they()));
    }
}

#[test]
fn a_peer_that_publishes_g_s_and_commits_the_tag_of_g_a_s_makes_no_link() {
    let planted = Planted::new();
    let lie: Work<'_> = Box::new(|job| match (&job, job::run(&job)) {
        (Job::Raise { .. }, Fact::Raised(mut tags)) => {
            planted.plant(&job, &mut tags);
            Fact::Raised(tags)
        }
        // She knows the shared point, but not a key that makes it of the stranger's entry.
        (
            Job::Prove {
                ground,
                list,
                batch,
                nonce,
                pairs,
                ..
            },
            Fact::Proved(..),
        ) => {
            assert_eq!(ground.split(pairs[0]).1, planted.at, "both list the pair");
            let entry = [ground.peer.entries()[planted.at as usize]];
            let context = proof_context(&ground.match_id, ground.we(), list, *batch);
            let shared = [planted.point];
            let proof = dleq::prove(ground.own.key(), &entry, &shared, nonce, &context);
            Fact::Proved(proof.unwrap())
        }
        (Job::Share { .. }, Fact::Shared(_)) => Fact::Shared(vec![planted.point]),
        (_, fact) => fact,
    });
    let sides = (&planted.alice, &planted.mallory);
    let (alice, mallory) = play(sides, Default::default(), (honest(), lie), &mut straight());
    assert_eq!(alice.failed(), (Reason::Proof, false));
    assert!(matches!(&alice.acts[2], Act::MatchFailed { why, .. } if why == "proof"));
    // Alice's own proof was true, so Mallory may believe what she likes; Alice honours nothing.
    assert!(alice.links.is_none() && mallory.links.is_some());
}

#[test]
fn a_one_sided_candidate_gets_no_handle_and_is_counted() {
    let planted = Planted::new();
    let lie = with_tags(|job, tags| planted.plant(job, tags));
    // She leaves the pair out of her list, so that no proof is asked of her.
    let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
        (Side::Right, Frame::Candidates { .. }) => {
            let (pairs, last) = (Vec::new(), true);
            Some(codec::encode(&Frame::Candidates { pairs, last }))
        }
        _ => Some(frame),
    };
    let sides = (&planted.alice, &planted.mallory);
    let (alice, _) = play(sides, Default::default(), (honest(), lie), line);
    let matched = alice.matched();
    assert_eq!(
        (matched.ours_only, matched.theirs_only, matched.links.len()),
        (1, 0, 0)
    );
    assert!(matches!(
        alice.acts[2],
        Act::Matched {
            ours_only: 1,
            links: 0,
            ..
        }
    ));
}

#[test]
fn echoing_the_peers_entries_links_nobody_and_a_second_commitment_is_evidence() {
    let alice = Member::new("RH8", 1, 0..30);
    let r = Secret::from_uniform(&[67; 64]);
    let echo = r.raise(alice.own.advert().entries()).unwrap();
    let mallory = Member::with("L83024", 2, &blinding(2), echo);
    let mut shown = Vec::new();
    // She keeps to the sequence, reads a round, and drops the line.
    let line: Line<'_> = &mut |side, frame| {
        if let (Side::Left, Frame::Tags { tags, .. }) = (side, decode(&frame)) {
            shown.extend(tags::from_bytes(&tags.0).unwrap());
            return None;
        }
        Some(frame)
    };
    let sides = (&alice, &mallory);
    let (first, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(first.failed(), (Reason::Lost, false));
    assert!(!shown.is_empty());
    // Coming back with the echo, she contradicts what she signed.
    let lie = with_tags(|_, tags| {
        for (tag, echo) in tags.iter_mut().zip(&shown) {
            tag.0 = *echo;
        }
    });
    let kept = (first.before, Before::default());
    let (second, told) = play(sides, kept, (honest(), lie), &mut straight());
    assert_eq!(second.failed(), (Reason::TwoCommitments, false));
    assert_eq!(told.failed(), (Reason::TwoCommitments, true));
    assert!(second.evidence().accuses(&mallory.node.public()));
    assert!(!second.evidence().accuses(&alice.node.public()));
    // Had she kept to it, nothing would have come of it: the tag names who raised.
    let (alice, mallory) = plain(sides.0, sides.1);
    assert_eq!(
        (alice.matched().links.len(), mallory.matched().links.len()),
        (0, 0)
    );
}

#[test]
fn tags_echoed_from_the_first_movers_round_are_no_candidates_and_break_canaries() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let echo = with_tags(|_, tags| {
        for tag in tags {
            tag.0 = tag.1;
        }
    });
    let sides = (&alice, &mallory);
    let (alice, _) = play(sides, Default::default(), (honest(), echo), &mut straight());
    assert_eq!(alice.failed(), (Reason::Canary, false));
}

#[test]
fn wanted_people_put_first_gain_nothing_by_stopping_after_the_first_round() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..300),
        Member::new("L83024", 2, 0..300),
    );
    let (mut tags, mut rounds) = (Vec::new(), BTreeSet::new());
    let mut match_id = None;
    let spans = spans(mallory.own.advert().header().count);
    let line: Line<'_> = &mut |side, frame| {
        match (side, decode(&frame)) {
            (Side::Left, Frame::Commitment { commitment, .. }) => {
                match_id = Some(commitment.peek().unwrap().match_id);
            }
            (Side::Left, Frame::Tags { chunk, .. }) => {
                let span = spans[chunk as usize];
                rounds.insert(span.round);
                tags.extend(span.from..span.to);
            }
            // Mallory has shown one round's worth, and stops.
            (Side::Right, Frame::Tags { chunk: 1.., .. }) => return None,
            _ => {}
        }
        Some(frame)
    };
    play(
        (&alice, &mallory),
        Default::default(),
        (honest(), honest()),
        line,
    );
    assert!(!rounds.is_empty());
    assert!(rounds.len() <= 2, "at most a round more than she gave");
    let order = order(&match_id.unwrap(), alice.code(), 2048);
    // The 60 first entries of her advert: what Alice's tags told her of them.
    let told = tags.iter().filter(|place| order[**place] < 60).count();
    assert!(told < 10, "{told} of the 60 wanted");
}

#[test]
fn a_third_members_entries_relayed_or_blinded_again_show_nothing_of_the_overlap() {
    let (alice, carol) = (Member::new("RH8", 1, 0..60), Member::new("912", 3, 30..90));
    let r = Secret::from_uniform(&[68; 64]);
    let stolen = carol.own.advert().entries();
    let shown_in = |peer: &Member| {
        let mut shown = BTreeSet::new();
        let line: Line<'_> = &mut |_, frame| {
            if let Frame::Tags { tags, .. } = decode(&frame) {
                shown.extend(tags::from_bytes(&tags.0).unwrap());
            }
            Some(frame)
        };
        let sides = (&alice, peer);
        let (left, right) = play(sides, Default::default(), (honest(), honest()), line);
        (
            shown,
            left.matched().links.len(),
            right.matched().links.len(),
        )
    };
    let (true_tags, links, _) = shown_in(&carol);
    assert_eq!(links, 30);
    for entries in [stolen.to_vec(), r.raise(stolen).unwrap()] {
        let mallory = Member::with("L83024", 2, &blinding(2), entries);
        let (tags, ours, theirs) = shown_in(&mallory);
        assert_eq!((ours, theirs), (0, 0));
        assert!(
            tags.is_disjoint(&true_tags),
            "tags of one match mean nothing in another"
        );
    }
}

#[test]
fn what_was_said_in_an_earlier_match_cannot_be_replayed() {
    let (alice, bob) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let mut recorded = Vec::new();
    let line: Line<'_> = &mut |side, frame| {
        if side == Side::Right {
            recorded.push(frame.clone());
        }
        Some(frame)
    };
    play(
        (&alice, &bob),
        Default::default(),
        (honest(), honest()),
        line,
    );
    // Alice has a new advert, hence a new match: the whole of the old one is stale.
    let rng = &mut StdRng::seed_from_u64(4);
    let more = alice.own.blinding().entries(&people(50..51));
    let next = alice.own.next(more, &alice.node, NOW, rng).unwrap();
    let alice = Member {
        own: Arc::new(next),
        ..alice
    };
    let mut replay = recorded.iter();
    let line: Line<'_> = &mut |side, frame| match side {
        Side::Right => Some(replay.next().cloned().unwrap_or(frame)),
        Side::Left => Some(frame),
    };
    let sides = (&alice, &bob);
    let (all, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(all.failed().0, Reason::Stale);
    // Nor does its commitment serve in the new one.
    let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
        (Side::Right, Frame::Commitment { .. }) => Some(recorded[2].clone()),
        _ => Some(frame),
    };
    let (one, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(one.failed(), (Reason::Statement, false));
}

#[test]
fn a_wrong_canary_ends_the_match_and_is_shown_to_both_operators() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let is_canary = |at: &u32| matches!(alice.own.slot(*at), Some(Slot::Canary(_)));
    let at = (0..2048).find(is_canary).unwrap();
    let lie = with_tags(|_, tags| tags[at as usize].0 = Tag(Fixed([1; 16])));
    let sides = (&alice, &mallory);
    let (ours, theirs) = play(sides, Default::default(), (honest(), lie), &mut straight());
    assert_eq!(ours.failed(), (Reason::Canary, false));
    assert_eq!(theirs.failed(), (Reason::Canary, true));
    assert!(matches!(&ours.acts[2], Act::MatchFailed { why, .. } if why == "canary"));
    assert!(matches!(&theirs.acts[2], Act::MatchFailed { why, .. } if why == "peer says canary"));
    let Evidence::Canary(wrong) = ours.evidence() else {
        panic!("{:?}", ours.evidence());
    };
    assert_eq!(wrong.position, at);
    assert!(ours.evidence().accuses(&mallory.node.public()));
    let mut forged = ours.evidence().clone();
    if let Evidence::Canary(wrong) = &mut forged {
        wrong.tags.0[0] ^= 1;
    }
    assert!(!forged.accuses(&mallory.node.public()));
}

#[test]
fn another_nonce_for_the_same_pair_of_headers_is_evidence() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let first = plain(&alice, &mallory).0;
    let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
        (Side::Right, Frame::Hello { header, opening }) => {
            let mut said = opening.peek().unwrap();
            said.nonce = Nonce(Fixed([5; 32])).hash();
            let opening = Signed::sign(&said, &mallory.node);
            Some(codec::encode(&Frame::Hello { header, opening }))
        }
        _ => Some(frame),
    };
    let kept = (first.before, Before::default());
    let (again, _) = play((&alice, &mallory), kept, (honest(), honest()), line);
    assert_eq!(again.failed(), (Reason::TwoOpenings, false));
    assert!(again.evidence().accuses(&mallory.node.public()));
}

#[test]
fn another_header_for_one_generation_is_evidence() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
        (Side::Right, Frame::Hello { header, opening }) => {
            let mut said = header.peek().unwrap();
            said.root = Hash::new([0; 32]);
            let header = Signed::sign(&said, &mallory.node);
            Some(codec::encode(&Frame::Hello { header, opening }))
        }
        _ => Some(frame),
    };
    let sides = (&alice, &mallory);
    let (ours, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(ours.failed(), (Reason::TwoHeaders, false));
    assert!(ours.evidence().accuses(&mallory.node.public()));
}

#[test]
fn a_nonce_other_than_the_one_opened_with_is_refused() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
        (Side::Right, Frame::Nonce(_)) => Some(codec::encode(&Frame::Nonce(Nonce(Fixed([5; 32]))))),
        _ => Some(frame),
    };
    let sides = (&alice, &mallory);
    let (ours, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(ours.failed(), (Reason::Nonce, false));
}

#[test]
fn an_entry_that_is_no_point_makes_the_advert_void() {
    let alice = Member::new("RH8", 1, 0..30);
    // Not canonical: RFC 9496 appendix A.2.
    let bad = "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371";
    let mallory = Member::with("L83024", 2, &blinding(2), vec![bad.parse().unwrap()]);
    let (ours, theirs) = plain(&alice, &mallory);
    assert_eq!(ours.failed(), (Reason::VoidAdvert, false));
    assert_eq!(theirs.failed(), (Reason::VoidAdvert, true));
}

#[test]
fn tags_other_than_those_committed_to_are_refused_at_once() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let line: Line<'_> = &mut |side, mut frame| {
        if let (Side::Right, Frame::Tags { chunk: 5, .. }) = (side, decode(&frame)) {
            *frame.last_mut().unwrap() ^= 1;
        }
        Some(frame)
    };
    let sides = (&alice, &mallory);
    let (ours, _) = play(sides, Default::default(), (honest(), honest()), line);
    assert_eq!(ours.failed(), (Reason::Tags, false));
}

#[test]
fn a_commitment_to_fewer_tags_or_by_another_is_refused() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let with = |change: &dyn Fn(&mut TagCommitment), key: &KeyPair| {
        let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
            (
                Side::Right,
                Frame::Commitment {
                    commitment,
                    chunks,
                    seen,
                },
            ) => {
                let mut said = commitment.peek().unwrap();
                change(&mut said);
                let commitment = Signed::sign(&said, key);
                Some(codec::encode(&Frame::Commitment {
                    commitment,
                    chunks,
                    seen,
                }))
            }
            _ => Some(frame),
        };
        let sides = (&alice, &mallory);
        play(sides, Default::default(), (honest(), honest()), line)
            .0
            .failed()
            .0
    };
    assert_eq!(with(&|c| c.count -= 1, &mallory.node), Reason::Commitment);
    assert_eq!(
        with(&|c| c.root = Hash::new([0; 32]), &mallory.node),
        Reason::Commitment
    );
    assert_eq!(
        with(&|c| c.raised_by = "RH8".parse().unwrap(), &mallory.node),
        Reason::Statement
    );
    assert_eq!(with(&|_| (), &alice.node), Reason::Statement);
}

#[test]
fn a_proof_that_does_not_hold_ends_the_match_without_links() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    let change = |how: &dyn Fn(&mut Vec<Proof>)| {
        let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
            (Side::Right, Frame::Proofs(mut proofs)) => {
                how(&mut proofs);
                Some(codec::encode(&Frame::Proofs(proofs)))
            }
            _ => Some(frame),
        };
        let sides = (&alice, &mallory);
        play(sides, Default::default(), (honest(), honest()), line)
            .0
            .failed()
    };
    assert_eq!(
        change(&|proofs| proofs[0].0.0[40] ^= 1),
        (Reason::Proof, false)
    );
    assert_eq!(change(&|proofs| proofs.clear()), (Reason::Proof, false));
    assert_eq!(
        change(&|proofs| proofs.push(proofs[0])),
        (Reason::Proof, false)
    );
}

#[test]
fn candidates_out_of_order_repeated_or_out_of_range_are_refused() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..30),
        Member::new("L83024", 2, 0..30),
    );
    for lie in [
        vec![(5, 5), (4, 4)],
        vec![(5, 5), (5, 5)],
        vec![(5, 2048)],
        vec![(2048, 5)],
    ] {
        let line: Line<'_> = &mut |side, frame| match (side, decode(&frame)) {
            (Side::Right, Frame::Candidates { .. }) => {
                let (pairs, last) = (lie.clone(), true);
                Some(codec::encode(&Frame::Candidates { pairs, last }))
            }
            _ => Some(frame),
        };
        let sides = (&alice, &mallory);
        let (ours, _) = play(sides, Default::default(), (honest(), honest()), line);
        assert_eq!(ours.failed(), (Reason::Candidates, false), "{lie:?}");
    }
}

/// Plain sampling: hide 1 % of an advert's tags, and see whether a canary is among them.
#[test]
fn hiding_one_percent_is_caught_in_at_least_9999_of_10000_runs() {
    let rng = &mut StdRng::seed_from_u64(8);
    // The bigger the advert, the closer to 0.99^1146 = 10⁻⁵; padding only helps.
    for count in [2048_usize, 20_480, 102_400] {
        let (runs, mut missed) = (20_000, 0);
        for _ in 0..runs {
            // Positions are shuffled: the first may as well be the canaries.
            let hidden = sample(rng, count, count / 100);
            missed += u32::from(hidden.iter().all(|at| at >= MIN_CANARIES));
        }
        println!("1 % of {count} tags hidden: missed in {missed} of {runs} runs");
        assert!(
            missed * 10_000 <= runs,
            "{missed} of {runs} missed with {count} entries"
        );
    }
}

#[test]
fn hiding_one_percent_is_caught_by_the_real_machine() {
    let (alice, mallory) = (
        Member::new("RH8", 1, 0..300),
        Member::new("L83024", 2, 0..300),
    );
    for seed in 0..3 {
        let rng = RefCell::new(StdRng::seed_from_u64(seed));
        let hide = with_tags(|_, tags| {
            let rng = &mut *rng.borrow_mut();
            for at in sample(rng, tags.len(), tags.len() / 100) {
                rng.fill_bytes(&mut tags[at].0.0.0);
            }
        });
        let sides = (&alice, &mallory);
        let (ours, _) = play(sides, Default::default(), (honest(), hide), &mut straight());
        assert_eq!(ours.failed(), (Reason::Canary, false));
    }
}
