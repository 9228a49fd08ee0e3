//! Questions about what stewards decide: proposing, signing, what is open.
//!
//! As with admissions, the organisation key never comes to the node: the node writes what is to be
//! signed, the command signs it and hands it back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::charter::Amendment;
use crate::ids::{Hash, OdsCode, PublicKey};
use crate::text::Line;
use crate::time::Timestamp;

/// Write a decision about a member, ready to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// Whom it concerns.
    pub about: OdsCode,
    /// What is proposed.
    pub motion: Motion,
}

/// What a steward proposes about a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motion {
    /// Its bulk lane is to be off.
    Limit(Line),
    /// It is to be no member.
    Remove(Line),
    /// It is to be again what it was admitted as.
    Reinstate(Line),
    /// It is to have another organisation key: this one, or that of its one request that waits.
    Key {
        /// The key.
        organisation: Option<PublicKey>,
        /// Why.
        reason: Line,
    },
    /// Others are to be merged into it.
    Succeed {
        /// Who.
        predecessors: BTreeSet<OdsCode>,
        /// Why.
        reason: Line,
    },
}

/// Write the next version of the charter, ready to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposeCharter {
    /// What changes, but who the stewards are.
    pub change: Amendment,
    /// Who is to be a steward, or to be one with another key: this one, or that of the member.
    pub stewards: BTreeMap<OdsCode, Option<PublicKey>>,
    /// Who is to be none.
    pub no_stewards: BTreeSet<OdsCode>,
}

/// Sign a proposal, or take it with the signatures it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignProposal {
    /// The proposal, as text.
    pub sheet: String,
}

/// Show a proposal: one that is open here, by the beginning of its name, the code it is about, or
/// `charter`; or the text of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowProposal {
    /// Which.
    pub which: String,
}

/// What is open?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListProposals {}

/// What is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalsReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// The federation's name.
    pub federation: String,
    /// The stewards.
    pub stewards: Vec<OdsCode>,
    /// How many of them must sign.
    pub threshold: u16,
    /// Whether this node's organisation is one.
    pub own: bool,
    /// What is open, the oldest first.
    pub proposals: Vec<ProposalReport>,
}

/// A proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalReport {
    /// Its name.
    pub proposal: Hash,
    /// Whom it concerns; none if it is a charter.
    pub about: Option<OdsCode>,
    /// That member's name, or the federation's.
    pub name: String,
    /// Its kind, in a word.
    pub kind: String,
    /// What it says beside, in lines of a name and a value.
    pub says: Vec<(String, String)>,
    /// When it was written.
    pub at: Timestamp,
    /// Until when it may be signed.
    pub until: Timestamp,
    /// The stewards who signed.
    pub signed: Vec<OdsCode>,
    /// How many must.
    pub needed: u16,
    /// Whether it is decided.
    pub decided: bool,
    /// The proposal, as text for a file.
    pub sheet: String,
}
