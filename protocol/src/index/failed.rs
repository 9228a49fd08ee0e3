//! How a match or a delta ends that was broken off.

use super::evidence::Evidence;

/// A conversation that was broken off. What both sides kept before stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed<Reason> {
    /// Why.
    pub reason: Reason,
    /// Whether the peer said so, rather than we found it.
    pub said_by_peer: bool,
    /// What proves it to others.
    pub evidence: Option<Box<Evidence>>,
}

impl<Reason> From<Reason> for Failed<Reason> {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            said_by_peer: false,
            evidence: None,
        }
    }
}

impl<Reason> Failed<Reason> {
    /// What we found, with what proves it.
    pub(super) fn with(reason: Reason, evidence: Evidence) -> Self {
        Self {
            evidence: Some(Box::new(evidence)),
            ..reason.into()
        }
    }

    /// What the peer says.
    pub(super) fn said(reason: Reason) -> Self {
        Self {
            said_by_peer: true,
            ..reason.into()
        }
    }

    /// The reason's code, for the journal: it tells who found it.
    pub(super) fn journaled(&self, code: &str) -> String {
        let by = if self.said_by_peer { "peer says " } else { "" };
        format!("{by}{code}")
    }
}
