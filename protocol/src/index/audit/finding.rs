//! What an audit may find.

use crate::ids::{OdsCode, PublicKey};
use crate::index::advert::{Header, Void};
use crate::statement::{self, Signed};

/// Whose advert, of which epoch and generation.
pub type Names = (OdsCode, u32, u32);

/// Why a report does not show that an advert is what it should be. The member is at fault, or the
/// report is not the one the auditor asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Not a report we can read.
    #[error("this is not an audit report of this version; bring both programs to the same")]
    Format,
    /// The auditor's copy is not the member's.
    #[error("the advert's header is not signed by the member's node key: {0}")]
    Signature(statement::Error),
    /// The auditor's copy is not whole.
    #[error("the advert is not the one its header names: {0}; fetch it again")]
    Advert(Void),
    /// About another advert than the auditor's copy.
    #[error(
        "the report is about the advert of {r}, epoch {re}, generation {rg}; this one is of {c}, \
         epoch {ce}, generation {cg}",
        r = reported.0, re = reported.1, rg = reported.2,
        c = checked.0, ce = checked.1, cg = checked.2
    )]
    OtherAdvert {
        /// What the report is about.
        reported: Names,
        /// What it was held against.
        checked: Names,
    },
    /// The header in the report is not signed by whom it says.
    #[error(
        "the header in the report is not signed by the key it names: the report is damaged or was \
         altered; have it made again"
    )]
    Altered,
    /// The header in the report is signed by another key than the auditor's copy.
    #[error(
        "the header in the report is signed by another key than this copy's: the report was \
         altered, or the member has a new node key and the copy is older; take a new copy"
    )]
    OtherSigner,
    /// Two headers for one generation, both signed by the member.
    #[error(
        "the report is about another header for the same generation: the member showed its peers \
         one advert and the auditor another; keep both as evidence"
    )]
    TwoHeaders,
    /// Drawn from another seed.
    #[error("the sample was drawn from another seed than the auditor's")]
    OtherSeed,
    /// Of another size.
    #[error("{opened} entries are opened, and the auditor demanded {demanded}")]
    OtherSample {
        /// How many the report opens.
        opened: usize,
        /// How many it should.
        demanded: u32,
    },
    /// Another entry than was drawn.
    #[error("entry {position} was drawn and not opened")]
    NotDrawn {
        /// Which.
        position: u32,
    },
    /// The copy lacks an entry.
    #[error("entry {position} is not in the copy of the advert")]
    Missing {
        /// Which.
        position: u32,
    },
    /// What is shown for a person is none.
    #[error("entry {position} is nobody's: no valid NHS number and date of birth is shown for it")]
    Nobody {
        /// Which.
        position: u32,
    },
    /// Not under the key of the header, or not of that person.
    #[error(
        "entry {position} is not that of the person shown for it: it was made with another key, or \
         of somebody else"
    )]
    OtherKey {
        /// Which.
        position: u32,
    },
    /// The exponent shown is not its.
    #[error("entry {position} is not the canary it is shown to be")]
    NotTheCanary {
        /// Which.
        position: u32,
    },
}

impl Finding {
    /// Which other advert a report is about than the copy, which `signer` signed.
    pub(super) fn other(reported: &Signed<Header>, signer: &PublicKey, ours: &Header) -> Self {
        let Ok(theirs) = reported.peek() else {
            return Self::Format;
        };
        let names = |header: &Header| (header.member.clone(), header.epoch, header.generation);
        if theirs.names() != ours.names() {
            return Self::OtherAdvert {
                reported: names(&theirs),
                checked: names(ours),
            };
        }
        match reported.signer() == signer {
            true => Self::TwoHeaders,
            false => Self::OtherSigner,
        }
    }

    /// In a word, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Format => "not-a-report",
            Self::Signature(_) => "not-signed-by-the-member",
            Self::Advert(_) => "advert-damaged",
            Self::OtherAdvert { .. } => "other-advert",
            Self::Altered => "report-altered",
            Self::OtherSigner => "other-signer",
            Self::TwoHeaders => "two-headers",
            Self::OtherSeed => "other-seed",
            Self::OtherSample { .. } => "other-sample",
            Self::NotDrawn { .. } => "not-drawn",
            Self::Missing { .. } => "entry-missing",
            Self::Nobody { .. } => "nobody",
            Self::OtherKey { .. } => "other-key",
            Self::NotTheCanary { .. } => "not-the-canary",
        }
    }

    /// The entry it is about.
    pub const fn position(&self) -> Option<u32> {
        match self {
            Self::NotDrawn { position }
            | Self::Missing { position }
            | Self::Nobody { position }
            | Self::OtherKey { position }
            | Self::NotTheCanary { position } => Some(*position),
            _ => None,
        }
    }
}
