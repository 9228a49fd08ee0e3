//! Writing one import into the store, so that all of it becomes visible at once or not at all.
//!
//! Rows carry the import's number, which no reader sees before [`Filing::finish`] has made it the
//! last finished one. `begun` is durable before the first row; whoever finds it without its import
//! being finished sweeps every row of a later number. A blob is known to a durable row before it
//! gets its final name, so a crash leaves none that nobody knows of.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{MutexGuard, PoisonError, TryLockError};

use fairshare_protocol::exchange::notice;
use fairshare_protocol::ids::{Hash, PersonId};
use fairshare_protocol::time::Timestamp;

use super::{
    Counts, Error, Finished, Held, HeldVersion, Named, Person, Record, Records, Row, Tables, sweep,
};
use crate::store::Table;
use crate::store::blobs::{self, pack};

mod bodies;

/// Pairs of service and person, and people, remembered while their records are filed.
const MAX_NOTED: usize = 4096;

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filed {
    /// Not held before.
    New,
    /// A new version of what was held.
    Changed,
    /// Held just so.
    Unchanged,
}

/// One import being written. Dropped before [`Filing::finish`], it leaves nothing.
pub(crate) struct Filing<'a> {
    records: &'a Records,
    _alone: MutexGuard<'a, ()>,
    last: Finished,
    import: u64,
    counts: Counts,
    pack: Option<pack::Writer>,
    unnamed: Vec<blobs::Writer>,
    uncommitted: u64,
    /// Who is known through which service, as noted last.
    noted: BTreeSet<(Named, PersonId)>,
    /// Whether any peer holds a copy of anything; and who is marked, as marked last.
    is_any_shown: bool,
    marked: BTreeSet<PersonId>,
    begun: bool,
}

/// A resource on its way into the store: all of a [`Record`] but where its bytes are.
pub(crate) struct Incoming<'a> {
    pub(crate) name: Named,
    /// None if it is supporting.
    pub(crate) person: Option<PersonId>,
    /// Its `body` is a placeholder.
    pub(crate) record: Record,
    /// Its bytes; may be empty if the content is that of the visible version.
    pub(crate) bytes: &'a mut dyn Read,
}

impl<'a> Filing<'a> {
    /// Begins an import, unless one is under way. Sweeps what an earlier one left.
    pub(crate) fn begin(records: &'a Records) -> Result<Option<Self>, Error> {
        let alone = match records.inner().importing.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        sweep::sweep(records)?;
        let last = records.finished()?;
        Ok(Some(Self {
            records,
            _alone: alone,
            last,
            import: last.import + 1,
            counts: last.counts,
            pack: None,
            unnamed: Vec::new(),
            uncommitted: 0,
            noted: BTreeSet::new(),
            is_any_shown: records.notices().is_any_shown()?,
            marked: BTreeSet::new(),
            begun: false,
        }))
    }

    /// A place on disk to set things aside in until the import ends.
    pub(crate) fn staging(&self) -> Result<blobs::Writer, Error> {
        Ok(self.records.blobs().create()?)
    }

    /// Makes what was set aside readable; `name` tells several apart.
    pub(crate) fn staged(&self, name: &str, writer: blobs::Writer) -> Result<blobs::Key, Error> {
        let place = format!("staged {name}");
        self.records
            .tables()
            .imports
            .put(place.as_bytes(), &writer.key())?;
        self.records.inner().store.commit_now()?;
        Ok(writer.finish()?)
    }

    /// The visible version of a resource: whose it is, and the record.
    pub(crate) fn visible(&self, name: &Named) -> Result<Option<(HeldVersion, Record)>, Error> {
        let held: Option<Held> = self.records.tables().held.load(name)?;
        let Some(version) = held.as_ref().and_then(|held| held.at(self.last.import)) else {
            return Ok(None);
        };
        let row = self.row(name, version)?;
        Ok(row.map(|record| (version.clone(), record)))
    }

