//! What the two sides of a round sign.

use serde::{Deserialize, Serialize};

use crate::crypto::hash;
use crate::exchange::answer::Verdict;
use crate::ids::{ExchangeId, FederationId, Handle, Hash, MatchId, OdsCode, RoundId};
use crate::statement::Body;
use crate::time::Timestamp;

/// A share of the chance by which people are drawn. Neither side chooses the order: the proposer
/// commits to its share before it sees the other's.
pub type Nonce = Hash;

/// Somebody proposes a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Inside which federation.
    pub federation: FederationId,
    /// A fresh random id.
    pub round: RoundId,
    /// Who proposes.
    pub from: OdsCode,
    /// To whom.
    pub to: OdsCode,
    /// The match of the handles.
    pub match_id: MatchId,
    /// The terms the proposer knows.
    pub terms: Hash,
    /// [`commit`] of the proposer's nonce.
    pub nonce: Hash,
    /// When; the as-of date of every bundle of the round.
    pub at: Timestamp,
}

impl Body for Proposal {
    const LABEL: &'static str = "round proposal";
}

/// One side commits to the people of a round and their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Who signs.
    pub from: OdsCode,
    /// With whom.
    pub to: OdsCode,
    /// Hash of the proposal.
    pub proposal: Hash,
    /// The signer's nonce.
    pub nonce: Nonce,
    /// How many people.
    pub people: u32,
    /// [`list`] of their handles in the drawn order.
    pub list: Hash,
}

impl Body for Agreement {
    const LABEL: &'static str = "round agreement";
}

/// "I hold roots R": the bundles lie whole on the signer's disk, unopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The round.
    pub round: RoundId,
    /// Who holds.
    pub from: OdsCode,
    /// Whose they are.
    pub to: OdsCode,
    /// The place in the round of the first of them.
    pub first: u32,
    /// Hashes of their signed commitments, one after the other.
    pub bundles: Vec<Hash>,
}

impl Body for Held {
    const LABEL: &'static str = "bundles held";
}

/// The bundles were opened, checked and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The round.
    pub round: RoundId,
    /// Who received.
    pub from: OdsCode,
    /// Who showed.
    pub to: OdsCode,
    /// The place in the round of the first of them.
    pub first: u32,
    /// Hashes of their signed commitments, and what was found, one after the other.
    pub bundles: Vec<(Hash, Verdict)>,
    /// When.
    pub at: Timestamp,
}

impl Body for Receipts {
    const LABEL: &'static str = "round receipts";
}

/// What a proposer commits to before it sees the other's nonce.
pub fn commit(round: &RoundId, nonce: &Nonce) -> Hash {
    hash::parts("round nonce", &[round.as_bytes(), nonce.as_bytes()])
}

/// The people in the order drawn by both nonces, and whether the proposer's first key leaves first.
pub fn draw(round: &RoundId, nonces: [&Nonce; 2], mut people: Vec<Handle>) -> (Vec<Handle>, bool) {
    let [proposer, other] = nonces;
    let seed = hash::parts(
        "round order",
        &[round.as_bytes(), proposer.as_bytes(), other.as_bytes()],
    );
    people.sort_by_cached_key(|handle| hash::keyed(&seed, &handle.0.0));
    (people, seed.as_bytes()[0] & 1 == 0)
}

/// The hash by which both name the same people in the same order.
pub fn list(round: &RoundId, people: &[Handle]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    people.iter().for_each(|handle| {
        hasher.update(&handle.0.0);
    });
    hash::parts(
        "round list",
        &[round.as_bytes(), hasher.finalize().as_bytes()],
    )
}

/// The exchange about one person in a round.
pub fn exchange(round: &RoundId, handle: &Handle) -> ExchangeId {
    let name = hash::parts("round exchange", &[round.as_bytes(), &handle.0.0]);
    ExchangeId::new(name.digest().0.0)
}
