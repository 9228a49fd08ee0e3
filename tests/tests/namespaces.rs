//! Two organisations on two machines, as the README says: two network namespaces with a cable
//! between them, one node in each. The practice announces no address; it only dials out.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::process::Command;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{about, until};
use fairshare_tests::harness::people::{self, Somebody};
use fairshare_tests::shared::skipped;

const PASSPHRASE: &str = "correct horse battery staple";

/// Two machines and the cable between them; taken away at the end.
struct Machines {
    trust: String,
    practice: String,
}

impl Machines {
    /// None where this test may not make any, which it says.
    fn new() -> Option<Self> {
        let name = |end| format!("fairshare-{}-{end}", std::process::id());
        let machines = Self {
            trust: name("a"),
            practice: name("b"),
        };
        let (a, b) = (machines.trust.as_str(), machines.practice.as_str());
        for step in [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("link add cable netns {a} type veth peer name cable netns {b}"),
            format!("-n {a} address add 10.77.0.1/30 dev cable"),
            format!("-n {b} address add 10.77.0.2/30 dev cable"),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
            format!("-n {a} link set cable up"),
            format!("-n {b} link set cable up"),
            format!("netns exec {b} true"),
        ] {
            if let Err(why) = ip(&step) {
                skipped(&format!("no network namespaces here: ip {step}: {why}"));
                return None;
            }
        }
        Some(machines)
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in [&self.trust, &self.practice] {
            // It may not have been made.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    output.status.success().then_some(()).ok_or(why)
}

/// The first of the README's steps, at one organisation.
fn made(network: &str, who: &str, reach: &[&str]) -> Site {
    let mut site = Site::new();
    site.network = Some(network.to_owned());
    fs::write(site.dir().join("passphrase"), PASSPHRASE).unwrap();
    let contacts = [
        "--exchange-contact",
        "Records desk <records@example.nhs.uk>, 01392 411611",
        "--guardian",
        "Dr A. Moss <caldicott@example.nhs.uk>",
        "--passphrase-file",
        "passphrase",
    ];
    let who: Vec<&str> = who.split(' ').collect();
    site.ok(&[&["init"], &who[..], reach, &contacts].concat());
    site
}

#[test]
fn two_machines_found_join_match_and_ask_as_the_readme_says() {
    let Some(machines) = Machines::new() else {
        return;
    };
    // 1. Both make a node.
    let mut trust = made(
        &machines.trust,
        "--ods RH8 --kind acute-trust --name Royal-Devon --population 500000",
        &["--announce", "10.77.0.1:7440"],
    );
    let mut practice = made(
        &machines.practice,
        "--ods L83024 --kind gp-practice --name Barnfield-Hill --population 12000",
        &[],
    );
    let sealed = ["--passphrase-file", "passphrase"];

    // 2. The trust founds the federation and starts its node.
    fs::write(trust.dir().join("dsa.pdf"), "We show each other.\n").unwrap();
    let found = ["federation", "found", "--name", "Devon"];
    let founded = trust.json(&[&found[..], &["--agreement", "dsa.pdf"], &sealed].concat());
    let invitation = founded["federation"]["invitation"].as_str().unwrap();
    trust.start();

    // 3. The practice asks to join, and its node brings the request.
    let asked = practice.json(&[&["join", invitation], &sealed[..]].concat());
    practice.start();
    assert_eq!(
        practice.json(&["status"])["federation"]["standing"],
        "waiting"
    );
    let fingerprint = asked["fingerprint"].as_str().unwrap();
    until("the request is brought", || {
        trust.json(&["admissions"]).to_string().contains("L83024")
    });

    // 4. They telephone; the trust admits what was read to it, and the practice enters by itself.
    let admit = ["admit", "L83024", "--fingerprint"];
    let other = trust.run(&[&admit[..], &["00000 00000"], &sealed].concat());
    assert_eq!(other.status.code(), Some(3));
    trust.ok(&[&admit[..], &[fingerprint], &sealed].concat());
    until("both are connected", || {
        [&trust, &practice].iter().all(|site| {
            let status = site.json(&["status"]);
            status["federation"]["standing"] == "admitted" && status["connected"] == 1
        })
    });
    // A request that was brought several times was answered every time.
    assert!(!practice.logs().contains("WARN"), "{}", practice.logs());

    // 5. Both import; people 5 to 9 are known to both.
    for (site, numbers) in [(&trust, 0..10), (&practice, 5..15)] {
        people::write(site.dir(), "fhir", "x", &Somebody::all(numbers), 200);
        site.ok(&["import", "fhir"]);
    }
    assert_eq!(practice.json(&["terms", "RH8"])["terms"]["may_match"], true);

    // 6. The practice matches and asks, over the line it opened itself; then so does the trust.
    assert_eq!(practice.json(&["match"])[0]["found"]["links"], 5);
    for (site, peer) in [(&practice, "RH8"), (&trust, "L83024")] {
        let (code, report) = about(site, &["ask"], &Somebody::numbered(7));
        assert_eq!(code, 0, "{report}");
        let answer = &report["peers"][0];
        assert_eq!(
            (&answer["code"], &answer["state"]),
            (&peer.into(), &"delivered".into())
        );
        assert_eq!(answer["received"]["problems"], 2, "{report}");
        assert_eq!(answer["shown"]["problems"], 2, "{report}");
    }

    // The practice's machine goes and comes back: nobody has to do anything.
    practice.stop();
    until("it is gone", || trust.json(&["status"])["connected"] == 0);
    let (code, report) = about(&trust, &["ask"], &Somebody::numbered(9));
    let state = &report["peers"][0]["state"];
    assert_eq!((code, state), (1, &"unreachable".into()));
    let (_, seen) = about(&trust, &["who-saw"], &Somebody::numbered(9));
    assert!(seen["sights"][0]["what"]["failed"].is_string(), "{seen}");
    practice.start();
    until("it is back", || trust.json(&["status"])["connected"] == 1);
    let (code, report) = about(&trust, &["ask"], &Somebody::numbered(8));
    assert_eq!(
        (code, &report["peers"][0]["state"]),
        (0, &"delivered".into())
    );
    for site in [&trust, &practice] {
        site.json(&["journal", "verify"]);
    }
}
