//! What a round orders of its node, and what it is told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::frame::Why;
use crate::category::Category;
use crate::codec::Roomy;
use crate::crypto::stream::StreamKey;
use crate::exchange::answer::Verdict;
use crate::exchange::bundle::stream::{self, Sealing, Unreadable};
use crate::exchange::bundle::{self, Manifest, Root, Shown};
use crate::ids::{Commitment, ExchangeId, FederationId, Handle, Hash, MatchId, OdsCode, RoundId};
use crate::statement::Signed;
use crate::time::Timestamp;

/// A round both sides agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Its id.
    pub id: RoundId,
    /// With whom.
    pub peer: OdsCode,
    /// Whether this node proposed it: then it is the one to go on with it.
    pub proposed: bool,
    /// The match of the handles.
    pub match_id: MatchId,
    /// When it was proposed; the as-of date of its bundles.
    pub at: Timestamp,
    /// Whether this node's first key leaves first.
    pub leads: bool,
    /// What this node's bundles are sealed under; each under a key of its own made of this.
    pub secret: StreamKey,
    /// The people, in the drawn order.
    pub people: Vec<Handle>,
}

impl Round {
    /// How many people it is about.
    pub fn len(&self) -> u32 {
        // At most MAX_ROUND.
        u32::try_from(self.people.len()).unwrap_or(u32::MAX)
    }

    /// Whether it is about nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The person at a place, and the exchange about them.
    pub fn at(&self, index: u32) -> Option<(Handle, ExchangeId)> {
        let handle = *self.people.get(index as usize)?;
        Some((handle, super::said::exchange(&self.id, &handle)))
    }

    /// A bundle of the peer's at a place, with the key that opens it.
    pub fn locked(
        &self,
        federation: &FederationId,
        me: &OdsCode,
        index: u32,
        (theirs, key): (Theirs, StreamKey),
    ) -> Option<Locked> {
        let (handle, exchange) = self.at(index)?;
        let context = bundle::context(
            federation,
            &exchange,
            &self.peer,
            me,
            &self.match_id,
            &handle,
        );
        Some(Locked {
            index,
            exchange,
            handle,
            theirs,
            context,
            key,
        })
    }

    /// The key of a bundle of this node's whose plaintext begins with what `head` is the hash of.
    /// The head names everything in the bundle: another plaintext has another key.
    pub fn key(&self, exchange: &ExchangeId, head: &Hash) -> StreamKey {
        let parts: [&[u8]; 2] = [exchange.as_bytes(), head.as_bytes()];
        self.secret.derive("round bundle key", &parts)
    }
}

/// How far the other side is with this node's bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// It said that it holds so many.
    pub acknowledged: u32,
    /// The keys of so many left.
    pub released: u32,
    /// It gave receipts for so many.
    pub receipted: u32,
}

/// A bundle of this node's, sealed whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// Its signed root.
    pub shown: Signed<Shown>,
    /// The hash of the beginning of its plaintext: with it the key is made again.
    pub head: Hash,
    /// Bytes of plaintext, padding included.
    pub size: u64,
    /// Records of each category.
    pub counts: Vec<(Category, u32)>,
    /// Whom it is about, in this node's journal.
    pub person: Commitment,
}

/// A bundle of the peer's that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Theirs {
    /// Hash of its signed root.
    pub shown: Hash,
    /// What its key commits to.
    pub key: Hash,
    /// Bytes of plaintext, padding included.
    pub size: u64,
    /// Where its ciphertext begins in the spool.
    pub offset: u64,
    /// What was found when it was opened; there once it is filed.
    pub found: Option<Found>,
}

impl Theirs {
    /// Where in the spool the bundle after these begins.
    pub fn end(theirs: &[Self]) -> u64 {
        let last = theirs.last();
        last.map_or(0, |last| last.offset + stream::sealed(last.size))
    }
}

/// What was found in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whether it is about this node's own person of that handle.
    pub verdict: Verdict,
    /// Records of each category.
    pub counts: Vec<(Category, u32)>,
    /// Whom it is about, in this node's journal.
    pub person: Commitment,
}

/// A bundle of the peer's of which a part arrived.
#[derive(Debug, Clone)]
pub struct Partial {
    /// What its key commits to.
    pub key: Hash,
    /// Bytes of plaintext, padding included.
    pub size: u64,
    /// The chunks that are here.
    pub chunks: u64,
    /// The root over them.
    pub root: Root,
}

