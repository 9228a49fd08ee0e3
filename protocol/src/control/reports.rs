//! Questions whose answers are handed on: counts, and nothing about anybody.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::OdsCode;
use crate::ledger::balance::Table;
use crate::ledger::duty::Row;
use crate::time::{Period, Timestamp};

/// How was the duty to share done?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDuty {
    /// With whom; none means with everybody.
    pub peer: Option<OdsCode>,
    /// When it was asked.
    pub period: Period,
}

/// How the duty to share was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Us.
    pub own: OdsCode,
    /// Whom to ask about it here: the Caldicott Guardian, and how they are reached.
    pub guardian: String,
    /// When it was asked.
    pub period: Period,
    /// The names of the members in it, and ours, as far as the roster has them.
    pub names: BTreeMap<OdsCode, String>,
    /// With each peer with whom anything was asked.
    pub peers: BTreeMap<OdsCode, Vec<Row>>,
    /// With all of them together.
    pub all: Vec<Row>,
}

/// What did this member and each other ask and show?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportBalance {
    /// When it was asked.
    pub period: Period,
    /// Where to write all ledgers, whole, to be merged with others'; there must be no file yet.
    pub export: Option<PathBuf>,
}

/// What this member and each other asked and showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceReport {
    /// The node's clock when it answered.
    pub now: Timestamp,
    /// Us.
    pub own: OdsCode,
    /// In counts.
    pub table: Table,
    /// Exchanges that are over and in no page yet: not counted.
    pub waiting: u64,
    /// Where it was written, if that was asked for, and how many bytes.
    pub exported: Option<(PathBuf, u64)>,
}
