//! What an organisation's FHIR files say, read without its node: what the demo holds the nodes'
//! answers against.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use fairshare_node::fhir::attachment::{self, At};
use fairshare_node::fhir::bundle::{Document, document};
use fairshare_node::fhir::source::{self, Content};
use fairshare_node::fhir::{By, Places, Refusal, Resource, Rules, Subject};
use fairshare_protocol::category::Category;
use fairshare_protocol::crypto::hash;
use fairshare_protocol::ids::Hash;
use fairshare_protocol::index::key::IndexKey;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The files of one organisation.
#[derive(Default)]
pub struct Files {
    /// Whom it can be asked about, and how many letters it has of each.
    pub people: BTreeMap<IndexKey, usize>,
    /// By the hash of a record's bytes: address and hash of every file beside it.
    records: BTreeMap<Hash, Vec<(String, Hash)>>,
}

/// What is gathered before it is known whose it is.
#[derive(Default)]
struct Reading {
    files: Files,
    /// Ids of Patients who can be found.
    patients: BTreeMap<String, IndexKey>,
    /// Patient and id of every letter.
    letters: BTreeSet<(String, String)>,
}

impl Files {
    /// Reads all files in `directory` as an import does.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(directory: &Path, rules: &Rules) -> io::Result<Self> {
        let mut reading = Reading::default();
        for path in walk(directory)? {
            reading.file(&path, rules)?;
        }
        let mut files = reading.files;
        for key in reading.patients.values() {
            files.people.entry(*key).or_insert(0);
        }
        for (patient, _) in &reading.letters {
            if let Some(letters) = reading
                .patients
                .get(patient)
                .and_then(|key| files.people.get_mut(key))
            {
                *letters += 1;
            }
        }
        Ok(files)
    }

    /// The people this organisation and `other` both hold.
    pub fn shared(&self, other: &Self) -> BTreeSet<IndexKey> {
        let ours = self.people.keys();
        ours.filter(|key| other.people.contains_key(key))
            .copied()
            .collect()
    }
}

/// What came in a bundle, held against its author's files.
#[derive(Debug, Default, Clone, Copy)]
pub struct Came {
    /// Records that are, byte for byte, records of the author.
    pub records: usize,
    /// Files beside records that are, byte for byte, the author's.
    pub attachments: usize,
    /// What is not, or is missing.
    pub wrong: usize,
}

#[derive(Deserialize)]
struct Exported<'a> {
    #[serde(borrow)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl")]
    url: String,
    #[serde(borrow)]
    resource: &'a RawValue,
}

#[derive(Deserialize)]
struct Binary {
    data: String,
}

impl Files {
    /// Holds an exported bundle of theirs against these files.
    ///
    /// # Errors
    /// If it is not a Bundle.
    pub fn check(&self, export: &[u8]) -> Result<Came, serde_json::Error> {
        let mut bundle: Exported<'_> = serde_json::from_slice(export)?;
        // The last one says where it came from, and is the receiver's.
        let mut came = Came {
            wrong: usize::from(bundle.entry.pop().is_none()),
            ..Came::default()
        };
        let (mut expected, mut others) = (Vec::new(), Vec::new());
        for entry in bundle.entry {
            match self
                .records
                .get(&hash::bytes(entry.resource.get().as_bytes()))
            {
                Some(beside) => {
                    came.records += 1;
                    expected.extend(beside);
                }
                None => others.push(entry),
            }
        }
        for entry in others {
            let found = entry.bytes().and_then(|bytes| {
                let bytes = hash::bytes(&bytes);
                expected
                    .iter()
                    .position(|(url, hash)| *hash == bytes && entry.url.ends_with(url))
            });
            match found {
                Some(at) => {
                    expected.swap_remove(at);
                    came.attachments += 1;
                }
                None => came.wrong += 1,
            }
        }
        came.wrong += expected.len();
        Ok(came)
    }
}

impl Entry<'_> {
    fn bytes(&self) -> Option<Vec<u8>> {
        let binary: Binary = serde_json::from_str(self.resource.get()).ok()?;
        BASE64.decode(binary.data.as_bytes()).ok()
    }
}

