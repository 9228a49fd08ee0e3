//! The match of two adverts over the stream [`MATCH`](crate::wire::MATCH): each side learns which
//! of its own people the other also holds (protocol.md section 3).
//!
//! Both sides run the same machine. In order:
//!
//! 1. `Hello`: the own signed header and a signed [`Opening`] that names both headers and commits
//!    to a nonce. Who holds an outdated advert of the other stops here, fetches, and comes again.
//! 2. `Nonce`: shown when both have opened. Now the match id is fixed; nobody could choose it.
//! 3. Each raises the other's entries to its own key and signs a [`TagCommitment`] over all tags,
//!    before any is shown.
//! 4. `Tags`, in [`MATCH_ROUNDS`](crate::limits::MATCH_ROUNDS) rounds of the same fraction of both lists, the first mover
//!    alternating: nobody is ever more than one round ahead. Each chunk is checked against the
//!    commitment and each canary against what it must have become, at once. A tag we can make
//!    ourselves is a candidate.
//! 5. `Candidates` as pairs of positions; for those in both lists, `Proofs` that the shared point
//!    is the other's entry raised to the key in the prover's header.
//! 6. `Done`, once the links are durable. The stream may close.
//!
//! **Goals.** A peer that keeps to this learns its own people we also hold, and nothing else. One
//! that does not cannot make a link for somebody whose index key it does not know (step 5), cannot
//! stop with more than a round's advantage (4), cannot hide 1 % of its people unseen (canaries),
//! and cannot use what it saw in another match (tags name match and side).
//!
//! **Non-goals.** A proof against every malicious deviation: RFC 9497 has none for many keys or for
//! batching. A peer that publishes entries under a second key of its own links alone; audit and
//! coverage find it. Hiding the sizes, to a step.
//!
//! **Failure.** Every end is named; see [`Reason`]. After a lost line both come again: nonce, order
//! and commitment follow from the two adverts and the epoch keys, so that the match is the very
//! same. A peer that then says otherwise has signed evidence against itself. Neither raises again
//! what it kept raised, and each says how many chunks of tags it holds: the rounds go on after
//! them. Who claims more than it holds goes without; who claims less hears the same again.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use self::frame::{Frame, KINDS};
use self::job::{Fact, Job};
use self::links::{Matched, Tables};
use self::proving::{Listing, Proving};
use self::reason::{Failed, Reason};
use self::rounds::{Ready, Rounds};
use self::said::{Opening, TagCommitment};
use self::steps::Raising;
use self::tags::Tag;
use super::advert::Advert;
use super::advert::own::Own;
use crate::codec::{self, Bytes};
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::dleq::Proof;
use crate::crypto::sign::KeyPair;
use crate::ids::{Hash, OdsCode, PublicKey};
use crate::journal::Act;
use crate::limits::{MATCH_PATIENCE, MAX_BULK_FRAME, SIGN_OF_LIFE, SILENCE};
use crate::statement::Signed;
use crate::time::Timestamp;

pub mod frame;
pub mod job;
pub mod links;
mod proving;
pub mod reason;
mod rounds;
pub mod said;
mod steps;
pub mod tags;

/// Frames that may wait while a job runs. Nobody who keeps to the sequence sends more.
const MAX_INBOX: usize = 4;

/// What a match needs to begin.
pub struct Setup {
    /// Our advert.
    pub own: Arc<Own>,
    /// The peer's, fetched and checked.
    pub peer: Arc<Advert>,
    /// Our node key, which signed our header.
    pub node: KeyPair,
    /// The peer's node key.
    pub peer_node: PublicKey,
    /// What was saved of this very match, if it began before.
    pub kept: Kept,
    /// The peer's tags that were [heard](Save::Heard) then, in their order, from the first chunk on.
    pub heard: Vec<Tag>,
}

