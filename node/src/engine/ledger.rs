//! The ledgers: this node's part in [`fairshare_protocol::ledger`].
//!
//! Exchanges leave their entries in the store and go on; no answer waits here. One task gathers what
//! waits, writes it into pages, and brings the chains of the two together while the peer is
//! connected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairshare_protocol::exchange::account::{Entry, Stage};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::journal::Act;
use fairshare_protocol::ledger::chain::{Chains, Pair, Which};
use fairshare_protocol::ledger::page::{Head, room};
use fairshare_protocol::ledger::sync::{Outcome, Sync};
use fairshare_protocol::limits::{GATHER, MAX_PAGE_ENTRIES, QUOTE_WITHIN};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use fairshare_protocol::wire;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::drive::{Error, drive, now};
use super::turns::Turns;
use crate::journal::Lately;
use crate::network::{Frames, Network};
use crate::node::Node;
use crate::store::{self, Store};

use self::talking::Talking;

pub mod standing;
mod talking;

/// How often everything is looked at, if nobody stirs.
const EVERY: Duration = Duration::from_secs(60);
/// The first wait after a conversation that came to nothing, and the longest.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(300)];

/// How long a ledger that has forked is left alone.
const FORKED: Duration = Duration::from_secs(60 * 60);
/// How soon what is missing of an exchange is asked for, the first time.
const FILL: Duration = Duration::from_secs(10);

/// The ledgers with all peers.
pub struct Ledgers {
    /// What is kept of them.
    pub store: store::ledger::Ledger,
    peers: Mutex<BTreeMap<OdsCode, With>>,
    writing: Turns,
    stir: Notify,
    pub(super) counted: standing::Counted,
}

/// How it is with one peer since this node started.
#[derive(Debug, Clone, Default)]
struct With {
    /// The furthest page of ours the journal knows.
    known: Head,
    /// Whether all of our pages that the peer holds are here: before that nothing is written.
    recovered: bool,
    /// Whether it is connected anew.
    met: bool,
    /// The last page of ours the peer is known to hold.
    told: u64,
    /// Conversations in a row that came to nothing.
    failed: u32,
    /// Not before then is it tried again.
    next: Timestamp,
    /// When what is missing is asked for, if anything is; and how often it was in vain.
    fill: Option<Timestamp>,
    unfilled: u32,
}

impl Ledgers {
    /// The ledgers in `store`; the journal says how far our chains went.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: &Store, lately: &BTreeMap<OdsCode, Lately>) -> Result<Self, store::Error> {
        let known = |(code, lately): (&OdsCode, &Lately)| {
            let with = With {
                known: lately.page,
                ..With::default()
            };
            (code.clone(), with)
        };
        Ok(Self {
            store: store::ledger::Ledger::open(store)?,
            peers: Mutex::new(lately.iter().map(known).collect()),
            writing: Turns::default(),
            stir: Notify::new(),
            counted: standing::Counted::default(),
        })
    }

    /// Keeps what an exchange with this peer leaves for the account, so far or in the end. The next
    /// commit makes it durable; it is written into a page later, and nobody waits for that.
    ///
    /// # Errors
    /// If the store fails.
    pub fn enter(&self, peer: &OdsCode, stage: Stage, entry: &Entry) -> Result<(), store::Error> {
        self.store.enter(peer, stage, entry)?;
        self.stir.notify_one();
        Ok(())
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<OdsCode, With>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, peer: &OdsCode) -> With {
        self.peers().get(peer).cloned().unwrap_or_default()
    }

    fn change(&self, peer: &OdsCode, change: impl FnOnce(&mut With)) {
        change(self.peers().entry(peer.clone()).or_default());
    }

    /// This peer is connected: the chains are brought together at once.
    pub fn met(&self, peer: &OdsCode) {
        self.change(peer, |with| {
            (with.met, with.failed, with.next) = (true, 0, Timestamp(0));
        });
        self.stir.notify_one();
    }

    /// What is to be done with this peer now: nothing, or when, or at once.
    fn due(&self, peer: &OdsCode, now: Timestamp) -> Result<Option<Timestamp>, store::Error> {
        let with = self.with(peer);
        let chains = self.store.chains(peer)?;
        let wants = !with.recovered
            || with.met
            || with.fill.is_some_and(|fill| fill <= now)
            || chains.ours.number > with.told
            || self.store.has_waiting(peer);
        let quote = chains.owes_quote().then(|| chains.due_since + QUOTE_WITHIN);
        let later = [quote, with.fill].into_iter().flatten().min();
        let due = if wants { Some(now) } else { later };
        Ok(due.map(|due| due.max(with.next)))
    }
}

