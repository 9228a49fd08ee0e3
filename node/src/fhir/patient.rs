//! Patients: their identifiers, and whether they can be found by NHS number and date of birth.

use fairshare_protocol::index::key::{IndexKey, NhsNumber, NotAnNhsNumber};
use fairshare_protocol::time::Date;
use serde::{Deserialize, Serialize};

use super::json::Json;
use super::kind::Kind;
use super::reference::{
    By, Identifier, NHS_NUMBER, Name, Places, Target, follow, is_nhs_number, names,
};
use super::refusal::Refusal;

/// The most identifiers of one person that are kept for finding them.
const MAX_IDENTIFIERS: usize = 64;
/// The most organisations and professionals of one person that are kept.
const MAX_NAMED: usize = 16;
/// Extensions that state whether an NHS number was traced (UK Core, and CareConnect before it).
const VERIFICATION: [&str; 2] = [
    "Extension-UKCore-NHSNumberVerificationStatus",
    "Extension-CareConnect-GPC-NHSNumberVerificationStatus-1",
];

/// What an import wants to know of a Patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// Everything references may name the person by, old numbers left out.
    pub identifiers: Vec<Identifier>,
    /// The valid NHS number that counts, if there is one.
    pub nhs: Option<NhsNumber>,
    /// The index key, or why the person has none.
    pub key: Result<IndexKey, NotIndexable>,
    /// Whose patient they are: their practice or practitioners, and the organisation that keeps
    /// them.
    pub named: Vec<Name>,
}

/// Why a person is not in the index. Names no value.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
pub enum NotIndexable {
    /// No NHS number at all.
    #[error("no NHS number")]
    NoNumber,
    /// The number given is not one.
    #[error("an NHS number that is not valid: ten digits and a check digit that fits")]
    NotValid,
    /// It was one.
    #[error("only an NHS number marked old, temporary or ended")]
    Old,
    /// It was never traced, or tracing it failed.
    #[error("an NHS number whose stated verification status is not `01`, present and verified")]
    NotVerified,
    /// More than one.
    #[error("two different NHS numbers")]
    Several,
    /// No date of birth.
    #[error("no date of birth")]
    NoBirthDate,
    /// Only a year or a month.
    #[error("a date of birth without its day")]
    PartialBirthDate,
    /// Not a date.
    #[error("a date of birth that is no date")]
    BadBirthDate,
    /// The Patient itself is labelled restricted or very restricted.
    #[error("labelled restricted: withheld from the index")]
    Restricted,
}

/// Reads a Patient as of `today`.
pub(crate) fn read(
    resource: &Json<'_>,
    restricted: bool,
    today: Date,
    places: &Places,
) -> Result<Patient, Refusal> {
    let mut identifiers = Vec::new();
    let mut numbers: Vec<NhsNumber> = Vec::new();
    let mut why = NotIndexable::NoNumber;
    let list = resource.member("identifier");
    if list.is_some_and(|list| !list.is_list()) {
        return Err(Refusal::Shape("identifier"));
    }
    for element in resource.each("identifier") {
        let ended = is_old(element) || has_ended(element, today);
        if element.text_of("system").is_some_and(is_nhs_number) {
            match number(element, ended) {
                Ok(Some(number)) if !numbers.contains(&number) => numbers.push(number),
                Ok(_) => {}
                // Of several reasons the one nearest to counting is the one to act on.
                Err(reason) => why = why.max(reason),
            }
        } else if let (false, Some(identifier)) = (ended, Identifier::read(element)) {
            identifiers.push(identifier);
        }
    }
    if identifiers.len() > MAX_IDENTIFIERS {
        return Err(Refusal::TooMany {
            what: "identifiers",
            limit: MAX_IDENTIFIERS,
        });
    }
    for number in &numbers {
        identifiers.push(Identifier::new(NHS_NUMBER, &number.expose()));
    }
    let nhs = if let [number] = numbers[..] {
        Some(number)
    } else {
        None
    };
    let key = match numbers[..] {
        _ if restricted => Err(NotIndexable::Restricted),
        [] => Err(why),
        [nhs] => birth_date(resource).map(|born| IndexKey { nhs, born }),
        _ => Err(NotIndexable::Several),
    };
    Ok(Patient {
        identifiers,
        nhs,
        key,
        named: named(resource, places),
    })
}

