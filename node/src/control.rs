//! What operators ask, answered: one line per request, each calling into its room.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use fairshare_protocol::control::index::{Find, FindReport, Match, MatchReport};
use fairshare_protocol::control::{DEGRADED, Failure, Request, Step, WRONG};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::engine::progress::Watch;
use crate::engine::{finding, matching};
use crate::import::command as import;
use crate::node::Node;
use crate::status;

mod admitting;
mod asking;
mod auditing;
mod copies;
mod corrected;
mod disputing;
mod index;
mod joining;
mod leaving;
mod ledger;
mod members;
mod naming;
mod noticing;
mod previewing;
mod proposing;
mod received;
mod reconciling;
mod reporting;
mod reviewing;
pub mod server;
mod stopping;
#[cfg(test)]
mod tests;
mod who_saw;
mod withholding;

pub use members::is_own;

/// Answers one request of `user`. Dropping the future calls it off.
///
/// # Errors
/// If it was not done, with the command's exit code.
pub async fn dispatch(
    node: &Arc<Node>,
    user: &User,
    request: Request,
    progress: &Progress,
) -> Result<Value, Failure> {
    match request {
        Request::Status(_) => answer(status::report(node).await),
        Request::Peers(_) => answer(status::peers(node).await),
        Request::Peer(question) => answer(status::peer(node, &question.code).await?),
        Request::Match(question) => answer(matches(node, &question, progress).await?),
        Request::Find(question) => answer(find(node, user, &question).await?),
        Request::Ask(question) => answer(asking::ask(node, user, question, progress).await?),
        Request::ShowIndex(question) => answer(index::show(node, question.make).await?),
        Request::Audit(question) => answer(auditing::audit(node, user, question).await?),
        Request::DrawSample(question) => answer(auditing::draw(node, question).await?),
        Request::ExportAdvert(question) => answer(auditing::export(node, user, question).await?),
        Request::ListReceived(question) => answer(received::list(node, &question)?),
        Request::ShowReceived(question) => answer(received::show(node, user, &question).await?),
        Request::ExportReceived(question) => answer(received::export(node, user, question).await?),
        Request::FileReceived(question) => answer(copies::file(node, user, question).await?),
        Request::EraseReceived(question) => answer(copies::erase(node, user, question).await?),
        Request::ListReviews(question) => answer(reviewing::list(node, user, &question).await?),
        Request::CloseReviews(question) => answer(reviewing::close(node, user, question).await?),
        Request::ListNotices(_) => answer(noticing::list(node, user).await?),
        Request::WhoSaw(question) => answer(who_saw::who_saw(node, user, question).await?),
        Request::Withhold(question) => answer(withholding::add(node, user, question).await?),
        Request::Release(question) => answer(withholding::release(node, user, question).await?),
        Request::Reconcile(question) => {
            answer(reconciling::reconcile(node, user, question, progress).await?)
        }
        Request::Mask(question) => answer(withholding::mask(node, user, question).await?),
        Request::Stop(question) => answer(stopping::stop(node, user, question).await?),
        Request::Resume(question) => answer(stopping::resume(node, user, question).await?),
        Request::ListStops(_) => answer(stopping::list(node, user).await?),
        Request::ListWithheld(_) => answer(withholding::list(node, user).await?),
        Request::Import(question) => answer(import::run(node, user, question, progress).await?),
        Request::ListOwed(question) => answer(disputing::list(node, question).await?),
        Request::Complain(question) => answer(disputing::complain(node, user, question).await?),
        Request::ReleaseAgain(question) => answer(disputing::release(node, user, question).await?),
        Request::TakeReleased(question) => answer(disputing::take(node, user, question).await?),
        Request::VerifyJournal(_) => answer(verify_journal(node).await?),
        Request::Ledger(question) => answer(ledger::show(node, user, question).await?),
        Request::ShowStanding(question) => answer(ledger::standing(node, question).await?),
        Request::ReportDuty(question) => answer(reporting::duty(node, question).await?),
        Request::ReportBalance(question) => answer(reporting::balance(node, user, question).await?),
        Request::Members(_) => answer(members::members(node)?),
        Request::Introduce(question) => answer(joining::introduce(node, question).await?),
        Request::Apply(question) => answer(joining::apply(node, user, question).await?),
        Request::Found(question) => answer(joining::found(node, user, question).await?),
        Request::Enter(question) => answer(joining::enter(node, user, question).await?),
        Request::Admissions(_) => answer(admitting::admissions(node)?),
        Request::Prepare(question) => answer(admitting::prepare(node, &question)?),
        Request::Admit(question) => answer(admitting::admit(node, user, question).await?),
        Request::Leaving(question) => answer(leaving::place(node, &question)?),
        Request::Leave(question) => answer(leaving::leave(node, user, question).await?),
        Request::Propose(question) => answer(proposing::propose(node, question)?),
        Request::ProposeCharter(question) => answer(proposing::charter(node, question)?),
        Request::SignProposal(question) => answer(proposing::sign(node, user, question).await?),
        Request::ShowProposal(question) => answer(proposing::show(node, &question)?),
        Request::ListProposals(question) => answer(proposing::list(node, &question)?),
        Request::Dismiss(question) => answer(admitting::dismiss(node, user, question).await?),
        Request::ShowOffer(question) => answer(members::show_offer(node, &question)?),
        Request::PublishOffer(question) => {
            answer(members::publish_offer(node, user, question).await?)
        }
        Request::PreviewOffer(question) => {
            answer(previewing::preview(node, question, progress).await?)
        }
        Request::ShowTerms(question) => answer(members::show_terms(node, &question)?),
    }
}

