//! Our side of a round: bundles sealed and sent ahead; whose keys may leave is decided by
//! [`super::running`].

use std::collections::VecDeque;

use super::frame::{Frame, Opens, Stand};
use super::orders::{Given, Load, Ours, Prepared, Round, Save};
use super::running::context;
use super::said::{Held, Receipts};
use super::{End, Out, keep, send, unfit};
use crate::category::{Category, Purpose};
use crate::codec::{Bytes, Roomy};
use crate::conversation::Output;
use crate::exchange::answer::Verdict;
use crate::exchange::ask::{Fault, Pair};
use crate::exchange::bundle::Shown;
use crate::exchange::bundle::stream::Sealing;
use crate::ids::{Commitment, Hash};
use crate::journal::Act;
use crate::limits::{AHEAD, AHEAD_BYTES, CLOCK_SKEW};
use crate::statement::Signed;
use crate::time::Timestamp;

/// So many bundles, or bytes of them, are kept at once while more are being made.
const KEPT: usize = 16;
const KEPT_BYTES: u64 = 1024 * 1024;

/// Our bundles on their way.
#[derive(Default)]
pub(super) struct Giving {
    pub(super) given: Given,
    /// Those that are kept, from `given.receipted` on.
    ours: VecDeque<Ours>,
    /// Sealed and on their way to be kept; their commitments leave then.
    keeping: Vec<Ours>,
    /// The next to be kept.
    sealed: Vec<Ours>,
    making: Option<Making>,
    /// As many are ahead as may be: no more are made until half of them are done.
    resting: bool,
    /// What the other side has of the next bundle.
    partial: Option<(Hash, u64)>,
}

/// The bundle that is being made.
enum Making {
    /// It is ordered.
    Ordered,
    /// It is being sealed. Its first chunks may be there already.
    Sealing {
        head: Hash,
        key: Hash,
        counts: Vec<(Category, u32)>,
        person: Commitment,
        size: u64,
        skip: u64,
    },
}

impl Making {
    const fn size(&self) -> u64 {
        match self {
            Self::Ordered => 0,
            Self::Sealing { size, .. } => *size,
        }
    }
}

impl Giving {
    pub(super) fn again(round: &Round, mut given: Given, ours: Vec<Ours>) -> Self {
        // What was kept of the count may be older than what was said.
        given.acknowledged = given.acknowledged.min(round.len());
        Self {
            given,
            ours: ours.into(),
            ..Self::default()
        }
    }

    /// The place of the next bundle to be made.
    fn next(&self) -> u32 {
        let made = self.ours.len() + self.keeping.len() + self.sealed.len();
        // At most as many as there are people.
        self.given.receipted + u32::try_from(made).unwrap_or(u32::MAX)
    }

    /// A bundle that is kept, by its place.
    pub(super) fn ours(&self, index: u32) -> Option<&Ours> {
        let at = index.checked_sub(self.given.receipted)?;
        self.ours.get(at as usize)
    }

