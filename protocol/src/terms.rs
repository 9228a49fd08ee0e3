//! The terms: what flows between two members (protocol.md section 2). Computed from their offers,
//! never typed; both sides compute the same and so name the same hash.
//!
//! Care lane: a category flows from A to B for a purpose if A shows it to B's kind and B needs it
//! from A's kind. Each direction stands on its own; what flows one way with nothing equivalent the
//! other way is *one-sided*, which is said and changes nothing. Bulk lane: besides, B must show A an
//! equivalent category (the level field), and neither side may be limited. Nothing flows between two
//! members of which one does not show presence to the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::category::{Category, Lane, Purpose, words};
use crate::charter::Charter;
use crate::codec;
use crate::crypto::hash;
use crate::ids::{Hash, OdsCode};
use crate::member::MemberKind;
use crate::offer::{Offer, may_travel};

words! {
    /// Why a category does not flow from one member to another for a purpose, the closest to
    /// flowing last.
    Closed {
        /// It never travels so: `other` nowhere, `safeguarding` not in bulk.
        Never = "never-shown",
        /// One of the two does not show presence to the other.
        NoPresence = "presence-not-shown",
        /// The one that has it does not show it.
        NotShown = "not-offered",
        /// The other does not need it.
        NotNeeded = "not-needed",
        /// One of the two is limited: nothing flows in bulk.
        Limited = "limited",
        /// In bulk, and the other shows nothing equivalent.
        NotLevel = "not-level",
    }
}

/// One side of terms.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// Its code.
    pub code: &'a OdsCode,
    /// What it is.
    pub kind: MemberKind,
    /// Whether the bulk lane is open to it: it is not limited.
    pub bulk: bool,
    /// Its current offer.
    pub offer: &'a Offer,
}

/// What flows between two members, by purpose. The members stand in the order of their codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The member whose code comes first.
    pub first: OdsCode,
    /// The other.
    pub second: OdsCode,
    /// Whether each shows presence to the other's kind: without, there is no match.
    pub may_match: bool,
    /// Whether the first shows its own records in return for an answer.
    pub first_shows_in_return: bool,
    /// Whether the second does.
    pub second_shows_in_return: bool,
    /// What flows for each purpose; purposes for which nothing flows are absent.
    pub purposes: BTreeMap<Purpose, Flows>,
}

/// What flows for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// From the first member to the second.
    pub forth: BTreeSet<Category>,
    /// From the second member to the first.
    pub back: BTreeSet<Category>,
    /// Of `forth`, what nothing equivalent in `back` matches.
    pub one_sided_forth: BTreeSet<Category>,
    /// Of `back`, what nothing equivalent in `forth` matches.
    pub one_sided_back: BTreeSet<Category>,
}

impl Flows {
    /// Whether one side is narrower than the other.
    pub fn one_sided(&self) -> bool {
        !(self.one_sided_forth.is_empty() && self.one_sided_back.is_empty())
    }
}

impl Terms {
    /// The terms between two members, whichever is named first.
    pub fn between(one: Party<'_>, other: Party<'_>, charter: &Charter) -> Self {
        let (a, b) = if one.code <= other.code {
            (one, other)
        } else {
            (other, one)
        };
        let mut purposes = BTreeMap::new();
        for purpose in Purpose::ALL {
            let forth = flow(a, b, *purpose, charter);
            let back = flow(b, a, *purpose, charter);
            if !(forth.is_empty() && back.is_empty()) {
                let flows = Flows {
                    one_sided_forth: unmatched(&forth, &back, charter),
                    one_sided_back: unmatched(&back, &forth, charter),
                    forth,
                    back,
                };
                purposes.insert(*purpose, flows);
            }
        }
        Self {
            first: a.code.clone(),
            second: b.code.clone(),
            may_match: may_match(a, b),
            first_shows_in_return: a.offer.show_in_return,
            second_shows_in_return: b.offer.show_in_return,
            purposes,
        }
    }

    /// The terms' name, the same on both sides.
    pub fn hash(&self) -> Hash {
        hash::parts("terms", &[&codec::encode(self)])
    }

    /// What flows from one member to the other for `purpose`; nothing if these terms are not
    /// theirs.
    pub fn flows(&self, from: &OdsCode, to: &OdsCode, purpose: Purpose) -> BTreeSet<Category> {
        let flows = self.purposes.get(&purpose);
        let found = if (from, to) == (&self.first, &self.second) {
            flows.map(|flows| &flows.forth)
        } else if (from, to) == (&self.second, &self.first) {
            flows.map(|flows| &flows.back)
        } else {
            None
        };
        found.cloned().unwrap_or_default()
    }

