//! What an exchange orders of its node, and what it is told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{NoticeCase, Subject};
use crate::category::{Category, Purpose};
use crate::codec::Roomy;
use crate::exchange::account::{Entry, Stage};
use crate::exchange::answer::{Answer, Receipt, Verdict};
use crate::exchange::bundle::Manifest;
use crate::exchange::review::Review;
use crate::ids::{Commitment, ExchangeId, Handle, Hash, MatchId, OdsCode, PersonId};
use crate::index::key::IndexKey;
use crate::statement::Signed;
use crate::time::Timestamp;

/// What is to be kept.
#[derive(Debug)]
pub enum Save {
    /// A signed statement, sent or received, under its hash.
    Statement {
        /// The exchange it belongs to.
        exchange: ExchangeId,
        /// What it is.
        kind: u8,
        /// Its hash.
        hash: Hash,
        /// The whole statement, encoded.
        bytes: Vec<u8>,
    },
    /// The holder's answer to a request, so that a repeated request gets the same.
    Executed {
        /// The exchange.
        exchange: ExchangeId,
        /// Hash of the request.
        request: Hash,
        /// The answer.
        answer: Signed<Answer>,
    },
    /// An emergency, to be reviewed on this side.
    Review(Box<Review>),
    /// The next plaintext of the bundle being received. Kept out of sight until [`Save::File`].
    Spool(Vec<u8>),
    /// The spooled bundle is whole: keep it as received, or in quarantine.
    File(Box<Filed>),
    /// A bundle of ours is about to have left whole: the peer holds a copy from now on.
    Shown {
        /// Whose.
        subject: Subject,
        /// Records of each category.
        counts: Vec<(Category, u32)>,
        /// Hash of our commitment to it.
        commitment: Hash,
    },
    /// What came with a notice is filed: the receipt that is given again when it is told again.
    Heard {
        /// The notice's exchange.
        exchange: ExchangeId,
        /// The receipt.
        receipt: Signed<Receipt>,
        /// Whether it was filed, not put into quarantine.
        opened: bool,
    },
    /// What the exchange leaves for the account of the two, so far or in the end.
    Account(Stage, Box<Entry>),
}

/// What is known of a bundle that was received whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
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
    /// Whether it came in return for an answer of ours.
    pub in_return: bool,
    /// What is in it.
    pub manifest: Manifest,
    /// Filed, or in quarantine.
    pub verdict: Verdict,
    /// Hash of the sender's commitment to it.
    pub shown: Hash,
}

/// What the machine wants to know.
#[derive(Debug)]
pub enum Load {
    /// Who a handle names, and whether the exchange was executed before.
    Case {
        /// The exchange.
        exchange: ExchangeId,
        /// The match of the handle.
        match_id: MatchId,
        /// The handle.
        handle: Handle,
    },
    /// Who a handle names, and whether what comes with this notice came before.
    Notice {
        /// The exchange.
        exchange: ExchangeId,
        /// The match of the handle.
        match_id: MatchId,
        /// The handle.
        handle: Handle,
    },
    /// Get a bundle ready to be shown.
    Prepare {
        /// About whom.
        subject: Subject,
        /// What may be in it, by the terms the exchange began under: as far as they still are.
        categories: BTreeSet<Category>,
        /// What it is shown for.
        purpose: Purpose,
        /// Whether it is shown in return for an answer.
        in_return: bool,
    },
    /// The next plaintext of that bundle: [`crate::limits::BUNDLE_CHUNK`] bytes, fewer at its end.
    Chunk,
    /// Whether the spooled bundle's own demographics are those of the person with this key.
    Examine(IndexKey),
}

/// What the machine is told.
#[derive(Debug)]
pub enum Fact {
    /// Answers [`Load::Case`].
    Case(Case),
    /// Answers [`Load::Notice`].
    Notice(NoticeCase),
    /// Answers [`Load::Prepare`]: what is ready, and what of the categories an operator stopped
    /// showing.
    Prepared(Prepared, BTreeSet<Category>),
    /// Answers [`Load::Chunk`].
    Chunk(Roomy),
    /// Answers [`Load::Chunk`] once an operator stopped showing what is in the bundle.
    Stopped,
    /// Answers [`Load::Chunk`] once an offer was narrowed, and what is in the bundle is not offered
    /// any more.
    Narrowed,
    /// Answers [`Load::Examine`].
    Examined(bool),
}

/// What a holder knows of a request's exchange and handle.
#[derive(Debug)]
pub struct Case {
    /// The person, if the handle is of a link both sides proved.
    pub subject: Option<Subject>,
    /// The answer given before to this exchange id, and the hash of the request it answered.
    pub earlier: Option<(Hash, Signed<Answer>)>,
}

/// A bundle ready to be shown, or why there is none.
#[derive(Debug)]
pub enum Prepared {
    /// It is ready.
    Bundle {
        /// Records of each category.
        counts: Vec<(Category, u32)>,
        /// Bytes of plaintext: manifest with its length, and bodies.
        length: u64,
    },
    /// There is nothing to show; why stands in the journal only.
    Nothing(String),
    /// An operator stopped showing all of what may be in it.
    Stopped,
    /// An offer was narrowed meanwhile: nothing of what may be in it is offered any more.
    NotOffered,
    /// It cannot be made just now; why stands in the journal only.
    Unavailable(String),
}
