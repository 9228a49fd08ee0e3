//! The roster conversation, both sides.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::decision::NOTHING;
use super::super::sync::{Outcome, Sync};
use super::*;
use crate::conversation::{Conversation, Input, Output};
use crate::journal::Act;
use crate::limits::{CLOCK_SKEW, SILENCE};
use crate::wire;

/// One side, and the node around it.
struct Side {
    held: Statements,
    talk: Sync,
    saved: usize,
    bytes: usize,
    ended: Option<Outcome>,
}

impl Side {
    fn new(held: &Statements) -> Self {
        Self {
            held: held.clone(),
            talk: Sync::new(held.clone(), None),
            saved: 0,
            bytes: 0,
            ended: None,
        }
    }

    /// Runs one input; frames for the other side.
    fn run(&mut self, input: Input<std::convert::Infallible>) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut recorded = 0;
        for output in self.talk.handle(input, NOW, &mut StdRng::seed_from_u64(1)) {
            match output {
                Output::Record(_) => recorded += 1,
                Output::Save(statement) => {
                    assert!(recorded > 0 && frames.is_empty());
                    self.saved += 1;
                    assert_eq!(self.held.insert(statement, NOW), Ok(Inserted::New));
                }
                Output::Send(frame) => {
                    assert!(frame.len() <= crate::limits::MAX_FRAME);
                    self.bytes += frame.len();
                    frames.push(frame);
                }
                Output::Load(never) => match never {},
                Output::Close(outcome) => {
                    assert_eq!(self.ended.replace(outcome), None);
                }
            }
        }
        frames
    }
}

fn converse(one: &mut Side, other: &mut Side) {
    let mut to_other: std::collections::VecDeque<_> = one.run(Input::Opened).into();
    let mut to_one: std::collections::VecDeque<_> = other.run(Input::Opened).into();
    loop {
        if let Some(frame) = to_other.pop_front() {
            to_one.extend(other.run(Input::Received(frame)));
        } else if let Some(frame) = to_one.pop_front() {
            to_other.extend(one.run(Input::Received(frame)));
        } else {
            return;
        }
    }
}

fn synced(learned: usize, sent: usize) -> Option<Outcome> {
    Some(Outcome::Synced {
        learned,
        sent,
        skipped: 0,
    })
}

#[test]
fn two_nodes_tell_each_other_what_the_other_lacks() {
    let mut base = founded();
    join(&mut base, "A1", 11, 21);
    let (mut one, mut other) = (base.clone(), base);
    join(&mut one, "B1", 12, 22);
    join(&mut other, "C1", 13, 23);
    let limit = next(&other, "A1", &Decision::Limit(reason("x")));
    insert(&mut other, limit).unwrap();
    let (mut one, mut other) = (Side::new(&one), Side::new(&other));
    converse(&mut one, &mut other);
    assert_eq!(one.ended, synced(5, 4));
    assert_eq!(other.ended, synced(4, 5));
    assert_eq!(Roster::of(&one.held), Roster::of(&other.held));
    assert_eq!(one.saved, 5);
    // A second time there is nothing to say.
    let (mut one, mut other) = (Side::new(&one.held), Side::new(&other.held));
    converse(&mut one, &mut other);
    assert_eq!((one.ended, other.ended), (synced(0, 0), synced(0, 0)));
    assert!(one.bytes < 100);
}

#[test]
fn nodes_that_differ_by_little_say_little() {
    let mut base = founded();
    for n in 0..150 {
        let admit = next(&base, &format!("M{n}"), &admission(11));
        insert(&mut base, admit).unwrap();
    }
    let mut more = base.clone();
    for n in 0..10 {
        let limit = next(&more, &format!("M{n}"), &Decision::Limit(reason("x")));
        insert(&mut more, limit).unwrap();
    }
    let (mut one, mut other) = (Side::new(&base), Side::new(&more));
    converse(&mut one, &mut other);
    assert_eq!(one.ended, synced(10, 0));
    // Both directions: per member a digest each way, plus what differs.
    let bytes = one.bytes + other.bytes;
    assert!(bytes < 2 * 150 * 27 + 10 * 600, "{bytes} bytes");
    assert_eq!(Roster::of(&one.held), Roster::of(&more));
}

#[test]
fn a_newcomer_learns_more_than_one_frame_holds() {
    let mut full = founded();
    for n in 0..50 {
        join(&mut full, &format!("M{n}"), 30 + n, 100 + n);
    }
    let (mut one, mut other) = (Side::new(&founded()), Side::new(&full));
    converse(&mut one, &mut other);
    assert_eq!(one.ended, synced(200, 0));
    assert!(other.bytes > crate::limits::MAX_FRAME);
    assert_eq!(Roster::of(&one.held), Roster::of(&full));
}

