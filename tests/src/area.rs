//! The table of an area, held against what the ledgers of its members say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::ledger::entry::{Entry, Shown};
use fairshare_protocol::ledger::export::{Export, Link};
use serde_json::{Value, json};

use crate::harness::federation::{Federation, ORGANISATIONS, until};
use crate::harness::{Site, fairshare};

/// Of whom, by whom, what for.
type Asked = (String, String, String);

/// Entries of one chain, by exchange and asker: what was added later is in it.
type Entries = BTreeMap<(ExchangeId, String), Entry>;

/// The reason for which it is refused, and what a carrier changes.
type Forgery<'a> = (&'a str, &'a dyn Fn(&mut Value));

/// Waits until all accounts are settled and every chain is read to its end.
fn until_settled(sites: &[Site]) {
    let ledger = |at: usize, with: usize| sites[at].json(&["ledger", ORGANISATIONS[with][0]]);
    until("all accounts are settled", || {
        pairs().all(|(one, other)| {
            let (here, there) = (ledger(one, other), ledger(other, one));
            let done = |it: &Value| it["waiting"] == 0 && it["exchanges"] == it["settled"];
            let read = here["ours"]["head"] == there["theirs"]["head"]
                && here["theirs"]["head"] == there["ours"]["head"];
            read && done(&here) && done(&there)
        })
    });
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    [(0, 1), (0, 2), (1, 2)].into_iter()
}

/// What the ledger a site exports has in the chain of `writer`.
fn chain(site: &Site, own: &str, peer: &str, writer: &str) -> Entries {
    let file = site.dir().join(format!("{own}-{peer}-{writer}.ledger"));
    site.ok(&["ledger", peer, "--export", file.to_str().unwrap()]);
    let export: Export = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let links = if own == writer {
        export.ours
    } else {
        export.theirs
    };
    let mut entries = Entries::new();
    for link in links {
        let Link::Page(page) = link else {
            panic!("no page was lost")
        };
        for entry in page.peek().unwrap().entries {
            let key = (entry.exchange, entry.asker.to_string());
            match entries.get_mut(&key) {
                Some(before) => before.add(&entry),
                None => drop(entries.insert(key, entry)),
            }
        }
    }
    entries
}

/// How something was answered, in the table's word.
fn word(shown: &Shown) -> &'static str {
    match shown {
        Shown::Bundle(with) if !with.is_empty() => "records",
        Shown::Bundle(_) | Shown::Nothing => "nothing",
        Shown::Refused(_) => "refused",
        Shown::Deferred => "deferred",
        Shown::Missing => "missing",
        Shown::NotDue => "not_due",
    }
}

/// What the ledgers of all say, counted here anew from each writer's own chain.
fn said(sites: &[Site]) -> BTreeMap<Asked, BTreeMap<String, u64>> {
    let mut all: BTreeMap<Asked, BTreeMap<String, u64>> = BTreeMap::new();
    for (one, other) in pairs() {
        let codes = [one, other].map(|at| ORGANISATIONS[at][0]);
        let own = [(one, 0), (other, 1)]
            .map(|(at, n)| chain(&sites[at], codes[n], codes[1 - n], codes[n]));
        let copy = chain(&sites[one], codes[0], codes[1], codes[1]);
        assert_eq!(copy, own[1], "what one holds of the other's chain");
        let keys = |entries: &Entries| entries.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&own[0]), keys(&own[1]), "all is settled");
        for key in own[0].keys() {
            let asker = usize::from(key.1 == codes[1]);
            let (asked_it, was_asked) = (&own[asker][key], &own[1 - asker][key]);
            let asked = (
                key.1.clone(),
                codes[1 - asker].to_owned(),
                asked_it.purpose.to_string(),
            );
            let counts = all.entry(asked).or_default();
            for what in [
                "requests".to_owned(),
                "settled".to_owned(),
                format!("answer {}", word(&asked_it.answer)),
                format!("in_return {}", word(&was_asked.in_return)),
            ] {
                *counts.entry(what).or_default() += 1;
            }
        }
    }
    all
}

/// The same, as a table has it.
fn told(table: &Value) -> BTreeMap<Asked, BTreeMap<String, u64>> {
    let rows = table["rows"].as_array().unwrap().iter();
    let rows = rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for name in ["requests", "settled", "differ", "asker_only", "asked_only"] {
            counts.insert(name.to_owned(), row[name].as_u64().unwrap());
        }
        for side in ["answer", "in_return"] {
            for (word, n) in row[side].as_object().unwrap() {
                let n = match n.as_object() {
                    Some(codes) => codes.values().map(|n| n.as_u64().unwrap()).sum(),
                    None => n.as_u64().unwrap(),
                };
                counts.insert(format!("{side} {word}"), n);
            }
        }
        counts.retain(|_, n| *n > 0);
        ((text("asker"), text("asked"), text("purpose")), counts)
    });
    rows.collect()
}

