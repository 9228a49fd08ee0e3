//! Whose a resource is.

use fairshare_protocol::index::key::NhsNumber;

use super::json::Json;
use super::kind::{Kind, Whose};
use super::reference::{
    By, Identifier, NHS_NUMBER, Name, Places, Target, follow, is_nhs_number, names,
};
use super::refusal::Refusal;

/// The most things one resource may follow.
const MAX_TARGETS: usize = 256;

/// Whom a resource says it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// It is the person.
    Own,
    /// The person whose Patient is named so.
    Person(Person),
    /// The person these are about.
    Follows(Vec<Name>),
    /// The person that what references it is about.
    Referrer,
    /// Nobody.
    Nobody,
}

/// How a resource names its person.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// The Patient's id, or an identifier the Patient has.
    pub by: By,
    /// The NHS number given beside the id: the person's, if they have one here.
    pub check: Option<NhsNumber>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(…)")
    }
}

/// Whom `resource` is about.
///
/// # Errors
/// If it names nobody, something that is not a person, or several people.
pub(crate) fn find(kind: &Kind, resource: &Json<'_>, places: &Places) -> Result<Subject, Refusal> {
    match kind.whose {
        Whose::Own => Ok(Subject::Own),
        Whose::Nobody => Ok(Subject::Nobody),
        Whose::Referrer => binary(resource, places),
        Whose::Not(why) => Err(Refusal::NotCare {
            kind: kind.name,
            why,
        }),
        Whose::Perhaps(element) if resource.member(element).is_none() => Ok(Subject::Nobody),
        Whose::Subject(element) | Whose::Perhaps(element) => {
            let all: Vec<_> = resource.each(element).iter().collect();
            only(element, &all, resource, places)
        }
        Whose::Among(list, element) => {
            let all = resource
                .each(list)
                .iter()
                .filter_map(|part| part.member(element));
            let people: Vec<_> = all.filter(|one| names_a_patient(one, places)).collect();
            only(list, &people, resource, places)
        }
        Whose::Target(element) => follows(element, resource, places),
    }
}

/// Whether this is a reference to a Patient, as far as it shows.
fn names_a_patient(element: &Json<'_>, places: &Places) -> bool {
    if let Some(kind) = element.text_of("type") {
        return kind == "Patient";
    }
    match element
        .text_of("reference")
        .map(|text| follow(text, places))
    {
        Some(Target::Name(name)) => name.kind.name == "Patient",
        Some(Target::Elsewhere(kind)) => kind.name == "Patient",
        Some(Target::Contained(_) | Target::Nowhere) => false,
        None => element
            .member("identifier")
            .and_then(|identifier| identifier.text_of("system"))
            .is_some_and(is_nhs_number),
    }
}

