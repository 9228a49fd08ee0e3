//! The shapes of records: UK Core's, as far as people fill them in.

use fairshare_protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use super::clinical::{Problem, Test};
use super::words::Clinician;
use super::{Draw, Known, Number, Organisation, Person};

pub const SNOMED: &str = "http://snomed.info/sct";
const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
pub const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
const PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/";
const VERIFIED_CODES: &str =
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland";
const VERIFIED: &str = "Extension-UKCore-NHSNumberVerificationStatus";

/// `YYYY-MM-DD`.
pub fn date(at: Timestamp) -> String {
    at.to_string()[..10].to_owned()
}

/// A concept of SNOMED CT.
pub fn snomed((code, name): (&str, &str)) -> Value {
    json!({"coding": [{"system": SNOMED, "code": code, "display": name}], "text": name})
}

/// A concept with a code if one is certain.
fn concept(code: Option<&str>, name: &str) -> Value {
    code.map_or_else(|| json!({"text": name}), |code| snomed((code, name)))
}

/// A concept of one of HL7's own code systems.
fn hl7(system: &str, code: &str) -> Value {
    let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
    json!({"coding": [{"system": system, "code": code}]})
}

/// A record about somebody: `more` and what every record has.
pub fn about(kind: &str, id: &str, element: &str, subject: &str, more: Value) -> Value {
    let mut record = Map::new();
    record.insert("resourceType".into(), json!(kind));
    record.insert("id".into(), json!(id));
    record.insert(element.into(), json!({"reference": subject}));
    if let Value::Object(more) = more {
        record.extend(more);
    }
    Value::Object(record)
}

/// The Patient, as this organisation has it.
pub fn patient(id: &str, person: &Person, known: &Known, organisation: &Organisation) -> Value {
    let digits = person.nhs.expose();
    let value = match known.number {
        // The last digit one up, or 0 for 9: a single wrong digit never passes the check.
        Number::Mistyped => {
            let last = (digits.as_bytes()[9] - b'0' + 1) % 10;
            Some(format!("{}{last}", &digits[..9]))
        }
        Number::Missing => None,
        Number::Right if organisation.ods == "998" => Some(format!(
            "{} {} {}",
            &digits[..3],
            &digits[3..6],
            &digits[6..]
        )),
        Number::Right => Some(digits.to_string()),
    };
    let local = format!(
        "https://{}.example.nhs.uk/Id/person",
        organisation.ods.to_lowercase()
    );
    let mut identifiers = vec![json!({"use": "usual", "system": local, "value": known.local})];
    if let Some(value) = value {
        let mut number = json!({"use": "official", "system": NHS_NUMBER, "value": value});
        if known.number == Number::Right {
            number["extension"] = json!([{
                "url": format!("{PROFILE}{VERIFIED}"),
                "valueCodeableConcept": {"coding": [{
                    "system": VERIFIED_CODES, "code": "01",
                    "display": "Number present and verified"
                }]}
            }]);
        }
        identifiers.push(number);
    }
    json!({
        "resourceType": "Patient", "id": id,
        "meta": {"profile": [format!("{PROFILE}UKCore-Patient")]},
        "identifier": identifiers,
        "active": true,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
        "gender": if person.woman { "female" } else { "male" },
        "birthDate": known.born.expose(),
        "address": [{"use": "home", "line": [person.street], "city": person.town,
            "district": "Wexshire", "postalCode": person.postcode}],
        "managingOrganization": {"identifier": {"system": ODS, "value": organisation.ods},
            "display": organisation.name}
    })
}

/// The organisation itself: about nobody, so it travels with what refers to it.
pub fn organisation(id: &str, organisation: &Organisation) -> Value {
    json!({"resourceType": "Organization", "id": id, "active": true, "name": organisation.name,
        "identifier": [{"system": ODS, "value": organisation.ods}]})
}

/// One of its staff.
pub fn practitioner(id: &str, (code, title, given, family): Clinician) -> Value {
    json!({"resourceType": "Practitioner", "id": id, "active": true,
        "identifier": [{"system": "https://wexshire.example.nhs.uk/Id/staff", "value": code}],
        "name": [{"family": family, "given": [given], "prefix": [title]}]})
}

