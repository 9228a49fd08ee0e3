//! How the node is, and how its peers are, for operators.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fairshare_protocol::control::node::{
    Disk, Holdings, JournalState, PeerReport, Problem, StatusReport,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::OdsCode;

use crate::engine::drive::now;
use crate::node::Node;
use crate::store;

/// Less left on disk than this is a problem, in bytes.
const LITTLE_DISK: u64 = 1024 * 1024 * 1024;

/// How the node is.
pub async fn report(node: &Arc<Node>) -> StatusReport {
    let chain = node.journal.chain();
    let disk = disk(node.home.root());
    let mut problems = Vec::new();
    if let Some(error) = node.journal.failed() {
        problems.push(problem(&error));
    }
    if disk.free < LITTLE_DISK {
        problems.push(Problem {
            fact: format!(
                "only {} MiB are left on the disk",
                disk.free / (1024 * 1024)
            ),
            remedy: "make room: a node whose disk is full stops answering".to_owned(),
        });
    }
    let holdings = holdings(node).unwrap_or_else(|error| {
        problems.push(problem(&error));
        Holdings::default()
    });
    StatusReport {
        now: now(),
        member: node.config.ods.clone(),
        name: node.config.name.to_string(),
        kind: node.config.kind,
        federation: None,
        started: node.opened,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listening: Vec::new(),
        peers: 0,
        connected: 0,
        holdings,
        journal: JournalState {
            entries: chain.next - 1,
            head: chain.head,
            verified: node.verified(),
        },
        last_exchange: None,
        disk,
        problems,
    }
}

fn holdings(node: &Node) -> Result<Holdings, store::Error> {
    let counts = node.records.counts()?;
    Ok(Holdings {
        people: counts.people,
        indexable: counts.indexable,
        records: counts.records,
        received: 0,
        imported: node.records.imported()?,
    })
}

/// How each peer is.
pub async fn peers(_node: &Arc<Node>) -> Vec<PeerReport> {
    Vec::new()
}

/// How one peer is.
///
/// # Errors
/// If there is no such peer.
pub async fn peer(node: &Arc<Node>, code: &OdsCode) -> Result<PeerReport, Failure> {
    let all = peers(node).await;
    let found = all.into_iter().find(|peer| peer.code == *code);
    found.ok_or_else(|| {
        let fact = format!("{code} is not a peer of this node");
        Failure::new(WRONG, fact, "see who is: `fairshare peers`")
    })
}

fn problem(error: &impl std::fmt::Display) -> Problem {
    let failure = Failure::from_error(WRONG, error);
    Problem {
        fact: failure.fact,
        remedy: failure.remedy,
    }
}

fn disk(root: &Path) -> Disk {
    let free = rustix::fs::statvfs(root).map_or(0, |found| found.f_bavail * found.f_frsize);
    Disk {
        used: used(root),
        free,
    }
}

/// Bytes of the files in a directory and below it.
fn used(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, about)| {
            if about.is_dir() {
                used(&path)
            } else {
                about.len()
            }
        })
        .sum()
}
