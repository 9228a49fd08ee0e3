//! What the journal says of each peer lately: the last exchange, the last errors.

use std::collections::{BTreeMap, VecDeque};

use fairshare_protocol::control::node::PeerError;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::journal::{Act, Entry, Outcome};
use fairshare_protocol::ledger::page::Head;
use fairshare_protocol::limits::MAX_MEMBERS;
use fairshare_protocol::time::Timestamp;

/// Errors remembered of a peer.
const MAX_ERRORS: usize = 5;

/// One peer, lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lately {
    /// The last exchange, either way.
    pub exchanged: Option<Timestamp>,
    /// The latest errors, newest first.
    pub errors: VecDeque<PeerError>,
    /// The last time it gave more than it may, and the code under which that was refused; none
    /// once something of it was taken since.
    pub over_cap: Option<(Timestamp, String)>,
    /// The furthest page of our chain with it that was written.
    pub page: Head,
}

/// What a refusal for being over a cap says, and what to do; none for other refusals.
pub fn over_cap(code: &str) -> Option<(&'static str, &'static str)> {
    let roster = "ask it how many people it holds; the stewards can raise its population in the \
                  roster";
    match code {
        "advert-over-cap" => Some(("its index has more entries than the roster allows", roster)),
        "batch-over-cap" => Some((
            "with the people it added its index has more entries than the roster allows",
            roster,
        )),
        "over-additions" => Some((
            "it added more people in a day than the charter allows",
            "ask it why; what it may add in a day is for the charter to say, and the rest comes \
             later",
        )),
        _ => None,
    }
}

/// Every peer, lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(BTreeMap<OdsCode, Lately>);

impl Peers {
    pub(super) fn take(&mut self, entry: &Entry) {
        let (peer, error) = match &entry.act {
            // Asked is not answered.
            Act::Asked { .. } => return,
            Act::AnswerHeard {
                peer,
                outcome: Outcome::Failed(why),
                ..
            }
            | Act::Answered {
                peer,
                outcome: Outcome::Failed(why),
                ..
            } => return self.note(peer, entry.at, why.clone()),
            Act::Answered { peer, outcome, .. }
            | Act::AnswerHeard { peer, outcome, .. }
            | Act::Received { peer, outcome, .. } => (peer, wrong(outcome)),
            Act::Returned { peer, .. } | Act::Shown { peer, .. } => (peer, None),
            Act::ReceiptHeard { peer, filed, .. } => {
                let lost = "it did not file what we showed: about another person than its own";
                (peer, (!filed).then(|| lost.to_owned()))
            }
            Act::MatchFailed { peer, why } => return self.note(peer, entry.at, why.clone()),
            Act::Refused {
                peer: Some(peer),
                what,
            } => {
                if over_cap(what).is_some()
                    && let Some(lately) = self.of(peer)
                {
                    lately.over_cap = Some((entry.at, what.clone()));
                }
                return self.note(peer, entry.at, format!("refused: {what}"));
            }
            Act::PageWritten { peer, number, page } => {
                if let Some(lately) = self.of(peer) {
                    let (number, hash) = (*number, *page);
                    lately.page = lately.page.max(Head { number, hash });
                }
                return;
            }
            Act::Matched { peer, .. } | Act::Taken { peer, .. } => {
                if let Some(lately) = self.of(peer) {
                    lately.over_cap = None;
                }
                return;
            }
            _ => return,
        };
        if let Some(lately) = self.of(peer) {
            lately.exchanged = Some(entry.at);
        }
        if let Some(error) = error {
            self.note(peer, entry.at, error);
        }
    }

    pub(super) fn all(&self) -> BTreeMap<OdsCode, Lately> {
        self.0.clone()
    }

    fn note(&mut self, peer: &OdsCode, at: Timestamp, what: String) {
        if let Some(lately) = self.of(peer) {
            lately.errors.truncate(MAX_ERRORS - 1);
            lately.errors.push_front(PeerError { at, what });
        }
    }

    fn of(&mut self, peer: &OdsCode) -> Option<&mut Lately> {
        if self.0.len() >= MAX_MEMBERS && !self.0.contains_key(peer) {
            return None;
        }
        Some(self.0.entry(peer.clone()).or_default())
    }
}

fn wrong(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Failed(why) => Some(why.clone()),
        Outcome::WrongPerson => Some("it showed somebody else than was asked about".to_owned()),
        Outcome::Delivered(_) | Outcome::NothingToShow | Outcome::Refused(_) => None,
    }
}
