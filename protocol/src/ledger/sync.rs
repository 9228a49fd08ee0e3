//! The ledger conversation: each side gives the other the pages it lacks, of either chain.
//!
//! Both do the same, over [`crate::wire::LEDGER`], when they connect and whenever one of them wrote
//! a page:
//!
//! ```text
//! one                                   other
//!  | hello: where both chains stand ----> |
//!  | <------------------------------ hello |
//!  | page…  held ------------------------> |  first pages of the *other's* chain it has lost,
//!  | <----------------------- held  page… |  then the own ones the other has not read
//!  | rewind -----------------------------> |  only if pages are lost for good
//!  | done -------------------------------> |
//!  | <------------------------------- done |
//!  | want -------------------------------> |  statements of exchanges both have that the other names
//!  | <------------------------------ given |  and we lack, because a line was lost at the last word
//!  | enough -----------------------------> |
//!  | <----------------------------- enough |
//! ```
//!
//! A page is read in order or not at all: verified over the bytes received, kept durably, then
//! acknowledged by `held`, and only then the next one comes. So at most one page a side is under
//! way, and two that write at once never wait for each other.
//!
//! Who has ended a conversation this way has all of its own pages that the peer has, and may write.
//!
//! A page that contradicts one held is a fork: both pages are kept, journaled, and sent to their
//! writer, and the conversation ends.

use std::collections::VecDeque;

use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::chain::{Chains, Pair, Refusal, Which};
use super::page::{Head, Page, Rewind};
use crate::codec;
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::sign::KeyPair;
use crate::ids::FederationId;
use crate::journal::Act;
use crate::limits::{MAX_BULK_FRAME, SILENCE};
use crate::statement::Signed;
use crate::time::Timestamp;
use crate::wire;

use self::filling::give;
pub use self::orders::{Fact, Load, Missing, Save};

mod filling;
mod giving;
mod orders;
mod taking;

/// Message kinds of [`wire::LEDGER`].
pub mod kind {
    /// Where both chains stand.
    pub const HELLO: u8 = 1;
    /// A signed page, of the sender's chain or the reader's.
    pub const PAGE: u8 = 2;
    /// The page just sent is kept.
    pub const HELD: u8 = 3;
    /// A signed [`super::Rewind`] of the sender's.
    pub const REWIND: u8 = 4;
    /// Two pages of the reader's chain that contradict each other.
    pub const FORK: u8 = 5;
    /// No more pages follow.
    pub const DONE: u8 = 6;
    /// Hashes of statements the reader's pages name and the sender lacks.
    pub const WANT: u8 = 7;
    /// Such statements.
    pub const GIVEN: u8 = 8;
    /// Nothing more is wanted.
    pub const ENOUGH: u8 = 9;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    federation: FederationId,
    /// Where the sender's own chain stands.
    ours: Head,
    /// The last page of the reader's chain the sender holds.
    theirs: Head,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Each has what the other had.
    Synced {
        /// Pages sent.
        sent: u64,
        /// Pages of theirs read.
        read: u64,
        /// Pages of ours that came back.
        recovered: u64,
    },
    /// Pages of ours that the other side holds did not all come back: we must not write yet.
    Behind,
    /// Two pages of that chain contradict each other.
    Forked(Which),
    /// The other side sent what cannot be taken.
    Refused(Refusal),
    /// The other side belongs to another federation.
    OtherFederation,
    /// The other side does not keep to the conversation.
    OutOfTurn(u8),
    /// The other side sent what does not decode.
    Malformed(codec::Error),
    /// One side used a message kind the other does not know.
    Unsupported(u8),
    /// The other side fell silent.
    Silent,
    /// The stream was lost.
    Lost,
    /// The node did not give what the machine ordered.
    Ours,
}

/// What is to be sent, one after the other.
#[derive(Debug)]
enum Item {
    Page(Which, u64),
    Rewind(Head),
}

