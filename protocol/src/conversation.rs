//! The one shape of every conversation between two nodes.
//!
//! A conversation is a state machine. Its inputs are facts in the past tense, its outputs are
//! orders. What it lacks (a stored thing, a heavy computation) it orders and is later told. A node
//! runs it over a stream, a test over a channel, the simulator over a list; none of them decides
//! anything about the protocol.
//!
//! **Persist, then send.** Outputs are executed in order, and everything ordered by `Record` and
//! `Save` is durable (fsynced) before the next `Send` leaves.

pub mod pair;

use rand_core::CryptoRng;

use crate::journal::Act;
use crate::time::Timestamp;

/// What a conversation is told.
#[derive(Debug)]
pub enum Input<Fact> {
    /// The stream to the other side is open.
    Opened,
    /// One frame arrived.
    Received(Vec<u8>),
    /// What was ordered by `Load` or `Compute` is here.
    Loaded(Fact),
    /// The moment named by [`Conversation::deadline`] has come.
    DeadlinePassed,
    /// The stream is gone: closed by the other side, broken, or its frame was over the limit.
    Lost,
}

/// What a conversation orders.
#[expect(
    clippy::large_enum_variant,
    reason = "orders are few and short-lived; a box each would be noise"
)]
#[derive(Debug)]
pub enum Output<C: Conversation + ?Sized> {
    /// Append to the journal.
    Record(Act),
    /// Change the store.
    Save(C::Save),
    /// Send one frame.
    Send(Vec<u8>),
    /// Fetch something from the store, or work something out off the loop; answered by one
    /// [`Input::Loaded`]. At most one is outstanding at a time, unless the conversation says
    /// otherwise.
    Load(C::Load),
    /// The conversation is over.
    Close(C::Outcome),
}

/// A state machine two nodes run against each other.
pub trait Conversation {
    /// What it wants kept.
    type Save: std::fmt::Debug + Send;
    /// What it wants to know or have worked out.
    type Load: std::fmt::Debug + Send + 'static;
    /// The answer to a `Load`.
    type Fact: std::fmt::Debug + Send + 'static;
    /// How it ends. Every end has a name.
    type Outcome: std::fmt::Debug + Send;

    /// Takes one fact and gives the orders that follow from it. Never panics: an input that does
    /// not fit the state ends the conversation with a named outcome.
    fn handle(
        &mut self,
        input: Input<Self::Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>>;

    /// When to say [`Input::DeadlinePassed`], if nothing else happens before.
    fn deadline(&self) -> Option<Timestamp>;
}
