//! What section 7 of protocol.md says of deltas, and every refusal, against a peer that does it.

use super::*;
use crate::index::delta::said::{Batch, Contact, list_hash};
use crate::index::matching::tags::{from_bytes, to_bytes};
use crate::statement::Signed;

fn two() -> Two {
    let mut two = Two::matched(0..40, 20..60);
    two.a.add(45..50);
    two
}

fn decode(frame: &[u8]) -> Frame {
    codec::decode(frame, MAX_BULK_FRAME).unwrap()
}

/// Runs a delta whose frames `change` may change; gives why each side failed, and who found it.
fn spoiled(
    two: &mut Two,
    part: Part,
    mut change: impl FnMut(Side, Frame) -> Frame,
) -> ((Reason, bool), (Reason, bool)) {
    let ends = two.delta(part, &mut |side, frame| {
        Some(codec::encode(&change(side, decode(&frame))))
    });
    let why = |outcome| match outcome {
        Outcome::Failed(_, failed) => (failed.reason, failed.said_by_peer),
        Outcome::Told(told) => panic!("{told:?}"),
    };
    (why(ends.0), why(ends.1))
}

#[test]
fn a_taker_that_lies_on_its_links_links_nobody_and_has_signed() {
    // It hides its links and their tags: the giver finds none, and no more batches are risked on
    // one that was answered so. Canaries, which it cannot tell from people, must still be right.
    let mut two = two();
    let key = two.b.node.clone();
    let (own, match_id) = (Arc::clone(&two.a.own), two.match_id);
    let ends = two.delta(Part::Beginner, &mut |side, frame| {
        let Frame::Answer { answer, tags, .. } = decode(&frame) else {
            return Some(frame);
        };
        assert_eq!(side, Side::Right);
        let mut said = answer.peek().unwrap();
        let mut read = from_bytes(&tags.0).unwrap();
        for (tag, slot) in read.iter_mut().zip(&own.batches()[0].slots) {
            if matches!(slot, Slot::Person(_)) {
                tag.0.0 = [1; 16];
            }
        }
        let tags = Bytes(to_bytes(&read));
        (said.tags, said.links) = (tags_hash(&tags), list_hash(&[]));
        assert_eq!(said.match_id, match_id);
        Some(codec::encode(&Frame::Answer {
            answer: Signed::sign(&said, &key),
            tags,
            links: Vec::new(),
            proof: None,
        }))
    });
    let Outcome::Told(told) = ends.0 else {
        panic!("{ends:?}");
    };
    assert_eq!((told.links, told.given), (0, 1));
    let none = |person: &IndexKey| !two.a.links.contains_key(person);
    assert!(people(45..50).iter().all(none));
}

#[test]
fn hidden_tags_that_hit_a_canary_end_it() {
    let mut two = two();
    let key = two.b.node.clone();
    let (ours, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| match frame {
        Frame::Answer {
            answer,
            tags,
            links,
            proof,
        } => {
            let mut said = answer.peek().unwrap();
            let tags = Bytes(vec![1; tags.0.len()]);
            said.tags = tags_hash(&tags);
            Frame::Answer {
                answer: Signed::sign(&said, &key),
                tags,
                links,
                proof,
            }
        }
        frame => frame,
    });
    assert_eq!(
        (ours, theirs),
        ((Reason::Canary, false), (Reason::Canary, true))
    );
}

#[test]
fn a_link_claimed_without_a_proof_that_holds_is_no_link() {
    for forge in 0..3 {
        let mut two = two();
        let key = two.b.node.clone();
        let (ours, _) = spoiled(&mut two, Part::Beginner, |_, frame| match frame {
            Frame::Answer {
                answer,
                tags,
                mut links,
                mut proof,
            } => {
                let mut said = answer.peek().unwrap();
                match forge {
                    0 => proof.as_mut().unwrap().0.0[40] ^= 1,
                    1 => proof = None,
                    // Another person of its own than the one it is.
                    _ => links[0].1 ^= 1,
                }
                said.links = list_hash(&links);
                Frame::Answer {
                    answer: Signed::sign(&said, &key),
                    tags,
                    links,
                    proof,
                }
            }
            frame => frame,
        });
        assert_eq!(ours, (Reason::Proof, false), "{forge}");
        assert!(
            two.a
                .links
                .keys()
                .all(|person| !people(45..50).contains(person))
        );
    }
    // Nor does the taker believe a giver that confirms without proof.
    for forge in 0..3 {
        let mut two = two();
        let (_, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| match frame {
            Frame::Confirm { mut links, proof } => match forge {
                0 => Frame::Confirm { links, proof: None },
                1 => {
                    let mut proof = proof.unwrap();
                    proof.0.0[3] ^= 1;
                    let proof = Some(proof);
                    Frame::Confirm { links, proof }
                }
                _ => {
                    links[0].1 ^= 1;
                    Frame::Confirm { links, proof }
                }
            },
            frame => frame,
        });
        let expected = if forge == 2 {
            Reason::Answer
        } else {
            Reason::Proof
        };
        assert_eq!(theirs, (expected, false), "{forge}");
        assert!(
            two.b
                .links
                .keys()
                .all(|person| !people(45..50).contains(person))
        );
    }
}

