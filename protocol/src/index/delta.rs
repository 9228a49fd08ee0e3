//! New people between two matches, over the streams [`DELTA`](crate::wire::DELTA) and
//! [`CONTACT`](crate::wire::CONTACT) (protocol.md section 3, "deltas").
//!
//! A delta continues a finished match, under its id: the *giver* shows new entries, the *taker*
//! raises them and looks for them among the tags the match told it.
//!
//! | giver | taker |
//! |---|---|
//! | `Batch`, or `Contact` with one entry | |
//! | | `Answer`: signed; a tag for each entry, its links, their proof |
//! | `Confirm`: the links it finds too, and their proof | |
//! | | `Done`, once the links are durable; then the next batch |
//! | `Turn`: nothing more | gives in its turn, or closes |
//!
//! After `Confirm` a first contact is over: whatever the two say next on that stream is the
//! exchange about the person it linked.
//!
//! **Goals.** As in a match: no link without both proofs; a handle means nothing elsewhere. The work
//! is that of the entries given, whatever the size of the adverts. The tags tell the giver also
//! whom the taker brought by batches of its own: nobody is missed because both are new.
//!
//! **Non-goals.** Lock-step: the taker sees its links first. If it lies or stops, it has seen the
//! links of one batch and has signed, or gets no further batch. The number of new people, to a
//! size.
//!
//! **Failure.** Every end is named; see [`Reason`]. After a lost line the same batch is given again
//! and the very same answer comes back: the taker keeps it until the next batch.

use std::mem;
use std::sync::Arc;

use rand_core::CryptoRng;

use self::frame::{Frame, KINDS};
use self::give::{Checking, Given};
use self::job::{Fact, Ground, Load};
pub use self::orders::{Kept, Outcome, Part, Save, Setup, Taken, Told};
use self::reason::{Failed, Reason};
use self::take::Taking;
use crate::codec::{self, Bytes};
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, PublicKey};
use crate::journal::Act;
use crate::limits::{MAX_BULK_FRAME, SILENCE};
use crate::time::Timestamp;

pub mod frame;
mod give;
pub mod job;
mod orders;
pub mod reason;
pub mod said;
mod take;

/// One side of a delta.
pub struct Delta {
    ground: Arc<Ground>,
    node: KeyPair,
    peer_node: PublicKey,
    kept: Kept,
    additions_per_day: u32,
    cap: u32,
    part: Part,
    state: State,
    told: Told,
    given_all: bool,
    working: bool,
    waiting: Option<Vec<u8>>,
    heard: Timestamp,
}

enum State {
    Idle,
    /// Our next batch is being looked up.
    Next,
    /// What we gave waits for its answer.
    Given(Given),
    Checking(Box<Checking>),
    /// We confirmed; the peer makes the links durable.
    Confirmed(Given),
    /// Whatever the peer gives next.
    Await,
    Taking(Box<Taking>),
    /// We answered; the peer confirms.
    Answered(Box<Taking>),
    Over,
}

type Outputs = Vec<Output<Delta>>;
type Step = Result<State, End>;

/// Why a step is the last.
enum End {
    Told,
    Failed(Failed),
}

impl Delta {
    /// A delta that has not begun.
    pub fn new(setup: Setup) -> Self {
        Self {
            ground: setup.ground,
            node: setup.node,
            peer_node: setup.peer_node,
            kept: setup.kept,
            additions_per_day: setup.additions_per_day,
            cap: setup.cap,
            part: setup.part,
            state: State::Idle,
            told: Told::default(),
            given_all: false,
            working: false,
            waiting: None,
            heard: Timestamp(0),
        }
    }

    fn take_in(
        &mut self,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Outputs,
    ) -> Result<(), End> {
        self.heard = now;
        match input {
            Input::Opened => {
                if !matches!(self.state, State::Idle) {
                    return Err(Reason::Internal.into());
                }
                self.state = match self.part {
                    Part::Beginner | Part::Contact => self.next(out),
                    Part::Answerer => State::Await,
                };
            }
            Input::Received(frame) => {
                // Nobody who keeps to the sequence sends two while we work.
                if self.waiting.replace(frame).is_some() {
                    return Err(Reason::OutOfTurn.into());
                }
            }
            Input::Loaded(fact) => {
                let state = mem::replace(&mut self.state, State::Over);
                if !mem::take(&mut self.working) {
                    return Err(Reason::Internal.into());
                }
                self.state = self.loaded(state, fact, now, rng, out)?;
            }
            Input::DeadlinePassed => return Err(Reason::Silent.into()),
            // The answerer's last word was Turn: the line ends when all is said.
            Input::Lost
                if self.part == Part::Answerer
                    && self.given_all
                    && matches!(self.state, State::Await) =>
            {
                return Err(End::Told);
            }
            Input::Lost => return Err(Reason::Lost.into()),
        }
        while !self.working
            && let Some(frame) = self.waiting.take()
        {
            let state = mem::replace(&mut self.state, State::Over);
            self.state = self.received(state, &frame, now, out)?;
        }
        Ok(())
    }

