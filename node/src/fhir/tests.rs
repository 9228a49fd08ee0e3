//! Resources as a whole.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn rules(social_care: bool) -> Rules {
    Rules::new(social_care, "2026-11-23".parse().unwrap())
}

fn read(text: &str) -> Result<Resource, Refusal> {
    Resource::read(text, None, &Places::default(), &rules(false))
}

fn category(social_care: bool, text: &str) -> Category {
    Resource::read(text, None, &Places::default(), &rules(social_care))
        .unwrap()
        .category
}

fn document(typed: &str) -> String {
    format!(
        r#"{{"resourceType":"DocumentReference","id":"d","subject":{{"reference":"Patient/p"}},"type":{{"coding":[{{"system":"http://snomed.info/sct","code":"1","display":"{typed}"}}]}}}}"#
    )
}

#[test]
fn a_record_has_a_type_an_id_a_person_and_one_category() {
    let found = read(
        r#"{"resourceType":"Condition","id":"c-1","subject":{"reference":"Patient/p"},
            "recorder":{"reference":"Practitioner/d"},"asserter":{"reference":"Practitioner/d"},
            "evidence":[{"detail":[{"reference":"Observation/o"}]}],
            "meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}}"#,
    )
    .unwrap();
    assert_eq!(
        (found.kind.name, &*found.id, found.category),
        ("Condition", "c-1", Category::Problems)
    );
    assert_eq!(found.label, Some(Label::Restricted));
    assert_eq!(
        found.references.len(),
        1,
        "one Practitioner; an Observation is not supporting"
    );
    assert_eq!(format!("{found:?}"), "Condition in problems");
}

#[test]
fn a_document_is_as_restricted_as_it_says_of_itself() {
    let label = |text: &str| read(text).unwrap().label;
    let reference = |code: &str| {
        let coding = format!(
            r#"{{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"{code}"}}"#
        );
        format!(
            r#"{{"resourceType":"DocumentReference","id":"d","subject":{{"reference":"Patient/p"}},"securityLabel":[{{"coding":[{coding}]}}]}}"#
        )
    };
    assert_eq!(label(&reference("N")), None);
    assert_eq!(label(&reference("R")), Some(Label::Restricted));
    assert_eq!(label(&reference("V")), Some(Label::VeryRestricted));
    let elsewhere = reference("R").replace("DocumentReference", "Condition");
    assert_eq!(label(&elsewhere), None, "no element of a Condition");
    let letter = r#"{"resourceType":"Composition","id":"d","subject":{"reference":"Patient/p"},"confidentiality":"V"}"#;
    assert_eq!(label(letter), Some(Label::VeryRestricted));
}

#[test]
fn documents_are_categorised_by_what_they_are_coded_as() {
    assert_eq!(
        category(false, &document("Discharge summary")),
        Category::Documents
    );
    assert_eq!(
        category(false, &document("Child Protection plan")),
        Category::Safeguarding
    );
    assert_eq!(
        category(false, &document("Needs assessment")),
        Category::Documents
    );
    assert_eq!(
        category(true, &document("Needs assessment")),
        Category::SocialCareAssessments
    );
    let answers =
        r#"{"resourceType":"QuestionnaireResponse","id":"q","subject":{"reference":"Patient/p"}}"#;
    assert_eq!(category(true, answers), Category::SocialCareAssessments);
    assert_eq!(category(false, answers), Category::Other);
}

#[test]
fn an_operator_overrides_types_and_codes_but_not_safeguarding_by_accident() {
    let mut rules = rules(false);
    rules
        .types
        .insert("DocumentReference".into(), Category::Summary);
    let read = |typed, rules: &Rules| {
        Resource::read(&document(typed), None, &Places::default(), rules)
            .unwrap()
            .category
    };
    assert_eq!(read("Letter", &rules), Category::Summary);
    assert_eq!(
        read("Safeguarding referral", &rules),
        Category::Safeguarding
    );
    rules
        .codes
        .insert("http://snomed.info/sct|1".into(), Category::CarePlans);
    assert_eq!(read("Letter", &rules), Category::CarePlans);
}

#[test]
fn a_supporting_resource_keeps_the_identifiers_it_is_named_by() {
    let found = read(
        r#"{"resourceType":"Practitioner","id":"d","identifier":[{"system":"https://fhir.hl7.org.uk/Id/gmc-number","value":"C1"}]}"#,
    )
    .unwrap();
    assert_eq!(
        (found.subject, found.identifiers.len()),
        (Subject::Nobody, 1)
    );
}

#[test]
fn what_cannot_be_kept_is_refused_by_its_name() {
    let why = |text: &str| read(text).unwrap_err();
    assert_eq!(why("[]"), Refusal::NotAnObject);
    assert_eq!(why("{}"), Refusal::NotFhir);
    assert_eq!(why(r#"{"resourceType":"Ptient"}"#), Refusal::UnknownType);
    assert_eq!(why(r#"{"resourceType":"Practitioner"}"#), Refusal::NoId);
    assert_eq!(
        why(r#"{"resourceType":"Practitioner","id":"a b"}"#),
        Refusal::BadId
    );
    assert_eq!(
        why(r#"{"resourceType":"Practitioner","id":7}"#),
        Refusal::BadId
    );
    let outcome = why(r#"{"resourceType":"OperationOutcome"}"#).to_string();
    assert_eq!(
        outcome,
        "OperationOutcome: part of a message or an answer, not a record of care"
    );
    let list = r#"{"resourceType":"DocumentReference","masterIdentifier":[{}]}"#;
    assert_eq!(why(list), Refusal::Shape("masterIdentifier"));
    let old = why(r#"{"resourceType":"Immunization","notGiven":false}"#).to_string();
    assert_eq!(old, "FHIR STU3 or DSTU2, not R4: export it as R4");
}
