//! The table exports come to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Leaf, Merge};
use crate::category::Purpose;
use crate::exchange::answer::RefusalCode;
use crate::ids::{ExchangeId, FederationId, OdsCode};
use crate::ledger::account::Account;
use crate::ledger::chain::Which;
use crate::ledger::entry::{Entry, Shown};
use crate::ledger::export::Read;
use crate::ledger::keys::Keys;
use crate::roster::{Roster, Statements};
use crate::time::{Period, Timestamp};

/// What the members of an area asked and showed each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The federation: to be compared with what is known from elsewhere.
    pub federation: FederationId,
    /// Its name, as the charter has it.
    pub name: String,
    /// When it was asked.
    pub period: Period,
    /// Who exported, and when last.
    pub exports: BTreeMap<OdsCode, Timestamp>,
    /// The names of the members in it, as far as the roster has them.
    pub names: BTreeMap<OdsCode, String>,
    /// The chains it was counted from.
    pub chains: Vec<Chain>,
    /// Who asked whom, what for, and what came of it.
    pub rows: Vec<Row>,
}

/// One chain of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Who writes it.
    pub writer: OdsCode,
    /// To whom.
    pub reader: OdsCode,
    /// Its last page that anybody exported.
    pub pages: u64,
    /// Of these, lost, and in no export.
    pub lost: u64,
    /// Of these, signed by a key that stewards had voided by then: they count for nothing.
    pub void: u64,
    /// When the last was written.
    pub last: Option<Timestamp>,
    /// Who of the two exported; with one, nothing holds its word against the other's.
    pub exported: BTreeSet<OdsCode>,
}

/// What one member asked another for one purpose; in the bulk lane, of the rounds it began, each
/// person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Who asked.
    pub asker: OdsCode,
    /// Who was asked.
    pub asked: OdsCode,
    /// What for.
    pub purpose: Purpose,
    /// Exchanges.
    pub requests: u64,
    /// What whoever was asked showed, by the asker's chain if it has the exchange.
    pub answer: Showed,
    /// What the asker showed in return, by the other's chain if it has the exchange.
    pub in_return: Showed,
    /// Exchanges for which both chains name the same signed statements.
    pub settled: u64,
    /// Exchanges in both chains, with different statements.
    pub differ: u64,
    /// Exchanges in the asker's chain alone.
    pub asker_only: u64,
    /// Exchanges in the other's chain alone.
    pub asked_only: u64,
}

/// What one side showed, in counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Showed {
    /// A bundle with at least one record.
    pub records: u64,
    /// It said that there is nothing to show.
    pub nothing: u64,
    /// It refused, by code.
    pub refused: BTreeMap<RefusalCode, u64>,
    /// It said: later.
    pub deferred: u64,
    /// It said nothing that counts.
    pub missing: u64,
    /// Nothing was due.
    pub not_due: u64,
}

impl Showed {
    fn count(&mut self, shown: &Shown) {
        match shown {
            Shown::Bundle(with) if !with.is_empty() => self.records += 1,
            Shown::Bundle(_) | Shown::Nothing => self.nothing += 1,
            Shown::Refused(code) => *self.refused.entry(*code).or_default() += 1,
            Shown::Deferred => self.deferred += 1,
            Shown::Missing => self.missing += 1,
            Shown::NotDue => self.not_due += 1,
        }
    }
}

pub(super) fn of(merge: &Merge, roster: &Roster, statements: &Statements, period: Period) -> Table {
    let mut rows = BTreeMap::new();
    let mut codes: BTreeSet<&OdsCode> = merge.exports.keys().collect();
    let none = BTreeMap::new();
    for ((one, other), ours) in &merge.chains {
        if one > other {
            continue;
        }
        codes.extend([one, other]);
        let turned = (other.clone(), one.clone());
        let theirs = merge.chains.get(&turned).unwrap_or(&none);
        // By the statements of all exports: one may be from before a key was voided.
        let ours = counted(ours, Keys::of(statements, one));
        let theirs = counted(theirs, Keys::of(statements, other));
        for account in accounts(ours, theirs).values() {
            count(&mut rows, (one, other), account, period);
        }
    }
    let names = codes.into_iter().filter_map(|code| {
        let name = roster.member(code)?.name.to_string();
        Some((code.clone(), name))
    });
    let chains = merge.chains.iter().filter(|(_, leaves)| !leaves.is_empty());
    Table {
        federation: statements.federation(),
        name: statements.charter().name.to_string(),
        period,
        exports: merge.exports.clone(),
        names: names.collect(),
        chains: chains
            .map(|(pair, leaves)| chain(merge, statements, pair, leaves))
            .collect(),
        rows: rows.into_values().collect(),
    }
}