#[test]
fn a_statement_from_the_future_is_skipped_and_learned_later() {
    let base = founded();
    let ahead = NOW + CLOCK_SKEW * 2;
    let body = Roster::of(&base)
        .decide(&code("A1"), &admission(11), ahead)
        .unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(2));
    let mut fast = base.clone();
    fast.insert(Statement::Steward(signed), ahead).unwrap();
    let (mut one, mut other) = (Side::new(&base), Side::new(&fast));
    converse(&mut one, &mut other);
    let skipped = Outcome::Synced {
        learned: 0,
        sent: 0,
        skipped: 1,
    };
    assert_eq!(one.ended, Some(skipped));
    assert!(one.held.is_empty());
}

/// What our side says and does when a hostile peer sends these frames after its hello.
fn against(frames: &[Vec<u8>]) -> (Option<Outcome>, Vec<Output<Sync>>) {
    let mut base = founded();
    join(&mut base, "A1", 11, 21);
    let mut talk = Sync::new(base.clone(), Some(code("B1")));
    let mut rng = StdRng::seed_from_u64(1);
    let mut said = talk.handle(Input::Opened, NOW, &mut rng);
    for frame in frames {
        said.extend(talk.handle(Input::Received(frame.clone()), NOW, &mut rng));
    }
    let ended = said.iter().find_map(|output| match output {
        Output::Close(outcome) => Some(outcome.clone()),
        _ => None,
    });
    (ended, said)
}

fn hello() -> Vec<u8> {
    wire::frame(1, &(founded().federation(), Hash::new([0; 32])))
}

fn list(kind: u8, items: &[(OdsCode, [u8; 16])], last: bool) -> Vec<u8> {
    let items: Vec<_> = items
        .iter()
        .map(|(code, digest)| (code.clone(), crate::ids::Digest::new(*digest)))
        .collect();
    wire::frame(kind, &(items, last))
}

#[test]
fn whoever_does_not_keep_to_the_conversation_ends_it_with_a_name() {
    let foreign = wire::frame(1, &(FederationId::new([9; 32]), Hash::new([0; 32])));
    for (frames, outcome) in [
        (
            vec![foreign],
            Outcome::OtherFederation(FederationId::new([9; 32])),
        ),
        (vec![wire::frame(5, &true)], Outcome::OutOfTurn),
        (vec![hello(), hello()], Outcome::OutOfTurn),
        (vec![vec![1, 2, 3]], Outcome::OutOfTurn),
        (vec![hello(), list(3, &[], true)], Outcome::OutOfTurn),
        (vec![wire::frame(77, &())], Outcome::Unsupported(77)),
        (vec![wire::frame(0, &5_u8)], Outcome::Unsupported(5)),
        (vec![Vec::new()], Outcome::OutOfTurn),
    ] {
        assert_eq!(against(&frames).0, Some(outcome));
    }
    let (_, said) = against(&[wire::frame(77, &())]);
    let answered = wire::frame(wire::UNSUPPORTED, &77_u8);
    assert!(
        said.iter()
            .any(|o| matches!(o, Output::Send(frame) if *frame == answered))
    );
}

#[test]
fn a_forged_statement_is_recorded_and_ends_the_conversation() {
    let mut base = founded();
    join(&mut base, "A1", 11, 21);
    let mut signed = CoSigned::draft(
        &Roster::of(&base)
            .decide(&code("C1"), &admission(11), NOW)
            .unwrap(),
    );
    signed.add(&key(1));
    let batch = wire::frame(4, &vec![Statement::Steward(signed)]);
    let start = [hello(), list(2, &[], true), list(3, &[], true)];
    let (ended, said) = against(&[&start[..], &[batch]].concat());
    assert_eq!(ended, Some(Outcome::Refused(too_few(1))));
    let blamed = said.iter().any(|o| {
        matches!(o, Output::Record(Act::Refused { peer: Some(peer), .. }) if *peer == code("B1"))
    });
    assert!(blamed);
    assert!(!said.iter().any(|o| matches!(o, Output::Save(_))));
}

#[test]
fn endless_lists_are_cut_off() {
    let digests: Vec<Vec<u8>> = (0..6)
        .map(|part| {
            let items = (0..2000).map(|n| (code(&format!("X{}", part * 2000 + n)), [0; 16]));
            list(2, &items.collect::<Vec<_>>(), false)
        })
        .collect();
    let (ended, _) = against(&[&[hello()], &digests[..]].concat());
    assert_eq!(ended, Some(Outcome::TooMuch));
    let held = list(3, &vec![(code("A1"), [0; 16]); 1500], false);
    let start = vec![hello(), list(2, &[], true)];
    let (ended, _) = against(&[start, vec![held; 67]].concat());
    assert_eq!(ended, Some(Outcome::TooMuch));
}

