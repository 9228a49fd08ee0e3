//! The machine of one exchange, for both roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand_core::CryptoRng;

use self::holder::{Casing, Preparing};
use self::notice::{Noticed, Told};
use self::transfer::{Examining, Showing, Taking};
use crate::category::{Category, Purpose};
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::seal::SealSecret;
use crate::crypto::sign::KeyPair;
use crate::exchange::account::{Account, Stage};
use crate::exchange::answer::{RefusalCode, Reply};
use crate::ids::{
    Commitment, ExchangeId, FederationId, Handle, Hash, MatchId, OdsCode, PersonId, PublicKey,
    SealKey,
};
use crate::index::key::IndexKey;
use crate::journal::{Act, Outcome};
use crate::limits::SILENCE;
use crate::member::User;
use crate::statement::{Body, Signed};
use crate::terms::Terms;
use crate::text::Line;
use crate::time::Timestamp;
use crate::{codec, wire};

mod fault;
mod holder;
pub mod kind;
mod notice;
mod orders;
mod replies;
mod requester;
#[cfg(test)]
mod tests;
mod transfer;

pub use self::fault::Fault;
pub use self::notice::{NoticeCase, Telling};
pub use self::orders::{Case, Fact, Filed, Load, Prepared, Save};

/// The two members of an exchange, as one of them sees it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Inside which federation.
    pub federation: FederationId,
    /// This node's member.
    pub me: OdsCode,
    /// Its node key.
    pub key: KeyPair,
    /// What opens things sealed to it.
    pub seal: Arc<SealSecret>,
    /// The other member.
    pub peer: OdsCode,
    /// The other's node key.
    pub peer_key: PublicKey,
    /// What things for the other are sealed to.
    pub peer_seal: SealKey,
    /// What flows between them, as this node computes it.
    pub terms: Terms,
    /// The largest plaintext this node shows or takes, in bytes.
    pub max_bundle: u64,
}

/// The person an exchange is about, as one side knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// In this node's store.
    pub person: PersonId,
    /// What the other's bundle must be about.
    pub key: IndexKey,
    /// In this node's journal.
    pub commitment: Commitment,
}

/// What a requester sets out to ask.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A fresh random id.
    pub exchange: ExchangeId,
    /// The match of the handle.
    pub match_id: MatchId,
    /// The peer's name for the person.
    pub handle: Handle,
    /// The person.
    pub subject: Subject,
    /// What for.
    pub purpose: Purpose,
    /// What is wanted; empty means all that flows.
    pub categories: BTreeSet<Category>,
    /// Why; an emergency needs it.
    pub reason: Option<Line>,
    /// Who asks.
    pub user: User,
}

/// How an exchange ended. Whatever went wrong, what is said here did happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// The exchange, once it is known.
    pub exchange: Option<ExchangeId>,
    /// What the holder replied.
    pub reply: Option<Reply>,
    /// What the holder left out of its reply because its operator stopped showing it.
    pub stopped: BTreeSet<Category>,
    /// The terms the holder replied under, if they are not those the requester knew.
    pub other_terms: Option<Hash>,
    /// Records received and filed, of each category.
    pub received: Vec<(Category, u32)>,
    /// Whether what was received is in quarantine.
    pub quarantined: bool,
    /// Records shown, of each category.
    pub shown: Vec<(Category, u32)>,
    /// Whether the other side acknowledged what was shown.
    pub acknowledged: bool,
    /// What went wrong, if anything.
    pub fault: Option<Fault>,
}

/// What both sides know of an exchange once the request stands.
#[derive(Debug, Clone)]
struct About {
    exchange: ExchangeId,
    request: Hash,
    match_id: MatchId,
    handle: Handle,
    purpose: Purpose,
    subject: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Requester,
    Holder,
    Teller,
    Hearer,
}

enum State {
    Ready(Box<Plan>),
    Asked(About),
    Listening,
    Casing(Box<Casing>),
    Preparing(Box<Preparing>),
    Showing(Box<Showing>),
    AwaitReceipt(About, Hash),
    AwaitReturn(About),
    Telling(Box<Telling>),
    Told(Box<Told>),
    Noticed(Box<Noticed>),
    Taking(Box<Taking>),
    Examining(Box<Examining>),
    Over,
}

/// One exchange, as one side runs it.
pub struct Ask {
    pair: Pair,
    role: Role,
    state: State,
    ended: Ended,
    account: Option<Account>,
    deadline: Option<Timestamp>,
}

type Out = Vec<Output<Ask>>;

/// A transition: the next state and what it orders, or what went wrong.
type Step = Result<(State, Out), Fault>;

impl Ask {
    /// A requester about to ask.
    pub fn requester(pair: Pair, plan: Plan) -> Self {
        Self::new(pair, Role::Requester, State::Ready(Box::new(plan)))
    }

    /// A holder about to be asked, or told.
    pub fn holder(pair: Pair) -> Self {
        Self::new(pair, Role::Holder, State::Listening)
    }

    fn new(pair: Pair, role: Role, state: State) -> Self {
        Self {
            pair,
            role,
            state,
            ended: Ended::default(),
            account: None,
            deadline: None,
        }
    }

