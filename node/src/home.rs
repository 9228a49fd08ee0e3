//! A node's home directory: one place, one owner, one process.
//!
//! ```text
//! config.toml     what the operator decides                       0600
//! offer.toml      what it shows and needs: a draft until published 0600
//! keys/           node.key, seal.key, store.key and, unless it    0700, files 0600
//!                 is kept elsewhere, organisation.key (sealed)
//! store/          records, links, openings, sealed under store.key
//! blobs/          encrypted bodies
//! journal/        the entries and their signed heads
//! reserve         takes space, given back when the disk is full   0600
//! control.sock    what operators talk to while the node runs      0600
//! lock            held by the process that has the home open
//! ```

pub mod keys;
pub mod organisation;
pub mod reserve;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;

/// A home this process has open, and no other.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    owner: u32,
    /// Unlocked when dropped.
    _lock: File,
}

impl Home {
    /// Where the home is: `given`, else `FAIRSHARE_HOME`, else `/var/lib/fairshare` for root and
    /// `~/.fairshare` for everybody else.
    ///
    /// # Errors
    /// If none of these says.
    pub fn place(given: Option<&Path>) -> Result<PathBuf, Error> {
        let environment = std::env::var_os("FAIRSHARE_HOME").filter(|home| !home.is_empty());
        if let Some(path) = given.map(Path::to_owned).or(environment.map(PathBuf::from)) {
            return Ok(path);
        }
        if user_number() == Some(0) {
            return Ok(PathBuf::from("/var/lib/fairshare"));
        }
        let user = std::env::var_os("HOME").filter(|home| !home.is_empty());
        user.map(|home| PathBuf::from(home).join(".fairshare"))
            .ok_or(Error::Nowhere)
    }

    /// Makes the directories of a new home, for this process alone. It becomes a node's home when
    /// its keys are there and, last, its config: [`Self::settle`]. What an interrupted creation
    /// left may be written over.
    ///
    /// # Errors
    /// If there is a node already, or nothing can be written there.
    pub fn create(root: &Path) -> Result<Self, Error> {
        for dir in [root.to_owned(), root.join("keys")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .map_err(|source| Error::Io { path: dir, source })?;
        }
        let lock = lock(root)?;
        if root.join("config.toml").exists() {
            return Err(Error::Exists {
                path: root.to_owned(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
            owner: check_private(&root.join("keys"))?,
            _lock: lock,
        })
    }

    /// Writes the config of a new home, durably. From now on it is a node's home.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn settle(&self, config: &Config) -> Result<(), Error> {
        let draft = self.root.join("config.toml.new");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(config.text().as_bytes())?;
            file.sync_all()?;
            File::open(self.keys())?.sync_all()?;
            fs::rename(&draft, self.config())?;
            File::open(&self.root)?.sync_all()
        };
        write().map_err(|source| Error::Io {
            path: self.config(),
            source,
        })
    }

    /// Opens a home for this process alone.
    ///
    /// # Errors
    /// If there is none, another process has it open, or others could read its keys.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let there = root.join("config.toml");
        if !there.try_exists().unwrap_or(false) {
            return Err(Error::None {
                path: root.to_owned(),
            });
        }
        let lock = lock(root)?;
        let owner = check_private(&root.join("keys"))?;
        for name in ["store", "blobs", "journal"] {
            // Before others make them, readable by others.
            let dir = root.join(name);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .map_err(|source| Error::Io { path: dir, source })?;
        }
        Ok(Self {
            root: root.to_owned(),
            owner,
            _lock: lock,
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The user who owns it, as a number of the operating system.
    pub const fn owner(&self) -> u32 {
        self.owner
    }

    /// The operator's decisions.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The offer as its lead edits it.
    pub fn offer(&self) -> PathBuf {
        self.root.join("offer.toml")
    }

    /// The directory of the keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The directory of the store.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The directory of encrypted bodies.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The directory of the journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The socket of the home at `root`, open or not.
    pub fn socket(root: &Path) -> PathBuf {
        root.join("control.sock")
    }
}

/// The number of the user this process runs as, where it can be told.
pub fn user_number() -> Option<u32> {
    // The owner of one's own /proc entry is oneself.
    fs::metadata("/proc/self").ok().map(|me| me.uid())
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let io = |source| Error::Io {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: root.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Refuses keys that anybody but their owner can read; gives the owner.
fn check_private(keys: &Path) -> Result<u32, Error> {
    let io = |source| Error::Io {
        path: keys.to_owned(),
        source,
    };
    let dir = fs::metadata(keys).map_err(io)?;
    for entry in fs::read_dir(keys).map_err(io)? {
        let entry = entry.map_err(io)?;
        let mode = entry.metadata().map_err(io)?.mode();
        if mode & 0o077 != 0 {
            return Err(Error::Readable {
                path: entry.path(),
                mode: mode & 0o777,
            });
        }
    }
    if dir.mode() & 0o077 != 0 {
        return Err(Error::Readable {
            path: keys.to_owned(),
            mode: dir.mode() & 0o777,
        });
    }
    Ok(dir.uid())
}

/// Why a home does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says where the home is.
    #[error("nothing says where the node's home is; give --home or set FAIRSHARE_HOME")]
    Nowhere,
    /// No home there.
    #[error("there is no node at {}; make one with `fairshare init`, or name another home with --home", path.display())]
    None {
        /// Where.
        path: PathBuf,
    },
    /// A home is there already.
    #[error("there is a node at {} already; choose another home with --home", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("another process has {} open; stop the node that runs there, or wait for the command that does", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// Others could read a key.
    #[error("{} can be read by others (mode {mode:o}); `chmod go= {}`, and change the key if it may have been read", path.display(), path.display())]
    Readable {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}; check that it belongs to the user the node runs as", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::tests::sample;

    #[test]
    fn a_home_is_made_once_and_opened_by_one_process() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("home");
        assert!(matches!(Home::open(&root), Err(Error::None { .. })));
        // Interrupted before it was settled: there is no node yet.
        drop(Home::create(&root).unwrap());
        assert!(matches!(Home::open(&root), Err(Error::None { .. })));
        let home = Home::create(&root).unwrap();
        home.settle(&sample()).unwrap();
        assert!(matches!(Home::open(&root), Err(Error::Locked { .. })));
        drop(home);
        assert!(matches!(Home::create(&root), Err(Error::Exists { .. })));
        let home = Home::open(&root).unwrap();
        assert_eq!(Config::read(&home.config()).unwrap(), sample());
        for (path, mode) in [(home.keys(), 0o700), (home.config(), 0o600)] {
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}", path.display());
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("home");
        Home::create(&root).unwrap().settle(&sample()).unwrap();
        let key = root.join("keys/node.key");
        fs::write(&key, "secret").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Home::open(&root).unwrap_err().to_string();
        assert!(error.contains("node.key can be read by others (mode 640); `chmod go= "));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        Home::open(&root).unwrap();
    }
}
