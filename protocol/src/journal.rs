//! The journal: what this node promised, did, refused or was told by an operator (protocol.md
//! section 5).
//!
//! One append-only chain. An entry names its predecessor's hash, so nothing can be changed, dropped
//! or put in between without breaking every entry after it. It holds no patient identifier and no
//! handle: a person appears as a [`Commitment`] whose opening is kept in a table that can be
//! deleted, a signed statement as its hash.
//!
//! The first entry's predecessor is [`ORIGIN`]. An entry's hash covers its encoded bytes.

// Longer than 400 lines because its acts are one list, with a line on each of their parts.

use serde::{Deserialize, Serialize};

use crate::category::{Category, Purpose};
use crate::codec;
use crate::crypto::hash;
use crate::ids::{
    Commitment, ExchangeId, FederationId, Hash, MatchId, OdsCode, PersonId, PublicKey, RoundId,
};
use crate::member::User;
use crate::statement::Body;
use crate::time::Timestamp;

mod chain;

pub use self::chain::{Broken, Chain};

/// The predecessor of the first entry.
pub const ORIGIN: Hash = Hash::new([0; 32]);
/// The largest entry, in bytes.
pub const MAX_ENTRY: usize = 64 * 1024;

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1 for the first, and one more each time.
    pub number: u64,
    /// Hash of the entry before, or [`ORIGIN`].
    pub previous: Hash,
    /// When it was written, by this node's clock.
    pub at: Timestamp,
    /// What happened.
    pub act: Act,
}

impl Entry {
    /// The hash the next entry names.
    pub fn hash(&self) -> Hash {
        Self::hash_of(&codec::encode(self))
    }

    /// The hash of the entry that has these bytes.
    pub fn hash_of(bytes: &[u8]) -> Hash {
        hash::parts("journal entry", &[bytes])
    }
}

/// The commitment under which the journal names a person: opened by `nonce` (32 random bytes, kept in
/// a table that can be deleted), it tells nothing without it.
pub fn commit_person(nonce: &[u8; 32], person: &PersonId) -> Commitment {
    Commitment(hash::parts("journal person", &[nonce, &person.0.0]).0)
}

