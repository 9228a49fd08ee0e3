//! How fast two organisations show each other everybody: real processes, sockets and disks on this
//! machine, both nodes on it. Prints; asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench reconcile` (FAIRSHARE_ROUND_PEOPLE sets how many people,
//! 10,000 by default; each has a letter of 20 KB on either side. FAIRSHARE_ROUND_TRIP_MS puts so much
//! time between the nodes and back.)
//!
//! Beside it, in the same run, what the machine takes for the same bytes without any of the promises:
//! each letter written to one file and fsynced, one after the other.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use fairshare_tests::figures::{is_bench, number};
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::Federation;
use fairshare_tests::harness::people::{self, Somebody};

/// Bytes of the one letter each person has at each organisation.
const LETTER: usize = 20_000;

fn main() {
    if !is_bench() {
        return;
    }
    let count: u32 = number("FAIRSHARE_ROUND_PEOPLE", 10_000);
    let far = Duration::from_millis(number("FAIRSHARE_ROUND_TRIP_MS", 0));
    let federation = Federation::far("warn", count.max(5000), far);
    let everybody = Somebody::all(0..count);
    for (site, author) in federation.sites.iter().zip(["rh8", "l83024"]) {
        people::write_for_rounds(site.dir(), "export", author, &everybody, LETTER);
        site.ok(&["import", "export"]);
    }
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    trust.ok(&["match", "L83024"]);
    let before = [trust, practice].map(processor);
    let begun = Instant::now();
    let report = trust.json(&["reconcile", "L83024"]);
    let took = begun.elapsed();
    let spent = [trust, practice].map(processor);
    let round = &report["round"];
    let came = practice.json(&["received", "list"]);
    let came = came.as_array().unwrap().iter();
    let least = came.map(|bundle| bundle["bytes"].as_u64().unwrap()).min();
    assert!(least >= Some(LETTER as u64), "a letter each: {least:?}");
    assert_eq!(
        (&round["state"], &round["people"]),
        (&"done".into(), &count.into()),
        "{report}"
    );

    let begun = Instant::now();
    let mut file = File::create(trust.dir().join("letters")).unwrap();
    for _ in 0..count {
        file.write_all(&[7; LETTER]).unwrap();
        file.sync_data().unwrap();
    }
    let plain = begun.elapsed();
    println!("{count} people, {LETTER} bytes and some records each way");
    row("reconcile, each way", count, took);
    row("write and fsync the same letters, one by one", count, plain);
    for (name, (now, then)) in ["trust", "practice"].iter().zip(spent.iter().zip(before)) {
        let each = (*now - then).as_secs_f64() / f64::from(count) * 1000.0;
        println!(
            "CPU of the {name}: {each:.2} ms a person, peak {} MiB",
            peak(match *name {
                "trust" => trust,
                _ => practice,
            })
        );
    }
}

fn row(what: &str, count: u32, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "{what:46} {seconds:7.1} s {:8.0} people/s",
        f64::from(count) / seconds
    );
}

/// User and system time a node has spent so far.
fn processor(site: &Site) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.pid())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of the file, in ticks of a hundredth of a second.
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn peak(site: &Site) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
