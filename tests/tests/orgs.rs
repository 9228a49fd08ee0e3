//! Real records nobody here wrote, reconciled: everything of everybody two organisations both look after
//! that both offers allow, counted on both sides, byte for byte; then asked about, and what all three
//! export comes to one table that says what their ledgers say. Needs `../shared/data/orgs`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails panics, and its figures are for people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use fairshare_tests::area;
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS, about};
use fairshare_tests::harness::people::Somebody;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "fullUrl", default)]
    url: String,
    resource: Box<RawValue>,
}

/// One organisation's files: who is in them, and every record's bytes with the category and whose it is.
#[derive(Default)]
struct Files {
    /// NHS number and date of birth of each Patient, by what names it.
    people: BTreeMap<String, (String, String)>,
    records: Vec<(&'static str, String, String)>,
}

/// The usual category of a type of record that travels in rounds.
fn category(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Condition" => "problems",
        "MedicationRequest" | "MedicationStatement" => "medications",
        "AllergyIntolerance" => "allergies",
        "Immunization" => "immunisations",
        "Observation" | "DiagnosticReport" | "ImagingStudy" => "results",
        "Encounter" => "encounters",
        "Procedure" => "procedures",
        "CarePlan" | "Goal" | "CareTeam" => "care-plans",
        "Patient" => "demographics",
        _ => return None,
    })
}

impl Files {
    fn read(dir: &Path) -> Self {
        let mut files = Self::default();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let end = path.extension().and_then(|end| end.to_str());
            let is_manifest = path.ends_with("manifest.json");
            match end {
                Some("ndjson") => {
                    for line in fs::read_to_string(path).unwrap().lines() {
                        files.take("", line);
                    }
                }
                Some("json") if !is_manifest => {
                    let text = fs::read_to_string(path).unwrap();
                    let bundle: Bundle = serde_json::from_str(&text).unwrap();
                    for entry in bundle.entry {
                        files.take(&entry.url, entry.resource.get());
                    }
                }
                _ => {}
            }
        }
        files
    }

    fn take(&mut self, url: &str, raw: &str) {
        let value: Value = serde_json::from_str(raw).unwrap();
        let kind = value["resourceType"].as_str().unwrap();
        let own = format!("{kind}/{}", value["id"].as_str().unwrap_or_default());
        let mut of = own.clone();
        if kind == "Patient" {
            let numbers = value["identifier"].as_array().into_iter().flatten();
            let nhs = numbers.filter(|it| {
                let system = it["system"].as_str().unwrap_or_default();
                system.ends_with("/nhs-number")
            });
            let nhs = nhs.filter_map(|it| it["value"].as_str()).next();
            let born = value["birthDate"].as_str();
            if let (Some(nhs), Some(born)) = (nhs, born) {
                for name in [url, &own] {
                    let key = (nhs.to_owned(), born.to_owned());
                    self.people.insert(name.to_owned(), key);
                }
            }
        } else {
            let subject = [&value["subject"], &value["patient"]];
            let subject = subject.into_iter().find_map(|it| it["reference"].as_str());
            subject.unwrap_or_default().clone_into(&mut of);
        }
        if let Some(category) = category(kind) {
            self.records.push((category, of, raw.to_owned()));
        }
    }

    fn keys(&self) -> BTreeSet<&(String, String)> {
        self.people.values().collect()
    }

    /// The records of these categories of whoever the other holds too.
    fn of<'a>(&'a self, other: &Self, categories: &BTreeSet<String>) -> BTreeSet<&'a str> {
        let theirs = other.keys();
        let ours = self.records.iter().filter(|(category, of, _)| {
            let key = self.people.get(of);
            categories.contains(*category) && key.is_some_and(|key| theirs.contains(key))
        });
        ours.map(|(_, _, raw)| raw.as_str()).collect()
    }
}

