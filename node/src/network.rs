//! The network: moves frames between this node and others, and decides nothing about them.
//!
//! One task owns the libp2p swarm. Transports are TCP with TLS 1.3 and Yamux, and QUIC; a node's
//! name on the network is its node key. Members may open streams; a stranger may open
//! [`wire::JOIN`] once and is shown out after a while. Every wait is bounded ([`Timing`]), every
//! number too (`limits.rs`). Members are dialled until they are connected, with exponential
//! back-off and full jitter; both sides dial.
//!
//! A panic inside libp2p takes down one connection or, at worst, the swarm; the swarm is then built
//! anew and everybody dialled again.

use std::time::Duration;

use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::{limits, wire};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub use self::address::{AddressError, normal as normal_address};
pub use self::frames::{FrameError, FrameReceiver, FrameSender, Frames};
pub use self::peers::PeerState;
use self::swarm::Command;

mod address;
mod buffered;
mod build;
mod dial;
mod door;
mod frames;
mod line;
mod peers;
mod streams;
mod swarm;
#[cfg(test)]
mod tests;
mod tls;

/// How many events may wait for whoever listens.
const EVENTS: usize = 1024;
/// How many commands may wait for the swarm's task.
const COMMANDS: usize = 256;
/// The names of all streams, of which strangers are given one.
const STREAMS: &[&str] = &wire::STREAMS;

/// How the network is started.
#[derive(Debug)]
pub struct Config {
    /// The node key.
    pub key: KeyPair,
    /// Where to listen: addresses as operators write them; port 0 lets the system choose.
    pub listen: Vec<String>,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take. The defaults are those of `limits.rs`.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Silence between frames.
    pub silence: Duration,
    /// Time in which a stream must move [`limits::FLOOR_BYTES`].
    pub floor_span: Duration,
    /// Time to be connected, and to get a stream.
    pub reach: Duration,
    /// The longest wait before the first dial after a failure.
    pub first_redial: Duration,
    /// The longest wait between dials.
    pub slowest_redial: Duration,
    /// A connection that held this long was a success.
    pub steady: Duration,
    /// How long a stranger may stay.
    pub stranger_stay: Duration,
    /// How often an idle connection is tested, and how long for an answer. The first test missed
    /// counts for nothing in libp2p, so a dead one is noticed after about four times this.
    pub ping: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            silence: limits::SILENCE,
            floor_span: limits::FLOOR_SPAN,
            reach: limits::HANDSHAKE,
            first_redial: Duration::from_millis(500),
            slowest_redial: Duration::from_secs(60),
            steady: Duration::from_secs(5),
            stranger_stay: limits::STRANGER_STAY,
            ping: Duration::from_secs(10),
        }
    }
}

/// A node, and where it may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its node key.
    pub key: PublicKey,
    /// Its addresses; none if it only dials out.
    pub addresses: Vec<String>,
}

/// What the network tells.
#[derive(Debug)]
pub enum Event {
    /// Somebody opened a stream here.
    Incoming {
        /// Who.
        peer: PublicKey,
        /// Whether they are a member's node.
        member: bool,
        /// The stream's name.
        stream: &'static str,
        /// The stream.
        frames: Frames,
    },
    /// A member's node is connected.
    Connected(PublicKey),
    /// A member's node is no longer connected.
    Disconnected(PublicKey),
    /// The node listens here.
    Listening(String),
}

/// A handle to the network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    commands: mpsc::Sender<Command>,
    timing: Timing,
}

impl Network {
    /// Starts to listen and to dial.
    ///
    /// # Errors
    /// If an address cannot be listened on.
    pub async fn start(config: Config) -> Result<(Self, mpsc::Receiver<Event>), Error> {
        let (events, told) = mpsc::channel(EVENTS);
        let (commands, orders) = mpsc::channel(COMMANDS);
        let timing = config.timing.clone();
        let (ready, started) = oneshot::channel();
        tokio::spawn(swarm::supervise(config, orders, events, ready));
        started.await.map_err(|_| Error::Stopped)??;
        Ok((Self { commands, timing }, told))
    }

    /// Says who the members are. Whoever is none any more is disconnected at once.
    ///
    /// # Errors
    /// If the network has stopped.
    pub async fn set_members(&self, members: Vec<Contact>) -> Result<(), Error> {
        self.send(Command::SetMembers(members)).await
    }

    /// Opens a stream to a member's node; connects first if need be.
    ///
    /// # Errors
    /// If the node cannot be reached, or gives no stream in time.
    pub async fn open(&self, peer: &PublicKey, stream: &'static str) -> Result<Frames, Error> {
        let slots = self.ask(|reply| Command::Reach(*peer, reply)).await??;
        let slot = timeout(self.timing.reach, slots.acquire_owned()).await;
        let slot = slot.map_err(|_| Error::Busy)?.map_err(|_| Error::Stopped)?;
        let (opened, stream_here) = oneshot::channel();
        self.send(Command::Open(*peer, stream, opened)).await?;
        match timeout(self.timing.reach, stream_here).await {
            Ok(Ok(Ok(stream))) => Ok(Frames::new(stream, Some(slot), &self.timing)),
            Ok(Ok(Err(streams::Unknown))) => Err(Error::Unsupported),
            _ => {
                // A connection that gives no stream is dead, whatever it looks like.
                self.send(Command::Distrust(*peer)).await?;
                Err(Error::Unreachable(address::NO_ANSWER.to_owned()))
            }
        }
    }

    /// Connects to a node that is no member's, as a newcomer to a steward's, so that
    /// [`Network::open`] can open [`wire::JOIN`] there.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn visit(&self, node: Contact) -> Result<(), Error> {
        let key = node.key;
        self.send(Command::Visit(node)).await?;
        self.ask(|reply| Command::Reach(key, reply)).await??;
        Ok(())
    }

    /// Ends a visit: closes the connections to a node unless it is a member's. A stranger has one
    /// stream in a connection, so whoever comes again must come anew.
    ///
    /// # Errors
    /// If the network has stopped.
    pub async fn leave(&self, node: PublicKey) -> Result<(), Error> {
        self.send(Command::Leave(node)).await
    }

    /// How things stand with every member, in the order of their node keys.
    ///
    /// # Errors
    /// If the network has stopped.
    pub async fn peers(&self) -> Result<Vec<PeerState>, Error> {
        self.ask(Command::States).await
    }

    /// Where the node listens.
    ///
    /// # Errors
    /// If the network has stopped.
    pub async fn listening(&self) -> Result<Vec<String>, Error> {
        self.ask(Command::Listening).await
    }

    /// Closes all connections and stops.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.send(Command::Shutdown(reply)).await.is_ok() {
            // The task is gone either way.
            let _ = timeout(Duration::from_secs(1), done).await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| Error::Stopped)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        // The swarm answers every question within its own limits; this is for a stuck one.
        let answer = timeout(self.timing.reach * 2, answer).await;
        answer.map_err(|_| Error::Busy)?.map_err(|_| Error::Stopped)
    }
}

/// Why the network did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Cannot listen.
    #[error("cannot listen on {address}: {why}; change `listen` in config.toml")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// Not a usable Ed25519 key.
    #[error("the node key is not usable; restore it from the backup of this node")]
    Key,
    /// Cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The other node does not know this stream.
    #[error("the other node does not know this kind of conversation; its software may be older")]
    Unsupported,
    /// Too much at once.
    #[error("too many conversations with that node at once; try again in a moment")]
    Busy,
    /// Stopped.
    #[error("the network has stopped; start the node again")]
    Stopped,
}
