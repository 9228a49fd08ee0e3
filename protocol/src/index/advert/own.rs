//! Our own advert, and the side of it nobody else may see: the key, the canaries' seed, and which
//! entry is whom.

use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::{Advert, Header, Void, check_distinct, chunk_hash, root, size, to_bytes};
use crate::crypto::blind::{BadPoint, Secret};
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, OdsCode, Point};
use crate::index::canary;
use crate::index::delta::said::{self, Batch};
use crate::limits::{MAX_ADVERT, MAX_CHUNK_ENTRIES, MAX_GENERATIONS};
use crate::redact::Redacted;
use crate::statement::Signed;
use crate::time::Timestamp;

pub use self::side::{Blinding, SecretSide, Slot};

mod side;

/// Our advert with its batches and its secret side.
#[derive(Debug, Clone)]
pub struct Own {
    advert: Arc<Advert>,
    batches: Vec<Arc<Made>>,
    secret: Secret,
    side: SecretSide,
}

/// One of our batches, as it goes out, and what stands behind its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What is signed of it.
    pub batch: Signed<Batch>,
    /// The position of its first entry.
    pub from: u32,
    /// When it was made.
    pub at: Timestamp,
    /// Its entries.
    pub entries: Vec<Point>,
    /// What stands behind each.
    pub slots: Vec<Slot>,
}

impl Own {
    /// The first advert of an epoch: the entries of our people, as [`Blinding::entries`] made them.
    /// Person n is the one of `entries[n]`.
    ///
    /// # Errors
    /// If two people have one key, or there are too many.
    pub fn first(
        member: OdsCode,
        blinding: &Blinding,
        entries: Vec<Point>,
        node: &KeyPair,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let side = SecretSide {
            key: Redacted::new(*blinding.secret.to_bytes()),
            seed: Redacted::new(seed),
            people: 0,
            canaries: 0,
            slots: Vec::new(),
        };
        seed.zeroize();
        let header = Header {
            federation: blinding.federation,
            member,
            epoch: blinding.epoch,
            generation: 0,
            made: now,
            key: blinding.secret.public(),
            count: 0,
            root: Hash::new([0; 32]),
        };
        Self::grown(header, side, Vec::new(), entries, node, rng)
    }

    /// The next generation, with the entries of more people. Every entry stays, old canaries
    /// included: else the difference of two generations would tell who left, and which entries are
    /// canaries. Further canaries are added and all is shuffled again.
    ///
    /// # Errors
    /// If somebody is there already, or there are too many people or generations.
    pub fn next(
        &self,
        more: Vec<Point>,
        node: &KeyPair,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let mut header = self.advert.header().clone();
        header.made = now;
        Self::grown(header, self.side.clone(), self.all(), more, node, rng)
    }

    /// The same advert with one more batch, of the entries of more people; its header stays.
    ///
    /// # Errors
    /// If somebody is there already, or they are too many for one batch.
    pub fn with_batch(
        &self,
        more: Vec<Point>,
        node: &KeyPair,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let size = said::size(more.len()).ok_or(Error::Batch(more.len()))?;
        let (from, number) = (self.len(), self.batches.len() as u32 + 1);
        if from as usize + size > MAX_ADVERT {
            return Err(Error::TooMany(self.side.people as usize + more.len()));
        }
        let mut side = self.side.clone();
        // At most MAX_ADVERT, which fits.
        let (people, canaries) = (more.len() as u32, (size - more.len()) as u32);
        let (people, canaries) = (side.people + people, side.canaries + canaries);
        let mut entries = more;
        entries.extend(canary::entries(side.seed.expose(), side.canaries, canaries));
        let mut slots: Vec<_> = (side.people..people).map(Slot::Person).collect();
        slots.extend((side.canaries..canaries).map(Slot::Canary));
        shuffle(&mut entries, &mut slots, rng);
        (side.people, side.canaries) = (people, canaries);
        side.slots.extend(&slots);
        let header = self.advert.header();
        let batch = Batch {
            federation: header.federation,
            member: header.member.clone(),
            header: self.advert.signed().hash(),
            number,
            from,
            count: size as u32,
            entries: chunk_hash(&to_bytes(&entries)),
            made: now,
        };
        let made = Made {
            batch: Signed::sign(&batch, node),
            from,
            at: now,
            entries,
            slots,
        };
        let mut batches = self.batches.clone();
        batches.push(Arc::new(made));
        let own = Self {
            advert: Arc::clone(&self.advert),
            batches,
            secret: self.secret.clone(),
            side,
        };
        check_distinct(&own.all())?;
        Ok(own)
    }

    /// The entries of the advert and of its batches.
    fn all(&self) -> Vec<Point> {
        let mut entries = self.advert.entries().to_vec();
        entries.extend(self.batches.iter().flat_map(|made| &made.entries));
        entries
    }

    fn grown(
        mut header: Header,
        mut side: SecretSide,
        mut entries: Vec<Point>,
        more: Vec<Point>,
        node: &KeyPair,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        if header.generation >= MAX_GENERATIONS {
            return Err(Error::Generations);
        }
        let people = side.people as usize + more.len();
        let count = size(people, side.canaries as usize);
        if count > MAX_ADVERT {
            return Err(Error::TooMany(people));
        }
        // Both are at most MAX_ADVERT, which fits.
        let (people, canaries) = (people as u32, (count - people) as u32);
        entries.extend(more);
        entries.extend(canary::entries(side.seed.expose(), side.canaries, canaries));
        side.slots.extend((side.people..people).map(Slot::Person));
        side.slots
            .extend((side.canaries..canaries).map(Slot::Canary));
        (side.people, side.canaries) = (people, canaries);
        shuffle(&mut entries, &mut side.slots, rng);
        let chunks: Vec<_> = entries
            .chunks(MAX_CHUNK_ENTRIES)
            .map(|chunk| chunk_hash(&to_bytes(chunk)))
            .collect();
        header.generation += 1;
        header.count = count as u32;
        header.root = root(&chunks);
        Self::restore(side, Signed::sign(&header, node), entries, Vec::new())
    }

