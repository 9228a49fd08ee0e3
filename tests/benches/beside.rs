//! Care beside bulk: how long an ask takes while nodes reconcile flat out with two peers at once, and
//! while they rest; and how evenly the two rounds share the machine. Real processes, sockets and disks,
//! all three nodes on this machine. Prints; asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench beside` (FAIRSHARE_ROUND_PEOPLE sets how many people, 6,000
//! by default, FAIRSHARE_ASKS how many asks, 200 by default, FAIRSHARE_ROUNDS one round or two.)

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use fairshare_tests::figures::{is_bench, number, within};
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, about};
use fairshare_tests::harness::people::{self, Somebody};

/// Bytes of the one letter each person has at each organisation.
const LETTER: usize = 20_000;

fn main() {
    if !is_bench() {
        return;
    }
    let count: u32 = number("FAIRSHARE_ROUND_PEOPLE", 6000);
    let asks: usize = number("FAIRSHARE_ASKS", 200);
    let federation = Federation::found_for("warn", count.max(5000));
    let everybody = Somebody::all(0..count);
    for (site, author) in federation.sites.iter().zip(["rh8", "l83024", "912"]) {
        people::write_for_rounds(site.dir(), "export", author, &everybody, LETTER);
        site.ok(&["import", "export"]);
    }
    let [trust, practice, council] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    trust.ok(&["match"]);
    practice.ok(&["match", "912"]);
    let ask = |person: &Somebody| {
        let begun = Instant::now();
        let (code, answer) = about(practice, &["ask", "--from", "RH8"], person);
        let took = begun.elapsed();
        assert_eq!(code, 0, "{answer}");
        took
    };
    let mut idle: Vec<_> = everybody.iter().take(asks).map(ask).collect();

    // The trust with both of the others, the one it asks and is asked by among them.
    let begun = Instant::now();
    let with = ["L83024", "912"]
        .into_iter()
        .take(number("FAIRSHARE_ROUNDS", 2));
    let mut rounds: Vec<_> = with.map(|peer| (peer, begin(trust, peer), None)).collect();
    let mut busy = Vec::new();
    for person in everybody.iter().cycle().skip(asks) {
        if busy.len() == asks || rounds.iter_mut().all(|(_, child, end)| ended(child, end)) {
            break;
        }
        busy.push(ask(person));
    }
    println!(
        "{count} people in each of {} rounds of one node, {LETTER} bytes each way",
        rounds.len()
    );
    println!(
        "{:42} {:>5} {:>8} {:>8} {:>8}  milliseconds",
        "", "asks", "median", "99 %", "most"
    );
    row("an ask while nodes rest, the command", &mut idle);
    row("beside the rounds", &mut busy);
    let middle = |times: &[Duration]| times[times.len() / 2].as_secs_f64();
    println!(
        "{:42} {:14.2}",
        "ratio of the medians",
        middle(&busy) / middle(&idle)
    );
    for (peer, mut child, end) in rounds {
        let _ = child.wait();
        let took = end.unwrap_or_else(Instant::now) - begun;
        let rate = f64::from(count) / took.as_secs_f64();
        println!(
            "the round with {peer:27} {:8.1} s {rate:8.0} people/s",
            took.as_secs_f64()
        );
    }
    for site in [trust, practice, council] {
        site.ok(&["journal", "verify"]);
    }
}

fn begin(site: &Site, peer: &str) -> Child {
    let mut command = site.command(["reconcile", peer, "--json"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Whether a round is over, and since when.
fn ended(child: &mut Child, end: &mut Option<Instant>) -> bool {
    if end.is_none() && child.try_wait().unwrap().is_some() {
        *end = Some(Instant::now());
    }
    end.is_some()
}

fn row(what: &str, times: &mut [Duration]) {
    let [median, nearly, most] = within(times, [0.5, 0.99, 1.0]);
    println!(
        "{what:42} {:5} {median:8.1} {nearly:8.1} {most:8.1}",
        times.len()
    );
}
