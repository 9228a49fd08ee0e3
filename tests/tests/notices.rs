//! Whoever holds a copy is told what changed: real nodes, over real connections.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, about, held_by, until};
use fairshare_tests::harness::people::Somebody;
use serde_json::{Value, json};

/// The trust's resources, imported as it would: one file, one line each.
fn import(site: &Site, name: &str, resources: &[Value]) {
    let lines: Vec<_> = resources.iter().map(Value::to_string).collect();
    fs::write(site.dir().join(name), lines.join("\n")).unwrap();
    let report = site.json(&["import", name]);
    assert_eq!(report["rejected"], 0, "{report}");
}

fn allergy(id: &str, patient: &str, text: &str, verification: &str) -> Value {
    json!({
        "resourceType": "AllergyIntolerance",
        "id": id,
        "patient": { "reference": format!("Patient/{patient}") },
        "verificationStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
            "code": verification
        }] },
        "code": { "text": text },
    })
}

fn condition(id: &str, patient: &str, text: &str) -> Value {
    json!({
        "resourceType": "Condition",
        "id": id,
        "subject": { "reference": format!("Patient/{patient}") },
        "code": { "text": text },
    })
}

fn waiting(site: &Site) -> Vec<Value> {
    let report = site.json(&["notices", "list"]);
    report["notices"].as_array().unwrap().clone()
}

/// What came with notices, the newest first.
fn told(site: &Site) -> Vec<Value> {
    let all = site.json(&["received", "list"]);
    let all = all.as_array().unwrap().iter();
    all.filter(|bundle| bundle["notice"] == true)
        .cloned()
        .collect()
}

fn items(site: &Site, bundle: &Value) -> Vec<Value> {
    let shown = site.json(&["received", "show", bundle["exchange"].as_str().unwrap()]);
    shown["items"].as_array().unwrap().clone()
}

fn ids(items: &[Value]) -> Vec<(&str, &Value)> {
    let records = items.iter().filter(|item| !item["category"].is_null());
    records
        .map(|item| (item["id"].as_str().unwrap(), &item["note"]))
        .collect()
}

/// Somebody whom the trust and the practice hold, numbered 15 at the trust.
fn somebody() -> Somebody {
    held_by("RH8")[15].clone()
}

fn asked() -> Federation {
    let federation = Federation::found("info");
    federation.import(2000);
    federation.match_all();
    let practice = &federation.sites[1];
    let (code, answer) = about(practice, &["ask", "--from", "RH8"], &somebody());
    assert_eq!(code, 0, "{answer}");
    federation
}

