//! Somebody has just come and needs care now: real processes, from the import to the answer.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails panics, and its figures are for people"
)]

use fairshare_tests::harness::federation::{Federation, about, until};
use fairshare_tests::harness::people::{self, Somebody};
use serde_json::Value;

fn states(answer: &Value) -> Vec<(String, String)> {
    let word = |peer: &Value, name: &str| peer[name].as_str().unwrap().to_owned();
    let peers = answer["peers"].as_array().unwrap().iter();
    peers
        .map(|it| (word(it, "code"), word(it, "state")))
        .collect()
}

fn has(answer: &Value, (code, state): (&str, &str)) -> bool {
    let states = states(answer);
    states.iter().any(|(one, so)| one == code && so == state)
}

fn are(states: &[(String, String)], expected: &[(&str, &str)]) -> bool {
    let states = states
        .iter()
        .map(|(code, state)| (code.as_str(), state.as_str()));
    states.eq(expected.iter().copied())
}

#[test]
fn who_has_just_come_is_asked_about_at_once_and_told_to_the_others_by_a_batch() {
    let federation = Federation::found("info");
    federation.import(1000);
    let trust = &federation.sites[0];
    // The practice holds them since long; the council does not; the trust has not met them.
    let newcomer = Somebody::numbered(40);
    people::write(
        trust.dir(),
        "arrival",
        "late",
        std::slice::from_ref(&newcomer),
        1000,
    );

    // Without a match there is nothing to continue: it says so, and what to do.
    trust.ok(&["import", "arrival"]);
    let (_, answer) = about(trust, &["ask"], &newcomer);
    assert!(
        are(
            &states(&answer),
            &[("912", "not-matched"), ("L83024", "not-matched")]
        ),
        "{answer}"
    );

    federation.match_all();
    let second = Somebody::numbered(41);
    people::write(
        trust.dir(),
        "another",
        "later",
        std::slice::from_ref(&second),
        1000,
    );
    trust.ok(&["import", "another"]);
    let (_, found) = about(trust, &["find"], &second);
    assert!(
        are(
            &states(&found),
            &[("912", "not-yet-indexed"), ("L83024", "not-yet-indexed")]
        ),
        "{found}"
    );
    let (_, answer) = about(trust, &["ask"], &second);
    assert!(
        are(
            &states(&answer),
            &[("912", "not-linked"), ("L83024", "delivered")]
        ),
        "{answer}"
    );
    let asked = &answer["peers"][1];
    assert!(asked["received"].as_object().unwrap().len() > 2, "{asked}");
    assert!(asked["shown"].as_object().unwrap().len() > 2, "{asked}");
    eprintln!("first contact, entry to filed answer: {} ms", asked["ms"]);

    // Both are linked now; whom the council does not hold it was told of, and said so.
    let (_, found) = about(trust, &["find"], &second);
    assert!(
        are(&states(&found)[1..], &[("L83024", "linked")]),
        "{found}"
    );
    let (_, found) = about(&federation.sites[1], &["find"], &second);
    assert!(has(&found, ("RH8", "linked")), "{found}");

    // The batch brings them to everybody, once.
    trust.ok(&["match"]);
    let (_, found) = about(trust, &["find"], &second);
    assert!(
        are(
            &states(&found),
            &[("912", "not-linked"), ("L83024", "linked")]
        ),
        "{found}"
    );
    let index = trust.json(&["index", "show"]);
    assert_eq!(index["batches"].as_array().unwrap().len(), 1, "{index}");
    let told = |peer: &Value| peer["batches"] == 1 && peer["current"] == true;
    assert!(
        index["peers"].as_array().unwrap().iter().all(told),
        "{index}"
    );
    let links = federation.match_all();
    let both = |one: &str, other: &str| {
        let found = links.iter().find(|(a, b, _)| a == one && b == other);
        found.unwrap().2
    };
    // 20 from the start, the first newcomer by the match, the second by first contact.
    assert_eq!((both("RH8", "L83024"), both("L83024", "RH8")), (22, 22));
    assert_eq!(both("RH8", "912"), 10);
}

#[test]
fn a_node_that_was_away_is_told_of_the_batches_it_missed_when_it_is_back() {
    let mut federation = Federation::found("info");
    federation.import(1000);
    federation.match_all();
    federation.sites[1].stop();
    let newcomer = Somebody::numbered(45);
    let trust = &federation.sites[0];
    people::write(
        trust.dir(),
        "arrival",
        "late",
        std::slice::from_ref(&newcomer),
        1000,
    );
    trust.ok(&["import", "arrival"]);
    trust.ok(&["index", "make"]);
    let (_, found) = about(trust, &["find"], &newcomer);
    assert!(
        are(&states(&found)[1..], &[("L83024", "not-yet-indexed")]),
        "{found}"
    );
    // The log says that it was lost, by its code, and not only that it was connected.
    until("the loss is in the log", || {
        let logs = federation.sites[0].logs();
        let lost = logs
            .lines()
            .find(|line| line.contains("lost the connection"));
        lost.is_some_and(|line| line.contains("peer=L83024") && line.contains("why="))
    });
    federation.sites[1].start();
    // Nobody runs a command.
    let practice = &federation.sites[1];
    until("the practice is told", || {
        let (_, found) = about(practice, &["find"], &newcomer);
        has(&found, ("RH8", "linked"))
    });
}
