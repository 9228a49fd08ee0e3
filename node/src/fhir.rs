//! FHIR R4 as organisations have it: what each resource is, whose, and what it holds on to.
//!
//! Only this module knows FHIR. It is pure: bytes in, facts out. The bytes of a resource are kept
//! exactly as received and never written again, so decimals keep their precision and a hash keeps
//! its meaning; what is read from them is the little the node needs. It is not a validator: it
//! checks the shape of what it relies on, and refuses other releases of FHIR.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fairshare_protocol::category::Category;
use fairshare_protocol::offer::Label;
use fairshare_protocol::time::Date;

use self::attachment::Attachment;
use self::json::Json;
pub use self::kind::Kind;
use self::patient::Patient;
pub use self::reference::{By, Identifier, Name, Places};
pub use self::refusal::Refusal;
pub use self::service::Mark;
pub use self::subject::Subject;

pub mod activity;
pub mod attachment;
pub mod bundle;
pub mod export;
mod json;
pub mod kind;
pub mod patient;
pub mod reference;
pub mod refusal;
pub mod service;
pub mod source;
pub mod status;
pub mod subject;
pub mod version;

/// Elements that are never a list in any type of R4; in later drafts and by mistake they are.
const NEVER_LISTS: [&str; 3] = ["meta", "masterIdentifier", "custodian"];

/// The most references to supporting resources and Binaries kept of one resource.
const MAX_REFERENCES: usize = 1024;

/// What the node's operator decides about imports.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether the member is a social care one: its questionnaires and assessments are then
    /// `social-care-assessments`.
    pub social_care: bool,
    /// Categories of resource types, where they are not those of protocol.md section 2.
    pub types: BTreeMap<String, Category>,
    /// Categories of documents by `system|code` of their type or category.
    pub codes: BTreeMap<String, Category>,
    /// The day of the import: NHS numbers that ended before it do not count.
    pub today: Date,
}

/// One resource, read. The bytes stay with the caller.
#[derive(Clone)]
pub struct Resource {
    /// Its type.
    pub kind: &'static Kind,
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub subject: Subject,
    /// Its category.
    pub category: Category,
    /// How restricted it is: v3 Confidentiality `R` and `V` in `meta.security`, or where a document
    /// says it of itself.
    pub label: Option<Label>,
    /// What it references of things that may be supporting, and Binaries.
    pub references: BTreeSet<Name>,
    /// The service it comes from, or is.
    pub marks: BTreeSet<Mark>,
    /// Other names of the service it is.
    pub aliases: Vec<Mark>,
    /// The encounters and episodes it belongs to.
    pub within: BTreeSet<Name>,
    /// Its identifiers, if it is something references name by identifier.
    pub identifiers: Vec<Identifier>,
    /// Bytes inside and beside it.
    pub attachments: Vec<Attachment>,
    /// If it is a Patient, what an import wants to know of it.
    pub patient: Option<Patient>,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.kind.name, self.category)
    }
}

impl Resource {
    /// Reads one resource from its text. `id` is what its Bundle calls it, for one that has no id
    /// of its own.
    ///
    /// # Errors
    /// With the reason, if it is not a record of FHIR R4 we can keep.
    pub fn read(
        text: &str,
        id: Option<&str>,
        places: &Places,
        rules: &Rules,
    ) -> Result<Self, Refusal> {
        let json = &Json::read(text)?;
        let kind = kind_of(json)?;
        version::check(kind.name, json)?;
        if let Some(name) = NEVER_LISTS
            .into_iter()
            .find(|name| json.member(name).is_some_and(Json::is_list))
        {
            return Err(Refusal::Shape(name));
        }
        let subject = subject::find(kind, json, places)?;
        let id = id_of(json, id)?;
        let label = label(kind, json);
        let patient = match subject {
            Subject::Own => Some(patient::read(json, label.is_some(), rules.today, places)?),
            _ => None,
        };
        let identifiers = match (&patient, &subject) {
            (Some(patient), _) => patient.identifiers.clone(),
            (None, Subject::Nobody) => identifiers(json),
            _ => Vec::new(),
        };
        Ok(Self {
            kind,
            id,
            category: rules.category(kind, json),
            label,
            references: references(json, places)?,
            marks: service::marks(kind, json, places)?,
            aliases: service::aliases(kind, &identifiers),
            within: service::within(kind, json, places)?,
            identifiers,
            attachments: attachment::all(kind.name, json, places)?,
            subject,
            patient,
        })
    }
}

/// The type and id of a resource that was refused, as far as they are ones FHIR allows.
pub fn called(text: &str) -> Option<(&'static str, String)> {
    let members = json::Members::find(text).ok()?;
    let kind = Kind::of(&members.text_of("resourceType").ok()??).ok()?;
    let id = members
        .text_of("id")
        .ok()?
        .filter(|id| reference::is_id(id));
    Some((kind.name, id.unwrap_or_else(|| "?".to_owned())))
}

