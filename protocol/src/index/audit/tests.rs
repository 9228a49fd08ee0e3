use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::crypto::sign::KeyPair;
use crate::ids::FederationId;
use crate::index::advert::own::{Blinding, Slot};
use crate::index::advert::{Void, to_bytes};
use crate::index::testing::people;
use crate::statement;

const FEDERATION: FederationId = FederationId::new([9; 32]);
const PEOPLE: u32 = 700;

fn node() -> KeyPair {
    KeyPair::from_seed(&[1; 32])
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(5)
}

fn demand(sample: u32) -> Demand {
    Demand {
        seed: "six dice: 4 1 6 3 3 2".parse().unwrap(),
        sample,
    }
}

/// An advert of [`PEOPLE`], the entry of person 7 replaced by what `change` makes of it.
fn advert(change: impl FnOnce(&Blinding, &IndexKey, Point) -> Point) -> Own {
    let rng = &mut rng();
    let blinding = Blinding::generate(&FEDERATION, 4, rng);
    let keys = people(0..PEOPLE);
    let mut entries = blinding.entries(&keys);
    entries[7] = change(&blinding, &keys[7], entries[7]);
    let member = "RH8".parse().unwrap();
    Own::first(member, &blinding, entries, &node(), Timestamp(9), rng).unwrap()
}

fn honest() -> Own {
    advert(|_, _, entry| entry)
}

fn behind(own: &Own, position: u32) -> Behind {
    let keys = people(0..PEOPLE);
    let made_of = match own.slot(position).unwrap() {
        Slot::Canary(number) => MadeOf::Canary(number),
        Slot::Person(number) => MadeOf::Person(
            keys[number as usize],
            vec![Redacted::new(format!("local-{number}"))],
        ),
    };
    Behind {
        position,
        entry: own.advert().entries()[position as usize],
        made_of,
    }
}

