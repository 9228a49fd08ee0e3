//! Rounds of [`fairshare_protocol::exchange::reconcile`]: this node's part in them.
//!
//! Whoever proposed a round goes on with it when the line was lost or a node was restarted. With one
//! peer there is one round at a time; of a peer's conversations the newest goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairshare_protocol::exchange::ask::Pair;
use fairshare_protocol::exchange::reconcile::frame::Why;
use fairshare_protocol::exchange::reconcile::{End, Ended, Reconcile, Totals, stopped};
use fairshare_protocol::ids::{OdsCode, PublicKey, RoundId};
use fairshare_protocol::journal::Act;
use fairshare_protocol::wire;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use self::effects::Rounding;
use super::asking;
use super::drive::duplex::duplex;
use super::drive::{Error as Broken, last_word};
use super::ledger::standing;
use super::turns::{Begun, Turns};
use crate::network::{self, Frames};
use crate::node::Node;

mod effects;
mod later;
pub mod people;
pub mod schedule;
mod under;

pub use self::later::opened_later;

/// How often a round is tried again at once after its line was lost, and how long after.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The rounds under way.
#[derive(Default)]
pub struct Reconciling {
    going: Mutex<BTreeMap<OdsCode, Arc<Going>>>,
    turns: Turns,
    begun: Begun,
}

/// One round under way.
#[derive(Debug)]
pub struct Going {
    /// Whether this node proposed it.
    pub proposed: bool,
    people: AtomicU32,
    given: AtomicU32,
    taken: AtomicU32,
    cancelled: watch::Sender<Option<Why>>,
}

impl Going {
    fn new(proposed: bool) -> Self {
        Self {
            proposed,
            people: AtomicU32::new(0),
            given: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            cancelled: watch::Sender::new(None),
        }
    }

    /// Ends the round for this reason, if it has not ended.
    fn call_off(&self, why: Why) {
        self.cancelled.send_replace(Some(why));
    }

    /// Comes back when the round is called off, with the reason.
    async fn called_off(&self) -> Why {
        let mut told = self.cancelled.subscribe();
        let why = told.wait_for(Option::is_some).await.ok();
        why.and_then(|why| *why).unwrap_or(Why::Cancelled)
    }

    /// How many people the round is about, how many keys of ours left, and how many bundles of the
    /// peer's are filed.
    pub fn counts(&self) -> (u32, u32, u32) {
        let read = |count: &AtomicU32| count.load(Ordering::Relaxed);
        (read(&self.people), read(&self.given), read(&self.taken))
    }
}

/// Held while a conversation about a round goes on.
struct Guard<'a> {
    all: &'a Reconciling,
    peer: OdsCode,
    going: Arc<Going>,
}

impl Reconciling {
    /// The round with this peer, if one is under way.
    pub fn with(&self, peer: &OdsCode) -> Option<Arc<Going>> {
        let going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        going.get(peer).cloned()
    }

    /// Calls the round with a peer off; says whether there was one.
    pub fn cancel(&self, peer: &OdsCode) -> bool {
        let going = self.with(peer);
        if let Some(going) = &going {
            going.call_off(Why::Cancelled);
        }
        going.is_some()
    }

    /// Ends the rounds under way with every member that is `meant`, for something is stopped that may
    /// be in them; gives whom they were with.
    pub fn stop(&self, meant: impl Fn(&OdsCode) -> bool) -> Vec<OdsCode> {
        let all = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = all.iter().filter(|(peer, _)| meant(peer));
        stopped
            .map(|(peer, going)| {
                going.call_off(Why::Stopped);
                peer.clone()
            })
            .collect()
    }

    fn enter(&self, peer: &OdsCode, proposed: bool) -> Guard<'_> {
        let going = Arc::new(Going::new(proposed));
        let mut all = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(peer.clone(), Arc::clone(&going));
        Guard {
            all: self,
            peer: peer.clone(),
            going,
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut all = self
            .all
            .going
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if all
            .get(&self.peer)
            .is_some_and(|held| Arc::ptr_eq(held, &self.going))
        {
            all.remove(&self.peer);
        }
    }
}

/// Why there was no round.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No finished match.
    #[error("there is no finished match with {0}; make one with `fairshare match {0}`")]
    NotMatched(OdsCode),
    /// One is under way.
    #[error(
        "a round with {0} is under way; wait until it is over, or call it off: `fairshare reconcile {0} --call-off`"
    )]
    Busy(OdsCode),
    /// An operator here stopped showing.
    #[error("showing to {0} is stopped here, and so are rounds; `fairshare stops` says why")]
    Stopped(OdsCode),
    /// The ladder says so.
    #[error(
        "the bulk lane with {0} is paused until requests are answered again; `fairshare standing {0}` says why"
    )]
    Paused(OdsCode),
    /// No terms.
    #[error("{0}")]
    NoTerms(String),
    /// No federation.
    #[error("this node belongs to no federation yet; join one")]
    NoFederation,
    /// No network.
    #[error("this node is not connected to anybody; is it running?")]
    NoNetwork,
    /// The peer began anew.
    #[error("the peer began the round anew, which goes on instead")]
    TakenOver,
    /// The peer cannot be reached.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// This node failed.
    #[error(transparent)]
    Ours(#[from] Broken),
}

