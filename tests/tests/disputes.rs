//! What was promised and did not come, over real nodes: complained of, checked by anybody, and released
//! again through others, without either side getting ahead.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, until};
use fairshare_tests::harness::people::{self, Somebody};
use serde_json::Value;

fn signal(site: &Site, signal: &str) {
    let pid = site.pid().to_string();
    let done = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(done.success());
}

/// What of a peer's lies at a site unopened, in the order of the round.
fn owed(site: &Site, peer: &str) -> Vec<String> {
    let report = site.json(&["dispute", peer]);
    let owed = report["owed"].as_array().unwrap().iter();
    owed.map(|one| one["exchange"].as_str().unwrap().to_owned())
        .collect()
}

struct Party<'a> {
    site: &'a Site,
    code: &'a str,
}

impl Party<'_> {
    /// A file in this party's place, by its name.
    fn file(&self, name: &str) -> (PathBuf, String) {
        let path = self.site.dir().join(name);
        let text = path.to_str().unwrap().to_owned();
        (path, text)
    }

    fn complain(&self, of: &str, exchange: &str, name: &str) -> (PathBuf, String) {
        let (path, text) = self.file(name);
        let report = self.site.json(&["dispute", of, exchange, "--out", &text]);
        assert_eq!(report["checked"]["by"], self.code, "{report}");
        assert_eq!(report["checked"]["lack"], "no-key", "{report}");
        (path, text)
    }
}

