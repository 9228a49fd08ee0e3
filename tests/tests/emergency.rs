//! Emergencies: a name and a reason, an answer at once, a review on both sides that only a named
//! person closes, and all of it when the disk is full (promises, 9).

#![allow(
    clippy::print_stderr,
    reason = "how much room answers take is worth knowing"
)]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use fairshare_node::home::Home;
use fairshare_node::node::Node;
use fairshare_protocol::exchange::review::{Review, Side, WITHIN};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::member::User;
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS, about, held_by, until};
use fairshare_tests::harness::people::Somebody;
use fairshare_tests::shared::skipped;
use serde_json::Value;

const URGENT: [&str; 5] = [
    "ask",
    "--purpose",
    "emergency",
    "--reason",
    "unconscious on arrival",
];

fn made(at: usize) -> Site {
    let [code, kind, name] = ORGANISATIONS[at];
    let site = Site::new();
    site.init("home", code, kind, name);
    site
}

fn two(sites: Vec<Site>) -> Federation {
    let federation = Federation::of(sites);
    federation.import(2000);
    federation.match_all();
    federation
}

/// Somebody whom the trust and the practice hold.
fn somebody() -> Somebody {
    held_by("RH8")[15].clone()
}

fn status(site: &Site) -> (i32, Value) {
    let output = site.run(&["status", "--json"]);
    let code = output.status.code().unwrap();
    (code, serde_json::from_slice(&output.stdout).unwrap())
}

fn reviews(site: &Site) -> Vec<Value> {
    let report = site.json(&["reviews", "list"]);
    report["reviews"].as_array().unwrap().clone()
}

#[test]
fn an_emergency_is_reviewed_on_both_sides_and_only_a_named_person_asks_and_closes() {
    let named = made(0);
    named.name_user();
    let mut federation = two(vec![named, made(1)]);
    let person = somebody();
    let (code, asked) = about(&federation.sites[0], &URGENT, &person);
    assert_eq!(code, 0, "{asked}");
    let exchange = asked["peers"][0]["exchange"].as_str().unwrap().to_owned();
    for site in &mut federation.sites {
        site.kill();
        site.start();
    }
    federation.until_connected();
    let [trust, practice] = &federation.sites[..] else {
        unreachable!("there are two");
    };
    for (site, side, peer, local) in [
        (trust, "asked", "L83024", "rh8-p15"),
        (practice, "answered", "RH8", "l83024-p5"),
    ] {
        let open = reviews(site);
        assert_eq!(open.len(), 1);
        let review = &open[0];
        assert_eq!(review["exchange"], exchange);
        assert_eq!(
            (&review["side"], &review["peer"]),
            (&side.into(), &peer.into())
        );
        assert_eq!(review["user"]["name"], "Sam Okafor");
        assert_eq!(review["reason"], "unconscious on arrival");
        assert_eq!(review["local"][0], local);
        let (code, status) = status(site);
        assert_eq!(
            (code, &status["reviews"]["open"]),
            (0, &1.into()),
            "{status}"
        );
    }
    // Whoever the config does not name is nobody in particular.
    let close = ["reviews", "close", &exchange, "--note", "it was one"];
    for refused in [&URGENT[..], &close] {
        let (code, answer) = about(practice, refused, &person);
        assert_eq!(code, 3, "{answer}");
        let fact = answer["failed"]["fact"].as_str().unwrap();
        assert!(fact.contains("only a named person"), "{fact}");
    }
    assert_eq!((reviews(trust).len(), reviews(practice).len()), (1, 1));
    trust.ok(&close);
    assert_eq!((reviews(trust).len(), reviews(practice).len()), (0, 1));
    let (_, seen) = about(trust, &["who-saw"], &person);
    let last = seen["sights"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["what"]["reviewed"], "it was one", "{last}");
    assert_eq!(last["user"]["id"], "sokafor");
    // Care is not reviewed.
    let (code, asked) = about(practice, &["ask"], &person);
    assert_eq!(code, 0, "{asked}");
    assert_eq!((reviews(trust).len(), reviews(practice).len()), (0, 1));
}

