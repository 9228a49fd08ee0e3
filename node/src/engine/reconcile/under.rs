//! Under which offers a round goes on: one that becomes narrower ends it, whoever's it is and
//! whoever hears of it.

use fairshare_protocol::category::Purpose;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::roster::Roster;
use fairshare_protocol::terms::Terms;

use crate::node::Node;
use crate::store::rounds::Under;

/// What bears on a round with this peer under these terms.
pub(super) fn under(node: &Node, peer: &OdsCode, terms: Option<&Terms>) -> Under {
    let flows = |from, to| {
        let flows = terms.map(|terms| terms.flows(from, to, Purpose::SharedCare));
        flows.unwrap_or_default()
    };
    let own = node.membership.member(node.code());
    let own = own.and_then(|member| member.offer);
    let (labels, services) = own.map_or_else(Default::default, |own| {
        (own.opened_labels, own.opened_services)
    });
    Under {
        forth: flows(node.code(), peer),
        back: flows(peer, node.code()),
        labels,
        services,
    }
}

/// Comes back when some of what a round goes on under is so no more.
pub(super) async fn narrowed(node: &Node, peer: &OdsCode, before: &Under) {
    let narrower = |roster: Option<&Roster>| {
        let terms = roster.and_then(|roster| roster.terms(node.code(), peer).ok());
        !before.is_within(&under(node, peer, terms.as_ref()))
    };
    node.membership.until(narrower).await;
}