/// Looks after the ledgers until the task is dropped.
pub async fn keep(node: Arc<Node>, network: Network) {
    let mut talking: JoinSet<OdsCode> = JoinSet::new();
    let mut with = BTreeSet::new();
    loop {
        while let Some(ended) = talking.try_join_next() {
            match ended {
                Ok(peer) => drop(with.remove(&peer)),
                // Nobody knows which: all may be tried again.
                Err(_) => with.clear(),
            }
        }
        let mut wake = now() + EVERY;
        for peer in connected(&node, &network).await {
            if with.contains(&peer) {
                continue;
            }
            match node.ledgers.due(&peer, now()) {
                Ok(Some(due)) if due <= now() => {
                    with.insert(peer.clone());
                    let (node, network) = (Arc::clone(&node), network.clone());
                    talking.spawn(async move {
                        bring_together(&node, &network, &peer).await;
                        node.ledgers.stir.notify_one();
                        peer
                    });
                }
                Ok(Some(due)) => wake = wake.min(due),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the ledgers were not looked after"),
            }
        }
        standing::look(&node).await;
        tokio::select! {
            () = tokio::time::sleep(wake.since(now())) => {}
            () = node.ledgers.stir.notified() => tokio::time::sleep(GATHER).await,
        }
    }
}

/// The members that are connected and take part.
async fn connected(node: &Node, network: &Network) -> Vec<OdsCode> {
    let Some(roster) = node.membership.roster() else {
        return Vec::new();
    };
    let peers = network.peers().await.unwrap_or_default();
    let up = peers.iter().filter(|peer| peer.connected);
    let members = up.filter_map(|peer| roster.by_node(&peer.key));
    members
        .filter(|member| member.is_active())
        .map(|member| member.code.clone())
        .collect()
}

/// The node with this key is connected.
pub fn met(node: &Node, key: &PublicKey) {
    let roster = node.membership.roster();
    if let Some(member) = roster.as_ref().and_then(|roster| roster.by_node(key)) {
        node.ledgers.met(&member.code);
    }
}

/// Writes what waits, if this node may, and talks with the peer; and once more if only now it may.
async fn bring_together(node: &Arc<Node>, network: &Network, peer: &OdsCode) {
    for _ in 0..2 {
        let before = node.ledgers.with(peer);
        if before.recovered
            && let Err(error) = write(node, peer).await
        {
            tracing::error!(%peer, %error, "a page was not written");
            return failed(node, peer);
        }
        if let Err(error) = begin(node, network, peer).await {
            tracing::info!(%peer, %error, "the ledger with a peer is not up to date yet");
            return failed(node, peer);
        }
        let after = node.ledgers.with(peer);
        if after.recovered == before.recovered {
            return;
        }
    }
}

fn failed(node: &Node, peer: &OdsCode) {
    node.ledgers.change(peer, |with| {
        let wait = AGAIN[0].saturating_mul(1 << with.failed.min(10));
        with.failed += 1;
        with.next = with.next.max(now() + wait.min(AGAIN[1]));
    });
}

async fn begin(node: &Arc<Node>, network: &Network, peer: &OdsCode) -> Result<(), Error> {
    let roster = node.membership.roster();
    let member = roster.as_ref().and_then(|roster| roster.member(peer));
    let Some(keys) = member.and_then(|member| member.node) else {
        return Err(Error::Broken("the peer has named no node yet"));
    };
    let frames = network.open(&keys.node, wire::LEDGER).await?;
    match talk(node, peer, frames).await? {
        Outcome::Synced { .. } => Ok(()),
        _ => Err(Error::Broken("a ledger conversation came to nothing")),
    }
}

