//! The trust: a bulk export, one NDJSON file per type, with letters in files beside them.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use super::clinical::{BREATHS, PULSE, Stay, TEMPERATURE};
use super::records::{self, about, date, snomed};
use super::{DAY, Draw, Known, Organisation, Person, TODAY, Timestamp, letter, words};

/// What brings people who have nothing lasting.
const MINOR: [(&str, (&str, &str), &str); 4] = [
    (
        "Cut to the hand",
        ("288086009", "Suture of open wound"),
        "Cleaned and closed with six stitches.",
    ),
    (
        "Sprained ankle",
        ("399208008", "Plain X-ray"),
        "No fracture. Rest, ice and exercises.",
    ),
    (
        "Chest pain, not cardiac",
        ("29303009", "Electrocardiogram"),
        "Normal tracing and bloods. Reassured.",
    ),
    (
        "Abdominal pain",
        ("80146002", "Appendectomy"),
        "Inflamed appendix removed. Home on day two.",
    ),
];

/// An export while it is written.
struct Export<'a> {
    files: BTreeMap<String, String>,
    directory: &'a Path,
    organisation: &'a Organisation,
    here: String,
    staff: Vec<String>,
}

pub fn write<'a>(
    directory: &Path,
    organisation: &Organisation,
    people: impl Iterator<Item = (&'a Person, &'a Known)>,
    draw: &mut Draw,
) -> io::Result<()> {
    fs::create_dir(directory.join("attachments"))?;
    let id = draw.uuid();
    let mut export = Export {
        files: BTreeMap::new(),
        directory,
        organisation,
        here: format!("Organization/{id}"),
        staff: Vec::new(),
    };
    export.add(&records::organisation(&id, organisation));
    for clinician in words::HOSPITAL {
        let id = draw.uuid();
        export.add(&records::practitioner(&id, clinician));
        export.staff.push(format!("Practitioner/{id}"));
    }
    for (person, known) in people {
        export.person(person, known, draw)?;
    }
    // A result of somebody who is not in the export, as happens: refused, and said so.
    let stray = draw.uuid();
    let at = draw.ago(90);
    export.add(&records::measurement(
        &draw.uuid(),
        &format!("Patient/{stray}"),
        &PULSE,
        at,
        draw,
    ));
    for (kind, lines) in export.files {
        fs::write(directory.join(format!("{kind}.ndjson")), lines)?;
    }
    Ok(())
}

impl Export<'_> {
    fn add(&mut self, record: &Value) {
        let kind = record["resourceType"].as_str().unwrap_or_default();
        let file = self.files.entry(kind.to_owned()).or_default();
        file.push_str(&record.to_string());
        file.push('\n');
    }

    fn person(&mut self, person: &Person, known: &Known, draw: &mut Draw) -> io::Result<()> {
        let id = draw.uuid();
        let subject = format!("Patient/{id}");
        self.add(&records::patient(&id, person, known, self.organisation));
        if let Some(allergy) = person.allergy {
            let since = draw.ago(1500);
            self.add(&records::allergy(&draw.uuid(), &subject, *allergy, since));
        }
        let with_stay = person
            .problems
            .iter()
            .filter(|problem| problem.stay.is_some())
            .take(2);
        let mut stays = 0;
        for problem in with_stay {
            let Some(stay) = &problem.stay else { continue };
            let at = self.stay(person, known, &subject, stay, stays, draw)?;
            self.add(&records::condition(&draw.uuid(), &subject, problem, at));
            for medicine in problem.medicines {
                let by = draw.pick(&[0, 1, 2, 3]);
                let by = self.staff[by].clone();
                self.add(&records::prescription(
                    &draw.uuid(),
                    &subject,
                    medicine,
                    &by,
                    at,
                ));
            }
            stays += 1;
        }
        if stays == 0 {
            let (why, procedure, letter) = draw.pick(&MINOR);
            let stay = Stay {
                why,
                emergency: true,
                days: 0,
                procedure,
                letter,
            };
            self.stay(person, known, &subject, &stay, 0, draw)?;
        }
        Ok(())
    }

    /// One stay: encounter, observations, procedure and letter. Says when it ended.
    fn stay(
        &mut self,
        person: &Person,
        known: &Known,
        subject: &str,
        stay: &Stay,
        nth: usize,
        draw: &mut Draw,
    ) -> io::Result<Timestamp> {
        let start = draw.ago(600);
        let end = Timestamp((start.0 + stay.days * DAY + 5 * 3_600_000).min(TODAY.0));
        let clinician = draw.number(0, 4) as usize;
        let staff = self.staff[clinician].clone();
        let class = match (stay.emergency, stay.days) {
            (true, 0) => "EMER",
            (false, 0) => "AMB",
            _ => "IMP",
        };
        let visit = draw.uuid();
        self.add(&records::encounter(
            &visit,
            subject,
            class,
            json!({"text": stay.why}),
            (start, end),
            (&staff, &self.here),
        ));
        for test in [&PULSE, &TEMPERATURE, &BREATHS] {
            self.add(&records::measurement(
                &draw.uuid(),
                subject,
                test,
                start,
                draw,
            ));
        }
        self.add(&records::blood_pressure(&draw.uuid(), subject, start, draw));
        self.add(&about("Procedure", &draw.uuid(), "subject", subject, json!({
            "status": "completed", "code": snomed(stay.procedure), "performedDateTime": date(start),
            "encounter": {"reference": format!("Encounter/{visit}")}
        })));
        let (_, title, _, family) = words::HOSPITAL[clinician];
        let body = [
            format!("Came with: {}.", stay.why),
            format!("Done: {}.", stay.procedure.1),
            stay.letter.to_owned(),
            String::new(),
            format!("{title} {family}"),
        ];
        let letter = letter::lines(
            self.organisation,
            person,
            known,
            end,
            "Discharge summary",
            &body,
        );
        let (ending, media, bytes) = if stay.days > 0 {
            ("pdf", "application/pdf", letter::pdf(&letter))
        } else {
            ("txt", "text/plain", letter.join("\r\n").into_bytes())
        };
        let url = format!("attachments/{}-{}.{ending}", known.local, nth + 1);
        fs::write(self.directory.join(&url), &bytes)?;
        let mut document = records::document(
            &draw.uuid(),
            subject,
            snomed(("373942005", "Discharge summary")),
            end,
            self.organisation,
            json!({"contentType": media, "url": url, "size": bytes.len(),
                "title": "Discharge summary", "creation": end.to_string()}),
        );
        let visit = format!("Encounter/{visit}");
        document["context"] = json!({"encounter": [{"reference": visit}]});
        self.add(&document);
        Ok(end)
    }
}
