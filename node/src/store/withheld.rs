//! Who and what stays home by an operator's word (protocol.md section 2, "withheld").
//!
//! | table | key | value |
//! |---|---|---|
//! | `withheld` | `key` and the name of an index key, or `who` and a person | [`Entry`] |
//! | | `nobody` | an entry about nobody, opened in place of one that is not there |
//! | `masked` | name of the service's token | [`Mask`] |
//!
//! Somebody stays withheld whatever becomes of their records: an entry stands under the index key
//! it was made for, whether or not they are held here, and under everybody found by it, whose key
//! may be corrected later.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fairshare_protocol::ids::PersonId;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::User;
use fairshare_protocol::offer::Service;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::records::{Named, person_id};
use super::{Error, Store, Table};

/// The key of the entry about nobody.
const NOBODY: &[u8] = b"nobody";

/// Why, by whom and since when somebody is withheld, and how they are found.
#[derive(Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Of all rows of this entry, and of no other.
    id: [u8; 16],
    /// Why: `objection`, `sensitive`, or in other words.
    pub reason: Line,
    /// Who withheld them.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
    /// The index key they were named by.
    pub key: Option<IndexKey>,
    /// Everybody found by it since.
    pub people: Vec<PersonId>,
}

impl Entry {
    fn nobody() -> Self {
        Self {
            id: [0; 16],
            reason: "objection".parse().expect("a word is a line"),
            by: User {
                name: "Nobody at all".to_owned(),
                role: "Nobody".to_owned(),
                id: "nobody".to_owned(),
            },
            at: Timestamp(0),
            key: Some(IndexKey {
                nhs: "0000000000".parse().expect("its check digit fits"),
                born: "1900-01-01".parse().expect("a day"),
            }),
            people: vec![person_id([0; 16])],
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(…)")
    }
}

/// A service whose records stay home.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mask {
    /// What names it: see [`crate::fhir::Mark::named`].
    pub token: Line,
    /// Why.
    pub reason: Line,
    /// Who masked it.
    pub by: User,
    /// Since when.
    pub at: Timestamp,
}

/// Names of everything whose records stay home.
pub(crate) type Masked = Arc<BTreeSet<Named>>;

/// What they rest on: the last import, the last change of what is withheld, the services opened.
type Ground = (u64, u64, BTreeSet<Service>);

/// The people withheld, and the services masked. Changes are durable after the store's next commit.
pub struct Withheld {
    store: Store,
    people: Table,
    services: Table,
    changes: AtomicU64,
    masked: Mutex<Option<(Ground, Masked)>>,
}

