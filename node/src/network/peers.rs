//! What is known of every peer: members, and strangers while they are connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::limits::{MAX_STREAMS_PER_MEMBER, MAX_STREAMS_PER_STRANGER};
use fairshare_protocol::time::Timestamp;
use fairshare_protocol::wire;
use libp2p::swarm::ConnectionId;
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Timing;

/// How things stand with one member, for the operator's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// Its node key.
    pub key: PublicKey,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when it is connected, or not; `None` if it was never tried.
    pub since: Option<Timestamp>,
    /// Where it is connected.
    pub address: Option<String>,
    /// Why the last dial failed or the last connection closed: one line in plain words.
    pub last_error: Option<String>,
    /// Dials that failed since it was last connected.
    pub attempts: u32,
    /// Streams of it that are open.
    pub streams: usize,
    /// Streams of it refused since the start, for being too many.
    pub refused_streams: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    pub id: ConnectionId,
    pub address: String,
    pub made: Instant,
    /// Streams it may still open while its owner is a stranger.
    stranger_streams: usize,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub member: bool,
    /// As the operator or the roster wrote them.
    pub addresses: Vec<String>,
    pub lines: Vec<Line>,
    pub dialling: bool,
    pub next_dial: Instant,
    since: Option<Timestamp>,
    last_error: Option<String>,
    failures: u32,
    /// Slots for the streams it opens here.
    inbound: Arc<Semaphore>,
    refused_streams: u64,
    /// Slots for the streams opened there: half of what it would take, for it gives a slot back
    /// a little later than we do.
    pub outbound: Arc<Semaphore>,
}

/// What becomes of a stream that arrived.
pub(super) enum Verdict {
    /// It is let in; a member's takes a slot.
    Welcome {
        member: bool,
        slot: Option<OwnedSemaphorePermit>,
    },
    /// Its owner has too many.
    Busy,
    /// It is not for strangers.
    MembersOnly,
    /// Its owner is gone, or a stranger who keeps trying.
    Cut,
}

impl Peer {
    fn new(addresses: Vec<String>) -> Self {
        Self {
            member: false,
            addresses,
            lines: Vec::new(),
            dialling: false,
            next_dial: Instant::now(),
            since: None,
            last_error: None,
            failures: 0,
            inbound: Arc::new(Semaphore::new(MAX_STREAMS_PER_MEMBER)),
            refused_streams: 0,
            outbound: Arc::new(Semaphore::new(MAX_STREAMS_PER_MEMBER / 2)),
        }
    }

    /// The line to open a stream on: the newest, for an older one may be dead unnoticed.
    pub fn line(&self) -> Option<ConnectionId> {
        self.lines.last().map(|line| line.id)
    }

    /// Why the last dial failed or the last connection closed.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.clone()
    }

    /// Whether this is a node that is to be visited and is not yet.
    pub fn idle_stranger(&self) -> bool {
        !self.member && !self.dialling && self.lines.is_empty() && self.next_dial <= Instant::now()
    }

    /// Plans the next dial: exponential back-off with full jitter.
    fn back_off(&mut self, timing: &Timing) {
        let ceiling = timing
            .first_redial
            .saturating_mul(1 << self.failures.min(20))
            .min(timing.slowest_redial);
        let wait = rand::rng().random_range(Duration::ZERO..=ceiling);
        self.next_dial = Instant::now() + wait;
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<PublicKey, Peer>);

impl Peers {
    pub fn find(&self, key: &PublicKey) -> Option<&Peer> {
        self.0.get(key)
    }

    pub fn find_mut(&mut self, key: &PublicKey) -> Option<&mut Peer> {
        self.0.get_mut(key)
    }

    /// Makes these the members. Gives those removed, and those already connected who are new.
    pub fn adopt(
        &mut self,
        members: &BTreeMap<PublicKey, Vec<String>>,
    ) -> (Vec<PublicKey>, Vec<PublicKey>) {
        let mut removed = Vec::new();
        for (key, peer) in &mut self.0 {
            if peer.member && !members.contains_key(key) {
                peer.member = false;
                removed.push(*key);
            }
        }
        let mut promoted = Vec::new();
        for (key, addresses) in members {
            let peer = self.0.entry(*key).or_insert_with(|| Peer::new(Vec::new()));
            if !peer.member || peer.addresses != *addresses {
                peer.addresses.clone_from(addresses);
                peer.next_dial = Instant::now();
                peer.failures = 0;
            }
            if !peer.member {
                peer.member = true;
                if !peer.lines.is_empty() {
                    promoted.push(*key);
                }
            }
        }
        self.0
            .retain(|_, peer| peer.member || !peer.lines.is_empty());
        (removed, promoted)
    }

    /// A peer that is dialled though it is no member: a steward, by someone who wants to join.
    pub fn visit(&mut self, key: PublicKey, addresses: Vec<String>) {
        let peer = self.0.entry(key).or_insert_with(|| Peer::new(Vec::new()));
        if !peer.member {
            peer.addresses = addresses;
        }
    }

