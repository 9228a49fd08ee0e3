//! Every limit of the protocol, in one place (promises.md, "Limits").

use std::time::Duration;

/// The largest control frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;
/// The most advert or tag entries in one chunk.
pub const MAX_CHUNK_ENTRIES: usize = 4096;
/// The largest frame that carries bulk bytes: a chunk of advert entries, or of a sealed bundle.
pub const MAX_BULK_FRAME: usize = MAX_CHUNK_ENTRIES * 32 + 4096;
/// Plaintext bytes in one sealed chunk of a bundle.
pub const BUNDLE_CHUNK: usize = 64 * 1024;
/// The largest bundle, in bytes, unless the node's operator sets another limit.
pub const MAX_BUNDLE: u64 = 256 * 1024 * 1024;
/// The most records and documents in one bundle.
pub const MAX_BUNDLE_ITEMS: usize = 65_536;
/// The most entries in one advert.
pub const MAX_ADVERT: usize = 4 * 1024 * 1024;
/// The fewest entries in one advert.
pub const MIN_ADVERT: usize = 2048;
/// The most generations of an advert in one epoch; each may bring further canaries.
pub const MAX_GENERATIONS: u32 = 16;
/// The sizes of batches, canaries included: how many people came is hidden to a size.
pub const BATCH_SIZES: [usize; 4] = [64, 256, 1024, MAX_CHUNK_ENTRIES];
/// The largest signed statement, in bytes of its body.
pub const MAX_STATEMENT: usize = 48 * 1024;
/// The most members a federation's roster may name.
pub const MAX_MEMBERS: usize = 10_000;
/// The most stewards a charter may name.
pub const MAX_STEWARDS: usize = 64;
/// The most statements one side sends in one roster conversation.
pub const MAX_ROSTER_STATEMENTS: usize = 100_000;
/// The most join requests a steward's node keeps waiting.
pub const MAX_PENDING_JOINS: usize = 256;
/// The most proposals a steward's node keeps open.
pub const MAX_PROPOSALS: usize = 64;
/// The most of them that one steward alone has signed.
pub const MAX_PROPOSALS_BY_ONE: usize = 16;
/// How long a proposal may wait for signatures.
pub const MAX_PROPOSAL_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most people in one round of a reconcile.
pub const MAX_ROUND: usize = 131_072;
/// The most of them in one message: two of these are over [`MAX_BULK_FRAME`].
pub const MAX_LISTED: usize = 2048;
/// How many bundles of a round may lie with the other side before their keys leave.
pub const AHEAD: u32 = 64;
/// How many bytes of them, unless it is one bundle.
pub const AHEAD_BYTES: u64 = 64 * 1024 * 1024;
/// The most bundles one acknowledgement or receipt of a round is about.
pub const MAX_STATED: usize = 256;
/// How long a round may go without a bundle moving on.
pub const ROUND_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How long a connection may take to be authenticated.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the other side of a conversation may stay silent.
pub const SILENCE: Duration = Duration::from_secs(30);
/// How often a side that is at work says so, for the other to wait.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(SILENCE.as_secs() / 3);
/// How far ahead of the reader's clock a statement may be dated.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Bulk streams must move at least [`FLOOR_BYTES`] in this time.
pub const FLOOR_SPAN: Duration = Duration::from_secs(10);
/// See [`FLOOR_SPAN`].
pub const FLOOR_BYTES: usize = 64 * 1024;

/// Inbound streams a member may have open at once.
pub const MAX_STREAMS_PER_MEMBER: usize = 32;
/// Inbound streams a stranger may have open at once.
pub const MAX_STREAMS_PER_STRANGER: usize = 1;