#[test]
fn a_giver_that_knows_nobody_gets_no_handle() {
    // It gives g^s and echoes of the taker's own entries raised.
    let mut two = Two::matched(0..40, 20..60);
    let s = Secret::from_uniform(&[66; 64]);
    let echo = s.raise(&two.b.own.advert().entries()[..40]).unwrap();
    let entries = [vec![s.public()], echo].concat();
    let rng = &mut StdRng::seed_from_u64(1);
    let own = two.a.own.with_batch(entries, &two.a.node, NOW, rng);
    two.a.own = Arc::new(own.unwrap());
    two.a.keys.extend(people(900..941));
    let before = two.b.links.clone();
    let (a, b) = two.in_full();
    assert_eq!((a.links, b.links), (0, 0));
    assert_eq!(two.b.links, before);
}

#[test]
fn two_batches_under_one_number_are_evidence() {
    let mut two = two();
    two.in_full();
    // It forgets what was answered, and signs another first batch.
    two.a.kept.answered = 0;
    let key = two.a.node.clone();
    let mut evidence = None;
    let ends = two.delta(Part::Beginner, &mut |_, frame| match decode(&frame) {
        Frame::Batch { batch, entries } => {
            let mut said = batch.peek().unwrap();
            said.made = said.made + std::time::Duration::from_secs(1);
            let batch = Signed::sign(&said, &key);
            Some(codec::encode(&Frame::Batch { batch, entries }))
        }
        _ => Some(frame),
    });
    if let Outcome::Failed(_, failed) = ends.1 {
        assert_eq!(failed.reason, Reason::TwoBatches);
        evidence = failed.evidence;
    }
    assert!(evidence.unwrap().accuses(&two.a.node.public()));
}

#[test]
fn two_answers_to_one_batch_are_evidence() {
    let mut two = two();
    // The line is lost after the confirmation.
    two.delta(Part::Beginner, &mut |_, frame| match decode(&frame) {
        Frame::Done => None,
        _ => Some(frame),
    });
    assert!(two.a.kept.answer.is_some());
    let key = two.b.node.clone();
    let ends = two.delta(Part::Beginner, &mut |_, frame| match decode(&frame) {
        Frame::Answer { answer, tags, .. } => {
            let mut said = answer.peek().unwrap();
            said.links = list_hash(&[]);
            Some(codec::encode(&Frame::Answer {
                answer: Signed::sign(&said, &key),
                tags,
                links: Vec::new(),
                proof: None,
            }))
        }
        _ => Some(frame),
    });
    let Outcome::Failed(_, failed) = ends.0 else {
        panic!("{ends:?}");
    };
    assert_eq!(failed.reason, Reason::TwoAnswers);
    assert!(failed.evidence.unwrap().accuses(&two.b.node.public()));
}

#[test]
fn a_batch_that_is_not_the_next_or_not_what_it_says_is_refused() {
    type Change = fn(&mut Batch);
    let changes: [(Change, Reason); 7] = [
        (|batch| batch.number = 2, Reason::Batch),
        (|batch| batch.from += 1, Reason::Batch),
        (|batch| batch.count = 65, Reason::Batch),
        (|batch| batch.entries = Hash::new([0; 32]), Reason::Batch),
        (|batch| batch.made = Timestamp(0), Reason::Batch),
        (|batch| batch.made = Timestamp(u64::MAX / 2), Reason::Batch),
        (|batch| batch.header = Hash::new([0; 32]), Reason::Stale),
    ];
    for (n, (change, expected)) in changes.into_iter().enumerate() {
        let mut two = two();
        let key = two.a.node.clone();
        let (_, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| match frame {
            Frame::Batch { batch, entries } => {
                let mut said = batch.peek().unwrap();
                change(&mut said);
                let batch = Signed::sign(&said, &key);
                Frame::Batch { batch, entries }
            }
            frame => frame,
        });
        assert_eq!(theirs, (expected, false), "{n}");
        assert_eq!(two.b.kept.taken, None, "{n}");
    }
}