    /// A connection is there. True if it is the peer's first.
    pub fn connected(
        &mut self,
        key: PublicKey,
        id: ConnectionId,
        address: String,
        inbound: bool,
    ) -> bool {
        let peer = self.0.entry(key).or_insert_with(|| Peer::new(Vec::new()));
        peer.lines.push(Line {
            id,
            address,
            made: Instant::now(),
            stranger_streams: MAX_STREAMS_PER_STRANGER,
        });
        peer.dialling &= inbound;
        let first = peer.lines.len() == 1;
        if first {
            peer.since = Some(now());
        }
        first
    }

    /// A connection is gone. True if it was the peer's last.
    pub fn disconnected(
        &mut self,
        key: &PublicKey,
        id: ConnectionId,
        why: String,
        timing: &Timing,
    ) -> bool {
        let Some(peer) = self.0.get_mut(key) else {
            return false;
        };
        let Some(at) = peer.lines.iter().position(|line| line.id == id) else {
            return false;
        };
        let line = peer.lines.remove(at);
        if !peer.lines.is_empty() {
            return false;
        }
        peer.since = Some(now());
        peer.last_error = Some(why);
        // One that closes as soon as it is made (we are a stranger there, say) is no success.
        if line.made.elapsed() >= timing.steady {
            peer.failures = 0;
        } else {
            peer.failures = peer.failures.saturating_add(1);
        }
        peer.back_off(timing);
        self.forget_strangers(key);
        true
    }

    /// A dial turned out not to be needed.
    pub fn dial_done(&mut self, key: &PublicKey) {
        if let Some(peer) = self.0.get_mut(key) {
            peer.dialling = false;
        }
    }

    /// A dial failed.
    pub fn dial_failed(&mut self, key: &PublicKey, why: String, timing: &Timing) {
        if let Some(peer) = self.0.get_mut(key) {
            peer.dialling = false;
            if peer.lines.is_empty() {
                peer.failures = peer.failures.saturating_add(1);
                peer.last_error = Some(why);
                peer.since.get_or_insert_with(now);
            }
            peer.back_off(timing);
        }
        self.forget_strangers(key);
    }

    fn forget_strangers(&mut self, key: &PublicKey) {
        if let Some(peer) = self.0.get(key)
            && !peer.member
            && !peer.dialling
            && peer.lines.is_empty()
        {
            self.0.remove(key);
        }
    }

    /// Members that should be dialled now, at most `room` of them.
    pub fn due(&self, now: Instant, room: usize) -> Vec<PublicKey> {
        let due = |peer: &Peer| {
            peer.member && peer.lines.is_empty() && !peer.dialling && peer.next_dial <= now
        };
        let due = self.0.iter().filter(|(_, peer)| due(peer));
        due.map(|(key, _)| *key).take(room).collect()
    }

    /// Dials on the way.
    pub fn dials(&self) -> usize {
        self.0.values().filter(|peer| peer.dialling).count()
    }

    /// Connections of strangers that have stayed too long.
    pub fn overstayed(&self, stay: Duration) -> Vec<ConnectionId> {
        let strangers = self.0.values().filter(|peer| !peer.member);
        strangers
            .flat_map(|peer| &peer.lines)
            .filter(|line| line.made.elapsed() >= stay)
            .map(|line| line.id)
            .collect()
    }

    /// Decides about a stream that arrived.
    pub fn admit(&mut self, key: &PublicKey, on: ConnectionId, name: &str) -> Verdict {
        let Some(peer) = self.0.get_mut(key) else {
            return Verdict::Cut;
        };
        if peer.member {
            return match Arc::clone(&peer.inbound).try_acquire_owned() {
                Ok(slot) => Verdict::Welcome {
                    member: true,
                    slot: Some(slot),
                },
                Err(_) => {
                    peer.refused_streams += 1;
                    Verdict::Busy
                }
            };
        }
        if name != wire::JOIN {
            return Verdict::MembersOnly;
        }
        match peer.lines.iter_mut().find(|line| line.id == on) {
            Some(line) if line.stranger_streams > 0 => {
                line.stranger_streams -= 1;
                Verdict::Welcome {
                    member: false,
                    slot: None,
                }
            }
            _ => Verdict::Cut,
        }
    }

    /// Every connection is gone: the swarm broke. Gives the members that were connected.
    pub fn lost_all(&mut self) -> Vec<PublicKey> {
        let mut lost = Vec::new();
        for (key, peer) in &mut self.0 {
            peer.dialling = false;
            peer.next_dial = Instant::now();
            if !peer.lines.is_empty() {
                peer.lines.clear();
                peer.since = Some(now());
                peer.last_error = Some("the network of this node was restarted".to_owned());
                if peer.member {
                    lost.push(*key);
                }
            }
        }
        self.0.retain(|_, peer| peer.member);
        lost
    }

    /// The members, for the operator's table.
    pub fn states(&self) -> Vec<PeerState> {
        let members = self.0.iter().filter(|(_, peer)| peer.member);
        members
            .map(|(key, peer)| PeerState {
                key: *key,
                connected: !peer.lines.is_empty(),
                since: peer.since,
                address: peer.lines.last().map(|line| line.address.clone()),
                last_error: peer.last_error.clone(),
                attempts: peer.failures,
                streams: MAX_STREAMS_PER_MEMBER - peer.inbound.available_permits(),
                refused_streams: peer.refused_streams,
            })
            .collect()
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
