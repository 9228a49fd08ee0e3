//! What the parts of the index cost, per item: median of [`RUNS`] runs in time of one core, which
//! others on the machine do not lengthen, and the two heavy ones on all cores as a node spreads them,
//! by the clock. Prints; asserts nothing of time.
//!
//! `cargo bench -p fairshare-tests --bench index` (FAIRSHARE_ITEMS sets how many items a run has,
//! 16,384 by default.) A whole match of two nodes is measured by `tests/compare`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::hint::black_box;
use std::time::Duration;

use curve25519_dalek::ristretto::RistrettoPoint;
use fairshare_protocol::crypto::blind::{self, Dst, Secret};
use fairshare_protocol::crypto::{dleq, hash};
use fairshare_protocol::ids::{FederationId, MatchId, OdsCode, Point};
use fairshare_protocol::index::advert;
use fairshare_protocol::index::canary;
use fairshare_protocol::index::matching::links::PROOF_BATCH;
use fairshare_protocol::index::matching::tags::{Tagger, order};
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};

/// Runs of each part.
const RUNS: usize = 7;
/// Items one thread takes in one go, as in a node.
const RUN: usize = 1024;

fn main() {
    // `cargo test --benches` only asks whether it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let items = std::env::var("FAIRSHARE_ITEMS").ok();
    let items: usize = items.map_or(16_384, |number| number.parse().unwrap());
    let cores = rayon::current_num_threads();
    let federation = FederationId::new([1; 32]);
    let dst = Dst::index(&federation, 1);
    let (ours, theirs) = (
        Secret::from_uniform(&[2; 64]),
        Secret::from_uniform(&[3; 64]),
    );
    let keys: Vec<_> = (0..items)
        .map(|n| format!("nhs:999{n:07}|1970-01-01").into_bytes())
        .collect();
    let blinded = |keys: &[Vec<u8>]| ours.blind(keys.iter().map(Vec::as_slice), &dst);
    let entries = blinded(&keys);
    let points: Vec<RistrettoPoint> = entries
        .iter()
        .map(|entry| blind::decompress(entry).unwrap())
        .collect();
    let bytes = advert::to_bytes(&entries);
    let match_id = MatchId::new([4; 32]);
    let member: OdsCode = "RH8".parse().unwrap();
    let tagger = Tagger::new(&match_id, &member);

    println!("{items} items, time of one core; the ratio is to a peer's entry");
    println!("{:52} {:>9} {:>9}", "", "µs/item", "ratio");
    let raise = median(items, || theirs.raise(&entries).unwrap());
    let row = |what: &str, cost: f64| {
        println!("{what:52} {cost:9.3} {:9.3}", cost / raise);
    };

    let hashed = |key: &Vec<u8>| blind::hash_to_group(key, &dst);
    row(
        "hash to the group",
        median(items, || keys.iter().map(hashed).collect::<Vec<_>>()),
    );
    let own = median(items, || blinded(&keys));
    row("own entry: hash, raise, share of a compression", own);
    row(
        "canary, g^r",
        median(items, || canary::entries(&[5; 32], 0, items as u32)),
    );
    row("peer's entry: decompress, raise, compress", raise);
    row(
        "  decompress",
        median(items, || {
            let points = entries.iter().map(blind::decompress);
            points.collect::<Result<Vec<_>, _>>().unwrap()
        }),
    );
    row(
        "  double and compress, batches of 256",
        median(items, || {
            let batches = points.chunks(256);
            batches
                .map(RistrettoPoint::double_and_compress_batch)
                .collect::<Vec<_>>()
        }),
    );
    row(
        "  (compress one by one)",
        median(items, || {
            points.iter().map(blind::compress).collect::<Vec<_>>()
        }),
    );
    row(
        "tag",
        median(items, || {
            entries
                .iter()
                .map(|point| tagger.tag(point))
                .collect::<Vec<_>>()
        }),
    );
    row(
        "order of the tags",
        median(items, || order(&match_id, &member, items as u32)),
    );
    row(
        "BLAKE3 of an entry in its chunk, 32 bytes",
        median(items, || {
            let chunks = bytes.chunks(MAX_CHUNK_ENTRIES * 32);
            chunks.map(hash::bytes).collect::<Vec<_>>()
        }),
    );
    links(&theirs, &entries, row);

    println!("\non {cores} cores, by the clock; the speed-up is of one core's time");
    println!("{:52} {:>9} {:>9}", "", "µs/item", "speed-up");
    let wide = |what: &str, one: f64, cost: f64| {
        println!("{what:52} {cost:9.3} {:9.2}", one / cost);
    };
    let all = per_item(items, ClockId::Monotonic, || {
        let runs = keys.par_chunks(RUN).map(blinded);
        runs.flatten_iter().collect::<Vec<Point>>()
    });
    wide("own entry", own, all);
    let all = per_item(items, ClockId::Monotonic, || {
        let runs = entries.par_chunks(RUN);
        let runs = runs.map(|run| theirs.raise(run).unwrap());
        runs.flatten_iter().collect::<Vec<Point>>()
    });
    wide("peer's entry", raise, all);
}

/// Proving and checking links, a batch at a time.
fn links(key: &Secret, entries: &[Point], row: impl Fn(&str, f64)) {
    let entries = &entries[..entries.len().min(PROOF_BATCH)];
    let shared = key.raise(entries).unwrap();
    let nonce = Secret::from_uniform(&[6; 64]);
    let context = b"bench";
    let made = || dleq::prove(key, entries, &shared, &nonce, context).unwrap();
    let proof = made();
    let public = key.public();
    let checked = || dleq::verify(&public, entries, &shared, &proof, context).unwrap();
    row("link: prove, batches of 4,096", median(entries.len(), made));
    row(
        "link: check its proof, batches of 4,096",
        median(entries.len(), checked),
    );
}

/// Microseconds of this thread on a core per item, the median of several runs.
fn median<T>(items: usize, run: impl Fn() -> T) -> f64 {
    per_item(items, ClockId::ThreadCPUTime, run)
}

/// Microseconds per item by this clock, the median of several runs.
fn per_item<T>(items: usize, clock: ClockId, run: impl Fn() -> T) -> f64 {
    let now = || Duration::try_from(clock_gettime(clock)).unwrap();
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let begun = now();
            black_box(run());
            now() - begun
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2].as_secs_f64() * 1e6 / items as f64
}
