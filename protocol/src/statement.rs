//! Signed statements: what must outlive the connection it came over (protocol.md section 6).
//!
//! A statement is the exact bytes of its body, its signer, and an Ed25519 signature (RFC 8032,
//! strict verification) over a domain label and those bytes. Verification is always over the bytes
//! received, never over a re-encoding.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Bytes};
use crate::crypto::hash;
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, PublicKey, Signature};
use crate::limits::{MAX_STATEMENT, MAX_STEWARDS};

/// A type that can be stated and signed.
pub trait Body: Serialize + DeserializeOwned {
    /// The domain label: no signature over one kind of statement is one over another.
    const LABEL: &'static str;
}

/// A statement with one signer.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<T> {
    bytes: Bytes,
    signer: PublicKey,
    signature: Signature,
    #[serde(skip)]
    body: PhantomData<fn() -> T>,
}

impl<T: Body> Signed<T> {
    /// States `body` under `key`.
    pub fn sign(body: &T, key: &KeyPair) -> Self {
        let bytes = codec::encode(body);
        let signature = key.sign(&to_be_signed(T::LABEL, &bytes));
        Self {
            bytes: bytes.into(),
            signer: key.public(),
            signature,
            body: PhantomData,
        }
    }

    /// The body, if `signer` signed it.
    ///
    /// # Errors
    /// If it was signed by another, the signature does not hold, or the bytes are no such body.
    pub fn verify(&self, signer: &PublicKey) -> Result<T, Error> {
        if self.signer != *signer {
            return Err(Error::OtherSigner);
        }
        self.signer
            .verify(&to_be_signed(T::LABEL, &self.bytes.0), &self.signature)?;
        Ok(codec::decode(&self.bytes.0, MAX_STATEMENT)?)
    }

    /// The body as written, whoever signed it: for deciding whose signature to demand.
    ///
    /// # Errors
    /// If the bytes are no such body.
    pub fn peek(&self) -> Result<T, Error> {
        Ok(codec::decode(&self.bytes.0, MAX_STATEMENT)?)
    }

    /// Who claims to have signed.
    pub const fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// The statement's name: a hash over label, signer and body.
    pub fn hash(&self) -> Hash {
        hash::parts(T::LABEL, &[self.signer.as_bytes(), &self.bytes.0])
    }
}

/// What stands in for a body when a statement's kind is found by trying.
#[derive(Debug, Clone, Copy)]
pub struct Any;

impl Signed<Any> {
    /// Whether this is the statement of that name, under that label, and its signature holds.
    pub fn is(&self, label: &str, hash: &Hash) -> bool {
        let named = hash::parts(label, &[self.signer.as_bytes(), &self.bytes.0]) == *hash;
        let message = to_be_signed(label, &self.bytes.0);
        named && self.signer.verify(&message, &self.signature).is_ok()
    }

    /// Who claims to have signed.
    pub const fn claimed(&self) -> &PublicKey {
        &self.signer
    }
}

/// A statement with several signers, as stewards make them.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct CoSigned<T> {
    bytes: Bytes,
    signatures: Vec<(PublicKey, Signature)>,
    #[serde(skip)]
    body: PhantomData<fn() -> T>,
}

impl<T: Body> CoSigned<T> {
    /// `body`, signed by nobody yet.
    pub fn draft(body: &T) -> Self {
        Self {
            bytes: codec::encode(body).into(),
            signatures: Vec::new(),
            body: PhantomData,
        }
    }

    /// Adds a signature; signing twice changes nothing.
    pub fn add(&mut self, key: &KeyPair) {
        let signature = key.sign(&to_be_signed(T::LABEL, &self.bytes.0));
        self.merge_one(key.public(), signature);
    }

    /// Takes over the signatures of another copy of the same statement.
    pub fn merge(&mut self, other: &Self) {
        if self.bytes == other.bytes {
            for (signer, signature) in &other.signatures {
                self.merge_one(*signer, *signature);
            }
        }
    }

    fn merge_one(&mut self, signer: PublicKey, signature: Signature) {
        if let Err(at) = self.signatures.binary_search_by_key(&signer, |s| s.0) {
            self.signatures.insert(at, (signer, signature));
        }
    }

