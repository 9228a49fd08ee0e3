//! How stewards change the charter: what they sign, and what it pins.

use super::Roster;
use crate::charter::{self, Amendment, Charter, Pins};
use crate::time::{DAY, Timestamp};

/// Days that are left of an epoch at least when a change of their length is drafted to begin at its
/// end: stewards must have time to sign.
const DAYS_TO_SIGN: u64 = 14;

impl Roster {
    /// What the next version of the charter pins: the last statement about everyone ever admitted.
    /// Where versions contradict each other about what follows, all of them are void.
    pub fn pins(&self) -> Pins {
        let last = self.members().map(|it| (it.code.clone(), it.last.1));
        Pins {
            last: last.collect(),
            void: self.current.rivals().collect(),
        }
    }

    /// The next version of the charter, for stewards to sign.
    ///
    /// A change of the epochs' length is drafted to begin at the end of the present epoch, or of the
    /// next if the present one has less than 14 days left.
    ///
    /// # Errors
    /// If it would break a rule, or say what the current one does.
    pub fn amend(&self, change: &Amendment, now: Timestamp) -> Result<Charter, charter::Refusal> {
        let before = self.charter();
        let mut next = change.apply(before.clone());
        if next == *before && self.current.uncontested().is_ok() {
            return Err(charter::Refusal::NothingChanged);
        }
        if next.epoch_days != before.epoch_days {
            let epochs = self.current.epochs();
            let epoch = epochs.at(now);
            let soon = now.0.saturating_add(DAYS_TO_SIGN * DAY) > epochs.end(epoch).0;
            next.epoch_start = epochs.end(epoch.saturating_add(u32::from(soon)));
        }
        next.version = before.version.saturating_add(1);
        next.previous = Some(self.current.hash());
        next.pins = Some(self.pins().hash());
        self.follows(&next, now)?;
        Ok(next)
    }

    /// That stewards may sign `next` now, and it may begin to count: it keeps every rule, and
    /// nothing was decided since it was drafted.
    ///
    /// This is asked of a version that is being signed, and once more when enough have. It cannot be
    /// asked of one that comes with the roster: whoever hears of it late cannot tell when it was
    /// complete, and must not have another charter than those who heard in time.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn follows(&self, next: &Charter, now: Timestamp) -> Result<(), charter::Refusal> {
        next.check()?;
        let before = self.charter();
        if next.previous != Some(self.current.hash()) {
            return Err(charter::Refusal::Overtaken(before.version));
        }
        self.current.epochs_of(next)?;
        if next.pins != Some(self.pins().hash()) {
            return Err(charter::Refusal::SpokenSince);
        }
        if next.epoch_start != before.epoch_start && next.epoch_start <= now {
            return Err(charter::Refusal::EpochPassed(next.epoch_start));
        }
        Ok(())
    }
}
