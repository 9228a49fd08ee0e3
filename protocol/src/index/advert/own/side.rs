//! What nobody else may see of an advert, and the key that makes its entries.

use std::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::blind::{Dst, Secret};
use crate::ids::{FederationId, Point};
use crate::index::key::IndexKey;
use crate::redact::Redacted;

/// What stands behind one entry of our advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The person of this number, counting from 0 in the order their keys were given.
    Person(u32),
    /// The canary of this number.
    Canary(u32),
}

impl Slot {
    /// Whether it is a person's.
    pub const fn is_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }
}

/// What a member keeps of its advert, to be sealed in its store. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SecretSide {
    pub(super) key: Redacted<[u8; 32]>,
    pub(super) seed: Redacted<[u8; 32]>,
    pub(super) people: u32,
    pub(super) canaries: u32,
    #[zeroize(skip)]
    pub(super) slots: Vec<Slot>,
}

impl fmt::Debug for SecretSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSide({} entries)", self.slots.len())
    }
}

/// The key of one member and epoch, before there is an advert: it turns index keys into entries.
#[derive(Debug, Clone)]
pub struct Blinding {
    pub(super) federation: FederationId,
    pub(super) epoch: u32,
    pub(super) secret: Secret,
}

impl Blinding {
    /// A fresh key for this epoch.
    pub fn generate(federation: &FederationId, epoch: u32, rng: &mut dyn CryptoRng) -> Self {
        Self {
            federation: *federation,
            epoch,
            secret: Secret::generate(rng),
        }
    }

    /// `H(x)^k` of every key, in their order. The heavy part of making an advert: a caller may cut
    /// the list and run the pieces side by side.
    pub fn entries(&self, keys: &[IndexKey]) -> Vec<Point> {
        let texts: Vec<_> = keys.iter().map(IndexKey::expose).collect();
        let messages = texts.iter().map(|text| text.as_bytes());
        let dst = Dst::index(&self.federation, self.epoch);
        self.secret.blind(messages, &dst)
    }
}
