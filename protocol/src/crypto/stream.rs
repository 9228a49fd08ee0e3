//! Chunked authenticated encryption: what bundles and files at rest are sealed with.
//!
//! The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM (NIST SP
//! 800-38D) or ChaCha20-Poly1305 (RFC 8439), whichever is faster where it is sealed. The key is fresh
//! for every stream, so the nonce is an 11-byte big-endian chunk counter and one byte that is 1 on the
//! last chunk only. The context is every chunk's associated data. Dropped, swapped, repeated or
//! cut-off chunks do not open. The cipher goes with the key: a stream opens under no other.

use std::fmt;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::seal::{DoesNotOpen, SecretKey};
use crate::crypto::hash;
use crate::ids::{ExchangeId, Hash};

/// Bytes a sealed chunk is longer than its plaintext.
pub const TAG: usize = 16;

/// How a stream is sealed. Both are constant-time with or without help of the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cipher {
    /// RFC 8439: the faster one without help.
    ChaCha20Poly1305,
    /// NIST SP 800-38D: the faster one where the processor has AES and carry-less multiplication.
    Aes256Gcm,
}

impl Cipher {
    /// All of them, in wire order.
    pub const ALL: [Self; 2] = [Self::ChaCha20Poly1305, Self::Aes256Gcm];

    /// The faster one on this processor.
    pub fn fastest() -> Self {
        match has_aes() {
            true => Self::Aes256Gcm,
            false => Self::ChaCha20Poly1305,
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
const fn has_aes() -> bool {
    false
}

/// The key of one stream, and the cipher it is for; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamKey {
    cipher: Cipher,
    secret: SecretKey,
}

impl StreamKey {
    /// A fresh key, for the [fastest](Cipher::fastest) cipher.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::new(Cipher::fastest(), SecretKey::generate(rng))
    }

    /// The key made of this secret, which is used for nothing else.
    pub const fn new(cipher: Cipher, secret: SecretKey) -> Self {
        Self { cipher, secret }
    }

    /// As [`SecretKey::derive`], for the same cipher.
    pub fn derive(&self, label: &str, parts: &[&[u8]]) -> Self {
        Self::new(self.cipher, self.secret.derive(label, parts))
    }

    /// The hash by which a commitment names this key and its cipher: BLAKE3 in key-derivation mode
    /// over them and the exchange, so that it tells nothing of the key and fits no other exchange.
    pub fn commit(&self, exchange: &ExchangeId) -> Hash {
        let cipher = [self.cipher as u8];
        let parts: [&[u8]; 3] = [self.secret.expose(), &cipher, exchange.as_bytes()];
        hash::parts("bundle key hash", &parts)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({:?}, …)", self.cipher)
    }
}

/// A stream, from either side. The library wipes what it made of the key when it frees it.
struct Stream {
    key: LessSafeKey,
    context: Hash,
    next: u64,
}

impl Stream {
    fn new(key: &StreamKey, context: Hash) -> Self {
        let algorithm: &Algorithm = match key.cipher {
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Cipher::Aes256Gcm => &AES_256_GCM,
        };
        let unbound = UnboundKey::new(algorithm, key.secret.expose());
        Self {
            key: LessSafeKey::new(unbound.expect("both ciphers take keys of 32 bytes")),
            context,
            next: 0,
        }
    }

    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = u8::from(last);
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Seals a stream of chunks under a key used for nothing else.
pub struct Sealer(Stream);

impl Sealer {
    /// Starts a stream.
    pub fn new(key: &StreamKey, context: Hash) -> Self {
        Self(Stream::new(key, context))
    }

    /// Seals the next chunk in place: it grows by [`TAG`] bytes.
    pub fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) {
        let tag = self.seal_apart(chunk, last);
        chunk.extend_from_slice(&tag);
    }

    /// Seals the next chunk in place, and gives what follows it.
    pub fn seal_apart(&mut self, chunk: &mut [u8], last: bool) -> [u8; TAG] {
        let nonce = self.0.nonce(last);
        let context = Aad::from(self.0.context.as_bytes());
        let sealed = self.0.key.seal_in_place_separate_tag(nonce, context, chunk);
        let tag = sealed.expect("both ciphers fail only beyond 64 GiB a message");
        let mut follows = [0; TAG];
        follows.copy_from_slice(tag.as_ref());
        follows
    }
}

/// Opens what a [`Sealer`] sealed, chunk by chunk in the same order.
pub struct Opener(Stream);

impl Opener {
    /// Starts a stream.
    pub fn new(key: &StreamKey, context: Hash) -> Self {
        Self(Stream::new(key, context))
    }

