//! Who of several about the same thing goes first, and who goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use fairshare_protocol::ids::OdsCode;
use tokio::sync::{Mutex, watch};

/// One thing at a time with each peer.
#[derive(Default)]
pub struct Turns(Lock<BTreeMap<OdsCode, Arc<Mutex<()>>>>);

impl Turns {
    pub(super) fn with(&self, peer: &OdsCode) -> Arc<Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(peer.clone()).or_default())
    }
}

/// What each peer began with us. Of its conversations about one thing only the newest goes on: it
/// has given up the others, or lost them, and this node may not have noticed yet.
#[derive(Default)]
pub struct Begun(Lock<BTreeMap<OdsCode, watch::Sender<Newest>>>);

/// The newest conversation a peer began.
#[derive(Debug, Default)]
struct Newest {
    number: u64,
    /// Whether it is under way.
    goes_on: bool,
}

impl Begun {
    /// Whether what the peer began is under way.
    pub(super) fn is_busy(&self, peer: &OdsCode) -> bool {
        self.sender(peer).borrow().goes_on
    }

    /// Returns when something the peer began is under way.
    pub(super) async fn busy(&self, peer: &OdsCode) {
        self.until(peer, |newest| newest.goes_on).await;
    }

    /// Returns when nothing the peer began is under way.
    pub(super) async fn quiet(&self, peer: &OdsCode) {
        self.until(peer, |newest| !newest.goes_on).await;
    }

    async fn until(&self, peer: &OdsCode, so: impl FnMut(&Newest) -> bool) {
        let all = self.sender(peer);
        // It ends only if the sender is gone, which is held here.
        let _ = all.subscribe().wait_for(so).await;
    }

    /// The peer began another, which takes over.
    pub(super) fn another(&self, peer: &OdsCode) -> Another {
        let mut another = Another {
            all: self.sender(peer),
            number: 0,
        };
        another.all.send_modify(|newest| {
            newest.number += 1;
            newest.goes_on = true;
            another.number = newest.number;
        });
        another
    }

    fn sender(&self, peer: &OdsCode) -> watch::Sender<Newest> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(peer.clone()).or_default().clone()
    }
}

/// One conversation a peer began; dropped when it ends.
pub(super) struct Another {
    all: watch::Sender<Newest>,
    number: u64,
}

impl Another {
    /// Returns when the peer has begun yet another.
    pub(super) async fn is_over(&self) {
        let mut newest = self.all.subscribe();
        // Its sender is held here.
        let _ = newest.wait_for(|newest| newest.number != self.number).await;
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        self.all.send_if_modified(|newest| {
            let is_newest = newest.number == self.number;
            newest.goes_on &= !is_newest;
            is_newest
        });
    }
}
