//! New people between two matches, over real streams: our batches to a peer, the peer's to us, and
//! one entry alone.

use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::ids::{Handle, OdsCode, PublicKey};
use fairshare_protocol::index::advert::cap;
use fairshare_protocol::index::advert::own::Slot;
use fairshare_protocol::index::delta::job::{self, Fact, Ground, Load, Next};
use fairshare_protocol::index::delta::{Delta, Outcome, Part, Save, Setup, Told, stopped};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::links::Link;
use fairshare_protocol::limits::MAX_GENERATIONS;
use fairshare_protocol::roster::Roster;
use fairshare_protocol::wire;
use rayon::prelude::*;
use tokio::task::spawn_blocking;

pub use fairshare_protocol::index::delta::reason::Reason;

use super::advert::Ours;
use super::drive::{self, Effects, last_word, part};
use super::matching::{Error, Ready, while_shown};
use crate::network::Frames;
use crate::node::Node;
use crate::store::index::Index;

/// Entries raised in one go by one thread.
const RUN: usize = 64;
/// How long something that is all but over takes.
const ALL_BUT_OVER: Duration = Duration::from_secs(1);

/// Gives a peer our batches it has not answered, and takes its.
///
/// # Errors
/// Why it was broken off; what was answered before stands.
pub(super) async fn begin(node: &Arc<Node>, peer: &OdsCode, ready: &Ready) -> Result<Told, Error> {
    loop {
        let begun = async {
            let turn = node.telling.with(peer);
            let _turn = turn.lock().await;
            let mut frames = ready.open(node, wire::DELTA).await?;
            let telling = Telling::new(node, peer, Arc::clone(&ready.ours), None)?;
            let told = telling.run(node, Part::Beginner, &mut frames).await?;
            let _ = frames.finish().await;
            Ok(told)
        };
        tokio::select! {
            told = begun => return told,
            () = crossed(node, peer) => node.told.quiet(peer).await,
        }
    }
}

/// Returns when what we tell a peer waits for what it tells us at the same time: that of the member
/// whose code sorts first goes on, and the other begins again after it.
async fn crossed(node: &Node, peer: &OdsCode) {
    if node.code() < peer {
        return std::future::pending().await;
    }
    loop {
        node.told.busy(peer).await;
        // Ours may be all but over, and its last words being kept.
        tokio::time::sleep(ALL_BUT_OVER).await;
        if node.told.is_busy(peer) {
            return;
        }
    }
}

/// Takes a peer's batches, and gives it ours.
///
/// # Errors
/// Why it was broken off; what was answered before stands.
pub async fn answer(node: &Arc<Node>, peer: &OdsCode, mut frames: Frames) -> Result<Told, Error> {
    node.reserve.spare().map_err(drive::Error::from)?;
    let told = take(node, peer, &mut frames).await?;
    let _ = frames.finish().await;
    Ok(told)
}

/// Takes what a peer gives on this stream: batches, or one entry; then others may use the stream.
///
/// # Errors
/// As [`begin`].
pub(super) async fn take(
    node: &Arc<Node>,
    peer: &OdsCode,
    frames: &mut Frames,
) -> Result<Told, Error> {
    let _another = node.told.another(peer);
    let turn = node.telling.with(peer);
    let _turn = turn.lock().await;
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    if !roster.terms(node.code(), peer)?.may_match {
        return Err(Error::NoPresence);
    }
    let ours = node.adverts.held(node, &roster).await?;
    let telling = ours.ok_or_else(stale).and_then(|ours| {
        // Of an advert that is being made anew nobody knows anything yet.
        Telling::new(node, peer, ours, None)
    });
    match telling {
        Ok(telling) => telling.run(node, Part::Answerer, frames).await,
        Err(error) => {
            last_word(frames, &stopped(Reason::Stale)).await;
            Err(error)
        }
    }
}

