//! No identifier of an imported person reaches a log at TRACE, the journal, a process's arguments,
//! or a file at rest (promises, 7).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS, held_by};
use fairshare_tests::harness::people::{self, Somebody};
use fairshare_tests::needles::{self, Search};

/// Everything in the arguments of every process there is, until told to stop.
fn watch_arguments(stop: &AtomicBool) -> BTreeSet<Vec<u8>> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let file = entry.path().join("cmdline");
            // Most have gone by the time they are read.
            seen.extend(fs::read(file).ok().filter(|line| !line.is_empty()));
        }
    }
    seen
}

/// Runs a command at TRACE that reads a person from standard input.
fn about(site: &Site, arguments: &[&str], person: &Somebody) -> Output {
    let mut command = site.command(arguments);
    command.args(["--log", "trace"]).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it reads everything.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(person.lines().as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn nothing_that_identifies_a_person_is_in_a_log_the_journal_the_arguments_or_at_rest() {
    let stop = AtomicBool::new(false);
    let (arguments, stderr, mut federation) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch_arguments(&stop));
        let mut federation = Federation::found("trace");
        let mut stderr = Vec::new();
        let mut said = |output: Output| {
            stderr.extend_from_slice(&output.stderr);
            output
        };
        for (site, [code, ..]) in federation.sites.iter().zip(ORGANISATIONS) {
            // Larger than what a store keeps in its tables.
            people::write(
                site.dir(),
                "export",
                &code.to_lowercase(),
                &held_by(code),
                100_000,
            );
            let imported = said(site.run(&["import", "export", "--log", "trace"]));
            assert!(imported.status.success());
            fs::remove_dir_all(site.dir().join("export")).unwrap();
        }
        for site in &federation.sites {
            assert!(
                said(site.run(&["match", "--log", "trace"]))
                    .status
                    .success()
            );
        }
        let (shared, unshared, nobody) = (20, 0, 4000);
        for (site, [code, ..]) in federation.sites.iter().zip(ORGANISATIONS) {
            for n in shared..shared + 3 {
                let person = Somebody::numbered(n);
                let asked = said(about(site, &["ask", "--json"], &person));
                assert!(asked.status.success(), "{code}: {asked:?}");
            }
            for n in [shared, unshared, nobody] {
                let person = Somebody::numbered(n);
                said(about(site, &["find"], &person));
                said(about(site, &["ask"], &person));
                said(about(site, &["who-saw"], &person));
                let withhold = ["withhold", "add", "--reason", "objection"];
                said(about(site, &withhold, &person));
                said(about(site, &["withhold", "list"], &person));
                let remove = ["withhold", "remove", "--reason", "a test"];
                said(about(site, &remove, &person));
                // Mistyped, so that it is refused.
                let wrong = Somebody {
                    born: format!("{}1", person.born),
                    ..person
                };
                said(about(site, &["find"], &wrong));
            }
            let list = site.json(&["received", "list"]);
            let exchange = list[0]["exchange"]
                .as_str()
                .or(list["bundles"][0]["exchange"].as_str());
            let exchange = exchange.unwrap().to_owned();
            said(site.run(&["received", "show", &exchange, "--log", "trace"]));
            let out = [
                "received", "export", &exchange, "--to", "out.json", "--log", "trace",
            ];
            assert!(said(site.run(&out)).status.success());
            // It holds patient data, as it says; all else must not.
            fs::remove_file(site.dir().join("out.json")).unwrap();
            let urgent = ["ask", "--purpose", "emergency", "--reason", "a fall"];
            let person = Somebody::numbered(shared);
            let asked = said(about(site, &urgent, &person));
            assert!(asked.status.success(), "{code}: {asked:?}");
            for what in [
                &["reviews", "list"][..],
                &["received", "file", &exchange, "--reason", "a test"],
                &["received", "erase", &exchange, "--reason", "a test"],
                &["received", "show", &exchange],
            ] {
                let arguments = [what, &["--log", "trace"]].concat();
                assert!(said(site.run(&arguments)).status.success());
            }
        }
        for site in &mut federation.sites {
            site.stop();
        }
        stop.store(true, Ordering::Relaxed);
        (watching.join().unwrap(), stderr, federation)
    });

    let everybody = Somebody::all((0..50).chain([4000]));
    let search = Search::new(needles::of(&everybody));
    assert!(arguments.len() > 20, "{} processes seen", arguments.len());
    for line in &arguments {
        let line_text = String::from_utf8_lossy(line);
        assert_eq!(search.find(line), Vec::<String>::new(), "{line_text}");
    }
    assert_eq!(
        search.find(&stderr),
        Vec::<String>::new(),
        "what commands said on stderr"
    );
    for site in &mut federation.sites {
        assert!(site.logs().contains("TRACE"), "the log is at TRACE");
        // Nothing but room.
        let reserve = site.home().join("reserve");
        assert!(fs::read(&reserve).unwrap().iter().all(|byte| *byte == 0));
        fs::remove_file(reserve).unwrap();
        assert_eq!(search.find_below(site.dir()), Vec::<String>::new());
    }
}
