//! What stays home: of whom nothing is shown, what is not, and who is not in the index (protocol.md
//! section 2, "withheld").
//!
//! Decided when something is shown or an advert is made, from what imports stored, so that an
//! operator's word counts at once. Nothing leaves an advert inside its epoch, though: until
//! rollover somebody withheld is linked as before, and has nothing to show like many another.

use std::collections::BTreeSet;

use fairshare_protocol::category::Category;
use fairshare_protocol::ids::{OdsCode, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::offer::{Offer, Service};

use super::drive::Error;
use crate::fhir::Mark;
use crate::node::Node;
use crate::store::records::{Named, Record};
use crate::store::withheld::Masked;

/// Why nothing is shown of somebody who is known only through masked services.
pub const MASKED: &str = "masked-service";

/// What decides who may be in an advert: the last import, the last change of who and what is
/// withheld, the services opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground(u64, u64, BTreeSet<Service>);

impl Ground {
    /// As it is now.
    pub fn now(node: &Node) -> Self {
        let (import, changes) = (node.records.visible(), node.withheld.changes());
        Self(import, changes, opened(node))
    }
}

/// All that is held of a person, and what of it stays home.
pub(crate) struct Held {
    /// Their records, whatever their category.
    pub(crate) records: Vec<(Named, Record)>,
    /// Those of them that stay home with their service, and the Binaries these reference.
    pub(crate) home: BTreeSet<Named>,
    /// What is masked, whoever it is about.
    pub(crate) masked: Masked,
    /// Why all of it stays home, if it does.
    pub(crate) why: Option<String>,
}

/// What is held of the person with this key. The same is done for everybody, withheld or not.
///
/// # Errors
/// If the store fails.
pub(crate) fn held(node: &Node, key: &IndexKey) -> Result<Held, Error> {
    held_under(node, key, masked(node)?)
}

/// As [`held`], were this masked.
///
/// # Errors
/// If the store fails.
pub(crate) fn held_under(node: &Node, key: &IndexKey, masked: Masked) -> Result<Held, Error> {
    let people = node.records.people_by_key(key)?;
    let withheld = node.withheld.of(Some(key), &people)?;
    // An organisation that registered somebody twice holds two: what is theirs is in both.
    let mut records = Vec::new();
    for id in &people {
        records.extend(node.records.all_of(id)?);
    }
    let home = home(&records, &masked);
    let only = only(&records, &home).then(|| MASKED.to_owned());
    let why = withheld.map(|entry| entry.reason.to_string()).or(only);
    Ok(Held {
        records,
        home,
        masked,
        why,
    })
}

/// Whether nobody may find the person with this key, nor be shown anything of them.
///
/// # Errors
/// If the store fails.
pub fn is_withheld(node: &Node, key: &IndexKey) -> Result<bool, Error> {
    Ok(held(node, key)?.why.is_some())
}

/// What an operator stopped showing to a peer of the person with this key. Without any stop nothing
/// is looked up.
///
/// # Errors
/// If the store fails.
pub fn stopped(
    node: &Node,
    peer: &OdsCode,
    key: &IndexKey,
) -> Result<BTreeSet<Category>, crate::store::Error> {
    if node.stops.count() == 0 {
        return Ok(BTreeSet::new());
    }
    let people = node.records.people_by_key(key)?;
    Ok(node.stops.of(peer, key, &people))
}

/// The index keys of everybody who may be in an advert, each once and in order: not of people
/// withheld, nor of those known only through masked services.
///
/// # Errors
/// If the store fails.
pub fn index_keys(node: &Node) -> Result<Vec<IndexKey>, Error> {
    Ok(allowed(node)?.0)
}

/// As [`index_keys`], and how many may not be though they have a number and a date of birth.
///
/// # Errors
/// If the store fails.
pub fn allowed(node: &Node) -> Result<(Vec<IndexKey>, usize), Error> {
    let (keys, people) = node.withheld.names()?;
    let mut served = BTreeSet::new();
    for mark in masked(node)?.iter() {
        served.extend(node.records.served(mark)?);
    }
    // A list, for there are millions of them.
    let mut all = Vec::new();
    let mut out = BTreeSet::new();
    let mut perhaps = BTreeSet::new();
    node.records.each_person(|id, person| {
        let Some(key) = person.key else { return };
        all.push(key);
        let named = || !keys.is_empty() && keys.contains(&node.withheld.key_name(&key));
        if people.contains(&id) || named() {
            out.insert(key);
        } else if served.contains(&id) {
            perhaps.insert(key);
        }
    })?;
    for key in perhaps {
        if is_withheld(node, &key)? {
            out.insert(key);
        }
    }
    all.retain(|key| !out.contains(key));
    all.sort_unstable();
    all.dedup();
    Ok((all, out.len()))
}

/// Whoever came under the key of somebody withheld is withheld too, also when that key is corrected
/// later.
///
/// # Errors
/// If the store fails.
pub fn follow(node: &Node) -> Result<(), Error> {
    for entry in node.withheld.all()? {
        if let Some(key) = &entry.key {
            let people = node.records.people_by_key(key)?;
            node.withheld.extend(entry, &people)?;
        }
    }
    Ok(())
}

/// People known through services that have these marks, and how many of them through nothing else
/// that is not masked too.
///
/// # Errors
/// If the store fails.
pub fn reach(node: &Node, marks: &[Mark]) -> Result<(u64, u64), Error> {
    let marks = marks.iter().map(|mark| node.records.mark_name(mark));
    let mut people = BTreeSet::<PersonId>::new();
    for mark in close(node, marks)? {
        people.extend(node.records.served(&mark)?);
    }
    let masked = masked(node)?;
    let mut only_so = 0;
    for id in &people {
        let records = node.records.all_of(id)?;
        let home = home(&records, &masked);
        only_so += u64::from(only(&records, &home));
    }
    Ok((people.len() as u64, only_so))
}

/// The services that stay closed until opened and that this member's offer opened.
pub fn opened(node: &Node) -> BTreeSet<Service> {
    let member = node.membership.member(node.code());
    let offer = member.and_then(|member| member.offer);
    offer.map_or_else(BTreeSet::new, |offer: Offer| offer.opened_services)
}

/// The names of everything that marks a record as one that stays home.
fn masked(node: &Node) -> Result<Masked, Error> {
    let Ground(import, changes, opened) = Ground::now(node);
    let masked = node.withheld.masked((import, changes, &opened), || {
        let closed = closed_marks(node, &opened);
        close(node, closed.chain(masked_marks(node)?))
    });
    Ok(masked?)
}

/// The names of everything that stays home if these services are opened and no others: because the
/// rest is closed; and all of it, with what operators masked.
///
/// # Errors
/// If the store fails.
pub(crate) fn masked_if(
    node: &Node,
    opened: &BTreeSet<Service>,
) -> Result<(Masked, Masked), Error> {
    let closed = close(node, closed_marks(node, opened))?;
    let all = closed_marks(node, opened).chain(masked_marks(node)?);
    Ok((closed.into(), close(node, all)?.into()))
}

/// What marks records of the services that stay closed unless opened.
fn closed_marks(node: &Node, opened: &BTreeSet<Service>) -> impl Iterator<Item = Named> {
    let closed = Service::ALL.iter().filter(|it| !opened.contains(it));
    let marks = closed.flat_map(|service| Mark::closed(*service));
    marks.map(|mark| node.records.mark_name(&mark))
}

/// What marks records of the services an operator masked.
fn masked_marks(node: &Node) -> Result<Vec<Named>, crate::store::Error> {
    let masks = node.withheld.masks()?;
    let marks = masks
        .iter()
        .filter_map(|mask| Mark::named(mask.token.as_str()));
    let names = marks.flatten().map(|mark| node.records.mark_name(&mark));
    Ok(names.collect())
}

/// What has these marks, what goes by these names, and what is part of it.
fn close(
    node: &Node,
    marks: impl Iterator<Item = Named>,
) -> Result<BTreeSet<Named>, crate::store::Error> {
    let mut left: Vec<_> = marks.collect();
    let mut found = BTreeSet::new();
    while let Some(name) = left.pop() {
        if found.insert(name) {
            left.extend(node.records.provided(&name)?);
        }
    }
    Ok(found)
}

/// Which of a person's records stay home with their service: those marked so, what belongs to
/// them, and the Binaries these reference.
pub(crate) fn home(records: &[(Named, Record)], masked: &Masked) -> BTreeSet<Named> {
    let mut home = BTreeSet::new();
    let mut before = None;
    // An episode's encounters, their records, and what those reference: a few rounds at most.
    while before != Some(home.len()) {
        before = Some(home.len());
        for (name, record) in records {
            let marked = record.marks.iter().any(|mark| masked.contains(mark));
            if marked || home.contains(name) || record.within.iter().any(|of| home.contains(of)) {
                home.insert(*name);
                home.extend(&record.binaries);
            }
        }
    }
    home
}

/// Whether a person is known only by what stays home. Who somebody is, and what is never shown,
/// makes nobody known.
fn only(records: &[(Named, Record)], home: &BTreeSet<Named>) -> bool {
    let tells =
        |record: &Record| !matches!(record.category, Category::Demographics | Category::Other);
    let known = records
        .iter()
        .any(|(name, record)| tells(record) && !home.contains(name));
    !home.is_empty() && !known
}
