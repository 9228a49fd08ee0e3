//! Our advert: made when somebody needs it, kept, served; and peers' adverts: fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::ids::{OdsCode, Point, PublicKey};
use fairshare_protocol::index::advert::own::Own;
use fairshare_protocol::index::advert::{Expected, Void, check_distinct, check_kept};
use fairshare_protocol::index::fetch::serve::{LoadChunk, Outcome as Served, Serve};
use fairshare_protocol::index::fetch::{CheckWhole, Failure, Fetch, Outcome, Save, working};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::roster::Roster;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use self::growing::{Fresh, Grown, grow};
use super::drive::{Effects, Error, drive, meanwhile, now};
use super::withholding::Ground;
use crate::network::Frames;
use crate::node::Node;
use crate::store::index::{Index, OwnAdvert};

mod growing;
pub mod placing;

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
    let epoch = roster.epoch(now());
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
    let (generation, entries, waiting) = (header.generation, fresh.own.len(), fresh.waiting);
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
    match waiting {
        0 => tracing::info!(
            epoch,
            generation,
            entries,
            "our advert has everybody it can have"
        ),
        people => tracing::info!(
            epoch,
            generation,
            entries,
            people,
            "our advert has whom it can have today; other people wait for another day's batch"
        ),
    }
    Ok(ours)
}

fn of_now(ours: &Ours, roster: &Roster) -> bool {
    let header = ours.own.advert().header();
    header.federation == roster.federation() && header.epoch == roster.epoch(now())
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

/// Serves our advert to a peer, or says that there is none for it.
///
/// # Errors
/// If this node cannot do its part.
pub async fn serve(node: &Arc<Node>, peer: &OdsCode, mut frames: Frames) -> Result<Served, Error> {
    let roster = node.membership.roster();
    let may = |roster: &&Arc<Roster>| {
        let terms = roster.terms(node.code(), peer);
        terms.is_ok_and(|terms| terms.may_match)
    };
    let ours = match roster.as_ref().filter(may) {
        Some(roster) => {
            // The first of an epoch takes its time.
            let made = node.adverts.standing(node, roster);
            Some(meanwhile(&mut frames, &working(), made).await?)
        }
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
        epoch: roster.epoch(now()),
        population: member.population,
        taken: taken(node, roster, peer)?,
        now: now(),
    };
    let machine = Fetch::new(expected, node.index.held(peer)?);
    let mut effects = Fetching {
        index: node.index.clone(),
        peer: peer.clone(),
        signer: keys.node,
    };
    let kept = (&node.journal, &node.store);
    let outcome = drive(machine, frames, kept, &mut effects).await?;
    match &outcome {
        Outcome::Fetched(_) => {
            let (index, peer) = (node.index.clone(), peer.clone());
            spawn_blocking(move || index.complete(&peer, now())).await??;
        }
        Outcome::Failed(Failure::TwoHeaders(evidence)) => node.index.accuse(evidence)?,
        // Found when all of it was here; of any other void advert nothing was kept.
        Outcome::Failed(Failure::Void(Void::Identity | Void::Repeated | Void::Withdrawn)) => {
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
    signer: PublicKey,
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
        let (index, peer, signer) = (self.index.clone(), self.peer.clone(), self.signer);
        let check = move || {
            let entries = index.peer_entries(&peer)?;
            let earlier = index.earlier_entries(&peer, &signer)?;
            let distinct = check_distinct(&entries);
            Ok::<_, Error>(distinct.and_then(|()| check_kept(&earlier, &entries)))
        };
        spawn_blocking(check).await?
    }
}
