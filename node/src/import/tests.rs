//! Imports as a whole, of small made-up files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use fairshare_protocol::category::Category;
use fairshare_protocol::control::import::Place;
use fairshare_protocol::crypto::seal::SecretKey;
use fairshare_protocol::ids::PersonId;
use fairshare_protocol::offer::Label;

use super::*;
use crate::store::Store;
use crate::store::records::{Record, person_id};

/// 2026-11-23T10:00:00Z.
const NOW: Timestamp = Timestamp(1_795_428_000_000);
const NHS: [&str; 3] = ["9990001235", "9990014965", "9990028699"];

struct Bench {
    dir: tempfile::TempDir,
    records: Records,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let records = open(dir.path());
        Self { dir, records }
    }

    /// Puts a file where the next import finds it.
    fn give(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn take(&self, name: &str) {
        fs::remove_file(self.dir.path().join("in").join(name)).unwrap();
    }

    fn options() -> Options {
        Options::new(Rules::new(false, day_of(NOW)), NOW)
    }

    fn import_with(&self, options: &Options) -> ImportReport {
        let paths = [self.dir.path().join("in")];
        import(&self.records, &paths, options, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
    }

    fn import(&self) -> ImportReport {
        self.import_with(&Self::options())
    }

    fn person(&self, id: &str) -> PersonId {
        person_id(self.records.resource_name("Patient", id))
    }

    fn records_of(&self, id: &str) -> Vec<Record> {
        let all: BTreeSet<Category> = Category::ALL.iter().copied().collect();
        let mut records = self.records.records_of(&self.person(id), &all).unwrap();
        records.sort_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        records
    }

    /// What a person has, as `Type/id`.
    fn names_of(&self, id: &str) -> Vec<String> {
        let records = self.records_of(id).into_iter();
        records
            .map(|one| format!("{}/{}", one.kind, one.id))
            .collect()
    }

    fn text(&self, record: &Record) -> String {
        let mut text = String::new();
        self.records
            .body(record)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    /// Rows in every table of records, and files of blobs.
    fn rows(&self) -> Vec<usize> {
        let tables = self.records.tables();
        let all = [
            &tables.people,
            &tables.records,
            &tables.supporting,
            &tables.held,
            &tables.identifiers,
            &tables.packs,
            &tables.attachments,
            &tables.imports,
        ];
        // Unfinished blobs go when the store opens; here they may belong to a writer still alive.
        let blobs = fs::read_dir(self.dir.path().join("blobs")).unwrap();
        let finished = |path: PathBuf| path.extension().is_none();
        let blobs = blobs
            .filter(|entry| finished(entry.as_ref().unwrap().path()))
            .count();
        all.into_iter()
            .map(store::Table::count)
            .chain([blobs])
            .collect()
    }
}

fn open(dir: &Path) -> Records {
    let key = SecretKey::new([7; 32]);
    let store = Store::open(&dir.join("store"), &dir.join("blobs"), key).unwrap();
    Records::open(&store).unwrap()
}

fn patient(id: &str, nhs: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","birthDate":"1948-11-08","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}},{{"system":"https://local.example/id","value":"L-{id}"}}]}}"#
    )
}

