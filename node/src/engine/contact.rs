//! First contact: somebody has just come and needs care now. Their entry goes only to the peers
//! asked, and the exchange about them follows on the same stream.

use std::sync::Arc;
use std::time::Instant;

use fairshare_protocol::exchange::ask::{Pair, Plan};
use fairshare_protocol::ids::OdsCode;

use super::asking::{self, Asked};
use super::drive;
use super::{delta, matching, sessions};
use crate::network::Frames;
use crate::node::Node;

/// What came of a first contact.
#[derive(Debug)]
pub enum Contacted {
    /// The peer holds them, and was asked.
    Asked(Asked),
    /// They are not in the peer's index. It may hold them all the same: whom it has not published
    /// yet it cannot recognise, for their entry is made with our key and nobody raised theirs.
    NotLinked,
    /// There is no finished match to continue, or the peer cannot be reached: why, in words.
    Failed(matching::Error),
}

/// Tells one peer of the person of `plan`, who is in none of our batches it answered, and asks
/// about them if they are held there. The plan's handle is filled in.
///
/// # Errors
/// If this node cannot do its part.
pub async fn ask(node: &Arc<Node>, pair: &Pair, mut plan: Plan) -> Result<Contacted, drive::Error> {
    let began = Instant::now();
    let with = (&pair.peer, &pair.peer_key);
    let frames = match delta::contact(node, with, plan.subject.key).await {
        Ok((true, frames)) => frames,
        Ok((false, mut frames)) => {
            let _ = frames.finish().await;
            return Ok(Contacted::NotLinked);
        }
        Err(matching::Error::Ours(error)) => return Err(error),
        Err(error) => return Ok(Contacted::Failed(error)),
    };
    let link = node.index.handle(&plan.subject.key, &pair.peer)?;
    let link = link.ok_or(drive::Error::Broken("a link that was proved is not there"))?;
    (plan.match_id, plan.handle) = link;
    let asked = asking::ask_over(node, pair, plan, frames, began).await?;
    Ok(Contacted::Asked(asked))
}

/// Answers a first contact, and what is asked about the person it links.
///
/// # Errors
/// If it was broken off.
pub async fn answer(
    node: &Arc<Node>,
    peer: &OdsCode,
    pair: Pair,
    mut frames: Frames,
) -> Result<(), matching::Error> {
    let _care = node.care.begin();
    let told = delta::take(node, peer, &mut frames).await?;
    if told.links > 0 {
        let ended = asking::answer(node, pair, frames).await?;
        let outcome = sessions::told(&ended);
        tracing::info!(%peer, %outcome, "answered a first contact");
    } else {
        let _ = frames.finish().await;
    }
    Ok(())
}
