//! Keeping small things secret: single values, and things sealed to one node. Whatever is longer is
//! sealed as a [`super::stream`].
//!
//! - [`seal_value`], [`open_value`]: XChaCha20-Poly1305 with a random 24-byte nonce in front.
//! - [`seal_to`], [`SealSecret::open`]: HPKE base mode (RFC 9180), X25519, HKDF-SHA256,
//!   ChaCha20-Poly1305.

use std::fmt;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::codec::Bytes;
use crate::crypto::hash;
use crate::ids::SealKey;

/// A 256-bit symmetric key, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key made of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes. Named, so that nobody prints them unaware.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key made of this one for something that `parts` tell from all else: BLAKE3 in
    /// key-derivation mode.
    pub fn derive(&self, label: &str, parts: &[&[u8]]) -> Self {
        let parts: Vec<&[u8]> = [&self.0[..]]
            .into_iter()
            .chain(parts.iter().copied())
            .collect();
        Self(hash::parts(label, &parts).0.0)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Seals one small value; `place` says where it belongs and must be given to open it.
pub fn seal_value(key: &SecretKey, place: &[u8], value: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    let payload = Payload {
        msg: value,
        aad: place,
    };
    let sealed = XChaCha20Poly1305::new((&key.0).into())
        .encrypt((&nonce).into(), payload)
        .expect("XChaCha20-Poly1305 fails only beyond 256 GiB a message");
    [&nonce[..], &sealed].concat()
}

/// Opens what [`seal_value`] sealed.
///
/// # Errors
/// If key or place differ, or a bit was changed.
pub fn open_value(
    key: &SecretKey,
    place: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or(DoesNotOpen)?;
    let payload = Payload {
        msg: sealed,
        aad: place,
    };
    XChaCha20Poly1305::new((&key.0).into())
        .decrypt(nonce.into(), payload)
        .map(Zeroizing::new)
        .map_err(|_| DoesNotOpen)
}

/// Something sealed to one node (RFC 9180, base mode).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedTo {
    encapsulated: Bytes,
    ciphertext: Bytes,
}

/// The secret half of a [`SealKey`], wiped when dropped.
pub struct SealSecret(Zeroizing<[u8; 32]>);

impl SealSecret {
    /// A fresh secret.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The secret of a 32-byte seed (RFC 9180 `DeriveKeyPair`).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    /// The seed, to be kept in a file of mode 0600 and nowhere else.
    pub const fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.0
    }

    fn keys(
        &self,
    ) -> (
        <X25519HkdfSha256 as Kem>::PrivateKey,
        <X25519HkdfSha256 as Kem>::PublicKey,
    ) {
        X25519HkdfSha256::derive_keypair(&*self.0)
    }

    /// The public half.
    pub fn public(&self) -> SealKey {
        SealKey::new(self.keys().1.to_bytes().into())
    }

    /// Opens what was sealed to us in `context`.
    ///
    /// # Errors
    /// If it was sealed to another, in another context, or was changed.
    pub fn open(
        &self,
        context: &[u8],
        sealed: &SealedTo,
    ) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.encapsulated.0)
                .map_err(|_| DoesNotOpen)?;
        hpke::single_shot_open::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.keys().0,
            &encapsulated,
            b"fairshare v1 sealed to",
            &sealed.ciphertext.0,
            context,
        )
        .map(Zeroizing::new)
        .map_err(|_| DoesNotOpen)
    }
}

impl fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealSecret({:?})", self.public())
    }
}

/// Seals `message` to the holder of `to`'s secret; `context` must be given to open it.
///
/// # Errors
/// If `to` is not a usable X25519 key.
pub fn seal_to(
    to: &SealKey,
    context: &[u8],
    message: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Result<SealedTo, DoesNotOpen> {
    let to =
        <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| DoesNotOpen)?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            b"fairshare v1 sealed to",
            message,
            context,
            &mut rng,
        )
        .map_err(|_| DoesNotOpen)?;
    Ok(SealedTo {
        encapsulated: encapsulated.to_bytes().to_vec().into(),
        ciphertext: ciphertext.into(),
    })
}

/// Sealed under another key, in another place, or changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not open: sealed under another key or for another place, or changed since")]
pub struct DoesNotOpen;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_in_its_place_only() {
        let key = SecretKey::generate(&mut rand::rng());
        let sealed = seal_value(&key, b"here", b"value", &mut rand::rng());
        assert_eq!(**open_value(&key, b"here", &sealed).unwrap(), *b"value");
        assert!(open_value(&key, b"there", &sealed).is_err());
        assert!(open_value(&key, b"here", &sealed[..20]).is_err());
    }

    #[test]
    fn what_is_sealed_to_a_node_opens_for_it_alone() {
        let one = SealSecret::generate(&mut rand::rng());
        let two = SealSecret::generate(&mut rand::rng());
        let sealed = seal_to(&one.public(), b"ask", b"user", &mut rand::rng()).unwrap();
        assert_eq!(**one.open(b"ask", &sealed).unwrap(), *b"user");
        assert!(one.open(b"other", &sealed).is_err());
        assert!(two.open(b"ask", &sealed).is_err());
        let again = SealSecret::from_seed(one.seed());
        assert_eq!(again.public(), one.public());
    }
}
