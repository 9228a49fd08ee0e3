//! Reading the files, one by one, and setting aside what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fairshare_protocol::codec;
use fairshare_protocol::control::import::Place;
use fairshare_protocol::crypto::hash;

use super::neighbour::Neighbours;
use super::report::Tally;
use super::stage::{Beside, Facts, Head, Staged, Staging, Unit, Whose};
use super::walk::{Found, Walked};
use super::{Error, Options, Phase, Watch};
use crate::fhir::attachment::{At, Attachment};
use crate::fhir::bundle::{Bundle, BundleKind, Document, Entry, document};
use crate::fhir::reference::Name;
use crate::fhir::source::{self, Content, Unread};
use crate::fhir::{self, By, Places, Refusal, Resource, Subject};
use crate::store::records::Records;
use crate::store::records::filing::Filing;
use std::os::unix::ffi::OsStrExt;

/// The watcher is told this often.
const WATCH_EVERY: u64 = 64;

/// Reads all files and sets their resources aside.
pub(super) fn read_all(
    records: &Records,
    filing: &Filing<'_>,
    walked: &Walked,
    options: &Options,
    tally: &mut Tally,
    watch: Watch<'_>,
) -> Result<Staged, Error> {
    let mut reading = Reading {
        records,
        filing,
        options,
        tally,
        watch,
        staging: Staging::begin(filing)?,
        neighbours: Neighbours::new(options.max_attachment),
        servers: BTreeMap::new(),
        done: Arc::default(),
        total: walked.files.iter().map(|file| file.size).sum(),
        seen: 0,
    };
    let mut before = 0;
    for (number, found) in (0..).zip(&walked.files) {
        reading.done.store(before, Ordering::Relaxed);
        reading.look()?;
        reading.file(number, found)?;
        before += found.size;
    }
    reading.staging.finish(records, filing)
}

struct Reading<'a> {
    records: &'a Records,
    filing: &'a Filing<'a>,
    options: &'a Options,
    tally: &'a mut Tally,
    watch: Watch<'a>,
    staging: Staging,
    neighbours: Neighbours,
    /// Servers named by the manifests of directories.
    servers: BTreeMap<PathBuf, BTreeSet<String>>,
    done: Arc<AtomicU64>,
    total: u64,
    seen: u64,
}

/// Where a resource stands.
#[derive(Clone, Copy)]
struct Origin<'a> {
    number: u32,
    found: &'a Found,
    place: Option<Place>,
    unit: Option<u32>,
}

