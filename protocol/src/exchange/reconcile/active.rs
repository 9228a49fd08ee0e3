//! Who is active on one side of a round.

use std::collections::BTreeMap;

use super::frame::Frame;
use super::{End, Out, send, unfit};
use crate::ids::Handle;
use crate::limits::{MAX_CHUNK_ENTRIES, MAX_ROUND};

/// People who are active on one side, and whether there is something new of them there.
#[derive(Default)]
pub(super) struct Active {
    people: BTreeMap<Handle, bool>,
    pub(super) whole: bool,
}

impl Active {
    /// Everybody, as this side says it.
    pub(super) fn all(people: Vec<(Handle, bool)>) -> Self {
        Self {
            people: people.into_iter().take(MAX_ROUND).collect(),
            whole: true,
        }
    }

    /// The next of the other side's.
    pub(super) fn hear(&mut self, people: Vec<(Handle, bool)>, last: bool) -> Result<(), End> {
        let more = self.people.len() + people.len();
        if self.whole || people.len() > MAX_CHUNK_ENTRIES || more > MAX_ROUND {
            return Err(unfit("more people than a round may be about"));
        }
        self.people.extend(people);
        if self.people.len() < more {
            return Err(unfit("somebody stands twice in a list of people"));
        }
        self.whole = last;
        Ok(())
    }

    /// Everybody active on both sides of whom there is news on one.
    pub(super) fn both(&self, other: &Self) -> Vec<Handle> {
        let both = self.people.iter().filter_map(|(handle, news)| {
            let theirs = other.people.get(handle)?;
            (*news || *theirs).then_some(*handle)
        });
        both.collect()
    }

    pub(super) fn send(&self, out: &mut Out) {
        let all: Vec<_> = self.people.iter().map(|(h, news)| (*h, *news)).collect();
        let mut rest = &all[..];
        loop {
            let (now, later) = rest.split_at(rest.len().min(MAX_CHUNK_ENTRIES));
            rest = later;
            out.push(send(&Frame::People {
                people: now.to_vec(),
                last: rest.is_empty(),
            }));
            if rest.is_empty() {
                return;
            }
        }
    }
}
