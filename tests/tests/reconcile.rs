//! Reconcile over real processes, sockets and disks: everybody once, both ways, also when nodes are
//! killed in the middle.
//!
//! `FAIRSHARE_ROUND_PEOPLE=2000 FAIRSHARE_KILLS=100` does more of it; `FAIRSHARE_SEED` repeats a run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails panics, and its figures are for people"
)]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fairshare_protocol::journal::Act;
use fairshare_tests::figures::number;
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, until};
use fairshare_tests::harness::people::{self, Somebody};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// What a node received in rounds: exchange and author of each bundle.
fn received(site: &Site) -> Vec<(String, String)> {
    let list = site.json(&["received", "list"]);
    let word = |bundle: &Value, name: &str| bundle[name].as_str().unwrap().to_owned();
    let shared = list.as_array().unwrap().iter();
    shared
        .filter(|bundle| bundle["purpose"] == "shared-care")
        .map(|bundle| (word(bundle, "exchange"), word(bundle, "from")))
        .collect()
}

/// The exchanges in which a node's journal says that it showed something.
fn shown(site: &Site) -> BTreeSet<String> {
    let shown = site.acts().into_iter().map(|act| match act {
        Act::Shown { exchange, .. } => Some(exchange.to_string()),
        _ => None,
    });
    shown.flatten().collect()
}

#[test]
fn two_organisations_show_each_other_everybody_once_and_then_only_what_is_new() {
    let federation = Federation::found("info");
    federation.import(3000);
    federation.match_all();
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    let look = trust.json(&["reconcile", "L83024", "--dry-run"]);
    assert_eq!(look["outlook"]["linked"], 20, "{look}");
    assert_eq!(look["outlook"]["active"], 20, "{look}");
    assert_eq!(look["outlook"]["news"], 20, "{look}");
    assert!(received(trust).is_empty());

    let report = trust.json(&["reconcile", "L83024"]);
    let round = &report["round"];
    assert_eq!(round["state"], "done", "{report}");
    for count in ["people", "shown", "received"] {
        assert_eq!(round[count], 20, "{report}");
    }
    eprintln!("20 people each way: {} ms", report["ms"]);
    for (site, peer) in [(trust, "L83024"), (practice, "RH8")] {
        let came = received(site);
        assert!(came.iter().all(|(_, from)| from == peer), "{came:?}");
        let once: BTreeSet<_> = came.iter().map(|(exchange, _)| exchange.clone()).collect();
        assert_eq!((came.len(), once.len()), (20, 20));
        assert_eq!(shown(site), once, "the same exchanges, both ways");
        let items = site.json(&["received", "show", &came[0].0]);
        let care_plans = items.to_string().matches("CarePlan").count();
        assert!(care_plans > 0, "{items}");
        site.ok(&["journal", "verify"]);
    }

    // Nothing happened since.
    let report = practice.json(&["reconcile", "RH8"]);
    assert_eq!(report["round"]["state"], "nothing-new", "{report}");
    let newcomer = Somebody::numbered(12);
    people::write(trust.dir(), "news", "later", &[newcomer], 500);
    trust.ok(&["import", "news"]);
    let report = practice.json(&["reconcile", "RH8"]);
    assert_eq!(report["round"]["people"], 1, "{report}");
    assert_eq!(report["round"]["state"], "done", "{report}");

    // Both enter all of it in the account, and agree.
    for (site, peer) in [(trust, "L83024"), (practice, "RH8")] {
        until("the account is settled", || {
            let ledger = site.json(&["ledger", peer]);
            ledger["settled"] == 21 && ledger["unsettled"].as_array().is_none_or(Vec::is_empty)
        });
        site.ok(&["ledger", peer, "--verify"]);
    }
}

