//! How long first contact takes: somebody who has just come is told to a peer with a large advert,
//! linked, asked about and answered, over real processes, sockets and disks on this machine. Prints;
//! asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench contact` (FAIRSHARE_CONTACT_PEOPLE sets how many people
//! the peer holds, 20,000 by default; there are some 900,000 synthetic numbers.)

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use fairshare_protocol::index::key::NhsNumber;
use fairshare_tests::figures::{is_bench, number, within};
use fairshare_tests::harness::federation::{about, until};
use fairshare_tests::harness::people::Somebody;
use fairshare_tests::harness::{Site, free_port};

/// Who comes to one node and is held by the other.
const NEWCOMERS: usize = 40;

fn main() {
    if !is_bench() {
        return;
    }
    let people: usize = number("FAIRSHARE_CONTACT_PEOPLE", 20_000);
    let numbers = (9_990_000_000..10_000_000_000_u64).filter(|n| NhsNumber::try_from(*n).is_ok());
    let all: Vec<_> = numbers.take(people).collect();
    let [mut trust, mut practice] = [Site::new(), Site::new()];
    init(&trust, "RH8", "acute-trust");
    init(&practice, "L83024", "gp-practice");
    fs::write(trust.dir().join("agreement.txt"), "We show what we hold.\n").unwrap();
    let found = ["federation", "found", "--name", "Devon", "--agreement"];
    trust.ok(&[&found[..], &["agreement.txt"]].concat());
    trust.start();
    let link = trust.json(&["federation", "show"])["invitation"].clone();
    practice.ok(&["join", link.as_str().unwrap()]);
    practice.start();
    let asks = || trust.json(&["admissions"]).to_string().contains("L83024");
    until("the request is brought", asks);
    trust.ok(&["admit", "L83024", "--yes"]);
    // It exits 1 while they are not.
    let up = |site: &Site| {
        let told = site.run(&["peers", "--json"]).stdout;
        let peers: serde_json::Value = serde_json::from_slice(&told).unwrap_or_default();
        peers[0]["connection"] == "up"
    };
    until("both are connected", || up(&trust) && up(&practice));

    import(&trust, "all", &all);
    import(&practice, "some", &all[..100]);
    let begun = Instant::now();
    practice.ok(&["match"]);
    println!("the match took {:.1} s", begun.elapsed().as_secs_f64());
    let newcomers = &all[100..100 + NEWCOMERS];
    import(&practice, "newcomers", newcomers);

    let (mut contact, mut command, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for nhs in newcomers {
        let person = somebody(*nhs);
        let begun = Instant::now();
        let (_, answer) = about(&practice, &["ask"], &person);
        command.push(begun.elapsed());
        contact.push(took(&answer));
        let (_, again) = about(&practice, &["ask"], &person);
        later.push(took(&again));
    }
    println!("{NEWCOMERS} first contacts with a peer of {people} people, milliseconds");
    println!("{:42} {:>8} {:>8} {:>8}", "", "median", "95 %", "most");
    row("entry to filed answer, inside the node", &mut contact);
    row("the command, from start to answer", &mut command);
    row("the same person asked about once more", &mut later);
}

fn took(answer: &serde_json::Value) -> Duration {
    let peer = &answer["peers"][0];
    assert_eq!(peer["state"], "delivered", "{answer}");
    Duration::from_millis(peer["ms"].as_u64().unwrap())
}

fn init(site: &Site, code: &str, kind: &str) {
    let address = format!("127.0.0.1:{}", free_port());
    let who = ["init", "--ods", code, "--kind", kind, "--name", code];
    let reach = ["--listen", &address, "--announce", &address];
    let rest = ["--population", "2000000", "--no-passphrase"];
    let people = [
        "--exchange-contact",
        "Records desk",
        "--guardian",
        "Dr A. Moss",
    ];
    site.ok(&[&who[..], &reach[..], &rest[..], &people[..]].concat());
}

fn somebody(nhs: u64) -> Somebody {
    Somebody {
        nhs: format!("{nhs:010}"),
        born: format!("{}-{:02}-11", 1930 + nhs % 80, 1 + nhs % 12),
        family: String::new(),
        given: String::new(),
    }
}

fn import(site: &Site, name: &str, people: &[u64]) {
    let mut lines = String::new();
    for nhs in people {
        let person = somebody(*nhs);
        let _ = writeln!(
            lines,
            r#"{{"resourceType":"Patient","id":"p{nhs}","birthDate":"{}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{}"}}]}}"#,
            person.born, person.nhs
        );
    }
    let file = format!("{name}.ndjson");
    fs::write(site.dir().join(&file), lines).unwrap();
    site.ok(&["import", &file]);
}

fn row(what: &str, times: &mut [Duration]) {
    let [median, nearly, most] = within(times, [0.5, 0.95, 1.0]);
    println!("{what:42} {median:8.1} {nearly:8.1} {most:8.1}");
}
