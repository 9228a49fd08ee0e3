//! Our advert made, and made to hold whoever is new: by batches, or by a new generation.

use std::sync::Arc;

use fairshare_protocol::ids::{FederationId, Point};
use fairshare_protocol::index::advert::own::{Blinding, Error as Unmade, Made, Own};
use fairshare_protocol::index::delta::said::{most, size};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::{BATCH_SIZES, MAX_CHUNK_ENTRIES, MAX_GENERATIONS};
use rayon::prelude::*;

use super::Ours;
use crate::engine::drive::{Error, now};
use crate::engine::withholding::{self, Ground};
use crate::node::Node;
use crate::store::index::Index;

/// Index keys turned into entries in one go by one thread.
const RUN: usize = 1024;

/// What became of an advert when it was looked at again.
pub(super) enum Grown {
    /// Nobody new.
    Same(Arc<Ours>),
    /// There is more of it.
    New(Box<Fresh>),
}

/// An advert that is not kept yet.
pub(super) struct Fresh {
    pub(super) own: Own,
    people: Vec<IndexKey>,
    ground: Option<Ground>,
    /// People who wait for another day's batch.
    pub(super) waiting: usize,
    /// What it was before, if only batches are new.
    pub(super) before: Option<Arc<Ours>>,
}

impl Fresh {
    /// The batches that are new, with their numbers.
    pub(super) fn batches(&self) -> impl Iterator<Item = (&Made, u32)> {
        let kept = self.before.as_ref();
        let kept = kept.map_or(0, |before| before.own.batches().len());
        let all = self.own.batches().iter().map(|made| &**made).zip(1..);
        all.skip(kept)
    }

    pub(super) fn keep(self: Box<Self>, index: &Index) -> Result<Arc<Ours>, Error> {
        let (mut kept, mut known) = match &self.before {
            Some(before) => (before.kept.clone(), before.people.len()),
            None => (index.keep_own(&self.own, &self.people)?, self.people.len()),
        };
        let header = self.own.advert().header();
        if self.before.is_none() && header.generation == 1 {
            index.turn_over(header.epoch)?;
        }
        for (made, _) in self.batches() {
            let brought = made.slots.iter().filter(|slot| slot.is_person()).count();
            let people = &self.people[known..known + brought];
            kept = index.keep_batch(kept, made, people, known)?;
            known += brought;
        }
        Ok(Arc::new(Ours {
            own: Arc::new(self.own),
            people: self.people,
            ground: self.ground,
            kept,
        }))
    }
}

/// The advert with everybody in it who can be: by batches if they are few enough for a day, else
/// by a new generation, which all peers must match anew.
pub(super) fn grow(
    node: &Node,
    before: Option<Arc<Ours>>,
    federation: FederationId,
    (epoch, per_day): (u32, u32),
) -> Result<Grown, Error> {
    // Read first: people of a later import are looked for again.
    let mut ground = Some(Ground::now(node));
    let rng = &mut rand::rng();
    let (mut people, blinding) = match &before {
        Some(ours) => (ours.people.clone(), ours.own.blinding()),
        None => (Vec::new(), Blinding::generate(&federation, epoch, rng)),
    };
    let mut there = people.clone();
    there.par_sort_unstable();
    let mut new = withholding::index_keys(node)?;
    new.retain(|key| there.binary_search(key).is_err());
    drop(there);
    let same = |ours: &Ours, ground| {
        Grown::Same(Arc::new(Ours {
            own: Arc::clone(&ours.own),
            people: ours.people.clone(),
            ground,
            kept: ours.kept.clone(),
        }))
    };
    let by_batches = before.as_ref().filter(|_| new.len() <= per_day as usize);
    let mut waiting = 0;
    let mut batches = Vec::new();
    if let Some(ours) = by_batches {
        batches = fitting(&ours.own, new.len(), per_day);
        let fit = batches.iter().sum();
        waiting = new.len() - fit;
        new.truncate(fit);
        if waiting > 0 {
            // So that they are looked for again.
            ground = None;
        }
        if new.is_empty() {
            return Ok(same(ours, ground));
        }
    }
    // In place: what is collected from many threads is held twice.
    let mut entries = vec![Point::new([0; 32]); new.len()];
    let runs = entries.par_chunks_mut(RUN).zip(new.par_chunks(RUN));
    runs.for_each(|(entries, run)| entries.copy_from_slice(&blinding.entries(run)));
    let key = &node.keys.node;
    let made = match (&before, by_batches) {
        (Some(ours), Some(_)) => {
            let mut rest = entries;
            batches
                .into_iter()
                .try_fold((*ours.own).clone(), |own, people| {
                    let later = rest.split_off(people);
                    own.with_batch(std::mem::replace(&mut rest, later), key, now(), rng)
                })
        }
        (Some(ours), None) => ours.own.next(entries, key, now(), rng),
        (None, _) => Own::first(node.code().clone(), &blinding, entries, key, now(), rng),
    };
    let by_batches = by_batches.is_some();
    match (made, before) {
        (Ok(own), before) => {
            people.extend(new);
            Ok(Grown::New(Box::new(Fresh {
                own,
                people,
                ground,
                waiting,
                before: before.filter(|_| by_batches),
            })))
        }
        // New people wait for the next epoch; everybody else is found as before.
        (Err(Unmade::Generations), Some(ours)) => {
            tracing::warn!(people = new.len(), "{}", Unmade::Generations);
            Ok(same(&ours, ground))
        }
        (Err(error), _) => {
            tracing::error!("{error}");
            Err(Error::Broken("our advert could not be made"))
        }
    }
}

/// How many of so many new people can go out today: by batches, by a new generation, or with the
/// first advert of the epoch.
pub(super) fn today(before: Option<&Ours>, new: usize, per_day: u32) -> usize {
    match before {
        None => new,
        Some(ours) if new <= per_day as usize => fitting(&ours.own, new, per_day).iter().sum(),
        Some(ours) if ours.own.advert().header().generation < MAX_GENERATIONS => new,
        Some(_) => 0,
    }
}

/// The batches of so many new people that the charter still allows today: how many are in each. As
/// few as there can be, and then as many as fill the room that is left.
fn fitting(own: &Own, new: usize, per_day: u32) -> Vec<usize> {
    let today = now().day();
    let made = own.batches().iter().filter(|made| made.at.day() == today);
    let made: usize = made.map(|made| made.entries.len()).sum();
    let mut room = (per_day as usize).saturating_sub(made);
    let mut left = new;
    let mut batches = Vec::new();
    while left > 0 {
        let all = size(left.min(most(MAX_CHUNK_ENTRIES))).filter(|size| *size <= room);
        let largest = || BATCH_SIZES.into_iter().rfind(|size| *size <= room);
        let Some(size) = all.or_else(largest) else {
            break;
        };
        let people = left.min(most(size));
        batches.push(people);
        (room, left) = (room - size, left - people);
    }
    batches
}
