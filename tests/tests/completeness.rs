//! `find` and `ask` say of every member what is known, and never that there is no record.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, about, until};
use fairshare_tests::harness::people::{self, Somebody};
use serde_json::Value;

/// The state of a person at the council and at the practice, and the count of members so far.
fn states(answer: &Value) -> [&str; 2] {
    let peers = answer["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 2, "{answer}");
    [0, 1].map(|at| peers[at]["state"].as_str().unwrap())
}

fn find(site: &Site, person: &Somebody) -> Value {
    let (code, found) = about(site, &["find"], person);
    assert_eq!(code, 0, "{found}");
    found
}

fn counted(answer: &Value, names: &[&str]) -> Vec<u64> {
    let numbers = names.iter().map(|name| &answer["completeness"][name]);
    numbers.map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn every_member_is_accounted_for_in_every_answer() {
    let mut federation = Federation::found("info");
    let [both, ours_only, later, stranger, unnamed] =
        [25, 5, 100, 200, 300].map(Somebody::numbered);
    federation.import(200);
    let [here, practice, _] = &federation.sites[..] else {
        unreachable!()
    };
    people::write(
        practice.dir(),
        "too",
        "l83024-too",
        std::slice::from_ref(&later),
        200,
    );
    practice.ok(&["import", "too"]);

    // Nobody was matched with.
    let found = find(here, &both);
    assert_eq!(states(&found), ["not-matched"; 2]);
    assert_eq!(
        (&found["held"], &found["indexed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        counted(&found, &["members", "linked", "not_matched"]),
        [2, 0, 2]
    );
    assert!(found["completeness"]["oldest_index"].is_null());
    let (code, asked) = about(here, &["ask"], &both);
    assert_eq!((code, states(&asked)), (0, ["not-matched"; 2]));
    assert_eq!(counted(&asked, &["asked", "not_matched"]), [0, 2]);

    // With the practice alone.
    here.ok(&["match", "L83024"]);
    let found = find(here, &both);
    assert_eq!(states(&found), ["not-matched", "linked"]);
    assert!(found["peers"][0]["index_made"].is_null());
    assert!(found["peers"][1]["index_made"].is_u64());
    assert_eq!(
        found["completeness"]["oldest_index"],
        found["peers"][1]["index_made"]
    );
    assert_eq!(
        states(&find(here, &ours_only)),
        ["not-matched", "not-linked"]
    );

    // With both; then somebody comes, and somebody without a date of birth.
    here.ok(&["match"]);
    people::write(
        here.dir(),
        "more",
        "rh8-more",
        std::slice::from_ref(&later),
        200,
    );
    here.ok(&["import", "more"]);
    let number = "https://fhir.nhs.uk/Id/nhs-number";
    let patient = serde_json::json!({
        "resourceType": "Patient", "id": "unnamed",
        "identifier": [{ "system": number, "value": unnamed.nhs }]
    });
    fs::write(here.dir().join("unnamed.json"), patient.to_string()).unwrap();
    here.ok(&["import", "unnamed.json"]);
    for (person, expected) in [
        (&both, "linked"),
        (&later, "not-yet-indexed"),
        (&stranger, "not-held"),
        (&unnamed, "not-indexable"),
    ] {
        let found = find(here, person);
        assert_eq!(states(&found), [expected; 2]);
        let counted = counted(&found, &[&expected.replace('-', "_"), "members"]);
        assert_eq!(counted, [2, 2]);
        assert_eq!(found["completeness"]["people_not_indexable"], 1);
    }
    let (code, asked) = about(here, &["ask"], &unnamed);
    assert_eq!((code, states(&asked)), (0, ["not-indexable"; 2]));
    let names = ["asked", "answered", "members"];
    assert_eq!(counted(&asked, &names), [0, 0, 2]);
    // Who has just come is told to those asked; the practice has had them all along.
    let (code, asked) = about(here, &["ask"], &later);
    assert_eq!((code, states(&asked)), (0, ["not-linked", "delivered"]));
    let names = [
        "asked",
        "answered",
        "linked",
        "not_linked",
        "not_yet_indexed",
    ];
    assert_eq!(counted(&asked, &names), [1, 1, 1, 1, 0]);
    assert_eq!(
        about(here, &["ask"], &stranger).0,
        2,
        "there is nobody to ask about"
    );

    // Asked, and left out, and refused by name.
    let (code, asked) = about(here, &["ask"], &both);
    assert_eq!((code, states(&asked)), (0, ["delivered"; 2]));
    let names = ["members", "linked", "asked", "answered", "refused"];
    assert_eq!(counted(&asked, &names), [2, 2, 2, 2, 0]);
    assert!(asked["peers"][0]["index_made"].is_u64());
    let (_, asked) = about(here, &["ask", "--from", "912"], &both);
    assert_eq!(
        counted(&asked, &["members", "asked", "left_out"]),
        [2, 1, 1]
    );
    let narrow = ["ask", "--only", "safeguarding"];
    let (code, asked) = about(here, &narrow, &both);
    assert_eq!((code, states(&asked)), (3, ["refused"; 2]), "{asked}");
    assert_eq!(asked["peers"][0]["why"], "outside-offer");
    assert_eq!(
        counted(&asked, &["asked", "answered", "refused"]),
        [2, 0, 2]
    );

    // The council shows presence to nobody any more.
    let council = &federation.sites[2];
    let offer = council.home().join("offer.toml");
    let text = fs::read_to_string(&offer).unwrap();
    let (before, after) = text.split_once("[presence]\nshows = [").unwrap();
    let (_, after) = after.split_once(']').unwrap();
    fs::write(&offer, format!("{before}[presence]\nshows = []{after}")).unwrap();
    council.ok(&["offer", "publish", "--reason", "a test"]);
    until("the offer is heard of", || {
        states(&find(here, &both)) == ["no-presence", "linked"]
    });
    let found = find(here, &both);
    assert_eq!(
        counted(&found, &["no_presence", "linked", "unreachable"]),
        [1, 1, 0]
    );
    assert_eq!(found["peers"][1]["reachable"], true);

    // The practice is away.
    federation.sites[1].kill();
    let here = &federation.sites[0];
    until("it is missed", || {
        find(here, &both)["peers"][1]["reachable"] == false
    });
    let found = find(here, &both);
    assert_eq!(
        states(&found),
        ["no-presence", "linked"],
        "what is known stays"
    );
    assert_eq!(counted(&found, &["linked", "unreachable"]), [1, 1]);
    let (code, asked) = about(here, &["ask"], &both);
    assert_eq!((code, states(&asked)), (1, ["no-presence", "unreachable"]));
    let names = ["asked", "answered", "unreachable", "no_presence"];
    assert_eq!(counted(&asked, &names), [1, 0, 1, 1]);
}
