//! Reading people and records: only what finished imports brought.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use fairshare_protocol::category::Category;
use fairshare_protocol::ids::{OdsCode, PersonId};
use fairshare_protocol::index::key::{IndexKey, NhsNumber};
use fairshare_protocol::time::Timestamp;

use crate::fhir::reference::ODS_CODE;
use crate::store::blobs::pack;

use super::{
    Attached, Body, Content, Counts, Error, MAX_SUPPORTING, Named, Person, Record, Records, Row,
    person_id, split_key,
};

/// What became of one record.
pub(crate) struct Change {
    pub(crate) name: Named,
    /// As it was this person's before.
    pub(crate) before: Option<Record>,
    /// Its last version that was this person's.
    pub(crate) last: Option<Record>,
    /// Whether it is this person's now.
    pub(crate) is_here: bool,
    /// How often it came or left since.
    pub(crate) versions: u32,
}

impl Records {
    /// How much is held.
    ///
    /// # Errors
    /// If the store fails.
    pub fn counts(&self) -> Result<Counts, Error> {
        Ok(self.finished()?.counts)
    }

    /// When the last import that changed anything ended.
    ///
    /// # Errors
    /// If the store fails.
    pub fn imported(&self) -> Result<Option<Timestamp>, Error> {
        let last = self.finished()?;
        Ok((last.import > 0).then_some(last.at))
    }

    /// The index keys of everybody who has one. Not all of them may be in the index:
    /// [`crate::engine::withholding::index_keys`] says who may.
    ///
    /// # Errors
    /// If the store fails.
    pub fn index_keys(&self) -> Result<BTreeSet<IndexKey>, Error> {
        let mut keys = BTreeSet::new();
        self.each_person(|_, person| keys.extend(person.key))?;
        Ok(keys)
    }

    /// Calls `with` for every person held.
    ///
    /// # Errors
    /// If the store fails.
    pub fn each_person(&self, mut with: impl FnMut(PersonId, Person)) -> Result<(), Error> {
        let visible = self.visible();
        let mut last: Option<(PersonId, Person)> = None;
        for row in self.inner().tables.people.scan::<Person>(b"") {
            let (key, person) = row?;
            let (id, import) = split_key(&key);
            if import > visible {
                continue;
            }
            if let Some((before, person)) = last.take_if(|(before, _)| before.0.0 != id) {
                with(before, person);
            }
            last = Some((person_id(id), person));
        }
        if let Some((id, person)) = last {
            with(id, person);
        }
        Ok(())
    }

    /// What is known of a person; none if they are not held.
    ///
    /// # Errors
    /// If the store fails.
    pub fn person(&self, id: &PersonId) -> Result<Option<Person>, Error> {
        let visible = self.visible();
        for row in self.inner().tables.people.scan::<Person>(&id.0.0).rev() {
            let (key, person) = row?;
            if split_key(&key).1 <= visible {
                return Ok(Some(person));
            }
        }
        Ok(None)
    }

    /// The person whose Patient has this id.
    ///
    /// # Errors
    /// If the store fails.
    pub fn by_local(&self, id: &str) -> Result<Option<(PersonId, Person)>, Error> {
        let id = person_id(self.resource_name("Patient", id));
        Ok(self.person(&id)?.map(|person| (id, person)))
    }

    /// The people found by an index key: usually one; an organisation that registered somebody
    /// twice holds two.
    ///
    /// # Errors
    /// If the store fails.
    pub fn people_by_key(&self, key: &IndexKey) -> Result<Vec<PersonId>, Error> {
        let name = self.nhs_name(key.nhs);
        let found = self.people_identified(&name)?;
        Ok(found
            .into_iter()
            .filter(|(_, person)| person.key.as_ref() == Some(key))
            .map(|(id, _)| id)
            .collect())
    }

    /// Whether somebody with this NHS number is held whom the index cannot find: without a full date
    /// of birth, with two numbers, or labelled restricted.
    ///
    /// # Errors
    /// If the store fails.
    pub fn is_held_unindexed(&self, nhs: NhsNumber) -> Result<bool, Error> {
        let found = self.people_identified(&self.nhs_name(nhs))?;
        Ok(found.iter().any(|(_, person)| person.key.is_none()))
    }

    /// The people who have an identifier of that name now.
    pub(crate) fn people_identified(&self, name: &Named) -> Result<Vec<(PersonId, Person)>, Error> {
        let mut found = Vec::new();
        for key in self.inner().tables.identifiers.keys(name) {
            let id = person_id(tail(&key?));
            if let Some(person) = self.person(&id)?
                && person.identifiers.contains(name)
            {
                found.push((id, person));
            }
        }
        Ok(found)
    }

    /// The current records of a person in these categories, in no telling order.
    ///
    /// # Errors
    /// If the store fails.
    pub fn records_of(
        &self,
        person: &PersonId,
        categories: &BTreeSet<Category>,
    ) -> Result<Vec<Record>, Error> {
        let current = self.all_of(person)?.into_iter().map(|(_, record)| record);
        Ok(current
            .filter(|record| categories.contains(&record.category))
            .collect())
    }

    /// The current records of a person, each with its name.
    pub(crate) fn all_of(&self, person: &PersonId) -> Result<Vec<(Named, Record)>, Error> {
        let visible = self.visible();
        let mut newest: BTreeMap<Named, Row> = BTreeMap::new();
        for row in self.inner().tables.records.scan::<Row>(&person.0.0) {
            let (key, row) = row?;
            let (name, import) = split_key(&key[16..]);
            if import <= visible {
                newest.insert(name, row);
            }
        }
        let current = newest.into_iter().filter_map(|(name, row)| match row {
            Row::Version(record) => Some((name, *record)),
            Row::Left => None,
        });
        Ok(current.collect())
    }

