//! Synthetic people, and the FHIR files organisations hold about them.
//!
//! Every number is in the range 999 000 0000 to 999 999 9999, which is nobody's.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fairshare_protocol::index::key::NhsNumber;
use serde_json::{Value, json};

/// One synthetic person. What identifies them is unlike anything else in a log or a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Somebody {
    /// Ten digits.
    pub nhs: String,
    /// `YYYY-MM-DD`.
    pub born: String,
    /// Family name.
    pub family: String,
    /// Given name.
    pub given: String,
}

impl Somebody {
    /// The `n`th person, always the same.
    pub fn numbered(n: u32) -> Self {
        Self {
            nhs: nhs_numbers().nth(n as usize).unwrap_or_default(),
            born: born(n),
            family: format!("Quillfeather{n:03}"),
            given: format!("Wilhelmina{n:03}"),
        }
    }

    /// The people of these numbers.
    pub fn all(numbers: impl IntoIterator<Item = u32>) -> Vec<Self> {
        numbers.into_iter().map(Self::numbered).collect()
    }

    /// Two lines, as commands read them from standard input.
    pub fn lines(&self) -> String {
        format!("{}\n{}\n", self.nhs, self.born)
    }
}

fn born(n: u32) -> String {
    let (year, month, day) = (1921 + n % 73, 1 + n % 12, 10 + n % 19);
    format!("{year}-{month:02}-{day}")
}

/// The valid numbers of those that are nobody's.
fn nhs_numbers() -> impl Iterator<Item = String> {
    let all = 9_990_000_000..=9_999_999_999_u64;
    let valid = all.filter(|number| NhsNumber::try_from(*number).is_ok());
    valid.map(|number| number.to_string())
}

/// Writes a register of these people, `name` in `dir`: nothing but a Patient each, in one NDJSON
/// file, for tests of many.
pub fn register(dir: &Path, name: &str, author: &str, people: Range<u32>) {
    let mut out = BufWriter::new(File::create(dir.join(name)).unwrap());
    let numbers = nhs_numbers().skip(people.start as usize);
    for (n, nhs) in people.zip(numbers) {
        let patient = json!({
            "resourceType": "Patient",
            "id": format!("{author}-p{n}"),
            "identifier": [{
                "system": "https://fhir.nhs.uk/Id/nhs-number",
                "value": nhs
            }],
            "birthDate": born(n),
        });
        writeln!(out, "{patient}").unwrap();
    }
    out.flush().unwrap();
}

/// Writes one transaction Bundle per person into a new directory `name` in `dir`, as `author` holds
/// them: a Patient, two conditions, an allergy, an encounter, and a letter of `letter` bytes.
pub fn write(dir: &Path, name: &str, author: &str, people: &[Somebody], letter: usize) -> PathBuf {
    write_as(Letter::Document, (dir, name), author, people, letter)
}

/// [`write()`], with letters that travel in rounds: documents do not.
pub fn write_for_rounds(
    dir: &Path,
    name: &str,
    author: &str,
    people: &[Somebody],
    letter: usize,
) -> PathBuf {
    write_as(Letter::Report, (dir, name), author, people, letter)
}

/// What kind of record a letter is.
#[derive(Clone, Copy)]
enum Letter {
    Document,
    Report,
}

fn write_as(
    kind: Letter,
    (dir, name): (&Path, &str),
    author: &str,
    people: &[Somebody],
    letter: usize,
) -> PathBuf {
    let folder = dir.join(name);
    fs::create_dir(&folder).unwrap();
    for (at, person) in people.iter().enumerate() {
        let bundle = bundle(kind, author, at, person, letter);
        fs::write(
            folder.join(format!("{author}-{at:04}.json")),
            bundle.to_string(),
        )
        .unwrap();
    }
    folder
}

fn bundle(kind: Letter, author: &str, at: usize, person: &Somebody, size: usize) -> Value {
    let patient = format!("{author}-p{at}");
    let subject = json!({ "reference": format!("Patient/{patient}") });
    let coded = |text: &str| json!({ "text": text });
    let id = |what: &str| format!("{author}-{what}{at}");
    let text = format!("Dear colleague, about {} {}. ", person.given, person.family);
    let mut letter = text.repeat(size / text.len() + 1).into_bytes();
    letter.truncate(size);
    let letter = data_encoding::BASE64.encode(&letter);
    let resources = [
        json!({
            "resourceType": "Patient",
            "id": patient,
            "identifier": [{
                "system": "https://fhir.nhs.uk/Id/nhs-number",
                "value": person.nhs
            }],
            "name": [{ "family": person.family, "given": [person.given] }],
            "birthDate": person.born,
        }),
        json!({
            "resourceType": "Condition", "id": id("c1"), "subject": subject,
            "code": coded("Type 2 diabetes mellitus"),
        }),
        json!({
            "resourceType": "Condition", "id": id("c2"), "subject": subject,
            "code": coded("Essential hypertension"),
        }),
        json!({
            "resourceType": "AllergyIntolerance", "id": id("a"), "patient": subject,
            "code": coded("Penicillin"),
        }),
        json!({
            "resourceType": "Encounter", "id": id("e"), "subject": subject, "status": "finished",
            "class": { "code": "AMB" },
        }),
        json!({
            "resourceType": "CarePlan", "id": id("p"), "subject": subject, "status": "active",
            "intent": "plan",
        }),
        match kind {
            Letter::Document => json!({
                "resourceType": "DocumentReference", "id": id("d"), "subject": subject,
                "status": "current",
                "content": [{ "attachment": { "contentType": "text/plain", "data": letter } }],
            }),
            Letter::Report => json!({
                "resourceType": "DiagnosticReport", "id": id("d"), "subject": subject,
                "status": "final", "code": coded("Discharge letter"),
                "presentedForm": [{ "contentType": "text/plain", "data": letter }],
            }),
        },
    ];
    let entries = resources.map(|resource| {
        let kind = resource["resourceType"].as_str().unwrap_or_default();
        let url = format!("{kind}/{}", resource["id"].as_str().unwrap_or_default());
        json!({
            "fullUrl": format!("https://{author}.example.nhs.uk/fhir/{url}"),
            "resource": resource,
            "request": { "method": "PUT", "url": url },
        })
    });
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_distinct_valid_and_nobody() {
        let people = Somebody::all(0..200);
        for pair in people.windows(2) {
            assert!(pair[0].nhs < pair[1].nhs);
            assert!(pair[0].nhs.starts_with("999"));
        }
        let dates = people
            .iter()
            .map(|person| person.born.parse::<fairshare_protocol::time::Date>());
        assert!(dates.into_iter().all(|date| date.is_ok()));
    }
}