/// Every record that came to a site from a peer in rounds, as it stands in the export.
fn came(site: &Site, from: &str) -> BTreeSet<String> {
    let list = site.json(&["received", "list"]);
    let mut found = BTreeSet::new();
    for bundle in list.as_array().unwrap() {
        if bundle["from"] != from || bundle["purpose"] != "shared-care" {
            continue;
        }
        let exchange = bundle["exchange"].as_str().unwrap();
        let file = site.dir().join(format!("{from}-{exchange}.json"));
        site.ok(&[
            "received",
            "export",
            exchange,
            "--to",
            file.to_str().unwrap(),
        ]);
        let text = fs::read_to_string(&file).unwrap();
        let bundle: Bundle = serde_json::from_str(&text).unwrap();
        for entry in bundle.entry {
            let raw = entry.resource.get();
            let value: Value = serde_json::from_str(raw).unwrap();
            if category(value["resourceType"].as_str().unwrap()).is_some() {
                found.insert(raw.to_owned());
            }
        }
    }
    found
}

#[test]
fn everything_both_offers_allow_of_everybody_both_hold_is_shown_byte_for_byte() {
    let Some(orgs) = fairshare_tests::shared::data("orgs", "reconciling real organisations") else {
        return;
    };
    let mut federation = Federation::found("info");
    let dirs = ["acute-RH8", "gp-L83024", "la-912"].map(|name| orgs.join(name));
    for (site, dir) in federation.sites.iter_mut().zip(&dirs) {
        // What is refused is named there, and counted elsewhere.
        site.run(&["import", dir.to_str().unwrap()]);
        site.stop();
        let config = site.home().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains("\n[rounds]\n"), "{text}");
        let text = text.replace("\n[rounds]\n", "\n[rounds]\neverybody = true\n");
        fs::write(&config, text).unwrap();
        site.start();
    }
    federation.until_connected();
    federation.match_all();
    let files = dirs.map(|dir| Files::read(&dir));
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let [(here, code), (there, peer)] =
            [one, other].map(|at| (&federation.sites[at], ORGANISATIONS[at][0]));
        let report = here.json(&["reconcile", peer]);
        assert_eq!(report["round"]["state"], "done", "{report}");
        let words = |name: &str| {
            let words = report[name].as_array().unwrap().iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let shown = files[one].of(&files[other], &words("shows"));
        let taken = files[other].of(&files[one], &words("takes"));
        for (site, from, expected) in [(there, code, shown), (here, peer, taken)] {
            let came = came(site, from);
            let missing: Vec<_> = expected
                .iter()
                .filter(|raw| !came.contains(**raw))
                .collect();
            let strange: Vec<_> = came
                .iter()
                .filter(|raw| !expected.contains(raw.as_str()))
                .collect();
            eprintln!(
                "{from} showed {} of {} records, {} others",
                came.len(),
                expected.len(),
                strange.len()
            );
            let first = |all: &[String]| all.first().map(|raw| raw.chars().take(300).collect());
            let [missing, strange]: [Vec<String>; 2] = [
                missing.into_iter().map(|raw| (*raw).to_owned()).collect(),
                strange.into_iter().cloned().collect(),
            ];
            let told: [Option<String>; 2] = [first(&missing), first(&strange)];
            assert_eq!(told, [None, None], "{from}: missing and strange");
        }
        for (site, with) in [(here, peer), (there, code)] {
            site.ok(&["ledger", with, "--verify"]);
        }
        let theirs = files[other].keys();
        let person = files[one]
            .keys()
            .into_iter()
            .rfind(|key| theirs.contains(key));
        let (nhs, born) = person.unwrap().clone();
        let person = Somebody {
            nhs,
            born,
            ..Somebody::numbered(0)
        };
        for (site, from) in [(here, peer), (there, code)] {
            let (done, asked) = about(site, &["ask", "--from", from], &person);
            assert_eq!(done, 0, "{asked}");
        }
    }
    let table = area::check(&federation);
    let rows = table["rows"].as_array().unwrap();
    for row in rows {
        let [asker, asked, purpose, requests] =
            ["asker", "asked", "purpose", "requests"].map(|name| &row[name]);
        eprintln!("{asker} asked {asked} for {purpose}: {requests}");
    }
    // Both of each pair asked, and one began a round.
    assert_eq!(rows.len(), 9, "{table}");
}
