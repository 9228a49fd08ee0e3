//! Blinding in ristretto255 (RFC 9496): `H(x)^k`, and points raised by others raised once more.
//!
//! `H` is `ristretto255_XMD:SHA-512_R255MAP_RO_` of RFC 9380 appendix B: expand_message_xmd with
//! SHA-512, then the one-way map of RFC 9496 section 4.3.4. Every multiplication by a secret is the
//! library's constant-time one. Points are compressed in batches: raise by k/2, then double and
//! compress together, which costs a tenth of compressing one by one.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::ids::{FederationId, Point};

/// Points decompressed or compressed together: enough for the saving, small enough for the cache.
const BATCH: usize = 256;

/// A domain separation tag (RFC 9380 section 3.1), at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dst(Vec<u8>);

impl Dst {
    /// The tag made of these parts; hashed if it is over 255 bytes (RFC 9380 section 5.3.3).
    pub fn new(parts: &[&[u8]]) -> Self {
        let whole = parts.concat();
        if whole.len() <= 255 {
            return Self(whole);
        }
        let hash = Sha512::new()
            .chain_update(b"H2C-OVERSIZE-DST-")
            .chain_update(&whole);
        Self(hash.finalize().to_vec())
    }

    /// The tag of `H` for one federation and epoch (protocol.md section 3).
    pub fn index(federation: &FederationId, epoch: u32) -> Self {
        Self::new(&[
            b"FAIRSHARE-V01-INDEX-with-ristretto255_XMD:SHA-512_R255MAP_RO_-",
            federation.as_bytes(),
            &epoch.to_be_bytes(),
        ])
    }
}

/// expand_message_xmd with SHA-512 (RFC 9380 section 5.3.1), for N ≤ 255 · 64.
pub fn expand<const N: usize>(message: &[u8], dst: &Dst) -> [u8; N] {
    const {
        assert!(
            N > 0 && N <= 255 * 64,
            "expand_message_xmd gives 1 to 16,320 bytes"
        );
    }
    // Both fit: N by the assertion, the tag by its construction.
    let length = (N as u16).to_be_bytes();
    let end = [dst.0.as_slice(), &[dst.0.len() as u8]].concat();
    let first: [u8; 64] = Sha512::new()
        .chain_update([0; 128])
        .chain_update(message)
        .chain_update(length)
        .chain_update([0])
        .chain_update(&end)
        .finalize()
        .into();
    let mut block = [0; 64];
    let mut out = [0; N];
    for (i, run) in out.chunks_mut(64).enumerate() {
        for (byte, first) in block.iter_mut().zip(first) {
            *byte ^= first;
        }
        block = Sha512::new()
            .chain_update(block)
            .chain_update([i as u8 + 1])
            .chain_update(&end)
            .finalize()
            .into();
        run.copy_from_slice(&block[..run.len()]);
    }
    out
}

/// hash_to_ristretto255 (RFC 9380 appendix B).
pub fn hash_to_group(message: &[u8], dst: &Dst) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&expand::<64>(message, dst))
}

/// HashToScalar of RFC 9497 section 4.1; `dst` includes its prefix `HashToScalar-`.
pub fn hash_to_scalar(message: &[u8], dst: &Dst) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&expand::<64>(message, dst))
}

/// A point received, as an element of the group other than the identity.
///
/// # Errors
/// If it is the identity or no canonical encoding (RFC 9496 section 4.3.1).
pub fn decompress(point: &Point) -> Result<RistrettoPoint, NotAPoint> {
    let point = CompressedRistretto(*point.as_bytes())
        .decompress()
        .ok_or(NotAPoint::NotCanonical)?;
    if point.is_identity() {
        return Err(NotAPoint::Identity);
    }
    Ok(point)
}

/// The encoding of one element.
pub fn compress(point: &RistrettoPoint) -> Point {
    Point::new(point.compress().to_bytes())
}

