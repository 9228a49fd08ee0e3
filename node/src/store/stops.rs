//! What an operator no longer lets be shown, until it is resumed (protocol.md section 4, "stop").
//!
//! | table | key | value |
//! |---|---|---|
//! | `stops` | `next` | the number of the next stop |
//! | | `stop` and a number | [`Stop`] |
//!
//! There are few of them: all are held in memory too, for every exchange asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fairshare_protocol::category::Category;
use fairshare_protocol::ids::{OdsCode, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::User;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Store, Table};

const NEXT: &[u8] = b"next";
const STOP: &[u8] = b"stop";

/// Nothing is shown of what all of these say together.
#[derive(Clone, Serialize, Deserialize)]
pub struct Stop {
    /// To this member; none: to anybody.
    pub peer: Option<OdsCode>,
    /// Of this category; none: of any.
    pub category: Option<Category>,
    /// Of this person; none: of anybody.
    pub person: Option<Person>,
    /// Why.
    pub reason: Line,
    /// Who stopped it.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
}

/// Whom a stop is about: the index key they were named by, and everybody found by it then, whose
/// key may be corrected later.
#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    /// The key.
    pub key: Option<IndexKey>,
    /// The people.
    pub people: Vec<PersonId>,
    /// Of whom the journal tells.
    pub named: PersonId,
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop(…)")
    }
}

impl Stop {
    /// Whether it keeps anything from this member.
    pub fn is_about(&self, peer: &OdsCode) -> bool {
        self.peer.as_ref().is_none_or(|only| only == peer)
    }

    fn is_of(&self, key: &IndexKey, people: &[PersonId]) -> bool {
        self.person.as_ref().is_none_or(|person| {
            person.key.as_ref() == Some(key) || people.iter().any(|id| person.people.contains(id))
        })
    }
}

/// The stops that stand. Changes are durable after the store's next commit.
pub struct Stops {
    table: Table,
    all: Mutex<BTreeMap<u64, Stop>>,
}

impl Stops {
    /// What the store holds.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        let table = store.table("stops")?;
        let mut all = BTreeMap::new();
        for row in table.scan::<Stop>(STOP) {
            let (key, stop) = row?;
            let number = key
                .get(STOP.len()..)
                .and_then(|number| number.try_into().ok());
            let number = number.ok_or(Error::Shape { table: "stops" })?;
            all.insert(u64::from_be_bytes(number), stop);
        }
        Ok(Self {
            table,
            all: Mutex::new(all),
        })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Stop>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a stop, which counts from now on; gives its number.
    ///
    /// # Errors
    /// If sled fails.
    pub fn add(&self, stop: Stop) -> Result<u64, Error> {
        let mut all = self.held();
        let number = self.table.load::<u64>(NEXT)?.unwrap_or(1);
        let mut batch = self.table.batch();
        batch.put(NEXT, &(number + 1));
        batch.put(&row(number), &stop);
        batch.apply()?;
        all.insert(number, stop);
        Ok(number)
    }

    /// Lifts a stop and gives it; none if there is none of that number.
    ///
    /// # Errors
    /// If sled fails.
    pub fn lift(&self, number: u64) -> Result<Option<Stop>, Error> {
        let mut all = self.held();
        self.table.remove(&row(number))?;
        Ok(all.remove(&number))
    }

    /// All stops, by number.
    pub fn all(&self) -> BTreeMap<u64, Stop> {
        self.held().clone()
    }

    /// The numbers of those that keep anything from a member.
    pub fn about(&self, peer: &OdsCode) -> Vec<u64> {
        let all = self.held();
        let about = all.iter().filter(|(_, stop)| stop.is_about(peer));
        about.map(|(number, _)| *number).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held().len()
    }

