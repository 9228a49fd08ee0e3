//! A bundle of a round whose key came later, by another way.

use std::sync::Arc;

use fairshare_protocol::codec;
use fairshare_protocol::crypto::stream::StreamKey;
use fairshare_protocol::exchange::ask::Pair;
use fairshare_protocol::exchange::reconcile::orders::{Fact, Load, Save, Theirs};
use fairshare_protocol::exchange::reconcile::receipts;

use super::effects::Rounding;
use super::{Error, Going};
use crate::engine::drive::duplex::Parallel as _;
use crate::engine::drive::{self, now};
use crate::node::Node;
use crate::store::rounds::Row;

/// Opens, checks and files a bundle as in its round, and signs a receipt. Says whether it could be
/// read.
///
/// # Errors
/// If a conversation about a round with the peer is under way, or the node fails.
pub async fn opened_later(
    node: &Arc<Node>,
    pair: &Pair,
    row: Row,
    index: u32,
    theirs: (Theirs, StreamKey),
) -> Result<bool, Error> {
    let peer = &pair.peer;
    let turn = node.reconciling.turns.with(peer);
    let _turn = turn.try_lock().map_err(|_| Error::Busy(peer.clone()))?;
    let round = row.round.clone();
    let locked = round.locked(&pair.federation, &pair.me, index, theirs);
    let locked = locked.ok_or(drive::Error::Broken("no such place in the round"))?;
    let going = Arc::new(Going::new(round.proposed));
    let effects = Rounding::new(node, (peer, &pair.terms), going);
    let effects = Arc::new(effects.about(row));
    let opened = Arc::clone(&effects).load(Load::Open(vec![locked])).await?;
    let Fact::Opened(unlocked, None) = opened else {
        node.store.commit().await.map_err(drive::Error::from)?;
        return Ok(false);
    };
    let filed: Vec<_> = unlocked
        .iter()
        .map(|one| {
            let found = one.found.clone();
            (one.locked.exchange, one.locked.theirs.shown, found)
        })
        .collect();
    Arc::clone(&effects).load(Load::File(unlocked)).await?;
    let (signed, acts) = receipts(pair, &round, index, &filed, now());
    effects.save(Save::Statement(signed.hash(), codec::encode(&signed)))?;
    node.record(acts).await?;
    Ok(true)
}
