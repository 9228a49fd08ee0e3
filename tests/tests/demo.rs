//! `fairshare demo`: real nodes that find, ask and prove, and leave nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails panics, and one that is skipped says so"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fairshare_tests::harness::fairshare;
use fairshare_tests::shared::data;
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A place of its own for what a demo writes.
fn place() -> TempDir {
    tempfile::Builder::new().prefix("demo-").tempdir().unwrap()
}

fn demo(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(fairshare());
    command.arg("demo").args(arguments).env("TMPDIR", place);
    command.env("NO_COLOR", "1").env_remove("FAIRSHARE_LOG");
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn report(output: &Output) -> Value {
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    assert_eq!(errors, "");
    // One object and nothing else.
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Processes whose command line names `place`.
fn running(place: &Path) -> Vec<PathBuf> {
    let place = place.display().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let cmdline = all.map(|entry| entry.path().join("cmdline"));
    let named = |path: &PathBuf| fs::read(path).is_ok_and(|line| text(&line).contains(&place));
    cmdline.filter(named).collect()
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nothing_is_left(place: &Path) {
    assert_eq!(running(place), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(place).unwrap().count(), 0);
}

fn links(report: &Value) -> Vec<u64> {
    let pairs = report["pairs"].as_array().unwrap();
    pairs
        .iter()
        .map(|pair| pair["links"].as_u64().unwrap())
        .collect()
}

/// Every direction was asked, and everybody answered.
fn all_answered(report: &Value, codes: &[&str]) {
    let asks = report["asks"].as_array().unwrap();
    for from in codes {
        for to in codes.iter().filter(|to| *to != from) {
            let of_these = |ask: &&Value| ask["from"] == *from && ask["to"] == *to;
            assert!(asks.iter().any(|ask| of_these(&ask)), "{from} asks {to}");
        }
    }
    for ask in asks {
        assert_eq!(ask["answer"], "delivered");
        assert!(ask["records_received"].as_u64() > Some(0));
        assert!(ask["records_returned"].as_u64() > Some(0));
        assert!(ask["ms"].is_u64());
    }
}

#[test]
fn three_organisations_find_ask_and_prove_and_leave_nothing() {
    let place = place();
    let report = report(&demo(place.path(), &["--json"]).output().unwrap());
    let names: Vec<_> = report.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "asks",
            "journals_verified",
            "organisations",
            "pairs",
            "seconds"
        ]
    );
    let organisation = |ods, kind, people, indexable, records, rejected| {
        json!({"ods": ods, "kind": kind, "people": people, "indexable": indexable,
            "records": records, "rejected": rejected})
    };
    assert_eq!(
        report["organisations"],
        json!([
            organisation("RZZ", "acute-trust", 160, 156, 1919, 1),
            organisation("Z00123", "gp-practice", 220, 220, 3039, 0),
            organisation("998", "adult-social-care", 70, 60, 384, 0),
        ])
    );
    assert_eq!(links(&report), [89, 28, 42]);
    all_answered(&report, &["RZZ", "Z00123", "998"]);
    assert_eq!(report["journals_verified"], true);
    assert!(report["seconds"].is_number());
    nothing_is_left(place.path());
}

#[test]
fn real_files_give_exactly_the_links_that_are_in_them() {
    let Some(files) = data("orgs", "the demo with it") else {
        return;
    };
    let place = place();
    let from = files.display().to_string();
    let report = report(
        &demo(place.path(), &["--json", "--from", &from])
            .output()
            .unwrap(),
    );
    assert_eq!(links(&report), [57, 23, 22]);
    all_answered(&report, &["RH8", "L83024", "912"]);
    assert_eq!(report["journals_verified"], true);
    nothing_is_left(place.path());
}

#[test]
fn a_directory_without_organisations_is_refused_with_the_remedy() {
    let (place, from) = (place(), place());
    fs::create_dir(from.path().join("gp-L83024")).unwrap();
    fs::create_dir(from.path().join("truth")).unwrap();
    let output = demo(
        place.path(),
        &["--from", &from.path().display().to_string()],
    )
    .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("1 directories of organisations"),
        "{errors}"
    );
    assert!(
        errors.contains("try: name two to six directories like acute-RH8"),
        "{errors}"
    );
    nothing_is_left(place.path());
}

/// A demo whose three nodes run.
fn midway(place: &Path) -> Child {
    let mut command = demo(place, &["--json"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("three nodes run", || running(place).len() == 3);
    child
}

fn signal(child: &Child, which: &str) {
    let told = Command::new("kill")
        .args([which, &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
}

#[test]
fn interrupted_it_leaves_nothing() {
    for which in ["-INT", "-TERM"] {
        let place = place();
        let child = midway(place.path());
        signal(&child, which);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{which}");
        assert!(text(&output.stderr).contains("stopped before its end"));
        nothing_is_left(place.path());
    }
}

#[test]
fn its_nodes_end_when_it_is_killed() {
    let place = place();
    let mut child = midway(place.path());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the nodes have ended", || running(place.path()).is_empty());
}