/// Proposes a round to a peer, or goes on with the one that was broken off. Tries again if the line
/// is lost meanwhile. `tell` is told how far it is.
///
/// # Errors
/// If there can be no round, or this node cannot do its part.
pub async fn begin(
    node: &Arc<Node>,
    peer: &OdsCode,
    tell: &(dyn Fn(&Going) + Send + Sync),
) -> Result<Ended, Error> {
    let turn = node.reconciling.turns.with(peer);
    let _turn = turn.try_lock().map_err(|_| Error::Busy(peer.clone()))?;
    let guard = node.reconciling.enter(peer, true);
    let mut tries = 0;
    loop {
        tries += 1;
        let tried = {
            let tried = once(node, peer, &guard.going);
            tokio::pin!(tried);
            loop {
                tokio::select! {
                    tried = &mut tried => break tried,
                    () = tokio::time::sleep(Duration::from_millis(200)) => tell(&guard.going),
                }
            }
        };
        tell(&guard.going);
        let again = match &tried {
            Ok(ended) => {
                ended.totals.round.is_some()
                    && matches!(ended.how, End::Broken(_))
                    && ended.how.goes_on()
            }
            Err(Error::Network(_)) => tries > 1,
            Err(_) => false,
        };
        if !again || tries == TRIES {
            return tried;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(node: &Arc<Node>, peer: &OdsCode, going: &Arc<Going>) -> Result<Ended, Error> {
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    let pair = asking::pair(node, &roster, peer).map_err(Error::NoTerms)?;
    let network = node.network().ok_or(Error::NoNetwork)?;
    node.reserve.spare().map_err(Broken::from)?;
    if node.stops.rounds(peer) {
        return Err(Error::Stopped(peer.clone()));
    }
    if standing::paused(node, peer)
        .map_err(Broken::from)?
        .is_some()
    {
        return Err(Error::Paused(peer.clone()));
    }
    let effects = Arc::new(Rounding::new(node, (peer, &pair.terms), Arc::clone(going)));
    loop {
        let newest = node.rounds.newest(peer).map_err(Broken::from)?;
        let unfinished = newest.filter(|row| row.round.proposed && !row.over);
        let machine = match unfinished {
            Some(row) => {
                let kept = effects.recall(row).await?;
                Reconcile::resume(pair.clone(), kept)
            }
            None => {
                let matched = node.index.matched(peer).map_err(Broken::from)?;
                let match_id = matched
                    .ok_or_else(|| Error::NotMatched(peer.clone()))?
                    .match_id;
                let (here, of) = (Arc::clone(node), peer.clone());
                let people = spawn_blocking(move || people::active(&here, &of, &match_id));
                let people = people.await.map_err(Broken::from)??;
                Reconcile::propose(pair.clone(), match_id, people.listed())
            }
        };
        let frames = network.open(&pair.peer_key, wire::RECONCILE).await?;
        let ended = duplex(machine, frames, (&node.journal, &node.store), &effects).await?;
        log(peer, &ended);
        let unknown = End::Stopped {
            why: Why::UnknownRound,
            by_peer: true,
        };
        if ended.how != unknown {
            return Ok(ended);
        }
    }
}

/// Takes part in a round a peer proposes, or goes on with.
///
/// # Errors
/// If this node cannot do its part.
pub async fn answer(node: &Arc<Node>, pair: Pair, mut frames: Frames) -> Result<(), Error> {
    let peer = pair.peer.clone();
    if node
        .reconciling
        .with(&peer)
        .is_some_and(|going| going.proposed)
    {
        last_word(&mut frames, &stopped(Why::Busy)).await;
        return Err(Error::Busy(peer));
    }
    let another = node.reconciling.begun.another(&peer);
    let answered = async {
        let turn = node.reconciling.turns.with(&peer);
        let _turn = turn.lock().await;
        let guard = node.reconciling.enter(&peer, false);
        // Only now: whoever stops it from here on calls it off.
        if node.stops.rounds(&peer) {
            let refused = Act::Refused {
                peer: Some(peer.clone()),
                what: format!("a round: {}", Why::Stopped),
            };
            node.record([refused]).await?;
            last_word(&mut frames, &stopped(Why::Stopped)).await;
            return Err(Error::Stopped(peer.clone()));
        }
        let going = Arc::clone(&guard.going);
        let effects = Arc::new(Rounding::new(node, (&peer, &pair.terms), going));
        let machine = Reconcile::answer(pair);
        let ended = duplex(machine, frames, (&node.journal, &node.store), &effects).await?;
        log(&peer, &ended);
        Ok(())
    };
    tokio::select! {
        answered = answered => answered,
        () = another.is_over() => Err(Error::TakenOver),
    }
}

fn log(peer: &OdsCode, ended: &Ended) {
    let Totals {
        people,
        given,
        taken,
        ..
    } = ended.totals;
    let how = ended.how.code();
    tracing::info!(%peer, people, given, taken, how, "a round ended");
}

/// Goes on with the round that was broken off with the node of this key, if this node proposed it.
pub async fn go_on(node: &Arc<Node>, key: &PublicKey) {
    let roster = node.membership.roster();
    let Some(peer) = roster.as_ref().and_then(|roster| roster.by_node(key)) else {
        return;
    };
    let newest = node.rounds.newest(&peer.code);
    let unfinished = newest.ok().flatten();
    if unfinished.is_none_or(|row| row.over || !row.round.proposed) {
        return;
    }
    if let Err(error) = begin(node, &peer.code, &|_| ()).await {
        tracing::info!(peer = %peer.code, %error, "a round does not go on yet");
    }
}

/// The id a round is known by in the tables of exchanges.
const fn named(round: &RoundId) -> fairshare_protocol::ids::ExchangeId {
    fairshare_protocol::ids::ExchangeId::new(*round.as_bytes())
}
