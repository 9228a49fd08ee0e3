//! A complaint about an exchange, with every signed statement both sides made in it: one file that a
//! third party can check with nothing but the federation's id (protocol.md section 4, "a complaint").
//!
//! The statements prove what was promised, what was acknowledged, and what was opened. That a key or
//! an answer never came cannot be proved: it is the complainant's word, signed, and whoever holds a
//! receipt refutes it. The complaint is answered by releasing the key [again](Release), sealed to
//! the complainant: anybody may carry it.
//!
//! No patient data is in either: the handle names a person to the two members only.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::check::{Bad, Bundle, Checked};
pub use self::stated::{Said, Stated};

use crate::category::words;
use crate::codec;
use crate::crypto::seal::{self, DoesNotOpen, SealSecret, SealedTo};
use crate::crypto::stream::StreamKey;
use crate::ids::{ExchangeId, FederationId, Hash, OdsCode, SealKey};
use crate::roster::Welcome;
use crate::statement::{Body, Signed};
use crate::time::Timestamp;

mod check;
mod stated;
#[cfg(test)]
mod tests;

/// What a file of this kind begins with.
pub const FORMAT: &str = "fairshare dispute 1";

/// What the file with a key released again begins with.
pub const RELEASE_FORMAT: &str = "fairshare release 1";

words! {
    /// What the complainant lacks, as far as the statements go.
    Lack {
        /// It asked, and holds no answer.
        Answer = "no-answer",
        /// A bundle was promised, and did not come whole.
        Bundle = "no-bundle",
        /// It holds a bundle and said so, and its key never came.
        Key = "no-key",
        /// The key came, and what it opens is no bundle.
        Readable = "unreadable",
        /// It showed a bundle, and holds no receipt.
        Receipt = "no-receipt",
        /// Nothing: what was promised was done.
        Nothing = "nothing",
    }
}

/// What a member complains of, signed by its node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// Inside which federation.
    pub federation: FederationId,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who complains.
    pub from: OdsCode,
    /// Of whom.
    pub to: OdsCode,
    /// What it lacks.
    pub lack: Lack,
    /// Hash of the signed commitment to the other's bundle, if there is one.
    pub about: Option<Hash>,
    /// When.
    pub at: Timestamp,
}

impl Body for Complaint {
    const LABEL: &'static str = "complaint";
}

/// A complaint and what shows that it is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// [`FORMAT`].
    pub format: String,
    /// What is complained of.
    pub complaint: Signed<Complaint>,
    /// The charter and all statements under it.
    pub roster: Welcome,
    /// Every statement of the exchange the complainant holds.
    pub statements: Vec<Stated>,
}

/// The key of a bundle, released again to the member that holds its ciphertext. Nobody who carries
/// it can open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Inside which federation.
    pub federation: FederationId,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Whose bundle it is.
    pub from: OdsCode,
    /// Who holds it.
    pub to: OdsCode,
    /// Hash of the signed commitment to the bundle.
    pub commitment: Hash,
    /// The key, sealed to the holder's node.
    pub key: SealedTo,
    /// When.
    pub at: Timestamp,
}

impl Body for Release {
    const LABEL: &'static str = "released again";
}

/// A release, in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// [`RELEASE_FORMAT`].
    pub format: String,
    /// The key, sealed.
    pub release: Signed<Release>,
}

impl Release {
    /// Seals `key` to the complainant, in answer to a complaint about the bundle of `commitment`.
    ///
    /// # Errors
    /// If its seal key is not usable.
    pub fn seal(
        complaint: &Complaint,
        commitment: Hash,
        key: &StreamKey,
        to: &SealKey,
        at: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, DoesNotOpen> {
        let context = context(&complaint.exchange, &commitment);
        let encoded = Zeroizing::new(codec::encode(key));
        Ok(Self {
            federation: complaint.federation,
            exchange: complaint.exchange,
            from: complaint.to.clone(),
            to: complaint.from.clone(),
            commitment,
            key: seal::seal_to(to, &context, &encoded, rng)?,
            at,
        })
    }

    /// The key, for the node it is sealed to.
    ///
    /// # Errors
    /// If it is sealed to another, or for another bundle.
    pub fn open(&self, secret: &SealSecret) -> Result<StreamKey, DoesNotOpen> {
        let bytes = secret.open(&context(&self.exchange, &self.commitment), &self.key)?;
        codec::decode(&bytes, bytes.len()).map_err(|_| DoesNotOpen)
    }
}

fn context(exchange: &ExchangeId, commitment: &Hash) -> Vec<u8> {
    [
        b"key of ",
        &exchange.as_bytes()[..],
        &commitment.as_bytes()[..],
    ]
    .concat()
}