/// What a member reports: of entries that do not open, what `lie` makes up.
fn report(own: &Own, demand: &Demand, lie: impl Fn(&Ground<'_>, &Behind) -> Shown) -> Report {
    let (signed, header) = (own.advert().signed(), own.advert().header());
    let ground = Ground::new(signed, header, &demand.seed);
    let opening = |position| {
        let behind = behind(own, position);
        open(&Opener::of(own), &ground, &behind, &mut rng()).unwrap_or_else(|_| Opening {
            position,
            shown: lie(&ground, &behind),
        })
    };
    Report {
        format: FORMAT.to_owned(),
        holds: WARNING.to_owned(),
        header: copy(signed),
        seed: demand.seed.clone(),
        auditor: "A. Uditor, ICB".parse().unwrap(),
        operator: User {
            name: "O. Perator".to_owned(),
            role: String::new(),
            id: String::new(),
        },
        at: Timestamp(10),
        openings: draw(signed, header.count, demand)
            .into_iter()
            .map(opening)
            .collect(),
    }
}

fn truly(own: &Own, demand: &Demand) -> Report {
    report(own, demand, |_, _| unreachable!())
}

fn copy(signed: &Signed<Header>) -> Signed<Header> {
    serde_json::from_str(&serde_json::to_string(signed).unwrap()).unwrap()
}

/// The sample of an advert, as a peer's copy gives it.
fn picked(own: &Own, demand: &Demand) -> BTreeMap<u32, Point> {
    let header = own.advert().header();
    let sample = draw(own.advert().signed(), header.count, demand);
    let mut picked = Picked::new(header, &sample);
    for number in 0..header.chunks() {
        picked.take(&to_bytes(own.advert().chunk(number))).unwrap();
    }
    picked.end().unwrap()
}

fn checked(own: &Own, demand: &Demand, report: &Report) -> Result<Passed, Finding> {
    check(report, demand, own.advert().signed(), &picked(own, demand))
}

/// Where person 7 stands.
fn seventh(own: &Own) -> u32 {
    let count = own.advert().header().count;
    let mut positions = 0..count;
    positions
        .find(|position| own.slot(*position) == Some(Slot::Person(7)))
        .unwrap()
}

#[test]
fn an_honest_advert_passes_and_its_report_reads_back() {
    let own = honest();
    for demand in [demand(300), demand(u32::MAX)] {
        let report = truly(&own, &demand);
        let text = serde_json::to_string_pretty(&report).unwrap();
        assert!(text.starts_with("{\n  \"format\": \"fairshare-audit-report/1\""));
        assert!(text.contains("\"nhs\": \"999"), "the auditor reads it");
        let report: Report = serde_json::from_str(&text).unwrap();
        let passed = checked(&own, &demand, &report).unwrap();
        let count = own.advert().header().count;
        assert_eq!(passed.opened, demand.of(count));
        assert_eq!(passed.people + passed.canaries, passed.opened);
        assert_eq!(passed.gone, 0);
        if passed.opened == count {
            assert_eq!(passed.people, PEOPLE);
        }
        assert!(!format!("{report:?}").contains("999"));
    }
}

#[test]
fn somebody_held_no_more_still_opens_and_is_counted() {
    let (own, demand) = (honest(), demand(300));
    let mut report = truly(&own, &demand);
    for opening in &mut report.openings {
        if let Shown::Person(person) = &mut opening.shown {
            person.local.clear();
        }
    }
    let passed = checked(&own, &demand, &report).unwrap();
    assert_eq!(passed.gone, passed.people);
}

#[test]
fn an_entry_under_another_key_is_named_whatever_is_shown_for_it() {
    let other = Secret::from_uniform(&[8; 64]);
    let stranger = other.public();
    let two: [fn(&Secret, Point) -> Point; 2] = [
        // H(x)^k': the member links alone.
        |other, hashed| other.raise(&[hashed]).unwrap()[0],
        // A point of nobody.
        |other, _| other.public(),
    ];
    for make in two {
        let own = advert(|_, key, _| {
            let dst = Dst::index(&FEDERATION, 4);
            make(
                &other,
                compress(&hash_to_group(key.expose().as_bytes(), &dst)),
            )
        });
        let position = seventh(&own);
        let demand = demand(u32::MAX);
        let person = |ground: &Ground<'_>, behind: &Behind, nhs: Option<&str>| {
            let MadeOf::Person(key, _) = &behind.made_of else {
                unreachable!()
            };
            let nonce = Secret::from_uniform(&[3; 64]);
            let (c, d) = (ground.hashed(key), behind.entry);
            let context = ground.context(behind.position);
            let digits = key.nhs.expose();
            Shown::Person(Box::new(Person {
                nhs: Redacted::new(nhs.unwrap_or(&digits).to_owned()),
                born: Redacted::new(key.born.expose()),
                local: Vec::new(),
                proof: dleq::prove(&other, &[c], &[d], &nonce, &context).unwrap(),
            }))
        };
        let lies = [
            report(&own, &demand, |g, b| person(g, b, None)),
            report(&own, &demand, |g, b| person(g, b, Some("9990000019"))),
            report(&own, &demand, |_, _| Shown::Canary(Fixed([0; 32]))),
            report(&own, &demand, |_, _| {
                Shown::Canary(Fixed(*Secret::from_uniform(&[5; 64]).to_bytes()))
            }),
        ];
        let found = lies.map(|lie| checked(&own, &demand, &lie).unwrap_err());
        let canary = Finding::NotTheCanary { position };
        assert_eq!(
            found,
            [
                Finding::OtherKey { position },
                Finding::Nobody { position },
                canary.clone(),
                canary
            ]
        );
        assert_eq!(found[0].position(), Some(position));
        // Who opens their own advert learns of it too.
        let ground = Ground::new(own.advert().signed(), own.advert().header(), &demand.seed);
        let opened = open(
            &Opener::of(&own),
            &ground,
            &behind(&own, position),
            &mut rng(),
        );
        assert_eq!(opened.err(), Some(Finding::OtherKey { position }));
    }
    // Somebody else's entry, shown for a person who is held.
    let own = advert(|blinding, _, _| blinding.entries(&people(5000..5001))[0]);
    let (position, demand) = (seventh(&own), demand(u32::MAX));
    let lie = report(&own, &demand, |ground, behind| {
        let MadeOf::Person(key, _) = &behind.made_of else {
            unreachable!()
        };
        let (c, d) = (ground.hashed(key), behind.entry);
        let context = ground.context(behind.position);
        let nonce = Secret::from_uniform(&[3; 64]);
        Shown::Person(Box::new(Person {
            nhs: Redacted::new(key.nhs.expose().to_string()),
            born: Redacted::new(key.born.expose()),
            local: Vec::new(),
            proof: dleq::prove(own.key(), &[c], &[d], &nonce, &context).unwrap(),
        }))
    });
    let found = checked(&own, &demand, &lie).unwrap_err();
    assert_eq!(found, Finding::OtherKey { position });
    assert_ne!(stranger, own.advert().header().key);
}

