//! What the holder does: take a request, decide by its offer, answer at once.

use std::collections::BTreeSet;

use rand_core::CryptoRng;

use super::transfer::Showing;
use super::{About, Ask, Case, Fault, Load, Prepared, Role, Save, State, Step, keep, kind};
use crate::category::{Category, Purpose};
use crate::conversation::Output;
use crate::exchange::account::{Account, Stage};
use crate::exchange::answer::{RefusalCode, Reply};
use crate::exchange::request::{Request, VALID};
use crate::exchange::review::{Review, Side};
use crate::ids::Commitment;
use crate::journal::{Act, Outcome};
use crate::limits::{CLOCK_SKEW, MAX_FRAME};
use crate::member::User;
use crate::statement::Signed;
use crate::terms::Refusal;
use crate::time::Timestamp;
use crate::{codec, wire};

/// A request that holds, before anything is known of its person.
pub(super) struct Casing {
    signed: Signed<Request>,
    request: Request,
    user: User,
}

/// Waiting for a bundle of ours to be ready.
pub(super) struct Preparing {
    pub(super) about: About,
    /// Who asked; none if the bundle is in return for an answer.
    pub(super) asker: Option<User>,
}

impl Ask {
    pub(super) fn asked(&mut self, message: &[u8], now: Timestamp) -> Step {
        let (signed, request): (_, Request) = self.theirs(message)?;
        if request.federation != self.pair.federation {
            return Err(Fault::Unfit("a request of another federation"));
        }
        if request.from != self.pair.peer || request.to != self.pair.me {
            return Err(Fault::Unfit("a request between other members"));
        }
        if request.issued > now + CLOCK_SKEW || request.expires > request.issued + VALID {
            return Err(Fault::Unfit(
                "a request dated ahead of time, or valid too long",
            ));
        }
        if request.expires < now {
            return Err(Fault::Unfit("a request that has expired"));
        }
        let context = Request::user_context(&request.exchange, &self.pair.me);
        let user = self.pair.seal.open(&context, &request.user);
        let user = user.map_err(|_| Fault::Unfit("a user sealed to another"))?;
        let user: User = codec::decode(&user, MAX_FRAME)?;
        if !user.is_plain() {
            return Err(Fault::Unfit("a request without a user named in plain text"));
        }
        if request.purpose == Purpose::Emergency && request.reason.is_none() {
            return Err(Fault::Unfit("an emergency without a reason"));
        }
        self.ended.exchange = Some(request.exchange);
        let load = Load::Case {
            exchange: request.exchange,
            match_id: request.match_id,
            handle: request.handle,
        };
        let casing = Casing {
            signed,
            request,
            user,
        };
        Ok((State::Casing(Box::new(casing)), vec![Output::Load(load)]))
    }

    /// What is known of the request is here: decide, and open the review of an emergency, whatever
    /// the answer to it.
    pub(super) fn decide(&mut self, casing: Casing, case: Case, now: Timestamp) -> Step {
        if let Some((hash, answer)) = case.earlier {
            return self.repeat(hash == casing.signed.hash(), &answer);
        }
        let Casing { request, user, .. } = &casing;
        let review = Review::of(request, Side::Answered, user, case.subject.as_ref(), now);
        let review = review.map(|review| Output::Save(Save::Review(Box::new(review))));
        let (state, out) = self.judge(casing, &case, now)?;
        Ok((state, review.into_iter().chain(out).collect()))
    }

    /// The decision: by the link and the offers; by the operator's stop when a bundle is to
    /// be made; and by nothing else.
    fn judge(&mut self, casing: Casing, case: &Case, now: Timestamp) -> Step {
        let request = &casing.request;
        let Some(subject) = case.subject else {
            return self.refuse(&casing, None, RefusalCode::NotLinked, now);
        };
        let person = Some(subject.commitment);
        let (me, peer) = (&self.pair.me, &self.pair.peer);
        let terms = &self.pair.terms;
        let categories = match terms.grant(me, peer, request.purpose, &request.categories) {
            _ if request.purpose == Purpose::SharedCare => {
                // The bulk lane has its own conversation.
                return self.refuse(&casing, person, RefusalCode::PurposeNotSupported, now);
            }
            Err(Refusal::PurposeNotSupported { .. }) => {
                return self.refuse(&casing, person, RefusalCode::PurposeNotSupported, now);
            }
            Err(_) => return self.refuse(&casing, person, RefusalCode::OutsideOffer, now),
            Ok(categories) => categories,
        };
        let (hash, scope) = (casing.signed.hash(), categories.clone());
        self.account = Some(Account::asked(request, hash, scope));
        let out = vec![
            keep(request.exchange, kind::REQUEST, &casing.signed),
            Output::Load(Load::Prepare {
                subject,
                categories,
                purpose: request.purpose,
                in_return: false,
            }),
        ];
        let about = About {
            exchange: request.exchange,
            request: casing.signed.hash(),
            match_id: request.match_id,
            handle: request.handle,
            purpose: request.purpose,
            subject,
        };
        let preparing = Preparing {
            about,
            asker: Some(casing.user),
        };
        Ok((State::Preparing(Box::new(preparing)), out))
    }

