//! Room kept for when the disk is full (promises, 9): a file in the home that takes space and holds
//! nothing. When little else is left it is given back, so that what care needs can still be written.
//!
//! What is written for one person's care, an emergency above all, is small: entries of the journal,
//! statements, the answer that is remembered, the review. Neither journal nor store live through a
//! write that fails for want of room, so the reserve is given back *before* one does: when less
//! than half of it is left besides, looked at before each write of the journal, each commit of the
//! store, and every few seconds.
//!
//! | left on the disk | what goes on |
//! |---|---|
//! | the reserve, and half as much besides | everything |
//! | less | the reserve is given back; imports, matches and their upkeep wait |
//! | less than a quarter of the reserve, which is gone | no body is written any more: what a peer shows is not filed; peers are answered |
//! | nothing | nothing: the journal stops, and with it the node |
//!
//! **What it does not cover.** Other programs on the same disk may take what is given back: the
//! home belongs on a file system of its own. A bundle larger than what is left is not received. The
//! node's own log is not kept here. On a file system that compresses or copies on write, what is
//! allotted to a file may be less than its length.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fairshare_protocol::control::node::Reserve as Told;
use rand::Rng;

/// Bytes written at once where a file system cannot allot space to a file.
const FILL: usize = 256 * 1024;

/// How often it is looked at how much is left, whoever writes.
const EVERY: Duration = Duration::from_secs(5);

/// Where to find a reserve, for those who are made before it.
pub type Room = Arc<OnceLock<Arc<Reserve>>>;

/// The room kept for when the disk is full.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    size: u64,
    held: Mutex<bool>,
}

/// There is no room for what can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk is nearly full, and what can wait does; make room: `fairshare status` says how much is left"
)]
pub struct Full;

impl Reserve {
    /// The reserve of the home at `root`, of so many bytes, as it was left. Given back at once if
    /// there is no room for it: opening a store writes.
    pub fn open(root: &Path, size: u64) -> Self {
        let path = root.join("reserve");
        let there = fs::metadata(&path).is_ok_and(|found| found.len() == size);
        let reserve = Self {
            path,
            size,
            held: Mutex::new(there),
        };
        if !there {
            // Cut short, or of another size.
            let _ = fs::remove_file(&reserve.path);
        }
        reserve.ease();
        reserve
    }

    /// To be called before what must not fail is written: gives the reserve back if little is left.
    pub fn ease(&self) {
        if self.left() < self.size / 2 {
            self.release();
        }
    }

    /// Gives the reserve back; says whether it was held.
    pub fn release(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !*held {
            return false;
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, "the reserve could not be given back");
                return false;
            }
            _ => *held = false,
        }
        tracing::warn!(
            bytes = self.size,
            "the disk is nearly full: the reserve is given back, and what can wait waits"
        );
        true
    }

    /// Gives the reserve back if little is left; makes it anew if there is room for it again.
    pub fn tend(&self) {
        self.ease();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held || self.left() < self.size.saturating_mul(2) {
            return;
        }
        match self.make() {
            Ok(()) => *held = true,
            Err(error) => {
                let _ = fs::remove_file(&self.path);
                tracing::warn!(%error, "the reserve for a full disk could not be made");
            }
        }
    }

    fn make(&self) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        let mut new = OpenOptions::new();
        let new = new.write(true).create(true).truncate(true).mode(0o600);
        let mut file = new.open(&draft)?;
        let flags = rustix::fs::FallocateFlags::empty();
        if rustix::fs::fallocate(&file, flags, 0, self.size).is_err() {
            fill(&mut file, self.size)?;
        }
        file.sync_all()?;
        fs::rename(&draft, &self.path)
    }

    /// Whether there is room for what can wait: imports, matches, the bulk lane.
    ///
    /// # Errors
    /// If there is not.
    pub fn spare(&self) -> Result<(), Full> {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if (held || self.size == 0) && self.left() >= self.size / 2 {
            return Ok(());
        }
        // Room may have come back since it was last looked at.
        self.tend();
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held && self.left() >= self.size / 2)
            .then_some(())
            .ok_or(Full)
    }

    /// Whether there is room for a body: the rest is for journal and store.
    ///
    /// # Errors
    /// If there is not.
    pub fn body(&self) -> Result<(), Full> {
        self.ease();
        (self.left() >= self.size / 4).then_some(()).ok_or(Full)
    }

    /// How it is, for operators.
    pub fn told(&self) -> Told {
        Told {
            size: self.size,
            held: *self.held.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Bytes left on the disk. Where nobody can tell, there is enough.
    fn left(&self) -> u64 {
        let dir = self.path.parent().unwrap_or(&self.path);
        rustix::fs::statvfs(dir).map_or(u64::MAX, |found| found.f_bavail * found.f_frsize)
    }
}

/// Looks after the reserve until the task is dropped.
pub async fn keep(reserve: Arc<Reserve>) {
    loop {
        reserve.tend();
        tokio::time::sleep(EVERY).await;
    }
}

/// Bytes that do not compress.
fn fill(file: &mut File, size: u64) -> io::Result<()> {
    let mut block = vec![0; FILL];
    let mut left = size;
    while left > 0 {
        rand::rng().fill_bytes(&mut block);
        let some = FILL.min(usize::try_from(left).unwrap_or(FILL));
        file.write_all(&block[..some])?;
        left -= some as u64;
    }
    Ok(())
}

/// Whether an error says that the disk is full, or that no more of it is granted.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

impl From<Full> for io::Error {
    fn from(full: Full) -> Self {
        Self::new(io::ErrorKind::StorageFull, full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_takes_space_is_given_back_once_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let size = 1024 * 1024;
        let reserve = Reserve::open(dir.path(), size);
        assert!(!reserve.told().held);
        reserve.tend();
        assert!(reserve.told().held);
        let path = dir.path().join("reserve");
        let blocks = || {
            use std::os::unix::fs::MetadataExt as _;
            fs::metadata(&path).map_or(0, |found| found.blocks() * 512)
        };
        assert!(blocks() >= size, "{}", blocks());
        assert_eq!((reserve.spare(), reserve.body()), (Ok(()), Ok(())));
        // Another process that opens the home finds it.
        assert!(Reserve::open(dir.path(), size).told().held);
        assert!(reserve.release());
        assert!(!reserve.release());
        assert_eq!(blocks(), 0);
        reserve.tend();
        assert!(reserve.told().held);
        // One of another size is another's.
        assert!(!Reserve::open(dir.path(), size / 2).told().held);
        assert_eq!(blocks(), 0);
    }

    #[test]
    fn with_no_room_for_it_there_is_none_and_what_can_wait_waits() {
        let dir = tempfile::tempdir().unwrap();
        // More than any disk of today has.
        let reserve = Reserve::open(dir.path(), 1 << 60);
        reserve.tend();
        assert!(!reserve.told().held);
        assert_eq!((reserve.spare(), reserve.body()), (Err(Full), Err(Full)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_system_that_allots_nothing_is_written_full() {
        let mut file = tempfile::tempfile().unwrap();
        fill(&mut file, FILL as u64 + 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), FILL as u64 + 5);
        let full = io::Error::from(Full);
        assert!(is_full(&full) && is_full(&io::Error::from(rustix::io::Errno::NOSPC)));
        assert!(!is_full(&io::Error::other("x")));
    }
}
