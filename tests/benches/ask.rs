//! How long an ask takes: from the command to the peer's bundle opened and filed, over real
//! processes, sockets and disks on this machine. Prints; asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench ask` (FAIRSHARE_ASKS sets how many, 200 by default.)
//!
//! Beside it, in the same run, what the machine itself takes for the same bytes without any of the
//! promises: reading them from a file and writing and fsyncing them to another.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use fairshare_tests::figures::{is_bench, number, within};
use fairshare_tests::harness::federation::{Federation, about, held_by};

/// Bytes of the one letter each person has at each organisation.
const LETTER: usize = 1_000_000;

fn main() {
    if !is_bench() {
        return;
    }
    let asks: usize = number("FAIRSHARE_ASKS", 200);
    let federation = Federation::found("warn");
    federation.import(LETTER);
    federation.match_all();
    let (trust, practice) = (&federation.sites[0], "L83024");
    let both = held_by("RH8").into_iter();
    let practices = held_by(practice);
    let both: Vec<_> = both.filter(|one| practices.contains(one)).collect();

    let (mut command, mut exchange) = (Vec::new(), Vec::new());
    let mut records = 0;
    for person in both.iter().cycle().take(asks) {
        let begun = Instant::now();
        let (code, answer) = about(trust, &["ask", "--from", practice], person);
        command.push(begun.elapsed());
        let peer = &answer["peers"][0];
        assert_eq!(
            (code, peer["state"].as_str()),
            (0, Some("delivered")),
            "{answer}"
        );
        exchange.push(Duration::from_millis(peer["ms"].as_u64().unwrap()));
        records += peer["received"].as_object().unwrap().len();
    }
    assert!(records > 0, "records came");
    let mut copy = Vec::new();
    let (from, to) = (trust.dir().join("from"), trust.dir().join("to"));
    std::fs::write(&from, vec![7; LETTER]).unwrap();
    for _ in 0..asks {
        let begun = Instant::now();
        let bytes = std::fs::read(&from).unwrap();
        let mut file = File::create(&to).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
        copy.push(begun.elapsed());
    }
    println!("{asks} asks about one person, {LETTER} bytes each way, milliseconds");
    println!("{:42} {:>8} {:>8} {:>8}", "", "median", "99 %", "most");
    row("the command, from start to answer", &mut command);
    row("the exchange, inside the node", &mut exchange);
    row("read and fsync the same bytes, nothing else", &mut copy);
}

fn row(what: &str, times: &mut [Duration]) {
    let [median, nearly, most] = within(times, [0.5, 0.99, 1.0]);
    println!("{what:42} {median:8.1} {nearly:8.1} {most:8.1}");
}
