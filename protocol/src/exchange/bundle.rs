//! The bundle: what one side shows about one person in one exchange, sealed as one.
//!
//! Its plaintext is `[length of the manifest, u32 little-endian][manifest][bodies…][zeros]`. The
//! manifest names every body's length and BLAKE3 hash, in order; the zeros pad the whole to
//! [`padded`], so that its size tells little. It is sealed in chunks of
//! [`crate::limits::BUNDLE_CHUNK`] bytes ([`crate::crypto::stream::Sealer`]) under a key used for nothing else,
//! bound to federation, exchange, members, match and handle. No hash of plaintext leaves it.

use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::codec;
use crate::crypto::hash;
use crate::exchange::notice::Correction;
use crate::ids::{ExchangeId, FederationId, Handle, Hash, MatchId, OdsCode};
use crate::index::key::IndexKey;
use crate::limits::MAX_BUNDLE_ITEMS;
use crate::statement::Body;
use crate::time::Timestamp;

pub mod stream;

/// The longest manifest, in bytes.
pub const MAX_MANIFEST: usize = 16 * 1024 * 1024;

/// The smallest size a plaintext is padded to, in bytes: a letter and a summary, and nothing at all,
/// are alike.
pub const LEAST: u64 = 32 * 1024;

/// What is in a bundle.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose records these are.
    pub author: OdsCode,
    /// When they were put together.
    pub as_of: Timestamp,
    /// Whom they are about.
    pub subject: IndexKey,
    /// What they are, in the order of the bodies.
    pub items: Vec<Item>,
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Manifest({} items by {})", self.items.len(), self.author)
    }
}

/// One record or document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub content: Content,
    /// Bytes of its body.
    pub length: u64,
    /// BLAKE3 of its body.
    pub hash: Hash,
}

/// What an item is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A record about the person.
    Record {
        /// Its category.
        category: Category,
        /// Its type at the author.
        kind: String,
        /// Its id at the author.
        id: String,
        /// Another name by which records of this bundle refer to it, if there is one.
        urn: Option<String>,
    },
    /// A record about nobody that others refer to.
    Supporting {
        /// Its type at the author.
        kind: String,
        /// Its id at the author.
        id: String,
        /// Another name by which records of this bundle refer to it, if there is one.
        urn: Option<String>,
    },
    /// A file that the record before it (attachments not counted) refers to by `name`.
    Attachment {
        /// As the record has it.
        name: String,
        /// Its media type, as the record has it.
        media: String,
    },
    /// A record that was shown before and does not hold any more. It has no body.
    Corrected {
        /// Its category.
        category: Category,
        /// Its type at the author.
        kind: String,
        /// Its id at the author.
        id: String,
        /// Why.
        why: Correction,
    },
}

