//! The duty to share, in counts: what was asked and how it was answered, both ways, over a period.
//!
//! For a Guardian and whoever they hand it to. [`super::standing`] asks whether the two are even, over
//! 90 days, by what is in scope; this says everything that was asked, whatever came of it, with the
//! emergencies and their reviews. Why there was nothing to show is not in it: a count of objections
//! by peer and period would tell of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::entry::{Entry, Shown};
use super::standing::{owed, took};
use crate::category::{Lane, Purpose, words};
use crate::exchange::answer::RefusalCode;
use crate::exchange::request::VALID;
use crate::exchange::review::Side;
use crate::ids::OdsCode;
use crate::time::{Period, Timestamp};

words! {
    /// Who was to answer.
    Way {
        /// The peer asked, and we were to answer; in a round, what we were to show.
        AskedOfUs = "asked-of-us",
        /// We asked, and the peer was to answer; in a round, what it was to show.
        AskedByUs = "asked-by-us",
    }
}

/// What was asked one way for one purpose, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests; in rounds, people.
    pub requests: u64,
    /// Answered with at least one record.
    pub records: u64,
    /// Answered that there is nothing to show.
    pub nothing: u64,
    /// Refused, by code.
    pub refused: BTreeMap<RefusalCode, u64>,
    /// Put off.
    pub deferred: u64,
    /// Not answered, and still in time to be.
    pub waiting: u64,
    /// Never answered in any way that counts.
    pub overdue: u64,
    /// In the care lane: answered, but after the request had expired.
    pub late: u64,
    /// Half of all answers took no longer, in milliseconds; both clocks are in it.
    pub median_ms: Option<u64>,
    /// 95 % took no longer.
    pub p95_ms: Option<u64>,
    /// In the care lane: answers after which whoever asked showed its own, or said it had none.
    pub returned: u64,
    /// Exchanges the two chains do not have alike after a day.
    pub unsettled: u64,
    /// Emergencies to be reviewed here.
    pub reviews: Reviews,
}

/// Reviews of emergencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviews {
    /// Opened in the period.
    pub opened: u64,
    /// Of these, closed.
    pub closed: u64,
    /// Of these closed, later than they were due.
    pub closed_late: u64,
    /// Not closed, and due by now.
    pub overdue: u64,
}

/// A review, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed {
    /// Whose emergency it was.
    pub side: Side,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it is to be closed at the latest.
    pub due: Timestamp,
    /// When it was closed.
    pub closed: Option<Timestamp>,
}

/// Counts one way for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Who was to answer.
    pub way: Way,
    /// What for.
    pub purpose: Purpose,
    /// What came of it.
    pub counts: Counts,
}

/// Counts one period as this side has it: with one peer, or, given all their exchanges, with all.
#[derive(Debug)]
pub struct Duty<'a> {
    us: &'a OdsCode,
    period: Period,
    now: Timestamp,
    rows: BTreeMap<(Way, Purpose), Counts>,
    times: BTreeMap<(Way, Purpose), Vec<u64>>,
}

impl<'a> Duty<'a> {
    /// Nothing yet.
    pub const fn new(us: &'a OdsCode, period: Period, now: Timestamp) -> Self {
        Self {
            us,
            period,
            now,
            rows: BTreeMap::new(),
            times: BTreeMap::new(),
        }
    }

    /// Counts an exchange with this peer, if it was asked in the period: as our chain has it or will,
    /// else as theirs does.
    pub fn exchange(&mut self, peer: &OdsCode, account: &Account) {
        let Some(entry) = account.ours.as_ref().or(account.theirs.as_ref()) else {
            return;
        };
        if !self.period.has(entry.asked_at) {
            return;
        }
        let unsettled = account.is_overdue(self.now);
        for (way, member) in [(Way::AskedOfUs, self.us), (Way::AskedByUs, peer)] {
            match owed(entry, member) {
                None | Some(Shown::NotDue) => {}
                Some(shown) => self.count(way, entry, shown, unsettled),
            }
        }
    }

    fn count(&mut self, way: Way, entry: &Entry, shown: &Shown, unsettled: bool) {
        let care = entry.lane() == Lane::Care;
        let key = (way, entry.purpose);
        let counts = self.rows.entry(key).or_default();
        counts.requests += 1;
        counts.unsettled += u64::from(unsettled);
        match shown {
            Shown::Bundle(with) if with.is_empty() => counts.nothing += 1,
            Shown::Bundle(_) => counts.records += 1,
            Shown::Nothing | Shown::NotDue => counts.nothing += 1,
            Shown::Refused(code) => *counts.refused.entry(*code).or_default() += 1,
            Shown::Deferred => counts.deferred += 1,
            Shown::Missing if self.now.since(entry.asked_at) <= VALID => {
                counts.waiting += 1;
                return;
            }
            Shown::Missing => {
                counts.overdue += 1;
                return;
            }
        }
        if care && matches!(entry.in_return, Shown::Bundle(_) | Shown::Nothing) {
            counts.returned += 1;
        }
        if let Some(took) = took(entry) {
            counts.late += u64::from(care && took > VALID);
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.times.entry(key).or_default().push(ms);
        }
    }

    /// Counts a review, if it was opened in the period.
    pub fn review(&mut self, review: &Reviewed) {
        if !self.period.has(review.opened) {
            return;
        }
        let way = match review.side {
            Side::Answered => Way::AskedOfUs,
            Side::Asked => Way::AskedByUs,
        };
        let reviews = &mut self
            .rows
            .entry((way, Purpose::Emergency))
            .or_default()
            .reviews;
        reviews.opened += 1;
        match review.closed {
            Some(at) => {
                reviews.closed += 1;
                reviews.closed_late += u64::from(at > review.due);
            }
            None => reviews.overdue += u64::from(self.now > review.due),
        }
    }

    /// What was counted: what was never asked is not there.
    pub fn rows(mut self) -> Vec<Row> {
        let row = |((way, purpose), mut counts): ((Way, Purpose), Counts)| {
            let mut times = self.times.remove(&(way, purpose)).unwrap_or_default();
            times.sort_unstable();
            // The smallest time that no fewer than so many answers keep to.
            let within = |percent: usize| {
                let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
                times.get(at).copied()
            };
            (counts.median_ms, counts.p95_ms) = (within(50), within(95));
            Row {
                way,
                purpose,
                counts,
            }
        };
        self.rows.into_iter().map(row).collect()
    }
}