/// Connections of one node with another at once: both dial, and a dead one lingers a while.
pub const MAX_CONNECTIONS_PER_PEER: u32 = 4;
/// Inbound connections not yet authenticated.
pub const MAX_PENDING_INBOUND: u32 = 256;
/// Members dialled at once.
pub const MAX_DIALS: u32 = 64;
/// Strangers connected at once.
pub const MAX_STRANGERS: usize = 64;
/// How long a stranger may stay.
pub const STRANGER_STAY: Duration = Duration::from_secs(60);
/// Connections one address may make at once, before [`KNOCK_EVERY`] slows it down.
pub const KNOCK_BURST: u32 = 30;
/// How often an address not known for a member may connect in the long run.
pub const KNOCK_EVERY: Duration = Duration::from_secs(1);
/// Addresses whose connections are counted at once; beyond, new addresses wait.
pub const MAX_KNOCKING_ADDRESSES: usize = 4096;

/// Rounds in which the tags of a match are revealed (protocol.md section 3).
pub const MATCH_ROUNDS: u32 = 64;
/// How long the other side of a match may be at work before it must have moved.
pub const MATCH_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// The fewest canaries in an advert: hiding 1 % of the tags is missed with probability 10⁻⁵.
pub const MIN_CANARIES: usize = 1146;
/// Entries an audit opens unless its auditor demands others: finds 1 % false with 95 %.
pub const AUDIT_SAMPLE: u32 = 300;
/// The most entries one audit opens.
pub const MAX_AUDIT_SAMPLE: u32 = 65_536;

/// The longest line of text in a statement (a name, a contact, a reason, a legal basis), in bytes.
pub const MAX_LINE: usize = 400;
/// The most addresses a node may give.
pub const MAX_ADDRESSES: usize = 16;
/// The highest number a steward statement about one member may have.
pub const MAX_DECISIONS: u32 = 1000;
/// The most steward statements kept for one member under one number.
pub const MAX_RIVALS: usize = 16;
/// The most versions a charter may have, rivals included.
pub const MAX_CHARTERS: usize = 1024;
/// The most bytes a charter version may have, with all it pins.
pub const MAX_VERSION: usize = 512 * 1024;
/// The most members one steward statement merges into another.
pub const MAX_PREDECESSORS: usize = 64;
/// The highest `u` of statements signed by an organisation key.
pub const MAX_ORGANISATION_STATEMENTS: u32 = 64;
/// The highest `u` of statements signed by a node key.
pub const MAX_NODE_STATEMENTS: u32 = 1024;
/// The most self statements kept that hang on one steward statement.
pub const MAX_SELF_STATEMENTS: usize = 4096;
/// The most bytes a welcome (charter and all statements) may have.
pub const MAX_WELCOME: usize = 48 * 1024 * 1024;
/// The most requests with one ODS code a steward's node keeps waiting.
pub const MAX_PENDING_PER_CODE: usize = 4;

/// The most entries in one page of a ledger.
pub const MAX_PAGE_ENTRIES: usize = 256;
/// The most bytes the entries of one page take, so that the page is a statement.
pub const MAX_PAGE_BYTES: usize = MAX_STATEMENT - 1024;
/// The most signed statements one entry names.
pub const MAX_ENTRY_STATEMENTS: usize = 16;
/// The most statements one side asks for in one ledger conversation.
pub const MAX_WANTED: usize = 16;
/// The most pages one side sends in one ledger conversation; the rest follows in the next.
pub const MAX_PAGES: usize = 4096;
/// How long entries are gathered before they are written into a page.
pub const GATHER: Duration = Duration::from_secs(1);
/// How long a page waits for the next page to quote it, before an empty one does.
pub const QUOTE_WITHIN: Duration = Duration::from_secs(5);
/// An exchange that is in one chain only for longer is shown to both operators.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back standing looks.
pub const STANDING_DAYS: u64 = 90;
/// Fewer requests than this are no ground for a notice.
pub const LADDER_REQUESTS: u64 = 30;
/// A share of answers below this is one, in percent.
pub const LADDER_PERCENT: u64 = 95;
/// The days from a notice to the pause of the bulk lane.
pub const LADDER_DAYS: u64 = 14;
