//! What peers showed is not kept for ever: it expires unless somebody files it, and is erased by
//! deleting its key, then its file (protocol.md section 4).
//!
//! Every node sweeps when it starts, which also finishes what was interrupted, and daily.

use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::exchange::{Erasure, Why};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::journal::Act;
use fairshare_protocol::time::{DAY, Timestamp};
use tokio::task::spawn_blocking;

use super::drive::{Error, now};
use crate::node::Node;
use crate::store::exchanges::copies::Erased;

/// How often it is looked for what has expired.
const EVERY: Duration = Duration::from_millis(DAY);
/// How soon it is tried again, if that failed.
const AGAIN: Duration = Duration::from_secs(600);
/// Bundles erased together.
const BATCH: usize = 256;
/// What the journal says of what had been here for its time.
const EXPIRED: &str = "expired";

/// Sweeps until the task is dropped.
pub async fn keep(node: Arc<Node>) {
    loop {
        let wait = match sweep(&node, now()).await {
            Ok(0) => EVERY,
            Ok(erased) => {
                tracing::info!(erased, "erased what had expired");
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "what has expired was not erased; it is tried again");
                AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Finishes what was interrupted, and erases what has expired by `now`, and what is left of rounds
/// of which nothing is held any more; says how many bundles were erased.
///
/// # Errors
/// If journal, store or a file fail.
pub async fn sweep(node: &Arc<Node>, now: Timestamp) -> Result<u64, Error> {
    // What cannot be finished keeps nothing else from being erased.
    let finished = finish_all(node).await;
    let here = Arc::clone(node);
    let then = now - node.config.copies.kept();
    let expired = spawn_blocking(move || here.exchanges.expired(then)).await??;
    let mut erased = 0;
    for some in expired.chunks(BATCH) {
        let _turn = node.erasing.lock().await;
        // Somebody may have filed one meanwhile.
        let mut due = Vec::new();
        for exchange in some {
            if node.exchanges.filing(exchange)?.is_none() {
                due.push(*exchange);
            }
        }
        let why = Why::Expired;
        erased += all(node, &due, &Erasure { at: now, why }).await?.len() as u64;
    }
    let here = Arc::clone(node);
    let forget = move || {
        here.rounds
            .forget(then, |exchange| here.exchanges.is_held(exchange))
    };
    let forgotten = spawn_blocking(forget).await??;
    if forgotten > 0 {
        node.store.commit().await?;
        tracing::info!(forgotten, "forgot rounds of which nothing is held any more");
    }
    finished.map(|()| erased)
}

/// Erases what was received in one exchange, and gives what it was; none if there is nothing to
/// erase.
///
/// # Errors
/// If journal, store or its file fail. What was begun is finished when the node starts again.
pub async fn erase(
    node: &Arc<Node>,
    exchange: ExchangeId,
    erasure: &Erasure,
) -> Result<Option<Erased>, Error> {
    let _turn = node.erasing.lock().await;
    Ok(all(node, &[exchange], erasure).await?.pop())
}

async fn all(
    node: &Arc<Node>,
    exchanges: &[ExchangeId],
    erasure: &Erasure,
) -> Result<Vec<Erased>, Error> {
    let mut decided = Vec::new();
    for exchange in exchanges {
        decided.extend(node.exchanges.decide(exchange, erasure.clone())?);
    }
    node.store.commit().await?;
    finish(node, &decided).await?;
    Ok(decided)
}

async fn finish_all(node: &Arc<Node>) -> Result<(), Error> {
    let _turn = node.erasing.lock().await;
    let left = node.exchanges.erasing()?;
    let mut done = Ok(());
    for some in left.chunks(BATCH) {
        done = done.and(finish(node, some).await);
    }
    done
}

/// What follows once it is decided. Done again after it was interrupted, it journals a bundle
/// twice rather than not at all.
async fn finish(node: &Arc<Node>, decided: &[Erased]) -> Result<(), Error> {
    let mut known = Vec::new();
    for erased in decided {
        if !node.exchanges.is_forgotten(erased)? {
            known.push(erased);
        }
    }
    if !known.is_empty() {
        node.record(known.iter().map(|erased| act(erased))).await?;
        for erased in known {
            node.exchanges.forget(erased)?;
        }
        // The key first: a file without its key is nothing, a key without its file may find a copy.
        node.store.commit().await?;
    }
    let mut removed = Ok(());
    for erased in decided {
        let one = node.exchanges.remove_file(node.store.blobs(), erased);
        removed = removed.and(one);
    }
    node.store.commit().await?;
    Ok(removed?)
}

fn act(erased: &Erased) -> Act {
    let (outline, why) = (&erased.outline, &erased.erasure.why);
    let (user, why) = match why {
        Why::Expired => (None, EXPIRED.to_owned()),
        Why::Wanted { by, reason } => (Some(by.clone()), reason.to_string()),
    };
    Act::CopyErased {
        exchange: outline.exchange,
        peer: outline.from.clone(),
        person: outline.commitment,
        counts: outline.counts.clone(),
        user,
        why,
    }
}

#[cfg(test)]
mod tests;
