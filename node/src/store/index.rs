//! What the private index leaves behind: our advert with its secret side, peers' adverts, what was
//! said in matches, and the links they proved.
//!
//! | table | key | value |
//! |---|---|---|
//! | `adverts` | `own`, or `peer ` and a code | [`OwnAdvert`], [`PeerAdvert`] |
//! | `matches` | our header, the peer's | epoch, [`Kept`](fairshare_protocol::index::matching::Kept) and [`Steps`] |
//! | `matched` | code | [`MatchedWith`] |
//! | `pairs` | code | [`Pair`]: what the newest match left for later comers |
//! | `links` | match, handle | epoch, the peer's code and the person's index key |
//! | `linked` | code, name of an index key | match and handle |
//! | `wanted` | code | a match with it was asked for that is not finished |
//! | `evidence` | hash | [`Evidence`] |
//!
//! Entries, people and the secret side lie in blobs, a chunk of entries each; tags lie in files of
//! pages: their keys here are what deleting an epoch deletes. A handle is honoured only from
//! `links`, which only links both sides proved are written to. Handles of a superseded match stay
//! until the end of the next epoch, for a peer that has not finished the new one.

use std::io::Write;
use std::sync::{Arc, Mutex};

use fairshare_protocol::codec;
use fairshare_protocol::crypto::hash;
use fairshare_protocol::ids::{Handle, Hash, MatchId, OdsCode};
use fairshare_protocol::index::evidence::Evidence;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::adverts::{OwnAdvert, PeerAdvert};
pub use self::pairs::Pair;
pub use self::sorted::Sorted;
pub use self::steps::Steps;
use super::{Error, Store, Table, blobs};

mod adverts;
mod generations;
mod links;
mod pairs;
mod sorted;
mod steps;

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
    /// When the last of the peer's entries we know was made: the age of its index.
    pub made: Timestamp,
    /// How many of our batches the peer has answered since.
    pub batches: u32,
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
    pairs: Table,
    wanted: Table,
    evidence: Table,
    /// Held while what is kept of a match is changed.
    keeping: Arc<Mutex<()>>,
    /// Held while links are kept.
    linking: Arc<Mutex<()>>,
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
            pairs: store.table("pairs")?,
            wanted: store.table("wanted")?,
            evidence: store.table("evidence")?,
            store: store.clone(),
            keeping: Arc::default(),
            linking: Arc::default(),
        })
    }

    /// Notes that a match with this peer was asked for: it goes on by itself until it is finished.
    /// Says whether that is new.
    ///
    /// # Errors
    /// If sled fails.
    pub fn want(&self, peer: &OdsCode) -> Result<bool, Error> {
        self.wanted.put_new(peer.as_str().as_bytes(), peer)
    }

    /// The match with this peer is finished, or cannot be.
    ///
    /// # Errors
    /// If sled fails.
    pub fn unwant(&self, peer: &OdsCode) -> Result<(), Error> {
        self.wanted.remove(peer.as_str().as_bytes()).map(drop)
    }

    /// With whom a match was asked for that is not finished.
    ///
    /// # Errors
    /// If sled fails.
    pub fn wanted(&self) -> Result<Vec<OdsCode>, Error> {
        let all = self.wanted.scan::<OdsCode>(b"");
        all.map(|row| Ok(row?.1)).collect()
    }

    /// Keeps evidence against a member.
    ///
    /// # Errors
    /// If sled fails.
    pub fn accuse(&self, evidence: &Evidence) -> Result<(), Error> {
        let name = hash::bytes(&codec::encode(evidence));
        self.evidence.put(name.as_bytes(), evidence)
    }

    /// What was kept as evidence against members.
    ///
    /// # Errors
    /// If sled fails.
    pub fn evidence(&self) -> Result<Vec<Evidence>, Error> {
        let all = self.evidence.scan::<Evidence>(b"");
        all.map(|row| Ok(row?.1)).collect()
    }

    /// Deletes what epochs before the one before `epoch` left: adverts with our key to them, what
    /// was said and worked out in matches, and handles.
    ///
    /// # Errors
    /// If the store fails.
    pub fn turn_over(&self, epoch: u32) -> Result<(), Error> {
        let old = |of: u32| of.saturating_add(1) < epoch;
        self.forget_adverts(old)?;
        self.forget_steps(old)?;
        self.forget_pairs(old)?;
        let mut gone = Vec::new();
        let mut over = Vec::new();
        for row in self.links.scan::<links::Link>(b"") {
            let (key, (of, ..)) = row?;
            if old(of) {
                gone.extend(key.get(..32).map(<[u8]>::to_vec));
                over.push(key);
            }
        }
        self.links.remove_all(&over)?;
        gone.sort_unstable();
        gone.dedup();
        over.clear();
        for row in self.linked.scan::<(MatchId, Handle)>(b"") {
            let (key, (match_id, _)) = row?;
            let of_gone = |of: &Vec<u8>| of.as_slice().cmp(match_id.as_bytes());
            if gone.binary_search_by(of_gone).is_ok() {
                over.push(key);
            }
        }
        self.linked.remove_all(&over)?;
        self.store.commit_now()
    }

    fn name(&self, person: &IndexKey) -> [u8; 16] {
        let text = person.expose();
        self.store.name("index key", &[text.as_bytes()])
    }

    fn write(&self, bytes: &[u8]) -> Result<blobs::Key, Error> {
        let mut writer = self.store.blobs().create()?;
        writer.write_all(bytes)?;
        Ok(writer.finish()?)
    }

    fn remove(&self, keys: &[blobs::Key]) -> Result<(), Error> {
        keys.iter()
            .try_for_each(|key| self.store.blobs().remove(key))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
