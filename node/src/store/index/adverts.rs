//! Our advert and peers', in chunks of their own.

use std::io::{self, Write};

use fairshare_protocol::codec::{self, Bytes};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Own, SecretSide};
use fairshare_protocol::index::advert::{Advert, Header, from_bytes, to_bytes};
use fairshare_protocol::index::fetch::Held;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::{MAX_ADVERT, MAX_CHUNK_ENTRIES};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Index;
use crate::store::{Error, blobs};

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

impl Index {
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
            side: self.write(&Zeroizing::new(codec::encode(own.secret_side())))?,
            people: self.write(&Zeroizing::new(codec::encode(people)))?,
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

    /// Signs our advert's header anew, after the node key was replaced.
    ///
    /// # Errors
    /// If the store fails.
    pub fn sign_again(&self, mut kept: OwnAdvert, key: &KeyPair) -> Result<OwnAdvert, Error> {
        let header = kept.header.peek();
        let header = header.map_err(|_| Error::Shape { table: "adverts" })?;
        kept.header = Signed::sign(&header, key);
        self.adverts.put(OWN, &kept)?;
        self.store.commit_now()?;
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

    /// One chunk of a peer's advert.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn peer_chunk(&self, held: &PeerAdvert, number: u32) -> Result<Option<Bytes>, Error> {
        match held.entries.get(number as usize) {
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

    /// Forgets the entries of a peer's advert. Its header stays: the peer has signed it, and
    /// whoever is allowed another for the same generation sees the first round of another match.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget_entries(&self, peer: &OdsCode) -> Result<(), Error> {
        match self.peer(peer)? {
            Some(held) => self.begin_peer(peer, held.header),
            None => Ok(()),
        }
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

    fn write(&self, bytes: &[u8]) -> Result<blobs::Key, Error> {
        let mut writer = self.store.blobs().create()?;
        writer.write_all(bytes)?;
        Ok(writer.finish()?)
    }

    fn read<T: Serialize + DeserializeOwned>(&self, key: &blobs::Key) -> Result<T, Error> {
        let bytes = Zeroizing::new(self.store.blobs().read(key, MAX_SIDE)?);
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
