//! Matches over real streams: fetch the peer's advert, match, keep the links.
//!
//! Whoever begins has fetched the other's newest advert; the other fetches the beginner's before
//! it answers. Two matches of one pair at the same time are the same match and do no harm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Instant;

use fairshare_protocol::control::index::{Found, MatchReport};
use fairshare_protocol::ids::{Hash, OdsCode, Point, PublicKey};
use fairshare_protocol::index::advert::{Advert, Header};
use fairshare_protocol::index::fetch;
use fairshare_protocol::index::matching::job::{self, Fact, Ground, Job};
use fairshare_protocol::index::matching::links::{Matched, Pair};
use fairshare_protocol::index::matching::reason::Reason;
use fairshare_protocol::index::matching::tags::spans;
use fairshare_protocol::index::matching::{Match, Outcome, Save, Setup};
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use fairshare_protocol::roster::NoTerms;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::wire;
use rayon::prelude::*;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::advert::{self, Ours};
use super::delta;
use super::drive::{self, Effects, drive, now};
use super::progress::{Going, Watch};
use crate::network::{self, Frames};
use crate::node::Node;
use crate::store::index::{Index, MatchedWith, Steps};

/// How often a match is tried anew because an advert changed meanwhile.
const TRIES: u32 = 3;

/// Entries raised in one go by one thread.
const RUN: usize = 256;

/// One thing at a time with each peer.
#[derive(Default)]
pub struct Turns(Lock<BTreeMap<OdsCode, Arc<Mutex<()>>>>);

impl Turns {
    pub(super) fn with(&self, peer: &OdsCode) -> Arc<Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(peer.clone()).or_default())
    }
}

/// Why there was no match.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No federation.
    #[error("this node belongs to no federation yet; join one, then match")]
    NoFederation,
    /// No network.
    #[error("this node is not connected to anybody; is it running?")]
    NoNetwork,
    /// Nothing to match by.
    #[error(transparent)]
    NoTerms(#[from] NoTerms),
    /// The offers do not allow it.
    #[error("the two offers do not show presence to each other; see `fairshare terms`")]
    NoPresence,
    /// The peer has no node.
    #[error("the member's node has not spoken yet; wait until it has joined")]
    NoNode,
    /// The peer has no advert for us.
    #[error("the peer has no index for us yet; match again when it has imported people")]
    NoAdvert,
    /// The peer's advert is not to be used.
    #[error(transparent)]
    Fetch(#[from] fetch::Failure),
    /// The match failed.
    #[error("{}{reason}", if *said_by_peer { "the peer says: " } else { "" })]
    Match {
        /// Why.
        reason: Reason,
        /// Whether the peer said so.
        said_by_peer: bool,
    },
    /// New people could not be told of.
    #[error("{}{reason}", if *said_by_peer { "the peer says: " } else { "" })]
    Delta {
        /// Why.
        reason: delta::Reason,
        /// Whether the peer said so.
        said_by_peer: bool,
    },
    /// The peer cannot be reached.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// This node failed.
    #[error(transparent)]
    Ours(#[from] drive::Error),
}

impl Error {
    /// Whether one side has a newer advert than the other thought.
    const fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Match {
                reason: Reason::Stale,
                ..
            } | Self::Delta {
                reason: delta::Reason::Stale,
                ..
            }
        )
    }

    /// Whether the same may well succeed later, by itself.
    const fn passes(&self) -> bool {
        match self {
            Self::Match { reason, .. } => reason.passes(),
            Self::Delta { reason, .. } => reason.passes(),
            Self::Fetch(failure) => failure.passes(),
            Self::Network(_) => true,
            _ => false,
        }
    }
}

