//! How a statement comes to be held: it is founded, it is signed, and there is room for it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::book::{Book, Decided, Said};
use super::decision::{NOTHING, StewardStatement};
use super::own::{SelfStatement, Signer};
use super::statements::{Statement, Statements};
use super::{Inserted, Refusal};
use crate::charter::Version;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{
    CLOCK_SKEW, MAX_DECISIONS, MAX_MEMBERS, MAX_NODE_STATEMENTS, MAX_ORGANISATION_STATEMENTS,
    MAX_RIVALS, MAX_SELF_STATEMENTS,
};
use crate::statement::{self, CoSigned, Signed};
use crate::time::Timestamp;

/// A statement on its way into the set.
///
/// Its signatures are verified when it is taken, or before: that is nearly all the time it takes,
/// needs nothing but the statement, and can so be done for many at once.
#[derive(Debug, Clone)]
pub struct Incoming {
    statement: Statement,
    verified: bool,
}

impl From<Statement> for Incoming {
    fn from(statement: Statement) -> Self {
        Self {
            statement,
            verified: false,
        }
    }
}

impl Incoming {
    /// A statement whose signatures hold, whoever's they are.
    ///
    /// # Errors
    /// If one does not, or the bytes are no such statement.
    pub fn verified(statement: Statement) -> Result<Self, statement::Error> {
        match &statement {
            Statement::Steward(signed) => drop(signed.verify()?),
            Statement::Own(signed) => drop(signed.verify(signed.signer())?),
            Statement::Charter(version) => drop(version.charter.verify()?),
        }
        Ok(Self {
            statement,
            verified: true,
        })
    }

    /// The statement's name.
    pub fn hash(&self) -> Hash {
        self.statement.hash()
    }
}

impl Statements {
    /// Verifies a statement and adds it.
    ///
    /// # Errors
    /// Why it is not taken; the set is then unchanged. [`Refusal::Unfounded`] and
    /// [`Refusal::Ahead`] may pass with time.
    pub fn insert(
        &mut self,
        statement: impl Into<Incoming>,
        now: Timestamp,
    ) -> Result<Inserted, Refusal> {
        self.take(&statement.into(), now)
    }

    /// Adds all it can of `statements`, in whatever order they come, and says how many were new and
    /// why each of the rest was not taken.
    pub fn gather<S: Into<Incoming>>(
        &mut self,
        statements: impl IntoIterator<Item = S>,
        now: Timestamp,
    ) -> (usize, Vec<(Hash, Refusal)>) {
        let mut waiting: Vec<Incoming> = statements.into_iter().map(Into::into).collect();
        let (mut new, mut refused) = (0, Vec::new());
        loop {
            let before = waiting.len();
            let mut unfounded = Vec::new();
            for incoming in waiting {
                match self.take(&incoming, now) {
                    Ok(Inserted::New) => new += 1,
                    Ok(Inserted::Known) => {}
                    Err(Refusal::Unfounded | Refusal::OtherCharter) => unfounded.push(incoming),
                    Err(refusal) => refused.push((incoming.hash(), refusal)),
                }
            }
            waiting = unfounded;
            // Each pass that takes something may found another; a pass that takes nothing ends it.
            if waiting.len() == before {
                break;
            }
        }
        let unfounded = waiting.iter().map(|incoming| incoming.hash());
        refused.extend(unfounded.map(|hash| (hash, Refusal::Unfounded)));
        (new, refused)
    }

    fn take(&mut self, incoming: &Incoming, now: Timestamp) -> Result<Inserted, Refusal> {
        let verified = incoming.verified;
        match &incoming.statement {
            Statement::Steward(signed) => self.insert_decision(signed, verified, now),
            Statement::Own(signed) => self.insert_own(signed, verified, now),
            Statement::Charter(version) => self.insert_charter(version, verified),
        }
    }

    fn insert_charter(&mut self, version: &Version, verified: bool) -> Result<Inserted, Refusal> {
        let before = self.charters.current().clone();
        let inserted = self.charters.insert(version, verified)?;
        if *self.charters.current() != before {
            for book in self.books.values_mut() {
                Arc::make_mut(book).walked = OnceLock::new();
            }
        }
        Ok(inserted)
    }

