//! The heavy arithmetic of a match, in jobs short enough to be fair to others. A match orders
//! them; whoever drives it runs [`run`] where that does not block the loop.

use std::fmt;
use std::sync::Arc;

use super::links::{PROOF_BATCH, Pair, proof_context};
use super::tags::{Tag, Tagger};
use crate::crypto::blind::{BadPoint, Secret};
use crate::crypto::dleq::{self, Proof};
use crate::ids::{Hash, MatchId, OdsCode, Point};
use crate::index::advert::Advert;
use crate::index::advert::own::Own;
use crate::index::canary;
use crate::limits::MAX_CHUNK_ENTRIES;

/// The two adverts of a match and its id.
pub struct Ground {
    /// Our advert.
    pub own: Arc<Own>,
    /// The peer's.
    pub peer: Arc<Advert>,
    /// The match.
    pub match_id: MatchId,
}

impl Ground {
    /// Our code.
    pub fn we(&self) -> &OdsCode {
        &self.own.advert().header().member
    }

    /// The peer's code.
    pub fn they(&self) -> &OdsCode {
        &self.peer.header().member
    }

    /// The pair of one of our positions and one of theirs, as both sides write it.
    pub fn pair(&self, ours: u32, theirs: u32) -> Pair {
        if self.we() < self.they() {
            (ours, theirs)
        } else {
            (theirs, ours)
        }
    }

    /// Our position and theirs of a pair.
    pub fn split(&self, pair: Pair) -> (u32, u32) {
        // The same swap there and back.
        self.pair(pair.0, pair.1)
    }

    /// For each raised entry: the tag we show for it, and the tag the peer shows if the person is
    /// also ours.
    pub fn tags(&self, raised: &[Point]) -> Vec<(Tag, Tag)> {
        let ours = Tagger::new(&self.match_id, self.we());
        let theirs = Tagger::new(&self.match_id, self.they());
        let both = |point| (ours.tag(point), theirs.tag(point));
        raised.iter().map(both).collect()
    }
}

/// One piece of arithmetic, with all it needs.
pub enum Job {
    /// Raise one chunk of the peer's advert to our key.
    Raise {
        /// The match.
        ground: Arc<Ground>,
        /// Which chunk.
        chunk: u32,
    },
    /// Work out what the peer must make of our canaries.
    Canaries {
        /// The match.
        ground: Arc<Ground>,
    },
    /// Gather the shared point of every pair: the peer's entry, raised. Whoever kept what
    /// [`Own::raise`] made need not make it again.
    Share {
        /// The match.
        ground: Arc<Ground>,
        /// All pairs both sides listed.
        pairs: Arc<[Pair]>,
    },
    /// Prove one batch of links.
    Prove {
        /// The match.
        ground: Arc<Ground>,
        /// All pairs both sides listed.
        pairs: Arc<[Pair]>,
        /// The shared point of each.
        shared: Arc<[Point]>,
        /// The hash of the list.
        list: Hash,
        /// Which batch of it.
        batch: u32,
        /// Fresh for this proof.
        nonce: Secret,
    },
    /// Check the peer's proof of one batch.
    Verify {
        /// The match.
        ground: Arc<Ground>,
        /// All pairs both sides listed.
        pairs: Arc<[Pair]>,
        /// The hash of that list.
        list: Hash,
        /// Which batch of it.
        batch: u32,
        /// The shared point of each pair.
        shared: Arc<[Point]>,
        /// The proof.
        proof: Proof,
    },
}

/// What came of a job.
#[derive(Clone)]
pub enum Fact {
    /// For each entry of the chunk: the tag we show for it, and the tag the peer shows if the
    /// person is also ours.
    Raised(Vec<(Tag, Tag)>),
    /// An entry of the peer's advert is no point.
    BadEntry(BadPoint),
    /// The tag the peer must show for each of our canaries.
    Canaries(Vec<Tag>),
    /// The shared point of every pair.
    Shared(Vec<Point>),
    /// Our proof of a batch.
    Proved(Proof),
    /// Whether the peer's proof holds.
    Verified(bool),
    /// The job did not fit the match: a fault in this program.
    Unfit,
}

