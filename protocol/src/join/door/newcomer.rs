//! The newcomer's side of the join conversation.

use std::convert::Infallible;

use rand_core::CryptoRng;

use super::{CHARTER, END, Outcome, PIECE, REFUSED, REQUEST, STATEMENTS, WAITING, read, send};
use crate::charter::Charter;
use crate::conversation::{Conversation, Input, Output};
use crate::ids::OdsCode;
use crate::join::JoinRequest;
use crate::journal::Act;
use crate::limits::{MAX_WELCOME, SILENCE};
use crate::roster::sync::{Piece, Pieces};
use crate::roster::{Roster, Statement, Welcome};
use crate::statement::{CoSigned, Signed};
use crate::text::Line;
use crate::time::Timestamp;
use crate::wire;

/// The newcomer's side.
#[derive(Debug)]
pub struct Newcomer {
    request: Signed<JoinRequest>,
    state: NewcomerState,
    deadline: Option<Timestamp>,
}

#[derive(Debug)]
enum NewcomerState {
    New,
    Asked,
    Reading(Reading),
    Over,
}

/// What has come of a welcome.
#[derive(Debug)]
struct Reading {
    charter: CoSigned<Charter>,
    statements: Vec<Statement>,
    pieces: Pieces,
    bytes: usize,
}

impl Newcomer {
    /// A conversation that brings this request.
    pub const fn new(request: Signed<JoinRequest>) -> Self {
        Self {
            request,
            state: NewcomerState::New,
            deadline: None,
        }
    }

    fn received(&mut self, frame: &[u8], now: Timestamp) -> Result<Vec<Output<Self>>, Outcome> {
        let (kind, message) = wire::open(frame);
        let state = std::mem::replace(&mut self.state, NewcomerState::Over);
        match (kind, state) {
            (WAITING, NewcomerState::Asked) => {
                read::<bool>(message)?;
                Err(Outcome::Waiting(self.code()?))
            }
            (REFUSED, NewcomerState::Asked) => {
                Err(Outcome::RefusedBy(read::<Line>(message)?.into()))
            }
            (CHARTER, NewcomerState::Asked) => {
                self.state = NewcomerState::Reading(Reading {
                    charter: read(message)?,
                    statements: Vec::new(),
                    pieces: Pieces::default(),
                    bytes: 0,
                });
                Ok(Vec::new())
            }
            (STATEMENTS | PIECE, NewcomerState::Reading(mut reading)) => {
                reading.bytes += message.len();
                if reading.bytes > MAX_WELCOME {
                    return Err(Outcome::TooMuch);
                }
                if kind == STATEMENTS {
                    let batch = read::<Vec<Statement>>(message)?;
                    reading.statements.extend(batch);
                } else {
                    let whole = reading.pieces.add(read::<Piece>(message)?);
                    let whole = whole.map_err(|_| Outcome::OutOfTurn)?;
                    reading.statements.extend(whole);
                }
                self.state = NewcomerState::Reading(reading);
                Ok(Vec::new())
            }
            (END, NewcomerState::Reading(reading)) => {
                read::<bool>(message)?;
                let welcome = Welcome {
                    charter: reading.charter,
                    statements: reading.statements,
                };
                self.enter(welcome, now)
            }
            (wire::UNSUPPORTED, _) => Err(Outcome::Unsupported(read(message)?)),
            (REQUEST..=PIECE, _) => Err(Outcome::OutOfTurn),
            (unknown, _) => Ok(vec![
                send(wire::UNSUPPORTED, &unknown),
                Output::Close(Outcome::Unsupported(unknown)),
            ]),
        }
    }

    fn enter(&self, welcome: Welcome, now: Timestamp) -> Result<Vec<Output<Self>>, Outcome> {
        let code = enters(&self.request, &welcome, now).ok_or(Outcome::NotWelcome)?;
        let known = Act::Statement {
            about: code.clone(),
            kind: "charter".to_owned(),
            statement: welcome.charter.hash(),
        };
        Ok(vec![
            Output::Record(known),
            Output::Save(welcome),
            Output::Close(Outcome::Welcome(code)),
        ])
    }

    fn code(&self) -> Result<OdsCode, Outcome> {
        let request = self
            .request
            .peek()
            .map_err(|e| Outcome::Refused(e.into()))?;
        Ok(request.member)
    }
}

/// The newcomer's code, if `welcome` is its federation's and makes it a member with its own keys.
pub fn enters(request: &Signed<JoinRequest>, welcome: &Welcome, now: Timestamp) -> Option<OdsCode> {
    let request = request.peek().ok()?;
    let (statements, _) = welcome.clone().open(now).ok()?;
    let roster = Roster::of(&statements);
    let member = roster.member(&request.member)?;
    let ours = statements.federation() == request.federation
        && member.is_active()
        && member.organisation == request.admission.organisation;
    ours.then_some(request.member)
}

impl Conversation for Newcomer {
    type Save = Welcome;
    type Load = Infallible;
    type Fact = Infallible;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Infallible>,
        now: Timestamp,
        _rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        let result = match input {
            _ if matches!(self.state, NewcomerState::Over) => return Vec::new(),
            Input::Loaded(never) => match never {},
            Input::DeadlinePassed if self.deadline.is_some_and(|due| now < due) => {
                return Vec::new();
            }
            Input::DeadlinePassed => Err(Outcome::Silent),
            Input::Lost => Err(Outcome::Lost),
            Input::Opened if matches!(self.state, NewcomerState::New) => {
                self.state = NewcomerState::Asked;
                Ok(vec![send(REQUEST, &self.request)])
            }
            Input::Opened => Err(Outcome::OutOfTurn),
            Input::Received(frame) => self.received(&frame, now),
        };
        let orders = result.unwrap_or_else(|outcome| {
            self.state = NewcomerState::Over;
            vec![Output::Close(outcome)]
        });
        let over = matches!(self.state, NewcomerState::Over);
        self.deadline = (!over).then(|| now + SILENCE);
        orders
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
