//! The ladder: what follows if a member does not answer.
//!
//! 1. Less than 95 % answered: *shown* to both operators.
//! 2. Over at least 30 requests: *notified*, both exchange contacts are named to both operators.
//! 3. Fourteen days of that without a break: the *bulk* lane between the two is *paused*, and both
//!    say so.
//! 4. Dispute, with the statements; stewards may limit. An operator's step, not a node's.
//!
//! A step is a pure function of one side's entries and the time, so that the member it is about
//! comes to the same from the same pages, and a restart forgets nothing. **No rung touches the care
//! lane**: nothing there asks for a step.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::standing::{Counts, counts};
use crate::category::{Lane, words};
use crate::ids::OdsCode;
use crate::limits::{LADDER_DAYS, LADDER_PERCENT, LADDER_REQUESTS, STANDING_DAYS};
use crate::time::{DAY, Timestamp};
use serde::{Deserialize, Serialize};

words! {
    /// A step of the ladder, the lowest first.
    Rung {
        /// Nothing to say.
        Even = "even",
        /// Too few answers, over too few requests to follow from.
        Shown = "shown",
        /// Too few answers over enough requests: both contacts are notified.
        Notified = "notified",
        /// That for fourteen days: the bulk lane is paused.
        Paused = "paused",
    }
}

/// Where a member stands on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The step.
    pub rung: Rung,
    /// The first day of it, if it is one that lasts: notified or paused.
    pub since: Option<Timestamp>,
    /// When the bulk lane is paused, or was.
    pub pauses: Option<Timestamp>,
}

impl Step {
    /// Nothing to say.
    pub const EVEN: Self = Self {
        rung: Rung::Even,
        since: None,
        pauses: None,
    };
}

/// Where `member` stands, by these entries of the other: the highest of its lanes.
pub fn step<'e>(
    member: &OdsCode,
    entries: impl IntoIterator<Item = &'e Entry>,
    now: Timestamp,
) -> Step {
    let mut days: BTreeMap<Lane, BTreeMap<u64, (u64, u64)>> = BTreeMap::new();
    for entry in entries {
        let answered = match counts(entry, member) {
            Some(Counts::Answered) => 1,
            Some(Counts::Unanswered) => 0,
            Some(Counts::Not) | None => continue,
        };
        let day = days.entry(entry.lane()).or_default();
        let day = day.entry(entry.asked_at.day()).or_default();
        *day = (day.0 + 1, day.1 + answered);
    }
    let steps = days.values().map(|days| lane(days, now.day()));
    steps
        .max_by_key(|step| (step.rung, step.pauses.map(std::cmp::Reverse)))
        .unwrap_or(Step::EVEN)
}

/// One lane: requests and answers by day.
fn lane(days: &BTreeMap<u64, (u64, u64)>, today: u64) -> Step {
    let low = |day: u64| {
        let window = days.range((day + 1).saturating_sub(STANDING_DAYS)..=day);
        let (requests, answered) =
            window.fold((0, 0), |sum, (_, day)| (sum.0 + day.0, sum.1 + day.1));
        (requests, answered * 100 < requests * LADDER_PERCENT)
    };
    let (requests, is_low) = low(today);
    if !is_low {
        return Step::EVEN;
    }
    if requests < LADDER_REQUESTS {
        return Step {
            rung: Rung::Shown,
            ..Step::EVEN
        };
    }
    let grave = |day: &u64| matches!(low(*day), (requests, true) if requests >= LADDER_REQUESTS);
    let earliest = today.saturating_sub(STANDING_DAYS);
    let run = (earliest..=today).rev().take_while(grave);
    let since = run.last().unwrap_or(today);
    let pauses = since + LADDER_DAYS;
    Step {
        rung: match today >= pauses {
            true => Rung::Paused,
            false => Rung::Notified,
        },
        since: Some(Timestamp(since * DAY)),
        pauses: Some(Timestamp(pauses * DAY)),
    }
}
