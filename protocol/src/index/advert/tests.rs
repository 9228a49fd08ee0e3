use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::own::{Blinding, Error, Own, Slot};
use super::*;
use crate::crypto::blind::Secret;
use crate::crypto::sign::KeyPair;
use crate::index::key::IndexKey;
use crate::index::testing::people;

const FEDERATION: FederationId = FederationId::new([9; 32]);
const NOW: Timestamp = Timestamp(1_000_000);

fn node() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

fn member() -> OdsCode {
    "RH8".parse().unwrap()
}

fn make(keys: &[IndexKey], rng: &mut StdRng) -> Result<Own, Error> {
    let blinding = Blinding::generate(&FEDERATION, 4, rng);
    let entries = blinding.entries(keys);
    Own::first(member(), &blinding, entries, &node(), NOW, rng)
}

fn expected() -> Expected {
    Expected {
        federation: FEDERATION,
        member: member(),
        signer: node().public(),
        epoch: 4,
        population: 1000,
        taken: BTreeSet::new(),
        now: NOW,
    }
}

fn header() -> Header {
    Header {
        federation: FEDERATION,
        member: member(),
        epoch: 4,
        generation: 1,
        made: NOW,
        key: Secret::from_uniform(&[3; 64]).public(),
        count: 2048,
        root: Hash::new([0; 32]),
    }
}

#[test]
fn sizes_go_up_in_steps_that_hide_small_changes() {
    assert_eq!(size(0, 0), 2048);
    assert_eq!(size(902, 0), 2048);
    assert_eq!(size(903, 0), 3072);
    assert_eq!(size(900, 1148), 2048);
    assert_eq!(size(901, 1148), 3072);
    assert_eq!(size(1_000_000, 0), 62 * 16_384);
    assert_eq!(cap(902, 1), 2048);
    assert_eq!(cap(902, 3), 4096);
    assert_eq!(cap(u64::MAX, 16), 4 * 1024 * 1024);
}

#[test]
fn an_advert_holds_everybody_once_and_enough_canaries_in_no_order() {
    let rng = &mut StdRng::seed_from_u64(1);
    let keys = people(0..300);
    let own = make(&keys, rng).unwrap();
    assert_eq!(own.advert().header().count, 2048);
    assert_eq!((own.people(), own.canaries()), (300, 1748));
    let again = own.blinding().entries(&keys);
    let mut seen = BTreeMap::new();
    for position in 0..2048 {
        if let Some(Slot::Person(person)) = own.slot(position) {
            assert_eq!(
                own.advert().entries()[position as usize],
                again[person as usize]
            );
            assert_eq!(seen.insert(person, position), None);
        }
    }
    assert_eq!(seen.len(), 300);
    assert!(!seen.values().is_sorted());
    Header::check(own.advert().signed(), &expected()).unwrap();
}

#[test]
fn the_next_generation_has_every_entry_of_the_one_before() {
    let rng = &mut StdRng::seed_from_u64(6);
    let own = make(&people(0..5), rng).unwrap();
    let more = own.blinding().entries(&people(5..9));
    let own = own.with_batch(more, &node(), NOW, rng).unwrap();
    let more = own.blinding().entries(&people(9..11));
    let next = own.next(more, &node(), NOW, rng).unwrap();
    let mut earlier = own.advert().entries().to_vec();
    earlier.extend_from_slice(&own.batches()[0].entries);
    let entries = next.advert().entries();
    assert_eq!(check_kept(&earlier, entries), Ok(()));
    // One of the advert, one of its batch.
    for gone in [earlier[0], earlier[2048]] {
        let less: Vec<_> = entries.iter().copied().filter(|it| *it != gone).collect();
        assert_eq!(check_kept(&earlier, &less), Err(Void::Withdrawn));
    }
    assert_eq!(check_kept(&[], entries), Ok(()));
}

#[test]
fn a_stored_advert_is_restored_with_its_own_secret_side_only() {
    let rng = &mut StdRng::seed_from_u64(2);
    let own = make(&people(0..5), rng).unwrap();
    let other = make(&people(0..5), rng).unwrap();
    let bytes = crate::codec::encode(own.secret_side());
    let side: own::SecretSide = crate::codec::decode(&bytes, 1 << 20).unwrap();
    let restore = |own: &Own, side: &own::SecretSide| {
        let entries = from_bytes(&to_bytes(own.advert().entries())).unwrap();
        Own::restore(
            side.clone(),
            own.advert().signed().clone(),
            entries,
            Vec::new(),
        )
    };
    assert_eq!(restore(&own, &side).unwrap().advert(), own.advert());
    assert_eq!(restore(&other, &side).unwrap_err(), Error::Stored);
    assert_eq!(format!("{side:?}"), "SecretSide(2048 entries)");
}

