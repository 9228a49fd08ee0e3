//! Pages: what chains are made of.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::codec;
use crate::ids::{FederationId, Hash, OdsCode};
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ENTRIES};
use crate::statement::{Body, Signed};
use crate::time::Timestamp;

/// Where a chain stands: its last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0 if there is no page yet.
    pub number: u64,
    /// Its hash; zeros if there is no page yet.
    pub hash: Hash,
}

impl Head {
    /// Where every chain begins.
    pub const ORIGIN: Self = Self {
        number: 0,
        hash: Hash::new([0; 32]),
    };
}

impl Default for Head {
    fn default() -> Self {
        Self::ORIGIN
    }
}

/// One page of one chain, signed by its writer's node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Inside which federation.
    pub federation: FederationId,
    /// Who writes this chain.
    pub writer: OdsCode,
    /// Whom it is written to.
    pub reader: OdsCode,
    /// 1 for the first, and one more each time.
    pub number: u64,
    /// Hash of the page before.
    pub previous: Hash,
    /// When it was written.
    pub at: Timestamp,
    /// The last page of the reader's chain the writer holds.
    pub quoted: Head,
    /// What is entered; a page that only quotes has none.
    pub entries: Vec<Entry>,
}

impl Body for Page {
    const LABEL: &'static str = "ledger page";
}

impl Page {
    /// Where the chain stands once this page, so signed, is its last.
    pub fn head(&self, signed: &Signed<Self>) -> Head {
        Head {
            number: self.number,
            hash: signed.hash(),
        }
    }
}

/// How many of these entries, from the first, one page can hold.
pub fn room(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let sizes = entries.iter().map(|entry| codec::encode(entry).len());
    sizes
        .take(MAX_PAGE_ENTRIES)
        .take_while(|size| {
            bytes += size;
            bytes <= MAX_PAGE_BYTES
        })
        .count()
}

/// The word of a writer that lost pages nobody can give back: its chain goes on after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewind {
    /// Inside which federation.
    pub federation: FederationId,
    /// Whose chain.
    pub writer: OdsCode,
    /// Whom it is written to.
    pub reader: OdsCode,
    /// The last page it still holds.
    pub held: Head,
    /// The last page it lost. The next page names it.
    pub lost: Head,
    /// When it was said.
    pub at: Timestamp,
}

impl Body for Rewind {
    const LABEL: &'static str = "ledger rewind";
}

/// Two pages of one chain that cannot both be true: evidence against their writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The page held.
    pub held: Signed<Page>,
    /// One with the same number, or the next number after another page.
    pub other: Signed<Page>,
}