#[test]
fn silence_and_a_lost_line_have_names_and_nothing_follows_the_end() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut talk = Sync::new(founded(), None);
    assert_eq!(talk.deadline(), None);
    talk.handle(Input::Opened, NOW, &mut rng);
    assert_eq!(talk.deadline(), Some(NOW + SILENCE));
    assert!(talk.handle(Input::DeadlinePassed, NOW, &mut rng).is_empty());
    let said = talk.handle(Input::DeadlinePassed, NOW + SILENCE, &mut rng);
    assert!(matches!(&said[..], [Output::Close(Outcome::Silent)]));
    assert!(
        talk.handle(Input::Received(hello()), NOW, &mut rng)
            .is_empty()
    );
    assert_eq!(talk.deadline(), None);
    let mut talk = Sync::new(founded(), None);
    let said = talk.handle(Input::Lost, NOW, &mut rng);
    assert!(matches!(&said[..], [Output::Close(Outcome::Lost)]));
}

/// Bytes of frames one side has sent and the other not read, at most, over a whole conversation in
/// which each side hears a frame only when neither has anything more to send.
#[test]
fn two_nodes_that_lack_much_of_each_other_never_fill_the_line_in_both_directions() {
    let mut base = founded();
    for n in 0..6 {
        join(&mut base, &format!("M{n}"), 10 + n, 30 + n);
    }
    let with = |members: std::ops::Range<u8>| {
        let mut more = base.clone();
        for n in members {
            let name = format!("M{n}");
            for u in 3..53 {
                let Claim::Contact(mut long) = contact(u as u16) else {
                    unreachable!()
                };
                let far = |n| line(&format!("/dns/{}/tcp/{n}", "x".repeat(380)));
                long.addresses = (0..10).map(far).collect();
                let said = said(&more, &name, (1, u), &Claim::Contact(long), 30 + n);
                insert(&mut more, said).unwrap();
            }
        }
        more
    };
    let (mut one, mut other) = (Side::new(&with(0..3)), Side::new(&with(3..6)));
    let mut to_other: std::collections::VecDeque<_> = one.run(Input::Opened).into();
    let mut to_one: std::collections::VecDeque<_> = other.run(Input::Opened).into();
    let unread =
        |line: &std::collections::VecDeque<Vec<u8>>| -> usize { line.iter().map(Vec::len).sum() };
    let mut most = 0;
    while !to_other.is_empty() || !to_one.is_empty() {
        // What waits for somebody who cannot read because he writes himself.
        most = most.max(unread(&to_other).min(unread(&to_one)));
        if let Some(frame) = to_other.pop_front() {
            to_one.extend(other.run(Input::Received(frame)));
        }
        if let Some(frame) = to_one.pop_front() {
            to_other.extend(one.run(Input::Received(frame)));
        }
    }
    assert_eq!(
        (&one.ended, &other.ended),
        (&synced(150, 150), &synced(150, 150))
    );
    assert!(one.bytes > 500_000, "{}", one.bytes);
    assert!(most < 256 * 1024, "{most}");
    assert_eq!(Roster::of(&one.held), Roster::of(&other.held));
}

#[test]
fn charters_are_told_first_and_one_larger_than_a_frame_in_pieces() {
    let mut full = founded();
    for n in 0..2000 {
        let admit = next_in(&full, &format!("M{n}"));
        insert(&mut full, admit).unwrap();
    }
    let base = full.clone();
    amend(&mut full, &renamed("Larger"));
    let piece = codec::encode(&full.charters().later().next().unwrap()).len();
    assert!(piece > crate::limits::MAX_FRAME);
    let limit = next(&full, "M1", &Decision::Limit(reason("x")));
    insert(&mut full, limit).unwrap();
    let (mut one, mut other) = (Side::new(&base), Side::new(&full));
    converse(&mut one, &mut other);
    assert_eq!((one.ended, other.ended), (synced(2, 0), synced(0, 2)));
    assert_eq!(Roster::of(&one.held), Roster::of(&full));
    // From nothing, and the other way round.
    let (mut one, mut other) = (Side::new(&full), Side::new(&founded()));
    converse(&mut one, &mut other);
    assert_eq!(other.ended, synced(2002, 0));
    assert_eq!(Roster::of(&other.held), Roster::of(&full));
}

/// An admission made without looking at a roster of many members.
fn next_in(on: &Statements, about: &str) -> Statement {
    let first = (1, NOTHING);
    decided(on, about, first, &admission(11))
}

