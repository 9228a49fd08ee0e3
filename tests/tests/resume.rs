//! A match of two nodes that is broken off again and again, by kill -9 of either at random points
//! and by a cut line, goes on where it stood and ends with the right links; neither ever commits to
//! different tags under one match id, and neither raises an entry twice.
//!
//! `FAIRSHARE_MATCH_PEOPLE=200000 FAIRSHARE_KILLS=30` is the size it is promised for;
//! `FAIRSHARE_SEED` repeats a run.

#![allow(
    clippy::print_stderr,
    reason = "what is needed to repeat a run that failed, and what a long one found"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use fairshare_node::engine::matching;
use fairshare_node::engine::progress::Watch;
use fairshare_protocol::codec;
use fairshare_protocol::ids::{Hash, MatchId};
use fairshare_protocol::index::matching::frame::Frame;
use fairshare_protocol::index::matching::tags::spans;
use fairshare_protocol::journal::Act;
use fairshare_protocol::limits::{MAX_BULK_FRAME, MAX_CHUNK_ENTRIES, SILENCE};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::wire;
use fairshare_tests::figures::number;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS};
use fairshare_tests::harness::mesh::{self, Peer};
use fairshare_tests::harness::{Site, free_port, people};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// How long a match may stand still before its operators begin it once more.
const STANDSTILL: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(2);

/// When the victim is killed.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Point {
    /// So long after somebody wanted the match: adverts are made and fetched.
    Making(Duration),
    /// When it has raised this share of the other's entries.
    Raising(f64),
    /// When it has heard this share of the other's tags.
    Rounds(f64),
    /// So long after it has heard all: candidates, proofs, links are kept.
    Ending(Duration),
}

impl Point {
    /// Any, each part of a match alike.
    fn random(rng: &mut StdRng, people: u32) -> Self {
        let mut within = |micros: u32| {
            let most = 100_000 + u64::from(people) * u64::from(micros);
            Duration::from_micros(rng.random_range(0..most))
        };
        let (making, ending) = (within(20), within(20));
        match rng.random_range(0..4) {
            0 => Self::Making(making),
            1 => Self::Raising(rng.random()),
            2 => Self::Rounds(rng.random()),
            _ => Self::Ending(ending),
        }
    }
}

/// How far a node's part of the match has come, over all its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Far {
    /// Chunks raised, counted each time one was; and all.
    raised: [usize; 2],
    heard: [usize; 2],
    /// How often it took the match up.
    begun: usize,
    /// Whether it has heard the last chunk.
    heard_all: bool,
    /// Whether it has links.
    matched: bool,
}

struct Pair {
    federation: Federation,
    people: u32,
    /// Files of bodies each had before.
    files: [u64; 2],
    command: Option<Child>,
}

impl Pair {
    /// Two nodes with so many people each, of whom they share a tenth.
    fn new(federation: Federation, people: u32) -> Self {
        let begun = Instant::now();
        for (site, (at, [code, ..])) in federation.sites.iter().zip((0..).zip(ORGANISATIONS)) {
            let first = at * (people - people / 10);
            let author = code.to_lowercase();
            people::register(
                site.dir(),
                "register.ndjson",
                &author,
                first..first + people,
            );
            site.ok(&["import", "register.ndjson"]);
        }
        eprintln!("imported in {:.1?}", begun.elapsed());
        Self {
            files: [0, 1].map(|at| files(&federation.sites[at])[0]),
            federation,
            people,
            command: None,
        }
    }

    /// What every node of a pair is like.
    fn site(at: usize, people: u32, reach: [&str; 2]) -> Site {
        let mut site = Site::new();
        "info,fairshare_node::engine::matching=debug".clone_into(&mut site.log);
        site.init_for("home", ORGANISATIONS[at], people.max(5000), reach);
        site
    }

