//! The steward's side of the join conversation.

use std::convert::Infallible;

use rand_core::CryptoRng;

use super::{CHARTER, END, Outcome, PIECE, REFUSED, REQUEST, STATEMENTS, WAITING, read, send};
use crate::conversation::{Conversation, Input, Output};
use crate::ids::{OdsCode, PublicKey};
use crate::join::{JoinRequest, Joining, Refusal, Waiting};
use crate::journal::Act;
use crate::limits::SILENCE;
use crate::roster::sync::{frames, keep};
use crate::roster::{Inserted, Roster, Statement, Statements, Welcome};
use crate::statement::Signed;
use crate::text::Line;
use crate::time::Timestamp;
use crate::wire;

/// What the steward's side wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// A statement of the newcomer's, now that it is admitted.
    Statement(Statement),
    /// A request, on the list of those waiting.
    Waiting(Signed<JoinRequest>),
}

impl From<Statement> for Save {
    fn from(statement: Statement) -> Self {
        Self::Statement(statement)
    }
}

/// The steward's side.
#[derive(Debug)]
pub struct Steward {
    own: OdsCode,
    statements: Statements,
    waiting: Waiting,
    peer: PublicKey,
    over: bool,
    deadline: Option<Timestamp>,
}

impl Steward {
    /// A conversation with the stranger whose node key is `peer`, at the node of `own`, about what
    /// is held and who waits now.
    pub const fn new(
        own: OdsCode,
        statements: Statements,
        waiting: Waiting,
        peer: PublicKey,
    ) -> Self {
        Self {
            own,
            statements,
            waiting,
            peer,
            over: false,
            deadline: None,
        }
    }

    fn received(&mut self, frame: &[u8], now: Timestamp) -> Result<Vec<Output<Self>>, Outcome> {
        let (kind, message) = wire::open(frame);
        match kind {
            REQUEST => {
                let signed: Signed<JoinRequest> = read(message)?;
                Ok(self.decide(&signed, now).unwrap_or_else(|refusal| {
                    let words: String = refusal.to_string().chars().take(300).collect();
                    let words: Result<Line, _> = words.parse();
                    let mut orders = Vec::new();
                    orders.extend(words.ok().map(|words| send(REFUSED, &words)));
                    orders.push(Output::Close(Outcome::Refused(refusal)));
                    orders
                }))
            }
            wire::UNSUPPORTED => Err(Outcome::Unsupported(read(message)?)),
            WAITING..=PIECE => Err(Outcome::OutOfTurn),
            unknown => Ok(vec![
                send(wire::UNSUPPORTED, &unknown),
                Output::Close(Outcome::Unsupported(unknown)),
            ]),
        }
    }

    fn decide(
        &mut self,
        signed: &Signed<JoinRequest>,
        now: Timestamp,
    ) -> Result<Vec<Output<Self>>, Refusal> {
        let charter = self.statements.charter();
        if !charter.stewards.contains_key(&self.own) {
            let stewards: Vec<_> = charter.stewards.keys().map(OdsCode::as_str).collect();
            return Err(Refusal::NotASteward(stewards.join(", ")));
        }
        let joining = Joining::check(signed, self.statements.federation(), now)?;
        if joining.node.node != self.peer {
            return Err(Refusal::OtherNode);
        }
        let code = joining.request.member.clone();
        let roster = Roster::of(&self.statements);
        match roster.member(&code) {
            Some(member) if member.is_active() && joining.n == member.anchor => {
                if member.organisation != joining.request.admission.organisation {
                    return Err(Refusal::OtherOrganisation(code));
                }
                self.welcome(&joining, now)
            }
            // Of a member, it waits for the stewards to name its key: `key`.
            _ => {
                joining.hangs_right(&roster)?;
                let mut orders = Vec::new();
                if self.waiting.add(signed.clone())? == Inserted::New {
                    orders.push(Output::Record(Act::Statement {
                        about: code.clone(),
                        kind: "join request".to_owned(),
                        statement: joining.hash,
                    }));
                    orders.push(Output::Save(Save::Waiting(signed.clone())));
                }
                orders.push(send(WAITING, &true));
                orders.push(Output::Close(Outcome::Waiting(code)));
                Ok(orders)
            }
        }
    }

    fn welcome(&mut self, joining: &Joining, now: Timestamp) -> Result<Vec<Output<Self>>, Refusal> {
        let mut orders = Vec::new();
        for own in &joining.request.statements {
            // A newcomer that made its request twice must not contradict itself through us.
            let code = &joining.request.member;
            let body = own.peek()?;
            let by = (body.claim()?.signer(), *own.signer());
            if self.statements.last_u(code, joining.n, by) >= body.u {
                continue;
            }
            let statement = Statement::Own(own.clone());
            match self.statements.insert(statement.clone(), now) {
                Ok(Inserted::New) => orders.extend(keep(statement)),
                Ok(Inserted::Known) => {}
                Err(refusal) if refusal.may_pass() => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        let welcome = Welcome::of(&self.statements);
        orders.push(send(CHARTER, &welcome.charter));
        let frames = frames(welcome.statements, STATEMENTS, PIECE);
        orders.extend(frames.into_iter().map(Output::Send));
        orders.push(send(END, &true));
        let code = joining.request.member.clone();
        orders.push(Output::Close(Outcome::Welcome(code)));
        Ok(orders)
    }
}

impl Conversation for Steward {
    type Save = Save;
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
            _ if self.over => return Vec::new(),
            Input::Loaded(never) => match never {},
            Input::DeadlinePassed if self.deadline.is_some_and(|due| now < due) => {
                return Vec::new();
            }
            Input::DeadlinePassed => Err(Outcome::Silent),
            Input::Lost => Err(Outcome::Lost),
            Input::Opened if self.deadline.is_none() => {
                self.deadline = Some(now + SILENCE);
                return Vec::new();
            }
            Input::Opened => Err(Outcome::OutOfTurn),
            Input::Received(frame) => self.received(&frame, now),
        };
        // One request, one answer: whatever came, this was it.
        self.over = true;
        self.deadline = None;
        result.unwrap_or_else(|outcome| vec![Output::Close(outcome)])
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