fn record(kind: &str, id: &str, reference: &str) -> String {
    format!(r#"{{"resourceType":"{kind}","id":"{id}","subject":{{"reference":"{reference}"}}}}"#)
}

fn bundle(kind: &str, resources: &[String]) -> String {
    let entries: Vec<_> = resources
        .iter()
        .map(|resource| {
            format!(r#"{{"resource":{resource},"request":{{"method":"POST","url":"x"}}}}"#)
        })
        .collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
        entries.join(",")
    )
}

/// The rejections, as place, resource and cause.
fn rejected(report: &ImportReport) -> Vec<(Option<Place>, Option<&str>, &str)> {
    let all = report.rejections.iter();
    all.map(|one| (one.place, one.resource.as_deref(), one.cause.as_str()))
        .collect()
}

#[test]
fn records_spread_over_files_in_any_order_find_their_person() {
    let bench = Bench::new();
    bench.give("a/Condition.ndjson", record("Condition", "c", "Patient/p"));
    let logical =
        r#"{"identifier":{"system":"http://fhir.nhs.net/Id/nhs-number","value":"999 000 1235"}}"#;
    let goal = format!(
        r#"{{"resourceType":"Goal","id":"g","lifecycleStatus":"active","subject":{logical}}}"#
    );
    bench.give("a/Goal.json", goal);
    bench.give(
        "b.json",
        record(
            "Flag",
            "f",
            "Patient?identifier=https://local.example/id|L-p",
        ),
    );
    bench.give("z/Patient.ndjson", patient("p", NHS[0]));
    let report = bench.import();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        bench.names_of("p"),
        ["Condition/c", "Flag/f", "Goal/g", "Patient/p"]
    );
    let flags = bench
        .records
        .records_of(&bench.person("p"), &[Category::Safeguarding].into())
        .unwrap();
    assert_eq!(flags.len(), 1);
    let key = *bench.records.index_keys().unwrap().first().unwrap();
    assert_eq!(
        bench.records.people_by_key(&key).unwrap(),
        [bench.person("p")]
    );
    // A later import finds them in the store.
    bench.take("z/Patient.ndjson");
    bench.give(
        "b.json",
        record(
            "Flag",
            "later",
            "Patient?identifier=https://local.example/id|L-p",
        ),
    );
    assert_eq!(bench.import().records.new, 1);
}

#[test]
fn bytes_are_kept_exactly_as_they_came() {
    let bench = Bench::new();
    let odd = "{ \"resourceType\":\"Observation\",\n   \"id\" : \"o\",\"valueQuantity\":{\"value\":1.50E+2},\n\t\"subject\":{\"reference\":\"Patient/p\"},\"note\":[{\"text\":\"\u{202e}ａ \\u2028 👩‍⚕️ ﷽ '; DROP TABLE x; --\"}] }";
    bench.give(
        "x.json",
        bundle("collection", &[patient("p", NHS[0]), odd.to_owned()]),
    );
    bench.import();
    let observation = &bench.records_of("p")[0];
    assert_eq!(bench.text(observation), odd);
    assert_eq!(observation.size, odd.len() as u64);
}

#[test]
fn a_transaction_is_taken_whole_or_not_at_all() {
    let bench = Bench::new();
    let nobodys = record("Condition", "c", "Patient/stranger");
    let whole = bundle(
        "transaction",
        &[patient("q", NHS[1]), record("Condition", "d", "Patient/q")],
    );
    let broken = bundle(
        "transaction",
        &[
            patient("p", NHS[0]),
            r#"{"resourceType":"Practitioner","id":"x"}"#.into(),
            nobodys,
        ],
    );
    bench.give("broken.json", broken);
    bench.give("whole.json", whole);
    // This one counted on the Patient of the broken one.
    bench.give(
        "leaning.json",
        bundle("transaction", &[record("Condition", "e", "Patient/p")]),
    );
    bench.give("line.ndjson", record("Condition", "f", "Patient/p"));
    let report = bench.import();
    assert_eq!(
        (
            report.people.held,
            report.records.held,
            report.supporting.held
        ),
        (1, 2, 0)
    );
    assert_eq!((report.rejected, report.causes["transaction"]), (5, 4));
    let first = &report.rejections[0];
    assert_eq!(first.count, 3);
    assert!(
        first.reason.ends_with(
            "entry 3 was refused: its person is neither in this import nor in the store"
        )
    );
    assert_eq!((report.files.taken, report.files.refused), (1, 3));
    bench.give("more.json", patient("stranger", NHS[2]));
    let report = bench.import();
    assert!(
        report.is_clean(),
        "now that its person is known: {report:?}"
    );
    assert_eq!((report.people.held, report.supporting.held), (3, 1));
}

