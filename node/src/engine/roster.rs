//! Who is a member spreads: this node's part in the roster and join conversations.

use std::convert::Infallible;
use std::sync::Arc;

use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::roster::{Statement, sync};
use fairshare_protocol::wire;

use super::drive::{Effects, Error, drive, now};
use crate::membership;
use crate::network::{Contact, Frames, Network};
use crate::node::Node;

/// Talks about statements over `frames` with the node of `peer`.
///
/// # Errors
/// If this node cannot do its part.
pub async fn talk(
    node: &Arc<Node>,
    peer: OdsCode,
    frames: Frames,
) -> Result<Option<sync::Outcome>, Error> {
    let Some(statements) = node.membership.statements() else {
        return Ok(None);
    };
    // What is held may not be durable yet; a statement of our own that was told and then lost
    // would have a successor with the same number.
    node.store.commit().await?;
    let machine = sync::Sync::new(statements, Some(peer));
    let places = (&node.journal, &node.store);
    let outcome = drive(machine, frames, places, &mut Learning(Arc::clone(node))).await?;
    Ok(Some(outcome))
}

/// Begins to talk about statements with a peer.
///
/// # Errors
/// If this node cannot do its part.
pub async fn begin(node: &Arc<Node>, network: &Network, key: PublicKey) -> Result<(), Error> {
    let roster = node.membership.roster();
    let Some(member) = roster.as_ref().and_then(|roster| roster.by_node(&key)) else {
        return Ok(());
    };
    let Ok(frames) = network.open(&key, wire::ROSTER).await else {
        // They are told when they are connected again.
        return Ok(());
    };
    let outcome = talk(node, member.code.clone(), frames).await?;
    tracing::debug!(peer = %member.code, ?outcome, "talked about the roster");
    Ok(())
}

/// Everybody the network should connect to.
pub fn contacts(node: &Node) -> Vec<Contact> {
    let Some(roster) = node.membership.roster() else {
        return Vec::new();
    };
    let own = node.keys.node.public();
    let addresses = roster.addresses().into_iter();
    addresses
        .filter(|(key, _)| *key != own)
        .map(|(key, addresses)| Contact {
            key,
            addresses: addresses.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

/// Keeps a statement a machine has verified and journals itself.
///
/// # Errors
/// If the store fails, or there is no charter yet.
pub fn learn(node: &Node, statement: Statement) -> Result<(), Error> {
    match node.membership.learn(statement, now()) {
        // Another conversation may have been quicker, and have brought what speaks against it.
        Ok(_) | Err(membership::Error::Refused(_)) => Ok(()),
        Err(membership::Error::Store(error)) => Err(error.into()),
        Err(_) => Err(Error::Broken("a statement was learnt before the charter")),
    }
}

struct Learning(Arc<Node>);

impl Effects<sync::Sync> for Learning {
    async fn save(&mut self, statement: Statement) -> Result<(), Error> {
        learn(&self.0, statement)
    }

    async fn load(&mut self, load: Infallible) -> Result<Infallible, Error> {
        match load {}
    }
}
