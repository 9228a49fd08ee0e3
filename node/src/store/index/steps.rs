//! What must outlive a broken match: what both said, and how far the work has come.

use std::sync::PoisonError;

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::ids::{Hash, Point};
use fairshare_protocol::index::advert::{from_bytes, to_bytes};
use fairshare_protocol::index::matching::Kept;
use fairshare_protocol::index::matching::tags::{self, Span, Tag};
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use serde::{Deserialize, Serialize};

use super::Index;
use crate::store::Error;
use crate::store::blobs::pages::{self, Pages};

/// A row of `matches`: the epoch, what was said, and where the work lies.
type Row = (u32, Kept, Files);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Files {
    raised: pages::Key,
    heard: pages::Key,
}

/// How far a match has come: the peer's entries raised to our key, a page for each chunk, and the
/// tags heard. Nothing of it is fsynced: what a crash takes is worked out, or heard, again.
pub struct Steps {
    raised: Pages,
    heard: Pages,
}

impl Index {
    /// What was said in the match of these two headers, and how far it has come.
    ///
    /// # Errors
    /// If the store fails.
    pub fn begin(&self, epoch: u32, ours: &Hash, theirs: &Hash) -> Result<(Kept, Steps), Error> {
        let _one = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let key = pair(ours, theirs);
        let (kept, files) = match self.matches.load::<Row>(&key)? {
            Some((_, kept, files)) => (kept, files),
            None => {
                let files = Files {
                    raised: pages::Key::new((MAX_CHUNK_ENTRIES * 32) as u32),
                    heard: pages::Key::new((MAX_CHUNK_ENTRIES * 16) as u32),
                };
                let kept = Kept::default();
                self.matches.put(&key, &(epoch, &kept, &files))?;
                // Known before they are there: no crash leaves files nobody knows of.
                self.store.commit_now()?;
                (kept, files)
            }
        };
        let blobs = self.store.blobs();
        let steps = Steps {
            raised: blobs.pages(&files.raised)?,
            heard: blobs.pages(&files.heard)?,
        };
        Ok((kept, steps))
    }

    /// Keeps what was said in the match of these two headers. Says whether it fits what was kept
    /// before: of two conversations about one match, none may hear another word than the other.
    ///
    /// # Errors
    /// If sled fails, or the match did not [begin](Index::begin).
    pub fn keep(&self, ours: &Hash, theirs: &Hash, kept: &Kept) -> Result<bool, Error> {
        let _one = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let key = pair(ours, theirs);
        let row = self.matches.load::<Row>(&key)?;
        let (epoch, before, files) = row.ok_or(Error::Shape { table: "matches" })?;
        let Some(kept) = together(before, kept.clone()) else {
            return Ok(false);
        };
        self.matches.put(&key, &(epoch, kept, files))?;
        Ok(true)
    }

    /// Removes what was worked out in the match of these two headers, when both sides have kept
    /// their links: until then the other may have to go on. What was said stays.
    ///
    /// # Errors
    /// If the store fails.
    pub fn finish(&self, ours: &Hash, theirs: &Hash) -> Result<(), Error> {
        match self.matches.load::<Row>(&pair(ours, theirs))? {
            Some((_, _, files)) => self.remove_files(&files),
            None => Ok(()),
        }
    }

    fn remove_files(&self, files: &Files) -> Result<(), Error> {
        let blobs = self.store.blobs();
        blobs.remove_pages(&files.raised)?;
        Ok(blobs.remove_pages(&files.heard)?)
    }

    pub(super) fn forget_steps(&self, old: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut matches = self.matches.batch();
        for row in self.matches.scan::<Row>(b"") {
            let (key, (of, _, files)) = row?;
            if old(of) {
                matches.remove(&key);
                self.remove_files(&files)?;
            }
        }
        matches.apply()
    }
}

impl Steps {
    /// A chunk of the peer's entries, raised; none if that was not done yet. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn raised(&self, chunk: u32) -> Result<Option<Vec<Point>>, Error> {
        let page = self.raised.read(chunk)?;
        Ok(page.and_then(|page| from_bytes(&page)))
    }

    /// How many of this many chunks were raised. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn chunks_raised(&self, chunks: u32) -> Result<usize, Error> {
        let there = (0..chunks).map(|chunk| self.raised.is_written(chunk));
        let there: Vec<_> = there.collect::<Result<_, _>>()?;
        Ok(there.into_iter().filter(|there| *there).count())
    }

    /// Keeps a raised chunk. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn keep_raised(&self, chunk: u32, raised: &[Point]) -> Result<(), Error> {
        Ok(self.raised.write(chunk, &to_bytes(raised))?)
    }

    /// Keeps a chunk of tags that was heard. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn keep_heard(&self, chunk: u32, tags: &Bytes) -> Result<(), Error> {
        Ok(self.heard.write(chunk, &tags.0)?)
    }

    /// The tags heard so far, of whole chunks from the first on. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn heard(&self, spans: &[Span]) -> Result<Vec<Tag>, Error> {
        let mut heard = Vec::new();
        for (span, number) in spans.iter().zip(0..) {
            let page = self.heard.read(number)?;
            let tags = page.and_then(|page| tags::from_bytes(&page));
            match tags.filter(|tags| tags.len() == span.to - span.from) {
                Some(tags) => heard.extend(tags),
                None => break,
            }
        }
        Ok(heard)
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
