//! What the private index leaves behind: our advert with its secret side, peers' adverts, what was
//! said in matches, and the links they proved.
//!
//! | table | key | value |
//! |---|---|---|
//! | `adverts` | `own`, or `peer ` and a code | [`OwnAdvert`], [`PeerAdvert`] |
//! | `matches` | our header, the peer's | epoch and [`Kept`] |
//! | `matched` | code | [`MatchedWith`] |
//! | `links` | match, handle | epoch, the peer's code and the person's index key |
//! | `linked` | name of an index key, code | match and handle |
//! | `indexed` | name of an index key | epoch and generation of our advert that took them in |
//! | `evidence` | hash | [`Evidence`] |
//!
//! Entries, people and the secret side lie in blobs, a chunk of entries each: their keys here are
//! what deleting an epoch deletes. A handle is honoured only from `links`, which only a match both
//! sides proved writes. Handles of a superseded match stay until the end of the next epoch, for a
//! peer that has not finished the new one.

use std::sync::{Arc, Mutex, PoisonError};

use fairshare_protocol::codec;
use fairshare_protocol::crypto::hash;
use fairshare_protocol::ids::{Handle, Hash, MatchId};
use fairshare_protocol::index::evidence::Evidence;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::Kept;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::adverts::{OwnAdvert, PeerAdvert};
use super::{Error, Store, Table};

mod adverts;
mod links;

/// The newest match with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedWith {
    /// The match.
    pub match_id: MatchId,
    /// Its epoch.
    pub epoch: u32,
    /// The generation of our advert it used.
    pub generation: u32,
    /// When it ended.
    pub at: Timestamp,
    /// People both hold.
    pub links: u64,
    /// Candidates only we had.
    pub ours_only: u32,
    /// Candidates only the peer had.
    pub theirs_only: u32,
    /// Hash of our header.
    pub ours: Hash,
    /// Hash of the peer's.
    pub theirs: Hash,
    /// When the peer's advert was made: the age of its index.
    pub made: Timestamp,
}

/// The tables of the index. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    store: Store,
    adverts: Table,
    matches: Table,
    matched: Table,
    links: Table,
    linked: Table,
    indexed: Table,
    evidence: Table,
    /// Held while what is kept of a match is changed.
    keeping: Arc<Mutex<()>>,
}

impl Index {
    /// The tables in `store`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            adverts: store.table("adverts")?,
            matches: store.table("matches")?,
            matched: store.table("matched")?,
            links: store.table("links")?,
            linked: store.table("linked")?,
            indexed: store.table("indexed")?,
            evidence: store.table("evidence")?,
            store: store.clone(),
            keeping: Arc::default(),
        })
    }

    /// What was said in the match of these two headers.
    ///
    /// # Errors
    /// If sled fails.
    pub fn kept(&self, ours: &Hash, theirs: &Hash) -> Result<Kept, Error> {
        let found = self.matches.load::<(u32, Kept)>(&pair(ours, theirs))?;
        Ok(found.map(|(_, kept)| kept).unwrap_or_default())
    }

    /// Keeps what was said in the match of these two headers. Says whether it fits what was kept
    /// before: of two conversations about one match, none may hear another word than the other.
    ///
    /// # Errors
    /// If sled fails.
    pub fn keep(&self, epoch: u32, ours: &Hash, theirs: &Hash, kept: &Kept) -> Result<bool, Error> {
        let _one = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = together(self.kept(ours, theirs)?, kept.clone()) else {
            return Ok(false);
        };
        self.matches.put(&pair(ours, theirs), &(epoch, kept))?;
        Ok(true)
    }

    /// Keeps evidence against a member.
    ///
    /// # Errors
    /// If sled fails.
    pub fn accuse(&self, evidence: &Evidence) -> Result<(), Error> {
        let name = hash::bytes(&codec::encode(evidence));
        self.evidence.put(name.as_bytes(), evidence)
    }

    /// Deletes what epochs before the one before `epoch` left: their keys, people and handles. Our
    /// own advert and peers' go as soon as they are of another epoch.
    ///
    /// # Errors
    /// If the store fails.
    pub fn turn_over(&self, epoch: u32) -> Result<(), Error> {
        let old = |of: u32| of.saturating_add(1) < epoch;
        let mut matches = self.matches.batch();
        for row in self.matches.scan::<(u32, Kept)>(b"") {
            let (key, (of, _)) = row?;
            if old(of) {
                matches.remove(&key);
            }
        }
        matches.apply()?;
        let mut gone = Vec::new();
        let mut links = self.links.batch();
        for row in self.links.scan::<links::Link>(b"") {
            let (key, (of, ..)) = row?;
            if old(of) {
                gone.extend(key.get(..32).map(<[u8]>::to_vec));
                links.remove(&key);
            }
        }
        links.apply()?;
        gone.sort_unstable();
        let mut linked = self.linked.batch();
        for row in self.linked.scan::<(MatchId, Handle)>(b"") {
            let (key, (match_id, _)) = row?;
            let of_gone = |of: &Vec<u8>| of.as_slice().cmp(match_id.as_bytes());
            if gone.binary_search_by(of_gone).is_ok() {
                linked.remove(&key);
            }
        }
        linked.apply()?;
        self.store.commit_now()
    }

    fn name(&self, person: &IndexKey) -> [u8; 16] {
        let text = person.expose();
        self.store.name("index key", &[text.as_bytes()])
    }
}

/// What two conversations about one match have heard, unless they heard different things.
fn together(one: Kept, other: Kept) -> Option<Kept> {
    fn either<T>(one: Option<T>, other: Option<T>, same: fn(&T, &T) -> bool) -> Option<Option<T>> {
        match (one, other) {
            (Some(one), Some(other)) => same(&one, &other).then_some(Some(one)),
            (one, other) => Some(one.or(other)),
        }
    }
    Some(Kept {
        opening: either(one.opening, other.opening, |a, b| a.hash() == b.hash())?,
        committed: either(one.committed, other.committed, |a, b| a == b)?,
        commitment: either(one.commitment, other.commitment, |a, b| {
            a.hash() == b.hash()
        })?,
        done: one.done || other.done,
    })
}

fn pair(ours: &Hash, theirs: &Hash) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(ours.as_bytes());
    key[32..].copy_from_slice(theirs.as_bytes());
    key
}

#[cfg(test)]
mod tests;
