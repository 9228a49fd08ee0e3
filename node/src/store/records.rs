//! People and their records: what an import leaves behind.
//!
//! A record is known by its type and id; every version of it is kept under the number of the import
//! that brought it. Readers see versions of finished imports only: an import becomes visible by one
//! durable write of its number (`filing`), and what an interrupted one left is swept before the
//! next begins. Keys hold keyed hashes only ([`Store::name`]).
//!
//! | table | key | value |
//! |---|---|---|
//! | `people` | person, import | [`Person`] |
//! | `records` | person, record, import | a version of a record, or that it left this person |
//! | `supporting` | record, import | a version of a resource about nobody |
//! | `held` | record | whose each version is, and its content hash |
//! | `identifiers` | identifier, person or record | first import that had it |
//! | `served` | mark of a service, person | first import in which they were known through it |
//! | `provided` | mark of a service, name of a provider that has it | first import that had it |
//! | `attachments` | content | where the bytes are |
//! | `packs` | import | the pack of its bodies up to 64 KiB ([`super::blobs::pack`]) |
//! | `imports` | `last`, `begun`, `staged …` | the visible import, the one under way |

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fairshare_protocol::category::Category;
use fairshare_protocol::ids::{Fixed, Hash, PersonId};
use fairshare_protocol::index::key::{IndexKey, NhsNumber};
use fairshare_protocol::offer::Label;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::blobs::{self, pack};
use super::notices::Notices;
use super::{Error, Store, Table};
use crate::fhir::{By, Mark, Name};

pub(crate) mod filing;
mod reading;
mod sweep;

/// Bodies up to this size share a pack, larger ones are blobs, in bytes.
pub(crate) const SMALL: usize = 64 * 1024;
/// The most supporting resources that travel with one set of records.
pub const MAX_SUPPORTING: usize = 16_384;

/// The name of a record, or of anything a reference can name.
pub(crate) type Named = [u8; 16];

/// What the node knows of a person beside their records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The id of their Patient: what the organisation itself calls them.
    pub local: String,
    /// The valid NHS number that counts.
    pub nhs: Option<NhsNumber>,
    /// What the index finds them by; none if they are not in it.
    pub key: Option<IndexKey>,
    /// Names of everything a reference may name them by.
    pub(crate) identifiers: Vec<Named>,
    /// Names of the organisations and professionals whose patient they are.
    pub(crate) named: Vec<Named>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// One version of a record, or of a supporting resource. Its bytes are read with
/// [`Records::body`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// FHIR resource type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its one category.
    pub category: Category,
    /// How restricted it is.
    pub label: Option<Label>,
    /// BLAKE3 of its bytes.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
    /// The `urn:` other resources of its Bundle refer to it by: its `fullUrl` in any Bundle.
    pub urn: Option<String>,
    /// Files that belong to it.
    pub attachments: Vec<Attached>,
    pub(crate) references: Vec<Named>,
    /// The service it comes from, or is ([`crate::fhir::service`]).
    pub(crate) marks: Vec<Named>,
    /// The encounters and episodes it belongs to.
    pub(crate) within: Vec<Named>,
    /// The Binaries it references: they are as secret as it is.
    pub(crate) binaries: Vec<Named>,
    pub(crate) body: Body,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.kind, self.size)
    }
}

/// A file that belongs to a record, byte for byte as it was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The address by which the record names it.
    pub url: String,
    /// Media type, as the record states it.
    pub content_type: Option<String>,
    /// BLAKE3 of its bytes.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attachment of {} bytes", self.size)
    }
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// In the pack of this import.
    Small(u64, pack::Place),
    /// In a blob, brought by this import.
    Large(u64, blobs::Key),
}

impl Default for Body {
    /// Nowhere yet.
    fn default() -> Self {
        Self::Small(0, pack::Place::default())
    }
}

/// A row of the table of records.
#[derive(Serialize, Deserialize)]
pub(crate) enum Row {
    /// This version.
    Version(Box<Record>),
    /// From this import on the record is another person's.
    Left,
}

/// Whose a record is, version by version.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Held(pub(crate) Vec<HeldVersion>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldVersion {
    pub(crate) import: u64,
    /// None if it is supporting.
    pub(crate) person: Option<PersonId>,
    pub(crate) hash: Hash,
}

impl Held {
    /// The version visible when `import` was the last one finished.
    pub(crate) fn at(&self, import: u64) -> Option<&HeldVersion> {
        self.0.iter().rev().find(|version| version.import <= import)
    }
}

/// Where an attachment's bytes are, and which import brought them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) import: u64,
    pub(crate) body: Body,
}

