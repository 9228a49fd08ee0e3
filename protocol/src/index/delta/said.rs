//! What both sides of a delta say under signature.

use serde::{Deserialize, Serialize};

use crate::ids::{FederationId, Hash, MatchId, OdsCode, Point};
use crate::index::matching::links::{Pair, context, pairs_hash};
use crate::limits::BATCH_SIZES;
use crate::statement::Body;
use crate::time::Timestamp;

/// What a member says about a batch: entries that come after those of its advert and of the
/// batches before. The same batch goes to every peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its federation.
    pub federation: FederationId,
    /// Whose it is.
    pub member: OdsCode,
    /// Hash of the signed header of the advert it continues.
    pub header: Hash,
    /// 1 for the first after the advert.
    pub number: u32,
    /// The position of its first entry: the advert's count, and those of the batches before.
    pub from: u32,
    /// How many entries, canaries included: one of [`BATCH_SIZES`].
    pub count: u32,
    /// Hash of its entries.
    pub entries: Hash,
    /// When it was made, by its member's clock: from then on this is the age of its index.
    pub made: Timestamp,
}

impl Body for Batch {
    const LABEL: &'static str = "advert batch";
}

impl Batch {
    /// What it is: there is one batch for each.
    pub const fn names(&self) -> (&FederationId, &OdsCode, &Hash, u32) {
        (&self.federation, &self.member, &self.header, self.number)
    }
}

/// The size of a batch of this many people, canaries included: an eighth of it at least are
/// canaries. None if they are too many for one batch.
pub fn size(people: usize) -> Option<usize> {
    BATCH_SIZES.into_iter().find(|size| people <= most(*size))
}

/// The most people in a batch of this size.
pub const fn most(size: usize) -> usize {
    size - size / 8
}

/// One entry for one peer, of somebody who needs care now (first contact).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The federation.
    pub federation: FederationId,
    /// Whose entry it is.
    pub from: OdsCode,
    /// For whom.
    pub to: OdsCode,
    /// The match it continues.
    pub match_id: MatchId,
    /// The entry.
    pub entry: Point,
    /// When it was made.
    pub at: Timestamp,
}

impl Body for Contact {
    const LABEL: &'static str = "first contact";
}

/// What the taker answers to what was given: signed, so that it cannot say otherwise later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The match whose tags these are.
    pub match_id: MatchId,
    /// Who raised the entries, and signs.
    pub by: OdsCode,
    /// Hash of the signed [`Batch`] or [`Contact`].
    pub given: Hash,
    /// Hash of the tags, in the order of the entries.
    pub tags: Hash,
    /// Hash of the links found, see [`list_hash`].
    pub links: Hash,
}

impl Body for Answer {
    const LABEL: &'static str = "batch answer";
}

impl Answer {
    /// What it answers: there is one answer to each.
    pub const fn names(&self) -> (&MatchId, &OdsCode, &Hash) {
        (&self.match_id, &self.by, &self.given)
    }
}

/// The hash of a list of links: places among what was given, and positions at the taker's.
pub fn list_hash(pairs: &[Pair]) -> Hash {
    pairs_hash("batch links", pairs)
}

/// The context string of one proof (RFC 9497 section 2.2): names match, prover, what was given and
/// the list, so that no proof serves twice.
pub fn proof_context(
    match_id: &MatchId,
    prover: &OdsCode,
    given: &Hash,
    pairs: &[Pair],
) -> Vec<u8> {
    let list = list_hash(pairs);
    context(
        b"FAIRSHARE-V01-BATCH-ristretto255-SHA512-",
        (match_id, prover),
        [given.as_bytes(), list.as_bytes()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_one_of_four_sizes_and_an_eighth_of_it_are_canaries() {
        for (people, expected) in [
            (0, Some(64)),
            (56, Some(64)),
            (57, Some(256)),
            (3584, Some(4096)),
            (3585, None),
        ] {
            assert_eq!(size(people), expected, "{people}");
        }
    }
}
