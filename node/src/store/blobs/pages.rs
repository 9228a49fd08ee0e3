//! Files of pages of one size, each sealed by itself: written and read in any order.
//!
//! They hold what is worked out in steps and may be worked out again, and tables that are looked
//! up in. A page that is missing, or was torn by a crash, reads as absent. Nothing is durable
//! before [`Blobs::sync_pages`].

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use fairshare_protocol::crypto::seal::{SecretKey, open_value, seal_value};
use rand::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Blobs;
use crate::store::sync_dir;

/// First bytes of every file of pages: magic and version.
const MAGIC: &[u8; 8] = b"FSPAGE\0\x01";
/// What a page takes on disk beside its bytes: its length, a nonce, a tag.
const BESIDE: u64 = 4 + 24 + 16;

/// Where a file of pages lies and how it opens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    name: [u8; 16],
    key: SecretKey,
    /// The most bytes of a page.
    page: u32,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pages of {} bytes", self.page)
    }
}

impl Key {
    /// A key for a file that is not there yet, whose pages have at most this many bytes.
    pub fn new(page: u32) -> Self {
        let mut name = [0; 16];
        rand::rng().fill_bytes(&mut name);
        let key = SecretKey::generate(&mut rand::rng());
        Self { name, key, page }
    }

    fn place(&self, number: u32) -> [u8; 20] {
        let mut place = [0; 20];
        place[..16].copy_from_slice(&self.name);
        place[16..].copy_from_slice(&number.to_le_bytes());
        place
    }

    fn offset(&self, number: u32) -> u64 {
        MAGIC.len() as u64 + u64::from(number) * (u64::from(self.page) + BESIDE)
    }
}

impl Blobs {
    /// Opens a file of pages; an empty one if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn pages(&self, key: &Key) -> io::Result<Pages> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path(&key.name))?;
        if file.metadata()?.len() == 0 {
            file.write_all(MAGIC)?;
        }
        Ok(Pages {
            file,
            key: key.clone(),
        })
    }

    /// Removes a file of pages; removing one that is gone is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_pages(&self, key: &Key) -> io::Result<()> {
        self.remove_named(&key.name)
    }

    /// Makes a file of pages durable.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync_pages(&self, pages: &Pages) -> io::Result<()> {
        pages.file.sync_all()?;
        sync_dir(&self.dir)
    }
}

/// One file of pages.
pub struct Pages {
    file: File,
    key: Key,
}

impl Pages {
    /// Writes a page.
    ///
    /// # Errors
    /// If the disk fails, or it is longer than a page.
    pub fn write(&self, number: u32, plain: &[u8]) -> io::Result<()> {
        if plain.len() > self.key.page as usize {
            return Err(io::Error::other("longer than a page"));
        }
        let place = self.key.place(number);
        let sealed = seal_value(&self.key.key, &place, plain, &mut rand::rng());
        // A page has fewer than 4 GiB.
        let length = (sealed.len() as u32).to_le_bytes();
        let slot = [&length[..], &sealed].concat();
        self.file.write_all_at(&slot, self.key.offset(number))
    }

    /// Whether a page was written; it may be torn all the same.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn is_written(&self, number: u32) -> io::Result<bool> {
        Ok(self.sealed_length(number)?.is_some_and(|length| length > 0))
    }

    fn sealed_length(&self, number: u32) -> io::Result<Option<u32>> {
        let mut length = [0; 4];
        let offset = self.key.offset(number);
        if !filled(self.file.read_exact_at(&mut length, offset))? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length);
        let fits = u64::from(length) + 4 <= u64::from(self.key.page) + BESIDE;
        Ok(fits.then_some(length))
    }

    /// Reads a page; none if it was not written whole.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn read(&self, number: u32) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let offset = self.key.offset(number);
        let Some(length) = self.sealed_length(number)? else {
            return Ok(None);
        };
        let mut sealed = vec![0; length as usize];
        if !filled(self.file.read_exact_at(&mut sealed, offset + 4))? {
            return Ok(None);
        }
        Ok(open_value(&self.key.key, &self.key.place(number), &sealed).ok())
    }
}

/// Whether all was there; a file that ends before is no error.
fn filled(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::reserve::Room;

    #[test]
    fn pages_read_back_in_any_order_and_torn_or_missing_ones_are_absent() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), Room::default()).unwrap();
        let key = Key::new(100);
        let pages = blobs.pages(&key).unwrap();
        for number in [3, 0] {
            pages.write(number, &[number as u8; 90]).unwrap();
        }
        assert!(pages.write(1, &[0; 101]).is_err());
        blobs.sync_pages(&pages).unwrap();
        drop(pages);
        let pages = blobs.pages(&key).unwrap();
        let read = |number| pages.read(number).unwrap().map(|page| page.to_vec());
        assert_eq!(read(3), Some(vec![3; 90]));
        assert_eq!(read(0), Some(vec![0; 90]));
        assert_eq!((read(1), read(2), read(4)), (None, None, None));
        // Torn: a bit is another, or the end is missing.
        let at = key.offset(3) + 50;
        pages.file.write_all_at(b"x", at).unwrap();
        assert_eq!(read(3), None);
        pages.file.set_len(key.offset(0) + 60).unwrap();
        assert_eq!(read(0), None);
        pages.write(0, b"again").unwrap();
        assert_eq!(read(0), Some(b"again".to_vec()));
        blobs.remove_pages(&key).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
