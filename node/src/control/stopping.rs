//! `stop`, `stops` and `resume`: what is not shown any more, with who decided, when and why.

use std::sync::Arc;

use fairshare_protocol::control::stopping::{Resume, Standing, Stop, Stopped, StopsReport};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::text::Line;

use super::members::{member, operator, roster};
use super::naming::names_nobody;
use super::withholding::{find, local_ids};
use super::{blocking, ended, record, wrong};
use crate::engine::drive::now;
use crate::node::Node;
use crate::store::{self, stops};

/// Stops showing what the question says; rounds under way that it may be in are called off.
///
/// # Errors
/// If the reason may name somebody, the peer is no member, the person cannot be found, or store or
/// journal fail; only when those fail may it be stopped all the same.
pub async fn stop(node: &Arc<Node>, user: &User, question: Stop) -> Result<Stopped, Failure> {
    names_nobody(&question.reason)?;
    if let Some(peer) = &question.peer {
        member(&*roster(node)?, peer)?;
    }
    let (here, by) = (Arc::clone(node), user.clone());
    // A task of its own: what is stopped is journaled even if nobody waits any more.
    let stopping = tokio::spawn(async move {
        let node = Arc::clone(&here);
        let (number, stop, act) = blocking(move || {
            let person = question.person.as_ref();
            let person = person.map(|whom| find(&node, whom)).transpose()?;
            let stop = stops::Stop {
                peer: question.peer,
                category: question.category,
                person: person.map(|found| stops::Person {
                    key: found.key,
                    people: found.people,
                    named: found.named,
                }),
                reason: question.reason,
                by,
                at: now(),
            };
            let number = node.stops.add(stop.clone());
            let number = number.map_err(|error| wrong(&error))?;
            let act = act(&node, &stop.by, (number, &stop), &stop.reason, true)?;
            Ok((number, stop, act))
        })
        .await?;
        let rounds = here.reconciling.stop(|peer| stop.is_about(peer));
        record(&here, [act]).await?;
        Ok(Stopped {
            stop: standing(&here, number, stop).map_err(|error| wrong(&error))?,
            rounds,
        })
    });
    ended(stopping.await)?
}

/// Lifts a stop: what it kept back is shown again at once.
///
/// # Errors
/// If the reason may name somebody, no such stop stands, or store or journal fail.
pub async fn resume(node: &Arc<Node>, user: &User, question: Resume) -> Result<Standing, Failure> {
    names_nobody(&question.reason)?;
    let (here, by) = (Arc::clone(node), user.clone());
    let resuming = tokio::spawn(async move {
        let number = question.number;
        let node = Arc::clone(&here);
        let (stop, act) = blocking(move || {
            let lifted = node.stops.lift(number).map_err(|error| wrong(&error))?;
            let stop = lifted.ok_or_else(|| {
                let fact = format!("no stop {number} stands");
                Failure::new(WRONG, fact, "`fairshare stops` shows which do")
            })?;
            let act = act(&node, &by, (number, &stop), &question.reason, false)?;
            Ok((stop, act))
        })
        .await?;
        record(&here, [act]).await?;
        // Whoever holds a copy may now be told what changed meanwhile.
        here.records.notices().stir();
        standing(&here, number, stop).map_err(|error| wrong(&error))
    });
    ended(resuming.await)?
}

/// The stops that stand; that somebody looked is journaled before it is told.
///
/// # Errors
/// If store or journal fail.
pub async fn list(node: &Arc<Node>, user: &User) -> Result<StopsReport, Failure> {
    operator(node, user, "looked at what is stopped".to_owned()).await?;
    let node = Arc::clone(node);
    blocking(move || {
        let all = node.stops.all().into_iter();
        let stops = all.map(|(number, stop)| standing(&node, number, stop));
        Ok(StopsReport {
            now: now(),
            stops: stops
                .collect::<Result<_, _>>()
                .map_err(|error| wrong(&error))?,
        })
    })
    .await
}

fn act(
    node: &Node,
    user: &User,
    (number, stop): (u64, &stops::Stop),
    reason: &Line,
    stopped: bool,
) -> Result<Act, Failure> {
    let person = stop.person.as_ref();
    let person = person.map(|person| node.exchanges.commit_to(person.named));
    Ok(Act::Stop {
        user: user.clone(),
        number,
        peer: stop.peer.clone(),
        category: stop.category,
        person: person.transpose().map_err(|error| wrong(&error))?,
        reason: reason.to_string(),
        stopped,
    })
}

/// What an operator is told of a stop: a person by the ids of their Patients, never by number.
fn standing(node: &Node, number: u64, stop: stops::Stop) -> Result<Standing, store::Error> {
    let person = stop.person.as_ref();
    let person = person.map(|person| local_ids(node, person.key.as_ref(), &person.people));
    Ok(Standing {
        number,
        peer: stop.peer,
        category: stop.category,
        person: person.transpose()?,
        reason: stop.reason,
        by: stop.by,
        at: stop.at,
    })
}
