//! An operator's stop over real processes: at once, in writing, also of exchanges under way, over
//! restarts, and until it is resumed (protocol.md section 4).

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails panics, and its figures are for people"
)]

use std::thread;
use std::time::{Duration, Instant};

use fairshare_protocol::journal::{Act, Outcome};
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, about, ask, ask_in_emergency, until};
use fairshare_tests::harness::people::{self, Somebody};
use serde_json::{Value, json};

/// How soon a stop must have taken effect.
const SOON: Duration = Duration::from_secs(60);

/// How many bundles a node's journal says left it.
fn shown(site: &Site) -> usize {
    site.count(|act| matches!(act, Act::Shown { .. }))
}

fn refused(site: &Site, peer: &str, person: &Somebody) {
    let (state, told) = ask(site, peer, person);
    assert_eq!(
        (&*state, &told["why"]),
        ("refused", &json!("stopped")),
        "{told}"
    );
}

fn delivered(site: &Site, peer: &str, person: &Somebody) -> Value {
    let (state, told) = ask(site, peer, person);
    assert_eq!(state, "delivered", "{told}");
    told
}

/// Stops something and gives the number of the stop.
fn stop(site: &Site, arguments: &[&str]) -> String {
    let arguments = [&["stop", "--reason", "an incident"], arguments].concat();
    site.json(&arguments)["stop"]["number"].to_string()
}

#[test]
fn what_is_stopped_is_refused_in_writing_until_it_is_resumed() {
    let mut federation = Federation::found("info");
    federation.import(3000);
    federation.match_all();
    let everybodys = Somebody::numbered(25);
    {
        let [trust, practice, council] = &federation.sites[..] else {
            unreachable!("there are three");
        };
        delivered(practice, "RH8", &everybodys);
        let number = stop(trust, &["--peer", "L83024"]);
        refused(practice, "RH8", &everybodys);
        let (_, told) = ask_in_emergency(practice, "RH8", &everybodys);
        assert_eq!(told["why"], "stopped", "{told}");
        delivered(council, "RH8", &everybodys);
        // Who stopped showing may ask, and says that it shows nothing in return.
        let told = delivered(trust, "L83024", &everybodys);
        assert_eq!(told["shown"], json!({}), "{told}");
        let returned = |act: &Act| matches!(act, Act::Returned { outcome: Outcome::Refused(code), .. } if code == "stopped");
        assert!(trust.acts().iter().any(returned));

        for (site, peer, by_peer) in [(practice, "RH8", true), (trust, "L83024", false)] {
            let tried = site.run(&["reconcile", peer, "--json"]);
            let said = String::from_utf8_lossy(&tried.stdout).into_owned()
                + &String::from_utf8_lossy(&tried.stderr);
            assert!(
                !tried.status.success() && said.contains("stopped"),
                "{by_peer} {said}"
            );
        }
        let no_reason = trust.run(&["resume", &number]);
        assert_eq!(no_reason.status.code(), Some(2), "{no_reason:?}");
        assert_eq!(trust.json(&["status"])["stops"], 1);
    }
    let trust = &mut federation.sites[0];
    trust.kill();
    trust.start();
    federation.until_connected();
    let [trust, practice, council] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    refused(practice, "RH8", &everybodys);
    let wrong = trust.run(&["resume", "7", "--reason", "over"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    trust.ok(&["resume", "1", "--reason", "over"]);
    delivered(practice, "RH8", &everybodys);
    assert_eq!(
        practice.json(&["reconcile", "RH8"])["round"]["state"],
        "done"
    );

    // One person, whoever asks.
    let (code, told) = about(
        trust,
        &["stop", "--person", "--reason", "identity in doubt"],
        &everybodys,
    );
    assert_eq!(code, 0, "{told}");
    refused(practice, "RH8", &everybodys);
    refused(council, "RH8", &everybodys);
    delivered(practice, "RH8", &Somebody::numbered(26));
    let (_, seen) = about(trust, &["who-saw"], &everybodys);
    let seen = seen.to_string();
    assert!(
        seen.contains("identity in doubt") && seen.contains("\"refused\":\"stopped\""),
        "{seen}"
    );
    trust.ok(&["resume", "2", "--reason", "cleared up"]);

    // One category to one peer: left out, and the peer is told which.
    let number = stop(trust, &["--peer", "912", "--category", "allergies"]);
    let told = delivered(council, "RH8", &everybodys);
    assert_eq!(told["stopped"], json!(["allergies"]), "{told}");
    assert!(told["received"].get("allergies").is_none(), "{told}");
    let told = delivered(practice, "RH8", &everybodys);
    assert!(told["received"].get("allergies").is_some(), "{told}");
    trust.ok(&["resume", &number, "--reason", "mended"]);

    let number = stop(trust, &["--everything"]);
    refused(practice, "RH8", &everybodys);
    refused(council, "RH8", &everybodys);
    trust.ok(&["resume", &number, "--reason", "restored"]);
    assert_eq!(delivered(council, "RH8", &everybodys)["stopped"], json!([]));
    for site in &federation.sites {
        site.ok(&["journal", "verify"]);
    }
}

#[test]
fn a_stop_breaks_off_what_is_on_its_way() {
    let federation = Federation::far("info", 5000, Duration::from_millis(600));
    federation.import(3000);
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    let (one, others) = (Somebody::numbered(12), Somebody::all(13..20));
    people::write(
        trust.dir(),
        "large",
        "large",
        std::slice::from_ref(&one),
        24 * 1024 * 1024,
    );
    people::write_for_rounds(trust.dir(), "many", "many", &others, 2 * 1024 * 1024);
    trust.ok(&["import", "large", "many"]);
    federation.match_all();

    // A bundle of an ask.
    let before = shown(trust);
    let answered = |act: &Act| {
        matches!(
            act,
            Act::Answered {
                outcome: Outcome::Delivered(_),
                ..
            }
        )
    };
    let (number, took) = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(practice, "RH8", &one));
        until("the bundle is on its way", || trust.count(answered) > 0);
        let stopped = Instant::now();
        let number = stop(trust, &["--peer", "L83024"]);
        let (state, told) = asking.join().unwrap();
        assert_eq!(
            (&*state, &told["why"]),
            ("refused", &json!("stopped")),
            "{told}"
        );
        (number, stopped.elapsed())
    });
    assert!(took < SOON, "{took:?}");
    assert_eq!(shown(trust), before, "it did not leave whole");
    eprintln!("from the stop to the refusal of the bundle that was on its way: {took:?}");
    trust.ok(&["resume", &number, "--reason", "over"]);

    // A round.
    let took = thread::scope(|scope| {
        let round = scope.spawn(|| practice.run(&["reconcile", "RH8", "--json"]));
        until("the round is under way", || shown(trust) > before);
        let stopped = Instant::now();
        let told = trust.json(&["stop", "--category", "results", "--reason", "wrong results"]);
        assert_eq!(told["rounds"], json!(["L83024"]), "{told}");
        let after = shown(trust);
        let ended = round.join().unwrap();
        let took = stopped.elapsed();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(
            !ended.status.success() && said.contains("peer says stopped"),
            "{said}"
        );
        assert_eq!(shown(trust), after, "nothing left after the stop");
        took
    });
    assert!(took < SOON, "{took:?}");
    eprintln!("from the stop to the end of the round that was under way: {took:?}");
    trust.ok(&["resume", "2", "--reason", "mended"]);
    let round = practice.json(&["reconcile", "RH8"]);
    assert_eq!(round["round"]["state"], "done", "{round}");
    for site in [trust, practice] {
        site.ok(&["journal", "verify"]);
    }
}
