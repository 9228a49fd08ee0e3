//! The store: sled behind one door, everything in it sealed, durable only when fsynced.
//!
//! Values are sealed under the store key, which lives outside the store; the place of a value (its
//! table and key) is authenticated with it, so values cannot be moved about. Keys never hold a
//! local id or an identifier: they are keyed hashes made by [`Store::name`].
//!
//! **Durable.** sled's `flush` does not fsync on Linux: a power cut then loses acknowledged keys
//! and leaves stores that do not open. [`Store::commit`] flushes *and* fsyncs sled's file; one
//! thread does it for everybody who waits, so that many commits share one fsync. Nothing that
//! depends on a write may leave the node before its commit returned.
//!
//! **Opened after any kill.** sled takes two of its own unfinished files for damage and would never
//! open again: `clear_unfinished` removes them first.
//!
//! Large bodies live outside sled, in [`blobs`], because sled never shrinks its file.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use fairshare_protocol::crypto::seal::SecretKey;
use tokio::sync::oneshot;

use self::blobs::Blobs;
pub use self::table::{Batch, Table};
use crate::home::reserve::{Reserve, Room};

pub mod blobs;
pub mod exchanges;
pub mod index;
pub mod ledger;
pub mod notices;
pub mod records;
pub mod reviews;
pub mod rounds;
pub mod stops;
mod table;
pub mod withheld;

/// The version of the layout of the tables; a store of another version is refused.
pub const VERSION: u32 = 4;
/// Memory sled may use for its cache, in bytes; its default is 1 GiB.
const CACHE: u64 = 64 * 1024 * 1024;
/// How long sled's threads may outlive a store that was closed.
const LINGERING: Duration = Duration::from_secs(2);
/// The longest value of a table, in bytes; larger things are blobs.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;

/// One node's store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: sled::Db,
    key: SecretKey,
    names: [u8; 32],
    blobs: Blobs,
    reserve: Room,
    commits: Option<mpsc::Sender<Waiter>>,
    committing: Option<JoinHandle<()>>,
}

/// Somebody who waits for a commit.
type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread ends when nobody can ask any more; only then is sled's own lock free.
        self.commits = None;
        if let Some(thread) = self.committing.take() {
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Opens or creates the store in `dir`, whose blobs lie in `blobs`.
    ///
    /// # Errors
    /// If the directory cannot be used, the store does not open, is of another version, or was
    /// sealed under another key.
    pub fn open(dir: &Path, blobs: &Path, key: SecretKey) -> Result<Self, Error> {
        prepare(dir)?;
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput)
            .open()?;
        let file = File::open(dir.join("db"))?;
        File::open(dir.join("conf"))?.sync_all()?;
        sync_dir(dir)?;
        if let Some(parent) = dir.parent() {
            sync_dir(parent)?;
        }
        let names = blake3::derive_key("fairshare v1 names in the store", key.expose());
        let (commits, waiting) = mpsc::channel();
        let flushed = db.clone();
        let reserve = Room::default();
        let room = Arc::clone(&reserve);
        let committing = thread::Builder::new()
            .name("store commit".into())
            .spawn(move || commit_for_all(&flushed, &file, &room, &waiting))?;
        let store = Self(Arc::new(Inner {
            db,
            key,
            names,
            blobs: Blobs::open(blobs, Arc::clone(&reserve))?,
            reserve,
            commits: Some(commits),
            committing: Some(committing),
        }));
        store.check_version()?;
        Ok(store)
    }

    fn check_version(&self) -> Result<(), Error> {
        let table = self.table("store")?;
        match table.load::<u32>(b"version") {
            Ok(Some(VERSION)) => Ok(()),
            Ok(Some(found)) => Err(Error::Version { found }),
            Ok(None) => {
                table.put(b"version", &VERSION)?;
                self.commit_now()
            }
            Err(Error::Sealed) => Err(Error::Key),
            Err(error) => Err(error),
        }
    }

    /// Gives the store a reserve to give back when the disk is full; it keeps the first.
    pub fn keep_room(&self, reserve: Arc<Reserve>) {
        // There is one reserve to a home.
        let _ = self.0.reserve.set(reserve);
    }

    /// The table of that name, made if it is not there yet.
    ///
    /// # Errors
    /// If sled fails.
    pub fn table(&self, name: &'static str) -> Result<Table, Error> {
        Ok(Table {
            tree: self.0.db.open_tree(name)?,
            name,
            store: self.clone(),
        })
    }

    /// Encrypted bodies kept beside the tables.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// An opaque 16-byte name for something identifying, to be used in keys: keyed BLAKE3 over
    /// `kind` and `parts`, each with its length. The same at this node always, meaningless without
    /// its store key.
    pub fn name(&self, kind: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.names);
        for part in std::iter::once(&kind.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        name
    }

    /// Returns once everything written before the call is on disk.
    ///
    /// # Errors
    /// If the disk is full or fails; what was written may then be lost.
    pub async fn commit(&self) -> Result<(), Error> {
        let (done, told) = oneshot::channel();
        // A caller that no longer waits has been cancelled; the commit holds all the same.
        self.request(Box::new(move |result| drop(done.send(result))))?;
        told.await.map_err(|_| Error::Stopped)?
    }

    /// [`Store::commit`] for threads that are not tasks.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_now(&self) -> Result<(), Error> {
        let (done, told) = mpsc::sync_channel(1);
        self.request(Box::new(move |result| drop(done.send(result))))?;
        told.recv().map_err(|_| Error::Stopped)?
    }

    fn request(&self, waiter: Waiter) -> Result<(), Error> {
        let commits = self.0.commits.as_ref().ok_or(Error::Stopped)?;
        commits.send(waiter).map_err(|_| Error::Stopped)
    }
}

