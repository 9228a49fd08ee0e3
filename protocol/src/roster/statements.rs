//! The set of statements a node holds. It only grows, and every statement in it was verified.
//!
//! A statement is *founded* when it can be judged: a charter by the one before it, a steward statement
//! by the charter it names, a self
//! statement by statements already held (the organisation key some steward statement names, the
//! node key some organisation statement names). Being founded never ends, so the set that
//! [`Statements::gather`] makes of given statements does not depend on their order. Whether a
//! statement *counts* is the roster's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::charters::Charters;
use super::decision::StewardStatement;
use super::own::{SelfStatement, Signer};
use super::{Member, Refusal, walk};
use crate::charter::{self, Charter, Version};
use crate::codec;
use crate::crypto::hash;
use crate::ids::{Digest, FederationId, Hash, OdsCode, PublicKey};
use crate::limits::MAX_VERSION;
use crate::statement::{CoSigned, Signed};

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
    pub(super) charters: Charters,
    /// The first steward of the first charter: where later charters are filed.
    founder: OdsCode,
    pub(super) books: BTreeMap<OdsCode, Arc<Book>>,
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
        let count = |book: &Arc<Book>| book.decisions.len() + book.own().count();
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
                book.own()
                    .filter(move |((_, role, ..), _)| *role == signer)
                    .map(|(_, said)| Statement::Own(said.signed.clone()))
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
            decisions.chain(book.own().map(|((.., hash), _)| *hash))
        });
        filed.into_iter().flatten().chain(spoken)
    }

    /// The highest `u` this key of a member used under `n`, whether or not the sequence is unbroken;
    /// 0 if none.
    pub fn last_u(&self, code: &OdsCode, n: u32, by: (Signer, PublicKey)) -> u32 {
        let book = self.books.get(code).into_iter();
        let used = book.flat_map(|book| book.by(n, by, 0..=u32::MAX));
        used.map(|(u, ..)| u).max().unwrap_or(0)
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
