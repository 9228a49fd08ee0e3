//! Reconcile: two members show each other what is new of all the people both look after, in
//! lock-step (protocol.md section 4, "bulk lane").
//!
//! **Participants.** A *proposer* and the member it proposes to. Both prove everything the same way;
//! which of them releases the first key is drawn.
//!
//! **Goals.** Neither side is ever more than one bundle ahead: the key of a bundle leaves when the
//! other side is known to hold its ciphertext, and when all that was released to this side before has
//! been opened and checked. What was promised can be shown to others: commitments,
//! acknowledgements and receipts are signed. A line that is lost or a node that is killed costs
//! nothing that was verified.
//!
//! **Non-goals.** Fairness beyond one bundle. Care: everything here can be had by
//! [`super::ask`], whatever happened here.
//!
//! **Sequence.**
//!
//! ```text
//! proposer                                the other
//!    | proposal, people… -------------------> |  who is active here, and of whom there is news
//!    | <-------------------- accept, people…  |  or stopped(why)
//!    | agreement -------------------------->  |  the same people in an order both drew
//!    | <--------------------------- agreement |
//!    | bundle, chunk…, commitment … <-------> |  ciphertexts, ahead of the keys
//!    | held … <-----------------------------> |  "I hold roots R", signed
//!    | key A1 ------------------------------> |  or the other begins, as drawn
//!    | <---------------------- keys B1 B2     |  each after the last was opened and checked
//!    | keys A2 A3 …                           |
//!    | receipts … <-------------------------> |  once filed
//! ```
//!
//! After a lost line the proposer says `resume` with how far it is, and the other says how far *it*
//! is: all goes on from there.
//!
//! **Failure.** Every end has a name ([`End`]). A bundle that does not open ends the round with its
//! commitment and key as evidence. A bundle about another person is quarantined, said in the
//! receipt, and the round goes on.

use rand_core::CryptoRng;

pub use self::ended::{End, Ended, Totals};
pub use self::receipts::receipts;

use self::agree::{Hearing, Proposing, Sent};
use self::frame::{Frame, KINDS, Stand, Why};
use self::orders::{Fact, Kept, Load, Save};
use self::running::Running;
use crate::codec;
use crate::conversation::{Conversation, Input, Output};
use crate::exchange::ask::{Fault, Pair};
use crate::ids::{Handle, MatchId, RoundId};
use crate::journal::Act;
use crate::limits::{MAX_BULK_FRAME, ROUND_PATIENCE, SIGN_OF_LIFE, SILENCE};
use crate::statement::{Body, Signed};
use crate::time::Timestamp;

mod active;
mod agree;
mod ended;
pub mod frame;
mod give;
mod leaving;
pub mod orders;
mod receipts;
mod running;
pub mod said;
mod take;
#[cfg(test)]
mod tests;

enum State {
    Ready(MatchId, Vec<(Handle, bool)>),
    Proposed(Box<Proposing>),
    Agreed(Box<Sent>),
    Listening,
    Hearing(Box<Hearing>),
    ToResume(Box<Kept>),
    Resuming(Box<Running>),
    Recalling(RoundId, Stand),
    Running(Box<Running>),
    /// It ends so, once what came is opened and filed.
    Leaving(Box<Running>, End),
    Over,
}

/// One side of a round.
pub struct Reconcile {
    pair: Pair,
    state: State,
    totals: Totals,
    /// When the peer was last heard, when we last spoke, and when a bundle last moved on.
    heard: Timestamp,
    spoke: Timestamp,
    moved: Timestamp,
}

type Out = Vec<Output<Reconcile>>;
type Step = Result<State, End>;

impl Reconcile {
    /// A side that proposes a round; `people` are those linked by this match who are active here,
    /// each once, and whether there is something new of them.
    pub const fn propose(pair: Pair, match_id: MatchId, people: Vec<(Handle, bool)>) -> Self {
        Self::new(pair, State::Ready(match_id, people))
    }

    /// A side that goes on with a round it proposed.
    pub fn resume(pair: Pair, kept: Kept) -> Self {
        Self::new(pair, State::ToResume(Box::new(kept)))
    }

