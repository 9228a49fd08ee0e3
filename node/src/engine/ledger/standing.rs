//! Standing and ladder with each peer, counted from the two chains; and what follows for the bulk
//! lane. The care lane asks nothing here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairshare_protocol::control::ledger::Paused;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::journal::Act;
use fairshare_protocol::ledger::account::Account;
use fairshare_protocol::ledger::ladder::{Rung, Step, step};
use fairshare_protocol::ledger::standing::Standing;
use fairshare_protocol::time::Timestamp;

use crate::engine::drive::{Error, now};
use crate::node::Node;
use crate::store;

/// How long a count is good enough for a screen.
const FRESH: Duration = Duration::from_secs(2);
/// How often steps are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// How it stands with one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// How the peer answers us, by our chain.
    pub theirs: Standing,
    /// How we answer the peer, by its chain.
    pub ours: Standing,
    /// Where the peer stands on the ladder, by our chain.
    pub their_step: Step,
    /// Where we stand, by its chain.
    pub our_step: Step,
    /// Exchanges in either chain.
    pub exchanges: u64,
    /// Of these, settled.
    pub settled: u64,
    /// Of these, overdue to be settled.
    pub overdue: u64,
    /// Contradictions found.
    pub forks: u64,
}

/// What was counted lately.
#[derive(Default)]
pub struct Counted {
    peers: Mutex<BTreeMap<OdsCode, (Timestamp, Arc<Count>)>>,
    looked: Mutex<Timestamp>,
}

/// How it stands with this peer. Blocks while it is counted.
///
/// # Errors
/// If the store fails.
pub fn count(node: &Node, peer: &OdsCode) -> Result<Arc<Count>, store::Error> {
    let now = now();
    let counted = &node.ledgers.counted.peers;
    let kept = counted.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, count)) = kept.get(peer)
        && now.since(*at) < FRESH
    {
        return Ok(Arc::clone(count));
    }
    drop(kept);
    let ledger = &node.ledgers.store;
    let accounts: Vec<Account> = ledger.accounts(peer).collect::<Result<_, _>>()?;
    let ours = || accounts.iter().filter_map(|account| account.ours.as_ref());
    let theirs = || {
        accounts
            .iter()
            .filter_map(|account| account.theirs.as_ref())
    };
    let settled = accounts.iter().filter(|account| account.is_settled());
    let overdue = accounts.iter().filter(|account| account.is_overdue(now));
    let count = Arc::new(Count {
        theirs: Standing::of(peer, ours(), now),
        ours: Standing::of(node.code(), theirs(), now),
        their_step: step(peer, ours(), now),
        our_step: step(node.code(), theirs(), now),
        exchanges: accounts.len() as u64,
        settled: settled.count() as u64,
        overdue: overdue.count() as u64,
        forks: ledger.forks(peer)?.len() as u64,
    });
    let mut kept = counted.lock().unwrap_or_else(PoisonError::into_inner);
    kept.insert(peer.clone(), (now, Arc::clone(&count)));
    Ok(count)
}

/// Whether the bulk lane with this peer is paused, and because of whom. For the bulk lane alone.
///
/// # Errors
/// If the store fails.
pub fn paused(node: &Node, peer: &OdsCode) -> Result<Option<Paused>, store::Error> {
    let count = count(node, peer)?;
    let steps = [(peer, count.their_step), (node.code(), count.our_step)];
    let paused = steps
        .into_iter()
        .find(|(_, step)| step.rung == Rung::Paused);
    Ok(paused.map(|(about, step)| Paused {
        about: about.clone(),
        since: step.pauses,
    }))
}

/// Journals whatever step was taken since this was last looked at.
pub(super) async fn look(node: &Arc<Node>) {
    let due = {
        let looked = &node.ledgers.counted.looked;
        let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now().since(*looked) >= EVERY;
        if due {
            *looked = now();
        }
        due
    };
    if !due {
        return;
    }
    let Some(roster) = node.membership.roster() else {
        return;
    };
    for member in roster.members() {
        if member.code == *node.code() {
            continue;
        }
        let (here, peer) = (Arc::clone(node), member.code.clone());
        let counted = tokio::task::spawn_blocking(move || count(&here, &peer)).await;
        match counted {
            Ok(Ok(count)) => {
                if let Err(error) = climb(node, &member.code, &count).await {
                    tracing::error!(%error, "a step of the ladder was not journaled");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "a ledger was not counted"),
            Err(error) => tracing::error!(%error, "a ledger was not counted"),
        }
    }
}

async fn climb(node: &Node, peer: &OdsCode, count: &Count) -> Result<(), Error> {
    let ledger = &node.ledgers.store;
    for (about, step) in [(peer, count.their_step), (node.code(), count.our_step)] {
        if ledger.rung(peer, about)? == step.rung {
            continue;
        }
        tracing::warn!(%peer, %about, step = %step.rung, "another step of the ladder");
        ledger.climb(peer, about, step.rung)?;
        node.record([Act::Step {
            peer: peer.clone(),
            about: about.clone(),
            step: step.rung.to_string(),
        }])
        .await?;
    }
    Ok(())
}
