//! What this node said when it asked to join: kept, so that it never says two different things.

use fairshare_protocol::ids::FederationId;
use fairshare_protocol::join::{Invitation, JoinRequest};
use fairshare_protocol::roster::SelfStatement;
use fairshare_protocol::statement::Signed;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::store::{self, Store, Table};

/// A join request this node made, and the invitation it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// The request.
    pub request: Signed<JoinRequest>,
    /// Through whom, if it came with an invitation.
    pub invitation: Option<Invitation>,
}

/// What this node said, asking to join. Changes are durable after the store's next commit.
pub struct Said {
    introductions: Table,
    made: Table,
    speaking: Mutex<()>,
    asked: Notify,
}

impl Said {
    /// What the store holds.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: &Store) -> Result<Self, store::Error> {
        Ok(Self {
            introductions: store.table("introductions")?,
            made: store.table("join")?,
            speaking: Mutex::new(()),
            asked: Notify::new(),
        })
    }

    /// Held while this node numbers and signs a statement of its own.
    pub async fn speaking(&self) -> MutexGuard<'_, ()> {
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

    /// Keeps a request this node made; says whether it is kept. The first for its federation and
    /// number stays; the same again may come with another invitation.
    ///
    /// # Errors
    /// If the store fails.
    pub fn make(
        &self,
        federation: FederationId,
        n: u32,
        made: &Made,
    ) -> Result<bool, store::Error> {
        if let Some(earlier) = self.made(federation, n)? {
            if earlier.request != made.request {
                return Ok(false);
            }
            if made.invitation.is_none() {
                return Ok(true);
            }
        }
        self.made.put(&place(federation, n), made)?;
        self.asked.notify_one();
        Ok(true)
    }

    /// The requests this node made, oldest number first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn all_made(&self) -> Result<Vec<Made>, store::Error> {
        let made = self.made.scan::<Made>(b"");
        made.map(|pair| pair.map(|(_, made)| made)).collect()
    }

    /// Until this node next asks to join.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }
}

fn place(federation: FederationId, n: u32) -> Vec<u8> {
    [&federation.as_bytes()[..], &n.to_be_bytes()].concat()
}