#[test]
fn a_review_that_waits_for_over_72_hours_is_a_problem_of_the_node() {
    let mut site = made(0);
    {
        let node = Node::open(Home::open(&site.home()).unwrap()).unwrap();
        let now = fairshare_node::engine::drive::now();
        for (number, waited) in [(1, WITHIN / 2), (2, WITHIN + Duration::from_secs(60))] {
            let review = Review {
                exchange: ExchangeId::new([number; 16]),
                side: Side::Answered,
                peer: "L83024".parse().unwrap(),
                person: None,
                user: User {
                    name: "Ada Nurse".into(),
                    role: "nurse".into(),
                    id: "u1".into(),
                },
                reason: "unconscious".parse().unwrap(),
                opened: now - waited,
            };
            node.reviews.begin(&review).unwrap();
        }
        node.store.commit_now().unwrap();
    }
    site.name_user();
    site.start();
    let output = site.run(&["status"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("2 open, 1 overdue"), "{text}");
    assert!(
        text.contains("! 1 emergency has waited over 72 hours"),
        "{text}"
    );
    let listed = site.ok(&["reviews", "list"]);
    assert!(listed.contains("overdue for 1 min"), "{listed}");
    site.ok(&["reviews", "close", "0202", "--note", "it was one"]);
    assert_eq!(status(&site).0, 0);
}

/// Bytes kept on a small disk.
const RESERVE: u64 = 8 * 1024 * 1024;

/// A small disk of its own, under a home; taken away at the end.
struct Disk(PathBuf);

impl Disk {
    /// None where this test may not mount any, which it says.
    fn under(home: PathBuf, mib: u32) -> Option<Self> {
        fs::create_dir(&home).unwrap();
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "fairshare-test"]);
        match mount.arg(&home).output() {
            Ok(output) if output.status.success() => Some(Self(home)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                skipped(&format!("no disk may be mounted here: {why}"));
                None
            }
            Err(why) => {
                skipped(&format!("no disk may be mounted here: {why}"));
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn free(status: &Value) -> u64 {
    status["disk"]["free"].as_u64().unwrap()
}

fn reserve(site: &Site) -> bool {
    status(site).1["disk"]["reserve"]["held"].as_bool().unwrap()
}

#[test]
fn an_emergency_is_answered_when_the_disk_of_either_side_is_full() {
    let mut sites = Vec::new();
    let mut disks = Vec::new();
    for [code, kind, name] in &ORGANISATIONS[..2] {
        let site = Site::new();
        let Some(disk) = Disk::under(site.home(), 64) else {
            return;
        };
        site.init("home", code, kind, name);
        let config = site.home().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let (before, after) = text.split_once("[limits]\n").unwrap();
        let after = after.lines().filter(|line| !line.starts_with("reserve"));
        let after: Vec<_> = after.collect();
        let reserve = format!("[limits]\nreserve = {RESERVE}\n");
        fs::write(&config, format!("{before}{reserve}{}\n", after.join("\n"))).unwrap();
        site.name_user();
        sites.push(site);
        disks.push(disk);
    }
    let mut federation = two(sites);
    // Dropped before what it was mounted on is removed.
    let disks = disks;
    for site in &federation.sites {
        assert!(reserve(site));
    }
    let person = somebody();
    for disk in &disks {
        disk.fill();
    }
    let ask = |federation: &Federation, what: &[&str]| {
        let (code, asked) = about(&federation.sites[0], what, &person);
        let peer = &asked["peers"][0];
        assert_eq!((code, &peer["state"]), (0, &"delivered".into()), "{asked}");
        assert_eq!(peer["acknowledged"], true, "{asked}");
    };
    ask(&federation, &URGENT);
    for site in &federation.sites {
        let (code, status) = status(site);
        assert_eq!(
            (code, &status["disk"]["reserve"]["held"]),
            (1, &false.into())
        );
        let problems = status["problems"].to_string();
        assert!(problems.contains("the disk is nearly full: "), "{problems}");
        assert_eq!(reviews(site).len(), 1);
        // What can wait waits.
        let refused = site.run(&["import", "export", "--json"]);
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8(refused.stdout).unwrap();
        assert!(text.contains("what can wait does"), "{text}");
    }
    let before = free(&status(&federation.sites[1]).1);
    let asks = 20;
    for _ in 0..asks {
        ask(&federation, &URGENT);
    }
    let after = free(&status(&federation.sites[1]).1);
    eprintln!(
        "an answered emergency took {} bytes of a full disk",
        (before - after) / asks
    );
    for site in &mut federation.sites {
        site.kill();
        site.start();
    }
    federation.until_connected();
    ask(&federation, &URGENT);
    ask(&federation, &["ask"]);
    // Somebody frees the one disk. The other answers until nothing is left, and says so before.
    fs::remove_file(disks[0].ballast()).unwrap();
    let mut answered = 0;
    while free(&status(&federation.sites[1]).1) > RESERVE / 8 {
        let (code, asked) = about(&federation.sites[0], &URGENT, &person);
        let state = &asked["peers"][0]["state"];
        assert_eq!((code, state), (0, &"delivered".into()), "{asked}");
        answered += 1;
    }
    eprintln!("{answered} more with so little left that what is shown in return is not filed");
    assert!(answered > 0);
    fs::remove_file(disks[1].ballast()).unwrap();
    for site in &federation.sites {
        until("the reserve is made again", || reserve(site));
        site.ok(&["import", "export"]);
        site.ok(&["journal", "verify"]);
        assert_eq!(reviews(site).len() as u64, asks + 2 + answered);
    }
    drop(disks);
}
