//! Notices: whoever holds a copy of somebody's records is told at once what changed of them, and
//! again until they say that they have it (protocol.md section 4, "care lane").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::category::Category;
use fairshare_protocol::exchange::answer::Reply;
use fairshare_protocol::exchange::ask::{Ended, Telling};
use fairshare_protocol::ids::{ExchangeId, OdsCode, PersonId};
use fairshare_protocol::wire;
use rand::Rng;
use tokio::task::{JoinSet, spawn_blocking};

use super::asking::{self, Offered};
use super::drive::{Error, now};
use super::{showing, withholding};
use crate::node::Node;
use crate::store::notices::{Due, Left};

/// How often those that wait are tried again, if nothing stirs.
const EVERY: Duration = Duration::from_secs(60);
/// Why a notice waits.
const NOT_CONNECTED: &str = "not connected";
const STOPPED: &str = "showing to it is stopped here: `fairshare stops` says why";
const NOT_LINKED: &str = "not linked with it: match again, or tell it by telephone";
const NOT_INDEXED: &str = "the person is in the index no longer: tell it by telephone";

/// Sends notices until the task is dropped.
pub async fn keep(node: Arc<Node>) {
    let mut working: JoinSet<OdsCode> = JoinSet::new();
    let mut with = BTreeSet::new();
    loop {
        // Whoever is being told just now, and is to be told more.
        let mut again = BTreeSet::new();
        match due(&node).await {
            Ok(due) => {
                for (peer, notices) in due {
                    if !with.insert(peer.clone()) {
                        again.insert(peer);
                        continue;
                    }
                    let node = Arc::clone(&node);
                    working.spawn(async move {
                        tell_all(&node, &peer, notices).await;
                        peer
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "notices were not looked after"),
        }
        let wait = tokio::time::sleep(EVERY);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                () = node.records.notices().stirred() => break,
                Some(ended) = working.join_next() => match ended {
                    Ok(peer) => {
                        with.remove(&peer);
                        if again.remove(&peer) {
                            break;
                        }
                    }
                    // Nobody knows which: all may be told again.
                    Err(_) => with.clear(),
                },
            }
        }
    }
}

type Notice = (PersonId, Due);

/// What is to be told to whom, of those who are connected.
async fn due(node: &Arc<Node>) -> Result<BTreeMap<OdsCode, Vec<Notice>>, Error> {
    let here = Arc::clone(node);
    let all = spawn_blocking(move || expand(&here)).await??;
    if all.is_empty() {
        return Ok(BTreeMap::new());
    }
    node.store.commit().await?;
    let (Some(roster), Some(network)) = (node.membership.roster(), node.network()) else {
        return Ok(BTreeMap::new());
    };
    let peers = network.peers().await.unwrap_or_default();
    let connected = peers.iter().filter(|peer| peer.connected);
    let connected = connected.filter_map(|peer| roster.by_node(&peer.key));
    let connected: BTreeSet<_> = connected.map(|member| member.code.clone()).collect();
    let mut due = BTreeMap::new();
    for (person, peer, notice) in all {
        if connected.contains(&peer) {
            due.entry(peer)
                .or_insert_with(Vec::new)
                .push((person, notice));
        } else {
            wait(node, (&person, &peer), notice, NOT_CONNECTED.to_owned())?;
        }
    }
    Ok(due)
}

/// Makes notices of the marks finished imports left: one for everybody who holds a copy. Gives all
/// there are. Blocks.
fn expand(node: &Node) -> Result<Vec<(PersonId, OdsCode, Due)>, Error> {
    let notices = node.records.notices();
    let _turn = notices.turn();
    for (person, mark) in notices.marks(node.records.visible())? {
        let key = node.records.person(&person)?.and_then(|person| person.key);
        let mut ids = BTreeSet::from([person]);
        if let Some(key) = key {
            // An organisation that registered somebody twice showed the records of both.
            ids.extend(node.records.people_by_key(&key)?);
        }
        for id in ids {
            for peer in notices.holders(&id)? {
                notices.owe(&id, &peer, now())?;
            }
        }
        // Sled keeps the order: a mark is not gone before what was made of it is there.
        notices.unmark(&mark)?;
    }
    Ok(notices.due()?)
}

async fn tell_all(node: &Arc<Node>, peer: &OdsCode, notices: Vec<Notice>) {
    for (person, due) in notices {
        match tell(node, peer, person, due.clone()).await {
            Ok(None) => {}
            Ok(Some((due, why))) => {
                tracing::info!(%peer, %why, "a notice waits");
                if let Err(error) = wait(node, (&person, peer), due, why) {
                    tracing::warn!(%peer, %error, "a notice was not noted");
                }
            }
            Err(error) => tracing::warn!(%peer, %error, "a notice was broken off by this node"),
        }
    }
    if let Err(error) = node.store.commit().await {
        tracing::warn!(%error, "notices were not noted");
    }
}

fn wait(
    node: &Node,
    (person, peer): (&PersonId, &OdsCode),
    mut due: Due,
    why: String,
) -> Result<(), Error> {
    if due.why.as_ref() != Some(&why) {
        due.why = Some(why);
        node.records.notices().keep(person, peer, &due)?;
    }
    Ok(())
}

/// Tells one peer of one person; gives the notice back, and why it waits, if it was not
/// acknowledged.
async fn tell(
    node: &Arc<Node>,
    peer: &OdsCode,
    person: PersonId,
    mut due: Due,
) -> Result<Option<(Due, String)>, Error> {
    let notices = node.records.notices();
    let no = |due: Due, why: &str| Ok(Some((due, why.to_owned())));
    let Some(roster) = node.membership.roster() else {
        return no(due, NOT_CONNECTED);
    };
    let pair = match asking::pair(node, &roster, peer) {
        Ok(pair) => pair,
        Err(why) => return no(due, &why),
    };
    let Some(key) = node.records.person(&person)?.and_then(|person| person.key) else {
        return no(due, NOT_INDEXED);
    };
    let Some((match_id, handle)) = node.index.handle(&key, peer)? else {
        return no(due, NOT_LINKED);
    };
    let Some(holding) = notices.holding(&person, peer)? else {
        told(node, (&person, peer), 0, [])?;
        return Ok(None);
    };
    let upto = node.records.visible();
    let offered = Offered::to_tell(node, peer, roster);
    let flows = offered.flows();
    // All of it, or none: what is left out would never be told.
    if !withholding::stopped(node, peer, &key)?.is_disjoint(&flows) {
        return no(due, STOPPED);
    }
    let here = Arc::clone(node);
    let prepare = move || showing::prepare_notice(&here, &key, &holding, &flows);
    let bundle = match spawn_blocking(prepare).await?? {
        Ok(Some(bundle)) => bundle,
        Ok(None) => {
            told(node, (&person, peer), upto, [])?;
            return Ok(None);
        }
        Err(why) => return no(due, &why),
    };
    // What says the same goes under the same id: it is taken once, however often it is said.
    let left = match due.left.take().filter(|left| left.upto == upto) {
        Some(left) => left,
        None => Left {
            exchange: fresh(),
            upto,
            commitment: None,
        },
    };
    due.tries += 1;
    due.left = Some(left.clone());
    notices.keep(&person, peer, &due)?;
    node.store.commit().await?;
    let network = node.network();
    let network = network.ok_or(Error::Broken("the node has no network"))?;
    let frames = match network.open(&pair.peer_key, wire::EXCHANGE).await {
        Ok(frames) => frames,
        Err(error) => return no(due, &error.to_string()),
    };
    let counts = bundle.counts.clone();
    let telling = Telling {
        exchange: left.exchange,
        match_id,
        handle,
        subject: asking::subject_of(node, person, key)?,
        counts: counts.clone(),
        length: bundle.length,
        before: left.commitment,
    };
    let ended = asking::tell(
        node,
        (pair, offered),
        telling,
        (bundle, due.clone()),
        frames,
    )
    .await?;
    if ended.acknowledged {
        let categories = counts.into_iter().map(|(category, _)| category);
        told(node, (&person, peer), upto, categories)?;
        node.store.commit().await?;
        tracing::info!(%peer, "a notice was acknowledged");
        return Ok(None);
    }
    // As it is kept: with the commitment of what left meanwhile.
    let kept = notices.kept(&person, peer)?;
    Ok(kept.map(|due| (due, why(&ended))))
}

/// The peer knows everything up to an import. More may have come since, of which the mark was taken
/// off because this notice was there: then there is another.
fn told(
    node: &Node,
    place: (&PersonId, &OdsCode),
    upto: u64,
    categories: impl IntoIterator<Item = Category>,
) -> Result<(), Error> {
    let notices = node.records.notices();
    let _turn = notices.turn();
    notices.told(place, upto, categories)?;
    if node.records.visible() > upto {
        notices.owe(place.0, place.1, now())?;
    }
    Ok(())
}

fn fresh() -> ExchangeId {
    let mut id = [0; 16];
    rand::rng().fill_bytes(&mut id);
    ExchangeId::new(id)
}

fn why(ended: &Ended) -> String {
    match (&ended.fault, ended.reply) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(Reply::Refused(code))) => format!("refused: {code}"),
        _ => "not acknowledged".to_owned(),
    }
}
