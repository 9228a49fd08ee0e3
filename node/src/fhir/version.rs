//! Telling R4 from the releases before and after it.
//!
//! FHIR JSON does not say which release it is. Profiles often do; else the elements that were
//! renamed or changed type between releases do. Only marks that R4 cannot have are used.

use std::fmt;

use super::json::Json;
use super::refusal::Refusal;

/// A release of FHIR that is not R4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// DSTU2 or STU3 (2015, 2017): CareConnect, GP Connect before its move to UK Core.
    Stu3,
    /// R5 (2023) or later.
    R5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stu3 => "FHIR STU3 or DSTU2",
            Self::R5 => "FHIR R5 or later",
        })
    }
}

/// Types of DSTU2 and STU3 that R4 no longer has.
const OLD_TYPES: [&str; 20] = [
    "BodySite",
    "Conformance",
    "DataElement",
    "DeviceComponent",
    "DeviceUseRequest",
    "DiagnosticOrder",
    "EligibilityRequest",
    "EligibilityResponse",
    "ExpansionProfile",
    "ImagingManifest",
    "ImagingObjectSelection",
    "MedicationOrder",
    "Order",
    "OrderResponse",
    "ProcedureRequest",
    "ProcessRequest",
    "ProcessResponse",
    "ReferralRequest",
    "Sequence",
    "ServiceDefinition",
];

/// Types of R5 that R4 did not have.
const NEW_TYPES: [&str; 20] = [
    "ActorDefinition",
    "BiologicallyDerivedProductDispense",
    "Citation",
    "ClinicalUseDefinition",
    "ConditionDefinition",
    "DeviceAssociation",
    "DeviceDispense",
    "DeviceUsage",
    "EncounterHistory",
    "FormularyItem",
    "GenomicStudy",
    "ImagingSelection",
    "InventoryItem",
    "InventoryReport",
    "MedicinalProductDefinition",
    "NutritionIntake",
    "NutritionProduct",
    "RequestOrchestration",
    "SubstanceDefinition",
    "Transport",
];

/// The release a type R4 does not have belongs to.
pub(crate) fn of_type(name: &str) -> Option<Version> {
    if OLD_TYPES.contains(&name) {
        Some(Version::Stu3)
    } else if NEW_TYPES.contains(&name) {
        Some(Version::R5)
    } else {
        None
    }
}

/// Refuses what is certainly not R4.
pub(crate) fn check(kind: &str, resource: &Json<'_>) -> Result<(), Refusal> {
    match profile(resource).or_else(|| shape(kind, resource)) {
        Some(version) => Err(Refusal::OtherVersion(version)),
        None => Ok(()),
    }
}

/// The release the resource's profiles name.
pub(crate) fn profile(resource: &Json<'_>) -> Option<Version> {
    let profiles = resource.member("meta")?.each("profile");
    let old = |profile: &str| {
        ["/STU3/", "/DSTU2/", "/CareConnect", "CareConnect-"]
            .iter()
            .any(|mark| profile.contains(mark))
    };
    let text = |profile: &Json<'_>| profile.text().is_some_and(old);
    profiles.iter().any(text).then_some(Version::Stu3)
}