/// Waits for callers, takes all who wait, and commits once for them together.
fn commit_for_all(db: &sled::Db, file: &File, reserve: &Room, waiting: &mpsc::Receiver<Waiter>) {
    while let Ok(first) = waiting.recv() {
        let all: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        // sled takes nothing any more once a write of its own failed.
        if let Some(reserve) = reserve.get() {
            reserve.ease();
        }
        let failed = flush_and_sync(db, file).err().map(|e| e.to_string());
        for tell in all {
            tell(failed.clone().map_or(Ok(()), |why| Err(Error::Commit(why))));
        }
    }
}

fn flush_and_sync(db: &sled::Db, file: &File) -> Result<(), Error> {
    db.flush()?;
    file.sync_all()?;
    Ok(())
}

/// Waits until nobody has sled's file locked, then clears what a killed process left. Other
/// processes are kept out by the lock of the home; but sled's own threads may hold theirs a moment
/// after this process closed the store, and the next question to the same home would find it taken.
/// Who still has it after [`LINGERING`] is another store, as sled then says.
fn prepare(dir: &Path) -> io::Result<()> {
    let file = match File::open(dir.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return clear_unfinished(dir, true);
        }
        file => file?,
    };
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LINGERING => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Ok(()),
            // Closing the file gives the lock up again.
            Ok(()) => return clear_unfinished(dir, file.metadata()?.len() == 0),
        }
    }
}