#[test]
fn a_key_that_was_kept_back_is_complained_of_proved_and_released_through_a_third() {
    const PEOPLE: u32 = 400;
    let federation = Federation::found("info");
    let everybody = Somebody::all(0..PEOPLE);
    for (site, author) in federation.sites.iter().zip(["rh8", "l83024"]) {
        people::write_for_rounds(site.dir(), "export", author, &everybody, 20_000);
        site.ok(&["import", "export"]);
    }
    let [trust, practice, third] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    trust.ok(&["match", "L83024"]);
    let mut round = trust
        .command(["reconcile", "L83024", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the round is under way", || {
        let list = trust.json(&["received", "list"]);
        list.as_array().is_some_and(|list| list.len() >= 24)
    });
    // The practice falls silent; the trust, one key ahead of it, gives up.
    signal(practice, "-STOP");
    sleep(Duration::from_millis(500));
    trust.ok(&["reconcile", "L83024", "--call-off"]);
    signal(practice, "-CONT");
    let _ = round.wait();
    let state = |site: &Site, peer: &str| {
        let report = site.json(&["dispute", peer]);
        let owed = report["owed"].as_array().unwrap().clone();
        let over = owed.iter().all(|one| one["over"] == true);
        (!owed.is_empty() && over, report)
    };
    until("it is over on both sides", || {
        state(trust, "L83024").0 && state(practice, "RH8").0
    });
    let (one, other) = (
        Party {
            site: trust,
            code: "RH8",
        },
        Party {
            site: practice,
            code: "L83024",
        },
    );
    let exchange = owed(trust, "L83024").remove(0);

    // Whoever is ahead is asked first: the key the trust released may not have been used.
    if owed(practice, "RH8").contains(&exchange) {
        let (_, complaint) = other.complain("RH8", &exchange, "theirs.dispute");
        let (_, key) = one.file("theirs.key");
        trust.ok(&["release", &complaint, "--out", &key]);
        until("the practice has done with the round", || {
            practice.run(&["received", "open", &key]).status.success()
        });
        assert!(!owed(practice, "RH8").contains(&exchange));
    }

    let (path, complaint) = one.complain("L83024", &exchange, "ours.dispute");
    // Anybody checks it; nobody changes it.
    let nobody = Site::new();
    let checked = nobody.json(&["verify", &complaint]);
    assert_eq!(
        (
            &checked["lack"],
            &checked["against"],
            &checked["theirs"]["held"]
        ),
        (&"no-key".into(), &"L83024".into(), &true.into()),
        "{checked}"
    );
    let said = checked["said"].as_array().unwrap();
    let is = |by: &str, what: &str| said.iter().any(|it| it["by"] == by && it["what"] == what);
    for (by, what) in [
        ("RH8", "round proposal"),
        ("L83024", "round agreement"),
        ("L83024", "bundle commitment"),
        ("RH8", "bundles held"),
    ] {
        assert!(is(by, what), "{by} {what}: {checked}");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    // The roster has statements too: those of the exchange come last.
    let at = text.rfind("\"statements\":[").unwrap();
    let at = at + text[at..].find("\"bytes\":\"").unwrap() + 40;
    let mut forged = text.clone();
    forged.replace_range(at..=at, if &text[at..=at] == "A" { "B" } else { "A" });
    let (path, forgery) = one.file("forged.dispute");
    std::fs::write(path, forged).unwrap();
    for command in [
        &["verify", &forgery][..],
        &["release", &forgery, "--out", "no.key"],
    ] {
        let refused = practice.run(command);
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    }

    // The third carries the key, and cannot use it; nor can the trust with that of another bundle.
    let (_, key) = other.file("ours.key");
    let released = practice.json(&["release", &complaint, "--out", &key]);
    assert_eq!(released["peer"], "RH8", "{released}");
    let refused = third.run(&["received", "open", &key]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let total = || {
        trust.json(&["dispute", "L83024"])["total"]
            .as_u64()
            .unwrap()
    };
    let before = total();
    let mut opened = Value::Null;
    let opens = |site: &Site| {
        let done = site.run(&["received", "open", &key, "--json"]);
        serde_json::from_slice::<Value>(&done.stdout)
            .ok()
            .filter(|_| done.status.success())
    };
    for _ in 0..100 {
        // The trust may not have done with the round quite yet.
        if let Some(told) = opens(trust) {
            opened = told;
            break;
        }
        sleep(Duration::from_millis(50));
    }
    assert_eq!(
        (&opened["exchange"], &opened["from"]),
        (&exchange.as_str().into(), &"L83024".into())
    );
    assert!(!owed(trust, "L83024").contains(&exchange));
    let again = trust.run(&["received", "open", &key]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    let list: Value = trust.json(&["received", "list"]);
    let listed = list.as_array().unwrap().iter();
    assert_eq!(
        listed
            .filter(|it| it["exchange"] == exchange.as_str())
            .count(),
        1
    );
    trust.ok(&["received", "show", &exchange]);

    // Nobody gets ahead by complaining: the next is the other's turn as well.
    let next = owed(trust, "L83024");
    assert_eq!(total(), before - 1);
    // A later one that both have acknowledged, of which no key left; those before may have been opened
    // and not yet filed.
    let theirs = owed(practice, "RH8");
    let mut both = next.iter().filter(|it| theirs.contains(it));
    if let Some(next) = both.nth(20) {
        let parties = [(&one, "L83024", practice), (&other, "RH8", trust)];
        let answers = parties.map(|(party, of, at)| {
            let name = format!("{of}.next");
            let (_, complaint) = party.complain(of, next, &name);
            let (_, key) = party.file(&format!("{of}.next.key"));
            at.run(&["release", &complaint, "--out", &key])
                .status
                .code()
        });
        assert_eq!(answers, [Some(3), Some(3)]);
    }

    // The proof of what was settled says so, and the account has it.
    let (_, settled) = one.file("settled.dispute");
    let report = trust.json(&["dispute", "L83024", &exchange, "--out", &settled]);
    assert_eq!(report["checked"]["lack"], "no-receipt", "{report}");
    for (site, peer) in [(trust, "L83024"), (practice, "RH8")] {
        site.ok(&["ledger", peer, "--verify"]);
        site.ok(&["journal", "verify"]);
    }
}
