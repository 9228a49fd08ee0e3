//! Questions about members: founding a federation, joining it, admitting to it, who is in it.
//!
//! The organisation key never comes to the node: the command signs with it and hands over what it
//! signed. What travels between organisations is text as [`crate::armour`] writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::member::MemberKind;
use crate::roster::own::Reach;
use crate::roster::{Admission, Contact, NodeKeys, SelfStatement, Status};
use crate::statement::Signed;
use crate::text::Line;
use crate::time::Timestamp;

/// Who is a member?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {}

/// Who is a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The federation.
    pub federation: FederationReport,
    /// Everyone ever admitted, in the order of codes.
    pub members: Vec<MemberReport>,
}

/// A federation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationReport {
    /// Its name, from the charter.
    pub name: String,
    /// Its id.
    pub id: FederationId,
    /// Its id, to be read over the telephone.
    pub fingerprint: String,
    /// The version of its charter.
    pub version: u32,
    /// Hash of the data-sharing agreement.
    pub agreement: Hash,
    /// The stewards.
    pub stewards: Vec<OdsCode>,
    /// How many of them must sign.
    pub threshold: u16,
    /// The epoch, and when it ends.
    pub epoch: (u32, Timestamp),
    /// The link a newcomer joins with.
    pub invitation: String,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its code.
    pub code: OdsCode,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MemberKind,
    /// What it is now.
    pub status: Status,
    /// Why, if that was said.
    pub why: Option<String>,
    /// When stewards last spoke about it.
    pub since: Timestamp,
    /// People it may at most put into its advert.
    pub population: u64,
    /// Who is merged into it.
    pub predecessors: Vec<OdsCode>,
    /// Into whom it is merged.
    pub successor: Option<OdsCode>,
    /// Whether it is a steward.
    pub steward: bool,
    /// Whether it is this node's own.
    pub own: bool,
    /// Its organisation key.
    pub organisation: PublicKey,
    /// Its node key, if it has a valid one.
    pub node: Option<PublicKey>,
    /// Where and through whom it is reached.
    pub contact: Option<ContactReport>,
    /// Whether it has published an offer.
    pub offer: bool,
    /// Contradictions found in what was said by or about it.
    pub contradictions: u64,
}

/// Where and through whom a member is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactReport {
    /// Addresses of its node.
    pub addresses: Vec<String>,
    /// Who is called when an exchange goes wrong.
    pub exchange: Reach,
    /// The Caldicott Guardian.
    pub guardian: Reach,
    /// Data Security and Protection Toolkit status.
    pub dspt: String,
    /// The last day it holds, `YYYY-MM-DD`.
    pub dspt_expires: Option<String>,
}

impl From<&Contact> for ContactReport {
    fn from(contact: &Contact) -> Self {
        Self {
            addresses: contact.addresses.iter().map(ToString::to_string).collect(),
            exchange: contact.exchange.clone(),
            guardian: contact.guardian.clone(),
            dspt: contact.dspt.word().to_owned(),
            dspt_expires: contact.dspt_expires.map(|date| date.expose()),
        }
    }
}

/// What would this node say of itself, joining this federation? It says the same each time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduce {
    /// The federation; none for the one the node holds the charter of.
    pub federation: Option<FederationId>,
    /// The number its statements hang on: 1 unless it was a member before.
    pub n: u32,
}

/// What the node says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Introduction {
    /// The federation.
    pub federation: FederationId,
    /// Its code.
    pub member: OdsCode,
    /// Its kind, name and population, with the organisation key to be filled in.
    pub kind: MemberKind,
    /// Its name.
    pub name: String,
    /// Its population.
    pub population: u64,
    /// Its node's keys, for the organisation key to name.
    pub keys: NodeKeys,
    /// Its contact and its offer, signed by the node key.
    pub statements: Vec<Signed<SelfStatement>>,
    /// The request made earlier for the same federation and number: there is only one.
    pub earlier: Option<Application>,
}

/// A join request is made: keep it, and bring it to the steward who invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The request.
    pub request: String,
    /// The invitation, if it came with one.
    pub invitation: Option<String>,
}

/// A join request as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The request, as text for a file.
    pub request: String,
    /// The same, as a link.
    pub link: String,
    /// To be read over the telephone.
    pub fingerprint: String,
    /// Who asks.
    pub code: OdsCode,
    /// When it was made.
    pub at: Timestamp,
}

/// A federation is founded: this is its charter and its first steward.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// A welcome.
    pub welcome: String,
}

/// Enter the federation that welcomes us.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    /// The file of the welcome.
    pub path: PathBuf,
}

/// The node is in a federation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The federation.
    pub federation: FederationReport,
    /// What this node's member is in it; none if nobody has admitted it yet.
    pub status: Option<Status>,
    /// How many members take part.
    pub members: u64,
}

/// Who asks to be admitted?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admissions {}

/// One who asks to be admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its code.
    pub code: OdsCode,
    /// What it asks to be admitted as.
    pub admission: Admission,
    /// Where and through whom it is reached.
    pub contact: ContactReport,
    /// Its node key.
    pub node: PublicKey,
    /// When it asked.
    pub at: Timestamp,
    /// Hash of its request.
    pub request: Hash,
    /// To be compared with what the newcomer reads over the telephone.
    pub fingerprint: String,
    /// The stewards who have signed its admission, of whom not enough have yet.
    pub signed: Vec<OdsCode>,
    /// What speaks against it as it stands.
    pub problem: Option<String>,
}

/// Who is to be admitted: make the decision ready to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// A code or a fingerprint from the list, or the text of a request or of a partly signed
    /// admission.
    pub which: String,
}

/// A decision ready to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Whom it admits.
    pub candidate: Candidate,
    /// The admission, as text.
    pub sheet: String,
    /// The stewards who signed it already.
    pub signed: Vec<OdsCode>,
    /// How many must.
    pub needed: u16,
}

/// A decision, signed once more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    /// The admission, as text.
    pub sheet: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Whom it admits.
    pub candidate: Candidate,
    /// The stewards who signed.
    pub signed: Vec<OdsCode>,
    /// How many must.
    pub needed: u16,
    /// Whether it is a member now.
    pub admitted: bool,
    /// The admission, for the next steward; or, once it is a member, its welcome.
    pub paper: String,
}

/// Take a request off the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dismiss {
    /// A code or a fingerprint from the list.
    pub which: String,
}

/// Where would this member's word stand that it leaves?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaving {}

/// Where it would stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavePlace {
    /// The federation.
    pub federation: FederationId,
    /// Its name.
    pub name: String,
    /// Who leaves.
    pub member: OdsCode,
    /// What it hangs on.
    pub n: u32,
    /// Its number under that.
    pub u: u32,
    /// Whether the member is a steward.
    pub steward: bool,
}

/// This member leaves: its word, signed by its organisation key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The word.
    pub statement: Signed<SelfStatement>,
    /// Why, for the journal.
    pub reason: Line,
}

/// It has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The federation's name.
    pub name: String,
    /// How many members still take part.
    pub members: u64,
    /// Whether the node runs, and so tells the others.
    pub running: bool,
}
