//! Giving and taking statements one side lacks, because a line was lost at the last word.

use super::{Missing, Out, Outcome, Save, Sync, Waiting, kind, send};
use crate::codec::{self, Bytes};
use crate::conversation::Output;
use crate::exchange::account::STATEMENTS;
use crate::ids::Hash;
use crate::ledger::sync::Load;
use crate::limits::{MAX_FRAME, MAX_WANTED};
use crate::statement::{Any, Signed};

/// The most bytes of statements in one message.
const MAX_GIVEN: usize = 2 * MAX_FRAME - 1024;

impl Sync {
    /// Whether both have said that no more pages follow.
    pub(super) const fn settles(&self) -> bool {
        self.done && self.their_done
    }

    /// Asks for what is missing, or says that nothing is.
    pub(super) fn want(&mut self, mut missing: Vec<Missing>) -> Out {
        missing.truncate(MAX_WANTED);
        if missing.is_empty() {
            return self.say_enough();
        }
        let hashes: Vec<Hash> = missing.iter().map(|it| it.statement).collect();
        self.wanted = missing;
        vec![send(kind::WANT, &hashes)]
    }

    /// The other side lacks these.
    pub(super) fn wanted_of_us(&mut self, hashes: Vec<Hash>) -> Result<Out, Outcome> {
        if hashes.len() > MAX_WANTED {
            return Err(Outcome::OutOfTurn(kind::WANT));
        }
        if !matches!(self.waiting, Waiting::Nothing) {
            return Err(Outcome::Ours);
        }
        self.gave = true;
        self.waiting = Waiting::Statements;
        Ok(vec![Output::Load(Load::Statements(hashes))])
    }

    /// What was asked for: kept and entered if it is what its hash says, signed by one of the two.
    pub(super) fn given(&mut self, given: Vec<Bytes>) -> Result<Out, Outcome> {
        let wanted = std::mem::take(&mut self.wanted);
        let mut out = Out::new();
        for bytes in given.into_iter().take(MAX_WANTED) {
            let signed: Signed<Any> =
                codec::decode(&bytes.0, MAX_FRAME).map_err(Outcome::Malformed)?;
            let by = signed.claimed();
            if !self.pair.my_keys.contains(by) && !self.pair.peer_keys.contains(by) {
                continue;
            }
            let found = wanted.iter().find_map(|missing| {
                let mut known = STATEMENTS.iter();
                let (_, kind) = known.find(|(label, _)| signed.is(label, &missing.statement))?;
                Some((missing.clone(), *kind))
            });
            if let Some((missing, kind)) = found {
                out.push(Output::Save(Save::Filled(missing, kind, bytes)));
            }
        }
        out.extend(self.say_enough());
        Ok(out)
    }

    fn say_enough(&mut self) -> Out {
        self.enough = true;
        let mut out = vec![send(kind::ENOUGH, &true)];
        out.extend(self.end());
        out
    }

    /// Over once neither wants more.
    pub(super) fn end(&mut self) -> Out {
        if !(self.enough && self.their_enough) {
            return vec![];
        }
        let (sent, read, recovered) = (self.sent, self.read, self.recovered);
        self.close(Outcome::Synced {
            sent,
            read,
            recovered,
        })
    }
}

/// As many of these as one message can carry.
pub(super) fn give(mut all: Vec<Bytes>) -> Out {
    let mut bytes = 0;
    all.retain(|statement| {
        bytes += statement.0.len() + 8;
        bytes <= MAX_GIVEN
    });
    vec![send(kind::GIVEN, &all)]
}
