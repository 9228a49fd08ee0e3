//! A later version of a charter, and what stewards change by one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Charter, Refusal};
use crate::category::Category;
use crate::codec;
use crate::crypto::hash;
use crate::ids::{Hash, OdsCode, PublicKey};
use crate::limits::{MAX_MEMBERS, MAX_RIVALS};
use crate::statement::CoSigned;
use crate::text::Line;

/// A charter version after the first, with the list its body names by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The version, signed by stewards of the one before.
    pub charter: CoSigned<Charter>,
    /// What goes on to count under it.
    pub pins: Pins,
}

/// What goes on to count under a later charter version, and what never counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// By member, the last steward statement about it: it and those it follows count.
    pub last: BTreeMap<OdsCode, Hash>,
    /// Other versions after the same one that are void.
    pub void: BTreeSet<Hash>,
}

impl Pins {
    /// What a charter names the list by.
    pub fn hash(&self) -> Hash {
        hash::parts("charter pins", &[&codec::encode(self)])
    }
}

impl Version {
    /// The version's name: the hash of its charter.
    pub fn hash(&self) -> Hash {
        self.charter.hash()
    }

    /// Its charter, as far as it can be judged alone.
    ///
    /// # Errors
    /// If it breaks a rule, is a first charter, or names another list than this.
    pub fn check(&self) -> Result<Charter, Refusal> {
        let charter = self.charter.peek()?;
        charter.check()?;
        if self.pins.last.len() > MAX_MEMBERS || self.pins.void.len() > MAX_RIVALS * 2 {
            return Err(Refusal::PinsTooMany);
        }
        match charter.pins {
            None => Err(Refusal::OtherPins),
            Some(pins) if pins != self.pins.hash() => Err(Refusal::OtherPins),
            Some(_) => Ok(charter),
        }
    }
}

/// What a new version changes: what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// The federation's name.
    pub name: Option<Line>,
    /// BLAKE3 of the data-sharing agreement.
    pub agreement: Option<Hash>,
    /// All stewards, with their organisation keys.
    pub stewards: Option<BTreeMap<OdsCode, PublicKey>>,
    /// How many of them must sign.
    pub threshold: Option<u16>,
    /// Days in an epoch, from the end of a later epoch on.
    pub epoch_days: Option<u16>,
    /// Categories that count as equivalent in the bulk lane.
    pub equivalences: Option<Vec<BTreeSet<Category>>>,
    /// New advert entries per member and day.
    pub additions_per_day: Option<u32>,
}

impl Amendment {
    /// `charter` with these changes; its version, predecessor, pins and start of epochs are as
    /// before.
    pub fn apply(&self, mut charter: Charter) -> Charter {
        let change = self.clone();
        charter.name = change.name.unwrap_or(charter.name);
        charter.agreement = change.agreement.unwrap_or(charter.agreement);
        charter.stewards = change.stewards.unwrap_or(charter.stewards);
        charter.threshold = change.threshold.unwrap_or(charter.threshold);
        charter.epoch_days = change.epoch_days.unwrap_or(charter.epoch_days);
        charter.equivalences = change.equivalences.unwrap_or(charter.equivalences);
        let additions = change.additions_per_day;
        charter.additions_per_day = additions.unwrap_or(charter.additions_per_day);
        charter
    }
}
