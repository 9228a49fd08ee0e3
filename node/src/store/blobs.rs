//! Encrypted bodies in files of their own: large records, attachments, received bundles.
//!
//! A blob is a file of sealed chunks under a key of its own ([`Key`]), which whoever refers to the
//! blob keeps in a table: deleting that key erases the blob wherever copies of the file may lie.
//! Files have random names that tell nothing. A blob is written under a temporary name, fsynced,
//! renamed, and the directory fsynced: after [`Writer::finish`] it is there for good, before it
//! there is nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use fairshare_protocol::crypto::stream::{Opener, Sealer, StreamKey, TAG};
use fairshare_protocol::ids::Hash;
use fairshare_protocol::limits::BUNDLE_CHUNK;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::sync_dir;
use crate::home::reserve::Room;

pub mod behind;
pub mod pack;
pub mod pages;
pub mod spool;

/// First bytes of every blob: magic and version.
const MAGIC: &[u8; 8] = b"FSBLOB\0\x01";
const CHUNK: usize = BUNDLE_CHUNK;
/// So many bytes of a blob go to the disk together.
const LOOSE: usize = 32 * 1024 * 1024;

/// Where a blob lies and how it opens. Whoever loses it has lost the blob.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    name: [u8; 16],
    key: StreamKey,
    /// Plaintext bytes.
    pub length: u64,
}

impl Key {
    /// The name of the file, which opens nothing.
    pub(super) const fn name(&self) -> [u8; 16] {
        self.name
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blob of {} bytes", self.length)
    }
}

/// The directory of blobs.
pub struct Blobs {
    dir: PathBuf,
    reserve: Room,
}