#[test]
fn whoever_holds_a_copy_is_told_once_what_is_new_amended_wrong_or_somebody_elses() {
    let federation = asked();
    let [trust, practice, council] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    // Nobody who holds no copy is told, and nothing that is neither urgent nor was shown.
    import(
        trust,
        "other.ndjson",
        &[condition("rh8-new", "rh8-p15", "Asthma")],
    );
    import(
        trust,
        "changes.ndjson",
        &[
            allergy("rh8-latex", "rh8-p15", "Latex", "confirmed"),
            allergy("rh8-a15", "rh8-p15", "Penicillin", "entered-in-error"),
            condition("rh8-c115", "rh8-p15", "Type 1 diabetes mellitus"),
            condition("rh8-c215", "rh8-p16", "Essential hypertension"),
        ],
    );
    until("it is told", || !told(practice).is_empty());
    until("it is acknowledged", || waiting(trust).is_empty());
    let notices = told(practice);
    let all: Vec<_> = notices
        .iter()
        .map(|notice| items(practice, notice))
        .collect();
    let mut all: Vec<_> = all.iter().flat_map(|items| ids(items)).collect();
    all.sort_by_key(|(id, _)| *id);
    let corrects = |why: &str| json!({ "corrects": why });
    assert_eq!(
        all,
        [
            ("rh8-a15", &corrects("entered-in-error")),
            ("rh8-c115", &Value::Null),
            ("rh8-c215", &corrects("wrong-person")),
            ("rh8-latex", &Value::Null),
        ]
    );
    assert!(told(council).is_empty() && told(trust).is_empty());

    // The copy of before says so, and gives only what still holds.
    let list = practice.json(&["received", "list"]);
    let before = list.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&before["notice"], &before["corrected"]),
        (&false.into(), &3.into())
    );
    let before = before["exchange"].as_str().unwrap();
    let shown = practice.ok(&["received", "show", before]);
    for line in [
        "entered-in-error, says ",
        "wrong-person, says ",
        "amended in ",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let written = practice.json(&["received", "export", before, "--to", "copy.json"]);
    assert_eq!(
        written["corrected"].as_array().unwrap().len(),
        1,
        "{written}"
    );
    let copy = fs::read_to_string(practice.dir().join("copy.json")).unwrap();
    for gone in ["rh8-a15", "rh8-c115", "rh8-c215"] {
        assert!(!copy.contains(gone), "{gone}");
    }
    assert!(copy.contains("rh8-p15") && copy.contains(r#""role":"revision""#));
    let notice = notices[0]["exchange"].as_str().unwrap();
    practice.ok(&["received", "export", notice, "--to", "notice.json"]);
    let notice = fs::read_to_string(practice.dir().join("notice.json")).unwrap();
    assert!(notice.contains("Latex") && notice.contains("Type 1 diabetes"));
    assert!(!notice.contains("Penicillin") && !notice.contains("hypertension"));

    // Both journals have it, and no account.
    let (_, seen) = about(trust, &["who-saw"], &somebody());
    let seen = seen["sights"].as_array().unwrap();
    assert!(seen.iter().any(|sight| sight["what"] == "told"), "{seen:?}");
    for site in &federation.sites {
        site.ok(&["journal", "verify"]);
    }
}

#[test]
fn who_is_away_is_told_when_back_and_who_is_withheld_when_no_longer() {
    let mut federation = asked();
    let person = somebody();
    federation.sites[1].kill();
    let trust = &federation.sites[0];
    until("it is known that it is away", || {
        // Exits 1 if one is away.
        let peers = trust.run(&["peers", "--json"]);
        let peers: Value = serde_json::from_slice(&peers.stdout).unwrap();
        let mut peers = peers.as_array().unwrap().iter();
        peers.any(|peer| peer["code"] == "L83024" && peer["connection"] != "up")
    });
    for text in ["Latex", "Latex, severe", "Latex, mild"] {
        let name = format!("{}.ndjson", text.len());
        import(
            trust,
            &name,
            &[allergy("rh8-latex", "rh8-p15", text, "confirmed")],
        );
    }
    until("it waits", || waiting(trust).len() == 1);
    let [notice] = &waiting(trust)[..] else {
        unreachable!("one waits")
    };
    assert_eq!(
        (&notice["peer"], &notice["local"]),
        (&"L83024".into(), &"rh8-p15".into())
    );
    assert_eq!(
        (&notice["why"], &notice["tries"]),
        (&"not connected".into(), &0.into())
    );
    let table = trust.ok(&["notices", "list"]);
    assert!(table.contains("not connected"), "{table}");
    // Kept over a restart of the teller too.
    federation.sites[0].kill();
    federation.sites[0].start();
    federation.sites[1].start();
    federation.until_connected();
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    until("it is told", || told(practice).len() == 1);
    until("it is acknowledged", || waiting(trust).is_empty());
    let exchange = told(practice)[0]["exchange"].as_str().unwrap().to_owned();
    practice.ok(&["received", "export", &exchange, "--to", "notice.json"]);
    let notice = fs::read_to_string(practice.dir().join("notice.json")).unwrap();
    assert!(notice.contains("Latex, mild") && !notice.contains("severe"));

    let withheld = about(
        trust,
        &["withhold", "add", "--reason", "objection"],
        &person,
    );
    assert_eq!(withheld.0, 0, "{withheld:?}");
    import(
        trust,
        "nuts.ndjson",
        &[allergy("rh8-nuts", "rh8-p15", "Nuts", "confirmed")],
    );
    until("it waits", || {
        waiting(trust).iter().any(|it| !it["why"].is_null())
    });
    let why = waiting(trust)[0]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("withheld"), "{why}");
    assert_eq!(told(practice).len(), 1);
    let released = about(
        trust,
        &["withhold", "remove", "--reason", "withdrawn"],
        &person,
    );
    assert_eq!(released.0, 0, "{released:?}");
    until("it is told", || told(practice).len() == 2);
    until("it is acknowledged", || waiting(trust).is_empty());
    for site in &federation.sites {
        site.ok(&["journal", "verify"]);
    }
}
