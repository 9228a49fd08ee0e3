//! Finding whose each resource is, among the people of this import and those held already.
//!
//! A transaction with a resource that is nobody's falls as a whole, and its Patients with it, on
//! whom others may have counted: so the search is repeated until no further transaction falls.

use std::collections::{BTreeMap, BTreeSet};

use fairshare_protocol::category::Category;
use fairshare_protocol::control::import::Place;
use fairshare_protocol::ids::PersonId;
use fairshare_protocol::index::key::NhsNumber;

use fairshare_protocol::offer::Label;

use super::Error;
use super::report::Tally;
use super::stage::{Head, Staged, Whose};
use crate::fhir::Refusal;
use crate::store::records::filing::Filing;
use crate::store::records::{HeldVersion, Named, Record, Records, person_id};

/// Whose a resource is; none if it is supporting. What follows another resource is as secret as
/// that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) person: Option<PersonId>,
    /// The category and label of what was followed.
    pub(super) followed: Option<(Category, Option<Label>)>,
}

/// What is known after going through everything set aside.
pub(super) struct Resolved<'a> {
    records: &'a Records,
    /// The Patients of this import, by name, in the order they came.
    patients: Vec<Patient>,
    /// Identifiers somebody is named by, and who has them in this import.
    identified: BTreeSet<(Named, Named)>,
    /// Whose the followed records are.
    targets: BTreeMap<Named, Found>,
    /// Whose the Binaries are, by who references them.
    binaries: BTreeMap<Named, Found>,
    fallen: BTreeSet<u32>,
}

#[derive(Clone, Copy)]
struct Patient {
    name: Named,
    unit: Option<u32>,
    nhs: Option<NhsNumber>,
}

/// Goes through everything set aside; transactions that fall are reported.
pub(super) fn resolve<'a>(
    records: &'a Records,
    filing: &Filing<'_>,
    staged: &Staged,
    tally: &mut Tally,
) -> Result<Resolved<'a>, Error> {
    let mut resolved = Resolved {
        records,
        patients: Vec::new(),
        identified: BTreeSet::new(),
        targets: BTreeMap::new(),
        binaries: BTreeMap::new(),
        fallen: BTreeSet::new(),
    };
    loop {
        resolved.gather_people(staged)?;
        let fell = resolved.fallen.len();
        if !staged.units.is_empty() || staged.wanted.followers {
            resolved.gather_targets(staged, tally)?;
        }
        if !staged.units.is_empty() && staged.wanted.followers {
            resolved.check_followers(filing, staged, tally)?;
        }
        if resolved.fallen.len() == fell {
            return Ok(resolved);
        }
    }
}

