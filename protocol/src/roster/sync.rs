//! The roster conversation: two nodes tell each other what the other lacks.
//!
//! Both sides do the same, over [`crate::wire::ROSTER`], whenever they connect and whenever one of
//! them learned something:
//!
//! 1. `Hello`: the federation and one digest of everything. If both are the same: `Done`.
//! 2. `Digests`: one per member, in the order of codes.
//! 3. `Held`: for members whose digests differ, what is held, by short hash.
//! 4. `Statements`: what the other did not list, founding statements first; then `Done`. One that is
//!    larger than a frame comes in `Piece`s.
//!
//! A list goes out as the other side's comes in: two that wrote all of theirs before they read would
//! wait for each other.
//!
//! A new statement is recorded and saved before anything else is said. One that may be taken
//! another time (dated ahead, not founded yet) is skipped; one that never can ends the conversation
//! with its refusal. Everything is counted against the limits of `limits.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;

use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::lists::{Part, parts};
use super::{Inserted, Refusal, Statement, Statements};
use crate::codec;
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::hash;
use crate::ids::{Digest, FederationId, Hash, OdsCode};
use crate::journal::Act;
use crate::limits::{MAX_FRAME, MAX_MEMBERS, MAX_ROSTER_STATEMENTS, SILENCE};
use crate::time::Timestamp;
use crate::wire;

pub(crate) use self::lists::{Piece, Pieces, frames};

mod lists;

const HELLO: u8 = 1;
const DIGESTS: u8 = 2;
const HELD: u8 = 3;
const STATEMENTS: u8 = 4;
const DONE: u8 = 5;
const PIECE: u8 = 6;

/// Entries in one `Digests` frame: a code and a digest are at most 26 bytes.
const DIGESTS_PER_FRAME: usize = 2000;
/// Hashes in one `Held` frame.
const HELD_PER_FRAME: usize = 1500;
/// Frames sent ahead: well below what a stream holds unread (256 KiB).
const AHEAD: usize = 2;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    federation: FederationId,
    root: Hash,
}

/// One side of the conversation.
#[derive(Debug)]
pub struct Sync {
    peer: Option<OdsCode>,
    statements: Statements,
    state: State,
    deadline: Option<Timestamp>,
    /// What is still to be said of the present list.
    unsaid: VecDeque<Vec<u8>>,
    /// Items taken from the other side so far.
    heard: usize,
    learned: usize,
    sent: usize,
    skipped: usize,
    pieces: Pieces,
}

#[derive(Debug)]
enum State {
    New,
    Greeted,
    /// Digests of the other side so far.
    Comparing(BTreeMap<OdsCode, Digest>),
    /// What differs, and what the other side holds of it so far.
    Listing(BTreeSet<OdsCode>, BTreeSet<(OdsCode, Digest)>),
    Taking,
    Over,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Each has what the other had.
    Synced {
        /// New to us.
        learned: usize,
        /// New to them.
        sent: usize,
        /// Not taken for now.
        skipped: usize,
    },
    /// The other side belongs to another federation.
    OtherFederation(FederationId),
    /// The other side sent a statement that can never be taken.
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

type Orders = Vec<Output<Sync>>;

impl Sync {
    /// A conversation with the node of `peer` (none if it is not known which member it is), about
    /// what is held now.
    pub fn new(statements: Statements, peer: Option<OdsCode>) -> Self {
        Self {
            peer,
            statements,
            state: State::New,
            deadline: None,
            unsaid: VecDeque::new(),
            heard: 0,
            learned: 0,
            sent: 0,
            skipped: 0,
            pieces: Pieces::default(),
        }
    }

    fn root(&self) -> Hash {
        let digests: Vec<_> = self.digests().collect();
        hash::parts("roster root", &[&codec::encode(&digests)])
    }

    fn digests(&self) -> impl Iterator<Item = (OdsCode, Digest)> {
        let codes = self.statements.codes();
        codes.map(|code| (code.clone(), self.statements.digest(code)))
    }