impl Withheld {
    /// What the store holds.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        let people = store.table("withheld")?;
        people.put_new(NOBODY, &Entry::nobody())?;
        Ok(Self {
            people,
            services: store.table("masked")?,
            store: store.clone(),
            changes: AtomicU64::new(0),
            masked: Mutex::new(None),
        })
    }

    /// How often this changed since the node was opened.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Withholds somebody, by the index key, or as those people, or both.
    ///
    /// # Errors
    /// If sled fails.
    pub fn add(
        &self,
        key: Option<IndexKey>,
        people: Vec<PersonId>,
        reason: Line,
        by: User,
        at: Timestamp,
    ) -> Result<(), Error> {
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        self.put(&Entry {
            id,
            reason,
            by,
            at,
            key,
            people,
        })
    }

    fn put(&self, entry: &Entry) -> Result<(), Error> {
        let mut batch = self.people.batch();
        for row in self.rows(entry.key.as_ref(), &entry.people) {
            batch.put(&row, entry);
        }
        batch.apply()?;
        self.changed();
        Ok(())
    }

    /// Withholds these people too, found by the key of an entry.
    ///
    /// # Errors
    /// If sled fails.
    pub fn extend(&self, mut entry: Entry, people: &[PersonId]) -> Result<(), Error> {
        let known: BTreeSet<_> = entry.people.iter().copied().collect();
        let new: Vec<_> = people.iter().filter(|id| !known.contains(id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        entry.people.extend(new);
        self.put(&entry)
    }

    /// Withholds somebody no more.
    ///
    /// # Errors
    /// If sled fails.
    pub fn remove(&self, entry: &Entry) -> Result<(), Error> {
        let mut batch = self.people.batch();
        for row in self.rows(entry.key.as_ref(), &entry.people) {
            // Another entry may have taken the row since.
            let held: Option<Entry> = self.people.load(&row)?;
            if held.is_some_and(|held| held.id == entry.id) {
                batch.remove(&row);
            }
        }
        batch.apply()?;
        self.changed();
        Ok(())
    }

    /// Why somebody of this key, or one of these people, is withheld; none if they are not.
    ///
    /// # Errors
    /// If sled fails.
    pub fn of(&self, key: Option<&IndexKey>, people: &[PersonId]) -> Result<Option<Entry>, Error> {
        let mut found = None;
        // An entry is opened for every row, be it about nobody: how long it takes tells nothing.
        for row in self.rows(key, people) {
            let is_there = self.people.contains(&row)?;
            let entry = self.people.load(if is_there { &row } else { NOBODY })?;
            found = found.or(entry.filter(|_| is_there));
        }
        Ok(found)
    }

    /// Everybody withheld, the latest first.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all(&self) -> Result<Vec<Entry>, Error> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for row in [&b"key"[..], b"who"]
            .into_iter()
            .flat_map(|prefix| self.people.scan::<Entry>(prefix))
        {
            let (_, entry) = row?;
            if seen.insert(entry.id) {
                all.push(entry);
            }
        }
        all.sort_by_key(|entry| (std::cmp::Reverse(entry.at), entry.id));
        Ok(all)
    }

    /// The names of the keys, and the people, that are withheld. Nothing is opened.
    pub(crate) fn names(&self) -> Result<(BTreeSet<Named>, BTreeSet<PersonId>), Error> {
        let of = |prefix: &'static [u8]| {
            let keys = self.people.keys(prefix);
            keys.map(move |key| {
                let mut name = [0; 16];
                name.copy_from_slice(&key?[prefix.len()..]);
                Ok::<Named, Error>(name)
            })
        };
        let keys = of(b"key").collect::<Result<_, _>>()?;
        let people = of(b"who").map(|name| name.map(person_id));
        Ok((keys, people.collect::<Result<_, _>>()?))
    }

    /// The name of an index key among those withheld.
    pub(crate) fn key_name(&self, key: &IndexKey) -> Named {
        self.store.name("withheld", &[key.expose().as_bytes()])
    }

    fn rows(&self, key: Option<&IndexKey>, people: &[PersonId]) -> Vec<Vec<u8>> {
        let key = key.map(|key| [b"key", &self.key_name(key)[..]].concat());
        let people = people.iter().map(|id| [b"who", &id.0.0[..]].concat());
        key.into_iter().chain(people).collect()
    }

    /// Masks a service; says whether it was not masked before.
    ///
    /// # Errors
    /// If sled fails.
    pub fn mask(&self, mask: &Mask) -> Result<bool, Error> {
        let new = self.services.put_new(&self.token_name(&mask.token), mask)?;
        self.changed();
        Ok(new)
    }

    /// Masks a service no more; gives what was said of it.
    ///
    /// # Errors
    /// If sled fails.
    pub fn unmask(&self, token: &Line) -> Result<Option<Mask>, Error> {
        let name = self.token_name(token);
        let mask = self.services.load(&name)?;
        self.services.remove(&name)?;
        self.changed();
        Ok(mask)
    }

    fn token_name(&self, token: &Line) -> Named {
        self.store.name("masked", &[token.as_str().as_bytes()])
    }

    /// The services masked by an operator, the latest first.
    ///
    /// # Errors
    /// If sled fails.
    pub fn masks(&self) -> Result<Vec<Mask>, Error> {
        let all = self.services.scan::<Mask>(b"");
        let mut all: Vec<_> = all
            .map(|row| row.map(|(_, mask)| mask))
            .collect::<Result<_, _>>()?;
        all.sort_by(|a, b| (b.at, &b.token).cmp(&(a.at, &a.token)));
        Ok(all)
    }

    /// The names of everything whose records stay home, found anew when what they rest on changed.
    pub(crate) fn masked(
        &self,
        (import, changes, opened): (u64, u64, &BTreeSet<Service>),
        find: impl FnOnce() -> Result<BTreeSet<Named>, Error>,
    ) -> Result<Masked, Error> {
        let ground = (import, changes, opened.clone());
        let mut held = self.masked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, masked)) = &*held
            && *of == ground
        {
            return Ok(Arc::clone(masked));
        }
        let masked = Arc::new(find()?);
        *held = Some((ground, Arc::clone(&masked)));
        Ok(masked)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use fairshare_protocol::crypto::seal::SecretKey;
    use fairshare_protocol::ids::Fixed;

    fn key(born: &str) -> IndexKey {
        IndexKey {
            nhs: "9990001235".parse().unwrap(),
            born: born.parse().unwrap(),
        }
    }

    fn line(text: &str) -> Line {
        text.parse().unwrap()
    }

    fn user() -> User {
        User {
            name: "Sam Okafor".into(),
            role: "Records manager".into(),
            id: "sokafor".into(),
        }
    }

    #[test]
    fn somebody_stays_withheld_whatever_becomes_of_their_key() {
        let dir = tempfile::tempdir().unwrap();
        let secret = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), secret).unwrap();
        let withheld = Withheld::open(&store).unwrap();
        let (old, new) = (key("1948-11-08"), key("1948-08-11"));
        let person = PersonId(Fixed([7; 16]));
        let why = |key: &IndexKey, people: &[PersonId]| {
            let found = withheld.of(Some(key), people).unwrap();
            found.map(|entry| entry.reason.to_string())
        };
        let objection = line("objection");
        withheld
            .add(Some(old), vec![], objection, user(), Timestamp(1))
            .unwrap();
        assert_eq!(why(&old, &[]).as_deref(), Some("objection"), "not held yet");
        let entry = withheld.all().unwrap().remove(0);
        withheld.extend(entry, &[person]).unwrap();
        assert_eq!(why(&new, &[person]).as_deref(), Some("objection"));
        assert_eq!(why(&new, &[]), None);
        assert_eq!(withheld.all().unwrap().len(), 1);
        let (keys, people) = withheld.names().unwrap();
        assert_eq!((keys.len(), people.len()), (1, 1));
        let entry = withheld.of(None, &[person]).unwrap().unwrap();
        withheld.remove(&entry).unwrap();
        assert_eq!((why(&old, &[person]), why(&new, &[person])), (None, None));
    }

    #[test]
    fn a_service_is_masked_once_and_until_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let secret = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), secret).unwrap();
        let withheld = Withheld::open(&store).unwrap();
        let mask = Mask {
            token: line("Organization/RX1"),
            reason: line("run by the HIV team"),
            by: user(),
            at: Timestamp(1),
        };
        let found = |n: u8| {
            let ground = (1, withheld.changes(), &BTreeSet::new());
            withheld.masked(ground, || Ok([[n; 16]].into())).unwrap()
        };
        assert!(found(8).contains(&[8; 16]) && found(9).contains(&[8; 16]));
        assert!(withheld.mask(&mask).unwrap() && !withheld.mask(&mask).unwrap());
        assert!(
            found(9).contains(&[9; 16]),
            "what rested on it is found anew"
        );
        assert_eq!(withheld.masks().unwrap().len(), 1);
        assert!(withheld.unmask(&mask.token).unwrap().is_some());
        assert!(withheld.unmask(&mask.token).unwrap().is_none());
    }
}
