//! The chain of entries: each names the one before.

use super::{Act, Entry, ORIGIN};
use crate::ids::Hash;
use crate::time::Timestamp;

/// Follows a chain from its first entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The number the next entry must have.
    pub next: u64,
    /// The hash the next entry must name.
    pub head: Hash,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            next: 1,
            head: ORIGIN,
        }
    }
}

impl Chain {
    /// The next entry of this chain. It becomes part of it by [`Chain::follow`].
    pub const fn entry(&self, at: Timestamp, act: Act) -> Entry {
        Entry {
            number: self.next,
            previous: self.head,
            at,
            act,
        }
    }

    /// Takes `entry` as the next of this chain.
    ///
    /// # Errors
    /// If it is not: another number, or another predecessor. The chain is then unchanged.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Broken> {
        if entry.number != self.next || entry.previous != self.head {
            return Err(Broken { at: self.next });
        }
        self.next += 1;
        self.head = entry.hash();
        Ok(())
    }
}

/// The chain does not hold from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chain is broken at entry {at}")]
pub struct Broken {
    /// The number of the first entry that does not follow.
    pub at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_dropped_or_swapped_entry_breaks_the_chain() {
        let mut writing = Chain::default();
        let mut entries = Vec::new();
        for at in 0..5 {
            let entry = writing.entry(Timestamp(at), Act::Stopped);
            writing.follow(&entry).unwrap();
            entries.push(entry);
        }
        let check = |entries: &[Entry]| {
            let mut chain = Chain::default();
            entries.iter().try_for_each(|entry| chain.follow(entry))
        };
        assert_eq!(check(&entries), Ok(()));
        let mut changed = entries.clone();
        changed[2].at = Timestamp(99);
        assert_eq!(check(&changed), Err(Broken { at: 4 }));
        let mut dropped = entries.clone();
        dropped.remove(1);
        assert_eq!(check(&dropped), Err(Broken { at: 2 }));
        let mut swapped = entries;
        swapped.swap(0, 1);
        assert_eq!(check(&swapped), Err(Broken { at: 1 }));
    }
}