/// Does one job: pure, and heavy (some 30 µs an entry).
pub fn run(job: &Job) -> Fact {
    match job {
        Job::Raise { ground, chunk } => raise(ground, *chunk),
        Job::Canaries { ground } => canaries(ground),
        Job::Share { ground, pairs } => share(ground, pairs),
        Job::Prove {
            ground,
            pairs,
            shared,
            list,
            batch,
            nonce,
        } => {
            let theirs = |pair: &Pair| ground.split(*pair).1;
            let Some(entries) = pick(&ground.peer, batch_of(pairs, *batch), theirs) else {
                return Fact::Unfit;
            };
            let (key, shared) = (ground.own.key(), batch_of(shared, *batch));
            let context = proof_context(&ground.match_id, ground.we(), list, *batch);
            dleq::prove(key, &entries, shared, nonce, &context).map_or(Fact::Unfit, Fact::Proved)
        }
        Job::Verify {
            ground,
            pairs,
            list,
            batch,
            shared,
            proof,
        } => {
            let ours = |pair: &Pair| ground.split(*pair).0;
            let Some(entries) = pick(ground.own.advert(), batch_of(pairs, *batch), ours) else {
                return Fact::Unfit;
            };
            let context = proof_context(&ground.match_id, ground.they(), list, *batch);
            let (key, shared) = (&ground.peer.header().key, batch_of(shared, *batch));
            let held = dleq::verify(key, &entries, shared, proof, &context);
            Fact::Verified(held.is_ok())
        }
    }
}

fn raise(ground: &Ground, chunk: u32) -> Fact {
    match ground.own.raise(ground.peer.chunk(chunk)) {
        Ok(raised) => Fact::Raised(ground.tags(&raised)),
        Err(mut bad) => {
            bad.at += chunk as usize * MAX_CHUNK_ENTRIES;
            Fact::BadEntry(bad)
        }
    }
}

fn canaries(ground: &Ground) -> Fact {
    let (own, key) = (&ground.own, &ground.peer.header().key);
    let Ok(raised) = canary::raised(own.seed(), own.canaries(), key) else {
        return Fact::Unfit;
    };
    let theirs = Tagger::new(&ground.match_id, ground.they());
    Fact::Canaries(raised.iter().map(|point| theirs.tag(point)).collect())
}

fn share(ground: &Ground, pairs: &[Pair]) -> Fact {
    let entries = pick(&ground.peer, pairs, |pair| ground.split(*pair).1);
    let shared = entries.and_then(|entries| ground.own.raise(&entries).ok());
    shared.map_or(Fact::Unfit, Fact::Shared)
}

fn batch_of<T>(all: &[T], batch: u32) -> &[T] {
    all.chunks(PROOF_BATCH).nth(batch as usize).unwrap_or(&[])
}

/// The entries at one side's positions of these pairs; none if one is past the end.
fn pick(advert: &Advert, pairs: &[Pair], position: impl Fn(&Pair) -> u32) -> Option<Vec<Point>> {
    let entry = |pair| advert.entries().get(position(pair) as usize).copied();
    pairs.iter().map(entry).collect()
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raise { chunk, .. } => write!(f, "Raise({chunk})"),
            Self::Canaries { .. } => f.write_str("Canaries"),
            Self::Share { pairs, .. } => write!(f, "Share({})", pairs.len()),
            Self::Prove { batch, .. } => write!(f, "Prove({batch})"),
            Self::Verify { batch, .. } => write!(f, "Verify({batch})"),
        }
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raised(tags) => write!(f, "Raised({})", tags.len()),
            Self::BadEntry(bad) => write!(f, "BadEntry({bad})"),
            Self::Canaries(tags) => write!(f, "Canaries({})", tags.len()),
            Self::Shared(shared) => write!(f, "Shared({})", shared.len()),
            Self::Proved(_) => f.write_str("Proved"),
            Self::Verified(held) => write!(f, "Verified({held})"),
            Self::Unfit => f.write_str("Unfit"),
        }
    }
}
