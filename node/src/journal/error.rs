//! Why the journal does not open, hold, or take an entry.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fairshare_protocol::control::{DEGRADED, WRONG};
use fairshare_protocol::journal::Broken;

/// Why the journal does not open, hold, or take an entry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or created.
    #[error("{}: {source}; check that it exists and belongs to the user the node runs as", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An entry could not be made durable.
    #[error(
        "the journal cannot be written ({why}); nothing leaves this node until that is mended and it is started again"
    )]
    Write {
        /// Why.
        why: Arc<str>,
    },
    /// An entry is over the limit.
    #[error(
        "an entry of {length} bytes is longer than the journal takes; this is a fault of the program: report it"
    )]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The file is something else.
    #[error("{} is not a journal of Fairshare; name a node's `journal` directory", path.display())]
    NotAJournal {
        /// Which.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("{} has version {version} of the format, which this program does not know; use the newer program that wrote it", path.display())]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Bytes are not as they were written.
    #[error("{} is damaged at byte {offset}; keep a copy as evidence, check the disk, and restore the journal from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// An entry does not follow the one before.
    #[error(
        "{0}: entries were changed, dropped or put in; keep a copy as evidence and restore the journal from a backup"
    )]
    Broken(#[from] Broken),
    /// A signed head names an entry that is no longer there.
    #[error(
        "the journal ends at entry {found}, but a signed head of day {day} says it had {number}: its end was cut off; keep a copy as evidence and restore the journal from a backup"
    )]
    CutOff {
        /// Entries found.
        found: u64,
        /// Entries there were.
        number: u64,
        /// The head's day.
        day: u64,
    },
    /// A signed head names another entry of that number.
    #[error(
        "entry {number} is not the one the signed head of day {day} names: the journal was rewritten; keep a copy as evidence and restore the journal from a backup"
    )]
    NotTheHead {
        /// The head's day.
        day: u64,
        /// The entry.
        number: u64,
    },
    /// A head is signed by a key that is not this node's.
    #[error(
        "the head of day {day} is signed by a key that is not this node's; if the node key was changed name the old one, otherwise the journal was rewritten: keep a copy as evidence"
    )]
    Signer {
        /// The head's day.
        day: u64,
    },
}

impl Error {
    /// The exit code of a command that finds it: a journal that is not sound is degraded, one that
    /// is not there was asked for wrongly.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::NotAJournal { .. } | Self::Version { .. } => WRONG,
            _ => DEGRADED,
        }
    }

    pub(super) fn closed() -> Self {
        Self::Write {
            why: "the node is stopping".into(),
        }
    }
}
