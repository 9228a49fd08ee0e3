//! One pair's chains in a file, that a third party can check with nothing but the charter.
//!
//! The file holds the charter, the roster's statements, and every page and rewind of both chains.
//! Whoever checks it knows the federation's id (the charter's hash) from elsewhere; everything else
//! follows: the stewards admitted the members, the members named their nodes, the nodes signed the
//! pages. No patient data is in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::chain::{Pair, Refusal, Which};
use super::entry::Entry;
use super::page::{Head, Page, Rewind};
use crate::charter;
use crate::ids::{ExchangeId, FederationId, OdsCode, PublicKey};
use crate::roster::Welcome;
use crate::statement::Signed;
use crate::time::Timestamp;

/// What a file of this kind begins with.
pub const FORMAT: &str = "fairshare ledger 1";

/// One link of a chain, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// A page.
    Page(Signed<Page>),
    /// The writer's word that the pages from here are lost.
    Rewind(Signed<Rewind>),
}

/// The account of a pair, as one side holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// [`FORMAT`].
    pub format: String,
    /// Who exported.
    pub by: OdsCode,
    /// The other.
    pub with: OdsCode,
    /// When.
    pub at: Timestamp,
    /// The charter and all statements under it.
    pub roster: Welcome,
    /// The chain of whoever exported.
    pub ours: Vec<Link>,
    /// The other's chain.
    pub theirs: Vec<Link>,
}

/// What a check found, if all is in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The federation: to be compared with what is known from elsewhere.
    pub federation: FederationId,
    /// Its name, as the charter has it.
    pub name: String,
    /// Whose account it is.
    pub by: OdsCode,
    /// With whom.
    pub with: OdsCode,
    /// The chain of whoever exported.
    pub ours: ChainReport,
    /// The other's chain.
    pub theirs: ChainReport,
    /// Exchanges in either chain.
    pub exchanges: u64,
    /// Of these, settled: the same statements in both chains.
    pub settled: u64,
    /// Of these, in one chain only, or with different statements, for more than a day.
    pub overdue: u64,
}

/// One chain, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// Its last page.
    pub head: Head,
    /// Pages read.
    pub pages: u64,
    /// Pages its writer lost.
    pub lost: u64,
    /// The last page the other chain quotes: it and all before are agreed.
    pub agreed: u64,
    /// Entries in it, without those of void pages.
    pub entries: u64,
    /// Pages signed by a key that stewards had voided by then: they count for nothing.
    pub void: u64,
    /// When its first page was written.
    pub first: Option<Timestamp>,
    /// When its last page was written.
    pub last: Option<Timestamp>,
}

/// Why an account is not in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Another kind of file.
    #[error("not an exported ledger")]
    Format,
    /// The charter does not count.
    #[error("the charter does not count: {0}")]
    Charter(#[from] charter::Refusal),
    /// One of the two never named a node.
    #[error("no statement names a node of {0}")]
    NoNode(OdsCode),
    /// A page or rewind does not fit.
    #[error("the chain of {writer}, after page {after}: {refusal}")]
    Chain {
        /// Whose chain.
        writer: OdsCode,
        /// The last page in order.
        after: u64,
        /// What is wrong.
        refusal: Refusal,
    },
    /// A page quotes one that is not in the other chain.
    #[error("page {number} of {writer} quotes a page that is not in the other chain")]
    Quote {
        /// Whose chain.
        writer: OdsCode,
        /// The page.
        number: u64,
    },
}

impl Export {
    /// Checks signatures, order, quotes and counts, by what the file itself holds.
    ///
    /// # Errors
    /// What is not in order first.
    pub fn check(&self, now: Timestamp) -> Result<Checked, Bad> {
        if self.format != FORMAT {
            return Err(Bad::Format);
        }
        let (statements, _) = self.roster.clone().open(now)?;
        let pair = Pair::of_members(&statements, &self.by, &self.with);
        let [ours, theirs] = both(&pair, [&self.ours, &self.theirs], now)?;
        let mut all: BTreeMap<(ExchangeId, OdsCode), Account> = BTreeMap::new();
        for (which, chain) in [(Which::Ours, &ours), (Which::Theirs, &theirs)] {
            for (at, entry) in chain.entries() {
                let account = all.entry(entry.key()).or_default();
                let since = account.since;
                account.enter(which, entry, at);
                if since != Timestamp::default() {
                    account.since = since.min(at);
                }
            }
        }
        let settled = all.values().filter(|account| account.is_settled());
        let overdue = all.values().filter(|account| account.is_overdue(self.at));
        Ok(Checked {
            federation: pair.federation,
            name: statements.charter().name.to_string(),
            by: self.by.clone(),
            with: self.with.clone(),
            exchanges: all.len() as u64,
            settled: settled.count() as u64,
            overdue: overdue.count() as u64,
            ours: ours.report,
            theirs: theirs.report,
        })
    }
}

