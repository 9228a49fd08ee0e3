//! Our advert and peers', in chunks of their own.

use std::io;

use fairshare_protocol::codec::{self, Bytes};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Fixed, Hash, OdsCode, Point};
use fairshare_protocol::index::advert::own::{Made, Own, SecretSide, Slot};
use fairshare_protocol::index::advert::{Advert, Header, from_bytes, to_bytes};
use fairshare_protocol::index::delta::said::Batch;
use fairshare_protocol::index::fetch::Held;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::tags::Tag;
use fairshare_protocol::limits::{MAX_ADVERT, MAX_CHUNK_ENTRIES};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::generations::Earlier;
use super::{Index, Sorted};
use crate::store::{Error, blobs};

const OWN: &[u8] = b"own";
const PEER: &[u8] = b"peer ";
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
    /// Who is in it: names of index keys, and their numbers.
    names: Sorted,
    batches: Vec<OwnBatch>,
}

impl OwnAdvert {
    /// When the last of it was made.
    pub fn made(&self) -> Option<Timestamp> {
        let last = self.batches.last().and_then(|last| last.batch.peek().ok());
        let header = || Some(self.header.peek().ok()?.made);
        last.map(|batch| batch.made).or_else(header)
    }

    /// How many batches continue it.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }
}

/// A batch of our advert, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OwnBatch {
    batch: Signed<Batch>,
    body: blobs::Key,
    names: Sorted,
}

/// What a batch is made of: its entries, what stands behind them, and the people it brought.
type Body = (Bytes, Vec<Slot>, Vec<IndexKey>);

