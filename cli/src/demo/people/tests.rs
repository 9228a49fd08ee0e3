#![allow(clippy::unwrap_used, reason = "tests")]
use serde_json::Value;

use super::*;

const SEED: u64 = 7;

/// The files of the three, by path, and their bytes.
fn files(seed: u64) -> BTreeMap<String, Vec<u8>> {
    fn walk(at: &Path, under: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{under}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                walk(&path, &name, found);
            } else {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    write(&draw(seed), seed, directory.path()).unwrap();
    let mut found = BTreeMap::new();
    walk(directory.path(), "", &mut found);
    found
}

/// Every resource in the files of one organisation.
fn resources(files: &BTreeMap<String, Vec<u8>>, directory: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    for (path, bytes) in files.iter().filter(|(path, _)| path.contains(directory)) {
        if path.ends_with(".ndjson") {
            all.extend(
                bytes
                    .split(|b| *b == b'\n')
                    .filter(|l| !l.is_empty())
                    .map(json),
            );
        } else if path.ends_with(".json") {
            let bundle = json(bytes);
            let entries = bundle["entry"].as_array().unwrap();
            all.extend(entries.iter().map(|entry| entry["resource"].clone()));
        }
    }
    all
}

fn holding(people: &[Person], kinds: &[MemberKind]) -> usize {
    let all = |person: &&Person| kinds.iter().all(|kind| person.known.contains_key(kind));
    people.iter().filter(all).count()
}

#[test]
fn three_hundred_people_have_a_valid_number_of_their_own() {
    let people = draw(SEED);
    let numbers: BTreeSet<_> = people.iter().map(|person| person.nhs).collect();
    assert_eq!((people.len(), numbers.len()), (300, 300));
    assert!(
        numbers
            .iter()
            .all(|number| number.expose().starts_with("999"))
    );
    assert_eq!(holding(&people, &[AcuteTrust]), 160);
    assert_eq!(holding(&people, &[GpPractice]), 220);
    assert_eq!(holding(&people, &[AdultSocialCare]), 70);
    assert_eq!(holding(&people, &[AcuteTrust, GpPractice]), 94);
    assert_eq!(holding(&people, &[AcuteTrust, AdultSocialCare]), 34);
    assert_eq!(holding(&people, &[GpPractice, AdultSocialCare]), 50);
}

#[test]
fn the_same_seed_makes_the_same_files_and_another_one_others() {
    let once = files(SEED);
    assert_eq!(once, files(SEED));
    assert_ne!(once, files(SEED + 1));
}

#[test]
fn no_file_is_named_after_a_person() {
    let people = draw(SEED);
    for path in files(SEED).keys() {
        let leaked = |person: &Person| {
            path.contains(&*person.nhs.expose()) || path.contains(&person.born.expose())
        };
        assert!(!people.iter().any(leaked), "{path}");
    }
}

#[test]
fn ids_are_unique_and_references_lead_somewhere() {
    let files = files(SEED);
    for organisation in &ORGANISATIONS {
        let all = resources(&files, organisation.directory);
        let id = |record: &Value| {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            (text("resourceType"), text("id"))
        };
        let ids: BTreeSet<_> = all.iter().map(id).collect();
        let repeated = all.iter().filter(|r| {
            matches!(
                r["resourceType"].as_str(),
                Some("Organization" | "Practitioner")
            )
        });
        let supporting: BTreeSet<_> = repeated.clone().map(id).collect();
        assert_eq!(ids.len(), all.len() - repeated.count() + supporting.len());
        let mut dangling = 0;
        for record in &all {
            let subject = ["subject", "patient"]
                .iter()
                .find_map(|name| record[name]["reference"].as_str());
            let Some(subject) = subject else { continue };
            let id = subject
                .trim_start_matches("urn:uuid:")
                .trim_start_matches("Patient/");
            dangling += usize::from(!ids.contains(&("Patient".into(), id.into())));
        }
        // The trust's stray result.
        assert_eq!(dangling, usize::from(organisation.kind == AcuteTrust));
    }
}

#[test]
fn each_organisation_has_the_records_such_organisations_have() {
    let files = files(SEED);
    let expected: [(&str, &[&str]); 3] = [
        (
            "acute-RZZ",
            &[
                "AllergyIntolerance",
                "Condition",
                "DocumentReference",
                "Encounter",
                "MedicationRequest",
                "Observation",
                "Organization",
                "Patient",
                "Practitioner",
                "Procedure",
            ],
        ),
        (
            "gp-Z00123",
            &[
                "AllergyIntolerance",
                "Condition",
                "Encounter",
                "Immunization",
                "MedicationRequest",
                "MedicationStatement",
                "Observation",
                "Organization",
                "Patient",
                "Practitioner",
            ],
        ),
        (
            "la-998",
            &[
                "CarePlan",
                "DocumentReference",
                "Flag",
                "Goal",
                "Patient",
                "QuestionnaireResponse",
            ],
        ),
    ];
    for (directory, kinds) in expected {
        let all = resources(&files, directory);
        let found: BTreeSet<_> = all
            .iter()
            .map(|r| r["resourceType"].as_str().unwrap())
            .collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), kinds, "{directory}");
        assert!(
            (300..6000).contains(&all.len()),
            "{directory}: {}",
            all.len()
        );
    }
}

#[test]
fn letters_lie_beside_the_export_with_the_size_they_say() {
    let files = files(SEED);
    let mut letters = 0;
    for record in resources(&files, "acute-RZZ") {
        if record["resourceType"] == "DocumentReference" {
            let attachment = &record["content"][0]["attachment"];
            let path = format!("/acute-RZZ/{}", attachment["url"].as_str().unwrap());
            assert_eq!(attachment["size"], files[&path].len());
            letters += 1;
        }
    }
    let beside = files
        .keys()
        .filter(|path| path.contains("/attachments/"))
        .count();
    assert_eq!(letters, beside);
    assert!(letters >= 160);
}

#[test]
fn a_letter_as_pdf_has_a_table_that_points_at_its_objects() {
    let pdf = letter::pdf(&["Dear (Dr) Marsh".into(), "a \\ b".into()]);
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.contains("(Dear \\(Dr\\) Marsh) Tj"));
    let table = text.rsplit("xref\n0 6\n").next().unwrap();
    for (number, line) in table.lines().skip(1).take(5).enumerate() {
        let at: usize = line[..10].parse().unwrap();
        assert!(pdf[at..].starts_with(format!("{} 0 obj", number + 1).as_bytes()));
    }
}

#[test]
fn who_can_be_found_in_the_files_is_who_was_drawn() {
    use fairshare_node::fhir::Rules;
    use fairshare_protocol::index::key::IndexKey;

    use crate::demo::files::Files;

    let directory = tempfile::tempdir().unwrap();
    let people = draw(SEED);
    write(&people, SEED, directory.path()).unwrap();
    let rules = Rules::new(false, "2026-11-23".parse().unwrap());
    for organisation in &ORGANISATIONS {
        let key = |person: &Person| {
            let known = person.known.get(&organisation.kind)?;
            let born = known.born;
            (known.number == Number::Right).then_some(IndexKey {
                nhs: person.nhs,
                born,
            })
        };
        let drawn: BTreeSet<_> = people.iter().filter_map(key).collect();
        let files = Files::read(&directory.path().join(organisation.directory), &rules).unwrap();
        assert_eq!(files.people.keys().copied().collect::<BTreeSet<_>>(), drawn);
    }
}
