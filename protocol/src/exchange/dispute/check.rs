//! Whether a dispute holds, by what the file itself has.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::stated::{Said, Stated};
use super::{Complaint, Dispute, FORMAT, Lack};
use crate::charter;
use crate::crypto::sign::KeyPair;
use crate::exchange::answer::{Reply, Verdict};
use crate::exchange::reconcile::said::Proposal;
use crate::ids::{ExchangeId, FederationId, Hash, OdsCode, RoundId};
use crate::ledger::chain::Pair;
use crate::ledger::keys::Keys;
use crate::limits::CLOCK_SKEW;
use crate::roster::{Statements, Welcome};
use crate::statement::{self, Signed};
use crate::time::Timestamp;

/// What a check found, if the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The federation: to be compared with what is known from elsewhere.
    pub federation: FederationId,
    /// Its name, as the charter has it.
    pub name: String,
    /// Who complains.
    pub by: OdsCode,
    /// Of whom.
    pub against: OdsCode,
    /// When.
    pub at: Timestamp,
    /// About which exchange.
    pub exchange: ExchangeId,
    /// The round it belongs to; none if somebody was asked about.
    pub round: Option<RoundId>,
    /// What the complainant lacks.
    pub lack: Lack,
    /// The other's bundle, as far as the statements go.
    pub theirs: Bundle,
    /// The complainant's.
    pub ours: Bundle,
    /// Every statement.
    pub said: Vec<Said>,
}

/// How far a bundle came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Hash of the signed commitment of whoever showed it.
    pub committed: Option<Hash>,
    /// Bytes, padding included, as committed to.
    pub size: u64,
    /// Whoever it was shown to signed that it holds the ciphertext.
    pub held: bool,
    /// Whoever it was shown to signed what it found in it.
    pub opened: Option<Verdict>,
}

/// Why a dispute does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Another kind of file.
    #[error("not a dispute")]
    Format,
    /// The charter does not count.
    #[error("the charter does not count: {0}")]
    Charter(#[from] charter::Refusal),
    /// The complaint does not count.
    #[error("the complaint does not count: {0}")]
    Complaint(statement::Error),
    /// A complaint of oneself, of another federation, or of a time to come.
    #[error(
        "the complaint is not one between two members of this federation, or is of a time to come"
    )]
    Unfit,
    /// A statement does not count.
    #[error("a {label} does not count: {error}")]
    Statement {
        /// What it is.
        label: &'static str,
        /// Why.
        error: statement::Error,
    },
    /// A statement is of another exchange, or between others.
    #[error("a {0} belongs to another exchange, or to other members")]
    Unrelated(&'static str),
    /// A member said two things where there can be one.
    #[error("{by} made two statements where there can be one: {label}")]
    Twice {
        /// Who.
        by: OdsCode,
        /// What they are.
        label: &'static str,
    },
    /// The statements do not show what is complained of.
    #[error("the complaint is `{claimed}`; the statements show `{shown}`")]
    Lack {
        /// What is complained of.
        claimed: Lack,
        /// What the statements come to.
        shown: Lack,
    },
}

impl Dispute {
    /// A complaint about an exchange by the first of a pair, of whatever these statements show it
    /// to lack. `unreadable` says that the key came and opens no bundle.
    ///
    /// # Errors
    /// If one of the statements does not belong here.
    pub fn complain(
        (statements, pair): (&Statements, &Pair),
        exchange: ExchangeId,
        said: Vec<Stated>,
        unreadable: bool,
        (key, now): (&KeyPair, Timestamp),
    ) -> Result<Self, Bad> {
        let found = Found::of(pair, exchange, &said)?;
        let lack = match found.lack() {
            Lack::Key if unreadable => Lack::Readable,
            lack => lack,
        };
        let complaint = Complaint {
            federation: pair.federation,
            exchange,
            from: pair.me.clone(),
            to: pair.peer.clone(),
            lack,
            about: found.theirs.committed,
            at: now,
        };
        Ok(Self {
            format: FORMAT.to_owned(),
            complaint: Signed::sign(&complaint, key),
            roster: Welcome::of(statements),
            statements: said,
        })
    }

