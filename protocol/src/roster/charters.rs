//! The versions of a federation's charter, and which one is current.
//!
//! A version is founded by the one it names as the version before: that one is held, and enough of
//! its stewards signed. From the first version on, the one version that follows is current. Where
//! two follow, neither is, and nothing is admitted, until one more follows that names all the others
//! void. So which version is current does not depend on the order in which they came.
//!
//! That holds for a version of long ago too: whoever has the keys of enough stewards of *any*
//! version can bring the federation back to it, though admit nobody by that. Keys of stewards who
//! were replaced are worth keeping safe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::incoming::signers;
use super::{Inserted, Refusal};
use crate::charter::{self, Charter, Epochs, Pins, Version};
use crate::ids::{FederationId, Hash};
use crate::limits::{MAX_CHARTERS, MAX_RIVALS};
use crate::statement::CoSigned;

/// All versions held. Copies are cheap.
#[derive(Debug, Clone)]
pub struct Charters {
    first: Arc<CoSigned<Charter>>,
    federation: FederationId,
    known: BTreeMap<Hash, Arc<Known>>,
    current: Current,
}

/// One version that was verified.
#[derive(Debug)]
struct Known {
    signed: CoSigned<Charter>,
    charter: Charter,
    pins: Pins,
    epochs: Epochs,
}

/// What stands at this moment.
#[derive(Debug, Clone)]
pub struct Current {
    known: Arc<Known>,
    hash: Hash,
    /// The versions that follow it, if they contradict each other.
    rivals: BTreeMap<Hash, Arc<Known>>,
}

impl Charters {
    /// The first version alone.
    ///
    /// # Errors
    /// If it does not count.
    pub fn new(first: CoSigned<Charter>) -> Result<Self, charter::Refusal> {
        let charter = Charter::verify(&first)?;
        let hash = first.hash();
        let known = Arc::new(Known {
            epochs: Epochs::first(&charter),
            signed: first.clone(),
            charter,
            pins: Pins::default(),
        });
        Ok(Self {
            federation: Charter::federation(&first),
            first: Arc::new(first),
            known: BTreeMap::from([(hash, Arc::clone(&known))]),
            current: Current {
                known,
                hash,
                rivals: BTreeMap::new(),
            },
        })
    }

    /// The federation.
    pub const fn federation(&self) -> FederationId {
        self.federation
    }

    /// The first version, as signed.
    pub fn first(&self) -> &CoSigned<Charter> {
        &self.first
    }

    /// What stands now.
    pub const fn current(&self) -> &Current {
        &self.current
    }

    /// A version that is held, by its hash.
    pub fn get(&self, hash: &Hash) -> Option<&Charter> {
        self.known.get(hash).map(|known| &known.charter)
    }

    /// Whether a version is held.
    pub fn holds(&self, hash: &Hash) -> bool {
        self.known.contains_key(hash)
    }

    /// Every version after the first, each after the one it follows.
    pub fn later(&self) -> impl Iterator<Item = Version> {
        let mut later: Vec<_> = self
            .known
            .values()
            .filter(|it| it.charter.version > 1)
            .collect();
        later.sort_by_key(|known| known.charter.version);
        later.into_iter().map(|known| Version {
            charter: known.signed.clone(),
            pins: known.pins.clone(),
        })
    }

    /// The hashes of every version after the first.
    pub fn hashes(&self) -> impl Iterator<Item = Hash> {
        let later = self.known.iter().filter(|(_, it)| it.charter.version > 1);
        later.map(|(hash, _)| *hash)
    }