pub fn condition(id: &str, subject: &str, problem: &Problem, since: Timestamp) -> Value {
    about(
        "Condition",
        id,
        "subject",
        subject,
        json!({
            "clinicalStatus": hl7("condition-clinical", "active"),
            "verificationStatus": hl7("condition-ver-status", "confirmed"),
            "category": [hl7("condition-category", "problem-list-item")],
            "code": snomed((problem.code, problem.name)),
            "onsetDateTime": date(since), "recordedDate": date(since)
        }),
    )
}

pub fn allergy(
    id: &str,
    subject: &str,
    (code, name, category, reaction): (&str, &str, &str, &str),
    since: Timestamp,
) -> Value {
    about(
        "AllergyIntolerance",
        id,
        "patient",
        subject,
        json!({
            "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
            "verificationStatus": hl7("allergyintolerance-verification", "confirmed"),
            "category": [category], "code": snomed((code, name)), "recordedDate": date(since),
            "reaction": [{"manifestation": [{"text": reaction}]}]
        }),
    )
}

/// A prescription, from `name: instructions`.
pub fn prescription(id: &str, subject: &str, medicine: &str, by: &str, at: Timestamp) -> Value {
    let (name, instructions) = medicine.split_once(": ").unwrap_or((medicine, ""));
    about(
        "MedicationRequest",
        id,
        "subject",
        subject,
        json!({
            "status": "active", "intent": "order", "authoredOn": date(at),
            "medicationCodeableConcept": {"text": name},
            "requester": {"reference": by},
            "dosageInstruction": [{"text": instructions}]
        }),
    )
}

pub fn measurement(id: &str, subject: &str, test: &Test, at: Timestamp, draw: &mut Draw) -> Value {
    let value = draw.number(test.range.0, test.range.1);
    about(
        "Observation",
        id,
        "subject",
        subject,
        json!({
            "status": "final", "code": concept(test.code, test.name),
            "effectiveDateTime": at.to_string(),
            "valueQuantity": {"value": value, "unit": test.unit}
        }),
    )
}

pub fn blood_pressure(id: &str, subject: &str, at: Timestamp, draw: &mut Draw) -> Value {
    let mut part = |code, name, least, most| {
        json!({"code": snomed((code, name)), "valueQuantity": {
            "value": draw.number(least, most), "unit": "mm[Hg]",
            "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
    };
    let parts = [
        part("271649006", "Systolic blood pressure", 108, 172),
        part("271650006", "Diastolic blood pressure", 62, 98),
    ];
    about(
        "Observation",
        id,
        "subject",
        subject,
        json!({
            "status": "final", "code": snomed(("75367002", "Blood pressure")),
            "effectiveDateTime": at.to_string(), "component": parts
        }),
    )
}

/// An encounter: its class (`AMB`, `EMER`, `IMP`), the reason, and when.
pub fn encounter(
    id: &str,
    subject: &str,
    class: &str,
    why: Value,
    (start, end): (Timestamp, Timestamp),
    (clinician, organisation): (&str, &str),
) -> Value {
    about(
        "Encounter",
        id,
        "subject",
        subject,
        json!({
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class},
            "reasonCode": [why],
            "participant": [{"individual": {"reference": clinician}}],
            "period": {"start": start.to_string(), "end": end.to_string()},
            "serviceProvider": {"reference": organisation}
        }),
    )
}

/// A document whose bytes are what `attachment` says.
pub fn document(
    id: &str,
    subject: &str,
    what: Value,
    at: Timestamp,
    organisation: &Organisation,
    attachment: Value,
) -> Value {
    about(
        "DocumentReference",
        id,
        "subject",
        subject,
        json!({
            "status": "current", "docStatus": "final", "type": what, "date": at.to_string(),
            "author": [{"identifier": {"system": ODS, "value": organisation.ods},
                "display": organisation.name}],
            "custodian": {"identifier": {"system": ODS, "value": organisation.ods}},
            "content": [{"attachment": attachment}]
        }),
    )
}
