//! Records nobody here wrote, which are beside some checkouts and not beside others.

use std::io::Write;
use std::path::{Path, PathBuf};

/// `shared/data/<place>` of a directory above this one, if it is there. If not, says loudly that
/// `what` is not tested.
pub fn data(place: &str, what: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut found = above.map(|dir| dir.join("shared/data").join(place));
    let found = found.find(|data| data.is_dir());
    if found.is_none() {
        skipped(&format!(
            "../shared/data/{place} is not there, so {what} is not tested"
        ));
    }
    found
}

/// Says that something is not tested, past the capture of the test that says so, so that it is seen.
pub fn skipped(why: &str) {
    // Nobody reads it: nothing is to be done.
    let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
}