/// What must outlive a broken match of two given headers: what the peer said, and what we said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The peer's opening.
    pub opening: Option<Signed<Opening>>,
    /// Hash of our commitment.
    pub committed: Option<Hash>,
    /// The peer's commitment.
    pub commitment: Option<Signed<TagCommitment>>,
    /// Whether links were saved.
    pub done: bool,
}

/// What a match wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// In place of what was kept for this pair of headers.
    Kept(Box<Kept>),
    /// One chunk of the peer's tags, checked. Losing it costs no more than hearing it again.
    Heard(u32, Bytes),
    /// In place of the links with this peer, and what later comers are looked for in.
    Links(Box<Matched>, Tables),
}

/// How a match ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides proved these links, and they were saved.
    Matched(Box<Matched>),
    /// No links; those of an earlier match stay.
    Failed(Failed),
}

/// One side of a match.
pub struct Match {
    own: Arc<Own>,
    peer: Arc<Advert>,
    node: KeyPair,
    peer_node: PublicKey,
    kept: Kept,
    held: Vec<Tag>,
    state: State,
    inbox: VecDeque<Vec<u8>>,
    working: bool,
    heard: Timestamp,
    moved: Timestamp,
    spoke: Timestamp,
}

enum State {
    Idle,
    Hello,
    Nonce(Hash),
    Raising(Raising),
    Canaries(Raising),
    Commitment(Ready),
    Rounds(Box<Rounds>),
    Candidates(Listing),
    Sharing(Proving),
    Proving(Proving),
    Proofs(Proving),
    Verifying(Proving, Vec<Proof>, u32),
    Finishing(Box<Matched>),
    Over,
}

type Outputs = Vec<Output<Match>>;
type Step = Result<State, Outcome>;

impl Match {
    /// A match that has not begun.
    pub fn new(setup: Setup) -> Self {
        Self {
            own: setup.own,
            peer: setup.peer,
            node: setup.node,
            peer_node: setup.peer_node,
            kept: setup.kept,
            held: setup.heard,
            state: State::Idle,
            inbox: VecDeque::new(),
            working: false,
            heard: Timestamp(0),
            moved: Timestamp(0),
            spoke: Timestamp(0),
        }
    }

    fn we(&self) -> &OdsCode {
        &self.own.advert().header().member
    }

    fn they(&self) -> &OdsCode {
        &self.peer.header().member
    }

    fn take(
        &mut self,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Outputs,
    ) -> Result<(), Outcome> {
        match input {
            Input::Received(frame) => {
                self.heard = now;
                if frame == working() {
                    return Ok(());
                }
                self.moved = now;
                if self.inbox.len() == MAX_INBOX {
                    return Err(Reason::OutOfTurn.into());
                }
                self.inbox.push_back(frame);
            }
            Input::Opened => {
                (self.heard, self.moved) = (now, now);
                if !matches!(self.state, State::Idle) {
                    return Err(Reason::Internal.into());
                }
                self.state = self.opened(out);
            }
            Input::Loaded(fact) => {
                (self.heard, self.moved) = (now, now);
                let state = mem::replace(&mut self.state, State::Over);
                if !mem::take(&mut self.working) {
                    return Err(Reason::Internal.into());
                }
                self.state = self.loaded(state, fact, out, rng)?;
                if self.working && now.since(self.spoke) >= SIGN_OF_LIFE {
                    out.push(send(&Frame::Working));
                }
            }
            Input::DeadlinePassed => return Err(self.cut(Reason::Silent)),
            Input::Lost => return Err(self.cut(Reason::Lost)),
        }
        while !self.working
            && let Some(frame) = self.inbox.pop_front()
        {
            let state = mem::replace(&mut self.state, State::Over);
            self.state = self.received(state, &frame, out)?;
        }
        Ok(())
    }

    /// The end when nothing more will come. Links that were saved stand.
    fn cut(&mut self, reason: Reason) -> Outcome {
        match mem::replace(&mut self.state, State::Over) {
            State::Finishing(matched) => Outcome::Matched(matched),
            _ => reason.into(),
        }
    }