/// The release whose elements it has.
fn shape(kind: &str, resource: &Json<'_>) -> Option<Version> {
    let has = |name: &str| resource.member(name).is_some();
    let text = |name: &str| resource.text_of(name).is_some();
    let object = |name: &str| resource.member(name).is_some_and(Json::is_object);
    let list = |name: &str| resource.member(name).is_some_and(Json::is_list);
    // A CodeableReference where R4 has a choice or a plain reference.
    let medication = kind.starts_with("Medication") && object("medication");
    let new = match kind {
        "Encounter" => list("class") || has("actualPeriod"),
        "Appointment" => has("class"),
        "DocumentReference" => has("attester") || list("context"),
        "CarePlan" => resource
            .each("activity")
            .iter()
            .any(|one| one.member("plannedActivityReference").is_some()),
        _ => medication,
    };
    if new {
        return Some(Version::R5);
    }
    let old = match kind {
        "AllergyIntolerance" => {
            text("clinicalStatus")
                || text("verificationStatus")
                || has("assertedDate")
                || has("substance")
        }
        "CarePlan" => has("definition") || has("context"),
        "Communication" | "CommunicationRequest" => has("definition") || has("notDone"),
        "Condition" => text("clinicalStatus") || text("verificationStatus") || has("assertedDate"),
        "Composition" => has("class"),
        "DiagnosticReport" => has("image") || has("codedDiagnosis") || agent(resource, "performer"),
        "DocumentReference" => has("class") || has("indexed") || has("created"),
        "Encounter" => text("class") || has("reason") || has("indication"),
        "Goal" => text("status") && !has("lifecycleStatus"),
        "ImagingStudy" => has("accession") || has("availability") || has("uid"),
        "Immunization" => has("notGiven") || has("wasNotGiven") || has("explanation"),
        "MedicationAdministration" => has("notGiven") || has("prescription"),
        "MedicationDispense" => has("notDone"),
        "MedicationRequest" => {
            agent_in(resource, "requester") || has("context") || has("definition")
        }
        "MedicationStatement" => has("taken") || has("wasNotTaken"),
        "Observation" => has("related") || has("comment") || has("context"),
        "Patient" => has("animal") || has("careProvider"),
        "Procedure" => has("notDone") || has("notPerformed") || has("context"),
        "QuestionnaireResponse" => {
            has("parent") || object("questionnaire") || has("context") || has("group")
        }
        _ => false,
    };
    old.then_some(Version::Stu3)
}

/// Whether the one element of that name has STU3's `agent`.
fn agent_in(resource: &Json<'_>, name: &str) -> bool {
    resource
        .member(name)
        .is_some_and(|one| one.member("agent").is_some())
}

/// Whether an element of the list of that name has STU3's `actor`.
fn agent(resource: &Json<'_>, name: &str) -> bool {
    resource
        .each(name)
        .iter()
        .any(|one| one.member("actor").is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn version(kind: &str, text: &str) -> Result<(), Refusal> {
        check(kind, &Json::read(text).unwrap())
    }

    #[test]
    fn stu3_is_known_by_its_profiles_and_by_its_elements() {
        let old = Err(Refusal::OtherVersion(Version::Stu3));
        let profile = r#"{"meta":{"profile":["https://fhir.nhs.uk/STU3/StructureDefinition/CareConnect-GPC-List-1"]}}"#;
        assert_eq!(version("List", profile), old);
        assert_eq!(version("Condition", r#"{"clinicalStatus":"active"}"#), old);
        assert_eq!(version("MedicationStatement", r#"{"taken":"y"}"#), old);
        assert_eq!(version("Immunization", r#"{"notGiven":false}"#), old);
        assert_eq!(version("Goal", r#"{"status":"in-progress"}"#), old);
        assert_eq!(
            version("DocumentReference", r#"{"indexed":"2017-01-01"}"#),
            old
        );
        assert_eq!(of_type("ProcedureRequest"), Some(Version::Stu3));
        assert_eq!(of_type("GenomicStudy"), Some(Version::R5));
    }

    #[test]
    fn r4_is_let_through() {
        for (kind, text) in [
            (
                "Condition",
                r#"{"clinicalStatus":{"coding":[{"code":"active"}]}}"#,
            ),
            ("Encounter", r#"{"class":{"code":"AMB"},"reasonCode":[]}"#),
            ("Goal", r#"{"lifecycleStatus":"active"}"#),
            (
                "MedicationRequest",
                r#"{"medicationReference":{"reference":"Medication/1"}}"#,
            ),
            (
                "Patient",
                r#"{"meta":{"profile":["https://fhir.hl7.org.uk/StructureDefinition/UKCore-Patient"]}}"#,
            ),
        ] {
            assert_eq!(version(kind, text), Ok(()), "{kind}");
        }
    }
}
