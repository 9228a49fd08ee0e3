//! Generations of a peer's advert: one gives way to the next, of which nothing may be missing.

use fairshare_protocol::ids::{OdsCode, Point, PublicKey};
use fairshare_protocol::index::advert::Header;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::adverts::peer_key;
use super::{Index, PeerAdvert};
use crate::store::{Error, blobs};

/// A whole advert of a peer's that is followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Earlier {
    header: Signed<Header>,
    pub(super) entries: Vec<blobs::Key>,
}

impl PeerAdvert {
    /// What stays of it when `next` begins, and what goes: the last whole one of an epoch stays.
    fn give_way(self, next: &Signed<Header>) -> (Option<Earlier>, Vec<blobs::Key>) {
        let epoch = |header: &Signed<Header>| header.peek().ok().map(|header| header.epoch);
        let (stays, mut goes) = match self.whole {
            Some(_) => {
                let (header, entries) = (self.header, self.entries);
                (Some(Earlier { header, entries }), Vec::new())
            }
            None => (self.earlier, self.entries),
        };
        match stays {
            Some(stays) if epoch(&stays.header) != epoch(next) => {
                goes.extend(stays.entries);
                (None, goes)
            }
            stays => (stays, goes),
        }
    }
}

impl Index {
    /// Begins a peer's new advert; what was here of another is removed, except the last whole one
    /// of the same epoch, until this one is complete.
    ///
    /// # Errors
    /// If the store fails.
    pub fn begin_peer(&self, peer: &OdsCode, header: Signed<Header>) -> Result<(), Error> {
        let before = self.peer(peer)?;
        let gives_way = before.map(|before| before.give_way(&header));
        let (earlier, gone) = gives_way.unwrap_or_default();
        let begun = PeerAdvert {
            header,
            entries: Vec::new(),
            whole: None,
            earlier,
        };
        self.adverts.put(&peer_key(peer), &begun)?;
        self.store.commit_now()?;
        self.remove(&gone)
    }

    /// Marks a peer's advert as whole and checked; the one before may go. Blocks.
    ///
    /// # Errors
    /// If the store fails, or nothing was begun.
    pub fn complete(&self, peer: &OdsCode, now: Timestamp) -> Result<(), Error> {
        let mut held = self.peer(peer)?.ok_or(Error::Shape { table: "adverts" })?;
        held.whole = Some(now);
        let earlier = held.earlier.take();
        self.adverts.put(&peer_key(peer), &held)?;
        let Some(earlier) = earlier else {
            return Ok(());
        };
        self.store.commit_now()?;
        self.remove(&earlier.entries)
    }

    /// Forgets the entries of a peer's advert. Its header stays: the peer has signed it, and
    /// whoever is allowed another for the same generation sees the first round of another match.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget_entries(&self, peer: &OdsCode) -> Result<(), Error> {
        match self.peer(peer)? {
            Some(held) => self.begin_peer(peer, held.header),
            None => Ok(()),
        }
    }

    /// The entries of the generation before the one that has begun, and of its batches as far as
    /// we answered them; none if there was none in this epoch. What the peer signed under an
    /// earlier node key no longer binds it. Blocks.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn earlier_entries(&self, peer: &OdsCode, key: &PublicKey) -> Result<Vec<Point>, Error> {
        let earlier = self.peer(peer)?.and_then(|held| held.earlier);
        let Some(earlier) = earlier.filter(|it| it.header.signer() == key) else {
            return Ok(Vec::new());
        };
        let mut entries = self.entries(&earlier.entries)?;
        if let Some(pair) = self.pair(peer)?
            && pair.theirs == earlier.header.hash()
        {
            entries.extend(self.entries(&pair.batches())?);
        }
        Ok(entries)
    }
}
