//! One match over one stream: what its machine orders is worked out, or was before, and kept.

use std::sync::Arc;

use fairshare_protocol::ids::{Hash, OdsCode, Point};
use fairshare_protocol::index::advert::Advert;
use fairshare_protocol::index::matching::job::{self, Fact, Ground, Job};
use fairshare_protocol::index::matching::links::{Matched, Pair};
use fairshare_protocol::index::matching::tags::spans;
use fairshare_protocol::index::matching::{Match, Outcome, Save, Setup};
use fairshare_protocol::limits::MAX_CHUNK_ENTRIES;
use rayon::prelude::*;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::{Error, Ready};
use crate::engine::advert::Ours;
use crate::engine::drive::{self, Effects, drive, now};
use crate::engine::progress::{Going, Watch};
use crate::network::Frames;
use crate::node::Node;
use crate::store::index::{Index, MatchedWith, Steps};

/// Entries raised in one go by one thread.
const RUN: usize = 256;

impl Ready {
    /// Runs a match to its end.
    pub(super) async fn run(
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
            let advert = advert.map(Arc::new);
            let raised = match &advert {
                Some(advert) => steps.chunks_raised(advert.header().chunks())?,
                None => 0,
            };
            Ok::<_, drive::Error>((advert, kept, steps, heard, raised))
        };
        let begun = spawn_blocking(begin).await.map_err(drive::Error::from)?;
        let (advert, kept, steps, heard, raised) = begun?;
        let advert = advert.ok_or(Error::NoAdvert)?;
        tracing::info!(%peer, chunks_raised = raised, tags_heard = heard.len(), "matching");
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
            raising: node.raising.with(peer),
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
    raising: Arc<Mutex<()>>,
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
                spawn_blocking(move || steps.keep_heard(chunk, &tags)).await??;
                tracing::debug!(peer = %self.peer.header().member, chunk, "heard a chunk of tags");
                Ok(())
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
            // Held until it is done, also if this conversation is over before: another about the
            // same match waits for the chunk instead of raising it too.
            let turn = Arc::clone(&self.raising).lock_owned().await;
            let raise = move || {
                let _turn = turn;
                work(&job, &steps)
            };
            let fact = spawn_blocking(raise).await?;
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
            let runs = entries.par_chunks(RUN).map(|run| ground.own.raise(run));
            let Ok(runs) = runs.collect::<Result<Vec<_>, _>>() else {
                // Once more, to name the entry.
                return Ok(job::run(job));
            };
            let raised = runs.concat();
            steps.keep_raised(*chunk, &raised)?;
            tracing::debug!(peer = %ground.they(), chunk, "raised a chunk of entries");
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
