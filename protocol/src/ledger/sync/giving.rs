//! Giving the other side what it lacks, and saying when nothing is left.

use super::{Hello, Item, Load, Out, Outcome, Save, Sync, Waiting, kind, send};
use crate::conversation::Output;
use crate::journal::Act;
use crate::ledger::chain::Which;
use crate::ledger::page::{Head, Rewind};
use crate::limits::MAX_PAGES;
use crate::statement::Signed;
use crate::time::Timestamp;

impl Sync {
    pub(super) const fn takes_more(&self) -> bool {
        !self.their_done && self.read + self.recovered < 2 * MAX_PAGES as u64
    }

    /// The other side's chains stand there: what it lacks is queued, pages of its own chain first.
    pub(super) fn hello(&mut self, theirs: Hello, now: Timestamp) -> Result<Out, Outcome> {
        if theirs.federation != self.pair.federation {
            return Err(Outcome::OtherFederation);
        }
        self.hello = Some(theirs);
        for which in [Which::Theirs, Which::Ours] {
            let ours = self.chains.head(which);
            let told = match which {
                Which::Theirs => theirs.ours,
                Which::Ours => theirs.theirs,
            };
            // Another page of the same number: shown, so that the contradiction comes out.
            let from = if told.number == ours.number && told.hash != ours.hash {
                told.number
            } else {
                told.number.saturating_add(1)
            };
            let pages = (from.max(1)..=ours.number).take(MAX_PAGES);
            self.queue
                .extend(pages.map(|number| Item::Page(which, number)));
        }
        self.go_on(now)
    }

    /// Sends what is next, or says that nothing is left.
    pub(super) fn go_on(&mut self, now: Timestamp) -> Result<Out, Outcome> {
        let Some(hello) = self.hello else {
            return Ok(vec![]);
        };
        if self.unheld || !matches!(self.waiting, Waiting::Nothing) {
            return Ok(vec![]);
        }
        let behind = self.known.number > self.chains.ours.number;
        if behind && !self.rewound && self.chains.ours.number >= hello.theirs.number {
            // The other side has nothing more of it to give back.
            self.rewound = true;
            self.queue.push_back(Item::Rewind(self.known));
        }
        match self.queue.pop_front() {
            Some(Item::Page(which, number)) => {
                self.waiting = Waiting::ToSend;
                Ok(vec![Output::Load(Load::Page(which, number))])
            }
            Some(Item::Rewind(lost)) => Ok(self.say_rewind(lost, now)),
            None if self.done => Ok(self.fill(hello)),
            // What comes back first may leave something to be said.
            None if behind && !self.their_done => Ok(vec![]),
            None => {
                self.done = true;
                let mut out = vec![send(kind::DONE, &true)];
                out.extend(self.fill(hello));
                Ok(out)
            }
        }
    }

    pub(super) fn say_rewind(&mut self, lost: Head, now: Timestamp) -> Out {
        let rewind = Rewind {
            federation: self.pair.federation,
            writer: self.pair.me.clone(),
            reader: self.pair.peer.clone(),
            held: self.chains.ours,
            lost,
            at: now,
        };
        let signed = Signed::sign(&rewind, &self.key);
        self.unheld = true;
        let message = send(kind::REWIND, &signed);
        let mut out = self.keep_rewind(Which::Ours, signed, rewind);
        out.push(message);
        out
    }

    pub(super) fn keep_rewind(
        &mut self,
        which: Which,
        signed: Signed<Rewind>,
        rewind: Rewind,
    ) -> Out {
        self.chains.rewound(which, &rewind);
        let act = Act::Rewound {
            peer: self.pair.peer.clone(),
            writer: rewind.writer.clone(),
            held: rewind.held.number,
            lost: rewind.lost.number,
            rewind: signed.hash(),
        };
        vec![
            Output::Save(Save::Rewind(which, Box::new((signed, rewind)))),
            Output::Record(act),
        ]
    }

    /// Once both have said that no more pages follow: what is missing beside them.
    pub(super) fn fill(&mut self, hello: Hello) -> Out {
        if !self.settles() {
            return vec![];
        }
        let ours = self.chains.ours.number;
        if ours < hello.theirs.number.max(self.known.number) {
            return self.close(Outcome::Behind);
        }
        self.waiting = Waiting::Missing;
        vec![Output::Load(Load::Missing)]
    }
}
