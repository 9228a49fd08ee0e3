//! What was read, set aside on disk until all of it is.
//!
//! Two sealed files: heads, which say what each resource is and are gone through several times, and
//! bodies, the bytes as they came, read once more in the same order.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use fairshare_protocol::category::Category;
use fairshare_protocol::codec;
use fairshare_protocol::control::import::Place;
use fairshare_protocol::ids::Hash;
use fairshare_protocol::index::key::{IndexKey, NhsNumber};
use fairshare_protocol::offer::Label;
use serde::{Deserialize, Serialize};

use super::Error;
use super::neighbour::Problem;
use crate::fhir::attachment::Damage;
use crate::fhir::patient::NotIndexable;
use crate::store::blobs;
use crate::store::records::filing::Filing;
use crate::store::records::{Named, Records};

/// The longest head, in bytes: many references, identifiers and attachments.
const MAX_HEAD: usize = 1024 * 1024;

/// What one resource is, without its bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// The file it came from.
    pub(super) file: u32,
    /// Where in it.
    pub(super) place: Option<Place>,
    /// The transaction it is part of.
    pub(super) unit: Option<u32>,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) name: Named,
    pub(super) whose: Whose,
    pub(super) category: Category,
    pub(super) label: Option<Label>,
    pub(super) hash: Hash,
    pub(super) size: u64,
    pub(super) urn: Option<String>,
    /// Names of what may be supporting.
    pub(super) references: Vec<Named>,
    /// Names of Binaries it references.
    pub(super) binaries: Vec<Named>,
    /// Marks of the service it comes from, or is.
    pub(super) marks: Vec<Named>,
    /// Other names of the service it is.
    pub(super) aliases: Vec<Named>,
    /// Names of the encounters and episodes it belongs to.
    pub(super) within: Vec<Named>,
    /// Names it goes by, if it is a Patient or supporting.
    pub(super) identifiers: Vec<Named>,
    pub(super) attachments: Vec<Beside>,
    pub(super) patient: Option<Facts>,
    /// If it is a Patient, names of the organisations and professionals whose patient that is.
    pub(super) named: Vec<Named>,
    /// Whether its bytes are among the bodies; not if they are those already held.
    pub(super) has_body: bool,
}

/// What is known of a Patient.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) nhs: Option<NhsNumber>,
    pub(super) key: Option<IndexKey>,
    /// Why there is no key, as the number of the reason.
    pub(super) why: Option<NotIndexable>,
}

/// Whose it says it is.
#[derive(Serialize, Deserialize)]
pub(super) enum Whose {
    /// Its own: a Patient.
    Own,
    /// The person of that name; and the NHS number that person must have, if any.
    Person(Named, Option<NhsNumber>),
    /// The person who has that identifier.
    Identified(Named),
    /// The person these are about.
    Follows(Vec<Named>),
    /// The person its referrer is about.
    Referrer,
    /// Nobody's.
    Nobody,
}

/// An attachment.
#[derive(Serialize, Deserialize)]
pub(super) enum Beside {
    Inline,
    Remote,
    /// Inside the resource, and not what it states.
    Damaged(Damage),
    /// In a file, which is there.
    File {
        url: String,
        content_type: Option<String>,
        path: codec::Bytes,
        hash: Hash,
        size: u64,
    },
    /// In a file, which is not there or not what is stated.
    Not {
        url: String,
        why: Problem,
    },
}

/// A transaction.
pub(super) struct Unit {
    pub(super) file: u32,
    pub(super) entries: u64,
}

/// What is being set aside.
pub(super) struct Staging {
    heads: blobs::Writer,
    bodies: blobs::Writer,
    pub(super) wanted: Wanted,
    pub(super) units: Vec<Unit>,
    count: u64,
}

/// What the resources ask for that cannot be told from their own names.
#[derive(Default)]
pub(super) struct Wanted {
    /// Identifiers somebody is named by.
    pub(super) identifiers: BTreeSet<Named>,
    /// Records followed for their person.
    pub(super) targets: BTreeSet<Named>,
    /// Whether there are Binaries, whose person their referrers say.
    pub(super) referrers: bool,
    /// Whether anything follows anything.
    pub(super) followers: bool,
}

impl Staging {
    pub(super) fn begin(filing: &Filing<'_>) -> Result<Self, Error> {
        Ok(Self {
            heads: filing.staging()?,
            bodies: filing.staging()?,
            wanted: Wanted::default(),
            units: Vec::new(),
            count: 0,
        })
    }

    /// Sets one resource aside.
    pub(super) fn push(&mut self, head: &Head, bytes: &[u8]) -> Result<(), Error> {
        match &head.whose {
            Whose::Identified(name) => {
                self.wanted.identifiers.insert(*name);
            }
            Whose::Follows(names) => {
                self.wanted.targets.extend(names);
                self.wanted.followers = true;
            }
            Whose::Referrer => {
                self.wanted.referrers = true;
                self.wanted.followers = true;
            }
            Whose::Own | Whose::Person(..) | Whose::Nobody => {}
        }
        let encoded = codec::encode(head);
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        self.heads.write_all(&length.to_le_bytes())?;
        self.heads.write_all(&encoded)?;
        if head.has_body {
            self.bodies.write_all(bytes)?;
        }
        self.count += 1;
        Ok(())
    }

    /// All is set aside.
    pub(super) fn finish(self, records: &Records, filing: &Filing<'_>) -> Result<Staged, Error> {
        Ok(Staged {
            records: records.clone(),
            heads: filing.staged("heads", self.heads)?,
            bodies: filing.staged("bodies", self.bodies)?,
            wanted: self.wanted,
            units: self.units,
            count: self.count,
        })
    }
}

/// What was set aside, to be gone through any number of times.
pub(super) struct Staged {
    records: Records,
    heads: blobs::Key,
    bodies: blobs::Key,
    pub(super) wanted: Wanted,
    pub(super) units: Vec<Unit>,
    /// How many resources there are.
    pub(super) count: u64,
}

impl Staged {
    /// All heads, in the order they were read.
    pub(super) fn heads(&self) -> Result<impl Iterator<Item = Result<Head, Error>>, Error> {
        let mut input = self.records.blobs().open_blob(&self.heads)?;
        Ok((0..self.count).map(move |_| read_head(&mut input)))
    }

    /// The bodies of all heads that have one, one after the other.
    pub(super) fn bodies(&self) -> Result<blobs::Reader, Error> {
        Ok(self.records.blobs().open_blob(&self.bodies)?)
    }
}

fn read_head(input: &mut impl Read) -> Result<Head, Error> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "what was set aside is damaged");
    if length > MAX_HEAD {
        return Err(damaged().into());
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(codec::decode(&bytes, MAX_HEAD).map_err(|_| damaged())?)
}
