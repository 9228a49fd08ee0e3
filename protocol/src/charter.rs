//! The charter: a federation's founding document (protocol.md section 1).
//!
//! A federation is named by the hash of its first charter, and that charter counts once at least
//! its threshold of its own stewards has signed it. A later [`Version`] names the one before it,
//! whose stewards sign it, and pins what goes on to count; which one is current is told by
//! [`crate::roster::Charters`]. Anything may change but the federation's id and how epochs that have
//! begun are counted (see [`Epochs`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{MAX_MEMBERS, MAX_STEWARDS};
use crate::statement::{self, Body, CoSigned};
use crate::text::Line;
use crate::time::{DAY, Timestamp};

mod epochs;
mod says;
mod version;

pub use epochs::Epochs;
pub use version::{Amendment, Pins, Version};

/// Days in an epoch, unless the charter says otherwise.
pub const EPOCH_DAYS: u16 = 90;
/// New advert entries per member and day, unless the charter says otherwise.
pub const ADDITIONS_PER_DAY: u32 = 20_000;
/// The most sets of equivalent categories a charter may name.
const MAX_EQUIVALENCES: usize = 32;

/// The rules a federation's members agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// 1 for the first.
    pub version: u32,
    /// Hash of the version before; none for the first.
    pub previous: Option<Hash>,
    /// The federation's name, for people.
    pub name: Line,
    /// BLAKE3 of the data-sharing agreement the members signed on paper.
    pub agreement: Hash,
    /// The members who decide who belongs, with their organisation keys.
    pub stewards: BTreeMap<OdsCode, PublicKey>,
    /// How many of them must sign: more than half, at most all.
    pub threshold: u16,
    /// When epoch 0 began; in a version that changes their length, when the first of the new ones
    /// begins.
    pub epoch_start: Timestamp,
    /// Days in an epoch.
    pub epoch_days: u16,
    /// Categories that count as equivalent in the bulk lane, besides each with itself.
    pub equivalences: Vec<BTreeSet<Category>>,
    /// The most new entries a member's advert may gain in a day.
    pub additions_per_day: u32,
    /// Hash of the list this version pins, see [`Pins`]; none for the first.
    pub pins: Option<Hash>,
}

impl Body for Charter {
    const LABEL: &'static str = "charter";
}

impl Charter {
    /// A first charter with the defaults of protocol.md section 2.
    pub fn first(
        name: Line,
        agreement: Hash,
        stewards: BTreeMap<OdsCode, PublicKey>,
        threshold: u16,
        now: Timestamp,
    ) -> Self {
        Self {
            version: 1,
            previous: None,
            name,
            agreement,
            stewards,
            threshold,
            epoch_start: Timestamp(now.day() * DAY),
            epoch_days: EPOCH_DAYS,
            equivalences: default_equivalences(),
            additions_per_day: ADDITIONS_PER_DAY,
            pins: None,
        }
    }

    /// Whether this can be anyone's charter.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self) -> Result<(), Refusal> {
        match (self.version, self.previous, self.pins) {
            (1, None, None) | (2.., Some(_), Some(_)) => {}
            (2.., ..) => return Err(Refusal::LaterLacksPast),
            _ => return Err(Refusal::FirstHasPast),
        }
        let stewards = self.stewards.len();
        if !(1..=MAX_STEWARDS).contains(&stewards) {
            return Err(Refusal::Stewards(stewards));
        }
        let keys: BTreeSet<_> = self.stewards.values().collect();
        if keys.len() != stewards {
            return Err(Refusal::SharedKey);
        }
        let threshold = usize::from(self.threshold);
        if threshold * 2 <= stewards || threshold > stewards {
            return Err(Refusal::Threshold {
                threshold: self.threshold,
                stewards,
            });
        }
        if !(1..=366).contains(&self.epoch_days) {
            return Err(Refusal::Epoch(self.epoch_days));
        }
        if self.additions_per_day == 0 {
            return Err(Refusal::NoAdditions);
        }
        if self.equivalences.len() > MAX_EQUIVALENCES {
            return Err(Refusal::Equivalences);
        }
        for set in &self.equivalences {
            let never = [Category::Presence, Category::Safeguarding, Category::Other];
            if let Some(category) = never.into_iter().find(|c| set.contains(c)) {
                return Err(Refusal::NotInBulk(category));
            }
        }
        Ok(())
    }

    /// The first charter in `signed`, if it is a proper one that counts.
    ///
    /// # Errors
    /// If it breaks a rule, is a later version, a signature does not hold, someone other than a
    /// steward signed, or fewer stewards than its threshold did.
    pub fn verify(signed: &CoSigned<Self>) -> Result<Self, Refusal> {
        let (charter, signers) = signed.verify()?;
        charter.check()?;
        if charter.version != 1 {
            return Err(Refusal::NotTheFirst(charter.version));
        }
        charter.enough(&signers)?;
        Ok(charter)
    }

    /// That enough stewards are among `signers`, who must all be stewards.
    ///
    /// # Errors
    /// If one of them is not, or too few signed.
    pub fn enough(&self, signers: &BTreeSet<PublicKey>) -> Result<(), Refusal> {
        let given = self.signed_by(signers)?;
        let needed = self.threshold;
        if given < usize::from(needed) {
            return Err(Refusal::TooFewSignatures { given, needed });
        }
        Ok(())
    }

    /// How many stewards are among `signers`, who must all be stewards.
    ///
    /// # Errors
    /// If one of them is not.
    pub fn signed_by(&self, signers: &BTreeSet<PublicKey>) -> Result<usize, Refusal> {
        let stewards: BTreeSet<_> = self.stewards.values().copied().collect();
        if signers.is_subset(&stewards) {
            Ok(signers.len())
        } else {
            Err(Refusal::NotASteward)
        }
    }

    /// The federation this first charter founds.
    pub fn federation(signed: &CoSigned<Self>) -> FederationId {
        FederationId(signed.hash().0)
    }

    /// Whether showing `one` is matched by showing `other` in the bulk lane.
    pub fn equivalent(&self, one: Category, other: Category) -> bool {
        one == other
            || self
                .equivalences
                .iter()
                .any(|set| set.contains(&one) && set.contains(&other))
    }
}