fn kind_of(json: &Json<'_>) -> Result<&'static Kind, Refusal> {
    if !json.is_object() {
        return Err(Refusal::NotAnObject);
    }
    match json.text_of("resourceType").ok_or(Refusal::NotFhir)? {
        "Bundle" => Err(Refusal::NestedBundle),
        name => Kind::of(name),
    }
}

fn id_of(json: &Json<'_>, called: Option<&str>) -> Result<String, Refusal> {
    let id = match json.member("id") {
        Some(id) => id.text().ok_or(Refusal::BadId)?,
        None => called.ok_or(Refusal::NoId)?,
    };
    if reference::is_id(id) {
        Ok(id.to_owned())
    } else {
        Err(Refusal::BadId)
    }
}

/// The strongest label: of the resource, or of the document it points to or is
/// (`DocumentReference.securityLabel`, `Composition.confidentiality`).
fn label(kind: &Kind, json: &Json<'_>) -> Option<Label> {
    fn of(code: &str) -> Option<Label> {
        match code {
            "R" => Some(Label::Restricted),
            "V" => Some(Label::VeryRestricted),
            _ => None,
        }
    }
    let resource = json.each("meta").iter();
    let resource = resource.flat_map(|meta| meta.each("security"));
    let document = json.each("securityLabel").iter();
    let document = document.flat_map(|concept| concept.each("coding"));
    let document = document.filter(|_| kind.name == "DocumentReference");
    let coded = resource.chain(document).filter(|coding| {
        coding
            .text_of("system")
            .is_none_or(|system| system.contains("Confidentiality"))
    });
    let itself = json.text_of("confidentiality");
    coded
        .filter_map(|coding| of(coding.text_of("code")?))
        .chain(itself.filter(|_| kind.name == "Composition").and_then(of))
        .max()
}

fn identifiers(json: &Json<'_>) -> Vec<Identifier> {
    let all = json.each("identifier").iter().filter_map(Identifier::read);
    all.take(16).collect()
}

/// Everything a resource references that may be supporting, and Binaries.
fn references(json: &Json<'_>, places: &Places) -> Result<BTreeSet<Name>, Refusal> {
    fn walk(json: &Json<'_>, places: &Places, found: &mut BTreeSet<Name>) {
        match json {
            Json::List(elements) => elements.iter().for_each(|one| walk(one, places, found)),
            Json::Object(members) => {
                let names = reference::names(json, places).into_iter();
                let wanted = |name: &Name| name.kind.is_supporting() || name.kind.name == "Binary";
                found.extend(names.filter(wanted));
                let url = json
                    .text_of("url")
                    .map(|url| reference::follow(url, places));
                if let Some(reference::Target::Name(name)) = url
                    && name.kind.name == "Binary"
                {
                    found.insert(name);
                }
                members
                    .iter()
                    .for_each(|(_, value)| walk(value, places, found));
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(json, places, &mut found);
    if found.len() > MAX_REFERENCES {
        return Err(Refusal::TooMany {
            what: "references",
            limit: MAX_REFERENCES,
        });
    }
    Ok(found)
}

impl Rules {
    /// Rules with nothing overridden.
    pub fn new(social_care: bool, today: Date) -> Self {
        Self {
            social_care,
            types: BTreeMap::new(),
            codes: BTreeMap::new(),
            today,
        }
    }

    /// The one category of a record (protocol.md section 2). A document coded as safeguarding is
    /// that whatever the operator says of its type, unless they name its code.
    fn category(&self, kind: &Kind, json: &Json<'_>) -> Category {
        let document = matches!(
            kind.name,
            "DocumentReference" | "Composition" | "Media" | "DocumentManifest"
        );
        let concepts = || {
            ["type", "category"]
                .into_iter()
                .flat_map(|name| json.each(name))
        };
        if document {
            let codings = concepts().flat_map(|concept| concept.each("coding"));
            let mut codes = codings.filter_map(|coding| {
                let code = format!("{}|{}", coding.text_of("system")?, coding.text_of("code")?);
                self.codes.get(&code)
            });
            if let Some(category) = codes.next() {
                return *category;
            }
            if concepts().any(|concept| says(concept, &["safeguarding", "child protection"])) {
                return Category::Safeguarding;
            }
        }
        if let Some(category) = self.types.get(kind.name) {
            return *category;
        }
        let assessment = kind.name == "QuestionnaireResponse"
            || document && concepts().any(|concept| says(concept, &["assessment"]));
        if self.social_care && assessment {
            return Category::SocialCareAssessments;
        }
        kind.category
    }
}

/// Whether a concept's own words, or those of one of its codes, contain one of these.
fn says(concept: &Json<'_>, words: &[&str]) -> bool {
    let codings = concept.each("coding").iter();
    let texts = codings
        .filter_map(|coding| coding.text_of("display"))
        .chain(concept.text_of("text"));
    let mut texts = texts.map(str::to_lowercase);
    texts.any(|text| words.iter().any(|word| text.contains(word)))
}

#[cfg(test)]
mod tests;
