//! Matches over real streams: fetch the peer's advert, match, keep the links.
//!
//! Whoever begins has fetched the other's newest advert; the other fetches the beginner's before
//! it answers. When both begin at the same time, what the member whose code sorts first began goes
//! on, and the other joins in.

use std::sync::Arc;
use std::time::Instant;

use fairshare_protocol::control::index::{Found, MatchReport};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::index::advert::Header;
use fairshare_protocol::index::fetch;
use fairshare_protocol::index::matching::reason::Reason;
use fairshare_protocol::roster::NoTerms;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::wire;

use super::advert::{self, Ours};
use super::delta;
use super::drive;
use super::progress::Watch;
use crate::network::{self, Frames};
use crate::node::Node;
use crate::store::index::MatchedWith;

pub(super) use self::presence::while_shown;

mod presence;
mod running;

/// How often a match is tried anew because an advert changed meanwhile.
const TRIES: u32 = 3;

/// Why there was no match.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No federation.
    #[error("this node belongs to no federation yet; join one, then match")]
    NoFederation,
    /// No network.
    #[error("this node is not connected to anybody; is it running?")]
    NoNetwork,
    /// Nothing to match by.
    #[error(transparent)]
    NoTerms(#[from] NoTerms),
    /// The offers do not allow it.
    #[error("the two offers do not show presence to each other; see `fairshare terms`")]
    NoPresence,
    /// The peer has no node.
    #[error("the member's node has not spoken yet; wait until it has joined")]
    NoNode,
    /// The peer has no advert for us.
    #[error("the peer has no index for us yet; match again when it has imported people")]
    NoAdvert,
    /// The peer's advert is not to be used.
    #[error(transparent)]
    Fetch(#[from] fetch::Failure),
    /// The match failed.
    #[error("{}{reason}", if *said_by_peer { "the peer says: " } else { "" })]
    Match {
        /// Why.
        reason: Reason,
        /// Whether the peer said so.
        said_by_peer: bool,
    },
    /// New people could not be told of.
    #[error("{}{reason}", if *said_by_peer { "the peer says: " } else { "" })]
    Delta {
        /// Why.
        reason: delta::Reason,
        /// Whether the peer said so.
        said_by_peer: bool,
    },
    /// The peer began anew.
    #[error("the peer began the match anew, which goes on instead")]
    TakenOver,
    /// The peer cannot be reached.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// This node failed.
    #[error(transparent)]
    Ours(#[from] drive::Error),
}

impl Error {
    /// Whether one side has a newer advert than the other thought.
    const fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Match {
                reason: Reason::Stale,
                ..
            } | Self::Delta {
                reason: delta::Reason::Stale,
                ..
            }
        )
    }

    /// Whether the peer does not know of a match that is finished here: it was killed before it had
    /// kept the links.
    const fn is_unmatched_there(&self) -> bool {
        matches!(
            self,
            Self::Delta {
                reason: delta::Reason::Stale,
                said_by_peer: true,
            }
        )
    }

    /// Whether the same may well succeed later, by itself.
    const fn passes(&self) -> bool {
        match self {
            Self::Match { reason, .. } => reason.passes(),
            Self::Delta { reason, .. } => reason.passes(),
            Self::Fetch(failure) => failure.passes(),
            Self::Network(_) | Self::Ours(drive::Error::Full(_)) => true,
            _ => false,
        }
    }
}

/// Brings the links with every peer there can be a match with up to date, or with one. Who watches
/// is told how far it is.
///
/// # Errors
/// If there is no federation; what fails with one peer stands in its report.
pub async fn match_with(
    node: &Arc<Node>,
    peer: Option<&OdsCode>,
    watch: &Watch<'_>,
) -> Result<Vec<MatchReport>, Error> {
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    let may = |code: &OdsCode| {
        let terms = roster.terms(node.code(), code);
        terms.is_ok_and(|terms| terms.may_match)
    };
    let peers: Vec<_> = match peer {
        Some(peer) => vec![peer.clone()],
        None => {
            let codes = roster.members().map(|member| &member.code);
            codes.filter(|code| may(code)).cloned().collect()
        }
    };
    let total = peers.len() as u64;
    let mut reports = Vec::new();
    for peer in peers {
        let begun = Instant::now();
        let outcome = begin(node, &peer, watch).await;
        let name = roster.member(&peer).map(|member| member.name.to_string());
        let failed = outcome.as_ref().err().map(ToString::to_string);
        let report = MatchReport {
            name: name.unwrap_or_default(),
            found: outcome.ok().map(|with| Found {
                links: with.links,
                ours_only: with.ours_only.into(),
                theirs_only: with.theirs_only.into(),
                index_made: with.made,
            }),
            failed,
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            waiting: 0,
            peer,
        };
        reports.push(report);
        if let Some(report) = reports.last() {
            watch.peer(reports.len() as u64, total, &report.peer);
        }
    }
    let waiting = node.placing.counted(node).await?.waiting;
    for report in &mut reports {
        report.waiting = waiting;
    }
    Ok(reports)
}

/// Brings the links with one peer up to date: by a match of the two adverts if there was none, then
/// by the batches since.
///
/// # Errors
/// Why the links are not up to date.
pub async fn begin(
    node: &Arc<Node>,
    peer: &OdsCode,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    tried(node, peer, true, watch).await
}

/// [`begin`], but with our advert as it stands: new people wait for their day.
///
/// # Errors
/// As [`begin`].
pub async fn go_on(
    node: &Arc<Node>,
    peer: &OdsCode,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    tried(node, peer, false, watch).await
}

