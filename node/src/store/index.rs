//! What the private index leaves behind: our advert with its secret side, peers' adverts, what was
//! said in matches, and the links they proved.
//!
//! | table | key | value |
//! |---|---|---|
//! | `adverts` | `own`, or `peer ` and a code | [`OwnAdvert`], [`PeerAdvert`] |
//! | `matches` | our header, the peer's | epoch and [`Kept`] |
//! | `matched` | code | [`MatchedWith`] |
//! | `links` | match, handle | epoch and the person's index key |
//! | `linked` | name of an index key, code | match and handle |
//! | `indexed` | name of an index key | epoch and generation of our advert that took them in |
//! | `evidence` | hash | [`Evidence`] |
//!
//! Entries, people and the secret side lie in blobs, a chunk of entries each: their keys here are
//! what deleting an epoch deletes. A handle is honoured only from `links`, which only a match both
//! sides proved writes. Handles of a superseded match stay until the end of the next epoch, for a
//! peer that has not finished the new one.

use std::io::{self, Write};

use fairshare_protocol::codec::{self, Bytes};
use fairshare_protocol::crypto::hash;
use fairshare_protocol::ids::{Handle, Hash, MatchId, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Own, SecretSide, Slot};
use fairshare_protocol::index::advert::{Advert, Header, from_bytes, to_bytes};
use fairshare_protocol::index::evidence::Evidence;
use fairshare_protocol::index::fetch::Held;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::Kept;
use fairshare_protocol::index::matching::links::Matched;
use fairshare_protocol::limits::{MAX_ADVERT, MAX_CHUNK_ENTRIES};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Store, Table, blobs};

const OWN: &[u8] = b"own";
/// The largest secret side or list of people, in bytes.
const MAX_SIDE: u64 = 32 * MAX_ADVERT as u64;

/// Our advert, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnAdvert {
    /// The signed header.
    pub header: Signed<Header>,
    /// The hash of every chunk.
    pub chunks: Vec<Hash>,
    entries: Vec<blobs::Key>,
    side: blobs::Key,
    people: blobs::Key,
}

/// A peer's advert, as far as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAdvert {
    /// The signed header.
    pub header: Signed<Header>,
    entries: Vec<blobs::Key>,
    /// When all of it was here and checked.
    pub whole: Option<Timestamp>,
}

/// The newest match with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedWith {
    /// The match.
    pub match_id: MatchId,
    /// Its epoch.
    pub epoch: u32,
    /// The generation of our advert it used.
    pub generation: u32,
    /// When it ended.
    pub at: Timestamp,
    /// People both hold.
    pub links: u64,
    /// Candidates only we had.
    pub ours_only: u32,
    /// Candidates only the peer had.
    pub theirs_only: u32,
    /// Hash of our header.
    pub ours: Hash,
    /// Hash of the peer's.
    pub theirs: Hash,
    /// When the peer's advert was made: the age of its index.
    pub made: Timestamp,
}

/// The tables of the index. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    store: Store,
    adverts: Table,
    matches: Table,
    matched: Table,
    links: Table,
    linked: Table,
    indexed: Table,
    evidence: Table,
}

