//! From the key of a bundle to its receipt: tried, opened, filed, said to be.

use super::Taking;
use crate::conversation::Output;
use crate::crypto::stream::StreamKey;
use crate::exchange::answer::Verdict;
use crate::exchange::ask::{Fault, Pair};
use crate::exchange::bundle::stream::Unreadable;
use crate::exchange::reconcile::orders::{Load, Round, Unlocked};
use crate::exchange::reconcile::receipts::receipt;
use crate::exchange::reconcile::{End, Out, unfit};
use crate::time::Timestamp;

/// So many bundles, or bytes of them, are filed at once.
const FILED: usize = 8;
const FILED_BYTES: u64 = 1024 * 1024;

impl Taking {
    /// Whether there are keys that came and have not been tried.
    pub(in super::super) fn is_opening(&self) -> bool {
        self.opening > 0 || !self.keys.is_empty()
    }

    /// How many keys came.
    pub(super) fn unlocked_upto(&self) -> u32 {
        self.opened + self.opening + u32::try_from(self.keys.len()).unwrap_or(0)
    }

    /// The key of a bundle. One that came before a line was lost may come again.
    pub(in super::super) fn unlock(
        &mut self,
        round: &Round,
        index: u32,
        key: StreamKey,
    ) -> Result<(), End> {
        let next = self.unlocked_upto();
        if index < next {
            return Ok(());
        }
        let held = self.theirs(index).filter(|_| index < self.told);
        let (Some(theirs), Some((_, exchange))) = (held, round.at(index)) else {
            return Err(unfit("a key to a bundle that is not held"));
        };
        if index > next || key.commit(&exchange) != theirs.key {
            return Err(unfit("another key than was committed to"));
        }
        self.keys.push_back(key);
        Ok(())
    }

    /// Whether something that was given is not opened, filed and receipted yet.
    pub(in super::super) fn is_owed(&self) -> bool {
        self.is_opening() || !self.unlocked.is_empty() || !self.filing.is_empty()
    }

    pub(in super::super) fn opened(
        &mut self,
        unlocked: Vec<Unlocked>,
        unreadable: Option<Unreadable>,
    ) -> Result<(), End> {
        let expected = std::mem::take(&mut self.opening);
        let here = u32::try_from(unlocked.len()).unwrap_or(u32::MAX);
        if expected == 0 || here > expected || (here < expected) != unreadable.is_some() {
            return Err(Fault::Ours.into());
        }
        self.opened += here;
        self.unlocked.extend(unlocked);
        match unreadable {
            Some(unreadable) => {
                // Whatever came after it has no place without it.
                self.keys.clear();
                Err(Fault::Bundle(unreadable).into())
            }
            None => Ok(()),
        }
    }

    pub(in super::super) fn filed(&mut self) -> Result<(), End> {
        if self.filing.is_empty() {
            return Err(Fault::Ours.into());
        }
        self.filed += u32::try_from(self.filing.len()).unwrap_or(0);
        let wrong = |one: &&Unlocked| one.found.verdict == Verdict::WrongPerson;
        let wrong = self.filing.iter().filter(wrong).count();
        self.quarantined += u32::try_from(wrong).unwrap_or(0);
        self.said.append(&mut self.filing);
        Ok(())
    }

    /// The round is left: what was given is opened and filed, however little it is.
    pub(in super::super) fn file_all(
        &mut self,
        pair: &Pair,
        round: &Round,
        now: Timestamp,
        out: &mut Out,
    ) {
        self.open(pair, round, out);
        if !self.is_opening() && !self.unlocked.is_empty() {
            self.file(out);
        }
        self.say(pair, round, now, out);
    }

    pub(super) fn open(&mut self, pair: &Pair, round: &Round, out: &mut Out) {
        if self.opening == 0 && !self.keys.is_empty() {
            let locked: Vec<_> = std::mem::take(&mut self.keys)
                .into_iter()
                .zip(self.opened..)
                .filter_map(|(key, index)| {
                    let theirs = self.theirs(index)?.clone();
                    round.locked(&pair.federation, &pair.me, index, (theirs, key))
                })
                .collect();
            self.opening = u32::try_from(locked.len()).unwrap_or(0);
            out.push(Output::Load(Load::Open(locked)));
        }
    }

    pub(super) fn file(&mut self, out: &mut Out) {
        if self.filing.is_empty() {
            self.filing = std::mem::take(&mut self.unlocked);
            out.push(Output::Load(Load::File(self.filing.clone())));
        }
    }

    pub(super) fn say(&mut self, pair: &Pair, round: &Round, now: Timestamp, out: &mut Out) {
        if !self.said.is_empty() {
            let said = std::mem::take(&mut self.said).into_iter();
            let said: Vec<_> = said
                .map(|one| (one.locked.exchange, one.locked.theirs.shown, one.found))
                .collect();
            receipt(pair, round, self.receipted, &said, now, out);
            self.receipted = self.filed;
            self.forget();
        }
    }

    /// Every order to file costs an fsync, and a receipt that both sides sign, check and keep. Those
    /// that wait are opened: no key waits for them.
    pub(super) fn is_enough_to_file(&self, round: &Round) -> bool {
        let bytes: u64 = self.unlocked.iter().map(|one| one.locked.theirs.size).sum();
        let all = self.opened == round.len() && !self.unlocked.is_empty();
        all || self.unlocked.len() >= FILED || bytes >= FILED_BYTES
    }
}