impl Blobs {
    /// Opens or creates the directory; leftovers of unfinished blobs are removed. While little more
    /// is left on the disk than the reserve, no blob is written.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(dir: &Path, reserve: Room) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "part") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            dir: dir.into(),
            reserve,
        })
    }

    fn path(&self, name: &[u8; 16]) -> PathBuf {
        self.dir.join(data_encoding::HEXLOWER.encode(name))
    }

    /// Starts a new blob.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn create(&self) -> io::Result<Writer> {
        let mut name = [0; 16];
        rand::rng().fill_bytes(&mut name);
        let key = StreamKey::generate(&mut rand::rng());
        let part = self.path(&name).with_extension("part");
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        let mut out = BufWriter::with_capacity(CHUNK + TAG, file);
        out.write_all(MAGIC)?;
        Ok(Writer {
            sealer: Sealer::new(&key, context(&name)),
            out,
            part,
            dir: self.dir.clone(),
            reserve: Arc::clone(&self.reserve),
            key: Key {
                name,
                key,
                length: 0,
            },
            chunk: Vec::with_capacity(CHUNK + TAG),
            loose: 0,
            syncing: None,
        })
    }

    /// Reads a blob from its beginning.
    ///
    /// # Errors
    /// If it is not there or not a blob.
    pub fn open_blob(&self, key: &Key) -> io::Result<Reader> {
        let mut file = BufReader::with_capacity(CHUNK + TAG, File::open(self.path(&key.name))?);
        let mut magic = [0; 8];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        Ok(Reader {
            file,
            opener: Opener::new(&key.key, context(&key.name)),
            left: key.length,
            chunk: Vec::new(),
            at: 0,
            ended: false,
        })
    }

    /// The whole of a blob that is known to be small.
    ///
    /// # Errors
    /// If it is not there, damaged, or longer than `limit`.
    pub fn read(&self, key: &Key, limit: u64) -> io::Result<Vec<u8>> {
        if key.length > limit {
            return Err(io::Error::other("the blob is longer than expected"));
        }
        let mut bytes = Vec::new();
        self.open_blob(key)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Removes a blob; removing one that is gone is no error.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn remove(&self, key: &Key) -> io::Result<()> {
        self.remove_named(&key.name)
    }

    pub(super) fn remove_named(&self, name: &[u8; 16]) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn context(name: &[u8; 16]) -> Hash {
    let mut context = [0; 32];
    context[..16].copy_from_slice(name);
    Hash::new(context)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the blob is damaged")
}

/// Writes one blob. Dropped before [`Writer::finish`], it leaves nothing.
pub struct Writer {
    sealer: Sealer,
    out: BufWriter<File>,
    part: PathBuf,
    dir: PathBuf,
    reserve: Room,
    key: Key,
    chunk: Vec<u8>,
    /// Bytes that are not on their way to the disk yet.
    loose: usize,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// What is written of a large blob goes to the disk meanwhile, so that little is left to wait for
    /// at its end.
    fn sync_some(&mut self) -> io::Result<()> {
        let done = self.syncing.as_ref().is_none_or(JoinHandle::is_finished);
        if self.loose < LOOSE || !done {
            return Ok(());
        }
        self.loose = 0;
        self.synced()?;
        let file = self.out.get_ref().try_clone()?;
        self.syncing = Some(std::thread::spawn(move || file.sync_data()));
        Ok(())
    }

    /// What went to the disk meanwhile is there.
    fn synced(&mut self) -> io::Result<()> {
        match self.syncing.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(synced)) => synced,
            Some(Err(_)) => Err(io::Error::other("a thread that syncs a blob panicked")),
        }
    }

    fn seal_chunk(&mut self, last: bool) -> io::Result<()> {
        if let Some(reserve) = self.reserve.get() {
            reserve.body()?;
        }
        self.sealer.seal(&mut self.chunk, last);
        self.out.write_all(&self.chunk)?;
        self.loose += self.chunk.len();
        self.chunk.clear();
        self.sync_some()
    }

    /// Writes a piece. One that is a whole chunk, and comes in its place, is not copied.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn push(&mut self, piece: Vec<u8>) -> io::Result<()> {
        let full = self.chunk.len() == CHUNK;
        if !full && (!self.chunk.is_empty() || piece.len() != CHUNK) {
            return self.write_all(&piece);
        }
        if full {
            self.seal_chunk(false)?;
        }
        if piece.len() != CHUNK {
            return self.write_all(&piece);
        }
        self.key.length += piece.len() as u64;
        self.chunk = piece;
        Ok(())
    }

    /// How the blob will be found once it is finished, if nothing more is written: so that a table
    /// may know of it before it is there, and no crash leaves a blob nobody knows of.
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// Makes the blob durable and tells how to find it again.
    ///
    /// # Errors
    /// If the disk fails; then there is no blob.
    pub fn finish(mut self) -> io::Result<Key> {
        self.seal_chunk(true)?;
        self.out.flush()?;
        // An error is told once only, to whoever asks first.
        self.synced()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.part, self.part.with_extension(""))?;
        sync_dir(&self.dir)?;
        Ok(self.key.clone())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is sealed only when more follows: the last one must be marked.
        if self.chunk.len() == CHUNK {
            self.seal_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        self.key.length += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` the temporary name is gone; otherwise this is what cleans up.
        let _ = fs::remove_file(&self.part);
    }
}

/// Reads one blob; fails where its file was changed or cut off.
pub struct Reader {
    file: BufReader<File>,
    opener: Opener,
    left: u64,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            let plain = self.left.min(CHUNK as u64);
            self.left -= plain;
            self.ended = self.left == 0;
            // At most a chunk, so it fits a usize.
            #[allow(clippy::cast_possible_truncation, reason = "bounded by CHUNK")]
            self.chunk.resize(plain as usize + TAG, 0);
            self.file.read_exact(&mut self.chunk)?;
            self.opener
                .open(&mut self.chunk, self.ended)
                .map_err(|_| damaged())?;
            self.at = 0;
        }
        let given = into.len().min(self.chunk.len() - self.at);
        into[..given].copy_from_slice(&self.chunk[self.at..self.at + given]);
        self.at += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_of_any_length_reads_back_and_an_unfinished_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), Room::default()).unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let body = vec![length as u8; length];
            let mut writer = blobs.create().unwrap();
            writer.write_all(&body).unwrap();
            let key = writer.finish().unwrap();
            assert_eq!(blobs.read(&key, u64::MAX).unwrap(), body, "{length}");
            assert!(blobs.read(&key, 0).is_ok() == (length == 0));
            blobs.remove(&key).unwrap();
            assert!(blobs.open_blob(&key).is_err());
        }
        let mut writer = blobs.create().unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_blob_does_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), Room::default()).unwrap();
        let mut writer = blobs.create().unwrap();
        writer.write_all(&vec![7; 2 * CHUNK]).unwrap();
        let key = writer.finish().unwrap();
        let path = blobs.path(&key.name);
        let whole = fs::read(&path).unwrap();
        for cut in [whole.len() - 1, whole.len() - CHUNK - TAG, 4] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(blobs.read(&key, u64::MAX).is_err(), "cut to {cut}");
        }
        let mut changed = whole;
        changed[CHUNK + 50] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(blobs.read(&key, u64::MAX).is_err());
    }
}
