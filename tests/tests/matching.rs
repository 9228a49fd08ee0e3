//! Matches between real nodes: own stores, own journals, libp2p streams over loopback.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairshare_node::engine::progress::Watch;
use fairshare_node::engine::{finding, matching};
use fairshare_node::status;
use fairshare_protocol::control::index::FindState;
use fairshare_protocol::index::advert::{Header, Void};
use fairshare_protocol::index::fetch::Failure;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_tests::mesh::{KINDS, Mesh, Running, key, match_up};

fn user() -> User {
    User {
        name: "Sam Okafor".to_owned(),
        role: "Records manager".to_owned(),
        id: "sokafor".to_owned(),
    }
}

async fn state(of: &Running, number: u32, at: &str) -> (FindState, bool) {
    let report = finding::find(&of.node, &user(), &key(number))
        .await
        .unwrap();
    let peer = report.peers.iter().find(|peer| peer.code.as_str() == at);
    (peer.unwrap().state, report.held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_match_over_the_network_find_and_match_again_when_people_come() {
    let mut mesh = Mesh::of(&KINDS[..2]).await;
    mesh.all[0].import_people(0..60).await;
    mesh.all[1].import_people(40..90).await;
    let [a, b] = [0, 1].map(|n| mesh.all[n].code().clone());
    assert_eq!(
        state(&mesh.all[0], 50, "L83024").await,
        (FindState::NotMatched, true)
    );

    let found = match_up(&mesh.all[0].node, &b).await.unwrap();
    assert_eq!(
        (found.links, found.ours_only, found.theirs_only),
        (20, 0, 0)
    );
    // The other side ends when it has heard that we are done.
    let theirs = mesh.all[1].node.index.matched(&a).unwrap().unwrap();
    assert_eq!((theirs.links, theirs.match_id), (20, found.match_id));
    for number in 0..90 {
        let handles = [(0, &b), (1, &a)].map(|(at, peer)| {
            let index = &mesh.all[at].node.index;
            let handle = index.handle(&key(number), peer).unwrap();
            if let Some((match_id, handle)) = handle {
                let named = index.person(peer, &match_id, &handle).unwrap();
                assert_eq!(named, Some(key(number)), "a handle names its person");
            }
            handle
        });
        assert_eq!(handles[0], handles[1], "both have one name for one person");
        assert_eq!(handles[0].is_some(), (40..60).contains(&number));
    }
    assert_eq!(
        state(&mesh.all[0], 50, "L83024").await,
        (FindState::Linked, true)
    );
    assert_eq!(
        state(&mesh.all[0], 5, "L83024").await,
        (FindState::NotLinked, true)
    );
    assert_eq!(
        state(&mesh.all[0], 85, "L83024").await,
        (FindState::NotHeld, false)
    );

    // The same adverts: the same match, said once.
    let again = match_up(&mesh.all[1].node, &a).await.unwrap();
    assert_eq!((again.links, again.match_id), (20, found.match_id));
    for running in &mesh.all {
        let acts = running.acts();
        let count = |is: fn(&Act) -> bool| acts.iter().filter(|act| is(act)).count();
        assert_eq!(count(|act| matches!(act, Act::Advert { .. })), 1);
        assert_eq!(count(|act| matches!(act, Act::TagsCommitted { .. })), 1);
        assert_eq!(count(|act| matches!(act, Act::TagsHeard { .. })), 1);
        assert_eq!(
            count(|act| matches!(act, Act::Matched { links: 20, .. })),
            1
        );
    }

    // Both restart; one has new people: they go out in a batch, and the match stays the same.
    mesh.restart(0).await;
    mesh.restart(1).await;
    mesh.all[1].import_people(0..10).await;
    assert_eq!(
        state(&mesh.all[1], 5, "RH8").await,
        (FindState::NotYetIndexed, true)
    );
    assert_eq!(
        state(&mesh.all[1], 50, "RH8").await,
        (FindState::Linked, true)
    );
    let grown = match_up(&mesh.all[1].node, &a).await.unwrap();
    assert_eq!((grown.links, grown.match_id), (30, found.match_id));
    assert_eq!(
        state(&mesh.all[1], 5, "RH8").await,
        (FindState::Linked, true)
    );
    let theirs = mesh.all[0].node.index.matched(&b).unwrap().unwrap();
    assert_eq!(theirs.links, 30);
    for number in 0..10 {
        let handle = |at: usize, peer| mesh.all[at].node.index.handle(&key(number), peer).unwrap();
        assert!(handle(0, &b).is_some());
        assert_eq!(handle(0, &b), handle(1, &a));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_beginning_at_once_is_one_match() {
    let mesh = Mesh::of(&KINDS[..2]).await;
    mesh.all[0].import_people(0..30).await;
    mesh.all[1].import_people(20..50).await;
    let [a, b] = [0, 1].map(|n| mesh.all[n].code().clone());
    let (one, two) = tokio::join!(
        match_up(&mesh.all[0].node, &b),
        match_up(&mesh.all[1].node, &a)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.links, two.links), (10, 10));
    assert_eq!(one.match_id, two.match_id);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_real_organisations_find_exactly_the_people_they_share() {
    let Some(orgs) = fairshare_tests::shared::data("orgs", "a match of real organisations") else {
        return;
    };
    let mesh = Mesh::of(&KINDS).await;
    let [acute, gp, la] = [0, 1, 2].map(|n| &mesh.all[n]);
    acute.import(&orgs.join("acute-RH8")).await;
    gp.import(&orgs.join("gp-L83024")).await;
    la.import(&orgs.join("la-912")).await;
    let reports = matching::match_with(&acute.node, None, &Watch::nobody())
        .await
        .unwrap();
    let links = |reports: &[fairshare_protocol::control::index::MatchReport], peer: &Running| {
        let report = reports
            .iter()
            .find(|report| report.peer == *peer.code())
            .unwrap();
        assert_eq!(report.failed, None);
        report.found.as_ref().unwrap().links
    };
    assert_eq!((links(&reports, gp), links(&reports, la)), (57, 23));
    let reports = matching::match_with(&la.node, Some(gp.code()), &Watch::nobody())
        .await
        .unwrap();
    assert_eq!(links(&reports, gp), 22);
    for (one, other) in [(acute, gp), (acute, la), (gp, la)] {
        let keys = |of: &Running| of.node.records.index_keys().unwrap();
        let both: BTreeSet<_> = keys(one).intersection(&keys(other)).copied().collect();
        let linked = keys(one).into_iter().filter(|key| {
            let handle = one.node.index.handle(key, other.code()).unwrap();
            assert_eq!(handle, other.node.index.handle(key, one.code()).unwrap());
            handle.is_some()
        });
        assert_eq!(linked.collect::<BTreeSet<_>>(), both);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_advert_makes_no_room_for_another_header_of_the_same_generation() {
    let mesh = Mesh::of(&KINDS[..2]).await;
    let (one, other) = (&mesh.all[0], &mesh.all[1]);
    one.import_people(0..40).await;
    other.import_people(20..60).await;
    match_up(&one.node, other.code()).await.unwrap();
    let shown = other.header();
    let told = async |lie: Header| {
        *other.lie.lock().unwrap() = Some(lie);
        match_up(&one.node, other.code()).await.unwrap_err()
    };
    let void = Header {
        count: 1_000_000,
        ..shown.clone()
    };
    let void = told(void).await;
    let over = |void: &Void| matches!(void, Void::OverCap { .. });
    assert!(
        matches!(&void, matching::Error::Fetch(Failure::Void(void)) if over(void)),
        "{void}"
    );
    // It is journaled and shown with its remedy, also after a restart.
    let peers = status::peers(&one.node).await;
    assert_eq!(peers[0].errors[0].what, "refused: advert-over-cap");
    let [over] = &peers[0].problems[..] else {
        unreachable!("{:?}", peers[0].problems)
    };
    let fact = "its index has more entries than the roster allows";
    assert!(over.fact.ends_with(fact), "{over:?}");
    assert!(
        over.remedy
            .contains("the stewards can raise its population")
    );
    // Another order of entries: another match, another first round.
    let second = told(shown).await;
    assert!(
        matches!(second, matching::Error::Fetch(Failure::TwoHeaders(_))),
        "{second}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_publishes_anothers_key_first_does_not_keep_the_other_from_matching() {
    let mesh = Mesh::of(&KINDS).await;
    let [one, thief, owner] = &mesh.all[..] else {
        unreachable!()
    };
    for (running, people) in [(one, 0..40), (thief, 0..40), (owner, 20..60)] {
        running.import_people(people).await;
    }
    // Everybody may fetch the owner's advert, the thief too.
    match_up(&thief.node, owner.code()).await.unwrap();
    let stolen = Header {
        member: thief.code().clone(),
        ..owner.header()
    };
    *thief.lie.lock().unwrap() = Some(stolen);
    let told = match_up(&one.node, thief.code()).await.unwrap_err();
    assert!(
        matches!(told, matching::Error::Fetch(Failure::Lost)),
        "it is held until its owner is known: {told}"
    );
    let found = match_up(&one.node, owner.code()).await.unwrap();
    assert_eq!(found.links, 20);
    // From now on the key is the owner's.
    let told = match_up(&one.node, thief.code()).await.unwrap_err();
    assert!(
        matches!(told, matching::Error::Fetch(Failure::Void(Void::Key))),
        "{told}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_advert_is_signed_once_a_generation_whenever_whoever_needs_it_goes_away() {
    let mesh = Mesh::of(&KINDS[..1]).await;
    let node = &mesh.all[0].node;
    let roster = node.membership.roster().unwrap();
    for round in 0..12 {
        mesh.all[0].import_people(round..round + 1).await;
        let needing = {
            let (node, roster) = (Arc::clone(node), Arc::clone(&roster));
            tokio::spawn(async move { node.adverts.newest(&node, &roster).await.map(|_| ()) })
        };
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 3)).await;
        needing.abort();
        node.adverts.newest(node, &roster).await.unwrap();
    }
    let acts = mesh.all[0].acts();
    let made = acts.iter().filter_map(|act| match act {
        Act::Advert { generation, .. } => Some((*generation, 0)),
        Act::Batch { number, .. } => Some((1, *number)),
        _ => None,
    });
    let made: Vec<_> = made.collect();
    let once: Vec<_> = (0..12).map(|number| (1, number)).collect();
    assert_eq!(made, once);
    mesh.stop().await;
}
