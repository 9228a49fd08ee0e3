//! Stream names. Each conversation has its own, with its version in it (protocol.md section 6).

/// Exchange of roster statements when two nodes connect.
pub const ROSTER: &str = "/fairshare/roster/1";
/// Fetching the other's advert.
pub const ADVERT: &str = "/fairshare/advert/1";
/// Finding the people both hold.
pub const MATCH: &str = "/fairshare/match/1";
/// Asking about one person, and showing in return.
pub const EXCHANGE: &str = "/fairshare/exchange/1";
/// The only stream open to strangers.
pub const JOIN: &str = "/fairshare/join/1";

/// All of them; the node answers these and no others.
pub const STREAMS: [&str; 5] = [ROSTER, ADVERT, MATCH, EXCHANGE, JOIN];
