//! Who else holds a person: what this node's own links say. Nobody is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::control::index::{Completeness, FindPeer, FindReport, FindState};
use fairshare_protocol::ids::{Fixed, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;

use super::drive::{Error, now};
use crate::node::Node;
use crate::store::index::MatchedWith;

/// Looks a person up, and journals who looked before telling.
///
/// # Errors
/// If the store or the journal fails.
pub async fn find(node: &Arc<Node>, user: &User, person: &IndexKey) -> Result<FindReport, Error> {
    look(node, user, person).await?;
    let here = here(node, person)?;
    let own = node.index.own()?.and_then(|own| own.header.peek().ok());
    let peers = peers(node, person, here).await?;
    Ok(FindReport {
        now: now(),
        held: here != Here::Absent,
        indexable: !matches!(here, Here::Absent | Here::NotIndexable),
        indexed: matches!(here, Here::Indexed(..)),
        index_made: own.map(|header| header.made),
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
    /// Held, and not to be found by anybody.
    NotIndexable,
    /// Held, and not in our advert of this epoch yet.
    Waiting,
    /// In our advert since this epoch and generation.
    Indexed(u32, u32),
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
    let own = node.index.own()?.and_then(|own| own.header.peek().ok());
    let indexed = node.index.indexed(person)?;
    let indexed = indexed.filter(|(of, _)| own.is_some_and(|own| own.epoch == *of));
    Ok(indexed.map_or(Here::Waiting, |(of, since)| Here::Indexed(of, since)))
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
            let terms = roster.terms(node.code(), &member.code);
            let may = terms.is_ok_and(|terms| terms.may_match);
            let linked = node.index.handle(person, &member.code)?.is_some();
            let keys = member.node.map(|keys| keys.node);
            Ok(FindPeer {
                code: member.code.clone(),
                name: member.name.to_string(),
                kind: member.kind,
                state: state(may, linked, here, matched.as_ref()),
                reachable: connected
                    .as_ref()
                    .map(|up| keys.is_some_and(|key| up.contains(&key))),
                index_made: matched.as_ref().map(|with| with.made),
                matched: matched.map(|with| with.at),
            })
        })
        .collect()
}

fn state(may: bool, linked: bool, here: Here, matched: Option<&MatchedWith>) -> FindState {
    match (may, linked, here, matched) {
        (false, ..) => FindState::NoPresence,
        (_, true, ..) => FindState::Linked,
        (_, _, Here::Absent, _) => FindState::NotHeld,
        (_, _, Here::NotIndexable, _) => FindState::NotIndexable,
        (.., None) => FindState::NotMatched,
        // Only a match that had them in our advert tells that they are not in the peer's.
        (_, _, Here::Indexed(epoch, generation), Some(with))
            if epoch == with.epoch && generation <= with.generation =>
        {
            FindState::NotLinked
        }
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
    use fairshare_protocol::ids::{Hash, MatchId};
    use fairshare_protocol::time::Timestamp;

    use super::*;

    fn with(epoch: u32, generation: u32) -> MatchedWith {
        MatchedWith {
            match_id: MatchId::new([0; 32]),
            epoch,
            generation,
            at: Timestamp(1),
            links: 0,
            ours_only: 0,
            theirs_only: 0,
            ours: Hash::new([0; 32]),
            theirs: Hash::new([0; 32]),
            made: Timestamp(1),
        }
    }

    #[test]
    fn an_absence_says_what_it_is_and_only_a_match_that_had_them_says_not_linked() {
        use Here::{Absent, Indexed, NotIndexable, Waiting};
        let matched = Some(&with(3, 2));
        for (may, linked, here, matched, expected) in [
            (false, true, Indexed(3, 1), matched, FindState::NoPresence),
            (true, true, Indexed(3, 1), matched, FindState::Linked),
            // A link outlives what became of them here, until the next match.
            (true, true, NotIndexable, matched, FindState::Linked),
            (true, false, Absent, matched, FindState::NotHeld),
            (true, false, Absent, None, FindState::NotHeld),
            (true, false, NotIndexable, None, FindState::NotIndexable),
            (true, false, Waiting, None, FindState::NotMatched),
            (true, false, Indexed(3, 1), None, FindState::NotMatched),
            (true, false, Indexed(3, 2), matched, FindState::NotLinked),
            (
                true,
                false,
                Indexed(3, 3),
                matched,
                FindState::NotYetIndexed,
            ),
            (
                true,
                false,
                Indexed(4, 1),
                matched,
                FindState::NotYetIndexed,
            ),
            (true, false, Waiting, matched, FindState::NotYetIndexed),
        ] {
            assert_eq!(state(may, linked, here, matched), expected, "{here:?}");
        }
    }
}