/// Whose patient somebody is, by reference, by identifier or contained.
fn named(resource: &Json<'_>, places: &Places) -> Vec<Name> {
    let organisation = |element: &Json<'_>| {
        let kind = Kind::of("Organization").ok()?;
        let by = By::Identifier(Identifier::read(element)?);
        Some(Name { kind, by })
    };
    let mut found = Vec::new();
    for element in ["generalPractitioner", "managingOrganization"]
        .into_iter()
        .flat_map(|name| resource.each(name))
    {
        found.extend(names(element, places));
        // Most leave out the type: an ODS code says it all the same.
        let untyped = element.member("type").is_none();
        let identifier = element.member("identifier").filter(|_| untyped);
        found.extend(identifier.and_then(organisation));
        let inside = element.text_of("reference").map(|to| follow(to, places));
        if let Some(Target::Contained(id)) = inside {
            let all = resource.each("contained").iter();
            let all = all.filter(|one| one.text_of("id") == Some(id));
            found.extend(
                all.flat_map(|one| one.each("identifier"))
                    .filter_map(organisation),
            );
        }
    }
    found.retain(|name| name.kind.is_supporting());
    found.truncate(MAX_NAMED);
    found
}

/// The NHS number of an identifier element; none if there is no value, as when its absence is
/// explained by an extension.
fn number(element: &Json<'_>, ended: bool) -> Result<Option<NhsNumber>, NotIndexable> {
    let Some(value) = element
        .text_of("value")
        .map(str::trim)
        .filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let number = value
        .parse()
        .map_err(|_: NotAnNhsNumber| NotIndexable::NotValid)?;
    if ended {
        return Err(NotIndexable::Old);
    }
    if !is_verified(element) {
        return Err(NotIndexable::NotVerified);
    }
    Ok(Some(number))
}

fn is_old(element: &Json<'_>) -> bool {
    matches!(element.text_of("use"), Some("old" | "temp"))
}

/// Whether its period ended before `today`; partial dates end with their year or month.
fn has_ended(element: &Json<'_>, today: Date) -> bool {
    let end = element
        .member("period")
        .and_then(|period| period.text_of("end"));
    let day = end.map(|end| end.split('T').next().unwrap_or(end));
    let today = today.expose();
    day.is_some_and(|day| {
        let digits = day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        digits && (4..=10).contains(&day.len()) && *day < today[..day.len()]
    })
}

/// Whether a stated verification status lets the number count; most systems state none, and the
/// number then counts. Only `01` is fit for identifying a person to another organisation.
fn is_verified(element: &Json<'_>) -> bool {
    let stated = element.each("extension").iter().filter(|extension| {
        let url = extension.text_of("url").unwrap_or_default();
        VERIFICATION.iter().any(|name| url.ends_with(name))
    });
    let mut codes = stated
        .flat_map(|extension| extension.each("valueCodeableConcept"))
        .flat_map(|concept| concept.each("coding"))
        .filter_map(|coding| coding.text_of("code"));
    codes.all(|code| matches!(code, "01" | "number-present-and-verified"))
}

