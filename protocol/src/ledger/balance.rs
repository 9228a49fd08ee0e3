//! The balance of an area: what each pair of its members asked and showed, in counts.
//!
//! **Participants.** Members, each of which [exports](Export) all its ledgers, and anybody who
//! [merges](Merge) some of these into one [`Table`], without a node.
//!
//! **Goals.** Nothing in the table is anybody's word alone: every count is made from pages both sides
//! of a pair signed, each exchange once. An export is signed as a whole, so that whoever carries it
//! can leave nothing out; what two exports have of one chain must be one chain. What only one side's
//! chain has is counted apart.
//!
//! **Non-goals.** Patient data: an entry names no person. Completeness of the area: who did not
//! export is seen only through those who did, and the table says so. Prices, scores, or who owes whom.
//!
//! **Failure.** The first thing not in order ends the merge, by name. Two pages of one chain with one
//! number are evidence against their writer; so keep both files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::chain::Pair;
use super::export::{self, Followed, Link, Read};
use super::keys::Keys;
use super::page::Head;
use crate::crypto::hash;
use crate::crypto::sign::KeyPair;
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::CLOCK_SKEW;
use crate::roster::{Roster, Statements, Welcome};
use crate::statement::{self, Body, Signed};
use crate::time::{Period, Timestamp};
use crate::{charter, codec};

mod table;
#[cfg(test)]
mod tests;

pub use self::table::{Chain, Row, Showed, Table};

/// What a file of this kind begins with.
pub const FORMAT: &str = "fairshare balance 1";

/// All ledgers of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// [`FORMAT`].
    pub format: String,
    /// That these are all of them.
    pub stated: Signed<Stated>,
    /// The charter and all statements under it.
    pub roster: Welcome,
    /// The ledgers, by the other member.
    pub ledgers: Vec<Ledger>,
}

/// Both chains of a pair, as the member that exports holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The other member.
    pub with: OdsCode,
    /// The chain of whoever exports.
    pub ours: Vec<Link>,
    /// The other's chain.
    pub theirs: Vec<Link>,
}

/// A member's word on all its ledgers, signed by its node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Inside which federation.
    pub federation: FederationId,
    /// Who exports.
    pub by: OdsCode,
    /// When.
    pub at: Timestamp,
    /// Hash over every other member in it and where both chains stand.
    pub heads: Hash,
}

impl Body for Stated {
    const LABEL: &'static str = "balance";
}

/// Where the two chains with a member stand: the exporter's, and the other's.
pub type Heads = BTreeMap<OdsCode, (Head, Head)>;

impl Stated {
    /// A member's word that these are all its ledgers.
    pub fn new(federation: FederationId, by: OdsCode, at: Timestamp, heads: &Heads) -> Self {
        Self {
            federation,
            by,
            at,
            heads: hash::parts("balance heads", &[&codec::encode(heads)]),
        }
    }
}

impl Export {
    /// These ledgers, whose chains stand at `heads`, signed by the node.
    pub fn sign(stated: &Stated, roster: Welcome, ledgers: Vec<Ledger>, key: &KeyPair) -> Self {
        Self {
            format: FORMAT.to_owned(),
            stated: Signed::sign(stated, key),
            roster,
            ledgers,
        }
    }
}

/// Why exports do not come to a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Another kind of file.
    #[error("not an exported balance")]
    Format,
    /// The charter does not count.
    #[error("the charter does not count: {0}")]
    Charter(#[from] charter::Refusal),
    /// It is of another federation than those before, or than the one wanted.
    #[error("it is of another federation: {name} ({id})")]
    OtherFederation {
        /// What that one calls itself.
        name: String,
        /// Its id.
        id: FederationId,
    },
    /// The word on all its ledgers is not signed, or not by the node of its member.
    #[error("it is not signed by the node of {by}: {error}")]
    NotSigned {
        /// Whose export it says it is.
        by: OdsCode,
        /// Why.
        error: statement::Error,
    },
    /// It is signed under a key that the member has replaced.
    #[error("the export of {0} is signed by a key that is not its node's any more")]
    OldKey(OdsCode),
    /// It is of a time to come.
    #[error("the export of {0} is dated ahead of time")]
    Ahead(OdsCode),
    /// Ledgers or pages were left out, or others put in.
    #[error("what is in it is not all, or not only, what {0} signed for")]
    NotWhole(OdsCode),
    /// A ledger is not in order.
    #[error("the ledger of {by} with {with}: {bad}")]
    Ledger {
        /// Whose export it is in.
        by: OdsCode,
        /// The other member.
        with: OdsCode,
        /// What is wrong.
        bad: Box<export::Bad>,
    },
    /// Two exports have two pages of one chain with one number.
    #[error(
        "{writer} signed two pages {number} to {reader}, and the exports do not agree: {one} and \
         {other}"
    )]
    Fork {
        /// Who signed both.
        writer: OdsCode,
        /// Whom they are written to.
        reader: OdsCode,
        /// Their number.
        number: u64,
        /// Hash of the one that came first.
        one: Hash,
        /// Hash of the other.
        other: Hash,
    },
    /// No export was given.
    #[error("there is nothing to merge")]
    Nothing,
}

