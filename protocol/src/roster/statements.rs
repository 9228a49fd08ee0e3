//! The set of statements a node holds. It only grows, and every statement in it was verified.
//!
//! A statement is *founded* when it can be judged: a charter by the one before it, a steward statement
//! by the charter it names, a self
//! statement by statements already held (the organisation key some steward statement names, the
//! node key some organisation statement names). Being founded never ends, so the set that
//! [`Statements::gather`] makes of given statements does not depend on their order. Whether a
//! statement *counts* is the roster's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::book::{Book, Decided, Said};
use super::charters::Charters;
use super::decision::{NOTHING, StewardStatement};
use super::own::{SelfStatement, Signer};
use super::{Inserted, Member, Refusal, walk};
use crate::charter::{self, Charter, Version};
use crate::codec;
use crate::crypto::hash;
use crate::ids::{Digest, FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{
    CLOCK_SKEW, MAX_DECISIONS, MAX_MEMBERS, MAX_NODE_STATEMENTS, MAX_ORGANISATION_STATEMENTS,
    MAX_RIVALS, MAX_SELF_STATEMENTS, MAX_VERSION,
};
use crate::statement::{CoSigned, Signed};
use crate::time::Timestamp;

/// A statement the roster is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// By stewards.
    Steward(CoSigned<StewardStatement>),
    /// By a member, of itself.
    Own(Signed<SelfStatement>),
    /// By stewards: a later version of the charter.
    Charter(Version),
}

impl Statement {
    /// The statement's name.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Steward(statement) => statement.hash(),
            Self::Own(statement) => statement.hash(),
            Self::Charter(version) => version.hash(),
        }
    }

    /// Whom it concerns and its kind in a word, for the journal; a charter, its first steward.
    ///
    /// # Errors
    /// If it is malformed or of an unknown kind.
    pub fn about(&self) -> Result<(OdsCode, &'static str), Refusal> {
        match self {
            Self::Steward(statement) => {
                let body = statement.peek()?;
                let kind = body.decision()?.kind().word();
                Ok((body.about, kind))
            }
            Self::Own(statement) => {
                let body = statement.peek()?;
                let kind = body.claim()?.word();
                Ok((body.member, kind))
            }
            Self::Charter(version) => {
                let mut stewards = version.check()?.stewards.into_keys();
                let none = charter::Refusal::Stewards(0);
                Ok((stewards.next().ok_or(none)?, "charter"))
            }
        }
    }
}

/// All statements a node holds, with the charter they stand under. Copies are cheap.
#[derive(Debug, Clone)]
pub struct Statements {
    charters: Charters,
    /// The first steward of the first charter: where later charters are filed.
    founder: OdsCode,
    books: BTreeMap<OdsCode, Arc<Book>>,
}

impl Statements {
    /// The empty set under this charter.
    ///
    /// # Errors
    /// If the charter does not count.
    pub fn new(charter: CoSigned<Charter>) -> Result<Self, charter::Refusal> {
        let charters = Charters::new(charter)?;
        let mut stewards = charters.current().charter().stewards.keys();
        let founder = stewards.next().cloned();
        Ok(Self {
            founder: founder.ok_or(charter::Refusal::Stewards(0))?,
            charters,
            books: BTreeMap::new(),
        })
    }

    /// The federation.
    pub const fn federation(&self) -> FederationId {
        self.charters.federation()
    }

    /// The versions of the charter.
    pub const fn charters(&self) -> &Charters {
        &self.charters
    }

    /// The current charter.
    pub fn charter(&self) -> &Charter {
        self.charters.current().charter()
    }

    /// The first charter as signed.
    pub fn signed_charter(&self) -> &CoSigned<Charter> {
        self.charters.first()
    }

    /// What a decision made now must name: the federation and the charter version.
    pub const fn under(&self) -> (FederationId, Hash) {
        (self.federation(), self.charters.current().hash())
    }