/// Talks with the peer about both chains.
///
/// # Errors
/// If this node cannot do its part.
pub async fn talk(node: &Arc<Node>, peer: &OdsCode, frames: Frames) -> Result<Outcome, Error> {
    let none = Error::Broken("a ledger before a federation");
    let pair = pair(node, peer).ok_or(none)?;
    // A draft found may have been signed and sent: it is a page before anything else is said. One
    // that is being written is waited for, until it is durable.
    let turn = node.ledgers.writing.with(peer);
    let written = turn.lock().await;
    finish_draft(node, peer)?;
    drop(written);
    let machine = Sync::new(pair, node.keys.node.clone());
    let ours = node.ledgers.store.chains(peer)?.ours.number;
    let keep = (&node.journal, &node.store);
    let mut talking = Talking {
        node: Arc::clone(node),
        peer: peer.clone(),
    };
    let outcome = drive(machine, frames, keep, &mut talking).await?;
    match &outcome {
        Outcome::Synced {
            sent,
            read,
            recovered,
        } => {
            tracing::debug!(%peer, sent, read, recovered, "the ledger is up to date");
            if *recovered > 0 {
                tracing::warn!(%peer, pages = recovered, "took back pages of our ledger");
            }
            node.ledgers.change(peer, |with| {
                (with.recovered, with.met, with.failed) = (true, false, 0);
                with.told = with.told.max(ours);
            });
        }
        Outcome::Forked(which) => {
            tracing::error!(%peer, ?which, "a ledger has forked");
            // It does not mend by itself; each conversation about it is journaled.
            node.ledgers.change(peer, |with| with.next = now() + FORKED);
        }
        other => tracing::info!(%peer, outcome = ?other, "a ledger conversation ended"),
    }
    if matches!(&outcome, Outcome::Synced { .. }) {
        let missing = node.ledgers.store.missing(peer, 1, now() + FILL)?;
        node.ledgers.change(peer, |with| match missing.is_empty() {
            true => (with.fill, with.unfilled) = (None, 0),
            false => {
                // A peer that has lost it too will not have it the next time either.
                let wait = FILL.saturating_mul(1 << with.unfilled.min(8));
                with.unfilled += 1;
                with.fill = Some(now() + wait);
            }
        });
    }
    if matches!(&outcome, Outcome::Synced { read, .. } if *read > 0) {
        // A quote is owed.
        node.ledgers.stir.notify_one();
    }
    Ok(outcome)
}

/// This node and a peer, as the ledger needs them.
pub(super) fn pair(node: &Node, peer: &OdsCode) -> Option<Pair> {
    let statements = node.membership.statements()?;
    Some(Pair::of_members(&statements, node.code(), peer))
}

/// Writes all that waits into pages, each durable before it is signed.
async fn write(node: &Arc<Node>, peer: &OdsCode) -> Result<(), Error> {
    let turn = node.ledgers.writing.with(peer);
    let _turn = turn.lock().await;
    let Some(pair) = pair(node, peer) else {
        return Ok(());
    };
    let ledger = &node.ledgers.store;
    loop {
        finish_draft(node, peer)?;
        let chains = ledger.chains(peer)?;
        let mut entries = ledger.waiting(peer, MAX_PAGE_ENTRIES)?;
        entries.truncate(room(&entries));
        let quote = chains.owes_quote() && now() >= chains.due_since + QUOTE_WITHIN;
        if entries.is_empty() && !quote {
            return Ok(());
        }
        let page = chains.next(&pair, entries, now());
        let head = Chains::head_of(&page, &node.keys.node);
        ledger.draft(peer, &page)?;
        node.record([Act::PageWritten {
            peer: peer.clone(),
            number: head.number,
            page: head.hash,
        }])
        .await?;
        node.ledgers
            .change(peer, |with| with.known = with.known.max(head));
        finish_draft(node, peer)?;
    }
}

/// A page that is durable is signed and becomes the last of our chain.
fn finish_draft(node: &Node, peer: &OdsCode) -> Result<(), Error> {
    let ledger = &node.ledgers.store;
    let Some(page) = ledger.drafted(peer)? else {
        return Ok(());
    };
    let signed = Signed::sign(&page, &node.keys.node);
    ledger.append(peer, Which::Ours, &(signed, page), now())?;
    Ok(())
}
