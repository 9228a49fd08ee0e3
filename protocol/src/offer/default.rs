//! The default offers of protocol.md section 2, last paragraph.
//!
//! Trusts and practices show each other everything but `safeguarding` and `other`, and adult social
//! care what it works with; adult social care shows all of them what it writes. Needs mirror that:
//! a member needs from a kind what that kind shows it by default. The bulk lane is the same without
//! `documents`; `safeguarding` stands under the purposes `safeguarding` and `emergency` only. Kinds
//! the design does not name start closed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Offer, Presence, Row, Section, may_travel};
use crate::category::{Category, Lane, Purpose};
use crate::member::MemberKind;
use crate::text::Line;

const CARE: &str = "Direct care: Health and Social Care Act 2012 s.251B (duty to share); \
    UK GDPR Art. 6(1)(e), Art. 9(2)(h)";
const EMERGENCY: &str = "Vital interests and direct care: UK GDPR Art. 6(1)(d) and (e), \
    Art. 9(2)(c) and (h)";
const SAFEGUARDING: &str = "Safeguarding: Care Act 2014 s.42-45, Children Act 2004 s.10-11; \
    UK GDPR Art. 6(1)(c) and (e), Art. 9(2)(g) with DPA 2018 Sch. 1 para. 18";

pub(super) fn offer(own: MemberKind) -> Offer {
    let kinds_where = |flows: &dyn Fn(MemberKind) -> bool| -> BTreeSet<MemberKind> {
        let all = MemberKind::ALL.iter().copied();
        all.filter(|kind| flows(*kind)).collect()
    };
    let row = |category, purpose| {
        let shows = kinds_where(&|peer| shown(own, peer, category, purpose));
        let needs = kinds_where(&|peer| shown(peer, own, category, purpose));
        let basis = None;
        (!shows.is_empty() || !needs.is_empty()).then_some((
            category,
            Row {
                shows,
                needs,
                basis,
            },
        ))
    };
    let rows = |purpose| -> BTreeMap<Category, Row> {
        let all = Category::ALL.iter();
        all.filter_map(|category| row(*category, purpose)).collect()
    };
    let section = |purpose| Section {
        basis: basis(purpose),
        rows: rows(purpose),
    };
    let purposes = Purpose::ALL.iter();
    let sections = purposes.map(|purpose| (*purpose, section(*purpose)));
    let known_to = |peer| {
        let mut all = Category::ALL.iter();
        all.any(|category| shown(own, peer, *category, Purpose::Care))
    };
    Offer {
        presence: Presence {
            shows: kinds_where(&known_to),
            basis: line(CARE),
        },
        matrix: sections.filter(|(_, it)| !it.rows.is_empty()).collect(),
        show_in_return: true,
        opened_labels: BTreeSet::new(),
        opened_services: BTreeSet::new(),
    }
}

/// Whether a member of kind `from` shows `category` to one of kind `to` by default.
fn shown(from: MemberKind, to: MemberKind, category: Category, purpose: Purpose) -> bool {
    use Category as C;
    let social = MemberKind::AdultSocialCare;
    let related = match (from.is_clinical(), to.is_clinical()) {
        (true, true) => true,
        (true, false) => to == social,
        (false, true) => from == social,
        (false, false) => false,
    };
    if !related || !may_travel(category, purpose) {
        return false;
    }
    if category == C::Safeguarding {
        return matches!(purpose, Purpose::Safeguarding | Purpose::Emergency);
    }
    if category == C::Documents && purpose.lane() == Lane::Bulk {
        return false;
    }
    if from == social {
        matches!(
            category,
            C::Demographics | C::CarePlans | C::SocialCareAssessments | C::Documents
        )
    } else if to == social {
        matches!(
            category,
            C::Demographics
                | C::Allergies
                | C::Medications
                | C::Immunisations
                | C::Encounters
                | C::CarePlans
                | C::Documents
        )
    } else {
        true
    }
}

fn basis(purpose: Purpose) -> Line {
    line(match purpose {
        Purpose::Care | Purpose::SharedCare => CARE,
        Purpose::Emergency => EMERGENCY,
        Purpose::Safeguarding => SAFEGUARDING,
    })
}

