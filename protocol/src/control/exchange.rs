//! Questions about showing: asking peers, what was received, and who saw what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::index::Completeness;
use crate::category::{Category, Purpose};
use crate::exchange::notice::Correction;
use crate::ids::{ExchangeId, OdsCode};
use crate::index::key::IndexKey;
use crate::member::{MemberKind, User};
use crate::text::Line;
use crate::time::Timestamp;

/// Records of each category.
pub type Counts = BTreeMap<Category, u32>;

/// Ask peers about one person. Never printed: the key has a redacted `Debug`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The person.
    pub person: IndexKey,
    /// Whom to ask; empty means everybody this person is linked with.
    pub peers: BTreeSet<OdsCode>,
    /// What for.
    pub purpose: Purpose,
    /// What is wanted; empty means all that flows.
    pub categories: BTreeSet<Category>,
    /// Why; an emergency needs it.
    pub reason: Option<Line>,
}

/// What asking brought, and how complete that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Every member that was asked or could have been, in the order of their codes.
    pub peers: Vec<AskedPeer>,
    /// How many members are what.
    pub completeness: Completeness,
}

/// What one member said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPeer {
    /// Its code.
    pub code: OdsCode,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MemberKind,
    /// What came of it.
    pub state: AskState,
    /// Why, where that needs words: the refusal's code, or what went wrong.
    pub why: Option<String>,
    /// What it left out because its operator stopped showing it; that none of it came says nothing.
    pub stopped: Vec<Category>,
    /// The exchange, if there was one.
    pub exchange: Option<ExchangeId>,
    /// Records received and filed.
    pub received: Counts,
    /// Records shown in return.
    pub shown: Counts,
    /// Whether the peer acknowledged what was shown.
    pub acknowledged: bool,
    /// Whether the terms between the two are one-sided for this purpose.
    pub one_sided: bool,
    /// Whether the peer answered under other terms than this node knew.
    pub other_terms: bool,
    /// When the peer's index was made that the link rests on.
    pub index_made: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What came of asking one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskState {
    /// It showed records.
    Delivered,
    /// It had nothing to show.
    NothingToShow,
    /// It refused.
    Refused,
    /// Not now.
    Deferred,
    /// It showed somebody else: in quarantine.
    Quarantined,
    /// Something went wrong on the way.
    Failed,
    /// It could not be reached.
    Unreachable,
    /// The person was not in both indexes when last matched. That is not "no record".
    NotLinked,
    /// There was no match with it yet.
    NotMatched,
    /// The person came to this node's index after the match, or is not in it yet.
    NotYetIndexed,
    /// The person has no valid number or date of birth here: nobody can find them.
    NotIndexable,
    /// The offers of the two do not let them match.
    NoPresence,
}

/// What was received, about one person or about everybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListReceived {
    /// About whom; none means everybody.
    pub person: Option<IndexKey>,
    /// Which.
    pub which: Which,
}

/// Bundles by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Those that are here.
    Held,
    /// Those that were erased too.
    All,
}

/// A bundle that was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedBundle {
    /// The exchange it came in.
    pub exchange: ExchangeId,
    /// From whom.
    pub from: OdsCode,
    /// What for.
    pub purpose: Purpose,
    /// When.
    pub at: Timestamp,
    /// When its author put it together.
    pub as_of: Timestamp,
    /// Whether it came in return for an answer of ours.
    pub in_return: bool,
    /// Whether it came with a notice: what changed of somebody shown before.
    pub notice: bool,
    /// Whether it is in quarantine: about another person than ours.
    pub quarantined: bool,
    /// How many of its records were amended or found wrong since, as later notices say.
    pub corrected: u32,
    /// Records in it.
    pub records: Counts,
    /// Documents and other files in it.
    pub attachments: u32,
    /// Bytes of records and files.
    pub bytes: u64,
    /// What becomes of it, or became.
    pub fate: Fate,
}

/// What becomes of a bundle that was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is erased then, unless it is filed.
    Expires(Timestamp),
    /// It was filed: it stays.
    Filed(Filing),
    /// It was erased: nothing of it can be opened any more.
    Erased(Erasure),
}

/// Who filed a bundle, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// Who.
    pub by: User,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Line,
}

/// When and why a bundle was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
}