/// All files below a directory, in one order always.
fn walk(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => left.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Reading {
    fn file(&mut self, path: &Path, rules: &Rules) -> io::Result<()> {
        let places = Places::at([]);
        // What is no FHIR is not a record; the node's own report says why.
        let Ok(content) = source::open(File::open(path)?, source::Limits::default()) else {
            return Ok(());
        };
        match content {
            Content::Whole(text) => match document(&text, &places) {
                Ok(Document::Bundle(bundle)) => {
                    for entry in bundle.entries.iter().flatten() {
                        let id = entry.id.as_deref();
                        let resource = Resource::read(entry.text, id, &bundle.places, rules);
                        self.resource(path, entry.text, resource);
                    }
                }
                Ok(Document::Resource) => {
                    let resource = Resource::read(&text, None, &places, rules);
                    self.resource(path, text.trim_ascii(), resource);
                }
                _ => {}
            },
            Content::Lines(mut lines) => {
                while let Ok(Some((_, line))) = lines.next_line() {
                    if let Ok(text) = line {
                        let resource = Resource::read(text, None, &places, rules);
                        self.resource(path, text.trim_ascii(), resource);
                    }
                }
            }
        }
        Ok(())
    }

    fn resource(&mut self, path: &Path, text: &str, resource: Result<Resource, Refusal>) {
        let Ok(resource) = resource else { return };
        if let Some(patient) = &resource.patient {
            match patient.key {
                Ok(key) => self.patients.insert(resource.id.clone(), key),
                Err(_) => self.patients.remove(&resource.id),
            };
        }
        let directory = path.parent().unwrap_or(path);
        let beside = resource.attachments.iter().filter_map(|one| match &one.at {
            At::Neighbour(url) => {
                let bytes = fs::read(directory.join(attachment::path(url)?)).ok()?;
                Some((url.clone(), hash::bytes(&bytes)))
            }
            At::Inline(_) | At::Remote => None,
        });
        let hash = hash::bytes(text.as_bytes());
        self.files.records.insert(hash, beside.collect());
        if let (Subject::Person(person), Category::Documents, None) =
            (&resource.subject, resource.category, resource.label)
            && let By::Id(id) = &person.by
        {
            self.letters.insert((id.clone(), resource.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: &str = r#"{"resourceType":"DocumentReference","id":"d1","status":"current","subject":{"reference":"Patient/p1"},"content":[{"attachment":{"url":"letters/a.txt"}}]}"#;
    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","birthDate":"1948-11-08","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990001235"}]}"#;

    fn files() -> Files {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("letters")).unwrap();
        fs::write(dir.path().join("letters/a.txt"), "Dear Dr Marsh").unwrap();
        let lines = format!("{LETTER}\n{PATIENT}\n");
        fs::write(dir.path().join("all.ndjson"), lines).unwrap();
        let rules = Rules::new(false, "2026-11-23".parse().unwrap());
        Files::read(dir.path(), &rules).unwrap()
    }

    fn check(letter: &str, beside: Option<&str>) -> Came {
        let base = "https://fairshare.invalid/RZZ";
        let mut entries = vec![
            format!(r#"{{"fullUrl":"{base}/Patient/p1","resource":{PATIENT}}}"#),
            format!(r#"{{"fullUrl":"{base}/DocumentReference/d1","resource":{letter}}}"#),
        ];
        entries.extend(beside.map(|text| {
            let data = BASE64.encode(text.as_bytes());
            format!(r#"{{"fullUrl":"{base}/letters/a.txt","resource":{{"data":"{data}"}}}}"#)
        }));
        entries.push(r#"{"fullUrl":"x","resource":{"resourceType":"Provenance"}}"#.to_owned());
        let export = format!(r#"{{"entry":[{}]}}"#, entries.join(","));
        files().check(export.as_bytes()).unwrap()
    }

    #[test]
    fn what_came_is_held_byte_for_byte_against_its_authors_files() {
        let numbers = |came: Came| (came.records, came.attachments, came.wrong);
        assert_eq!(numbers(check(LETTER, Some("Dear Dr Marsh"))), (2, 1, 0));
        assert_eq!(numbers(check(LETTER, Some("Dear Dr Marsk"))), (2, 0, 2));
        assert_eq!(numbers(check(LETTER, None)), (2, 0, 1));
        let changed = LETTER.replace("current", "superseded");
        assert_eq!(numbers(check(&changed, None)), (1, 0, 1));
    }

    #[test]
    fn a_person_is_known_with_the_letters_about_them() {
        let files = files();
        assert_eq!(files.people.values().collect::<Vec<_>>(), [&1]);
        assert_eq!(files.shared(&files).len(), 1);
        assert!(files.shared(&Files::default()).is_empty());
    }
}
