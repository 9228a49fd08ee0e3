//! What is held about one member.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::Member;
use super::decision::{Decision, NOTHING, StewardStatement};
use super::own::{Claim, SelfStatement};
use crate::ids::{Hash, PublicKey};
use crate::statement::{CoSigned, Signed};
use crate::time::Timestamp;

/// What is held about one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) decisions: BTreeMap<(u32, Hash), Decided>,
    /// By what it hangs on, signer, `u`, and hash.
    pub(super) own: BTreeMap<(u32, PublicKey, u32, Hash), Said>,
    /// What they make of the member, once somebody asked. Forgotten when one is added.
    pub(super) walked: OnceLock<Option<Arc<Member>>>,
}

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

    /// Whether the organisation ever named `key` as its node key under `n`.
    pub(super) fn names_node(&self, n: u32, key: &PublicKey) -> bool {
        let mut said = self.own.iter().filter(|((at, ..), _)| *at == n);
        said.any(|(_, said)| matches!(&said.claim, Claim::Node(keys) if keys.node == *key))
    }

    /// The hashes of what `signer` said with this `u` under `n`, smallest first.
    pub(super) fn said(&self, n: u32, signer: PublicKey, u: u32) -> impl Iterator<Item = Hash> {
        let range = (n, signer, u, NOTHING)..=(n, signer, u, Hash::new([0xff; 32]));
        self.own.range(range).map(|((.., hash), _)| *hash)
    }
}