/// Merges these files where there is no node; gives the exit code, the answer and what it said.
fn merge(dir: &Path, files: &[&str]) -> (i32, Value, String) {
    let mut command = Command::new(fairshare());
    command
        .current_dir(dir)
        .args(["--home", "nowhere", "--json", "report", "merge"]);
    let output = command.args(files).output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), answer, said)
}

/// Has all three export, merges that into one table, and holds it against what their ledgers say;
/// then forges exports in every way a carrier can. Gives the table.
pub fn check(federation: &Federation) -> Value {
    let sites = &federation.sites;
    until_settled(sites);
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let names = ORGANISATIONS.map(|[code, ..]| format!("{code}.balance"));
    for (site, name) in sites.iter().zip(&names) {
        let file = dir.join(name);
        site.ok(&["report", "balance", "--export", file.to_str().unwrap()]);
    }
    let [one, two, three] = [&names[0], &names[1], &names[2]].map(|name| name.as_str());
    let (code, table, said_why) = merge(dir, &[one, two, three]);
    assert_eq!(code, 0, "{said_why}");
    let expected = said(sites);
    assert_eq!(told(&table), expected);
    assert!(!expected.is_empty(), "something was asked");
    assert_eq!(merge(dir, &[three, one, two]).1, table, "in any order");
    assert_eq!(merge(dir, &[two, three, one, two]).1, table, "and number");
    // What each sees by itself are the rows of the area that concern it.
    for (site, [code, ..]) in sites.iter().zip(ORGANISATIONS) {
        let own = told(&site.json(&["report", "balance"])["table"]);
        let mut of_area = expected.clone();
        of_area.retain(|(asker, asked, _), _| [asker, asked].contains(&&code.to_owned()));
        assert_eq!(own, of_area, "{code}");
    }
    // Two of three: their pair is held against each other, the rest is one side's word.
    let (_, less, _) = merge(dir, &[one, two]);
    let chains = less["chains"].as_array().unwrap();
    let alone = chains
        .iter()
        .filter(|it| it["exported"].as_array().unwrap().len() == 1);
    assert_eq!((chains.len(), alone.count()), (6, 4), "{less}");

    let text = fs::read_to_string(dir.join(two)).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let other: Value = serde_json::from_str(&fs::read_to_string(dir.join(one)).unwrap()).unwrap();
    let forge = |change: &dyn Fn(&mut Value)| {
        let mut forged = whole.clone();
        change(&mut forged);
        assert_ne!(forged, whole);
        fs::write(dir.join("forged.balance"), forged.to_string()).unwrap();
        let (code, _, said) = merge(dir, &[one, "forged.balance", three]);
        assert_eq!(code, 3, "{said}");
        said
    };
    let with_pages = |it: &Value| it["ours"].as_array().unwrap().len() > 1;
    let ledgers = whole["ledgers"].as_array().unwrap();
    let at = ledgers.iter().position(with_pages).unwrap();
    let not_whole = "not all, or not only, what L83024 signed for";
    let forgeries: [Forgery<'_>; 7] = [
        (not_whole, &|it| it["ledgers"] = json!([])),
        (not_whole, &|it| {
            it["ledgers"][at]["ours"] = json!([]);
            it["ledgers"][at]["theirs"] = json!([]);
        }),
        ("a page out of order", &|it| {
            it["ledgers"][at]["ours"].as_array_mut().unwrap().remove(0);
        }),
        ("a page that is not its writer's", &|it| {
            // One answer more, or one less: the page is not what was signed.
            let bytes = &mut it["ledgers"][at]["ours"][0]["page"]["bytes"];
            let text = bytes.as_str().unwrap();
            let (head, last) = text.split_at(text.len() - 1);
            *bytes = json!(format!("{head}{}", if last == "0" { "1" } else { "0" }));
        }),
        ("not signed by the node of L83024", &|it| {
            it["stated"]["signer"] = other["stated"]["signer"].clone();
        }),
        ("not signed by the node of L83024", &|it| {
            it["stated"]["signature"] = other["stated"]["signature"].clone();
        }),
        ("the charter does not count", &|it| {
            it["roster"]["charter"]["signatures"] = json!([]);
        }),
    ];
    for (why, change) in forgeries {
        let said = forge(change);
        assert!(said.contains(why), "{why}: {said}");
    }
    table
}
