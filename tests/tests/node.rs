//! One real node process: it starts, answers, stops, and survives being killed.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use fairshare_node::config::Config;
use fairshare_node::home::Home;
use fairshare_node::home::keys::Keys;
use fairshare_tests::harness::Site;

/// A home of its own, of a node that listens nowhere others could reach.
fn site() -> Site {
    let site = Site::new();
    let text = r#"
        ods = "RH8"
        kind = "acute-trust"
        name = "Royal Devon"
        population = 500
        listen = ["/ip4/127.0.0.1/tcp/0"]
        exchange_contact = { name = "Records desk" }
        caldicott_guardian = { name = "Dr A. Guardian" }
    "#;
    let file = site.dir().join("config.toml");
    fs::write(&file, text).unwrap();
    let home = Home::create(&site.home()).unwrap();
    Keys::generate().write(&home.keys()).unwrap();
    home.settle(&Config::read(&file).unwrap()).unwrap();
    site
}

fn said(output: &std::process::Output) -> (Option<i32>, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

#[test]
fn a_node_is_ready_answers_and_stops_within_five_seconds() {
    let mut site = site();
    site.start();
    let status = site.json(&["status"]);
    assert_eq!(status["member"], "RH8");
    assert_eq!(status["problems"].as_array().unwrap().len(), 0);
    assert!(
        site.ok(&["status"])
            .starts_with("RH8 Royal Devon, acute-trust: healthy\n")
    );
    assert!(site.stop() < Duration::from_secs(5));
    let (code, stderr) = said(&site.run(&["status"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no node is running at"), "{stderr}");
    assert!(
        stderr.contains("\n  try: start it with `fairshare run`\n"),
        "{stderr}"
    );
}

#[test]
fn one_process_has_a_home() {
    let mut site = site();
    site.start();
    let (code, stderr) = said(&site.run(&["run"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("another process has"), "{stderr}");
    assert!(
        stderr.contains("\n  try: stop the node that runs there"),
        "{stderr}"
    );
}

#[test]
fn a_killed_node_starts_again_and_its_journal_is_sound() {
    let mut site = site();
    for kills in 1..=3 {
        site.start();
        site.kill();
        let verified = site.json(&["journal", "verify"]);
        assert_eq!(verified["entries"], kills);
    }
    site.start();
    // Running or not, and of a copy, the same.
    assert_eq!(site.json(&["journal", "verify"])["entries"], 4);
    let copy = site.dir().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["entries", "heads"] {
        fs::copy(site.home().join("journal").join(file), copy.join(file)).unwrap();
    }
    assert_eq!(site.json(&["journal", "verify", "copy"])["entries"], 4);
    let mut bytes = fs::read(copy.join("entries")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(copy.join("entries"), bytes).unwrap();
    let (code, stderr) = said(&site.run(&["journal", "verify", "copy"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is damaged at byte"), "{stderr}");
}

#[test]
fn wrong_use_exits_2_and_json_is_one_object_even_of_a_failure() {
    let site = site();
    for wrong in [
        &["nonsense"][..],
        &["peer"],
        &["peer", "not ods"],
        &["status", "--log", "loud"],
    ] {
        assert_eq!(site.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = site.run(&["status", "--json"]);
    let failed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(failed["failed"]["code"], 2);
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let mut site = site();
    site.start();
    let mut child = site
        .command(["status"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), stderr.as_str()),
        (Some(0), "")
    );
}
