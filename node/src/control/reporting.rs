//! Reports that are handed on: `report duty`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::reports::{DutyReport, ReportDuty};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::duty::{Duty, Reviewed};

use super::members::{desk, named, peer_name, roster};
use super::{blocking, wrong};
use crate::engine::drive::now;
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
        None => {
            let roster = roster(node)?;
            let codes = roster.members().map(|member| member.code.clone());
            codes.filter(|code| code != node.code()).collect()
        }
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

fn reviewed(item: &Item) -> Reviewed {
    Reviewed {
        side: item.review.side,
        opened: item.review.opened,
        due: item.review.due(),
        closed: item.closed.as_ref().map(|closure| closure.at),
    }
}
