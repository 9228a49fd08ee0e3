use std::cell::RefCell;
use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::serve::{LoadChunk, Serve};
use super::*;
use crate::conversation::pair::{End, Side, run};
use crate::crypto::sign::KeyPair;
use crate::ids::{FederationId, Point};
use crate::index::advert::{Advert, check_distinct, from_bytes, to_bytes};
use crate::limits::SIGN_OF_LIFE;

const NOW: Timestamp = Timestamp(1_000_000);

fn node() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

/// An advert of three chunks. Its entries are no points, which a fetch does not look at.
fn advert(generation: u32, first: u8) -> Advert {
    let entries: Vec<_> = (0..10_240u32)
        .map(|n| {
            let mut bytes = [first; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            Point::new(bytes)
        })
        .collect();
    sign(generation, entries)
}

fn header(generation: u32, entries: &[Point]) -> Header {
    let chunks: Vec<_> = entries
        .chunks(4096)
        .map(|chunk| chunk_hash(&to_bytes(chunk)))
        .collect();
    Header {
        federation: FederationId::new([9; 32]),
        member: "RH8".parse().unwrap(),
        epoch: 4,
        generation,
        made: NOW,
        key: crate::crypto::blind::Secret::from_uniform(&[3; 64]).public(),
        count: entries.len() as u32,
        root: root(&chunks),
    }
}

fn sign(generation: u32, entries: Vec<Point>) -> Advert {
    let header = header(generation, &entries);
    Advert::new(Signed::sign(&header, &node()), entries).unwrap()
}

fn expected() -> Expected {
    Expected {
        federation: FederationId::new([9; 32]),
        member: "RH8".parse().unwrap(),
        signer: node().public(),
        epoch: 4,
        population: 9000,
        taken: BTreeSet::new(),
        now: NOW,
    }
}

/// What a client's disk holds.
#[derive(Default)]
struct Disk {
    header: Option<Signed<Header>>,
    chunks: Vec<Vec<u8>>,
}

impl Disk {
    fn entries(&self) -> Vec<Point> {
        from_bytes(&self.chunks.concat()).unwrap()
    }

    fn held(&self) -> Held {
        let part = |header| Held::Part(Box::new(header), self.chunks.len() as u32);
        self.header.clone().map_or(Held::Nothing, part)
    }

    fn keep(&mut self, save: Save) {
        match save {
            Save::Begin(header, _) => {
                self.header = Some(*header);
                self.chunks.clear();
            }
            Save::Chunk(number, entries) => {
                assert_eq!(number as usize, self.chunks.len());
                self.chunks.push(entries.0);
            }
        }
    }
}

struct Fetched {
    outcome: Outcome,
    acts: Vec<Act>,
    frames: usize,
    served: serve::Outcome,
}

/// Fetches `from` to `disk` as who holds `held`, over a line.
fn fetch(
    disk: &mut Disk,
    held: Held,
    from: Option<&Advert>,
    line: &mut dyn FnMut(usize, Side, Vec<u8>) -> Option<Vec<u8>>,
) -> Fetched {
    let served = from.map(|advert| (advert.signed().clone(), advert.chunks().to_vec()));
    let load = |LoadChunk(number)| from.map(|advert| Bytes(to_bytes(advert.chunk(number))));
    // The check needs what the machine had saved until then; the driver keeps it until the end.
    let arrived = RefCell::new(disk.chunks.concat());
    let same = match (&held, from) {
        (Held::Part(header, _), Some(advert)) => **header == *advert.signed(),
        _ => false,
    };
    if !same {
        arrived.borrow_mut().clear();
    }
    let check = |CheckWhole| check_distinct(&from_bytes(&arrived.borrow()).unwrap());
    let mut client = End::new(Fetch::new(expected(), held), check);
    let mut server = End::new(Serve::new(served), load);
    let mut frames = 0;
    run(
        &mut client,
        &mut server,
        NOW,
        &mut StdRng::seed_from_u64(1),
        &mut |side, frame| {
            frames += 1;
            let frame = line(frames, side, frame)?;
            if let Ok(Frame::Chunk { entries, .. }) = codec::decode(&frame, MAX_BULK_FRAME) {
                arrived.borrow_mut().extend(entries.0);
            }
            Some(frame)
        },
    );
    let End {
        saved,
        acts,
        outcome,
        ..
    } = client;
    saved.into_iter().for_each(|save| disk.keep(save));
    Fetched {
        outcome: outcome.unwrap(),
        acts,
        frames,
        served: server.outcome.unwrap(),
    }
}

#[test]
fn an_advert_arrives_whole_and_is_not_fetched_twice() {
    let (advert, mut disk) = (advert(1, 1), Disk::default());
    let through = &mut |_, _, frame| Some(frame);
    let fetched = fetch(&mut disk, Held::Nothing, Some(&advert), through);
    assert_eq!(
        fetched.outcome,
        Outcome::Fetched(Box::new(advert.header().clone()))
    );
    assert_eq!(fetched.served, serve::Outcome::Served(3));
    assert_eq!(disk.entries(), advert.entries());
    let held = Held::Whole(Box::new(advert.signed().clone()));
    let again = fetch(&mut disk, held, Some(&advert), through);
    assert_eq!((again.outcome, again.frames), (Outcome::AlreadyHeld, 2));
    let none = fetch(&mut Disk::default(), Held::Nothing, None, through);
    assert_eq!(none.outcome, Outcome::NoAdvert);
}

#[test]
fn a_fetch_cut_at_any_message_goes_on_where_it_stopped() {
    let advert = advert(1, 1);
    for cut in 1..=6 {
        let mut disk = Disk::default();
        let line = &mut |n, _, frame| (n < cut).then_some(frame);
        let first = fetch(&mut disk, Held::Nothing, Some(&advert), line);
        assert_eq!(
            first.outcome,
            Outcome::Failed(Failure::Lost),
            "cut at {cut}"
        );
        assert_eq!(first.acts, []);
        let arrived = disk.chunks.len() as u32;
        let held = disk.held();
        let second = fetch(&mut disk, held, Some(&advert), &mut |_, _, frame| {
            Some(frame)
        });
        assert_eq!(
            second.outcome,
            Outcome::Fetched(Box::new(advert.header().clone()))
        );
        assert_eq!(
            second.served,
            serve::Outcome::Served(3 - arrived),
            "cut at {cut}"
        );
        assert_eq!(disk.entries(), advert.entries());
    }
}

#[test]
fn a_newer_generation_is_fetched_from_its_start_and_an_older_one_refused() {
    let (first, second) = (advert(1, 1), advert(2, 2));
    let through = &mut |_, _, frame| Some(frame);
    let mut disk = Disk::default();
    disk.chunks.push(to_bytes(first.chunk(0)));
    let held = Held::Part(Box::new(first.signed().clone()), 1);
    let newer = fetch(&mut disk, held, Some(&second), through);
    assert_eq!(
        newer.outcome,
        Outcome::Fetched(Box::new(second.header().clone()))
    );
    assert_eq!(disk.entries(), second.entries());
    let held = Held::Whole(Box::new(second.signed().clone()));
    let older = fetch(&mut disk, held, Some(&first), through);
    assert_eq!(older.outcome, Outcome::Failed(Failure::Older));
}

#[test]
fn two_headers_for_one_generation_are_evidence() {
    let (one, other) = (advert(1, 1), advert(1, 2));
    let held = Held::Whole(Box::new(one.signed().clone()));
    let through = &mut |_, _, frame| Some(frame);
    let fetched = fetch(&mut Disk::default(), held, Some(&other), through);
    let Outcome::Failed(Failure::TwoHeaders(evidence)) = fetched.outcome else {
        panic!("{:?}", fetched.outcome);
    };
    assert!(evidence.accuses(&node().public()));
    assert!(!evidence.accuses(&KeyPair::from_seed(&[2; 32]).public()));
    let what = "two-headers".to_owned();
    let peer = Some("RH8".parse().unwrap());
    assert_eq!(fetched.acts, [Act::Refused { peer, what }]);
    let (one, other) = (one.signed().clone(), one.signed().clone());
    assert!(!Evidence::Headers(Box::new(Two { one, other })).accuses(&node().public()));
}

#[test]
fn a_changed_chunk_is_refused_on_arrival_and_not_kept() {
    let (advert, mut disk) = (advert(1, 1), Disk::default());
    let fetched = fetch(
        &mut disk,
        Held::Nothing,
        Some(&advert),
        &mut |n, _, mut frame| {
            if n == 5 {
                *frame.last_mut().unwrap() ^= 1;
            }
            Some(frame)
        },
    );
    assert_eq!(fetched.outcome, Outcome::Failed(Failure::Chunk(1)));
    assert_eq!(disk.chunks.len(), 1);
}

#[test]
fn an_advert_with_a_repeated_entry_is_void_when_all_of_it_is_here() {
    let mut entries = advert(1, 1).entries().to_vec();
    entries[9000] = entries[5];
    let header = header(1, &entries);
    let signed = Signed::sign(&header, &node());
    let hashes = entries
        .chunks(4096)
        .map(|c| chunk_hash(&to_bytes(c)))
        .collect();
    let mut client = End::new(Fetch::new(expected(), Held::Nothing), |CheckWhole| {
        check_distinct(&entries)
    });
    let mut server = End::new(Serve::new(Some((signed, hashes))), |LoadChunk(n)| {
        let chunk = entries.chunks(4096).nth(n as usize)?;
        Some(Bytes(to_bytes(chunk)))
    });
    let rng = &mut StdRng::seed_from_u64(1);
    run(&mut client, &mut server, NOW, rng, &mut |_, frame| {
        Some(frame)
    });
    let outcome = Some(Outcome::Failed(Failure::Void(Void::Repeated)));
    assert_eq!(client.outcome, outcome);
}

#[test]
fn nonsense_and_silence_end_a_fetch_by_name() {
    let rng = &mut StdRng::seed_from_u64(1);
    let mut fetch = Fetch::new(expected(), Held::Nothing);
    fetch.handle(Input::Opened, NOW, rng);
    assert_eq!(fetch.deadline(), Some(NOW + SILENCE));
    let out = fetch.handle(Input::DeadlinePassed, NOW, rng);
    assert!(matches!(
        out[..],
        [Output::Close(Outcome::Failed(Failure::Silent))]
    ));
    let mut fetch = Fetch::new(expected(), Held::Nothing);
    fetch.handle(Input::Opened, NOW, rng);
    let out = fetch.handle(Input::Received(vec![200; 9]), NOW, rng);
    let malformed =
        |output: &Output<_>| matches!(output, Output::Close(Outcome::Failed(Failure::Malformed)));
    assert!(out.last().is_some_and(malformed));
    for ask in [(0, 0), (0, 9), (3, 1), (u32::MAX, 2)] {
        let advert = advert(1, 1);
        let mut serve = Serve::new(Some((advert.signed().clone(), advert.chunks().to_vec())));
        let frame = Frame::AskChunks {
            from: ask.0,
            count: ask.1,
        };
        let out = serve.handle(Input::Received(codec::encode(&frame)), NOW, rng);
        assert!(
            matches!(out[..], [Output::Close(serve::Outcome::Malformed)]),
            "{ask:?}"
        );
    }
}

#[test]
fn a_server_that_makes_its_advert_is_waited_for_while_it_says_so_but_not_for_ever() {
    let rng = &mut StdRng::seed_from_u64(1);
    let mut fetch = Fetch::new(expected(), Held::Nothing);
    fetch.handle(Input::Opened, NOW, rng);
    let mut now = NOW;
    while now + SIGN_OF_LIFE < NOW + MATCH_PATIENCE {
        now = now + SIGN_OF_LIFE;
        assert!(fetch.deadline() > Some(now), "it is heard in time");
        let out = fetch.handle(Input::Received(working()), now, rng);
        assert!(out.is_empty());
    }
    assert_eq!(fetch.deadline(), Some(NOW + MATCH_PATIENCE));
}
