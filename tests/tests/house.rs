//! The house rules (what lives where, how things are named, how long a file may be), as tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fairshare_tests::source::{Source, root};

/// The most lines of a file that are not tests.
const MAX_LINES: usize = 400;

/// Lists every line of code for which `broken` holds; there must be none.
fn nowhere(rule: &str, mut broken: impl FnMut(&Source, &str) -> bool) {
    let mut found = String::new();
    for source in Source::all() {
        for (number, line) in source.code() {
            if broken(&source, line) {
                let _ = writeln!(found, "  {}:{number}: {}", source.path, line.trim());
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n{found}");
}

/// Whether `line` has `word` with no letter, digit or underscore beside it.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_none_or(|c| !part(c));
        before
            && line[at + word.len()..]
                .chars()
                .next()
                .is_none_or(|c| !part(c))
    })
}

#[test]
fn a_choice_made_in_one_file_is_named_in_no_other() {
    for (word, place) in [
        ("libp2p", "node/src/network"),
        ("libp2p_stream", "node/src/network"),
        ("sled", "node/src/store"),
        ("bincode", "protocol/src/codec.rs"),
        ("comfy_table", "cli/src/output.rs"),
        ("indicatif", "cli/src/output/bar.rs"),
        ("resourceType", "node/src/fhir"),
        ("DocumentReference", "node/src/fhir"),
        ("AllergyIntolerance", "node/src/fhir"),
    ] {
        nowhere(&format!("only {place} names {word}"), |source, line| {
            // Tests and the demo make up FHIR files for nodes to read.
            let makers = ["tests/", "cli/src/demo/people"];
            let made_up = makers.iter().any(|maker| source.path.starts_with(maker));
            let fhir = place.ends_with("fhir") && made_up;
            has_word(line, word) && !source.path.starts_with(place) && !fhir
        });
    }
}

#[test]
fn protocol_has_no_files_network_clock_randomness_or_waiting_of_its_own() {
    let impure = [
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "tokio",
        "tracing",
        "SystemTime::now",
        "Instant",
        "rand::rng",
        "OsRng",
        "thread_rng",
        "async",
        "await",
    ];
    nowhere("protocol is pure", |source, line| {
        source.path.starts_with("protocol/src/") && impure.iter().any(|word| has_word(line, word))
    });
}

#[test]
fn protocol_and_cli_know_only_whom_they_may() {
    nowhere("protocol knows nobody", |source, line| {
        source.path.starts_with("protocol/") && line.contains("fairshare_node")
    });
    nowhere("node knows protocol alone", |source, line| {
        source.path.starts_with("node/") && line.contains("fairshare_tests")
    });
}

#[test]
fn the_care_lane_takes_no_ledger() {
    nowhere(
        "care comes first: its code knows no ledger and no standing",
        |source, line| {
            let care = ["protocol/src/exchange/ask", "protocol/src/exchange/answer"];
            care.iter().any(|place| source.path.starts_with(place))
                && ["ledger", "standing", "Ledger", "Standing"]
                    .iter()
                    .any(|word| has_word(line, word))
        },
    );
}

#[test]
fn what_answers_for_care_never_asks_the_account() {
    let care = [
        "node/src/engine/asking.rs",
        "node/src/engine/contact.rs",
        "node/src/engine/finding.rs",
        "node/src/engine/showing.rs",
        "protocol/src/terms.rs",
        "protocol/src/offer",
    ];
    nowhere(
        "care comes first: an ask writes into the account and never reads it",
        |source, line| {
            // The one thing it may do.
            let enters = line.contains("ledgers.enter(");
            care.iter().any(|place| source.path.starts_with(place))
                && !enters
                && ["ledger", "ledgers", "standing", "ladder", "paused"]
                    .iter()
                    .any(|word| has_word(line, word))
        },
    );
    nowhere("the ledger is entered and nothing else", |source, line| {
        let asks = "protocol/src/exchange/account.rs";
        source.path == asks
            && ["standing", "ladder", "chain"]
                .iter()
                .any(|it| has_word(line, it))
    });
}

#[test]
fn no_file_is_longer_than_400_lines_without_a_reason() {
    let mut found = String::new();
    for source in Source::all() {
        let lines = source.without_tests().len();
        let reason = "// Longer than 400 lines because ";
        let excused = source
            .text
            .lines()
            .take(60)
            .any(|line| line.starts_with(reason));
        if lines > MAX_LINES && !excused {
            let _ = writeln!(found, "  {}: {lines}", source.path);
        }
    }
    assert!(found.is_empty(), "too long:\n{found}");
}

#[test]
fn modules_lie_beside_their_directory() {
    for source in Source::all() {
        assert!(!source.path.ends_with("/mod.rs"), "{}", source.path);
    }
}

#[test]
fn names_say_what_a_thing_is() {
    let kinds = ["struct ", "enum ", "trait ", "type ", "mod "];
    let empty = [
        "manager", "helper", "util", "utils", "common", "handler", "misc",
    ];
    nowhere("no Manager, Helper, Util, Common, Handler", |_, line| {
        let declared = kinds.iter().find_map(|kind| {
            let at = line.find(kind)?;
            let before = line[..at].trim();
            // An indented `type` names what a trait asks for: the trait's word.
            let ours = *kind != "type " || !line.starts_with(' ');
            let declares = ours && (before.is_empty() || before.starts_with("pub"));
            declares.then(|| line[at + kind.len()..].to_lowercase())
        });
        declared.is_some_and(|name| {
            let name: String = name
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            empty
                .iter()
                .any(|word| name == *word || name.ends_with(word))
        })
    });
    nowhere("no get_", |_, line| line.contains("fn get_"));
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_left_out() {
    let marks = [
        concat!("to", "do!("),
        concat!("un", "implemented!("),
        concat!("#[ig", "nore"),
    ];
    for source in Source::all() {
        for mark in marks {
            assert!(!source.text.contains(mark), "{}: {mark}", source.path);
        }
    }
}

/// Who reads the list of hazards must be able to run what it names.
#[test]
fn every_hazard_names_a_test_that_is_there() {
    let list = fs::read_to_string(root().join("cli/guide/hazards.md")).unwrap();
    let sources = Source::all();
    let rows = list.lines().filter(|line| line.starts_with("| H"));
    let mut ids = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, hazard, cause, effect, mitigation, test] = cells[..] else {
            panic!("six columns: {row}");
        };
        assert!(ids.insert(id), "{id} stands twice");
        assert!(
            [hazard, cause, effect, mitigation]
                .iter()
                .all(|cell| !cell.is_empty()),
            "{row}"
        );
        let named = format!("fn {}()", test.trim_matches('`'));
        let is_there = |source: &Source| source.text.contains(&named);
        assert!(
            sources.iter().any(is_there),
            "{id}: no test is called {test}"
        );
    }
    assert!(ids.len() >= 20, "{ids:?}");
}

#[test]
fn every_room_takes_the_workspace_lints() {
    for room in ["protocol", "node", "cli", "tests"] {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{room}");
    }
}

#[test]
fn one_command_runs_what_is_run_before_every_merge() {
    let path = root().join(".ci/run");
    let script = fs::read_to_string(&path).unwrap();
    for command in [
        "cargo test --workspace",
        "cargo fmt --all --check",
        "cargo clippy --workspace --all-targets -- -D warnings",
        "cargo doc --workspace --no-deps",
    ] {
        assert!(script.contains(command), "{command}");
    }
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o111,
        0o111
    );
}
