//! Ciphertext of bundles that came ahead of their keys, one after the other in one file for each
//! round. It lies there as its sender sealed it: when the key comes nothing is written again, and
//! whoever forgets the key has erased the bundle.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use fairshare_protocol::crypto::stream::{StreamKey, TAG};
use fairshare_protocol::exchange::bundle::Manifest;
use fairshare_protocol::exchange::bundle::stream::{self, Opening, Unreadable};
use fairshare_protocol::ids::Hash;
use fairshare_protocol::limits::BUNDLE_CHUNK;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Blobs, damaged};
use crate::store::sync_dir;

/// First bytes of every spool: magic and version.
const MAGIC: &[u8; 8] = b"FSSPOOL\x01";
const HEAD: u64 = MAGIC.len() as u64;

/// The file of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolName([u8; 16]);

impl SpoolName {
    /// A spool that is not there yet.
    pub fn random() -> Self {
        let mut name = [0; 16];
        rand::rng().fill_bytes(&mut name);
        Self(name)
    }
}

/// Where in a spool a bundle lies, and how it opens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spooled {
    /// The spool.
    pub spool: SpoolName,
    /// Where it begins.
    pub offset: u64,
    /// Bytes of plaintext, padding included.
    pub size: u64,
    /// Its key.
    pub key: StreamKey,
    /// What its chunks are bound to.
    pub context: Hash,
}

impl std::fmt::Debug for Spooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bundle of {} bytes in a spool", self.size)
    }
}

/// Writes one spool.
pub struct Writer {
    file: File,
    end: u64,
}

impl Writer {
    /// What comes next begins here; what was here or beyond is gone.
    ///
    /// # Errors
    /// If the disk fails, or there is less than that.
    pub fn begin(&mut self, offset: u64) -> io::Result<()> {
        if offset > self.end {
            return Err(damaged());
        }
        if offset < self.end {
            self.file.set_len(HEAD + offset)?;
            self.end = offset;
        }
        Ok(())
    }

    /// Adds a chunk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn add(&mut self, sealed: &[u8]) -> io::Result<()> {
        self.file.write_all_at(sealed, HEAD + self.end)?;
        self.end += sealed.len() as u64;
        Ok(())
    }

    /// A handle by which what was added can be made durable, beside further writing.
    ///
    /// # Errors
    /// If the system has no more of them.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Blobs {
    /// Opens a spool to be written, or makes it.
    ///
    /// # Errors
    /// If its file cannot be made, or is none.
    pub fn open_spool(&self, spool: &SpoolName) -> io::Result<Writer> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.truncate(false).open(self.path(&spool.0))?;
        let length = file.metadata()?.len();
        if length < HEAD {
            file.write_all_at(MAGIC, 0)?;
            file.sync_all()?;
            sync_dir(&self.dir)?;
        }
        Ok(Writer {
            end: length.saturating_sub(HEAD),
            file,
        })
    }

    /// Reads the chunks that are there of a bundle, and says how many there are.
    ///
    /// # Errors
    /// If the file fails; that it is not there is none.
    pub fn spooled_chunks(
        &self,
        spool: &SpoolName,
        offset: u64,
        size: u64,
        mut with: impl FnMut(&[u8]),
    ) -> io::Result<u64> {
        let mut file = match File::open(self.path(&spool.0)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let end = file.metadata()?.len().saturating_sub(HEAD);
        file.seek(SeekFrom::Start(HEAD + offset))?;
        let mut left = end.saturating_sub(offset).min(stream::sealed(size));
        let mut chunk = vec![0; BUNDLE_CHUNK + TAG];
        let mut chunks = 0;
        // The last chunk of a bundle may be shorter; one that is cut short counts for nothing.
        while left >= chunk.len() as u64 || (left > 0 && offset + stream::sealed(size) == end) {
            let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            file.read_exact(&mut chunk[..length])?;
            with(&chunk[..length]);
            chunks += 1;
            left -= length as u64;
        }
        Ok(chunks)
    }

    /// Removes a spool. That it is not there is as good.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn remove_spool(&self, spool: &SpoolName) -> io::Result<()> {
        self.remove_named(&spool.0)
    }

    /// Reads a bundle in a spool from its beginning.
    ///
    /// # Errors
    /// If the spool is not there.
    pub fn open_spooled(&self, spooled: &Spooled) -> io::Result<Reader> {
        let file = File::open(self.path(&spooled.spool.0))?;
        let mut file = BufReader::with_capacity(BUNDLE_CHUNK + TAG, file);
        file.seek(SeekFrom::Start(HEAD + spooled.offset))?;
        Ok(Reader {
            file,
            opening: Opening::new(&spooled.key, spooled.context, spooled.size),
            chunk: Vec::new(),
            at: 0,
            bad: None,
        })
    }
}

/// Reads one bundle, and checks it whole as it passes.
pub struct Reader {
    file: BufReader<File>,
    opening: Opening,
    chunk: Vec<u8>,
    at: usize,
    bad: Option<Unreadable>,
}

impl Reader {
    /// The manifest of a bundle that is whole; what has not been read yet is.
    ///
    /// # Errors
    /// The outer if the disk fails, the inner if it is no bundle.
    pub fn finish(mut self) -> io::Result<Result<Manifest, Unreadable>> {
        while self.bad.is_none() && self.next()? {}
        Ok(match self.bad {
            Some(bad) => Err(bad),
            None => self.opening.finish(),
        })
    }

    /// Opens the next chunk; says whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        let wanted = self.opening.wanted();
        self.chunk.resize(wanted, 0);
        self.at = 0;
        if wanted == 0 {
            return Ok(false);
        }
        self.file.read_exact(&mut self.chunk)?;
        if let Err(bad) = self.opening.open(&mut self.chunk) {
            self.bad = Some(bad);
            self.chunk.clear();
        }
        Ok(true)
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && (self.bad.is_some() || !self.next()?) {
            return match self.bad {
                Some(_) => Err(damaged()),
                None => Ok(0),
            };
        }
        if self.bad.is_some() {
            return Err(damaged());
        }
        let given = into.len().min(self.chunk.len() - self.at);
        into[..given].copy_from_slice(&self.chunk[self.at..self.at + given]);
        self.at += given;
        Ok(given)
    }
}