    fn received(&mut self, frame: &[u8], now: Timestamp) -> Result<Orders, Outcome> {
        let (kind, message) = wire::open(frame);
        let state = std::mem::replace(&mut self.state, State::Over);
        match (kind, state) {
            (HELLO, State::Greeted) => self.hello(&read(message)?),
            (DIGESTS, State::Comparing(theirs)) => self.compare(theirs, read(message)?),
            (HELD, State::Listing(differing, theirs)) => {
                self.list(differing, theirs, read(message)?)
            }
            (STATEMENTS, State::Taking) => {
                self.state = State::Taking;
                self.take(read(message)?, now)
            }
            (PIECE, State::Taking) => {
                self.state = State::Taking;
                self.count(1)?;
                let whole = self.pieces.add(read::<Piece>(message)?);
                let whole = whole.map_err(|error| Outcome::Refused(error.into()))?;
                self.take(whole.into_iter().collect(), now)
            }
            (DONE, State::Taking) => {
                read::<bool>(message)?;
                let mut orders = self.say(usize::MAX);
                let synced = self.synced();
                orders.push(self.close(synced));
                Ok(orders)
            }
            (wire::UNSUPPORTED, _) => Err(Outcome::Unsupported(read(message)?)),
            (HELLO..=PIECE, _) => Err(Outcome::OutOfTurn),
            (unknown, _) => Ok(vec![
                send(wire::UNSUPPORTED, &unknown),
                self.close(Outcome::Unsupported(unknown)),
            ]),
        }
    }

    const fn synced(&self) -> Outcome {
        let (learned, sent, skipped) = (self.learned, self.sent, self.skipped);
        Outcome::Synced {
            learned,
            sent,
            skipped,
        }
    }

    fn hello(&mut self, theirs: &Hello) -> Result<Orders, Outcome> {
        if theirs.federation != self.statements.federation() {
            return Err(Outcome::OtherFederation(theirs.federation));
        }
        if theirs.root == self.root() {
            self.state = State::Taking;
            return Ok(vec![send(DONE, &true)]);
        }
        self.state = State::Comparing(BTreeMap::new());
        let frames = parts(DIGESTS, self.digests().collect(), DIGESTS_PER_FRAME);
        Ok(self.begin(frames))
    }

    /// Begins a list. The other side has ended its one before and reads: the rest of ours goes first.
    fn begin(&mut self, frames: Vec<Vec<u8>>) -> Orders {
        let mut orders = self.say(usize::MAX);
        self.unsaid.extend(frames);
        orders.extend(self.say(AHEAD));
        orders
    }

    /// Sends the next frames of the present list.
    fn say(&mut self, most: usize) -> Orders {
        let now = self.unsaid.len().min(most);
        self.unsaid.drain(..now).map(Output::Send).collect()
    }

    fn compare(
        &mut self,
        mut theirs: BTreeMap<OdsCode, Digest>,
        part: Part<(OdsCode, Digest)>,
    ) -> Result<Orders, Outcome> {
        theirs.extend(part.items);
        if theirs.len() > MAX_MEMBERS {
            return Err(Outcome::TooMuch);
        }
        if !part.last {
            self.state = State::Comparing(theirs);
            return Ok(self.say(1));
        }
        let ours: BTreeMap<_, _> = self.digests().collect();
        let codes: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
        let differs = |code: &OdsCode| ours.get(code) != theirs.get(code);
        let differing: BTreeSet<_> = codes.into_iter().filter(differs).collect();
        // Of what the other side has nothing of, it need not be told what we have.
        let both = differing.iter().filter(|code| theirs.contains_key(code));
        let held = both.flat_map(|code| {
            let hashes = self.statements.hashes(code);
            hashes.map(|hash| (code.clone(), hash.digest()))
        });
        let frames = parts(HELD, held.collect(), HELD_PER_FRAME);
        self.state = State::Listing(differing, BTreeSet::new());
        Ok(self.begin(frames))
    }