#[test]
fn of_lines_and_entries_only_the_bad_ones_are_left_out() {
    let bench = Bench::new();
    let lines = [
        &*patient("p", NHS[0]),
        "{\"resourceType\":",
        "",
        &record("Condition", "c", "Group/g"),
        &record("Condition", "d", "Patient/p"),
    ];
    bench.give("a.ndjson", lines.join("\n"));
    let outcome = r#"{"resourceType":"OperationOutcome","id":"o"}"#.to_owned();
    bench.give(
        "b.json",
        bundle(
            "batch",
            &[
                record("Condition", "e", "Patient/p"),
                outcome,
                record("Condition", "f", "Patient/9990014965"),
            ],
        ),
    );
    let report = bench.import();
    assert_eq!(
        bench.names_of("p"),
        ["Condition/d", "Condition/e", "Patient/p"]
    );
    assert_eq!(
        rejected(&report),
        [
            (Some(Place::Line(2)), None, "not-json"),
            (
                Some(Place::Line(4)),
                Some("Condition/c"),
                "not-about-a-person"
            ),
            (
                Some(Place::Entry(2)),
                Some("OperationOutcome/o"),
                "not-care"
            ),
            (Some(Place::Entry(3)), Some("Condition/f"), "unknown-person"),
        ]
    );
}

#[test]
fn the_same_thing_twice_changes_nothing_and_a_change_is_a_new_version() {
    let bench = Bench::new();
    let supporting = r#"{"resourceType":"Organization","id":"o"}"#;
    bench.give(
        "a.ndjson",
        [
            patient("p", NHS[0]),
            record("Condition", "c", "Patient/p"),
            supporting.into(),
        ]
        .join("\n"),
    );
    assert_eq!(bench.import().import, Some(1));
    let rows = bench.rows();
    let again = bench.import();
    assert_eq!(
        (
            again.import,
            again.records.unchanged,
            again.supporting.unchanged
        ),
        (None, 2, 1)
    );
    assert_eq!(bench.rows(), rows);
    let old = bench.records_of("p").remove(0);
    let changed =
        record("Condition", "c", "Patient/p").replace("\"id\"", "\"recordedDate\":\"2026\",\"id\"");
    bench.give(
        "a.ndjson",
        [patient("p", NHS[0]), changed.clone()].join("\n"),
    );
    let report = bench.import();
    assert_eq!(
        (report.import, report.records.changed, report.records.held),
        (Some(2), 1, 2)
    );
    assert_eq!(bench.text(&bench.records_of("p")[0]), changed);
    assert_eq!(
        bench.text(&old),
        record("Condition", "c", "Patient/p"),
        "the old version is kept"
    );
    assert_eq!(bench.records.imported().unwrap(), Some(NOW));
}

#[test]
fn a_record_of_another_person_leaves_the_one_it_was_filed_under() {
    let bench = Bench::new();
    let people = [patient("p", NHS[0]), patient("q", NHS[1])].join("\n");
    bench.give(
        "a.ndjson",
        format!("{people}\n{}", record("Condition", "c", "Patient/p")),
    );
    bench.import();
    bench.give(
        "a.ndjson",
        format!("{people}\n{}", record("Condition", "c", "Patient/q")),
    );
    let report = bench.import();
    assert_eq!((report.records.changed, report.records.held), (1, 3));
    assert_eq!(
        (bench.names_of("p"), bench.names_of("q")),
        (
            vec!["Patient/p".into()],
            vec!["Condition/c".into(), "Patient/q".into()]
        )
    );
}

#[test]
fn of_a_resource_given_twice_the_last_one_counts() {
    let bench = Bench::new();
    let first = record("Condition", "c", "Patient/p");
    let second = first.replace("\"id\"", "\"note\":[],\"id\"");
    bench.give(
        "a.ndjson",
        [&patient("p", NHS[0]), &first, &second]
            .map(String::as_str)
            .join("\n"),
    );
    let report = bench.import();
    assert_eq!(
        (report.repeated, report.records.new, report.records.held),
        (1, 2, 2)
    );
    assert_eq!(bench.text(&bench.records_of("p")[0]), second);
    // And once more: nothing changes, though the first of them is not what is held.
    let again = bench.import();
    assert_eq!((again.records.changed, again.records.unchanged), (0, 2));
    assert_eq!(bench.text(&bench.records_of("p")[0]), second);
}

