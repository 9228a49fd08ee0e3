//! Coverage: of the people whose own record names a peer, the share that is linked.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::ops::Range;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::Federation;
use fairshare_tests::harness::people::Somebody;
use serde_json::{Value, json};

const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";

fn ods(code: &str) -> Value {
    json!({ "identifier": { "system": ODS, "value": code } })
}

/// A Patient whose practice is named in one of four ways, and whom the council looks after.
fn patient(number: u32) -> Value {
    let somebody = Somebody::numbered(number);
    let practice = match number % 4 {
        0 => json!({ "reference": "Organization/practice" }),
        1 => ods("L83024"),
        2 => json!({ "reference": "PractitionerRole/gp" }),
        _ => json!({ "reference": "#gp" }),
    };
    let mut patient = json!({
        "resourceType": "Patient", "id": format!("p{number}"), "birthDate": somebody.born,
        "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": somebody.nhs }],
        "generalPractitioner": [practice, ods("912"), ods("RX1")]
    });
    if number % 4 == 3 {
        let inside = json!({ "resourceType": "Organization", "id": "gp",
            "identifier": [{ "system": "http://fhir.nhs.net/Id/ods-organization-code",
                "value": "l83024" }] });
        patient["contained"] = json!([inside]);
    }
    patient
}

fn import(site: &Site, name: &str, people: Range<u32>) {
    let identifier = json!([{ "system": ODS, "value": "L83024" }]);
    let mut lines = vec![
        json!({ "resourceType": "Organization", "id": "practice", "identifier": identifier }),
        json!({ "resourceType": "PractitionerRole", "id": "gp",
            "organization": { "reference": "Organization/practice" } }),
    ];
    lines.extend(people.map(patient));
    // Nobody can find them, so they say nothing of anybody's index.
    lines.push(json!({ "resourceType": "Patient", "id": "unborn",
        "generalPractitioner": [ods("L83024")] }));
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    fs::write(site.dir().join(name), lines.join("\n")).unwrap();
    site.ok(&["import", name]);
}

/// Named, linked, and what is wrong, at the council and the practice.
fn coverage(site: &Site) -> Vec<(u64, u64, String)> {
    let peers = site.json(&["peers"]);
    let all = peers.as_array().unwrap().iter().map(|peer| {
        let number = |name: &str| peer["coverage"][name].as_u64().unwrap();
        let facts = peer["problems"].as_array().unwrap().iter();
        let facts = facts.map(|problem| problem["fact"].as_str().unwrap());
        (number("named"), number("linked"), facts.collect())
    });
    all.collect()
}

#[test]
fn people_whose_record_names_a_peer_and_who_are_not_linked_are_counted_and_told() {
    let federation = Federation::found("info");
    let [here, practice, council] = &federation.sites[..] else {
        unreachable!()
    };
    import(here, "ours.ndjson", 10..34);
    import(practice, "theirs.ndjson", 10..50);
    import(council, "theirs.ndjson", 20..35);
    let none = String::new;
    assert_eq!(
        coverage(here),
        [(24, 0, none()), (24, 0, none())],
        "no match yet"
    );

    here.ok(&["match"]);
    let few = "of 24 people here whose own record names 912, 14 are linked".to_owned();
    assert_eq!(coverage(here), [(24, 14, few.clone()), (24, 24, none())]);
    let shown = here.ok(&["peer", "912"]);
    assert!(shown.contains("14 of 24 people whose record here names it are linked (58 %)"));
    assert!(shown.contains("try: compare the lists with 912: they differ, or it links alone"));

    // Who came after the match says nothing; the next one tells.
    import(here, "more.ndjson", 60..80);
    assert_eq!(coverage(here)[1], (24, 24, none()));
    here.ok(&["match"]);
    let few = "of 44 people here whose own record names L83024, 24 are linked".to_owned();
    assert_eq!(coverage(here)[1], (44, 24, few));
}