    /// The categories of which nothing is shown to a member of the person with this key, who is
    /// held as these people.
    pub fn of(&self, peer: &OdsCode, key: &IndexKey, people: &[PersonId]) -> BTreeSet<Category> {
        let all = self.held();
        let about = all
            .values()
            .filter(|stop| stop.is_about(peer) && stop.is_of(key, people));
        about
            .flat_map(|stop| match &stop.category {
                Some(category) => std::slice::from_ref(category),
                None => Category::ALL,
            })
            .copied()
            .collect()
    }

    /// Whether anything is kept from a member whoever it is of: then there are no rounds with it.
    pub fn rounds(&self, peer: &OdsCode) -> bool {
        let all = self.held();
        all.values()
            .any(|stop| stop.is_about(peer) && stop.person.is_none())
    }

    /// When the last stop was made that keeps anything from a member.
    pub fn last(&self, peer: &OdsCode) -> Option<Timestamp> {
        let all = self.held();
        let about = all.values().filter(|stop| stop.is_about(peer));
        about.map(|stop| stop.at).max()
    }
}

fn row(number: u64) -> Vec<u8> {
    [STOP, &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use fairshare_protocol::crypto::seal::SecretKey;
    use fairshare_protocol::ids::Fixed;

    fn stop(peer: Option<&str>, category: Option<Category>, person: Option<Person>) -> Stop {
        Stop {
            peer: peer.map(|code| code.parse().unwrap()),
            category,
            person,
            reason: "an incident".parse().unwrap(),
            by: User {
                name: "Sam Okafor".into(),
                role: "Records manager".into(),
                id: "sokafor".into(),
            },
            at: Timestamp(7),
        }
    }

    #[test]
    fn what_all_parts_of_a_stop_say_together_is_stopped_until_it_is_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let secret = SecretKey::new([1; 32]);
            let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), secret);
            Stops::open(&store.unwrap()).unwrap()
        };
        let stops = open();
        let (one, two): (OdsCode, OdsCode) = ("RH8".parse().unwrap(), "RX1".parse().unwrap());
        let key = |born: &str| IndexKey {
            nhs: "9990001235".parse().unwrap(),
            born: born.parse().unwrap(),
        };
        let (ada, other) = (key("1948-11-08"), key("1950-01-01"));
        let id = PersonId(Fixed([7; 16]));
        let everything: BTreeSet<_> = Category::ALL.iter().copied().collect();
        let results = BTreeSet::from([Category::Results]);

        assert!(stops.of(&one, &ada, &[]).is_empty() && !stops.rounds(&one));
        let person = Person {
            key: Some(ada),
            people: vec![id],
            named: id,
        };
        let of_ada = stops.add(stop(None, None, Some(person))).unwrap();
        assert_eq!(stops.of(&one, &ada, &[]), everything);
        assert_eq!(
            stops.of(&two, &other, &[id]),
            everything,
            "her key was wrong"
        );
        assert!(stops.of(&two, &other, &[]).is_empty());
        assert!(!stops.rounds(&one), "it is of one person only");
        let of_results = stops.add(stop(Some("RX1"), Some(Category::Results), None));
        assert_eq!(stops.of(&two, &other, &[]), results);
        assert!(stops.of(&one, &other, &[]).is_empty());
        assert!(stops.rounds(&two) && !stops.rounds(&one));
        drop(stops);

        let stops = open();
        assert_eq!(stops.count(), 2);
        assert_eq!(stops.of(&two, &ada, &[]), everything);
        assert_eq!(stops.last(&two), Some(Timestamp(7)));
        assert!(stops.lift(of_ada).unwrap().is_some() && stops.lift(of_ada).unwrap().is_none());
        assert_eq!(stops.of(&two, &ada, &[]), results);
        assert!(stops.lift(of_results.unwrap()).unwrap().is_some());
        assert!(stops.of(&two, &ada, &[]).is_empty() && stops.last(&two).is_none());
        assert_eq!(
            stops.add(stop(None, None, None)).unwrap(),
            3,
            "no number twice"
        );
        assert_eq!(stops.of(&one, &other, &[]), everything);
    }
}
