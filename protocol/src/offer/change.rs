//! What publishing another offer would change.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Label, Offer, Service, may_travel};
use crate::category::{Category, Purpose, words};
use crate::member::MemberKind;

words! {
    /// Which way something moves.
    Direction {
        /// More flows, or may flow, than before.
        Widens = "widens",
        /// Less does.
        Narrows = "narrows",
    }
}

words! {
    /// Which half of a row.
    Half {
        /// What is shown to a kind.
        Shows = "shows",
        /// What is needed from a kind.
        Needs = "needs",
    }
}

/// A category that begins or ceases to be shown to, or needed from, members of some kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The category.
    pub category: Category,
    /// For which purpose; none for presence, which has none.
    pub purpose: Option<Purpose>,
    /// Whether it is shown or needed.
    pub half: Half,
    /// Whether more or less of it is.
    pub direction: Direction,
    /// To or from which kinds of member.
    pub kinds: BTreeSet<MemberKind>,
}

/// All that differs between two offers. Legal bases are counted and not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Presence first, then by purpose and category.
    pub changes: Vec<Change>,
    /// Which way showing in return moves; none if it stays.
    pub in_return: Option<Direction>,
    /// Labels opened and closed.
    pub labels: Vec<(Label, Direction)>,
    /// Services opened and closed.
    pub services: Vec<(Service, Direction)>,
    /// Rows shown or needed under both offers whose legal basis reads otherwise.
    pub bases: u64,
}

impl Difference {
    /// What differs in `after` from `before`; without one, everything in `after` is new.
    pub fn between(before: Option<&Offer>, after: &Offer) -> Self {
        let places = [(Category::Presence, None)].into_iter();
        let places = places.chain(Purpose::ALL.iter().flat_map(|purpose| {
            let travel = |category: &&Category| may_travel(**category, *purpose);
            let categories = Category::ALL.iter().filter(travel);
            categories.map(|category| (*category, Some(*purpose)))
        }));
        let mut changes = Vec::new();
        let mut bases = 0;
        for (category, purpose) in places {
            for half in Half::ALL {
                let kinds = |offer: &Offer| offer.kinds(category, purpose, *half);
                let (was, is) = (before.map(kinds).unwrap_or_default(), kinds(after));
                let moved = [
                    (Direction::Widens, &is - &was),
                    (Direction::Narrows, &was - &is),
                ];
                let moved = moved.into_iter().filter(|(_, kinds)| !kinds.is_empty());
                changes.extend(moved.map(|(direction, kinds)| Change {
                    category,
                    purpose,
                    half: *half,
                    direction,
                    kinds,
                }));
            }
            // Presence has the same basis for all purposes.
            let purpose = purpose.unwrap_or(Purpose::Care);
            let was = before.and_then(|offer| offer.basis(category, purpose));
            let is = after.basis(category, purpose);
            bases += u64::from(was.is_some() && is.is_some() && was != is);
        }
        Self {
            changes,
            in_return: match (
                before.is_some_and(|it| it.show_in_return),
                after.show_in_return,
            ) {
                (false, true) => Some(Direction::Widens),
                (true, false) => Some(Direction::Narrows),
                _ => None,
            },
            labels: moved(before.map(|it| &it.opened_labels), &after.opened_labels),
            services: moved(before.map(|it| &it.opened_services), &after.opened_services),
            bases,
        }
    }

    /// Whether the two offers do the same; bases may read otherwise.
    pub fn is_none(&self) -> bool {
        self.changes.is_empty()
            && self.in_return.is_none()
            && self.labels.is_empty()
            && self.services.is_empty()
    }

    /// Whether members of this kind are shown, or asked for, other than before. What an opened
    /// label, service or showing in return changes, it may change for everybody.
    pub fn touches(&self, kind: MemberKind) -> bool {
        let all = self.in_return.is_some() || !self.labels.is_empty() || !self.services.is_empty();
        all || self.changes.iter().any(|it| it.kinds.contains(&kind))
    }
}

