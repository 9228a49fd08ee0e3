//! Our advert: made when somebody needs it, kept, served; and peers' adverts: fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::ids::{FederationId, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Blinding, Error as Unmade, Made, Own};
use fairshare_protocol::index::advert::{Expected, Void, check_distinct};
use fairshare_protocol::index::delta::said::{most, size};
use fairshare_protocol::index::fetch::serve::{LoadChunk, Outcome as Served, Serve};
use fairshare_protocol::index::fetch::{CheckWhole, Failure, Fetch, Outcome, Save};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use fairshare_protocol::roster::Roster;
use rayon::prelude::*;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::drive::{Effects, Error, drive, now};
use super::withholding::{self, Ground};
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
    /// What decided who is in it; none if that is not known.
    ground: Option<Ground>,
    kept: OwnAdvert,
}

impl Ours {
    /// The epoch it is of.
    pub fn epoch(&self) -> u32 {
        self.own.advert().header().epoch
    }
}

/// Holds our advert once it was needed. One is made at a time.
#[derive(Default)]
pub struct Adverts(Arc<Mutex<Option<Arc<Ours>>>>);

impl Adverts {
    /// Our advert as it stands, if there is one for this epoch; none is made.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn held(
        &self,
        node: &Arc<Node>,
        roster: &Roster,
    ) -> Result<Option<Arc<Ours>>, Error> {
        let mut held = Arc::clone(&self.0).lock_owned().await;
        if held.is_none() {
            let here = Arc::clone(node);
            *held = spawn_blocking(move || stored(&here)).await??;
        }
        Ok(held.clone().filter(|ours| of_now(ours, roster)))
    }

    /// Forgets it, if it is of an epoch that is over.
    pub async fn turn_over(&self, roster: &Roster) {
        let mut held = Arc::clone(&self.0).lock_owned().await;
        if held.as_ref().is_some_and(|ours| !of_now(ours, roster)) {
            *held = None;
        }
    }

    /// Our advert as it stands, made if there is none for this epoch.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn standing(&self, node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Error> {
        let held = Arc::clone(&self.0).lock_owned().await;
        if let Some(ours) = &*held
            && of_now(ours, roster)
        {
            return Ok(Arc::clone(ours));
        }
        make(held, node, roster).await
    }

    /// Our advert with everybody in it who can be by now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn newest(&self, node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Error> {
        let held = Arc::clone(&self.0).lock_owned().await;
        if let Some(ours) = &*held
            && of_now(ours, roster)
            && ours.ground == Some(Ground::now(node))
        {
            return Ok(Arc::clone(ours));
        }
        make(held, node, roster).await
    }
}

type Held = OwnedMutexGuard<Option<Arc<Ours>>>;

