//! kill -9 of any of three nodes at random moments of imports, matches and asks: it starts again,
//! journals are sound, and nothing that was acknowledged is missing (promises, 2).
//!
//! `FAIRSHARE_KILLS=50` does more of it; `FAIRSHARE_SEED` repeats a run.

#![allow(
    clippy::print_stderr,
    reason = "what is needed to repeat a run that failed"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fairshare_protocol::ids::{ExchangeId, Hash, MatchId, OdsCode};
use fairshare_protocol::journal::Act;
use fairshare_tests::figures::number;
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS};
use fairshare_tests::harness::people::{self, Somebody};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// People in one import.
const BATCH: u32 = 12;

/// What was acknowledged: a command exited with 0 and said so.
#[derive(Debug, Default)]
struct Acknowledged {
    people: [u64; 3],
    /// Imports whose command failed: they may be there, whole, or not.
    unsure: [u64; 3],
    matched: BTreeSet<(usize, String)>,
    received: BTreeSet<(usize, String)>,
}

#[test]
fn a_killed_node_starts_again_and_nothing_acknowledged_is_missing() {
    let kills = number("FAIRSHARE_KILLS", 6);
    let seed = number("FAIRSHARE_SEED", rand::random());
    eprintln!("FAIRSHARE_KILLS={kills} FAIRSHARE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut federation = Federation::found("info");
    let mut acknowledged = Acknowledged::default();
    // Something to match and to ask about from the start: all three hold people 0 to 11.
    for (at, site) in federation.sites.iter().enumerate() {
        let export = export(site, at, 0, 0);
        site.ok(&["import", &export]);
        acknowledged.people[at] += u64::from(BATCH);
    }
    federation.match_all();
    for kill in 1..=kills {
        let (at, victim) = (rng.random_range(0..3), rng.random_range(0..3));
        let which = rng.random_range(0..3);
        let what = ["import", "match", "ask"][which];
        // About as long as each takes here.
        let most = [250_000, 400_000, 80_000][which];
        let after = Duration::from_micros(rng.random_range(0..most));
        eprintln!("kill {kill}: {what} at {at}, {victim} killed after {after:?}");
        let child = match what {
            "import" => {
                let export = export(&federation.sites[at], at, kill, 100 * kill as u32);
                begin(&federation.sites[at], &["import", &export], None)
            }
            "match" => begin(&federation.sites[at], &["match"], None),
            _ => {
                let person = Somebody::numbered(rng.random_range(0..BATCH));
                begin(&federation.sites[at], &["ask"], Some(&person))
            }
        };
        sleep(after);
        federation.sites[victim].kill();
        acknowledged.take(at, what, child);
        federation.sites[victim].start();
        federation.until_connected();
        acknowledged.check(&federation);
        check_statements(&federation);
    }
    for site in &mut federation.sites {
        site.stop();
        site.ok(&["journal", "verify"]);
    }
}

/// Files of [`BATCH`] people from the `first` on, as organisation `at` holds them.
fn export(site: &Site, at: usize, number: u64, first: u32) -> String {
    let name = format!("export-{number}");
    let author = format!("{}-{number}", ORGANISATIONS[at][0].to_lowercase());
    let people = Somebody::all(first..first + BATCH);
    people::write(site.dir(), &name, &author, &people, 30_000);
    name
}

fn begin(site: &Site, arguments: &[&str], person: Option<&Somebody>) -> Child {
    let mut command = site.command(arguments);
    command.arg("--json").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = person.map(Somebody::lines).unwrap_or_default();
    // It may end before it reads everything.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child
}

impl Acknowledged {
    /// Notes what the command at `at` acknowledged.
    fn take(&mut self, at: usize, what: &str, child: Child) {
        let output = child.wait_with_output().unwrap();
        let done = output.status.success();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match what {
            "import" if done => self.people[at] += u64::from(BATCH),
            "import" => self.unsure[at] += u64::from(BATCH),
            "match" => {
                for report in answer.as_array().into_iter().flatten() {
                    if !report["found"].is_null() {
                        let peer = report["peer"].as_str().unwrap().to_owned();
                        self.matched.insert((at, peer));
                    }
                }
            }
            _ => {
                for peer in answer["peers"].as_array().into_iter().flatten() {
                    if peer["state"] == "delivered" {
                        let exchange = peer["exchange"].as_str().unwrap().to_owned();
                        self.received.insert((at, exchange));
                    }
                }
            }
        }
        eprintln!(
            "  {}",
            if done {
                "acknowledged"
            } else {
                "not acknowledged"
            }
        );
    }

    fn check(&self, federation: &Federation) {
        for (at, site) in federation.sites.iter().enumerate() {
            site.ok(&["journal", "verify"]);
            let status = site.json(&["status"]);
            let people = status["holdings"]["people"].as_u64().unwrap();
            let (least, unsure) = (self.people[at], self.unsure[at]);
            assert!(
                (least..=least + unsure).contains(&people) && people % u64::from(BATCH) == 0,
                "{people} people at {at}, acknowledged {least}, unsure of {unsure}"
            );
            // The node that was killed may not be connected everywhere yet: that is exit 1.
            let peers = site.run(&["peers", "--json"]);
            let peers: Value = serde_json::from_slice(&peers.stdout).unwrap();
            for peer in peers.as_array().unwrap() {
                let code = peer["code"].as_str().unwrap().to_owned();
                let lost = self.matched.contains(&(at, code)) && peer["links"].is_null();
                assert!(!lost, "{peer} has lost its links at {at}");
            }
            let list = site.ok(&["received", "list", "--json"]);
            for (_, exchange) in self.received.iter().filter(|(who, _)| *who == at) {
                assert!(
                    list.contains(exchange.as_str()),
                    "{exchange} is lost at {at}"
                );
            }
        }
    }
}

/// Everything one node's journal says it heard from another, the other's journal says it said.
fn check_statements(federation: &Federation) {
    let mut said: BTreeMap<(OdsCode, &str, Key), BTreeSet<Hash>> = BTreeMap::new();
    let mut heard = Vec::new();
    for (site, [code, ..]) in federation.sites.iter().zip(ORGANISATIONS) {
        let us: OdsCode = code.parse().unwrap();
        let mut say = |what, key, hash: Hash| {
            said.entry((us.clone(), what, key))
                .or_default()
                .insert(hash);
        };
        for act in site.acts() {
            match act {
                Act::Asked {
                    exchange, request, ..
                } => say("request", Key::Of(exchange), request),
                Act::Answered {
                    exchange,
                    peer,
                    request,
                    answer,
                    ..
                } => {
                    say("answer", Key::Of(exchange), answer);
                    heard.push((peer, "request", Key::Of(exchange), request));
                }
                Act::Returned {
                    exchange, answer, ..
                } => say("answer", Key::Of(exchange), answer),
                Act::AnswerHeard {
                    exchange,
                    peer,
                    answer: Some(answer),
                    ..
                } => {
                    heard.push((peer, "answer", Key::Of(exchange), answer));
                }
                Act::Shown {
                    exchange,
                    commitment,
                    ..
                } => {
                    say("bundle", Key::Of(exchange), commitment);
                }
                Act::Received {
                    exchange,
                    peer,
                    commitment,
                    receipt,
                    ..
                } => {
                    say("receipt", Key::Of(exchange), receipt);
                    heard.push((peer, "bundle", Key::Of(exchange), commitment));
                }
                Act::ReceiptHeard {
                    exchange,
                    peer,
                    receipt,
                    ..
                } => {
                    heard.push((peer, "receipt", Key::Of(exchange), receipt));
                }
                Act::TagsCommitted { match_id, ours, .. } => say("tags", Key::With(match_id), ours),
                Act::TagsHeard {
                    peer,
                    match_id,
                    theirs,
                } => {
                    heard.push((peer, "tags", Key::With(match_id), theirs));
                }
                _ => {}
            }
        }
    }
    for ((who, what, key), hashes) in &said {
        let once = matches!(*what, "request" | "answer" | "receipt" | "tags");
        assert!(
            !once || hashes.len() == 1,
            "{who} said its {what} twice over {key:?}: {hashes:?}"
        );
    }
    for (who, what, key, hash) in heard {
        let held = said
            .get(&(who.clone(), what, key))
            .is_some_and(|all| all.contains(&hash));
        assert!(held, "{who} has lost its {what} over {key:?}");
    }
}

/// What a statement is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Of(ExchangeId),
    With(MatchId),
}
