//! How far the matches under way are: for whoever asked for one, and for the other side's operators.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fairshare_protocol::control::node::MatchState;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::index::advert::Advert;
use fairshare_protocol::time::Timestamp;

use super::drive::now;

/// The matches under way.
#[derive(Default)]
pub struct Progress(Arc<Mutex<BTreeMap<OdsCode, Arc<Counts>>>>);

struct Counts {
    since: Timestamp,
    /// Entries of the peer's: raised, and all.
    raised: AtomicU64,
    to_raise: u64,
    /// Tags of the peer's: heard, and all.
    heard: AtomicU64,
    to_hear: u64,
}

/// One match under way; dropped when it ends.
pub struct Going {
    all: Arc<Mutex<BTreeMap<OdsCode, Arc<Counts>>>>,
    peer: OdsCode,
    counts: Arc<Counts>,
}

impl Progress {
    /// A match of these two adverts is under way.
    pub fn begin(&self, peer: &OdsCode, ours: &Advert, theirs: &Advert) -> Going {
        let counts = Arc::new(Counts {
            since: now(),
            raised: AtomicU64::new(0),
            to_raise: theirs.header().count.into(),
            heard: AtomicU64::new(0),
            to_hear: ours.header().count.into(),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(peer.clone(), Arc::clone(&counts));
        Going {
            all: Arc::clone(&self.0),
            peer: peer.clone(),
            counts,
        }
    }

    /// How far the match with this peer is, if one is under way.
    pub fn with(&self, peer: &OdsCode) -> Option<MatchState> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(peer).map(|counts| counts.state())
    }
}

impl Counts {
    fn state(&self) -> MatchState {
        MatchState {
            since: self.since,
            done: self.raised.load(Ordering::Relaxed) + self.heard.load(Ordering::Relaxed),
            total: self.to_raise + self.to_hear,
        }
    }
}

impl Going {
    /// So many more of the peer's entries are raised.
    pub fn raised(&self, entries: usize) {
        self.counts
            .raised
            .fetch_add(entries as u64, Ordering::Relaxed);
    }

    /// So many more of the peer's tags were heard.
    pub fn heard(&self, tags: usize) {
        self.counts.heard.fetch_add(tags as u64, Ordering::Relaxed);
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Another about the same pair may have begun meanwhile.
        if all
            .get(&self.peer)
            .is_some_and(|held| Arc::ptr_eq(held, &self.counts))
        {
            all.remove(&self.peer);
        }
    }
}

/// Who is told how far it is: steps done and to do, of what, and with whom.
pub struct Watch<'a>(Option<&'a Tell>);

/// Tells one step.
pub type Tell = dyn Fn(u64, u64, &str, &str) + Send + Sync;

impl<'a> Watch<'a> {
    /// Nobody watches.
    pub const fn nobody() -> Self {
        Self(None)
    }

    /// Every step is told to `tell`.
    pub const fn new(tell: &'a Tell) -> Self {
        Self(Some(tell))
    }

    pub(super) fn see(&self, going: &Going) {
        if let Some(tell) = self.0 {
            let MatchState { done, total, .. } = going.counts.state();
            tell(
                done,
                total,
                "entries",
                &format!("matching with {}", going.peer),
            );
        }
    }

    pub(super) fn peer(&self, done: u64, total: u64, peer: &OdsCode) {
        if let Some(tell) = self.0 {
            tell(done, total, "peers", &format!("matched with {peer}"));
        }
    }
}
