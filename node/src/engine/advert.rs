//! Our advert: made when somebody needs it, kept, served; and peers' adverts: fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::ids::{FederationId, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Blinding, Error as Unmade, Own};
use fairshare_protocol::index::advert::{Expected, Void, check_distinct};
use fairshare_protocol::index::fetch::serve::{LoadChunk, Outcome as Served, Serve};
use fairshare_protocol::index::fetch::{CheckWhole, Failure, Fetch, Outcome, Save};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::roster::Roster;
use rayon::prelude::*;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::drive::{Effects, Error, drive, now};
use crate::network::Frames;
use crate::node::Node;
use crate::store::index::{Index, OwnAdvert};

/// Index keys turned into entries in one go by one thread.
const RUN: usize = 1024;

/// Our advert, in memory.
pub struct Ours {
    /// The advert with its secret side.
    pub own: Arc<Own>,
    /// The people in it, by their numbers.
    pub people: Vec<IndexKey>,
    kept: OwnAdvert,
}

/// Holds our advert once it was needed. One is made at a time.
#[derive(Default)]
pub struct Adverts(Mutex<Option<Arc<Ours>>>);

impl Adverts {
    /// Our advert as it stands, made if there is none for this epoch.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn standing(&self, node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Error> {
        let mut held = self.0.lock().await;
        if let Some(ours) = &*held
            && of_now(ours, roster)
        {
            return Ok(Arc::clone(ours));
        }
        self.make(&mut held, node, roster).await
    }

    /// Our advert with everybody in it who can be by now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn newest(&self, node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Error> {
        let mut held = self.0.lock().await;
        self.make(&mut held, node, roster).await
    }

    async fn make(
        &self,
        held: &mut Option<Arc<Ours>>,
        node: &Arc<Node>,
        roster: &Roster,
    ) -> Result<Arc<Ours>, Error> {
        let before = held.clone();
        let (here, federation) = (Arc::clone(node), roster.federation());
        let epoch = roster.charter().epoch(now());
        let made = spawn_blocking(move || {
            let before = match before {
                Some(before) => Some(before),
                None => stored(&here.index)?,
            };
            let before = before.filter(|ours| {
                let header = ours.own.advert().header();
                (header.epoch, header.federation) == (epoch, federation)
            });
            let people = here.records.index_keys()?;
            grow(&here, before, &people, &Blank { federation, epoch })
        });
        let (ours, act) = made.await??;
        if let Some(act) = act {
            // Before anybody sees it.
            node.journal
                .durable(node.journal.append(act, now())?)
                .await?;
            let header = ours.own.advert().header();
            tracing::info!(
                epoch = header.epoch,
                generation = header.generation,
                entries = header.count,
                "made our advert"
            );
            if header.generation == 1 {
                let (index, epoch) = (node.index.clone(), header.epoch);
                spawn_blocking(move || index.turn_over(epoch)).await??;
            }
        }
        *held = Some(Arc::clone(&ours));
        Ok(ours)
    }
}

/// What an advert is of.
struct Blank {
    federation: FederationId,
    epoch: u32,
}

fn of_now(ours: &Ours, roster: &Roster) -> bool {
    let header = ours.own.advert().header();
    header.federation == roster.federation() && header.epoch == roster.charter().epoch(now())
}

fn stored(index: &Index) -> Result<Option<Arc<Ours>>, Error> {
    let Some(kept) = index.own()? else {
        return Ok(None);
    };
    let (own, people) = index.restore(&kept)?;
    let own = Arc::new(own);
    Ok(Some(Arc::new(Ours { own, people, kept })))
}

/// The advert with these people: the one before if nobody came, its next generation, or the first
/// of an epoch. With it what to journal, if it is new.
fn grow(
    node: &Node,
    before: Option<Arc<Ours>>,
    people: &BTreeSet<IndexKey>,
    blank: &Blank,
) -> Result<(Arc<Ours>, Option<Act>), Error> {
    let (mut all, blinding) = match &before {
        Some(ours) => (ours.people.clone(), ours.own.blinding()),
        None => {
            let (federation, epoch) = (&blank.federation, blank.epoch);
            (
                Vec::new(),
                Blinding::generate(federation, epoch, &mut rand::rng()),
            )
        }
    };
    let there: BTreeSet<_> = all.iter().copied().collect();
    let new: Vec<_> = people.difference(&there).copied().collect();
    if let Some(ours) = &before
        && new.is_empty()
    {
        return Ok((Arc::clone(ours), None));
    }
    let entries: Vec<Point> = new
        .par_chunks(RUN)
        .flat_map_iter(|run| blinding.entries(run))
        .collect();
    let (key, rng) = (&node.keys.node, &mut rand::rng());
    let made = match &before {
        Some(ours) => ours.own.next(entries, key, now(), rng),
        None => Own::first(node.code().clone(), &blinding, entries, key, now(), rng),
    };
    let own = match (made, before) {
        (Ok(own), _) => Arc::new(own),
        // New people wait for the next epoch; everybody else is found as before.
        (Err(Unmade::Generations), Some(ours)) => {
            tracing::warn!(people = new.len(), "{}", Unmade::Generations);
            return Ok((ours, None));
        }
        (Err(error), _) => {
            tracing::error!("{error}");
            return Err(Error::Broken("our advert could not be made"));
        }
    };
    let known = all.len();
    all.extend(new);
    let kept = node.index.keep_own(&own, &all, known)?;
    let header = own.advert().header();
    let act = Act::Advert {
        header: own.advert().signed().hash(),
        epoch: header.epoch,
        generation: header.generation,
        count: u64::from(header.count),
    };
    let people = all;
    Ok((Arc::new(Ours { own, people, kept }), Some(act)))
}