/// Brings the links with every peer there can be a match with up to date, or with one. Who watches
/// is told how far it is.
///
/// # Errors
/// If there is no federation; what fails with one peer stands in its report.
pub async fn match_with(
    node: &Arc<Node>,
    peer: Option<&OdsCode>,
    watch: &Watch<'_>,
) -> Result<Vec<MatchReport>, Error> {
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    let may = |code: &OdsCode| {
        let terms = roster.terms(node.code(), code);
        terms.is_ok_and(|terms| terms.may_match)
    };
    let peers: Vec<_> = match peer {
        Some(peer) => vec![peer.clone()],
        None => {
            let codes = roster.members().map(|member| &member.code);
            codes.filter(|code| may(code)).cloned().collect()
        }
    };
    let total = peers.len() as u64;
    let mut reports = Vec::new();
    for peer in peers {
        let begun = Instant::now();
        let outcome = begin(node, &peer, watch).await;
        let name = roster.member(&peer).map(|member| member.name.to_string());
        let failed = outcome.as_ref().err().map(ToString::to_string);
        let report = MatchReport {
            name: name.unwrap_or_default(),
            found: outcome.ok().map(|with| Found {
                links: with.links,
                ours_only: with.ours_only.into(),
                theirs_only: with.theirs_only.into(),
                index_made: with.made,
            }),
            failed,
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            peer,
        };
        reports.push(report);
        if let Some(report) = reports.last() {
            watch.peer(reports.len() as u64, total, &report.peer);
        }
    }
    Ok(reports)
}

/// Brings the links with one peer up to date: by a match of the two adverts if there was none, then
/// by the batches since.
///
/// # Errors
/// Why the links are not up to date.
pub async fn begin(
    node: &Arc<Node>,
    peer: &OdsCode,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    tried(node, peer, true, watch).await
}

/// [`begin`], but with our advert as it stands: new people wait for their day.
///
/// # Errors
/// As [`begin`].
pub async fn go_on(
    node: &Arc<Node>,
    peer: &OdsCode,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    tried(node, peer, false, watch).await
}

async fn tried(
    node: &Arc<Node>,
    peer: &OdsCode,
    newest: bool,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    let turn = node.matching.with(peer);
    let _turn = turn.lock().await;
    node.index.want(peer).map_err(drive::Error::from)?;
    let mut tries = 0;
    loop {
        tries += 1;
        match up_to_date(node, peer, newest, watch).await {
            Err(error) if error.is_stale() && tries < TRIES => {}
            Ok(with) => {
                node.index.unwant(peer).map_err(drive::Error::from)?;
                return Ok(with);
            }
            Err(error) => {
                if !error.passes() {
                    node.index.unwant(peer).map_err(drive::Error::from)?;
                }
                return Err(error);
            }
        }
    }
}

async fn up_to_date(
    node: &Arc<Node>,
    peer: &OdsCode,
    newest: bool,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    let ready = prepare(node, peer, newest).await?;
    if !ready.is_matched(node, peer)? {
        // What a match holds in memory is held few times at once. Those begun here do not wait for
        // those answered: two nodes would wait for each other.
        let _room = node.room[0].acquire().await;
        let frames = ready.open(node, wire::MATCH).await?;
        ready.run(node, peer, frames, watch).await?;
    }
    let told = delta::begin(node, peer, &ready).await?;
    tracing::info!(%peer, ?told, "the links are up to date");
    let with = node.index.matched(peer).map_err(drive::Error::from)?;
    with.ok_or(drive::Error::Broken("a finished match left nothing").into())
}

/// Answers a peer that begins a match.
///
/// # Errors
/// Why there are no links.
pub async fn answer(
    node: &Arc<Node>,
    peer: &OdsCode,
    frames: Frames,
) -> Result<MatchedWith, Error> {
    // However many a peer begins at once, it costs this node one at a time.
    let turn = node.answering.with(peer);
    let _turn = turn.lock().await;
    let _room = node.room[1].acquire().await;
    let ready = prepare(node, peer, false).await?;
    ready.run(node, peer, frames, &Watch::nobody()).await
}

/// Everything a match needs, here and checked.
pub(super) struct Ready {
    pub(super) peer_node: PublicKey,
    pub(super) ours: Arc<Ours>,
    /// The peer's signed header.
    pub(super) theirs: Signed<Header>,
}

