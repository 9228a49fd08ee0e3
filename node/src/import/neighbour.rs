//! Attachments in files beside the one being read.
//!
//! An address may lead nowhere but into the directory the operator named: not up, not to an
//! absolute path, not through a symbolic link.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use fairshare_protocol::ids::Hash;
use serde::{Deserialize, Serialize};

use crate::fhir::attachment::{self, Check, Damage, Stated};

/// Files whose content is remembered while their neighbours are read.
const MAX_REMEMBERED: usize = 4096;

/// Why a file is not taken as an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum Problem {
    /// There is no such file.
    #[error("its attachment is not there: no such file beside it")]
    Missing,
    /// The address leads out of the directory.
    #[error("its attachment's address leads out of the directory imported")]
    Outside,
    /// It is no ordinary file, or cannot be read.
    #[error("its attachment cannot be read as a file")]
    Unreadable,
    /// Too large.
    #[error("its attachment is larger than a document may be")]
    TooLarge,
    /// Not what was stated.
    #[error("its attachment is damaged: {0}")]
    Damaged(#[from] Damage),
}

/// A neighbouring file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) path: PathBuf,
    pub(super) hash: Hash,
    pub(super) size: u64,
}

/// What is in a file: its hash, its size, and whether it has the SHA-1 stated.
type Content = (Hash, u64, Result<(), Damage>);

/// Finds neighbours, and remembers those it has just read: many letters share a file.
pub(super) struct Neighbours {
    /// The largest that is taken, in bytes.
    largest: u64,
    read: BTreeMap<(PathBuf, Option<[u8; 20]>), Content>,
}

impl Neighbours {
    /// Nothing is read yet; `largest` is the most bytes of one.
    pub(super) const fn new(largest: u64) -> Self {
        Self {
            largest,
            read: BTreeMap::new(),
        }
    }

    /// The file at the relative address `url` beside `file`, below `root`.
    pub(super) fn find(
        &mut self,
        root: &Path,
        file: &Path,
        url: &str,
        stated: Stated,
    ) -> Result<Neighbour, Problem> {
        let address = attachment::path(url).ok_or(Problem::Outside)?;
        let path = locate(root, file.parent().unwrap_or(root), &address)?;
        let metadata = fs::symlink_metadata(&path).map_err(|_| Problem::Unreadable)?;
        if !metadata.is_file() {
            return Err(Problem::Unreadable);
        }
        if metadata.len() > self.largest {
            return Err(Problem::TooLarge);
        }
        if self.read.len() >= MAX_REMEMBERED {
            self.read.clear();
        }
        let place = (path, stated.sha1);
        let (hash, size, held) = match self.read.get(&place) {
            Some(known) => *known,
            None => {
                let sha1 = Stated {
                    size: None,
                    sha1: stated.sha1,
                };
                let read = read(&place.0, sha1, self.largest).map_err(|_| Problem::Unreadable)?;
                self.read.insert(place.clone(), read);
                read
            }
        };
        if stated.size.is_some_and(|stated| stated != size) {
            return Err(Damage::Size.into());
        }
        held?;
        Ok(Neighbour {
            path: place.0,
            hash,
            size,
        })
    }
}

fn locate(root: &Path, dir: &Path, address: &str) -> Result<PathBuf, Problem> {
    let address = Path::new(address);
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !address.components().all(plain) || address.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Problem::Outside);
    }
    let path = fs::canonicalize(dir.join(address)).map_err(|_| Problem::Missing)?;
    if path.starts_with(root) {
        Ok(path)
    } else {
        Err(Problem::Outside)
    }
}

fn read(path: &Path, stated: Stated, largest: u64) -> io::Result<Content> {
    let mut file = File::open(path)?.take(largest + 1);
    let mut hasher = blake3::Hasher::new();
    let mut check = Check::of(stated);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        hasher.update(&buffer[..read]);
        check.update(&buffer[..read]);
    }
    Ok((
        Hash::new(*hasher.finalize().as_bytes()),
        size,
        check.finish(),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_neighbour_is_a_file_in_the_same_tree_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        let root = base.join("in");
        fs::create_dir_all(root.join("a/letters")).unwrap();
        fs::write(root.join("a/letters/one.pdf"), "hello").unwrap();
        fs::write(base.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(base.join("secret"), root.join("a/link")).unwrap();
        let file = root.join("a/Doc.ndjson");
        let find =
            |address: &str, stated| Neighbours::new(1024).find(&root, &file, address, stated);
        let good = find(
            "letters/one.pdf",
            Stated {
                size: Some(5),
                sha1: None,
            },
        )
        .unwrap();
        assert_eq!(good.hash, fairshare_protocol::crypto::hash::bytes(b"hello"));
        assert_eq!(find("./letters/one.pdf", Stated::default()).unwrap(), good);
        assert_eq!(
            find("../../secret", Stated::default()),
            Err(Problem::Outside)
        );
        assert_eq!(
            find("/etc/passwd", Stated::default()),
            Err(Problem::Outside)
        );
        assert_eq!(find("link", Stated::default()), Err(Problem::Outside));
        assert_eq!(find("a\0b", Stated::default()), Err(Problem::Outside));
        assert_eq!(
            find("letters/two.pdf", Stated::default()),
            Err(Problem::Missing)
        );
        assert_eq!(find("letters", Stated::default()), Err(Problem::Unreadable));
        let size = Stated {
            size: Some(6),
            sha1: None,
        };
        assert_eq!(
            find("letters/one.pdf", size),
            Err(Problem::Damaged(Damage::Size))
        );
        let hash = Stated {
            size: None,
            sha1: Some([0; 20]),
        };
        assert_eq!(
            find("letters/one.pdf", hash),
            Err(Problem::Damaged(Damage::Hash))
        );
    }
}