#[test]
fn a_header_with_another_key_than_its_entries_opens_nobody() {
    let (own, demand) = (honest(), demand(300));
    let mut header = own.advert().header().clone();
    header.key = Secret::from_uniform(&[8; 64]).public();
    let signed = Signed::sign(&header, &node());
    let ground = Ground::new(&signed, &header, &demand.seed);
    let sample = draw(&signed, header.count, &demand);
    let first = sample
        .iter()
        .find(|position| matches!(own.slot(**position), Some(Slot::Person(_))))
        .unwrap();
    let opened = open(
        &Opener::of(&own),
        &ground,
        &behind(&own, *first),
        &mut rng(),
    );
    let position = *first;
    assert_eq!(opened.err(), Some(Finding::OtherKey { position }));
}

#[test]
fn a_stale_seed_and_a_sample_of_ones_own_choice_are_found() {
    let (own, demand) = (honest(), demand(300));
    let stale = Demand {
        seed: "last year's".parse().unwrap(),
        sample: 300,
    };
    let mut report = truly(&own, &stale);
    assert_eq!(checked(&own, &demand, &report), Err(Finding::OtherSeed));
    report.seed = demand.seed.clone();
    let first = draw(own.advert().signed(), own.advert().header().count, &demand)[0];
    let found = checked(&own, &demand, &report).unwrap_err();
    assert_eq!(found, Finding::NotDrawn { position: first });

    // The right entries, with the proofs of another audit.
    let all = Demand {
        sample: u32::MAX,
        ..stale
    };
    let now = Demand {
        sample: u32::MAX,
        ..demand.clone()
    };
    let mut report = truly(&own, &all);
    report.seed = now.seed.clone();
    let person = |opening: &&Opening| matches!(opening.shown, Shown::Person(_));
    let position = report.openings.iter().find(person).unwrap().position;
    let found = checked(&own, &now, &report).unwrap_err();
    assert_eq!(found, Finding::OtherKey { position });

    let mut report = truly(&own, &demand);
    report.openings.truncate(20);
    let found = checked(&own, &demand, &report).unwrap_err();
    let (opened, demanded) = (20, 300);
    assert_eq!(found, Finding::OtherSample { opened, demanded });
    report.format = "fairshare-audit-report/2".to_owned();
    assert_eq!(checked(&own, &demand, &report), Err(Finding::Format));
}

#[test]
fn a_report_about_another_advert_is_found() {
    let (own, demand) = (honest(), demand(300));
    let report = truly(&own, &demand);
    let more = own.blinding().entries(&people(900..910));
    let next = own.next(more, &node(), Timestamp(11), &mut rng()).unwrap();
    let names = |generation| ("RH8".parse().unwrap(), 4, generation);
    let found = checked(&next, &demand, &report).unwrap_err();
    let (reported, checked_against) = (names(1), names(2));
    let other = Finding::OtherAdvert {
        reported,
        checked: checked_against,
    };
    assert_eq!(found, other);

    let another = advert(|blinding, _, _| blinding.entries(&people(5000..5001))[0]);
    let found = checked(&another, &demand, &report).unwrap_err();
    assert_eq!(found, Finding::TwoHeaders);

    // Nobody is accused by what they did not sign.
    let json = serde_json::to_value(own.advert().signed()).unwrap();
    for field in ["signer", "signature"] {
        let mut forged = json.clone();
        let text = forged[field].as_str().unwrap();
        let digit = if text.starts_with('0') { "1" } else { "0" };
        forged[field] = format!("{digit}{}", &text[1..]).into();
        let mut report = truly(&own, &demand);
        report.header = serde_json::from_value(forged).unwrap();
        let found = checked(&own, &demand, &report).unwrap_err();
        assert_eq!(found, Finding::Altered, "{field}");
    }
    let mut report = truly(&own, &demand);
    let other_key = KeyPair::from_seed(&[2; 32]);
    report.header = Signed::sign(own.advert().header(), &other_key);
    let found = checked(&own, &demand, &report).unwrap_err();
    assert_eq!(found, Finding::OtherSigner);

    let stranger = KeyPair::from_seed(&[2; 32]).public();
    let found = header(own.advert().signed(), &stranger).unwrap_err();
    assert_eq!(found, Finding::Signature(statement::Error::OtherSigner));
    assert!(header(own.advert().signed(), &node().public()).is_ok());
}

