//! What peers were shown of whom, and what they are still to be told of it.
//!
//! | table | key | value |
//! |---|---|---|
//! | `shown to` | person, peer | [`Holding`]: a copy the peer holds |
//! | `changed` | person, import | nothing; the import filed something they may have to be told of |
//! | `notices` | person, peer | [`Due`]: a notice without its acknowledgement |
//! | `notices heard` | exchange | the receipt we gave for what came with a notice |
//!
//! An import marks whom it changed while it files; its marks count once it is finished. What is told
//! is worked out when it is sent: everything between [`Holding::upto`] and the import visible then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairshare_protocol::category::Category;
use fairshare_protocol::exchange::answer::Receipt;
use fairshare_protocol::ids::{ExchangeId, Fixed, Hash, OdsCode, PersonId};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Error, Store, Table};

/// A copy of somebody's records that a peer holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holding {
    /// Up to this import the peer knows what it has to.
    pub upto: u64,
    /// What was shown of them, ever.
    pub categories: BTreeSet<Category>,
}

/// A notice that was not acknowledged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Since when.
    pub since: Timestamp,
    /// How often it left.
    pub tries: u32,
    /// Why it waits; none before it was tried.
    pub why: Option<String>,
    /// What left last: its exchange, the import up to which it says everything, and its commitment
    /// once there was one.
    pub left: Option<Left>,
}

/// A notice that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its exchange.
    pub exchange: ExchangeId,
    /// What it says everything up to.
    pub upto: u64,
    /// Hash of our signed commitment to its bundle.
    pub commitment: Option<Hash>,
}

/// The tables of notices. Cheap to clone.
#[derive(Clone)]
pub struct Notices {
    shown: Table,
    changed: Table,
    due: Table,
    heard: Table,
    stir: Arc<Notify>,
    turn: Arc<Mutex<()>>,
}

fn place(person: &PersonId, peer: &OdsCode) -> Vec<u8> {
    [&person.0.0[..], peer.as_str().as_bytes()].concat()
}

/// Whose and with whom a row is.
fn placed(key: &[u8]) -> Option<(PersonId, OdsCode)> {
    let (person, peer) = key.split_first_chunk::<16>()?;
    let peer = std::str::from_utf8(peer).ok()?.parse().ok()?;
    Some((PersonId(Fixed(*person)), peer))
}

impl Notices {
    /// The tables in `store`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            shown: store.table("shown to")?,
            changed: store.table("changed")?,
            due: store.table("notices")?,
            heard: store.table("notices heard")?,
            stir: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// Held by whoever makes notices of marks, and whoever takes one off: not both at once.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever sends notices.
    pub fn stir(&self) {
        self.stir.notify_one();
    }

    /// Returns when somebody [stirs](Self::stir).
    pub async fn stirred(&self) {
        self.stir.notified().await;
    }

    /// A peer is shown all it may see of a person, as of an import: it holds these categories.
    ///
    /// # Errors
    /// If sled fails.
    pub fn show(
        &self,
        (person, peer): (&PersonId, &OdsCode),
        upto: u64,
        categories: impl IntoIterator<Item = Category>,
    ) -> Result<(), Error> {
        let key = place(person, peer);
        let before: Option<Holding> = self.shown.load(&key)?;
        let mut holding = before.clone().unwrap_or_else(|| Holding {
            upto,
            categories: BTreeSet::new(),
        });
        holding.categories.extend(categories);
        // A bundle does not say what became of records shown earlier: as long as there may be
        // something to tell, it is counted from where it was.
        if holding.upto < upto && !self.due.contains(&key)? && !self.is_changed(person)? {
            holding.upto = upto;
        }
        match before.as_ref() == Some(&holding) || holding.categories.is_empty() {
            true => Ok(()),
            false => self.shown.put(&key, &holding),
        }
    }

    fn is_changed(&self, person: &PersonId) -> Result<bool, Error> {
        Ok(self.changed.keys(&person.0.0).next().transpose()?.is_some())
    }

    /// Whether any peer holds anything.
    ///
    /// # Errors
    /// If sled fails.
    pub fn is_any_shown(&self) -> Result<bool, Error> {
        Ok(self.shown.keys(b"").next().transpose()?.is_some())
    }