impl Index {
    /// The tables in `store`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            adverts: store.table("adverts")?,
            matches: store.table("matches")?,
            matched: store.table("matched")?,
            links: store.table("links")?,
            linked: store.table("linked")?,
            indexed: store.table("indexed")?,
            evidence: store.table("evidence")?,
            store: store.clone(),
        })
    }

    /// Our advert, if there is one.
    ///
    /// # Errors
    /// If sled fails.
    pub fn own(&self) -> Result<Option<OwnAdvert>, Error> {
        self.adverts.load(OWN)
    }

    /// Our advert with its secret side, and the index key of each person in it. Blocks.
    ///
    /// # Errors
    /// If it cannot be read, or does not belong together.
    pub fn restore(&self, kept: &OwnAdvert) -> Result<(Own, Vec<IndexKey>), Error> {
        let side: SecretSide = self.read(&kept.side)?;
        let people: Vec<IndexKey> = self.read(&kept.people)?;
        let entries = self.entries(&kept.entries)?;
        let own = Own::restore(side, kept.header.clone(), entries)
            .map_err(|_| Error::Shape { table: "adverts" })?;
        Ok((own, people))
    }

    /// Keeps our advert in place of the one before, durably. Person n of it has `people[n]`; those
    /// from `new` on were not in the one before. Blocks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_own(&self, own: &Own, people: &[IndexKey], new: usize) -> Result<OwnAdvert, Error> {
        let before = self.own()?;
        let advert = own.advert();
        let chunk = |number| self.write(&to_bytes(advert.chunk(number)));
        let kept = OwnAdvert {
            header: advert.signed().clone(),
            chunks: advert.chunks().to_vec(),
            entries: (0..advert.header().chunks())
                .map(chunk)
                .collect::<Result<_, _>>()?,
            side: self.write(&zeroize::Zeroizing::new(codec::encode(own.secret_side())))?,
            people: self.write(&zeroize::Zeroizing::new(codec::encode(people)))?,
        };
        let header = advert.header();
        let mut indexed = self.indexed.batch();
        for person in people.iter().skip(new) {
            indexed.put(&self.name(person), &(header.epoch, header.generation));
        }
        indexed.apply()?;
        self.adverts.put(OWN, &kept)?;
        self.store.commit_now()?;
        if let Some(before) = before {
            self.remove(&before.entries)?;
            self.remove(&[before.side, before.people])?;
        }
        Ok(kept)
    }

    /// The epoch and the generation of our advert that took this person in.
    ///
    /// # Errors
    /// If sled fails.
    pub fn indexed(&self, person: &IndexKey) -> Result<Option<(u32, u32)>, Error> {
        self.indexed.load(&self.name(person))
    }

    /// One chunk of our advert, as served.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn own_chunk(&self, kept: &OwnAdvert, number: u32) -> Result<Option<Bytes>, Error> {
        match kept.entries.get(number as usize) {
            Some(key) => Ok(Some(Bytes(self.chunk(key)?))),
            None => Ok(None),
        }
    }

    /// What is here of a peer's advert.
    ///
    /// # Errors
    /// If sled fails.
    pub fn peer(&self, peer: &OdsCode) -> Result<Option<PeerAdvert>, Error> {
        self.adverts.load(&peer_key(peer))
    }

    /// What a fetch need not ask for again.
    ///
    /// # Errors
    /// If sled fails.
    pub fn held(&self, peer: &OdsCode) -> Result<Held, Error> {
        Ok(match self.peer(peer)? {
            None => Held::Nothing,
            Some(PeerAdvert {
                header,
                whole: Some(_),
                ..
            }) => Held::Whole(Box::new(header)),
            // At most MAX_ADVERT entries in chunks: fits.
            Some(PeerAdvert {
                header, entries, ..
            }) => Held::Part(Box::new(header), entries.len() as u32),
        })
    }

    /// Begins a peer's new advert; what was here of another is removed.
    ///
    /// # Errors
    /// If the store fails.
    pub fn begin_peer(&self, peer: &OdsCode, header: Signed<Header>) -> Result<(), Error> {
        let before = self.peer(peer)?;
        let begun = PeerAdvert {
            header,
            entries: Vec::new(),
            whole: None,
        };
        self.adverts.put(&peer_key(peer), &begun)?;
        self.store.commit_now()?;
        before.map_or(Ok(()), |before| self.remove(&before.entries))
    }

    /// Adds the next chunk of a peer's advert. Blocks.
    ///
    /// # Errors
    /// If the store fails, or nothing was begun.
    pub fn add_chunk(&self, peer: &OdsCode, number: u32, entries: &[u8]) -> Result<(), Error> {
        let mut held = self.peer(peer)?.ok_or(Error::Shape { table: "adverts" })?;
        if held.entries.len() != number as usize {
            return Err(Error::Shape { table: "adverts" });
        }
        held.entries.push(self.write(entries)?);
        self.adverts.put(&peer_key(peer), &held)
    }

    /// Marks a peer's advert as whole and checked.
    ///
    /// # Errors
    /// If the store fails, or nothing was begun.
    pub fn complete(&self, peer: &OdsCode, now: Timestamp) -> Result<(), Error> {
        let mut held = self.peer(peer)?.ok_or(Error::Shape { table: "adverts" })?;
        held.whole = Some(now);
        self.adverts.put(&peer_key(peer), &held)
    }

    /// Forgets what is here of a peer's advert.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget_peer(&self, peer: &OdsCode) -> Result<(), Error> {
        let held = self.peer(peer)?;
        self.adverts.remove(&peer_key(peer))?;
        self.store.commit_now()?;
        held.map_or(Ok(()), |held| self.remove(&held.entries))
    }

    /// The entries of a peer's advert that are here. Blocks.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn peer_entries(&self, peer: &OdsCode) -> Result<Vec<Point>, Error> {
        match self.peer(peer)? {
            Some(held) => self.entries(&held.entries),
            None => Ok(Vec::new()),
        }
    }

    /// A peer's whole advert; none if it is not all here. Blocks.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn peer_advert(&self, peer: &OdsCode) -> Result<Option<Advert>, Error> {
        match self.peer(peer)? {
            Some(held) if held.whole.is_some() => {
                let entries = self.entries(&held.entries)?;
                let advert = Advert::new(held.header, entries);
                let advert = advert.map_err(|_| Error::Shape { table: "adverts" })?;
                Ok(Some(advert))
            }
            _ => Ok(None),
        }
    }

    /// What was said in the match of these two headers.
    ///
    /// # Errors
    /// If sled fails.
    pub fn kept(&self, ours: &Hash, theirs: &Hash) -> Result<Kept, Error> {
        let found = self.matches.load::<(u32, Kept)>(&pair(ours, theirs))?;
        Ok(found.map(|(_, kept)| kept).unwrap_or_default())
    }

    /// Keeps what was said in the match of these two headers.
    ///
    /// # Errors
    /// If sled fails.
    pub fn keep(&self, epoch: u32, ours: &Hash, theirs: &Hash, kept: &Kept) -> Result<(), Error> {
        self.matches.put(&pair(ours, theirs), &(epoch, kept))
    }

    /// Keeps evidence against a member.
    ///
    /// # Errors
    /// If sled fails.
    pub fn accuse(&self, evidence: &Evidence) -> Result<(), Error> {
        let name = hash::bytes(&codec::encode(evidence));
        self.evidence.put(name.as_bytes(), evidence)
    }

    /// Keeps proven links in place of those before. Durable after the next commit.
    ///
    /// # Errors
    /// If the store fails, or a link is about nobody.
    pub fn link(
        &self,
        matched: &Matched,
        own: &Own,
        people: &[IndexKey],
        with: &MatchedWith,
    ) -> Result<(), Error> {
        let code = matched.peer.as_str().as_bytes();
        let mut links = self.links.batch();
        let mut linked = self.linked.batch();
        for key in self.linked.keys(b"") {
            let key = key?;
            if key.get(16..) == Some(code) {
                linked.remove(&key);
            }
        }
        for link in &matched.links {
            let person = match own.slot(link.position) {
                Some(Slot::Person(number)) => people.get(number as usize),
                _ => None,
            };
            let person = person.ok_or(Error::Shape { table: "adverts" })?;
            links.put(
                &handle_key(&matched.match_id, &link.handle),
                &(with.epoch, person),
            );
            let name = self.person_key(person, &matched.peer);
            linked.put(&name, &(matched.match_id, link.handle));
        }
        // A handle that resolves before it is offered does no harm; the other way round it would.
        links.apply()?;
        linked.apply()?;
        self.matched.put(code, with)
    }

    /// The newest match with a peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn matched(&self, peer: &OdsCode) -> Result<Option<MatchedWith>, Error> {
        self.matched.load(peer.as_str().as_bytes())
    }

    /// Whom a handle names: only handles of links both sides proved do.
    ///
    /// # Errors
    /// If sled fails.
    pub fn person(&self, match_id: &MatchId, handle: &Handle) -> Result<Option<IndexKey>, Error> {
        let found = self
            .links
            .load::<(u32, IndexKey)>(&handle_key(match_id, handle))?;
        Ok(found.map(|(_, person)| person))
    }

    /// The name to use for a person with this peer, if they are linked.
    ///
    /// # Errors
    /// If sled fails.
    pub fn handle(
        &self,
        person: &IndexKey,
        peer: &OdsCode,
    ) -> Result<Option<(MatchId, Handle)>, Error> {
        self.linked.load(&self.person_key(person, peer))
    }

    /// Deletes what epochs before the one before `epoch` left: their keys, people and handles. Our
    /// own advert and peers' go as soon as they are of another epoch.
    ///
    /// # Errors
    /// If the store fails.
    pub fn turn_over(&self, epoch: u32) -> Result<(), Error> {
        let old = |of: u32| of.saturating_add(1) < epoch;
        let mut matches = self.matches.batch();
        for row in self.matches.scan::<(u32, Kept)>(b"") {
            let (key, (of, _)) = row?;
            if old(of) {
                matches.remove(&key);
            }
        }
        matches.apply()?;
        let mut gone = Vec::new();
        let mut links = self.links.batch();
        for row in self.links.scan::<(u32, IndexKey)>(b"") {
            let (key, (of, _)) = row?;
            if old(of) {
                gone.extend(key.get(..32).map(<[u8]>::to_vec));
                links.remove(&key);
            }
        }
        links.apply()?;
        gone.sort_unstable();
        let mut linked = self.linked.batch();
        for row in self.linked.scan::<(MatchId, Handle)>(b"") {
            let (key, (match_id, _)) = row?;
            let of_gone = |of: &Vec<u8>| of.as_slice().cmp(match_id.as_bytes());
            if gone.binary_search_by(of_gone).is_ok() {
                linked.remove(&key);
            }
        }
        linked.apply()?;
        self.store.commit_now()
    }

    fn person_key(&self, person: &IndexKey, peer: &OdsCode) -> Vec<u8> {
        [self.name(person).as_slice(), peer.as_str().as_bytes()].concat()
    }

    fn name(&self, person: &IndexKey) -> [u8; 16] {
        let text = person.expose();
        self.store.name("index key", &[text.as_bytes()])
    }

    fn write(&self, bytes: &[u8]) -> Result<blobs::Key, Error> {
        let mut writer = self.store.blobs().create()?;
        writer.write_all(bytes)?;
        Ok(writer.finish()?)
    }

    fn read<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        key: &blobs::Key,
    ) -> Result<T, Error> {
        let bytes = zeroize::Zeroizing::new(self.store.blobs().read(key, MAX_SIDE)?);
        codec::decode(&bytes, bytes.len()).map_err(|_| Error::Shape { table: "adverts" })
    }

    fn chunk(&self, key: &blobs::Key) -> io::Result<Vec<u8>> {
        self.store.blobs().read(key, MAX_CHUNK_ENTRIES as u64 * 32)
    }

    fn entries(&self, chunks: &[blobs::Key]) -> Result<Vec<Point>, Error> {
        let mut entries = Vec::with_capacity(chunks.len() * MAX_CHUNK_ENTRIES);
        for key in chunks {
            let chunk = from_bytes(&self.chunk(key)?);
            entries.extend(chunk.ok_or(Error::Shape { table: "adverts" })?);
        }
        Ok(entries)
    }

    fn remove(&self, keys: &[blobs::Key]) -> Result<(), Error> {
        keys.iter()
            .try_for_each(|key| self.store.blobs().remove(key))?;
        Ok(())
    }
}

fn peer_key(peer: &OdsCode) -> Vec<u8> {
    [b"peer ", peer.as_str().as_bytes()].concat()
}

fn pair(ours: &Hash, theirs: &Hash) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(ours.as_bytes());
    key[32..].copy_from_slice(theirs.as_bytes());
    key
}

fn handle_key(match_id: &MatchId, handle: &Handle) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(match_id.as_bytes());
    key[32..].copy_from_slice(&handle.0.0);
    key
}
