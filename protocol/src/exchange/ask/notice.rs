//! A notice: the same bundles and receipts, begun by whoever shows.

use rand_core::CryptoRng;

use super::transfer::{Showing, Taking};
use super::{About, Ask, Fault, Load, Role, Save, State, Step, Subject, keep, kind};
use crate::category::{Category, Purpose};
use crate::conversation::Output;
use crate::exchange::answer::{Answer, Receipt, RefusalCode, Reply, Verdict};
use crate::exchange::notice::{Notice, VALID};
use crate::ids::{ExchangeId, Handle, Hash, MatchId};
use crate::journal::{Act, Outcome};
use crate::limits::CLOCK_SKEW;
use crate::statement::Signed;
use crate::time::Timestamp;
use crate::wire;

/// What a member sets out to tell; the bundle is ready to be read.
#[derive(Debug, Clone)]
pub struct Telling {
    /// A random id: the same for every try to tell the same.
    pub exchange: ExchangeId,
    /// The match of the handle.
    pub match_id: MatchId,
    /// The peer's name for the person.
    pub handle: Handle,
    /// The person.
    pub subject: Subject,
    /// Records of each category in it.
    pub counts: Vec<(Category, u32)>,
    /// Bytes of plaintext.
    pub length: u64,
    /// Hash of the commitment under which it left before, if it did.
    pub before: Option<Hash>,
}

/// A notice that left, and that the other side has not said anything to.
pub(super) struct Told {
    pub(super) about: About,
    counts: Vec<(Category, u32)>,
    length: u64,
    before: Option<Hash>,
}

/// A notice that came.
pub(super) struct Noticed {
    signed: Signed<Notice>,
    notice: Notice,
}

/// What is known here of a notice's exchange and handle.
#[derive(Debug)]
pub struct NoticeCase {
    /// The person, if the handle is of a link both sides proved.
    pub subject: Option<Subject>,
    /// The receipt given before for the bundle that came with it.
    pub earlier: Option<Signed<Receipt>>,
}

impl Ask {
    /// A member about to tell.
    pub fn teller(pair: super::Pair, telling: Telling) -> Self {
        Self::new(pair, Role::Teller, State::Telling(Box::new(telling)))
    }

    pub(super) fn tell(&mut self, telling: Telling, now: Timestamp) -> Step {
        if telling.length > self.pair.max_bundle {
            return Err(Fault::TooLarge);
        }
        let notice = Notice {
            federation: self.pair.federation,
            exchange: telling.exchange,
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            match_id: telling.match_id,
            handle: telling.handle,
            issued: now,
            expires: now + VALID,
        };
        let signed = Signed::sign(&notice, &self.pair.key);
        self.ended.exchange = Some(telling.exchange);
        let about = About {
            exchange: telling.exchange,
            request: signed.hash(),
            match_id: telling.match_id,
            handle: telling.handle,
            purpose: Purpose::Care,
            subject: telling.subject,
        };
        let out = vec![
            keep(about.exchange, kind::NOTICE, &signed),
            Output::Record(Act::Told {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                person: about.subject.commitment,
                notice: signed.hash(),
            }),
            Output::Send(wire::frame(kind::NOTICE, &signed)),
        ];
        let told = Told {
            about,
            counts: telling.counts,
            length: telling.length,
            before: telling.before,
        };
        Ok((State::Told(Box::new(told)), out))
    }

    /// The other side takes it: the bundle follows.
    pub(super) fn go_on(&mut self, told: Told, rng: &mut dyn CryptoRng) -> Step {
        let (showing, out) = Showing::start(&self.pair, told.about, told.counts, told.length, rng);
        Ok((State::Showing(Box::new(showing)), out))
    }

    /// The other side has it already.
    pub(super) fn told_before(&mut self, told: Told, message: &[u8]) -> Step {
        let before = told.before;
        let before = before.ok_or(Fault::Unfit("a receipt for a bundle that never left"))?;
        self.receipt(told.about, before, message)
    }

