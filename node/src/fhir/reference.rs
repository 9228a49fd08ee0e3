//! References: what they name, in the ways FHIR R4 lets them be written.
//!
//! Literal (`Patient/x`, with or without `/_history/n`), absolute (`https://server/fhir/Patient/x`),
//! `urn:uuid:` of an entry of the same Bundle, conditional (`Patient?identifier=system|value`),
//! contained (`#x`) and logical (an identifier). An absolute one is taken for ours only if its
//! server is known to be the one that was exported: two servers may both have a `Patient/1`, and
//! records of one person filed under another are the worst thing an import can do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fairshare_protocol::index::key::NhsNumber;

use super::json::Json;
use super::kind::Kind;

/// The system of NHS numbers as UK Core writes it; all its other spellings are read as this one.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";

/// Its other spellings: before 2018, as an OID, and with mistakes often seen.
const NHS_NUMBER_TOO: [&str; 8] = [
    "https://fhir.nhs.uk/id/nhs-number",
    "http://fhir.nhs.uk/id/nhs-number",
    "http://fhir.nhs.net/id/nhs-number",
    "https://fhir.nhs.net/id/nhs-number",
    "http://fhir.nhs.uk/nhs-number",
    "https://fhir.nhs.uk/nhs-number",
    "urn:oid:2.16.840.1.113883.2.1.4.1",
    "2.16.840.1.113883.2.1.4.1",
];

/// The system of ODS codes as UK Core writes it; its other spellings, and sites', are read as this
/// one: all codes are one list.
pub const ODS_CODE: &str = "https://fhir.nhs.uk/Id/ods-organization-code";

/// Its spellings, in lower case without their scheme.
const ODS_CODE_TOO: [&str; 4] = [
    "fhir.nhs.uk/id/ods-organization-code",
    "fhir.nhs.uk/id/ods-site-code",
    "fhir.nhs.net/id/ods-organization-code",
    "fhir.nhs.net/id/ods-site-code",
];

/// Whether identifiers of this system are ODS codes.
fn is_ods_code(system: &str) -> bool {
    let system = system.trim().trim_end_matches('/').to_ascii_lowercase();
    let place = system.split_once("://").map_or("", |(_, place)| place);
    ODS_CODE_TOO.contains(&place)
}

/// Whether identifiers of this system are NHS numbers.
pub fn is_nhs_number(system: &str) -> bool {
    let system = system.trim().trim_end_matches('/').to_ascii_lowercase();
    NHS_NUMBER_TOO.contains(&system.as_str())
}

/// An identifier. Patient data: no `Display`, and a `Debug` that keeps the value back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// Its system; [`NHS_NUMBER`] for NHS numbers and [`ODS_CODE`] for ODS codes however they were
    /// written.
    pub system: String,
    /// Its value; ten digits for valid NHS numbers, capitals for ODS codes.
    pub value: String,
}

impl Identifier {
    /// The identifier of that system and value, in the one way we keep it.
    pub fn new(system: &str, value: &str) -> Self {
        if is_ods_code(system) {
            return Self {
                system: ODS_CODE.to_owned(),
                value: value.trim().to_ascii_uppercase(),
            };
        }
        if !is_nhs_number(system) {
            return Self {
                system: system.to_owned(),
                value: value.to_owned(),
            };
        }
        let digits = value
            .parse::<NhsNumber>()
            .map(|number| number.expose().to_string());
        Self {
            system: NHS_NUMBER.to_owned(),
            value: digits.unwrap_or_else(|_| value.to_owned()),
        }
    }

    /// Reads an `Identifier` element; none without system or value.
    pub(crate) fn read(element: &Json<'_>) -> Option<Self> {
        Some(Self::new(
            element.text_of("system")?,
            element.text_of("value")?,
        ))
    }

    /// The NHS number it is, if it is one and valid.
    pub fn nhs_number(&self) -> Option<NhsNumber> {
        (self.system == NHS_NUMBER).then(|| self.value.parse().ok())?
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({}|…)", self.system)
    }
}

/// What a resource is named by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Its id.
    Id(String),
    /// An identifier it has.
    Identifier(Identifier),
}

/// The name of a resource here: its type, and its id or an identifier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Its type.
    pub kind: &'static Kind,
    /// What names it.
    pub by: By,
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(other.name)
    }
}

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id(_) => "by id",
            Self::Identifier(_) => "by identifier",
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind.name, self.by)
    }
}

