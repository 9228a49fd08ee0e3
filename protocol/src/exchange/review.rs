//! The review of an emergency (protocol.md section 4): both sides open one with the exchange, and
//! only a named person closes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::Subject;
use super::request::Request;
use crate::category::Purpose;
use crate::ids::{ExchangeId, OdsCode, PersonId};
use crate::member::User;
use crate::text::Line;
use crate::time::Timestamp;

/// How soon a review is to be closed; after that it is overdue.
pub const WITHIN: Duration = Duration::from_secs(72 * 60 * 60);

/// Whose emergency it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Somebody here asked.
    Asked,
    /// The peer asked, and we answered.
    Answered,
}

/// An emergency that is to be looked at afterwards: was it one?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked whom.
    pub side: Side,
    /// The other member.
    pub peer: OdsCode,
    /// About whom of ours; none if the peer's handle is not one of ours.
    pub person: Option<PersonId>,
    /// Who asked: at the peer, as the peer named them.
    pub user: User,
    /// Why, in their words.
    pub reason: Line,
    /// When it was opened.
    pub opened: Timestamp,
}

impl Review {
    /// The review a request opens at the side that sent or took it; none if it is no emergency.
    pub(super) fn of(
        request: &Request,
        side: Side,
        user: &User,
        subject: Option<&Subject>,
        now: Timestamp,
    ) -> Option<Self> {
        let reason = request.reason.clone();
        let reason = reason.filter(|_| request.purpose == Purpose::Emergency)?;
        let peer = match side {
            Side::Asked => &request.to,
            Side::Answered => &request.from,
        };
        Some(Self {
            exchange: request.exchange,
            side,
            peer: peer.clone(),
            person: subject.map(|subject| subject.person),
            user: user.clone(),
            reason,
            opened: now,
        })
    }

    /// When it is to be closed at the latest.
    pub fn due(&self) -> Timestamp {
        self.opened + WITHIN
    }
}
