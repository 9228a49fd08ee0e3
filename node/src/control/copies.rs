//! `received file` and `received erase`: what becomes of what peers showed.

use std::sync::Arc;

use fairshare_protocol::control::exchange::{
    EraseReceived, Erasure, Fate, FileReceived, Filing, ReceivedBundle, Why,
};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED};
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;

use super::naming::{named, names_nobody};
use super::received::{gone, held, quarantined, told};
use super::{ended, wrong};
use crate::engine::copies;
use crate::engine::drive::{self, now};
use crate::node::Node;
use crate::store::exchanges::copies::Outline;

/// Files a bundle; journaled first.
///
/// # Errors
/// If the user is not named in the config, the reason may name somebody, there is no such bundle,
/// it is in quarantine or filed already, or journal or store fail.
pub async fn file(
    node: &Arc<Node>,
    user: &User,
    question: FileReceived,
) -> Result<ReceivedBundle, Failure> {
    named(node, user, "files what was received")?;
    names_nobody(&question.reason)?;
    let FileReceived { exchange, reason } = question;
    let filing = Filing {
        by: user.clone(),
        at: now(),
        reason,
    };
    let node = Arc::clone(node);
    // A task of its own: what is journaled is done even if nobody waits any more.
    let filing = tokio::spawn(async move {
        let _turn = node.erasing.lock().await;
        let received = held(&node, &exchange)?;
        if received.filed.verdict == Verdict::WrongPerson {
            return Err(quarantined());
        }
        let before = node.exchanges.filing(&exchange);
        if let Some(before) = before.map_err(|error| wrong(&error))? {
            let fact = format!("{} filed it at {} already", before.by.name, before.at);
            let remedy = "`fairshare received show` says why; it stays until somebody erases it";
            return Err(Failure::new(REFUSED, fact, remedy));
        }
        let act = Act::CopyFiled {
            user: filing.by.clone(),
            exchange,
            peer: received.filed.from.clone(),
            person: received.filed.commitment,
            reason: filing.reason.to_string(),
        };
        let kept = async {
            node.record([act]).await?;
            node.exchanges.file_for_good(&exchange, &filing)?;
            node.store.commit().await?;
            Ok(())
        };
        let kept: Result<(), drive::Error> = kept.await;
        kept.map_err(|error| Failure::from_error(DEGRADED, &error))?;
        let bundle = told(&node, &Outline::from(&received), Fate::Filed(filing));
        bundle.map_err(|error| wrong(&error))
    });
    ended(filing.await)?
}

/// Erases a bundle; journaled before its key goes.
///
/// # Errors
/// If the user is not named in the config, the reason may name somebody, there is no such bundle,
/// or journal or store fail.
pub async fn erase(
    node: &Arc<Node>,
    user: &User,
    question: EraseReceived,
) -> Result<ReceivedBundle, Failure> {
    named(node, user, "erases what was received")?;
    names_nobody(&question.reason)?;
    let EraseReceived { exchange, reason } = question;
    let by = user.clone();
    let erasure = Erasure {
        at: now(),
        why: Why::Wanted { by, reason },
    };
    let node = Arc::clone(node);
    let erasing = tokio::spawn(async move {
        let erased = copies::erase(&node, exchange, &erasure).await;
        let erased = erased.map_err(|error| Failure::from_error(DEGRADED, &error))?;
        let erased = erased.ok_or_else(|| gone(&node, &exchange))?;
        let bundle = told(&node, &erased.outline, Fate::Erased(erased.erasure));
        bundle.map_err(|error| wrong(&error))
    });
    ended(erasing.await)?
}