/// The answer as it travels.
fn answer(answer: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| {
        let fact = format!("the answer cannot be written as JSON: {error}");
        Failure::new(DEGRADED, fact, "this is a fault of the program: report it")
    })
}

/// The command was wrong here and now: why, and what to do.
fn wrong(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(WRONG, &error)
}

/// Runs what blocks on a thread that may.
///
/// # Errors
/// If it fails, or panics.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let fact = format!("the command failed inside the node: {error}");
            Err(Failure::new(
                DEGRADED,
                fact,
                "this is a fault of the program: report it",
            ))
        })
}

/// Journals acts; what the command changed in the store is durable with them.
///
/// # Errors
/// If journal or store fail.
async fn record(node: &Node, acts: impl IntoIterator<Item = Act>) -> Result<(), Failure> {
    let recorded = node.record(acts).await;
    recorded.map_err(|error| Failure::from_error(DEGRADED, &error))
}

/// What a task of its own came to.
fn ended<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, Failure> {
    ended.map_err(|error| {
        let fact = format!("the command failed inside the node: {error}");
        let remedy = "this is a fault of the program: report it";
        Failure::new(DEGRADED, fact, remedy)
    })
}

/// Writes a file of mode 0600 that must not be there yet, durably; gives its size. Blocks.
///
/// # Errors
/// If it is there, or cannot be written; then there is none.
fn write_new(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<u64, Failure> {
    let failed = |error: io::Error| {
        let fact = format!("{}: {error}", path.display());
        let remedy = "name a file that is not there yet, where the node may write";
        Failure::new(WRONG, fact, remedy)
    };
    let mut new = OpenOptions::new();
    let file = new.write(true).create_new(true).mode(0o600).open(path);
    let mut out = BufWriter::new(file.map_err(failed)?);
    let written = write(&mut out).and_then(|()| {
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(out.get_ref().metadata()?.len())
    });
    written.map_err(|error| {
        // Half a file is none.
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}

/// As [`write_new`], a value as JSON on a line.
fn write_json(path: &Path, value: &impl Serialize) -> Result<u64, Failure> {
    write_new(path, |out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

async fn matches(
    node: &Arc<Node>,
    question: &Match,
    progress: &Progress,
) -> Result<Vec<MatchReport>, Failure> {
    let peer = question.peer.as_ref();
    let roster = members::roster(node)?;
    if let Some(code) = peer {
        members::other(node, &roster, code)?;
    }
    let progress = progress.clone();
    let tell = move |done, total, unit: &str, what: &str| {
        progress.step(done, Some(total), unit, what);
    };
    let reports = matching::match_with(node, peer, &Watch::new(&tell)).await;
    reports.map_err(|error| Failure::from_error(WRONG, &error))
}

async fn find(node: &Arc<Node>, user: &User, question: &Find) -> Result<FindReport, Failure> {
    let found = finding::find(node, user, &question.person).await;
    found.map_err(|error| Failure::from_error(WRONG, &error))
}

async fn verify_journal(node: &Arc<Node>) -> Result<impl Serialize + use<>, Failure> {
    let node = Arc::clone(node);
    let verify = move || {
        node.verify_journal()
            .map_err(|error| Failure::from_error(error.code(), &error))
    };
    blocking(verify).await
}

/// Tells whoever asked how far the work is. Steps they are too slow to take are left out.
#[derive(Debug, Clone)]
pub struct Progress(Option<mpsc::Sender<Step>>);

impl Progress {
    /// Tells nobody.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Tells the receiver of `to`.
    pub const fn to(to: mpsc::Sender<Step>) -> Self {
        Self(Some(to))
    }

    /// Whether whoever asked has gone.
    pub fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(mpsc::Sender::is_closed)
    }

    /// `done` of `total` units of `unit` are done; `what` says in a few words what is going on,
    /// without patient data.
    pub fn step(&self, done: u64, total: Option<u64>, unit: &str, what: &str) {
        if let Some(to) = &self.0 {
            // Full or gone: this step is not news to anybody.
            let _ = to.try_send(Step {
                done,
                total,
                unit: unit.to_owned(),
                what: what.to_owned(),
            });
        }
    }
}