    fn far(&self) -> [Far; 2] {
        let logs = [0, 1].map(|at| self.federation.sites[at].logs());
        let lines = |at: usize, what| logs[at].lines().filter(move |line| line.contains(what));
        let entries = |at| {
            let made = lines(at, "our advert has").next();
            made.map_or(0, |line| said(line, "entries="))
        };
        [0, 1].map(|at| {
            let chunks = entries(1 - at).div_ceil(MAX_CHUNK_ENTRIES);
            let to_hear = spans(entries(at) as u32).len();
            let matched = lines(at, " matched ").next().is_some();
            let last = format!("chunk={}", to_hear.saturating_sub(1));
            Far {
                raised: [lines(at, "raised a chunk").count(), chunks],
                heard: [lines(at, "heard a chunk").count(), to_hear],
                begun: lines(at, "matching peer").count(),
                heard_all: matched || lines(at, "heard a chunk").any(|line| line.ends_with(&last)),
                matched,
            }
        })
    }

    /// An operator at one side wants the match.
    fn begin(&mut self, at: usize) {
        let mut command = self.federation.sites[at].command(["match", "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(mut before) = self.command.replace(command.spawn().unwrap()) {
            let _ = before.kill();
            before.wait().unwrap();
        }
    }

    /// Waits for a point of the victim's part.
    fn wait(&mut self, victim: usize, point: Point) {
        let begun = Instant::now();
        let (mut moved, mut before) = (Instant::now(), None);
        let (mut all_heard, mut first) = (None, None);
        loop {
            let both = self.far();
            let far = both[victim];
            let share = |[done, all]: [usize; 2]| match all {
                0 => 0.0,
                all => done as f64 / all as f64,
            };
            // Those heard before it was killed are looked through when it takes the match up again.
            let first: &Far = first.get_or_insert(far);
            if far.heard_all && (!first.heard_all || far.begun > first.begun) {
                all_heard = all_heard.or(Some(Instant::now()));
            }
            let reached = match point {
                Point::Making(after) => begun.elapsed() >= after,
                Point::Raising(part) => share(far.raised) >= part && far.raised[0] > 0,
                Point::Rounds(part) => share(far.heard) >= part && far.heard[0] > 0,
                Point::Ending(after) => all_heard.is_some_and(|at| at.elapsed() >= after),
            };
            if reached || both.iter().all(|far| far.matched) {
                return;
            }
            if before != Some(both) {
                before = Some(both);
                moved = Instant::now();
            }
            assert!(
                moved.elapsed() < STANDSTILL,
                "the match stands still at {before:?}\n{}\n{}",
                self.federation.sites[0].logs(),
                self.federation.sites[1].logs()
            );
            sleep(POLL);
        }
    }

    /// Waits until both have links; says how long that took.
    fn finish(&self) -> Duration {
        let begun = Instant::now();
        while !(0..2).all(|at| self.links(at).is_some()) {
            assert!(
                begun.elapsed() < STANDSTILL,
                "the match does not end by itself\n{}\n{}",
                self.federation.sites[0].logs(),
                self.federation.sites[1].logs()
            );
            sleep(50 * POLL);
        }
        begun.elapsed()
    }

    fn links(&self, at: usize) -> Option<u64> {
        let peers = self.federation.sites[at].run(&["peers", "--json"]);
        let peers: Value = serde_json::from_slice(&peers.stdout).unwrap_or_default();
        peers[0]["links"].as_u64()
    }

    /// Everything that must hold when all is over.
    fn check(mut self) {
        if let Some(mut command) = self.command.take() {
            command.wait().unwrap();
        }
        self.federation.until_connected();
        let mut said: Vec<[BTreeMap<MatchId, BTreeSet<Hash>>; 2]> = Vec::new();
        for (at, far) in (0..).zip(self.far()) {
            let site = &mut self.federation.sites[at];
            let report = &site.json(&["match"])[0];
            let found = &report["found"];
            let both = u64::from(self.people / 10);
            assert_eq!(found["links"], both, "{report}");
            let alone = (&found["ours_only"], &found["theirs_only"]);
            assert_eq!(alone, (&Value::from(0), &Value::from(0)));
            eprintln!("{}: {far:?}", ORGANISATIONS[at][0]);
            // One that was kept just before a kill may not have been logged.
            assert!(far.raised[0] <= far.raised[1], "no chunk is raised twice");
            assert!(far.heard[0] <= far.heard[1], "no chunk is heard twice");
        }
        let fars = self.far();
        for (at, site) in self.federation.sites.iter_mut().enumerate() {
            site.stop();
            site.ok(&["journal", "verify"]);
            // Chunks of both adverts, what stands behind ours, people, names, and two tables.
            let needed = fars.map(|far| far.raised[1] as u64).iter().sum::<u64>() + 5;
            let [there, bytes] = files(site);
            let left = there - self.files[at] - needed;
            eprintln!("{there} files with {bytes} bytes, {left} of them without an owner");
            said.push(statements(site));
        }
        for (at, [ours, heard]) in said.iter().enumerate() {
            assert_eq!(ours.len(), 1, "one match id");
            assert!(ours.values().all(|hashes| hashes.len() == 1), "{ours:?}");
            assert_eq!(heard, &said[1 - at][0], "what one heard, the other said");
        }
    }
}

/// What a node's journal says it committed to, and what it heard the other commit to.
fn statements(site: &Site) -> [BTreeMap<MatchId, BTreeSet<Hash>>; 2] {
    let mut said = <[BTreeMap<MatchId, BTreeSet<Hash>>; 2]>::default();
    for act in site.acts() {
        let (side, match_id, hash) = match act {
            Act::TagsCommitted { match_id, ours, .. } => (0, match_id, ours),
            Act::TagsHeard {
                match_id, theirs, ..
            } => (1, match_id, theirs),
            _ => continue,
        };
        said[side].entry(match_id).or_default().insert(hash);
    }
    said
}

/// The number after a word in a line.
fn said(line: &str, word: &str) -> usize {
    let rest = line.split(word).nth(1).unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[test]
fn a_match_killed_on_either_side_at_any_point_goes_on_and_finds_the_same() {
    let kills = number("FAIRSHARE_KILLS", 4);
    let people = number("FAIRSHARE_MATCH_PEOPLE", 6000);
    let seed = number("FAIRSHARE_SEED", rand::random());
    eprintln!("FAIRSHARE_MATCH_PEOPLE={people} FAIRSHARE_KILLS={kills} FAIRSHARE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut points: Vec<_> = (0..kills)
        .map(|_| Point::random(&mut rng, people))
        .collect();
    // What a match has done it does not do again.
    points.sort_by(|one, other| one.partial_cmp(other).unwrap());
    let sites = (0..2).map(|at| {
        let address = format!("127.0.0.1:{}", free_port());
        Pair::site(at, people, [&address, &address])
    });
    let mut pair = Pair::new(Federation::of(sites.collect()), people);
    let whole = Instant::now();
    for (kill, point) in (1..).zip(points) {
        let victim = rng.random_range(0..2);
        // Its operators want it, or it goes on by itself.
        let beginner = rng.random_range(0..2);
        let asked = rng.random() || matches!(point, Point::Making(_)) || kill == 1;
        if asked {
            pair.begin(beginner);
        }
        let begun = Instant::now();
        pair.wait(victim, point);
        let waited = begun.elapsed();
        pair.federation.sites[victim].kill();
        let far = pair.far();
        eprintln!(
            "kill {kill}: {victim} at {point:.2?} after {waited:.1?}, {}; {far:?}",
            if asked { "asked for" } else { "by itself" }
        );
        pair.federation.sites[victim].start();
    }
    let ended = pair.finish();
    eprintln!(
        "all in {:.1?}; {ended:.1?} after the last kill",
        whole.elapsed()
    );
    pair.check();
}

/// How many files of bodies a node has, and their bytes.
fn files(site: &Site) -> [u64; 2] {
    let files = std::fs::read_dir(site.home().join("blobs")).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    sizes.fold([0, 0], |[n, bytes], size| [n + 1, bytes + size])
}

/// A line between two nodes that can be cut.
#[derive(Default)]
struct Cable(Arc<Mutex<Vec<TcpStream>>>);

impl Cable {
    /// From an address to what listens at another.
    fn lay(&self, from: &str, to: String) {
        let (listen, ends) = (TcpListener::bind(from).unwrap(), Arc::clone(&self.0));
        spawn(move || {
            for one in listen.incoming() {
                let (Ok(one), Ok(other)) = (one, TcpStream::connect(&to)) else {
                    continue;
                };
                for (from, to) in [(&one, &other), (&other, &one)] {
                    let mut ways = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    spawn(move || {
                        // A line that is cut is no fault.
                        let _ = io::copy(&mut ways.0, &mut ways.1);
                        let _ = ways.1.shutdown(Shutdown::Both);
                    });
                }
                ends.lock().unwrap().extend([one, other]);
            }
        });
    }

    fn cut(&self) {
        for end in self.0.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_match_whose_line_is_cut_goes_on_by_itself_and_finds_the_same() {
    let people = 6000;
    let [inside, outside, listen, nowhere] = [0; 4].map(|_| format!("127.0.0.1:{}", free_port()));
    let cable = Cable::default();
    cable.lay(&outside, inside.clone());
    // Only the one dials the other, through the cable.
    let sites = vec![
        Pair::site(0, people, [&inside, &outside]),
        Pair::site(1, people, [&listen, &nowhere]),
    ];
    let mut pair = Pair::new(Federation::of(sites), people);
    pair.begin(0);
    for point in [Point::Raising(0.5), Point::Rounds(0.3), Point::Rounds(0.7)] {
        pair.wait(0, point);
        cable.cut();
        eprintln!("cut at {point:?}: {:?}", pair.far());
    }
    eprintln!("{:.1?} after the last cut", pair.finish());
    pair.check();
}

/// Two nodes in this process that hold the same 30 people and are matched, the first having begun.
async fn matched() -> [Peer; 2] {
    let peers = [
        Peer::start("RH8", MemberKind::AcuteTrust).await,
        Peer::start("L83024", MemberKind::GpPractice).await,
    ];
    mesh::found(&[&peers[0], &peers[1]], |_| {}, |_, _| {}).await;
    let dir = tempfile::tempdir().unwrap();
    people::register(dir.path(), "register", "both", 0..30);
    let lines = std::fs::read_to_string(dir.path().join("register")).unwrap();
    let lines: Vec<_> = lines.lines().map(str::to_owned).collect();
    for peer in &peers {
        peer.import(&lines).await;
    }
    assert_eq!(begin(&peers[0], &peers[1]).await, 30);
    peers
}

async fn begin(one: &Peer, other: &Peer) -> u64 {
    let (with, watch) = (other.node.code(), Watch::nobody());
    matching::begin(&one.node, with, &watch)
        .await
        .unwrap()
        .links
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_that_one_side_was_killed_too_early_to_keep_is_made_again() {
    let [one, other] = matched().await;
    for (loses, keeps) in [(&other, &one), (&one, &other)] {
        // As if it had been killed before it kept the links the other has already kept.
        for table in ["pairs", "matched"] {
            let table = loses.node.store.table(table).unwrap();
            let peer = keeps.node.code().as_str();
            assert!(table.remove(peer.as_bytes()).unwrap());
        }
        assert_eq!(begin(&one, &other).await, 30);
        let with = loses.node.index.matched(keeps.node.code()).unwrap();
        assert_eq!(with.unwrap().links, 30);
        assert!(loses.node.index.pair(keeps.node.code()).unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_does_not_wait_for_one_its_beginner_has_given_up() {
    let [one, other] = matched().await;
    // One that was begun and says nothing any more: the line it came by is dead, perhaps.
    let (network, key) = (one.node.network().unwrap(), other.node.keys.node.public());
    let mut silent = network.open(&key, wire::MATCH).await.unwrap();
    let working = codec::encode(&Frame::Working);
    silent.send(&working).await.unwrap();
    // It has said its first word and waits for ours.
    assert!(silent.recv(MAX_BULK_FRAME).await.unwrap().is_some());
    let table = one.node.store.table("pairs").unwrap();
    let peer = other.node.code().as_str();
    assert!(table.remove(peer.as_bytes()).unwrap());
    let begun = Instant::now();
    assert_eq!(begin(&one, &other).await, 30);
    let took = begun.elapsed();
    assert!(took < SILENCE / 2, "{took:?}");
    let over = silent.recv(MAX_BULK_FRAME).await;
    assert!(!matches!(over, Ok(Some(_))), "it was taken over from");
}