    fn insert_decision(
        &mut self,
        signed: &CoSigned<StewardStatement>,
        verified: bool,
        now: Timestamp,
    ) -> Result<Inserted, Refusal> {
        let body = signed.peek()?;
        let hash = signed.hash();
        let key = (body.n, hash);
        let book = self.books.get(&body.about);
        if book.is_some_and(|book| book.decisions.contains_key(&key)) {
            return Ok(Inserted::Known);
        }
        self.dated(body.federation, body.at, now)?;
        let charter = self.charters.get(&body.charter);
        let charter = charter.ok_or(Refusal::OtherCharter)?;
        if !(1..=MAX_DECISIONS).contains(&body.n) || (body.n == 1) != (body.previous == NOTHING) {
            return Err(Refusal::Number);
        }
        let decision = body.decision()?;
        let rivals = book.map_or(0, |book| {
            let same = book.decisions.range((body.n, NOTHING)..);
            same.take_while(|((n, _), _)| *n == body.n).count()
        });
        let another = book.is_none() && self.books.len() >= MAX_MEMBERS;
        if rivals >= MAX_RIVALS || another {
            return Err(Refusal::Full);
        }
        charter.enough(&signers(signed, verified)?)?;
        let book = self.changing(body.about);
        let decided = Decided {
            signed: signed.clone(),
            charter: body.charter,
            previous: body.previous,
            at: body.at,
            decision,
        };
        book.decisions.insert(key, decided);
        Ok(Inserted::New)
    }

    fn insert_own(
        &mut self,
        signed: &Signed<SelfStatement>,
        verified: bool,
        now: Timestamp,
    ) -> Result<Inserted, Refusal> {
        let body = signed.peek()?;
        let signer = *signed.signer();
        let hash = signed.hash();
        self.dated(body.federation, body.at, now)?;
        let book = self.books.get(&body.member).ok_or(Refusal::Unfounded)?;
        let claim = body.claim()?;
        let (n, role, u) = (body.n, claim.signer(), body.u);
        if book.said.contains_key(&(n, role, signer, u, hash)) {
            return Ok(Inserted::Known);
        }
        let (founded, highest) = match role {
            Signer::Organisation => (
                book.names_organisation(n, &signer),
                MAX_ORGANISATION_STATEMENTS,
            ),
            Signer::Node => (book.names_node(n, &signer), MAX_NODE_STATEMENTS),
        };
        if !founded {
            return Err(Refusal::Unfounded);
        }
        if !(1..=highest).contains(&u) {
            return Err(Refusal::Number);
        }
        if !verified {
            signed.verify(&signer)?;
        }
        // Two different statements prove the contest; of more, the two with the smallest hashes
        // are kept, so that it does not matter which came first.
        let rivals = book.by(n, (role, signer), u..=u).map(|(_, hash, _)| hash);
        let evicted = match rivals.collect::<Vec<Hash>>()[..] {
            [_, largest] if hash > largest => return Ok(Inserted::Known),
            [_, largest] => Some(largest),
            _ => None,
        };
        let full = |book: &Book| {
            let under = book.said.keys().filter(|place| place.0 == n);
            evicted.is_none() && under.count() >= MAX_SELF_STATEMENTS
        };
        if full(book) {
            let book = self.changing(body.member.clone());
            book.forget(n);
            if full(book) {
                return Err(Refusal::Full);
            }
        }
        let book = self.changing(body.member);
        if let Some(largest) = evicted {
            book.said.remove(&(n, role, signer, u, largest));
        }
        let said = Said {
            signed: signed.clone(),
            claim,
        };
        book.said.insert((n, role, signer, u, hash), said);
        Ok(Inserted::New)
    }

    fn changing(&mut self, code: OdsCode) -> &mut Book {
        let book = Arc::make_mut(self.books.entry(code).or_default());
        book.walked = OnceLock::new();
        book
    }

    fn dated(&self, of: FederationId, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if of != self.federation() {
            return Err(Refusal::OtherFederation);
        }
        if at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead(at));
        }
        Ok(())
    }
}

/// Who signed, once it is certain that they did.
pub(super) fn signers<T: statement::Body>(
    signed: &CoSigned<T>,
    verified: bool,
) -> Result<BTreeSet<PublicKey>, statement::Error> {
    if verified {
        return Ok(signed.claimed().collect());
    }
    Ok(signed.verify()?.1)
}
