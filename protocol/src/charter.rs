//! The charter: a federation's founding document (protocol.md section 1).
//!
//! A federation is named by the hash of its first charter, and that charter counts once at least
//! its threshold of its own stewards has signed it. Succession (version 2 and later) has its fields
//! fixed here and is refused by name until it is built.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::MAX_STEWARDS;
use crate::statement::{self, Body, CoSigned};
use crate::text::Line;
use crate::time::{DAY, Timestamp};

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
    /// When epoch 0 began.
    pub epoch_start: Timestamp,
    /// Days in an epoch.
    pub epoch_days: u16,
    /// Categories that count as equivalent in the bulk lane, besides each with itself.
    pub equivalences: Vec<BTreeSet<Category>>,
    /// The most new entries a member's advert may gain in a day.
    pub additions_per_day: u32,
    /// Hash of the list of last steward statements this version pins; none for the first.
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
        if self.version != 1 {
            return Err(Refusal::LaterVersion(self.version));
        }
        if self.previous.is_some() || self.pins.is_some() {
            return Err(Refusal::FirstHasPast);
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

    /// The charter in `signed`, if it is a proper one that counts.
    ///
    /// # Errors
    /// If it breaks a rule, a signature does not hold, someone other than a steward signed, or
    /// fewer stewards than its threshold did.
    pub fn verify(signed: &CoSigned<Self>) -> Result<Self, Refusal> {
        let (charter, signers) = signed.verify()?;
        charter.check()?;
        let given = charter.signed_by(&signers)?;
        if given < usize::from(charter.threshold) {
            return Err(Refusal::TooFewSignatures {
                given,
                needed: charter.threshold,
            });
        }
        Ok(charter)
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

    /// The epoch `now` lies in; 0 before the first began.
    pub fn epoch(&self, now: Timestamp) -> u32 {
        let passed = now.0.saturating_sub(self.epoch_start.0) / self.epoch_length();
        u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// The first moment after `epoch`.
    pub fn epoch_end(&self, epoch: u32) -> Timestamp {
        let length = self.epoch_length().saturating_mul(u64::from(epoch) + 1);
        Timestamp(self.epoch_start.0.saturating_add(length))
    }

    fn epoch_length(&self) -> u64 {
        u64::from(self.epoch_days.max(1)) * DAY
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

/// Why a charter does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A version this software cannot follow yet.
    #[error("charter version {0} is not supported yet; only version 1 is")]
    LaterVersion(u32),
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
        assert_eq!(broken(&|c| c.version = 2), Refusal::LaterVersion(2));
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
    fn epochs_are_counted_from_the_charters_day() {
        let charter = charter(1, 1);
        assert_eq!(charter.epoch(Timestamp(0)), 0);
        assert_eq!(charter.epoch(Timestamp(91 * DAY - 1)), 0);
        assert_eq!(charter.epoch(Timestamp(91 * DAY)), 1);
        assert_eq!(charter.epoch_end(0), Timestamp(91 * DAY));
        assert_eq!(charter.epoch_end(u32::MAX), Timestamp(u64::MAX));
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
