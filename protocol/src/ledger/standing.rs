//! Standing: how one member answers another, by lane and category, over 90 days.
//!
//! Local and bilateral: it is counted from one chain, and whoever holds that chain counts the same.
//! So both operators see the same figures: each side's own view of the other, and, from the other's
//! pages, how the other sees it. No score, no credit, nothing that travels further.
//!
//! **The unit** is one in-scope request about one person (in the bulk lane, one person in a round)
//! validly answered in time; in the bulk lane each side owes the other one. A refusal because the
//! request was out of scope (`outside-offer`, `purpose-not-supported`, `not-linked`) is no such
//! request; `not-in-best-interests` is an answer. `stopped`, `not-reasonably-able`, a deferral and
//! silence are none. Yield (answers with at least one record) is shown and never scored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Shown};
use crate::category::{Category, Lane};
use crate::exchange::answer::RefusalCode;
use crate::exchange::request::VALID;
use crate::ids::OdsCode;
use crate::limits::STANDING_DAYS;
use crate::time::{DAY, Timestamp};

/// Whether a request counts, and was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It was out of scope.
    Not,
    /// It was answered in time.
    Answered,
    /// It was not.
    Unanswered,
}

/// What one member owed in one exchange, and whether it came. None if it owed nothing.
pub fn counts(entry: &Entry, member: &OdsCode) -> Option<Counts> {
    let shown = owed(entry, member)?;
    let late = entry.lane() == Lane::Care && took(entry).is_none_or(|took| took > VALID);
    Some(match shown {
        Shown::NotDue => return None,
        Shown::Refused(
            RefusalCode::OutsideOffer | RefusalCode::PurposeNotSupported | RefusalCode::NotLinked,
        ) => Counts::Not,
        _ if late => Counts::Unanswered,
        Shown::Bundle(_) | Shown::Nothing | Shown::Refused(RefusalCode::NotInBestInterests) => {
            Counts::Answered
        }
        Shown::Refused(_) | Shown::Deferred | Shown::Missing => Counts::Unanswered,
    })
}

/// What this member was to show as an answer; none if it asked, and the lane is not bulk.
pub(super) fn owed<'e>(entry: &'e Entry, member: &OdsCode) -> Option<&'e Shown> {
    match (entry.asker == *member, entry.lane()) {
        (false, _) => Some(&entry.answer),
        (true, Lane::Bulk) => Some(&entry.in_return),
        (true, Lane::Care) => None,
    }
}

/// How long the answer took.
pub(super) fn took(entry: &Entry) -> Option<Duration> {
    Some(entry.answered_at?.since(entry.asked_at))
}

/// Counts over a number of exchanges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests in scope.
    pub requests: u64,
    /// Of these, answered in time.
    pub answered: u64,
    /// Of these, with at least one record. Shown, never scored.
    pub yielded: u64,
    /// The median time from request to answer, in milliseconds.
    pub median_ms: Option<u64>,
    /// Refusals by code, out of scope or not.
    pub refused: BTreeMap<RefusalCode, u64>,
    /// Requests deferred.
    pub deferred: u64,
    /// Requests with no valid answer.
    pub silent: u64,
    /// Bundles shown to the member.
    pub shown: u64,
    /// Of these, with nothing said in return.
    pub unreturned: u64,
}

impl Tally {
    /// The share that was answered, in tenths of a percent; none without requests.
    pub const fn rate_permille(&self) -> Option<u64> {
        match self.requests {
            0 => None,
            requests => Some(self.answered * 1000 / requests),
        }
    }
}

/// How one member answers another in one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStanding {
    /// Over all exchanges.
    pub all: Tally,
    /// Over those with this category in scope.
    pub categories: BTreeMap<Category, Tally>,
}

/// How one member answers another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// By lane; a lane without exchanges is not there.
    pub lanes: BTreeMap<Lane, LaneStanding>,
}

impl Standing {
    /// How `member` answered, by these entries of the other, over the days before `now`.
    pub fn of<'e>(
        member: &OdsCode,
        entries: impl IntoIterator<Item = &'e Entry>,
        now: Timestamp,
    ) -> Self {
        let since = Timestamp(now.0.saturating_sub(STANDING_DAYS * DAY));
        let mut standing = Self::default();
        let mut times: BTreeMap<(Lane, Option<Category>), Vec<u64>> = BTreeMap::new();
        for entry in entries {
            if entry.asked_at < since {
                continue;
            }
            let lane = standing.lanes.entry(entry.lane()).or_default();
            let all = entry.categories.iter().map(|category| Some(*category));
            for category in all.chain([None]) {
                let tally = match category {
                    Some(category) => lane.categories.entry(category).or_default(),
                    None => &mut lane.all,
                };
                let taken = times.entry((entry.lane(), category)).or_default();
                count(tally, taken, entry, member, category);
            }
        }
        for ((lane, category), mut taken) in times {
            let lane = standing.lanes.entry(lane).or_default();
            let tally = match category {
                Some(category) => lane.categories.entry(category).or_default(),
                None => &mut lane.all,
            };
            taken.sort_unstable();
            tally.median_ms = taken.get(taken.len() / 2).copied();
        }
        standing
    }
}

fn count(
    tally: &mut Tally,
    taken: &mut Vec<u64>,
    entry: &Entry,
    member: &OdsCode,
    category: Option<Category>,
) {
    if entry.asker == *member && matches!(entry.answer, Shown::Bundle(_)) {
        tally.shown += 1;
        let came = matches!(
            entry.in_return,
            Shown::Bundle(_) | Shown::Nothing | Shown::NotDue
        );
        tally.unreturned += u64::from(!came);
    }
    let (Some(counts), Some(said)) = (counts(entry, member), owed(entry, member)) else {
        return;
    };
    match said {
        Shown::Refused(code) => *tally.refused.entry(*code).or_default() += 1,
        Shown::Deferred => tally.deferred += 1,
        Shown::Missing => tally.silent += 1,
        Shown::Bundle(_) | Shown::Nothing | Shown::NotDue => {}
    }
    if counts == Counts::Not {
        return;
    }
    tally.requests += 1;
    if counts == Counts::Answered {
        tally.answered += 1;
        let ms = took(entry).map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        taken.extend(ms);
        if let Shown::Bundle(with) = said {
            let has = category.map_or(!with.is_empty(), |category| with.contains(&category));
            tally.yielded += u64::from(has);
        }
    }
}
