//! What is shown is offered and not stopped, also when that changes meanwhile: by an operator's stop,
//! or because an offer is narrowed, by this member, by the peer as far as this node has heard, or by
//! stewards who limit or remove one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::Roster;
use fairshare_protocol::time::Timestamp;
use tokio::task::spawn_blocking;

use crate::engine::drive::Error;
use crate::engine::showing::{self, Bundle};
use crate::engine::withholding;
use crate::node::Node;

/// What something is shown under.
#[derive(Clone)]
pub(in crate::engine) struct Offered {
    pub(super) node: Arc<Node>,
    pub(super) peer: OdsCode,
    /// What for, any of these.
    purposes: Vec<Purpose>,
    /// Whether it is shown in return for an answer.
    in_return: bool,
    /// As it was when this was last looked at.
    roster: Option<Arc<Roster>>,
}

/// A bundle that is being shown.
pub(super) struct Leaving {
    offered: Offered,
    /// Whom it is about.
    person: IndexKey,
    /// What is in it.
    categories: BTreeSet<Category>,
    again: Again,
}

/// How a bundle is made once more, to see whether it would still be the same.
pub(super) enum Again {
    /// With these categories, as of then, and with this head.
    With(BTreeSet<Category>, Timestamp, Hash),
    /// It is not.
    Not,
}

impl Offered {
    /// Under the offers of this roster, for these purposes, in return for an answer or not.
    pub(super) fn by(
        node: &Arc<Node>,
        peer: &OdsCode,
        (purposes, in_return): (&[Purpose], bool),
        roster: Option<Arc<Roster>>,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            peer: peer.clone(),
            purposes: purposes.to_vec(),
            in_return,
            roster,
        }
    }

    /// What may be told in notices under the offers of this roster: for care of one person, whatever
    /// kind of care.
    pub(in crate::engine) fn to_tell(
        node: &Arc<Node>,
        peer: &OdsCode,
        roster: Arc<Roster>,
    ) -> Self {
        let purposes = [Purpose::Care, Purpose::Safeguarding];
        Self::by(node, peer, (&purposes, false), Some(roster))
    }

    /// The categories that flow to the peer.
    pub(in crate::engine) fn flows(&self) -> BTreeSet<Category> {
        let me = self.node.code();
        let roster = self.roster.as_ref();
        let terms = roster.and_then(|roster| roster.terms(me, &self.peer).ok());
        let terms = terms.filter(|terms| !self.in_return || terms.shows_in_return(me));
        let Some(terms) = terms else {
            return BTreeSet::new();
        };
        let purposes = self.purposes.iter();
        let flows = purposes.flat_map(|purpose| terms.flows(me, &self.peer, *purpose));
        flows.collect()
    }

    /// This member's own offer.
    fn own(&self) -> Option<&Offer> {
        let member = self.roster.as_ref()?.member(self.node.code())?;
        member.offer.as_ref()
    }
}

impl Leaving {
    pub(super) fn new(
        (offered, person): (Offered, IndexKey),
        bundle: &Bundle,
        again: Again,
    ) -> Self {
        let categories = bundle.counts.iter().map(|(category, _)| *category);
        Self {
            offered,
            person,
            categories: categories.collect(),
            again,
        }
    }

    /// Whether an operator stopped, meanwhile, showing some of what is in the bundle.
    pub(super) fn is_stopped(&self) -> Result<bool, Error> {
        let Offered { node, peer, .. } = &self.offered;
        let stopped = withholding::stopped(node, peer, &self.person)?;
        let whole = stopped.len() == Category::ALL.len();
        Ok(whole || !stopped.is_disjoint(&self.categories))
    }

    /// Whether an offer was narrowed meanwhile so that some of what is in the bundle is not offered
    /// any more.
    pub(super) async fn is_narrowed(&mut self) -> Result<bool, Error> {
        let before = &self.offered;
        let roster = before.node.membership.roster();
        let same = match (&roster, &before.roster) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            _ => false,
        };
        if same {
            return Ok(false);
        }
        let now = Offered {
            roster,
            ..before.clone()
        };
        if !self.categories.is_subset(&now.flows()) {
            return Ok(true);
        }
        // What was closed may be in it, or not.
        if closes(before.own(), now.own()) && self.differs().await? {
            return Ok(true);
        }
        self.offered = now;
        Ok(false)
    }

    async fn differs(&self) -> Result<bool, Error> {
        let &Again::With(ref categories, as_of, head) = &self.again else {
            return Ok(true);
        };
        let (node, person) = (Arc::clone(&self.offered.node), self.person);
        let categories = categories.clone();
        let again = move || showing::prepare_round(&node, &person, &categories, as_of);
        Ok(spawn_blocking(again).await??.head != head)
    }
}

/// Whether a label or a service that one offer opens is closed by another.
fn closes(before: Option<&Offer>, now: Option<&Offer>) -> bool {
    let Some(before) = before else { return false };
    let Some(now) = now else { return true };
    !before.opened_labels.is_subset(&now.opened_labels)
        || !before.opened_services.is_subset(&now.opened_services)
}