    fn received(&mut self, state: State, frame: &[u8], now: Timestamp, out: &mut Outputs) -> Step {
        let frame = codec::decode(frame, MAX_BULK_FRAME).map_err(|_| match frame.first() {
            Some(kind) if *kind >= KINDS => Reason::Unsupported,
            _ => Reason::Malformed,
        })?;
        match (state, frame) {
            (_, Frame::Stopped(reason)) => Err(Failed::said(reason).into()),
            (
                State::Given(given),
                Frame::Answer {
                    answer,
                    tags,
                    links,
                    proof,
                },
            ) => self.answer(given, answer, &tags, (links, proof), out),
            (State::Confirmed(given), Frame::Done) => self.done(&given, out),
            (State::Await, Frame::Batch { batch, entries }) => {
                self.batch(batch, &entries, now, out)
            }
            (State::Await, Frame::Contact(contact)) if self.part == Part::Answerer => {
                self.contact(&contact, now, out)
            }
            (State::Await, Frame::Turn) if self.given_all => Err(End::Told),
            (State::Await, Frame::Turn) => Ok(self.next(out)),
            (State::Answered(taking), Frame::Confirm { links, proof }) => {
                self.confirm(taking, links, proof, out)
            }
            _ => Err(Reason::OutOfTurn.into()),
        }
    }

    fn loaded(
        &mut self,
        state: State,
        fact: Fact,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Outputs,
    ) -> Step {
        match (state, fact) {
            (State::Next, Fact::Next(next)) => self.give(next, now, out),
            (State::Checking(checking), fact) => self.checked(checking, fact, rng, out),
            (State::Taking(taking), fact) => self.worked(taking, fact, rng, out),
            _ => Err(Reason::Internal.into()),
        }
    }

    /// Looks up what we give next.
    fn next(&mut self, out: &mut Outputs) -> State {
        let next = match self.part {
            Part::Contact => Load::Contact,
            Part::Beginner | Part::Answerer => Load::Batch(self.kept.answered + 1),
        };
        self.order(next, out);
        State::Next
    }

    fn order(&mut self, load: Load, out: &mut Outputs) {
        self.working = true;
        out.push(Output::Load(load));
    }

    fn keep(&self, out: &mut Outputs) {
        out.push(Output::Save(Save::Kept(Box::new(self.kept.clone()))));
    }

    fn end(&mut self, end: End, out: &mut Outputs) {
        self.state = State::Over;
        let outcome = match end {
            End::Told => Outcome::Told(self.told),
            End::Failed(failed) => {
                let reason = failed.reason;
                if !reason.passes() {
                    out.push(Output::Record(Act::Refused {
                        peer: Some(self.ground.they().clone()),
                        what: failed.journaled(reason.code()),
                    }));
                }
                if !failed.said_by_peer && reason != Reason::Lost {
                    out.push(send(&Frame::Stopped(reason)));
                }
                Outcome::Failed(self.told, failed)
            }
        };
        out.push(Output::Close(outcome));
    }
}

impl Conversation for Delta {
    type Save = Save;
    type Load = Load;
    type Fact = Fact;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        let mut out = Vec::new();
        if matches!(self.state, State::Over) {
            return out;
        }
        if let Err(end) = self.take_in(input, now, rng, &mut out) {
            self.end(end, &mut out);
        }
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Idle | State::Over => None,
            _ if self.working => None,
            _ => Some(self.heard + SILENCE),
        }
    }
}

/// The frame by which a side that cannot begin says why.
pub fn stopped(reason: Reason) -> Vec<u8> {
    codec::encode(&Frame::Stopped(reason))
}

fn send(frame: &Frame) -> Output<Delta> {
    Output::Send(codec::encode(frame))
}

/// The hash of the frame's tags, as an answer names it.
fn tags_hash(tags: &Bytes) -> Hash {
    super::advert::chunk_hash(&tags.0)
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self::Failed(reason.into())
    }
}

impl From<Failed> for End {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

#[cfg(test)]
mod tests;
