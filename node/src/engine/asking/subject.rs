//! Whom an exchange is about.

use fairshare_protocol::exchange::ask::Subject;
use fairshare_protocol::ids::PersonId;
use fairshare_protocol::index::key::IndexKey;

use crate::engine::drive::Error;
use crate::engine::finding::looked_for;
use crate::node::Node;

/// The person with this key, as an exchange needs them; none if they are not held here.
///
/// # Errors
/// If the store fails.
pub fn subject(node: &Node, key: IndexKey) -> Result<Option<Subject>, Error> {
    let held = node.records.people_by_key(&key)?.first().copied();
    held.map(|person| subject_of(node, person, key)).transpose()
}

/// A person who is held, as an exchange needs them.
///
/// # Errors
/// If the store fails.
pub fn subject_of(node: &Node, person: PersonId, key: IndexKey) -> Result<Subject, Error> {
    Ok(Subject {
        person,
        key,
        commitment: node.exchanges.commit_to(person)?,
    })
}

/// Whom a proven link is about. Who is held no more, or no longer in the index, looks on the wire
/// like anybody there is nothing to show of: another answer would tell why.
///
/// # Errors
/// If the store fails.
pub fn linked(node: &Node, key: IndexKey) -> Result<Subject, Error> {
    subject_of(node, person(node, &key)?, key)
}

/// As [`linked`], without a name in the journal.
///
/// # Errors
/// If the store fails.
pub fn person(node: &Node, key: &IndexKey) -> Result<PersonId, Error> {
    let held = node.records.people_by_key(key)?.first().copied();
    Ok(held.unwrap_or_else(|| looked_for(node, key)))
}