    /// Opens the next chunk in place: it shrinks by [`TAG`] bytes.
    ///
    /// # Errors
    /// If it is not the next chunk of this stream, or not marked as `last` says.
    pub fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), DoesNotOpen> {
        let nonce = self.0.nonce(last);
        let context = Aad::from(self.0.context.as_bytes());
        let opened = self.0.key.open_in_place(nonce, context, chunk);
        let length = opened.map_err(|_| DoesNotOpen)?.len();
        chunk.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &StreamKey, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut sealer = Sealer::new(key, Hash::new([7; 32]));
        let last = chunks.len() - 1;
        let seal = |(i, chunk): (usize, &&[u8])| {
            let mut chunk = chunk.to_vec();
            sealer.seal(&mut chunk, i == last);
            chunk
        };
        chunks.iter().enumerate().map(seal).collect()
    }

    fn opens(key: &StreamKey, context: u8, chunks: &[Vec<u8>]) -> bool {
        let mut opener = Opener::new(key, Hash::new([context; 32]));
        let last = chunks.len() - 1;
        chunks
            .iter()
            .enumerate()
            .all(|(i, chunk)| opener.open(&mut chunk.clone(), i == last).is_ok())
    }

    #[test]
    fn a_stream_opens_whole_in_order_in_its_context_and_under_its_cipher_only() {
        for (cipher, another) in
            [Cipher::ALL, [Cipher::ALL[1], Cipher::ALL[0]]].map(|[a, b]| (a, b))
        {
            let secret = SecretKey::generate(&mut rand::rng());
            let key = StreamKey::new(cipher, secret.clone());
            let chunks = sealed(&key, &[b"one", b"two", b""]);
            assert!(opens(&key, 7, &chunks));
            assert!(!opens(&key, 8, &chunks), "another context");
            let other = StreamKey::new(cipher, SecretKey::new([1; 32]));
            assert!(!opens(&other, 7, &chunks), "another key");
            let other = StreamKey::new(another, secret);
            assert!(!opens(&other, 7, &chunks), "another cipher");
            assert!(!opens(&key, 7, &chunks[..2]), "cut off");
            let mut swapped = chunks.clone();
            swapped.swap(0, 1);
            assert!(!opens(&key, 7, &swapped), "swapped");
            let mut changed = chunks;
            changed[1][0] ^= 1;
            assert!(!opens(&key, 7, &changed), "changed");
        }
    }

    #[test]
    fn a_key_hash_fits_one_exchange_and_one_cipher() {
        let hash = |cipher, n| {
            let key = StreamKey::new(cipher, SecretKey::new([3; 32]));
            key.commit(&ExchangeId::new([n; 16]))
        };
        let [one, other] = Cipher::ALL;
        assert_eq!(hash(one, 1), hash(one, 1));
        assert_ne!(hash(one, 1), hash(one, 2));
        assert_ne!(hash(one, 1), hash(other, 1));
    }

    /// RFC 8439 and NIST SP 800-38D come with the libraries' own tests; this pins how they are used.
    #[test]
    fn what_was_sealed_once_opens_for_ever() {
        for (cipher, expected) in Cipher::ALL.into_iter().zip(SEALED) {
            let key = StreamKey::new(cipher, SecretKey::new([5; 32]));
            let chunks = sealed(&key, &[b"one", b"two"]);
            let text = chunks
                .iter()
                .map(|chunk| data_encoding::HEXLOWER.encode(chunk));
            assert_eq!(text.collect::<Vec<_>>(), expected, "{cipher:?}");
        }
    }

    const SEALED: [[&str; 2]; 2] = [
        [
            "be58fbd9532f7f6984fc7a9b464c65e671d50d",
            "052685aa8a987728a560aa4e06ecf3f0f4ae54",
        ],
        [
            "668330433c5c58edaaadd2fa1560cef69d2e44",
            "819ac62d64e8e9dbf52dc6960b992a25cbf2ce",
        ],
    ];
}
