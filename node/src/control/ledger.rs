//! Answers about the account with a peer.

use std::sync::Arc;

use fairshare_protocol::control::ledger::{
    ChainState, Contradiction, Ledger, LedgerReport, MAX_UNSETTLED, ShowStanding, StandingReport,
    Unsettled,
};
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::account::Account;
use fairshare_protocol::ledger::export::{Export, FORMAT};
use fairshare_protocol::ledger::page::{Fork, Head};
use fairshare_protocol::member::User;
use fairshare_protocol::roster::Welcome;

use super::members::{operator, peer_name, roster};
use super::{blocking, write_json, wrong};
use crate::engine::drive::now;
use crate::engine::ledger::standing;
use crate::node::Node;
use crate::status::contact;
use crate::{membership, store};

/// How the ledger with a peer is; checked, and written into a file, if wanted.
pub async fn show(
    node: &Arc<Node>,
    user: &User,
    question: Ledger,
) -> Result<LedgerReport, Failure> {
    let name = peer_name(node, &question.peer)?;
    let exporting = question.export.clone();
    let peer = question.peer.clone();
    let here = Arc::clone(node);
    let report = blocking(move || report(&here, &question, name)).await?;
    if let Some(path) = exporting {
        let what = format!("exported the ledger with {peer} to {}", path.display());
        operator(node, user, what).await?;
    }
    Ok(report)
}

fn report(node: &Node, question: &Ledger, name: String) -> Result<LedgerReport, Failure> {
    let peer = &question.peer;
    let ledger = &node.ledgers.store;
    let now = now();
    let accounts: Result<Vec<Account>, store::Error> = ledger.accounts(peer).collect();
    let accounts = accounts.map_err(|error| wrong(&error))?;
    let settled = accounts.iter().filter(|it| it.is_settled()).count();
    let mut unsettled: Vec<_> = accounts.iter().filter(|it| !it.is_settled()).collect();
    unsettled.sort_by_key(|account| account.since);
    let unsettled = unsettled.into_iter().take(MAX_UNSETTLED);
    let chains = ledger.chains(peer).map_err(|error| wrong(&error))?;
    let forks = ledger.forks(peer).map_err(|error| wrong(&error))?;
    let export = (question.verify || question.export.is_some())
        .then(|| export(node, peer))
        .transpose()?;
    let verified = match &export {
        Some(export) if question.verify => Some(export.check(now).map_err(|bad| {
            let fact = format!("the ledger with {peer} is NOT in order: {bad}");
            let remedy = "keep a copy as evidence: `fairshare ledger --export`; restore the store \
                          from a backup, and the peer gives back what is missing";
            Failure::new(DEGRADED, fact, remedy)
        })?),
        _ => None,
    };
    let exported = match (&question.export, &export) {
        (Some(path), Some(export)) => Some((path.clone(), write_json(path, export)?)),
        _ => None,
    };
    Ok(LedgerReport {
        now,
        peer: peer.clone(),
        name,
        ours: ChainState {
            head: chains.ours,
            agreed: chains.agreed.number,
        },
        theirs: ChainState {
            head: chains.theirs,
            agreed: chains.quoted.number,
        },
        waiting: ledger.count_waiting(peer),
        exchanges: accounts.len() as u64,
        settled: settled as u64,
        unsettled: unsettled.filter_map(|it| unsettled_of(it, now)).collect(),
        forks: forks.iter().filter_map(contradiction).collect(),
        verified,
        exported,
    })
}

fn unsettled_of(account: &Account, now: fairshare_protocol::time::Timestamp) -> Option<Unsettled> {
    let named = |it: &fairshare_protocol::ledger::entry::Entry| it.statements.len() as u64;
    let either = account.ours.as_ref().or(account.theirs.as_ref())?;
    Some(Unsettled {
        exchange: either.exchange,
        asker: either.asker.clone(),
        asked_at: either.asked_at,
        ours: account.ours.as_ref().map(named),
        theirs: account.theirs.as_ref().map(named),
        overdue: account.is_overdue(now),
    })
}

fn contradiction(fork: &Fork) -> Option<Contradiction> {
    let (held, other) = (fork.held.peek().ok()?, fork.other.peek().ok()?);
    Some(Contradiction {
        writer: held.writer,
        held: Head {
            number: held.number,
            hash: fork.held.hash(),
        },
        number: other.number,
        other: fork.other.hash(),
    })
}

/// Everything a third party needs to check the account.
fn export(node: &Node, peer: &OdsCode) -> Result<Export, Failure> {
    let none = || Failure::from_error(WRONG, &membership::Error::NoFederation);
    let statements = node.membership.statements().ok_or_else(none)?;
    let both = node.ledgers.store.both(peer);
    let (_, [ours, theirs]) = both.map_err(|error| wrong(&error))?;
    Ok(Export {
        format: FORMAT.to_owned(),
        by: node.code().clone(),
        with: peer.clone(),
        at: now(),
        roster: Welcome::of(&statements),
        ours,
        theirs,
    })
}

/// How peers and this node answer each other.
pub async fn standing(
    node: &Arc<Node>,
    question: ShowStanding,
) -> Result<Vec<StandingReport>, Failure> {
    if let Some(peer) = &question.peer {
        peer_name(node, peer)?;
    }
    let node = Arc::clone(node);
    blocking(move || {
        let roster = roster(&node)?;
        let others = roster.members().filter(|it| it.code != *node.code());
        let wanted = others.filter(|it| match &question.peer {
            Some(peer) => it.code == *peer,
            None => it.is_active(),
        });
        wanted
            .map(|member| {
                let peer = &member.code;
                let count = standing::count(&node, peer).map_err(|error| wrong(&error))?;
                Ok(StandingReport {
                    now: now(),
                    own: node.code().clone(),
                    peer: peer.clone(),
                    name: member.name.to_string(),
                    theirs: count.theirs.clone(),
                    their_step: count.their_step,
                    ours: count.ours.clone(),
                    our_step: count.our_step,
                    contact: contact(member),
                    paused: standing::paused(&node, peer).map_err(|error| wrong(&error))?,
                })
            })
            .collect()
    })
    .await
}
