//! From candidates to links: the list both sides agree on, what a proof is about, and handles.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::tags::Tag;
use crate::crypto::hash;
use crate::ids::{Handle, Hash, MatchId, OdsCode, Point};
use crate::limits::MAX_CHUNK_ENTRIES;

/// A position in the advert of the member whose code sorts first, and one in the other's.
pub type Pair = (u32, u32);

/// The most links one proof covers, so that a job stays short.
pub const PROOF_BATCH: usize = MAX_CHUNK_ENTRIES;

/// One of our people, proved to be also the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The position of their entry in our advert.
    pub position: u32,
    /// The name both sides use for them.
    pub handle: Handle,
}

/// What a match found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The match.
    pub match_id: MatchId,
    /// With whom.
    pub peer: OdsCode,
    /// Hash of our signed header.
    pub ours: Hash,
    /// Hash of the peer's.
    pub theirs: Hash,
    /// The people both hold, by position in our advert.
    pub links: Vec<Link>,
    /// Candidates only we had: not honoured, shown to both operators.
    pub ours_only: u32,
    /// Candidates only the peer had.
    pub theirs_only: u32,
}

/// What a finished match leaves for whoever comes later (`index::delta`): both sorted by tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// The tag the peer showed for each of our people, with the position of their entry.
    pub heard: Vec<(Tag, u32)>,
    /// The tag the peer would show for each of its entries if it were also ours, with its position.
    pub expected: Vec<(Tag, u32)>,
}

/// Two lists of candidates, laid side by side.
pub(crate) struct Compared {
    pub both: Vec<Pair>,
    pub ours_only: u32,
    pub theirs_only: u32,
}

/// Lays two sorted lists side by side.
pub(crate) fn compare(ours: &[Pair], theirs: &[Pair]) -> Compared {
    let mut both = Vec::new();
    let (mut o, mut t) = (0, 0);
    while o < ours.len() && t < theirs.len() {
        match ours[o].cmp(&theirs[t]) {
            Ordering::Less => o += 1,
            Ordering::Greater => t += 1,
            Ordering::Equal => {
                both.push(ours[o]);
                (o, t) = (o + 1, t + 1);
            }
        }
    }
    Compared {
        // Adverts have at most MAX_ADVERT entries, so lists of pairs fit.
        ours_only: (ours.len() - both.len()) as u32,
        theirs_only: (theirs.len() - both.len()) as u32,
        both,
    }
}

/// The hash of the list both sides have.
pub(super) fn list_hash(pairs: &[Pair]) -> Hash {
    pairs_hash("link list", pairs)
}

/// The hash of pairs under this label.
pub(crate) fn pairs_hash(label: &str, pairs: &[Pair]) -> Hash {
    let bytes: Vec<u8> = pairs
        .iter()
        .flat_map(|(first, second)| [first.to_le_bytes(), second.to_le_bytes()])
        .flatten()
        .collect();
    hash::parts(label, &[&bytes])
}

/// The context string of one proof (RFC 9497 section 2.2): names match, prover, list and batch, so
/// that no proof serves twice.
pub fn proof_context(match_id: &MatchId, prover: &OdsCode, list: &Hash, batch: u32) -> Vec<u8> {
    let about: [&[u8]; 2] = [list.as_bytes(), &batch.to_le_bytes()];
    context(
        b"FAIRSHARE-V01-LINKS-ristretto255-SHA512-",
        (match_id, prover),
        about,
    )
}

/// A context string: the use, the match, the prover, and what it is about, of fixed lengths.
pub(crate) fn context(
    label: &[u8],
    (match_id, prover): (&MatchId, &OdsCode),
    about: [&[u8]; 2],
) -> Vec<u8> {
    let code = prover.as_str().as_bytes();
    [
        label,
        match_id.as_bytes(),
        // At most nine characters.
        &[code.len() as u8],
        code,
        about[0],
        about[1],
    ]
    .concat()
}

/// handle = KDF(match id, shared point).
pub fn handle(match_id: &MatchId, shared: &Point) -> Handle {
    let parts: [&[u8]; 2] = [match_id.as_bytes(), shared.as_bytes()];
    Handle(hash::parts("handle", &parts).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_in_both_lists_is_common() {
        let compared = compare(&[(1, 9), (2, 3), (4, 4), (7, 1)], &[(2, 3), (4, 5), (7, 1)]);
        assert_eq!(compared.both, [(2, 3), (7, 1)]);
        assert_eq!((compared.ours_only, compared.theirs_only), (2, 1));
        assert_eq!(compare(&[], &[(1, 1)]).theirs_only, 1);
    }
}
