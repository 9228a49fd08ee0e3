//! Reading and checking: entries by number, a whole journal, the journal of a running node.

use std::collections::BTreeSet;
use std::path::Path;

use fairshare_protocol::codec;
use fairshare_protocol::control::journal::Verified;
use fairshare_protocol::ids::{Hash, PublicKey};
use fairshare_protocol::journal::{Act, Chain, Entry, Head, MAX_ENTRY, ORIGIN};
use fairshare_protocol::statement::Signed;

use super::file::{Frames, Kind};
use super::{ENTRIES, Error, HEADS};

pub(super) const ENTRY: Kind = Kind {
    magic: *b"fairshare-jn",
    label: "journal entry",
    max: MAX_ENTRY,
};
pub(super) const HEAD: Kind = Kind {
    magic: *b"fairshare-hd",
    label: "journal head frame",
    max: 1024,
};

/// Checks the journal in `dir` from its first entry to its last against its signed heads. Works on
/// a copy, and while the node runs.
///
/// With `key`, the newest head must be signed by it: without, whoever holds the file could have
/// written all of it anew under a key of their own.
///
/// # Errors
/// If the files cannot be read, or anything in them is not as it was written.
pub fn verify(dir: &Path, key: Option<&PublicKey>) -> Result<Verified, Error> {
    // Heads first: a running node writes a head after the entries it covers.
    let heads = Heads::read(&dir.join(HEADS))?;
    let mut survey = Survey::new(&heads);
    let mut entries = Entries::open(&dir.join(ENTRIES))?;
    while let Some(entry) = entries.step()? {
        survey.take(&entry, &entries.chain)?;
    }
    survey.finish(&entries, key)
}

/// Reads the entries in `dir`, from the first on. Works on a copy, and while the node runs.
///
/// # Errors
/// If the file cannot be read. Each item can fail likewise, or by not being as it was written.
pub fn read(dir: &Path) -> Result<Entries, Error> {
    Entries::open(&dir.join(ENTRIES))
}

/// Reads entries in order, each checked to follow the one before.
#[derive(Debug)]
pub struct Entries {
    frames: Frames,
    pub(super) chain: Chain,
    /// The first number wanted: entries before it are read and skipped.
    pub(super) from: u64,
    /// The last number to give.
    pub(super) until: u64,
}

impl Entries {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            frames: Frames::open(ENTRY, path)?,
            chain: Chain::default(),
            from: 1,
            until: u64::MAX,
        })
    }

    /// Starts from a place in the middle that was checked before.
    pub(super) fn seek(&mut self, mark: &Mark) -> Result<(), Error> {
        self.frames.seek(mark.at)?;
        self.chain = mark.chain.clone();
        Ok(())
    }

    /// Where the next entry starts.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            at: self.frames.at(),
            chain: self.chain.clone(),
        }
    }

    pub(super) const fn torn(&self) -> u64 {
        self.frames.torn()
    }

    pub(super) fn step(&mut self) -> Result<Option<Entry>, Error> {
        if self.chain.next > self.until {
            return Ok(None);
        }
        let offset = self.frames.at();
        let Some((bytes, _)) = self.frames.next()? else {
            return Ok(None);
        };
        let entry = codec::decode::<Entry>(&bytes, MAX_ENTRY).map_err(|_| Error::Damaged {
            path: self.frames.path().to_owned(),
            offset,
        })?;
        self.chain.follow(&entry)?;
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(entry)) if entry.number < self.from => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => return None,
                Err(error) => {
                    // Nothing behind a fault is worth reading.
                    self.until = 0;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A place between two entries.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) chain: Chain,
}

/// The signed heads beside the entries.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) heads: Vec<(Head, PublicKey)>,
    /// Length of the file up to its last whole head.
    pub(super) length: u64,
    pub(super) torn: u64,
}

