//! A bundle chunk by chunk: sealed on one side; on the other its ciphertext is counted and hashed as
//! it arrives, and opened and read once there is the key.

use super::{Bad, Manifest, Reading, Root};
use crate::codec::Roomy;
use crate::crypto::seal::DoesNotOpen;
use crate::crypto::stream::{Opener, Sealer, StreamKey, TAG};
use crate::ids::Hash;
use crate::limits::BUNDLE_CHUNK;

/// The next chunk's plaintext length when `left` bytes are left, and whether it is the last.
fn next(left: u64) -> (usize, bool) {
    let size = usize::try_from(left).map_or(BUNDLE_CHUNK, |left| left.min(BUNDLE_CHUNK));
    (size, left <= BUNDLE_CHUNK as u64)
}

/// The chunks of a bundle whose plaintext, padding included, has `size` bytes.
pub const fn chunks(size: u64) -> u64 {
    size.div_ceil(BUNDLE_CHUNK as u64)
}

/// The bytes of its ciphertext.
pub const fn sealed(size: u64) -> u64 {
    size + chunks(size) * TAG as u64
}

/// The bytes of the first `chunks` chunks of it.
pub const fn arrived(size: u64, chunks: u64) -> u64 {
    let (here, all) = ((BUNDLE_CHUNK + TAG) as u64 * chunks, sealed(size));
    if here < all { here } else { all }
}

/// A bundle of ours, sealed as its plaintext comes.
pub struct Sealing {
    sealer: Sealer,
    root: Root,
    size: u64,
    /// Plaintext still to come, padding included and not.
    left: u64,
    unpadded: u64,
}

impl Sealing {
    /// Seals a plaintext of `length` bytes, padded, under `key`, which seals nothing else.
    pub fn new(key: &StreamKey, context: Hash, length: u64) -> Self {
        let size = super::padded(length);
        Self {
            sealer: Sealer::new(key, context),
            root: Root::default(),
            size,
            left: size,
            unpadded: length,
        }
    }

    /// Bytes of plaintext, padding included.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes the next chunk takes of the plaintext; none at its end, where padding follows.
    pub fn wanted(&self) -> usize {
        // At most a chunk.
        usize::try_from(self.unpadded.min(next(self.left).0 as u64)).unwrap_or(BUNDLE_CHUNK)
    }

    /// The next chunk, sealed, and whether it is the last; none if `plain` is not as long as
    /// [`Sealing::wanted`], or nothing is left.
    pub fn seal(&mut self, mut plain: Roomy) -> Option<(Roomy, bool)> {
        let (size, last) = next(self.left);
        if self.left == 0 || plain.len() != self.wanted() {
            return None;
        }
        self.unpadded -= plain.len() as u64;
        self.left -= size as u64;
        plain.resize(size);
        let tag = self.sealer.seal_apart(plain.as_mut(), last);
        plain.push(&tag);
        self.root.add(plain.as_ref());
        Some((plain, last))
    }

    /// The root over all chunks sealed so far.
    pub fn root(&self) -> Hash {
        self.root.hash()
    }
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealing({} of {} bytes left)", self.left, self.size)
    }
}

/// The ciphertext of a bundle of the peer's, as it arrives.
#[derive(Debug, Clone)]
pub struct Arriving {
    root: Root,
    size: u64,
    left: u64,
}

impl Arriving {
    /// A bundle whose plaintext, padding included, has `size` bytes; `root` is over those of its
    /// chunks that are here already, `chunks` of them.
    pub fn new(size: u64, root: Root, chunks: u64) -> Self {
        let left = size.saturating_sub(chunks.saturating_mul(BUNDLE_CHUNK as u64));
        Self { root, size, left }
    }

    /// Bytes of plaintext, padding included.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next chunk; says whether it is the last, or nothing if it is not as long as the
    /// next chunk of this bundle is.
    pub fn push(&mut self, sealed: &[u8]) -> Option<bool> {
        let (size, last) = next(self.left);
        if self.left == 0 || sealed.len() != size + TAG {
            return None;
        }
        self.root.add(sealed);
        self.left -= size as u64;
        Some(last)
    }

    /// The root, once all is here.
    pub fn root(&self) -> Option<Hash> {
        (self.left == 0).then(|| self.root.hash())
    }
}

/// A bundle of the peer's being opened and read.
pub struct Opening {
    opener: Opener,
    reading: Reading,
    left: u64,
}

/// Why a bundle cannot be read. Whoever showed it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A chunk that does not open, or more or fewer than were announced.
    #[error("the bundle does not open as announced")]
    Sealed,
    /// Plaintext that is not a bundle.
    #[error(transparent)]
    Bundle(#[from] Bad),
}

impl From<DoesNotOpen> for Unreadable {
    fn from(_: DoesNotOpen) -> Self {
        Self::Sealed
    }
}

impl Opening {
    /// Opens a bundle whose plaintext, padding included, has `size` bytes.
    pub fn new(key: &StreamKey, context: Hash, size: u64) -> Self {
        Self {
            opener: Opener::new(key, context),
            reading: Reading::default(),
            left: size,
        }
    }

    /// The bytes of the next chunk of ciphertext; none after the last.
    pub fn wanted(&self) -> usize {
        match self.left {
            0 => 0,
            left => next(left).0 + TAG,
        }
    }

    /// Opens the next chunk in place.
    ///
    /// # Errors
    /// If it is not the next chunk, or its plaintext not what a bundle has there.
    pub fn open(&mut self, chunk: &mut Vec<u8>) -> Result<(), Unreadable> {
        let (size, last) = next(self.left);
        if chunk.len() != self.wanted() {
            return Err(Unreadable::Sealed);
        }
        self.opener.open(chunk, last)?;
        self.left -= size as u64;
        Ok(self.reading.push(chunk)?)
    }

    /// The manifest of a bundle that was opened whole.
    ///
    /// # Errors
    /// If something is missing.
    pub fn finish(self) -> Result<Manifest, Unreadable> {
        if self.left > 0 {
            return Err(Unreadable::Sealed);
        }
        Ok(self.reading.finish()?)
    }
}
