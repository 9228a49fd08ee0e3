//! Who else holds a person: what this node's own links say. Nobody is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::control::index::{Completeness, FindPeer, FindReport, FindState};
use fairshare_protocol::ids::{Fixed, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;

use super::delta;
use super::drive::{Error, now};
use super::withholding;
use crate::node::Node;

/// Looks a person up, and journals who looked before telling.
///
/// # Errors
/// If the store or the journal fails.
pub async fn find(node: &Arc<Node>, user: &User, person: &IndexKey) -> Result<FindReport, Error> {
    look(node, user, person).await?;
    let here = here(node, person)?;
    let own = node.index.own()?;
    let peers = peers(node, person, here).await?;
    Ok(FindReport {
        now: now(),
        held: here != Here::Absent,
        withheld: withholding::is_withheld(node, person)?,
        indexable: !matches!(here, Here::Absent | Here::NotIndexable),
        indexed: matches!(here, Here::Indexed(..)),
        later: here == Here::Waiting && node.placing.counted(node).await?.later > 0,
        index_made: own.and_then(|own| own.made()),
        completeness: Completeness {
            unreachable: count(&peers, |peer| peer.reachable == Some(false)),
            ..completeness(node, &peers)?
        },
        peers,
    })
}

/// Journals that somebody looks a person up; durable when this returns.
///
/// # Errors
/// If the store or the journal fails.
pub async fn look(node: &Node, user: &User, person: &IndexKey) -> Result<(), Error> {
    let about = node.records.people_by_key(person)?.first().copied();
    let about = about.unwrap_or_else(|| looked_for(node, person));
    let looked = Act::Searched {
        user: user.clone(),
        person: node.exchanges.commit_to(about)?,
    };
    node.record([looked]).await
}

/// The name under which a look for somebody this node does not hold is journaled.
pub fn looked_for(node: &Node, person: &IndexKey) -> PersonId {
    let name = node.store.name("looked for", &[person.expose().as_bytes()]);
    PersonId(Fixed(name))
}

/// What a person is here, before any peer comes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// Not held.
    Absent,
    /// Held, and not to be found by anybody: for want of a number or date of birth, or withheld.
    NotIndexable,
    /// Held, and not in our advert of this epoch yet.
    Waiting,
    /// In our advert, by the batch of this number; 0 is the advert itself.
    Indexed(u32),
}

/// What a person is here.
///
/// # Errors
/// If the store fails.
pub fn here(node: &Node, person: &IndexKey) -> Result<Here, Error> {
    if node.records.people_by_key(person)?.is_empty() {
        let unindexed = node.records.is_held_unindexed(person.nhs)?;
        return Ok(if unindexed {
            Here::NotIndexable
        } else {
            Here::Absent
        });
    }
    match node.index.indexed(person)? {
        Some(batch) => Ok(Here::Indexed(batch)),
        None if withholding::is_withheld(node, person)? => Ok(Here::NotIndexable),
        None => Ok(Here::Waiting),
    }
}

/// What is known of a person at every other active member, in the order of their codes.
///
/// # Errors
/// If the store fails.
pub async fn peers(node: &Node, person: &IndexKey, here: Here) -> Result<Vec<FindPeer>, Error> {
    let Some(roster) = node.membership.roster() else {
        return Ok(Vec::new());
    };
    let states = match node.network() {
        Some(network) => network.peers().await.ok(),
        None => None,
    };
    let connected = states.map(|states| -> BTreeSet<_> {
        let up = states.into_iter().filter(|state| state.connected);
        up.map(|state| state.key).collect()
    });
    let others = roster
        .members()
        .filter(|member| member.code != *node.code() && member.is_active());
    others
        .map(|member| {
            let matched = node.index.matched(&member.code)?;
            let going_on = delta::continues(node, &member.code)?;
            let told = matched.as_ref().filter(|_| going_on).map(|it| it.batches);
            let terms = roster.terms(node.code(), &member.code);
            let may = terms.is_ok_and(|terms| terms.may_match);
            let linked = node.index.handle(person, &member.code)?.is_some();
            let keys = member.node.map(|keys| keys.node);
            Ok(FindPeer {
                code: member.code.clone(),
                name: member.name.to_string(),
                kind: member.kind,
                state: state(may, linked, here, told),
                reachable: connected
                    .as_ref()
                    .map(|up| keys.is_some_and(|key| up.contains(&key))),
                index_made: matched.as_ref().map(|with| with.made),
                matched: matched.map(|with| with.at),
            })
        })
        .collect()
}

/// What is known of a person at a peer that answered so many of our batches since the match of
/// the two newest adverts, if there was one.
fn state(may: bool, linked: bool, here: Here, told: Option<u32>) -> FindState {
    match (may, linked, here, told) {
        (false, ..) => FindState::NoPresence,
        (_, true, ..) => FindState::Linked,
        (_, _, Here::Absent, _) => FindState::NotHeld,
        (_, _, Here::NotIndexable, _) => FindState::NotIndexable,
        (.., None) => FindState::NotMatched,
        // Only a peer that was told of them tells that it does not hold them.
        (_, _, Here::Indexed(batch), Some(told)) if batch <= told => FindState::NotLinked,
        (.., Some(_)) => FindState::NotYetIndexed,
    }
}

/// How complete what is known of a person is.
///
/// # Errors
/// If the store fails.
pub fn completeness(node: &Node, peers: &[FindPeer]) -> Result<Completeness, Error> {
    let counts = node.records.counts()?;
    let not_indexable = counts.people.saturating_sub(counts.indexable);
    Ok(Completeness::of(peers, not_indexable))
}

/// How many of these are so. There are at most as many as a roster names.
pub fn count<T>(all: &[T], so: impl Fn(&T) -> bool) -> u32 {
    u32::try_from(all.iter().filter(|one| so(one)).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_says_what_it_is_and_only_a_peer_that_was_told_says_not_linked() {
        use Here::{Absent, Indexed, NotIndexable, Waiting};
        for (may, linked, here, told, expected) in [
            (false, true, Indexed(0), Some(2), FindState::NoPresence),
            (true, true, Indexed(0), Some(2), FindState::Linked),
            // A link outlives what became of them here, until the next match.
            (true, true, NotIndexable, Some(2), FindState::Linked),
            (true, true, Indexed(0), None, FindState::Linked),
            (true, false, Absent, Some(2), FindState::NotHeld),
            (true, false, Absent, None, FindState::NotHeld),
            (true, false, NotIndexable, None, FindState::NotIndexable),
            (true, false, Waiting, None, FindState::NotMatched),
            (true, false, Indexed(0), None, FindState::NotMatched),
            (true, false, Indexed(0), Some(0), FindState::NotLinked),
            (true, false, Indexed(2), Some(2), FindState::NotLinked),
            (true, false, Indexed(3), Some(2), FindState::NotYetIndexed),
            (true, false, Waiting, Some(2), FindState::NotYetIndexed),
        ] {
            assert_eq!(state(may, linked, here, told), expected, "{here:?}");
        }
    }
}
