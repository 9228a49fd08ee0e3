//! `notices`: who is still to be told what.

use std::sync::Arc;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::notices::{NoticeItem, NoticesReport};
use fairshare_protocol::member::User;

use super::members::operator;
use super::{blocking, wrong};
use crate::engine::drive::now;
use crate::node::Node;
use crate::store;

/// The notices that were not acknowledged; that somebody looked is journaled before it is told.
///
/// # Errors
/// If store or journal fail.
pub async fn list(node: &Arc<Node>, user: &User) -> Result<NoticesReport, Failure> {
    let here = Arc::clone(node);
    let notices = blocking(move || all(&here).map_err(|error| wrong(&error))).await?;
    if !notices.is_empty() {
        operator(node, user, "looked at the notices that wait".to_owned()).await?;
    }
    Ok(NoticesReport {
        now: now(),
        notices,
    })
}

fn all(node: &Node) -> Result<Vec<NoticeItem>, store::Error> {
    let mut notices = Vec::new();
    for (person, peer, due) in node.records.notices().due()? {
        let held = node.records.person(&person)?;
        notices.push(NoticeItem {
            peer,
            local: held.map(|person| person.local),
            since: due.since,
            tries: due.tries,
            why: due.why,
        });
    }
    notices.sort_by(|a, b| (a.since, &a.peer, &a.local).cmp(&(b.since, &b.peer, &b.local)));
    Ok(notices)
}
