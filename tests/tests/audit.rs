//! An audit at one organisation, checked at another.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::path::Path;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, held_by};
use fairshare_tests::harness::people::Somebody;
use serde_json::Value;

const SEED: [&str; 2] = ["--seed", "dice 4 1 6 3 3 2"];

fn audit(site: &Site, out: &str) -> Value {
    let rest = ["--sample", "3072", "--auditor", "A. Moss", "--out", out];
    site.json(&[&["index", "audit"][..], &SEED, &rest].concat())
}

/// What a check says, and its exit code.
fn check(site: &Site, report: &Path) -> (i32, Value) {
    let report = report.to_str().unwrap();
    let rest = ["--sample", "3072", "--json"];
    let output = site.run(&[&["index", "check", report][..], &SEED, &rest].concat());
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), said)
}

#[test]
fn an_auditor_checks_at_another_member_what_was_opened_here() {
    let federation = Federation::found("info");
    let (here, there) = (&federation.sites[0], &federation.sites[1]);
    let nothing = [
        &["index", "audit", "--auditor", "A", "--out", "no"][..],
        &SEED,
    ]
    .concat();
    assert_eq!(
        here.run(&nothing).status.code(),
        Some(2),
        "there is no advert yet"
    );
    assert!(!here.dir().join("no").exists());
    federation.import(200);
    federation.match_all();

    // Everything is opened: each person and nobody else, with what the organisation calls them.
    let audited = audit(here, "report.json");
    assert_eq!(audited["opened"]["opened"], 2048);
    assert_eq!(audited["opened"]["people"], 30);
    let file = here.dir().join("report.json");
    let report = fs::read_to_string(&file).unwrap();
    for Somebody { nhs, born, .. } in held_by("RH8") {
        assert!(report.contains(&nhs) && report.contains(&born));
        assert!(!audited.to_string().contains(&nhs));
        for entry in fs::read_dir(here.home().join("journal")).unwrap() {
            let journal = fs::read(entry.unwrap().path()).unwrap();
            assert!(!journal.windows(10).any(|it| it == nhs.as_bytes()));
        }
    }
    assert!(report.contains("rh8-p0"));
    let journal = fs::read(here.home().join("journal/entries")).unwrap();
    let who = b"to auditor A. Moss";
    assert!(journal.windows(who.len()).any(|it| it == who));

    let (code, said) = check(there, &file);
    assert_eq!((code, &said["passed"]), (0, &Value::Bool(true)), "{said}");
    assert_eq!(said["advert"]["member"], "RH8");
    assert_eq!(said["opened"], audited["opened"]);

    // What was shown of one person, shown for another.
    let mut changed: Value = serde_json::from_str(&report).unwrap();
    let openings = changed["openings"].as_array_mut().unwrap();
    let shown = openings.iter().position(|it| it["person"].is_object());
    let shown = &mut openings[shown.unwrap()];
    let position = shown["position"].clone();
    shown["person"]["nhs"] = Somebody::numbered(999).nhs.into();
    let lie = here.dir().join("lie.json");
    fs::write(&lie, changed.to_string()).unwrap();
    let (code, said) = check(there, &lie);
    assert_eq!((code, &said["passed"]), (3, &Value::Bool(false)), "{said}");
    assert_eq!(said["finding"]["code"], "other-key");
    assert_eq!(said["finding"]["position"], position);
}
