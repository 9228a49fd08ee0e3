//! Tags, the order they are shown in, and the chunks and rounds they are shown by.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::hash;
use crate::ids::{Fixed, Hash, MatchId, OdsCode, Point};
use crate::limits::{MATCH_ROUNDS, MAX_CHUNK_ENTRIES};

/// 16 bytes of BLAKE3(label, match id, who raised, point): shows nothing of the point, means
/// nothing in another match, and is another for each side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag(pub Fixed<16>);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

/// Makes one side's tags in one match.
pub struct Tagger(Hash);

impl Tagger {
    /// For points raised by this member.
    pub fn new(match_id: &MatchId, raised_by: &OdsCode) -> Self {
        let parts: [&[u8]; 2] = [match_id.as_bytes(), raised_by.as_str().as_bytes()];
        Self(hash::parts("tag", &parts))
    }

    /// The tag of a point.
    pub fn tag(&self, point: &Point) -> Tag {
        let hash = hash::keyed(&self.0, point.as_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&hash.as_bytes()[..16]);
        Tag(Fixed(tag))
    }
}

/// The order in which tags are shown: the n-th is that of the entry at `order[n]`. Drawn by the
/// match id, so that no advertiser can put the people it wants first.
pub fn order(match_id: &MatchId, raised_by: &OdsCode, count: u32) -> Vec<u32> {
    let mut drawn = vec![0; count as usize * 8];
    let parts: [&[u8]; 2] = [match_id.as_bytes(), raised_by.as_str().as_bytes()];
    hash::stream("tag order", &parts, &mut drawn);
    let (drawn, _) = drawn.as_chunks::<8>();
    let mut order: Vec<_> = drawn
        .iter()
        .map(|d| u64::from_le_bytes(*d))
        .zip(0..)
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, position)| position).collect()
}

/// A chunk of tags: those of the entries at `order[from..to]`, shown in this round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The round it belongs to.
    pub round: u32,
    /// Its first place.
    pub from: usize,
    /// The place after its last.
    pub to: usize,
}

/// The chunks of this many tags. Every round shows the same fraction, in chunks of at most
/// [`MAX_CHUNK_ENTRIES`].
pub fn spans(count: u32) -> Vec<Span> {
    let mut spans = Vec::new();
    let place =
        |round: u32| (u64::from(count) * u64::from(round) / u64::from(MATCH_ROUNDS)) as usize;
    for round in 0..MATCH_ROUNDS {
        let end = place(round + 1);
        for from in (place(round)..end).step_by(MAX_CHUNK_ENTRIES) {
            let to = end.min(from + MAX_CHUNK_ENTRIES);
            spans.push(Span { round, from, to });
        }
    }
    spans
}

/// The bytes of tags, as hashed and sent.
pub fn to_bytes(tags: &[Tag]) -> Vec<u8> {
    tags.iter().flat_map(|tag| tag.0.0).collect()
}

/// The tags of these bytes; none if they are no whole number of them.
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Tag>> {
    let (tags, rest) = bytes.as_chunks::<16>();
    rest.is_empty()
        .then(|| tags.iter().map(|tag| Tag(Fixed(*tag))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> MatchId {
        MatchId::new([n; 32])
    }

    fn ods(code: &str) -> OdsCode {
        code.parse().unwrap()
    }

    #[test]
    fn a_tag_is_another_for_each_match_side_and_point() {
        let points = [Point::new([1; 32]), Point::new([2; 32])];
        let mut tags = std::collections::BTreeSet::new();
        for (match_id, side) in [(1, "A"), (1, "B"), (2, "A")] {
            let tagger = Tagger::new(&id(match_id), &ods(side));
            tags.extend(points.map(|point| tagger.tag(&point)));
        }
        assert_eq!(tags.len(), 6);
    }

    #[test]
    fn the_order_is_a_permutation_drawn_by_match_and_side() {
        let order_of = |match_id, side| order(&id(match_id), &ods(side), 3000);
        let mut sorted = order_of(1, "A");
        assert_ne!(sorted, order_of(2, "A"));
        assert_ne!(sorted, order_of(1, "B"));
        assert_eq!(sorted, order_of(1, "A"));
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..3000));
    }

    #[test]
    fn every_round_shows_the_same_fraction_in_bounded_chunks() {
        for count in [2048, 2049, 3072, 300_001, 4_194_304] {
            let spans = spans(count);
            assert_eq!(spans[0].from, 0);
            assert_eq!(spans.last().unwrap().to, count as usize);
            assert!(spans.windows(2).all(|two| two[0].to == two[1].from));
            assert!(
                spans
                    .iter()
                    .all(|s| s.from < s.to && s.to - s.from <= MAX_CHUNK_ENTRIES)
            );
            for round in 0..64 {
                let of_round = spans.iter().filter(|s| s.round == round);
                let tags: usize = of_round.map(|s| s.to - s.from).sum();
                assert!(tags.abs_diff(count as usize / 64) <= 1);
            }
            assert!(spans.len() <= 1024, "their hashes fit one frame");
        }
    }
}
