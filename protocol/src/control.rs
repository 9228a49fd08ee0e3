//! What operators ask a node, as types: one JSON object a line over the node's Unix socket.
//!
//! The client sends one [`Envelope`] and reads [`Reply`]s: any number of `Progress`, then one `Done`
//! or `Failed`. One request per connection; closing it calls the request off. Paths are absolute:
//! the node's working directory is not the operator's.
//!
//! To add a command: a struct for the question and one for the answer in the area's file below, and
//! a line in the list of requests.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub mod disputes;
pub mod exchange;
pub mod import;
pub mod index;
pub mod journal;
pub mod ledger;
pub mod node;
pub mod notices;
pub mod offer;
pub mod preview;
pub mod reconcile;
pub mod reports;
pub mod reviews;
pub mod roster;
pub mod stewards;
pub mod stopping;
pub mod withholding;

/// The version of this conversation; a node refuses others by name.
pub const VERSION: u32 = 1;
/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// The longest reply, in bytes; what is larger goes to a file.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;

/// Exit code of a command: done, but something is not as it should be.
pub const DEGRADED: u8 = 1;
/// Exit code of a command: asked wrongly, or what it needs is not there.
pub const WRONG: u8 = 2;
/// Exit code of a command: refused or deferred.
pub const REFUSED: u8 = 3;

/// One thing an operator can ask, and what the answer is.
pub trait Question: Into<Request> {
    /// The answer.
    type Answer: Serialize + DeserializeOwned;
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident($question:ty) -> $answer:ty,)*) => {
        /// Everything operators can ask.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(tag = "command", rename_all = "kebab-case")]
        pub enum Request {
            $($(#[$doc])* $name($question),)*
        }

        impl Request {
            /// Its name, for logs.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }
        }

        $(
            impl From<$question> for Request {
                fn from(question: $question) -> Self {
                    Self::$name(question)
                }
            }

            impl Question for $question {
                type Answer = $answer;
            }
        )*
    };
}

requests! {
    /// How the node is.
    Status(node::Status) -> node::StatusReport,
    /// How each peer is.
    Peers(node::Peers) -> Vec<node::PeerReport>,
    /// How one peer is.
    Peer(node::Peer) -> node::PeerReport,
    /// Match with peers.
    Match(index::Match) -> Vec<index::MatchReport>,
    /// Who else holds somebody.
    Find(index::Find) -> index::FindReport,
    /// How this node's own index is.
    ShowIndex(index::ShowIndex) -> index::IndexReport,
    /// Open a sample of this node's own advert.
    Audit(index::Audit) -> index::Audited,
    /// Draw a sample of an advert.
    DrawSample(index::DrawSample) -> index::Sample,
    /// Write an advert into a file.
    ExportAdvert(index::ExportAdvert) -> index::ExportedAdvert,
    /// Ask peers about somebody.
    Ask(exchange::Ask) -> exchange::AskReport,
    /// Show each other what is new of everybody both look after.
    Reconcile(reconcile::Reconcile) -> reconcile::ReconcileReport,
    /// What was received.
    ListReceived(exchange::ListReceived) -> Vec<exchange::ReceivedBundle>,
    /// What is in a received bundle.
    ShowReceived(exchange::ShowReceived) -> exchange::ReceivedItems,
    /// Write a received bundle as FHIR.
    ExportReceived(exchange::ExportReceived) -> exchange::Exported,
    /// Keep a received bundle for good.
    FileReceived(exchange::FileReceived) -> exchange::ReceivedBundle,
    /// Erase a received bundle.
    EraseReceived(exchange::EraseReceived) -> exchange::ReceivedBundle,
    /// The reviews of emergencies.
    ListReviews(reviews::ListReviews) -> reviews::ReviewsReport,
    /// Close reviews.
    CloseReviews(reviews::CloseReviews) -> Vec<reviews::ReviewItem>,
    /// What peers are still to be told.
    ListNotices(notices::ListNotices) -> notices::NoticesReport,
    /// Who saw what of somebody.
    WhoSaw(exchange::WhoSaw) -> exchange::WhoSawReport,
    /// Withhold people.
    Withhold(withholding::Withhold) -> withholding::Withheld,
    /// Withhold somebody no more.
    Release(withholding::Release) -> withholding::WithheldPerson,
    /// Mask a service, or mask it no more.
    Mask(withholding::Mask) -> withholding::Masked,
    /// Who and what is withheld.
    ListWithheld(withholding::ListWithheld) -> withholding::WithheldReport,
    /// Show no more of something.
    Stop(stopping::Stop) -> stopping::Stopped,
    /// Show it again.
    Resume(stopping::Resume) -> stopping::Standing,
    /// Which stops stand.
    ListStops(stopping::ListStops) -> stopping::StopsReport,
    /// Import files.
    Import(import::Import) -> import::ImportReport,
    /// What of a peer's lies here unopened.
    ListOwed(disputes::ListOwed) -> disputes::OwedReport,
    /// Complain of an exchange.
    Complain(disputes::Complain) -> disputes::Complained,
    /// Release the key of a bundle again.
    ReleaseAgain(disputes::ReleaseAgain) -> disputes::ReleasedAgain,
    /// Open a bundle with a key that was released again.
    TakeReleased(disputes::TakeReleased) -> exchange::ReceivedBundle,
    /// Whether the journal is as it was written.
    VerifyJournal(journal::Verify) -> journal::Verified,
    /// How the ledger with a peer is.
    Ledger(ledger::Ledger) -> ledger::LedgerReport,
    /// How peers and this node answer each other.
    ShowStanding(ledger::ShowStanding) -> Vec<ledger::StandingReport>,
    /// How the duty to share was done.
    ReportDuty(reports::ReportDuty) -> reports::DutyReport,
    /// What this member and each other asked and showed.
    ReportBalance(reports::ReportBalance) -> reports::BalanceReport,
    /// Who is a member.
    Members(roster::Members) -> roster::MembersReport,
    /// What the node would say of itself, joining.
    Introduce(roster::Introduce) -> roster::Introduction,
    /// Keep a join request and bring it to a steward.
    Apply(roster::Apply) -> roster::Application,
    /// A federation is founded.
    Found(roster::Found) -> roster::Entered,
    /// Enter a federation.
    Enter(roster::Enter) -> roster::Entered,
    /// Who asks to be admitted.
    Admissions(roster::Admissions) -> Vec<roster::Candidate>,
    /// Make an admission ready to be signed.
    Prepare(roster::Prepare) -> roster::Prepared,
    /// Take a signed admission.
    Admit(roster::Admit) -> roster::Admitted,
    /// Take a request off the list.
    Dismiss(roster::Dismiss) -> roster::Candidate,
    /// Where this member's word would stand that it leaves.
    Leaving(roster::Leaving) -> roster::LeavePlace,
    /// Leave the federation.
    Leave(roster::Leave) -> roster::Left,
    /// Write a decision, ready to be signed.
    Propose(stewards::Propose) -> stewards::ProposalReport,
    /// Write the next version of the charter, ready to be signed.
    ProposeCharter(stewards::ProposeCharter) -> stewards::ProposalReport,
    /// Take a proposal with the signatures it has.
    SignProposal(stewards::SignProposal) -> stewards::ProposalReport,
    /// Show a proposal.
    ShowProposal(stewards::ShowProposal) -> stewards::ProposalReport,
    /// What stewards have still to sign.
    ListProposals(stewards::ListProposals) -> stewards::ProposalsReport,
    /// What a member offers.
    ShowOffer(offer::ShowOffer) -> offer::OfferReport,
    /// Publish an offer.
    PublishOffer(offer::PublishOffer) -> offer::Published,
    /// What members would see under an offer.
    PreviewOffer(preview::PreviewOffer) -> preview::PreviewReport,
    /// What flows between two members.
    ShowTerms(offer::ShowTerms) -> offer::TermsReport,
}

/// One request, as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub version: u32,
    /// What is asked.
    pub request: Request,
}