    /// An exchange id is executed once: the same request gets the same answer and no second bundle.
    fn repeat(&mut self, same: bool, answer: &Signed<crate::exchange::answer::Answer>) -> Step {
        if !same {
            return Err(Fault::Unfit(
                "another request under an exchange id used before",
            ));
        }
        let out = vec![
            Output::Send(wire::frame(kind::ANSWER, answer)),
            self.close(),
        ];
        Ok((State::Over, out))
    }

    fn refuse(
        &mut self,
        casing: &Casing,
        person: Option<Commitment>,
        code: RefusalCode,
        now: Timestamp,
    ) -> Step {
        let (exchange, request) = (casing.request.exchange, casing.signed.hash());
        let reply = Reply::Refused(code);
        let wanted = casing.request.categories.clone();
        self.account = Some(Account::asked(&casing.request, request, wanted));
        let (answer, kept) = self.reply(exchange, request, (reply, BTreeSet::new()), now);
        self.ended.reply = Some(reply);
        let mut out = vec![keep(exchange, kind::REQUEST, &casing.signed), kept];
        out.extend(self.account(Stage::Over));
        out.extend([
            Output::Save(Save::Executed {
                exchange,
                request,
                answer: answer.clone(),
            }),
            Output::Record(Act::Answered {
                exchange,
                peer: self.pair.peer.clone(),
                purpose: casing.request.purpose,
                user: casing.user.clone(),
                person,
                request,
                answer: answer.hash(),
                outcome: Outcome::Refused(code.to_string()),
                private: None,
            }),
            Output::Send(wire::frame(kind::ANSWER, &answer)),
            self.close(),
        ]);
        Ok((State::Over, out))
    }

    /// Our bundle is ready, or there is none: answer, and start to show.
    pub(super) fn prepared(
        &mut self,
        preparing: Preparing,
        (prepared, stopped): (Prepared, BTreeSet<Category>),
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        let Preparing { about, asker } = preparing;
        let (reply, private, ready) = match prepared {
            Prepared::Bundle { length, .. } if length > self.pair.max_bundle => {
                let why = "the bundle is larger than this node's limit".to_owned();
                (
                    Reply::Refused(RefusalCode::NotReasonablyAble),
                    Some(why),
                    None,
                )
            }
            Prepared::Bundle { counts, length } => (Reply::Delivered, None, Some((counts, length))),
            Prepared::Nothing(why) => (Reply::NothingToShow, Some(why), None),
            Prepared::Stopped => (Reply::Refused(RefusalCode::Stopped), None, None),
            Prepared::NotOffered => (Reply::Refused(RefusalCode::OutsideOffer), None, None),
            Prepared::Unavailable(why) => (
                Reply::Refused(RefusalCode::NotReasonablyAble),
                Some(why),
                None,
            ),
        };
        let refused = matches!(reply, Reply::Refused(_));
        let stopped = if refused { BTreeSet::new() } else { stopped };
        let by_stop = reply == Reply::Refused(RefusalCode::Stopped);
        if self.role == Role::Requester && ready.is_none() && !by_stop {
            return self.return_nothing(&about, stopped, now);
        }
        let said = (reply, stopped);
        let (answer, kept) = self.reply(about.exchange, about.request, said, now);
        let outcome = match (&ready, reply) {
            (Some((counts, _)), _) => Outcome::Delivered(counts.clone()),
            (None, Reply::Refused(code)) => Outcome::Refused(code.to_string()),
            (None, _) => Outcome::NothingToShow,
        };
        let mut out = vec![kept];
        let decided = match asker {
            Some(user) => {
                self.ended.reply = Some(reply);
                out.push(Output::Save(Save::Executed {
                    exchange: about.exchange,
                    request: about.request,
                    answer: answer.clone(),
                }));
                Output::Record(Act::Answered {
                    exchange: about.exchange,
                    peer: self.pair.peer.clone(),
                    purpose: about.purpose,
                    user,
                    person: Some(about.subject.commitment),
                    request: about.request,
                    answer: answer.hash(),
                    outcome,
                    private,
                })
            }
            None => Output::Record(Act::Returned {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                purpose: about.purpose,
                person: about.subject.commitment,
                answer: answer.hash(),
                outcome,
            }),
        };
        out.push(decided);
        out.extend(self.account(match reply {
            Reply::Delivered | Reply::NothingToShow => Stage::Open,
            Reply::Refused(_) | Reply::Deferred(_) => Stage::Over,
        }));
        out.push(Output::Send(wire::frame(kind::ANSWER, &answer)));
        if let Some((counts, length)) = ready {
            let (showing, more) = Showing::start(&self.pair, about, counts, length, rng);
            out.extend(more);
            return Ok((State::Showing(Box::new(showing)), out));
        }
        if reply == Reply::NothingToShow {
            return Ok((State::AwaitReturn(about), out));
        }
        out.push(self.close());
        Ok((State::Over, out))
    }
}
