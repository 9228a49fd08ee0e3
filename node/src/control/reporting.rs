//! Reports that are handed on: `report duty`, `report balance`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairshare_protocol::control::reports::{BalanceReport, DutyReport, ReportBalance, ReportDuty};
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::balance::{Bad, Export, Heads, Ledger, Merge, Stated};
use fairshare_protocol::ledger::duty::{Duty, Reviewed};
use fairshare_protocol::member::User;
use fairshare_protocol::roster::Welcome;

use super::members::{desk, named, operator, peer_name, roster};
use super::{blocking, write_json, wrong};
use crate::engine::drive::now;
use crate::membership;
use crate::node::Node;
use crate::store::reviews::Item;

/// How the duty to share was done, with one peer or all. Reads every exchange with them.
///
/// # Errors
/// If the peer is no other member, or the store fails.
pub async fn duty(node: &Arc<Node>, question: ReportDuty) -> Result<DutyReport, Failure> {
    let wanted: Vec<OdsCode> = match &question.peer {
        Some(peer) => {
            peer_name(node, peer)?;
            vec![peer.clone()]
        }
        None => others(node)?,
    };
    let node = Arc::clone(node);
    blocking(move || {
        let (now, us, period) = (now(), node.code(), question.period);
        let mut reviews = node.reviews.all_open().map_err(|error| wrong(&error))?;
        reviews.extend(node.reviews.all_closed().map_err(|error| wrong(&error))?);
        let mut all = Duty::new(us, period, now);
        let mut peers = BTreeMap::new();
        for peer in wanted {
            let mut duty = Duty::new(us, period, now);
            let accounts = node.ledgers.store.with_waiting(&peer);
            for account in accounts.map_err(|error| wrong(&error))? {
                all.exchange(&peer, &account);
                duty.exchange(&peer, &account);
            }
            for item in reviews.iter().filter(|item| item.review.peer == peer) {
                all.review(&reviewed(item));
                duty.review(&reviewed(item));
            }
            let rows = duty.rows();
            if !rows.is_empty() {
                peers.insert(peer, rows);
            }
        }
        Ok(DutyReport {
            now,
            own: us.clone(),
            guardian: desk(&node.config.caldicott_guardian),
            period,
            names: named(&node, peers.keys().cloned()),
            peers,
            all: all.rows(),
        })
    })
    .await
}

/// Everybody else who is a member or was.
fn others(node: &Node) -> Result<Vec<OdsCode>, Failure> {
    let roster = roster(node)?;
    let codes = roster.members().map(|member| member.code.clone());
    Ok(codes.filter(|code| code != node.code()).collect())
}

/// What this member and each other asked and showed, in counts, checked page by page; and all its
/// ledgers in a file, if wanted.
///
/// # Errors
/// If there is no federation, a ledger is not in order, or store or file fail.
pub async fn balance(
    node: &Arc<Node>,
    user: &User,
    question: ReportBalance,
) -> Result<BalanceReport, Failure> {
    let others = others(node)?;
    let here = Arc::clone(node);
    let report = blocking(move || {
        let now = now();
        let export = export(&here, others.clone())?;
        let mut merge = Merge::default();
        merge.take(&export, now).map_err(|bad| unfit(&bad))?;
        let table = merge.own_table(question.period);
        let exported = match question.export {
            Some(path) => {
                merge.table(question.period).map_err(|bad| unfit(&bad))?;
                let bytes = write_json(&path, &export)?;
                Some((path, bytes))
            }
            None => None,
        };
        let waiting = others
            .iter()
            .map(|peer| here.ledgers.store.count_waiting(peer));
        Ok(BalanceReport {
            now,
            own: here.code().clone(),
            table: table.map_err(|bad| unfit(&bad))?,
            waiting: waiting.sum(),
            exported,
        })
    })
    .await?;
    if let Some((path, _)) = &report.exported {
        let what = format!("exported the balance with everybody to {}", path.display());
        operator(node, user, what).await?;
    }
    Ok(report)
}

fn unfit(bad: &Bad) -> Failure {
    let fact = format!("this node's own account is NOT in order: {bad}");
    let remedy = "`fairshare ledger PEER --verify` checks each ledger; `fairshare members` says whether \
                  this node speaks for its member";
    Failure::new(DEGRADED, fact, remedy)
}

/// Everything a third party needs to check and count it.
fn export(node: &Node, others: Vec<OdsCode>) -> Result<Export, Failure> {
    let none = || Failure::from_error(WRONG, &membership::Error::NoFederation);
    let statements = node.membership.statements().ok_or_else(none)?;
    let at = now();
    let mut heads = Heads::new();
    let mut ledgers = Vec::new();
    for with in others {
        let both = node.ledgers.store.both(&with);
        let (chains, [ours, theirs]) = both.map_err(|error| wrong(&error))?;
        if ours.is_empty() && theirs.is_empty() {
            continue;
        }
        heads.insert(with.clone(), (chains.ours, chains.theirs));
        ledgers.push(Ledger { with, ours, theirs });
    }
    let (federation, by) = (statements.federation(), node.code().clone());
    let stated = Stated::new(federation, by, at, &heads);
    let roster = Welcome::of(&statements);
    Ok(Export::sign(&stated, roster, ledgers, &node.keys.node))
}

fn reviewed(item: &Item) -> Reviewed {
    Reviewed {
        side: item.review.side,
        opened: item.review.opened,
        due: item.review.due(),
        closed: item.closed.as_ref().map(|closure| closure.at),
    }
}