impl Heads {
    /// Reads them all: one a day and one a stop, so a century of them is small.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let mut frames = Frames::open(HEAD, path)?;
        let mut heads: Vec<(Head, PublicKey)> = Vec::new();
        loop {
            let offset = frames.at();
            let damaged = || Error::Damaged {
                path: path.to_owned(),
                offset,
            };
            let Some((bytes, _)) = frames.next()? else {
                break;
            };
            let signed: Signed<Head> = codec::decode(&bytes, HEAD.max).map_err(|_| damaged())?;
            let head = signed.verify(signed.signer()).map_err(|_| damaged())?;
            let rising = heads
                .last()
                .is_none_or(|(last, _)| last.day <= head.day && last.number < head.number);
            if !rising {
                return Err(damaged());
            }
            heads.push((head, *signed.signer()));
        }
        Ok(Self {
            heads,
            length: frames.at(),
            torn: frames.torn(),
        })
    }
}

/// Holds entries against heads, in one pass.
pub(super) struct Survey<'a> {
    heads: &'a Heads,
    /// Heads already met.
    met: usize,
    nodes: BTreeSet<PublicKey>,
    found: Verified,
    /// Ends of days that have no signed head yet, with the entry that ends them.
    pub(super) unsigned: Vec<(u64, u64, Hash)>,
    /// The latest day of any entry.
    pub(super) day: Option<u64>,
}

impl<'a> Survey<'a> {
    pub(super) const fn new(heads: &'a Heads) -> Self {
        Self {
            heads,
            met: 0,
            nodes: BTreeSet::new(),
            found: Verified {
                entries: 0,
                head: ORIGIN,
                first: None,
                last: None,
                heads: 0,
                vouched: 0,
                unfinished: 0,
                member: None,
                node: None,
            },
            unsigned: Vec::new(),
            day: None,
        }
    }

    /// Takes the next entry; `chain` already follows it.
    pub(super) fn take(&mut self, entry: &Entry, chain: &Chain) -> Result<(), Error> {
        let found = &mut self.found;
        let day = entry.at.day();
        if let Some(ended) = self.day.filter(|last| *last < day) {
            let signed = self.heads.heads.last().map(|(head, _)| head.number);
            if signed.is_none_or(|signed| signed < found.entries) {
                self.unsigned.push((ended, found.entries, found.head));
            }
        }
        self.day = self.day.max(Some(day));
        found.entries = entry.number;
        found.head = chain.head;
        found.first = found.first.or(Some(entry.at));
        found.last = Some(entry.at);
        if let Act::Started { member, node, .. } = &entry.act {
            self.nodes.insert(*node);
            found.member = Some(member.clone());
            found.node = Some(*node);
        }
        if let Some((head, _)) = self.heads.heads.get(self.met)
            && head.number == entry.number
        {
            if head.hash != chain.head {
                return Err(Error::NotTheHead {
                    day: head.day,
                    number: head.number,
                });
            }
            self.met += 1;
        }
        Ok(())
    }

    /// What was found, once the entries are at their end.
    pub(super) fn finish(
        mut self,
        entries: &Entries,
        key: Option<&PublicKey>,
    ) -> Result<Verified, Error> {
        if let Some((head, _)) = self.heads.heads.get(self.met) {
            return Err(Error::CutOff {
                found: self.found.entries,
                number: head.number,
                day: head.day,
            });
        }
        let newest = self.heads.heads.last();
        for (head, signer) in &self.heads.heads {
            if !self.nodes.contains(signer) && Some(signer) != key {
                return Err(Error::Signer { day: head.day });
            }
        }
        if let (Some((head, signer)), Some(key)) = (newest, key)
            && signer != key
        {
            return Err(Error::Signer { day: head.day });
        }
        self.found.heads = self.heads.heads.len() as u64;
        self.found.vouched = newest.map_or(0, |(head, _)| head.number);
        self.found.unfinished = entries.torn();
        Ok(self.found)
    }
}
