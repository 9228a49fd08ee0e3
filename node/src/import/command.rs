//! `fairshare import`, on the node's side.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fairshare_protocol::control::import::{Import, ImportReport};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::{MemberKind, User};

use super::{Error, Options, Phase, Progress, day_of, import};
use crate::config::Config;
use crate::control::{self, blocking};
use crate::engine::drive::now;
use crate::engine::withholding;
use crate::fhir::Rules;
use crate::home::reserve::Full;
use crate::node::Node;

/// Imports what is asked, and journals it. Dropping the future stops the import and undoes it.
///
/// # Errors
/// If nothing was imported, with the command's exit code.
pub async fn run(
    node: &Arc<Node>,
    user: &User,
    question: Import,
    progress: &control::Progress,
) -> Result<ImportReport, Failure> {
    spare(node)?;
    let now = now();
    let mut options = Options::new(rules(&node.config, day_of(now)), now);
    options.servers = question.servers;
    options.max_attachment = node.config.limits.max_bundle;
    let called_off = CalledOff::default();
    let stop = Arc::clone(&called_off.0);
    let (node, user, progress) = (Arc::clone(node), user.clone(), progress.clone());
    // A task of its own: an import that has ended is journaled even if nobody waits any more.
    let importing = tokio::spawn(async move {
        let (here, records) = (Arc::clone(&node), node.records.clone());
        let report = blocking(move || {
            let mut full = None;
            let mut watch = |at: Progress| {
                show(&progress, at);
                full = here.reserve.spare().err();
                if full.is_some() || stop.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            let report = import(&records, &question.paths, &options, &mut watch);
            let report = report.map_err(|error| full.map_or_else(|| failure(&error), no_room))?;
            let followed = withholding::follow(&here);
            followed.map_err(|error| Failure::from_error(DEGRADED, &error))?;
            Ok(report)
        })
        .await?;
        let recorded = node.record([act(&report, &user)]).await;
        recorded.map_err(|error| Failure::from_error(DEGRADED, &error))?;
        Ok(report)
    });
    importing.await.unwrap_or_else(|error| {
        let fact = format!("the import failed inside the node: {error}");
        Err(Failure::new(
            DEGRADED,
            fact,
            "this is a fault of the program: report it",
        ))
    })
}

/// Whether there is room for an import; care comes first.
fn spare(node: &Node) -> Result<(), Failure> {
    node.reserve.spare().map_err(no_room)
}

fn no_room(full: Full) -> Failure {
    Failure::from_error(DEGRADED, &full)
}

/// The categories of this node's records: keys of the config with a `|` are codes.
fn rules(config: &Config, today: fairshare_protocol::time::Date) -> Rules {
    let social_care = matches!(
        config.kind,
        MemberKind::AdultSocialCare | MemberKind::ChildrensSocialCare | MemberKind::CareProvider
    );
    let mut rules = Rules::new(social_care, today);
    for (key, category) in &config.categories {
        let kept = if key.contains('|') {
            &mut rules.codes
        } else {
            &mut rules.types
        };
        kept.insert(key.clone(), *category);
    }
    rules
}

fn show(progress: &control::Progress, at: Progress) {
    match at.phase {
        Phase::Reading => progress.step(at.done, Some(at.total), "bytes", "reading"),
        Phase::Filing => progress.step(at.done, Some(at.total), "records", "filing"),
    }
}

fn act(report: &ImportReport, user: &User) -> Act {
    match report.import {
        Some(import) => Act::Imported {
            import,
            user: user.clone(),
            people: report.people.held,
            indexable: report.people.indexable,
            records: report.records.new + report.records.changed,
            rejected: report.rejected,
        },
        None => Act::Operator {
            user: user.clone(),
            what: format!("import: nothing new, {} rejected", report.rejected),
        },
    }
}

fn failure(error: &Error) -> Failure {
    let code = match error {
        Error::Path { .. } | Error::TooManyFiles { .. } => WRONG,
        Error::Busy | Error::Stopped => REFUSED,
        Error::Store(_) | Error::Staging(_) => DEGRADED,
    };
    Failure::from_error(code, error)
}

/// Stops the import when whoever asked for it has gone.
#[derive(Default)]
struct CalledOff(Arc<AtomicBool>);

impl Drop for CalledOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
