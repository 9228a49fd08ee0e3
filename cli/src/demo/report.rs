//! What `fairshare demo --json` prints.

use std::collections::BTreeSet;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::member::MemberKind;
use serde::Serialize;

/// The whole demo.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Who took part, in the order of codes.
    pub organisations: Vec<Organisation>,
    /// Every pair of them.
    pub pairs: Vec<Pair>,
    /// Every ask.
    pub asks: Vec<Ask>,
    /// Whether every journal verified.
    pub journals_verified: bool,
    /// How long it all took.
    pub seconds: f64,
    /// What did not hold; nothing may. Said on stderr.
    #[serde(skip)]
    pub broken: BTreeSet<String>,
}

/// One organisation after its import.
#[derive(Debug, Serialize)]
pub struct Organisation {
    pub ods: OdsCode,
    pub kind: MemberKind,
    /// Held.
    pub people: u64,
    /// Of these, who can be in the index.
    pub indexable: u64,
    /// Held.
    pub records: u64,
    /// Refused, each with its reason in the import's report.
    pub rejected: u64,
}

/// What two of them found.
#[derive(Debug, Serialize)]
pub struct Pair {
    pub a: OdsCode,
    pub b: OdsCode,
    /// People both hold, proved by both.
    pub links: u64,
}

/// One ask about one person.
#[derive(Debug, Serialize)]
pub struct Ask {
    pub from: OdsCode,
    pub to: OdsCode,
    /// `delivered`, `nothing-to-show`, …
    pub answer: String,
    /// Records that came.
    pub records_received: u64,
    /// Records shown in return.
    pub records_returned: u64,
    /// From the command to the peer's bundle opened and filed.
    pub ms: u64,
}
