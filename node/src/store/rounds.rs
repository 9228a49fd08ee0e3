//! What rounds of a reconcile leave: what was agreed, how far each side is, and the ciphertext that
//! came ahead of its keys.
//!
//! | table | key | value |
//! |---|---|---|
//! | `rounds` | round | [`Row`] |
//! | `round with` | peer | the newest round with it |
//! | `round under` | round | under which offers it was agreed: [`Under`] |
//! | `round given` | round | how far the peer is with our bundles |
//! | `round ours` | round, place | a bundle of ours, sealed whole: [`Made`] |
//! | `round theirs` | round, place | a bundle of the peer's, arrived whole |
//! | `round begun` | round | the bundle of the peer's that is arriving: key hash, size, offset |
//! | `round said` | round, statement | nothing: a signed statement about it is kept |
//! | `round unreadable` | round, place | the key of a bundle of the peer's that opens none |
//! | `shown in rounds` | peer, name of the person | the last import the peer was shown |

use std::io;

use fairshare_protocol::crypto::stream::StreamKey;
use fairshare_protocol::exchange::bundle::Root;
use fairshare_protocol::exchange::reconcile::orders::{
    Found, Given, Kept, Ours, Partial, Round, Theirs,
};
use fairshare_protocol::ids::{ExchangeId, Hash, OdsCode, PersonId, RoundId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::blobs::spool::SpoolName;
use super::{Error, Store, Table};

pub use self::under::Under;

mod under;

/// The tables of rounds. Cheap to clone.
#[derive(Clone)]
pub struct Rounds {
    store: Store,
    rounds: Table,
    with: Table,
    under: Table,
    given: Table,
    ours: Table,
    theirs: Table,
    begun: Table,
    said: Table,
    unreadable: Table,
    shown: Table,
}

/// A round, and where what comes in it lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The round.
    pub round: Round,
    /// Where the peer's ciphertext lies.
    pub spool: SpoolName,
    /// Whether it is over.
    pub over: bool,
}

/// A bundle of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// What the machine knows of it.
    pub ours: Ours,
    /// Whose records are in it.
    pub person: PersonId,
    /// The last import in it.
    pub import: u64,
}

fn place(round: &RoundId, index: u32) -> Vec<u8> {
    [&round.as_bytes()[..], &index.to_be_bytes()].concat()
}