/// Why a bundle was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It had been here for its time, and nobody had filed it.
    Expired,
    /// Somebody wanted it.
    Wanted {
        /// Who.
        by: User,
        /// Why.
        reason: Line,
    },
}

/// Keep a bundle for good. Only somebody the node's config names may.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileReceived {
    /// The exchange it came in.
    pub exchange: ExchangeId,
    /// Why, without anything that identifies somebody: it is journaled.
    pub reason: Line,
}

/// Erase a bundle. Only somebody the node's config names may.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseReceived {
    /// The exchange it came in.
    pub exchange: ExchangeId,
    /// Why, without anything that identifies somebody: it is journaled.
    pub reason: Line,
}

/// One bundle, item by item. Who looks is journaled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowReceived {
    /// The exchange it came in.
    pub exchange: ExchangeId,
}

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedItems {
    /// The bundle.
    pub bundle: ReceivedBundle,
    /// Its items, in order.
    pub items: Vec<ReceivedItem>,
}

/// One record or file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedItem {
    /// Its category; none for files, and for records about nobody.
    pub category: Option<Category>,
    /// Its type, or a file's media type.
    pub kind: String,
    /// Its id, or a file's name.
    pub id: String,
    /// Bytes.
    pub bytes: u64,
    /// What a notice says of it.
    pub note: Option<Note>,
}

/// What a notice says of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// This is the notice: the record does not hold any more, whatever was received before.
    Corrects(Correction),
    /// A notice that came since says something else.
    Since {
        /// The exchange it came in.
        exchange: ExchangeId,
        /// When.
        at: Timestamp,
        /// Why the record does not hold; none if the notice has it as it is now.
        why: Option<Correction>,
    },
}

/// Write a bundle as FHIR. Who exports is journaled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportReceived {
    /// The exchange it came in.
    pub exchange: ExchangeId,
    /// Where to; there must be no file yet.
    pub to: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Where.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Records in it.
    pub records: Counts,
    /// The exchanges in which a notice said something else of some of its records: those are left
    /// out.
    pub corrected: BTreeSet<ExchangeId>,
}

/// Who saw what of one person, when and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhoSaw {
    /// The person.
    pub person: IndexKey,
}

/// Everything the journal holds about one person, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoSawReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Us.
    pub own: OdsCode,
    /// Whom to ask about it here: the Caldicott Guardian, and how they are reached.
    pub guardian: String,
    /// The names of the members in it, and ours, as far as the roster has them.
    pub names: BTreeMap<OdsCode, String>,
    /// Whether this node holds the person.
    pub held: bool,
    /// What happened.
    pub sights: Vec<Sight>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The journal's entry.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// The member whose people saw, or asked.
    pub member: OdsCode,
    /// Who, if it is known.
    pub user: Option<User>,
    /// What for, if it was an exchange.
    pub purpose: Option<Purpose>,
    /// Why, in the words of whoever asked, if it was an emergency.
    pub reason: Option<Line>,
    /// What.
    pub what: Seen,
    /// Records seen.
    pub records: Counts,
    /// The exchange, if it was one.
    pub exchange: Option<ExchangeId>,
}

/// What somebody did about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The member was shown our records.
    Shown,
    /// The member was shown our records in return for its own.
    ShownInReturn,
    /// The member was shown our records in a round, as we were shown its own.
    ShownInRound,
    /// The member was told what had changed of our records.
    Told,
    /// The member asked, and nothing was shown; the reason stays here.
    NothingShown(String),
    /// The member asked and was refused.
    Refused(String),
    /// Somebody here looked the person up.
    Searched,
    /// Somebody here asked that member.
    Asked,
    /// That member's records came here.
    Received,
    /// What came from that member was about somebody else.
    WrongPerson,
    /// An exchange with that member went wrong.
    Failed(String),
    /// Somebody here read or exported what had been received.
    Looked(String),
    /// Somebody here filed what that member had shown, for this reason.
    Filed(String),
    /// What that member had shown was erased here, for this reason.
    Erased(String),
    /// The person was withheld, for this reason.
    Withheld(String),
    /// The person was withheld no more, for this reason.
    Released(String),
    /// What was on its way was broken off by an operator's stop, or as an offer became narrower.
    BrokenOff,
    /// An operator stopped showing records of the person.
    Stopped(String),
    /// An operator lets them be shown again.
    Resumed(String),
    /// Somebody here closed the review of an emergency with that member, and found this.
    Reviewed(String),
}
