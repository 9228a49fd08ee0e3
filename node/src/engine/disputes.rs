//! Complaints: what of an exchange was promised and did not come, with the statements that show it;
//! and keys that are released again, and taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::control::disputes::OwedBundle;
use fairshare_protocol::crypto::seal::DoesNotOpen;
use fairshare_protocol::exchange::dispute::{
    Bad, Dispute, Lack, RELEASE_FORMAT, Release, Released, Stated,
};
use fairshare_protocol::exchange::reconcile::orders::Theirs;
use fairshare_protocol::ids::{ExchangeId, Hash, OdsCode};
use fairshare_protocol::journal::Act;
use fairshare_protocol::ledger::chain;
use fairshare_protocol::limits::CLOCK_SKEW;
use fairshare_protocol::statement::Signed;
use tokio::task::spawn_blocking;

use super::asking;
use super::drive::{self, now};
use super::reconcile::{self, opened_later};
use crate::membership;
use crate::node::Node;
use crate::store::rounds::Row;

/// Why there is no dispute, or none is answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No federation.
    #[error(transparent)]
    NoFederation(#[from] membership::Error),
    /// Nothing is known of the exchange.
    #[error(
        "nothing was said in an exchange {exchange} with {peer}; `fairshare dispute {peer}` lists what lies here unopened, `fairshare ledger {peer}` every exchange that is not settled"
    )]
    Unknown {
        /// With whom.
        peer: OdsCode,
        /// Which.
        exchange: ExchangeId,
    },
    /// What is kept does not fit together, or a file does not hold.
    #[error("{0}; ask whoever made it for another, and keep this one as evidence")]
    Bad(#[from] Bad),
    /// It is of another federation, or of others.
    #[error("it is not for this member: {0}; give it to the one it names")]
    NotOurs(String),
    /// Nothing is complained of that a key would cure.
    #[error("the complaint is `{0}`, which no key cures; ask about the person instead")]
    NoCure(Lack),
    /// Not before the other side has shown the same.
    #[error(
        "their bundle about the same person was not opened here: their turn is first; complain of it with `fairshare dispute {peer} {exchange}`, and they release theirs"
    )]
    TheirTurn {
        /// Who complains.
        peer: OdsCode,
        /// Which exchange.
        exchange: ExchangeId,
    },
    /// The bundle is not here.
    #[error(
        "no bundle of that exchange lies here unopened; `fairshare dispute {0}` lists those that do"
    )]
    NotHeld(OdsCode),
    /// The round is not over, and another bundle is to be opened before it.
    #[error(
        "the round is not over, and another bundle of it is opened first; `fairshare dispute {0}` lists them in order"
    )]
    Order(OdsCode),
    /// It does not open.
    #[error(
        "the key is sealed to another node, or for another bundle; ask {0} to release it again"
    )]
    Key(OdsCode),
    /// It opens, and is no bundle.
    #[error("the key opens no bundle; complain again: `fairshare dispute {0} {1}`")]
    Unreadable(OdsCode, ExchangeId),
    /// No terms, or no node.
    #[error("{0}; a member that may not be shown to is released nothing")]
    NoTerms(String),
    /// A round is under way.
    #[error(transparent)]
    Round(#[from] reconcile::Error),
    /// This node failed.
    #[error(transparent)]
    Ours(#[from] drive::Error),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<DoesNotOpen> for Error {
    fn from(_: DoesNotOpen) -> Self {
        Self::NoTerms("its seal key is not usable".to_owned())
    }
}

/// What lies here of a peer's and was not opened, the oldest round first. Blocks.
///
/// # Errors
/// If the store fails.
pub fn owed(node: &Node, peer: &OdsCode) -> Result<Vec<OwedBundle>, crate::store::Error> {
    let mut all = Vec::new();
    for row in node.rounds.all_with(peer)? {
        for (theirs, index) in node.rounds.all_theirs(&row.round.id)?.iter().zip(0..) {
            if let (None, Some((_, exchange))) = (&theirs.found, row.round.at(index)) {
                all.push(OwedBundle {
                    exchange,
                    round: row.round.id,
                    at: row.round.at,
                    over: row.over,
                    size: theirs.size,
                    unreadable: node.rounds.is_unreadable(&row.round.id, index)?,
                });
            }
        }
    }
    all.sort_by_key(|owed| owed.at);
    Ok(all)
}

/// The round an exchange belongs to, and its place there.
fn place(
    node: &Node,
    peer: &OdsCode,
    exchange: &ExchangeId,
) -> Result<Option<(Row, u32)>, crate::store::Error> {
    for row in node.rounds.all_with(peer)? {
        let is = |index: &u32| row.round.at(*index).is_some_and(|(_, it)| it == *exchange);
        if let Some(index) = (0..row.round.len()).find(is) {
            return Ok(Some((row, index)));
        }
    }
    Ok(None)
}

/// A complaint about an exchange, of whatever it lacks. Blocks.
///
/// # Errors
/// If nothing is known of it, or the store fails.
pub fn complain(node: &Node, peer: &OdsCode, exchange: &ExchangeId) -> Result<Dispute, Error> {
    let statements = node.membership.statements();
    let statements = statements.ok_or(membership::Error::NoFederation)?;
    let pair = chain::Pair::of_members(&statements, node.code(), peer);
    let (said, unreadable) = match place(node, peer, exchange)? {
        Some((row, index)) => (
            said_in_round(node, &row, index)?,
            node.rounds.is_unreadable(&row.round.id, index)?,
        ),
        None => (said_in_ask(node, peer, exchange)?, false),
    };
    if said.is_empty() {
        let (peer, exchange) = (peer.clone(), *exchange);
        return Err(Error::Unknown { peer, exchange });
    }
    let key = (&node.keys.node, now());
    Ok(Dispute::complain(
        (&statements, &pair),
        *exchange,
        said,
        unreadable,
        key,
    )?)
}

fn said_in_ask(
    node: &Node,
    peer: &OdsCode,
    exchange: &ExchangeId,
) -> Result<Vec<Stated>, crate::store::Error> {
    for asker in [node.code(), peer] {
        let hashes = node.ledgers.store.statements(peer, exchange, asker)?;
        let said = read(node, hashes)?;
        if !said.is_empty() {
            return Ok(said);
        }
    }
    Ok(Vec::new())
}

fn said_in_round(node: &Node, row: &Row, index: u32) -> Result<Vec<Stated>, crate::store::Error> {
    let round = &row.round.id;
    let ours = node.rounds.ours(round, index)?;
    let ours = ours.map(|made| made.ours.shown.hash());
    let theirs = node.rounds.theirs(round, index)?;
    let theirs = theirs.map(|theirs| theirs.shown);
    let bundles: BTreeSet<Hash> = ours.into_iter().chain(theirs).collect();
    let mut said = read(node, bundles.iter().copied())?;
    let of_round = read(node, node.rounds.said(round)?)?;
    said.extend(of_round.into_iter().filter(|stated| match stated {
        Stated::Held(signed) => {
            let held = signed.peek();
            held.is_ok_and(|held| held.bundles.iter().any(|it| bundles.contains(it)))
        }
        Stated::Receipts(signed) => {
            let receipts = signed.peek();
            receipts.is_ok_and(|it| it.bundles.iter().any(|(it, _)| bundles.contains(it)))
        }
        _ => true,
    }));
    Ok(said)
}

fn read(
    node: &Node,
    hashes: impl IntoIterator<Item = Hash>,
) -> Result<Vec<Stated>, crate::store::Error> {
    let mut said = Vec::new();
    for hash in hashes {
        if let Some(kept) = node.exchanges.statement(&hash)? {
            said.extend(Stated::read(&hash, &kept.bytes.0));
        }
    }
    Ok(said)
}

/// Releases the key of a bundle again to a member that complains, if the member's own bundle about
/// the same person was opened here, or the key left before. In the journal before it is given.
///
/// # Errors
/// If the complaint does not hold, is of another, or it is the complainant's turn.
pub async fn release(node: &Arc<Node>, dispute: Dispute) -> Result<(Release, Released), Error> {
    let here = Arc::clone(node);
    let ready = spawn_blocking(move || ready(&here, &dispute)).await;
    let (release, acts) = ready.map_err(drive::Error::from)??;
    node.record(acts).await?;
    let released = Released {
        format: RELEASE_FORMAT.to_owned(),
        release: Signed::sign(&release, &node.keys.node),
    };
    Ok((release, released))
}

fn ready(node: &Node, dispute: &Dispute) -> Result<(Release, Vec<Act>), Error> {
    let roster = node.membership.roster();
    let roster = roster.ok_or(membership::Error::NoFederation)?;
    let checked = dispute.check(now())?;
    let complaint = dispute.complaint.peek().map_err(Bad::Complaint)?;
    if checked.federation != roster.federation() || checked.against != *node.code() {
        let of = format!("it is of {} in {}", checked.against, checked.name);
        return Err(Error::NotOurs(of));
    }
    let pair = asking::pair(node, &roster, &checked.by).map_err(Error::NoTerms)?;
    let (Lack::Key | Lack::Readable, Some(commitment)) = (checked.lack, checked.theirs.committed)
    else {
        return Err(Error::NoCure(checked.lack));
    };
    let (peer, exchange) = (checked.by, checked.exchange);
    let found = place(node, &peer, &exchange)?;
    let (row, index) = found.ok_or_else(|| Error::Unknown {
        peer: peer.clone(),
        exchange,
    })?;
    let id = row.round.id;
    let made = node.rounds.ours(&id, index)?;
    let made = made.filter(|made| made.ours.shown.hash() == commitment);
    let made = made.ok_or_else(|| Error::Unknown {
        peer: peer.clone(),
        exchange,
    })?;
    let mut given = node.rounds.given(&id)?;
    let before = given.released > index;
    let theirs = node.rounds.theirs(&id, index)?;
    if !before && theirs.is_none_or(|theirs| theirs.found.is_none()) {
        return Err(Error::TheirTurn { peer, exchange });
    }
    let key = row.round.key(&exchange, &made.ours.head);
    let release = Release::seal(
        &complaint,
        commitment,
        &key,
        &pair.peer_seal,
        now(),
        &mut rand::rng(),
    )?;
    let mut acts = Vec::new();
    if !before {
        acts.push(Act::Shown {
            exchange,
            peer: peer.clone(),
            person: made.ours.person,
            commitment,
            counts: made.ours.counts.clone(),
        });
        let categories = made.ours.counts.iter().map(|(category, _)| *category);
        let notices = node.records.notices();
        notices.show((&made.person, &peer), made.import, categories)?;
        if given.released == index {
            given.released += 1;
            node.rounds.give(&id, &given)?;
        }
    }
    Ok((release, acts))
}

/// Takes a key a peer released again: the bundle is opened, checked and filed as in its round.
///
/// # Errors
/// If it is not for this node, the bundle is not here, or it does not open.
pub async fn take(node: &Arc<Node>, signed: &Signed<Release>) -> Result<ExchangeId, Error> {
    let roster = node.membership.roster();
    let roster = roster.ok_or(membership::Error::NoFederation)?;
    let not_ours = |of: String| Err(Error::NotOurs(of));
    let said = signed.peek();
    let said = said.map_err(|error| Error::NotOurs(error.to_string()))?;
    let pair = asking::pair(node, &roster, &said.from).map_err(Error::NoTerms)?;
    let release = match signed.verify(&pair.peer_key) {
        Ok(release) => release,
        Err(error) => return not_ours(error.to_string()),
    };
    if release.federation != pair.federation || release.to != pair.me {
        return not_ours(format!("it is for {}", release.to));
    }
    if release.at > now() + CLOCK_SKEW {
        return not_ours("it is of a time to come".to_owned());
    }
    let (peer, exchange) = (pair.peer.clone(), release.exchange);
    let (here, of) = (Arc::clone(node), peer.clone());
    let found = spawn_blocking(move || {
        let found = place(&here, &of, &exchange)?;
        let (row, index) = found.ok_or(Error::NotHeld(of.clone()))?;
        let theirs = here.rounds.theirs(&row.round.id, index)?;
        let waits = |it: &Theirs| it.found.is_none() && it.shown == release.commitment;
        let theirs = theirs.filter(waits).ok_or(Error::NotHeld(of.clone()))?;
        let all = here.rounds.all_theirs(&row.round.id)?;
        let first = all.iter().position(|it| it.found.is_none());
        if !row.over && first != Some(index as usize) {
            return Err(Error::Order(of));
        }
        let key = release.open(&here.keys.seal);
        let key = key.ok().filter(|key| key.commit(&exchange) == theirs.key);
        let key = key.ok_or(Error::Key(of.clone()))?;
        Ok::<_, Error>((row, index, (theirs, key)))
    });
    let (row, index, theirs) = found.await.map_err(drive::Error::from)??;
    match opened_later(node, &pair, row, index, theirs).await? {
        true => Ok(exchange),
        false => Err(Error::Unreadable(peer, exchange)),
    }
}
