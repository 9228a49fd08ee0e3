//! Imports of what organisations really have: the directories of `../shared/data`.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use fairshare_node::fhir::Rules;
use fairshare_node::import::{Options, day_of, import};
use fairshare_node::store::Store;
use fairshare_node::store::records::Records;
use fairshare_protocol::category::Category;
use fairshare_protocol::control::import::ImportReport;
use fairshare_protocol::crypto::seal::SecretKey;
use fairshare_protocol::time::Timestamp;

/// 2026-11-23T10:00:00Z.
const NOW: Timestamp = Timestamp(1_795_428_000_000);

/// `../shared/data`, if it is there.
fn data() -> Option<PathBuf> {
    fairshare_tests::shared::data("", "import of real files")
}

struct Node {
    dir: tempfile::TempDir,
    records: Records,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path());
        Self { dir, records }
    }

    fn import(&self, path: &Path, social_care: bool) -> ImportReport {
        let options = Options::new(Rules::new(social_care, day_of(NOW)), NOW);
        let mut watch = |_| ControlFlow::Continue(());
        import(&self.records, &[path.into()], &options, &mut watch).unwrap()
    }
}

fn open(dir: &Path) -> Records {
    let key = SecretKey::new([7; 32]);
    let store = Store::open(&dir.join("store"), &dir.join("blobs"), key).unwrap();
    Records::open(&store).unwrap()
}

fn all_categories() -> BTreeSet<Category> {
    Category::ALL.iter().copied().collect()
}

