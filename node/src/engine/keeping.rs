//! What a node does by itself for its index: an epoch turns over, a day's new people go out, and a
//! match that was broken off goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::roster::Roster;
use tokio::task::JoinSet;
use tokio::task::spawn_blocking;

use super::drive::{Error, now};
use super::progress::Watch;
use super::{delta, matching};
use crate::node::Node;

/// How often everything is looked at, if nobody [stirs](Node::stir).
const EVERY: Duration = Duration::from_secs(60);
/// Several peers connect at once when a node starts.
const SETTLE: Duration = Duration::from_secs(2);

/// Looks after the index until the task is dropped.
pub async fn keep(node: Arc<Node>) {
    let mut turned = None;
    let mut working: JoinSet<OdsCode> = JoinSet::new();
    let mut with = BTreeSet::new();
    loop {
        while let Some(ended) = working.try_join_next() {
            match ended {
                Ok(peer) => drop(with.remove(&peer)),
                // Nobody knows which: all may be tried again.
                Err(_) => with.clear(),
            }
        }
        match due(&node, &mut turned).await {
            Ok(peers) => {
                for peer in peers {
                    if with.insert(peer.clone()) {
                        let node = Arc::clone(&node);
                        working.spawn(async move {
                            bring_up_to_date(&node, &peer).await;
                            peer
                        });
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the index was not looked after"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY.min(to_next_epoch(&node))) => {}
            () = node.stir.notified() => tokio::time::sleep(SETTLE).await,
        }
    }
}

/// How long the epoch still lasts.
fn to_next_epoch(node: &Node) -> Duration {
    let roster = node.membership.roster();
    roster.map_or(EVERY, |roster| {
        // Never 0: the clock may not have moved on yet.
        roster.epoch_end(roster.epoch(now())).since(now()) + Duration::from_millis(50)
    })
}

async fn bring_up_to_date(node: &Arc<Node>, peer: &OdsCode) {
    if let Err(error) = matching::go_on(node, peer, &Watch::nobody()).await {
        tracing::info!(%peer, %error, "the links with a peer are not up to date yet");
    }
}

/// Turns the epoch over if it is time, makes the day's batch, and says with whom the links are not
/// up to date and can be brought there: the peer is connected.
async fn due(node: &Arc<Node>, turned: &mut Option<u32>) -> Result<Vec<OdsCode>, Error> {
    let (Some(roster), Some(network)) = (node.membership.roster(), node.network()) else {
        return Ok(Vec::new());
    };
    let epoch = roster.epoch(now());
    if *turned != Some(epoch) {
        turn_over(node, &roster, epoch).await?;
        *turned = Some(epoch);
    }
    if let Some(ours) = node.adverts.held(node, &roster).await?
        && ours.own.made().day() < now().day()
    {
        let before = ours.own.advert().signed().hash();
        let ours = node.adverts.newest(node, &roster).await?;
        if ours.own.advert().signed().hash() != before {
            // Too many came for batches: whoever was matched is matched anew.
            want_all(node, &roster, |_| true)?;
        }
    }
    let mut due = BTreeSet::from_iter(node.index.wanted()?);
    if let Some(ours) = node.adverts.held(node, &roster).await? {
        let made = ours.own.batches().len();
        for (code, _) in matched(node, &roster)? {
            let answered = node.index.pair(&code)?.map(|pair| pair.kept.answered);
            let behind = answered.is_some_and(|answered| (answered as usize) < made);
            if behind && delta::continues(node, &code)? {
                due.insert(code);
            }
        }
    }
    let connected = network.peers().await.unwrap_or_default();
    let connected = connected.iter().filter(|peer| peer.connected);
    let connected = connected.filter_map(|peer| roster.by_node(&peer.key));
    let connected: BTreeSet<_> = connected.map(|member| member.code.clone()).collect();
    Ok(due.intersection(&connected).cloned().collect())
}

/// The epoch is another than when we last looked: what is over is deleted, and whoever was matched
/// in the one before is matched in this one.
async fn turn_over(node: &Arc<Node>, roster: &Roster, epoch: u32) -> Result<(), Error> {
    node.adverts.turn_over(roster).await;
    let index = node.index.clone();
    spawn_blocking(move || index.turn_over(epoch)).await??;
    want_all(node, roster, |of| of < epoch)?;
    node.store.commit().await?;
    tracing::info!(epoch, "the index is of this epoch");
    Ok(())
}

/// Wants a match with everybody who was matched in such an epoch. Of two members the one whose code
/// sorts first begins: one match is enough.
fn want_all(node: &Node, roster: &Roster, epoch: impl Fn(u32) -> bool) -> Result<(), Error> {
    for (code, of) in matched(node, roster)? {
        if epoch(of) && *node.code() < code {
            node.index.want(&code)?;
        }
    }
    Ok(())
}

/// With whom we were matched and may be, and in which epoch.
///
/// # Errors
/// If the store fails.
pub fn matched(node: &Node, roster: &Roster) -> Result<Vec<(OdsCode, u32)>, Error> {
    let mut all = Vec::new();
    for member in roster.members() {
        let terms = roster.terms(node.code(), &member.code);
        let may = terms.is_ok_and(|terms| terms.may_match);
        if let (true, Some(with)) = (may, node.index.matched(&member.code)?) {
            all.push((member.code.clone(), with.epoch));
        }
    }
    Ok(all)
}
