//! What a preview counts is what would be shown: everybody's records, each once, under the offer
//! that is asked about.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairshare_node::control::{Progress, dispatch};
use fairshare_node::engine::progress::Watch;
use fairshare_node::engine::{matching, showing};
use fairshare_node::node::Node;
use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::Request;
use fairshare_protocol::control::preview::{Preview, PreviewOffer, PreviewReport, Why};
use fairshare_protocol::control::stopping::Stop;
use fairshare_protocol::control::withholding::{Mask, Whom, Withhold};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::{Label, Offer, Service};
use fairshare_tests::harness::mesh::{self, Peer, user};
use fairshare_tests::harness::people::Somebody;

const MASKED: &str = r#","serviceProvider":{"identifier":{"system":"https://fhir.nhs.uk/Id/ods-organization-code","value":"RX1HV"}}"#;
const SEXUAL_HEALTH: &str =
    r#","serviceType":{"coding":[{"system":"http://snomed.info/sct","code":"788122004"}]}"#;
const RESTRICTED: &str = r#","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}"#;

fn key(number: u32) -> IndexKey {
    let person = Somebody::numbered(number);
    IndexKey {
        nhs: person.nhs.parse().unwrap(),
        born: person.born.parse().unwrap(),
    }
}

fn about(kind: &str, id: &str, number: u32, more: &str) -> String {
    format!(
        r#"{{"resourceType":"{kind}","id":"{id}{number}","subject":{{"reference":"Patient/p{number}"}}{more}}}"#
    )
}

/// A Patient with a condition and an encounter.
fn somebody(number: u32) -> [String; 3] {
    let person = Somebody::numbered(number);
    let (nhs, born) = (person.nhs, person.born);
    let patient = format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}]}}"#
    );
    [
        patient,
        about("Condition", "c", number, ""),
        about("Encounter", "e", number, ""),
    ]
}

async fn tell(node: &Arc<Node>, request: impl Into<Request>) -> serde_json::Value {
    let told = dispatch(node, &user(), request.into(), &Progress::none()).await;
    told.unwrap()
}

async fn preview(node: &Arc<Node>, offer: Option<&Offer>, member: Option<&str>) -> PreviewReport {
    let question = PreviewOffer {
        offer: offer.cloned(),
        member: member.map(|code| code.parse().unwrap()),
    };
    serde_json::from_value(tell(node, question).await).unwrap()
}

fn of<'r>(report: &'r PreviewReport, code: &str) -> &'r Preview {
    let found = report.members.iter().find(|it| it.code.as_str() == code);
    found.unwrap()
}

/// People and records kept back, by category and why.
fn kept(preview: &Preview) -> BTreeMap<(Option<Category>, Why), (u64, u64)> {
    let rows = preview.withheld.iter();
    rows.map(|it| ((it.category, it.why), (it.people, it.records)))
        .collect()
}

/// People and records visible, by category.
fn visible(preview: &Preview) -> BTreeMap<Category, (u64, u64)> {
    let rows = preview.visible.iter();
    rows.map(|it| (it.category, (it.people, it.records)))
        .collect()
}

/// The same, as it is shown.
fn shown(node: &Node, people: std::ops::Range<u32>) -> BTreeMap<Category, (u64, u64)> {
    let all: BTreeSet<_> = Category::ALL.iter().copied().collect();
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    for number in people {
        let Ok(bundle) = showing::prepare(node, &key(number), &all).unwrap() else {
            continue;
        };
        for (category, records) in bundle.counts {
            let count = counts.entry(category).or_default();
            *count = (count.0 + 1, count.1 + u64::from(records));
        }
    }
    counts
}

fn records(preview: &Preview) -> u64 {
    let visible: u64 = preview.visible.iter().map(|it| it.records).sum();
    let kept: u64 = preview.withheld.iter().map(|it| it.records).sum();
    visible + kept
}

