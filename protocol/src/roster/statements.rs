//! The set of statements a node holds. It only grows, and every statement in it was verified.
//!
//! A statement is *founded* when it can be judged: a steward statement by the charter alone, a self
//! statement by statements already held (the organisation key some steward statement names, the
//! node key some organisation statement names). Being founded never ends, so the set that
//! [`Statements::gather`] makes of given statements does not depend on their order. Whether a
//! statement *counts* is the roster's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::decision::{Decision, NOTHING, StewardStatement};
use super::own::{Claim, SelfStatement, Signer};
use super::{Inserted, Member, Refusal, walk};
use crate::charter::{self, Charter};
use crate::codec;
use crate::crypto::hash;
use crate::ids::{Digest, FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{
    CLOCK_SKEW, MAX_DECISIONS, MAX_MEMBERS, MAX_NODE_STATEMENTS, MAX_ORGANISATION_STATEMENTS,
    MAX_RIVALS, MAX_SELF_STATEMENTS, MAX_STATEMENT,
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
}

impl Statement {
    /// The statement's name.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Steward(statement) => statement.hash(),
            Self::Own(statement) => statement.hash(),
        }
    }

    /// Whom it concerns and its kind in a word, for the journal.
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
        }
    }
}

/// All statements a node holds, with the charter they stand under. Copies are cheap.
#[derive(Debug, Clone)]
pub struct Statements {
    signed: Arc<CoSigned<Charter>>,
    charter: Arc<Charter>,
    federation: FederationId,
    books: BTreeMap<OdsCode, Arc<Book>>,
}

/// What is held about one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) decisions: BTreeMap<(u32, Hash), Decided>,
    /// By what it hangs on, signer, `u`, and hash.
    pub(super) own: BTreeMap<(u32, PublicKey, u32, Hash), Said>,
    /// What they make of the member, once somebody asked. Forgotten when one is added.
    walked: OnceLock<Option<Arc<Member>>>,
}

#[derive(Debug, Clone)]
pub(super) struct Decided {
    signed: CoSigned<StewardStatement>,
    pub(super) previous: Hash,
    pub(super) at: Timestamp,
    pub(super) decision: Decision,
}

#[derive(Debug, Clone)]
pub(super) struct Said {
    signed: Signed<SelfStatement>,
    pub(super) claim: Claim,
}

impl Statements {
    /// The empty set under this charter.
    ///
    /// # Errors
    /// If the charter does not count.
    pub fn new(charter: CoSigned<Charter>) -> Result<Self, charter::Refusal> {
        Ok(Self {
            charter: Arc::new(Charter::verify(&charter)?),
            federation: Charter::federation(&charter),
            signed: Arc::new(charter),
            books: BTreeMap::new(),
        })
    }

    /// The federation.
    pub const fn federation(&self) -> FederationId {
        self.federation
    }

    /// The charter.
    pub fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The charter as signed.
    pub fn signed_charter(&self) -> &CoSigned<Charter> {
        &self.signed
    }

    /// What a statement made now must name: the federation and the charter version.
    pub fn under(&self) -> (FederationId, Hash) {
        (self.federation, self.signed.hash())
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
                    Err(Refusal::Unfounded) => unfounded.push(statement),
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
        if body.charter != self.signed.hash() {
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
        let given = self.charter.signed_by(&signers)?;
        if given < usize::from(self.charter.threshold) {
            return Err(Refusal::TooFewStewards {
                given,
                needed: self.charter.threshold,
            });
        }
        let book = self.changing(body.about);
        let decided = Decided {
            signed,
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
        if of != self.federation {
            return Err(Refusal::OtherFederation);
        }
        if at > now + CLOCK_SKEW {
            return Err(Refusal::Ahead(at));
        }
        Ok(())
    }

    /// The members about whom anything is held, in the order of their codes.
    pub fn codes(&self) -> impl Iterator<Item = &OdsCode> {
        self.books.keys()
    }

    /// Everyone ever admitted, each as the statements about it alone make it.
    pub(super) fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        self.books.iter().filter_map(|(code, book)| {
            let walk = || walk::member(code, book).map(Arc::new);
            book.walked.get_or_init(walk).clone()
        })
    }

    /// How many statements are held.
    pub fn len(&self) -> usize {
        let count = |book: &Arc<Book>| book.decisions.len() + book.own.len();
        self.books.values().map(count).sum()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// What is held about one member, founding statements first.
    pub fn about(&self, code: &OdsCode) -> impl Iterator<Item = Statement> {
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
        self.books.keys().flat_map(|code| self.about(code))
    }

    /// A digest of what is held about one member: the same if and only if the statements are.
    pub fn digest(&self, code: &OdsCode) -> Digest {
        let hashes: BTreeSet<Hash> = self.hashes(code).collect();
        let hashes: Vec<&[u8]> = hashes.iter().map(|h| &h.as_bytes()[..]).collect();
        hash::parts("roster digest", &hashes).digest()
    }

    /// The hashes of what is held about one member.
    pub fn hashes(&self, code: &OdsCode) -> impl Iterator<Item = Hash> {
        self.books.get(code).into_iter().flat_map(|book| {
            let decisions = book.decisions.keys().map(|(_, hash)| *hash);
            decisions.chain(book.own.keys().map(|(_, _, _, hash)| *hash))
        })
    }

    /// The highest `u` this signer used under `n`, whether or not the sequence is unbroken; 0 if
    /// none.
    pub fn last_u(&self, code: &OdsCode, n: u32, signer: &PublicKey) -> u32 {
        let own = self.books.get(code).into_iter().flat_map(|b| b.own.keys());
        let used = own.filter(|key| (key.0, key.1) == (n, *signer));
        used.map(|key| key.2).max().unwrap_or(0)
    }
}

impl Book {
    /// Whether stewards ever named `key` as the organisation key in force at the anchor `n`.
    fn names_organisation(&self, n: u32, key: &PublicKey) -> bool {
        let mut upto = self.decisions.iter().take_while(|((at, _), _)| *at <= n);
        let anchored = self
            .decisions
            .iter()
            .any(|((at, _), held)| *at == n && held.decision.kind().is_anchor());
        anchored && upto.any(|(_, held)| held.decision.organisation() == Some(*key))
    }

    /// Whether the organisation ever named `key` as its node key under `n`.
    fn names_node(&self, n: u32, key: &PublicKey) -> bool {
        let mut said = self.own.iter().filter(|((at, ..), _)| *at == n);
        said.any(|(_, said)| matches!(&said.claim, Claim::Node(keys) if keys.node == *key))
    }

    /// The hashes of what `signer` said with this `u` under `n`, smallest first.
    fn said(&self, n: u32, signer: PublicKey, u: u32) -> impl Iterator<Item = Hash> {
        let range = (n, signer, u, NOTHING)..=(n, signer, u, Hash::new([0xff; 32]));
        self.own.range(range).map(|((.., hash), _)| *hash)
    }
}

/// The most bytes one encoded statement may have, signatures included.
pub const MAX_ENCODED: usize = MAX_STATEMENT + 8 * 1024;

/// A statement of these bytes, as kept one by one in a store.
///
/// # Errors
/// If they are no statement.
pub fn decode(bytes: &[u8]) -> Result<Statement, codec::Error> {
    codec::decode(bytes, MAX_ENCODED)
}