impl From<Request> for Envelope {
    fn from(request: Request) -> Self {
        Self {
            version: VERSION,
            request,
        }
    }
}

/// One line of the node's answer. `A` is the answer's type, or plain JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply<A> {
    /// Work goes on.
    Progress(Step),
    /// It is done; this is the answer.
    Done(A),
    /// It is not done.
    Failed(Failure),
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How much is done.
    pub done: u64,
    /// Of how much, if that is known.
    pub total: Option<u64>,
    /// Of what: `bytes`, `records`, `people`, …
    pub unit: String,
    /// What is going on, without patient data.
    pub what: String,
}

/// Why something was not done: a line of fact and a line of what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The command's exit code: [`DEGRADED`], [`WRONG`] or [`REFUSED`].
    pub code: u8,
    /// What is so.
    pub fact: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(code: u8, fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            fact: fact.into(),
            remedy: remedy.into(),
        }
    }

    /// A failure out of an error written as ours are: the fact; the remedy.
    pub fn from_error(code: u8, error: &impl fmt::Display) -> Self {
        let text = error.to_string();
        let (fact, remedy) = text.split_once("; ").unwrap_or((&text, ""));
        Self::new(code, fact, remedy)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use super::*;

    #[test]
    fn a_request_is_one_flat_json_object_and_unknown_words_are_refused() {
        let peer = node::Peer {
            code: "RH8".parse().unwrap(),
        };
        let text = serde_json::to_string(&Envelope::from(Request::from(peer))).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"request":{"command":"peer","code":"RH8"}}"#
        );
        let back: Envelope = serde_json::from_str(&text).unwrap();
        assert_eq!(back.request.name(), "Peer");
        for bad in ["RH8\"}", "peers", "code\":1,\"cod"] {
            let changed = text.replacen("peer", bad, 1);
            assert!(serde_json::from_str::<Envelope>(&changed).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_splits_into_its_fact_and_its_remedy() {
        let failure = Failure::from_error(WRONG, &"no node; start one; then ask");
        assert_eq!(failure.fact, "no node");
        assert_eq!(failure.remedy, "start one; then ask");
        assert_eq!(failure.to_string(), "no node; start one; then ask");
        assert_eq!(Failure::from_error(WRONG, &"a fact").remedy, "");
    }
}
