//! Append-only files of checked frames.
//!
//! A file starts with [`HEADER`] bytes: a magic of twelve and a version of four. Then frames:
//! `[length: u32 LE][!length: u32 LE][bytes][hash of bytes: 32]`. The length is written twice so
//! that a changed length is told from a write that was cut short: the first is damage, the second
//! is what a crash leaves and may be dropped, because nothing depended on it yet.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fairshare_protocol::crypto::hash;
use fairshare_protocol::ids::Hash;

use super::Error;

/// Bytes before the first frame.
pub(super) const HEADER: u64 = 16;
/// Bytes a frame has besides its content.
const AROUND: u64 = 4 + 4 + 32;
const VERSION: u32 = 1;

/// What a file holds: its magic, the label of its frames' hashes, and their largest content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) magic: [u8; 12],
    pub(super) label: &'static str,
    pub(super) max: usize,
}

impl Kind {
    /// The frame of these bytes.
    pub(super) fn frame(&self, bytes: &[u8]) -> Vec<u8> {
        debug_assert!(bytes.len() <= self.max, "callers check the length");
        // At most `max`, which fits in 32 bits for every kind there is.
        let length = bytes.len() as u32;
        let mut frame = Vec::with_capacity(bytes.len() + AROUND as usize);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&(!length).to_le_bytes());
        frame.extend_from_slice(bytes);
        frame.extend_from_slice(hash::parts(self.label, &[bytes]).as_bytes());
        frame
    }

    /// Opens the file for appending, or creates it (0600) with its header, durably.
    pub(super) fn open(&self, path: &Path) -> Result<File, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        // A header cut short is a creation cut short: nothing was ever written behind it.
        if file.metadata().map_err(io)?.len() < HEADER {
            file.set_len(0).map_err(io)?;
            file.write_all(&self.magic).map_err(io)?;
            file.write_all(&VERSION.to_le_bytes()).map_err(io)?;
            file.sync_all().map_err(io)?;
            sync_parents(path).map_err(io)?;
        }
        Ok(file)
    }
}

/// Makes the file's name durable: its directory, and that directory's name in turn.
fn sync_parents(path: &Path) -> io::Result<()> {
    for directory in path.ancestors().skip(1).take(2) {
        if !directory.as_os_str().is_empty() {
            File::open(directory)?.sync_all()?;
        }
    }
    Ok(())
}

/// Reads frames from the start or from a known offset, up to the length the file has when opened.
#[derive(Debug)]
pub(super) struct Frames {
    kind: Kind,
    path: PathBuf,
    from: BufReader<File>,
    at: u64,
    end: u64,
    torn: u64,
}

impl Frames {
    pub(super) fn open(kind: Kind, path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let end = file.metadata().map_err(io)?.size();
        let mut from = BufReader::with_capacity(256 * 1024, file);
        let mut header = [0; HEADER as usize];
        if end < HEADER {
            return Err(Error::NotAJournal {
                path: path.to_owned(),
            });
        }
        from.read_exact(&mut header).map_err(io)?;
        if header[..12] != kind.magic {
            return Err(Error::NotAJournal {
                path: path.to_owned(),
            });
        }
        let version = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        if version != VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                version,
            });
        }
        Ok(Self {
            kind,
            path: path.to_owned(),
            from,
            at: HEADER,
            end,
            torn: 0,
        })
    }

    /// Goes to a frame's known offset.
    pub(super) fn seek(&mut self, at: u64) -> Result<(), Error> {
        self.from
            .seek(SeekFrom::Start(at))
            .map_err(|e| self.io(e))?;
        self.at = at;
        Ok(())
    }

    /// Offset of the next frame; after the end, the length of what is good.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of a write that was cut short, found at the end.
    pub(super) const fn torn(&self) -> u64 {
        self.torn
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next frame's content; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Hash)>, Error> {
        let left = self.end - self.at;
        if left < 8 {
            self.torn = left;
            return Ok(None);
        }
        let length = self.word()?;
        let again = self.word()?;
        if length != !again || length as usize > self.kind.max {
            return self.torn_or_damaged();
        }
        if left < u64::from(length) + AROUND {
            self.torn = left;
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        let mut found = [0; 32];
        self.from.read_exact(&mut bytes).map_err(|e| self.io(e))?;
        self.from.read_exact(&mut found).map_err(|e| self.io(e))?;
        let hash = hash::parts(self.kind.label, &[&bytes]);
        if found != *hash.as_bytes() {
            return if cut_short(&found, hash.as_bytes()) {
                self.torn_or_damaged()
            } else {
                Err(self.damaged())
            };
        }
        self.at += u64::from(length) + AROUND;
        Ok(Some((bytes, hash)))
    }

    /// A file made longer before its bytes reached the disk reads as zeros from there to its end.
    fn torn_or_damaged(&mut self) -> Result<Option<(Vec<u8>, Hash)>, Error> {
        let mut zeros = true;
        let mut block = [0; 4096];
        let mut left = self.end - self.from.stream_position().map_err(|e| self.io(e))?;
        while zeros && left > 0 {
            let some = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.from.read(&mut block[..some]).map_err(|e| self.io(e))?;
            zeros = read > 0 && block[..read].iter().all(|byte| *byte == 0);
            left -= read as u64;
        }
        if zeros {
            self.torn = self.end - self.at;
            return Ok(None);
        }
        Err(self.damaged())
    }

    fn word(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes).map_err(|e| self.io(e))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn damaged(&self) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            offset: self.at,
        }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether a hash was written up to some byte at most, and zeros stand for the rest: at least four,
/// so that one changed byte is not taken for it.
fn cut_short(found: &[u8; 32], hash: &[u8; 32]) -> bool {
    let zeros = found.iter().rev().take_while(|byte| **byte == 0).count();
    let written = 32 - zeros;
    zeros == 32 || (zeros >= 4 && found[..written] == hash[..written])
}
