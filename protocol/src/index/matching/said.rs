//! What both sides of a match say under signature, and the match id that follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::hash;
use crate::ids::{FederationId, Fixed, Hash, MatchId, OdsCode};
use crate::statement::Body;

/// Opens a match between two adverts. For one pair of headers there is one opening of each side:
/// two are evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The federation of both.
    pub federation: FederationId,
    /// Who says it.
    pub from: OdsCode,
    /// To whom.
    pub to: OdsCode,
    /// Hash of the sayer's own signed header.
    pub header: Hash,
    /// Hash of the other's signed header, as the sayer holds it.
    pub yours: Hash,
    /// Hash of the sayer's nonce, shown only when both have opened.
    pub nonce: Hash,
}

impl Body for Opening {
    const LABEL: &'static str = "match opening";
}

impl Opening {
    /// What it opens.
    pub const fn names(&self) -> (&FederationId, &OdsCode, &OdsCode, &Hash, &Hash) {
        let Self {
            federation,
            from,
            to,
            header,
            yours,
            ..
        } = self;
        (federation, from, to, header, yours)
    }
}

/// Commits to every tag before the first is shown. There is one of each side under a match id:
/// two are evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagCommitment {
    /// The match.
    pub match_id: MatchId,
    /// Who raised the other's entries, and signs.
    pub raised_by: OdsCode,
    /// Hash over the hashes of the chunks of tags.
    pub root: Hash,
    /// How many tags: as many as the other's advert has entries.
    pub count: u32,
}

impl Body for TagCommitment {
    const LABEL: &'static str = "tag commitment";
}

impl TagCommitment {
    /// What it commits to.
    pub const fn names(&self) -> (&MatchId, &OdsCode) {
        (&self.match_id, &self.raised_by)
    }
}

/// One side's share in the match id.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub Fixed<32>);

impl Nonce {
    /// The nonce of the member with this epoch key for this pair of headers.
    ///
    /// Nobody else can foresee it, and the member gets the same one again: a node that lost its
    /// records of a match, but not its advert, cannot contradict itself.
    pub fn new(key: &[u8; 32], own: &Hash, theirs: &Hash) -> Self {
        let parts: [&[u8]; 3] = [key, own.as_bytes(), theirs.as_bytes()];
        Self(hash::parts("match nonce", &parts).0)
    }

    /// What an opening names.
    pub fn hash(&self) -> Hash {
        hash::parts("match nonce commitment", &[&self.0.0])
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// One side of a match, as its id has it.
pub(super) struct Party<'a> {
    pub member: &'a OdsCode,
    pub header: Hash,
    pub nonce: Nonce,
}

/// The id of the match of two adverts, whichever of the two works it out.
pub(super) fn match_id(
    federation: &FederationId,
    epoch: u32,
    mut parties: [Party<'_>; 2],
) -> MatchId {
    parties.sort_by_key(|party| party.member.as_str());
    let [first, second] = &parties;
    let hash = hash::parts(
        "match id",
        &[
            federation.as_bytes(),
            &epoch.to_le_bytes(),
            first.member.as_str().as_bytes(),
            second.member.as_str().as_bytes(),
            first.header.as_bytes(),
            second.header.as_bytes(),
            &first.nonce.0.0,
            &second.nonce.0.0,
        ],
    );
    MatchId::new(*hash.as_bytes())
}