#[test]
fn an_ambiguous_or_contradicted_person_is_refused() {
    let bench = Bench::new();
    let nhs = |value: &str| {
        format!(
            r#""identifier":{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{value}"}}"#
        )
    };
    let subject = |id: &str, inside: String| {
        format!(r#"{{"resourceType":"Condition","id":"{id}","subject":{{{inside}}}}}"#)
    };
    let lines = [
        patient("p", NHS[0]),
        patient("twin", NHS[0]),
        patient("q", NHS[1]),
        subject("a", nhs(NHS[0])),
        subject("b", format!(r#""reference":"Patient/p",{}"#, nhs(NHS[1]))),
        subject("c", format!(r#""reference":"Patient/q",{}"#, nhs(NHS[1]))),
        subject(
            "d",
            r#""reference":"https://elsewhere.example/fhir/Patient/q""#.into(),
        ),
    ];
    bench.give("a.ndjson", lines.join("\n"));
    let report = bench.import();
    let causes: Vec<_> = report
        .rejections
        .iter()
        .map(|one| (one.resource.as_deref().unwrap(), &*one.cause))
        .collect();
    assert_eq!(
        causes,
        [
            ("Condition/d", "other-server"),
            ("Condition/a", "ambiguous-person"),
            ("Condition/b", "ambiguous-person")
        ]
    );
    assert_eq!(bench.names_of("q"), ["Condition/c", "Patient/q"]);
    let key = *bench.records.index_keys().unwrap().first().unwrap();
    let mut twins = [bench.person("p"), bench.person("twin")];
    twins.sort();
    assert_eq!(
        bench.records.people_by_key(&key).unwrap(),
        twins,
        "registered twice: both are found"
    );
}

#[test]
fn an_absolute_reference_counts_if_the_export_came_from_that_server() {
    let line = record("Condition", "c", "https://ehr.example/fhir/Patient/p");
    let bench = Bench::new();
    bench.give("a.ndjson", [patient("p", NHS[0]), line].join("\n"));
    assert_eq!(bench.import().causes["other-server"], 1);
    let mut options = Bench::options();
    options.servers = vec!["https://ehr.example/fhir/".into()];
    assert!(bench.import_with(&options).is_clean());
    let manifest = r#"{"transactionTime":"2026-01-01T00:00:00Z","request":"https://ehr.example/fhir/Group/g/$export","output":[]}"#;
    let other = Bench::new();
    other.give(
        "a.ndjson",
        fs::read(bench.dir.path().join("in/a.ndjson")).unwrap(),
    );
    other.give("manifest.json", manifest);
    assert!(other.import().is_clean());
}

#[test]
fn a_binary_is_as_secret_as_what_references_it_and_provenance_goes_with_its_target() {
    let bench = Bench::new();
    let document = |id: &str, typed: &str, label: &str| {
        format!(
            r#"{{"resourceType":"DocumentReference","id":"{id}","type":{{"text":"{typed}"}},"meta":{{"security":[{{"code":"{label}"}}]}},"subject":{{"reference":"Patient/p"}},"content":[{{"attachment":{{"url":"Binary/{id}"}}}}]}}"#
        )
    };
    let binary = |id: &str| {
        format!(
            r#"{{"resourceType":"Binary","id":"{id}","contentType":"text/plain","data":"aGVsbG8="}}"#
        )
    };
    let lines = [
        binary("letter"),
        binary("worry"),
        binary("orphan"),
        document("letter", "Letter", "N"),
        document("worry", "Safeguarding concern", "V"),
        r#"{"resourceType":"Provenance","id":"v","target":[{"reference":"DocumentReference/worry"}]}"#.into(),
        patient("p", NHS[0]),
    ];
    bench.give("a.ndjson", lines.join("\n"));
    let report = bench.import();
    assert_eq!(
        rejected(&report),
        [(Some(Place::Line(3)), Some("Binary/orphan"), "whose-unknown")]
    );
    let seen: Vec<_> = bench
        .records_of("p")
        .into_iter()
        .map(|one| (format!("{}/{}", one.kind, one.id), one.category, one.label))
        .collect();
    assert!(seen.contains(&("Binary/letter".into(), Category::Documents, None)));
    assert!(seen.contains(&(
        "Binary/worry".into(),
        Category::Safeguarding,
        Some(Label::VeryRestricted)
    )));
    assert!(seen.contains(&(
        "Provenance/v".into(),
        Category::Other,
        Some(Label::VeryRestricted)
    )));
    // What is held already is known by itself.
    bench.give(
        "a.ndjson",
        [binary("letter").replace("aGVsbG8=", "aGVsbG9v")].join("\n"),
    );
    assert_eq!(bench.import().records.changed, 1);
}

#[test]
fn supporting_resources_travel_through_what_references_them() {
    let bench = Bench::new();
    let lines = [
        patient("p", NHS[0]),
        r#"{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/p"},"participant":[{"individual":{"reference":"Practitioner?identifier=https://gmc.example|1"}}],"location":[{"location":{"reference":"Location/l"}}]}"#.into(),
        r#"{"resourceType":"Practitioner","id":"d","identifier":[{"system":"https://gmc.example","value":"1"}]}"#.into(),
        r#"{"resourceType":"Location","id":"l","managingOrganization":{"reference":"Organization/o"}}"#.into(),
        r#"{"resourceType":"Organization","id":"o","partOf":{"reference":"Organization/o"}}"#.into(),
        r#"{"resourceType":"Organization","id":"unrelated"}"#.into(),
    ];
    bench.give("a.ndjson", lines.join("\n"));
    assert!(bench.import().is_clean());
    let mut found: Vec<_> = bench
        .records
        .supporting_of(&bench.records_of("p"))
        .unwrap()
        .into_iter()
        .map(|one| one.id)
        .collect();
    found.sort();
    assert_eq!(found, ["d", "l", "o"]);
}

#[test]
fn attachments_beside_a_record_are_kept_and_bad_ones_named() {
    let bench = Bench::new();
    let document = |id: &str, attachment: &str| {
        format!(
            r#"{{"resourceType":"DocumentReference","id":"{id}","subject":{{"reference":"Patient/p"}},"content":[{{"attachment":{attachment}}}]}}"#
        )
    };
    let lines = [
        patient("p", NHS[0]),
        document("a", r#"{"url":"files/a%20b.bin","size":200000}"#),
        document("b", r#"{"url":"files/a%20b.bin","size":7}"#),
        document("c", r#"{"url":"../secret"}"#),
        document("d", r#"{"url":"files/none.pdf"}"#),
        document("e", r#"{"url":"https://x.example/a.pdf"}"#),
    ];
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    bench
        .give("Document.ndjson", lines.join("\n"))
        .give("files/a b.bin", &bytes);
    fs::write(bench.dir.path().join("secret"), "x").unwrap();
    let report = bench.import();
    let counts = report.attachments;
    assert_eq!(
        (counts.taken, counts.remote, counts.missing, counts.damaged),
        (1, 1, 2, 1)
    );
    assert_eq!(
        (
            report.rejected,
            report.files.attachments,
            report.records.held
        ),
        (0, 1, 6)
    );
    let attached = bench
        .records_of("p")
        .into_iter()
        .find(|one| one.id == "a")
        .unwrap()
        .attachments
        .remove(0);
    assert_eq!(attached.url, "files/a%20b.bin", "as the record names it");
    let mut read = Vec::new();
    bench
        .records
        .attachment(&attached)
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert!(read == bytes);
    // A file that is gone is no reason to lose what is held of it.
    bench.take("files/a b.bin");
    assert_eq!(bench.import().import, None);
}

/// Files whose import makes rows in every table, and blobs.
fn much(bench: &Bench) {
    let long = "x".repeat(100_000);
    let mut lines = vec![
        patient("p", NHS[0]),
        r#"{"resourceType":"Organization","id":"o","identifier":[{"system":"a","value":"b"}]}"#
            .into(),
    ];
    for id in 0..200 {
        lines.push(record("Condition", &format!("c{id}"), "Patient/p"));
    }
    lines.push(format!(r#"{{"resourceType":"DocumentReference","id":"d","description":"{long}","subject":{{"reference":"Patient/p"}},"content":[{{"attachment":{{"url":"big.bin"}}}}]}}"#));
    bench
        .give("a.ndjson", lines.join("\n"))
        .give("big.bin", vec![1; 100_000]);
}

#[test]
fn nothing_is_visible_before_the_end_and_a_stopped_import_leaves_nothing() {
    let bench = Bench::new();
    much(&bench);
    let empty = bench.rows();
    let mut steps = 0;
    bench.import();
    let full = bench.rows();
    let fresh = Bench::new();
    much(&fresh);
    let paths = [fresh.dir.path().join("in")];
    // Stopped at every step but the last there is, one after the other.
    loop {
        let mut left = steps;
        let mut watch = |_| {
            assert_eq!(
                fresh.records.counts().unwrap(),
                store::records::Counts::default()
            );
            assert!(
                fresh.records_of("p").is_empty() && fresh.records.index_keys().unwrap().is_empty()
            );
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            ControlFlow::Continue(())
        };
        match import(&fresh.records, &paths, &Bench::options(), &mut watch) {
            Err(Error::Stopped) => assert_eq!(fresh.rows(), empty, "after step {steps}"),
            Err(error) => unreachable!("{error}"),
            Ok(report) => {
                assert_eq!((report.import, report.records.held), (Some(1), 202));
                break;
            }
        }
        steps += 1;
    }
    assert!(steps > 6, "both phases were stopped");
    assert_eq!(fresh.rows(), full);
}

#[test]
fn an_import_cut_off_while_filing_is_swept_when_the_store_opens() {
    let bench = Bench::new();
    bench
        .give("0.json", patient("p", NHS[0]))
        .give("1.json", record("Condition", "c0", "Patient/p"));
    bench.import();
    let (before, seen) = (bench.rows(), bench.names_of("p"));
    much(&bench);
    // As a crash would: what ends an import, well or badly, does not run.
    let paths = [bench.dir.path().join("in")];
    let options = Bench::options();
    let mut watch = |_: Progress| ControlFlow::Continue(());
    let walked = walk::walk(&paths).unwrap();
    let mut filing = Filing::begin(&bench.records).unwrap().unwrap();
    let mut tally = report::Tally::new(&walked);
    let staged = read::read_all(
        &bench.records,
        &filing,
        &walked,
        &options,
        &mut tally,
        &mut watch,
    )
    .unwrap();
    let resolved = resolve::resolve(&bench.records, &filing, &staged, &mut tally).unwrap();
    file::file_all(
        &mut filing,
        &staged,
        &resolved,
        &walked,
        &mut tally,
        &mut watch,
    )
    .unwrap();
    assert_ne!(bench.rows(), before);
    assert_eq!(bench.names_of("p"), seen, "nothing is visible");
    assert!(matches!(
        import(&bench.records, &paths, &options, &mut watch),
        Err(Error::Busy)
    ));
    std::mem::forget(filing);
    let records = Records::open(&bench.records.inner().store).unwrap();
    let Bench { dir, .. } = bench;
    let bench = Bench { dir, records };
    assert_eq!(bench.rows(), before);
    assert_eq!(bench.names_of("p"), seen);
    much(&bench);
    assert_eq!(bench.import().records.held, 202);
}

#[test]
fn who_is_not_in_the_index_is_named_by_local_id_only() {
    let bench = Bench::new();
    let partial = patient("912-1", NHS[0]).replace("1948-11-08", "1948");
    let restricted =
        patient("912-2", NHS[1]).replace("\"id\"", r#""meta":{"security":[{"code":"R"}]},"id""#);
    let numbered = patient(NHS[2], "9990028698");
    bench.give(
        "9990001235.ndjson",
        [partial, restricted, numbered, "{".into()].join("\n"),
    );
    let report = bench.import();
    assert_eq!((report.people.held, report.people.indexable), (3, 0));
    let named: Vec<_> = report
        .not_indexable
        .iter()
        .map(|one| (one.id.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (
                "(NHS number)",
                "an NHS number that is not valid: ten digits and a check digit that fits"
            ),
            ("912-1", "a date of birth without its day"),
            ("912-2", "labelled restricted: withheld from the index"),
        ]
    );
    let text = serde_json::to_string(&report).unwrap();
    assert!(NHS.iter().all(|nhs| !text.contains(nhs)), "{text}");
    assert!(
        report.rejections[0]
            .file
            .ends_with("/(NHS number).ndjson (file 1 of 1)")
    );
}

#[test]
fn days_are_civil_dates() {
    for (seconds, date) in [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (1_795_428_000, "2026-11-23"),
        (4_107_542_400, "2100-03-01"),
        (253_402_300_799, "9999-12-31"),
        (999_999_999_999, "9999-12-31"),
    ] {
        assert_eq!(day_of(Timestamp(seconds * 1000)).expose(), date);
    }
}
