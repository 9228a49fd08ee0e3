//! Care first (promises, 1): whatever the account says, the same request gets the same answer. And
//! both operators see a step of the ladder, and that only the bulk lane pauses.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairshare_node::control::{Progress, dispatch};
use fairshare_node::engine::drive::now;
use fairshare_node::engine::ledger::standing::paused;
use fairshare_node::node::Node;
use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::Request;
use fairshare_protocol::control::exchange::Ask;
use fairshare_protocol::control::index::Match;
use fairshare_protocol::control::node::Status;
use fairshare_protocol::exchange::account::{Entry, Shown, Stage};
use fairshare_protocol::exchange::answer::RefusalCode;
use fairshare_protocol::ids::{ExchangeId, Hash, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::time::{DAY, Timestamp};
use fairshare_tests::harness::mesh::{self, Peer, user};
use fairshare_tests::harness::people::Somebody;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

fn key(number: u32) -> IndexKey {
    let person = Somebody::numbered(number);
    IndexKey {
        nhs: person.nhs.parse().unwrap(),
        born: person.born.parse().unwrap(),
    }
}

/// A Patient with some conditions.
fn somebody(number: u32, conditions: u32) -> Vec<String> {
    let Somebody { nhs, born, .. } = Somebody::numbered(number);
    let mut lines = vec![format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}]}}"#
    )];
    let condition = |n| {
        format!(
            r#"{{"resourceType":"Condition","id":"c{number}-{n}","subject":{{"reference":"Patient/p{number}"}}}}"#
        )
    };
    lines.extend((0..conditions).map(condition));
    lines
}

async fn tell(node: &Arc<Node>, request: impl Into<Request>) -> Value {
    let told = dispatch(node, &user(), request.into(), &Progress::none()).await;
    told.unwrap()
}

/// What the peer answered, without what differs from one exchange to the next.
async fn answer(node: &Arc<Node>, purpose: Purpose, number: u32) -> Vec<Value> {
    let question = Ask {
        person: key(number),
        peers: BTreeSet::new(),
        purpose,
        categories: BTreeSet::new(),
        reason: Some("a fall".parse().unwrap()),
    };
    let told = tell(node, question).await;
    let peer = &told["peers"][0];
    [
        "state",
        "why",
        "received",
        "shown",
        "acknowledged",
        "one_sided",
    ]
    .map(|name| peer[name].clone())
    .into()
}

/// Any entry there can be between these two.
fn any_entry(rng: &mut StdRng, pair: [&OdsCode; 2]) -> Entry {
    let any_shown = |rng: &mut StdRng| match rng.random_range(0..7) {
        0 => Shown::Bundle([Category::Problems].into()),
        1 => Shown::Nothing,
        2 => Shown::Refused(RefusalCode::Stopped),
        3 => Shown::Deferred,
        4 => Shown::NotDue,
        _ => Shown::Missing,
    };
    let asked_at = Timestamp(now().0 - rng.random_range(0..30 * DAY));
    let purposes = Purpose::ALL;
    Entry {
        exchange: ExchangeId::new(rng.random()),
        asker: pair[rng.random_range(0..2)].clone(),
        purpose: purposes[rng.random_range(0..purposes.len())],
        categories: [Category::Problems].into(),
        asked_at,
        answered_at: rng.random_bool(0.5).then_some(asked_at),
        answer: any_shown(rng),
        in_return: any_shown(rng),
        statements: [Hash::new(rng.random())].into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_account_says_the_same_request_gets_the_same_answer() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let practice = Peer::start("L83024", MemberKind::GpPractice).await;
    for peer in [&trust, &practice] {
        let people = (0..4).flat_map(|n| somebody(n, n + 1));
        peer.import(&people.collect::<Vec<_>>()).await;
    }
    mesh::found(&[&trust, &practice], |_| {}, |_, _| {}).await;
    let (asker, holder) = (&trust.node, &practice.node);
    tell(asker, Match { peer: None }).await;
    let purposes = [Purpose::Care, Purpose::Emergency, Purpose::Safeguarding];
    let mut before = Vec::new();
    for purpose in purposes {
        for number in 0..4 {
            before.push(answer(asker, purpose, number).await);
        }
    }
    assert_eq!(before[0][0], "delivered");
    let codes = [asker.code(), holder.code()];
    for _ in 0..6 {
        for node in [asker, holder] {
            let peer = codes.into_iter().find(|code| *code != node.code()).unwrap();
            for _ in 0..rng.random_range(0..200) {
                let entry = any_entry(&mut rng, codes);
                node.ledgers.enter(peer, Stage::Over, &entry).unwrap();
            }
        }
        let mut after = Vec::new();
        for purpose in purposes {
            for number in 0..4 {
                after.push(answer(asker, purpose, number).await);
            }
        }
        assert_eq!(after, before, "seed {seed}");
    }

    // Fifteen days without an answer: the ladder's last step, on both sides, and care goes on.
    for n in 0..800 {
        let mut entry = any_entry(&mut rng, codes);
        entry.asker = asker.code().clone();
        entry.purpose = Purpose::SharedCare;
        entry.asked_at = Timestamp(now().0 - (n % 20) * DAY);
        (entry.answer, entry.in_return) = (Shown::Missing, Shown::Nothing);
        let peer = holder.code();
        asker.ledgers.enter(peer, Stage::Over, &entry).unwrap();
    }
    let by = |node: &Arc<Node>, peer: &OdsCode| paused(node, peer).unwrap();
    for _ in 0..300 {
        let (here, there) = (by(asker, holder.code()), by(holder, asker.code()));
        if let (Some(here), Some(there)) = (here, there) {
            assert_eq!(here.about, *holder.code());
            assert!([here.about, asker.code().clone()].contains(&there.about));
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for node in [asker, holder] {
        let status = tell(node, Status {}).await;
        let problems = status["problems"].to_string();
        assert!(
            problems.contains("bulk lane between the two is paused"),
            "{status}"
        );
        assert_eq!(status["accounts"]["paused"], 1, "{status}");
    }
    let mut after = Vec::new();
    for purpose in purposes {
        for number in 0..4 {
            after.push(answer(asker, purpose, number).await);
        }
    }
    assert_eq!(after, before);
    trust.stop().await;
    practice.stop().await;
}