/// Files taken and refused, and of what was refused how many for which cause.
type Expected = (&'static str, u64, u64, &'static [(&'static str, u64)]);

/// Every directory the bar names, and the others of files.
const DIRECTORIES: [Expected; 11] = [
    (
        "fhir-r4-official-examples",
        501,
        151,
        &[
            ("bundle-type", 5),
            ("dead-reference", 17),
            ("no-person-named", 51),
            ("not-a-resource-to-store", 9),
            ("not-about-a-person", 4),
            ("not-care", 130),
            ("not-fhir", 1),
            ("other-server", 4),
            ("transaction", 48),
            ("unknown-person", 23),
            ("whose-unknown", 2),
        ],
    ),
    (
        "uk-core-examples/json",
        193,
        22,
        &[
            ("dead-reference", 3),
            ("no-person-named", 8),
            ("not-a-resource-to-store", 3),
            ("not-care", 8),
            ("unknown-person", 9),
        ],
    ),
    ("uk-core-examples/xml", 0, 215, &[("fhir-xml", 215)]),
    (
        "nrl",
        0,
        13,
        &[
            ("bad-shape", 1),
            ("not-care", 2),
            ("not-fhir", 2),
            ("unknown-person", 8),
        ],
    ),
    ("pds", 26, 2, &[("dead-reference", 1), ("not-fhir", 1)]),
    ("gp-connect-stu3", 0, 7, &[("not-fhir", 1), ("not-r4", 6)]),
    ("synthea-original", 5, 1, &[("not-fhir", 1)]),
    ("edge-cases", 0, 2, &[("not-fhir", 2)]),
    ("documents", 0, 23, &[("not-fhir", 23)]),
    (
        "bars",
        8,
        117,
        &[
            ("bad-id", 4),
            ("bad-shape", 1),
            ("bundle-type", 7),
            ("dead-reference", 2),
            ("no-person-named", 8),
            ("not-a-resource-to-store", 1),
            ("not-care", 65),
            ("not-fhir", 29),
            ("not-json", 1),
        ],
    ),
    ("nhs-numbers", 0, 2, &[("not-fhir", 2)]),
];

#[test]
fn every_file_of_every_directory_is_taken_or_refused_with_a_reason() {
    let Some(data) = data() else { return };
    for (name, taken, refused, causes) in DIRECTORIES {
        let report = Node::new().import(&data.join(name), false);
        let files = &report.files;
        eprintln!(
            "{name}: {} files taken, {} refused; {} people, {} records, {} supporting; refused {:?}",
            files.taken,
            files.refused,
            report.people.held,
            report.records.held,
            report.supporting.held,
            report.causes,
        );
        assert_eq!(
            (files.taken, files.refused),
            (taken, refused),
            "{name}: {:#?}",
            report.rejections
        );
        let expected = causes
            .iter()
            .map(|(cause, count)| ((*cause).to_owned(), *count));
        assert_eq!(
            report.causes,
            expected.collect(),
            "{name}: {:#?}",
            report.rejections
        );
        assert!(report.rejections.iter().all(|one| !one.reason.is_empty()));
    }
}

#[test]
fn stu3_is_refused_saying_so() {
    let Some(data) = data() else { return };
    let report = Node::new().import(&data.join("gp-connect-stu3"), false);
    let stu3 = report.rejections.iter().filter(|one| one.cause == "not-r4");
    assert!(
        stu3.clone()
            .all(|one| one.reason == "FHIR STU3 or DSTU2, not R4: export it as R4")
    );
    assert_eq!(
        (stu3.count(), report.records.held, report.supporting.held),
        (6, 0, 0)
    );
}

/// Directory, social care, people, indexable, records about people, supporting.
const ORGANISATIONS: [(&str, bool, u64, u64, u64, u64); 3] = [
    ("acute-RH8", false, 78, 78, 1475 - 84, 84),
    ("gp-L83024", false, 97, 97, 21_031 - 120, 120),
    ("la-912", true, 38, 30, 285, 0),
];

#[test]
fn the_three_organisations_give_the_people_and_records_they_hold() {
    let Some(data) = data() else { return };
    for (name, social_care, people, indexable, records, supporting) in ORGANISATIONS {
        let node = Node::new();
        let path = data.join("orgs").join(name);
        let report = node.import(&path, social_care);
        eprintln!(
            "{name}: {:?} {:?} {:?} in {} ms",
            report.people, report.records, report.attachments, report.ms
        );
        assert!(report.is_clean(), "{name}: {:#?}", report.rejections);
        assert_eq!(
            (report.people.held, report.people.indexable),
            (people, indexable),
            "{name}"
        );
        assert_eq!(
            (report.records.held, report.supporting.held),
            (records, supporting),
            "{name}"
        );
        assert_eq!(
            node.records.index_keys().unwrap().len() as u64,
            indexable,
            "{name}"
        );
        assert_eq!(report.not_indexable.len() as u64, people - indexable);
        assert!(
            report
                .not_indexable
                .iter()
                .all(|one| one.reason == "no NHS number")
        );

        let before = walk(&node.records);
        assert_eq!(before.len() as u64, records, "{name}");
        let again = node.import(&path, social_care);
        assert_eq!(
            (again.import, again.records.new, again.records.changed),
            (None, 0, 0),
            "{name}"
        );
        assert_eq!(again.records.unchanged, records, "{name}");
        assert!(again.supporting.unchanged >= supporting, "{name}");
        assert_eq!(
            again.people,
            fairshare_protocol::control::import::People {
                new: 0,
                ..report.people
            }
        );
        assert_eq!(walk(&node.records), before, "{name}: nothing changed");

        let Node {
            dir,
            records: open_records,
        } = node;
        drop(open_records);
        assert_eq!(
            walk(&open(dir.path())),
            before,
            "{name}: and all is there after reopening"
        );
    }
}

/// Every record: its person, type, id and hash of its bytes, read from the store.
fn walk(records: &Records) -> BTreeSet<([u8; 16], String, String, [u8; 32])> {
    let mut people = Vec::new();
    records.each_person(|id, _| people.push(id)).unwrap();
    let mut all = BTreeSet::new();
    for id in people {
        for record in records.records_of(&id, &all_categories()).unwrap() {
            let mut bytes = Vec::new();
            records
                .body(&record)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            let hash = fairshare_protocol::crypto::hash::bytes(&bytes);
            assert_eq!((hash, bytes.len() as u64), (record.hash, record.size));
            assert!(all.insert((id.0.0, record.kind, record.id, *hash.as_bytes())));
        }
    }
    all
}

#[test]
fn attachments_beside_their_documents_are_kept_byte_for_byte() {
    let Some(data) = data() else { return };
    let node = Node::new();
    let path = data.join("orgs/acute-RH8");
    let report = node.import(&path, false);
    assert_eq!(
        (report.attachments.taken, report.files.attachments),
        (78, 5)
    );
    let documents = BTreeSet::from([Category::Documents]);
    let mut seen = 0;
    for key in node.records.index_keys().unwrap() {
        let people = node.records.people_by_key(&key).unwrap();
        assert_eq!(people.len(), 1);
        for record in node.records.records_of(&people[0], &documents).unwrap() {
            let attached = &record.attachments[0];
            let mut bytes = Vec::new();
            node.records
                .attachment(attached)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            assert!(
                bytes == std::fs::read(path.join(&attached.url)).unwrap(),
                "{}",
                attached.url
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 78);
}

#[test]
fn what_records_reference_travels_with_them() {
    let Some(data) = data() else { return };
    let node = Node::new();
    node.import(&data.join("orgs/gp-L83024"), false);
    let key = *node.records.index_keys().unwrap().first().unwrap();
    let person = node.records.people_by_key(&key).unwrap()[0];
    let records = node.records.records_of(&person, &all_categories()).unwrap();
    let supporting = node.records.supporting_of(&records).unwrap();
    let kinds: BTreeSet<_> = supporting.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["Organization", "Practitioner"]));
    // Every urn a record of this person mentions is one of theirs, or travels with them.
    let known: BTreeSet<_> = records
        .iter()
        .chain(&supporting)
        .filter_map(|one| one.urn.clone())
        .collect();
    for record in &records {
        let mut text = String::new();
        node.records
            .body(record)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        for part in text.split("\"reference\"").skip(1) {
            let urn = part.split('"').nth(1).unwrap();
            assert!(
                known.contains(urn),
                "{} names something that does not travel",
                record.kind
            );
        }
    }
}
