//! The service a record comes from, as far as FHIR R4 says it.
//!
//! A record is marked by the codes of its service (`serviceType`, `specialty`, `serviceCategory`,
//! `performerType` and `practiceSetting`; the `type` and `category` of what is a contact, a
//! document or a service itself; `meta.tag`, `meta.security` and `securityLabel`), by the
//! organisations, services, roles and places it references wherever it does, and by the ODS codes
//! it gives. A Patient is marked by its managing organisation only: whose patient somebody also is
//! says nothing of where this record comes from. Besides, a record is *within* the encounter and
//! the episode it names.

use std::collections::BTreeSet;

use fairshare_protocol::offer::Service;

use super::json::Json;
use super::kind::Kind;
use super::reference::{By, Identifier, Name, Places, is_id, names};
use super::refusal::Refusal;

/// The most marks kept of one resource.
const MAX_MARKS: usize = 1024;
/// Types of resources about nobody that stand for a service.
const PROVIDERS: [&str; 5] = [
    "HealthcareService",
    "Location",
    "Organization",
    "OrganizationAffiliation",
    "PractitionerRole",
];
/// Elements that say what service something is from.
const CODED: [&str; 4] = [
    "serviceType",
    "serviceCategory",
    "specialty",
    "performerType",
];
/// Types whose `type` and `category` say it too.
const TYPED: [&str; 8] = [
    "CareTeam",
    "Composition",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "HealthcareService",
    "Location",
    "Organization",
];
/// Elements by which a record names the encounter or episode it belongs to.
const WITHIN: [&str; 4] = ["encounter", "context", "episodeOfCare", "partOf"];
/// Systems of ODS codes of organisations and sites, in lower case without scheme.
const ODS: [&str; 4] = [
    "fhir.nhs.uk/id/ods-organization-code",
    "fhir.nhs.uk/id/ods-site-code",
    "fhir.nhs.net/id/ods-organization-code",
    "fhir.nhs.net/id/ods-site-code",
];

const SNOMED: &str = "http://snomed.info/sct";
/// NHS Data Dictionary main specialty codes, as UK Core has them.
const SPECIALTY: &str = "https://fhir.hl7.org.uk/CodeSystem/UKCore-PracticeSettingCode";
const SPECIALTY_ENGLAND: &str =
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-PracticeSettingCodeEngland";
/// HL7 v3 sensitivity, as `meta.security` has it.
const SENSITIVITY: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Codes of the services that stay closed until opened: those of UK Core's care settings (SNOMED
/// CT UK, December 2021), of the NHS Data Dictionary's main specialties (October 2022) and of HL7's
/// sensitivity policies that are such a service and nothing else. `fertility` and
/// `anonymous-access` have none there.
const CLOSED: [(Service, &str, &[&str]); 13] = [
    // Sexual health; community sexual and reproductive health; genitourinary medicine.
    (
        Service::SexualHealth,
        SNOMED,
        &["788122004", "1240241000000109", "830039004"],
    ),
    (Service::SexualHealth, SPECIALTY, &["360", "504"]),
    (Service::SexualHealth, SENSITIVITY, &["STD"]),
    // HIV nurse practitioner; HIV social work.
    (Service::Hiv, SNOMED, &["24081000087105", "24101000087102"]),
    (Service::Hiv, SENSITIVITY, &["HIV"]),
    // Pregnancy termination.
    (Service::Termination, SNOMED, &["310062002"]),
    // Transgender health.
    (Service::GenderIdentity, SNOMED, &["896974005"]),
    // Addiction; narcotic addiction, also with pain management; opioid dependence; substance
    // misuse; dual diagnosis.
    (
        Service::Addiction,
        SNOMED,
        &[
            "788125002",
            "23941000087103",
            "24331000087108",
            "23951000087100",
            "109201000000109",
            "893261000000103",
        ],
    ),
    (
        Service::Addiction,
        SENSITIVITY,
        &["ETH", "SUD", "ETHUD", "OPIOIDUD"],
    ),
    // Forensic psychiatry.
    (Service::Forensic, SNOMED, &["310118008"]),
    (Service::Forensic, SPECIALTY, &["712"]),
    // Child and adolescent, adolescent, child psychiatry.
    (
        Service::ChildMentalHealth,
        SNOMED,
        &["310117003", "828821000000105", "828811000000104"],
    ),
    (Service::ChildMentalHealth, SPECIALTY, &["711"]),
];

/// What a record shows of the service it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A code, as `system|code`.
    Code(String),
    /// An organisation or site, by its ODS code.
    Ods(String),
    /// A resource about nobody that stands for a service.
    Provider(Name),
}