fn line(text: &str) -> Line {
    text.parse()
        .expect("the constants above are lines; a test makes every default offer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::Refusal;
    use Category as C;

    const GP: MemberKind = MemberKind::GpPractice;
    const ACUTE: MemberKind = MemberKind::AcuteTrust;
    const SOCIAL: MemberKind = MemberKind::AdultSocialCare;

    fn shown_to(offer: &Offer, purpose: Purpose, kind: MemberKind) -> BTreeSet<C> {
        let all = C::ALL.iter().copied();
        all.filter(|c| offer.shows(*c, purpose, kind)).collect()
    }

    #[test]
    fn clinical_kinds_show_each_other_all_but_safeguarding_and_other() {
        let offer = Offer::default_for(GP);
        let mut all: BTreeSet<_> = C::ALL.iter().copied().collect();
        all.remove(&C::Other);
        assert_eq!(shown_to(&offer, Purpose::Emergency, ACUTE), all);
        assert_eq!(shown_to(&offer, Purpose::Safeguarding, ACUTE), all);
        all.remove(&C::Safeguarding);
        assert_eq!(shown_to(&offer, Purpose::Care, ACUTE), all);
        all.remove(&C::Documents);
        assert_eq!(shown_to(&offer, Purpose::SharedCare, ACUTE), all);
    }

    #[test]
    fn health_and_adult_social_care_show_each_other_what_the_design_names() {
        let health = BTreeSet::from([
            C::Presence,
            C::Demographics,
            C::Allergies,
            C::Medications,
            C::Immunisations,
            C::Encounters,
            C::CarePlans,
            C::Documents,
        ]);
        let social = BTreeSet::from([
            C::Presence,
            C::Demographics,
            C::CarePlans,
            C::SocialCareAssessments,
            C::Documents,
        ]);
        let from_gp = Offer::default_for(GP);
        let from_social = Offer::default_for(SOCIAL);
        assert_eq!(shown_to(&from_gp, Purpose::Care, SOCIAL), health);
        for kind in MemberKind::ALL.iter().filter(|kind| kind.is_clinical()) {
            assert_eq!(shown_to(&from_social, Purpose::Care, *kind), social);
        }
        assert_eq!(
            shown_to(&from_social, Purpose::Care, SOCIAL),
            BTreeSet::new()
        );
        assert!(shown_to(&from_gp, Purpose::Emergency, SOCIAL).contains(&C::Safeguarding));
        assert!(!shown_to(&from_gp, Purpose::SharedCare, SOCIAL).contains(&C::Documents));
    }

    #[test]
    fn needs_mirror_what_the_other_kind_shows() {
        for own in MemberKind::ALL {
            for peer in MemberKind::ALL {
                let (ours, theirs) = (Offer::default_for(*own), Offer::default_for(*peer));
                for purpose in Purpose::ALL {
                    for category in C::ALL.iter().filter(|c| **c != C::Presence) {
                        assert_eq!(
                            ours.needs(*category, *purpose, *peer),
                            theirs.shows(*category, *purpose, *own),
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_default_offer_is_an_offer_and_unnamed_kinds_start_closed() {
        for kind in MemberKind::ALL {
            let offer = Offer::default_for(*kind);
            assert_eq!(offer.check(), Ok(()));
            // Every member holds every offer: they stay small.
            assert!(crate::codec::encode(&offer).len() < 2000);
            let open = kind.is_clinical() || *kind == SOCIAL;
            assert_eq!(!offer.matrix.is_empty(), open, "{kind}");
            assert_eq!(!offer.presence.shows.is_empty(), open, "{kind}");
        }
    }

    #[test]
    fn what_may_never_be_offered_is_refused_by_name_and_flows_nowhere_even_if_it_got_in() {
        let base = Offer::default_for(GP);
        let row = base.matrix[&Purpose::Care].rows[&C::Results].clone();
        for (purpose, category, refusal) in [
            (Purpose::Care, C::Other, Refusal::Other(Purpose::Care)),
            (
                Purpose::SharedCare,
                C::Safeguarding,
                Refusal::SafeguardingInBulk(Purpose::SharedCare),
            ),
        ] {
            let mut offer = base.clone();
            let rows = &mut offer.matrix.get_mut(&purpose).unwrap().rows;
            rows.insert(category, row.clone());
            assert_eq!(offer.check(), Err(refusal));
            assert!(!offer.shows(category, purpose, ACUTE));
            assert!(!offer.needs(category, purpose, ACUTE));
        }
        let mut offer = base;
        let rows = &mut offer.matrix.get_mut(&Purpose::Care).unwrap().rows;
        rows.insert(C::Presence, row);
        assert_eq!(offer.check(), Err(Refusal::PresenceInMatrix(Purpose::Care)));
    }
}
