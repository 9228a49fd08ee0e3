//! Who else holds a person: what this node's own links say. Nobody is asked.

use std::sync::Arc;

use fairshare_protocol::control::index::{FindPeer, FindReport, FindState};
use fairshare_protocol::ids::{Fixed, OdsCode, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::roster::Member;

use super::drive::now;
use crate::node::{Error, Node};

/// Looks a person up, and journals who looked before telling.
///
/// # Errors
/// If the store or the journal fails.
pub async fn find(node: &Arc<Node>, user: &User, person: &IndexKey) -> Result<FindReport, Error> {
    let held = node.records.people_by_key(person)?;
    // Somebody this node does not hold has no name here; the look is journaled all the same.
    let name = node.store.name("looked for", &[person.expose().as_bytes()]);
    let about = held.first().copied().unwrap_or(PersonId(Fixed(name)));
    let looked = Act::Searched {
        user: user.clone(),
        person: node.exchanges.commit_to(about)?,
    };
    node.record([looked]).await?;
    let own = node.index.own()?.and_then(|own| own.header.peek().ok());
    let indexed = node.index.indexed(person)?;
    let mut peers = Vec::new();
    if let Some(roster) = node.membership.roster() {
        let others = roster
            .members()
            .filter(|member| member.code != *node.code());
        for member in others.filter(|member| member.is_active()) {
            let terms = roster.terms(node.code(), &member.code);
            let may = terms.is_ok_and(|terms| terms.may_match);
            peers.push(at(node, person, indexed, member, may)?);
        }
    }
    let counts = node.records.counts()?;
    Ok(FindReport {
        now: now(),
        held: !held.is_empty(),
        indexed: own.as_ref().map(|header| header.epoch) == indexed.map(|(epoch, _)| epoch)
            && indexed.is_some(),
        index_made: own.map(|header| header.made),
        not_indexable: counts.people.saturating_sub(counts.indexable),
        peers,
    })
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
