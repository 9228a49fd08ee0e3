//! A round under way: ciphertexts ahead, keys in step, receipts behind.

use super::frame::{Frame, Stand};
use super::give::Giving;
use super::orders::{Fact, Kept, Round};
use super::take::Taking;
use super::{End, Out, Totals, send, unfit};
use crate::conversation::Output;
use crate::exchange::ask::{Fault, Pair};
use crate::exchange::bundle;
use crate::exchange::reconcile::orders::Save;
use crate::ids::{ExchangeId, Handle, Hash, OdsCode};
use crate::time::Timestamp;

/// One round, as one side runs it.
pub(super) struct Running {
    pub(super) round: Round,
    /// Our bundles on their way.
    pub(super) giving: Giving,
    /// The peer's.
    pub(super) taking: Taking,
}

impl Running {
    pub(super) fn new(round: Round) -> Self {
        Self {
            round,
            giving: Giving::default(),
            taking: Taking::default(),
        }
    }

    /// A round of which something was kept.
    pub(super) fn again(kept: Kept) -> Self {
        Self {
            giving: Giving::again(&kept.round, kept.given, kept.ours),
            taking: Taking::again(kept.theirs, kept.partial),
            round: kept.round,
        }
    }

    /// How far we are.
    pub(super) fn stand(&self) -> Stand {
        Stand {
            held: self.taking.held,
            partial: self.taking.partial(),
            opened: self.taking.filed,
            acknowledged: self.giving.given.acknowledged,
            released: self.giving.given.released,
            receipted: self.giving.given.receipted,
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            round: Some(self.round.id),
            people: self.round.len(),
            given: self.giving.given.released,
            taken: self.taking.opened,
            quarantined: self.taking.quarantined,
        }
    }

    /// Goes on from where the other side stands.
    pub(super) fn go_on(
        &mut self,
        pair: &Pair,
        stand: Stand,
        now: Timestamp,
        out: &mut Out,
    ) -> Result<(), End> {
        if stand.held > self.round.len() || stand.opened > stand.held {
            return Err(unfit("a place in the round that cannot be"));
        }
        self.giving.go_on(pair, &self.round, &stand, out)?;
        self.taking.go_on(&self.round, pair, &stand, now, out)
    }

    pub(super) fn received(
        &mut self,
        pair: &Pair,
        frame: Frame,
        now: Timestamp,
        out: &mut Out,
    ) -> Result<(), End> {
        let Self {
            round,
            giving,
            taking,
        } = self;
        match frame {
            Frame::Bundle(opens) => taking.begins(pair, round, opens, out),
            Frame::Chunk(sealed) => taking.chunk(sealed.0, out),
            Frame::Commitment(signed) => taking.arrived(pair, round, signed, out),
            Frame::Key(index, key) => taking.unlock(round, index, key),
            Frame::Held(signed) => giving.held(pair, round, &signed, out),
            Frame::Receipts(signed) => giving.receipts(pair, round, &signed, now, out),
            _ => Err(unfit("a message that does not belong into a round")),
        }
    }

    pub(super) fn loaded(&mut self, pair: &Pair, fact: Fact, out: &mut Out) -> Result<(), End> {
        let Self {
            round,
            giving,
            taking,
        } = self;
        match fact {
            Fact::Prepared(prepared) => giving.prepared(pair, round, prepared, out),
            Fact::Sealed(sealing, chunk) => giving.sealed(pair, round, sealing, chunk, out),
            Fact::Kept => giving.kept(out),
            Fact::Held => taking.holds(),
            Fact::Opened(unlocked, unreadable) => taking.opened(unlocked, unreadable),
            Fact::Filed => taking.filed(),
            _ => Err(Fault::Ours.into()),
        }
    }

    /// Orders and says all that can be now.
    pub(super) fn advance(&mut self, pair: &Pair, now: Timestamp, out: &mut Out) {
        self.taking.advance(pair, &self.round, now, out);
        self.release(pair, out);
        self.giving.advance(pair, &self.round, out);
    }

    /// The keys that may leave now: each after the last bundle was opened and checked, and neither
    /// side more than one ahead. Whoever does not lead waits for the first. While others are being
    /// opened none leave, so that they leave two at a time: for both, one fsync.
    fn release(&mut self, pair: &Pair, out: &mut Out) {
        if self.taking.is_opening() {
            return;
        }
        let before = self.giving.given.released;
        let opened = self.taking.opened;
        let begun = self.round.leads || opened > 0;
        let window = if begun { opened + 1 } else { 0 };
        let most = window
            .min(self.taking.held)
            .min(self.giving.given.acknowledged);
        let mut keys = Vec::new();
        while self.giving.given.released < most {
            let index = self.giving.given.released;
            let Some(key) = self.giving.unlock(pair, &self.round, index, out) else {
                break;
            };
            keys.push(key);
            self.giving.given.released += 1;
        }
        if self.giving.given.released > before {
            out.push(Output::Save(Save::Given(self.giving.given)));
            out.extend(keys.iter().map(send));
        }
    }

    /// Whether everybody's turn has come, and all has been said about it.
    pub(super) fn is_over(&self) -> bool {
        let people = self.round.len();
        self.giving.given.receipted == people && self.taking.receipted == people
    }
}

/// What the chunks of a bundle of a round are bound to.
pub(super) fn context(
    pair: &Pair,
    round: &Round,
    (handle, exchange): &(Handle, ExchangeId),
    (from, to): (&OdsCode, &OdsCode),
) -> Hash {
    bundle::context(
        &pair.federation,
        exchange,
        from,
        to,
        &round.match_id,
        handle,
    )
}