    /// Verifies a version, if that was not done before, and adds it.
    ///
    /// # Errors
    /// Why it is not taken; nothing is then changed.
    pub(super) fn insert(
        &mut self,
        version: &Version,
        verified: bool,
    ) -> Result<Inserted, Refusal> {
        let hash = version.hash();
        if self.holds(&hash) {
            return Ok(Inserted::Known);
        }
        let charter = version.check()?;
        let before = self.before(&charter)?;
        let epochs = before.epochs_of(&charter)?;
        let signers = signers(&version.charter, verified)?;
        before.charter.enough(&signers)?;
        let siblings: BTreeSet<Hash> = self.after(&self.previous(&charter)?).collect();
        let settles = siblings.is_subset(&version.pins.void);
        let most = if settles { 2 * MAX_RIVALS } else { MAX_RIVALS };
        if siblings.len() >= most || self.known.len() >= MAX_CHARTERS {
            return Err(Refusal::Full);
        }
        let known = Known {
            signed: version.charter.clone(),
            charter,
            pins: version.pins.clone(),
            epochs,
        };
        self.known.insert(hash, Arc::new(known));
        self.settle();
        Ok(Inserted::New)
    }

    fn previous(&self, charter: &Charter) -> Result<Hash, Refusal> {
        let missing = charter::Refusal::NotTheFirst(charter.version);
        charter.previous.ok_or(Refusal::Charter(missing))
    }

    fn before(&self, charter: &Charter) -> Result<&Known, Refusal> {
        let previous = self.previous(charter)?;
        let known = self.known.get(&previous).ok_or(Refusal::Unfounded)?;
        Ok(known)
    }

    fn after(&self, previous: &Hash) -> impl Iterator<Item = Hash> {
        let previous = Some(*previous);
        let after = self.known.iter();
        let after = after.filter(move |(_, known)| known.charter.previous == previous);
        after.map(|(hash, _)| *hash)
    }

    /// Finds the current version anew.
    fn settle(&mut self) {
        let (mut hash, mut known) = (self.first.hash(), None);
        let rivals = loop {
            let after: BTreeMap<Hash, Arc<Known>> = self
                .after(&hash)
                .filter_map(|hash| Some((hash, Arc::clone(self.known.get(&hash)?))))
                .collect();
            let settles = |(hash, known): &(&Hash, &Arc<Known>)| {
                let mut others = after.keys().filter(|other| other != hash);
                others.all(|other| known.pins.void.contains(other))
            };
            let Some((next, version)) = after.iter().find(settles) else {
                break after;
            };
            (hash, known) = (*next, Some(Arc::clone(version)));
        };
        let known = known.or_else(|| self.known.get(&hash).cloned());
        self.current = Current {
            known: known.unwrap_or_else(|| Arc::clone(&self.current.known)),
            hash,
            rivals,
        };
    }
}

impl Known {
    /// The epochs of a version that follows this one, whoever signed it.
    fn epochs_of(&self, next: &Charter) -> Result<Epochs, charter::Refusal> {
        if self.charter.version.checked_add(1) != Some(next.version) {
            return Err(charter::Refusal::Version {
                given: next.version,
                before: self.charter.version,
            });
        }
        self.epochs.then(next)
    }
}

impl Current {
    /// The charter.
    pub fn charter(&self) -> &Charter {
        &self.known.charter
    }

    /// Its hash: what a decision made now must name.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// How epochs are counted.
    pub fn epochs(&self) -> &Epochs {
        &self.known.epochs
    }

    /// What it pins.
    pub fn pins(&self) -> &Pins {
        &self.known.pins
    }

    /// The epochs of a version that follows it, whoever signed it.
    pub(super) fn epochs_of(&self, next: &Charter) -> Result<Epochs, charter::Refusal> {
        self.known.epochs_of(next)
    }

    /// The versions that contradict each other about what follows.
    pub(super) fn rivals(&self) -> impl Iterator<Item = Hash> {
        self.rivals.keys().copied()
    }

    /// What the versions pin that contradict each other about what follows.
    pub(super) fn rival_pins(&self) -> impl Iterator<Item = &Pins> {
        self.rivals.values().map(|known| &known.pins)
    }

    /// That no two versions follow it.
    ///
    /// # Errors
    /// If they do: then nothing is admitted.
    pub fn uncontested(&self) -> Result<(), charter::Refusal> {
        if self.rivals.is_empty() {
            return Ok(());
        }
        Err(charter::Refusal::Rivals {
            version: self.charter().version,
            rivals: self.rivals.keys().copied().collect(),
        })
    }
}

impl PartialEq for Current {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.rivals.keys().eq(other.rivals.keys())
    }
}

impl Eq for Current {}
