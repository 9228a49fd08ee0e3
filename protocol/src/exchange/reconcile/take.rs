//! The peer's side of a round, as we take it: ciphertext into the spool, opened when its key comes,
//! filed, and said so.

use std::collections::VecDeque;

use super::frame::{Frame, Opens, Stand};
use super::orders::{Load, Partial, Round, Save, Theirs, Unlocked};
use super::receipts::receipt;
use super::said::Held;
use super::{End, Out, keep, send, unfit};
use crate::conversation::Output;
use crate::crypto::stream::StreamKey;
use crate::exchange::ask::{Fault, Pair};
use crate::exchange::bundle::stream::{self, Arriving, Unreadable, chunks};
use crate::exchange::bundle::{self, Root, Shown};
use crate::ids::Hash;
use crate::limits::{AHEAD, AHEAD_BYTES, MAX_STATED};
use crate::statement::Signed;
use crate::time::Timestamp;

mod filing;

/// The peer's bundles on their way.
#[derive(Default)]
pub(super) struct Taking {
    /// Those that arrived whole, from `base` on.
    theirs: VecDeque<Theirs>,
    base: u32,
    arriving: Option<Incoming>,
    /// Whole, and without their signed roots yet: those follow once they are kept over there.
    whole: VecDeque<Whole>,
    /// A part of the next one is in the spool.
    partial: Option<Partial>,
    /// Where the next one begins in the spool.
    offset: u64,
    /// Arrived, and not yet durable: to be held next, and being held.
    arrived: Vec<(Theirs, Signed<Shown>)>,
    holding: u32,
    /// How many are held, and said to be.
    pub(super) held: u32,
    told: u32,
    /// Keys that came, and those being tried.
    keys: VecDeque<StreamKey>,
    opening: u32,
    pub(super) opened: u32,
    /// Opened, and not yet filed: to be filed next, and being filed.
    unlocked: Vec<Unlocked>,
    filing: Vec<Unlocked>,
    pub(super) filed: u32,
    /// Filed, and not yet said to be.
    said: Vec<Unlocked>,
    pub(super) receipted: u32,
    pub(super) quarantined: u32,
}

struct Incoming {
    opens: Opens,
    arriving: Arriving,
}

struct Whole {
    opens: Opens,
    root: Hash,
    offset: u64,
}

impl Taking {
    pub(super) fn again(theirs: Vec<Theirs>, partial: Option<Partial>) -> Self {
        let filed = theirs.iter().take_while(|one| one.found.is_some());
        // At most as many as there are people.
        let filed = u32::try_from(filed.count()).unwrap_or(u32::MAX);
        let held = u32::try_from(theirs.len()).unwrap_or(u32::MAX);
        Self {
            offset: Theirs::end(&theirs),
            theirs: theirs.into(),
            partial,
            held,
            told: held,
            opened: filed,
            filed,
            receipted: filed,
            ..Self::default()
        }
    }

    /// What of the next bundle is here.
    pub(super) fn partial(&self) -> Option<(Hash, u64)> {
        self.partial
            .as_ref()
            .map(|partial| (partial.key, partial.chunks))
    }

    fn theirs(&self, index: u32) -> Option<&Theirs> {
        self.theirs.get(index.checked_sub(self.base)? as usize)
    }

    /// Says again what the other side did not hear.
    pub(super) fn go_on(
        &mut self,
        round: &Round,
        pair: &Pair,
        stand: &Stand,
        now: Timestamp,
        out: &mut Out,
    ) -> Result<(), End> {
        if stand.acknowledged > self.held || stand.receipted > self.filed {
            return Err(unfit("the other side heard more than was said here"));
        }
        self.told = stand.acknowledged;
        self.tell(round, pair, out);
        // Receipts that were not heard are signed and journaled anew: they may never have left.
        let again: Vec<_> = (stand.receipted..self.filed)
            .filter_map(|index| {
                let theirs = self.theirs(index)?;
                Some((round.at(index)?.1, theirs.shown, theirs.found.clone()?))
            })
            .collect();
        receipt(pair, round, stand.receipted, &again, now, out);
        self.forget();
        Ok(())
    }

    /// What is filed and said to be is of no more use here.
    fn forget(&mut self) {
        self.theirs.drain(..(self.filed - self.base) as usize);
        self.base = self.filed;
    }

