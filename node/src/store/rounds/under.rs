//! Under which offers a round was agreed.

use std::collections::BTreeSet;

use fairshare_protocol::category::Category;
use fairshare_protocol::offer::{Label, Service};
use serde::{Deserialize, Serialize};

/// What the offers of both said when a round was agreed, as far as it bears on the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Under {
    /// What flows to the peer in bulk.
    pub forth: BTreeSet<Category>,
    /// What flows from it.
    pub back: BTreeSet<Category>,
    /// The labels this member opens.
    pub labels: BTreeSet<Label>,
    /// The services it opens.
    pub services: BTreeSet<Service>,
}

impl Under {
    /// Whether all of it is still so.
    pub fn is_within(&self, now: &Self) -> bool {
        self.forth.is_subset(&now.forth)
            && self.back.is_subset(&now.back)
            && self.labels.is_subset(&now.labels)
            && self.services.is_subset(&now.services)
    }
}