    /// Verifies a statement and adds it.
    ///
    /// # Errors
    /// Why it is not taken; the set is then unchanged. [`Refusal::Unfounded`] and
    /// [`Refusal::Ahead`] may pass with time.
    pub fn insert(&mut self, statement: Statement, now: Timestamp) -> Result<Inserted, Refusal> {
        match statement {
            Statement::Steward(signed) => self.insert_decision(signed, now),
            Statement::Own(signed) => self.insert_own(signed, now),
            Statement::Charter(version) => self.insert_charter(version),
        }
    }

    /// Adds all it can of `statements`, in whatever order they come, and says how many were new and
    /// why each of the rest was not taken.
    pub fn gather(
        &mut self,
        statements: impl IntoIterator<Item = Statement>,
        now: Timestamp,
    ) -> (usize, Vec<(Hash, Refusal)>) {
        let mut waiting: Vec<_> = statements.into_iter().collect();
        let (mut new, mut refused) = (0, Vec::new());
        loop {
            let before = waiting.len();
            let mut unfounded = Vec::new();
            for statement in waiting {
                match self.insert(statement.clone(), now) {
                    Ok(Inserted::New) => new += 1,
                    Ok(Inserted::Known) => {}
                    Err(Refusal::Unfounded | Refusal::OtherCharter) => unfounded.push(statement),
                    Err(refusal) => refused.push((statement.hash(), refusal)),
                }
            }
            waiting = unfounded;
            // Each pass that takes something may found another; a pass that takes nothing ends it.
            if waiting.len() == before {
                break;
            }
        }
        refused.extend(waiting.iter().map(|s| (s.hash(), Refusal::Unfounded)));
        (new, refused)
    }

    fn insert_charter(&mut self, version: Version) -> Result<Inserted, Refusal> {
        let before = self.charters.current().clone();
        let inserted = self.charters.insert(version)?;
        if *self.charters.current() != before {
            for book in self.books.values_mut() {
                Arc::make_mut(book).walked = OnceLock::new();
            }
        }
        Ok(inserted)
    }

