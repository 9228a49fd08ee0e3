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
    /// Prove one batch of links.
    Prove {
        /// The match.
        ground: Arc<Ground>,
        /// All pairs both sides listed.
        pairs: Arc<[Pair]>,
        /// The hash of that list.
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
        /// The shared points of that batch.
        shared: Vec<Point>,
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
    /// The shared points of a batch, and our proof of it.
    Proved(Vec<Point>, Proof),
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
        Job::Prove {
            ground,
            pairs,
            list,
            batch,
            nonce,
        } => prove(ground, pairs, list, *batch, nonce),
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
            let key = &ground.peer.header().key;
            let held = dleq::verify(key, &entries, shared, proof, &context);
            Fact::Verified(held.is_ok())
        }
    }
}

fn raise(ground: &Ground, chunk: u32) -> Fact {
    let raised = match ground.own.key().raise(ground.peer.chunk(chunk)) {
        Ok(raised) => raised,
        Err(mut bad) => {
            bad.at += chunk as usize * MAX_CHUNK_ENTRIES;
            return Fact::BadEntry(bad);
        }
    };
    let ours = Tagger::new(&ground.match_id, ground.we());
    let theirs = Tagger::new(&ground.match_id, ground.they());
    let tags = raised
        .iter()
        .map(|point| (ours.tag(point), theirs.tag(point)));
    Fact::Raised(tags.collect())
}

fn canaries(ground: &Ground) -> Fact {
    let (own, key) = (&ground.own, &ground.peer.header().key);
    let Ok(raised) = canary::raised(own.seed(), own.canaries(), key) else {
        return Fact::Unfit;
    };
    let theirs = Tagger::new(&ground.match_id, ground.they());
    Fact::Canaries(raised.iter().map(|point| theirs.tag(point)).collect())
}

fn prove(ground: &Ground, pairs: &[Pair], list: &Hash, batch: u32, nonce: &Secret) -> Fact {
    let theirs = |pair: &Pair| ground.split(*pair).1;
    let Some(entries) = pick(&ground.peer, batch_of(pairs, batch), theirs) else {
        return Fact::Unfit;
    };
    let Ok(shared) = ground.own.key().raise(&entries) else {
        return Fact::Unfit;
    };
    let context = proof_context(&ground.match_id, ground.we(), list, batch);
    match dleq::prove(ground.own.key(), &entries, &shared, nonce, &context) {
        Ok(proof) => Fact::Proved(shared, proof),
        Err(_) => Fact::Unfit,
    }
}

fn batch_of(pairs: &[Pair], batch: u32) -> &[Pair] {
    pairs.chunks(PROOF_BATCH).nth(batch as usize).unwrap_or(&[])
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
            Self::Proved(shared, _) => write!(f, "Proved({})", shared.len()),
            Self::Verified(held) => write!(f, "Verified({held})"),
            Self::Unfit => f.write_str("Unfit"),
        }
    }
}
