//! The one task that owns the swarm.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::limits::{MAX_DIALS, MAX_MEMBERS};
use futures::{FutureExt, StreamExt};
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, ping};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::address::{self, closed_reason, dial_reason};
use super::build::{Whole, WholeEvent};
use super::peers::{Peers, Verdict};
use super::streams::{Arrival, Opened};
use super::{Config, Contact, Error, Event, Frames, PeerState, STREAMS, Timing};

/// How often dials that are due and strangers who stayed too long are looked for.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

pub(super) type Reached = oneshot::Sender<Result<Arc<Semaphore>, Error>>;

/// What the task is told to do.
#[derive(Debug)]
pub(super) enum Command {
    SetMembers(Vec<Contact>),
    Visit(Contact),
    Leave(PublicKey),
    Reach(PublicKey, Reached),
    Open(PublicKey, &'static str, Opened),
    Distrust(PublicKey),
    States(oneshot::Sender<Vec<PeerState>>),
    Listening(oneshot::Sender<Vec<String>>),
    Shutdown(oneshot::Sender<()>),
    #[cfg(test)]
    SabotageSwarm,
    #[cfg(test)]
    SabotageConnection(PublicKey),
}

/// What outlives a swarm that broke.
pub(super) struct State {
    pub config: Config,
    pub listen: Vec<Multiaddr>,
    events: mpsc::Sender<Event>,
    pub peers: Peers,
    members: BTreeMap<PublicKey, Vec<String>>,
    /// Who waits to reach whom, until when.
    pub waiting: Vec<(PublicKey, Instant, Reached)>,
    pub listening: Vec<Multiaddr>,
    /// Whether a task of the swarm has panicked.
    pub broken: Arc<AtomicBool>,
}

/// Why the swarm was let go.
enum End {
    Stopped,
    Broken,
}

/// Runs the swarm, and builds it anew if it panics.
pub(super) async fn supervise(
    config: Config,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    ready: oneshot::Sender<Result<(), Error>>,
) {
    let mut state = State {
        config,
        listen: Vec::new(),
        events,
        peers: Peers::default(),
        members: BTreeMap::new(),
        waiting: Vec::new(),
        listening: Vec::new(),
        broken: Arc::default(),
    };
    let mut ready = Some(ready);
    loop {
        let swarm = match state.build().await {
            Ok(swarm) => swarm,
            Err(error) => {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Err(error));
                    return;
                }
                // The ports may not be free yet.
                warn!(%error, "the network cannot start again yet");
                tokio::time::sleep(state.config.timing.first_redial).await;
                continue;
            }
        };
        if let Some(ready) = ready.take() {
            let _ = ready.send(Ok(()));
        }
        let run = state.run(swarm, &mut commands);
        if let Ok(End::Stopped) = AssertUnwindSafe(run).catch_unwind().await {
            return;
        }
        warn!("the network broke inside libp2p and is started again");
        for lost in state.peers.lost_all() {
            state.tell(Event::Disconnected(lost));
        }
        state.listening.clear();
    }
}