#[test]
fn a_round_begins_by_itself_at_its_time_of_day() {
    let mut federation = Federation::found("info");
    federation.import(3000);
    federation.match_all();
    // Of the two, L83024 sorts first: it does not wait for the other.
    let practice = &mut federation.sites[1];
    practice.stop();
    let config = practice.home().join("config.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    assert!(before.contains("\n[rounds]\n"), "{before}");
    let with = |rounds: &str| {
        let text = before.replace("\n[rounds]\n", &format!("\n[rounds]\n{rounds}\n"));
        std::fs::write(&config, text).unwrap();
    };
    with("at = \"noon\"");
    let refused = practice.run(&["run"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("write it like \"02:30\""), "{said}");
    let soon = std::time::SystemTime::now() + Duration::from_secs(12);
    let soon = soon
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        % 86_400;
    let (hours, minutes, seconds) = (soon / 3600, soon / 60 % 60, soon % 60);
    with(&format!(
        "at = \"{hours:02}:{minutes:02}:{seconds:02}\"\nwith = [\"RH8\"]"
    ));
    practice.start();
    federation.until_connected();
    let practice = &federation.sites[1];
    assert!(received(practice).is_empty());
    until("the round has been", || received(practice).len() == 20);
    let came = received(practice);
    assert!(came.iter().all(|(_, from)| from == "RH8"), "{came:?}");
}

#[test]
fn a_round_goes_on_through_kills_of_either_side_and_everybody_has_one_turn() {
    let kills = number("FAIRSHARE_KILLS", 4);
    let count = number("FAIRSHARE_ROUND_PEOPLE", 60);
    let seed = number("FAIRSHARE_SEED", rand::random());
    eprintln!("FAIRSHARE_ROUND_PEOPLE={count} FAIRSHARE_KILLS={kills} FAIRSHARE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut federation = Federation::found("info");
    let everybody = Somebody::all(0..count);
    for (site, author) in federation.sites.iter().zip(["rh8", "l83024"]) {
        people::write_for_rounds(site.dir(), "export", author, &everybody, 20_000);
        site.ok(&["import", "export"]);
    }
    federation.sites[0].ok(&["match", "L83024"]);
    let begin = |site: &Site| {
        let mut command = site.command(["reconcile", "L83024", "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut child = begin(&federation.sites[0]);
    let all = u64::from(count);
    for kill in 1..=kills {
        let here = rng.random_range(0..2);
        // Each somewhat later in the round than the one before.
        let mark = all * kill / (kills + 1);
        let begun = Instant::now();
        while (received(&federation.sites[0]).len() as u64) < mark {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "it does not go on"
            );
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(rng.random_range(0..40)));
        eprintln!("kill {kill}: {here}, at {mark} of {all}");
        federation.sites[here].kill();
        federation.sites[here].start();
        federation.until_connected();
        let _ = child.wait();
        // It goes on by itself; asking again changes nothing.
        child = begin(&federation.sites[0]);
    }
    let _ = child.wait();
    until("the round is over", || {
        let report = federation.sites[0].command(["reconcile", "L83024", "--json"]);
        let mut report = report;
        let output = report.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        report["round"]["state"] == "nothing-new"
    });
    let [one, other] = [0, 1].map(|at| received(&federation.sites[at]));
    for came in [&one, &other] {
        let once: BTreeSet<_> = came.iter().map(|(exchange, _)| exchange).collect();
        assert_eq!(came.len(), count as usize, "everybody once");
        assert_eq!(once.len(), count as usize);
    }
    for (at, peer) in [(0, "L83024"), (1, "RH8")] {
        let site = &federation.sites[at];
        let came = if at == 0 { &other } else { &one };
        let came: BTreeSet<_> = came.iter().map(|(exchange, _)| exchange.clone()).collect();
        assert_eq!(
            shown(site),
            came,
            "all that was opened was journaled before"
        );
        until("the account is settled", || {
            site.json(&["ledger", peer])["settled"] == count
        });
        site.ok(&["ledger", peer, "--verify"]);
        site.ok(&["journal", "verify"]);
    }
}
