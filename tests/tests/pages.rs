//! Every command has a page, and every page is true.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use fairshare_tests::harness::fairshare;
use fairshare_tests::page::{self, Place};
use fairshare_tests::source;

/// The commands the program has, from its own help: those with sub-commands by these.
fn commands(above: &[&str]) -> Vec<String> {
    let mut arguments = vec!["help"];
    arguments.extend(above);
    let help = Command::new(fairshare()).args(arguments).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut found = Vec::new();
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name == "help" {
            continue;
        }
        let whole: Vec<&str> = above.iter().copied().chain([name]).collect();
        let below = commands(&whole);
        if below.is_empty() {
            found.push(whole.join("-"));
        }
        found.extend(below);
    }
    found
}

fn pages() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(source::root().join("tests/cli")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

#[test]
fn every_command_has_a_page() {
    let pages: BTreeSet<String> = pages()
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let commands: BTreeSet<String> = commands(&[]).into_iter().collect();
    assert!(commands.len() > 4, "{commands:?}");
    assert_eq!(pages, commands, "tests/cli has one page for each command");
}

/// All pages, or those whose names begin with what `FAIRSHARE_PAGE` says.
#[test]
fn every_page_is_true() {
    let only = std::env::var("FAIRSHARE_PAGE").unwrap_or_default();
    let meant = |path: &PathBuf| {
        path.file_stem()
            .is_some_and(|it| it.to_string_lossy().starts_with(&only))
    };
    let mut wrong = String::new();
    let mut shared = None;
    for path in pages().into_iter().filter(meant) {
        let need = page::need(&path);
        let found = match need.as_str() {
            // It takes a while to found: its pages share it, one after the other.
            "federation" => page::run(&path, shared.get_or_insert_with(|| Place::new(&need))),
            _ => page::run(&path, &Place::new(&need)),
        };
        if let Err(error) = found {
            wrong += &error;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
