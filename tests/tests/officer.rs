//! From a bare machine to the first answer, as an information officer does it: what is typed, and
//! what waits for it.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Instant;

use fairshare_tests::harness::federation::{about, until};
use fairshare_tests::harness::people::{self, Somebody};
use fairshare_tests::harness::{Site, free_port};

/// Runs a command with these lines as its standard input.
fn answering(site: &Site, arguments: &[&str], lines: &[&str]) {
    let mut command = site.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    answers
        .write_all((lines.join("\n") + "\n").as_bytes())
        .unwrap();
    drop(answers);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_council_joins_and_is_answered_with_five_commands() {
    let mut trust = Site::new();
    trust.init("home", "RH8", "acute-trust", "Royal Devon");
    fs::write(trust.dir().join("dsa.txt"), "We show each other.\n").unwrap();
    trust.ok(&[
        "federation",
        "found",
        "--name",
        "Devon",
        "--agreement",
        "dsa.txt",
    ]);
    trust.start();
    people::write(trust.dir(), "export", "rh8", &Somebody::all(0..9), 200);
    trust.ok(&["import", "export"]);
    let shown = trust.json(&["federation", "show"]);
    let invitation = shown["invitation"].as_str().unwrap();

    let mut council = Site::new();
    people::write(council.dir(), "export", "912", &Somebody::all(5..12), 200);
    fs::write(
        council.dir().join("phrase"),
        "correct horse battery staple\n",
    )
    .unwrap();
    let reached = format!("127.0.0.1:{}", free_port());
    let begun = Instant::now();
    // 1. Everything is asked for.
    let answers = [
        "912",
        "adult-social-care",
        "Devon Council",
        "5000",
        "Records desk <records@example.org>, 01392 1",
        "Dr A. Moss",
        "standards-met",
        "2027-06-30",
        &reached,
        "y",
        invitation,
        "y",
    ];
    let join = ["join", "--ask", "--passphrase-file", "phrase"];
    answering(&council, &join, &answers);
    // 2. The node; the steward is telephoned, and admits.
    let config = council.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Another node of this machine has the usual port.
    let port = reached.rsplit(':').next().unwrap();
    fs::write(&config, text.replace("7440", port)).unwrap();
    council.name_user();
    council.start();
    until("the request is brought", || {
        trust.json(&["admissions"]).to_string().contains("912")
    });
    trust.ok(&["admit", "912", "--yes"]);
    until("the council is in", || {
        let status = council.command(["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["federation"]["standing"] == "admitted" && status["connected"] == 1
    });
    // 3. to 5.
    council.ok(&["import", "export"]);
    council.ok(&["match"]);
    let (_, asked) = about(&council, &["ask"], &Somebody::all(6..7)[0]);
    assert_eq!(asked["peers"][0]["state"], "delivered", "{asked}");
    eprintln!(
        "five commands (join, run, import, match, ask) and {} answers; the machines took {:?}",
        answers.len() + 2,
        begun.elapsed()
    );
}