    fn step(
        &mut self,
        state: State,
        input: Input<Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match (state, input) {
            (_, Input::Lost) => Err(Fault::Lost),
            (_, Input::DeadlinePassed) => Err(Fault::Silent),
            (State::Ready(plan), Input::Opened) => self.ask(*plan, now, rng),
            (State::Telling(telling), Input::Opened) => self.tell(*telling, now),
            (state @ State::Listening, Input::Opened) => Ok((state, vec![])),
            (state, Input::Received(frame)) => {
                let (kind, message) = wire::open(&frame);
                self.received(state, kind, message, now, rng)
            }
            (State::Noticed(noticed), Input::Loaded(Fact::Notice(case))) => {
                self.take_notice(*noticed, case, now)
            }
            (State::Casing(casing), Input::Loaded(Fact::Case(case))) => {
                self.decide(*casing, case, now)
            }
            (State::Preparing(preparing), Input::Loaded(Fact::Prepared(prepared, stopped))) => {
                self.prepared(*preparing, (prepared, stopped), now, rng)
            }
            (State::Showing(showing), Input::Loaded(Fact::Chunk(chunk))) => {
                self.show_chunk(*showing, chunk)
            }
            (State::Showing(showing), Input::Loaded(Fact::Stopped)) => {
                self.break_off(&showing, (RefusalCode::Stopped, Fault::Stopped), now)
            }
            (State::Showing(showing), Input::Loaded(Fact::Narrowed)) => {
                self.break_off(&showing, (RefusalCode::OutsideOffer, Fault::Narrowed), now)
            }
            (State::Examining(examining), Input::Loaded(Fact::Examined(ours))) => {
                self.examined(*examining, ours, now)
            }
            (_, Input::Opened | Input::Loaded(_)) => Err(Fault::Ours),
        }
    }

    fn received(
        &mut self,
        state: State,
        kind: u8,
        message: &[u8],
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match (state, kind) {
            (_, wire::UNSUPPORTED) => Err(Fault::Unsupported),
            (State::Listening, kind::REQUEST) => self.asked(message, now),
            (State::Listening, kind::NOTICE) => self.noticed(message, now),
            (State::Told(told), kind::GO_ON) => self.go_on(*told, rng),
            (State::Told(told), kind::RECEIPT) => self.told_before(*told, message),
            (State::Told(told), kind::ANSWER) => self.not_taken(*told, message),
            (State::Asked(about), kind::ANSWER) => self.answered(about, message, false),
            (State::AwaitReturn(about), kind::ANSWER) => self.answered(about, message, true),
            (State::Taking(taking), kind::ANSWER) => self.broken_off(taking.about(), message),
            (State::Taking(taking), kind::KEY) => self.take_key(*taking, message),
            (State::Taking(taking), kind::CHUNK) => self.take_chunk(*taking, message),
            (State::Taking(taking), kind::COMMITMENT) => self.take_commitment(*taking, message),
            (State::AwaitReceipt(about, shown), kind::RECEIPT) => {
                self.receipt(about, shown, message)
            }
            _ => Err(Fault::OutOfOrder(kind)),
        }
    }

    /// Ends the exchange with a fault, and says in the journal what did not come.
    fn fail(&mut self, about: Option<(ExchangeId, Commitment)>, fault: Fault) -> Out {
        let mut out = Out::new();
        if let Fault::OutOfOrder(kind) = fault {
            out.push(Output::Send(wire::frame(wire::UNSUPPORTED, &kind)));
        }
        match about {
            Some((exchange, person)) => out.push(Output::Record(Act::AnswerHeard {
                exchange,
                peer: self.pair.peer.clone(),
                person,
                answer: None,
                outcome: Outcome::Failed(fault.to_string()),
            })),
            // A line that was only opened asked for nothing; whoever opens many fills no journal.
            None if matches!(fault, Fault::Lost | Fault::Silent) => {}
            None if self.ended.exchange.is_none() => out.push(Output::Record(Act::Refused {
                peer: Some(self.pair.peer.clone()),
                what: fault.to_string(),
            })),
            None => {}
        }
        self.ended.fault = Some(fault);
        out.extend(self.account(Stage::Over));
        out.push(Output::Close(std::mem::take(&mut self.ended)));
        out
    }

    /// The order to keep what this exchange leaves for the account; none once it is over there.
    fn account(&mut self, stage: Stage) -> Option<Output<Self>> {
        let account = match stage {
            Stage::Open => self.account.clone(),
            Stage::Over => self.account.take(),
        };
        let keep = |account: Account| Save::Account(stage, Box::new(account.entry()));
        account.map(keep).map(Output::Save)
    }

    fn close(&mut self) -> Output<Self> {
        Output::Close(std::mem::take(&mut self.ended))
    }
}

/// Whom and what a state waits to hear about, for the journal if it never comes.
fn awaited(state: &State) -> Option<(ExchangeId, Commitment)> {
    let about = match state {
        State::Asked(about) | State::AwaitReturn(about) | State::AwaitReceipt(about, _) => about,
        State::Taking(taking) => taking.about(),
        State::Showing(showing) => showing.about(),
        State::Told(told) => &told.about,
        _ => return None,
    };
    Some((about.exchange, about.subject.commitment))
}

fn keep<T: Body>(exchange: ExchangeId, kind: u8, statement: &Signed<T>) -> Output<Ask> {
    Output::Save(Save::Statement {
        exchange,
        kind,
        hash: statement.hash(),
        bytes: codec::encode(statement),
    })
}

impl Conversation for Ask {
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
        let state = std::mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return vec![];
        }
        let awaited = awaited(&state);
        match self.step(state, input, now, rng) {
            Ok((state, out)) => {
                // What the node is to load it loads; only the peer can keep us waiting.
                let waits = !matches!(
                    state,
                    State::Casing(_)
                        | State::Noticed(_)
                        | State::Preparing(_)
                        | State::Examining(_)
                        | State::Over
                );
                self.deadline = waits.then(|| now + SILENCE);
                self.state = state;
                out
            }
            Err(fault) => {
                self.deadline = None;
                self.fail(awaited, fault)
            }
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
