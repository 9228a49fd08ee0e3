//! The request: one member asks another about one person.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::category::{Category, Purpose};
use crate::crypto::seal::SealedTo;
use crate::ids::{ExchangeId, FederationId, Handle, Hash, MatchId, OdsCode};
use crate::statement::Body;
use crate::text::Line;
use crate::time::Timestamp;

/// How long a request may be answered.
pub const VALID: Duration = Duration::from_secs(5 * 60);

/// A request about one person, signed by the requester's node key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Inside which federation.
    pub federation: FederationId,
    /// Chosen at random by the requester; executed once.
    pub exchange: ExchangeId,
    /// Who asks.
    pub from: OdsCode,
    /// Who is asked.
    pub to: OdsCode,
    /// The match the handle belongs to.
    pub match_id: MatchId,
    /// About whom.
    pub handle: Handle,
    /// What for.
    pub purpose: Purpose,
    /// What is wanted; empty means all that flows for the purpose.
    pub categories: BTreeSet<Category>,
    /// Why; an emergency needs it.
    pub reason: Option<Line>,
    /// When it was signed.
    pub issued: Timestamp,
    /// After this the holder does not answer it any more.
    pub expires: Timestamp,
    /// The asking [`crate::member::User`], sealed to the holder.
    pub user: SealedTo,
    /// The terms the requester computed. A mismatch never delays an answer.
    pub terms: Hash,
}

impl Body for Request {
    const LABEL: &'static str = "request";
}

impl Request {
    /// What a sealed user is bound to.
    pub fn user_context(exchange: &ExchangeId, to: &OdsCode) -> Vec<u8> {
        [
            b"user of ",
            &exchange.as_bytes()[..],
            to.as_str().as_bytes(),
        ]
        .concat()
    }
}
