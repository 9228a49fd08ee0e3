//! Message kinds of [`crate::wire::EXCHANGE`].

/// A signed [`crate::exchange::request::Request`].
pub const REQUEST: u8 = 1;
/// A signed [`crate::exchange::answer::Answer`].
pub const ANSWER: u8 = 2;
/// The key of the bundle that follows, and its size.
pub const KEY: u8 = 3;
/// One sealed chunk.
pub const CHUNK: u8 = 4;
/// A signed [`crate::exchange::bundle::Shown`].
pub const COMMITMENT: u8 = 5;
/// A signed [`crate::exchange::answer::Receipt`].
pub const RECEIPT: u8 = 6;
/// A signed [`crate::exchange::notice::Notice`].
pub const NOTICE: u8 = 7;
/// The notice is taken: its bundle may follow.
pub const GO_ON: u8 = 8;
