//! The conversation about proposals: two stewards' nodes tell each other what is still to be signed.
//!
//! Over [`crate::wire::PROPOSAL`], whenever two of them connect and whenever one has something new,
//! both do the same: a `Proposal` for each they hold, then `End`. Each sends one frame for one it
//! reads, and the rest once the other has ended, so that neither writes more than the other reads.
//!
//! **Goals.** Signatures gather without anybody carrying files. **Non-goals.** Deciding: whoever
//! finds that enough have signed tells everybody by the roster conversation.
//!
//! One that does not follow what this node's roster says is skipped: two rosters may differ for a
//! moment. One whose signatures do not hold ends the conversation, and is journaled.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use rand_core::CryptoRng;

use super::{Proposal, Proposals, Refusal};
use crate::codec;
use crate::conversation::{Conversation, Input, Output};
use crate::ids::OdsCode;
use crate::journal::Act;
use crate::limits::{MAX_FRAME, MAX_PROPOSALS, SILENCE};
use crate::roster::{Inserted, Roster};
use crate::time::Timestamp;
use crate::wire;

const PROPOSAL: u8 = 1;
const END: u8 = 2;

/// One side of the conversation.
#[derive(Debug)]
pub struct Talk {
    peer: OdsCode,
    roster: Arc<Roster>,
    held: Proposals,
    unsaid: VecDeque<Vec<u8>>,
    /// Proposals the other side named so far.
    heard: usize,
    learned: usize,
    skipped: usize,
    deadline: Option<Timestamp>,
    over: bool,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Each has what the other had.
    Told {
        /// New to us, or signed by more than we knew.
        learned: usize,
        /// Not taken.
        skipped: usize,
    },
    /// One of the two is no steward.
    NotASteward(OdsCode),
    /// A signature does not hold.
    Refused(Refusal),
    /// The other side does not keep to the conversation.
    OutOfTurn,
    /// The other side sent more than allowed.
    TooMuch,
    /// One side used a message kind the other does not know.
    Unsupported(u8),
    /// The other side fell silent.
    Silent,
    /// The stream was lost.
    Lost,
}

type Orders = Vec<Output<Talk>>;

impl Talk {
    /// A conversation of `own`'s node with that of `peer` about what is held now.
    ///
    /// # Errors
    /// If one of them is no steward.
    pub fn new(
        own: &OdsCode,
        peer: OdsCode,
        roster: Arc<Roster>,
        held: Proposals,
    ) -> Result<Self, Outcome> {
        let stewards = &roster.charter().stewards;
        if let Some(other) = [own, &peer]
            .into_iter()
            .find(|it| !stewards.contains_key(*it))
        {
            return Err(Outcome::NotASteward(other.clone()));
        }
        let proposals = held.iter().map(|(_, it)| wire::frame(PROPOSAL, it));
        let unsaid = proposals.chain([wire::frame(END, &true)]).collect();
        Ok(Self {
            peer,
            roster,
            held,
            unsaid,
            heard: 0,
            learned: 0,
            skipped: 0,
            deadline: None,
            over: false,
        })
    }

    fn say(&mut self, most: usize) -> Orders {
        let now = self.unsaid.len().min(most);
        self.unsaid.drain(..now).map(Output::Send).collect()
    }

    fn received(&mut self, frame: &[u8], now: Timestamp) -> Result<Orders, Outcome> {
        let (kind, message) = wire::open(frame);
        match kind {
            PROPOSAL => {
                self.heard += 1;
                if self.heard > MAX_PROPOSALS {
                    return Err(Outcome::TooMuch);
                }
                let proposal: Proposal = read(message)?;
                let mut orders = self.take(proposal, now)?;
                orders.extend(self.say(1));
                Ok(orders)
            }
            END => {
                read::<bool>(message)?;
                let mut orders = self.say(usize::MAX);
                orders.push(self.close(Outcome::Told {
                    learned: self.learned,
                    skipped: self.skipped,
                }));
                Ok(orders)
            }
            wire::UNSUPPORTED => Err(Outcome::Unsupported(read(message)?)),
            unknown => Ok(vec![
                Output::Send(wire::frame(wire::UNSUPPORTED, &unknown)),
                self.close(Outcome::Unsupported(unknown)),
            ]),
        }
    }

    fn take(&mut self, proposal: Proposal, now: Timestamp) -> Result<Orders, Outcome> {
        match self.held.add(proposal, &self.roster, now) {
            Ok((Inserted::Known, _)) => Ok(Vec::new()),
            Ok((Inserted::New, held)) => {
                self.learned += 1;
                Ok(vec![Output::Save(held.clone())])
            }
            Err(refusal) if refusal.may_pass() => {
                self.skipped += 1;
                Ok(Vec::new())
            }
            Err(refusal) => {
                let refused = Output::Record(Act::Refused {
                    peer: Some(self.peer.clone()),
                    what: format!("proposal: {refusal}"),
                });
                Ok(vec![refused, self.close(Outcome::Refused(refusal))])
            }
        }
    }

    const fn close(&mut self, outcome: Outcome) -> Output<Self> {
        self.over = true;
        self.deadline = None;
        Output::Close(outcome)
    }
}

impl Conversation for Talk {
    type Save = Proposal;
    type Load = Infallible;
    type Fact = Infallible;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Infallible>,
        now: Timestamp,
        _rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        if self.over {
            return Vec::new();
        }
        self.deadline = Some(now + SILENCE);
        match input {
            Input::Opened => self.say(1),
            Input::Received(frame) => match self.received(&frame, now) {
                Ok(orders) => orders,
                Err(outcome) => vec![self.close(outcome)],
            },
            Input::Loaded(never) => match never {},
            Input::DeadlinePassed => vec![self.close(Outcome::Silent)],
            Input::Lost => vec![self.close(Outcome::Lost)],
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}

fn read<T: serde::Serialize + serde::de::DeserializeOwned>(message: &[u8]) -> Result<T, Outcome> {
    codec::decode(message, MAX_FRAME).map_err(|_| Outcome::OutOfTurn)
}
