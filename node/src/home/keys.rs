//! The keys a running node needs: node key, seal key, store key; each in a file of its own.
//!
//! A key file is one line: `fairshare <which> key v1 <64 hexadecimal digits>`, mode 0600. The
//! organisation key is not among them: see `home/organisation.rs`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fairshare_protocol::crypto::seal::{SealSecret, SecretKey};
use fairshare_protocol::crypto::sign::KeyPair;
use zeroize::Zeroizing;

/// The keys of one node.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs for the node, and is its name on the network.
    pub node: KeyPair,
    /// Opens what is sealed to the node.
    pub seal: Arc<SealSecret>,
    /// Seals the store.
    pub store: SecretKey,
}

impl Keys {
    /// Fresh keys.
    pub fn generate() -> Self {
        let rng = &mut rand::rng();
        Self {
            node: KeyPair::generate(rng),
            seal: Arc::new(SealSecret::generate(rng)),
            store: SecretKey::generate(rng),
        }
    }

    /// Writes them into `dir`, where there must be none yet.
    ///
    /// # Errors
    /// If a file is there already or cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        write(&dir.join("node.key"), "node", &self.node.seed())?;
        write(&dir.join("seal.key"), "seal", self.seal.seed())?;
        write(&dir.join("store.key"), "store", self.store.expose())
    }

    /// Reads them from `dir`.
    ///
    /// # Errors
    /// If one is missing or is no such key.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            node: KeyPair::from_seed(&*read(&dir.join("node.key"), "node")?),
            seal: Arc::new(SealSecret::from_seed(&*read(
                &dir.join("seal.key"),
                "seal",
            )?)),
            store: SecretKey::new(*read(&dir.join("store.key"), "store")?),
        })
    }
}

/// Writes one key file, durably, never over another.
///
/// # Errors
/// If there is a file already, or it cannot be written.
pub fn write(path: &Path, which: &str, key: &[u8; 32]) -> Result<(), Error> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key));
    let line = Zeroizing::new(format!("fairshare {which} key v1 {}\n", *hex));
    write_line(path, &line).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// Writes the one line of a key file, durably, never over another.
pub(super) fn write_line(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Reads one key file.
///
/// # Errors
/// If it cannot be read or is no such key.
pub fn read(path: &Path, which: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let bad = || Error::Bad {
        path: path.to_owned(),
        which: which.to_owned(),
    };
    let hex = text
        .trim_end()
        .strip_prefix(&format!("fairshare {which} key v1 "))
        .ok_or_else(bad)?;
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes());
    let bytes = Zeroizing::new(bytes.map_err(|_| bad())?);
    Ok(Zeroizing::new(
        bytes.as_slice().try_into().map_err(|_| bad())?,
    ))
}

/// Why a key was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a key file of that sort.
    #[error("{} is not a {which} key; restore it from the backup of this node", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What was expected.
        which: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}; restore it from the backup, or check who owns it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_are_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::generate();
        keys.write(dir.path()).unwrap();
        let again = Keys::read(dir.path()).unwrap();
        assert_eq!(again.node.public(), keys.node.public());
        assert_eq!(again.seal.public(), keys.seal.public());
        assert!(again.store == keys.store);
        assert!(keys.write(dir.path()).is_err());
        let swapped = read(&dir.path().join("node.key"), "store").unwrap_err();
        assert!(swapped.to_string().contains("is not a store key"));
    }
}
