//! Whom the swarm dials, and when: members until they are connected, stewards when they are visited.

use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::limits::MAX_DIALS;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, Swarm};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::Error;
use super::address::{self, dial_reason};
use super::build::Whole;
use super::swarm::State;

impl State {
    pub(super) fn ticked(&mut self, swarm: &mut Swarm<Whole>, found: &mpsc::Sender<Lookup>) {
        for line in self.peers.overstayed(self.config.timing.stranger_stay) {
            swarm.close_connection(line);
        }
        let now = Instant::now();
        for (key, _, reached) in self.waiting.extract_if(.., |(_, until, _)| *until <= now) {
            let why = self.peers.find(&key).and_then(|peer| peer.last_error());
            let why = why.unwrap_or_else(|| "no answer".to_owned());
            // Whoever asked may have gone.
            let _ = reached.send(Err(Error::Unreachable(why)));
        }
        let room = (MAX_DIALS as usize).saturating_sub(self.peers.dials());
        let mut due = self.peers.due(now, room);
        let visits = self.waiting.iter().map(|(key, ..)| *key);
        due.extend(visits.filter(|key| self.peers.find(key).is_some_and(|p| p.idle_stranger())));
        due.dedup();
        for key in due {
            let Some(peer) = self.peers.find_mut(&key) else {
                continue;
            };
            peer.dialling = true;
            let (addresses, found) = (peer.addresses.clone(), found.clone());
            let limit = self.config.timing.reach;
            tokio::spawn(async move {
                let result = timeout(limit, look_up(&addresses)).await;
                let result = result.unwrap_or_else(|_| Err("the name service is silent".into()));
                // The swarm may have stopped.
                let _ = found.send((key, result)).await;
            });
        }
    }

    pub(super) fn dial(
        &mut self,
        swarm: &mut Swarm<Whole>,
        key: PublicKey,
        found: Result<Vec<Multiaddr>, String>,
    ) {
        let timing = self.config.timing.clone();
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(why) => return self.peers.dial_failed(&key, why, &timing),
        };
        let Some(peer) = address::peer_id(&key) else {
            return self
                .peers
                .dial_failed(&key, "its key is not usable".to_owned(), &timing);
        };
        if self
            .peers
            .find(&key)
            .is_none_or(|peer| !peer.lines.is_empty())
        {
            // It connected to us meanwhile, or is no member any more.
            return self.peers.dial_done(&key);
        }
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(addresses)
            // From their listening ports, two nodes that dial each other at once would meet half-way
            // (TCP simultaneous open), each believing that it is the one who called.
            .allocate_new_port()
            .build();
        if let Err(error) = swarm.dial(options) {
            self.peers.dial_failed(&key, dial_reason(&error), &timing);
        }
    }
}

pub(super) type Lookup = (PublicKey, Result<Vec<Multiaddr>, String>);

/// All addresses of a node, names looked up.
pub(super) async fn look_up(addresses: &[String]) -> Result<Vec<Multiaddr>, String> {
    if addresses.is_empty() {
        return Err("it gives no address: it dials us".to_owned());
    }
    let mut all = Vec::new();
    let mut why = String::new();
    for text in addresses {
        match address::parse(text) {
            Ok(address) => match address.resolve().await {
                Ok(found) => all.extend(found),
                Err(error) => why = error,
            },
            Err(error) => why = error.to_string(),
        }
    }
    if all.is_empty() { Err(why) } else { Ok(all) }
}
