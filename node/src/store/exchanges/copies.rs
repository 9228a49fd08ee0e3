//! What becomes of received bundles: they are filed, or erased.
//!
//! | table | key | value |
//! |---|---|---|
//! | `filings` | exchange | [`Filing`] |
//! | `erased` | exchange | [`Erased`]: what is known of a bundle that is no more |
//! | `erasing` | exchange | nothing; there until its file is gone |
//!
//! A bundle is erased in steps, each durable before the next: it is decided ([`Exchanges::decide`]),
//! journaled, its key forgotten ([`Exchanges::forget`]), its file removed
//! ([`Exchanges::remove_file`]). Whatever is interrupted is found in `erasing` and goes on. From the
//! first step on nobody is given the bundle any more, and its exchange takes no other.
//!
//! What is forgotten leaves sled's file when sled writes over it, sealed under the store's key until
//! then: who has that key, that file and a copy of the blob's file from before may still open it.

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::exchange::{Erasure, Filing};
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::bundle::Content;
use fairshare_protocol::ids::{Commitment, ExchangeId, OdsCode, PersonId};
use fairshare_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Exchanges, Plaintext, Received};
use crate::store::blobs::Blobs;

/// What is known of a received bundle without opening it. It names its person to this node only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The exchange it came in.
    pub exchange: ExchangeId,
    /// From whom.
    pub from: OdsCode,
    /// About whom of ours.
    pub person: PersonId,
    /// In this node's journal.
    pub commitment: Commitment,
    /// What for.
    pub purpose: Purpose,
    /// When it was received.
    pub at: Timestamp,
    /// When its author put it together.
    pub as_of: Timestamp,
    /// Whether it came in return for an answer of ours.
    pub in_return: bool,
    /// Whether it was about the right person.
    pub verdict: Verdict,
    /// Records of each category.
    pub counts: Vec<(Category, u32)>,
    /// Documents and other files.
    pub attachments: u32,
    /// Bytes of records and files.
    pub bytes: u64,
}

impl From<&Received> for Outline {
    fn from(received: &Received) -> Self {
        let filed = &received.filed;
        let items = filed.manifest.items.iter();
        let files = items.filter(|item| matches!(item.content, Content::Attachment { .. }));
        Self {
            exchange: filed.exchange,
            from: filed.from.clone(),
            person: filed.person,
            commitment: filed.commitment,
            purpose: filed.purpose,
            at: filed.at,
            as_of: filed.manifest.as_of,
            in_return: filed.in_return,
            verdict: filed.verdict,
            counts: filed.manifest.counts(),
            attachments: u32::try_from(files.count()).unwrap_or(u32::MAX),
            bytes: filed.manifest.bodies(),
        }
    }
}

/// A bundle that was erased, or is being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// What it was.
    pub outline: Outline,
    /// When and why it was erased.
    pub erasure: Erasure,
    /// The name of its file; none if it lies among others of its round, where it stays, and without
    /// its key is nothing.
    file: Option<[u8; 16]>,
}

impl Exchanges {
    /// Who filed a bundle; none if nobody did.
    ///
    /// # Errors
    /// If sled fails.
    pub fn filing(&self, exchange: &ExchangeId) -> Result<Option<Filing>, Error> {
        self.filings.load(exchange.as_bytes())
    }

    /// Files a bundle for good. Says whether nobody had before.
    ///
    /// # Errors
    /// If sled fails.
    pub fn file_for_good(&self, exchange: &ExchangeId, filing: &Filing) -> Result<bool, Error> {
        self.filings.put_new(exchange.as_bytes(), filing)
    }

    /// The bundle that came in that exchange and is no more.
    ///
    /// # Errors
    /// If sled fails.
    pub fn erased(&self, exchange: &ExchangeId) -> Result<Option<Erased>, Error> {
        self.erased.load(exchange.as_bytes())
    }

    /// All bundles that are no more, about one person or about anybody.
    ///
    /// # Errors
    /// If sled fails.
    pub fn all_erased(&self, person: Option<PersonId>) -> Result<Vec<Erased>, Error> {
        let mut found = Vec::new();
        for row in self.erased.scan::<Erased>(b"") {
            let erased = row?.1;
            if person.is_none_or(|id| id == erased.outline.person) {
                found.push(erased);
            }
        }
        Ok(found)
    }

    /// Exchanges whose bundles came at `then` or before and are not filed for good.
    ///
    /// # Errors
    /// If sled fails.
    pub fn expired(&self, then: Timestamp) -> Result<Vec<ExchangeId>, Error> {
        let mut found = Vec::new();
        for row in self.received.scan::<Received>(b"") {
            let filed = row?.1.filed;
            if filed.at <= then && self.filing(&filed.exchange)?.is_none() {
                found.push(filed.exchange);
            }
        }
        Ok(found)
    }

    /// Decides that a bundle is erased; none if there is none to be.
    ///
    /// # Errors
    /// If sled fails.
    pub fn decide(&self, exchange: &ExchangeId, erasure: Erasure) -> Result<Option<Erased>, Error> {
        let Some(received) = self.received(exchange)? else {
            return Ok(None);
        };
        let erased = Erased {
            outline: Outline::from(&received),
            erasure,
            file: match &received.plaintext {
                Plaintext::Blob(key) => Some(key.name()),
                Plaintext::Spooled(_) => None,
            },
        };
        // First, so that nothing is decided that would not be finished.
        self.erasing.put(exchange.as_bytes(), &())?;
        self.erased.put(exchange.as_bytes(), &erased)?;
        Ok(Some(erased))
    }

    /// What was decided to be erased, and of which the file may still be there.
    ///
    /// # Errors
    /// If sled fails.
    pub fn erasing(&self) -> Result<Vec<Erased>, Error> {
        let mut found = Vec::new();
        for key in self.erasing.keys(b"") {
            let key = key?;
            match self.erased.load(&key)? {
                Some(erased) => found.push(erased),
                // It was interrupted before it was decided.
                None => drop(self.erasing.remove(&key)?),
            }
        }
        Ok(found)
    }

    /// Deletes the key of a bundle: once this is durable nobody opens it any more.
    ///
    /// # Errors
    /// If sled fails.
    pub fn forget(&self, erased: &Erased) -> Result<(), Error> {
        let exchange = &erased.outline.exchange;
        self.received.remove(exchange.as_bytes())?;
        self.filings.remove(exchange.as_bytes())?;
        let of = [&erased.outline.person.0.0[..], exchange.as_bytes()].concat();
        self.received_of.remove(&of)?;
        Ok(())
    }

    /// Whether the key of a bundle is forgotten; it is only once the journal has it.
    ///
    /// # Errors
    /// If sled fails.
    pub fn is_forgotten(&self, erased: &Erased) -> Result<bool, Error> {
        let exchange = erased.outline.exchange;
        Ok(!self.received.contains(exchange.as_bytes())?)
    }

    /// Removes the file of a bundle whose key is forgotten.
    ///
    /// # Errors
    /// If it cannot be removed, or sled fails.
    pub fn remove_file(&self, blobs: &Blobs, erased: &Erased) -> Result<(), Error> {
        if let Some(file) = &erased.file {
            blobs.remove_named(file)?;
        }
        self.erasing.remove(erased.outline.exchange.as_bytes())?;
        Ok(())
    }
}