/// A trust that holds eight people and somebody without a number, a practice that holds six of them
/// and was matched with, and a council that was not.
async fn three() -> [Peer; 3] {
    let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let practice = Peer::start("L83024", MemberKind::GpPractice).await;
    let council = Peer::start("912", MemberKind::AdultSocialCare).await;
    let mut lines: Vec<_> = (0..8).flat_map(somebody).collect();
    practice.import(&lines[..3 * 6]).await;
    lines.push(about("Encounter", "closed", 1, SEXUAL_HEALTH));
    lines.push(about("Encounter", "masked", 2, MASKED));
    lines.push(about("Condition", "restricted", 3, RESTRICTED));
    lines.push(r#"{"resourceType":"Patient","id":"nobody"}"#.to_owned());
    trust.import(&lines).await;
    mesh::found(&[&trust, &practice, &council], |_| {}, |_, _| {}).await;
    let made = matching::begin(&trust.node, practice.node.code(), &Watch::nobody()).await;
    assert_eq!(made.unwrap().links, 6);
    [trust, practice, council]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_counts_what_would_be_shown_and_why_the_rest_stays_home() {
    let [trust, practice, council] = three().await;
    let node = &trust.node;
    let person = |number| Whom::Person(key(number));
    let withhold = |number, reason: &str| Withhold {
        people: vec![person(number)],
        reason: reason.parse().unwrap(),
    };
    tell(node, withhold(4, "objection")).await;
    tell(node, withhold(5, "a court's order")).await;
    let mask = Mask {
        service: "Organization/RX1HV".parse().unwrap(),
        reason: "a test".parse().unwrap(),
        masked: true,
    };
    tell(node, mask).await;

    let now = preview(node, None, None).await;
    assert!(now.published && now.imported.is_some());
    assert_eq!((now.findable, now.unfindable), (8, 1));
    let linked = of(&now, "L83024");
    assert!(linked.matched.is_some());
    assert_eq!((linked.people, linked.some), (6, 4));
    assert_eq!(visible(linked), shown(node, 0..6));
    let purposes = &linked.visible[0].purposes;
    assert!(purposes.iter().eq(Purpose::ALL), "{purposes:?}");
    let home = BTreeMap::from([
        ((None, Why::Objection), (1, 3)),
        ((None, Why::Withheld), (1, 3)),
        ((Some(Category::Encounters), Why::ClosedService), (1, 1)),
        ((Some(Category::Encounters), Why::MaskedService), (1, 1)),
        ((Some(Category::Problems), Why::Label), (1, 1)),
    ]);
    assert_eq!(kept(linked), home);
    // No match was made: everybody who could be found, and nothing that is not needed.
    let alone = of(&now, "912");
    assert_eq!((alone.matched, alone.people), (None, 8));
    assert_eq!(records(alone), 8 * 3 + 3);
    let all = shown(node, 0..8);
    for (category, counts) in visible(alone) {
        assert_eq!(all[&category], counts, "{category}");
    }
    let problems = (Some(Category::Problems), Why::NotOffered);
    assert_eq!(kept(alone)[&problems], (6, 7), "not of the two withheld");

    // A draft that opens what is closed and shows no encounters to practices.
    let mut draft = Offer::default_for(MemberKind::AcuteTrust);
    draft.opened_services.insert(Service::SexualHealth);
    draft.opened_labels.insert(Label::Restricted);
    for section in draft.matrix.values_mut() {
        if let Some(row) = section.rows.get_mut(&Category::Encounters) {
            row.shows.remove(&MemberKind::GpPractice);
        }
    }
    let then = preview(node, Some(&draft), Some("L83024")).await;
    assert!(!then.published && then.members.len() == 1);
    let linked = of(&then, "L83024");
    assert_eq!(visible(linked)[&Category::Problems], (4, 5));
    let home = BTreeMap::from([
        ((None, Why::Objection), (1, 3)),
        ((None, Why::Withheld), (1, 3)),
        ((Some(Category::Encounters), Why::NotOffered), (4, 6)),
    ]);
    assert_eq!(kept(linked), home);
    assert_eq!(records(linked), 6 * 3 + 3);

    // Presence is where everything begins.
    draft.presence.shows.remove(&MemberKind::GpPractice);
    let then = preview(node, Some(&draft), Some("L83024")).await;
    let none = BTreeMap::from([((None, Why::NoPresence), (6, 21))]);
    assert_eq!(kept(of(&then, "L83024")), none);
    assert_eq!(of(&then, "L83024").some, 0);

    // What is stopped for one member is stopped for no other.
    let stop = Stop {
        peer: Some("L83024".parse().unwrap()),
        category: Some(Category::Problems),
        person: None,
        reason: "an incident".parse().unwrap(),
    };
    tell(node, stop).await;
    let now = preview(node, None, None).await;
    let linked = of(&now, "L83024");
    let stopped = (Some(Category::Problems), Why::Stopped);
    assert_eq!(kept(linked)[&stopped], (4, 5));
    let bulk = linked.visible[0].closed.get(&Purpose::SharedCare);
    assert_eq!(bulk, Some(&Why::Stopped), "and there are no rounds");
    assert!(!kept(of(&now, "912")).contains_key(&stopped));
    for peer in [trust, practice, council] {
        peer.stop().await;
    }
}