    fn received(&mut self, state: State, frame: &[u8], out: &mut Outputs) -> Step {
        // Our links are proved and saved: nothing the peer says takes them back.
        if let State::Finishing(matched) = state {
            return Err(Outcome::Matched(matched));
        }
        let frame = codec::decode(frame, MAX_BULK_FRAME).map_err(|_| match frame.first() {
            Some(kind) if *kind >= KINDS => Reason::Unsupported,
            _ => Reason::Malformed,
        })?;
        match (state, frame) {
            (_, Frame::Stopped(reason)) => Err(Failed::said(reason).into()),
            (State::Hello, Frame::Hello { header, opening }) => self.hello(&header, opening, out),
            (State::Nonce(hash), Frame::Nonce(nonce)) => self.nonce(hash, nonce, out),
            (
                State::Commitment(ready),
                Frame::Commitment {
                    commitment,
                    chunks,
                    seen,
                },
            ) => self.commitment(ready, commitment, (chunks, seen), out),
            (State::Rounds(rounds), Frame::Tags { chunk, tags }) => rounds.tags(chunk, &tags, out),
            (State::Candidates(listing), Frame::Candidates { pairs, last }) => {
                self.candidates(listing, &pairs, last, out)
            }
            (State::Proofs(proving), Frame::Proofs(proofs)) => self.proofs(proving, proofs, out),
            _ => Err(Reason::OutOfTurn.into()),
        }
    }

    fn loaded(
        &mut self,
        state: State,
        fact: Fact,
        out: &mut Outputs,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match (state, fact) {
            (State::Raising(_), Fact::BadEntry(_)) => Err(Reason::VoidAdvert.into()),
            (State::Raising(raising), Fact::Raised(tags)) => self.raised(raising, tags, out),
            (State::Canaries(raising), Fact::Canaries(tags)) => self.commit(raising, tags, out),
            (State::Sharing(proving), Fact::Shared(shared)) => {
                self.shared(proving, shared, out, rng)
            }
            (State::Proving(proving), Fact::Proved(proof)) => self.proved(proving, proof, out, rng),
            (State::Verifying(proving, proofs, batch), Fact::Verified(held)) => {
                self.verified(proving, proofs, batch, held, out)
            }
            _ => Err(Reason::Internal.into()),
        }
    }

    fn order(&mut self, job: Job, out: &mut Outputs) {
        self.working = true;
        out.push(Output::Load(job));
    }

    fn keep(&self, out: &mut Outputs) {
        out.push(Output::Save(Save::Kept(Box::new(self.kept.clone()))));
    }

    fn end(&mut self, outcome: Outcome, out: &mut Outputs) {
        self.state = State::Over;
        if let Outcome::Failed(failed) = &outcome {
            let reason = failed.reason;
            if !reason.passes() {
                out.push(Output::Record(Act::MatchFailed {
                    peer: self.they().clone(),
                    why: failed.journaled(reason.code()),
                }));
            }
            if !failed.said_by_peer && reason != Reason::Lost {
                out.push(send(&Frame::Stopped(reason)));
            }
        }
        out.push(Output::Close(outcome));
    }
}

impl Conversation for Match {
    type Save = Save;
    type Load = Job;
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
        if let Err(outcome) = self.take(input, now, rng, &mut out) {
            self.end(outcome, &mut out);
        }
        if out.iter().any(|output| matches!(output, Output::Send(_))) {
            self.spoke = now;
        }
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Idle | State::Over => None,
            _ if self.working => None,
            _ => Some((self.heard + SILENCE).min(self.moved + MATCH_PATIENCE)),
        }
    }
}

/// The frame by which a side that is not ready yet asks for patience: every [`SIGN_OF_LIFE`].
pub fn working() -> Vec<u8> {
    codec::encode(&Frame::Working)
}

fn send(frame: &Frame) -> Output<Match> {
    Output::Send(codec::encode(frame))
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        Self::Failed(reason.into())
    }
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

#[cfg(test)]
mod tests;