/// How much is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// People.
    pub people: u64,
    /// Of these, in the index.
    pub indexable: u64,
    /// Records about people, Patients included.
    pub records: u64,
    /// Resources about nobody.
    pub supporting: u64,
}

/// The last finished import, and what was held after it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) import: u64,
    pub(crate) at: Timestamp,
    pub(crate) counts: Counts,
}

pub(crate) struct Tables {
    pub(crate) people: Table,
    pub(crate) records: Table,
    pub(crate) supporting: Table,
    pub(crate) held: Table,
    pub(crate) identifiers: Table,
    pub(crate) served: Table,
    pub(crate) provided: Table,
    pub(crate) packs: Table,
    pub(crate) attachments: Table,
    pub(crate) imports: Table,
}

/// The people and records of one store. Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) tables: Tables,
    pub(crate) notices: Notices,
    /// The last finished import.
    visible: AtomicU64,
    pub(crate) importing: Mutex<()>,
}

impl Records {
    /// Opens the tables, and sweeps what an interrupted import left.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        let tables = Tables {
            people: store.table("people")?,
            records: store.table("records")?,
            supporting: store.table("supporting")?,
            held: store.table("held")?,
            identifiers: store.table("identifiers")?,
            served: store.table("served")?,
            provided: store.table("provided")?,
            packs: store.table("packs")?,
            attachments: store.table("attachments")?,
            imports: store.table("imports")?,
        };
        let records = Self(Arc::new(Inner {
            store: store.clone(),
            tables,
            notices: Notices::open(store)?,
            visible: AtomicU64::new(0),
            importing: Mutex::new(()),
        }));
        records.see(records.finished()?.import);
        sweep::sweep(&records)?;
        Ok(records)
    }

    /// What peers are to be told of these records.
    pub fn notices(&self) -> &Notices {
        &self.0.notices
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn blobs(&self) -> &blobs::Blobs {
        self.0.store.blobs()
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.0.tables
    }

    pub(crate) fn finished(&self) -> Result<Finished, Error> {
        let none = Finished {
            import: 0,
            at: Timestamp(0),
            counts: Counts::default(),
        };
        Ok(self.0.tables.imports.load(b"last")?.unwrap_or(none))
    }

    pub(crate) fn visible(&self) -> u64 {
        self.0.visible.load(Ordering::Acquire)
    }

    pub(crate) fn see(&self, import: u64) {
        self.0.visible.store(import, Ordering::Release);
    }

    /// The name of a resource by type and id. A person's is that of their Patient.
    pub(crate) fn resource_name(&self, kind: &str, id: &str) -> Named {
        self.0
            .store
            .name("resource", &[kind.as_bytes(), id.as_bytes()])
    }

    /// The name of an identifier of resources of a type.
    pub(crate) fn identifier_name(&self, kind: &str, system: &str, value: &str) -> Named {
        let parts = [kind.as_bytes(), system.as_bytes(), value.as_bytes()];
        self.0.store.name("identifier", &parts)
    }

    pub(crate) fn nhs_name(&self, nhs: NhsNumber) -> Named {
        self.identifier_name("Patient", crate::fhir::reference::NHS_NUMBER, &nhs.expose())
    }

    /// The name of whatever an element of a record names.
    pub(crate) fn name_of(&self, name: &Name) -> Named {
        match &name.by {
            By::Id(id) => self.resource_name(name.kind.name, id),
            By::Identifier(one) => self.identifier_name(name.kind.name, &one.system, &one.value),
        }
    }

    /// The name of a mark of a service.
    pub(crate) fn mark_name(&self, mark: &Mark) -> Named {
        let name = |kind, text: &str| self.0.store.name(kind, &[text.as_bytes()]);
        match mark {
            Mark::Code(code) => name("code of a service", code),
            Mark::Ods(code) => name("ODS code", code),
            Mark::Provider(provider) => self.name_of(provider),
        }
    }

    pub(crate) fn content_name(&self, hash: &Hash) -> Named {
        self.0.store.name("attachment", &[hash.as_bytes()])
    }
}

/// The person whose Patient has this name.
pub(crate) const fn person_id(name: Named) -> PersonId {
    PersonId(Fixed(name))
}

/// Takes apart a key of a name and an import.
pub(crate) fn split_key(key: &[u8]) -> (Named, u64) {
    let mut import = [0; 8];
    import.copy_from_slice(&key[key.len() - 8..]);
    let mut name = [0; 16];
    name.copy_from_slice(&key[..16]);
    (name, u64::from_be_bytes(import))
}
