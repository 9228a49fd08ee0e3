//! Rounds that begin by themselves, at the operator's time of day.
//!
//! Two members with one time would both propose and both decline: of two, the one whose code sorts
//! first begins at once, the other a while later, when usually nothing is new any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::exchange::reconcile::End;
use fairshare_protocol::ids::OdsCode;
use tokio::task::JoinSet;

use super::{Error, begin};
use crate::engine::drive::now;
use crate::engine::keeping::matched;
use crate::node::Node;

/// So many rounds at once: each keeps a core busy.
const AT_ONCE: usize = 2;
/// How long the second of two waits for the first.
const SECOND: Duration = Duration::from_secs(10 * 60);
/// How soon a peer that could not be reached is tried again, and how often.
const AGAIN: Duration = Duration::from_secs(10 * 60);
const TRIES: u32 = 36;

/// Begins rounds until the task is dropped; without a time in the config, never.
pub async fn keep(node: Arc<Node>) {
    let Some(at) = node.config.rounds.at else {
        return;
    };
    let mut day = JoinSet::new();
    loop {
        tokio::time::sleep(at.after(now())).await;
        // What was not done in a day is given up, and begins anew.
        day.shutdown().await;
        let (first, second) = due(&node).into_iter().partition(|peer| node.code() < peer);
        day.spawn(all(Arc::clone(&node), first, Duration::ZERO));
        day.spawn(all(Arc::clone(&node), second, SECOND));
    }
}

/// With whom rounds are due: whom the config names, or everybody, if they are matched.
fn due(node: &Node) -> BTreeSet<OdsCode> {
    let Some(roster) = node.membership.roster() else {
        return BTreeSet::new();
    };
    let matched = matched(node, &roster).unwrap_or_else(|error| {
        tracing::warn!(%error, "no rounds today");
        Vec::new()
    });
    let wanted = &node.config.rounds.with;
    let codes = matched.into_iter().map(|(code, _)| code);
    codes
        .filter(|code| wanted.is_empty() || wanted.contains(code))
        .collect()
}

async fn all(node: Arc<Node>, mut due: BTreeSet<OdsCode>, wait: Duration) {
    tokio::time::sleep(wait).await;
    for _ in 0..TRIES {
        let mut left = BTreeSet::new();
        let mut going = JoinSet::new();
        for peer in due {
            if going.len() == AT_ONCE {
                left.extend(going.join_next().await.and_then(Result::ok).flatten());
            }
            let node = Arc::clone(&node);
            going.spawn(async move { (!is_done(&node, &peer).await).then_some(peer) });
        }
        left.extend(going.join_all().await.into_iter().flatten());
        if left.is_empty() {
            return;
        }
        due = left;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Begins a round, and says whether there is no more to do about it today.
async fn is_done(node: &Arc<Node>, peer: &OdsCode) -> bool {
    match begin(node, peer, &|_| ()).await {
        Ok(ended) => matches!(ended.how, End::Done | End::Nothing) || !ended.how.goes_on(),
        Err(error) => {
            tracing::info!(%peer, %error, "no round yet");
            !matches!(error, Error::Network(_) | Error::NoNetwork | Error::Busy(_))
        }
    }
}