    /// Whether these are our bundles from that place on.
    fn are<'a>(&self, first: u32, hashes: impl IntoIterator<Item = &'a Hash>) -> bool {
        (first..).zip(hashes).all(|(index, hash)| {
            let ours = self.ours(index);
            ours.is_some_and(|ours| ours.shown.hash() == *hash)
        })
    }

    /// The key of a bundle, and that it leaves: in the journal before it can.
    pub(super) fn unlock(
        &self,
        pair: &Pair,
        round: &Round,
        index: u32,
        out: &mut Out,
    ) -> Option<Frame> {
        let (ours, (_, exchange)) = (self.ours(index)?, round.at(index)?);
        out.push(Output::Record(Act::Shown {
            exchange,
            peer: pair.peer.clone(),
            person: ours.person,
            commitment: ours.shown.hash(),
            counts: ours.counts.clone(),
        }));
        Some(Frame::Key(index, round.key(&exchange, &ours.head)))
    }

    /// Goes on from where the other side stands.
    pub(super) fn go_on(
        &mut self,
        pair: &Pair,
        round: &Round,
        stand: &Stand,
        out: &mut Out,
    ) -> Result<(), End> {
        if stand.opened < self.given.receipted {
            return Err(unfit(
                "the other side stands before what it gave receipts for",
            ));
        }
        if stand.held > self.next() {
            return Err(unfit("the other side has more than left here"));
        }
        // What it does not hold is made again; of the same plaintext comes the same ciphertext.
        self.ours
            .truncate((stand.held - self.given.receipted) as usize);
        self.partial = stand.partial;
        // Keys that left and were not heard leave again; that some left may have been forgotten. What
        // is kept of the count may have outlived a journal that was cut off before it: it is said
        // there again.
        self.given.released = self.given.released.max(stand.opened).min(stand.held);
        self.given.acknowledged = self.given.acknowledged.min(stand.held);
        let again = stand.opened..self.given.released;
        let keys: Vec<_> = again
            .map_while(|index| self.unlock(pair, round, index, out))
            .collect();
        out.extend(keys.iter().map(send));
        Ok(())
    }

    /// Orders the next bundle if it may go ahead, and that those that were sealed be kept: many at
    /// once, as every order to keep costs an fsync.
    pub(super) fn advance(&mut self, pair: &Pair, round: &Round, out: &mut Out) {
        let next = self.next();
        self.resting = match next - self.given.receipted {
            AHEAD.. => true,
            ahead => self.resting && ahead > AHEAD / 2,
        };
        if self.making.is_none() && !self.resting && self.has_room() {
            self.order(pair, round, next, out);
        }
        let enough = self.sealed.len() >= KEPT
            || self.making.as_ref().is_none_or(|making| {
                let sealed: u64 = self.sealed.iter().map(|ours| ours.size).sum();
                sealed + making.size() >= KEPT_BYTES
            });
        if self.keeping.is_empty() && !self.sealed.is_empty() && enough {
            let first = next - u32::try_from(self.sealed.len()).unwrap_or(0);
            self.keeping = std::mem::take(&mut self.sealed);
            out.push(Output::Load(Load::Keep(first, self.keeping.clone())));
        }
    }

    /// Whether more bytes may go ahead.
    fn has_room(&self) -> bool {
        let waiting = self.ours.iter().chain(&self.keeping).chain(&self.sealed);
        let waiting = waiting.skip((self.given.released - self.given.receipted) as usize);
        waiting.map(|ours| ours.size).sum::<u64>() <= AHEAD_BYTES
    }

    /// Orders the bundle of the person at the place `next`, if there is one.
    fn order(&mut self, pair: &Pair, round: &Round, next: u32, out: &mut Out) {
        let Some((handle, _)) = round.at(next) else {
            return;
        };
        self.making = Some(Making::Ordered);
        let flows = pair.terms.flows(&pair.me, &pair.peer, Purpose::SharedCare);
        out.push(Output::Load(Load::Prepare {
            handle,
            match_id: round.match_id,
            categories: flows,
            at: round.at,
        }));
    }

    pub(super) fn prepared(
        &mut self,
        pair: &Pair,
        round: &Round,
        prepared: Prepared,
        out: &mut Out,
    ) -> Result<(), End> {
        let index = self.next();
        let (Some(Making::Ordered), Some(person)) = (self.making.take(), round.at(index)) else {
            return Err(Fault::Ours.into());
        };
        let key = round.key(&person.1, &prepared.head);
        let context = context(pair, round, &person, (&pair.me, &pair.peer));
        let sealing = Sealing::new(&key, context, prepared.length);
        let key = key.commit(&person.1);
        let partial = self.partial.take();
        let skip = partial.map_or(0, |(of, chunks)| if of == key { chunks } else { 0 });
        out.push(send(&Frame::Bundle(Opens {
            index,
            size: sealing.size(),
            key,
            skipped: skip,
        })));
        self.making = Some(Making::Sealing {
            head: prepared.head,
            key,
            counts: prepared.counts,
            person: prepared.person,
            size: sealing.size(),
            skip,
        });
        out.push(Output::Load(Load::Seal(Box::new(sealing))));
        Ok(())
    }

    pub(super) fn sealed(
        &mut self,
        pair: &Pair,
        round: &Round,
        sealing: Box<Sealing>,
        chunk: Option<(Roomy, bool)>,
        out: &mut Out,
    ) -> Result<(), End> {
        let index = self.next();
        let (chunk, last) = chunk.ok_or(Fault::Ours)?;
        let (Some(Making::Sealing { skip, .. }), Some((handle, exchange))) =
            (&mut self.making, round.at(index))
        else {
            return Err(Fault::Ours.into());
        };
        match skip.checked_sub(1) {
            Some(left) => *skip = left,
            None => {
                let none = Frame::Chunk(Bytes::default());
                out.push(Output::Send(chunk.into_message(&none)));
            }
        }
        if !last {
            out.push(Output::Load(Load::Seal(sealing)));
            return Ok(());
        }
        let Some(Making::Sealing {
            head,
            key,
            counts,
            person,
            ..
        }) = self.making.take()
        else {
            return Err(Fault::Ours.into());
        };
        let shown = Shown {
            federation: pair.federation,
            exchange,
            from: pair.me.clone(),
            to: pair.peer.clone(),
            match_id: round.match_id,
            handle,
            root: sealing.root(),
            key,
            size: sealing.size(),
        };
        self.sealed.push(Ours {
            shown: Signed::sign(&shown, &pair.key),
            head,
            size: sealing.size(),
            counts,
            person,
        });
        Ok(())
    }

    /// What was ordered to be kept is: the commitments may leave.
    pub(super) fn kept(&mut self, out: &mut Out) -> Result<(), End> {
        if self.keeping.is_empty() {
            return Err(Fault::Ours.into());
        }
        for ours in self.keeping.drain(..) {
            out.push(send(&Frame::Commitment(ours.shown.clone())));
            self.ours.push_back(ours);
        }
        Ok(())
    }

    /// "I hold roots R".
    pub(super) fn held(
        &mut self,
        pair: &Pair,
        round: &Round,
        signed: &Signed<Held>,
        out: &mut Out,
    ) -> Result<(), End> {
        let held = signed.verify(&pair.peer_key).map_err(Fault::from)?;
        let fits = held.round == round.id
            && (&held.from, &held.to) == (&pair.peer, &pair.me)
            && held.first == self.given.acknowledged
            && self.are(held.first, &held.bundles);
        if !fits {
            return Err(unfit("an acknowledgement of other bundles than were sent"));
        }
        out.push(keep(signed));
        self.given.acknowledged += u32::try_from(held.bundles.len()).unwrap_or(0);
        out.push(Output::Save(Save::Given(self.given)));
        Ok(())
    }

    pub(super) fn receipts(
        &mut self,
        pair: &Pair,
        round: &Round,
        signed: &Signed<Receipts>,
        now: Timestamp,
        out: &mut Out,
    ) -> Result<(), End> {
        let said = signed.verify(&pair.peer_key).map_err(Fault::from)?;
        let count = u32::try_from(said.bundles.len()).unwrap_or(u32::MAX);
        let fits = said.round == round.id
            && (&said.from, &said.to) == (&pair.peer, &pair.me)
            && said.first == self.given.receipted
            && said.first.saturating_add(count) <= self.given.released
            && said.at <= now + CLOCK_SKEW
            && self.are(said.first, said.bundles.iter().map(|(hash, _)| hash));
        if !fits {
            return Err(unfit("receipts for other bundles than were opened"));
        }
        out.push(keep(signed));
        for ((_, verdict), index) in said.bundles.iter().zip(said.first..) {
            if let Some((_, exchange)) = round.at(index) {
                out.push(Output::Record(Act::ReceiptHeard {
                    exchange,
                    peer: pair.peer.clone(),
                    receipt: signed.hash(),
                    filed: *verdict == Verdict::Opened,
                }));
            }
        }
        self.ours.drain(..count as usize);
        self.given.receipted += count;
        out.push(Output::Save(Save::Given(self.given)));
        Ok(())
    }
}
