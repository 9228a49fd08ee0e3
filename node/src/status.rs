//! How the node is, and how its peers are, for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::node::{
    Connection, Coverage, Disk, Federation, Holdings, IndexState, JournalState, PeerReport,
    Problem, Reserve, ReviewsState, StatusReport,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::exchange::{notice, review};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::join::Invitation;
use fairshare_protocol::roster::{Member, Roster};

pub use self::account::contact;
use self::account::{account, accounts, owed, owing};
use crate::control::is_own;
use crate::engine::drive::now;
use crate::journal::{self, Lately};
use crate::network::PeerState;
use crate::node::Node;
use crate::store;

mod account;

/// Less left on disk than this is a problem, in bytes.
const LITTLE_DISK: u64 = 1024 * 1024 * 1024;
/// A peer that is away for less is none: nodes are started again.
const AWAY: Duration = Duration::from_secs(60);

/// How the node is.
pub async fn report(node: &Arc<Node>) -> StatusReport {
    let chain = node.journal.chain();
    node.reserve.tend();
    let disk = disk(node.home.root(), node.reserve.told());
    let mut problems = Vec::new();
    if let Some(error) = node.journal.failed() {
        problems.push(problem(&error));
    }
    problems.extend(little_disk(&disk));
    let mut holdings = holdings(node).unwrap_or_else(|error| {
        problems.push(problem(&error));
        Holdings::default()
    });
    // A store that cannot be read was told just now.
    holdings.places = node.placing.now(node).await.ok().flatten();
    let reviews = node.reviews.waiting(now()).unwrap_or_else(|error| {
        problems.push(problem(&error));
        ReviewsState::default()
    });
    problems.extend(overdue(reviews));
    problems.extend(late(node).unwrap_or_else(|error| Some(problem(&error))));
    let roster = node.membership.roster();
    problems.extend(roster.as_ref().and_then(|roster| our_place(node, roster)));
    let mut peers = peers(node).await;
    peers.retain(|peer| peer.takes_part);
    problems.extend(peers.iter().filter_map(|peer| away(node, peer)));
    problems.extend(peers.iter().flat_map(owed));
    let up = peers.iter().filter(|peer| is_up(peer)).count();
    let listening = match node.network() {
        Some(network) => network.listening().await.unwrap_or_default(),
        None => Vec::new(),
    };
    StatusReport {
        now: now(),
        member: node.config.ods.clone(),
        name: node.config.name.to_string(),
        kind: node.config.kind,
        federation: match roster {
            Some(roster) => Some(federation(node, &roster)),
            None => asked_to_join(node).map(|invitation| Federation {
                name: invitation.name.to_string(),
                id: invitation.federation,
                standing: "waiting".to_owned(),
            }),
        },
        started: node.opened,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listening,
        peers: peers.len() as u64,
        connected: up as u64,
        holdings,
        journal: JournalState {
            entries: chain.next - 1,
            head: chain.head,
            verified: node.verified(),
        },
        stops: node.stops.count() as u64,
        accounts: accounts(&peers),
        last_exchange: peers.iter().filter_map(|peer| peer.last_exchange).max(),
        reviews,
        disk,
        problems,
    }
}

fn holdings(node: &Node) -> Result<Holdings, store::Error> {
    let counts = node.records.counts()?;
    Ok(Holdings {
        people: counts.people,
        indexable: counts.indexable,
        places: None,
        records: counts.records,
        received: node.exchanges.bundles() as u64,
        imported: node.records.imported()?,
    })
}

/// What is wrong if little is left on the disk.
fn little_disk(disk: &Disk) -> Option<Problem> {
    let [left, kept] = [disk.free, disk.reserve.size].map(|bytes| bytes / (1024 * 1024));
    if !disk.reserve.held {
        let fact = format!(
            "the disk is nearly full: {left} MiB are left, and the {kept} MiB kept for care are \
             given back; imports and matches wait"
        );
        let remedy = format!(
            "make room, {} MiB at least; with nothing left the node stops",
            2 * kept
        );
        return Some(Problem { fact, remedy });
    }
    (disk.free < LITTLE_DISK).then(|| Problem {
        fact: format!("only {left} MiB are left on the disk"),
        remedy: format!(
            "make room: with less than {} MiB left, imports and matches wait, and with nothing left \
             the node stops",
            kept / 2
        ),
    })
}