impl State {
    async fn run(
        &mut self,
        mut swarm: Swarm<Whole>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> End {
        // A panic somebody can provoke must not cut everybody's connections again and again: until
        // then only the broken connection is lost, and one of its peer's allowance with it.
        let mendable = Instant::now() + self.config.timing.slowest_redial;
        // Names are looked up outside this task.
        let (found, mut lookups) = mpsc::channel(MAX_DIALS as usize * 2);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.set_doors(&mut swarm);
        loop {
            tokio::select! {
                event = swarm.select_next_some() => self.heard(&mut swarm, event),
                command = commands.recv() => match command {
                    None => return End::Stopped,
                    Some(Command::Shutdown(done)) => {
                        let all: Vec<_> = swarm.connected_peers().copied().collect();
                        for peer in all {
                            // Already gone is as good.
                            let _ = swarm.disconnect_peer_id(peer);
                        }
                        // Let the goodbyes leave.
                        let goodbye = tokio::time::sleep(std::time::Duration::from_millis(200));
                        tokio::pin!(goodbye);
                        loop {
                            tokio::select! {
                                _ = swarm.select_next_some() => {}
                                () = &mut goodbye => break,
                            }
                        }
                        let _ = done.send(());
                        return End::Stopped;
                    }
                    Some(command) => self.ordered(&mut swarm, command),
                },
                Some((key, addresses)) = lookups.recv() => self.dial(&mut swarm, key, addresses),
                _ = tick.tick() => {
                    if self.broken.load(Ordering::Relaxed) && Instant::now() >= mendable {
                        return End::Broken;
                    }
                    self.ticked(&mut swarm, &found);
                }
            }
        }
    }

    fn ordered(&mut self, swarm: &mut Swarm<Whole>, command: Command) {
        match command {
            Command::SetMembers(members) => {
                self.members = members
                    .into_iter()
                    .take(MAX_MEMBERS)
                    .map(|contact| (contact.key, contact.addresses))
                    .collect();
                self.set_doors(swarm);
            }
            Command::Visit(node) => self.peers.visit(node.key, node.addresses),
            Command::Leave(key) => {
                let peer = self.peers.find(&key).filter(|peer| !peer.member);
                let lines = peer.into_iter().flat_map(|peer| &peer.lines);
                for line in lines.map(|line| line.id).collect::<Vec<_>>() {
                    swarm.close_connection(line);
                    self.closed(key, line, "the visit is over".to_owned());
                }
            }
            Command::Reach(key, reached) => self.reach(key, reached),
            Command::Open(key, name, opened) => {
                let line = self.peers.find(&key).and_then(|peer| peer.line());
                if let (Some(line), Some(peer)) = (line, address::peer_id(&key)) {
                    swarm.behaviour_mut().streams.open(peer, line, name, opened);
                }
                // Otherwise `opened` is dropped, which tells whoever waits.
            }
            Command::Distrust(key) => {
                if let Some(line) = self.peers.find(&key).and_then(|peer| peer.line()) {
                    swarm.close_connection(line);
                    self.closed(key, line, address::NO_ANSWER.to_owned());
                }
            }
            Command::States(reply) => drop(reply.send(self.peers.states())),
            Command::Listening(reply) => {
                let all = self.listening.iter().map(Multiaddr::to_string);
                drop(reply.send(all.collect()));
            }
            // Taken care of by the loop.
            Command::Shutdown(_) => {}
            #[cfg(test)]
            #[allow(clippy::panic, reason = "this is the sabotage the test orders")]
            Command::SabotageSwarm => panic!("a test sabotaged the swarm"),
            #[cfg(test)]
            Command::SabotageConnection(key) => {
                let line = self.peers.find(&key).and_then(|peer| peer.line());
                if let (Some(line), Some(peer)) = (line, address::peer_id(&key)) {
                    swarm.behaviour_mut().streams.sabotage(peer, line);
                }
            }
        }
    }

    /// Tells the door and the table of peers who the members are.
    fn set_doors(&mut self, swarm: &mut Swarm<Whole>) {
        let ids = self.members.keys().filter_map(address::peer_id);
        swarm
            .behaviour_mut()
            .streams
            .door
            .set_members(ids.collect());
        let (removed, promoted) = self.peers.adopt(&self.members);
        for key in removed {
            if let Some(peer) = address::peer_id(&key) {
                // Not connected is what is wanted.
                let _ = swarm.disconnect_peer_id(peer);
            }
        }
        for key in promoted {
            if let Some(peer) = self.peers.find(&key) {
                for line in &peer.lines {
                    swarm.behaviour_mut().streams.door.leave(line.id);
                }
            }
            self.tell(Event::Connected(key));
        }
    }

    fn reach(&mut self, key: PublicKey, reached: Reached) {
        let Some(peer) = self.peers.find_mut(&key) else {
            let why = "it is not a member's node".to_owned();
            return drop(reached.send(Err(Error::Unreachable(why))));
        };
        if !peer.lines.is_empty() {
            return drop(reached.send(Ok(Arc::clone(&peer.outbound))));
        }
        // Somebody is waiting: this dial is not put off.
        peer.next_dial = Instant::now();
        let until = Instant::now() + self.config.timing.reach;
        self.waiting.push((key, until, reached));
    }

    fn heard(&mut self, swarm: &mut Swarm<Whole>, event: SwarmEvent<WholeEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => self.listens(address),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.retain(|known| *known != address);
            }
            SwarmEvent::ListenerError { error, .. } => debug!(%error, "a listener stumbled"),
            SwarmEvent::ListenerClosed { addresses, .. } => {
                warn!(?addresses, "no longer listening");
                self.listening.retain(|known| !addresses.contains(known));
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.established(swarm, peer_id, connection_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                if let Some(key) = address::public_key(&peer_id) {
                    self.closed(key, connection_id, closed_reason(cause.as_ref()));
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                if let Some(key) = address::public_key(&peer) {
                    let why = dial_reason(&error);
                    debug!(%why, "a dial failed");
                    self.peers.dial_failed(&key, why, &self.config.timing);
                }
            }
            SwarmEvent::Behaviour(WholeEvent::Streams(arrival)) => self.arrived(swarm, arrival),
            SwarmEvent::Behaviour(WholeEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(_),
            })) => {
                swarm.close_connection(connection);
                if let Some(key) = address::public_key(&peer) {
                    self.closed(key, connection, address::NO_ANSWER.to_owned());
                }
            }
            _ => {}
        }
    }

    fn established(
        &mut self,
        swarm: &mut Swarm<Whole>,
        peer: PeerId,
        line: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        let Some(key) = address::public_key(&peer) else {
            // Only Ed25519 keys can be a node's.
            swarm.close_connection(line);
            return;
        };
        let remote = endpoint.get_remote_address();
        let inbound = endpoint.is_listener();
        let first = self
            .peers
            .connected(key, line, address::shown(remote), inbound);
        let Some(known) = self.peers.find(&key) else {
            return;
        };
        let (member, slots) = (known.member, Arc::clone(&known.outbound));
        if member {
            let door = &mut swarm.behaviour_mut().streams.door;
            door.home(&peer, address::ip(remote));
            if first {
                info!(address = %address::shown(remote), "connected");
                self.tell(Event::Connected(key));
            }
        }
        for (.., reached) in self.waiting.extract_if(.., |(who, ..)| *who == key) {
            let _ = reached.send(Ok(Arc::clone(&slots)));
        }
    }

    fn closed(&mut self, key: PublicKey, line: ConnectionId, why: String) {
        let member = self.peers.find(&key).is_some_and(|peer| peer.member);
        if self
            .peers
            .disconnected(&key, line, why, &self.config.timing)
            && member
        {
            self.tell(Event::Disconnected(key));
        }
    }

    fn arrived(&mut self, swarm: &mut Swarm<Whole>, arrival: Arrival) {
        let key = address::public_key(&arrival.peer);
        let name = STREAMS.iter().find(|name| **name == arrival.name.as_ref());
        let (Some(key), Some(name)) = (key, name) else {
            return;
        };
        match self.peers.admit(&key, arrival.connection, name) {
            Verdict::Welcome { member, slot } => {
                let timing: &Timing = &self.config.timing;
                let frames = Frames::new(arrival.stream, slot, timing);
                self.tell(Event::Incoming {
                    peer: key,
                    member,
                    stream: name,
                    frames,
                });
            }
            Verdict::Busy => debug!("a member's stream was refused: it has too many"),
            Verdict::MembersOnly => debug!("a stranger's stream was refused"),
            Verdict::Cut => {
                swarm.close_connection(arrival.connection);
            }
        }
    }

    pub(super) fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            warn!("nobody listens to the network: an event was dropped");
        }
    }
}
