//! The account between real nodes: what both enter is agreed and settled, a node that was killed goes
//! on, and one put back from an earlier copy takes its pages back before it writes (promises, 6).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fairshare_protocol::ledger::export::{Export, Link};
use fairshare_protocol::time::{DAY, Timestamp};
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, about, held_by, until};
use serde_json::Value;

/// The trust and the practice.
const TWO: [&str; 2] = ["RH8", "L83024"];

/// Asks the other of the two about somebody both hold.
fn ask(federation: &Federation, at: usize, person: usize) {
    let person = &held_by("L83024")[person];
    let (code, asked) = about(
        &federation.sites[at],
        &["ask", "--from", TWO[1 - at]],
        person,
    );
    assert_eq!(code, 0, "{asked}");
    let peer = asked["peers"].as_array().unwrap();
    let peer = peer.iter().find(|it| it["code"] == TWO[1 - at]).unwrap();
    assert_eq!(peer["state"], "delivered", "{asked}");
}

fn ledger(federation: &Federation, at: usize) -> Value {
    federation.sites[at].json(&["ledger", TWO[1 - at]])
}

/// Waits until both have all of so many exchanges settled, and every page with entries agreed.
fn until_settled(federation: &Federation, exchanges: u64) {
    let so = |at: usize| {
        let it = ledger(federation, at);
        let settled = it["exchanges"] == exchanges && it["settled"] == exchanges;
        settled && it["waiting"] == 0
    };
    until("both are settled", || so(0) && so(1));
    until("both have read each other", || {
        let (one, other) = (ledger(federation, 0), ledger(federation, 1));
        one["ours"]["head"] == other["theirs"]["head"]
            && one["theirs"]["head"] == other["ours"]["head"]
    });
}

/// Every page of ours that this side or the other ever showed: one hash for each number.
#[derive(Default)]
struct Signed(BTreeMap<u64, String>);