/// Emergencies nobody has reviewed in time.
/// Peers that hold a copy of something that changed and have not said that they know.
fn late(node: &Node) -> Result<Option<Problem>, store::Error> {
    let then = now() - notice::LATE;
    let due = node.records.notices().due()?;
    let peers = due.iter().filter(|(_, _, due)| due.since < then);
    let peers: BTreeSet<_> = peers.map(|(_, peer, _)| peer.as_str()).collect();
    if peers.is_empty() {
        return Ok(None);
    }
    let peers = peers.into_iter().collect::<Vec<_>>().join(", ");
    Ok(Some(Problem {
        fact: format!("{peers} has had no news for over a day of people whose records it holds"),
        remedy: "`fairshare notices list` says of whom and why; tell it by telephone meanwhile"
            .to_owned(),
    }))
}

fn overdue(reviews: ReviewsState) -> Option<Problem> {
    let hours = review::WITHIN.as_secs() / 3600;
    let fact = match reviews.overdue {
        0 => return None,
        1 => format!("1 emergency has waited over {hours} hours to be reviewed"),
        more => format!("{more} emergencies have waited over {hours} hours to be reviewed"),
    };
    let remedy = "`fairshare reviews list` shows them; somebody named in the config closes each \
                  with `fairshare reviews close`";
    Some(Problem {
        fact,
        remedy: remedy.to_owned(),
    })
}

fn federation(node: &Node, roster: &Roster) -> Federation {
    let standing = roster.member(node.code());
    Federation {
        name: roster.charter().name.to_string(),
        id: roster.federation(),
        standing: standing.map_or("waiting", |us| us.status.word()).to_owned(),
    }
}

/// Whose invitation this node followed last, while it is in no federation.
pub fn asked_to_join(node: &Node) -> Option<Invitation> {
    let made = node.said.all_made().ok()?;
    made.into_iter().rev().find_map(|made| made.invitation)
}

/// What is wrong with our own place in the federation.
fn our_place(node: &Node, roster: &Roster) -> Option<Problem> {
    let us = roster.member(node.code())?;
    let why = us.why.as_ref().map(|why| format!(": {why}"));
    if !us.is_active() {
        let (code, status) = (&us.code, us.status);
        return Some(Problem {
            fact: format!(
                "{code} is {status} in the federation{}",
                why.unwrap_or_default()
            ),
            remedy: "talk to the stewards: `fairshare members` names them".to_owned(),
        });
    }
    let ours = us
        .node
        .is_some_and(|keys| keys.node == node.keys.node.public());
    (!ours).then(|| Problem {
        fact: "the federation does not know this node's key as ours".to_owned(),
        remedy: "run `fairshare join` again with the organisation key".to_owned(),
    })
}

fn away(node: &Node, peer: &PeerReport) -> Option<Problem> {
    let Connection::Down(why) = &peer.connection else {
        return None;
    };
    let since = peer.since.unwrap_or(node.opened);
    let code = &peer.code;
    (peer.now.since(since) > AWAY).then(|| Problem {
        fact: format!("{code} is not connected: {why}"),
        remedy: format!(
            "see `fairshare peer {code}`; records of it cannot be asked for until then"
        ),
    })
}