impl Resolved<'_> {
    /// Whether this resource fell with its transaction.
    pub(super) fn fell(&self, head: &Head) -> bool {
        head.unit.is_some_and(|unit| self.fallen.contains(&unit))
    }

    fn gather_people(&mut self, staged: &Staged) -> Result<(), Error> {
        self.patients.clear();
        self.identified.clear();
        for head in staged.heads()? {
            let head = head?;
            let Some(facts) = head.patient.filter(|_| !self.fell(&head)) else {
                continue;
            };
            self.patients.push(Patient {
                name: head.name,
                unit: head.unit,
                nhs: facts.nhs,
            });
            let wanted = head
                .identifiers
                .iter()
                .filter(|name| staged.wanted.identifiers.contains(*name));
            self.identified
                .extend(wanted.map(|name| (*name, head.name)));
        }
        // Stable: of a Patient given twice the last one counts.
        self.patients.sort_by_key(|patient| patient.name);
        Ok(())
    }

    /// Finds the person of everything that names one, and notes those that others follow.
    fn gather_targets(&mut self, staged: &Staged, tally: &mut Tally) -> Result<(), Error> {
        self.targets.clear();
        self.binaries.clear();
        for head in staged.heads()? {
            let head = head?;
            if self.fell(&head) || matches!(head.whose, Whose::Follows(_) | Whose::Referrer) {
                continue;
            }
            let found = match self.direct(&head)? {
                Ok(found) => found,
                Err(refusal) => {
                    self.fall(&head, refusal, staged, tally);
                    continue;
                }
            };
            let followed = Found {
                followed: Some((head.category, head.label)),
                ..found
            };
            if staged.wanted.targets.contains(&head.name) {
                self.targets.insert(head.name, followed);
            }
            if staged.wanted.referrers {
                for name in &head.binaries {
                    let known = self.binaries.entry(*name).or_insert(followed);
                    *known = stricter(*known, followed);
                }
            }
        }
        Ok(())
    }

    fn check_followers(
        &mut self,
        filing: &Filing<'_>,
        staged: &Staged,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        for head in staged.heads()? {
            let head = head?;
            if head.unit.is_none() || self.fell(&head) {
                continue;
            }
            if let Err(refusal) = self.find(filing, &head)? {
                self.fall(&head, refusal, staged, tally);
            }
        }
        Ok(())
    }

    /// Lets the transaction of this resource fall, if it is in one.
    fn fall(&mut self, head: &Head, why: Refusal, staged: &Staged, tally: &mut Tally) {
        let Some(number) = head.unit.filter(|unit| self.fallen.insert(*unit)) else {
            return;
        };
        let entry = match head.place {
            Some(Place::Entry(entry)) => entry,
            _ => 0,
        };
        let unit = &staged.units[number as usize];
        let refusal = Refusal::Transaction {
            entry,
            why: why.into(),
        };
        tally.refuse(unit.file, None, unit.entries, None, &refusal);
    }

    /// Whose the resource is.
    pub(super) fn find(
        &self,
        filing: &Filing<'_>,
        head: &Head,
    ) -> Result<Result<Found, Refusal>, Error> {
        match &head.whose {
            Whose::Follows(names) => self.follow(filing, names),
            Whose::Referrer => match self.binaries.get(&head.name) {
                Some(found) => Ok(Ok(*found)),
                // Known from an import before this one.
                None => Ok(filing
                    .visible(&head.name)?
                    .map(held)
                    .ok_or(Refusal::NobodyRefers)),
            },
            _ => self.direct(head),
        }
    }

    fn direct(&self, head: &Head) -> Result<Result<Found, Refusal>, Error> {
        let person = match &head.whose {
            Whose::Own => person_id(head.name),
            Whose::Person(name, check) => match self.person(name, *check)? {
                Ok(person) => person,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Whose::Identified(name) => match self.identified(name)? {
                Ok(person) => person,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Whose::Nobody => {
                return Ok(Ok(Found {
                    person: None,
                    followed: None,
                }));
            }
            Whose::Follows(_) | Whose::Referrer => return Ok(Err(Refusal::NobodyRefers)),
        };
        Ok(Ok(Found {
            person: Some(person),
            followed: None,
        }))
    }

    /// The person of that name, who must have that NHS number if they have any.
    fn person(
        &self,
        name: &Named,
        check: Option<NhsNumber>,
    ) -> Result<Result<PersonId, Refusal>, Error> {
        let id = person_id(*name);
        let nhs = match self.imported(name) {
            Some(patient) => patient.nhs,
            None => match self.records.person(&id)? {
                Some(person) => person.nhs,
                None => return Ok(Err(Refusal::UnknownPerson)),
            },
        };
        Ok(match (nhs, check) {
            (Some(nhs), Some(check)) if nhs != check => Err(Refusal::Contradiction),
            _ => Ok(id),
        })
    }

    fn imported(&self, name: &Named) -> Option<&Patient> {
        let end = self
            .patients
            .partition_point(|patient| patient.name <= *name);
        let found = self.patients[..end]
            .last()
            .filter(|patient| patient.name == *name);
        found.filter(|patient| patient.unit.is_none_or(|unit| !self.fallen.contains(&unit)))
    }

    /// The one person who has this identifier.
    fn identified(&self, name: &Named) -> Result<Result<PersonId, Refusal>, Error> {
        let here = self
            .identified
            .range((*name, [0; 16])..=(*name, [0xff; 16]));
        let mut people: BTreeSet<Named> = here.map(|(_, person)| *person).collect();
        for (id, _) in self.records.people_identified(name)? {
            // Of somebody in this import, what this import says of them counts.
            if self.imported(&id.0.0).is_none() {
                people.insert(id.0.0);
            }
        }
        let mut people = people.into_iter();
        Ok(match (people.next(), people.next()) {
            (None, _) => Err(Refusal::UnknownPerson),
            (Some(person), None) => Ok(person_id(person)),
            (Some(_), Some(_)) => Err(Refusal::AmbiguousPerson),
        })
    }

    /// The one person all of these are about, as far as they are known.
    fn follow(
        &self,
        filing: &Filing<'_>,
        names: &[Named],
    ) -> Result<Result<Found, Refusal>, Error> {
        let mut found: Option<Found> = None;
        for name in names {
            let target = match self.targets.get(name) {
                Some(target) => Some(*target),
                None => filing.visible(name)?.map(held),
            };
            let Some(target) = target.filter(|target| target.person.is_some()) else {
                continue;
            };
            match found {
                Some(found) if found.person != target.person => {
                    return Ok(Err(Refusal::SeveralPeople));
                }
                Some(known) => found = Some(stricter(known, target)),
                None => found = Some(target),
            }
        }
        Ok(found.ok_or(Refusal::NobodyRefers))
    }
}

/// What is known of a record that is held.
fn held(version: (HeldVersion, Record)) -> Found {
    let (version, record) = version;
    Found {
        person: version.person,
        followed: Some((record.category, record.label)),
    }
}

/// Of two things followed, the more secret one.
fn stricter(one: Found, other: Found) -> Found {
    let Some(((category, label), (category2, label2))) = one.followed.zip(other.followed) else {
        return one;
    };
    let safeguarding = category == Category::Safeguarding || category2 == Category::Safeguarding;
    let category = if safeguarding {
        Category::Safeguarding
    } else {
        category
    };
    Found {
        followed: Some((category, label.max(label2))),
        ..one
    }
}