impl Reading<'_> {
    fn file(&mut self, number: u32, found: &Found) -> Result<(), Error> {
        let origin = Origin {
            number,
            found,
            place: None,
            unit: None,
        };
        let places = self.places(found);
        let outcome = File::open(&found.path)
            .map_err(Unread::Io)
            .and_then(|file| {
                let counted = Counted {
                    file,
                    bytes: self.done.clone(),
                };
                source::open(counted, self.options.limits)
            });
        match outcome {
            Ok(Content::Whole(text)) => match document(&text, &places) {
                Ok(Document::Bundle(bundle)) => self.bundle(origin, &bundle),
                Ok(Document::Resource) => self.resource(origin, &text, &places),
                Ok(Document::Manifest(server)) => {
                    let dir = found.path.parent().map(PathBuf::from).unwrap_or_default();
                    self.servers.entry(dir).or_default().extend(server);
                    self.tally.read(number);
                    Ok(())
                }
                Err(refusal) => self.refuse_file(number, refusal),
            },
            Ok(Content::Lines(lines)) => self.lines(origin, lines, &places),
            Err(unread) => self.refuse_file(number, unread.into()),
        }
    }

    fn places(&self, found: &Found) -> Places {
        let of_dir = found.path.parent().and_then(|dir| self.servers.get(dir));
        let all = self
            .options
            .servers
            .iter()
            .chain(of_dir.into_iter().flatten());
        Places::at(all.cloned())
    }

    fn lines(
        &mut self,
        mut origin: Origin<'_>,
        mut lines: source::Lines,
        places: &Places,
    ) -> Result<(), Error> {
        loop {
            match lines.next_line() {
                Ok(None) => return Ok(()),
                Ok(Some((line, text))) => {
                    origin.place = Some(Place::Line(line));
                    match text {
                        Ok(text) => self.resource(origin, text, places)?,
                        Err(refusal) => self.refuse(origin, 1, &refusal, None)?,
                    }
                }
                // What was read so far stands; the rest of the file cannot be read.
                Err(unread) => return self.refuse(origin, 1, &unread.into(), None),
            }
        }
    }

    fn resource(&mut self, origin: Origin<'_>, text: &str, places: &Places) -> Result<(), Error> {
        let text = text.trim_ascii();
        match Resource::read(text, None, places, &self.options.rules) {
            Ok(resource) => self.set_aside(origin, &resource, text, None),
            Err(refusal) => self.refuse(origin, 1, &refusal, Some(text)),
        }
    }

    fn bundle(&mut self, origin: Origin<'_>, bundle: &Bundle<'_>) -> Result<(), Error> {
        let rules = &self.options.rules;
        let read = |entry: &Entry<'_>| {
            Resource::read(entry.text, entry.id.as_deref(), &bundle.places, rules)
        };
        let entries = bundle.entries.iter().map(|entry| match entry {
            Ok(entry) if entry.passed_over => None,
            Ok(entry) => Some(read(entry).map(|resource| (entry, resource))),
            Err(refusal) => Some(Err(refusal.clone())),
        });
        let read: Vec<_> = (1..)
            .zip(entries)
            .filter_map(|(number, entry)| Some((number, entry?)))
            .collect();
        let count = read.len() as u64;
        let version = read.iter().find_map(|(_, entry)| match entry {
            Err(refusal @ Refusal::OtherVersion(_)) => Some(refusal),
            _ => None,
        });
        // One entry of another release shows which release all of them are written in.
        if let Some(version) = version {
            return self.refuse(origin, count, version, None);
        }
        let mut origin = origin;
        if bundle.kind == BundleKind::Transaction {
            let first = read
                .iter()
                .find_map(|(number, entry)| Some((*number, entry.as_ref().err()?.clone())));
            let refused = first.map(|(entry, why)| Refusal::Transaction {
                entry,
                why: why.into(),
            });
            if let Some(refusal) = refused.or_else(|| twice(&read)) {
                return self.refuse(origin, count, &refusal, None);
            }
            origin.unit = Some(u32::try_from(self.staging.units.len()).unwrap_or(u32::MAX));
            self.staging.units.push(Unit {
                file: origin.number,
                entries: count,
            });
        }
        for (number, entry) in read {
            origin.place = Some(Place::Entry(number));
            match entry {
                Ok((entry, resource)) => {
                    self.set_aside(origin, &resource, entry.text, entry.urn.as_deref())?
                }
                Err(refusal) => {
                    let text = bundle.text_of(number);
                    self.refuse(origin, 1, &refusal, text)?;
                }
            }
        }
        Ok(())
    }

    fn refuse_file(&mut self, file: u32, refusal: Refusal) -> Result<(), Error> {
        self.tally.refuse_file(file, refusal);
        self.look()
    }

    /// Reports a refusal; `text` is the resource's, if it was one, for its type and id.
    fn refuse(
        &mut self,
        origin: Origin<'_>,
        count: u64,
        refusal: &Refusal,
        text: Option<&str>,
    ) -> Result<(), Error> {
        let named = text.and_then(fhir::called);
        self.tally
            .refuse(origin.number, origin.place, count, named, refusal);
        self.look()
    }

    /// Tells the watcher, now and then.
    fn look(&mut self) -> Result<(), Error> {
        self.seen += 1;
        if self.seen % WATCH_EVERY != 1 {
            return Ok(());
        }
        let done = self.done.load(Ordering::Relaxed);
        let progress = self
            .tally
            .progress(Phase::Reading, done.min(self.total), self.total);
        if (self.watch)(progress).is_break() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }

    fn set_aside(
        &mut self,
        origin: Origin<'_>,
        resource: &Resource,
        text: &str,
        urn: Option<&str>,
    ) -> Result<(), Error> {
        let name = self.records.resource_name(resource.kind.name, &resource.id);
        let hash = hash::bytes(text.as_bytes());
        let (binaries, references): (BTreeSet<_>, BTreeSet<_>) = resource
            .references
            .iter()
            .partition(|name| name.kind.name == "Binary");
        let all = |names: BTreeSet<&Name>| -> Vec<_> {
            let names = names.into_iter();
            names.map(|name| self.records.name_of(name)).collect()
        };
        let mark = |mark| self.records.mark_name(mark);
        let identifiers = resource.identifiers.iter();
        let identifiers = identifiers.map(|one| {
            self.records
                .identifier_name(resource.kind.name, &one.system, &one.value)
        });
        let named = resource.patient.iter().flat_map(|patient| &patient.named);
        let known = self.filing.hash_of(&name)?;
        let head = Head {
            file: origin.number,
            place: origin.place,
            unit: origin.unit,
            kind: resource.kind.name.to_owned(),
            id: resource.id.clone(),
            name,
            whose: self.whose(&resource.subject),
            category: resource.category,
            label: resource.label,
            hash,
            size: text.len() as u64,
            urn: urn.map(str::to_owned),
            references: all(references),
            binaries: all(binaries),
            marks: resource.marks.iter().map(mark).collect(),
            aliases: resource.aliases.iter().map(mark).collect(),
            within: all(resource.within.iter().collect()),
            identifiers: identifiers.collect(),
            attachments: resource
                .attachments
                .iter()
                .map(|one| beside(&mut self.neighbours, origin.found, one))
                .collect(),
            patient: resource.patient.as_ref().map(|patient| Facts {
                nhs: patient.nhs,
                key: patient.key.ok(),
                why: patient.key.err(),
            }),
            named: named.map(|name| self.records.name_of(name)).collect(),
            has_body: known != Some(hash),
        };
        self.staging.push(&head, text.as_bytes())?;
        self.tally.saw();
        self.look()
    }

    fn whose(&self, subject: &Subject) -> Whose {
        match subject {
            Subject::Own => Whose::Own,
            Subject::Person(person) => match &person.by {
                By::Id(id) => {
                    Whose::Person(self.records.resource_name("Patient", id), person.check)
                }
                By::Identifier(one) => Whose::Identified(self.records.identifier_name(
                    "Patient",
                    &one.system,
                    &one.value,
                )),
            },
            Subject::Follows(names) => {
                let names = names.iter().map(|name| self.records.name_of(name));
                Whose::Follows(names.collect())
            }
            Subject::Referrer => Whose::Referrer,
            Subject::Nobody => Whose::Nobody,
        }
    }
}