    /// What a peer holds of a person.
    ///
    /// # Errors
    /// If sled fails.
    pub fn holding(&self, person: &PersonId, peer: &OdsCode) -> Result<Option<Holding>, Error> {
        self.shown.load(&place(person, peer))
    }

    /// Marks a person of whom an import under way files something a peer may have to be told.
    ///
    /// # Errors
    /// If sled fails.
    pub fn mark(&self, person: &PersonId, import: u64) -> Result<(), Error> {
        let key = [&person.0.0[..], &import.to_be_bytes()].concat();
        self.changed.put(&key, &())
    }

    /// Marks of imports up to `visible`: whose each is, and by what it is [taken
    /// off](Self::unmark).
    ///
    /// # Errors
    /// If sled fails.
    pub fn marks(&self, visible: u64) -> Result<Vec<(PersonId, Vec<u8>)>, Error> {
        let mut marks = Vec::new();
        for key in self.changed.keys(b"") {
            let key = key?;
            if let Some((person, import)) = key.split_first_chunk::<16>()
                && let Some(import) = import.first_chunk()
                && u64::from_be_bytes(*import) <= visible
            {
                marks.push((PersonId(Fixed(*person)), key));
            }
        }
        Ok(marks)
    }

    /// Takes a mark off.
    ///
    /// # Errors
    /// If sled fails.
    pub fn unmark(&self, mark: &[u8]) -> Result<(), Error> {
        self.changed.remove(mark).map(drop)
    }

    /// Who holds a copy of a person's records.
    ///
    /// # Errors
    /// If sled fails.
    pub fn holders(&self, person: &PersonId) -> Result<Vec<OdsCode>, Error> {
        let keys = self.shown.keys(&person.0.0);
        let peers = keys.filter_map(|key| key.map(|key| Some(placed(&key)?.1)).transpose());
        peers.collect()
    }

    /// A peer is to be told; nothing changes if it is already.
    ///
    /// # Errors
    /// If sled fails.
    pub fn owe(&self, person: &PersonId, peer: &OdsCode, since: Timestamp) -> Result<(), Error> {
        let due = Due {
            since,
            tries: 0,
            why: None,
            left: None,
        };
        self.due.put_new(&place(person, peer), &due).map(drop)
    }

    /// All notices that were not acknowledged.
    ///
    /// # Errors
    /// If sled fails.
    pub fn due(&self) -> Result<Vec<(PersonId, OdsCode, Due)>, Error> {
        let mut all = Vec::new();
        for row in self.due.scan::<Due>(b"") {
            let (key, due) = row?;
            if let Some((person, peer)) = placed(&key) {
                all.push((person, peer, due));
            }
        }
        Ok(all)
    }

    /// A notice that was not acknowledged.
    ///
    /// # Errors
    /// If sled fails.
    pub fn kept(&self, person: &PersonId, peer: &OdsCode) -> Result<Option<Due>, Error> {
        self.due.load(&place(person, peer))
    }

    /// Keeps how far a notice is.
    ///
    /// # Errors
    /// If sled fails.
    pub fn keep(&self, person: &PersonId, peer: &OdsCode, due: &Due) -> Result<(), Error> {
        self.due.put(&place(person, peer), due)
    }

    /// The peer knows everything up to that import.
    ///
    /// # Errors
    /// If sled fails.
    pub fn told(
        &self,
        (person, peer): (&PersonId, &OdsCode),
        upto: u64,
        categories: impl IntoIterator<Item = Category>,
    ) -> Result<(), Error> {
        let key = place(person, peer);
        if let Some(mut holding) = self.shown.load::<Holding>(&key)? {
            holding.upto = holding.upto.max(upto);
            holding.categories.extend(categories);
            self.shown.put(&key, &holding)?;
        }
        self.due.remove(&key).map(drop)
    }

    /// Keeps the receipt for what came with a notice.
    ///
    /// # Errors
    /// If sled fails.
    pub fn hear(&self, exchange: &ExchangeId, receipt: &Signed<Receipt>) -> Result<(), Error> {
        self.heard.put(exchange.as_bytes(), receipt)
    }

    /// The receipt for what came with a notice; none if nothing did.
    ///
    /// # Errors
    /// If sled fails.
    pub fn heard(&self, exchange: &ExchangeId) -> Result<Option<Signed<Receipt>>, Error> {
        self.heard.load(exchange.as_bytes())
    }
}
