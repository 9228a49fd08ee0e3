//! A plain libp2p stream on the very line nodes have between them, built of the node's own source: TCP, its
//! TLS and its buffer, yamux.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use crate::{Fallible, ready, stream};

#[path = "../../../../node/src/network/buffered.rs"]
mod buffered;
#[path = "../../../../node/src/network/line.rs"]
mod line;
#[path = "../../../../node/src/network/tls.rs"]
mod tls;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/files");
/// Longer than any transfer takes.
const IDLE: Duration = Duration::from_secs(600);

fn swarm() -> Fallible<Swarm<libp2p_stream::Behaviour>> {
    Ok(SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(line::tcp(), line::secured, line::muxer)?
        .with_behaviour(|_| libp2p_stream::Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build())
}

pub async fn serve(files: Vec<PathBuf>) -> Fallible<()> {
    let mut swarm = swarm()?;
    let mut incoming = swarm.behaviour().new_control().accept(PROTOCOL)?;
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let at = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.with(Protocol::P2p(*swarm.local_peer_id()));
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let files = Arc::new(files);
    tokio::spawn(async move {
        while let Some((_, to)) = incoming.next().await {
            let files = Arc::clone(&files);
            tokio::spawn(async move {
                let mut to = to.compat();
                stream::send(&files, &mut to).await?;
                tokio::io::AsyncWriteExt::shutdown(&mut to).await?;
                Fallible::Ok(())
            });
        }
    });
    ready(&at.to_string()).await
}

pub async fn get(at: &str, dir: &Path) -> Fallible<()> {
    let at: Multiaddr = at.parse()?;
    let peer: PeerId = at
        .iter()
        .find_map(|part| match part {
            Protocol::P2p(peer) => Some(peer),
            _ => None,
        })
        .ok_or("an address without a peer")?;
    let mut swarm = swarm()?;
    let mut control = swarm.behaviour().new_control();
    swarm.dial(at)?;
    loop {
        if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
            break;
        }
    }
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let from = control.open_stream(peer, PROTOCOL).await?;
    stream::take(from.compat(), dir).await
}