/// A page that was read.
pub(super) struct Read {
    /// Where the chain stands with it.
    pub(super) head: Head,
    /// When it was written.
    pub(super) at: Timestamp,
    /// Who signed it.
    pub(super) signer: PublicKey,
    /// Whether it counts for nothing, by the statements beside it.
    void: bool,
    /// What it has.
    pub(super) entries: Vec<Entry>,
}

/// One chain that was followed to its end.
pub(super) struct Followed {
    pub(super) report: ChainReport,
    /// Its pages, in order.
    pub(super) pages: Vec<Read>,
    heads: BTreeSet<Head>,
    /// What each page quotes.
    quotes: Vec<(u64, Head)>,
    /// Spans of pages that were lost.
    gaps: Vec<(u64, u64)>,
}

impl Followed {
    /// Where the chain stood with each page, and after pages that were lost.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head> {
        let heads = self.heads.iter().copied();
        heads.filter(|head| *head != Head::ORIGIN)
    }

    fn entries(&self) -> impl Iterator<Item = (Timestamp, &Entry)> {
        let pages = self.pages.iter().filter(|page| !page.void);
        pages.flat_map(|page| page.entries.iter().map(|entry| (page.at, entry)))
    }
}

/// Both chains of a pair, its own and the other's, each followed to its end and held against the
/// other.
pub(super) fn both(
    pair: &Pair,
    [ours, theirs]: [&[Link]; 2],
    now: Timestamp,
) -> Result<[Followed; 2], Bad> {
    for (code, keys) in [(&pair.me, &pair.my_keys), (&pair.peer, &pair.peer_keys)] {
        if keys.is_empty() {
            return Err(Bad::NoNode(code.clone()));
        }
    }
    let mut ours = follow(pair, Which::Ours, ours, now)?;
    let mut theirs = follow(pair, Which::Theirs, theirs, now)?;
    ours.report.agreed = agreed(&ours, &theirs, &pair.peer)?;
    theirs.report.agreed = agreed(&theirs, &ours, &pair.me)?;
    Ok([ours, theirs])
}

fn follow(pair: &Pair, which: Which, links: &[Link], now: Timestamp) -> Result<Followed, Bad> {
    let writer = pair.of(which).0;
    let mut chain = Followed {
        report: ChainReport::default(),
        pages: Vec::new(),
        heads: BTreeSet::from([Head::ORIGIN]),
        quotes: Vec::new(),
        gaps: Vec::new(),
    };
    for link in links {
        let head = chain.report.head;
        let bad = |refusal| Bad::Chain {
            writer: writer.clone(),
            after: head.number,
            refusal,
        };
        match link {
            Link::Page(signed) => {
                let page = pair.page(which, signed, now).map_err(bad)?;
                if page.previous != head.hash || page.number != head.number + 1 {
                    return Err(bad(Refusal::OutOfOrder));
                }
                chain.report.head = page.head(signed);
                chain.report.pages += 1;
                chain.report.first.get_or_insert(page.at);
                chain.report.last = Some(page.at);
                chain.quotes.push((page.number, page.quoted));
                let void = pair.is_void(which, signed, &page);
                match void {
                    true => chain.report.void += 1,
                    false => chain.report.entries += page.entries.len() as u64,
                }
                chain.pages.push(Read {
                    head: chain.report.head,
                    at: page.at,
                    signer: *signed.signer(),
                    void,
                    entries: page.entries,
                });
            }
            Link::Rewind(signed) => {
                let rewind = pair.rewind(which, signed, now).map_err(bad)?;
                if rewind.held != head {
                    return Err(bad(Refusal::Rewind));
                }
                chain.report.lost += rewind.lost.number - rewind.held.number;
                chain.gaps.push((head.number, rewind.lost.number));
                chain.report.head = rewind.lost;
            }
        }
        chain.heads.insert(chain.report.head);
    }
    Ok(chain)
}

/// The last page of `chain` that `by` quotes, every quote being of a page that is there or was lost.
fn agreed(chain: &Followed, by: &Followed, writer: &OdsCode) -> Result<u64, Bad> {
    let mut agreed = 0;
    for (number, quoted) in &by.quotes {
        let lost = |gap: &(u64, u64)| gap.0 < quoted.number && quoted.number <= gap.1;
        if !chain.heads.contains(quoted) && !chain.gaps.iter().any(lost) {
            return Err(Bad::Quote {
                writer: writer.clone(),
                number: *number,
            });
        }
        agreed = agreed.max(quoted.number);
    }
    Ok(agreed)
}