    /// Checks every signature, that all belongs together, and that the statements show what is
    /// complained of.
    ///
    /// # Errors
    /// What does not hold first.
    pub fn check(&self, now: Timestamp) -> Result<Checked, Bad> {
        if self.format != FORMAT {
            return Err(Bad::Format);
        }
        let (statements, _) = self.roster.clone().open(now)?;
        let complaint = self.complaint.peek().map_err(Bad::Complaint)?;
        let pair = Pair::of_members(&statements, &complaint.from, &complaint.to);
        if !pair.my_keys.contains(self.complaint.signer()) {
            return Err(Bad::Complaint(statement::Error::OtherSigner));
        }
        let complaint = self
            .complaint
            .verify(self.complaint.signer())
            .map_err(Bad::Complaint)?;
        let fits = complaint.federation == pair.federation && complaint.from != complaint.to;
        if !fits || complaint.at > now + CLOCK_SKEW {
            return Err(Bad::Unfit);
        }
        let found = Found::of(&pair, complaint.exchange, &self.statements)?;
        found.is_lacking(&complaint)?;
        Ok(Checked {
            federation: pair.federation,
            name: statements.charter().name.to_string(),
            by: complaint.from,
            against: complaint.to,
            at: complaint.at,
            exchange: complaint.exchange,
            round: found.proposal.map(|(_, proposal)| proposal.round),
            lack: complaint.lack,
            theirs: found.theirs,
            ours: found.ours,
            said: found.said,
        })
    }
}

/// What the statements of a dispute come to.
struct Found<'a> {
    pair: &'a Pair,
    exchange: ExchangeId,
    proposal: Option<(Hash, Proposal)>,
    asked: bool,
    answered: Option<Reply>,
    theirs: Bundle,
    ours: Bundle,
    said: Vec<Said>,
    seen: BTreeSet<(OdsCode, &'static str)>,
}

impl<'a> Found<'a> {
    fn of(pair: &'a Pair, exchange: ExchangeId, statements: &[Stated]) -> Result<Self, Bad> {
        let mut found = Self {
            pair,
            exchange,
            proposal: None,
            asked: false,
            answered: None,
            theirs: Bundle::default(),
            ours: Bundle::default(),
            said: Vec::new(),
            seen: BTreeSet::new(),
        };
        // Commitments and proposals first: others name them.
        for stated in statements {
            found.named(stated)?;
        }
        for stated in statements {
            found.naming(stated)?;
        }
        Ok(found)
    }