/// Makes our advert to its end, also when whoever needed it has gone: of two made at the same time
/// both would be signed for one generation.
async fn make(mut held: Held, node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Error> {
    let (node, federation) = (Arc::clone(node), roster.federation());
    let epoch = roster.charter().epoch(now());
    let per_day = roster.charter().additions_per_day;
    let making = async move {
        let before = held.clone();
        let here = Arc::clone(&node);
        let made = spawn_blocking(move || {
            let before = match before {
                Some(before) => Some(before),
                None => stored(&here)?,
            };
            let before = before.filter(|ours| {
                let header = ours.own.advert().header();
                (header.epoch, header.federation) == (epoch, federation)
            });
            grow(&here, before, federation, (epoch, per_day))
        });
        let ours = match made.await?? {
            Grown::Same(ours) => ours,
            Grown::New(fresh) => keep(&node, fresh, epoch).await?,
        };
        *held = Some(Arc::clone(&ours));
        Ok(ours)
    };
    tokio::spawn(making).await?
}

/// Keeps what was made. It is journaled before it is kept, and kept before anybody sees it.
async fn keep(node: &Arc<Node>, fresh: Box<Fresh>, epoch: u32) -> Result<Arc<Ours>, Error> {
    let header = fresh.own.advert().header();
    let (generation, entries) = (header.generation, fresh.own.len());
    let mut acts = Vec::new();
    if fresh.before.is_none() {
        acts.push(Act::Advert {
            header: fresh.own.advert().signed().hash(),
            epoch,
            generation,
            count: u64::from(header.count),
        });
    }
    for (made, number) in fresh.batches() {
        acts.push(Act::Batch {
            batch: made.batch.hash(),
            number,
            count: made.entries.len() as u64,
        });
    }
    node.record(acts).await?;
    let index = node.index.clone();
    let ours = spawn_blocking(move || fresh.keep(&index)).await??;
    tracing::info!(
        epoch,
        generation,
        entries,
        "our advert has everybody it can have"
    );
    Ok(ours)
}

fn of_now(ours: &Ours, roster: &Roster) -> bool {
    let header = ours.own.advert().header();
    header.federation == roster.federation() && header.epoch == roster.charter().epoch(now())
}

/// The advert in the store, under our present node key.
fn stored(node: &Node) -> Result<Option<Arc<Ours>>, Error> {
    let Some(mut kept) = node.index.own()? else {
        return Ok(None);
    };
    let key = &node.keys.node;
    if *kept.header.signer() != key.public() {
        kept = node.index.sign_again(kept, key)?;
    }
    let (own, people) = node.index.restore(&kept)?;
    let own = Arc::new(own);
    // Nobody knows what decided it: the next look will tell.
    let ground = None;
    Ok(Some(Arc::new(Ours {
        own,
        people,
        ground,
        kept,
    })))
}

/// What became of an advert when it was looked at again.
enum Grown {
    /// Nobody new.
    Same(Arc<Ours>),
    /// There is more of it.
    New(Box<Fresh>),
}

/// An advert that is not kept yet.
struct Fresh {
    own: Own,
    people: Vec<IndexKey>,
    ground: Option<Ground>,
    /// What it was before, if only batches are new.
    before: Option<Arc<Ours>>,
}

impl Fresh {
    /// The batches that are new, with their numbers.
    fn batches(&self) -> impl Iterator<Item = (&Made, u32)> {
        let kept = self.before.as_ref();
        let kept = kept.map_or(0, |before| before.own.batches().len());
        let all = self.own.batches().iter().map(|made| &**made).zip(1..);
        all.skip(kept)
    }

    fn keep(self: Box<Self>, index: &Index) -> Result<Arc<Ours>, Error> {
        let (mut kept, mut known) = match &self.before {
            Some(before) => (before.kept.clone(), before.people.len()),
            None => (index.keep_own(&self.own, &self.people)?, self.people.len()),
        };
        let header = self.own.advert().header();
        if self.before.is_none() && header.generation == 1 {
            index.turn_over(header.epoch)?;
        }
        for (made, _) in self.batches() {
            let brought = made.slots.iter().filter(|slot| slot.is_person()).count();
            let people = &self.people[known..known + brought];
            kept = index.keep_batch(kept, made, people, known)?;
            known += brought;
        }
        Ok(Arc::new(Ours {
            own: Arc::new(self.own),
            people: self.people,
            ground: self.ground,
            kept,
        }))
    }
}

/// The advert with everybody in it who can be: by batches if they are few enough for a day, else
/// by a new generation, which all peers must match anew.
fn grow(
    node: &Node,
    before: Option<Arc<Ours>>,
    federation: FederationId,
    (epoch, per_day): (u32, u32),
) -> Result<Grown, Error> {
    // Read first: people of a later import are looked for again.
    let mut ground = Some(Ground::now(node));
    let rng = &mut rand::rng();
    let (mut people, blinding) = match &before {
        Some(ours) => (ours.people.clone(), ours.own.blinding()),
        None => (Vec::new(), Blinding::generate(&federation, epoch, rng)),
    };
    let mut there = people.clone();
    there.par_sort_unstable();
    let mut new = withholding::index_keys(node)?;
    new.retain(|key| there.binary_search(key).is_err());
    let mut new: Vec<_> = new.into_iter().collect();
    drop(there);
    let same = |ours: &Ours, ground| {
        Grown::Same(Arc::new(Ours {
            own: Arc::clone(&ours.own),
            people: ours.people.clone(),
            ground,
            kept: ours.kept.clone(),
        }))
    };
    let by_batches = before.as_ref().filter(|_| new.len() <= per_day as usize);
    if let Some(ours) = by_batches {
        let waiting = fitting(&ours.own, &mut new, per_day);
        if waiting > 0 {
            tracing::info!(people = waiting, "new people wait for tomorrow's batch");
            // So that they are looked for again.
            ground = None;
        }
        if new.is_empty() {
            return Ok(same(ours, ground));
        }
    }
    let entries: Vec<Point> = new
        .par_chunks(RUN)
        .flat_map_iter(|run| blinding.entries(run))
        .collect();
    let key = &node.keys.node;
    let made = match (&before, by_batches) {
        (Some(ours), Some(_)) => {
            let mut runs = entries.chunks(most(MAX_CHUNK_ENTRIES));
            runs.try_fold((*ours.own).clone(), |own, run| {
                own.with_batch(run.to_vec(), key, now(), rng)
            })
        }
        (Some(ours), None) => ours.own.next(entries, key, now(), rng),
        (None, _) => Own::first(node.code().clone(), &blinding, entries, key, now(), rng),
    };
    let by_batches = by_batches.is_some();
    match (made, before) {
        (Ok(own), before) => {
            people.extend(new);
            Ok(Grown::New(Box::new(Fresh {
                own,
                people,
                ground,
                before: before.filter(|_| by_batches),
            })))
        }
        // New people wait for the next epoch; everybody else is found as before.
        (Err(Unmade::Generations), Some(ours)) => {
            tracing::warn!(people = new.len(), "{}", Unmade::Generations);
            Ok(same(&ours, ground))
        }
        (Err(error), _) => {
            tracing::error!("{error}");
            Err(Error::Broken("our advert could not be made"))
        }
    }
}

/// Leaves those of `new` whose batches the charter still allows today; says how many others wait.
fn fitting(own: &Own, new: &mut Vec<IndexKey>, per_day: u32) -> usize {
    let today = now().day();
    let made = own.batches().iter().filter(|made| made.at.day() == today);
    let made: usize = made.map(|made| made.entries.len()).sum();
    let mut room = (per_day as usize).saturating_sub(made);
    let mut fit = 0;
    for run in new.chunks(most(MAX_CHUNK_ENTRIES)) {
        match size(run.len()).filter(|size| *size <= room) {
            Some(size) => (room, fit) = (room - size, fit + run.len()),
            None => break,
        }
    }
    let waiting = new.len() - fit;
    new.truncate(fit);
    waiting
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
        Some(roster) => Some(node.adverts.standing(node, roster).await?),
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
    // Two fetches of one advert would write over each other.
    let turn = node.fetching.with(peer);
    let _turn = turn.lock().await;
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
        // Found when all of it was here; of any other void advert nothing was kept.
        Outcome::Failed(Failure::Void(Void::Identity | Void::Repeated)) => {
            let (index, peer) = (node.index.clone(), peer.clone());
            spawn_blocking(move || index.forget_entries(&peer)).await??;
        }
        _ => {}
    }
    node.store.commit().await?;
    Ok(outcome)
}

/// Our key, and those other members have shown to be theirs by a match: nobody may use another's.
/// A key that a member only published might be copied from the one it is refused to.
fn taken(node: &Node, roster: &Roster, peer: &OdsCode) -> Result<BTreeSet<Point>, Error> {
    let mut taken = BTreeSet::new();
    let others = roster.members().map(|member| &member.code);
    for code in others.filter(|code| *code != peer && *code != node.code()) {
        let held = node.index.peer(code)?.map(|held| held.header);
        let matched = node.index.matched(code)?.map(|with| with.theirs);
        let proved = held.filter(|held| matched == Some(held.hash()));
        taken.extend(proved.and_then(|held| Some(held.peek().ok()?.key)));
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