    /// What of `wanted` flows from one member to the other for `purpose`; all that flows if nothing
    /// in particular is wanted.
    ///
    /// # Errors
    /// If nothing flows for that purpose, or nothing of what is wanted.
    pub fn grant(
        &self,
        from: &OdsCode,
        to: &OdsCode,
        purpose: Purpose,
        wanted: &BTreeSet<Category>,
    ) -> Result<BTreeSet<Category>, Refusal> {
        let flows = self.flows(from, to, purpose);
        if flows.is_empty() {
            return Err(Refusal::PurposeNotOffered(purpose));
        }
        if wanted.is_empty() {
            return Ok(flows);
        }
        let granted: BTreeSet<_> = flows.intersection(wanted).copied().collect();
        if granted.is_empty() {
            return Err(Refusal::OutsideOffer(purpose));
        }
        Ok(granted)
    }

    /// Whether `member` shows its own records in return for an answer.
    pub fn shows_in_return(&self, member: &OdsCode) -> bool {
        (*member == self.first && self.first_shows_in_return)
            || (*member == self.second && self.second_shows_in_return)
    }
}

/// The purpose a word names.
///
/// # Errors
/// Research, planning and every other unknown purpose are refused by name.
pub fn purpose(word: &str) -> Result<Purpose, Refusal> {
    word.parse().map_err(|_| Refusal::PurposeNotSupported {
        given: word.chars().filter(|c| !c.is_control()).take(40).collect(),
    })
}

/// Whether each shows presence to the other's kind: without, there is no match and nothing flows.
pub fn may_match(one: Party<'_>, other: Party<'_>) -> bool {
    one.offer.presence.shows.contains(&other.kind) && other.offer.presence.shows.contains(&one.kind)
}

/// Why `category` does not flow from one member to the other for `purpose`; none if it does.
pub fn closed(
    from: Party<'_>,
    to: Party<'_>,
    (category, purpose): (Category, Purpose),
    charter: &Charter,
) -> Option<Closed> {
    let bulk = purpose.lane() == Lane::Bulk;
    let equivalent = |other: &Category| {
        may_travel(*other, purpose)
            && charter.equivalent(category, *other)
            && to.offer.shows(*other, purpose, from.kind)
    };
    if !may_travel(category, purpose) {
        Some(Closed::Never)
    } else if !may_match(from, to) {
        Some(Closed::NoPresence)
    } else if !from.offer.shows(category, purpose, to.kind) {
        Some(Closed::NotShown)
    } else if !to.offer.needs(category, purpose, from.kind) {
        Some(Closed::NotNeeded)
    } else if bulk && !(from.bulk && to.bulk) {
        Some(Closed::Limited)
    } else if bulk && !Category::ALL.iter().any(equivalent) {
        Some(Closed::NotLevel)
    } else {
        None
    }
}

fn flow(from: Party<'_>, to: Party<'_>, purpose: Purpose, charter: &Charter) -> BTreeSet<Category> {
    let flows = |category: &Category| closed(from, to, (*category, purpose), charter).is_none();
    Category::ALL.iter().copied().filter(flows).collect()
}

fn unmatched(
    one: &BTreeSet<Category>,
    other: &BTreeSet<Category>,
    charter: &Charter,
) -> BTreeSet<Category> {
    let matched = |category: &Category| other.iter().any(|c| charter.equivalent(*category, *c));
    one.iter().copied().filter(|c| !matched(c)).collect()
}

