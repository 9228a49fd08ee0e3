//! Many small bodies in one file: sled takes three to four times the bytes of what it keeps.
//!
//! A pack is written once, from its beginning to its end, and read in any order. Each body is
//! sealed by itself under the pack's key, with its place in the file authenticated. Whoever creates
//! a pack makes its [`Key`] durable first, so that no crash leaves a pack nobody knows of.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use fairshare_protocol::crypto::seal::{SecretKey, open_value, seal_value};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Blobs, damaged};
use crate::store::sync_dir;

/// First bytes of every pack: magic and version.
const MAGIC: &[u8; 8] = b"FSPACK\0\x01";
/// Bytes written at once.
const BUFFER: usize = 256 * 1024;

/// Where a pack lies and how it opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    name: [u8; 16],
    key: SecretKey,
}

/// Where in a pack a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    offset: u64,
    /// Sealed bytes.
    length: u32,
}

impl Key {
    /// A key for a pack that is not there yet.
    pub fn new() -> Self {
        let mut name = [0; 16];
        rand::rng().fill_bytes(&mut name);
        let key = SecretKey::generate(&mut rand::rng());
        Self { name, key }
    }

    fn place(&self, offset: u64) -> [u8; 24] {
        let mut place = [0; 24];
        place[..16].copy_from_slice(&self.name);
        place[16..].copy_from_slice(&offset.to_le_bytes());
        place
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes one pack.
pub struct Writer {
    out: BufWriter<File>,
    key: Key,
    length: u64,
}

impl Writer {
    /// Adds a body; it can be read after the next [`Writer::sync`].
    ///
    /// # Errors
    /// If the disk fails, or the body is 4 GiB or more.
    pub fn add(&mut self, body: &[u8]) -> io::Result<Place> {
        let place = self.key.place(self.length);
        let sealed = seal_value(&self.key.key, &place, body, &mut rand::rng());
        let length =
            u32::try_from(sealed.len()).map_err(|_| io::Error::other("too large for a pack"))?;
        self.out.write_all(&sealed)?;
        let offset = self.length;
        self.length += u64::from(length);
        Ok(Place { offset, length })
    }

    /// Makes all that was added durable.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_data()
    }
}

impl Blobs {
    /// Starts the pack of that key.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn create_pack(&self, key: &Key) -> io::Result<Writer> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(&key.name))?;
        sync_dir(&self.dir)?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        out.write_all(MAGIC)?;
        Ok(Writer {
            out,
            key: key.clone(),
            length: MAGIC.len() as u64,
        })
    }

    /// One body of a pack.
    ///
    /// # Errors
    /// If the pack is not there, or damaged there.
    pub fn read_packed(&self, key: &Key, place: Place) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(&key.name))?;
        let mut sealed = vec![0; place.length as usize];
        file.read_exact_at(&mut sealed, place.offset)?;
        let opened = open_value(&key.key, &key.place(place.offset), &sealed);
        Ok(opened.map_err(|_| damaged())?.to_vec())
    }

    /// Removes a pack; removing one that is gone is no error.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn remove_pack(&self, key: &Key) -> io::Result<()> {
        self.remove_named(&key.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;

    use super::*;
    use crate::home::reserve::Room;

    #[test]
    fn bodies_are_read_in_any_order_and_only_from_their_own_place() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), Room::default()).unwrap();
        let key = Key::new();
        let mut writer = blobs.create_pack(&key).unwrap();
        let bodies = [&b"one"[..], b"", &[7; 100_000], b"two"];
        let places = bodies.map(|body| writer.add(body).unwrap());
        writer.sync().unwrap();
        for (body, place) in bodies.iter().zip(places).rev() {
            assert_eq!(blobs.read_packed(&key, place).unwrap(), *body);
        }
        let path = fs::read_dir(dir.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == [7; 8]), "sealed");
        // The first and the last are of one length: swapped, neither opens.
        let mut swapped = bytes;
        let ranges = [places[0], places[3]].map(|place| place.offset as usize..);
        let length = places[0].length as usize;
        let [first, last] = ranges.map(|range| range.start..range.start + length);
        let kept = swapped[first.clone()].to_vec();
        swapped.copy_within(last.clone(), first.start);
        swapped[last].copy_from_slice(&kept);
        fs::write(&path, swapped).unwrap();
        assert!(blobs.read_packed(&key, places[0]).is_err());
        assert!(blobs.read_packed(&key, places[3]).is_err());
        blobs.remove_pack(&key).unwrap();
        assert!(blobs.read_packed(&key, places[0]).is_err());
    }
}
