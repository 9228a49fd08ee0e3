//! What only the requester does: ask, and show in return.

use std::collections::BTreeSet;

use rand_core::CryptoRng;

use super::holder::Preparing;
use super::{About, Ask, Fault, Load, Plan, Save, State, Step, keep, kind};
use crate::category::Category;
use crate::codec;
use crate::conversation::Output;
use crate::crypto::seal;
use crate::exchange::account::{Account, Stage};
use crate::exchange::answer::Reply;
use crate::exchange::request::{Request, VALID};
use crate::exchange::review::{Review, Side};
use crate::journal::{Act, Outcome};
use crate::statement::Signed;
use crate::time::Timestamp;
use crate::wire;

impl Ask {
    pub(super) fn ask(&mut self, plan: Plan, now: Timestamp, rng: &mut dyn CryptoRng) -> Step {
        let context = Request::user_context(&plan.exchange, &self.pair.peer);
        let user = codec::encode(&plan.user);
        let user = seal::seal_to(&self.pair.peer_seal, &context, &user, rng)
            .map_err(|_| Fault::Unfit("the peer's seal key is not usable"))?;
        let request = Request {
            federation: self.pair.federation,
            exchange: plan.exchange,
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            match_id: plan.match_id,
            handle: plan.handle,
            purpose: plan.purpose,
            categories: plan.categories,
            reason: plan.reason,
            issued: now,
            expires: now + VALID,
            user,
            terms: self.pair.terms.hash(),
        };
        let (me, peer, wanted) = (&self.pair.me, &self.pair.peer, &request.categories);
        let scope = self.pair.terms.grant(peer, me, request.purpose, wanted);
        let scope = scope.unwrap_or_else(|_| wanted.clone());
        let body = request;
        let review = Review::of(&body, Side::Asked, &plan.user, Some(&plan.subject), now);
        let review = review.map(|review| Output::Save(Save::Review(Box::new(review))));
        let request = Signed::sign(&body, &self.pair.key);
        self.account = Some(Account::asked(&body, request.hash(), scope));
        let mut out = vec![keep(plan.exchange, kind::REQUEST, &request)];
        out.extend(self.account(Stage::Open));
        out.extend(review);
        out.extend([
            Output::Record(Act::Asked {
                exchange: plan.exchange,
                peer: self.pair.peer.clone(),
                purpose: plan.purpose,
                user: plan.user,
                person: plan.subject.commitment,
                request: request.hash(),
            }),
            Output::Send(wire::frame(kind::REQUEST, &request)),
        ]);
        self.ended.exchange = Some(plan.exchange);
        let about = About {
            exchange: plan.exchange,
            request: request.hash(),
            match_id: plan.match_id,
            handle: plan.handle,
            purpose: plan.purpose,
            subject: plan.subject,
        };
        Ok((State::Asked(about), out))
    }

    /// The answer is in: our own bundle about the same person follows, if anything flows that way.
    pub(super) fn begin_return(&mut self, about: About) -> Result<(State, super::Out), Fault> {
        let terms = &self.pair.terms;
        let categories = if terms.shows_in_return(&self.pair.me) {
            terms.flows(&self.pair.me, &self.pair.peer, about.purpose)
        } else {
            BTreeSet::new()
        };
        let load = Load::Prepare {
            subject: about.subject,
            categories,
            purpose: about.purpose,
            in_return: true,
        };
        let preparing = Preparing { about, asker: None };
        Ok((
            State::Preparing(Box::new(preparing)),
            vec![Output::Load(load)],
        ))
    }

    /// There is nothing to show in return: say so, and the exchange is over.
    pub(super) fn return_nothing(
        &mut self,
        about: &About,
        stopped: BTreeSet<Category>,
        now: Timestamp,
    ) -> Step {
        let nothing = (Reply::NothingToShow, stopped);
        let (answer, keep) = self.reply(about.exchange, about.request, nothing, now);
        let mut out = vec![keep];
        out.extend(self.account(Stage::Over));
        out.extend([
            Output::Record(Act::Returned {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                purpose: about.purpose,
                person: about.subject.commitment,
                answer: answer.hash(),
                outcome: Outcome::NothingToShow,
            }),
            Output::Send(wire::frame(kind::ANSWER, &answer)),
            self.close(),
        ]);
        Ok((State::Over, out))
    }
}