/// What was ordered and is not here yet.
#[derive(Debug)]
enum Waiting {
    Nothing,
    /// Where the chains stand.
    Chains,
    /// A page to be sent.
    ToSend,
    /// The page held, to be laid beside another of the same number or before it.
    Beside(Which, Signed<Page>),
    /// Our page that their page quotes.
    Quoted(Box<(Signed<Page>, Page)>),
    /// What is missing.
    Missing,
    /// What the other side wants.
    Statements,
}

/// One side of the conversation.
pub struct Sync {
    pair: Pair,
    key: KeyPair,
    chains: Chains,
    known: Head,
    greeted: bool,
    hello: Option<Hello>,
    waiting: Waiting,
    queue: VecDeque<Item>,
    /// Something was sent and is not acknowledged.
    unheld: bool,
    rewound: bool,
    done: bool,
    their_done: bool,
    /// What was asked for.
    wanted: Vec<Missing>,
    gave: bool,
    enough: bool,
    their_enough: bool,
    sent: u64,
    read: u64,
    recovered: u64,
    over: bool,
    deadline: Option<Timestamp>,
}

type Out = Vec<Output<Sync>>;

impl Sync {
    /// A conversation of this pair. The key signs a rewind, if one must be said.
    pub const fn new(pair: Pair, key: KeyPair) -> Self {
        Self {
            pair,
            key,
            chains: Chains {
                ours: Head::ORIGIN,
                theirs: Head::ORIGIN,
                agreed: Head::ORIGIN,
                quoted: Head::ORIGIN,
                due: 0,
                due_since: Timestamp(0),
            },
            known: Head::ORIGIN,
            greeted: false,
            hello: None,
            waiting: Waiting::Nothing,
            queue: VecDeque::new(),
            unheld: false,
            rewound: false,
            done: false,
            their_done: false,
            wanted: Vec::new(),
            gave: false,
            enough: false,
            their_enough: false,
            sent: 0,
            read: 0,
            recovered: 0,
            over: false,
            deadline: None,
        }
    }

    fn step(&mut self, input: Input<Fact>, now: Timestamp) -> Result<Out, Outcome> {
        match input {
            Input::Lost => Err(Outcome::Lost),
            Input::DeadlinePassed => Err(Outcome::Silent),
            Input::Opened => {
                self.waiting = Waiting::Chains;
                Ok(vec![Output::Load(Load::Chains)])
            }
            Input::Loaded(fact) => self.loaded(fact, now),
            Input::Received(frame) => self.received(&frame, now),
        }
    }

    fn loaded(&mut self, fact: Fact, now: Timestamp) -> Result<Out, Outcome> {
        match (std::mem::replace(&mut self.waiting, Waiting::Nothing), fact) {
            (Waiting::Chains, Fact::Chains { chains, known }) => {
                (self.chains, self.known, self.greeted) = (chains, known, true);
                let hello = Hello {
                    federation: self.pair.federation,
                    ours: chains.ours,
                    theirs: chains.theirs,
                };
                Ok(vec![send(kind::HELLO, &hello)])
            }
            (Waiting::ToSend, Fact::Page(page)) => {
                (self.unheld, self.sent) = (true, self.sent + 1);
                Ok(vec![send(kind::PAGE, &page)])
            }
            (Waiting::ToSend, Fact::Rewind(rewind)) => {
                let Ok(Rewind { writer, lost, .. }) = rewind.peek() else {
                    return Err(Outcome::Ours);
                };
                let chain = match writer == self.pair.me {
                    true => Which::Ours,
                    false => Which::Theirs,
                };
                let gone = |item: &Item| matches!(item, Item::Page(which, number) if *which == chain && *number <= lost.number);
                self.queue.retain(|item| !gone(item));
                self.unheld = true;
                Ok(vec![send(kind::REWIND, &rewind)])
            }
            (Waiting::Beside(which, other), Fact::Page(held)) => self.beside(which, held, other),
            // Lost for good: nothing to hold against it.
            (Waiting::Beside(..), Fact::Rewind(_)) => Err(Outcome::Refused(Refusal::OutOfOrder)),
            (Waiting::Quoted(page), Fact::Page(quoted)) => self.quoted(*page, &quoted, now),
            (Waiting::Quoted(page), Fact::Rewind(_)) => Ok(self.take(Which::Theirs, *page, now)),
            (Waiting::Missing, Fact::Missing(missing)) => Ok(self.want(missing)),
            (Waiting::Statements, Fact::Statements(all)) => Ok(give(all)),
            _ => Err(Outcome::Ours),
        }
    }