/// Why something does not flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not one of the purposes Fairshare serves.
    #[error(
        "purpose `{given}` is not supported; care, emergency, safeguarding and shared-care are \
         (planning and research are not: the national data opt-out applies to them)"
    )]
    PurposeNotSupported {
        /// As it was given.
        given: String,
    },
    /// Nothing flows for this purpose.
    #[error("nothing is offered for purpose `{0}`; `fairshare terms` shows what is")]
    PurposeNotOffered(Purpose),
    /// None of the wanted categories flows for this purpose.
    #[error("none of these categories is offered for `{0}`; `fairshare terms` shows which are")]
    OutsideOffer(Purpose),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PublicKey;
    use crate::time::Timestamp;
    use Category as C;

    const GP: MemberKind = MemberKind::GpPractice;
    const ACUTE: MemberKind = MemberKind::AcuteTrust;
    const SOCIAL: MemberKind = MemberKind::AdultSocialCare;

    fn charter() -> Charter {
        let steward = ("RH8".parse().unwrap(), PublicKey::new([1; 32]));
        let stewards = BTreeMap::from([steward]);
        let name = "Test".parse().unwrap();
        Charter::first(name, Hash::new([0; 32]), stewards, 1, Timestamp(0))
    }

    fn terms(a: (&str, MemberKind, &Offer), b: (&str, MemberKind, &Offer)) -> Terms {
        let (one, other) = (a.0.parse().unwrap(), b.0.parse().unwrap());
        let party = |code, kind, offer| Party {
            code,
            kind,
            bulk: true,
            offer,
        };
        Terms::between(party(&one, a.1, a.2), party(&other, b.1, b.2), &charter())
    }

    fn flows(terms: &Terms, from: &str, to: &str, purpose: Purpose) -> BTreeSet<C> {
        terms.flows(&from.parse().unwrap(), &to.parse().unwrap(), purpose)
    }

    #[test]
    fn both_sides_compute_the_same_terms_and_hash_whatever_their_offers() {
        for one in MemberKind::ALL {
            for other in MemberKind::ALL {
                let (a, b) = (Offer::default_for(*one), Offer::default_for(*other));
                let ours = terms(("A1", *one, &a), ("B2", *other, &b));
                let theirs = terms(("B2", *other, &b), ("A1", *one, &a));
                assert_eq!(ours, theirs);
                assert_eq!(ours.hash(), theirs.hash());
            }
        }
    }

    #[test]
    fn a_category_flows_only_if_one_shows_it_and_the_other_needs_it() {
        let (acute, gp) = (Offer::default_for(ACUTE), Offer::default_for(GP));
        let full = terms(("RH8", ACUTE, &acute), ("L83024", GP, &gp));
        assert!(flows(&full, "RH8", "L83024", Purpose::Care).contains(&C::Results));
        let change = |offer: &Offer, change: &dyn Fn(&mut crate::offer::Row)| {
            let mut offer = offer.clone();
            let rows = &mut offer.matrix.get_mut(&Purpose::Care).unwrap().rows;
            change(rows.get_mut(&C::Results).unwrap());
            offer
        };
        let closed = change(&acute, &|row| {
            row.shows.remove(&GP);
        });
        let unneeded = change(&gp, &|row| {
            row.needs.remove(&ACUTE);
        });
        for narrowed in [
            terms(("RH8", ACUTE, &closed), ("L83024", GP, &gp)),
            terms(("RH8", ACUTE, &acute), ("L83024", GP, &unneeded)),
        ] {
            assert!(!flows(&narrowed, "RH8", "L83024", Purpose::Care).contains(&C::Results));
            assert!(flows(&narrowed, "L83024", "RH8", Purpose::Care).contains(&C::Results));
            assert!(flows(&narrowed, "RH8", "L83024", Purpose::Emergency).contains(&C::Results));
            let care = &narrowed.purposes[&Purpose::Care];
            assert_eq!(care.one_sided_forth, BTreeSet::from([C::Results]));
            assert_ne!(narrowed.hash(), full.hash());
        }
        assert!(!full.purposes[&Purpose::Care].one_sided());
        assert!(flows(&full, "RH8", "X", Purpose::Care).is_empty());
    }

    #[test]
    fn in_bulk_a_category_flows_only_if_the_other_side_shows_an_equivalent_one() {
        let (acute, social) = (Offer::default_for(ACUTE), Offer::default_for(SOCIAL));
        let default = terms(("RH8", ACUTE, &acute), ("912", SOCIAL, &social));
        let bulk = |terms: &Terms| {
            (
                flows(terms, "RH8", "912", Purpose::SharedCare),
                flows(terms, "912", "RH8", Purpose::SharedCare),
            )
        };
        assert_eq!(
            bulk(&default),
            (
                BTreeSet::from([C::Demographics, C::Encounters, C::CarePlans]),
                BTreeSet::from([C::Demographics, C::CarePlans, C::SocialCareAssessments]),
            ),
        );
        assert!(flows(&default, "RH8", "912", Purpose::Care).contains(&C::Allergies));
        assert!(default.purposes[&Purpose::Care].one_sided());

        let mut closed = social.clone();
        let rows = &mut closed.matrix.get_mut(&Purpose::SharedCare).unwrap().rows;
        rows.remove(&C::CarePlans);
        rows.remove(&C::SocialCareAssessments);
        let closed = terms(("RH8", ACUTE, &acute), ("912", SOCIAL, &closed));
        let demographics = BTreeSet::from([C::Demographics]);
        assert_eq!(bulk(&closed), (demographics.clone(), demographics));
        assert_eq!(
            flows(&closed, "RH8", "912", Purpose::Care),
            flows(&default, "RH8", "912", Purpose::Care),
        );
    }

    #[test]
    fn a_limited_member_has_no_bulk_lane_and_its_whole_care_lane() {
        let (acute, gp) = (Offer::default_for(ACUTE), Offer::default_for(GP));
        let (a, b) = ("RH8".parse().unwrap(), "L83024".parse().unwrap());
        let between = |bulk| {
            let one = Party {
                code: &a,
                kind: ACUTE,
                bulk,
                offer: &acute,
            };
            let other = Party {
                code: &b,
                kind: GP,
                bulk: true,
                offer: &gp,
            };
            Terms::between(one, other, &charter())
        };
        let (open, limited) = (between(true), between(false));
        assert!(open.purposes.contains_key(&Purpose::SharedCare));
        assert!(!limited.purposes.contains_key(&Purpose::SharedCare));
        for purpose in [Purpose::Care, Purpose::Emergency, Purpose::Safeguarding] {
            assert_eq!(limited.purposes[&purpose], open.purposes[&purpose]);
        }
    }

    #[test]
    fn safeguarding_and_other_never_travel_in_bulk_and_other_never_at_all() {
        let (mut acute, mut gp) = (Offer::default_for(ACUTE), Offer::default_for(GP));
        for offer in [&mut acute, &mut gp] {
            let row = offer.matrix[&Purpose::Care].rows[&C::Results].clone();
            for section in offer.matrix.values_mut() {
                section.rows.insert(C::Safeguarding, row.clone());
                section.rows.insert(C::Other, row.clone());
            }
        }
        let terms = terms(("RH8", ACUTE, &acute), ("L83024", GP, &gp));
        for purpose in Purpose::ALL {
            let flows = flows(&terms, "RH8", "L83024", *purpose);
            assert!(!flows.contains(&C::Other) && !flows.contains(&C::Presence));
            let safeguarding = *purpose != Purpose::SharedCare;
            assert_eq!(flows.contains(&C::Safeguarding), safeguarding);
        }
    }

    #[test]
    fn two_members_match_and_show_only_if_each_shows_presence_to_the_other() {
        let (acute, gp) = (Offer::default_for(ACUTE), Offer::default_for(GP));
        assert!(terms(("RH8", ACUTE, &acute), ("L83024", GP, &gp)).may_match);
        let mut closed = gp.clone();
        closed.presence.shows.remove(&ACUTE);
        let one = terms(("RH8", ACUTE, &acute), ("L83024", GP, &closed));
        let mut closed = acute.clone();
        closed.presence.shows.clear();
        let other = terms(("RH8", ACUTE, &closed), ("L83024", GP, &gp));
        for without in [one, other] {
            assert!(!without.may_match);
            assert!(without.purposes.is_empty(), "an earlier match is of no use");
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        let (acute, mut gp) = (Offer::default_for(ACUTE), Offer::default_for(GP));
        gp.matrix.remove(&Purpose::Safeguarding);
        gp.show_in_return = false;
        let terms = terms(("RH8", ACUTE, &acute), ("L83024", GP, &gp));
        let (rh8, gp) = ("RH8".parse().unwrap(), "L83024".parse().unwrap());
        let grant = |purpose, wanted: &[C]| {
            terms.grant(&rh8, &gp, purpose, &wanted.iter().copied().collect())
        };
        assert_eq!(
            grant(Purpose::Safeguarding, &[]),
            Err(Refusal::PurposeNotOffered(Purpose::Safeguarding))
        );
        assert_eq!(
            grant(Purpose::Care, &[C::Other, C::Safeguarding]),
            Err(Refusal::OutsideOffer(Purpose::Care))
        );
        assert_eq!(
            grant(Purpose::Care, &[C::Other, C::Results]),
            Ok(BTreeSet::from([C::Results]))
        );
        assert_eq!(
            grant(Purpose::Care, &[]),
            Ok(terms.flows(&rh8, &gp, Purpose::Care))
        );
        assert!(terms.shows_in_return(&rh8) && !terms.shows_in_return(&gp));
        assert_eq!(purpose("shared-care"), Ok(Purpose::SharedCare));
        let refused = purpose("research").unwrap_err().to_string();
        assert!(refused.starts_with("purpose `research` is not supported"));
    }
}