/// The one person these references name.
fn only(
    element: &'static str,
    references: &[&Json<'_>],
    resource: &Json<'_>,
    places: &Places,
) -> Result<Subject, Refusal> {
    // Each may lead through all that is inside the resource.
    if references.len() > MAX_TARGETS {
        return Err(Refusal::TooMany {
            what: "references to its person",
            limit: MAX_TARGETS,
        });
    }
    let mut found: Option<Person> = None;
    let mut otherwise = Refusal::NobodyNamed(element);
    for reference in references {
        if !reference.is_object() {
            return Err(Refusal::Shape(element));
        }
        match person(reference, resource, places) {
            Ok(person) if found.as_ref().is_some_and(|found| *found != person) => {
                return Err(Refusal::SeveralPeople);
            }
            Ok(person) => found = Some(person),
            Err(refusal) => otherwise = refusal,
        }
    }
    found.map(Subject::Person).ok_or(otherwise)
}

/// The person one reference names.
fn person(reference: &Json<'_>, resource: &Json<'_>, places: &Places) -> Result<Person, Refusal> {
    let identifier = reference.member("identifier").and_then(Identifier::read);
    let check = identifier.as_ref().and_then(Identifier::nhs_number);
    let wanted = reference.text_of("type").filter(|kind| *kind != "Patient");
    if let Some(kind) = wanted.and_then(|kind| Kind::of(kind).ok()) {
        return Err(Refusal::AboutOther(kind.name));
    }
    let dead = match reference
        .text_of("reference")
        .map(|text| follow(text, places))
    {
        Some(Target::Name(name)) if name.kind.name != "Patient" => {
            return Err(Refusal::AboutOther(name.kind.name));
        }
        Some(Target::Name(Name { by: By::Id(id), .. })) => {
            return Ok(Person {
                by: By::Id(id),
                check,
            });
        }
        Some(Target::Name(Name {
            by: By::Identifier(searched),
            ..
        })) => return identified(searched),
        Some(Target::Contained(id)) => return contained(id, resource),
        Some(Target::Elsewhere(kind)) if kind.name != "Patient" => {
            return Err(Refusal::AboutOther(kind.name));
        }
        Some(Target::Elsewhere(_)) => Refusal::OtherServer,
        Some(Target::Nowhere) => Refusal::DeadReference("nothing in its file answers to it"),
        None => {
            Refusal::DeadReference("it has neither a reference nor an identifier with a system")
        }
    };
    identifier.map_or(Err(dead), identified)
}

fn identified(identifier: Identifier) -> Result<Person, Refusal> {
    if identifier.system == NHS_NUMBER && identifier.nhs_number().is_none() {
        return Err(Refusal::DeadReference(
            "the NHS number it gives is not a valid one",
        ));
    }
    Ok(Person {
        by: By::Identifier(identifier),
        check: None,
    })
}

/// A Patient inside the resource names somebody only by its NHS number.
fn contained(id: &str, resource: &Json<'_>) -> Result<Person, Refusal> {
    let inside = resource.each("contained").iter();
    let Some(found) = inside.into_iter().find(|one| one.text_of("id") == Some(id)) else {
        return Err(Refusal::DeadReference(
            "what it says is inside it is not there",
        ));
    };
    let kind = found
        .text_of("resourceType")
        .and_then(|kind| Kind::of(kind).ok());
    if let Some(kind) = kind.filter(|kind| kind.name != "Patient") {
        return Err(Refusal::AboutOther(kind.name));
    }
    let numbers = found.each("identifier").iter().filter_map(Identifier::read);
    let mut numbers = numbers.filter(|one| one.nhs_number().is_some());
    match (numbers.next(), numbers.next()) {
        (Some(number), None) => identified(number),
        _ => Err(Refusal::DeadReference(
            "its person is only inside it, without one NHS number",
        )),
    }
}

/// Provenance: a Patient among its targets, or whatever its targets are about.
fn follows(
    element: &'static str,
    resource: &Json<'_>,
    places: &Places,
) -> Result<Subject, Refusal> {
    let targets = resource.each(element);
    let people: Vec<_> = targets
        .iter()
        .filter(|one| names_a_patient(one, places))
        .collect();
    if !people.is_empty() {
        return only(element, &people, resource, places);
    }
    let all: Vec<_> = targets
        .iter()
        .flat_map(|target| names(target, places))
        .collect();
    match all.len() {
        0 => Err(Refusal::NobodyNamed(element)),
        1..=MAX_TARGETS => Ok(Subject::Follows(all)),
        _ => Err(Refusal::TooMany {
            what: "targets",
            limit: MAX_TARGETS,
        }),
    }
}

/// Binary: its security context may be its person; else what references it says.
fn binary(resource: &Json<'_>, places: &Places) -> Result<Subject, Refusal> {
    match resource.member("securityContext") {
        Some(context) if names_a_patient(context, places) => {
            only("securityContext", &[context], resource, places)
        }
        _ => Ok(Subject::Referrer),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn subject(kind: &str, text: &str) -> Result<Subject, Refusal> {
        find(
            Kind::of(kind).unwrap(),
            &Json::read(text).unwrap(),
            &Places::default(),
        )
    }

    fn by_id(id: &str) -> Result<Subject, Refusal> {
        Ok(Subject::Person(Person {
            by: By::Id(id.into()),
            check: None,
        }))
    }

    #[test]
    fn the_person_is_found_where_each_type_keeps_them() {
        let subject_is = |kind, text| assert_eq!(subject(kind, text), by_id("p"), "{kind}");
        subject_is("Condition", r#"{"subject":{"reference":"Patient/p"}}"#);
        subject_is(
            "Immunization",
            r#"{"patient":{"reference":"Patient/p/_history/2"}}"#,
        );
        subject_is("Coverage", r#"{"beneficiary":{"reference":"Patient/p"}}"#);
        subject_is("Task", r#"{"for":{"reference":"Patient/p"}}"#);
        subject_is(
            "Account",
            r#"{"subject":[{"reference":"Device/d"},{"reference":"Patient/p"}]}"#,
        );
        subject_is(
            "Appointment",
            r#"{"participant":[{"actor":{"reference":"Practitioner/d"}},{"actor":{"reference":"Patient/p"}}]}"#,
        );
        subject_is(
            "Provenance",
            r#"{"target":[{"reference":"Patient/p"},{"reference":"Condition/c"}]}"#,
        );
        assert_eq!(subject("Binary", "{}"), Ok(Subject::Referrer));
        assert_eq!(subject("Device", "{}"), Ok(Subject::Nobody));
        subject_is("Device", r#"{"patient":{"reference":"Patient/p"}}"#);
    }

    #[test]
    fn a_person_may_be_named_by_nhs_number_alone_or_besides() {
        let nhs =
            r#""identifier":{"system":"http://fhir.nhs.net/Id/nhs-number","value":"999 000 1235"}"#;
        let named = subject("Condition", &format!(r#"{{"subject":{{{nhs}}}}}"#)).unwrap();
        let inside = subject(
            "Condition",
            &format!(
                r##"{{"subject":{{"reference":"#p"}},"contained":[{{"resourceType":"Patient","id":"p",{}}}]}}"##,
                nhs.replace(":{", ":[{").replace('}', "}]")
            ),
        );
        assert_eq!(inside.as_ref(), Ok(&named));
        let Subject::Person(Person {
            by: By::Identifier(identifier),
            ..
        }) = named
        else {
            unreachable!()
        };
        assert_eq!(identifier.system, NHS_NUMBER);
        let both = subject(
            "Condition",
            &format!(r#"{{"subject":{{"reference":"Patient/p",{nhs}}}}}"#),
        );
        let Ok(Subject::Person(Person { check, .. })) = both else {
            unreachable!()
        };
        assert_eq!(check, "9990001235".parse().ok());
    }

    #[test]
    fn what_is_not_about_one_person_is_refused_saying_why() {
        let refused = |kind, text: &str| subject(kind, text).unwrap_err();
        assert_eq!(
            refused("Observation", r#"{"subject":{"reference":"Group/herd1"}}"#),
            Refusal::AboutOther("Group")
        );
        assert_eq!(
            refused(
                "Observation",
                r#"{"subject":{"type":"Device","identifier":{"system":"a","value":"b"}}}"#
            ),
            Refusal::AboutOther("Device")
        );
        assert_eq!(
            refused("Observation", "{}"),
            Refusal::NobodyNamed("subject")
        );
        assert_eq!(
            refused("Observation", r#"{"subject":"Patient/p"}"#),
            Refusal::Shape("subject")
        );
        assert_eq!(
            refused(
                "Observation",
                r#"{"subject":{"reference":"https://x.example/fhir/Patient/1"}}"#
            ),
            Refusal::OtherServer
        );
        assert_eq!(
            refused(
                "Account",
                r#"{"subject":[{"reference":"Patient/q"},{"reference":"Patient/p"}]}"#
            ),
            Refusal::SeveralPeople
        );
        let display = refused("Observation", r#"{"subject":{"display":"Peter"}}"#);
        assert!(
            matches!(display, Refusal::DeadReference(_)) && !display.to_string().contains("Peter")
        );
        assert_eq!(refused("OperationOutcome", "{}").code(), "not-care");
        let many = vec![r##"{"reference":"#x"}"##; 20_000].join(",");
        let inside = vec![r#"{"resourceType":"Patient","id":"y"}"#; 20_000].join(",");
        let text = format!(r#"{{"subject":[{many}],"contained":[{inside}]}}"#);
        assert_eq!(
            refused("Account", &text),
            Refusal::TooMany {
                what: "references to its person",
                limit: MAX_TARGETS
            }
        );
    }
}
