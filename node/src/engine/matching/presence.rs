//! Presence is what matches tell: one that either side does not show any more is told no further.

use std::future::Future;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::roster::Roster;

use super::Error;
use crate::node::Node;

/// Goes on with what tells presence, as long as each of the two shows it to the other.
///
/// # Errors
/// If it fails, or as soon as one of them shows it no more.
pub(in crate::engine) async fn while_shown<T>(
    node: &Node,
    peer: &OdsCode,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        done = work => done,
        () = withdrawn(node, peer) => Err(Error::NoPresence),
    }
}

async fn withdrawn(node: &Node, peer: &OdsCode) {
    let hidden = |roster: Option<&Roster>| {
        let terms = roster.map(|roster| roster.terms(node.code(), peer));
        !terms.is_some_and(|terms| terms.is_ok_and(|terms| terms.may_match))
    };
    node.membership.until(hidden).await;
}