impl Mark {
    /// The marks an operator means by `system|code`, `Organization/` and an ODS code or id, or
    /// another type and id; none if it is nothing of the kind.
    pub fn named(token: &str) -> Option<Vec<Self>> {
        if let Some((system, code)) = token.split_once('|') {
            let plain = |part: &str| !part.is_empty() && part.trim() == part;
            let code_of = || vec![Self::Code(token.to_owned())];
            return (plain(system) && plain(code)).then(code_of);
        }
        let (kind, id) = token.split_once('/')?;
        let kind = PROVIDERS.iter().find(|name| **name == kind)?;
        let kind = Kind::of(kind).ok().filter(|_| is_id(id))?;
        let mut marks = vec![Self::Provider(Name {
            kind,
            by: By::Id(id.to_owned()),
        })];
        if kind.name == "Organization" {
            marks.push(Self::Ods(id.to_ascii_uppercase()));
        }
        Some(marks)
    }

    /// The marks of a service that stays closed until opened, by its codes.
    pub fn closed(service: Service) -> impl Iterator<Item = Self> {
        let rows = CLOSED.iter().filter(move |row| row.0 == service);
        let codes = rows.flat_map(|(_, system, codes)| codes.iter().map(|code| (*system, *code)));
        codes.flat_map(|(system, code)| {
            let systems = match system {
                SPECIALTY => vec![SPECIALTY, SPECIALTY_ENGLAND],
                one => vec![one],
            };
            systems
                .into_iter()
                .map(move |system| Self::Code(format!("{system}|{code}")))
        })
    }
}

/// The marks of a resource.
///
/// # Errors
/// If there are too many to keep.
pub(crate) fn marks(
    kind: &Kind,
    json: &Json<'_>,
    places: &Places,
) -> Result<BTreeSet<Mark>, Refusal> {
    let mut found = BTreeSet::new();
    codes(kind.name, json, &mut found);
    match kind.name {
        "Patient" => json
            .each("managingOrganization")
            .iter()
            .for_each(|one| providers(one, places, &mut found)),
        _ => providers(json, places, &mut found),
    }
    few(found.len())?;
    Ok(found)
}

fn few(number: usize) -> Result<(), Refusal> {
    if number > MAX_MARKS {
        return Err(Refusal::TooMany {
            what: "marks of its service",
            limit: MAX_MARKS,
        });
    }
    Ok(())
}

/// The codes of a resource, and of those inside it.
fn codes(kind: &str, json: &Json<'_>, found: &mut BTreeSet<Mark>) {
    let mut coding = |coding: &Json<'_>| {
        if let (Some(system), Some(code)) = (coding.text_of("system"), coding.text_of("code")) {
            found.insert(Mark::Code(format!("{system}|{code}")));
        }
    };
    for meta in json.each("meta") {
        let labels = meta.each("tag").iter().chain(meta.each("security"));
        labels.for_each(&mut coding);
    }
    let typed: &[&str] = if TYPED.contains(&kind) {
        &["type", "category"]
    } else {
        &[]
    };
    let setting = json.each("context").iter();
    let setting = setting.flat_map(|context| context.each("practiceSetting"));
    let concepts = CODED.iter().chain(typed).chain(&["securityLabel"]);
    let concepts = concepts.flat_map(|name| json.each(name)).chain(setting);
    concepts
        .flat_map(|concept| concept.each("coding"))
        .for_each(coding);
    for inside in json.each("contained") {
        codes(
            inside.text_of("resourceType").unwrap_or_default(),
            inside,
            found,
        );
    }
}

/// Everything that provides services and is referenced, by id, identifier or ODS code.
fn providers(json: &Json<'_>, places: &Places, found: &mut BTreeSet<Mark>) {
    match json {
        Json::List(elements) => elements
            .iter()
            .for_each(|one| providers(one, places, found)),
        Json::Object(members) => {
            let named = names(json, places).into_iter();
            let named = named.filter(|name| PROVIDERS.contains(&name.kind.name));
            found.extend(named.map(Mark::Provider));
            let identifiers = json.each("identifier").iter().filter_map(Identifier::read);
            found.extend(identifiers.filter_map(|one| ods(&one)));
            members
                .iter()
                .for_each(|(_, value)| providers(value, places, found));
        }
        _ => {}
    }
}

/// The organisation an identifier names, if it is an ODS code.
fn ods(identifier: &Identifier) -> Option<Mark> {
    let system = identifier.system.trim_end_matches('/').to_ascii_lowercase();
    let (_, place) = system.split_once("://")?;
    ODS.contains(&place)
        .then(|| Mark::Ods(identifier.value.trim().to_ascii_uppercase()))
}

/// The other names of a resource about nobody that provides services.
pub(crate) fn aliases(kind: &'static Kind, identifiers: &[Identifier]) -> Vec<Mark> {
    if !PROVIDERS.contains(&kind.name) {
        return Vec::new();
    }
    let by = |one: &Identifier| {
        Mark::Provider(Name {
            kind,
            by: By::Identifier(one.clone()),
        })
    };
    let codes = identifiers.iter().filter_map(ods);
    identifiers.iter().map(by).chain(codes).collect()
}

