//! What stewards have still to sign: this node's part in the proposal conversation, and what becomes
//! of a proposal once enough have signed.

use std::convert::Infallible;
use std::sync::Arc;

use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::join::{Candidacy, JoinRequest};
use fairshare_protocol::journal::Act;
use fairshare_protocol::proposal::talk::{Outcome, Talk};
use fairshare_protocol::proposal::{Checked, Proposal};
use fairshare_protocol::roster::{Decision, Inserted, Statement, StewardStatement};
use fairshare_protocol::statement::{CoSigned, Signed};
use fairshare_protocol::wire;
use tokio::task::JoinSet;

use super::drive::{self, Effects, drive, now};
use crate::membership;
use crate::network::{Frames, Network};
use crate::node::Node;

/// Talks about proposals over `frames` with the node of `peer`; none if one of the two is no steward.
///
/// # Errors
/// If this node cannot do its part.
pub async fn talk(
    node: &Arc<Node>,
    peer: OdsCode,
    frames: Frames,
) -> Result<Option<Outcome>, drive::Error> {
    let Some(roster) = node.membership.roster() else {
        return Ok(None);
    };
    let held = node.membership.proposals()?;
    let Ok(machine) = Talk::new(node.code(), peer, roster, held) else {
        return Ok(None);
    };
    let places = (&node.journal, &node.store);
    let outcome = drive(machine, frames, places, &mut Hearing(Arc::clone(node))).await?;
    Ok(Some(outcome))
}

/// Begins to talk about proposals with a peer, if both are stewards.
///
/// # Errors
/// If this node cannot do its part.
pub async fn begin(
    node: &Arc<Node>,
    network: &Network,
    key: PublicKey,
) -> Result<(), drive::Error> {
    let Some(roster) = node.membership.roster() else {
        return Ok(());
    };
    let Some(peer) = roster.by_node(&key).map(|member| member.code.clone()) else {
        return Ok(());
    };
    let stewards = &roster.charter().stewards;
    if ![node.code(), &peer]
        .iter()
        .all(|it| stewards.contains_key(*it))
    {
        return Ok(());
    }
    let Ok(frames) = network.open(&key, wire::PROPOSAL).await else {
        // They are told when they are connected again.
        return Ok(());
    };
    let outcome = talk(node, peer.clone(), frames).await?;
    tracing::debug!(%peer, ?outcome, "talked about proposals");
    Ok(())
}

/// Tells every steward's node that is connected of what is new, for as long as the node runs.
pub async fn keep(node: Arc<Node>, network: Network) {
    if let Err(error) = finish(&node).await {
        tracing::error!(%error, "a proposal enough stewards have signed was not taken");
    }
    let mut telling = JoinSet::new();
    loop {
        node.membership.proposed().await;
        while telling.try_join_next().is_some() {}
        for peer in network.peers().await.into_iter().flatten() {
            if peer.connected {
                let (node, network) = (Arc::clone(&node), network.clone());
                telling.spawn(async move {
                    if let Err(error) = begin(&node, &network, peer.key).await {
                        tracing::warn!(%error, "a proposal conversation failed");
                    }
                });
            }
        }
    }
}

/// Decides what had enough signatures when this node was killed.
async fn finish(node: &Node) -> Result<(), Error> {
    let Some(roster) = node.membership.roster() else {
        return Ok(());
    };
    for (_, proposal) in node.membership.proposals()?.iter() {
        let checked = proposal.check(&roster, now());
        if checked.is_ok_and(|checked| checked.is_decided()) {
            decide(node, proposal).await?;
        }
    }
    Ok(())
}

/// Takes a proposal with the signatures it has; if they are enough, it is decided. Durable when this
/// returns.
///
/// # Errors
/// If it is none, or this node cannot keep it.
pub async fn take(node: &Node, proposal: Proposal) -> Result<(Inserted, Checked), Error> {
    let (inserted, held, checked) = node.membership.propose(proposal, now())?;
    if checked.is_decided() {
        decide(node, &held).await?;
    } else {
        node.store.commit().await.map_err(drive::Error::from)?;
    }
    Ok((inserted, checked))
}

/// Makes what enough stewards have signed a statement of the roster.
///
/// # Errors
/// If it does not count, or this node cannot keep it.
pub async fn decide(node: &Node, proposal: &Proposal) -> Result<(), Error> {
    let roster = node.membership.roster();
    let roster = roster.ok_or(membership::Error::NoFederation)?;
    let decision = proposal.clone().statement(&roster);
    // On disk before anybody can hear of it.
    let act = node.membership.keep(&decision, now())?;
    node.record(act).await?;
    node.membership.learn(decision, now())?;
    node.membership.withdraw(&proposal.hash())?;
    let requests = match proposal {
        Proposal::Admission(Candidacy { request, .. }) => vec![request.clone()],
        Proposal::Decision(decision) => asked_for(node, decision),
        Proposal::Charter { .. } => Vec::new(),
    };
    for request in requests {
        let acts = own_statements(node, &request);
        node.membership.decided(&request.hash())?;
        node.record(acts).await?;
    }
    Ok(())
}

/// The requests that wait here and ask for the key that was just decided.
fn asked_for(node: &Node, decision: &CoSigned<StewardStatement>) -> Vec<Signed<JoinRequest>> {
    let Ok(body) = decision.peek() else {
        return Vec::new();
    };
    let Ok(Decision::Key(key)) = body.decision() else {
        return Vec::new();
    };
    let waiting = node.membership.waiting();
    let of = waiting.iter().filter(|(_, request)| {
        let asked = request.peek();
        asked.is_ok_and(|asked| {
            asked.member == body.about && asked.admission.organisation == key.organisation
        })
    });
    of.map(|(_, request)| request.clone()).collect()
}

/// Takes in what a request says of its organisation. What does not count is left out: the
/// newcomer's node brings it again.
pub fn own_statements(node: &Node, request: &Signed<JoinRequest>) -> Vec<Act> {
    let statements = request.peek().map(|request| request.statements);
    let statements = statements.unwrap_or_default().into_iter();
    let learn = |own| node.membership.learn(Statement::Own(own), now());
    statements
        .filter_map(|own| learn(own).ok().flatten())
        .collect()
}

struct Hearing(Arc<Node>);

impl Effects<Talk> for Hearing {
    async fn save(&mut self, proposal: Proposal) -> Result<(), drive::Error> {
        match take(&self.0, proposal).await {
            // The roster may have gone on since the machine looked.
            Ok(_)
            | Err(Error::Membership(
                membership::Error::Proposal(_) | membership::Error::Refused(_),
            )) => Ok(()),
            Err(Error::Membership(membership::Error::Store(error))) => Err(error.into()),
            Err(Error::Membership(_)) => Err(drive::Error::Broken(
                "a proposal was heard before the charter",
            )),
            Err(Error::Node(error)) => Err(error),
        }
    }

    async fn load(&mut self, load: Infallible) -> Result<Infallible, drive::Error> {
        match load {}
    }
}

/// Why a proposal is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is none, or the roster does not take it.
    #[error(transparent)]
    Membership(#[from] membership::Error),
    /// This node cannot keep it.
    #[error(transparent)]
    Node(#[from] drive::Error),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Membership(error.into())
    }
}
