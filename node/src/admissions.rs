//! Joining, as this node keeps it: what it said when it asked to join, and who asks of it.

use std::sync::{Mutex, PoisonError};

use fairshare_protocol::ids::{FederationId, Hash};
use fairshare_protocol::join::{Invitation, JoinRequest, Refusal, Waiting};
use fairshare_protocol::roster::{Inserted, SelfStatement};
use fairshare_protocol::statement::Signed;
use serde::{Deserialize, Serialize};

use crate::store::{self, Store, Table};

/// A join request this node made, and the invitation it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// The request.
    pub request: Signed<JoinRequest>,
    /// Through whom, if it came with an invitation.
    pub invitation: Option<Invitation>,
}

/// Requests made and requests waiting. Changes are durable after the store's next commit.
pub struct Admissions {
    introductions: Table,
    made: Table,
    waiting: Table,
    list: Mutex<Waiting>,
    speaking: tokio::sync::Mutex<()>,
}

impl Admissions {
    /// What the store holds.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: &Store) -> Result<Self, store::Error> {
        let waiting = store.table("waiting")?;
        let mut list = Waiting::default();
        for pair in waiting.scan::<Signed<JoinRequest>>(b"") {
            // Each was checked when it came; one over a limit that shrank since is left out.
            let _ = list.add(pair?.1);
        }
        Ok(Self {
            introductions: store.table("introductions")?,
            made: store.table("join")?,
            waiting,
            list: Mutex::new(list),
            speaking: tokio::sync::Mutex::new(()),
        })
    }

    /// Held while this node numbers and signs a statement of its own.
    pub async fn speaking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.speaking.lock().await
    }

    /// What this node said, or now says, when it asked to join under this number.
    ///
    /// # Errors
    /// If the store fails.
    pub fn introduction<E: From<store::Error>>(
        &self,
        federation: FederationId,
        n: u32,
        make: impl FnOnce() -> Result<Vec<Signed<SelfStatement>>, E>,
    ) -> Result<Vec<Signed<SelfStatement>>, E> {
        let key = place(federation, n);
        if let Some(said) = self.introductions.load(&key)? {
            return Ok(said);
        }
        let said = make()?;
        self.introductions.put(&key, &said)?;
        Ok(said)
    }

    /// The request this node made for this federation and number.
    ///
    /// # Errors
    /// If the store fails.
    pub fn made(&self, federation: FederationId, n: u32) -> Result<Option<Made>, store::Error> {
        self.made.load(&place(federation, n))
    }

    /// Keeps a request this node made; the first for its federation and number stays.
    ///
    /// # Errors
    /// If the store fails.
    pub fn make(
        &self,
        federation: FederationId,
        n: u32,
        made: &Made,
    ) -> Result<bool, store::Error> {
        self.made.put_new(&place(federation, n), made)
    }

    /// The requests this node made, oldest number first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn all_made(&self) -> Result<Vec<Made>, store::Error> {
        let made = self.made.scan::<Made>(b"");
        made.map(|pair| pair.map(|(_, made)| made)).collect()
    }

    /// The requests that wait for a steward. A copy.
    pub fn waiting(&self) -> Waiting {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }

    /// Puts a request that was checked on the list.
    ///
    /// # Errors
    /// If the list is full, or the store fails.
    pub fn wait(&self, request: &Signed<JoinRequest>) -> Result<Inserted, Error> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let inserted = list.add(request.clone())?;
        if inserted == Inserted::New {
            self.waiting.put(request.hash().as_bytes(), request)?;
        }
        Ok(inserted)
    }

    /// Takes a request off the list.
    ///
    /// # Errors
    /// If the store fails.
    pub fn dismiss(&self, request: &Hash) -> Result<(), store::Error> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.remove(request);
        self.waiting.remove(request.as_bytes())?;
        Ok(())
    }
}

fn place(federation: FederationId, n: u32) -> Vec<u8> {
    [&federation.as_bytes()[..], &n.to_be_bytes()].concat()
}

/// Why a request was not put on the list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list is full.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