#[test]
fn more_additions_than_charter_or_roster_allow_are_refused_and_journaled() {
    let mut two = Two::matched(0..4, 0..4);
    for at in 0..3 {
        two.a.add(1000 + 800 * at..1800 + 800 * at);
    }
    // 1,024 a batch; 2,000 a day.
    let (ours, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| frame);
    assert_eq!(theirs, (Reason::OverAdditions, false));
    assert_eq!(ours, (Reason::OverAdditions, true));
    assert_eq!(two.b.kept.taken.as_ref().unwrap().number, 1);
    let refused = |act: &Act| matches!(act, Act::Refused { what, .. } if what == "over-additions");
    assert!(two.b.acts.iter().any(refused));
    // What was taken before stands, and the cap of the roster counts what came alone, too.
    two.b.kept.day = (0, 0);
    two.b.kept.contacts = 1500;
    let (_, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| frame);
    assert_eq!(theirs, (Reason::OverCap, false));
}

#[test]
fn entries_that_are_no_points_or_were_there_before_are_refused() {
    let bad = "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371";
    let mut two = Two::matched(0..40, 20..60);
    let rng = &mut StdRng::seed_from_u64(1);
    let own = two
        .a
        .own
        .with_batch(vec![bad.parse().unwrap()], &two.a.node, NOW, rng);
    two.a.own = Arc::new(own.unwrap());
    let (_, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| frame);
    assert_eq!(theirs, (Reason::VoidEntry, false));
    // An entry of its own advert, once more.
    let mut two = self::two();
    let again = two.a.own.advert().entries()[7];
    let key = two.a.node.clone();
    let (_, theirs) = spoiled(&mut two, Part::Beginner, |_, frame| match frame {
        Frame::Batch { batch, mut entries } => {
            entries.0[..32].copy_from_slice(again.as_bytes());
            let mut said = batch.peek().unwrap();
            said.entries = crate::index::advert::chunk_hash(&entries.0);
            let batch = Signed::sign(&said, &key);
            Frame::Batch { batch, entries }
        }
        frame => frame,
    });
    assert_eq!(theirs, (Reason::VoidEntry, false));
}

#[test]
fn a_contact_of_another_match_time_or_member_is_refused() {
    type Change = fn(&mut Contact);
    let changes: [(Change, Reason); 4] = [
        (
            |contact| contact.match_id = MatchId::new([1; 32]),
            Reason::Stale,
        ),
        (|contact| contact.at = Timestamp(0), Reason::Batch),
        (
            |contact| contact.to = "912".parse().unwrap(),
            Reason::Statement,
        ),
        (
            |contact| contact.entry = Point::new([0; 32]),
            Reason::VoidEntry,
        ),
    ];
    for (n, (change, expected)) in changes.into_iter().enumerate() {
        let mut two = Two::matched(0..40, 20..60);
        two.a.contact = Some(people(50..51)[0]);
        let key = two.a.node.clone();
        let (_, theirs) = spoiled(&mut two, Part::Contact, |_, frame| match frame {
            Frame::Contact(contact) => {
                let mut said = contact.peek().unwrap();
                change(&mut said);
                Frame::Contact(Signed::sign(&said, &key))
            }
            frame => frame,
        });
        assert_eq!(theirs, (expected, false), "{n}");
    }
}

#[test]
fn silence_unknown_kinds_nonsense_and_words_out_of_turn_are_named() {
    let two = two();
    let rng = &mut StdRng::seed_from_u64(5);
    let mut told = |input: Input<Fact>| {
        let mut machine = two.b.machine(&two.a, two.match_id, Part::Answerer);
        assert!(machine.handle(Input::Opened, NOW, rng).is_empty());
        assert_eq!(machine.deadline(), Some(NOW + SILENCE));
        let mut out = machine.handle(input, NOW, rng);
        assert_eq!(machine.deadline(), None);
        match out.pop() {
            Some(Output::Close(Outcome::Failed(_, failed))) => failed.reason,
            _ => panic!("it goes on"),
        }
    };
    assert_eq!(told(Input::DeadlinePassed), Reason::Silent);
    assert_eq!(told(Input::Lost), Reason::Lost);
    assert_eq!(told(Input::Opened), Reason::Internal);
    assert_eq!(told(Input::Loaded(Fact::Unfit)), Reason::Internal);
    assert_eq!(told(Input::Received(vec![7, 0])), Reason::Unsupported);
    assert_eq!(told(Input::Received(vec![])), Reason::Malformed);
    assert_eq!(told(Input::Received(vec![1, 2, 3])), Reason::Malformed);
    let done = codec::encode(&Frame::Done);
    assert_eq!(told(Input::Received(done)), Reason::OutOfTurn);
}
