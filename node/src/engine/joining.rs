//! The door: this node's part in the join conversation, as a steward's and as a newcomer's.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::join::JoinRequest;
use fairshare_protocol::join::door::{Newcomer, Outcome, Save, Steward};
use fairshare_protocol::roster::Welcome;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::wire;

use super::drive::{Effects, Error, drive, now};
use super::roster::learn;
use crate::membership;
use crate::network::{Contact, Frames, Network};
use crate::node::Node;
use crate::store;

/// Receives a stranger.
///
/// # Errors
/// If this node cannot do its part.
pub async fn receive(
    node: &Arc<Node>,
    stranger: PublicKey,
    frames: Frames,
) -> Result<Option<Outcome>, Error> {
    let Some(statements) = node.membership.statements() else {
        return Ok(None);
    };
    // As with members: nothing is told that is not durable.
    node.store.commit().await?;
    let waiting = node.membership.waiting();
    let machine = Steward::new(node.code().clone(), statements, waiting, stranger);
    let places = (&node.journal, &node.store);
    let outcome = drive(machine, frames, places, &mut Door(Arc::clone(node))).await?;
    tracing::info!(?outcome, "somebody knocked");
    Ok(Some(outcome))
}

/// Brings a request to a steward's node; if the answer is a welcome, this node is a member from then
/// on.
///
/// # Errors
/// If the steward's node cannot be reached, or this node cannot do its part.
pub async fn knock(
    node: &Arc<Node>,
    network: &Network,
    steward: Contact,
    request: Signed<JoinRequest>,
) -> Result<Outcome, Error> {
    let key = steward.key;
    let opened = async {
        network.visit(steward).await?;
        network.open(&key, wire::JOIN).await
    };
    let frames = opened.await?;
    let places = (&node.journal, &node.store);
    let machine = Newcomer::new(request);
    let outcome = drive(machine, frames, places, &mut Entering(Arc::clone(node))).await?;
    if !matches!(outcome, Outcome::Welcome(_)) {
        network.leave(key).await?;
    }
    Ok(outcome)
}

/// Between two attempts to bring a request, at first and at most.
const KNOCK_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Brings the requests this node made to the stewards who invited it, until it is a member.
pub async fn bring(node: Arc<Node>, network: Network) {
    let mut pause = KNOCK_AGAIN.0;
    loop {
        match open_requests(&node) {
            Ok(requests) if requests.is_empty() => {
                // Nothing to bring until the operator asks to join.
                node.said.asked().await;
                pause = KNOCK_AGAIN.0;
                continue;
            }
            Ok(requests) => {
                for (steward, request) in requests {
                    match knock(&node, &network, steward, request).await {
                        Ok(Outcome::Waiting(_)) => {
                            tracing::debug!("the request waits for the stewards");
                        }
                        Ok(Outcome::Welcome(_)) => tracing::info!("this node is a member now"),
                        Ok(outcome) => tracing::warn!(?outcome, "the request was not taken"),
                        Err(error) => tracing::warn!(%error, "the request was not brought"),
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the requests made cannot be read"),
        }
        // Sooner if the operator asks anew, which may be another steward's invitation.
        if tokio::time::timeout(pause, node.said.asked()).await.is_ok() {
            pause = KNOCK_AGAIN.0;
        } else {
            pause = (pause * 3 / 2).min(KNOCK_AGAIN.1);
        }
    }
}

/// The requests to bring, and to whom: none once this node's member takes part.
fn open_requests(node: &Node) -> Result<Vec<(Contact, Signed<JoinRequest>)>, store::Error> {
    let member = node.membership.member(node.code());
    let own = node.keys.node.public();
    if member.is_some_and(|it| it.is_active() && it.node.is_some_and(|keys| keys.node == own)) {
        return Ok(Vec::new());
    }
    let made = node.said.all_made()?.into_iter();
    let reachable = made.filter_map(|made| {
        let invitation = made.invitation?;
        let addresses = invitation.addresses.iter().map(ToString::to_string);
        let steward = Contact {
            key: invitation.node?,
            addresses: addresses.collect(),
        };
        (!steward.addresses.is_empty()).then_some((steward, made.request))
    });
    Ok(reachable.collect())
}

struct Door(Arc<Node>);

impl Effects<Steward> for Door {
    async fn save(&mut self, save: Save) -> Result<(), Error> {
        match save {
            Save::Statement(statement) => learn(&self.0, statement),
            // The list may have filled up since the machine looked; then they knock again.
            Save::Waiting(request) => match self.0.membership.wait(request) {
                Err(membership::Error::Store(error)) => Err(error.into()),
                _ => Ok(()),
            },
        }
    }

    async fn load(&mut self, load: Infallible) -> Result<Infallible, Error> {
        match load {}
    }
}

struct Entering(Arc<Node>);

impl Effects<Newcomer> for Entering {
    async fn save(&mut self, welcome: Welcome) -> Result<(), Error> {
        let node = &self.0;
        let broken = Error::Broken("the welcome does not hold, or is another federation's");
        let (statements, _) = welcome.open(now()).map_err(|_| broken)?;
        match node.membership.adopt(&statements, now()) {
            Ok(acts) => {
                for act in acts {
                    // Durable with what the machine has recorded of its own.
                    let _ = node.journal.append(act, now())?;
                }
                Ok(())
            }
            Err(membership::Error::Store(error)) => Err(error.into()),
            Err(_) => Err(Error::Broken("this node belongs to another federation")),
        }
    }

    async fn load(&mut self, load: Infallible) -> Result<Infallible, Error> {
        match load {}
    }
}
