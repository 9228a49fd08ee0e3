//! Charters that follow one another, over real nodes.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::time::Duration;

use fairshare_node::engine::drive::now;
use fairshare_node::membership::Membership;
use fairshare_protocol::charter::Amendment;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::proposal::Proposal;
use fairshare_protocol::roster::{NodeKeys, Roster, Statement, Statements, Status};
use fairshare_tests::harness::mesh::{self, Peer, seeded};

/// The version after the current one, under this name, signed by two stewards.
fn renamed(held: &Statements, name: &str) -> Statement {
    let change = Amendment {
        name: Some(name.parse().unwrap()),
        ..Amendment::default()
    };
    let roster = Roster::of(held);
    let next = roster.amend(&change, now()).unwrap();
    let mut proposal = Proposal::charter(&next, now());
    proposal.add(&seeded(1));
    proposal.add(&seeded(2));
    proposal.statement(&roster)
}

/// Takes a statement as an operator's command does.
async fn take(peer: &Peer, statement: Statement) {
    let act = peer.node.membership.learn(statement, now()).unwrap();
    assert!(act.is_some());
    peer.node.record(act).await.unwrap();
}

fn roster(peer: &Peer) -> Roster {
    let roster = peer.node.membership.roster().unwrap();
    (*roster).clone()
}

/// Who is what, with which keys.
fn standing(peer: &Peer) -> Vec<(String, Status, Option<NodeKeys>)> {
    let roster = roster(peer);
    let members = roster.members();
    members
        .map(|it| (it.code.to_string(), it.status, it.node))
        .collect()
}

/// What the store holds makes the roster the node has, once members' nodes have published what their
/// config says of them.
async fn reopens_as_it_is(peer: &Peer) {
    for _ in 0..100 {
        let reopened = Membership::open(&peer.node.store, now()).unwrap();
        if *reopened.roster().unwrap() == roster(peer) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let reopened = Membership::open(&peer.node.store, now()).unwrap();
    assert_eq!(*reopened.roster().unwrap(), roster(peer));
}

async fn until_all_call_it(peers: &[&Peer], name: &str, version: u32) {
    for peer in peers {
        let mut changes = peer.node.membership.changes();
        let so = changes.wait_for(|roster| {
            let charter = roster.as_ref().unwrap().charter();
            (charter.name.as_str(), charter.version) == (name, version)
        });
        let so = tokio::time::timeout(Duration::from_secs(20), so).await;
        assert!(so.is_ok_and(|so| so.is_ok()), "no `{name}`");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charter_spreads_to_nodes_that_run_is_kept_and_rivals_are_settled_everywhere() {
    let one = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let two = Peer::start("L83024", MemberKind::GpPractice).await;
    let three = Peer::start("912", MemberKind::AdultSocialCare).await;
    let all = [&one, &two, &three];
    mesh::found(&all, |_| {}, |_, _| {}).await;
    let before = standing(&one);
    let held = one.node.membership.statements().unwrap();
    take(&one, renamed(&held, "Devon")).await;
    until_all_call_it(&all, "Devon", 2).await;
    for peer in all {
        // Nobody has to speak again: what members said of themselves goes on to count.
        assert_eq!(standing(peer), before);
        reopens_as_it_is(peer).await;
    }
    // Another follows version 1, too: signed without knowing of the first.
    take(&two, renamed(&held, "Cornwall")).await;
    until_all_call_it(&all, "Test", 1).await;
    for peer in all {
        assert!(roster(peer).current().uncontested().is_err());
        assert_eq!(standing(peer), before);
    }
    let held = three.node.membership.statements().unwrap();
    take(&three, renamed(&held, "The South West")).await;
    until_all_call_it(&all, "The South West", 2).await;
    for peer in all {
        assert!(roster(peer).current().uncontested().is_ok());
        reopens_as_it_is(peer).await;
    }
    for peer in [one, two, three] {
        peer.stop().await;
    }
}
