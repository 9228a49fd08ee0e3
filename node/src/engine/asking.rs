//! Exchanges: this node's part in [`fairshare_protocol::exchange`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_protocol::exchange::ask::{Ask, Ended, Fault, Pair, Plan, Telling};
use fairshare_protocol::ids::{ExchangeId, OdsCode};
use fairshare_protocol::journal::{Act, Outcome};
use fairshare_protocol::roster::Roster;
use fairshare_protocol::wire;
use rand::Rng;

use self::effects::Asking;
use super::drive::{Error, drive};
use super::showing::Bundle;
use crate::network::Frames;
use crate::node::Node;
use crate::store::notices::Due;

pub(super) use self::offered::Offered;
pub use self::subject::{linked, person, subject, subject_of};

mod effects;
mod offered;
mod subject;

/// How often a lost line is tried again, each time under a new exchange id.
const TRIES: u32 = 3;

/// What this node and `peer` need to know of each other, now.
///
/// # Errors
/// If there are no terms between them, or the peer has no node: the reason, in words.
pub fn pair(node: &Node, roster: &Roster, peer: &OdsCode) -> Result<Pair, String> {
    let terms = roster.terms(node.code(), peer);
    let terms = terms.map_err(|none| none.to_string())?;
    let keys = roster.member(peer).and_then(|member| member.node);
    let keys = keys.ok_or_else(|| format!("{peer} has named no node yet"))?;
    Ok(Pair {
        federation: roster.federation(),
        me: node.code().clone(),
        key: node.keys.node.clone(),
        seal: Arc::clone(&node.keys.seal),
        peer: peer.clone(),
        peer_key: keys.node,
        peer_seal: keys.seal,
        terms,
        max_bundle: node.config.limits.max_bundle,
    })
}

/// Answers a peer that asks.
///
/// # Errors
/// If this node cannot do its part.
pub async fn answer(node: &Arc<Node>, pair: Pair, frames: Frames) -> Result<Ended, Error> {
    let _care = node.care.begin();
    let mut asking = Asking::new(node, pair.peer.clone());
    let places = (&node.journal, &node.store);
    drive(Ask::holder(pair), frames, places, &mut asking).await
}

/// Tells a peer what changed of somebody it was shown, as far as it is offered; `due` is kept
/// with what leaves.
///
/// # Errors
/// If this node cannot do its part.
pub(super) async fn tell(
    node: &Arc<Node>,
    (pair, offered): (Pair, Offered),
    telling: Telling,
    (bundle, due): (Bundle, Due),
    frames: Frames,
) -> Result<Ended, Error> {
    let mut asking = Asking::telling((offered, telling.subject.key), bundle, due);
    let places = (&node.journal, &node.store);
    drive(Ask::teller(pair, telling), frames, places, &mut asking).await
}

/// An exchange that was tried.
#[derive(Debug)]
pub struct Asked {
    /// How it ended; or why the peer could not be asked.
    pub ended: Result<Ended, String>,
    /// How long it took.
    pub took: Duration,
}

/// Asks one peer, and once more if the line is lost before an answer came.
///
/// # Errors
/// If this node cannot do its part.
pub async fn ask(node: &Arc<Node>, pair: &Pair, mut plan: Plan) -> Result<Asked, Error> {
    let began = Instant::now();
    let asked = |ended| Asked {
        ended,
        took: began.elapsed(),
    };
    let network = node
        .network()
        .ok_or(Error::Broken("the node has no network"))?;
    let mut tries = 0;
    loop {
        tries += 1;
        renew(node, &mut plan)?;
        let frames = match network.open(&pair.peer_key, wire::EXCHANGE).await {
            Ok(frames) => frames,
            Err(error) => {
                // What fails is journaled as fully as what succeeds.
                let failed = Act::AnswerHeard {
                    exchange: plan.exchange,
                    peer: pair.peer.clone(),
                    person: plan.subject.commitment,
                    answer: None,
                    outcome: Outcome::Failed(error.to_string()),
                };
                node.record([failed]).await?;
                return Ok(asked(Err(error.to_string())));
            }
        };
        let ended = request(node, pair, plan.clone(), frames).await?;
        if ended.reply.is_none() && ended.fault == Some(Fault::Lost) && tries < TRIES {
            continue;
        }
        return Ok(asked(Ok(ended)));
    }
}

/// Asks one peer over a stream on which it was just told of the person. A lost line is not tried
/// again: the person is linked now, and may be asked about as ever.
///
/// # Errors
/// If this node cannot do its part.
pub(super) async fn ask_over(
    node: &Arc<Node>,
    pair: &Pair,
    mut plan: Plan,
    frames: Frames,
    began: Instant,
) -> Result<Asked, Error> {
    renew(node, &mut plan)?;
    let ended = request(node, pair, plan, frames).await?;
    Ok(Asked {
        ended: Ok(ended),
        took: began.elapsed(),
    })
}

/// Gives the plan an exchange id and a commitment of its own.
fn renew(node: &Node, plan: &mut Plan) -> Result<(), Error> {
    let mut id = [0; 16];
    rand::rng().fill_bytes(&mut id);
    plan.exchange = ExchangeId::new(id);
    plan.subject.commitment = node.exchanges.commit_to(plan.subject.person)?;
    Ok(())
}

async fn request(
    node: &Arc<Node>,
    pair: &Pair,
    plan: Plan,
    frames: Frames,
) -> Result<Ended, Error> {
    let mut asking = Asking::new(node, pair.peer.clone());
    let places = (&node.journal, &node.store);
    drive(
        Ask::requester(pair.clone(), plan),
        frames,
        places,
        &mut asking,
    )
    .await
}
