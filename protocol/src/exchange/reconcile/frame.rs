//! The messages of [`crate::wire::RECONCILE`].

use serde::{Deserialize, Serialize};

use super::said::{Agreement, Held, Nonce, Proposal, Receipts};
use crate::category::words;
use crate::codec::Bytes;
use crate::crypto::stream::StreamKey;
use crate::exchange::bundle::Shown;
use crate::ids::{Handle, Hash, RoundId};
use crate::statement::Signed;

words! {
    /// Why a member does not reconcile now, or no longer.
    Why {
        /// It knows no finished match that these handles are of: match again.
        NotMatched = "not-matched",
        /// Nothing flows in bulk between the two.
        OutsideOffer = "outside-offer",
        /// Its operator stopped showing to this member.
        Stopped = "stopped",
        /// The bulk lane is paused until requests are answered again.
        Paused = "paused",
        /// Another round with the same member is under way.
        Busy = "busy",
        /// The round to go on with is not known there.
        UnknownRound = "unknown-round",
        /// It cannot be done just now.
        NotReasonablyAble = "not-reasonably-able",
        /// Its operator called the round off.
        Cancelled = "cancelled",
        /// It did not understand, or not accept, what it was told.
        Refused = "refused",
        /// An offer was narrowed meanwhile: some of what was agreed is not offered any more.
        Narrowed = "narrowed",
    }
}

/// How far one side is in a round. What is less than was said before was lost with a store, and is
/// done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stand {
    /// Bundles of the other's that lie here whole.
    pub held: u32,
    /// Of the next of them, what its key commits to, and the chunks that are here.
    pub partial: Option<(Hash, u64)>,
    /// Bundles of the other's that were opened.
    pub opened: u32,
    /// Bundles of its own that the other has said it holds.
    pub acknowledged: u32,
    /// Keys that left.
    pub released: u32,
    /// Bundles of its own there are receipts for.
    pub receipted: u32,
}

/// One message. The numbers of the kinds are their order here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// A round is proposed; the proposer's people follow.
    Proposal(Signed<Proposal>),
    /// People who are active here.
    People {
        /// Each, and whether there is something new of them.
        people: Vec<(Handle, bool)>,
        /// Whether these are the last.
        last: bool,
    },
    /// The other side's nonce; its people follow.
    Accept(Nonce),
    /// One side's commitment to the list.
    Agreement(Signed<Agreement>),
    /// A round goes on: which, and how far the sender is.
    Resume(RoundId, Stand),
    /// How far the other is.
    Stand(Stand),
    /// The next bundle follows.
    Bundle(Opens),
    /// The next chunk of its ciphertext.
    Chunk(Bytes),
    /// The signed root over it.
    Commitment(Signed<Shown>),
    /// Bundles lie here whole.
    Held(Signed<Held>),
    /// The key of the bundle at this place.
    Key(u32, StreamKey),
    /// Bundles were opened and filed.
    Receipts(Signed<Receipts>),
    /// Still there.
    Working,
    /// It is over, and why.
    Stopped(Why),
}

/// How many kinds of frame there are.
pub(super) const KINDS: u8 = 14;

/// What is known of a bundle before it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opens {
    /// Its place in the round.
    pub index: u32,
    /// Bytes of plaintext, padding included.
    pub size: u64,
    /// [`StreamKey::commit`] of its key.
    pub key: Hash,
    /// Chunks that are left out, as they are there already.
    pub skipped: u64,
}