    /// A side that waits for a proposal.
    pub const fn answer(pair: Pair) -> Self {
        Self::new(pair, State::Listening)
    }

    const fn new(pair: Pair, state: State) -> Self {
        Self {
            pair,
            state,
            totals: Totals {
                round: None,
                people: 0,
                given: 0,
                taken: 0,
                quarantined: 0,
            },
            heard: Timestamp(0),
            spoke: Timestamp(0),
            moved: Timestamp(0),
        }
    }

    fn step(
        &mut self,
        state: State,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        match (state, input) {
            (State::Leaving(running, how), input) => self.still(running, how, input, now, out),
            (_, Input::Lost) => Err(Fault::Lost.into()),
            (state, Input::DeadlinePassed) => self.wait_on(state, now, out),
            (state, Input::Opened) => {
                (self.heard, self.spoke, self.moved) = (now, now, now);
                out.push(Output::Load(Load::Cancellation));
                match state {
                    State::Ready(match_id, people) => self.offer(match_id, people, now, rng, out),
                    State::ToResume(kept) => {
                        let running = Running::again(*kept);
                        self.totals = running.totals();
                        out.push(send(&Frame::Resume(running.round.id, running.stand())));
                        Ok(State::Resuming(Box::new(running)))
                    }
                    State::Listening => Ok(State::Listening),
                    _ => Err(Fault::Ours.into()),
                }
            }
            (state, Input::Loaded(Fact::Cancelled(why))) => {
                let by_peer = false;
                self.leave(state, End::Stopped { why, by_peer }, now, out)
            }
            (state, Input::Loaded(fact)) => self.loaded(state, fact, now, rng, out),
            (state, Input::Received(frame)) => {
                self.heard = now;
                let frame =
                    codec::decode(&frame, MAX_BULK_FRAME).map_err(|error| match frame.first() {
                        Some(kind) if *kind >= KINDS => Fault::Unsupported,
                        _ => error.into(),
                    })?;
                self.received(state, frame, now, rng, out)
            }
        }
    }

    /// Nothing came for a while: the peer may be gone, or is to be told that we are not.
    fn wait_on(&self, state: State, now: Timestamp, out: &mut Out) -> Step {
        if now >= self.heard + SILENCE || now >= self.moved + ROUND_PATIENCE {
            return Err(Fault::Silent.into());
        }
        out.push(send(&Frame::Working));
        Ok(state)
    }

    fn loaded(
        &mut self,
        state: State,
        fact: Fact,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        match (state, fact) {
            (State::Hearing(hearing), Fact::People(people)) => {
                self.found(*hearing, people, rng, out)
            }
            (State::Recalling(round, stand), Fact::Recalled(kept)) => {
                let Some(kept) = kept.filter(|kept| kept.round.id == round) else {
                    return Err(End::Stopped {
                        why: Why::UnknownRound,
                        by_peer: false,
                    });
                };
                let mut running = Running::again(*kept);
                out.push(send(&Frame::Stand(running.stand())));
                running.go_on(&self.pair, stand, now, out)?;
                self.advance(running, now, out)
            }
            (State::Running(mut running), fact) => {
                if let Err(how) = running.loaded(&self.pair, fact, out) {
                    return self.leave(State::Running(running), how, now, out);
                }
                self.moved = now;
                self.advance(*running, now, out)
            }
            // What was ordered before the line is of no use to the peer any more.
            _ => Err(Fault::Ours.into()),
        }
    }