    fn list(
        &mut self,
        differing: BTreeSet<OdsCode>,
        mut theirs: BTreeSet<(OdsCode, Digest)>,
        part: Part<(OdsCode, Digest)>,
    ) -> Result<Orders, Outcome> {
        self.count(part.items.len())?;
        theirs.extend(part.items);
        if !part.last {
            self.state = State::Listing(differing, theirs);
            return Ok(self.say(1));
        }
        let lacking = differing.iter().flat_map(|code| {
            let ours = self.statements.about(code);
            let theirs = &theirs;
            ours.filter(move |s| !theirs.contains(&(code.clone(), s.hash().digest())))
        });
        let mut lacking: Vec<Statement> = lacking.take(MAX_ROSTER_STATEMENTS).collect();
        // What is decided under a charter is founded by it.
        lacking.sort_by_key(|statement| !matches!(statement, Statement::Charter(_)));
        self.sent = lacking.len();
        let mut frames = frames(lacking, STATEMENTS, PIECE);
        frames.push(wire::frame(DONE, &true));
        self.state = State::Taking;
        Ok(self.begin(frames))
    }

    fn take(&mut self, batch: Vec<Statement>, now: Timestamp) -> Result<Orders, Outcome> {
        self.count(batch.len())?;
        let mut orders = Vec::new();
        for statement in batch {
            match self.statements.insert(statement.clone(), now) {
                Ok(Inserted::Known) => {}
                Ok(Inserted::New) => {
                    self.learned += 1;
                    orders.extend(keep(statement));
                }
                Err(refusal) if refusal.may_pass() => self.skipped += 1,
                Err(refusal) => {
                    orders.push(Output::Record(Act::Refused {
                        peer: self.peer.clone(),
                        what: format!("roster statement: {refusal}"),
                    }));
                    orders.push(self.close(Outcome::Refused(refusal)));
                    return Ok(orders);
                }
            }
        }
        orders.extend(self.say(1));
        Ok(orders)
    }

    fn count(&mut self, items: usize) -> Result<(), Outcome> {
        self.heard += items;
        if self.heard > MAX_ROSTER_STATEMENTS {
            return Err(Outcome::TooMuch);
        }
        Ok(())
    }

    fn close(&mut self, outcome: Outcome) -> Output<Self> {
        self.state = State::Over;
        self.deadline = None;
        Output::Close(outcome)
    }
}

impl Conversation for Sync {
    type Save = Statement;
    type Load = Infallible;
    type Fact = Infallible;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Infallible>,
        now: Timestamp,
        _rng: &mut dyn CryptoRng,
    ) -> Orders {
        let result = match input {
            _ if matches!(self.state, State::Over) => return Vec::new(),
            Input::Loaded(never) => match never {},
            Input::Lost => Err(Outcome::Lost),
            Input::DeadlinePassed if self.deadline.is_some_and(|due| now < due) => {
                return Vec::new();
            }
            Input::DeadlinePassed => Err(Outcome::Silent),
            Input::Opened if matches!(self.state, State::New) => {
                self.state = State::Greeted;
                let hello = Hello {
                    federation: self.statements.federation(),
                    root: self.root(),
                };
                Ok(vec![send(HELLO, &hello)])
            }
            Input::Opened => Err(Outcome::OutOfTurn),
            Input::Received(frame) => self.received(&frame, now),
        };
        match result {
            Ok(orders) => {
                if !matches!(self.state, State::Over) {
                    self.deadline = Some(now + SILENCE);
                }
                orders
            }
            Err(outcome) => vec![self.close(outcome)],
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}

/// The orders that keep a new statement: nothing is said before it is durable.
pub(crate) fn keep<C>(statement: Statement) -> Vec<Output<C>>
where
    C: Conversation,
    C::Save: From<Statement>,
{
    let mut orders = Vec::new();
    if let Ok((about, kind)) = statement.about() {
        orders.push(Output::Record(Act::Statement {
            about,
            kind: kind.to_owned(),
            statement: statement.hash(),
        }));
    }
    orders.push(Output::Save(statement.into()));
    orders
}

fn send<T: Serialize + ?Sized>(kind: u8, message: &T) -> Output<Sync> {
    Output::Send(wire::frame(kind, message))
}

fn read<T: Serialize + DeserializeOwned>(message: &[u8]) -> Result<T, Outcome> {
    codec::decode(message, MAX_FRAME).map_err(|_| Outcome::OutOfTurn)
}