fn birth_date(resource: &Json<'_>) -> Result<Date, NotIndexable> {
    let text = resource
        .text_of("birthDate")
        .ok_or(NotIndexable::NoBirthDate)?;
    text.parse().map_err(|_| {
        let partial =
            matches!(text.len(), 4 | 7) && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if partial {
            NotIndexable::PartialBirthDate
        } else {
            NotIndexable::BadBirthDate
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn patient(text: &str) -> Patient {
        read(
            &Json::read(text).unwrap(),
            false,
            "2026-11-23".parse().unwrap(),
            &Places::default(),
        )
        .unwrap()
    }

    fn why(identifier: &str) -> Option<NotIndexable> {
        let system = r#""system":"https://fhir.nhs.uk/Id/nhs-number""#;
        let text =
            format!(r#"{{"birthDate":"1948-11-08","identifier":[{{{system},{identifier}}}]}}"#);
        patient(&text).key.err()
    }

    #[test]
    fn a_valid_number_and_a_full_date_of_birth_make_a_key() {
        for system in [
            "https://fhir.nhs.uk/Id/nhs-number",
            "http://fhir.nhs.net/Id/nhs-number",
            "urn:oid:2.16.840.1.113883.2.1.4.1",
        ] {
            let text = format!(
                r#"{{"birthDate":"1948-11-08","identifier":[{{"system":"{system}","value":"999 000 1235"}}]}}"#
            );
            let found = patient(&text);
            assert_eq!(*found.key.unwrap().expose(), "nhs:9990001235|1948-11-08");
            assert_eq!(found.identifiers[0].value, "9990001235");
        }
    }

    #[test]
    fn a_number_that_does_not_count_says_why() {
        let value = r#""value":"9990001235""#;
        let status = |code| {
            format!(
                r#"{value},"extension":[{{"url":"https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus","valueCodeableConcept":{{"coding":[{{"code":"{code}"}}]}}}}]"#
            )
        };
        assert_eq!(why(value), None);
        assert_eq!(why(&status("01")), None);
        assert_eq!(why(&status("03")), Some(NotIndexable::NotVerified));
        assert_eq!(why(r#""value":"9990001234""#), Some(NotIndexable::NotValid));
        assert_eq!(
            why(&format!(r#"{value},"use":"old""#)),
            Some(NotIndexable::Old)
        );
        assert_eq!(
            why(&format!(r#"{value},"period":{{"end":"2026-11-22"}}"#)),
            Some(NotIndexable::Old)
        );
        assert_eq!(
            why(&format!(r#"{value},"period":{{"end":"2025"}}"#)),
            Some(NotIndexable::Old)
        );
        assert_eq!(why(&format!(r#"{value},"period":{{"end":"2026"}}"#)), None);
        assert_eq!(why(r#""use":"official""#), Some(NotIndexable::NoNumber));
    }

    #[test]
    fn a_date_of_birth_that_does_not_count_says_why() {
        let born = |date: &str| {
            patient(&format!(r#"{{{date}"identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990001235"}}]}}"#)).key.err()
        };
        assert_eq!(born(""), Some(NotIndexable::NoBirthDate));
        assert_eq!(
            born(r#""birthDate":"1948","#),
            Some(NotIndexable::PartialBirthDate)
        );
        assert_eq!(
            born(r#""birthDate":"1948-11","#),
            Some(NotIndexable::PartialBirthDate)
        );
        assert_eq!(
            born(r#""birthDate":"1948-02-30","#),
            Some(NotIndexable::BadBirthDate)
        );
    }

    #[test]
    fn whose_patient_somebody_is_is_read_in_every_way_it_is_written() {
        let found = patient(
            r##"{"generalPractitioner":[
            {"reference":"Organization/o1"},
            {"type":"Organization","identifier":{"system":"http://fhir.nhs.net/Id/ods-organization-code","value":"l83024 "}},
            {"identifier":{"system":"https://fhir.nhs.uk/Id/ods-organization-code","value":"RH8"}},
            {"reference":"#gp"}, {"reference":"PractitionerRole/r1"}, {"reference":"Patient/p"}],
            "contained":[{"resourceType":"Organization","id":"gp","identifier":[{"system":"https://fhir.nhs.uk/Id/ods-site-code","value":"L83025"}]}],
            "managingOrganization":{"reference":"https://elsewhere.example/Organization/o2"}}"##,
        );
        let words = found.named.iter().map(|name| match &name.by {
            By::Id(id) => format!("{}/{id}", name.kind.name),
            By::Identifier(one) => format!("{}|{}", one.system, one.value),
        });
        let ods = |code: &str| format!("{}|{code}", super::super::reference::ODS_CODE);
        assert_eq!(
            words.collect::<Vec<_>>(),
            [
                "Organization/o1".to_owned(),
                ods("L83024"),
                ods("RH8"),
                ods("L83025"),
                "PractitionerRole/r1".to_owned()
            ]
        );
    }

    #[test]
    fn two_different_numbers_and_a_restricted_patient_are_not_indexed() {
        let two = r#"{"birthDate":"1948-11-08","identifier":[
            {"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990001235"},
            {"system":"http://fhir.nhs.net/Id/nhs-number","value":"999 001 4965"}]}"#;
        assert_eq!(patient(two).key, Err(NotIndexable::Several));
        let twice = two.replace("999 001 4965", "999 000 1235");
        assert!(patient(&twice).key.is_ok());
        let json = Json::read(&twice).unwrap();
        let today = "2026-11-23".parse().unwrap();
        let found = read(&json, true, today, &Places::default()).unwrap();
        assert_eq!(found.key, Err(NotIndexable::Restricted));
    }
}