    fn insert_decision(
        &mut self,
        signed: CoSigned<StewardStatement>,
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
        if !self.charters.holds(&body.charter) {
            return Err(Refusal::OtherCharter);
        }
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
        let (_, signers) = signed.verify()?;
        let charter = self.charters.get(&body.charter);
        let charter = charter.ok_or(Refusal::OtherCharter)?;
        charter.enough(&signers)?;
        let book = self.changing(body.about);
        let decided = Decided {
            signed,
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
        signed: Signed<SelfStatement>,
        now: Timestamp,
    ) -> Result<Inserted, Refusal> {
        let body = signed.peek()?;
        let signer = *signed.signer();
        let hash = signed.hash();
        self.dated(body.federation, body.at, now)?;
        let book = self.books.get(&body.member).ok_or(Refusal::Unfounded)?;
        if book.own.contains_key(&(body.n, signer, body.u, hash)) {
            return Ok(Inserted::Known);
        }
        let claim = body.claim()?;
        let (founded, highest) = match claim.signer() {
            Signer::Organisation => (
                book.names_organisation(body.n, &signer),
                MAX_ORGANISATION_STATEMENTS,
            ),
            Signer::Node => (book.names_node(body.n, &signer), MAX_NODE_STATEMENTS),
        };
        if !founded {
            return Err(Refusal::Unfounded);
        }
        if !(1..=highest).contains(&body.u) {
            return Err(Refusal::Number);
        }
        signed.verify(&signer)?;
        // Two different statements prove the contest; of more, the two with the smallest hashes
        // are kept, so that it does not matter which came first.
        let rivals: Vec<Hash> = book.said(body.n, signer, body.u).collect();
        let evicted = match rivals[..] {
            [_, largest] if hash > largest => return Ok(Inserted::Known),
            [_, largest] => Some(largest),
            _ => None,
        };
        let under = |key: &&(u32, PublicKey, u32, Hash)| key.0 == body.n;
        if evicted.is_none() && book.own.keys().filter(under).count() >= MAX_SELF_STATEMENTS {
            return Err(Refusal::Full);
        }
        let (n, u) = (body.n, body.u);
        let book = self.changing(body.member);
        if let Some(largest) = evicted {
            book.own.remove(&(n, signer, u, largest));
        }
        book.own
            .insert((n, signer, u, hash), Said { signed, claim });
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

    /// The members about whom anything is held, in the order of their codes, and where later
    /// charters are filed.
    pub fn codes(&self) -> impl Iterator<Item = &OdsCode> {
        let filed = self.charters.hashes().next().map(|_| &self.founder);
        let codes: BTreeSet<_> = self.books.keys().chain(filed).collect();
        codes.into_iter()
    }

    /// Everyone ever admitted, each as the statements about it alone make it.
    pub(super) fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        let current = self.charters.current();
        self.books.iter().filter_map(move |(code, book)| {
            let walk = || walk::member(code, book, current).map(Arc::new);
            book.walked.get_or_init(walk).clone()
        })
    }

    /// How many statements are held.
    pub fn len(&self) -> usize {
        let count = |book: &Arc<Book>| book.decisions.len() + book.own.len();
        self.charters.hashes().count() + self.books.values().map(count).sum::<usize>()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held about one member, founding statements first: for the founder, with all later
    /// charters.
    pub fn about(&self, code: &OdsCode) -> impl Iterator<Item = Statement> {
        let filed = (*code == self.founder).then(|| self.charters.later());
        let charters = filed.into_iter().flatten().map(Statement::Charter);
        charters.chain(self.spoken(code))
    }

    fn spoken(&self, code: &OdsCode) -> impl Iterator<Item = Statement> {
        self.books.get(code).into_iter().flat_map(|book| {
            let decisions = book.decisions.values();
            let decisions = decisions.map(|held| Statement::Steward(held.signed.clone()));
            let by = |signer: Signer| {
                let said = book.own.values();
                said.filter(move |said| said.claim.signer() == signer)
                    .map(|said| Statement::Own(said.signed.clone()))
            };
            decisions
                .chain(by(Signer::Organisation))
                .chain(by(Signer::Node))
        })
    }

    /// All that is held, in an order in which each statement is founded by those before it.
    pub fn iter(&self) -> impl Iterator<Item = Statement> {
        let charters = self.charters.later().map(Statement::Charter);
        charters.chain(self.books.keys().flat_map(|code| self.spoken(code)))
    }

    /// A digest of what is held about one member: the same if and only if the statements are.
    pub fn digest(&self, code: &OdsCode) -> Digest {
        let hashes: BTreeSet<Hash> = self.hashes(code).collect();
        let hashes: Vec<&[u8]> = hashes.iter().map(|h| &h.as_bytes()[..]).collect();
        hash::parts("roster digest", &hashes).digest()
    }

    /// The hashes of what is held about one member.
    pub fn hashes(&self, code: &OdsCode) -> impl Iterator<Item = Hash> {
        let filed = (*code == self.founder).then(|| self.charters.hashes());
        let spoken = self.books.get(code).into_iter().flat_map(|book| {
            let decisions = book.decisions.keys().map(|(_, hash)| *hash);
            decisions.chain(book.own.keys().map(|(_, _, _, hash)| *hash))
        });
        filed.into_iter().flatten().chain(spoken)
    }

    /// The highest `u` this signer used under `n`, whether or not the sequence is unbroken; 0 if
    /// none.
    pub fn last_u(&self, code: &OdsCode, n: u32, signer: &PublicKey) -> u32 {
        let own = self.books.get(code).into_iter().flat_map(|b| b.own.keys());
        let used = own.filter(|key| (key.0, key.1) == (n, *signer));
        used.map(|key| key.2).max().unwrap_or(0)
    }
}

/// The most bytes one encoded statement may have, signatures included.
pub const MAX_ENCODED: usize = MAX_VERSION + 8 * 1024;

/// A statement of these bytes, as kept one by one in a store.
///
/// # Errors
/// If they are no statement.
pub fn decode(bytes: &[u8]) -> Result<Statement, codec::Error> {
    codec::decode(bytes, MAX_ENCODED)
}