    /// The body and all who signed it.
    ///
    /// # Errors
    /// If any signature does not hold, a signer stands twice or out of order, or the bytes are no
    /// such body.
    pub fn verify(&self) -> Result<(T, BTreeSet<PublicKey>), Error> {
        if self.signatures.len() > MAX_STEWARDS || !self.signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::Signers);
        }
        let message = to_be_signed(T::LABEL, &self.bytes.0);
        for (signer, signature) in &self.signatures {
            signer.verify(&message, signature)?;
        }
        let signers = self.signatures.iter().map(|s| s.0).collect();
        Ok((codec::decode(&self.bytes.0, MAX_STATEMENT)?, signers))
    }

    /// The body as written, whoever signed it.
    ///
    /// # Errors
    /// If the bytes are no such body.
    pub fn peek(&self) -> Result<T, Error> {
        Ok(codec::decode(&self.bytes.0, MAX_STATEMENT)?)
    }

    /// Who claims to have signed.
    pub(crate) fn claimed(&self) -> impl Iterator<Item = PublicKey> {
        self.signatures.iter().map(|(signer, _)| *signer)
    }

    /// The statement's name: a hash over label and body. Signatures do not change it.
    pub fn hash(&self) -> Hash {
        hash::parts(T::LABEL, &[&self.bytes.0])
    }
}

fn to_be_signed(label: &str, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(label.len() + bytes.len() + 24);
    message.extend_from_slice(b"fairshare statement v1\0");
    message.extend_from_slice(label.as_bytes());
    message.push(0);
    message.extend_from_slice(bytes);
    message
}

/// Why a statement does not count. Whoever sent it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Signed by another than it should be.
    #[error("signed by another key than it should be")]
    OtherSigner,
    /// A signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// Too many signers, one twice, or out of order.
    #[error("signers are not a sorted set")]
    Signers,
    /// The bytes are no such body.
    #[error(transparent)]
    Codec(#[from] codec::Error),
}

// Written by hand because a derive would ask the same of `T`, which is not there.
impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            signer: self.signer,
            signature: self.signature,
            body: PhantomData,
        }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, self.signer, self.signature) == (&other.bytes, other.signer, other.signature)
    }
}

impl<T> Eq for Signed<T> {}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?} by {:?})", self.bytes, self.signer)
    }
}

impl<T> Clone for CoSigned<T> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            signatures: self.signatures.clone(),
            body: PhantomData,
        }
    }
}

impl<T> PartialEq for CoSigned<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, &self.signatures) == (&other.bytes, &other.signatures)
    }
}

impl<T> Eq for CoSigned<T> {}

impl<T> fmt::Debug for CoSigned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoSigned({:?} by {})", self.bytes, self.signatures.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);
    impl Body for Note {
        const LABEL: &'static str = "note";
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Other(String);
    impl Body for Other {
        const LABEL: &'static str = "other";
    }

    fn key(n: u8) -> KeyPair {
        KeyPair::from_seed(&[n; 32])
    }

    #[test]
    fn a_statement_holds_for_its_signer_and_its_label_only() {
        let signed = Signed::sign(&Note("hello".into()), &key(1));
        assert_eq!(signed.verify(&key(1).public()), Ok(Note("hello".into())));
        assert_eq!(signed.verify(&key(2).public()), Err(Error::OtherSigner));
        let bytes = codec::encode(&signed);
        let other: Signed<Other> = codec::decode(&bytes, 4096).unwrap();
        assert_eq!(other.verify(&key(1).public()), Err(Error::Signature));
    }

    #[test]
    fn no_byte_of_a_statement_can_be_changed() {
        let bytes = codec::encode(&Signed::sign(&Note("hello".into()), &key(1)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let held = codec::decode::<Signed<Note>>(&changed, 4096)
                .is_ok_and(|s| s.verify(&key(1).public()).is_ok());
            assert!(!held, "byte {at}");
        }
    }

    #[test]
    fn stewards_sign_the_same_bytes_in_any_order() {
        let mut one = CoSigned::draft(&Note("admit".into()));
        let mut two = one.clone();
        one.add(&key(1));
        two.add(&key(2));
        two.add(&key(2));
        one.merge(&two);
        let (body, signers) = one.verify().unwrap();
        assert_eq!(body, Note("admit".into()));
        assert_eq!(signers, BTreeSet::from([key(1).public(), key(2).public()]));
        assert_eq!(one.hash(), two.hash());
    }
}
