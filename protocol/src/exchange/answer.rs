//! The answer, the receipt, and the codes of refusal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::category::{Category, words};
use crate::ids::{ExchangeId, Hash, OdsCode};
use crate::statement::Body;
use crate::time::Timestamp;

words! {
    /// Why a holder refuses, as the wire says it. Objections, anonymous services and restricted
    /// labels are not here: on the wire they look like having nothing to show.
    RefusalCode {
        /// Nothing wanted flows to the requester for this purpose.
        OutsideOffer = "outside-offer",
        /// The purpose is not served.
        PurposeNotSupported = "purpose-not-supported",
        /// Not in the person's best interests.
        NotInBestInterests = "not-in-best-interests",
        /// Cannot reasonably be done now.
        NotReasonablyAble = "not-reasonably-able",
        /// The holder's operator stopped showing all of what was asked.
        Stopped = "stopped",
        /// The handle is not one of the holder's own proven links: match again.
        NotLinked = "not-linked",
    }
}

/// What the holder says; or the requester, of what it shows in return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A bundle follows.
    Delivered,
    /// There is nothing to show. Says nothing of why.
    NothingToShow,
    /// No, for this reason.
    Refused(RefusalCode),
    /// Not before then. Never said to an emergency.
    Deferred(Timestamp),
}

/// A reply to a request, signed by the node key of whoever replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Hash of the request.
    pub request: Hash,
    /// Who replies.
    pub from: OdsCode,
    /// To whom.
    pub to: OdsCode,
    /// Whether this is what the requester shows in return.
    pub in_return: bool,
    /// What is said.
    pub reply: Reply,
    /// What of the categories wanted is left out because an operator stopped showing it: that there
    /// is none of it here says nothing. Empty in a refusal.
    pub stopped: BTreeSet<Category>,
    /// The terms the reply was given under: the replier's own, current ones.
    pub terms: Hash,
    /// When.
    pub at: Timestamp,
}

impl Body for Answer {
    const LABEL: &'static str = "answer";
}

/// What the receiver of a bundle found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Opened, checked and kept. Says nothing of whether the records are good.
    Opened,
    /// About another person than the receiver's own: quarantined.
    WrongPerson,
}

/// An acknowledgement of a whole bundle, signed by its receiver's node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Hash of the bundle's commitment.
    pub commitment: Hash,
    /// Who received.
    pub from: OdsCode,
    /// Who showed.
    pub to: OdsCode,
    /// What was found.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
}

impl Body for Receipt {
    const LABEL: &'static str = "receipt";
}