/// Removes what sled 0.34.7 was killed in the middle of writing, which it would take for damage
/// (`Corruption { at: None }`): a snapshot under its temporary name, which sled counts among the
/// finished ones though the one before it and the log still hold everything; and, of a store with
/// nothing in it yet, the settings, which it writes in place.
fn clear_unfinished(dir: &Path, empty: bool) -> io::Result<()> {
    let files = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let (path, name) = file.map(|file| (file.path(), file.file_name()))?;
        let name = name.to_string_lossy();
        let unfinished = name.starts_with("snap.") && name.ends_with(".generating");
        if unfinished || (empty && name == "conf") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes names created in or removed from `dir` durable.
///
/// # Errors
/// If the directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Why the store did not do as told. The operator, or the disk, is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// sled failed.
    #[error("the store failed: {0}")]
    Sled(#[from] sled::Error),
    /// The file system failed.
    #[error("the store's files failed: {0}")]
    Io(#[from] io::Error),
    /// A commit failed.
    #[error("nothing could be made durable: {0}; is the disk full?")]
    Commit(String),
    /// The commit thread is gone.
    #[error("the store has stopped")]
    Stopped,
    /// Written by another version.
    #[error(
        "the store has layout {found}, this program knows layout {VERSION}; use the version of fairshare that wrote it"
    )]
    Version {
        /// The layout found.
        found: u32,
    },
    /// Another store key.
    #[error(
        "the store was sealed under another store key; restore keys/store.key from the backup of this store"
    )]
    Key,
    /// A value does not open: a changed file.
    #[error(
        "a value in the store does not open: its file was changed or damaged; restore from backup"
    )]
    Sealed,
    /// What was to be kept belongs to a match that is no longer the newest.
    #[error("a newer match has taken the place of the one this is about; match again")]
    Superseded,
    /// A value is not what its table holds.
    #[error("a value in table `{table}` is not of its type")]
    Shape {
        /// The table.
        table: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, key: u8) -> Result<Store, Error> {
        Store::open(
            &dir.join("store"),
            &dir.join("blobs"),
            SecretKey::new([key; 32]),
        )
    }

    #[test]
    fn what_was_committed_is_there_after_reopening_and_only_under_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("people").unwrap();
        table.put(b"a", &"Ada").unwrap();
        assert!(table.put_new(b"b", &"Bob").unwrap());
        assert!(!table.put_new(b"b", &"Eve").unwrap());
        store.commit_now().unwrap();
        drop((table, store));
        assert!(matches!(open(dir.path(), 2), Err(Error::Key)));
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("people").unwrap();
        let all: Vec<(Vec<u8>, String)> = table.scan(b"").map(Result::unwrap).collect();
        assert_eq!(
            all,
            [(b"a".to_vec(), "Ada".into()), (b"b".to_vec(), "Bob".into())]
        );
    }

    #[test]
    fn a_lock_that_lingers_is_waited_for_and_a_store_that_is_open_is_not_opened_twice() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), 1).unwrap());
        let lingering = File::open(dir.path().join("store").join("db")).unwrap();
        lingering.lock().unwrap();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(lingering);
        });
        let store = open(dir.path(), 1).unwrap();
        thread.join().unwrap();
        assert!(matches!(open(dir.path(), 1), Err(Error::Sled(_))));
        drop(store);
    }

    #[test]
    fn a_store_opens_whatever_part_of_a_snapshot_a_killed_process_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("people").unwrap();
        table.put(b"a", &"Ada").unwrap();
        store.commit_now().unwrap();
        drop((table, store));
        // Opened once more, so that there is a whole snapshot to take a part of.
        drop(open(dir.path(), 1).unwrap());
        let files = fs::read_dir(dir.path().join("store")).unwrap();
        let whole = files
            .map(|file| file.unwrap().path())
            .find(|path| path.to_string_lossy().contains("snap."))
            .unwrap();
        let bytes = fs::read(&whole).unwrap();
        for length in 0..=bytes.len() {
            let part = dir.path().join("store/snap.00FFFFFFFFFFFFFF.generating");
            fs::write(&part, &bytes[..length]).unwrap();
            let store = open(dir.path(), 1).unwrap();
            let table = store.table("people").unwrap();
            assert_eq!(table.load::<String>(b"a").unwrap().unwrap(), "Ada");
            assert!(!part.exists());
        }
    }

    #[test]
    fn a_store_opens_whatever_part_of_its_settings_a_killed_process_wrote() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), 1).unwrap());
        let whole = fs::read(dir.path().join("store/conf")).unwrap();
        for length in 0..whole.len() {
            for started in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                fs::create_dir_all(dir.path().join("store/blobs")).unwrap();
                fs::write(dir.path().join("store/conf"), &whole[..length]).unwrap();
                if started {
                    fs::write(dir.path().join("store/db"), b"").unwrap();
                }
                open(dir.path(), 1).unwrap();
            }
        }
    }

    #[test]
    fn settings_damaged_in_a_store_with_something_in_it_are_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), 1).unwrap());
        let conf = dir.path().join("store/conf");
        let whole = fs::read(&conf).unwrap();
        fs::write(&conf, &whole[..whole.len() - 4]).unwrap();
        assert!(matches!(open(dir.path(), 1), Err(Error::Sled(_))));
    }

    #[test]
    fn a_value_moved_to_another_key_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("people").unwrap();
        table.put(b"a", &"Ada").unwrap();
        let sealed = table.tree.get(b"a").unwrap().unwrap();
        table.tree.insert(b"b", sealed).unwrap();
        assert!(matches!(table.load::<String>(b"b"), Err(Error::Sealed)));
    }

    #[test]
    fn nothing_written_can_be_read_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("people").unwrap();
        let name = store.name("person", &[b"999 000 1235"]);
        table.put(&name, "Witting, Catina 9990001235").unwrap();
        store.commit_now().unwrap();
        for file in fs::read_dir(dir.path().join("store")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let bytes = fs::read(&path).unwrap();
                for word in [&b"Witting"[..], b"9990001235", b"999 000"] {
                    assert!(!bytes.windows(word.len()).any(|w| w == word), "{path:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn many_commits_share_a_sync_and_all_hold() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), 1).unwrap();
        let table = store.table("numbers").unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..100_u32 {
            let (store, table) = (store.clone(), table.clone());
            tasks.spawn(async move {
                table.put(&n.to_be_bytes(), &n).unwrap();
                store.commit().await.unwrap();
            });
        }
        tasks.join_all().await;
        assert_eq!(table.count(), 100);
    }
}
