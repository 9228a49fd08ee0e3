//! Finding the files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Error;
use crate::fhir::Refusal;

/// The most files one import takes.
const MAX_FILES: usize = 1_000_000;
/// How deep directories may lie in each other.
const MAX_DEPTH: usize = 64;

/// One file to read.
pub(super) struct Found {
    /// Where it is, without symbolic links.
    pub(super) path: PathBuf,
    /// The directory its neighbours must be in, without symbolic links.
    pub(super) root: Rc<Path>,
    /// What to call it: the path given, and what is below it.
    pub(super) shown: String,
    /// Bytes.
    pub(super) size: u64,
}

/// All files, in one order always; and what was found that is not read.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) refused: Vec<(String, Refusal)>,
    seen: BTreeSet<PathBuf>,
}

/// Finds the files under `paths`.
pub(super) fn walk(paths: &[PathBuf]) -> Result<Walked, Error> {
    let mut walked = Walked::default();
    for path in paths {
        let failed = |source| Error::Path {
            path: path.clone(),
            source,
        };
        let real = fs::canonicalize(path).map_err(failed)?;
        let shown = path.display().to_string();
        if fs::metadata(&real).map_err(failed)?.is_dir() {
            let root: Rc<Path> = real.as_path().into();
            walked.directory(&real, &root, shown.trim_end_matches('/'), 0)?;
        } else {
            let root: Rc<Path> = real.parent().unwrap_or(&real).into();
            walked.file(real, &root, shown)?;
        }
    }
    Ok(walked)
}

impl Walked {
    fn directory(
        &mut self,
        dir: &Path,
        root: &Rc<Path>,
        shown: &str,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return self.refuse(
                shown,
                &format!("directories nested deeper than {MAX_DEPTH}"),
            );
        }
        let mut entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>)
        {
            Ok(entries) => entries,
            Err(error) => return self.refuse(shown, &error.kind().to_string()),
        };
        // A Bulk Data manifest says which server its neighbours come from: it is read first.
        let manifest = |name: &OsStr| !name.eq_ignore_ascii_case("manifest.json");
        entries.sort_by_key(|entry| (manifest(&entry.file_name()), entry.file_name()));
        for entry in entries {
            let path = entry.path();
            let shown = format!("{shown}/{}", entry.file_name().display());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.directory(&path, root, &shown, depth + 1)?,
                Ok(kind) if kind.is_symlink() => self.link(&path, root, shown)?,
                Ok(_) => self.file(path, root, shown)?,
                Err(error) => self.refuse(&shown, &error.kind().to_string())?,
            }
        }
        Ok(())
    }

    /// Follows a link only to a file inside the same tree.
    fn link(&mut self, path: &Path, root: &Rc<Path>, shown: String) -> Result<(), Error> {
        match fs::canonicalize(path) {
            Ok(real) if !real.starts_with(root) => self.refuse(
                &shown,
                "a symbolic link that leads out of the directory given",
            ),
            Ok(real) if real.is_dir() => self.refuse(&shown, "a symbolic link to a directory"),
            Ok(real) => self.file(real, root, shown),
            Err(_) => self.refuse(&shown, "a symbolic link that leads nowhere, or in a circle"),
        }
    }

    fn file(&mut self, path: PathBuf, root: &Rc<Path>, shown: String) -> Result<(), Error> {
        let size = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return self.refuse(&shown, "a pipe, socket or device"),
            Err(error) => return self.refuse(&shown, &error.kind().to_string()),
        };
        if self.seen.insert(path.clone()) {
            self.files.push(Found {
                path,
                root: root.clone(),
                shown,
                size,
            });
        }
        self.bounded()
    }

    fn refuse(&mut self, shown: &str, why: &str) -> Result<(), Error> {
        self.refused
            .push((shown.to_owned(), Refusal::Unreadable(why.to_owned())));
        self.bounded()
    }

    const fn bounded(&self) -> Result<(), Error> {
        if self.files.len() + self.refused.len() > MAX_FILES {
            return Err(Error::TooManyFiles { limit: MAX_FILES });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_found_in_one_order_and_links_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join("in").join(name);
        fs::create_dir_all(at("sub")).unwrap();
        for name in ["b.json", "A.ndjson", "manifest.json", "sub/c.json"] {
            fs::write(at(name), "{}").unwrap();
        }
        fs::write(dir.path().join("outside"), "{}").unwrap();
        symlink(at("b.json"), at("again.json")).unwrap();
        symlink(dir.path().join("outside"), at("out.json")).unwrap();
        symlink(at("loop2"), at("loop1")).unwrap();
        symlink(at("loop1"), at("loop2")).unwrap();
        symlink(dir.path().join("in"), at("self")).unwrap();
        let walked = walk(&[dir.path().join("in")]).unwrap();
        let names: Vec<_> = walked
            .files
            .iter()
            .map(|file| file.path.file_name().unwrap())
            .collect();
        assert_eq!(names, ["manifest.json", "A.ndjson", "b.json", "c.json"]);
        let why: Vec<_> = walked
            .refused
            .iter()
            .map(|(_, why)| why.to_string())
            .collect();
        assert_eq!(why.len(), 4);
        assert_eq!(
            why.iter().filter(|why| why.contains("in a circle")).count(),
            2
        );
        assert!(walk(&[dir.path().join("none")]).is_err());
    }
}