impl Signed {
    fn see(&mut self, site: &Site, with: &str, whose: &str) {
        let file = site.dir().join("seen.ledger");
        let _ = std::fs::remove_file(&file);
        site.ok(&["ledger", with, "--verify", "--export", "seen.ledger"]);
        let text = std::fs::read_to_string(&file).unwrap();
        let export: Export = serde_json::from_str(&text).unwrap();
        let links = match export.by.as_str() == whose {
            true => export.ours,
            false => export.theirs,
        };
        for link in links {
            let Link::Page(page) = link else { continue };
            let page_as_written = format!("{:?}", page.peek().unwrap());
            for person in held_by("RH8") {
                assert!(
                    !page_as_written.contains(&person.nhs),
                    "a number of somebody"
                );
            }
            let number = page.peek().unwrap().number;
            let hash = page.hash().to_string();
            let before = self.0.insert(number, hash.clone());
            assert!(
                before.is_none_or(|before| before == hash),
                "{number} was signed twice"
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn both_sign_the_same_account_and_a_copy_put_back_signs_no_number_twice() {
    let mut federation = Federation::found("info");
    federation.import(2000);
    federation.match_all();
    for person in [0, 1, 2, 10] {
        ask(&federation, 0, person);
        ask(&federation, 1, person);
    }
    until_settled(&federation, 8);
    let mut signed = Signed::default();
    signed.see(&federation.sites[0], "L83024", "RH8");
    signed.see(&federation.sites[1], "RH8", "RH8");

    // Agreed: each quotes the other's pages that say something.
    until("all is quoted", || {
        [0, 1]
            .iter()
            .all(|at| ledger(&federation, *at)["ours"]["agreed"].as_u64() > Some(0))
    });

    // What was counted a moment ago is good enough for a screen: it is counted anew.
    until("it is counted", || {
        [0, 1].iter().all(|at| {
            let told = federation.sites[*at].json(&["standing", TWO[1 - at]]);
            let of = |whose: &str| told[0][whose]["lanes"]["care"]["all"]["requests"] == 4;
            of("theirs") && of("ours")
        })
    });
    // Both see the same figures.
    let standing = federation.sites[0].json(&["standing", "L83024"]);
    let care = &standing[0]["theirs"]["lanes"]["care"]["all"];
    assert_eq!(
        (&care["requests"], &care["answered"]),
        (&4.into(), &4.into())
    );
    assert_eq!(standing[0]["their_step"]["rung"], "even");
    let mirrored = federation.sites[1].json(&["standing", "RH8"]);
    assert_eq!(mirrored[0]["ours"], standing[0]["theirs"]);
    assert_eq!(mirrored[0]["theirs"], standing[0]["ours"]);

    // So does what a Guardian hands on: each side's own report has what the other's has.
    let duty = |at: usize| federation.sites[at].json(&["report", "duty", TWO[1 - at]]);
    let row = |report: &Value, at: usize, way: &str| {
        let rows = report["peers"][TWO[1 - at]].as_array().unwrap();
        let mut found = rows.iter().filter(|row| row["way"] == way);
        let row = found.next().unwrap().clone();
        assert!(
            found.next().is_none() && row["purpose"] == "care",
            "{report}"
        );
        row["counts"].clone()
    };
    let both = [duty(0), duty(1)];
    for (at, other) in [(0, 1), (1, 0)] {
        let made = row(&both[at], at, "asked-by-us");
        assert_eq!(made, row(&both[other], other, "asked-of-us"));
        assert_eq!(
            (&made["requests"], &made["returned"]),
            (&4.into(), &4.into())
        );
        let answered = ["records", "nothing"].map(|it| made[it].as_u64().unwrap());
        assert_eq!(answered.iter().sum::<u64>(), 4, "{made}");
        assert_eq!(
            (&made["overdue"], &made["unsettled"]),
            (&0.into(), &0.into())
        );
        assert!(made["median_ms"].is_u64(), "{made}");
    }
    let now = both[0]["now"].as_u64().unwrap();
    let days = [now - DAY, now].map(|at| Timestamp(at).to_string()[..10].to_owned());
    let until = ["report", "duty", "--since", &days[0], "--until", &days[1]];
    let report = federation.sites[0].json(&until);
    assert_eq!(report["all"], both[0]["all"]);
    let before = federation.sites[0].json(&["report", "duty", "--until", "2020-01-01"]);
    assert_eq!(before["peers"], serde_json::json!({}));

    // Killed, it goes on.
    federation.sites[0].kill();
    federation.sites[0].start();
    federation.until_connected();
    ask(&federation, 0, 3);
    until_settled(&federation, 9);

    // A copy; then more is entered; then the copy is put back.
    federation.sites[0].stop();
    let (home, kept) = (
        federation.sites[0].home(),
        federation.sites[0].dir().join("copy"),
    );
    copy(&home, &kept);
    federation.sites[0].start();
    federation.until_connected();
    for person in [4, 5, 6] {
        ask(&federation, 0, person);
        ask(&federation, 1, person);
        until_settled(&federation, 11 + 2 * (person as u64 - 4));
    }
    signed.see(&federation.sites[0], "L83024", "RH8");
    let before = ledger(&federation, 0)["ours"]["head"]["number"].as_u64();
    federation.sites[0].stop();
    copy(&kept, &home);
    federation.sites[0].start();
    federation.until_connected();
    // Care waits for nothing.
    ask(&federation, 0, 7);
    until_settled(&federation, 16);
    let after = ledger(&federation, 0)["ours"]["head"]["number"].as_u64();
    assert!(after > before, "{after:?} after {before:?}");
    let logs = federation.sites[0].logs();
    assert!(logs.contains("took back pages of our ledger"), "{logs}");
    for at in [0, 1] {
        signed.see(&federation.sites[at], TWO[1 - at], "RH8");
        assert_eq!(
            ledger(&federation, at)["forks"].as_array().map(Vec::len),
            Some(0)
        );
    }

    // A third party checks an export with the federation's id and nothing else.
    let export = federation.sites[0].dir().join("seen.ledger");
    let third = &federation.sites[2];
    let federation_id = third.json(&["members"])["federation"]["id"].clone();
    let id = federation_id.as_str().unwrap();
    let file = export.to_str().unwrap();
    let checked = third.json(&["verify", file, "--federation", id]);
    assert_eq!(
        (&checked["exchanges"], &checked["settled"]),
        (&16.into(), &16.into())
    );
    let mut text = std::fs::read_to_string(&export).unwrap();
    let at = text.find("\"page\":{\"bytes\":\"").unwrap() + 60;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    text.replace_range(at..=at, other);
    std::fs::write(&export, text).unwrap();
    assert_eq!(third.run(&["verify", file]).status.code(), Some(3));
    for site in &mut federation.sites {
        site.stop();
        site.ok(&["journal", "verify"]);
    }
}

/// Whoever is killed in the middle of an ask has not heard, or not said, the last words; whatever is in
/// both chains is settled all the same once the two have talked.
#[test]
fn an_ask_cut_by_a_kill_is_settled_afterwards() {
    let mut federation = Federation::found("info");
    federation.import(200_000);
    federation.match_all();
    let people = held_by("L83024");
    for (nth, after) in [15, 30, 45, 60, 80].into_iter().enumerate() {
        let mut asking = federation.sites[0]
            .command(["ask", "--from", "L83024"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut to = asking.stdin.take().unwrap();
        to.write_all(people[nth].lines().as_bytes()).unwrap();
        drop(to);
        sleep(Duration::from_millis(after));
        let victim = nth % 2;
        federation.sites[victim].kill();
        asking.wait().unwrap();
        federation.sites[victim].start();
        federation.until_connected();
    }
    ask(&federation, 0, 10);
    let begun = Instant::now();
    loop {
        let both = [0, 1].map(|at| ledger(&federation, at));
        let differs = |it: &Value| {
            let all = it["unsettled"].as_array().unwrap().iter();
            all.filter(|it| !it["ours"].is_null() && !it["theirs"].is_null())
                .count()
        };
        let waiting = both.iter().any(|it| it["waiting"] != 0);
        let read = both[0]["ours"]["head"] == both[1]["theirs"]["head"];
        if both.iter().all(|it| differs(it) == 0 && it["settled"] != 0) && !waiting && read {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{both:?}");
        sleep(Duration::from_millis(200));
    }
    for at in [0, 1] {
        federation.sites[at].ok(&["ledger", TWO[1 - at], "--verify"]);
    }
}
