//! What an entry costs. Prints, and asserts nothing about time.

#![allow(clippy::print_stdout, reason = "figures are for people to read")]

use std::time::Instant;

use super::*;

#[test]
fn the_cost_of_an_own_entry_and_of_a_peers_is_printed() {
    let keys = people(0..3000);
    let rng = &mut StdRng::seed_from_u64(1);
    let blinding = Blinding::generate(&FEDERATION, 4, rng);
    let start = Instant::now();
    let entries = blinding.entries(&keys);
    let own = start.elapsed().as_secs_f64() * 1e6 / 3000.0;
    let a = Member {
        keys,
        ..Member::with("RH8", 1, &blinding, entries)
    };
    let b = Member::new("L83024", 2, 0..3000);
    let (raise, rest) = (RefCell::new(0.0), RefCell::new(0.0));
    let timed: Work<'_> = Box::new(|job| {
        let start = Instant::now();
        let fact = job::run(&job);
        let sum = if matches!(job, Job::Raise { .. }) {
            &raise
        } else {
            &rest
        };
        *sum.borrow_mut() += start.elapsed().as_secs_f64() * 1e6;
        fact
    });
    let line: Line<'_> = &mut |_, frame| Some(frame);
    let (left, _) = play((&a, &b), Default::default(), (timed, honest()), line);
    let links = left.matched().links.len();
    assert_eq!(links, 3000);
    let count = f64::from(b.own.advert().header().count);
    println!(
        "own entry {own:.1} µs; peer's entry {:.1} µs; canaries, proof and check {:.1} µs a link",
        *raise.borrow() / count,
        *rest.borrow() / links as f64
    );
}