async fn tried(
    node: &Arc<Node>,
    peer: &OdsCode,
    newest: bool,
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    let turn = node.matching.with(peer);
    let _turn = turn.lock().await;
    // Durable at once: a node that is killed goes on by itself.
    if node.index.want(peer).map_err(drive::Error::from)? {
        node.store.commit().await.map_err(drive::Error::from)?;
    }
    let (mut tries, mut anew) = (0, false);
    loop {
        tries += 1;
        match up_to_date(node, peer, (newest, anew), watch).await {
            Err(error) if error.is_stale() && tries < TRIES => anew = error.is_unmatched_there(),
            Ok(with) => {
                node.index.unwant(peer).map_err(drive::Error::from)?;
                return Ok(with);
            }
            Err(error) => {
                if !error.passes() {
                    node.index.unwant(peer).map_err(drive::Error::from)?;
                }
                return Err(error);
            }
        }
    }
}

async fn up_to_date(
    node: &Arc<Node>,
    peer: &OdsCode,
    (newest, anew): (bool, bool),
    watch: &Watch<'_>,
) -> Result<MatchedWith, Error> {
    node.reserve.spare().map_err(drive::Error::from)?;
    let ready = prepare(node, peer, newest).await?;
    if anew || !ready.is_matched(node, peer)? {
        ready.begin(node, peer, watch).await?;
    }
    let told = delta::begin(node, peer, &ready).await?;
    let (given, taken, links) = (told.given, told.taken, told.links);
    tracing::info!(%peer, given, taken, links, "the links are up to date");
    let with = node.index.matched(peer).map_err(drive::Error::from)?;
    with.ok_or(drive::Error::Broken("a finished match left nothing").into())
}

/// Answers a peer that begins a match.
///
/// # Errors
/// Why there are no links.
pub async fn answer(
    node: &Arc<Node>,
    peer: &OdsCode,
    frames: Frames,
) -> Result<MatchedWith, Error> {
    let another = node.begun.another(peer);
    let answered = async {
        let _room = node.room[1].acquire().await;
        // However many a peer begins at once, it costs this node one at a time.
        let turn = node.conversing.with(peer);
        let _turn = turn.lock().await;
        node.reserve.spare().map_err(drive::Error::from)?;
        let ready = prepare(node, peer, false).await?;
        let nobody = Watch::nobody();
        while_shown(node, peer, ready.run(node, peer, frames, &nobody)).await
    };
    tokio::select! {
        answered = answered => answered,
        () = another.is_over() => Err(Error::TakenOver),
    }
}

/// Everything a match needs, here and checked.
pub(super) struct Ready {
    pub(super) peer_node: PublicKey,
    pub(super) ours: Arc<Ours>,
    /// The peer's signed header.
    pub(super) theirs: Signed<Header>,
}

async fn prepare(node: &Arc<Node>, peer: &OdsCode, newest: bool) -> Result<Ready, Error> {
    let roster = node.membership.roster().ok_or(Error::NoFederation)?;
    if !roster.terms(node.code(), peer)?.may_match {
        return Err(Error::NoPresence);
    }
    let keys = roster.member(peer).and_then(|member| member.node);
    let peer_node = keys.ok_or(Error::NoNode)?.node;
    // The peer has fetched ours already if it begins: then it must not change once more.
    let ours = match newest {
        true => node.adverts.newest(node, &roster).await?,
        false => node.adverts.standing(node, &roster).await?,
    };
    let network = node.network().ok_or(Error::NoNetwork)?;
    let frames = network.open(&peer_node, wire::ADVERT).await?;
    match advert::fetch(node, peer, &roster, frames).await? {
        fetch::Outcome::Fetched(_) | fetch::Outcome::AlreadyHeld => {}
        fetch::Outcome::NoAdvert => return Err(Error::NoAdvert),
        fetch::Outcome::Failed(failure) => return Err(failure.into()),
    }
    let theirs = node.index.peer(peer).map_err(drive::Error::from)?;
    let theirs = theirs.filter(|held| held.whole.is_some());
    Ok(Ready {
        peer_node,
        ours,
        theirs: theirs.ok_or(Error::NoAdvert)?.header,
    })
}

impl Ready {
    pub(super) async fn open(&self, node: &Node, stream: &'static str) -> Result<Frames, Error> {
        let network = node.network().ok_or(Error::NoNetwork)?;
        Ok(network.open(&self.peer_node, stream).await?)
    }

    /// Whether these two adverts were matched.
    fn is_matched(&self, node: &Node, peer: &OdsCode) -> Result<bool, drive::Error> {
        let pair = node.index.pair(peer)?;
        let ours = self.ours.own.advert().signed().hash();
        Ok(pair.is_some_and(|pair| pair.ours == ours && pair.theirs == self.theirs.hash()))
    }

    /// Runs a match, or waits for the one the peer began.
    async fn begin(
        &self,
        node: &Arc<Node>,
        peer: &OdsCode,
        watch: &Watch<'_>,
    ) -> Result<(), Error> {
        let joined = node.begun.is_busy(peer);
        node.begun.quiet(peer).await;
        if joined && self.is_matched(node, peer)? {
            return Ok(());
        }
        // What a match holds in memory is held few times at once. Those begun here do not wait for
        // those answered: two nodes would wait for each other.
        let room = node.room[0].acquire().await;
        let turn = node.conversing.with(peer).lock_owned().await;
        let frames = self.open(node, wire::MATCH).await?;
        tokio::select! {
            matched = while_shown(node, peer, self.run(node, peer, frames, watch)) => return matched.map(drop),
            () = node.begun.busy(peer), if peer < node.code() => {}
        }
        drop((turn, room));
        node.begun.quiet(peer).await;
        match self.is_matched(node, peer)? {
            true => Ok(()),
            // It was broken off, or of newer adverts: to be looked at anew.
            false => Err(Error::Match {
                reason: Reason::Stale,
                said_by_peer: false,
            }),
        }
    }
}