#[test]
fn pieces_without_end_and_pieces_of_nothing_end_the_conversation() {
    let start = [hello(), list(2, &[], true), list(3, &[], true)];
    let piece = |bytes: usize, last: bool| wire::frame(6, &(codec::Bytes(vec![0; bytes]), last));
    let long = vec![piece(60_000, false); 12];
    let (ended, _) = against(&[&start[..], &long].concat());
    let too_long = ended.unwrap();
    assert!(matches!(
        too_long,
        Outcome::Refused(Refusal::Codec(codec::Error::TooLong { .. }))
    ));
    let (ended, _) = against(&[&start[..], &[piece(10, true)]].concat());
    assert!(matches!(ended, Some(Outcome::Refused(Refusal::Codec(_)))));
    let (ended, _) = against(&[&start[..], &vec![piece(0, false); 100_001]].concat());
    assert_eq!(ended, Some(Outcome::TooMuch));
}

/// 1,000 members and 20,000 statements under three stewards who all must sign.
fn a_thousand_members() -> Statements {
    let stewards = (1..=3).map(|n| (code(&format!("S{n}")), key(n).public()));
    let charter = Charter::first(
        line("Large"),
        Hash::new([7; 32]),
        stewards.collect(),
        3,
        NOW,
    );
    let sign = |body: &StewardStatement| {
        let mut signed = CoSigned::draft(body);
        (1..=3).for_each(|n| signed.add(&key(n)));
        Statement::Steward(signed)
    };
    let mut signed = CoSigned::draft(&charter);
    (1..=3).for_each(|n| signed.add(&key(n)));
    let mut held = Statements::new(signed).unwrap();
    let keys = |n: u16, what: u8| {
        let mut seed = [what; 32];
        seed[..2].copy_from_slice(&n.to_le_bytes());
        KeyPair::from_seed(&seed)
    };
    for n in 0..1000_u16 {
        let (organisation, node) = (keys(n, 1), keys(n, 2));
        let about = code(&format!("M{n}"));
        let mut previous = NOTHING;
        let admit = Decision::Admit(Admission {
            kind: MemberKind::GpPractice,
            name: line(&format!("Practice {n}")),
            organisation: organisation.public(),
            population: 10_000,
        });
        let more = [
            Decision::Limit(reason("no answers")),
            Decision::Reinstate(reason("answers")),
        ];
        for (at, decision) in (1..).zip([admit].iter().chain(&more)) {
            let body =
                StewardStatement::new(held.under(), about.clone(), (at, previous), NOW, decision);
            let decided = sign(&body);
            previous = decided.hash();
            insert(&mut held, decided).unwrap();
        }
        let named = Claim::Node(NodeKeys {
            node: node.public(),
            seal: SealKey::new([9; 32]),
        });
        let said = |u, claim: &Claim, key: &KeyPair| {
            let body = SelfStatement::new(held.federation(), about.clone(), (1, u), NOW, claim);
            Statement::Own(Signed::sign(&body, key))
        };
        let mut all = vec![said(1, &named, &organisation)];
        all.extend((1..=16_u16).map(|u| said(u.into(), &contact(u), &node)));
        for statement in all {
            insert(&mut held, statement).unwrap();
        }
    }
    assert_eq!(held.len(), 20_000);
    held
}

#[test]
fn a_thousand_members_take_little_to_compute_and_less_to_tell() {
    let base = a_thousand_members();
    let welcome = codec::encode(&Welcome::of(&base));
    let begun = std::time::Instant::now();
    let read: Welcome = codec::decode(&welcome, welcome.len()).unwrap();
    let (cold, refused) = read.open(NOW).unwrap();
    let roster = Roster::of(&cold);
    println!(
        "a roster of 1,000 members and 20,000 statements ({} MB), every signature verified: {:?}",
        welcome.len() / 1_000_000,
        begun.elapsed()
    );
    assert_eq!((refused, roster.members().count()), (0, 1000));
    let mut more = base.clone();
    for n in 0..10 {
        let about = code(&format!("M{}", n * 97));
        let body = roster.decide(&about, &Decision::Limit(reason("no answers")), NOW);
        let mut signed = CoSigned::draft(&body.unwrap());
        (1..=3).for_each(|n| signed.add(&key(n)));
        insert(&mut more, Statement::Steward(signed)).unwrap();
    }
    let (mut one, mut other) = (Side::new(&base), Side::new(&more));
    converse(&mut one, &mut other);
    assert_eq!(one.ended, synced(10, 0));
    let bytes = one.bytes + other.bytes;
    println!("told to a node that lacks 10 of them, both ways: {bytes} bytes");
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}