    /// The content hash of the visible version of a resource.
    pub(crate) fn hash_of(&self, name: &Named) -> Result<Option<Hash>, Error> {
        let held: Option<Held> = self.records.tables().held.load(name)?;
        let version = held.as_ref().and_then(|held| held.at(self.last.import));
        Ok(version.map(|version| version.hash))
    }

    fn row(&self, name: &Named, version: &HeldVersion) -> Result<Option<Record>, Error> {
        let (table, key) = self.place(name, version.person, version.import);
        match table.load::<Row>(&key)? {
            Some(Row::Version(record)) => Ok(Some(*record)),
            _ => Ok(None),
        }
    }

    fn place(&self, name: &Named, person: Option<PersonId>, import: u64) -> (&'a Table, Vec<u8>) {
        let tables = self.records.tables();
        let import = import.to_be_bytes();
        match person {
            Some(person) => (&tables.records, [&person.0.0[..], name, &import].concat()),
            None => (&tables.supporting, [&name[..], &import].concat()),
        }
    }

    /// Files one resource. The second value says whether this import had it before.
    pub(crate) fn file(&mut self, incoming: Incoming<'_>) -> Result<(Filed, bool), Error> {
        let Incoming {
            name,
            person,
            mut record,
            bytes,
        } = incoming;
        let held_before: Option<Held> = self.records.tables().held.load(&name)?;
        let mut held = held_before.clone().unwrap_or_default();
        let before = held.at(self.last.import).cloned();
        let verdict = if before.is_some() {
            Filed::Changed
        } else {
            Filed::New
        };
        let pending = held.0.pop_if(|version| version.import == self.import);
        let repeated = pending.is_some();
        if let Some(pending) = pending {
            if pending.hash == record.hash && pending.person == person {
                return Ok((verdict, true));
            }
            self.take_back(&name, before.as_ref(), &pending)?;
        }
        let row = match &before {
            Some(before) => self.row(&name, before)?,
            None => None,
        };
        let content = row.filter(|row| row.hash == record.hash);
        let same_person = before
            .as_ref()
            .is_some_and(|before| before.person == person);
        if let Some(row) = content {
            record.body = row.body.clone();
            if same_person && row == record {
                if repeated {
                    self.records.tables().held.put(&name, &held)?;
                }
                return Ok((Filed::Unchanged, repeated));
            }
        } else {
            record.body = self.body(bytes, record.size)?;
        }
        self.begin_writing()?;
        let was = before.as_ref().and_then(|before| before.person);
        let is_urgent = before.is_none() && notice::is_urgent(record.category);
        self.mark(was)?;
        self.mark(person.filter(|_| was.is_some() || is_urgent))?;
        let (table, key) = self.place(&name, person, self.import);
        table.put(&key, &Row::Version(Box::new(record.clone())))?;
        if let Some(before) = before.as_ref().filter(|_| !same_person) {
            let (table, key) = self.place(&name, before.person, self.import);
            table.put(&key, &Row::Left)?;
            *self.count(before.person) -= 1;
        }
        if !same_person {
            *self.count(person) += 1;
        }
        held.0.push(HeldVersion {
            import: self.import,
            person,
            hash: record.hash,
        });
        self.records.tables().held.put(&name, &held)?;
        Ok((verdict, repeated))
    }

    /// Marks somebody whom a peer may have to be told about.
    fn mark(&mut self, person: Option<PersonId>) -> Result<(), Error> {
        let Some(person) = person.filter(|_| self.is_any_shown) else {
            return Ok(());
        };
        if self.marked.len() >= MAX_NOTED {
            self.marked.clear();
        }
        match self.marked.insert(person) {
            true => self.records.notices().mark(&person, self.import),
            false => Ok(()),
        }
    }

    fn count(&mut self, person: Option<PersonId>) -> &mut u64 {
        match person {
            Some(_) => &mut self.counts.records,
            None => &mut self.counts.supporting,
        }
    }