/// Where the references of one resource lead: what its file says about servers and entries.
#[derive(Debug, Default)]
pub struct Places {
    /// The entries of the Bundle, by `fullUrl`.
    pub(crate) entries: BTreeMap<String, (&'static Kind, String)>,
    /// Addresses of servers whose ids are ours, without a slash at the end.
    pub(crate) bases: BTreeSet<String>,
}

impl Places {
    /// Nothing but these servers.
    pub fn at(bases: impl IntoIterator<Item = String>) -> Self {
        let bases = bases
            .into_iter()
            .map(|base| base.trim_end_matches('/').to_owned());
        Self {
            entries: BTreeMap::new(),
            bases: bases.collect(),
        }
    }
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A resource of ours.
    Name(Name),
    /// Something inside the same resource.
    Contained(&'a str),
    /// A resource at a server that is not known to be ours.
    Elsewhere(&'static Kind),
    /// Nothing that can be followed.
    Nowhere,
}

/// Follows the text of a reference.
pub(crate) fn follow<'a>(text: &'a str, places: &Places) -> Target<'a> {
    let text = text.trim();
    if let Some(id) = text.strip_prefix('#') {
        return Target::Contained(id);
    }
    let plain = text
        .split_once("/_history/")
        .map_or(text, |(before, _)| before);
    if let Some((kind, id)) = places.entries.get(plain) {
        return Target::Name(Name {
            kind,
            by: By::Id(id.clone()),
        });
    }
    if let Some((path, query)) = plain.split_once('?') {
        return conditional(path, query).map_or(Target::Nowhere, Target::Name);
    }
    let Some((base, kind, id)) = split(plain) else {
        return Target::Nowhere;
    };
    let name = || {
        Target::Name(Name {
            kind,
            by: By::Id(id.to_owned()),
        })
    };
    match base {
        None => name(),
        Some(base) if places.bases.contains(base) => name(),
        Some(base) if kind.name == "Patient" && is_national(base) => Target::Name(Name {
            kind,
            by: By::Identifier(Identifier::new(NHS_NUMBER, id)),
        }),
        Some(_) => Target::Elsewhere(kind),
    }
}

/// Takes `[base/]Type/id` apart.
pub(crate) fn split(text: &str) -> Option<(Option<&str>, &'static Kind, &str)> {
    let (rest, id) = text.rsplit_once('/')?;
    let (base, kind) = rest
        .rsplit_once('/')
        .map_or((None, rest), |(base, kind)| (Some(base), kind));
    let absolute =
        base.is_none_or(|base| base.starts_with("http://") || base.starts_with("https://"));
    (absolute && is_id(id)).then_some((base, Kind::of(kind).ok()?, id))
}

/// The national demographics service, whose Patient ids are NHS numbers.
fn is_national(base: &str) -> bool {
    let host = base.split('/').nth(2).unwrap_or_default();
    host == "demographics.spineservices.nhs.uk"
        || (host == "api.service.nhs.uk" || host.ends_with(".api.service.nhs.uk"))
            && base.contains("/personal-demographics/")
}

/// `Type?identifier=system|value`, the only search we can answer for certain.
fn conditional(path: &str, query: &str) -> Option<Name> {
    let kind = Kind::of(path).ok()?;
    let token = query
        .strip_prefix("identifier=")
        .filter(|token| !token.contains('&'))?;
    let token = percent_decode(token)?;
    let (system, value) = token.split_once('|')?;
    if system.is_empty() || value.is_empty() {
        return None;
    }
    Some(Name {
        kind,
        by: By::Identifier(Identifier::new(system, value)),
    })
}

/// Undoes percent-encoding; none if it is wrong or not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?[0]);
    }
    String::from_utf8(bytes).ok()
}

/// Whether FHIR allows this as an id: 1 to 64 of `A-Z a-z 0-9 - .` (R4, datatypes, `id`).
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// Every name a Reference element gives: by its reference, and by its identifier and type.
pub(crate) fn names(element: &Json<'_>, places: &Places) -> Vec<Name> {
    let literal = element
        .text_of("reference")
        .map(|text| follow(text, places));
    let mut names = Vec::new();
    if let Some(Target::Name(name)) = literal {
        names.push(name);
    }
    let kind = element.text_of("type").and_then(|name| Kind::of(name).ok());
    let identifier = element.member("identifier").and_then(Identifier::read);
    if let (Some(kind), Some(identifier)) = (kind, identifier) {
        names.push(Name {
            kind,
            by: By::Identifier(identifier),
        });
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn places() -> Places {
        let mut places = Places::at(["https://ours.example/fhir/".to_owned()]);
        let patient = Kind::of("Patient").unwrap();
        places
            .entries
            .insert("urn:uuid:1".into(), (patient, "p1".into()));
        places
    }

    fn id(text: &str) -> Option<String> {
        match follow(text, &places()) {
            Target::Name(Name { by: By::Id(id), .. }) => Some(id),
            _ => None,
        }
    }

    #[test]
    fn references_lead_to_what_is_ours_and_to_nothing_else() {
        assert_eq!(id("Patient/x").as_deref(), Some("x"));
        assert_eq!(id("Patient/x/_history/3").as_deref(), Some("x"));
        assert_eq!(
            id("https://ours.example/fhir/Patient/x").as_deref(),
            Some("x")
        );
        assert_eq!(id("urn:uuid:1").as_deref(), Some("p1"));
        for dead in [
            "urn:uuid:2",
            "Patient",
            "Ptient/x",
            "Patient/x y",
            "a/b/Patient/x",
            "",
            "/",
            "Patient/",
        ] {
            assert_eq!(follow(dead, &places()), Target::Nowhere, "{dead}");
        }
        let patient = Kind::of("Patient").unwrap();
        assert_eq!(
            follow("http://other/fhir/Patient/x", &places()),
            Target::Elsewhere(patient)
        );
        assert_eq!(follow("#p", &places()), Target::Contained("p"));
    }

    #[test]
    fn a_person_is_named_by_nhs_number_in_a_search_and_at_the_national_service() {
        for text in [
            "Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|9990001235",
            "Patient?identifier=http%3A%2F%2Ffhir.nhs.net%2FId%2Fnhs-number%7C999%20000%201235",
            "https://demographics.spineservices.nhs.uk/STU3/Patient/9990001235",
            "https://int.api.service.nhs.uk/personal-demographics/FHIR/R4/Patient/9990001235",
        ] {
            let Target::Name(Name {
                by: By::Identifier(identifier),
                ..
            }) = follow(text, &places())
            else {
                unreachable!("{text}")
            };
            assert_eq!(identifier.nhs_number(), "9990001235".parse().ok(), "{text}");
            assert!(!format!("{identifier:?}").contains("999"));
        }
        for dead in [
            "Patient?identifier=9990001235",
            "Patient?name=x",
            "Patient?identifier=a|b&c=d",
            "Patient?identifier=a%7",
        ] {
            assert_eq!(follow(dead, &places()), Target::Nowhere, "{dead}");
        }
    }
}
