//! The door: this node's part in the join conversation, as a steward's and as a newcomer's.

use std::convert::Infallible;
use std::sync::Arc;

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
    drive(machine, frames, places, &mut Entering(Arc::clone(node))).await
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