async fn prepare(node: &Arc<Node>, peer: &OdsCode, newest: bool) -> Result<Ready, Error> {
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    if !roster.terms(node.code(), peer)?.may_match {
        return Err(Error::NoPresence);
    }
    let keys = roster.member(peer).and_then(|member| member.node);
    let peer_node = keys.ok_or(Error::NoNode)?.node;
    // The peer has fetched ours already if it begins: then it must not change once more.
    let ours = match newest {
        true => node.adverts.newest(node, &roster).await?,
        false => node.adverts.standing(node, &roster).await?,
    };
    let network = node.network().ok_or(Error::NoNetwork)?;
    let frames = network.open(&peer_node, wire::ADVERT).await?;
    match advert::fetch(node, peer, &roster, frames).await? {
        fetch::Outcome::Fetched(_) | fetch::Outcome::AlreadyHeld => {}
        fetch::Outcome::NoAdvert => return Err(Error::NoAdvert),
        fetch::Outcome::Failed(failure) => return Err(failure.into()),
    }
    let theirs = node.index.peer(peer).map_err(drive::Error::from)?;
    let theirs = theirs.filter(|held| held.whole.is_some());
    Ok(Ready {
        peer_node,
        ours,
        theirs: theirs.ok_or(Error::NoAdvert)?.header,
    })
}

impl Ready {
    pub(super) async fn open(&self, node: &Node, stream: &'static str) -> Result<Frames, Error> {
        let network = node.network().ok_or(Error::NoNetwork)?;
        Ok(network.open(&self.peer_node, stream).await?)
    }

    /// Whether these two adverts were matched.
    fn is_matched(&self, node: &Node, peer: &OdsCode) -> Result<bool, drive::Error> {
        let pair = node.index.pair(peer)?;
        let ours = self.ours.own.advert().signed().hash();
        Ok(pair.is_some_and(|pair| pair.ours == ours && pair.theirs == self.theirs.hash()))
    }

    async fn run(
        &self,
        node: &Arc<Node>,
        peer: &OdsCode,
        frames: Frames,
        watch: &Watch<'_>,
    ) -> Result<MatchedWith, Error> {
        let (ours, theirs) = (self.ours.own.advert().signed().hash(), self.theirs.hash());
        let (index, code, epoch) = (node.index.clone(), peer.clone(), self.ours.epoch());
        let spans = spans(self.ours.own.advert().header().count);
        let begin = move || {
            let advert = index.peer_advert(&code)?;
            let (kept, steps) = index.begin(epoch, &ours, &theirs)?;
            let heard = steps.heard(&spans)?;
            Ok::<_, drive::Error>((advert, kept, steps, heard))
        };
        let begun = spawn_blocking(begin).await.map_err(drive::Error::from)?;
        let (advert, kept, steps, heard) = begun?;
        let advert = Arc::new(advert.ok_or(Error::NoAdvert)?);
        let going = node.progress.begin(peer, self.ours.own.advert(), &advert);
        going.heard(heard.len());
        let machine = Match::new(Setup {
            own: Arc::clone(&self.ours.own),
            peer: Arc::clone(&advert),
            node: node.keys.node.clone(),
            peer_node: self.peer_node,
            kept,
            heard,
        });
        let mut matching = Matching {
            index: node.index.clone(),
            ours: Arc::clone(&self.ours),
            pair: (ours, theirs),
            peer: advert,
            steps: Arc::new(steps),
            going,
            watch,
        };
        let keep = (&node.journal, &node.store);
        match drive(machine, frames, keep, &mut matching).await? {
            Outcome::Matched(matched) => {
                let with = matching.with(&matched);
                tracing::info!(%peer, links = with.links, "matched");
                Ok(with)
            }
            Outcome::Failed(failed) => {
                tracing::warn!(%peer, why = failed.reason.code(), "no match");
                if let Some(evidence) = &failed.evidence {
                    node.index.accuse(evidence).map_err(drive::Error::from)?;
                    node.store.commit().await.map_err(drive::Error::from)?;
                }
                Err(Error::Match {
                    reason: failed.reason,
                    said_by_peer: failed.said_by_peer,
                })
            }
        }
    }
}

struct Matching<'a> {
    index: Index,
    ours: Arc<Ours>,
    pair: (Hash, Hash),
    peer: Arc<Advert>,
    steps: Arc<Steps>,
    going: Going,
    watch: &'a Watch<'a>,
}

