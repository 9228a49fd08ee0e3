//! What members would see under an offer, counted over what is held: nothing is shown or kept.
//!
//! Everybody counted is looked at once, as they are when something of them is shown
//! ([`super::showing`]). What is open of them, and why not the rest, is the same for every member;
//! which categories flow to a member is known only from the terms. So counts are made by population
//! (the people both hold, by the newest match with a member; or everybody, for all members there was
//! no match with), and each member's terms are read over one of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fairshare_protocol::category::{Category, Lane, Purpose};
use fairshare_protocol::control::preview::{Kept, Preview, Visible, Why};
use fairshare_protocol::ids::{OdsCode, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::{Member, Roster};
use fairshare_protocol::terms;
use fairshare_protocol::time::Timestamp;

use super::drive::Error;
use super::withholding::{self, Held, MASKED};
use crate::node::Node;
use crate::store::records::Record;
use crate::store::withheld::Masked;

/// After so many people it is told how far it is.
const STEP: usize = 256;

/// What is counted.
pub struct Counted {
    /// By member.
    pub members: Vec<Preview>,
    /// People whom the index can find, withheld or not.
    pub findable: u64,
    /// People held whom it cannot.
    pub unfindable: u64,
}

/// Counts what these members would see under `offer`; none if `step`, told how many of how many
/// people are done, says that nobody waits for it any more. Blocks.
///
/// # Errors
/// If the store fails.
pub fn count(
    node: &Node,
    (roster, offer): (&Roster, &Offer),
    members: &[&Member],
    mut step: impl FnMut(u64, u64) -> bool,
) -> Result<Option<Counted>, Error> {
    let mut populations = Populations::of(node, members)?;
    let (keys, unfindable) = findable(node)?;
    let ground = Ground::of(node, offer)?;
    // Somebody linked may not be held any more.
    let linked = populations.linked.keys().copied();
    let among: Vec<_> = match populations.all {
        true => linked
            .filter(|it| !keys.contains(it))
            .chain(keys.iter().copied())
            .collect(),
        false => linked.collect(),
    };
    for (at, key) in among.iter().enumerate() {
        if at.is_multiple_of(STEP) && !step(at as u64, among.len() as u64) {
            return Ok(None);
        }
        let person = ground.look(node, key)?;
        populations.add(node, key, keys.contains(key), &person);
    }
    let previews = members.iter().map(|member| {
        let population = populations.about(&member.code);
        read(node, (roster, offer), member, population)
    });
    Ok(Some(Counted {
        members: previews.collect(),
        findable: keys.len() as u64,
        unfindable,
    }))
}

/// Everybody whom the index can find, and how many people it cannot.
fn findable(node: &Node) -> Result<(BTreeSet<IndexKey>, u64), Error> {
    let (mut keys, mut unfindable) = (BTreeSet::new(), 0);
    node.records.each_person(|_, person| match person.key {
        Some(key) => {
            keys.insert(key);
        }
        None => unfindable += 1,
    })?;
    Ok((keys, unfindable))
}

/// What decides what stays home whoever asks.
struct Ground<'o> {
    offer: &'o Offer,
    closed: Masked,
    masked: Masked,
}

/// What is held of somebody.
struct Person {
    /// As whom they are held; looked up only if there are stops, which may name them.
    ids: Vec<PersonId>,
    /// Why nothing is shown of them, if nothing is.
    why: Option<Why>,
    /// By category and why it stays home, if it does: how many records.
    records: BTreeMap<(Category, Option<Why>), u64>,
}

impl<'o> Ground<'o> {
    fn of(node: &Node, offer: &'o Offer) -> Result<Self, Error> {
        let (closed, masked) = withholding::masked_if(node, &offer.opened_services)?;
        Ok(Self {
            offer,
            closed,
            masked,
        })
    }