    /// What became of a person's records since an import.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn changes(&self, person: &PersonId, since: u64) -> Result<Vec<Change>, Error> {
        let visible = self.visible();
        let mut all: BTreeMap<Named, Change> = BTreeMap::new();
        for row in self.inner().tables.records.scan::<Row>(&person.0.0) {
            let (key, row) = row?;
            let (name, import) = split_key(&key[16..]);
            if import > visible {
                continue;
            }
            let change = all.entry(name).or_insert(Change {
                name,
                before: None,
                last: None,
                is_here: false,
                versions: 0,
            });
            change.versions += u32::from(import > since);
            change.is_here = matches!(row, Row::Version(_));
            if let Row::Version(record) = row {
                if import <= since {
                    change.before = Some((*record).clone());
                }
                change.last = Some(*record);
            } else if import <= since {
                change.before = None;
            }
        }
        Ok(all
            .into_values()
            .filter(|change| change.versions > 0)
            .collect())
    }

    /// The last import that brought or changed anything of a person; 0 if none did.
    ///
    /// # Errors
    /// If the store fails.
    pub fn newest_of(&self, person: &PersonId) -> Result<u64, Error> {
        let visible = self.visible();
        let mut newest = 0;
        for key in self.inner().tables.records.keys(&person.0.0) {
            let (_, import) = split_key(&key?[16..]);
            newest = newest.max(if import <= visible { import } else { 0 });
        }
        Ok(newest)
    }

    /// The people ever known through a service of this mark.
    pub(crate) fn served(&self, mark: &Named) -> Result<Vec<PersonId>, Error> {
        let visible = self.visible();
        let mut found = Vec::new();
        for row in self.inner().tables.served.scan::<u64>(mark) {
            let (key, import) = row?;
            if import <= visible {
                found.push(person_id(tail(&key)));
            }
        }
        Ok(found)
    }

    /// Everything else that, with what has this mark or name, is the same service: the resources
    /// about nobody that are it, and their other names.
    pub(crate) fn provided(&self, mark: &Named) -> Result<Vec<Named>, Error> {
        let visible = self.visible();
        let mut found = Vec::new();
        for row in self.inner().tables.provided.scan::<u64>(mark) {
            let (key, import) = row?;
            let name = tail(&key);
            let provider = self.supporting(&name)?;
            // An earlier version of it may have had the mark; another name is no resource.
            let has = provider.is_none_or(|provider| provider.marks.contains(mark));
            if import <= visible && has {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The supporting resources these records reference, and those they reference in turn; at most
    /// [`MAX_SUPPORTING`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn supporting_of(&self, records: &[Record]) -> Result<Vec<Record>, Error> {
        let mut wanted: Vec<Named> = records
            .iter()
            .flat_map(|record| record.references.clone())
            .collect();
        let mut asked = BTreeSet::new();
        let mut found = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            if !asked.insert(name) || found.len() >= MAX_SUPPORTING {
                continue;
            }
            if let Some(record) = self.supporting(&name)? {
                wanted.extend(&record.references);
                found.insert(name, record);
                continue;
            }
            // Not a resource's own name: perhaps an identifier some of them have.
            for key in self.inner().tables.identifiers.keys(&name) {
                wanted.push(tail(&key?));
            }
        }
        Ok(found.into_values().collect())
    }

    /// Everything an organisation may be named by here: its ODS code, and each resource that has it.
    pub(crate) fn organisation_names(&self, code: &OdsCode) -> Result<BTreeSet<Named>, Error> {
        let name = self.identifier_name("Organization", ODS_CODE, code.as_str());
        let resources = self.inner().tables.identifiers.keys(&name);
        let mut names = BTreeSet::from([name]);
        for key in resources {
            names.insert(tail(&key?));
        }
        Ok(names)
    }

    /// What a resource about nobody references: the organisation of a role, what a site is part of.
    pub(crate) fn references_of(&self, name: &Named) -> Result<Vec<Named>, Error> {
        let found = self.supporting(name)?;
        Ok(found.map(|record| record.references).unwrap_or_default())
    }

    fn supporting(&self, name: &Named) -> Result<Option<Record>, Error> {
        let visible = self.visible();
        for row in self.inner().tables.supporting.scan::<Row>(name).rev() {
            let (key, row) = row?;
            if split_key(&key).1 <= visible {
                return Ok(match row {
                    Row::Version(record) => Some(*record),
                    Row::Left => None,
                });
            }
        }
        Ok(None)
    }

    /// The bytes of a record, exactly as they were imported.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn body(&self, record: &Record) -> Result<Box<dyn Read + Send>, Error> {
        self.open_body(&record.body)
    }

    /// The bytes of an attachment, exactly as they were.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn attachment(&self, attached: &Attached) -> Result<Box<dyn Read + Send>, Error> {
        let name = self.content_name(&attached.hash);
        let content: Option<Content> = self.inner().tables.attachments.load(&name)?;
        self.open_body(&content.ok_or(Error::Sealed)?.body)
    }

    fn open_body(&self, body: &Body) -> Result<Box<dyn Read + Send>, Error> {
        match body {
            Body::Small(import, place) => {
                let key: Option<pack::Key> =
                    self.inner().tables.packs.load(&import.to_be_bytes())?;
                let bytes = self
                    .blobs()
                    .read_packed(&key.ok_or(Error::Sealed)?, *place)?;
                Ok(Box::new(Cursor::new(bytes)))
            }
            Body::Large(_, key) => Ok(Box::new(self.blobs().open_blob(key)?)),
        }
    }
}

/// The last name in a key.
fn tail(key: &[u8]) -> Named {
    let mut name = [0; 16];
    name.copy_from_slice(&key[key.len() - 16..]);
    name
}