#[test]
fn a_later_generation_keeps_every_entry_canaries_included() {
    let rng = &mut StdRng::seed_from_u64(3);
    let first = make(&people(0..300), rng).unwrap();
    let more = first.blinding().entries(&people(300..310));
    let second = first.next(more, &node(), NOW, rng).unwrap();
    let (old, new) = (first.advert(), second.advert());
    assert_eq!((new.header().generation, new.header().count), (2, 3072));
    assert_eq!(new.header().key, old.header().key);
    let places: BTreeMap<_, _> = new.entries().iter().zip(0..).collect();
    let mut moved = Vec::new();
    for (entry, at) in old.entries().iter().zip(0..) {
        let now = places[entry];
        assert_eq!(first.slot(at), second.slot(now));
        moved.push(now);
    }
    assert!(!moved.is_sorted());
    let expected = Expected {
        population: 310,
        ..expected()
    };
    Header::check(new.signed(), &expected).unwrap();
    let twice = second.blinding().entries(&people(0..1));
    assert_eq!(
        second.next(twice, &node(), NOW, rng).unwrap_err(),
        Error::Void(Void::Repeated)
    );
}

#[test]
fn an_epoch_has_room_for_so_many_generations() {
    let rng = &mut StdRng::seed_from_u64(4);
    let mut own = make(&[], rng).unwrap();
    for n in 1..MAX_GENERATIONS {
        let more = own.blinding().entries(&people(n..n + 1));
        own = own.next(more, &node(), NOW, rng).unwrap();
        let expected = Expected {
            population: 20,
            ..expected()
        };
        Header::check(own.advert().signed(), &expected).unwrap();
    }
    assert_eq!(
        own.next(vec![], &node(), NOW, rng).unwrap_err(),
        Error::Generations
    );
}

#[test]
fn the_same_person_twice_is_refused() {
    let rng = &mut StdRng::seed_from_u64(5);
    let keys = [people(0..2), people(1..2)].concat();
    assert_eq!(make(&keys, rng).unwrap_err(), Error::Void(Void::Repeated));
}

#[test]
fn a_header_that_is_not_what_the_roster_says_is_void() {
    let check = |change: &dyn Fn(&mut Header)| {
        let mut header = header();
        change(&mut header);
        Header::check(&Signed::sign(&header, &node()), &expected()).map(|_| ())
    };
    assert_eq!(check(&|_| ()), Ok(()));
    assert_eq!(
        check(&|h| h.member = "L83024".parse().unwrap()),
        Err(Void::Other)
    );
    assert_eq!(
        check(&|h| h.federation = FederationId::new([8; 32])),
        Err(Void::Other)
    );
    assert_eq!(
        check(&|h| h.epoch = 5),
        Err(Void::Epoch { theirs: 5, ours: 4 })
    );
    assert_eq!(check(&|h| h.generation = 0), Err(Void::Generation(0)));
    assert_eq!(check(&|h| h.generation = 17), Err(Void::Generation(17)));
    let ahead = |h: &mut Header| h.made = NOW + CLOCK_SKEW + std::time::Duration::from_millis(1);
    assert_eq!(check(&ahead), Err(Void::Ahead));
    assert_eq!(check(&|h| h.count = 1024), Err(Void::Count(1024)));
    assert_eq!(check(&|h| h.key = Point::new([0; 32])), Err(Void::Key));
    assert_eq!(check(&|h| h.key = Point::new([1; 32])), Err(Void::Key));
    let by_another = Signed::sign(&header(), &KeyPair::from_seed(&[2; 32]));
    assert_eq!(
        Header::check(&by_another, &expected()),
        Err(Void::Statement(statement::Error::OtherSigner))
    );
}

#[test]
fn an_advert_over_the_members_cap_is_refused() {
    let over = Header {
        count: 3073,
        ..header()
    };
    assert_eq!(
        Header::check(&Signed::sign(&over, &node()), &expected()),
        Err(Void::OverCap {
            count: 3073,
            most: 3072
        })
    );
}

#[test]
fn another_members_key_makes_a_header_void() {
    let expected = Expected {
        taken: BTreeSet::from([header().key]),
        ..expected()
    };
    assert_eq!(
        Header::check(&Signed::sign(&header(), &node()), &expected),
        Err(Void::Key)
    );
}

#[test]
fn repeated_or_identity_entries_or_others_than_named_make_an_advert_void() {
    let good: Vec<_> = (0..2048u32)
        .map(|n| {
            let mut bytes = [1; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            Point::new(bytes)
        })
        .collect();
    let advert = |entries: &[Point]| {
        let header = Header {
            root: root(&[chunk_hash(&to_bytes(entries))]),
            ..header()
        };
        Advert::new(Signed::sign(&header, &node()), entries.to_vec()).map(|_| ())
    };
    assert_eq!(advert(&good), Ok(()));
    assert_eq!(advert(&good[1..]), Err(Void::Length));
    let mut repeated = good.clone();
    repeated[7] = repeated[1999];
    assert_eq!(advert(&repeated), Err(Void::Repeated));
    let mut identity = good.clone();
    identity[7] = Point::new([0; 32]);
    assert_eq!(advert(&identity), Err(Void::Identity));
    assert_eq!(
        Advert::new(Signed::sign(&header(), &node()), good),
        Err(Void::Root)
    );
}
