//! What travels between organisations as files and links.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fairshare_protocol::control::{Failure, MAX_REQUEST, WRONG};

/// The text of a link, or of the file named.
pub fn text(link_or_file: &str) -> Result<String, Failure> {
    if link_or_file.trim_start().starts_with("fairshare:") {
        return Ok(link_or_file.trim().to_owned());
    }
    let wrong = |why: &dyn std::fmt::Display| {
        let fact = format!("{link_or_file}: {why}");
        let remedy = "name a file you were sent, or paste a link that starts with `fairshare:`";
        Failure::new(WRONG, fact, remedy)
    };
    let file = fs::File::open(link_or_file).map_err(|error| wrong(&error))?;
    let mut text = String::new();
    let limit = MAX_REQUEST as u64 / 2;
    let read = file.take(limit).read_to_string(&mut text);
    if read.map_err(|error| wrong(&error))? as u64 == limit {
        return Err(wrong(&"longer than any such file can be"));
    }
    Ok(text)
}

/// Writes a paper to `given`, or under its usual name where the command runs, over an older one;
/// gives where.
pub fn write(given: Option<&Path>, usual: &str, text: &str) -> Result<PathBuf, Failure> {
    let path = given.unwrap_or_else(|| Path::new(usual)).to_owned();
    let wrong = |error: std::io::Error| {
        let fact = format!("{}: {error}", path.display());
        Failure::new(WRONG, fact, "name a place that can be written with --out")
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&path)
        .map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)?;
    if file.metadata().is_ok_and(|it| it.is_file()) {
        file.sync_all().map_err(wrong)?;
    }
    Ok(std::path::absolute(&path).unwrap_or(path))
}

/// Fails if there is such a file already.
pub fn is_new(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(taken(path, &"File exists")),
        Err(_) => Ok(()),
    }
}

/// Writes a new file of mode 0600, durably, for nobody but whoever asked for it; gives where.
pub fn write_new(path: &Path, text: &str) -> Result<PathBuf, Failure> {
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = new.map_err(|error| taken(path, &error))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a file is none.
        let _ = fs::remove_file(path);
        taken(path, &error)
    })?;
    Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn taken(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let fact = format!("{}: {why}", path.display());
    let remedy = "name a file that is not there yet, in a directory you may write to";
    Failure::new(WRONG, fact, remedy)
}
