//! The project's own source, as the house rules look at it.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// Its path from the workspace's root.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Every Rust file of the four rooms, in order.
    pub fn all() -> Vec<Self> {
        let root = root();
        let mut found = Vec::new();
        for room in ["protocol", "node", "cli", "tests"] {
            walk(&root.join(room), &mut found);
        }
        let mut sources: Vec<_> = found
            .into_iter()
            .map(|path| Self {
                text: fs::read_to_string(&path).unwrap_or_default(),
                path: path
                    .strip_prefix(&root)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
            })
            .collect();
        // A workspace of its own, of what others would use.
        sources.retain(|source| !source.path.starts_with("tests/compare/"));
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// Whether all of it is tests.
    pub fn is_test(&self) -> bool {
        let inside = self.path.contains("/tests/") || self.path.contains("/benches/");
        inside || self.path.ends_with("/tests.rs")
    }

    /// The lines that are not tests: none of a test file, and none after `mod tests {`.
    pub fn without_tests(&self) -> Vec<&str> {
        if self.is_test() {
            return Vec::new();
        }
        let inline = |line: &&str| {
            !(line.starts_with("mod tests {") || line.starts_with("pub(crate) mod tests {"))
        };
        self.text.lines().take_while(inline).collect()
    }

    /// The numbered lines of code, without tests and without comments.
    pub fn code(&self) -> Vec<(usize, &str)> {
        let lines = self.without_tests().into_iter().enumerate();
        lines
            .map(|(at, line)| {
                let code = match line.trim_start() {
                    comment if comment.starts_with("//") => "",
                    _ => line.split(" // ").next().unwrap_or(line),
                };
                (at + 1, code)
            })
            .collect()
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}
