//! People whom the charter's allowance leaves no room for today wait, and every count says so.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use fairshare_node::engine::finding;
use fairshare_protocol::control::index::Places;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::MemberKind;
use fairshare_tests::harness::mesh::{self, Peer};
use fairshare_tests::harness::people::Somebody;

fn key(number: u32) -> IndexKey {
    let person = Somebody::numbered(number);
    IndexKey {
        nhs: person.nhs.parse().unwrap(),
        born: person.born.parse().unwrap(),
    }
}

fn patient(number: u32) -> String {
    let Somebody { nhs, born, .. } = Somebody::numbered(number);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}]}}"#
    )
}

async fn places(peer: &Peer) -> Places {
    peer.node.placing.counted(&peer.node).await.unwrap()
}

async fn newest(peer: &Peer) -> usize {
    let roster = peer.node.membership.roster().unwrap();
    let ours = peer.node.adverts.newest(&peer.node, &roster).await;
    ours.unwrap().own.batches().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_can_be_in_the_index_who_is_and_who_waits_are_told_apart() {
    let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let lines = |numbers: std::ops::Range<u32>| numbers.map(patient).collect::<Vec<_>>();
    trust.import(&lines(0..10)).await;
    let counted = |possible, indexed, waiting, later| Places {
        possible,
        indexed,
        waiting,
        later,
        withheld: 0,
    };
    // Imported is not in the index, with a federation or without.
    assert_eq!(places(&trust).await, counted(10, 0, 10, 0));
    mesh::found(&[&trust], |charter| charter.additions_per_day = 256, |_, _| {}).await;
    assert_eq!(places(&trust).await, counted(10, 0, 10, 0));
    assert_eq!(newest(&trust).await, 0);
    assert_eq!(places(&trust).await, counted(10, 10, 0, 0));

    // So many that they go out with a new advert.
    trust.import(&lines(10..310)).await;
    assert_eq!(places(&trust).await, counted(310, 10, 300, 0));
    assert_eq!(newest(&trust).await, 0);
    assert_eq!(places(&trust).await, counted(310, 310, 0, 0));

    // More than one day's batch takes, and fewer than a new advert is made for.
    trust.import(&lines(310..550)).await;
    assert_eq!(places(&trust).await, counted(550, 310, 240, 16));
    assert_eq!(newest(&trust).await, 1);
    assert_eq!(places(&trust).await, counted(550, 534, 16, 16));
    assert_eq!(newest(&trust).await, 1);
    let (mut in_it, mut later) = (0, 0);
    for number in [0, 309].into_iter().chain(310..550) {
        let found = finding::find(&trust.node, &mesh::user(), &key(number)).await;
        let found = found.unwrap();
        assert!(found.indexable);
        in_it += u32::from(found.indexed);
        later += u32::from(found.later);
    }
    assert_eq!((in_it, later), (226, 16));
    trust.stop().await;
}