    /// The next bundle begins.
    pub(super) fn begins(
        &mut self,
        pair: &Pair,
        round: &Round,
        opens: Opens,
        out: &mut Out,
    ) -> Result<(), End> {
        let here = self.theirs.len() + self.whole.len();
        let next = self.base + u32::try_from(here).unwrap_or(u32::MAX);
        if self.arriving.is_some() || opens.index != next || next >= round.len() {
            return Err(unfit("a bundle whose turn it is not"));
        }
        let unopened = self
            .theirs
            .iter()
            .skip((self.unlocked_upto() - self.base) as usize);
        let unopened = unopened.map(|theirs| theirs.size);
        let whole = self.whole.iter().map(|whole| whole.opens.size);
        let waiting = unopened.chain(whole).sum::<u64>();
        if next >= self.receipted + AHEAD || waiting > AHEAD_BYTES {
            return Err(unfit("more bundles ahead than are agreed"));
        }
        if opens.size > bundle::padded(pair.max_bundle) || opens.size != bundle::padded(opens.size)
        {
            return Err(Fault::TooLarge.into());
        }
        let here = self.partial.take();
        let here = here.filter(|part| part.key == opens.key && part.size == opens.size);
        let (root, skipped) = match here {
            Some(part) if opens.skipped > 0 => (part.root, part.chunks),
            _ => (Root::default(), 0),
        };
        if skipped != opens.skipped || skipped > chunks(opens.size) {
            return Err(unfit("chunks left out that are not here"));
        }
        if skipped == 0 {
            out.push(Output::Save(anew(&opens, self.offset)));
        }
        self.arriving = Some(Incoming {
            arriving: Arriving::new(opens.size, root, skipped),
            opens,
        });
        self.is_whole();
        Ok(())
    }

    pub(super) fn chunk(&mut self, sealed: Vec<u8>, out: &mut Out) -> Result<(), End> {
        let incoming = self.arriving.as_mut();
        let incoming = incoming.ok_or(unfit("a chunk of no bundle"))?;
        let pushed = incoming.arriving.push(&sealed);
        pushed.ok_or(Fault::Bundle(Unreadable::Sealed))?;
        out.push(Output::Save(Save::Spool(sealed)));
        self.is_whole();
        Ok(())
    }

    /// What arrives may be here whole; its signed root follows.
    fn is_whole(&mut self) {
        let root = self.arriving.as_ref().and_then(|one| one.arriving.root());
        let Some((root, one)) = root.zip(self.arriving.take_if(|_| root.is_some())) else {
            return;
        };
        let offset = self.offset;
        self.offset += stream::sealed(one.opens.size);
        self.whole.push_back(Whole {
            opens: one.opens,
            root,
            offset,
        });
    }

    /// The signed root of the bundle that arrived.
    pub(super) fn arrived(
        &mut self,
        pair: &Pair,
        round: &Round,
        signed: Signed<Shown>,
        out: &mut Out,
    ) -> Result<(), End> {
        let whole = self.whole.pop_front();
        let whole = whole.ok_or(unfit("a root of no bundle"))?;
        let Whole {
            opens,
            root,
            offset,
        } = whole;
        let (handle, exchange) = round.at(opens.index).ok_or(Fault::Ours)?;
        let shown = signed.verify(&pair.peer_key).map_err(Fault::from)?;
        let expected = Shown {
            federation: pair.federation,
            exchange,
            from: pair.peer.clone(),
            to: pair.me.clone(),
            match_id: round.match_id,
            handle,
            root,
            key: opens.key,
            size: opens.size,
        };
        if opens.skipped > 0 && shown.root != root {
            // What was here of it did not survive: all of it must come again.
            out.push(Output::Save(anew(&opens, offset)));
            return Err(Fault::Lost.into());
        }
        if shown != expected {
            return Err(unfit("a commitment to another bundle than was sent"));
        }
        let theirs = Theirs {
            shown: signed.hash(),
            key: opens.key,
            size: opens.size,
            offset,
            found: None,
        };
        self.theirs.push_back(theirs.clone());
        self.arrived.push((theirs, signed));
        Ok(())
    }

    /// What was ordered to be held is durable.
    pub(super) fn holds(&mut self) -> Result<(), End> {
        match std::mem::take(&mut self.holding) {
            0 => Err(Fault::Ours.into()),
            count => {
                self.held += count;
                Ok(())
            }
        }
    }

    pub(super) fn advance(&mut self, pair: &Pair, round: &Round, now: Timestamp, out: &mut Out) {
        if self.holding == 0 && !self.arrived.is_empty() {
            let some = self.arrived.len().min(MAX_STATED);
            let some: Vec<_> = self.arrived.drain(..some).collect();
            self.holding = u32::try_from(some.len()).unwrap_or(0);
            out.push(Output::Load(Load::Hold(self.held, some)));
        }
        self.tell(round, pair, out);
        self.open(pair, round, out);
        if self.is_enough_to_file(round) {
            self.file(out);
        }
        self.say(pair, round, now, out);
    }

    /// Signs and sends what is held and was not said yet.
    fn tell(&mut self, round: &Round, pair: &Pair, out: &mut Out) {
        while self.told < self.held {
            let upto = self.held.min(self.told + MAX_STATED as u32);
            let bundles = (self.told..upto).filter_map(|index| Some(self.theirs(index)?.shown));
            let held = Held {
                round: round.id,
                from: pair.me.clone(),
                to: pair.peer.clone(),
                first: self.told,
                bundles: bundles.collect(),
            };
            let signed = Signed::sign(&held, &pair.key);
            out.push(keep(&signed));
            out.push(send(&Frame::Held(signed)));
            self.told = upto;
        }
    }
}

/// The bundle begins there in the spool, and nothing of it is here.
const fn anew(opens: &Opens, offset: u64) -> Save {
    Save::Begin {
        key: opens.key,
        size: opens.size,
        offset,
    }
}
