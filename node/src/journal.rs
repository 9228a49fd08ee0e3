//! The journal's file (protocol.md section 5): the chain of [`fairshare_protocol::journal`] on disk.
//!
//! Two files in one directory, both 0600 and both made of checked frames: the entries, and the
//! signed heads, one for the end of each day and one for each clean stop. One thread writes; whoever
//! appended waits for it, and all who wait share one `fdatasync`. Before a write, and once more if it
//! finds the disk full, room is made by giving the home's reserve back. Once a write fails the
//! journal takes nothing more until the node is started again: a disk that has once lied about an
//! fsync may have dropped the data.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::mem;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use fairshare_protocol::control::journal::Verified;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::journal::{Act, Chain};
use fairshare_protocol::time::Timestamp;
use tokio::sync::watch;

use crate::home::reserve::{Reserve, Room};

mod check;
mod error;
mod file;
mod lately;
#[cfg(test)]
mod tests;
mod writer;

use check::{ENTRY, HEAD, Heads, Survey};
pub use check::{Entries, read, verify};
pub use error::Error;
use lately::Peers;
pub use lately::{Lately, over_cap};
use writer::{MARK_EVERY, Progress, Shared, State};

/// Name of the entries' file.
const ENTRIES: &str = "entries";
/// Name of the heads' file.
const HEADS: &str = "heads";
/// Appending waits while this much is not yet written, in bytes.
const MAX_PENDING: usize = 8 * 1024 * 1024;

/// One node's journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// An appended entry's place in the chain. The entry is durable only after [`Journal::durable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing that depends on an entry may be sent before the entry is durable"]
pub struct Receipt {
    /// Number of the entry.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

/// What opening a journal found.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The check of everything in it.
    pub verified: Verified,
    /// Bytes of an entry a crash had cut short, dropped now. Nothing depended on it.
    pub dropped: u64,
}

impl Journal {
    /// Opens the journal in `dir`, or creates it. Checks all of it; drops a last entry that a crash
    /// cut short, and says so in a warning. `member` and `key` sign the heads.
    ///
    /// # Errors
    /// If the files cannot be read or written, or anything in them is not as it was written.
    pub fn open(dir: &Path, member: OdsCode, key: KeyPair) -> Result<(Self, Opened), Error> {
        let io = |source| Error::Io {
            path: dir.to_owned(),
            source,
        };
        if !dir.try_exists().map_err(io)? {
            DirBuilder::new().mode(0o700).create(dir).map_err(io)?;
        }
        let entries_path = dir.join(ENTRIES);
        let heads_path = dir.join(HEADS);
        let file = ENTRY.open(&entries_path)?;
        if file.metadata().map_err(io)?.len() > file::HEADER {
            // Entries without their heads: somebody took them away. They are not made anew.
            heads_path.metadata().map_err(|source| Error::Io {
                path: heads_path.clone(),
                source,
            })?;
        }
        let heads_file = HEAD.open(&heads_path)?;

        let heads = Heads::read(&heads_path)?;
        let mut survey = Survey::new(&heads);
        let mut reading = Entries::open(&entries_path)?;
        let mut marks = vec![reading.mark()];
        let mut peers = Peers::default();
        while let Some(entry) = reading.step()? {
            survey.take(&entry, &reading.chain)?;
            peers.take(&entry);
            if entry.number.is_multiple_of(MARK_EVERY) {
                marks.push(reading.mark());
            }
        }
        let unsigned = mem::take(&mut survey.unsigned);
        let day = survey.day;
        let end = reading.mark();
        let verified = survey.finish(&reading, Some(&key.public()))?;
        drop_tail(&file, &entries_path, end.at, reading.torn())?;
        drop_tail(&heads_file, &heads_path, heads.length, heads.torn)?;

        let mut state = State {
            member,
            key,
            node: verified.node,
            chain: end.chain,
            day,
            signed: heads.heads.last().map_or(0, |(head, _)| head.number),
            entries: Vec::new(),
            heads: Vec::new(),
            length: end.at,
            marks,
            peers,
            closing: false,
        };
        for (day, number, hash) in unsigned {
            state.sign_head(day, number, hash);
        }
        let opened = Opened {
            dropped: reading.torn(),
            verified,
        };
        let journal = Self::start(dir, state, file, heads_file)?;
        Ok((journal, opened))
    }

