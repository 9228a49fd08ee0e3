//! Picking a sample out of an advert that goes by chunk by chunk.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::ids::{Hash, Point};
use crate::index::advert::{Header, Void, chunk_hash, from_bytes, root};
use crate::limits::MAX_CHUNK_ENTRIES;

/// The entries of a sample, as they come; and that all that came is what the header names.
#[derive(Debug)]
pub struct Picked<'a> {
    header: &'a Header,
    /// The positions, ascending.
    sample: &'a [u32],
    chunks: Vec<Hash>,
    found: BTreeMap<u32, Point>,
}

impl<'a> Picked<'a> {
    /// Nothing yet of the advert of `header`; `sample` is ascending.
    pub const fn new(header: &'a Header, sample: &'a [u32]) -> Self {
        Self {
            header,
            sample,
            chunks: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    /// How many entries the next chunk has; none after the last.
    pub fn next_len(&self) -> usize {
        self.header.chunk_len(self.number())
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// If it has not as many entries as it should.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        let entries = from_bytes(bytes).filter(|entries| entries.len() == self.next_len());
        let entries = entries.ok_or(Finding::Advert(Void::Length))?;
        let first = self.number() * MAX_CHUNK_ENTRIES as u32;
        let from = self.sample.partition_point(|position| *position < first);
        for position in &self.sample[from..] {
            match entries.get((position - first) as usize) {
                Some(entry) => self.found.insert(*position, *entry),
                None => break,
            };
        }
        self.chunks.push(chunk_hash(bytes));
        Ok(())
    }

    /// The entries of the sample, if all of the advert came and it is what the header names.
    ///
    /// # Errors
    /// If not.
    pub fn end(self) -> Result<BTreeMap<u32, Point>, Finding> {
        if self.number() != self.header.chunks() {
            return Err(Finding::Advert(Void::Length));
        }
        if root(&self.chunks) != self.header.root {
            return Err(Finding::Advert(Void::Root));
        }
        Ok(self.found)
    }

    /// The number of the next chunk.
    fn number(&self) -> u32 {
        // There are as many as a header's count, of 32 bits, allows.
        self.chunks.len() as u32
    }
}