/// A secret exponent, never zero; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Scalar);

impl Secret {
    /// A uniform one from 64 uniform bytes.
    pub fn from_uniform(bytes: &[u8; 64]) -> Self {
        let scalar = Scalar::from_bytes_mod_order_wide(bytes);
        // Uniform bytes give zero once in 2^252; one is as good a choice as any other then.
        Self(if scalar == Scalar::ZERO {
            Scalar::ONE
        } else {
            scalar
        })
    }

    /// A fresh one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *bytes);
        Self::from_uniform(&bytes)
    }

    /// The one of these bytes, as [`Secret::to_bytes`] gave them; none if they are not canonical.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let scalar: Option<Scalar> = Scalar::from_canonical_bytes(*bytes).into();
        scalar.filter(|s| *s != Scalar::ZERO).map(Self)
    }

    /// Its 32 bytes, to be kept sealed and nowhere else.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// `g^k`.
    pub fn public(&self) -> Point {
        compress(&RistrettoPoint::mul_base(&self.0))
    }

    /// `H(x)^k` of every message.
    pub fn blind<'a>(&self, messages: impl Iterator<Item = &'a [u8]>, dst: &Dst) -> Vec<Point> {
        let half = self.half();
        batched(messages.map(|message| *half * hash_to_group(message, dst)))
    }

    /// `p^k` of every point.
    ///
    /// # Errors
    /// At the first point that is the identity or not canonical.
    pub fn raise(&self, points: &[Point]) -> Result<Vec<Point>, BadPoint> {
        let half = self.half();
        let mut raised = Vec::with_capacity(points.len());
        let mut halves = Vec::with_capacity(BATCH.min(points.len()));
        for (at, run) in points.chunks(BATCH).enumerate() {
            halves.clear();
            for (i, point) in run.iter().enumerate() {
                let point = decompress(point).map_err(|why| BadPoint {
                    at: at * BATCH + i,
                    why,
                })?;
                halves.push(*half * point);
            }
            raised.extend(doubled(&halves));
        }
        Ok(raised)
    }

    fn half(&self) -> Zeroizing<Scalar> {
        Zeroizing::new(self.0.div_by_2())
    }

    pub(super) const fn scalar(&self) -> &Scalar {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `g^r` of every secret.
pub fn base_to_each<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Vec<Point> {
    batched(secrets.map(|secret| RistrettoPoint::mul_base(&secret.half())))
}

/// `p^r` of one point and every secret.
///
/// # Errors
/// If the point is the identity or not canonical.
pub fn point_to_each<'a>(
    point: &Point,
    secrets: impl Iterator<Item = &'a Secret>,
) -> Result<Vec<Point>, NotAPoint> {
    let point = decompress(point)?;
    Ok(batched(secrets.map(|secret| *secret.half() * point)))
}

fn batched(halves: impl Iterator<Item = RistrettoPoint>) -> Vec<Point> {
    let mut out = Vec::with_capacity(halves.size_hint().0);
    let mut run = Vec::with_capacity(BATCH);
    for half in halves {
        run.push(half);
        if run.len() == BATCH {
            out.extend(doubled(&run));
            run.clear();
        }
    }
    out.extend(doubled(&run));
    out
}

fn doubled(halves: &[RistrettoPoint]) -> impl Iterator<Item = Point> {
    RistrettoPoint::double_and_compress_batch(halves)
        .into_iter()
        .map(|point| Point::new(point.to_bytes()))
}

/// Why 32 bytes are not a point to work with. Whoever sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPoint {
    /// The identity.
    #[error("the identity")]
    Identity,
    /// No canonical encoding of an element.
    #[error("not a canonical encoding")]
    NotCanonical,
}

/// Which point of a list is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("point {at} is {why}")]
pub struct BadPoint {
    /// Its place in the list.
    pub at: usize,
    /// What is wrong with it.
    pub why: NotAPoint,
}

#[cfg(test)]
mod tests;