/// Serves our advert to a peer, or says that there is none for it.
///
/// # Errors
/// If this node cannot do its part.
pub async fn serve(node: &Arc<Node>, peer: &OdsCode, frames: Frames) -> Result<Served, Error> {
    let roster = node.membership.roster();
    let may = |roster: &&Arc<Roster>| {
        let terms = roster.terms(node.code(), peer);
        terms.is_ok_and(|terms| terms.may_match)
    };
    let ours = match roster.as_ref().filter(may) {
        Some(roster) => Some(node.adverts.newest(node, roster).await?),
        None => None,
    };
    let served = ours.as_ref();
    let served = served.map(|ours| (ours.kept.header.clone(), ours.kept.chunks.clone()));
    let mut effects = Serving {
        index: node.index.clone(),
        ours,
    };
    let kept = (&node.journal, &node.store);
    drive(Serve::new(served), frames, kept, &mut effects).await
}

struct Serving {
    index: Index,
    ours: Option<Arc<Ours>>,
}

impl Effects<Serve> for Serving {
    async fn save(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }

    async fn load(&mut self, LoadChunk(number): LoadChunk) -> Result<Option<Bytes>, Error> {
        let (index, ours) = (self.index.clone(), self.ours.clone());
        let load = move || match ours {
            Some(ours) => index.own_chunk(&ours.kept, number),
            None => Ok(None),
        };
        Ok(spawn_blocking(load).await??)
    }
}

/// Fetches what is missing of a peer's newest advert.
///
/// # Errors
/// If this node cannot do its part.
pub async fn fetch(
    node: &Arc<Node>,
    peer: &OdsCode,
    roster: &Roster,
    frames: Frames,
) -> Result<Outcome, Error> {
    let Some((member, keys)) = roster.member(peer).and_then(|m| Some((m, m.node?))) else {
        return Err(Error::Broken("the peer has no node in the roster"));
    };
    let expected = Expected {
        federation: roster.federation(),
        member: peer.clone(),
        signer: keys.node,
        epoch: roster.charter().epoch(now()),
        population: member.population,
        taken: taken(node, roster, peer)?,
        now: now(),
    };
    let machine = Fetch::new(expected, node.index.held(peer)?);
    let mut effects = Fetching {
        index: node.index.clone(),
        peer: peer.clone(),
    };
    let kept = (&node.journal, &node.store);
    let outcome = drive(machine, frames, kept, &mut effects).await?;
    match &outcome {
        Outcome::Fetched(_) => node.index.complete(peer, now())?,
        Outcome::Failed(Failure::TwoHeaders(evidence)) => node.index.accuse(evidence)?,
        Outcome::Failed(Failure::Void(void)) if !matches!(void, Void::Epoch { .. }) => {
            let (index, peer) = (node.index.clone(), peer.clone());
            spawn_blocking(move || index.forget_peer(&peer)).await??;
        }
        _ => {}
    }
    node.store.commit().await?;
    Ok(outcome)
}

/// The keys of everybody's adverts but the peer's: nobody may use another's.
fn taken(node: &Node, roster: &Roster, peer: &OdsCode) -> Result<BTreeSet<Point>, Error> {
    let mut taken = BTreeSet::new();
    let others = roster.members().map(|member| &member.code);
    for code in others.filter(|code| *code != peer && *code != node.code()) {
        let held = node.index.peer(code)?.map(|held| held.header);
        taken.extend(held.and_then(|held| Some(held.peek().ok()?.key)));
    }
    let own = node.index.own()?.map(|own| own.header);
    taken.extend(own.and_then(|own| Some(own.peek().ok()?.key)));
    Ok(taken)
}

struct Fetching {
    index: Index,
    peer: OdsCode,
}

impl Effects<Fetch> for Fetching {
    async fn save(&mut self, save: Save) -> Result<(), Error> {
        let (index, peer) = (self.index.clone(), self.peer.clone());
        let keep = move || match save {
            Save::Begin(header, _) => index.begin_peer(&peer, *header),
            Save::Chunk(number, entries) => index.add_chunk(&peer, number, &entries.0),
        };
        Ok(spawn_blocking(keep).await??)
    }

    async fn load(&mut self, CheckWhole: CheckWhole) -> Result<Result<(), Void>, Error> {
        let (index, peer) = (self.index.clone(), self.peer.clone());
        let check = move || Ok::<_, Error>(check_distinct(&index.peer_entries(&peer)?));
        spawn_blocking(check).await?
    }
}