    /// The advert as it was stored: its secret side without the batches, header and entries; and
    /// its batches in order.
    ///
    /// # Errors
    /// If they do not belong together.
    pub fn restore(
        mut side: SecretSide,
        signed: Signed<Header>,
        entries: Vec<Point>,
        batches: Vec<Made>,
    ) -> Result<Self, Error> {
        let advert = Advert::new(signed, entries)?;
        let secret = Secret::from_bytes(side.key.expose()).ok_or(Error::Stored)?;
        if advert.entries().len() != side.slots.len() || secret.public() != advert.header().key {
            return Err(Error::Stored);
        }
        for made in &batches {
            let people = made.slots.iter().filter(|slot| slot.is_person()).count();
            if made.from as usize != side.slots.len() || made.entries.len() != made.slots.len() {
                return Err(Error::Stored);
            }
            // At most MAX_ADVERT in all, which fits.
            side.people += people as u32;
            side.canaries += (made.slots.len() - people) as u32;
            side.slots.extend(&made.slots);
        }
        Ok(Self {
            advert: Arc::new(advert),
            batches: batches.into_iter().map(Arc::new).collect(),
            secret,
            side,
        })
    }

    /// What peers see of it.
    pub fn advert(&self) -> &Advert {
        &self.advert
    }

    /// The batches that continue it, in their order.
    pub fn batches(&self) -> &[Arc<Made>] {
        &self.batches
    }

    /// How many entries there are, those of the batches included: positions are below it.
    pub fn len(&self) -> u32 {
        // At most MAX_ADVERT, which fits.
        self.side.slots.len() as u32
    }

    /// Whether there is nothing in it: never, for there are always canaries.
    pub fn is_empty(&self) -> bool {
        self.side.slots.is_empty()
    }

    /// The entry at `position`, of the advert or of a batch.
    pub fn entry(&self, position: u32) -> Option<Point> {
        let count = self.advert.header().count;
        if position < count {
            return self.advert.entries().get(position as usize).copied();
        }
        let at = self.batches.partition_point(|made| made.from <= position);
        let made = self.batches.get(at.checked_sub(1)?)?;
        made.entries.get((position - made.from) as usize).copied()
    }

    /// When the last of it was made.
    pub fn made(&self) -> Timestamp {
        let last = self.batches.last().map(|made| made.at);
        last.unwrap_or(self.advert.header().made)
    }

    /// What must be kept sealed.
    pub const fn secret_side(&self) -> &SecretSide {
        &self.side
    }

    /// What makes entries of further people for [`Own::next`].
    pub fn blinding(&self) -> Blinding {
        let header = self.advert.header();
        Blinding {
            federation: header.federation,
            epoch: header.epoch,
            secret: self.secret.clone(),
        }
    }

    /// Entries of a peer's, raised to our key: the heavy part of a match, some 20 µs each. A caller
    /// may cut a list and run the pieces side by side.
    ///
    /// # Errors
    /// At the first entry that is no point.
    pub fn raise(&self, entries: &[Point]) -> Result<Vec<Point>, BadPoint> {
        self.secret.raise(entries)
    }

    /// What stands behind the entry at `position`.
    pub fn slot(&self, position: u32) -> Option<Slot> {
        self.side.slots.get(position as usize).copied()
    }

    /// How many people are in it.
    pub const fn people(&self) -> u32 {
        self.side.people
    }

    /// How many canaries are in it.
    pub const fn canaries(&self) -> u32 {
        self.side.canaries
    }

    /// The epoch key `k`.
    pub(crate) const fn key(&self) -> &Secret {
        &self.secret
    }

    /// The seed of the canaries.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.side.seed.expose()
    }
}

/// Shuffles entries and what stands behind them alike.
fn shuffle(entries: &mut [Point], slots: &mut [Slot], rng: &mut dyn CryptoRng) {
    for last in (1..entries.len()).rev() {
        let other = below(last + 1, rng);
        entries.swap(last, other);
        slots.swap(last, other);
    }
}

/// A uniform number below `limit`, which is at least 1.
fn below(limit: usize, rng: &mut dyn CryptoRng) -> usize {
    let limit = limit as u64;
    // Numbers from the last, incomplete run of `limit` would favour the small ones.
    let whole = u64::MAX - u64::MAX % limit;
    loop {
        let drawn = rng.next_u64();
        if drawn < whole {
            return (drawn % limit) as usize;
        }
    }
}

/// Why we cannot make or restore our advert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two people with one key, or somebody added twice.
    #[error("our advert would be void: {0}")]
    Void(#[from] Void),
    /// More than an advert can hold.
    #[error("{0} people are more than an advert can hold; split the member")]
    TooMany(usize),
    /// More than a batch can hold.
    #[error("{0} people are more than one batch can hold; they need a new advert")]
    Batch(usize),
    /// No further generation in this epoch.
    #[error("our advert was extended as often as one epoch allows; new people wait for the next")]
    Generations,
    /// What was stored does not belong together.
    #[error("the stored advert and its secret side do not belong together; make a new advert")]
    Stored,
}