    fn look(&self, node: &Node, key: &IndexKey) -> Result<Person, Error> {
        let held = withholding::held_under(node, key, Masked::clone(&self.masked))?;
        let Held {
            records, home, why, ..
        } = held;
        let closed = match home.is_empty() {
            true => BTreeSet::new(),
            false => withholding::home(&records, &self.closed),
        };
        let stays = |record: &Record| {
            let label = record.label?;
            (!self.offer.opened_labels.contains(&label)).then_some(Why::Label)
        };
        let mut counts = BTreeMap::new();
        for (name, record) in &records {
            let why = if closed.contains(name) {
                Some(Why::ClosedService)
            } else if home.contains(name) {
                Some(Why::MaskedService)
            } else {
                stays(record)
            };
            *counts.entry((record.category, why)).or_default() += 1;
        }
        Ok(Person {
            ids: match node.stops.count() {
                0 => Vec::new(),
                _ => node.records.people_by_key(key)?,
            },
            why: why.map(|why| match why.as_str() {
                "objection" => Why::Objection,
                "sensitive" => Why::Sensitive,
                MASKED => Why::OnlyMasked,
                _ => Why::Withheld,
            }),
            records: counts,
        })
    }
}

/// People, and records of theirs.
#[derive(Default, Clone, Copy)]
struct Tally {
    people: u64,
    records: u64,
}

impl Tally {
    const fn add(&mut self, records: u64) {
        self.people += 1;
        self.records += records;
    }
}

/// What is counted of some people.
#[derive(Default)]
struct Population {
    /// All of them.
    all: Tally,
    /// Those of whom nothing is shown.
    whole: BTreeMap<Why, Tally>,
    /// What is held of the others by category.
    held: BTreeMap<Category, Tally>,
    /// The same apart: what is open, and why not the rest.
    apart: BTreeMap<(Category, Option<Why>), Tally>,
    /// How many of the others there are with something open in these categories and no others.
    open: BTreeMap<BTreeSet<Category>, u64>,
}

impl Population {
    fn add(&mut self, person: &Person, held: bool, stopped: &BTreeSet<Category>) {
        let total = person.records.values().sum();
        self.all.add(total);
        let why = person.why.or((!held).then_some(Why::Gone));
        if let Some(why) = why {
            return self.whole.entry(why).or_default().add(total);
        }
        let (mut held, mut apart) = (BTreeMap::new(), BTreeMap::new());
        for (&(category, why), records) in &person.records {
            let why = match stopped.contains(&category) {
                true => Some(Why::Stopped),
                false => why,
            };
            *held.entry(category).or_insert(0) += records;
            *apart.entry((category, why)).or_insert(0) += records;
        }
        for (category, records) in held {
            self.held.entry(category).or_default().add(records);
        }
        let open = apart.keys().filter(|(_, why)| why.is_none());
        let open = open.map(|(category, _)| *category).collect();
        *self.open.entry(open).or_default() += 1;
        for (place, records) in apart {
            self.apart.entry(place).or_default().add(records);
        }
    }
}

/// The people of a member: both hold them, or, without a match, it is everybody.
struct Own {
    code: OdsCode,
    matched: Option<Timestamp>,
    people: Population,
}

/// The populations there are.
struct Populations {
    /// For every member there was no match with and nothing is stopped for.
    everybody: Population,
    /// Of members there was a match with, or something is stopped for.
    own: Vec<Own>,
    /// Which of these somebody linked is in.
    linked: HashMap<IndexKey, Vec<usize>>,
    /// Which of them everybody is in.
    unmatched: Vec<usize>,
    /// Whether anybody is to be looked at who is not linked.
    all: bool,
}

impl Populations {
    fn of(node: &Node, members: &[&Member]) -> Result<Self, Error> {
        let mut populations = Self {
            everybody: Population::default(),
            own: Vec::new(),
            linked: HashMap::new(),
            unmatched: Vec::new(),
            all: false,
        };
        for member in members {
            let code = &member.code;
            let place = populations.own.len();
            let matched = node.index.matched(code)?;
            populations.all |= matched.is_none();
            match &matched {
                Some(with) => {
                    for (_, key) in node.index.people(code, &with.match_id)? {
                        let of = populations.linked.entry(key).or_default();
                        // Two handles may name the same person.
                        if of.last() != Some(&place) {
                            of.push(place);
                        }
                    }
                }
                None if node.stops.about(code).is_empty() => continue,
                None => populations.unmatched.push(place),
            }
            populations.own.push(Own {
                code: code.clone(),
                matched: matched.map(|with| with.at),
                people: Population::default(),
            });
        }
        Ok(populations)
    }