    /// Removes a version this very import brought, for a later one takes its place.
    fn take_back(
        &mut self,
        name: &Named,
        before: Option<&HeldVersion>,
        pending: &HeldVersion,
    ) -> Result<(), Error> {
        let (table, key) = self.place(name, pending.person, self.import);
        if let Some(Row::Version(record)) = table.load::<Row>(&key)? {
            self.remove_body(&record.body)?;
        }
        table.remove(&key)?;
        if before.is_none_or(|before| before.person != pending.person) {
            *self.count(pending.person) -= 1;
            if let Some(before) = before {
                let (table, key) = self.place(name, before.person, self.import);
                table.remove(&key)?;
                *self.count(before.person) += 1;
            }
        }
        Ok(())
    }

    /// Files what is known of a person; says whether they are new.
    pub(crate) fn person(&mut self, id: PersonId, person: &Person) -> Result<bool, Error> {
        let tables = self.records.tables();
        let before = tables
            .people
            .scan::<Person>(&id.0.0)
            .next_back()
            .transpose()?;
        let before = before.map(|(_, person)| person);
        if before.as_ref() == Some(person) {
            return Ok(false);
        }
        self.begin_writing()?;
        tables
            .people
            .put(&[&id.0.0[..], &self.import.to_be_bytes()].concat(), person)?;
        for name in &person.identifiers {
            self.identifier(name, &id.0.0)?;
        }
        self.counts.people += u64::from(before.is_none());
        self.counts.indexable += u64::from(person.key.is_some());
        self.counts.indexable -=
            u64::from(before.as_ref().is_some_and(|before| before.key.is_some()));
        Ok(before.is_none())
    }

    /// Notes that a person or a supporting resource has an identifier.
    pub(crate) fn identifier(&mut self, name: &Named, whose: &Named) -> Result<(), Error> {
        self.note(|tables| &tables.identifiers, name, whose)
    }

    /// Notes that a person is known through a service of this mark.
    pub(crate) fn served(&mut self, mark: &Named, person: &PersonId) -> Result<(), Error> {
        // One after the other, most records of a person come from the same few services.
        if self.noted.len() >= MAX_NOTED {
            self.noted.clear();
        }
        if !self.noted.insert((*mark, *person)) {
            return Ok(());
        }
        self.note(|tables| &tables.served, mark, &person.0.0)
    }

    /// Notes that what has this name provides a service of this mark, or is called so.
    pub(crate) fn provided(&mut self, mark: &Named, provider: &Named) -> Result<(), Error> {
        self.note(|tables| &tables.provided, mark, provider)
    }

    fn note(
        &mut self,
        table: impl Fn(&Tables) -> &Table,
        name: &Named,
        of: &Named,
    ) -> Result<(), Error> {
        let key = [&name[..], of].concat();
        if !table(self.records.tables()).contains(&key)? {
            self.begin_writing()?;
            table(self.records.tables()).put(&key, &self.import)?;
        }
        Ok(())
    }

    /// Makes it known, before the first row, that an import is under way.
    fn begin_writing(&mut self) -> Result<(), Error> {
        if !self.begun {
            self.records.tables().imports.put(b"begun", &self.import)?;
            self.records.inner().store.commit_now()?;
            self.begun = true;
        }
        Ok(())
    }

    /// Ends the import: everything filed becomes visible at once, and stays. The import's number,
    /// none if it changed nothing, and what is held now.
    pub(crate) fn finish(mut self, now: Timestamp) -> Result<(Option<u64>, Counts), Error> {
        if !self.begun {
            return Ok((None, self.counts));
        }
        self.name_blobs()?;
        let mut batch = self.records.tables().imports.batch();
        let finished = Finished {
            import: self.import,
            at: now,
            counts: self.counts,
        };
        batch.put(b"last", &finished);
        batch.remove(b"begun");
        batch.apply()?;
        self.records.inner().store.commit_now()?;
        self.records.see(self.import);
        self.records.notices().stir();
        Ok((Some(self.import), self.counts))
    }
}

impl Drop for Filing<'_> {
    fn drop(&mut self) {
        self.unnamed.clear();
        // Also after a finished import: what it had set aside is needed no more. If this fails,
        // the next import or start sweeps.
        if let Err(error) = sweep::sweep(self.records) {
            tracing::warn!(%error, "what an import left could not be removed now");
        }
    }
}
