//! What a finished match leaves for those who come later: tables of tags, and the batches since.

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::ids::{Hash, MatchId, OdsCode, Point};
use fairshare_protocol::index::advert::from_bytes;
use fairshare_protocol::index::delta::Kept;
use fairshare_protocol::index::matching::links::Tables;
use fairshare_protocol::index::matching::tags::Tag;
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use serde::{Deserialize, Serialize};

use super::{Index, MatchedWith, Sorted};
use crate::store::{Error, blobs};

/// Two members, from a finished match on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The match.
    pub match_id: MatchId,
    /// Its epoch.
    pub epoch: u32,
    /// Hash of our header.
    pub ours: Hash,
    /// Hash of the peer's.
    pub theirs: Hash,
    /// How far the two have come since.
    pub kept: Kept,
    /// The tags the peer showed for our people, and their positions.
    pub heard: Vec<Sorted>,
    /// The tags the peer would show for its entries, and their positions.
    pub expected: Vec<Sorted>,
    /// The peer's batches: position of the first entry, and the entries.
    batches: Vec<(u32, blobs::Key)>,
}

impl Pair {
    /// Where the entries of the peer's batches lie.
    pub(super) fn batches(&self) -> Vec<blobs::Key> {
        self.batches.iter().map(|(_, key)| key.clone()).collect()
    }
}

impl Index {
    /// What the newest match with a peer left; none without a finished match.
    ///
    /// # Errors
    /// If sled fails.
    pub fn pair(&self, peer: &OdsCode) -> Result<Option<Pair>, Error> {
        self.pairs.load(peer.as_str().as_bytes())
    }

    /// Keeps the tables of a match that has just finished, in place of those before. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn pair_up(
        &self,
        peer: &OdsCode,
        with: &MatchedWith,
        length: u32,
        tables: &Tables,
    ) -> Result<(), Error> {
        let before = self.pair(peer)?;
        let pair = Pair {
            match_id: with.match_id,
            epoch: with.epoch,
            ours: with.ours,
            theirs: with.theirs,
            kept: Kept {
                length,
                ..Kept::default()
            },
            heard: vec![self.sorted(&tables.heard)?],
            expected: vec![self.sorted(&tables.expected)?],
            batches: Vec::new(),
        };
        self.put_pair(peer, &pair)?;
        self.store.commit_now()?;
        before.map_or(Ok(()), |before| {
            self.finish(&before.ours, &before.theirs)?;
            self.remove_pair(&before)
        })
    }

    /// Keeps how far the two have come.
    ///
    /// # Errors
    /// If sled fails, or a newer match has taken the place of this one.
    pub fn keep_pair(
        &self,
        (peer, match_id): (&OdsCode, &MatchId),
        kept: Kept,
    ) -> Result<(), Error> {
        let mut pair = self.the_pair(peer, match_id)?;
        if let Some(mut with) = self.matched(peer)? {
            with.batches = kept.answered;
            with.made = kept.taken.as_ref().map_or(with.made, |taken| taken.made);
            self.keep_matched(peer, &with)?;
        }
        pair.kept = kept;
        self.put_pair(peer, &pair)
    }

    /// Keeps the entries of a batch of the peer's, and its tags for them, by tag. Blocks.
    ///
    /// # Errors
    /// If the store fails, or a newer match has taken the place of this one.
    pub fn add_entries(
        &self,
        (peer, match_id): (&OdsCode, &MatchId),
        from: u32,
        entries: &Bytes,
        expected: &[(Tag, u32)],
    ) -> Result<(), Error> {
        let mut pair = self.the_pair(peer, match_id)?;
        pair.expected.push(self.sorted(expected)?);
        pair.batches.push((from, self.write(&entries.0)?));
        self.put_pair(peer, &pair)
    }

    /// Keeps the tags the peer showed for our people in a batch, by tag. Blocks.
    ///
    /// # Errors
    /// If the store fails, or a newer match has taken the place of this one.
    pub fn add_heard(
        &self,
        (peer, match_id): (&OdsCode, &MatchId),
        heard: &[(Tag, u32)],
    ) -> Result<(), Error> {
        let mut pair = self.the_pair(peer, match_id)?;
        pair.heard.push(self.sorted(heard)?);
        self.put_pair(peer, &pair)
    }

    /// The peer's entries at these positions, of its advert or its batches; none if one is not
    /// there. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub fn entries_at(
        &self,
        peer: &OdsCode,
        positions: &[u32],
    ) -> Result<Option<Vec<Point>>, Error> {
        let (Some(advert), Some(pair)) = (self.peer(peer)?, self.pair(peer)?) else {
            return Ok(None);
        };
        let mut order: Vec<_> = positions.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut found = vec![None; positions.len()];
        let mut open: Option<(u32, Vec<Point>)> = None;
        for (position, at) in order {
            let (from, key) = match pair.batches.partition_point(|(from, _)| *from <= position) {
                0 => {
                    let chunk = position as usize / MAX_CHUNK_ENTRIES;
                    let from = (chunk * MAX_CHUNK_ENTRIES) as u32;
                    (from, advert.entries.get(chunk))
                }
                after => {
                    let (from, key) = &pair.batches[after - 1];
                    (*from, Some(key))
                }
            };
            let Some(key) = key else {
                return Ok(None);
            };
            if open.as_ref().is_none_or(|(open, _)| *open != from) {
                let entries = from_bytes(&self.chunk(key)?);
                open = Some((from, entries.ok_or(Error::Shape { table: "adverts" })?));
            }
            let entries = open.as_ref().map(|(_, entries)| entries);
            found[at] = entries.and_then(|all| all.get((position - from) as usize).copied());
        }
        Ok(found.into_iter().collect())
    }

    pub(super) fn forget_pairs(&self, old: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut pairs = self.pairs.batch();
        for row in self.pairs.scan::<Pair>(b"") {
            let (key, pair) = row?;
            if old(pair.epoch) {
                pairs.remove(&key);
                self.remove_pair(&pair)?;
            }
        }
        pairs.apply()
    }

    /// What this very match left: a newer one may have taken its place meanwhile.
    fn the_pair(&self, peer: &OdsCode, match_id: &MatchId) -> Result<Pair, Error> {
        let pair = self.pair(peer)?.filter(|pair| pair.match_id == *match_id);
        pair.ok_or(Error::Superseded)
    }

    fn put_pair(&self, peer: &OdsCode, pair: &Pair) -> Result<(), Error> {
        self.pairs.put(peer.as_str().as_bytes(), pair)
    }

    fn remove_pair(&self, pair: &Pair) -> Result<(), Error> {
        self.remove_sorted(pair.heard.iter().chain(&pair.expected))?;
        self.remove(&pair.batches())
    }
}