/// A peer's advert, as far as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAdvert {
    /// The signed header.
    pub header: Signed<Header>,
    pub(super) entries: Vec<blobs::Key>,
    /// When all of it was here and checked.
    pub whole: Option<Timestamp>,
    /// The last whole one of this epoch, until this one is whole: nothing of it may be missing.
    pub(super) earlier: Option<Earlier>,
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
        let shape = Error::Shape { table: "adverts" };
        let side: SecretSide = self.read(&kept.side)?;
        let mut people: Vec<IndexKey> = self.read(&kept.people)?;
        let entries = self.entries(&kept.entries)?;
        let mut batches = Vec::new();
        for OwnBatch { batch, body, .. } in &kept.batches {
            let (entries, slots, more): Body = self.read(body)?;
            let Ok(said) = batch.peek() else {
                return Err(shape);
            };
            let Some(entries) = from_bytes(&entries.0) else {
                return Err(shape);
            };
            people.extend(more);
            batches.push(Made {
                batch: batch.clone(),
                from: said.from,
                at: said.made,
                entries,
                slots,
            });
        }
        let own = Own::restore(side, kept.header.clone(), entries, batches);
        Ok((own.map_err(|_| shape)?, people))
    }

    /// Keeps our advert in place of the one before, durably. Person n of it has `people[n]`.
    /// Blocks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_own(&self, own: &Own, people: &[IndexKey]) -> Result<OwnAdvert, Error> {
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
            names: self.names(people, 0)?,
            batches: Vec::new(),
        };
        self.adverts.put(OWN, &kept)?;
        self.store.commit_now()?;
        if let Some(before) = before {
            self.remove_own(&before)?;
        }
        Ok(kept)
    }

    /// Keeps the newest batch of our advert, durably, with the people it brought; the first of them
    /// has number `first`. Blocks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_batch(
        &self,
        mut kept: OwnAdvert,
        made: &Made,
        people: &[IndexKey],
        first: usize,
    ) -> Result<OwnAdvert, Error> {
        let entries = Bytes(to_bytes(&made.entries));
        let body = (entries, &made.slots, people);
        kept.batches.push(OwnBatch {
            batch: made.batch.clone(),
            body: self.write(&Zeroizing::new(codec::encode(&body)))?,
            // People are fewer than MAX_ADVERT, which fits.
            names: self.names(people, first as u32)?,
        });
        self.adverts.put(OWN, &kept)?;
        self.store.commit_now()?;
        Ok(kept)
    }

    /// The table of these people's names; the first has number `first`.
    fn names(&self, people: &[IndexKey], first: u32) -> Result<Sorted, Error> {
        let name = |person| Tag(Fixed(self.name(person)));
        let mut names: Vec<_> = people.iter().map(name).zip(first..).collect();
        names.sort_unstable();
        self.sorted(&names)
    }

    fn remove_own(&self, own: &OwnAdvert) -> Result<(), Error> {
        self.remove(&own.entries)?;
        self.remove(&[own.side.clone(), own.people.clone()])?;
        self.remove_sorted([&own.names])?;
        for batch in &own.batches {
            self.remove(std::slice::from_ref(&batch.body))?;
            self.remove_sorted([&batch.names])?;
        }
        Ok(())
    }

    /// Signs our advert's header and batches anew, after the node key was replaced.
    ///
    /// # Errors
    /// If the store fails.
    pub fn sign_again(&self, mut kept: OwnAdvert, key: &KeyPair) -> Result<OwnAdvert, Error> {
        let header = kept.header.peek();
        let header = header.map_err(|_| Error::Shape { table: "adverts" })?;
        kept.header = Signed::sign(&header, key);
        for own in &mut kept.batches {
            let batch = own.batch.peek();
            let mut batch = batch.map_err(|_| Error::Shape { table: "adverts" })?;
            batch.header = kept.header.hash();
            own.batch = Signed::sign(&batch, key);
        }
        self.adverts.put(OWN, &kept)?;
        self.store.commit_now()?;
        Ok(kept)
    }

    /// Whether this person is in our advert; if so, by which batch: 0 for the advert itself. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub fn indexed(&self, person: &IndexKey) -> Result<Option<u32>, Error> {
        let Some(own) = self.own()? else {
            return Ok(None);
        };
        let name = [Tag(Fixed(self.name(person)))];
        let batches = own.batches.iter().map(|batch| &batch.names);
        for (names, batch) in std::iter::once(&own.names).chain(batches).zip(0..) {
            if self.look_up(std::slice::from_ref(names), &name)? != [None] {
                return Ok(Some(batch));
            }
        }
        Ok(None)
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

    pub(super) fn forget_adverts(&self, old: impl Fn(u32) -> bool) -> Result<(), Error> {
        let of = |header: &Signed<Header>| header.peek().is_ok_and(|header| old(header.epoch));
        if let Some(own) = self.own()?
            && of(&own.header)
        {
            self.adverts.remove(OWN)?;
            self.remove_own(&own)?;
        }
        for row in self.adverts.scan::<PeerAdvert>(PEER) {
            let (key, advert) = row?;
            if of(&advert.header) {
                self.adverts.remove(&key)?;
                self.remove(&advert.entries)?;
                self.remove(&advert.earlier.map_or_else(Vec::new, |it| it.entries))?;
            }
        }
        Ok(())
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

    fn read<T: Serialize + DeserializeOwned>(&self, key: &blobs::Key) -> Result<T, Error> {
        let bytes = Zeroizing::new(self.store.blobs().read(key, MAX_SIDE)?);
        codec::decode(&bytes, bytes.len()).map_err(|_| Error::Shape { table: "adverts" })
    }

    pub(super) fn chunk(&self, key: &blobs::Key) -> io::Result<Vec<u8>> {
        self.store.blobs().read(key, MAX_CHUNK_ENTRIES as u64 * 32)
    }

    pub(super) fn entries(&self, chunks: &[blobs::Key]) -> Result<Vec<Point>, Error> {
        let mut entries = Vec::with_capacity(chunks.len() * MAX_CHUNK_ENTRIES);
        for key in chunks {
            let chunk = from_bytes(&self.chunk(key)?);
            entries.extend(chunk.ok_or(Error::Shape { table: "adverts" })?);
        }
        Ok(entries)
    }
}

pub(super) fn peer_key(peer: &OdsCode) -> Vec<u8> {
    [PEER, peer.as_str().as_bytes()].concat()
}