/// Gives a peer the entry of one person who needs care now. Says whether the peer holds them: then
/// there is a handle, and the stream is there for more.
///
/// # Errors
/// As [`begin`].
pub(super) async fn contact(
    node: &Arc<Node>,
    (peer, key): (&OdsCode, &PublicKey),
    person: IndexKey,
) -> Result<(bool, Frames), Error> {
    let network = node.network().ok_or(Error::NoNetwork)?;
    loop {
        let begun = async {
            let mut frames = network.open(key, wire::CONTACT).await?;
            let turn = node.telling.with(peer);
            let _turn = turn.lock().await;
            let roster = node.membership.roster().ok_or(Error::NoFederation)?;
            let ours = node.adverts.held(node, &roster).await?;
            let telling = Telling::new(node, peer, ours.ok_or_else(stale)?, Some(person))?;
            let told = telling.run(node, Part::Contact, &mut frames).await?;
            Ok((told.links > 0, frames))
        };
        tokio::select! {
            told = begun => return told,
            () = crossed(node, peer) => node.told.quiet(peer).await,
        }
    }
}

/// Whether there is a finished match of the two newest adverts we know of, so that a delta or a
/// first contact can continue it.
///
/// # Errors
/// If the store fails.
pub fn continues(node: &Node, peer: &OdsCode) -> Result<bool, drive::Error> {
    let (Some(pair), Some(own)) = (node.index.pair(peer)?, node.index.own()?) else {
        return Ok(false);
    };
    let roster = node.membership.roster();
    let epoch = roster.map(|roster| roster.epoch(drive::now()));
    let theirs = node.index.peer(peer)?.map(|held| held.header.hash());
    Ok(epoch == Some(pair.epoch) && pair.ours == own.header.hash() && Some(pair.theirs) == theirs)
}

fn stale() -> Error {
    Error::Delta {
        reason: Reason::Stale,
        said_by_peer: false,
    }
}

/// What one delta needs of the node.
struct Telling {
    index: Index,
    peer: OdsCode,
    peer_node: PublicKey,
    ours: Arc<Ours>,
    ground: Arc<Ground>,
    contact: Option<IndexKey>,
    limits: (u32, u32),
}

impl Telling {
    fn new(
        node: &Node,
        peer: &OdsCode,
        ours: Arc<Ours>,
        contact: Option<IndexKey>,
    ) -> Result<Self, Error> {
        let roster: Arc<Roster> = node.membership.roster().ok_or(Error::NoFederation)?;
        let member = roster.member(peer).ok_or(Error::NoNode)?;
        let pair = node.index.pair(peer).map_err(drive::Error::from)?;
        let held = node.index.peer(peer).map_err(drive::Error::from)?;
        let (Some(pair), Some(held)) = (pair, held) else {
            return Err(stale());
        };
        if pair.ours != ours.own.advert().signed().hash() || pair.theirs != held.header.hash() {
            return Err(stale());
        }
        let broken = drive::Error::Broken("a header that was checked cannot be read");
        Ok(Self {
            index: node.index.clone(),
            peer: peer.clone(),
            peer_node: member.node.ok_or(Error::NoNode)?.node,
            ground: Arc::new(Ground {
                own: Arc::clone(&ours.own),
                peer: held.header.peek().map_err(|_| broken)?,
                theirs: pair.theirs,
                match_id: pair.match_id,
            }),
            ours,
            contact,
            limits: (
                roster.charter().additions_per_day,
                cap(member.population, MAX_GENERATIONS),
            ),
        })
    }

    async fn run(
        mut self,
        node: &Arc<Node>,
        role: Part,
        frames: &mut Frames,
    ) -> Result<Told, Error> {
        let pair = node.index.pair(&self.peer).map_err(drive::Error::from)?;
        let machine = Delta::new(Setup {
            ground: Arc::clone(&self.ground),
            node: node.keys.node.clone(),
            peer_node: self.peer_node,
            kept: pair.ok_or_else(stale)?.kept,
            additions_per_day: self.limits.0,
            cap: self.limits.1,
            part: role,
        });
        let keep = (&node.journal, &node.store);
        let peer = self.peer.clone();
        let told = async { Ok(part(machine, frames, keep, &mut self).await?) };
        match while_shown(node, &peer, told).await? {
            Outcome::Told(told) => {
                // Both have kept the links of the match this continues: what it was worked out
                // from is needed no more.
                let (index, ground) = (self.index.clone(), Arc::clone(&self.ground));
                let ours = self.ours.own.advert().signed().hash();
                let finish = move || index.finish(&ours, &ground.theirs);
                let finished = spawn_blocking(finish).await.map_err(drive::Error::from)?;
                finished.map_err(drive::Error::from)?;
                Ok(told)
            }
            Outcome::Failed(_, failed) => {
                let (reason, peer) = (failed.reason, &self.peer);
                tracing::warn!(%peer, why = reason.code(), "a delta was broken off");
                if let Some(evidence) = &failed.evidence {
                    node.index.accuse(evidence).map_err(drive::Error::from)?;
                    node.store.commit().await.map_err(drive::Error::from)?;
                }
                Err(Error::Delta {
                    reason,
                    said_by_peer: failed.said_by_peer,
                })
            }
        }
    }

