//! What a delta looks up and works out. Whoever drives it answers the look-ups from its tables and
//! runs [`run`] for the rest.

use std::fmt;
use std::sync::Arc;

use super::said::proof_context;
use crate::crypto::blind::{BadPoint, NotAPoint, Secret};
use crate::crypto::dleq::{self, Proof};
use crate::ids::{Hash, MatchId, OdsCode, Point};
use crate::index::advert::Header;
use crate::index::advert::own::{Made, Own, Slot};
use crate::index::canary;
use crate::index::matching::links::Pair;
use crate::index::matching::tags::{Tag, Tagger};

/// What both sides know of the match a delta continues.
pub struct Ground {
    /// Our advert, with its batches.
    pub own: Arc<Own>,
    /// The peer's header.
    pub peer: Header,
    /// Hash of the peer's signed header.
    pub theirs: Hash,
    /// The match.
    pub match_id: MatchId,
}

impl Ground {
    /// Our code.
    pub fn we(&self) -> &OdsCode {
        &self.own.advert().header().member
    }

    /// The peer's code.
    pub const fn they(&self) -> &OdsCode {
        &self.peer.member
    }

    /// The tag the peer shows for a point it raised.
    pub fn theirs(&self) -> Tagger {
        Tagger::new(&self.match_id, self.they())
    }

    /// The tag we show for a point we raised.
    pub fn ours(&self) -> Tagger {
        Tagger::new(&self.match_id, self.we())
    }
}

/// What is looked up, or worked out.
pub enum Load {
    /// Look up: our batch of this number.
    Batch(u32),
    /// Look up: the entry we are here to give, and who it is.
    Contact,
    /// Look up each of these tags among those the peer showed for ours; and whether any of them is
    /// one it would show for an entry of its own.
    Heard(Vec<Tag>),
    /// Look up each of these tags among those the peer would show for entries of its own; and the
    /// peer's entries at these positions.
    Expected(Vec<Tag>, Vec<u32>),
    /// Work out: the peer's entries, raised.
    Raise {
        /// The match.
        ground: Arc<Ground>,
        /// The entries.
        entries: Vec<Point>,
    },
    /// Work out: what the peer must make of the canaries in a batch of ours.
    Canaries {
        /// The match.
        ground: Arc<Ground>,
        /// The batch.
        made: Arc<Made>,
    },
    /// Work out: a proof that we raised the peer's entries.
    Prove {
        /// The match.
        ground: Arc<Ground>,
        /// What was given, and the links.
        about: (Hash, Vec<Pair>),
        /// The peer's entry of each link, and the shared point.
        points: (Vec<Point>, Vec<Point>),
        /// Fresh for this proof.
        nonce: Secret,
    },
    /// Work out: whether the peer's proof holds that it raised our entries.
    Verify {
        /// The match.
        ground: Arc<Ground>,
        /// What was given, and the links.
        about: (Hash, Vec<Pair>),
        /// Our entry of each link, and the shared point.
        points: (Vec<Point>, Vec<Point>),
        /// The proof.
        proof: Proof,
    },
}

/// What came of it.
#[derive(Clone)]
pub enum Fact {
    /// Our next batch; none if the last was given.
    Next(Option<Next>),
    /// The position found for each tag; and whether one of them is of an entry the peer gave
    /// before.
    Heard(Vec<Option<u32>>, bool),
    /// The position found for each tag, and the peer's entries that were asked for; none if one
    /// is not there.
    Expected(Vec<Option<u32>>, Option<Vec<Point>>),
    /// The raised entries.
    Raised(Vec<Point>),
    /// An entry is no point.
    BadEntry(BadPoint),
    /// The right tag for each canary, with its place.
    Canaries(Vec<(u32, Tag)>),
    /// The proof.
    Proved(Proof),
    /// Whether it holds.
    Verified(bool),
    /// It did not fit: a fault in this program.
    Unfit,
}

/// What is given next.
#[derive(Debug, Clone)]
pub enum Next {
    /// A batch.
    Batch(Arc<Made>),
    /// One entry.
    Contact(Point),
}

/// Works out what needs no look-up: pure, and heavy. None for a look-up.
pub fn run(load: &Load) -> Option<Fact> {
    Some(match load {
        Load::Batch(_) | Load::Contact | Load::Heard(_) | Load::Expected(..) => return None,
        Load::Raise { ground, entries } => match ground.own.raise(entries) {
            Ok(raised) => Fact::Raised(raised),
            Err(bad) => Fact::BadEntry(bad),
        },
        Load::Canaries { ground, made } => {
            canaries(ground, made).map_or(Fact::Unfit, Fact::Canaries)
        }
        Load::Prove {
            ground,
            about: (given, links),
            points: (entries, shared),
            nonce,
        } => {
            let context = proof_context(&ground.match_id, ground.we(), given, links);
            let proof = dleq::prove(ground.own.key(), entries, shared, nonce, &context);
            proof.map_or(Fact::Unfit, Fact::Proved)
        }
        Load::Verify {
            ground,
            about: (given, links),
            points: (entries, shared),
            proof,
        } => {
            let context = proof_context(&ground.match_id, ground.they(), given, links);
            let held = dleq::verify(&ground.peer.key, entries, shared, proof, &context);
            Fact::Verified(held.is_ok())
        }
    })
}

fn canaries(ground: &Ground, made: &Made) -> Result<Vec<(u32, Tag)>, NotAPoint> {
    let (numbers, places): (Vec<_>, Vec<_>) = made
        .slots
        .iter()
        .zip(0..)
        .filter_map(|(slot, place)| match slot {
            Slot::Canary(number) => Some((*number, place)),
            Slot::Person(_) => None,
        })
        .unzip();
    let raised = canary::raised_of(ground.own.seed(), numbers, &ground.peer.key)?;
    let theirs = ground.theirs();
    let tag = |(point, place): (&Point, u32)| (place, theirs.tag(point));
    Ok(raised.iter().zip(places).map(tag).collect())
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(number) => write!(f, "Batch({number})"),
            Self::Contact => f.write_str("Contact"),
            Self::Heard(tags) => write!(f, "Heard({})", tags.len()),
            Self::Expected(tags, _) => write!(f, "Expected({})", tags.len()),
            Self::Raise { entries, .. } => write!(f, "Raise({})", entries.len()),
            Self::Canaries { .. } => f.write_str("Canaries"),
            Self::Prove { .. } => f.write_str("Prove"),
            Self::Verify { .. } => f.write_str("Verify"),
        }
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(Some(_)) => f.write_str("Next"),
            Self::Next(None) => f.write_str("Next(nothing)"),
            Self::Heard(found, _) => write!(f, "Heard({})", found.len()),
            Self::Expected(found, _) => write!(f, "Expected({})", found.len()),
            Self::Raised(points) => write!(f, "Raised({})", points.len()),
            Self::BadEntry(bad) => write!(f, "BadEntry({bad})"),
            Self::Canaries(tags) => write!(f, "Canaries({})", tags.len()),
            Self::Proved(_) => f.write_str("Proved"),
            Self::Verified(held) => write!(f, "Verified({held})"),
            Self::Unfit => f.write_str("Unfit"),
        }
    }
}