/// The encounters and episodes a record belongs to. What Provenance is of, it belongs to.
///
/// # Errors
/// If there are too many to keep.
pub(crate) fn within(
    kind: &Kind,
    json: &Json<'_>,
    places: &Places,
) -> Result<BTreeSet<Name>, Refusal> {
    if kind.name == "Provenance" {
        let targets = json.each("target").iter();
        let all: BTreeSet<_> = targets.flat_map(|one| names(one, places)).collect();
        few(all.len())?;
        return Ok(all);
    }
    let elements = WITHIN.iter().flat_map(|name| json.each(name));
    let all = elements.flat_map(|one| std::iter::once(one).chain(one.each("encounter")));
    let named = all.flat_map(|one| names(one, places));
    let found: BTreeSet<_> = named
        .filter(|name| matches!(name.kind.name, "Encounter" | "EpisodeOfCare"))
        .collect();
    few(found.len())?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn marked(kind: &str, text: &str) -> BTreeSet<Mark> {
        let json = Json::read(text).unwrap();
        marks(Kind::of(kind).unwrap(), &json, &Places::default()).unwrap()
    }

    fn code(text: &str) -> Mark {
        Mark::Code(text.to_owned())
    }

    /// What an operator writes, taken as such.
    fn token(text: &str) -> BTreeSet<Mark> {
        Mark::named(text).unwrap().into_iter().collect()
    }

    #[test]
    fn a_contact_is_marked_by_its_codes_and_by_whoever_provided_it() {
        let found = marked(
            "Encounter",
            r#"{"serviceType":{"coding":[{"system":"http://snomed.info/sct","code":"788122004"}]},
                "reasonCode":[{"coding":[{"system":"http://snomed.info/sct","code":"1"}]}],
                "meta":{"tag":[{"system":"urn:t","code":"a"}]},
                "serviceProvider":{"reference":"Organization/clinic"},
                "participant":[{"individual":{"reference":"Practitioner/d"}}]}"#,
        );
        assert!(found.is_superset(&Mark::closed(Service::SexualHealth).take(1).collect()));
        assert!(found.contains(&code("urn:t|a")));
        assert!(
            !found.contains(&code("http://snomed.info/sct|1")),
            "a reason is no service"
        );
        assert!(!found.is_disjoint(&token("Organization/clinic")));
        assert_eq!(found.len(), 3, "who took part is no service");
    }

    #[test]
    fn an_organisation_is_known_by_its_ods_code_however_it_is_named() {
        let named = token("Organization/rx1");
        for text in [
            r#"{"custodian":{"identifier":{"system":"https://fhir.nhs.uk/Id/ods-organization-code","value":"RX1"}}}"#,
            r#"{"author":[{"identifier":{"system":"http://fhir.nhs.net/Id/ods-site-code","value":"rx1 "}}]}"#,
            r##"{"custodian":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","identifier":[{"system":"https://fhir.nhs.uk/id/ods-organization-code","value":"RX1"}]}]}"##,
        ] {
            assert!(
                !marked("DocumentReference", text).is_disjoint(&named),
                "{text}"
            );
        }
        let organization = Kind::of("Organization").unwrap();
        let identifier = Identifier::new("https://fhir.nhs.uk/Id/ods-organization-code", "RX1");
        let aliases = aliases(organization, std::slice::from_ref(&identifier));
        assert!(named.contains(&aliases[1]));
    }

    #[test]
    fn a_patient_is_marked_by_who_manages_the_record_not_by_their_practice() {
        let found = marked(
            "Patient",
            r#"{"managingOrganization":{"reference":"Organization/clinic"},
                "generalPractitioner":[{"reference":"Organization/practice"}]}"#,
        );
        assert_eq!(found.len(), 1);
        assert!(found.is_disjoint(&token("Organization/practice")));
    }

    #[test]
    fn a_record_is_within_its_encounter_wherever_its_type_names_it() {
        let within = |kind: &str, text: &str| {
            let json = Json::read(text).unwrap();
            within(Kind::of(kind).unwrap(), &json, &Places::default())
                .unwrap()
                .len()
        };
        let e = r#"{"reference":"Encounter/e"}"#;
        assert_eq!(within("Condition", &format!(r#"{{"encounter":{e}}}"#)), 1);
        let document = format!(r#"{{"context":{{"encounter":[{e}]}}}}"#);
        assert_eq!(within("DocumentReference", &document), 1);
        assert_eq!(
            within("MedicationStatement", &format!(r#"{{"context":{e}}}"#)),
            1
        );
        let episodes = r#"{"episodeOfCare":[{"reference":"EpisodeOfCare/x"}]}"#;
        assert_eq!(within("Encounter", episodes), 1);
        assert_eq!(
            within("Procedure", r#"{"partOf":[{"reference":"Procedure/p"}]}"#),
            0
        );
    }

    #[test]
    fn a_token_that_names_no_service_is_none() {
        for bad in [
            "",
            "x",
            "|",
            "a|",
            "|b",
            "Organization/",
            "Patient/p",
            "Organization/a b",
        ] {
            assert_eq!(Mark::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_stays_closed_has_codes_but_for_two() {
        let without = Service::ALL
            .iter()
            .filter(|service| Mark::closed(**service).next().is_none());
        let without: Vec<_> = without.collect();
        assert_eq!(without, [&Service::Fertility, &Service::AnonymousAccess]);
    }
}
