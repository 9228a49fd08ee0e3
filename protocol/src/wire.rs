//! Stream names and message kinds (protocol.md section 6).
//!
//! Each conversation has its own stream, with its version in the name. Every frame is one message:
//! its kind as one byte, then the encoding of what that kind carries. Kinds are explicit numbers,
//! chosen by each conversation from 1; a kind the reader does not know is answered by
//! [`UNSUPPORTED`] and ends the conversation.

use serde::Serialize;

use crate::codec;

/// Exchange of roster statements when two nodes connect.
pub const ROSTER: &str = "/fairshare/roster/1";
/// Fetching the other's advert.
pub const ADVERT: &str = "/fairshare/advert/1";
/// Finding the people both hold.
pub const MATCH: &str = "/fairshare/match/1";
/// New people of an advert, between two matches.
pub const DELTA: &str = "/fairshare/delta/1";
/// First contact: one new person, and the exchange about them on the same stream.
pub const CONTACT: &str = "/fairshare/contact/1";
/// Asking about one person, and showing in return.
pub const EXCHANGE: &str = "/fairshare/exchange/1";
/// Showing each other what is new of all the people both look after, in lock-step.
pub const RECONCILE: &str = "/fairshare/reconcile/1";
/// The only stream open to strangers.
pub const JOIN: &str = "/fairshare/join/1";

/// What stewards have still to sign.
pub const PROPOSAL: &str = "/fairshare/proposal/1";
/// The account two members keep of each other.
pub const LEDGER: &str = "/fairshare/ledger/1";

/// All of them; the node answers these and no others.
pub const STREAMS: [&str; 10] = [
    ROSTER, ADVERT, MATCH, DELTA, CONTACT, EXCHANGE, JOIN, LEDGER, RECONCILE, PROPOSAL,
];

/// The kind of the message that says a kind was not known. It carries that kind.
pub const UNSUPPORTED: u8 = 0;

/// The frame of one message.
pub fn frame<T: Serialize + ?Sized>(kind: u8, message: &T) -> Vec<u8> {
    codec::encode_after(vec![kind], message)
}

/// The kind and the encoding of the message in a frame; an empty frame reads as
/// [`UNSUPPORTED`].
pub fn open(frame: &[u8]) -> (u8, &[u8]) {
    frame
        .split_first()
        .map_or((UNSUPPORTED, &[]), |(kind, message)| (*kind, message))
}
