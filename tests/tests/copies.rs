//! What peers showed is erased by real nodes: when it has been here for its time, and whole, however
//! often they are killed in between.

#![allow(
    clippy::print_stderr,
    reason = "what is needed to repeat a run that failed"
)]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use fairshare_node::engine::drive::now;
use fairshare_node::home::Home;
use fairshare_node::journal;
use fairshare_node::node::Node;
use fairshare_node::store::exchanges::{Plaintext, Received};
use fairshare_protocol::category::Purpose;
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::ask::Filed;
use fairshare_protocol::exchange::bundle::Manifest;
use fairshare_protocol::ids::{ExchangeId, Fixed, Hash, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::time::Timestamp;
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::until;
use fairshare_tests::harness::people::Somebody;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn site() -> Site {
    let site = Site::new();
    site.init("home", "RH8", "acute-trust", "Royal Devon");
    site.name_user();
    site
}

/// Bundles of a practice, received at these times: under exchanges 0, 1, 2, …
fn receive(site: &Site, times: &[Timestamp]) {
    let node = Node::open(Home::open(&site.home()).unwrap()).unwrap();
    let somebody = Somebody::numbered(1);
    for (at, number) in times.iter().zip(0..) {
        let mut blob = node.store.blobs().create().unwrap();
        blob.write_all(&[number; 5000]).unwrap();
        let person = PersonId(Fixed([1; 16]));
        let manifest = Manifest {
            author: "L83024".parse().unwrap(),
            as_of: *at,
            subject: IndexKey {
                nhs: somebody.nhs.parse().unwrap(),
                born: somebody.born.parse().unwrap(),
            },
            items: Vec::new(),
        };
        let filed = Filed {
            exchange: ExchangeId::new([number; 16]),
            from: manifest.author.clone(),
            person,
            commitment: node.exchanges.commit_to(person).unwrap(),
            purpose: Purpose::Care,
            at: *at,
            in_return: false,
            manifest,
            verdict: Verdict::Opened,
            shown: Hash::new([3; 32]),
        };
        let plaintext = Plaintext::Blob(blob.finish().unwrap());
        let received = Received { filed, plaintext };
        assert!(node.exchanges.file(&received).unwrap());
    }
    node.store.commit_now().unwrap();
}

fn listed(site: &Site, which: &[&str]) -> Vec<Value> {
    let list = site.json(&[&["received", "list"], which].concat());
    list.as_array().unwrap().clone()
}

fn files(site: &Site) -> usize {
    fs::read_dir(site.home().join("blobs")).unwrap().count()
}

#[test]
fn a_node_erases_what_has_been_here_for_its_time_when_it_starts() {
    let mut site = site();
    let config = site.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("[copies]\nkeep_days = 365\n"), "{text}");
    fs::write(&config, text.replace("keep_days = 365", "keep_days = 30")).unwrap();
    receive(&site, &[now() - DAY * 31, now() - DAY * 29]);
    assert_eq!(files(&site), 2);
    site.start();
    until("it is erased", || listed(&site, &[]).len() == 1);
    until("its file is gone", || files(&site) == 1);
    let all = listed(&site, &["--all"]);
    assert_eq!(all[1]["fate"]["erased"]["why"], "expired", "{all:?}");
    let expires = all[0]["fate"]["expires"].as_u64().unwrap();
    assert_eq!(expires, all[0]["at"].as_u64().unwrap() + 30 * 86_400_000);
    let shown = site.ok(&["received", "show", "0000"]);
    let why = ": it had been here for its time, and nobody had filed it. Its key was deleted";
    assert!(shown.contains(why), "{shown}");
    site.ok(&["journal", "verify"]);
}

#[test]
fn a_node_killed_while_it_erases_has_each_bundle_whole_or_not_at_all() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut site = site();
    let all = 40;
    receive(&site, &vec![now(); all]);
    let mut wanted = 0;
    while wanted < all {
        site.start();
        // Several at a time; the node is killed at some moment of it.
        let mut asked = Vec::new();
        for number in wanted..(wanted + 4).min(all) {
            let exchange = format!("{number:02x}").repeat(16);
            let erase = ["received", "erase", &exchange, "--reason", "a test"];
            let mut command = site.command(erase);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            asked.push(command.spawn().unwrap());
        }
        wanted += 4;
        sleep(Duration::from_micros(rng.random_range(0..60_000)));
        site.kill();
        for mut child in asked {
            child.wait().unwrap();
        }
    }
    site.start();
    let held = || listed(&site, &[]).len();
    until("what was begun is finished", || files(&site) == held());
    let left = held();
    assert_eq!(listed(&site, &["--all"]).len(), all);
    eprintln!("{} of {all} erased", all - left);
    site.stop();
    let node = Node::open(Home::open(&site.home()).unwrap()).unwrap();
    for received in node.exchanges.all_received(None) {
        let mut bytes = Vec::new();
        let plain = received.unwrap().plaintext.open(node.store.blobs());
        plain.unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 5000);
    }
    let mut erased: Vec<_> = journal::read(&site.home().join("journal"))
        .unwrap()
        .filter_map(|entry| match entry.unwrap().act {
            Act::CopyErased { exchange, .. } => Some(exchange),
            _ => None,
        })
        .collect();
    erased.sort_unstable();
    erased.dedup();
    assert_eq!(erased.len(), all - left);
    for exchange in erased {
        assert!(node.exchanges.erased(&exchange).unwrap().is_some());
    }
}
