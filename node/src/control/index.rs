//! This node's own index, and how far peers have come with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{AdvertState, BatchState, IndexPeer, IndexReport};
use fairshare_protocol::index::advert::cap;
use fairshare_protocol::limits::MAX_GENERATIONS;
use fairshare_protocol::roster::Member;

use super::members::roster;
use super::wrong;
use crate::engine::advert::Ours;
use crate::engine::drive::{self, now};
use crate::engine::{delta, keeping};
use crate::node::Node;

/// How the index is; with everybody new taken in first, if wanted.
///
/// # Errors
/// If there is no federation, or the store fails.
pub async fn show(node: &Arc<Node>, make: bool) -> Result<IndexReport, Failure> {
    let roster = roster(node)?;
    let ours = match make {
        true => node.adverts.newest(node, &roster).await.map(Some),
        false => node.adverts.held(node, &roster).await,
    };
    let ours = ours.map_err(|error| wrong(&error))?;
    if make {
        // Whoever is connected is told.
        node.stir.notify_one();
    }
    let charter = roster.charter();
    let epoch = roster.epoch(now());
    let population = roster.member(node.code()).map_or(0, |us| us.population);
    let counts = node.records.counts().map_err(|error| wrong(&error))?;
    let matched = keeping::matched(node, &roster).map_err(|error| wrong(&error))?;
    let wanted = node.index.wanted().map_err(|error| wrong(&error))?;
    let peer = |code| -> Result<IndexPeer, drive::Error> {
        let with = node.index.matched(&code)?;
        Ok(IndexPeer {
            matched: with.as_ref().map(|with| with.at),
            matching: node.progress.with(&code),
            unfinished: wanted.contains(&code),
            current: delta::continues(node, &code)?,
            batches: with.as_ref().map_or(0, |with| with.batches),
            links: with.map_or(0, |with| with.links),
            code,
        })
    };
    let may = |member: &&Member| {
        let terms = roster.terms(node.code(), &member.code);
        member.code != *node.code() && terms.is_ok_and(|terms| terms.may_match)
    };
    let can = roster.members().filter(may);
    let mut codes: BTreeSet<_> = can.map(|member| member.code.clone()).collect();
    codes.extend(matched.into_iter().map(|(code, _)| code));
    let peers = codes.into_iter().map(peer);
    Ok(IndexReport {
        now: now(),
        epoch: (epoch, roster.epoch_end(epoch)),
        advert: ours.as_ref().map(|ours| {
            let advert = ours.own.advert();
            AdvertState::of(advert.signed(), advert.header())
        }),
        batches: ours.as_deref().map(batches).unwrap_or_default(),
        cap: cap(population, MAX_GENERATIONS),
        additions_per_day: charter.additions_per_day,
        not_indexable: counts.people.saturating_sub(counts.indexable),
        places: node.placing.counted(node).await.map_err(|e| wrong(&e))?,
        peers: peers
            .collect::<Result<_, drive::Error>>()
            .map_err(|error| wrong(&error))?,
    })
}

fn batches(ours: &Ours) -> Vec<BatchState> {
    let all = ours.own.batches().iter().zip(1..);
    all.map(|(made, number)| BatchState {
        number,
        made: made.at,
        // At most 4,096.
        entries: made.entries.len() as u32,
    })
    .collect()
}