/// How each peer is: every other member that takes part, or did.
pub async fn peers(node: &Arc<Node>) -> Vec<PeerReport> {
    let Some(roster) = node.membership.roster() else {
        return Vec::new();
    };
    let states = match node.network() {
        Some(network) => network.peers().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let states: BTreeMap<PublicKey, PeerState> =
        states.into_iter().map(|state| (state.key, state)).collect();
    let lately = node.journal.lately();
    // A store that cannot be read is a problem of the node, told by `holdings`.
    let coverages = node.coverages.now(node).await.ok().flatten();
    let others = roster
        .members()
        .filter(|member| member.code != *node.code());
    others
        .map(|member| {
            let state = member.node.and_then(|keys| states.get(&keys.node));
            let lately = lately.get(&member.code).cloned().unwrap_or_default();
            let contact = member.contact.as_ref();
            let addresses = contact.map(|it| it.addresses.iter().map(ToString::to_string));
            let coverage = coverages.as_ref();
            let coverage = coverage.and_then(|all| all.get(&member.code).copied());
            let matched = node.index.matched(&member.code).ok().flatten();
            let account = account(node, &member.code);
            let mut problems = between(member, &lately, matched.is_some(), coverage);
            problems.extend(account.iter().flat_map(|it| owing(node, member, it)));
            PeerReport {
                problems,
                coverage,
                now: now(),
                code: member.code.clone(),
                name: member.name.to_string(),
                kind: member.kind,
                roster: member.status.word().to_owned(),
                takes_part: member.is_active(),
                connection: connection(member, state),
                since: state.and_then(|state| state.since),
                addresses: addresses.map(Iterator::collect).unwrap_or_default(),
                index: index(node, &member.code),
                links: matched.as_ref().map(|found| found.links),
                matched: matched.map(|found| found.at),
                matching: node.progress.with(&member.code),
                stops: node.stops.about(&member.code),
                last_exchange: lately.exchanged,
                account: account.clone(),
                errors: lately.errors.into(),
            }
        })
        .collect()
}

/// What is not as it should be between a peer and us, connected or not.
fn between(
    member: &Member,
    lately: &Lately,
    matched: bool,
    coverage: Option<Coverage>,
) -> Vec<Problem> {
    let code = &member.code;
    let over = lately.over_cap.as_ref();
    let over = over.and_then(|(at, word)| Some((at, journal::over_cap(word)?)));
    let over = over.map(|(at, (fact, remedy))| Problem {
        fact: format!("refused of {code} at {at}: {fact}"),
        remedy: remedy.to_owned(),
    });
    let low = coverage.filter(|coverage| matched && coverage.is_low());
    let low = low.map(|Coverage { named, linked }| Problem {
        fact: format!("of {named} people here whose own record names {code}, {linked} are linked"),
        remedy: format!(
            "compare the lists with {code}: they differ, or it links alone; an audit on its \
             premises tells (`fairshare index audit`)"
        ),
    });
    over.into_iter().chain(low).collect()
}

fn is_up(peer: &PeerReport) -> bool {
    peer.connection == Connection::Up
}

fn connection(member: &Member, state: Option<&PeerState>) -> Connection {
    let why = match state {
        Some(state) if state.connected => return Connection::Up,
        _ if !member.is_active() => format!("{} in the roster", member.status),
        _ if member.node.is_none() => "its node is not named yet".to_owned(),
        Some(state) => match &state.last_error {
            Some(error) => error.clone(),
            None if member
                .contact
                .as_ref()
                .is_none_or(|it| it.addresses.is_empty()) =>
            {
                "it has no address: it dials, we wait".to_owned()
            }
            None => "not reached yet".to_owned(),
        },
        None => "not reached yet".to_owned(),
    };
    Connection::Down(why)
}

fn index(node: &Node, peer: &OdsCode) -> Option<IndexState> {
    let held = node.index.peer(peer).ok().flatten()?;
    held.whole?;
    let header = held.header.peek().ok()?;
    Some(IndexState {
        made: header.made,
        epoch: header.epoch,
        generation: header.generation,
        entries: header.count.into(),
    })
}

/// How one peer is.
///
/// # Errors
/// If there is no such peer.
pub async fn peer(node: &Arc<Node>, code: &OdsCode) -> Result<PeerReport, Failure> {
    if code == node.code() {
        return Err(is_own(code));
    }
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

fn disk(root: &Path, reserve: Reserve) -> Disk {
    let free = rustix::fs::statvfs(root).map_or(0, |found| found.f_bavail * found.f_frsize);
    Disk {
        used: used(root),
        free,
        reserve,
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
