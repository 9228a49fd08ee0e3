//! What rounds of a reconcile leave: what was agreed, how far each side is, and the ciphertext that
//! came ahead of its keys.
//!
//! | table | key | value |
//! |---|---|---|
//! | `rounds` | round | [`Row`] |
//! | `round with` | peer | the newest round with it |
//! | `round given` | round | how far the peer is with our bundles |
//! | `round ours` | round, place | a bundle of ours, sealed whole: [`Made`] |
//! | `round theirs` | round, place | a bundle of the peer's, arrived whole |
//! | `round begun` | round | the bundle of the peer's that is arriving: key hash, size, offset |
//! | `shown in rounds` | peer, name of the person | the last import the peer was shown |

use std::io;

use fairshare_protocol::exchange::bundle::Root;
use fairshare_protocol::exchange::reconcile::orders::{
    Found, Given, Kept, Ours, Partial, Round, Theirs,
};
use fairshare_protocol::ids::{Hash, OdsCode, PersonId, RoundId};
use fairshare_protocol::index::key::IndexKey;
use serde::{Deserialize, Serialize};

use super::blobs::spool::SpoolName;
use super::{Error, Store, Table};

/// The tables of rounds. Cheap to clone.
#[derive(Clone)]
pub struct Rounds {
    store: Store,
    rounds: Table,
    with: Table,
    given: Table,
    ours: Table,
    theirs: Table,
    begun: Table,
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
            given: store.table("round given")?,
            ours: store.table("round ours")?,
            theirs: store.table("round theirs")?,
            begun: store.table("round begun")?,
            shown: store.table("shown in rounds")?,
            store: store.clone(),
        })
    }

    /// Keeps a round that was agreed; it is the newest with its peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn begin(&self, round: &Round) -> Result<Row, Error> {
        let row = Row {
            round: round.clone(),
            spool: SpoolName::random(),
            over: false,
        };
        self.rounds.put(round.id.as_bytes(), &row)?;
        self.with.put(round.peer.as_str().as_bytes(), &round.id)?;
        Ok(row)
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
        let given: Given = self.given.load(id.as_bytes())?.unwrap_or_default();
        let ours = self.ours.scan::<Made>(id.as_bytes());
        let ours = ours.skip(given.receipted as usize);
        let theirs = self.theirs.scan::<Theirs>(id.as_bytes());
        let theirs: Vec<Theirs> = theirs
            .map(|pair| pair.map(|(_, theirs)| theirs))
            .collect::<Result<_, _>>()?;
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

    /// Keeps what was found in a bundle of the peer's.
    ///
    /// # Errors
    /// If sled fails, or it is not there.
    pub fn found(&self, round: &RoundId, index: u32, found: Found) -> Result<(), Error> {
        let key = place(round, index);
        let theirs = self.theirs.load::<Theirs>(&key)?;
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