fn chain(
    merge: &Merge,
    statements: &Statements,
    pair: &(OdsCode, OdsCode),
    leaves: &BTreeMap<u64, Leaf>,
) -> Chain {
    let (writer, reader) = pair;
    let last = leaves.keys().next_back().copied().unwrap_or(0);
    let held = leaves.values().filter_map(|leaf| leaf.page.as_ref());
    let counted = counted(leaves, Keys::of(statements, writer)).count() as u64;
    let exported = [writer, reader].into_iter();
    let exported = exported.filter(|code| merge.exports.contains_key(*code));
    Chain {
        writer: writer.clone(),
        reader: reader.clone(),
        pages: last,
        lost: last - held.clone().count() as u64,
        void: held.clone().count() as u64 - counted,
        last: held.map(|page| page.at).next_back(),
        exported: exported.cloned().collect(),
    }
}

/// The pages of a chain that count.
fn counted(leaves: &BTreeMap<u64, Leaf>, keys: Keys) -> impl Iterator<Item = &Read> {
    let pages = leaves.values().filter_map(|leaf| leaf.page.as_ref());
    pages.filter(move |page| !keys.is_void(&page.signer, page.at))
}

/// Every exchange, as both chains have it.
fn accounts<'a>(
    ours: impl Iterator<Item = &'a Read>,
    theirs: impl Iterator<Item = &'a Read>,
) -> BTreeMap<(ExchangeId, OdsCode), Account> {
    let mut all = BTreeMap::<_, Account>::new();
    let ours = ours.map(|page| (Which::Ours, page));
    for (which, page) in ours.chain(theirs.map(|page| (Which::Theirs, page))) {
        for entry in &page.entries {
            all.entry(entry.key())
                .or_default()
                .enter(which, entry, page.at);
        }
    }
    all
}

fn count(
    rows: &mut BTreeMap<(OdsCode, OdsCode, Purpose), Row>,
    (one, other): (&OdsCode, &OdsCode),
    account: &Account,
    period: Period,
) {
    let (ours, theirs) = (account.ours.as_ref(), account.theirs.as_ref());
    let Some(either) = ours.or(theirs) else {
        return;
    };
    // Of the two chains, the asker's and that of whoever was asked.
    let (asked, asker_has, asked_has) = match either.asker == *one {
        true => (other, ours, theirs),
        false => (one, theirs, ours),
    };
    let Some(by_asker) = asker_has.or(asked_has) else {
        return;
    };
    if !period.has(by_asker.asked_at) {
        return;
    }
    let by_asked = asked_has.unwrap_or(by_asker);
    let key = (either.asker.clone(), asked.clone(), by_asker.purpose);
    let row = rows.entry(key).or_insert_with(|| empty(by_asker, asked));
    row.requests += 1;
    row.answer.count(&by_asker.answer);
    row.in_return.count(&by_asked.in_return);
    let counted = match (asker_has, asked_has) {
        (Some(_), Some(_)) if account.is_settled() => &mut row.settled,
        (Some(_), Some(_)) => &mut row.differ,
        (Some(_), None) => &mut row.asker_only,
        (None, _) => &mut row.asked_only,
    };
    *counted += 1;
}

fn empty(entry: &Entry, asked: &OdsCode) -> Row {
    Row {
        asker: entry.asker.clone(),
        asked: asked.clone(),
        purpose: entry.purpose,
        requests: 0,
        answer: Showed::default(),
        in_return: Showed::default(),
        settled: 0,
        differ: 0,
        asker_only: 0,
        asked_only: 0,
    }
}
