//! `reviews`: emergencies to be looked at afterwards, and who closed them.

use std::sync::Arc;

use fairshare_protocol::control::reviews::{
    CloseReviews, Closure, ListReviews, MAX_CLOSED, ReviewItem, ReviewsReport, Which,
};
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;

use super::members::operator;
use super::naming::{named, names_nobody};
use super::{blocking, wrong};
use crate::engine::drive::now;
use crate::node::Node;
use crate::store;
use crate::store::reviews::Item;

/// The reviews; that somebody looked is journaled before it is told.
///
/// # Errors
/// If store or journal fail.
pub async fn list(
    node: &Arc<Node>,
    user: &User,
    question: &ListReviews,
) -> Result<ReviewsReport, Failure> {
    let (here, which) = (Arc::clone(node), question.which);
    let found = move || {
        let mut items = here.reviews.all_open()?;
        if which == Which::All {
            items.extend(here.reviews.all_closed()?);
        }
        items.into_iter().map(|it| told(&here, it)).collect()
    };
    let reviews: Vec<_> = blocking(move || {
        let found: Result<_, store::Error> = found();
        found.map_err(|error| wrong(&error))
    })
    .await?;
    if reviews.iter().any(|review| !review.local.is_empty()) {
        let looked = "looked at the reviews of emergencies";
        operator(node, user, looked.to_owned()).await?;
    }
    Ok(ReviewsReport {
        now: now(),
        reviews,
    })
}

/// Closes reviews; journaled first.
///
/// # Errors
/// If the user is not named in the config, the note may name somebody, there is no open review of
/// one of the exchanges, or journal or store fail.
pub async fn close(
    node: &Arc<Node>,
    user: &User,
    question: CloseReviews,
) -> Result<Vec<ReviewItem>, Failure> {
    named(node, user, "closes a review")?;
    names_nobody(&question.note)?;
    if question.exchanges.len() > MAX_CLOSED {
        let fact = format!("more than {MAX_CLOSED} reviews at once");
        return Err(Failure::new(WRONG, fact, "close fewer at once"));
    }
    let closure = Closure {
        by: user.clone(),
        at: now(),
        note: question.note,
    };
    let mut found: Vec<Item> = Vec::new();
    for exchange in &question.exchanges {
        let mut of = node.reviews.of(exchange).map_err(|error| wrong(&error))?;
        of.retain(|item| item.closed.is_none());
        if of.is_empty() {
            let fact = format!("there is no open review of exchange {exchange}");
            let remedy = "`fairshare reviews list` shows those that are open";
            return Err(Failure::new(WRONG, fact, remedy));
        }
        of.retain(|item| !found.contains(item));
        found.extend(of);
    }
    let node = Arc::clone(node);
    // A task of its own: what is journaled is done even if nobody waits any more.
    let closing = tokio::spawn(async move {
        let mut acts = Vec::new();
        for Item { review, .. } in &found {
            let person = review.person.map(|person| node.exchanges.commit_to(person));
            acts.push(Act::Reviewed {
                user: closure.by.clone(),
                exchange: review.exchange,
                peer: review.peer.clone(),
                person: person.transpose()?,
                note: closure.note.to_string(),
            });
        }
        node.record(acts).await?;
        let mut closed = Vec::new();
        for mut item in found {
            node.reviews.close(&item.review, closure.clone())?;
            item.closed = Some(closure.clone());
            closed.push(told(&node, item)?);
        }
        node.store.commit().await?;
        Ok(closed)
    });
    let closed: Result<_, crate::engine::drive::Error> = super::ended(closing.await)?;
    closed.map_err(|error| Failure::from_error(DEGRADED, &error))
}

/// What an operator is told of a review.
fn told(node: &Node, item: Item) -> Result<ReviewItem, store::Error> {
    let Item { review, closed } = item;
    let person = review
        .person
        .map(|id| node.records.person(&id))
        .transpose()?;
    Ok(ReviewItem {
        due: review.due(),
        exchange: review.exchange,
        side: review.side,
        peer: review.peer,
        user: review.user,
        reason: review.reason,
        local: person.flatten().into_iter().map(|it| it.local).collect(),
        opened: review.opened,
        closed,
    })
}