/// An entry and its resource, or why it has none.
type ReadEntry<'a> = Result<(&'a Entry<'a>, Resource), Refusal>;

/// Two different resources of one identity: which of them a server would keep is undefined.
fn twice(read: &[(u64, ReadEntry<'_>)]) -> Option<Refusal> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let all = read.iter().filter_map(|(_, entry)| entry.as_ref().ok());
    for (entry, resource) in all {
        let before = seen.insert((resource.kind.name, &resource.id), entry.text);
        if before.is_some_and(|before| before != entry.text) {
            return Some(Refusal::TwiceInTransaction);
        }
    }
    None
}

fn beside(neighbours: &mut Neighbours, found: &Found, attachment: &Attachment) -> Beside {
    match &attachment.at {
        At::Inline(Ok(())) => Beside::Inline,
        At::Inline(Err(damage)) => Beside::Damaged(*damage),
        At::Remote => Beside::Remote,
        At::Neighbour(address) => {
            let url = address.clone();
            match neighbours.find(&found.root, &found.path, address, attachment.stated) {
                Ok(neighbour) => Beside::File {
                    url,
                    content_type: attachment.content_type.clone(),
                    path: codec::Bytes(neighbour.path.as_os_str().as_bytes().to_vec()),
                    hash: neighbour.hash,
                    size: neighbour.size,
                },
                Err(why) => Beside::Not { url, why },
            }
        }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Refused(refusal) => refusal,
            Unread::Io(error) => Self::Unreadable(error.kind().to_string()),
        }
    }
}

/// Counts what is read of a file.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
