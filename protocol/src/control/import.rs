//! Importing: what to import, and what came of it.
//!
//! The report holds no NHS number and no name: people and records are named by their local id, and what looks
//! like an NHS number in a file's name or an id is masked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The most refusals an [`ImportReport`] lists one by one; all are counted.
pub const MAX_LISTED: usize = 1000;

/// Import these files and directories.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Absolute paths, readable by the node.
    pub paths: Vec<PathBuf>,
    /// Addresses of servers whose ids are this organisation's own.
    pub servers: Vec<String>,
}

/// What an import did. Nothing of it was visible before its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The import's number at this node; none if it changed nothing.
    pub import: Option<u64>,
    /// The files it was given.
    pub files: Files,
    /// The people held after it.
    pub people: People,
    /// Records about people.
    pub records: Changes,
    /// Resources about nobody, which travel with what references them.
    pub supporting: Changes,
    /// Attachments of what was taken.
    pub attachments: Attachments,
    /// Resources given more than once; the last one counts.
    pub repeated: u64,
    /// Resources, lines and entries refused, and one for each refused file.
    pub rejected: u64,
    /// How many for each cause.
    pub causes: BTreeMap<String, u64>,
    /// The first [`MAX_LISTED`] of them.
    pub rejections: Vec<Rejection>,
    /// Attachments that are missing or not what their resource states; the first [`MAX_LISTED`].
    pub attachment_problems: Vec<Rejection>,
    /// People in this import who are not in the index, by local id; the first [`MAX_LISTED`].
    pub not_indexable: Vec<NotIndexed>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl ImportReport {
    /// Whether everything given was taken.
    pub const fn is_clean(&self) -> bool {
        self.rejected == 0 && self.attachments.missing == 0 && self.attachments.damaged == 0
    }
}

/// The files an import was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Read, with at least one resource or as a Bulk Data manifest.
    pub taken: u64,
    /// Stored as somebody's attachment.
    pub attachments: u64,
    /// Refused as a whole.
    pub refused: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The people held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// Held after the import.
    pub held: u64,
    /// Of these, those with a valid NHS number and date of birth: who can be in the index.
    pub indexable: u64,
    /// New with this import.
    pub new: u64,
}

/// What became of resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Not held before.
    pub new: u64,
    /// Held in another version, which is kept.
    pub changed: u64,
    /// Held just so; one given twice counts twice.
    pub unchanged: u64,
    /// Held after the import.
    pub held: u64,
}

/// What became of attachments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachments {
    /// Inside their resource.
    pub inline: u64,
    /// From files beside it.
    pub taken: u64,
    /// At another server; left alone.
    pub remote: u64,
    /// Named, but not there.
    pub missing: u64,
    /// Not of the size or SHA-1 stated.
    pub damaged: u64,
}

/// One thing refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The file, as it was given, or below the directory given.
    pub file: String,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Type and id, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// How many resources this stands for: the entries of a transaction.
    pub count: u64,
    /// The cause, in one word.
    pub cause: String,
    /// The reason, in a sentence.
    pub reason: String,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A line of NDJSON, from 1.
    Line(u64),
    /// An entry of a Bundle, from 1.
    Entry(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Entry(number) => write!(f, "entry {number}"),
        }
    }
}

/// A person who is not in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotIndexed {
    /// The local id.
    pub id: String,
    /// Why.
    pub reason: String,
}