    fn keys(&self, code: &OdsCode) -> Option<&'a Keys> {
        let pair = self.pair;
        match code {
            code if *code == pair.me => Some(&pair.my_keys),
            code if *code == pair.peer => Some(&pair.peer_keys),
            _ => None,
        }
    }

    /// Takes one statement down, if it is between the two and its signer may say it once.
    fn take<T: statement::Body>(
        &mut self,
        signed: &Signed<T>,
        between: impl Fn(&T) -> (&OdsCode, &OdsCode, Option<Timestamp>),
        once: bool,
    ) -> Result<(T, OdsCode), Bad> {
        let label = T::LABEL;
        let bad = |error| Bad::Statement { label, error };
        let body = signed.peek().map_err(bad)?;
        let (from, to, at) = between(&body);
        let signer = signed.signer();
        if !self.keys(from).is_some_and(|keys| keys.contains(signer)) {
            return Err(bad(statement::Error::OtherSigner));
        }
        signed.verify(signer).map_err(bad)?;
        if from == to || self.keys(to).is_none() {
            return Err(Bad::Unrelated(label));
        }
        let by = from.clone();
        if !self.seen.insert((by.clone(), label)) && once {
            return Err(Bad::Twice { by, label });
        }
        self.said.push(Said {
            by: by.clone(),
            what: label.to_owned(),
            at,
            statement: signed.hash(),
        });
        Ok((body, by))
    }

    fn related(&self, label: &'static str, is: bool) -> Result<(), Bad> {
        is.then_some(()).ok_or(Bad::Unrelated(label))
    }

    /// The bundle of one of the two, and the other's word on it.
    fn bundle(&mut self, of: &OdsCode) -> &mut Bundle {
        match *of == self.pair.me {
            true => &mut self.ours,
            false => &mut self.theirs,
        }
    }

    /// Statements that name no other.
    fn named(&mut self, stated: &Stated) -> Result<(), Bad> {
        let label = stated.label();
        match stated {
            Stated::Request(signed) => {
                let (body, by) =
                    self.take(signed, |it| (&it.from, &it.to, Some(it.issued)), true)?;
                self.related(label, body.exchange == self.exchange)?;
                self.asked |= by == self.pair.me;
            }
            Stated::Notice(signed) => {
                let (body, _) =
                    self.take(signed, |it| (&it.from, &it.to, Some(it.issued)), false)?;
                self.related(label, body.exchange == self.exchange)?;
            }
            Stated::Proposal(signed) => {
                let (body, _) = self.take(signed, |it| (&it.from, &it.to, Some(it.at)), true)?;
                self.related(label, self.proposal.is_none())?;
                self.proposal = Some((signed.hash(), body));
            }
            Stated::Commitment(signed) => {
                let (body, by) = self.take(signed, |it| (&it.from, &it.to, None), true)?;
                self.related(label, body.exchange == self.exchange)?;
                let bundle = self.bundle(&by);
                bundle.committed = Some(signed.hash());
                bundle.size = body.size;
            }
            _ => {}
        }
        Ok(())
    }

    /// Statements that name those before.
    fn naming(&mut self, stated: &Stated) -> Result<(), Bad> {
        let label = stated.label();
        let round = self.proposal.as_ref().map(|(_, proposal)| proposal.round);
        match stated {
            Stated::Answer(signed) => {
                let (body, by) = self.take(signed, |it| (&it.from, &it.to, Some(it.at)), true)?;
                self.related(label, body.exchange == self.exchange)?;
                if by == self.pair.peer {
                    self.answered = Some(body.reply);
                }
            }
            Stated::Receipt(signed) => {
                let (body, _) = self.take(signed, |it| (&it.from, &it.to, Some(it.at)), true)?;
                let of = self.bundle(&body.to);
                let is = of.committed == Some(body.commitment);
                of.opened = Some(body.verdict);
                self.related(label, is && body.exchange == self.exchange)?;
            }
            Stated::Agreement(signed) => {
                let (body, _) = self.take(signed, |it| (&it.from, &it.to, None), true)?;
                let proposal = self.proposal.as_ref();
                let is = proposal.is_some_and(|(hash, _)| *hash == body.proposal);
                self.related(label, is)?;
            }
            Stated::Held(signed) => {
                let (body, _) = self.take(signed, |it| (&it.from, &it.to, None), false)?;
                let of = self.bundle(&body.to);
                let is = of
                    .committed
                    .is_some_and(|hash| body.bundles.contains(&hash));
                of.held |= is;
                self.related(label, is && round == Some(body.round))?;
            }
            Stated::Receipts(signed) => {
                let (body, _) = self.take(signed, |it| (&it.from, &it.to, Some(it.at)), false)?;
                let of = self.bundle(&body.to);
                let mut found = body.bundles.iter();
                let found = found.find(|(hash, _)| of.committed == Some(*hash));
                let verdict = found.map(|(_, verdict)| *verdict);
                of.opened = verdict.or(of.opened);
                self.related(label, verdict.is_some() && round == Some(body.round))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What the complainant lacks, as far as the statements go.
    fn lack(&self) -> Lack {
        let (theirs, ours) = (&self.theirs, &self.ours);
        match (theirs.committed, theirs.opened) {
            (Some(_), None) if theirs.held => Lack::Key,
            (Some(_), None) => Lack::Bundle,
            (None, _) if self.answered == Some(Reply::Delivered) => Lack::Bundle,
            (None, _) if self.asked && self.answered.is_none() => Lack::Answer,
            _ if ours.committed.is_some() && ours.opened.is_none() => Lack::Receipt,
            _ => Lack::Nothing,
        }
    }

    fn is_lacking(&self, complaint: &Complaint) -> Result<(), Bad> {
        let (claimed, shown) = (complaint.lack, self.lack());
        // That a key opens nothing is the complainant's word, as that none came is.
        let fits = claimed == shown || (claimed, shown) == (Lack::Readable, Lack::Key);
        if !fits {
            return Err(Bad::Lack { claimed, shown });
        }
        let about = complaint.about == self.theirs.committed;
        about.then_some(()).ok_or(Bad::Unfit)
    }
}