/// What health calls encounters, plans and letters, social care calls assessments and plans.
pub fn default_equivalences() -> Vec<BTreeSet<Category>> {
    vec![BTreeSet::from([
        Category::Encounters,
        Category::CarePlans,
        Category::SocialCareAssessments,
        Category::Documents,
    ])]
}

fn list(hashes: &BTreeSet<Hash>) -> String {
    let short: Vec<_> = hashes.iter().map(Hash::short).collect();
    short.join(" and ")
}

/// Why a charter does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A federation is founded by version 1.
    #[error("charter version {0} follows another; a federation is founded by version 1")]
    NotTheFirst(u32),
    /// A later version that does not say what it follows and pins.
    #[error("a later charter version names the one before it and what it pins")]
    LaterLacksPast,
    /// A version that does not follow the one it names.
    #[error("charter version {given} cannot follow version {before}")]
    Version {
        /// Its number.
        given: u32,
        /// The number of the one it names.
        before: u32,
    },
    /// The list beside it is not the one it names.
    #[error("the list of pinned statements is not the one the charter names")]
    OtherPins,
    /// The list is longer than a federation may be large.
    #[error("the charter pins more than {MAX_MEMBERS} members or voids too many versions")]
    PinsTooMany,
    /// Epochs that have begun would be counted otherwise.
    #[error(
        "epochs starting {0}; the start stays as it is unless their length changes, which it does \
         at the end of an epoch"
    )]
    EpochStart(Timestamp),
    /// The moment from which epochs have another length has come before stewards signed.
    #[error("epochs of another length would start {0}, which has passed; propose the change anew")]
    EpochPassed(Timestamp),
    /// Stewards have decided something that would not count under it.
    #[error("stewards have decided something since the charter was drafted; propose it anew")]
    SpokenSince,
    /// Nothing to sign.
    #[error("the charter would say what it says already; name what it shall change")]
    NothingChanged,
    /// Two versions follow one.
    #[error(
        "more than one charter follows version {version}, so nothing is admitted; sign one that \
         names {} void", list(.rivals)
    )]
    Rivals {
        /// The version that stays.
        version: u32,
        /// Those that follow it.
        rivals: BTreeSet<Hash>,
    },
    /// A version after another than the current one.
    #[error("the charter follows another version than the current one, {0}; propose it anew")]
    Overtaken(u32),
    /// A first charter names a predecessor or pins.
    #[error("a first charter has no predecessor and pins nothing")]
    FirstHasPast,
    /// None, or too many.
    #[error("{0} stewards; name 1 to {MAX_STEWARDS}")]
    Stewards(usize),
    /// Two stewards with one key.
    #[error("two stewards have the same organisation key; each needs its own")]
    SharedKey,
    /// Not more than half, or more than there are.
    #[error(
        "threshold {threshold} of {stewards} stewards; it must be more than half and at most all"
    )]
    Threshold {
        /// As the charter says.
        threshold: u16,
        /// How many stewards it names.
        stewards: usize,
    },
    /// Epochs of no or absurd length.
    #[error("epochs of {0} days; choose 1 to 366")]
    Epoch(u16),
    /// Nobody could ever arrive.
    #[error("no additions per day; choose at least 1")]
    NoAdditions,
    /// Too many sets.
    #[error("more than {MAX_EQUIVALENCES} sets of equivalent categories")]
    Equivalences,
    /// A category that never travels in bulk stands among the equivalences.
    #[error("`{0}` never travels in bulk, so nothing is equivalent to it")]
    NotInBulk(Category),
    /// Someone signed who is not a steward.
    #[error("signed by a key that is no steward's")]
    NotASteward,
    /// Not enough stewards signed.
    #[error("signed by {given} stewards where {needed} are needed")]
    TooFewSignatures {
        /// How many signed.
        given: usize,
        /// How many must.
        needed: u16,
    },
    /// A signature or the bytes.
    #[error(transparent)]
    Statement(#[from] statement::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::KeyPair;

    fn key(n: u8) -> KeyPair {
        KeyPair::from_seed(&[n; 32])
    }

    fn charter(stewards: u8, threshold: u16) -> Charter {
        let stewards = (1..=stewards)
            .map(|n| (format!("S{n}").parse().unwrap(), key(n).public()))
            .collect();
        let name = "Test".parse().unwrap();
        Charter::first(
            name,
            Hash::new([7; 32]),
            stewards,
            threshold,
            Timestamp(DAY + 5),
        )
    }

    #[test]
    fn a_threshold_is_more_than_half_and_at_most_all() {
        for (stewards, threshold, good) in [
            (1, 0, false),
            (1, 1, true),
            (2, 1, false),
            (2, 2, true),
            (3, 1, false),
            (3, 2, true),
            (4, 2, false),
            (4, 3, true),
            (4, 4, true),
            (4, 5, false),
        ] {
            let held = charter(stewards, threshold).check();
            let refused = Err(Refusal::Threshold {
                threshold,
                stewards: usize::from(stewards),
            });
            assert_eq!(held, if good { Ok(()) } else { refused });
        }
    }

    #[test]
    fn a_charter_counts_when_enough_of_its_own_stewards_signed() {
        let body = charter(3, 2);
        let mut signed = CoSigned::draft(&body);
        signed.add(&key(1));
        let few = Refusal::TooFewSignatures {
            given: 1,
            needed: 2,
        };
        assert_eq!(Charter::verify(&signed), Err(few));
        let before = Charter::federation(&signed);
        let mut strange = signed.clone();
        strange.add(&key(9));
        assert_eq!(Charter::verify(&strange), Err(Refusal::NotASteward));
        signed.add(&key(3));
        assert_eq!(Charter::verify(&signed), Ok(body));
        assert_eq!(Charter::federation(&signed), before);
    }

    #[test]
    fn every_broken_rule_is_refused_by_name() {
        let base = charter(2, 2);
        let broken = |change: &dyn Fn(&mut Charter)| {
            let mut charter = base.clone();
            change(&mut charter);
            charter.check().unwrap_err()
        };
        assert_eq!(broken(&|c| c.version = 0), Refusal::FirstHasPast);
        assert_eq!(broken(&|c| c.version = 2), Refusal::LaterLacksPast);
        assert_eq!(
            broken(&|c| c.previous = Some(c.agreement)),
            Refusal::FirstHasPast
        );
        assert_eq!(
            broken(&|c| c.pins = Some(c.agreement)),
            Refusal::FirstHasPast
        );
        assert_eq!(broken(&|c| c.stewards.clear()), Refusal::Stewards(0));
        assert_eq!(broken(&|c| c.epoch_days = 0), Refusal::Epoch(0));
        assert_eq!(broken(&|c| c.additions_per_day = 0), Refusal::NoAdditions);
        let same = broken(&|c| c.stewards.values_mut().for_each(|k| *k = key(1).public()));
        assert_eq!(same, Refusal::SharedKey);
        let safeguarding = BTreeSet::from([Category::Safeguarding]);
        let bulk = broken(&|c| c.equivalences.push(safeguarding.clone()));
        assert_eq!(bulk, Refusal::NotInBulk(Category::Safeguarding));
        let many = broken(&|c| c.equivalences = vec![BTreeSet::new(); 33]);
        assert_eq!(many, Refusal::Equivalences);
    }

    #[test]
    fn default_equivalences_pair_what_health_and_social_care_name_differently() {
        let charter = charter(1, 1);
        assert!(charter.equivalent(Category::CarePlans, Category::SocialCareAssessments));
        assert!(charter.equivalent(Category::Encounters, Category::Documents));
        assert!(charter.equivalent(Category::Results, Category::Results));
        assert!(!charter.equivalent(Category::Demographics, Category::Documents));
        assert!(!charter.equivalent(Category::Results, Category::Documents));
    }
}
