//! Questions about rounds of a reconcile.

use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::ids::{OdsCode, RoundId};

/// Reconcile with a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// With whom.
    pub peer: OdsCode,
    /// What is wanted.
    pub wish: Wish,
}

/// What is wanted of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Begin one, or go on with the one that was broken off.
    Run,
    /// Say who would be in it and what would move.
    Look,
    /// Call off the one under way.
    CallOff,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileReport {
    /// With whom.
    pub peer: OdsCode,
    /// Its name.
    pub name: String,
    /// What flows to it in bulk.
    pub shows: Vec<Category>,
    /// What it shows in bulk.
    pub takes: Vec<Category>,
    /// How things stand here before a round; none unless that was asked for.
    pub outlook: Option<Outlook>,
    /// How the round went; none unless there was one.
    pub round: Option<RoundReport>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Who this side would bring into a round. The peer has a say too: only who is active on both sides
/// is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// People linked with the peer.
    pub linked: u64,
    /// Of these, active here.
    pub active: u64,
    /// Of these, people of whom the peer has not been shown all there is.
    pub news: u64,
}

/// How a round went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Its id; none if nobody was in it, or it was not agreed.
    pub round: Option<RoundId>,
    /// How many people it is about.
    pub people: u32,
    /// How many of them were shown to the peer so far.
    pub shown: u32,
    /// How many the peer showed so far.
    pub received: u32,
    /// Of these, quarantined.
    pub quarantined: u32,
    /// How it ended.
    pub state: RoundState,
    /// Why it ended before its end, in words.
    pub why: Option<String>,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundState {
    /// Everybody's turn came.
    Done,
    /// There was nobody with anything new.
    NothingNew,
    /// It stands where it is and goes on by itself.
    BrokenOff,
    /// One side did not want to.
    Declined,
    /// It is over before its end.
    Failed,
}
