//! Why something was not taken, in words an operator can act on, never with patient data in them.

use super::version::Version;

/// Why a file, a Bundle, an entry or a resource was refused.
///
/// Texts name types, fields and places, never a value found in a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file system does not let us, or we do not let it.
    #[error("not read: {0}")]
    Unreadable(String),
    /// Nothing in it.
    #[error("empty")]
    Empty,
    /// Not JSON, or JSON FHIR does not allow.
    #[error("not valid JSON: {0}")]
    NotJson(String),
    /// Not text in UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// UTF-16 or UTF-32.
    #[error("UTF-16 or UTF-32 text: FHIR JSON is UTF-8; convert it")]
    Utf16,
    /// JSON, but not an object.
    #[error("JSON, but not a FHIR resource: a resource is an object")]
    NotAnObject,
    /// An object without `resourceType`.
    #[error("JSON, but not FHIR: it has no resourceType")]
    NotFhir,
    /// FHIR, but XML.
    #[error("FHIR XML: convert it to JSON")]
    FhirXml,
    /// XML of another kind.
    #[error("XML, but not FHIR")]
    Xml,
    /// A file of another kind.
    #[error("not FHIR: {0}")]
    OtherFile(&'static str),
    /// A compressed file that does not decompress.
    #[error("damaged gzip: it does not decompress to its end")]
    DamagedGzip,
    /// A compressed file that grows without end.
    #[error("gzip that grows more than {0} times when decompressed: looks like a bomb")]
    Bomb(u64),
    /// Larger than is read at once.
    #[error("larger than {limit} MiB in one piece; write it as NDJSON, or in several files")]
    TooLarge {
        /// The limit, in MiB.
        limit: u64,
    },
    /// A line of NDJSON longer than is read.
    #[error("a line longer than {limit} MiB; put its attachment in a file of its own")]
    LongLine {
        /// The limit, in MiB.
        limit: u64,
    },
    /// Another release of FHIR.
    #[error("{0}, not R4: export it as R4")]
    OtherVersion(Version),
    /// A resource type R4 does not have.
    #[error("not a resource type of FHIR R4")]
    UnknownType,
    /// A known type that is not about anybody's care.
    #[error("{kind}: {why}")]
    NotCare {
        /// The type.
        kind: &'static str,
        /// What it is instead.
        why: &'static str,
    },
    /// Without id.
    #[error("no id: it cannot be told from others, nor updated later")]
    NoId,
    /// An id FHIR does not allow.
    #[error("its id is not one FHIR allows: 1 to 64 of A-Z a-z 0-9 - .")]
    BadId,
    /// An element is not of the shape R4 gives it.
    #[error("element `{0}` does not have the shape it has in R4")]
    Shape(&'static str),
    /// About nobody, though its type should be about somebody.
    #[error("it does not say whom it is about (element `{0}`)")]
    NobodyNamed(&'static str),
    /// About something that is not a person.
    #[error("it is about a {0}, not about one person")]
    AboutOther(&'static str),
    /// About several people.
    #[error("it is about more than one person")]
    SeveralPeople,
    /// It names its person in a way that leads nowhere.
    #[error("the reference to its person cannot be followed: {0}")]
    DeadReference(&'static str),
    /// More references, people or attachments than any record needs.
    #[error("more than {limit} {what} in one resource")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// A kind of Bundle that is not for import.
    #[error("a Bundle of type {kind}: {why}")]
    BundleType {
        /// Its type.
        kind: &'static str,
        /// Why it is not taken.
        why: &'static str,
    },
    /// A Bundle that does not say what it is.
    #[error("a Bundle without a type R4 knows")]
    NoBundleType,
    /// A Bundle as an entry or a line.
    #[error("a Bundle inside another file's entries or lines: give it as a file of its own")]
    NestedBundle,
    /// An entry that asks for something else than storing.
    #[error("it asks the server to {0}: only POST and PUT can be imported")]
    Method(&'static str),
    /// An entry that depends on what a server holds.
    #[error("it depends on what a server holds ({0}): not supported for this type")]
    Conditional(&'static str),
    /// An entry without a resource.
    #[error("an entry without a resource")]
    NoResource,
    /// Two different resources of one identity in one transaction.
    #[error("two different resources with one id in one transaction")]
    TwiceInTransaction,
    /// An entry of a transaction that is refused for the sake of another one.
    #[error("its transaction is all or nothing, and entry {entry} was refused: {why}")]
    Transaction {
        /// The first entry refused, from 1.
        entry: u64,
        /// Why.
        why: Box<Refusal>,
    },
    /// The person is not known here.
    #[error("its person is neither in this import nor in the store")]
    UnknownPerson,
    /// The person is at another server than the one that was exported.
    #[error(
        "its person is at another server; name that server's address in the import if its ids are ours"
    )]
    OtherServer,
    /// Several people here go by the identifier the resource names.
    #[error("several people here have the identifier it names its person by")]
    AmbiguousPerson,
    /// Reference and identifier disagree.
    #[error("its reference and its NHS number name different people")]
    Contradiction,
    /// Nothing that would say whose it is was taken.
    #[error("nothing that was taken says whose it is")]
    NobodyRefers,
}

impl Refusal {
    /// One word for counts: refusals of one cause share it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Empty => "empty",
            Self::NotJson(_) | Self::NotUtf8 | Self::Utf16 => "not-json",
            Self::NotAnObject | Self::NotFhir | Self::Xml | Self::OtherFile(_) => "not-fhir",
            Self::FhirXml => "fhir-xml",
            Self::DamagedGzip | Self::Bomb(_) => "bad-gzip",
            Self::TooLarge { .. } | Self::LongLine { .. } => "too-large",
            Self::OtherVersion(_) => "not-r4",
            Self::UnknownType => "unknown-type",
            Self::NotCare { .. } => "not-care",
            Self::NoId | Self::BadId => "bad-id",
            Self::Shape(_) => "bad-shape",
            Self::NobodyNamed(_) => "no-person-named",
            Self::AboutOther(_) => "not-about-a-person",
            Self::SeveralPeople => "several-people",
            Self::DeadReference(_) => "dead-reference",
            Self::TooMany { .. } => "too-many",
            Self::BundleType { .. } | Self::NoBundleType | Self::NestedBundle => "bundle-type",
            Self::Method(_) | Self::Conditional(_) | Self::NoResource => "not-a-resource-to-store",
            Self::TwiceInTransaction | Self::Transaction { .. } => "transaction",
            Self::UnknownPerson => "unknown-person",
            Self::OtherServer => "other-server",
            Self::AmbiguousPerson | Self::Contradiction => "ambiguous-person",
            Self::NobodyRefers => "whose-unknown",
        }
    }
}