/// A page, or the last of some that were lost.
struct Leaf {
    hash: Hash,
    /// None if it was lost, as far as is known.
    page: Option<Read>,
}

/// Exports being merged.
#[derive(Default)]
pub struct Merge {
    statements: Option<Statements>,
    /// Who exported, and when last; under which keys.
    exports: BTreeMap<OdsCode, Timestamp>,
    signers: BTreeSet<(OdsCode, PublicKey)>,
    /// Every page of every chain, by writer and reader.
    chains: BTreeMap<(OdsCode, OdsCode), BTreeMap<u64, Leaf>>,
}

impl Merge {
    /// Takes an export in; several of one member are taken together.
    ///
    /// # Errors
    /// What is not in order first. Nothing of the merge is worth anything then.
    pub fn take(&mut self, export: &Export, now: Timestamp) -> Result<(), Bad> {
        if export.format != FORMAT {
            return Err(Bad::Format);
        }
        let (statements, _) = export.roster.clone().open(now)?;
        let said = export.stated.peek();
        let said = said.map_err(|_| Bad::Format)?;
        let by = said.by;
        let keys = Keys::of(&statements, &by);
        let signer = *export.stated.signer();
        let verified = match keys.contains(&signer) {
            true => export.stated.verify(&signer),
            false => Err(statement::Error::OtherSigner),
        };
        let stated = verified.map_err(|error| Bad::NotSigned {
            by: by.clone(),
            error,
        })?;
        self.is_of(&statements, stated.federation)?;
        if stated.at > now + CLOCK_SKEW {
            return Err(Bad::Ahead(by));
        }
        let mut heads = Heads::new();
        for ledger in &export.ledgers {
            let pair = Pair::of_members(&statements, &by, &ledger.with);
            let links = [&ledger.ours[..], &ledger.theirs[..]];
            let followed = export::both(&pair, links, now);
            let [ours, theirs] = followed.map_err(|bad| Bad::Ledger {
                by: by.clone(),
                with: ledger.with.clone(),
                bad: Box::new(bad),
            })?;
            let stand = (ours.report.head, theirs.report.head);
            let twice = heads.insert(ledger.with.clone(), stand).is_some();
            if twice || ledger.with == by {
                return Err(Bad::NotWhole(by));
            }
            self.chain((&by, &ledger.with), ours)?;
            self.chain((&ledger.with, &by), theirs)?;
        }
        if Stated::new(stated.federation, by.clone(), stated.at, &heads) != stated {
            return Err(Bad::NotWhole(by));
        }
        self.signers.insert((by.clone(), signer));
        let at = self.exports.entry(by).or_default();
        *at = stated.at.max(*at);
        match &mut self.statements {
            Some(before) => drop(before.gather(statements.iter(), now)),
            none => *none = Some(statements),
        }
        Ok(())
    }

    fn is_of(&self, statements: &Statements, stated: FederationId) -> Result<(), Bad> {
        let of = statements.federation();
        let known = self.statements.as_ref().map(Statements::federation);
        if stated == of && known.is_none_or(|known| known == of) {
            return Ok(());
        }
        Err(Bad::OtherFederation {
            name: statements.charter().name.to_string(),
            id: if stated == of { of } else { stated },
        })
    }

    fn chain(
        &mut self,
        (writer, reader): (&OdsCode, &OdsCode),
        followed: Followed,
    ) -> Result<(), Bad> {
        let key = (writer.clone(), reader.clone());
        let held = self.chains.entry(key).or_default();
        // The last of those that were lost has a hash, and no page here.
        let heads: Vec<_> = followed.heads().map(|head| (head, None)).collect();
        let pages = followed.pages.into_iter();
        let pages = pages.map(|page| (page.head, Some(page)));
        for (head, page) in heads.into_iter().chain(pages) {
            let leaf = held.entry(head.number).or_insert(Leaf {
                hash: head.hash,
                page: None,
            });
            if leaf.hash != head.hash {
                return Err(Bad::Fork {
                    writer: writer.clone(),
                    reader: reader.clone(),
                    number: head.number,
                    one: leaf.hash,
                    other: head.hash,
                });
            }
            if page.is_some() {
                leaf.page = page;
            }
        }
        Ok(())
    }

    /// The table of everything that was asked in the period.
    ///
    /// # Errors
    /// If there is no export, or one was signed under a key that is not its member's any more.
    pub fn table(&self, period: Period) -> Result<Table, Bad> {
        let statements = self.statements.as_ref().ok_or(Bad::Nothing)?;
        let roster = Roster::of(statements);
        for (by, signer) in &self.signers {
            let node = roster.member(by).and_then(|member| member.node);
            if node.is_none_or(|keys| keys.node != *signer) {
                return Err(Bad::OldKey(by.clone()));
            }
        }
        Ok(table::of(self, &roster, statements, period))
    }

    /// The same for a node that looks at its own: also when it is no member any more, or not yet
    /// under its new key.
    ///
    /// # Errors
    /// If there is no export.
    pub fn own_table(&self, period: Period) -> Result<Table, Bad> {
        let statements = self.statements.as_ref().ok_or(Bad::Nothing)?;
        let roster = Roster::of(statements);
        Ok(table::of(self, &roster, statements, period))
    }
}
