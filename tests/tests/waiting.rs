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
    mesh::found(
        &[&trust],
        |charter| charter.additions_per_day = 400,
        |_, _| {},
    )
    .await;
    assert_eq!(places(&trust).await, counted(10, 0, 10, 0));
    assert_eq!(newest(&trust).await, 0);
    assert_eq!(places(&trust).await, counted(10, 10, 0, 0));

    // So many that they go out with a new advert.
    trust.import(&lines(10..510)).await;
    assert_eq!(places(&trust).await, counted(510, 10, 500, 0));
    assert_eq!(newest(&trust).await, 0);
    assert_eq!(places(&trust).await, counted(510, 510, 0, 0));

    // More than one day's batches take, and fewer than a new advert is made for: of 400 entries 256
    // and twice 64 are used.
    trust.import(&lines(510..900)).await;
    assert_eq!(places(&trust).await, counted(900, 510, 390, 54));
    assert_eq!(newest(&trust).await, 3);
    assert_eq!(places(&trust).await, counted(900, 846, 54, 54));
    assert_eq!(newest(&trust).await, 3);
    let (mut in_it, mut later) = (0, 0);
    for number in [0, 509].into_iter().chain(510..900) {
        let found = finding::find(&trust.node, &mesh::user(), &key(number)).await;
        let found = found.unwrap();
        assert!(found.indexable);
        in_it += u32::from(found.indexed);
        later += u32::from(found.later);
    }
    assert_eq!((in_it, later), (338, 54));
    trust.stop().await;
}
