//! `reconcile`: a round with one peer, before, while and after it runs.

use std::sync::Arc;
use std::time::Instant;

use fairshare_protocol::category::Purpose;
use fairshare_protocol::control::reconcile::{
    Outlook, Reconcile, ReconcileReport, RoundReport, RoundState, Wish,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::exchange::reconcile::frame::Why;
use fairshare_protocol::exchange::reconcile::{End, Ended};
use fairshare_protocol::member::User;

use super::members::{member, operator, roster};
use super::{Progress, blocking, wrong};
use crate::engine::reconcile::{self, Error, people};
use crate::node::Node;

/// Reconciles with one peer, says what would happen, or calls a round off.
///
/// # Errors
/// If the peer is no member, there is no match with it, or a round is under way.
pub async fn reconcile(
    node: &Arc<Node>,
    user: &User,
    question: Reconcile,
    progress: &Progress,
) -> Result<ReconcileReport, Failure> {
    let roster = roster(node)?;
    let peer = question.peer;
    let name = member(&roster, &peer)?.name.to_string();
    let terms = roster.terms(node.code(), &peer);
    let terms = terms.map_err(|none| Failure::from_error(WRONG, &none))?;
    let flows = |from, to| {
        let flows = terms.flows(from, to, Purpose::SharedCare);
        flows.into_iter().collect()
    };
    let began = Instant::now();
    let mut report = ReconcileReport {
        shows: flows(node.code(), &peer),
        takes: flows(&peer, node.code()),
        name,
        outlook: None,
        round: None,
        ms: 0,
        peer: peer.clone(),
    };
    match question.wish {
        Wish::Look => {
            let here = Arc::clone(node);
            let look = move || look(&here, &peer);
            report.outlook = Some(blocking(look).await?);
        }
        Wish::CallOff => {
            if !node.reconciling.cancel(&peer) {
                let fact = format!("no round with {peer} is under way");
                let remedy = "`fairshare peer` says what is";
                return Err(Failure::new(WRONG, fact, remedy));
            }
            operator(node, user, format!("called off the round with {peer}")).await?;
        }
        Wish::Run => {
            operator(node, user, format!("reconcile with {peer}")).await?;
            let progress = progress.clone();
            let what = format!("reconciling with {peer}");
            let tell = move |going: &reconcile::Going| {
                let (people, _, taken) = going.counts();
                if people > 0 {
                    progress.step(taken.into(), Some(people.into()), "people", &what);
                }
            };
            let ended = reconcile::begin(node, &peer, &tell).await;
            let ended = ended.map_err(|error| Failure::from_error(WRONG, &error))?;
            report.round = Some(round(&ended));
        }
    }
    report.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

fn look(node: &Node, peer: &fairshare_protocol::ids::OdsCode) -> Result<Outlook, Failure> {
    let matched = node.index.matched(peer).map_err(|error| wrong(&error))?;
    let matched = matched.ok_or_else(|| wrong(&Error::NotMatched(peer.clone())))?;
    let active = people::active(node, peer, &matched.match_id).map_err(|error| wrong(&error))?;
    Ok(Outlook {
        linked: active.linked as u64,
        active: active.active() as u64,
        news: active.news() as u64,
    })
}

fn round(ended: &Ended) -> RoundReport {
    let state = match &ended.how {
        End::Done => RoundState::Done,
        End::Nothing => RoundState::NothingNew,
        _ if ended.totals.round.is_some() && ended.how.goes_on() => RoundState::BrokenOff,
        End::Stopped { why, .. } if *why != Why::Refused => RoundState::Declined,
        _ => RoundState::Failed,
    };
    let whole = matches!(state, RoundState::Done | RoundState::NothingNew);
    RoundReport {
        round: ended.totals.round,
        people: ended.totals.people,
        shown: ended.totals.given,
        received: ended.totals.taken,
        quarantined: ended.totals.quarantined,
        state,
        why: (!whole).then(|| ended.how.code()),
    }
}
