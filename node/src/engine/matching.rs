//! Matches over real streams: fetch the peer's advert, match, keep the links.
//!
//! Whoever begins has fetched the other's newest advert; the other fetches the beginner's before
//! it answers. Two matches of one pair at the same time are the same match and do no harm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Instant;

use fairshare_protocol::control::index::{Found, MatchReport};
use fairshare_protocol::ids::{Hash, OdsCode, PublicKey};
use fairshare_protocol::index::advert::Advert;
use fairshare_protocol::index::fetch;
use fairshare_protocol::index::matching::job::{self, Fact, Job};
use fairshare_protocol::index::matching::links::Matched;
use fairshare_protocol::index::matching::reason::Reason;
use fairshare_protocol::index::matching::{Match, Outcome, Save, Setup};
use fairshare_protocol::roster::NoTerms;
use fairshare_protocol::time::Timestamp;
use fairshare_protocol::wire;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::advert::{self, Ours};
use super::drive::{self, Effects, drive, now};
use crate::network::{self, Frames};
use crate::node::Node;
use crate::store::index::{Index, MatchedWith};

/// How often a match is tried anew because an advert changed meanwhile.
const TRIES: u32 = 3;

/// One thing at a time with each peer.
#[derive(Default)]
pub struct Turns(Lock<BTreeMap<OdsCode, Arc<Mutex<()>>>>);

impl Turns {
    pub(super) fn with(&self, peer: &OdsCode) -> Arc<Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(peer.clone()).or_default())
    }
}

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
    /// The peer cannot be reached.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// This node failed.
    #[error(transparent)]
    Ours(#[from] drive::Error),
}

/// Matches with every peer there can be a match with, or with one. Tells `each` when one is done.
///
/// # Errors
/// If there is no federation; what fails with one peer stands in its report.
pub async fn match_with(
    node: &Arc<Node>,
    peer: Option<&OdsCode>,
    each: impl Fn(u64, u64, &MatchReport),
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
        let outcome = begin(node, &peer).await;
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
            peer,
        };
        reports.push(report);
        if let Some(report) = reports.last() {
            each(reports.len() as u64, total, report);
        }
    }
    Ok(reports)
}

/// Matches with one peer.
///
/// # Errors
/// Why there are no links.
pub async fn begin(node: &Arc<Node>, peer: &OdsCode) -> Result<MatchedWith, Error> {
    let turn = node.matching.with(peer);
    let _turn = turn.lock().await;
    let mut tries = 0;
    loop {
        tries += 1;
        let ready = prepare(node, peer, true).await?;
        let frames = ready.open(node, wire::MATCH).await?;
        match ready.run(node, peer, frames).await {
            Err(Error::Match {
                reason: Reason::Stale,
                ..
            }) if tries < TRIES => {}
            ended => return ended,
        }
    }
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
    // However many a peer begins at once, it costs this node one at a time.
    let turn = node.answering.with(peer);
    let _turn = turn.lock().await;
    let ready = prepare(node, peer, false).await?;
    ready.run(node, peer, frames).await
}

/// Everything a match needs, here and checked.
struct Ready {
    peer_node: PublicKey,
    ours: Arc<Ours>,
    theirs: Arc<Advert>,
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
    let (index, code) = (node.index.clone(), peer.clone());
    let theirs = spawn_blocking(move || index.peer_advert(&code)).await;
    let theirs = theirs.map_err(drive::Error::from)?;
    let theirs = theirs.map_err(drive::Error::from)?.ok_or(Error::NoAdvert)?;
    Ok(Ready {
        peer_node,
        ours,
        theirs: Arc::new(theirs),
    })
}

impl Ready {
    async fn open(&self, node: &Node, stream: &'static str) -> Result<Frames, Error> {
        let network = node.network().ok_or(Error::NoNetwork)?;
        Ok(network.open(&self.peer_node, stream).await?)
    }

    async fn run(
        self,
        node: &Arc<Node>,
        peer: &OdsCode,
        frames: Frames,
    ) -> Result<MatchedWith, Error> {
        let ours = self.ours.own.advert().signed().hash();
        let theirs = self.theirs.signed().hash();
        let kept = node
            .index
            .kept(&ours, &theirs)
            .map_err(drive::Error::from)?;
        let machine = Match::new(Setup {
            own: Arc::clone(&self.ours.own),
            peer: Arc::clone(&self.theirs),
            node: node.keys.node.clone(),
            peer_node: self.peer_node,
            kept,
        });
        let mut matching = Matching {
            index: node.index.clone(),
            ours: self.ours,
            pair: (ours, theirs),
            epoch: self.theirs.header().epoch,
            made: self.theirs.header().made,
        };
        let keep = (&node.journal, &node.store);
        match drive(machine, frames, keep, &mut matching).await? {
            Outcome::Matched(matched) => {
                let with = matching.with(&matched);
                tracing::info!(%peer, links = with.links, "matched");
                Ok(with)
            }
            Outcome::Failed(failed) => {
                tracing::warn!(%peer, why = failed.reason.code(), "no match");
                if let Some(evidence) = &failed.evidence {
                    node.index.accuse(evidence).map_err(drive::Error::from)?;
                    node.store.commit().await.map_err(drive::Error::from)?;
                }
                Err(Error::Match {
                    reason: failed.reason,
                    said_by_peer: failed.said_by_peer,
                })
            }
        }
    }
}

struct Matching {
    index: Index,
    ours: Arc<Ours>,
    pair: (Hash, Hash),
    epoch: u32,
    made: Timestamp,
}

impl Matching {
    fn with(&self, matched: &Matched) -> MatchedWith {
        MatchedWith {
            match_id: matched.match_id,
            epoch: self.epoch,
            generation: self.ours.own.advert().header().generation,
            at: now(),
            links: matched.links.len() as u64,
            ours_only: matched.ours_only,
            theirs_only: matched.theirs_only,
            ours: matched.ours,
            theirs: matched.theirs,
            made: self.made,
        }
    }
}

impl Effects<Match> for Matching {
    async fn save(&mut self, save: Save) -> Result<(), drive::Error> {
        match save {
            Save::Kept(kept) => {
                let (ours, theirs) = &self.pair;
                if self.index.keep(self.epoch, ours, theirs, &kept)? {
                    return Ok(());
                }
                Err(drive::Error::Broken(
                    "the peer says different things in two conversations about one match",
                ))
            }
            Save::Links(matched) => {
                let (index, ours, with) = (
                    self.index.clone(),
                    Arc::clone(&self.ours),
                    self.with(&matched),
                );
                let link = move || index.link(&matched, &ours.own, &ours.people, &with);
                Ok(spawn_blocking(link).await??)
            }
        }
    }

    async fn load(&mut self, job: Job) -> Result<Fact, drive::Error> {
        Ok(spawn_blocking(move || job::run(&job)).await?)
    }
}