    fn add(&mut self, node: &Node, key: &IndexKey, held: bool, person: &Person) {
        if held {
            self.everybody.add(person, held, &BTreeSet::new());
        }
        let unmatched = self.unmatched.iter().filter(|_| held);
        let linked = self.linked.get(key).into_iter().flatten();
        for place in unmatched.chain(linked) {
            let own = &mut self.own[*place];
            let stopped = node.stops.of(&own.code, key, &person.ids);
            own.people.add(person, held, &stopped);
        }
    }

    /// Whom a member's terms are read over, and when the match ended they are of.
    fn about(&self, code: &OdsCode) -> (Option<Timestamp>, &Population) {
        let own = self.own.iter().find(|own| own.code == *code);
        own.map_or((None, &self.everybody), |own| (own.matched, &own.people))
    }
}

/// What a member would see of these people under the terms with it.
fn read(
    node: &Node,
    (roster, offer): (&Roster, &Offer),
    member: &Member,
    (matched, people): (Option<Timestamp>, &Population),
) -> Preview {
    let mut preview = Preview {
        code: member.code.clone(),
        name: member.name.to_string(),
        kind: member.kind,
        status: member.status,
        matched,
        people: people.all.people,
        some: 0,
        visible: Vec::new(),
        withheld: Vec::new(),
    };
    let mut keep = |category, why, tally: &Tally| {
        preview.withheld.push(Kept {
            category,
            why,
            people: tally.people,
            records: tally.records,
        });
    };
    let both = roster.party(node.code(), Some(offer));
    let both = both.and_then(|us| Ok((us, roster.party(&member.code, None)?)));
    let none = match &both {
        Err(_) => Some(Why::NoOffer),
        Ok((us, it)) => (!terms::may_match(*us, *it)).then_some(Why::NoPresence),
    };
    let (us, it) = match (both, none) {
        (Ok(both), None) => both,
        (_, why) => {
            keep(None, why.unwrap_or(Why::NoOffer), &people.all);
            return preview;
        }
    };
    for (why, tally) in &people.whole {
        keep(None, *why, tally);
    }
    // Between a member something is stopped for whoever it is of and this one there are no rounds.
    let rounds = !node.stops.rounds(&member.code);
    let mut flows = BTreeSet::new();
    for (category, held) in &people.held {
        let (mut purposes, mut closed) = (BTreeSet::new(), BTreeMap::new());
        for purpose in Purpose::ALL {
            let why = terms::closed(us, it, (*category, *purpose), roster.charter());
            let why = why.map(Why::from);
            match why.or((purpose.lane() == Lane::Bulk && !rounds).then_some(Why::Stopped)) {
                Some(why) => drop(closed.insert(*purpose, why)),
                None => drop(purposes.insert(*purpose)),
            }
        }
        // Of several reasons, the one closest to flowing.
        let why = closed.values().max().copied();
        if let Some(why) = why.filter(|_| purposes.is_empty()) {
            keep(Some(*category), why, held);
            continue;
        }
        flows.insert(*category);
        for ((_, why), tally) in people
            .apart
            .range((*category, None)..=(*category, Some(Why::Label)))
        {
            match why {
                Some(why) => keep(Some(*category), *why, tally),
                None => preview.visible.push(Visible {
                    category: *category,
                    purposes: purposes.clone(),
                    closed: closed.clone(),
                    people: tally.people,
                    records: tally.records,
                }),
            }
        }
    }
    let some = people
        .open
        .iter()
        .filter(|(open, _)| !open.is_disjoint(&flows));
    preview.some = some.map(|(_, people)| people).sum();
    preview
}