    /// Whom a link is about.
    fn person(&self, link: &Link) -> Option<(IndexKey, Handle)> {
        let person = match self.ours.own.slot(link.position) {
            Some(Slot::Person(number)) => self.ours.people.get(number as usize).copied(),
            // Past all entries: who was given alone.
            None if link.position == self.ours.own.len() => self.contact,
            _ => None,
        };
        person.map(|person| (person, link.handle))
    }
}

impl Effects<Delta> for Telling {
    async fn save(&mut self, save: Save) -> Result<(), drive::Error> {
        let (index, peer, of) = (self.index.clone(), self.peer.clone(), self.ground.match_id);
        let keep: Box<dyn FnOnce() -> Result<(), crate::store::Error> + Send> = match save {
            Save::Kept(kept) => Box::new(move || index.keep_pair((&peer, &of), *kept)),
            Save::Entries {
                from,
                entries,
                expected,
            } => Box::new(move || index.add_entries((&peer, &of), from, &entries, &expected)),
            Save::Heard(heard) => Box::new(move || index.add_heard((&peer, &of), &heard)),
            Save::Links(links) => {
                let found = links.iter().map(|link| self.person(link));
                let found: Option<Vec<_>> = found.collect();
                let found = found.ok_or(drive::Error::Broken("a link is about nobody"))?;
                Box::new(move || index.link_more((&peer, &of), found))
            }
        };
        Ok(spawn_blocking(keep).await??)
    }

    async fn load(&mut self, load: Load) -> Result<Fact, drive::Error> {
        let (index, peer) = (self.index.clone(), self.peer.clone());
        match &load {
            Load::Batch(number) => {
                let batches = self.ours.own.batches();
                let next = batches.get(*number as usize - 1).cloned();
                return Ok(Fact::Next(next.map(Next::Batch)));
            }
            Load::Contact => {
                let person = self.contact.ok_or(drive::Error::Broken("nobody to give"))?;
                let blinding = self.ours.own.blinding();
                let entry = move || blinding.entries(&[person]).first().copied();
                let entry = spawn_blocking(entry).await?;
                return Ok(Fact::Next(entry.map(Next::Contact)));
            }
            _ => {}
        }
        spawn_blocking(move || look(&index, &peer, &load)).await?
    }
}

fn look(index: &Index, peer: &OdsCode, load: &Load) -> Result<Fact, drive::Error> {
    let pair = || {
        let pair = index.pair(peer)?;
        pair.ok_or(drive::Error::Broken("there is no match to continue"))
    };
    Ok(match load {
        Load::Heard(tags) => {
            let pair = pair()?;
            let before = index.look_up(&pair.expected, tags)?;
            let repeated = before.iter().any(Option::is_some);
            Fact::Heard(index.look_up(&pair.heard, tags)?, repeated)
        }
        Load::Expected(tags, positions) => {
            let found = index.look_up(&pair()?.expected, tags)?;
            Fact::Expected(found, index.entries_at(peer, positions)?)
        }
        Load::Raise { ground, entries } => {
            let runs = entries.par_chunks(RUN).map(|run| ground.own.raise(run));
            match runs.collect::<Result<Vec<_>, _>>() {
                Ok(runs) => Fact::Raised(runs.concat()),
                Err(bad) => Fact::BadEntry(bad),
            }
        }
        _ => job::run(load).unwrap_or(Fact::Unfit),
    })
}