#[test]
fn a_copy_that_is_not_the_advert_of_its_header_is_found() {
    let own = honest();
    let header = own.advert().header();
    let whole = to_bytes(own.advert().entries());
    let pick = |bytes: &[u8]| {
        let mut picked = Picked::new(header, &[3]);
        picked.take(bytes)?;
        picked.end()
    };
    assert_eq!(pick(&whole).unwrap()[&3], own.advert().entries()[3]);
    let mut changed = whole.clone();
    changed[4 * 32] ^= 1;
    assert_eq!(pick(&changed), Err(Finding::Advert(Void::Root)));
    let short = pick(&whole[32..]);
    assert_eq!(short, Err(Finding::Advert(Void::Length)));
    let none = Picked::new(header, &[3]).end();
    assert_eq!(none, Err(Finding::Advert(Void::Length)));
}

#[test]
fn a_copy_in_a_file_reads_back_and_is_held_against_its_header() {
    let (own, demand) = (honest(), demand(300));
    let mut file = Vec::new();
    copied::begin(own.advert().signed(), &mut file).unwrap();
    file.extend(to_bytes(own.advert().entries()));
    let read = |file: &[u8]| copied::read(&mut &file[..], &node().public(), &demand);
    let (signed, entries) = read(&file).unwrap().unwrap();
    assert_eq!(entries, picked(&own, &demand));
    assert!(check(&truly(&own, &demand), &demand, &signed, &entries).is_ok());

    let last = file.len() - 1;
    file[last] ^= 1;
    let changed = read(&file).unwrap().unwrap_err();
    assert_eq!(changed, Finding::Advert(Void::Root));
    for cut in [last, last - 31] {
        let short = read(&file[..cut]).unwrap().unwrap_err();
        assert_eq!(short, Finding::Advert(Void::Length));
    }
    let stranger = KeyPair::from_seed(&[2; 32]).public();
    let other = copied::read(&mut &file[..], &stranger, &demand).unwrap();
    let other_signer = Finding::Signature(statement::Error::OtherSigner);
    assert_eq!(other.unwrap_err(), other_signer);
    for cut in [0, 11, 19, 60] {
        let none = read(&file[..cut]).unwrap_err();
        assert!(matches!(none, copied::Unread::NotACopy), "{cut}");
    }
    file[12] = 2;
    assert!(matches!(read(&file), Err(copied::Unread::Version)));
}

#[test]
fn a_sample_is_drawn_without_repetition_and_by_seed_and_header() {
    let own = honest();
    let signed = own.advert().signed();
    let drawn = draw(signed, 100_000, &demand(300));
    assert_eq!(drawn.len(), 300);
    assert!(drawn.is_sorted_by(|a, b| a < b));
    assert!(drawn.iter().all(|position| *position < 100_000));
    assert_eq!(drawn, draw(signed, 100_000, &demand(300)));
    let other = Demand {
        seed: "another".parse().unwrap(),
        sample: 300,
    };
    assert_ne!(drawn, draw(signed, 100_000, &other));
    let mut header = own.advert().header().clone();
    header.made = Timestamp(77);
    let signed = Signed::sign(&header, &node());
    assert_ne!(drawn, draw(&signed, 100_000, &demand(300)));
    assert_eq!(draw(&signed, 50, &demand(300)), (0..50).collect::<Vec<_>>());
    // Each half gets about its half.
    let low = draw(&signed, 100_000, &demand(10_000));
    let low = low.iter().filter(|position| **position < 50_000).count();
    assert!((4800..5200).contains(&low), "{low}");
}

#[test]
fn three_hundred_entries_find_one_in_a_hundred_with_19_of_20() {
    assert!(chance(2_000_000, 300, 20_000) > 0.95);
    assert!(chance(2_000_000, 298, 20_000) < 0.95);
    assert!(chance(4096, 300, 41) > 0.95);
    assert!(chance(2048, 0, 100).abs() < 1e-9);
    assert!((chance(2048, 2048, 1) - 1.0).abs() < 1e-9);
    assert!((chance(10, 5, 1) - 0.5).abs() < 1e-9);
}