/// All that is kept of a round.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The round.
    pub round: Round,
    /// How far the other side is.
    pub given: Given,
    /// This node's bundles, from the first without a receipt.
    pub ours: Vec<Ours>,
    /// The peer's, all of them.
    pub theirs: Vec<Theirs>,
    /// The one that did not arrive whole.
    pub partial: Option<Partial>,
}

impl Kept {
    /// Where in the spool what comes next belongs.
    pub fn end(&self) -> u64 {
        let partial = self.partial.as_ref();
        let here = partial.map_or(0, |part| stream::arrived(part.size, part.chunks));
        Theirs::end(&self.theirs) + here
    }
}

/// What is to be kept.
#[derive(Debug)]
pub enum Save {
    /// A round was agreed; an earlier one with the same peer is over.
    Round(Box<Round>),
    /// A signed statement, sent or received, encoded.
    Statement(Hash, Vec<u8>),
    /// How far the other side is.
    Given(Given),
    /// A bundle of the peer's begins here in the spool.
    Begin {
        /// What its key commits to.
        key: Hash,
        /// Bytes of plaintext, padding included.
        size: u64,
        /// Where it begins; what is there or beyond is of a bundle that was given up.
        offset: u64,
    },
    /// Its next chunk.
    Spool(Vec<u8>),
    /// The round is over.
    Over,
}

/// What the machine wants to know or have done.
#[derive(Debug)]
pub enum Load {
    /// Who is linked and active, or why there can be no round.
    People(MatchId),
    /// What was kept of a round with this peer.
    Recall(RoundId),
    /// Get a bundle ready to be shown.
    Prepare {
        /// About whom.
        handle: Handle,
        /// The match of the handle.
        match_id: MatchId,
        /// What may be in it.
        categories: BTreeSet<Category>,
        /// Its as-of date.
        at: Timestamp,
    },
    /// The next plaintext of that bundle: as much as is [wanted](Sealing::wanted), and sealed.
    Seal(Box<Sealing>),
    /// Make these durable: bundles of ours, from this place on.
    Keep(u32, Vec<Ours>),
    /// Make the spool and these durable: bundles of the peer's, from this place on.
    Hold(u32, Vec<(Theirs, Signed<Shown>)>),
    /// Open bundles and look whom they are about.
    Open(Vec<Locked>),
    /// File bundles that were opened, or put them into quarantine, durably.
    File(Vec<Unlocked>),
    /// Comes back when an operator calls the round off, or stops showing what may be in it.
    Cancellation,
}

/// A bundle in the spool, and what opens it.
#[derive(Debug, Clone)]
pub struct Locked {
    /// Its place in the round.
    pub index: u32,
    /// The exchange.
    pub exchange: ExchangeId,
    /// About whom.
    pub handle: Handle,
    /// Where it lies.
    pub theirs: Theirs,
    /// What its chunks are bound to.
    pub context: Hash,
    /// Its key.
    pub key: StreamKey,
}

/// A bundle that was opened.
#[derive(Debug, Clone)]
pub struct Unlocked {
    /// Where it lies and what opens it.
    pub locked: Locked,
    /// What is in it.
    pub manifest: Manifest,
    /// What was found.
    pub found: Found,
}

/// What the machine is told.
#[derive(Debug)]
pub enum Fact {
    /// Answers [`Load::People`]: each, and whether there is something new of them.
    People(Result<Vec<(Handle, bool)>, Why>),
    /// Answers [`Load::Recall`].
    Recalled(Option<Box<Kept>>),
    /// Answers [`Load::Prepare`].
    Prepared(Prepared),
    /// Answers [`Load::Seal`]: the chunk and whether it is the last; none if it cannot be read.
    Sealed(Box<Sealing>, Option<(Roomy, bool)>),
    /// Answers [`Load::Keep`].
    Kept,
    /// Answers [`Load::Hold`].
    Held,
    /// Answers [`Load::Open`]: each in the same order; the first that does not open ends them.
    Opened(Vec<Unlocked>, Option<Unreadable>),
    /// Answers [`Load::File`].
    Filed,
    /// An operator called the round off, or stopped showing what may be in it.
    Cancelled(Why),
}

/// A bundle ready to be sealed.
#[derive(Debug)]
pub struct Prepared {
    /// Records of each category.
    pub counts: Vec<(Category, u32)>,
    /// Bytes of plaintext: manifest with its length, and bodies.
    pub length: u64,
    /// Hash of the manifest with its length.
    pub head: Hash,
    /// Whom it is about, in this node's journal.
    pub person: Commitment,
}
