//! Two members as the tests of exchanges need them.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ask::Pair;
use crate::charter::Charter;
use crate::crypto::seal::SealSecret;
use crate::crypto::sign::KeyPair;
use crate::ids::{FederationId, Hash, OdsCode};
use crate::member::MemberKind;
use crate::offer::Offer;
use crate::terms::{Party, Terms};
use crate::time::Timestamp;

/// An acute trust and a practice with these offers, as each sees the other.
pub(crate) fn pairs(offers: [Offer; 2]) -> (Pair, Pair) {
    pairs_with(offers, [true; 2])
}

/// Two members, each with the bulk lane open to it or not.
pub(crate) fn pairs_with(offers: [Offer; 2], bulk: [bool; 2]) -> (Pair, Pair) {
    let codes: [OdsCode; 2] = ["RH8".parse().unwrap(), "L83024".parse().unwrap()];
    let keys = [1, 2].map(|n| KeyPair::from_seed(&[n; 32]));
    let seals = [3, 4].map(|n| Arc::new(SealSecret::from_seed(&[n; 32])));
    let stewards = BTreeMap::from([(codes[0].clone(), keys[0].public())]);
    let name = "Test".parse().unwrap();
    let charter = Charter::first(name, Hash::new([0; 32]), stewards, 1, Timestamp(0));
    let kinds = [MemberKind::AcuteTrust, MemberKind::GpPractice];
    let party = |i: usize| Party {
        code: &codes[i],
        kind: kinds[i],
        bulk: bulk[i],
        offer: &offers[i],
    };
    let terms = Terms::between(party(0), party(1), &charter);
    let pair = |me: usize, peer: usize| Pair {
        federation: FederationId::new([9; 32]),
        me: codes[me].clone(),
        key: keys[me].clone(),
        seal: Arc::clone(&seals[me]),
        peer: codes[peer].clone(),
        peer_key: keys[peer].public(),
        peer_seal: seals[peer].public(),
        terms: terms.clone(),
        max_bundle: 10_000_000,
    };
    (pair(0, 1), pair(1, 0))
}

/// What they offer if nobody says otherwise.
pub(crate) fn defaults() -> [Offer; 2] {
    [MemberKind::AcuteTrust, MemberKind::GpPractice].map(Offer::default_for)
}