impl Rounds {
    /// The tables in `store`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            rounds: store.table("rounds")?,
            with: store.table("round with")?,
            under: store.table("round under")?,
            given: store.table("round given")?,
            ours: store.table("round ours")?,
            theirs: store.table("round theirs")?,
            begun: store.table("round begun")?,
            said: store.table("round said")?,
            unreadable: store.table("round unreadable")?,
            shown: store.table("shown in rounds")?,
            store: store.clone(),
        })
    }

    /// Keeps a round that was agreed under these offers; it is the newest with its peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn begin(&self, round: &Round, under: &Under) -> Result<Row, Error> {
        let row = Row {
            round: round.clone(),
            spool: SpoolName::random(),
            over: false,
        };
        self.under.put(round.id.as_bytes(), under)?;
        self.rounds.put(round.id.as_bytes(), &row)?;
        self.with.put(round.peer.as_str().as_bytes(), &round.id)?;
        Ok(row)
    }

    /// Under which offers a round was agreed; none of a round from before that was kept.
    ///
    /// # Errors
    /// If sled fails.
    pub fn under(&self, round: &RoundId) -> Result<Option<Under>, Error> {
        self.under.load(round.as_bytes())
    }

    /// The newest round with a peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn newest(&self, peer: &OdsCode) -> Result<Option<Row>, Error> {
        match self.with.load::<RoundId>(peer.as_str().as_bytes())? {
            Some(round) => self.rounds.load(round.as_bytes()),
            None => Ok(None),
        }
    }

    /// A round.
    ///
    /// # Errors
    /// If sled fails.
    pub fn round(&self, round: &RoundId) -> Result<Option<Row>, Error> {
        self.rounds.load(round.as_bytes())
    }

    /// Every round with a peer that is not forgotten yet.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all_with(&self, peer: &OdsCode) -> Result<Vec<Row>, Error> {
        let all = self
            .rounds
            .scan::<Row>(b"")
            .map(|pair| pair.map(|(_, row)| row));
        all.filter(|row| !matches!(row, Ok(row) if row.round.peer != *peer))
            .collect()
    }

    /// Forgets the rounds over and begun before `then`, with the ciphertext that came in them, of
    /// which nothing `is_held` any more. Says how many. Blocks.
    ///
    /// # Errors
    /// If the store fails, or a file cannot be removed: then it is tried again.
    pub fn forget(
        &self,
        then: Timestamp,
        is_held: impl Fn(&ExchangeId) -> Result<bool, Error>,
    ) -> Result<u64, Error> {
        let mut forgotten = 0;
        for pair in self.rounds.scan::<Row>(b"") {
            let (_, row) = pair?;
            let id = row.round.id;
            if !row.over || row.round.at >= then || self.is_any_held(&row, &is_held)? {
                continue;
            }
            self.store.blobs().remove_spool(&row.spool)?;
            for table in [&self.ours, &self.theirs, &self.said, &self.unreadable] {
                let keys: Result<Vec<_>, _> = table.keys(id.as_bytes()).collect();
                table.remove_all(&keys?)?;
            }
            self.under.remove(id.as_bytes())?;
            self.given.remove(id.as_bytes())?;
            self.begun.remove(id.as_bytes())?;
            // Last: what is interrupted is found again.
            self.rounds.remove(id.as_bytes())?;
            forgotten += 1;
        }
        Ok(forgotten)
    }

    fn is_any_held(
        &self,
        row: &Row,
        is_held: &impl Fn(&ExchangeId) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for index in 0..row.round.len() {
            if let Some((_, exchange)) = row.round.at(index)
                && is_held(&exchange)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A round is over.
    ///
    /// # Errors
    /// If sled fails.
    pub fn end(&self, round: &RoundId) -> Result<(), Error> {
        if let Some(mut row) = self.round(round)? {
            row.over = true;
            self.rounds.put(round.as_bytes(), &row)?;
        }
        Ok(())
    }

    /// All that is kept of a round. Reads what of a bundle lies in the spool, and blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub fn kept(&self, row: &Row) -> Result<Kept, Error> {
        let id = row.round.id;
        let given = self.given(&id)?;
        let ours = self.ours.scan::<Made>(id.as_bytes());
        let ours = ours.skip(given.receipted as usize);
        let theirs = self.all_theirs(&id)?;
        let next = Theirs::end(&theirs);
        let begun = self.begun.load::<(Hash, u64, u64)>(id.as_bytes())?;
        let begun = begun.filter(|(_, _, offset)| *offset == next);
        let partial = begun.map(|(key, size, offset)| {
            let mut root = Root::default();
            let chunks = self
                .store
                .blobs()
                .spooled_chunks(&row.spool, offset, size, |chunk| root.add(chunk))?;
            Ok::<_, io::Error>(Partial {
                key,
                size,
                chunks,
                root,
            })
        });
        Ok(Kept {
            given,
            ours: ours
                .map(|pair| pair.map(|(_, made)| made.ours))
                .collect::<Result<_, _>>()?,
            theirs,
            partial: partial.transpose()?.filter(|partial| partial.chunks > 0),
            round: row.round.clone(),
        })
    }

    /// Keeps how far the peer is.
    ///
    /// # Errors
    /// If sled fails.
    pub fn give(&self, round: &RoundId, given: &Given) -> Result<(), Error> {
        self.given.put(round.as_bytes(), given)
    }

    /// Keeps a bundle of ours.
    ///
    /// # Errors
    /// If sled fails.
    pub fn keep(&self, round: &RoundId, index: u32, made: &Made) -> Result<(), Error> {
        self.ours.put(&place(round, index), made)
    }

    /// A bundle of ours.
    ///
    /// # Errors
    /// If sled fails.
    pub fn ours(&self, round: &RoundId, index: u32) -> Result<Option<Made>, Error> {
        self.ours.load(&place(round, index))
    }

    /// Keeps a bundle of the peer's.
    ///
    /// # Errors
    /// If sled fails.
    pub fn hold(&self, round: &RoundId, index: u32, theirs: &Theirs) -> Result<(), Error> {
        self.theirs.put(&place(round, index), theirs)
    }

    /// A bundle of the peer's.
    ///
    /// # Errors
    /// If sled fails.
    pub fn theirs(&self, round: &RoundId, index: u32) -> Result<Option<Theirs>, Error> {
        self.theirs.load(&place(round, index))
    }

    /// The bundles of the peer's that arrived whole, by place.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all_theirs(&self, round: &RoundId) -> Result<Vec<Theirs>, Error> {
        let theirs = self.theirs.scan::<Theirs>(round.as_bytes());
        theirs.map(|pair| pair.map(|(_, theirs)| theirs)).collect()
    }

    /// How far the peer is.
    ///
    /// # Errors
    /// If sled fails.
    pub fn given(&self, round: &RoundId) -> Result<Given, Error> {
        Ok(self.given.load(round.as_bytes())?.unwrap_or_default())
    }

    /// Keeps that a statement is about a round.
    ///
    /// # Errors
    /// If sled fails.
    pub fn say(&self, round: &RoundId, statement: &Hash) -> Result<(), Error> {
        let key = [&round.as_bytes()[..], &statement.as_bytes()[..]].concat();
        self.said.put(&key, &())
    }

    /// The statements about a round.
    ///
    /// # Errors
    /// If sled fails.
    pub fn said(&self, round: &RoundId) -> Result<Vec<Hash>, Error> {
        let keys = self.said.keys(round.as_bytes());
        let hash = |key: Vec<u8>| Some(Hash::new(*key.get(16..)?.first_chunk()?));
        let hashes = keys.filter_map(|key| key.map(hash).transpose());
        hashes.collect()
    }

    /// Keeps the key of a bundle of the peer's that opens none.
    ///
    /// # Errors
    /// If sled fails.
    pub fn cannot_read(&self, round: &RoundId, index: u32, key: &StreamKey) -> Result<(), Error> {
        self.unreadable.put(&place(round, index), key)
    }

    /// Whether the key of a bundle of the peer's came, and opened none.
    ///
    /// # Errors
    /// If sled fails.
    pub fn is_unreadable(&self, round: &RoundId, index: u32) -> Result<bool, Error> {
        self.unreadable.contains(&place(round, index))
    }

    /// Keeps what was found in a bundle of the peer's.
    ///
    /// # Errors
    /// If sled fails, or it is not there.
    pub fn found(&self, round: &RoundId, index: u32, found: Found) -> Result<(), Error> {
        let key = place(round, index);
        let theirs = self.theirs(round, index)?;
        let theirs = theirs.ok_or(Error::Shape {
            table: "round theirs",
        })?;
        let found = Some(found);
        self.theirs.put(&key, &Theirs { found, ..theirs })
    }

    /// Keeps where the bundle begins that is arriving.
    ///
    /// # Errors
    /// If sled fails.
    pub fn begun(&self, round: &RoundId, begun: &(Hash, u64, u64)) -> Result<(), Error> {
        self.begun.put(round.as_bytes(), begun)
    }

    /// The last import of which a peer was shown all it may see of somebody; 0 if it never was.
    ///
    /// # Errors
    /// If sled fails.
    pub fn shown(&self, peer: &OdsCode, person: &IndexKey) -> Result<u64, Error> {
        Ok(self.shown.load(&self.shown_key(peer, person))?.unwrap_or(0))
    }

    /// Keeps that a peer was.
    ///
    /// # Errors
    /// If sled fails.
    pub fn show(&self, peer: &OdsCode, person: &IndexKey, import: u64) -> Result<(), Error> {
        self.shown.put(&self.shown_key(peer, person), &import)
    }

    fn shown_key(&self, peer: &OdsCode, person: &IndexKey) -> Vec<u8> {
        let text = person.expose();
        let name = self.store.name("shown in rounds", &[text.as_bytes()]);
        [peer.as_str().as_bytes(), b"\0", &name].concat()
    }
}
