//! What is held about one member.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use super::Member;
use super::decision::{Decision, NOTHING, StewardStatement};
use super::own::{Claim, SelfStatement, Signer};
use crate::ids::{Hash, PublicKey};
use crate::statement::{CoSigned, Signed};
use crate::time::Timestamp;

/// After every hash.
const LAST: Hash = Hash::new([0xff; 32]);

/// What is held about one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) decisions: BTreeMap<(u32, Hash), Decided>,
    /// What it said of itself, and what it would have said: see [`Book::own`].
    pub(super) said: BTreeMap<Place, Said>,
    /// What they make of the member, once somebody asked. Forgotten when one is added.
    pub(super) walked: OnceLock<Option<Arc<Member>>>,
}

/// Where a self statement stands: what it hangs on, which of the member's keys signs, that key, `u`,
/// and its hash.
pub(super) type Place = (u32, Signer, PublicKey, u32, Hash);

#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) signed: CoSigned<StewardStatement>,
    /// The charter version it was decided under.
    pub(super) charter: Hash,
    pub(super) previous: Hash,
    pub(super) at: Timestamp,
    pub(super) decision: Decision,
}

#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) signed: Signed<SelfStatement>,
    pub(super) claim: Claim,
}

impl Book {
    /// Whether stewards ever named `key` as the organisation key in force at the anchor `n`.
    pub(super) fn names_organisation(&self, n: u32, key: &PublicKey) -> bool {
        let mut upto = self.decisions.iter().take_while(|((at, _), _)| *at <= n);
        let anchored = self
            .decisions
            .iter()
            .any(|((at, _), held)| *at == n && held.decision.kind().is_anchor());
        anchored && upto.any(|(_, held)| held.decision.organisation() == Some(*key))
    }

    /// Whether the organisation names `key` as its node key under `n`.
    pub(super) fn names_node(&self, n: u32, key: &PublicKey) -> bool {
        self.named(n..=n).any(|named| named == (n, *key))
    }

    /// The node keys the organisation names, each with the number under which it does.
    fn named(&self, under: RangeInclusive<u32>) -> impl Iterator<Item = (u32, PublicKey)> {
        let (role, least, most) = (Signer::Organisation, [0; 32], [0xff; 32]);
        let first = (*under.start(), role, PublicKey::new(least), 0, NOTHING);
        let last = (*under.end(), role, PublicKey::new(most), u32::MAX, LAST);
        let said = self.said.range(first..=last);
        said.filter_map(|((n, ..), said)| match &said.claim {
            Claim::Node(keys) => Some((*n, keys.node)),
            _ => None,
        })
    }

    /// What it said of itself.
    ///
    /// An organisation may contradict itself so often that a statement that named a node key is kept
    /// no more. What that key signed is then not held either, as if it had never been founded; but it
    /// is not forgotten, because another statement may name the key again. So what is held is the same
    /// in whatever order statements came.
    pub(super) fn own(&self) -> impl Iterator<Item = (&Place, &Said)> {
        let named: BTreeSet<_> = self.named(0..=u32::MAX).collect();
        self.said.iter().filter(move |((n, role, signer, ..), _)| {
            *role == Signer::Organisation || named.contains(&(*n, *signer))
        })
    }

    /// Forgets what is not held under `n`.
    pub(super) fn forget(&mut self, n: u32) {
        let named: BTreeSet<_> = self.named(n..=n).collect();
        self.said.retain(|(at, role, signer, ..), _| {
            *at != n || *role == Signer::Organisation || named.contains(&(n, *signer))
        });
    }

    /// What one of its keys said under `n` with these `u`, the smallest hash first.
    pub(super) fn by(
        &self,
        n: u32,
        (role, key): (Signer, PublicKey),
        u: RangeInclusive<u32>,
    ) -> impl Iterator<Item = (u32, Hash, &Said)> {
        let first = (n, role, key, *u.start(), NOTHING);
        let said = self.said.range(first..=(n, role, key, *u.end(), LAST));
        said.map(|((_, _, _, u, hash), said)| (*u, *hash, said))
    }
}