    fn start(dir: &Path, state: State, entries: File, heads: File) -> Result<Self, Error> {
        let progress = Progress {
            durable: state.chain.next - 1,
            failed: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            progress: watch::Sender::new(progress),
            reserve: Room::default(),
        });
        let writing = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writing.write_all(entries, heads))
            .map_err(|source| Error::Io {
                path: dir.to_owned(),
                source,
            })?;
        Ok(Self {
            dir: dir.to_owned(),
            shared,
            writer: Some(writer),
        })
    }

    /// Gives the journal a reserve to give back when the disk is full; it keeps the first.
    pub fn keep_room(&self, reserve: Arc<Reserve>) {
        // There is one reserve to a home.
        let _ = self.shared.reserve.set(reserve);
    }

    /// Appends an entry. It is in the chain at once and on disk soon; wait for [`Self::durable`] or
    /// [`Self::commit`] before sending anything that depends on it. Blocks only while 8 MiB wait to
    /// be written.
    ///
    /// # Errors
    /// If the entry is too large, or the journal could not be written before.
    pub fn append(&self, act: Act, now: Timestamp) -> Result<Receipt, Error> {
        let mut state = self.shared.lock();
        while state.entries.len() > MAX_PENDING {
            self.check_failed()?;
            state = self
                .shared
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.check_failed()?;
        let receipt = state.append(act, now)?;
        drop(state);
        self.shared.work.notify_one();
        Ok(receipt)
    }

    /// Waits until the entry is durable: written and fsynced.
    ///
    /// # Errors
    /// If it could not be written. Then nothing that depends on it may be sent.
    pub async fn durable(&self, receipt: Receipt) -> Result<(), Error> {
        let mut progress = self.shared.progress.subscribe();
        let settled = progress
            .wait_for(|now| now.durable >= receipt.number || now.failed.is_some())
            .await;
        // The sender lives as long as `self`.
        settled.map_or_else(|_| Err(Error::closed()), |now| now.holds(receipt))
    }

    /// Like [`Self::durable`], for threads that may block.
    ///
    /// # Errors
    /// As [`Self::durable`].
    pub fn commit(&self, receipt: Receipt) -> Result<(), Error> {
        let mut state = self.shared.lock();
        loop {
            let progress = self.shared.progress.borrow().clone();
            if progress.durable >= receipt.number || progress.failed.is_some() {
                return progress.holds(receipt);
            }
            state = self
                .shared
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where the chain stands, entries not yet durable included.
    pub fn chain(&self) -> Chain {
        self.shared.lock().chain.clone()
    }

    /// What its entries say of each peer: the last exchange, the last errors.
    pub fn lately(&self) -> BTreeMap<OdsCode, Lately> {
        self.shared.lock().peers.all()
    }

    /// Why the journal takes no more entries, if it does not.
    pub fn failed(&self) -> Option<Error> {
        self.check_failed().err()
    }

    /// The directory the journal is in, for [`verify`].
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the durable entries from number `from` on, checking each against the one before.
    ///
    /// # Errors
    /// If the file cannot be read. Each item can fail likewise, or by being damaged.
    pub fn entries(&self, from: u64) -> Result<Entries, Error> {
        let mut entries = Entries::open(&self.dir.join(ENTRIES))?;
        let block = usize::try_from(from.saturating_sub(1) / MARK_EVERY).unwrap_or(usize::MAX);
        let until = self.shared.progress.borrow().durable;
        let mark = {
            let marks = &self.shared.lock().marks;
            marks.get(block).or(marks.last()).cloned()
        };
        entries.until = until;
        entries.from = from;
        // Past the end there is nothing to read, and the last mark may not be on disk yet.
        if let Some(mark) = mark.filter(|mark| mark.chain.next <= until) {
            entries.seek(&mark)?;
        } else {
            entries.until = 0;
        }
        Ok(entries)
    }

    fn check_failed(&self) -> Result<(), Error> {
        match &self.shared.progress.borrow().failed {
            Some(why) => Err(Error::Write {
                why: Arc::clone(why),
            }),
            None => Ok(()),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(writer) = self.writer.take() {
            // It ends by itself and has told everybody already if it failed.
            let _ = writer.join();
        }
    }
}

fn drop_tail(file: &File, path: &Path, good: u64, torn: u64) -> Result<(), Error> {
    if torn == 0 {
        return Ok(());
    }
    tracing::warn!(
        path = %path.display(),
        bytes = torn,
        "dropped the last write of the journal, which was cut short: by a crash, in which case nothing \
         depended on it, or by somebody"
    );
    file.set_len(good)
        .and_then(|()| file.sync_all())
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}
