//! Showing a bundle and taking one: the same for both roles.

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{About, Ask, Fault, Filed, Load, Pair, Role, Save, State, Step, keep, kind};
use crate::category::Category;
use crate::codec::{self, Bytes, Roomy};
use crate::conversation::Output;
use crate::crypto::stream::StreamKey;
use crate::exchange::account::Stage;
use crate::exchange::answer::{Answer, Receipt, RefusalCode, Reply, Verdict};
use crate::exchange::bundle::stream::{Arriving, Opening, Sealing, Unreadable};
use crate::exchange::bundle::{self, Manifest, Root, Shown};
use crate::ids::{Hash, OdsCode};
use crate::journal::{Act, Outcome};
use crate::limits::{MAX_BULK_FRAME, MAX_FRAME};
use crate::statement::Signed;
use crate::time::Timestamp;
use crate::wire;

/// Opens the bundle that follows.
#[derive(Serialize, Deserialize)]
struct Key {
    key: StreamKey,
    /// Bytes of plaintext, padding included.
    size: u64,
}

fn context(pair: &Pair, about: &About, from: &OdsCode, to: &OdsCode) -> Hash {
    bundle::context(
        &pair.federation,
        &about.exchange,
        from,
        to,
        &about.match_id,
        &about.handle,
    )
}

/// A bundle of ours on its way.
pub(super) struct Showing {
    about: About,
    counts: Vec<(Category, u32)>,
    sealing: Sealing,
    key: Hash,
}

impl Showing {
    pub(super) fn start(
        pair: &Pair,
        about: About,
        counts: Vec<(Category, u32)>,
        length: u64,
        rng: &mut dyn CryptoRng,
    ) -> (Self, super::Out) {
        let key = StreamKey::generate(rng);
        let context = context(pair, &about, &pair.me, &pair.peer);
        let sealing = Sealing::new(&key, context, length);
        let size = sealing.size();
        let showing = Self {
            key: key.commit(&about.exchange),
            sealing,
            counts,
            about,
        };
        let opens = Key { key, size };
        let out = vec![
            Output::Send(wire::frame(kind::KEY, &opens)),
            Output::Load(Load::Chunk),
        ];
        (showing, out)
    }

    pub(super) const fn about(&self) -> &About {
        &self.about
    }
}

/// A bundle of the peer's on its way.
pub(super) struct Taking {
    about: About,
    stream: Option<Incoming>,
}

struct Incoming {
    arriving: Arriving,
    opening: Opening,
    key: Hash,
}

impl Taking {
    pub(super) const fn new(about: About) -> Self {
        Self {
            about,
            stream: None,
        }
    }

    pub(super) const fn about(&self) -> &About {
        &self.about
    }
}

/// A bundle that came whole, and may yet be about somebody else.
pub(super) struct Examining {
    about: About,
    manifest: Manifest,
    shown: Signed<Shown>,
}

impl Ask {
    /// What is on its way is not to be shown any more: the other side is told so, in writing, in
    /// place of the rest. A notice is only broken off; it waits.
    pub(super) fn break_off(
        &mut self,
        showing: &Showing,
        (code, fault): (RefusalCode, Fault),
        now: Timestamp,
    ) -> Step {
        if !matches!(self.role, Role::Holder | Role::Requester) {
            return Err(fault);
        }
        let about = &showing.about;
        let reply = Reply::Refused(code);
        let said = (reply, BTreeSet::new());
        let (answer, kept) = self.reply(about.exchange, about.request, said, now);
        if self.role == Role::Holder {
            self.ended.reply = Some(reply);
        }
        self.ended.fault = Some(fault);
        let mut out = vec![kept];
        out.extend(self.account(Stage::Over));
        out.extend([
            Output::Record(Act::BrokenOff {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                person: about.subject.commitment,
                answer: answer.hash(),
            }),
            Output::Send(wire::frame(kind::ANSWER, &answer)),
            self.close(),
        ]);
        Ok((State::Over, out))
    }

    /// The peer breaks off what it began to show. Nothing else may be said in place of the rest.
    pub(super) fn broken_off(&mut self, about: &About, message: &[u8]) -> Step {
        let (_, answer): (_, Answer) = self.theirs(message)?;
        if !matches!(self.role, Role::Holder | Role::Requester)
            || !matches!(
                answer.reply,
                Reply::Refused(RefusalCode::Stopped | RefusalCode::OutsideOffer)
            )
        {
            return Err(Fault::OutOfOrder(kind::ANSWER));
        }
        self.answered(about.clone(), message, self.role == Role::Holder)
    }

    pub(super) fn show_chunk(&mut self, mut showing: Showing, plain: Roomy) -> Step {
        let (sealed, last) = showing.sealing.seal(plain).ok_or(Fault::Ours)?;
        let chunk = sealed.into_message(&(kind::CHUNK, Bytes::default()));
        let mut out = vec![Output::Send(chunk)];
        if !last {
            out.push(Output::Load(Load::Chunk));
            return Ok((State::Showing(Box::new(showing)), out));
        }
        let Showing {
            about,
            counts,
            sealing,
            key,
        } = showing;
        let shown = Shown {
            federation: self.pair.federation,
            exchange: about.exchange,
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            match_id: about.match_id,
            handle: about.handle,
            root: sealing.root(),
            key,
            size: sealing.size(),
        };
        let shown = Signed::sign(&shown, &self.pair.key);
        self.ended.shown.clone_from(&counts);
        out.push(keep(about.exchange, kind::COMMITMENT, &shown));
        out.push(Output::Save(Save::Shown {
            subject: about.subject,
            counts: counts.clone(),
            commitment: shown.hash(),
        }));
        if let Some(account) = &mut self.account {
            account.shown(self.role == Role::Requester, shown.hash(), &counts);
        }
        out.extend(self.account(Stage::Open));
        out.push(Output::Record(Act::Shown {
            exchange: about.exchange,
            peer: self.pair.peer.clone(),
            person: about.subject.commitment,
            commitment: shown.hash(),
            counts,
        }));
        out.push(Output::Send(wire::frame(kind::COMMITMENT, &shown)));
        Ok((State::AwaitReceipt(about, shown.hash()), out))
    }

