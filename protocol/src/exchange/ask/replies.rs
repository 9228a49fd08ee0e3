//! Replies and receipts: the same for both roles.

use std::collections::BTreeSet;

use super::transfer::Taking;
use super::{About, Ask, Fault, Role, State, Step, keep, kind};
use crate::category::Category;
use crate::codec;
use crate::conversation::Output;
use crate::exchange::account::Stage;
use crate::exchange::answer::{Answer, Receipt, Reply, Verdict};
use crate::ids::{ExchangeId, Hash};
use crate::journal::{Act, Outcome};
use crate::limits::MAX_FRAME;
use crate::statement::{Body, Signed};
use crate::time::Timestamp;

impl Ask {
    /// A reply of ours, signed, with the order to keep it.
    pub(super) fn reply(
        &mut self,
        exchange: ExchangeId,
        request: Hash,
        (reply, stopped): (Reply, BTreeSet<Category>),
        now: Timestamp,
    ) -> (Signed<Answer>, Output<Self>) {
        let answer = Answer {
            exchange,
            request,
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            in_return: self.role == Role::Requester,
            reply,
            stopped,
            terms: self.pair.terms.hash(),
            at: now,
        };
        let in_return = answer.in_return;
        let answer = Signed::sign(&answer, &self.pair.key);
        if let Some(account) = &mut self.account {
            account.replied(in_return, reply, answer.hash(), now);
        }
        let keep = keep(exchange, kind::ANSWER, &answer);
        (answer, keep)
    }

    /// A statement of the peer's, verified.
    pub(super) fn theirs<T: Body>(&self, message: &[u8]) -> Result<(Signed<T>, T), Fault> {
        let signed: Signed<T> = codec::decode(message, MAX_FRAME)?;
        let body = signed.verify(&self.pair.peer_key)?;
        Ok((signed, body))
    }

    /// The peer's reply: to our request, or in return for our answer.
    pub(super) fn answered(&mut self, about: About, message: &[u8], in_return: bool) -> Step {
        let (signed, answer): (_, Answer) = self.theirs(message)?;
        let fits = answer.exchange == about.exchange
            && answer.request == about.request
            && answer.from == self.pair.peer
            && answer.to == self.pair.me
            && answer.in_return == in_return;
        if !fits {
            return Err(Fault::Unfit("an answer to another request"));
        }
        if !in_return {
            self.ended.reply = Some(answer.reply);
            self.ended.stopped = answer.stopped;
            self.ended.other_terms =
                (answer.terms != self.pair.terms.hash()).then_some(answer.terms);
        }
        let outcome = match answer.reply {
            // What was delivered is recorded when it has been received and checked.
            Reply::Delivered => Outcome::Delivered(vec![]),
            Reply::NothingToShow => Outcome::NothingToShow,
            Reply::Refused(code) => Outcome::Refused(code.to_string()),
            Reply::Deferred(until) => Outcome::Refused(format!("deferred until {until}")),
        };
        if let Some(account) = &mut self.account {
            account.replied(in_return, answer.reply, signed.hash(), answer.at);
        }
        let mut out = vec![
            keep(about.exchange, kind::ANSWER, &signed),
            Output::Record(Act::AnswerHeard {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                person: about.subject.commitment,
                answer: Some(signed.hash()),
                outcome,
            }),
        ];
        match (answer.reply, self.role) {
            (Reply::Delivered, _) => {
                out.extend(self.account(Stage::Open));
                Ok((State::Taking(Box::new(Taking::new(about))), out))
            }
            (Reply::NothingToShow, Role::Requester) => {
                let (state, more) = self.begin_return(about)?;
                out.extend(self.account(Stage::Open));
                out.extend(more);
                Ok((state, out))
            }
            _ => {
                out.extend(self.account(Stage::Over));
                out.push(self.close());
                Ok((State::Over, out))
            }
        }
    }

    /// The peer's receipt for what we showed.
    pub(super) fn receipt(&mut self, about: About, shown: Hash, message: &[u8]) -> Step {
        let (signed, receipt): (_, Receipt) = self.theirs(message)?;
        let fits = receipt.exchange == about.exchange
            && receipt.commitment == shown
            && receipt.from == self.pair.peer
            && receipt.to == self.pair.me;
        if !fits {
            return Err(Fault::Unfit("a receipt for another bundle"));
        }
        self.ended.acknowledged = true;
        if let Some(account) = &mut self.account {
            let in_return = self.role == Role::Requester;
            account.acknowledged(in_return, signed.hash(), receipt.verdict);
        }
        let mut out = vec![
            keep(about.exchange, kind::RECEIPT, &signed),
            Output::Record(Act::ReceiptHeard {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                receipt: signed.hash(),
                filed: receipt.verdict == Verdict::Opened,
            }),
        ];
        if self.role == Role::Holder {
            out.extend(self.account(Stage::Open));
            return Ok((State::AwaitReturn(about), out));
        }
        out.extend(self.account(Stage::Over));
        out.push(self.close());
        Ok((State::Over, out))
    }
}
