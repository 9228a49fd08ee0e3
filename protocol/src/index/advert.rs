//! Adverts: the shuffled `H(x)^k` of a member's index keys among canaries (protocol.md section 3).
//!
//! One advert serves every peer for an epoch. It is cut into chunks of [`MAX_CHUNK_ENTRIES`]; the
//! signed [`Header`] fixes the whole by the root over the chunks' hashes. [`own`] makes adverts
//! and keeps their secret side.
//!
//! An advert is void, and its member is shown as at fault, if its header is not what the roster
//! says ([`Header::check`]), a chunk is not the one the header names, an entry is the identity,
//! not canonical, or there twice, or one of an earlier generation is missing. Whether an entry is
//! canonical shows when it is decompressed to be raised (`index::matching`): once is enough.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::crypto::blind;
use crate::crypto::hash;
use crate::ids::{FederationId, Fixed, Hash, OdsCode, Point, PublicKey};
use crate::limits::{
    CLOCK_SKEW, MAX_ADVERT, MAX_CHUNK_ENTRIES, MAX_GENERATIONS, MIN_ADVERT, MIN_CANARIES,
};
use crate::statement::{self, Body, Signed};
use crate::time::Timestamp;

pub mod own;

/// What a member says about its advert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its federation.
    pub federation: FederationId,
    /// Whose it is.
    pub member: OdsCode,
    /// The epoch whose `H` and key it uses.
    pub epoch: u32,
    /// 1 for the first of an epoch; a later one holds every entry of the earlier ones.
    pub generation: u32,
    /// When it was made, by its member's clock: the age of its index.
    pub made: Timestamp,
    /// `g^k`.
    pub key: Point,
    /// How many entries, canaries included.
    pub count: u32,
    /// Hash over the chunks' hashes, see [`root`].
    pub root: Hash,
}

impl Body for Header {
    const LABEL: &'static str = "advert header";
}

/// What a received header is held against.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Our federation.
    pub federation: FederationId,
    /// Whose advert it should be.
    pub member: OdsCode,
    /// That member's node key.
    pub signer: PublicKey,
    /// The epoch we are in.
    pub epoch: u32,
    /// How many people the roster says the member may advertise.
    pub population: u64,
    /// `g^k` of every other member's header, ours included.
    pub taken: BTreeSet<Point>,
    /// Our clock.
    pub now: Timestamp,
}

impl Header {
    /// The header, if it is what it should be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(signed: &Signed<Self>, expected: &Expected) -> Result<Self, Void> {
        let header = signed.verify(&expected.signer)?;
        if header.federation != expected.federation || header.member != expected.member {
            return Err(Void::Other);
        }
        if header.epoch != expected.epoch {
            return Err(Void::Epoch {
                theirs: header.epoch,
                ours: expected.epoch,
            });
        }
        if !(1..=MAX_GENERATIONS).contains(&header.generation) {
            return Err(Void::Generation(header.generation));
        }
        if header.made > expected.now + CLOCK_SKEW {
            return Err(Void::Ahead);
        }
        let most = cap(expected.population, header.generation);
        if header.count > most {
            return Err(Void::OverCap {
                count: header.count,
                most,
            });
        }
        if (header.count as usize) < MIN_ADVERT {
            return Err(Void::Count(header.count));
        }
        if blind::decompress(&header.key).is_err() || expected.taken.contains(&header.key) {
            return Err(Void::Key);
        }
        Ok(header)
    }

    /// What it is a header of: there is one header for each.
    pub const fn names(&self) -> (&FederationId, &OdsCode, u32, u32) {
        (&self.federation, &self.member, self.epoch, self.generation)
    }

    /// How many chunks its advert has.
    pub const fn chunks(&self) -> u32 {
        self.count.div_ceil(MAX_CHUNK_ENTRIES as u32)
    }

    /// How many entries chunk `number` has; none past the end.
    pub fn chunk_len(&self, number: u32) -> usize {
        let before = number as usize * MAX_CHUNK_ENTRIES;
        (self.count as usize)
            .saturating_sub(before)
            .min(MAX_CHUNK_ENTRIES)
    }
}

/// The steps in which adverts grow, for this many people: at most 3 % of them, never under 1,024.
const fn step(people: usize) -> usize {
    let fine = if people == 0 {
        0
    } else {
        (1 << people.ilog2()) / 32
    };
    if fine > 1024 { fine } else { 1024 }
}

/// The size of an advert of this many people and at least this many canaries.
pub(crate) fn size(people: usize, canaries: usize) -> usize {
    let least = people
        .saturating_add(canaries.max(MIN_CANARIES))
        .max(MIN_ADVERT);
    least.next_multiple_of(step(people))
}

/// The most entries generation `generation` of a member with this population may have: every
/// generation keeps the canaries of those before it, so each may add a step.
pub fn cap(population: u64, generation: u32) -> u32 {
    let people = usize::try_from(population)
        .unwrap_or(MAX_ADVERT)
        .min(MAX_ADVERT);
    let grown = (generation.clamp(1, MAX_GENERATIONS) as usize - 1) * step(people);
    // At most MAX_ADVERT, which fits.
    (size(people, 0) + grown).min(MAX_ADVERT) as u32
}

/// The hash of one chunk of entries or tags.
pub fn chunk_hash(bytes: &[u8]) -> Hash {
    hash::bytes(bytes)
}

/// The hash over the hashes of all chunks.
pub fn root(chunks: &[Hash]) -> Hash {
    hash::parts(
        "chunk root",
        &[&chunks
            .iter()
            .flat_map(|c| *c.as_bytes())
            .collect::<Vec<_>>()],
    )
}