    pub(super) fn take_key(&mut self, mut taking: Taking, message: &[u8]) -> Step {
        let Key { key, size } = codec::decode(message, MAX_FRAME)?;
        if taking.stream.is_some() {
            return Err(Fault::OutOfOrder(kind::KEY));
        }
        if size > bundle::padded(self.pair.max_bundle) {
            return Err(Fault::TooLarge);
        }
        let context = context(&self.pair, &taking.about, &self.pair.peer, &self.pair.me);
        taking.stream = Some(Incoming {
            arriving: Arriving::new(size, Root::default(), 0),
            opening: Opening::new(&key, context, size),
            key: key.commit(&taking.about.exchange),
        });
        Ok((State::Taking(Box::new(taking)), vec![]))
    }

    pub(super) fn take_chunk(&mut self, mut taking: Taking, message: &[u8]) -> Step {
        let Bytes(mut sealed) = codec::decode(message, MAX_BULK_FRAME)?;
        let stream = taking.stream.as_mut();
        let stream = stream.ok_or(Fault::OutOfOrder(kind::CHUNK))?;
        stream.arriving.push(&sealed).ok_or(Unreadable::Sealed)?;
        stream.opening.open(&mut sealed)?;
        let out = vec![Output::Save(Save::Spool(sealed))];
        Ok((State::Taking(Box::new(taking)), out))
    }

    pub(super) fn take_commitment(&mut self, taking: Taking, message: &[u8]) -> Step {
        let Taking { about, stream } = taking;
        let stream = stream.ok_or(Fault::OutOfOrder(kind::COMMITMENT))?;
        let root = stream.arriving.root().ok_or(Unreadable::Sealed)?;
        let (shown, body): (_, Shown) = self.theirs(message)?;
        let expected = Shown {
            federation: self.pair.federation,
            exchange: about.exchange,
            from: self.pair.peer.clone(),
            to: self.pair.me.clone(),
            match_id: about.match_id,
            handle: about.handle,
            root,
            key: stream.key,
            size: stream.arriving.size(),
        };
        if body != expected {
            return Err(Fault::Unfit("a commitment to another bundle than was sent"));
        }
        let manifest = stream.opening.finish()?;
        if manifest.author != self.pair.peer {
            return Err(Fault::Unfit("a bundle in another member's name"));
        }
        let key = about.subject.key;
        let examining = Examining {
            about,
            manifest,
            shown,
        };
        let out = vec![Output::Load(Load::Examine(key))];
        Ok((State::Examining(Box::new(examining)), out))
    }

    /// The wrong-person check has been made: file or quarantine, and say which.
    pub(super) fn examined(&mut self, examining: Examining, ours: bool, now: Timestamp) -> Step {
        let Examining {
            about,
            manifest,
            shown,
        } = examining;
        let verdict = if ours && manifest.subject == about.subject.key {
            Verdict::Opened
        } else {
            Verdict::WrongPerson
        };
        let counts = manifest.counts();
        let receipt = Receipt {
            exchange: about.exchange,
            commitment: shown.hash(),
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            verdict,
            at: now,
        };
        let body = receipt;
        let receipt = Signed::sign(&body, &self.pair.key);
        let in_return = self.role == Role::Holder;
        if let Some(account) = &mut self.account {
            account.shown(in_return, shown.hash(), &counts);
            account.acknowledged(in_return, receipt.hash(), verdict);
        }
        let outcome = match verdict {
            Verdict::Opened => {
                self.ended.received.clone_from(&counts);
                Outcome::Delivered(counts)
            }
            Verdict::WrongPerson => {
                self.ended.quarantined = true;
                Outcome::WrongPerson
            }
        };
        let mut out = vec![
            Output::Save(Save::File(Box::new(Filed {
                exchange: about.exchange,
                from: self.pair.peer.clone(),
                person: about.subject.person,
                commitment: about.subject.commitment,
                purpose: about.purpose,
                at: now,
                in_return,
                manifest,
                verdict,
                shown: shown.hash(),
            }))),
            keep(about.exchange, kind::COMMITMENT, &shown),
            keep(about.exchange, kind::RECEIPT, &receipt),
        ];
        if self.role == Role::Hearer {
            out.push(Self::heard(&receipt, &body));
        }
        out.extend(self.account(match self.role {
            Role::Requester => Stage::Open,
            _ => Stage::Over,
        }));
        out.extend([
            Output::Record(Act::Received {
                exchange: about.exchange,
                peer: self.pair.peer.clone(),
                person: about.subject.commitment,
                commitment: shown.hash(),
                receipt: receipt.hash(),
                outcome,
            }),
            Output::Send(wire::frame(kind::RECEIPT, &receipt)),
        ]);
        if self.role != Role::Requester {
            out.push(self.close());
            return Ok((State::Over, out));
        }
        // Whoever showed us somebody else may have the wrong person under this handle: nothing of
        // ours follows.
        let (state, more) = match verdict {
            Verdict::Opened => self.begin_return(about)?,
            Verdict::WrongPerson => self.return_nothing(&about, BTreeSet::new(), now)?,
        };
        out.extend(more);
        Ok((state, out))
    }
}
