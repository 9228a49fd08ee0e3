//! Every conversation others begin, and what follows from connections and from a changed roster.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::exchange::answer::Reply;
use fairshare_protocol::exchange::ask::Ended;
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::wire;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{
    advert, asking, contact, copies, delta, joining, keeping, ledger, matching, notices, proposals,
    reconcile, roster,
};
use crate::home::reserve;
use crate::network::{Event, Frames, Network};
use crate::node::Node;
use crate::own;

/// Statements often come several at once; peers are told once they have settled this long.
const SETTLE: Duration = Duration::from_millis(200);

/// Serves the network until it stops. A conversation that fails or panics ends alone.
pub async fn serve(node: Arc<Node>, network: Network, mut events: mpsc::Receiver<Event>) {
    let mut conversations = JoinSet::new();
    conversations.spawn(follow(Arc::clone(&node), network.clone()));
    conversations.spawn(joining::bring(Arc::clone(&node), network.clone()));
    conversations.spawn(proposals::keep(Arc::clone(&node), network.clone()));
    conversations.spawn(keeping::keep(Arc::clone(&node)));
    conversations.spawn(ledger::keep(Arc::clone(&node), network.clone()));
    conversations.spawn(reserve::keep(Arc::clone(&node.reserve)));
    conversations.spawn(copies::keep(Arc::clone(&node)));
    conversations.spawn(notices::keep(Arc::clone(&node)));
    conversations.spawn(reconcile::schedule::keep(Arc::clone(&node)));
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => break,
                Some(Event::Connected(key)) => {
                    let (node, network) = (Arc::clone(&node), network.clone());
                    conversations.spawn(async move {
                        noted("roster", roster::begin(&node, &network, key)).await;
                        noted("proposal", proposals::begin(&node, &network, key)).await;
                        // Only now: a node restored from a copy has just learnt what it said
                        // since, and does not say something else with the same number.
                        if let Err(error) = own::renew_contact(&node).await {
                            tracing::warn!(%error, "the contact was not published");
                        }
                        node.stir.notify_one();
                        ledger::met(&node, &key);
                        node.records.notices().stir();
                        reconcile::go_on(&node, &key).await;
                    });
                }
                Some(Event::Incoming { peer, member, stream, frames }) => {
                    let node = Arc::clone(&node);
                    conversations.spawn(async move {
                        incoming(&node, peer, member, stream, frames).await;
                    });
                }
                Some(Event::Disconnected(key)) => lost(&node, &network, key).await,
                Some(Event::Listening(_)) => {}
            },
            Some(ended) = conversations.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!("a conversation panicked; the node goes on");
                }
            }
        }
    }
}

/// Says in the log that a peer is not connected any more, and why.
async fn lost(node: &Node, network: &Network, key: PublicKey) {
    let roster = node.membership.roster();
    let member = roster.as_ref().and_then(|roster| roster.by_node(&key));
    let peer = member.map_or_else(|| key.short(), |member| member.code.to_string());
    let states = network.peers().await.unwrap_or_default();
    let state = states.into_iter().find(|state| state.key == key);
    let why = state.and_then(|state| state.last_error);
    let why = why.unwrap_or_else(|| "the connection was closed".to_owned());
    tracing::info!(%peer, %why, "lost the connection");
}

/// Keeps the network to the members of the roster, and tells peers what is new: all at the same
/// time, so that none who is slow or silent delays the others, or what comes next.
async fn follow(node: Arc<Node>, network: Network) {
    let mut changes = node.membership.changes();
    let mut telling = JoinSet::new();
    changes.mark_changed();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(SETTLE).await;
        changes.mark_unchanged();
        if network.set_members(roster::contacts(&node)).await.is_err() {
            return;
        }
        while telling.try_join_next().is_some() {}
        for peer in network.peers().await.into_iter().flatten() {
            if peer.connected {
                let (node, network) = (Arc::clone(&node), network.clone());
                telling.spawn(async move {
                    noted("roster", roster::begin(&node, &network, peer.key)).await;
                });
            }
        }
    }
}

async fn incoming(
    node: &Arc<Node>,
    peer: PublicKey,
    member: bool,
    stream: &'static str,
    frames: Frames,
) {
    if stream == wire::JOIN {
        return noted("join", joining::receive(node, peer, frames)).await;
    }
    let roster = node.membership.roster();
    let known = roster.as_ref().and_then(|roster| roster.by_node(&peer));
    // The roster may have changed since the network let it in.
    let (Some(roster), Some(code), true) = (&roster, known.map(|m| m.code.clone()), member) else {
        return;
    };
    match stream {
        wire::ROSTER => noted("roster", roster::talk(node, code, frames)).await,
        wire::PROPOSAL => noted("proposal", proposals::talk(node, code, frames)).await,
        wire::ADVERT => noted("advert", advert::serve(node, &code, frames)).await,
        wire::MATCH => noted("match", matching::answer(node, &code, frames)).await,
        wire::DELTA => noted("delta", delta::answer(node, &code, frames)).await,
        wire::LEDGER => noted("ledger", ledger::talk(node, &code, frames)).await,
        wire::CONTACT => match asking::pair(node, roster, &code) {
            Ok(pair) => noted("contact", contact::answer(node, &code, pair, frames)).await,
            Err(why) => tracing::warn!(peer = %code, %why, "a first contact without terms"),
        },
        wire::EXCHANGE => match asking::pair(node, roster, &code) {
            Ok(pair) => exchange(&code, asking::answer(node, pair, frames)).await,
            Err(why) => tracing::warn!(peer = %code, %why, "a peer asked without terms"),
        },
        wire::RECONCILE => match asking::pair(node, roster, &code) {
            Ok(pair) => noted("reconcile", reconcile::answer(node, pair, frames)).await,
            Err(why) => tracing::warn!(peer = %code, %why, "a peer proposed a round without terms"),
        },
        _ => {}
    }
}

async fn exchange(
    peer: &OdsCode,
    answered: impl Future<Output = Result<Ended, super::drive::Error>>,
) {
    match answered.await {
        Ok(ended) => {
            tracing::info!(%peer, outcome = %told(&ended), "answered");
        }
        Err(error) => tracing::error!(%peer, %error, "an exchange was broken off by this node"),
    }
}

/// How an exchange this node answered ended, in words.
pub(super) fn told(ended: &Ended) -> String {
    let reply = match ended.reply {
        None => "no reply".to_owned(),
        Some(Reply::Delivered) => "delivered".to_owned(),
        Some(Reply::NothingToShow) => "nothing to show".to_owned(),
        Some(Reply::Refused(code)) => format!("refused: {code}"),
        Some(Reply::Deferred(until)) => format!("deferred until {until}"),
    };
    match &ended.fault {
        None => reply,
        Some(fault) => format!("{reply}, then {fault}"),
    }
}

/// Runs a conversation and says in the log how it failed, if it did.
async fn noted<T, E: std::fmt::Display>(what: &str, talk: impl Future<Output = Result<T, E>>) {
    if let Err(error) = talk.await {
        tracing::warn!(%error, "a {what} conversation failed");
    }
}
