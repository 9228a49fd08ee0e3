//! Taking pages of either chain, and words about them.

use super::{Out, Outcome, Save, Sync, Waiting, kind, send};
use crate::conversation::Output;
use crate::ids::OdsCode;
use crate::journal::Act;
use crate::ledger::chain::{Refusal, Which};
use crate::ledger::page::{Fork, Head, Page, Rewind};
use crate::ledger::sync::Load;
use crate::statement::Signed;
use crate::time::Timestamp;

impl Sync {
    /// A page came: of their chain, or of ours that we have lost.
    pub(super) fn page(&mut self, signed: Signed<Page>, now: Timestamp) -> Result<Out, Outcome> {
        if !matches!(self.waiting, Waiting::Nothing) {
            return Err(Outcome::Ours);
        }
        let claimed = signed.peek().map_err(Refusal::from).map_err(refused)?;
        let which = self.whose(&claimed.writer);
        let page = self.pair.page(which, &signed, now).map_err(refused)?;
        let head = self.chains.head(which);
        if page.number > head.number.saturating_add(1) {
            return Err(refused(Refusal::OutOfOrder));
        }
        let next = page.number > head.number;
        if next && (page.previous == head.hash) {
            return match which {
                Which::Ours => Ok(self.take(which, (signed, page), now)),
                // What was taken before anybody here heard that the key is void stays in the chain,
                // and is shown; nothing more is taken.
                Which::Theirs if self.pair.is_void(which, &signed, &page) => {
                    Err(refused(Refusal::Void))
                }
                Which::Theirs => self.check_quote((signed, page), now),
            };
        }
        if head.number == 0 {
            return Err(refused(Refusal::OutOfOrder));
        }
        // One held already, or one that names another before it.
        let beside = if next { head.number } else { page.number };
        self.waiting = Waiting::Beside(which, signed);
        Ok(vec![Output::Load(Load::Page(which, beside))])
    }

    /// Whether the page of ours that theirs quotes is really ours.
    fn check_quote(&mut self, page: (Signed<Page>, Page), now: Timestamp) -> Result<Out, Outcome> {
        let quoted = page.1.quoted;
        let known = [Head::ORIGIN, self.chains.ours, self.chains.agreed];
        if known.contains(&quoted) {
            return Ok(self.take(Which::Theirs, page, now));
        }
        let (ours, known) = (self.chains.ours.number, self.known.number);
        if quoted.number > ours && quoted.number <= known {
            // We lost it; the journal knows that it was there.
            return Ok(self.take(Which::Theirs, page, now));
        }
        if quoted.number == 0 || quoted.number >= ours {
            return Err(refused(Refusal::NeverWritten));
        }
        self.waiting = Waiting::Quoted(Box::new(page));
        Ok(vec![Output::Load(Load::Page(Which::Ours, quoted.number))])
    }

    pub(super) fn quoted(
        &mut self,
        page: (Signed<Page>, Page),
        ours: &Signed<Page>,
        now: Timestamp,
    ) -> Result<Out, Outcome> {
        if ours.hash() != page.1.quoted.hash {
            return Err(refused(Refusal::NeverWritten));
        }
        Ok(self.take(Which::Theirs, page, now))
    }

    /// The next page of its chain: kept, and said to be.
    pub(super) fn take(
        &mut self,
        which: Which,
        (signed, page): (Signed<Page>, Page),
        now: Timestamp,
    ) -> Out {
        let head = page.head(&signed);
        self.chains.append(which, head, &page, now);
        let (peer, number, hash) = (self.pair.peer.clone(), head.number, head.hash);
        let act = match which {
            Which::Ours => {
                self.recovered += 1;
                Act::PageWritten {
                    peer,
                    number,
                    page: hash,
                }
            }
            Which::Theirs => {
                self.read += 1;
                Act::PageRead {
                    peer,
                    number,
                    page: hash,
                }
            }
        };
        let mut out = vec![
            Output::Save(Save::Page(which, Box::new((signed, page)))),
            Output::Record(act),
            send(kind::HELD, &true),
        ];
        // What we waited for to come back may have been the last of it.
        if let Ok(more) = self.go_on(now) {
            out.extend(more);
        }
        out
    }

    /// The page held lies beside another: the same again, or a contradiction.
    pub(super) fn beside(
        &mut self,
        which: Which,
        held: Signed<Page>,
        other: Signed<Page>,
    ) -> Result<Out, Outcome> {
        if held.hash() == other.hash() {
            return Ok(vec![send(kind::HELD, &true)]);
        }
        let fork = Fork { held, other };
        let word = send(kind::FORK, &fork);
        let mut out = self.keep_fork(which, fork);
        if which == Which::Theirs {
            out.push(word);
        }
        out.extend(self.close(Outcome::Forked(which)));
        Ok(out)
    }

    /// The other side shows two pages of our chain that contradict each other.
    pub(super) fn accused(&mut self, fork: Fork, now: Timestamp) -> Result<Out, Outcome> {
        let which = Which::Ours;
        self.pair.fork(which, &fork, now).map_err(refused)?;
        let mut out = self.keep_fork(which, fork);
        out.extend(self.close(Outcome::Forked(which)));
        Ok(out)
    }

    fn keep_fork(&self, which: Which, fork: Fork) -> Out {
        let act = Act::Forked {
            peer: self.pair.peer.clone(),
            writer: self.pair.of(which).0.clone(),
            held: fork.held.hash(),
            other: fork.other.hash(),
        };
        vec![
            Output::Save(Save::Fork(which, Box::new(fork))),
            Output::Record(act),
        ]
    }

    /// Pages of a chain are lost for good, as its writer said: it goes on after them.
    pub(super) fn rewind(
        &mut self,
        signed: Signed<Rewind>,
        now: Timestamp,
    ) -> Result<Out, Outcome> {
        let claimed = signed.peek().map_err(Refusal::from).map_err(refused)?;
        let which = self.whose(&claimed.writer);
        let rewind = self.pair.rewind(which, &signed, now).map_err(refused)?;
        let head = self.chains.head(which);
        if rewind.lost == head {
            return Ok(vec![send(kind::HELD, &true)]);
        }
        if rewind.held != head {
            return Err(refused(Refusal::Rewind));
        }
        let mut out = self.keep_rewind(which, signed, rewind);
        out.push(send(kind::HELD, &true));
        Ok(out)
    }

    fn whose(&self, writer: &OdsCode) -> Which {
        if *writer == self.pair.me {
            Which::Ours
        } else {
            Which::Theirs
        }
    }
}

const fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}
