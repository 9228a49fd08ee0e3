//! Where the people of this node are with its index: in it, waiting for it, or staying home.
//!
//! Counted in one walk over the people, when somebody asks and what it rests on has changed.

use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::index::Places;
use fairshare_protocol::ids::Hash;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Ours, growing};
use crate::engine::drive::{Error, now};
use crate::engine::withholding::{self, Ground};
use crate::node::Node;

/// How long whoever asks how the node is waits; a count of millions goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a count rests on: who may be in it, our advert and how many batches it has, the day.
#[derive(PartialEq, Eq)]
struct Basis {
    ground: Ground,
    advert: Option<(Hash, usize)>,
    day: u64,
}

/// Holds the last count. One is made at a time.
#[derive(Default)]
pub struct Placing(Arc<Mutex<Option<(Basis, Places)>>>);

impl Placing {
    /// Where everybody is now; none while it is being counted.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn now(&self, node: &Arc<Node>) -> Result<Option<Places>, Error> {
        match timeout(PATIENCE, self.counted(node)).await {
            Ok(places) => places.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The same, however long it takes.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn counted(&self, node: &Arc<Node>) -> Result<Places, Error> {
        let (held, node) = (Arc::clone(&self.0), Arc::clone(node));
        // Counted to its end, also when whoever asked has gone.
        let counting = tokio::spawn(async move {
            let mut held = held.lock_owned().await;
            let roster = node.membership.roster();
            let per_day = roster.as_ref().map(|it| it.charter().additions_per_day);
            let ours = match &roster {
                Some(roster) => node.adverts.held(&node, roster).await?,
                None => None,
            };
            let basis = Basis {
                ground: Ground::now(&node),
                advert: ours.as_ref().map(|ours| {
                    let hash = ours.own.advert().signed().hash();
                    (hash, ours.own.batches().len())
                }),
                day: now().day(),
            };
            if let Some((of, places)) = &*held
                && *of == basis
            {
                return Ok(*places);
            }
            let count = move || count(&node, ours.as_deref(), per_day.unwrap_or_default());
            let places = spawn_blocking(count).await??;
            *held = Some((basis, places));
            Ok(places)
        });
        counting.await?
    }
}

fn count(node: &Node, ours: Option<&Ours>, per_day: u32) -> Result<Places, Error> {
    let (allowed, withheld) = withholding::allowed(node)?;
    let mut there = ours.map(|ours| ours.people.clone()).unwrap_or_default();
    there.sort_unstable();
    let new = allowed
        .iter()
        .filter(|key| there.binary_search(key).is_err());
    let waiting = new.count();
    Ok(Places {
        possible: allowed.len() as u64,
        indexed: there.len() as u64,
        waiting: waiting as u64,
        later: (waiting - growing::today(ours, waiting, per_day)) as u64,
        withheld: withheld as u64,
    })
}