    /// The other side does not take it.
    pub(super) fn not_taken(&mut self, told: Told, message: &[u8]) -> Step {
        let (signed, answer): (_, Answer) = self.theirs(message)?;
        let about = told.about;
        let fits = answer.exchange == about.exchange
            && answer.request == about.request
            && (&answer.from, &answer.to) == (&self.pair.peer, &self.pair.me)
            && !answer.in_return;
        let Reply::Refused(code) = answer.reply else {
            return Err(Fault::Unfit("an answer to a notice that is no refusal"));
        };
        if !fits {
            return Err(Fault::Unfit("an answer to another notice"));
        }
        self.ended.reply = Some(answer.reply);
        let out = vec![
            keep(about.exchange, kind::ANSWER, &signed),
            Output::Record(Act::AnswerHeard {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                person: about.subject.commitment,
                answer: Some(signed.hash()),
                outcome: Outcome::Refused(code.to_string()),
            }),
            self.close(),
        ];
        Ok((State::Over, out))
    }

    /// A notice came.
    pub(super) fn noticed(&mut self, message: &[u8], now: Timestamp) -> Step {
        let (signed, notice): (_, Notice) = self.theirs(message)?;
        if notice.federation != self.pair.federation {
            return Err(Fault::Unfit("a notice of another federation"));
        }
        if notice.from != self.pair.peer || notice.to != self.pair.me {
            return Err(Fault::Unfit("a notice between other members"));
        }
        if notice.issued > now + CLOCK_SKEW || notice.expires > notice.issued + VALID {
            return Err(Fault::Unfit(
                "a notice dated ahead of time, or valid too long",
            ));
        }
        if notice.expires < now {
            return Err(Fault::Unfit("a notice that has expired"));
        }
        self.ended.exchange = Some(notice.exchange);
        let load = Load::Notice {
            exchange: notice.exchange,
            match_id: notice.match_id,
            handle: notice.handle,
        };
        let noticed = Noticed { signed, notice };
        Ok((State::Noticed(Box::new(noticed)), vec![Output::Load(load)]))
    }

    /// What is known of the notice is here: take the bundle, say that it came before, or refuse.
    pub(super) fn take_notice(
        &mut self,
        noticed: Noticed,
        case: NoticeCase,
        now: Timestamp,
    ) -> Step {
        let Noticed { signed, notice } = noticed;
        if let Some(receipt) = case.earlier {
            // Only to whoever it was given to: another may have learnt the exchange's id.
            let body = receipt.verify(&self.pair.key.public());
            if body.is_ok_and(|body| body.to == self.pair.peer) {
                let out = vec![
                    Output::Send(wire::frame(kind::RECEIPT, &receipt)),
                    self.close(),
                ];
                return Ok((State::Over, out));
            }
            return Err(Fault::Unfit("another's exchange id"));
        }
        let kept = keep(notice.exchange, kind::NOTICE, &signed);
        let Some(subject) = case.subject else {
            let reply = Reply::Refused(RefusalCode::NotLinked);
            let (answer, keeping) = self.reply(
                notice.exchange,
                signed.hash(),
                (reply, Default::default()),
                now,
            );
            let out = vec![
                kept,
                keeping,
                Output::Record(Act::Refused {
                    peer: Some(self.pair.peer.clone()),
                    what: "a notice about nobody linked here".to_owned(),
                }),
                Output::Send(wire::frame(kind::ANSWER, &answer)),
                self.close(),
            ];
            return Ok((State::Over, out));
        };
        let about = About {
            exchange: notice.exchange,
            request: signed.hash(),
            match_id: notice.match_id,
            handle: notice.handle,
            purpose: Purpose::Care,
            subject,
        };
        self.role = Role::Hearer;
        let out = vec![kept, Output::Send(wire::frame(kind::GO_ON, &()))];
        Ok((State::Taking(Box::new(Taking::new(about))), out))
    }

    /// What was told is filed, and its receipt kept, so that it is given again when asked again.
    pub(super) fn heard(receipt: &Signed<Receipt>, body: &Receipt) -> Output<Self> {
        Output::Save(Save::Heard {
            exchange: body.exchange,
            receipt: receipt.clone(),
            opened: body.verdict == Verdict::Opened,
        })
    }
}
