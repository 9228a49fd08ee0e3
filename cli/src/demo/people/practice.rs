//! The practice: one transaction Bundle per person, its entries referring to one another by
//! `urn:uuid`.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use super::clinical::{PULSE, WEIGHT};
use super::records::{self, about, date, snomed};
use super::{Draw, Known, Organisation, Person, Timestamp, words};

/// Vaccines: name, nobody younger, nobody older.
static VACCINES: [(&str, u32, u32); 6] = [
    ("Influenza vaccine, 2025/26 season", 65, 120),
    ("COVID-19 vaccine, spring 2026", 75, 120),
    ("Shingles vaccine", 65, 80),
    ("Pneumococcal polysaccharide vaccine", 65, 120),
    ("Human papillomavirus vaccine", 13, 25),
    ("Measles, mumps and rubella vaccine, second dose", 4, 18),
];

/// Smoking: SNOMED CT code and name.
static SMOKING: [(&str, &str); 3] = [
    ("8392000", "Non-smoker"),
    ("8517006", "Ex-smoker"),
    ("77176002", "Smoker"),
];

pub fn write<'a>(
    directory: &Path,
    organisation: &Organisation,
    people: impl Iterator<Item = (&'a Person, &'a Known)>,
    draw: &mut Draw,
) -> io::Result<()> {
    let here = draw.uuid();
    let staff = words::SURGERY.map(|clinician| (draw.uuid(), clinician));
    for (person, known) in people {
        let mut entries = vec![put(records::organisation(&here, organisation))];
        for (id, clinician) in &staff {
            entries.push(put(records::practitioner(id, *clinician)));
        }
        let id = draw.uuid();
        entries.push(post(records::patient(&id, person, known, organisation)));
        let mut surgery = Surgery {
            entries,
            subject: urn(&id),
            here: urn(&here),
            staff: urn(&staff[draw.number(0, 2) as usize].0),
        };
        surgery.person(person, draw);
        let bundle = json!({"resourceType": "Bundle", "type": "transaction",
            "entry": surgery.entries});
        let text = serde_json::to_string_pretty(&bundle)?;
        fs::write(directory.join(format!("{}.json", known.local)), text)?;
    }
    Ok(())
}

fn urn(id: &str) -> String {
    format!("urn:uuid:{id}")
}

fn post(record: Value) -> Value {
    let (kind, id) = (
        record["resourceType"].clone(),
        record["id"].as_str().unwrap_or_default(),
    );
    json!({"fullUrl": urn(id), "request": {"method": "POST", "url": kind}, "resource": record})
}

fn put(record: Value) -> Value {
    let id = record["id"].as_str().unwrap_or_default();
    let url = format!(
        "{}/{id}",
        record["resourceType"].as_str().unwrap_or_default()
    );
    json!({"fullUrl": urn(id), "request": {"method": "PUT", "url": url}, "resource": record})
}

/// One person's Bundle while it is written.
struct Surgery {
    entries: Vec<Value>,
    subject: String,
    here: String,
    staff: String,
}

impl Surgery {
    fn add(&mut self, record: Value) {
        self.entries.push(post(record));
    }

    fn person(&mut self, person: &Person, draw: &mut Draw) {
        let subject = self.subject.clone();
        for problem in &person.problems {
            let since = draw.ago(365 * person.age.clamp(1, 14));
            self.add(records::condition(&draw.uuid(), &subject, problem, since));
            for medicine in problem.medicines {
                let at = draw.ago(80);
                let by = self.staff.clone();
                self.add(records::prescription(
                    &draw.uuid(),
                    &subject,
                    medicine,
                    &by,
                    at,
                ));
            }
            let seen = draw.ago(300);
            self.visit(snomed((problem.code, problem.name)), seen, draw);
            if let Some(test) = problem.test {
                self.add(records::measurement(
                    &draw.uuid(),
                    &subject,
                    test,
                    seen,
                    draw,
                ));
            }
        }
        if let Some(allergy) = person.allergy {
            let since = draw.ago(3000);
            self.add(records::allergy(&draw.uuid(), &subject, *allergy, since));
        }
        let seen = draw.ago(360);
        self.visit(json!({"text": "Review"}), seen, draw);
        if person.age >= 18 {
            self.add(records::blood_pressure(&draw.uuid(), &subject, seen, draw));
            self.add(records::measurement(
                &draw.uuid(),
                &subject,
                &PULSE,
                seen,
                draw,
            ));
            self.add(records::measurement(
                &draw.uuid(),
                &subject,
                &WEIGHT,
                seen,
                draw,
            ));
            self.smoking(seen, draw);
        }
        for (vaccine, youngest, oldest) in VACCINES {
            if (youngest..=oldest).contains(&person.age) && draw.chance(75) {
                let at = draw.ago(400);
                self.add(about("Immunization", &draw.uuid(), "patient", &subject, json!({
                    "status": "completed", "vaccineCode": {"text": vaccine}, "primarySource": true,
                    "occurrenceDateTime": date(at), "site": {"text": "Left upper arm"}
                })));
            }
        }
        if person.takes().count() > 3 {
            self.add(about(
                "MedicationStatement",
                &draw.uuid(),
                "subject",
                &subject,
                json!({
                    "status": "active", "effectiveDateTime": date(seen),
                    "medicationCodeableConcept": {"text": "Repeat medicines, in a weekly box"},
                    "note": [{"text": "The pharmacy delivers the box on Mondays."}]
                }),
            ));
        }
    }

    fn visit(&mut self, why: Value, at: Timestamp, draw: &mut Draw) {
        let end = Timestamp(at.0 + 10 * 60 * 1000);
        let by = (self.staff.as_str(), self.here.as_str());
        let visit = records::encounter(&draw.uuid(), &self.subject, "AMB", why, (at, end), by);
        self.add(visit);
    }

    fn smoking(&mut self, at: Timestamp, draw: &mut Draw) {
        let finding = snomed(draw.pick(&SMOKING));
        let record = about(
            "Observation",
            &draw.uuid(),
            "subject",
            &self.subject,
            json!({
                "status": "final", "code": snomed(("229819007", "Tobacco use and exposure")),
                "effectiveDateTime": at.to_string(), "valueCodeableConcept": finding
            }),
        );
        self.add(record);
    }
}