    fn received(
        &mut self,
        state: State,
        frame: Frame,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        match (state, frame) {
            (state, Frame::Working) => Ok(state),
            (state, Frame::Stopped(why)) => {
                let by_peer = true;
                self.leave(state, End::Stopped { why, by_peer }, now, out)
            }
            (State::Listening, Frame::Proposal(signed)) => self.proposed(signed, now, rng, out),
            (State::Listening, Frame::Resume(round, stand)) => {
                out.push(Output::Load(Load::Recall(round)));
                Ok(State::Recalling(round, stand))
            }
            (State::Hearing(hearing), Frame::People { people, last }) => {
                hearing.people(people, last)
            }
            (State::Proposed(proposing), Frame::Accept(nonce)) => proposing.accepted(nonce),
            (State::Proposed(proposing), Frame::People { people, last }) => {
                self.hear(*proposing, people, last, out)
            }
            (State::Hearing(hearing), Frame::Agreement(signed)) => {
                self.agree(*hearing, &signed, now, out)
            }
            (State::Agreed(sent), Frame::Agreement(signed)) => {
                self.agreed(*sent, &signed, now, out)
            }
            (State::Resuming(mut running), Frame::Stand(stand)) => {
                running.go_on(&self.pair, stand, now, out)?;
                self.advance(*running, now, out)
            }
            (State::Running(mut running), frame) => {
                if let Err(how) = running.received(&self.pair, frame, now, out) {
                    return self.leave(State::Running(running), how, now, out);
                }
                self.advance(*running, now, out)
            }
            _ => Err(stray()),
        }
    }

    /// Everything that can go on goes on; or everybody's turn has come.
    fn advance(&mut self, mut running: Running, now: Timestamp, out: &mut Out) -> Step {
        running.advance(&self.pair, now, out);
        let totals = running.totals();
        if totals != std::mem::replace(&mut self.totals, totals) {
            self.moved = now;
        }
        match running.is_over() {
            true => Err(End::Done),
            false => Ok(State::Running(Box::new(running))),
        }
    }

    fn end(&mut self, how: End, out: &mut Out) {
        let said = match &how {
            End::Stopped {
                why,
                by_peer: false,
            } => Some(*why),
            End::Broken(Fault::Ours) => Some(Why::NotReasonablyAble),
            End::Broken(Fault::Lost | Fault::Silent) => None,
            End::Broken(_) => Some(Why::Refused),
            _ => None,
        };
        match self.totals.round {
            Some(round) if !how.goes_on() => {
                out.push(Output::Save(Save::Over));
                out.push(Output::Record(Act::RoundEnded {
                    round,
                    peer: self.pair.peer.clone(),
                    given: self.totals.given,
                    taken: self.totals.taken,
                    how: how.code(),
                }));
            }
            None if said == Some(Why::Refused) => out.push(Output::Record(Act::Refused {
                peer: Some(self.pair.peer.clone()),
                what: how.code(),
            })),
            _ => {}
        }
        if let Some(why) = said {
            out.push(send(&Frame::Stopped(why)));
        }
        let totals = self.totals;
        out.push(Output::Close(Ended { totals, how }));
    }
}

/// The frame by which a side says that there will be no round, or no more of one.
pub fn stopped(why: Why) -> Vec<u8> {
    codec::encode(&Frame::Stopped(why))
}

fn send(frame: &Frame) -> Output<Reconcile> {
    Output::Send(codec::encode(frame))
}

/// Keeps a signed statement.
fn keep<T: Body>(signed: &Signed<T>) -> Output<Reconcile> {
    Output::Save(Save::Statement(signed.hash(), codec::encode(signed)))
}

const fn stray() -> End {
    unfit("a message that does not belong here")
}

const fn unfit(what: &'static str) -> End {
    End::Broken(Fault::Unfit(what))
}

impl Conversation for Reconcile {
    type Save = Save;
    type Load = Load;
    type Fact = Fact;
    type Outcome = Ended;

    fn handle(
        &mut self,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        let mut out = Out::new();
        let state = std::mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return out;
        }
        match self.step(state, input, now, rng, &mut out) {
            Ok(state) => self.state = state,
            Err(how) => self.end(how, &mut out),
        }
        if out.iter().any(|output| matches!(output, Output::Send(_))) {
            self.spoke = now;
        }
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        if matches!(self.state, State::Leaving(..) | State::Over) {
            return None;
        }
        let silent = self.heard + SILENCE;
        let patience = self.moved + ROUND_PATIENCE;
        Some(silent.min(patience).min(self.spoke + SIGN_OF_LIFE))
    }
}