impl Matching<'_> {
    fn with(&self, matched: &Matched) -> MatchedWith {
        let header = self.peer.header();
        MatchedWith {
            match_id: matched.match_id,
            epoch: header.epoch,
            generation: self.ours.own.advert().header().generation,
            at: now(),
            links: matched.links.len() as u64,
            ours_only: matched.ours_only,
            theirs_only: matched.theirs_only,
            ours: matched.ours,
            theirs: matched.theirs,
            made: header.made,
            batches: 0,
        }
    }
}

impl Effects<Match> for Matching<'_> {
    async fn save(&mut self, save: Save) -> Result<(), drive::Error> {
        match save {
            Save::Kept(kept) => {
                let (ours, theirs) = &self.pair;
                if self.index.keep(ours, theirs, &kept)? {
                    return Ok(());
                }
                Err(drive::Error::Broken(
                    "the peer says different things in two conversations about one match",
                ))
            }
            Save::Heard(chunk, tags) => {
                self.going.heard(tags.0.len() / 16);
                self.watch.see(&self.going);
                let steps = Arc::clone(&self.steps);
                Ok(spawn_blocking(move || steps.keep_heard(chunk, &tags)).await??)
            }
            Save::Links(matched, tables) => {
                let (index, ours, with) = (
                    self.index.clone(),
                    Arc::clone(&self.ours),
                    self.with(&matched),
                );
                let length = self.peer.header().count;
                let link =
                    move || index.link(&matched, (&tables, length), &ours.own, &ours.people, &with);
                Ok(spawn_blocking(link).await??)
            }
        }
    }

    fn is_lasting(save: &Save) -> bool {
        !matches!(save, Save::Heard(..))
    }

    async fn load(&mut self, job: Job) -> Result<Fact, drive::Error> {
        let steps = Arc::clone(&self.steps);
        if let Job::Raise { chunk, .. } = &job {
            let raised = self.peer.header().chunk_len(*chunk);
            let fact = spawn_blocking(move || work(&job, &steps)).await?;
            self.going.raised(raised);
            self.watch.see(&self.going);
            return fact;
        }
        spawn_blocking(move || work(&job, &steps)).await?
    }
}

/// Does one job, on all cores where it is worth it; what was raised before is not raised again.
fn work(job: &Job, steps: &Steps) -> Result<Fact, drive::Error> {
    match job {
        Job::Raise { ground, chunk } => {
            let entries = ground.peer.chunk(*chunk);
            let before = steps.raised(*chunk)?;
            if let Some(raised) = before.filter(|raised| raised.len() == entries.len()) {
                return Ok(Fact::Raised(ground.tags(&raised)));
            }
            let runs = entries.par_chunks(RUN).map(|run| ground.raise(run));
            let Ok(runs) = runs.collect::<Result<Vec<_>, _>>() else {
                // Once more, to name the entry.
                return Ok(job::run(job));
            };
            let raised = runs.concat();
            steps.keep_raised(*chunk, &raised)?;
            Ok(Fact::Raised(ground.tags(&raised)))
        }
        Job::Share { ground, pairs } => Ok(match share(ground, pairs, steps)? {
            Some(shared) => Fact::Shared(shared),
            None => job::run(job),
        }),
        _ => Ok(job::run(job)),
    }
}

/// The shared point of every pair, from what was raised; none if a part of that is missing. Each
/// chunk is read once.
fn share(
    ground: &Ground,
    pairs: &[Pair],
    steps: &Steps,
) -> Result<Option<Vec<Point>>, drive::Error> {
    let mut order: Vec<_> = pairs
        .iter()
        .map(|pair| ground.split(*pair).1)
        .zip(0..)
        .collect();
    order.sort_unstable();
    let mut shared = vec![Point::new([0; 32]); pairs.len()];
    for run in order.chunk_by(|one, other| chunk_of(one.0) == chunk_of(other.0)) {
        let Some(raised) = steps.raised(chunk_of(run[0].0))? else {
            return Ok(None);
        };
        for (position, at) in run {
            let at: usize = *at;
            match raised.get(*position as usize % MAX_CHUNK_ENTRIES) {
                Some(point) => shared[at] = *point,
                None => return Ok(None),
            }
        }
    }
    Ok(Some(shared))
}

const fn chunk_of(position: u32) -> u32 {
    position / MAX_CHUNK_ENTRIES as u32
}
