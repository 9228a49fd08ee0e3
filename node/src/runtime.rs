//! A node that runs: from its first entry in the journal to its last.

use std::future::Future;
use std::sync::Arc;

use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use fairshare_protocol::journal::Act;

use crate::control::server;
use crate::engine::sessions;
use crate::network::{self, Network};
use crate::node::Node;

/// Runs the node until `stop`; calls `ready` once it answers operators.
///
/// # Errors
/// If its start or stop cannot be recorded, or its socket not opened.
pub async fn run(
    node: Arc<Node>,
    ready: impl FnOnce() + Send,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Failure> {
    let started = Act::Started {
        member: node.code().clone(),
        node: node.keys.node.public(),
        federation: node.membership.statements().map(|held| held.federation()),
    };
    let recorded = node.record([started]).await;
    recorded.map_err(|error| Failure::from_error(WRONG, &error))?;
    let config = network::Config {
        key: node.keys.node.clone(),
        listen: node.config.listen.clone(),
        timing: network::Timing::default(),
    };
    let started = Network::start(config).await;
    let (network, events) = started.map_err(|error| Failure::from_error(WRONG, &error))?;
    node.connect(network.clone());
    let sessions = tokio::spawn(sessions::serve(Arc::clone(&node), network.clone(), events));
    let socket = server::bind(node.home.root())?;
    tracing::info!(member = %node.code(), home = %node.home.root().display(), "ready");
    ready();
    server::serve(Arc::clone(&node), socket, stop).await;
    tracing::info!("stopping");
    server::unbind(node.home.root());
    network.shutdown().await;
    sessions.abort();
    let recorded = node.record([Act::Stopped]).await;
    recorded.map_err(|error| Failure::from_error(DEGRADED, &error))
}