/// The bytes of entries, as hashed and sent.
pub fn to_bytes(entries: &[Point]) -> Vec<u8> {
    entries.iter().flat_map(|entry| *entry.as_bytes()).collect()
}

/// The entries of these bytes; none if they are no whole number of them.
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Point>> {
    let (entries, rest) = bytes.as_chunks::<32>();
    rest.is_empty()
        .then(|| entries.iter().map(|entry| Point(Fixed(*entry))).collect())
}

/// A whole advert, anybody's: its signed header, its entries, the hashes of its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    signed: Signed<Header>,
    header: Header,
    chunks: Vec<Hash>,
    entries: Vec<Point>,
}

impl Advert {
    /// The advert of this header, which was [checked](Header::check), and these entries.
    ///
    /// # Errors
    /// If they are not those the header names, or one is the identity or there twice.
    pub fn new(signed: Signed<Header>, entries: Vec<Point>) -> Result<Self, Void> {
        let header = signed
            .peek()
            .map_err(|_| Void::Statement(statement::Error::Signature))?;
        if entries.len() != header.count as usize {
            return Err(Void::Length);
        }
        let chunks: Vec<_> = entries
            .chunks(MAX_CHUNK_ENTRIES)
            .map(|chunk| chunk_hash(&to_bytes(chunk)))
            .collect();
        if root(&chunks) != header.root {
            return Err(Void::Root);
        }
        check_distinct(&entries)?;
        Ok(Self {
            signed,
            header,
            chunks,
            entries,
        })
    }

    /// The header as signed.
    pub const fn signed(&self) -> &Signed<Header> {
        &self.signed
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hashes of its chunks.
    pub fn chunks(&self) -> &[Hash] {
        &self.chunks
    }

    /// Its entries in their order.
    pub fn entries(&self) -> &[Point] {
        &self.entries
    }

    /// The entries of one chunk; none past the end.
    pub fn chunk(&self, number: u32) -> &[Point] {
        let from = (number as usize * MAX_CHUNK_ENTRIES).min(self.entries.len());
        let to = (from + MAX_CHUNK_ENTRIES).min(self.entries.len());
        &self.entries[from..to]
    }
}

/// Checks that no entry is the identity or there twice.
///
/// # Errors
/// If one is.
pub fn check_distinct(entries: &[Point]) -> Result<(), Void> {
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    // The identity encodes as zeros and so sorts first.
    if sorted.first() == Some(&Point::new([0; 32])) {
        return Err(Void::Identity);
    }
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Void::Repeated);
    }
    Ok(())
}

/// Checks that every entry of an earlier generation is still there. One that left would tell all
/// peers that somebody objected; and whoever may exchange entries asks after more people in an
/// epoch than its cap allows.
///
/// # Errors
/// If one is missing.
pub fn check_kept(earlier: &[Point], entries: &[Point]) -> Result<(), Void> {
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    let there = |entry| sorted.binary_search(entry).is_ok();
    match earlier.iter().all(there) {
        true => Ok(()),
        false => Err(Void::Withdrawn),
    }
}

/// Why an advert does not count. Whoever published it is at fault, unless the epochs differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The header is not that member's statement.
    #[error("the advert's header is not signed by its member: {0}")]
    Statement(#[from] statement::Error),
    /// Of another federation or member.
    #[error("the advert is of another federation or member")]
    Other,
    /// Of another epoch.
    #[error(
        "the advert is of epoch {theirs} and we are in {ours}; try again when both have turned over"
    )]
    Epoch {
        /// Its epoch.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// Generations run from 1 to [`MAX_GENERATIONS`].
    #[error("generation {0} of an advert is none")]
    Generation(u32),
    /// Dated ahead of our clock.
    #[error("the advert is dated ahead of this node's clock; check both clocks")]
    Ahead,
    /// More entries than the roster allows.
    #[error(
        "{count} entries where the roster allows {most}; the stewards can raise the population"
    )]
    OverCap {
        /// Entries.
        count: u32,
        /// Entries allowed.
        most: u32,
    },
    /// Fewer entries than any advert has.
    #[error("{0} entries are fewer than any advert has")]
    Count(u32),
    /// `g^k` is the identity, not canonical, or another member's.
    #[error("the advert's key is no key of its own")]
    Key,
    /// Not as many entries as the header says.
    #[error("not as many entries as the header says")]
    Length,
    /// A chunk is not the one the header names.
    #[error("entries are not those the header names")]
    Root,
    /// An entry is the identity.
    #[error("an entry is the identity")]
    Identity,
    /// An entry is there twice.
    #[error("an entry is there twice")]
    Repeated,
    /// An entry of an earlier generation is gone.
    #[error("an entry of an earlier generation is gone: nothing leaves an advert inside an epoch")]
    Withdrawn,
}

impl Void {
    /// In a word, for the journal and operators.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Statement(_) => "advert-not-signed",
            Self::Other => "advert-of-another",
            Self::Epoch { .. } => "advert-of-another-epoch",
            Self::Generation(_) => "advert-generation",
            Self::Ahead => "advert-dated-ahead",
            Self::OverCap { .. } => "advert-over-cap",
            Self::Count(_) => "advert-too-small",
            Self::Key => "advert-key",
            Self::Length => "advert-length",
            Self::Root => "advert-root",
            Self::Identity => "advert-identity",
            Self::Repeated => "advert-repeated",
            Self::Withdrawn => "advert-withdrawn",
        }
    }
}

#[cfg(test)]
mod tests;
