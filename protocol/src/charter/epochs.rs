//! How time is cut into epochs, through all versions of a charter.
//!
//! Epochs are counted from the start the first version names, and an epoch that has begun keeps its
//! number and its end: a later version may change their length only from the end of an epoch on, and
//! says from which by its `epoch_start`. Everybody who holds the chain counts alike, and no number
//! is ever used twice. Stewards sign such a version before that moment has come (one that counts
//! only afterwards would change the number of the present epoch).

use super::{Charter, Refusal};
use crate::time::{DAY, Timestamp};

/// The epochs of a federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    /// Those of earlier versions, the oldest first.
    before: Vec<Span>,
    last: Span,
}

/// Epochs of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    /// The number of the first of them.
    first: u32,
    start: Timestamp,
    days: u16,
}

impl Span {
    fn length(self) -> u64 {
        u64::from(self.days.max(1)) * DAY
    }

    fn at(self, now: Timestamp) -> u32 {
        let passed = now.0.saturating_sub(self.start.0) / self.length();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.first.saturating_add(passed)
    }

    fn end(self, epoch: u32) -> Timestamp {
        let passed = u64::from(epoch.saturating_sub(self.first)) + 1;
        let length = self.length().saturating_mul(passed);
        Timestamp(self.start.0.saturating_add(length))
    }
}

impl Epochs {
    /// As a first charter has them.
    pub const fn first(charter: &Charter) -> Self {
        Self {
            before: Vec::new(),
            last: Span {
                first: 0,
                start: charter.epoch_start,
                days: charter.epoch_days,
            },
        }
    }

    /// As `next`, the version after these, has them.
    ///
    /// # Errors
    /// If it moves the start without need, or changes the length at another moment than the end of
    /// an epoch.
    pub fn then(&self, next: &Charter) -> Result<Self, Refusal> {
        let (start, days) = (next.epoch_start, next.epoch_days);
        let mut epochs = self.clone();
        if days == self.last.days {
            return if start == self.last.start {
                Ok(epochs)
            } else {
                Err(Refusal::EpochStart(start))
            };
        }
        let passed = start.0.saturating_sub(self.last.start.0);
        let first = self.last.at(start);
        if passed == 0 || !passed.is_multiple_of(self.last.length()) || first == u32::MAX {
            return Err(Refusal::EpochStart(start));
        }
        epochs.before.push(self.last);
        epochs.last = Span { first, start, days };
        Ok(epochs)
    }

    /// The epoch `now` lies in; 0 before the first began.
    pub fn at(&self, now: Timestamp) -> u32 {
        self.span(|span| span.start <= now).at(now)
    }

    /// The first moment after `epoch`.
    pub fn end(&self, epoch: u32) -> Timestamp {
        self.span(|span| span.first <= epoch).end(epoch)
    }

    /// The last span of which this is true; the first if of none.
    fn span(&self, holds: impl Fn(&Span) -> bool) -> Span {
        let newest_first = [&self.last].into_iter().chain(self.before.iter().rev());
        let found = newest_first.copied().find(holds);
        found.unwrap_or(self.before.first().copied().unwrap_or(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Hash;
    use std::collections::BTreeMap;

    fn charter() -> Charter {
        let name = "Test".parse().unwrap();
        let now = Timestamp(DAY + 5);
        Charter::first(name, Hash::new([7; 32]), BTreeMap::new(), 1, now)
    }

    #[test]
    fn epochs_are_counted_from_the_charters_day() {
        let epochs = Epochs::first(&charter());
        assert_eq!(epochs.at(Timestamp(0)), 0);
        assert_eq!(epochs.at(Timestamp(91 * DAY - 1)), 0);
        assert_eq!(epochs.at(Timestamp(91 * DAY)), 1);
        assert_eq!(epochs.end(0), Timestamp(91 * DAY));
        assert_eq!(epochs.end(u32::MAX), Timestamp(u64::MAX));
    }

    #[test]
    fn another_length_begins_where_an_epoch_ends_and_counts_on() {
        let first = charter();
        let epochs = Epochs::first(&first);
        assert_eq!(epochs.then(&first).as_ref(), Ok(&epochs));
        let with = |start: u64, days| Charter {
            epoch_start: Timestamp(start),
            epoch_days: days,
            ..charter()
        };
        for (start, days) in [
            (181 * DAY, 90), // moved for nothing
            (DAY, 30),       // from the start on: epochs that were would have other numbers
            (182 * DAY, 30), // within an epoch
            (0, 30),
            (DAY - 90 * DAY / 90, 30),
        ] {
            let refused = epochs.then(&with(start, days));
            assert_eq!(refused, Err(Refusal::EpochStart(Timestamp(start))));
        }
        // Epochs 0 and 1 of 90 days, then 30, then 60.
        let shorter = epochs.then(&with(181 * DAY, 30)).unwrap();
        let longer = shorter.then(&with(241 * DAY, 60)).unwrap();
        for (day, epoch, end) in [
            (0, 0, 91),
            (180, 1, 181),
            (181, 2, 211),
            (211, 3, 241),
            (240, 3, 241),
            (241, 4, 301),
            (301, 5, 361),
        ] {
            assert_eq!(longer.at(Timestamp(day * DAY)), epoch, "day {day}");
            assert_eq!(longer.end(epoch), Timestamp(end * DAY), "epoch {epoch}");
        }
        // Numbers go up with time, and each ends where the next begins.
        let mut before = 0;
        for hour in 0..400 * 24 {
            let now = Timestamp(hour * DAY / 24);
            let epoch = longer.at(now);
            assert!(epoch == before || epoch == before + 1);
            assert!(now < longer.end(epoch));
            assert!(epoch == 0 || longer.end(epoch - 1) <= now);
            before = epoch;
        }
    }
}