    fn received(&mut self, frame: &[u8], now: Timestamp) -> Result<Out, Outcome> {
        let (kind, message) = wire::open(frame);
        match (kind, self.hello) {
            (wire::UNSUPPORTED, _) => Err(Outcome::Unsupported(read(message)?)),
            (kind::HELLO, None) if self.greeted => self.hello(read(message)?, now),
            (kind::PAGE, Some(_)) if self.takes_more() => self.page(read(message)?, now),
            (kind::HELD, Some(_)) if self.unheld => {
                read::<bool>(message)?;
                self.unheld = false;
                self.go_on(now)
            }
            (kind::REWIND, Some(_)) if !self.their_done => self.rewind(read(message)?, now),
            (kind::FORK, Some(_)) => self.accused(read(message)?, now),
            (kind::DONE, Some(_)) if !self.their_done => {
                read::<bool>(message)?;
                self.their_done = true;
                self.go_on(now)
            }
            (kind::WANT, Some(_)) if self.settles() && !self.gave && !self.their_enough => {
                self.wanted_of_us(read(message)?)
            }
            (kind::GIVEN, Some(_)) if !self.wanted.is_empty() => self.given(read(message)?),
            (kind::ENOUGH, Some(_)) if self.settles() && !self.their_enough => {
                read::<bool>(message)?;
                self.their_enough = true;
                Ok(self.end())
            }
            (kind::HELLO..=kind::ENOUGH, _) => Err(Outcome::OutOfTurn(kind)),
            (unknown, _) => {
                let mut out = vec![send(wire::UNSUPPORTED, &unknown)];
                out.extend(self.close(Outcome::Unsupported(unknown)));
                Ok(out)
            }
        }
    }

    fn close(&mut self, outcome: Outcome) -> Out {
        self.over = true;
        let mut out = Out::new();
        let refused = match &outcome {
            Outcome::Refused(refusal) => Some(refusal.to_string()),
            Outcome::OutOfTurn(kind) => Some(format!("a ledger message out of turn (kind {kind})")),
            Outcome::Malformed(error) => Some(format!("a ledger message: {error}")),
            Outcome::OtherFederation => Some("a ledger of another federation".to_owned()),
            _ => None,
        };
        if let Some(what) = refused {
            let peer = Some(self.pair.peer.clone());
            out.push(Output::Record(Act::Refused { peer, what }));
        }
        out.push(Output::Close(outcome));
        out
    }
}

fn send<T: Serialize + ?Sized>(kind: u8, message: &T) -> Output<Sync> {
    Output::Send(wire::frame(kind, message))
}

fn read<T: Serialize + DeserializeOwned>(message: &[u8]) -> Result<T, Outcome> {
    codec::decode(message, MAX_BULK_FRAME).map_err(Outcome::Malformed)
}

impl Conversation for Sync {
    type Save = Save;
    type Load = Load;
    type Fact = Fact;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Fact>,
        now: Timestamp,
        _rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        if self.over {
            return vec![];
        }
        let out = match self.step(input, now) {
            Ok(out) => out,
            Err(outcome) => self.close(outcome),
        };
        self.deadline = (!self.over).then(|| now + SILENCE);
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
