//! Import: files of FHIR R4 become people and records, all of them at once or none.
//!
//! 1. The files are found (`walk`) and read one by one in bounded memory (`read`). Every
//!    resource is set aside, sealed, on disk (`stage`); nothing is looked for yet, since a person
//!    may come in a later file than their records.
//! 2. What was set aside is gone through again to find whose each resource is (`resolve`); a
//!    transaction with a resource that is nobody's is refused whole.
//! 3. The rest is filed (`file`) under the import's number and becomes visible at its end
//!    (`store::records::filing`).
//!
//! Memory grows with the number of *people* imported (about 50 bytes each) and of files, never with
//! the size of a file.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use fairshare_protocol::control::import::ImportReport;
use fairshare_protocol::limits::MAX_BUNDLE;
use fairshare_protocol::time::{Date, Timestamp};

use crate::fhir::Rules;
use crate::fhir::source::Limits;
use crate::store;
use crate::store::records::Records;
use crate::store::records::filing::Filing;

pub mod command;
mod file;
mod neighbour;
mod read;
mod report;
mod resolve;
mod stage;
#[cfg(test)]
mod tests;
mod walk;

/// What the operator decides about an import.
#[derive(Debug, Clone)]
pub struct Options {
    /// Categories, and the day of the import.
    pub rules: Rules,
    /// Addresses of servers whose ids are this organisation's own.
    pub servers: Vec<String>,
    /// When it is.
    pub now: Timestamp,
    /// What is read of one file at once.
    pub limits: Limits,
    /// The largest file beside a resource, in bytes.
    pub max_attachment: u64,
}

impl Options {
    /// Options with nothing overridden.
    pub fn new(rules: Rules, now: Timestamp) -> Self {
        Self {
            rules,
            now,
            servers: Vec::new(),
            limits: Limits::default(),
            max_attachment: MAX_BUNDLE,
        }
    }
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of the files read, or records filed.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// Resources seen so far.
    pub records: u64,
}

/// The two halves of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The files are read and set aside; `done` counts bytes.
    Reading,
    /// What was read is filed under its people; `done` counts records.
    Filing,
}

/// Told how far the import is, many times a second; says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Imports the files and directories `paths` into `records`. Blocks; not for an async task.
///
/// # Errors
/// If a path is not there, another import is under way, the watcher stopped it, or the store
/// fails. Nothing is then imported. What is wrong with single files is in the report instead.
pub fn import(
    records: &Records,
    paths: &[PathBuf],
    options: &Options,
    watch: Watch<'_>,
) -> Result<ImportReport, Error> {
    let start = Instant::now();
    let walked = walk::walk(paths)?;
    let mut filing = Filing::begin(records)?.ok_or(Error::Busy)?;
    let mut tally = report::Tally::new(&walked);
    let staged = read::read_all(records, &filing, &walked, options, &mut tally, watch)?;
    let resolved = resolve::resolve(records, &filing, &staged, &mut tally)?;
    file::file_all(&mut filing, &staged, &resolved, &walked, &mut tally, watch)?;
    if watch(tally.progress(Phase::Filing, staged.count, staged.count)).is_break() {
        return Err(Error::Stopped);
    }
    drop(staged);
    let (import, counts) = filing.finish(options.now)?;
    let mut report = tally.finish(import, counts);
    report.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The day of `now`, in UTC.
pub fn day_of(now: Timestamp) -> Date {
    // Days to civil date, Howard Hinnant's `civil_from_days` for days since 1970.
    let days = now.day().min(2_932_896) + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let parts = (u16::try_from(year), u8::try_from(month), u8::try_from(day));
    let date = match parts {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day),
        _ => Date::new(9999, 12, 31),
    };
    // Days were capped at 9999-12-31, and the formula gives real days only.
    date.expect("a day between 1970 and 9999 has a date")
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that was given cannot be used.
    #[error("{path}: {source}; name a file or directory that the node can read", path = path.display())]
    Path {
        /// The path, as given.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// More files than one import takes.
    #[error("more than {limit} files; import directories one by one")]
    TooManyFiles {
        /// How many are taken.
        limit: usize,
    },
    /// Another import is under way.
    #[error("another import is under way; wait for its end")]
    Busy,
    /// Stopped from outside.
    #[error("the import was stopped; nothing of it was kept")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What was set aside could not be written or read back.
    #[error("setting records aside failed: {0}; is the disk full?")]
    Staging(#[from] io::Error),
}
