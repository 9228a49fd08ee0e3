//! How a swarm is put together.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fairshare_protocol::limits::{MAX_CONNECTIONS_PER_PEER, MAX_DIALS, MAX_PENDING_INBOUND};
use futures::{FutureExt, StreamExt};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, connection_limits, ping};

use super::address::{self, transport_reason};
use super::door::Door;
use super::streams::Behaviour;
use super::swarm::State;
use super::{Error, Event, STREAMS, line};

/// Everything a swarm does.
#[derive(NetworkBehaviour)]
pub(super) struct Whole {
    pub limits: connection_limits::Behaviour,
    pub ping: ping::Behaviour,
    pub streams: Behaviour,
}

impl State {
    /// A swarm that listens.
    pub(super) async fn build(&mut self) -> Result<Swarm<Whole>, Error> {
        if self.listen.is_empty() {
            for text in &self.config.listen {
                self.listen.push(address::parse(text)?.to_listen()?);
            }
        }
        let mut seed = *self.config.key.seed();
        let key = libp2p::identity::Keypair::ed25519_from_bytes(&mut seed);
        let limits = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING_INBOUND))
            .with_max_pending_outgoing(Some(MAX_DIALS))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
        let ping = ping::Config::new()
            .with_interval(self.config.timing.ping)
            .with_timeout(self.config.timing.ping);
        self.broken = Arc::default();
        let broken = Arc::clone(&self.broken);
        // libp2p would let a task that panics vanish, and count its connection for ever.
        let executor = move |task: Pin<Box<dyn Future<Output = ()> + Send>>| {
            let broken = Arc::clone(&broken);
            tokio::spawn(async move {
                if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                    broken.store(true, Ordering::Relaxed);
                }
            });
        };
        let mut swarm = SwarmBuilder::with_existing_identity(key.map_err(|_| Error::Key)?)
            .with_tokio()
            .with_tcp(line::tcp(), line::secured, line::muxer)
            .map_err(|_| Error::Key)?
            .with_quic()
            .with_behaviour(|_| Whole {
                limits: connection_limits::Behaviour::new(limits),
                ping: ping::Behaviour::new(ping),
                streams: Behaviour::new(Door::default(), STREAMS),
            })
            .map_err(|_| Error::Key)?
            .with_swarm_config(|_| libp2p::swarm::Config::with_executor(executor))
            .with_connection_timeout(self.config.timing.reach)
            .build();
        for listen in self.listen.clone() {
            let error = |why| Error::Listen {
                address: address::shown(&listen),
                why,
            };
            let id = swarm.listen_on(listen.clone());
            let id = id.map_err(|failed| error(transport_reason(&failed)))?;
            // libp2p binds at once and tells of it, or of its failure, in the first events.
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr {
                        listener_id,
                        address,
                    } => {
                        self.listens(address);
                        if listener_id == id {
                            break;
                        }
                    }
                    SwarmEvent::ListenerClosed {
                        listener_id,
                        reason,
                        ..
                    } if listener_id == id => {
                        let why = reason.err().map_or("closed".to_owned(), |e| e.to_string());
                        return Err(error(why));
                    }
                    _ => {}
                }
            }
        }
        Ok(swarm)
    }

    pub(super) fn listens(&mut self, at: Multiaddr) {
        self.tell(Event::Listening(at.to_string()));
        self.listening.push(at);
    }
}
