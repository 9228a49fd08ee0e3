//! Who is in a round: people linked with the peer who are active here, and of whom there is something
//! the peer has not been shown (protocol.md section 4).

use std::time::Duration;

use fairshare_protocol::ids::{Handle, MatchId, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::MAX_ROUND;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::time::Timestamp;
use rayon::prelude::*;

use crate::engine::drive::{Error, now};
use crate::engine::withholding::{self, Held};
use crate::fhir::activity::{self, Activity};
use crate::import::day_of;
use crate::node::Node;

/// How long a contact makes somebody active.
const RECENT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The largest record that is looked at for activity, in bytes.
const MOST: u64 = 1024 * 1024;

/// The people of a round, as this side sees them.
#[derive(Debug)]
pub struct Active {
    /// How many are linked.
    pub linked: usize,
    people: Vec<(Handle, bool)>,
}

impl Active {
    /// How many are active here.
    pub fn active(&self) -> usize {
        self.people.len()
    }

    /// Of how many of them there is something new.
    pub fn news(&self) -> usize {
        self.people.iter().filter(|(_, news)| *news).count()
    }

    /// Everybody active here, and whether there is something new of them: at most as many as a
    /// round may be about, those with news first.
    pub fn listed(mut self) -> Vec<(Handle, bool)> {
        self.people.sort_by_key(|(_, news)| !news);
        self.people.truncate(MAX_ROUND);
        self.people
    }
}

/// Everybody linked with this peer by this match who is active here. Reads all their records, on all
/// cores, and blocks.
///
/// # Errors
/// If the store fails.
pub fn active(node: &Node, peer: &OdsCode, match_id: &MatchId) -> Result<Active, Error> {
    let linked = node.index.people(peer, match_id)?;
    let as_of = now();
    let since = Timestamp(as_of.0.saturating_sub(RECENT.as_millis() as u64));
    let since = day_of(since).expose();
    let on_list = node.config.kind == MemberKind::GpPractice;
    let people = linked.par_iter().map(|(handle, person)| {
        let stopped = withholding::stopped(node, peer, person)?;
        if !stopped.is_empty() || !is_active(node, person, on_list, &since)? {
            return Ok(None);
        }
        let mut newest = 0;
        for id in node.records.people_by_key(person)? {
            newest = newest.max(node.records.newest_of(&id)?);
        }
        Ok(Some((*handle, newest > node.rounds.shown(peer, person)?)))
    });
    let people: Vec<Option<_>> = people.collect::<Result<_, Error>>()?;
    Ok(Active {
        linked: linked.len(),
        people: people.into_iter().flatten().collect(),
    })
}

/// Whether somebody is being looked after here. Somebody withheld is not: they look like anybody who
/// is linked and no longer active.
fn is_active(node: &Node, person: &IndexKey, on_list: bool, since: &str) -> Result<bool, Error> {
    let Held {
        records, home, why, ..
    } = withholding::held(node, person)?;
    if why.is_some() || records.is_empty() {
        return Ok(false);
    }
    if node.config.rounds.everybody {
        return Ok(true);
    }
    let mut active = on_list;
    for (name, record) in &records {
        let tells = activity::may_tell(&record.kind) && record.size <= MOST;
        if !tells || home.contains(name) {
            continue;
        }
        let mut text = String::new();
        std::io::Read::read_to_string(&mut node.records.body(record)?, &mut text)?;
        match activity::of(&record.kind, &text, since) {
            Activity::Left => return Ok(false),
            Activity::Active => active = true,
            Activity::Silent => {}
        }
    }
    Ok(active)
}
