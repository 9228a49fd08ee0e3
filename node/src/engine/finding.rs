//! Who else holds a person: what this node's own links say. Nobody is asked.

use std::sync::Arc;

use fairshare_protocol::control::index::{FindPeer, FindReport, FindState};
use fairshare_protocol::ids::{Fixed, OdsCode, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::roster::Member;

use super::drive::{Error, now};
use crate::node::Node;

/// Looks a person up, and journals who looked before telling.
///
/// # Errors
/// If the store or the journal fails.
pub async fn find(node: &Arc<Node>, user: &User, person: &IndexKey) -> Result<FindReport, Error> {
    let held = node.records.people_by_key(person)?;
    let about = held.first().copied();
    let about = about.unwrap_or_else(|| looked_for(node, person));
    let looked = Act::Searched {
        user: user.clone(),
        person: node.exchanges.commit_to(about)?,
    };
    node.record([looked]).await?;
    let own = node.index.own()?.and_then(|own| own.header.peek().ok());
    let indexed = node.index.indexed(person)?;
    let counts = node.records.counts()?;
    Ok(FindReport {
        now: now(),
        held: !held.is_empty(),
        indexed: own.as_ref().map(|header| header.epoch) == indexed.map(|(epoch, _)| epoch)
            && indexed.is_some(),
        index_made: own.map(|header| header.made),
        not_indexable: counts.people.saturating_sub(counts.indexable),
        peers: peers(node, person)?,
    })
}

/// The name under which a look for somebody this node does not hold is journaled.
pub fn looked_for(node: &Node, person: &IndexKey) -> PersonId {
    let name = node.store.name("looked for", &[person.expose().as_bytes()]);
    PersonId(Fixed(name))
}

/// What is known of a person at every other active member, in the order of their codes.
///
/// # Errors
/// If the store fails.
pub fn peers(node: &Node, person: &IndexKey) -> Result<Vec<FindPeer>, Error> {
    let Some(roster) = node.membership.roster() else {
        return Ok(Vec::new());
    };
    let indexed = node.index.indexed(person)?;
    let others = roster
        .members()
        .filter(|member| member.code != *node.code() && member.is_active());
    others
        .map(|member| {
            let terms = roster.terms(node.code(), &member.code);
            let may = terms.is_ok_and(|terms| terms.may_match);
            at(node, person, indexed, member, may)
        })
        .collect()
}

fn at(
    node: &Node,
    person: &IndexKey,
    indexed: Option<(u32, u32)>,
    member: &Member,
    may: bool,
) -> Result<FindPeer, Error> {
    let peer: &OdsCode = &member.code;
    let matched = node.index.matched(peer)?;
    let linked = node.index.handle(person, peer)?.is_some();
    // Only a match that had them in our advert tells that they are not in the peer's.
    let asked = matched
        .as_ref()
        .zip(indexed)
        .is_some_and(|(with, (epoch, generation))| {
            epoch == with.epoch && generation <= with.generation
        });
    let state = match (may, linked, asked) {
        (false, ..) => FindState::NoPresence,
        (_, true, _) => FindState::Linked,
        (_, _, true) => FindState::NotLinked,
        _ => FindState::NotMatched,
    };
    Ok(FindPeer {
        code: peer.clone(),
        name: member.name.to_string(),
        kind: member.kind,
        state,
        index_made: matched.as_ref().map(|with| with.made),
        matched: matched.map(|with| with.at),
    })
}