/// How an exchange about one person ended, as the journal and operators name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Records were shown: how many of each category.
    Delivered(Vec<(Category, u32)>),
    /// There was nothing to show, as the wire says it.
    NothingToShow,
    /// Refused, with the wire's code.
    Refused(String),
    /// The line was lost, or the other side did not answer in time or in kind.
    Failed(String),
    /// What came is not about our own person of that handle: quarantined, not filed.
    WrongPerson,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// The node started, under this key.
    Started {
        /// Our code.
        member: OdsCode,
        /// Our node key.
        node: PublicKey,
        /// Our federation, once we have one.
        federation: Option<FederationId>,
    },
    /// The node stopped cleanly.
    Stopped,
    /// An operator did something that needs no entry of its own.
    Operator {
        /// Who.
        user: User,
        /// What, in words without patient data.
        what: String,
    },
    /// A roster statement (charter, steward or self statement) became known.
    Statement {
        /// Whom it concerns.
        about: OdsCode,
        /// What it says, in a word: `charter`, `admit`, `self`, …
        kind: String,
        /// Its hash.
        statement: Hash,
    },
    /// Records were imported.
    Imported {
        /// The import's number at this node.
        import: u64,
        /// Who imported.
        user: User,
        /// People held after it.
        people: u64,
        /// Of these, in the index.
        indexable: u64,
        /// Records new or changed.
        records: u64,
        /// Entries refused.
        rejected: u64,
    },
    /// An advert was made.
    Advert {
        /// Hash of its signed header.
        header: Hash,
        /// Its epoch.
        epoch: u32,
        /// Its generation.
        generation: u32,
        /// Its entries, canaries included.
        count: u64,
    },
    /// We committed to our tags.
    TagsCommitted {
        /// With whom.
        peer: OdsCode,
        /// The match.
        match_id: MatchId,
        /// Hash of our signed commitment.
        ours: Hash,
    },
    /// The peer committed to its tags.
    TagsHeard {
        /// With whom.
        peer: OdsCode,
        /// The match.
        match_id: MatchId,
        /// Hash of the peer's signed commitment.
        theirs: Hash,
    },
    /// A match ended with proven links.
    Matched {
        /// With whom.
        peer: OdsCode,
        /// The match.
        match_id: MatchId,
        /// Links both sides proved.
        links: u64,
        /// Candidates only we had.
        ours_only: u64,
        /// Candidates only the peer had.
        theirs_only: u64,
    },
    /// A match ended without links.
    MatchFailed {
        /// With whom.
        peer: OdsCode,
        /// Why, in a code without patient data.
        why: String,
    },
    /// A batch of new entries was added to our advert.
    Batch {
        /// Hash of the signed batch.
        batch: Hash,
        /// Its number.
        number: u32,
        /// Its entries, canaries included.
        count: u64,
    },
    /// We answered new entries of the peer's: a batch, or one entry of somebody who needs care.
    Taken {
        /// Whose they are.
        peer: OdsCode,
        /// Hash of what was given.
        given: Hash,
        /// Hash of our signed answer.
        answer: Hash,
        /// Links in it.
        links: u64,
    },
    /// The peer answered new entries of ours.
    Given {
        /// Who answered.
        peer: OdsCode,
        /// Hash of what was given.
        given: Hash,
        /// Hash of the peer's signed answer.
        answer: Hash,
        /// Links we find too.
        links: u64,
        /// Links only the peer claims: not honoured.
        theirs_only: u64,
        /// Links only we find: not honoured.
        ours_only: u64,
    },
    /// An operator looked somebody up.
    Searched {
        /// Who looked.
        user: User,
        /// Whom.
        person: Commitment,
    },
    /// We asked about somebody. The request left after this was durable.
    Asked {
        /// The exchange.
        exchange: ExchangeId,
        /// Whom we asked.
        peer: OdsCode,
        /// What for.
        purpose: Purpose,
        /// Who asked.
        user: User,
        /// About whom.
        person: Commitment,
        /// Hash of our signed request.
        request: Hash,
    },
    /// We were asked, and decided. The answer left after this was durable.
    Answered {
        /// The exchange.
        exchange: ExchangeId,
        /// Who asked us.
        peer: OdsCode,
        /// What for.
        purpose: Purpose,
        /// The user at the peer, as the peer named them.
        user: User,
        /// About whom; none if the handle is not one of ours.
        person: Option<Commitment>,
        /// Hash of the peer's signed request.
        request: Hash,
        /// Hash of our signed answer.
        answer: Hash,
        /// What we answered.
        outcome: Outcome,
        /// What the wire does not say: why there was nothing to show.
        private: Option<String>,
    },
    /// We decided what to show in return for an answer. It left after this was durable.
    Returned {
        /// The exchange.
        exchange: ExchangeId,
        /// To whom.
        peer: OdsCode,
        /// What for.
        purpose: Purpose,
        /// About whom.
        person: Commitment,
        /// Hash of our signed answer in return.
        answer: Hash,
        /// What we showed.
        outcome: Outcome,
    },
    /// The answer to our request, or what the peer shows in return, came or failed to.
    AnswerHeard {
        /// The exchange.
        exchange: ExchangeId,
        /// Whom we asked.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Hash of the peer's signed answer, if one came.
        answer: Option<Hash>,
        /// What came.
        outcome: Outcome,
    },
    /// Records left for the peer: written before the commitment leaves.
    Shown {
        /// The exchange.
        exchange: ExchangeId,
        /// To whom.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Hash of our signed bundle commitment.
        commitment: Hash,
        /// How many of each category.
        counts: Vec<(Category, u32)>,
    },
    /// We received a bundle and told the peer so.
    Received {
        /// The exchange.
        exchange: ExchangeId,
        /// From whom.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Hash of the peer's signed bundle commitment.
        commitment: Hash,
        /// Hash of our signed receipt.
        receipt: Hash,
        /// What it was.
        outcome: Outcome,
    },
    /// The peer acknowledged our bundle, or said it was about the wrong person.
    ReceiptHeard {
        /// The exchange.
        exchange: ExchangeId,
        /// From whom.
        peer: OdsCode,
        /// Hash of the peer's signed receipt.
        receipt: Hash,
        /// Whether it was filed.
        filed: bool,
    },
    /// A peer or a stranger sent something we refused.
    Refused {
        /// Who, if it was a member.
        peer: Option<OdsCode>,
        /// What, in a code without patient data.
        what: String,
    },
    /// Somebody read or exported a received bundle.
    Looked {
        /// Who.
        user: User,
        /// The exchange the bundle came in.
        exchange: ExchangeId,
        /// About whom.
        person: Commitment,
        /// `show`, `export`, …
        how: String,
    },
    /// An operator withheld somebody, or withheld them no more.
    Withheld {
        /// Who decided.
        user: User,
        /// Whom.
        person: Commitment,
        /// Why, without patient data.
        reason: String,
        /// Whether they are withheld from now on.
        withheld: bool,
    },
    /// We wrote a page of a ledger, or took one of ours back from the peer. It was signed after
    /// this was durable: a number is never signed twice.
    PageWritten {
        /// Who reads it.
        peer: OdsCode,
        /// Its number.
        number: u64,
        /// Its hash.
        page: Hash,
    },
    /// We read a page of a ledger.
    PageRead {
        /// Who wrote it.
        peer: OdsCode,
        /// Its number.
        number: u64,
        /// Its hash.
        page: Hash,
    },
    /// Two pages of one chain contradict each other. Both are kept as evidence.
    Forked {
        /// With whom.
        peer: OdsCode,
        /// Who wrote both.
        writer: OdsCode,
        /// The page held.
        held: Hash,
        /// The other.
        other: Hash,
    },
    /// A node lost pages it had written, and said so.
    Rewound {
        /// With whom.
        peer: OdsCode,
        /// Who lost them.
        writer: OdsCode,
        /// The last page it still holds.
        held: u64,
        /// The last page it lost.
        lost: u64,
        /// Hash of its signed word.
        rewind: Hash,
    },
    /// A member came to another step of the ladder.
    Step {
        /// With whom.
        peer: OdsCode,
        /// Whose answers it is about: the peer's, or our own as the peer counts them.
        about: OdsCode,
        /// The step, in a word.
        step: String,
    },
    /// A round of a reconcile was agreed.
    RoundAgreed {
        /// The round.
        round: RoundId,
        /// With whom.
        peer: OdsCode,
        /// How many people it is about.
        people: u32,
        /// Hash of our signed agreement.
        ours: Hash,
        /// Hash of the peer's.
        theirs: Hash,
    },
    /// A round is over: everybody's turn came, or an operator called it off.
    RoundEnded {
        /// The round.
        round: RoundId,
        /// With whom.
        peer: OdsCode,
        /// Bundles of ours whose keys left.
        given: u32,
        /// Bundles of the peer's that were opened.
        taken: u32,
        /// How, in a code.
        how: String,
    },
    /// A named person closed the review of an emergency.
    Reviewed {
        /// Who.
        user: User,
        /// The exchange.
        exchange: ExchangeId,
        /// The other member.
        peer: OdsCode,
        /// About whom; none if the peer's handle was not one of ours.
        person: Option<Commitment>,
        /// What they found, without patient data.
        note: String,
    },
    /// A named person filed what was received: it does not expire.
    CopyFiled {
        /// Who.
        user: User,
        /// The exchange it came in.
        exchange: ExchangeId,
        /// From whom.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Why, without patient data.
        reason: String,
    },
    /// What was received is erased: its key is deleted once this is durable.
    CopyErased {
        /// The exchange it came in.
        exchange: ExchangeId,
        /// From whom.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// How many records of each category.
        counts: Vec<(Category, u32)>,
        /// Who had it erased; none if it had been here for its time.
        user: Option<User>,
        /// Why, without patient data.
        why: String,
    },
    /// We told a peer that there is news of somebody we showed it. The notice left after this was
    /// durable; what was shown with it is [`Act::Shown`].
    Told {
        /// The exchange.
        exchange: ExchangeId,
        /// Whom we told.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Hash of our signed notice.
        notice: Hash,
    },
    /// A bundle on its way was broken off, for an operator stopped showing what is in it, or it is
    /// not offered any more. The answer that says which left after this was durable.
    BrokenOff {
        /// The exchange.
        exchange: ExchangeId,
        /// To whom it was on its way.
        peer: OdsCode,
        /// About whom.
        person: Commitment,
        /// Hash of our signed answer.
        answer: Hash,
    },
    /// An operator stopped showing something, or lets it be shown again.
    Stop {
        /// Who.
        user: User,
        /// The number of the stop.
        number: u64,
        /// To whom; none: to anybody.
        peer: Option<OdsCode>,
        /// What; none: anything.
        category: Option<Category>,
        /// Of whom; none: of anybody.
        person: Option<Commitment>,
        /// Why, without patient data.
        reason: String,
        /// Whether it is stopped from now on, not shown again.
        stopped: bool,
    },
}

/// Where the chain stood at the end of a day. One a day, made when the first entry of a later day
/// is written; two different ones of one member and day are evidence against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose journal.
    pub member: OdsCode,
    /// The day, in whole days since 1970-01-01.
    pub day: u64,
    /// Number of the last entry of that day.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Body for Head {
    const LABEL: &'static str = "journal head";
}