impl Manifest {
    /// How many records of each category, in the order of categories.
    pub fn counts(&self) -> Vec<(Category, u32)> {
        let mut counts = std::collections::BTreeMap::new();
        for item in &self.items {
            if let Content::Record { category, .. } = &item.content {
                *counts.entry(*category).or_insert(0) += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// The first bytes of the plaintext: the manifest with its length in front.
    ///
    /// # Errors
    /// If it is longer than [`MAX_MANIFEST`] or has more than [`MAX_BUNDLE_ITEMS`] items.
    pub fn head(&self) -> Result<Vec<u8>, Bad> {
        let manifest = codec::encode(self);
        if manifest.len() > MAX_MANIFEST || self.items.len() > MAX_BUNDLE_ITEMS {
            return Err(Bad::Manifest);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_MANIFEST")]
        let length = manifest.len() as u32;
        Ok([&length.to_le_bytes()[..], &manifest].concat())
    }

    /// Bytes of all bodies together.
    pub fn bodies(&self) -> u64 {
        let lengths = self.items.iter().map(|item| item.length);
        lengths.fold(0, u64::saturating_add)
    }
}

/// The size a plaintext of `length` bytes is padded to: at most 12 % more, and only the position of
/// its highest bits is left to see (Padmé; Nikitin and others 2019), at least [`LEAST`].
pub fn padded(length: u64) -> u64 {
    if length <= LEAST {
        return LEAST;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1_u64 << (exponent - kept)) - 1;
    length.saturating_add(mask) & !mask
}

/// What a bundle's chunks are bound to.
pub fn context(
    federation: &FederationId,
    exchange: &ExchangeId,
    from: &OdsCode,
    to: &OdsCode,
    match_id: &MatchId,
    handle: &Handle,
) -> Hash {
    hash::parts(
        "bundle",
        &[
            federation.as_bytes(),
            exchange.as_bytes(),
            from.as_str().as_bytes(),
            to.as_str().as_bytes(),
            match_id.as_bytes(),
            &handle.0.0,
        ],
    )
}

/// The signed root of a bundle: what was shown, provable without showing it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Inside which federation.
    pub federation: FederationId,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who showed.
    pub from: OdsCode,
    /// To whom.
    pub to: OdsCode,
    /// The match of the handle.
    pub match_id: MatchId,
    /// About whom.
    pub handle: Handle,
    /// Hash over the hashes of the sealed chunks, in order.
    pub root: Hash,
    /// [`crate::crypto::stream::StreamKey::commit`] of the key.
    pub key: Hash,
    /// Bytes of plaintext, padding included.
    pub size: u64,
}

impl Body for Shown {
    const LABEL: &'static str = "bundle commitment";
}

/// Gathers the root over sealed chunks.
#[derive(Debug, Clone, Default)]
pub struct Root(blake3::Hasher);

impl Root {
    /// The next sealed chunk.
    pub fn add(&mut self, sealed: &[u8]) {
        self.0.update(hash::bytes(sealed).as_bytes());
    }

    /// The root over all of them.
    pub fn hash(&self) -> Hash {
        hash::parts("bundle root", &[self.0.finalize().as_bytes()])
    }
}

/// Reads a plaintext as it streams past: manifest, bodies against their hashes, padding.
#[derive(Default)]
pub struct Reading {
    head: Vec<u8>,
    manifest: Option<Manifest>,
    /// Index of the item whose body comes next, and what of it has passed.
    item: usize,
    passed: u64,
    hasher: blake3::Hasher,
}

impl Reading {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If they are not what a bundle has there; nothing more may then be read.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        if self.manifest.is_none() {
            bytes = self.push_head(bytes)?;
        }
        while !bytes.is_empty() {
            let items = self.manifest.as_ref().map_or(&[][..], |m| &m.items);
            let Some(item) = items.get(self.item) else {
                let zeros = bytes.iter().all(|byte| *byte == 0);
                return if zeros { Ok(()) } else { Err(Bad::Padding) };
            };
            let left = usize::try_from(item.length - self.passed).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            self.hasher.update(now);
            self.passed += now.len() as u64;
            bytes = later;
            self.close_items()?;
        }
        Ok(())
    }

    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Bad> {
        let take = |head: &mut Vec<u8>, upto: usize, bytes: &'a [u8]| {
            let (now, later) = bytes.split_at(upto.saturating_sub(head.len()).min(bytes.len()));
            head.extend_from_slice(now);
            later
        };
        let bytes = take(&mut self.head, 4, bytes);
        let Some(length) = self.head.first_chunk::<4>() else {
            return Ok(bytes);
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_MANIFEST {
            return Err(Bad::Manifest);
        }
        let bytes = take(&mut self.head, 4 + length, bytes);
        if self.head.len() == 4 + length {
            let manifest: Manifest =
                codec::decode(&self.head[4..], MAX_MANIFEST).map_err(|_| Bad::Manifest)?;
            if manifest.items.len() > MAX_BUNDLE_ITEMS {
                return Err(Bad::Manifest);
            }
            self.manifest = Some(manifest);
            self.head = Vec::new();
            self.close_items()?;
        }
        Ok(bytes)
    }

    /// Checks the hash of every item that is whole, also of those with nothing in them.
    fn close_items(&mut self) -> Result<(), Bad> {
        let items = self.manifest.as_ref().map_or(&[][..], |m| &m.items);
        while let Some(item) = items.get(self.item)
            && item.length == self.passed
        {
            if item.hash.as_bytes() != self.hasher.finalize().as_bytes() {
                return Err(Bad::Body);
            }
            self.hasher.reset();
            self.item += 1;
            self.passed = 0;
        }
        Ok(())
    }

    /// The manifest of a plaintext that has passed whole.
    ///
    /// # Errors
    /// If something is missing.
    pub fn finish(self) -> Result<Manifest, Bad> {
        let manifest = self.manifest.ok_or(Bad::Short)?;
        if self.item < manifest.items.len() {
            return Err(Bad::Short);
        }
        Ok(manifest)
    }
}

/// Why bytes are not a bundle. Whoever showed it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// The manifest is too long or malformed.
    #[error("the bundle's manifest is too long or malformed")]
    Manifest,
    /// A body is not what the manifest says.
    #[error("a record in the bundle is not what its manifest says")]
    Body,
    /// It ends too early.
    #[error("the bundle ends too early")]
    Short,
    /// There is something where only padding may be.
    #[error("the bundle's padding is not empty")]
    Padding,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(bodies: &[&[u8]]) -> Manifest {
        let item = |body: &&[u8]| Item {
            content: Content::Record {
                category: Category::Allergies,
                kind: "AllergyIntolerance".into(),
                id: "1".into(),
                urn: None,
            },
            length: body.len() as u64,
            hash: hash::bytes(body),
        };
        Manifest {
            author: "RH8".parse().unwrap(),
            as_of: Timestamp(5),
            subject: IndexKey {
                nhs: "9990001235".parse().unwrap(),
                born: "1948-11-08".parse().unwrap(),
            },
            items: bodies.iter().map(item).collect(),
        }
    }

    fn plaintext(bodies: &[&[u8]]) -> Vec<u8> {
        let mut plain = manifest(bodies).head().unwrap();
        bodies.iter().for_each(|body| plain.extend_from_slice(body));
        plain.resize(plain.len() + 9, 0);
        plain
    }

    fn read(plain: &[u8], step: usize) -> Result<Manifest, Bad> {
        let mut reading = Reading::default();
        plain.chunks(step).try_for_each(|part| reading.push(part))?;
        reading.finish()
    }

    #[test]
    fn a_bundle_reads_back_however_it_is_cut() {
        let bodies: [&[u8]; 4] = [b"", b"penicillin", b"", b"peanuts"];
        let plain = plaintext(&bodies);
        for step in 1..=plain.len() {
            assert_eq!(read(&plain, step), Ok(manifest(&bodies)), "{step}");
        }
        assert_eq!(manifest(&bodies).counts(), [(Category::Allergies, 4)]);
    }

    #[test]
    fn no_byte_of_a_bundle_can_be_changed_or_left_out() {
        let plain = plaintext(&[b"penicillin", b"peanuts"]);
        let head = manifest(&[b"penicillin", b"peanuts"]).head().unwrap().len();
        for at in head..plain.len() {
            let mut changed = plain.clone();
            changed[at] ^= 1;
            let expected = if at < head + 17 {
                Bad::Body
            } else {
                Bad::Padding
            };
            assert_eq!(read(&changed, 7), Err(expected), "{at}");
        }
        for end in 0..head + 17 {
            assert_eq!(read(&plain[..end], 7), Err(Bad::Short), "{end}");
        }
        let mut long = plain;
        long[..4].fill(0xff);
        assert_eq!(read(&long, 7), Err(Bad::Manifest));
    }

    #[test]
    fn padding_costs_at_most_an_eighth_and_hides_the_low_bits() {
        assert_eq!((padded(0), padded(LEAST)), (LEAST, LEAST));
        let mut sizes = std::collections::BTreeSet::new();
        for length in (LEAST..4_000_000).step_by(997) {
            let size = padded(length);
            assert!(size >= length && size - length <= length / 8, "{length}");
            sizes.insert(size);
        }
        assert!(sizes.len() < 220, "{}", sizes.len());
        assert!(padded(u64::MAX) >= u64::MAX - u64::MAX / 8);
    }
}
