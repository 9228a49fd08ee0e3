//! Imports in processes of their own: killed at any moment, and held to their memory.
//!
//! The processes are this very test binary, told by an environment variable to run [`CHILD`] only.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fairshare_node::fhir::Rules;
use fairshare_node::import::{Options, day_of, import};
use fairshare_node::store::Store;
use fairshare_node::store::records::{Counts, Records};
use fairshare_protocol::category::Category;
use fairshare_protocol::crypto::seal::SecretKey;
use fairshare_protocol::time::Timestamp;

/// 2026-11-23T10:00:00Z.
const NOW: Timestamp = Timestamp(1_795_428_000_000);
/// Name of the test that is the importing process.
const CHILD: &str = "an_import_in_a_process_of_its_own";
/// Tells that process the directory with `in` and the store.
const HOME: &str = "FAIRSHARE_TEST_IMPORT";
/// How much the memory test imports, in MiB; the long run sets 1024.
const SIZE: &str = "FAIRSHARE_TEST_IMPORT_MIB";

fn open(dir: &Path) -> Records {
    let key = SecretKey::new([7; 32]);
    let store = Store::open(&dir.join("store"), &dir.join("blobs"), key).unwrap();
    Records::open(&store).unwrap()
}

#[test]
fn an_import_in_a_process_of_its_own() {
    let Some(dir) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let records = open(&dir);
    let options = Options::new(Rules::new(false, day_of(NOW)), NOW);
    let start = Instant::now();
    let mut watch = |_| ControlFlow::Continue(());
    let report = import(&records, &[dir.join("in")], &options, &mut watch).unwrap();
    let took = start.elapsed();
    assert!(report.is_clean(), "{:?}", report.causes);
    fs::write(
        dir.join("done"),
        format!("{} {}", peak_kib(), took.as_millis()),
    )
    .unwrap();
}

/// The most memory this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn start(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--test-threads=1"])
        .env(HOME, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes `people` Patients and, of each, records until the file has `bytes`; the last records come
/// from people whose Patients stand at the end. Some bodies are large enough for blobs.
fn generate(path: &Path, people: u64, bytes: u64) -> u64 {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let (mut written, mut count) = (0, 0);
    let filler =
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod. ".repeat(9);
    while written < bytes {
        let person = count % people;
        let text = if count % 5000 == 77 {
            filler.repeat(120)
        } else {
            filler.clone()
        };
        let line = format!(
            r#"{{"resourceType":"Observation","id":"o{count}","status":"final","code":{{"text":"made up"}},"subject":{{"reference":"Patient/p{person}"}},"performer":[{{"reference":"Practitioner/d{}"}}],"valueQuantity":{{"value":{count}.50}},"note":[{{"text":"{text}"}}]}}"#,
            count % 97
        );
        writeln!(out, "{line}").unwrap();
        written += line.len() as u64 + 1;
        count += 1;
    }
    for doctor in 0..97 {
        writeln!(out, r#"{{"resourceType":"Practitioner","id":"d{doctor}"}}"#).unwrap();
    }
    for person in 0..people {
        writeln!(
            out,
            r#"{{"resourceType":"Patient","id":"p{person}","birthDate":"1948-11-08","identifier":[{{"system":"https://local.example","value":"{person}"}}]}}"#
        )
        .unwrap();
    }
    out.into_inner().unwrap().sync_all().unwrap();
    count + people
}

#[test]
fn an_import_killed_at_any_moment_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("in")).unwrap();
    let records = generate(&path.join("in/all.ndjson"), 20, 3 * 1024 * 1024);
    // How long one takes here, so that the kills fall all over it.
    let trial = tempfile::tempdir().unwrap();
    fs::create_dir(trial.path().join("in")).unwrap();
    fs::copy(
        path.join("in/all.ndjson"),
        trial.path().join("in/all.ndjson"),
    )
    .unwrap();
    let began = Instant::now();
    assert!(start(trial.path()).wait().unwrap().success());
    let whole = began.elapsed();
    let kills: u32 = 24;
    let (mut undone, mut done) = (0, 0);
    for kill in 0..kills {
        let mut child = start(path);
        std::thread::sleep(whole * kill / kills + Duration::from_millis(3));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = open(path);
        let counts = left.counts().unwrap();
        let mut people = 0;
        left.each_person(|_, _| people += 1).unwrap();
        assert_eq!(people, counts.people);
        if counts == Counts::default() {
            assert!(left.index_keys().unwrap().is_empty());
            assert!(
                !path.join("done").exists(),
                "an import that said it was done is there"
            );
            drop(left);
            let blobs = fs::read_dir(path.join("blobs")).unwrap().count();
            assert_eq!(blobs, 0, "no blob is left after kill {kill}");
            undone += 1;
        } else {
            // Too late: it was done, all of it. The next kill finds an empty store again.
            assert_eq!(counts.records, records);
            drop(left);
            fs::remove_dir_all(path.join("store")).unwrap();
            fs::remove_dir_all(path.join("blobs")).unwrap();
            let _ = fs::remove_file(path.join("done"));
            done += 1;
        }
    }
    eprintln!(
        "of {kills} imports of {whole:?}, killed all over that time, {undone} left nothing and {done} were done"
    );
    assert!(undone >= kills / 4, "{undone}");
    let last = start(path).wait().unwrap();
    assert!(last.success());
    let all = open(path);
    assert_eq!(all.counts().unwrap().records, records);
    let categories: BTreeSet<Category> = Category::ALL.iter().copied().collect();
    let mut people = Vec::new();
    all.each_person(|id, _| people.push(id)).unwrap();
    let held = people
        .iter()
        .map(|id| all.records_of(id, &categories).unwrap().len() as u64);
    assert_eq!(held.sum::<u64>(), records);
}

#[test]
fn a_large_file_is_imported_in_bounded_memory() {
    let mib = std::env::var(SIZE).map_or(48, |mib| mib.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("in")).unwrap();
    let records = generate(&path.join("in/all.ndjson"), 10_000, mib * 1024 * 1024);
    assert!(start(path).wait().unwrap().success());
    let done = fs::read_to_string(path.join("done")).unwrap();
    let (peak, ms) = done.split_once(' ').unwrap();
    let (peak, ms): (u64, u64) = (peak.parse().unwrap(), ms.parse().unwrap());
    let disk: u64 = ["store", "blobs"]
        .iter()
        .flat_map(|part| fs::read_dir(path.join(part)).unwrap())
        .map(|entry| {
            std::os::unix::fs::MetadataExt::blocks(&entry.unwrap().metadata().unwrap()) * 512
        })
        .sum();
    eprintln!(
        "{mib} MiB of NDJSON, {records} records: {} s, peak memory {} MiB, {} MiB on disk",
        ms / 1000,
        peak / 1024,
        disk / (1024 * 1024)
    );
    assert!(peak < 384 * 1024, "peak memory {peak} KiB");
}
