//! The resource types of FHIR R4: whose each is, and its category (protocol.md section 2).
//!
//! *Supporting* types are about nobody: they are kept once and travel with what references them.
//! Definitions, payments to institutions, messages and logs are refused by name: they are not
//! records about anybody's care. A record about a group, a device or a place is refused too: it is
//! nobody's, and a list of people is the last thing to show about one of them. A Device is
//! supporting unless it names its patient.

use fairshare_protocol::category::Category;

use super::refusal::Refusal;
use super::version;

/// How a resource says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It is the person: Patient.
    Own,
    /// A reference, or a list of references of which one names a person.
    Subject(&'static str),
    /// A list of parts, each with a reference; exactly one names a person.
    Among(&'static str, &'static str),
    /// As a subject if it names one, else about nobody.
    Perhaps(&'static str),
    /// Whose what it targets is: Provenance.
    Target(&'static str),
    /// Whose what references it is: Binary.
    Referrer,
    /// About nobody.
    Nobody,
    /// Not about care; the text says what it is.
    Not(&'static str),
}

/// One resource type of R4.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name, as `resourceType` has it.
    pub name: &'static str,
    /// How it says whose it is.
    pub whose: Whose,
    /// Its category, unless the record itself or the node's operator says otherwise.
    pub category: Category,
}

impl Kind {
    /// The type of that name.
    ///
    /// # Errors
    /// If R4 has none; says so when another release has it.
    pub fn of(name: &str) -> Result<&'static Self, Refusal> {
        match KINDS.binary_search_by(|kind| kind.name.cmp(name)) {
            Ok(at) => Ok(&KINDS[at]),
            Err(_) => {
                Err(version::of_type(name).map_or(Refusal::UnknownType, Refusal::OtherVersion))
            }
        }
    }

    /// Whether resources of this type are, or may be, about nobody.
    pub const fn is_supporting(&self) -> bool {
        matches!(self.whose, Whose::Nobody | Whose::Perhaps(_))
    }
}

const fn about(name: &'static str, element: &'static str, category: Category) -> Kind {
    Kind {
        name,
        whose: Whose::Subject(element),
        category,
    }
}

const fn other(name: &'static str, element: &'static str) -> Kind {
    about(name, element, Category::Other)
}

const fn one(name: &'static str, whose: Whose, category: Category) -> Kind {
    Kind {
        name,
        whose,
        category,
    }
}

const fn nobody(name: &'static str) -> Kind {
    one(name, Whose::Nobody, Category::Other)
}

const fn not(name: &'static str, why: &'static str) -> Kind {
    one(name, Whose::Not(why), Category::Other)
}

const DEFINITION: &str = "a definition, not a record of care";
const PAYMENT: &str = "a matter of payment, not a record of care";
const TRAFFIC: &str = "part of a message or an answer, not a record of care";
const MANY: &str = "about many people or things, not one person's record";
const LOG: &str = "a log of a system, not a record of care";

use Category as C;

/// Sorted by name.
static KINDS: &[Kind] = &[
    other("Account", "subject"),
    not("ActivityDefinition", DEFINITION),
    other("AdverseEvent", "subject"),
    about("AllergyIntolerance", "patient", C::Allergies),
    one(
        "Appointment",
        Whose::Among("participant", "actor"),
        C::Encounters,
    ),
    other("AppointmentResponse", "actor"),
    not("AuditEvent", LOG),
    other("Basic", "subject"),
    one("Binary", Whose::Referrer, C::Documents),
    nobody("BiologicallyDerivedProduct"),
    other("BodyStructure", "patient"),
    not("Bundle", TRAFFIC),
    not("CapabilityStatement", DEFINITION),
    about("CarePlan", "subject", C::CarePlans),
    about("CareTeam", "subject", C::CarePlans),
    nobody("CatalogEntry"),
    other("ChargeItem", "subject"),
    not("ChargeItemDefinition", DEFINITION),
    other("Claim", "patient"),
    other("ClaimResponse", "patient"),
    other("ClinicalImpression", "subject"),
    not("CodeSystem", DEFINITION),
    other("Communication", "subject"),
    other("CommunicationRequest", "subject"),
    not("CompartmentDefinition", DEFINITION),
    about("Composition", "subject", C::Documents),
    not("ConceptMap", DEFINITION),
    about("Condition", "subject", C::Problems),
    other("Consent", "patient"),
    other("Contract", "subject"),
    other("Coverage", "beneficiary"),
    other("CoverageEligibilityRequest", "patient"),
    other("CoverageEligibilityResponse", "patient"),
    other("DetectedIssue", "patient"),
    one("Device", Whose::Perhaps("patient"), C::Other),
    nobody("DeviceDefinition"),
    nobody("DeviceMetric"),
    other("DeviceRequest", "subject"),
    other("DeviceUseStatement", "subject"),
    about("DiagnosticReport", "subject", C::Results),
    other("DocumentManifest", "subject"),
    about("DocumentReference", "subject", C::Documents),
    not("EffectEvidenceSynthesis", DEFINITION),
    about("Encounter", "subject", C::Encounters),
    nobody("Endpoint"),
    other("EnrollmentRequest", "candidate"),
    not("EnrollmentResponse", PAYMENT),
    about("EpisodeOfCare", "patient", C::Encounters),
    not("EventDefinition", DEFINITION),
    not("Evidence", DEFINITION),
    not("EvidenceVariable", DEFINITION),
    not("ExampleScenario", DEFINITION),
    other("ExplanationOfBenefit", "patient"),
    other("FamilyMemberHistory", "patient"),
    about("Flag", "subject", C::Safeguarding),
    about("Goal", "subject", C::CarePlans),
    not("GraphDefinition", DEFINITION),
    not("Group", MANY),
    other("GuidanceResponse", "subject"),
    nobody("HealthcareService"),
    about("ImagingStudy", "subject", C::Results),
    about("Immunization", "patient", C::Immunisations),
    other("ImmunizationEvaluation", "patient"),
    other("ImmunizationRecommendation", "patient"),
    not("ImplementationGuide", DEFINITION),
    nobody("InsurancePlan"),
    other("Invoice", "subject"),
    not("Library", DEFINITION),
    not("Linkage", MANY),
    other("List", "subject"),
    nobody("Location"),
    not("Measure", DEFINITION),
    other("MeasureReport", "subject"),
    about("Media", "subject", C::Documents),
    nobody("Medication"),
    about("MedicationAdministration", "subject", C::Medications),
    about("MedicationDispense", "subject", C::Medications),
    nobody("MedicationKnowledge"),
    about("MedicationRequest", "subject", C::Medications),
    about("MedicationStatement", "subject", C::Medications),
    nobody("MedicinalProduct"),
    nobody("MedicinalProductAuthorization"),
    nobody("MedicinalProductContraindication"),
    nobody("MedicinalProductIndication"),
    nobody("MedicinalProductIngredient"),
    nobody("MedicinalProductInteraction"),
    nobody("MedicinalProductManufactured"),
    nobody("MedicinalProductPackaged"),
    nobody("MedicinalProductPharmaceutical"),
    nobody("MedicinalProductUndesirableEffect"),
    not("MessageDefinition", DEFINITION),
    not("MessageHeader", TRAFFIC),
    other("MolecularSequence", "patient"),
    not("NamingSystem", DEFINITION),
    other("NutritionOrder", "patient"),
    about("Observation", "subject", C::Results),
    not("ObservationDefinition", DEFINITION),
    not("OperationDefinition", DEFINITION),
    not("OperationOutcome", TRAFFIC),
    nobody("Organization"),
    nobody("OrganizationAffiliation"),
    not("Parameters", TRAFFIC),
    one("Patient", Whose::Own, C::Demographics),
    not("PaymentNotice", PAYMENT),
    not("PaymentReconciliation", PAYMENT),
    one("Person", Whose::Among("link", "target"), C::Other),
    not("PlanDefinition", DEFINITION),
    nobody("Practitioner"),
    nobody("PractitionerRole"),
    about("Procedure", "subject", C::Procedures),
    one("Provenance", Whose::Target("target"), C::Other),
    not("Questionnaire", DEFINITION),
    // From social care a social care assessment: see `Rules::category`.
    other("QuestionnaireResponse", "subject"),
    about("RelatedPerson", "patient", C::Demographics),
    other("RequestGroup", "subject"),
    not("ResearchDefinition", DEFINITION),
    not("ResearchElementDefinition", DEFINITION),
    nobody("ResearchStudy"),
    other("ResearchSubject", "individual"),
    other("RiskAssessment", "subject"),
    not("RiskEvidenceSynthesis", DEFINITION),
    nobody("Schedule"),
    not("SearchParameter", DEFINITION),
    about("ServiceRequest", "subject", C::CarePlans),
    nobody("Slot"),
    about("Specimen", "subject", C::Results),
    not("SpecimenDefinition", DEFINITION),
    not("StructureDefinition", DEFINITION),
    not("StructureMap", DEFINITION),
    not("Subscription", TRAFFIC),
    nobody("Substance"),
    nobody("SubstanceNucleicAcid"),
    nobody("SubstancePolymer"),
    nobody("SubstanceProtein"),
    nobody("SubstanceReferenceInformation"),
    nobody("SubstanceSourceMaterial"),
    nobody("SubstanceSpecification"),
    other("SupplyDelivery", "patient"),
    other("SupplyRequest", "deliverTo"),
    other("Task", "for"),
    not("TerminologyCapabilities", DEFINITION),
    not("TestReport", DEFINITION),
    not("TestScript", DEFINITION),
    not("ValueSet", DEFINITION),
    not("VerificationResult", LOG),
    other("VisionPrescription", "patient"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::version::Version;
    use super::*;

    #[test]
    fn every_type_of_r4_is_known_once_and_found() {
        assert_eq!(
            KINDS.len(),
            148 - 2,
            "148 in R4, less the abstract Resource and DomainResource"
        );
        assert!(KINDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(
            KINDS
                .iter()
                .all(|kind| Kind::of(kind.name).unwrap() == kind)
        );
        assert_eq!(Kind::of("Ptient"), Err(Refusal::UnknownType));
        assert_eq!(
            Kind::of("ReferralRequest"),
            Err(Refusal::OtherVersion(Version::Stu3))
        );
    }

    #[test]
    fn categories_are_those_of_the_protocol() {
        for (name, category) in [
            ("Patient", C::Demographics),
            ("RelatedPerson", C::Demographics),
            ("Condition", C::Problems),
            ("MedicationStatement", C::Medications),
            ("AllergyIntolerance", C::Allergies),
            ("Immunization", C::Immunisations),
            ("Specimen", C::Results),
            ("Appointment", C::Encounters),
            ("Procedure", C::Procedures),
            ("ServiceRequest", C::CarePlans),
            ("Binary", C::Documents),
            ("Flag", C::Safeguarding),
            ("Claim", C::Other),
        ] {
            assert_eq!(Kind::of(name).unwrap().category, category, "{name}");
        }
        assert!(Kind::of("Medication").unwrap().is_supporting());
        assert!(Kind::of("Device").unwrap().is_supporting());
    }
}