/// What is opened, then what is closed.
fn moved<T: Ord + Copy>(was: Option<&BTreeSet<T>>, is: &BTreeSet<T>) -> Vec<(T, Direction)> {
    let none = BTreeSet::new();
    let was = was.unwrap_or(&none);
    let opened = is.difference(was).map(|it| (*it, Direction::Widens));
    let closed = was.difference(is).map(|it| (*it, Direction::Narrows));
    opened.chain(closed).collect()
}

impl Offer {
    /// The kinds of member that `category` is shown to or needed from; nobody's presence is needed.
    fn kinds(
        &self,
        category: Category,
        purpose: Option<Purpose>,
        half: Half,
    ) -> BTreeSet<MemberKind> {
        let all = MemberKind::ALL.iter().copied();
        all.filter(|kind| match (purpose, half) {
            (None, Half::Shows) => self.presence.shows.contains(kind),
            (None, Half::Needs) => false,
            (Some(purpose), Half::Shows) => self.shows(category, purpose, *kind),
            (Some(purpose), Half::Needs) => self.needs(category, purpose, *kind),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Offer {
        Offer::default_for(MemberKind::AcuteTrust)
    }

    #[test]
    fn nothing_differs_from_itself() {
        let none = Difference::between(Some(&trust()), &trust());
        assert!(none.is_none());
        assert_eq!(none.bases, 0);
        for kind in MemberKind::ALL {
            assert!(!none.touches(*kind));
        }
    }

    #[test]
    fn each_way_and_half_is_told_apart_and_touches_only_its_kinds() {
        let mut after = trust();
        let rows = &mut after.matrix.get_mut(&Purpose::Care).unwrap().rows;
        let row = rows.get_mut(&Category::CarePlans).unwrap();
        assert!(row.shows.remove(&MemberKind::AdultSocialCare));
        let row = rows.get_mut(&Category::Medications).unwrap();
        assert!(row.needs.insert(MemberKind::AdultSocialCare));
        let change = |category, half, direction| Change {
            category,
            purpose: Some(Purpose::Care),
            half,
            direction,
            kinds: BTreeSet::from([MemberKind::AdultSocialCare]),
        };
        let forth = Difference::between(Some(&trust()), &after);
        let less = change(Category::CarePlans, Half::Shows, Direction::Narrows);
        let more = change(Category::Medications, Half::Needs, Direction::Widens);
        assert_eq!(forth.changes.len(), 2);
        assert!(forth.changes.contains(&less) && forth.changes.contains(&more));
        assert!(forth.touches(MemberKind::AdultSocialCare));
        assert!(!forth.touches(MemberKind::GpPractice));
        // Back again, everything goes the other way.
        let back = Difference::between(Some(&after), &trust());
        let more = change(Category::CarePlans, Half::Shows, Direction::Widens);
        assert!(back.changes.contains(&more));
    }

    #[test]
    fn what_is_opened_and_shown_in_return_touches_everybody() {
        let mut after = trust();
        after.show_in_return = !after.show_in_return;
        after.opened_services.insert(Service::Hiv);
        after.presence.basis = "another".parse().unwrap();
        let found = Difference::between(Some(&trust()), &after);
        assert_eq!(found.services, [(Service::Hiv, Direction::Widens)]);
        assert_eq!(found.in_return, Some(Direction::Narrows));
        assert_eq!((found.changes.len(), found.bases), (0, 1));
        assert!(found.touches(MemberKind::GpPractice));
        let back = Difference::between(Some(&after), &trust());
        assert_eq!(back.services, [(Service::Hiv, Direction::Narrows)]);
    }

    #[test]
    fn without_one_before_everything_widens() {
        let found = Difference::between(None, &trust());
        assert!(found.changes.len() > 20);
        let widens = |it: &Change| it.direction == Direction::Widens;
        assert!(found.changes.iter().all(widens));
    }
}
