//! `ask`: everybody a person is linked with, at the same time, and how complete the answer is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::category::{Lane, Purpose};
use fairshare_protocol::control::exchange::{Ask, AskReport, AskState, AskedPeer, Counts};
use fairshare_protocol::control::index::{Completeness, FindPeer, FindState};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::exchange::answer::Reply;
use fairshare_protocol::exchange::ask::{Ended, Plan};
use fairshare_protocol::ids::{ExchangeId, Fixed, Handle, MatchId, OdsCode};
use fairshare_protocol::member::User;
use fairshare_protocol::roster::Roster;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::naming::{named, names_nobody};
use super::{Progress, members, wrong};
use crate::engine::asking::{self, Asked, pair};
use crate::engine::contact::{self, Contacted};
use crate::engine::drive::now;
use crate::engine::finding::{self, Here, count};
use crate::engine::{matching, withholding};
use crate::node::Node;

/// How long whoever asked waits for the slowest member.
const PATIENCE: Duration = Duration::from_secs(60);
const STILL_ARRIVING: &str =
    "no whole answer yet; `fairshare received list` shows it once it is here";
const BROKE_OFF: &str = "this node broke the exchange off; its log says why";

/// Asks peers about one person.
///
/// # Errors
/// If the person is not held here, a named peer is no member, or the node cannot do its part.
pub async fn ask(
    node: &Arc<Node>,
    user: &User,
    question: Ask,
    progress: &Progress,
) -> Result<AskReport, Failure> {
    check(node, user, &question)?;
    let _care = node.care.begin();
    let roster = members::roster(node)?;
    for code in &question.peers {
        members::other(node, &roster, code)?;
    }
    if node.network().is_none() {
        let fact = "this node is not running, so it can ask nobody";
        return Err(Failure::new(WRONG, fact, "start it with `fairshare run`"));
    }
    let here = finding::here(node, &question.person).map_err(|error| wrong(&error))?;
    let known = finding::peers(node, &question.person, here).await;
    let known = known.map_err(|error| wrong(&error))?;
    let completeness = finding::completeness(node, &known).map_err(|error| wrong(&error))?;
    let subject = asking::subject(node, question.person).map_err(|error| wrong(&error))?;
    let Some(subject) = subject else {
        let looked = finding::look(node, user, &question.person).await;
        looked.map_err(|error| wrong(&error))?;
        if here == Here::NotIndexable {
            let wanted = |peer: &&FindPeer| wanted(&question.peers, peer);
            return Ok(AskReport {
                now: now(),
                peers: known.iter().filter(wanted).map(not_asked).collect(),
                completeness,
            });
        }
        let fact = "nobody with that NHS number and date of birth is held here";
        let remedy = "check both; only people both organisations hold can be asked about";
        return Err(Failure::new(WRONG, fact, remedy));
    };
    // Of somebody withheld nobody is told who has not been.
    let withheld = withholding::is_withheld(node, &question.person);
    let withheld = withheld.map_err(|error| wrong(&error))?;
    let there = |peer: &FindPeer| peer.state == FindState::Linked && wanted(&question.peers, peer);
    if !known.iter().any(there) {
        // Nobody may come to be asked, and whom a person is not linked with is told all the same.
        let looked = finding::look(node, user, &question.person).await;
        looked.map_err(|error| wrong(&error))?;
    }
    let mut peers = Vec::new();
    let mut left_out = 0;
    let mut asked = JoinSet::new();
    let mut outstanding = BTreeMap::new();
    let mut contacted = BTreeSet::new();
    for peer in known {
        if !wanted(&question.peers, &peer) {
            left_out += u32::from(peer.state == FindState::Linked);
            continue;
        }
        let link = node.index.handle(&question.person, &peer.code);
        let link = link.map_err(|error| wrong(&error))?;
        let (match_id, handle) = match (link, peer.state) {
            (Some(link), FindState::Linked) => link,
            // First contact gives the plan its handle.
            (_, FindState::NotYetIndexed) if !withheld => {
                (MatchId::new([0; 32]), Handle(Fixed([0; 32])))
            }
            _ => {
                peers.push(not_asked(&peer));
                continue;
            }
        };
        let plan = Plan {
            // Each try takes its own.
            exchange: ExchangeId::new([0; 16]),
            match_id,
            handle,
            subject,
            purpose: question.purpose,
            categories: question.categories.clone(),
            reason: question.reason.clone(),
            user: user.clone(),
        };
        let (node, roster) = (Arc::clone(node), Arc::clone(&roster));
        outstanding.insert(peer.code.clone(), peer.clone());
        if peer.state == FindState::NotYetIndexed {
            contacted.insert(peer.code.clone());
        }
        asked.spawn(async move { one(&node, &roster, &peer, plan).await });
    }
    let total = asked.len() as u64;
    // Nobody waits for the slowest: what one member sends takes as long as that member likes.
    let patience = sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        let one = tokio::select! {
            one = asked.join_next() => one,
            () = &mut patience => break,
        };
        match one {
            None => break,
            Some(Ok(one)) => {
                outstanding.remove(&one.code);
                peers.push(one);
            }
            // It stays outstanding; the others are not the worse for it.
            Some(Err(error)) => tracing::error!(%error, "asking one member broke off"),
        }
        let done = total - asked.len() as u64;
        progress.step(done, Some(total), "peers", "asking");
    }
    let late = !asked.is_empty();
    // What still arrives is filed and journaled as ever.
    asked.detach_all();
    peers.extend(outstanding.into_values().map(|peer| {
        let why = if late { STILL_ARRIVING } else { BROKE_OFF };
        AskedPeer {
            state: AskState::Failed,
            why: Some(why.to_owned()),
            ..not_asked(&peer)
        }
    }));
    peers.sort_by(|a, b| a.code.cmp(&b.code));
    let (completeness, not_asked) = after_contact(completeness, &contacted, &peers);
    let came = |wanted: &[AskState]| count(&peers, |peer| wanted.contains(&peer.state));
    Ok(AskReport {
        now: now(),
        completeness: Completeness {
            asked: u32::try_from(total).unwrap_or(u32::MAX) - not_asked,
            answered: came(&[AskState::Delivered, AskState::NothingToShow]),
            refused: came(&[AskState::Refused, AskState::Deferred]),
            unreachable: came(&[AskState::Unreachable]),
            failed: came(&[AskState::Failed, AskState::Quarantined]),
            left_out,
            ..completeness
        },
        peers,
    })
}

/// What is known after first contact with these members, and how many of them were told of the
/// person and not asked, for they do not hold them.
fn after_contact(
    mut all: Completeness,
    contacted: &BTreeSet<OdsCode>,
    peers: &[AskedPeer],
) -> (Completeness, u32) {
    let mut not_asked = 0;
    for peer in peers.iter().filter(|peer| contacted.contains(&peer.code)) {
        let now = match peer.state {
            AskState::NotLinked => &mut all.not_linked,
            AskState::NotMatched => &mut all.not_matched,
            // Nobody knows.
            AskState::Unreachable | AskState::Failed => continue,
            _ => {
                all.linked += 1;
                all.not_yet_indexed -= 1;
                continue;
            }
        };
        *now += 1;
        all.not_yet_indexed -= 1;
        not_asked += 1;
    }
    (all, not_asked)
}

/// Whether a peer is among those who are to be asked.
fn wanted(named: &BTreeSet<OdsCode>, peer: &FindPeer) -> bool {
    named.is_empty() || named.contains(&peer.code)
}

fn check(node: &Node, user: &User, question: &Ask) -> Result<(), Failure> {
    if question.purpose.lane() == Lane::Bulk {
        let fact = format!("`{}` concerns many people at once", question.purpose);
        let remedy = "ask about one person with care, emergency or safeguarding";
        return Err(Failure::new(WRONG, fact, remedy));
    }
    if let Some(reason) = &question.reason {
        names_nobody(reason)?;
    }
    if question.purpose == Purpose::Emergency {
        if question.reason.is_none() {
            let fact = "an emergency needs a reason";
            let remedy = "say why with --reason; both sides keep it, and review the emergency";
            return Err(Failure::new(WRONG, fact, remedy));
        }
        named(node, user, "asks in an emergency")?;
    }
    Ok(())
}

/// A peer that is not asked, and why.
fn not_asked(peer: &FindPeer) -> AskedPeer {
    let state = match peer.state {
        FindState::Linked | FindState::NotMatched => AskState::NotMatched,
        FindState::NotLinked => AskState::NotLinked,
        FindState::NotYetIndexed => AskState::NotYetIndexed,
        // Nobody is asked about somebody who is not held.
        FindState::NotIndexable | FindState::NotHeld => AskState::NotIndexable,
        FindState::NoPresence => AskState::NoPresence,
    };
    AskedPeer {
        code: peer.code.clone(),
        name: peer.name.clone(),
        kind: peer.kind,
        state,
        why: None,
        stopped: Vec::new(),
        exchange: None,
        received: Counts::new(),
        shown: Counts::new(),
        acknowledged: false,
        one_sided: false,
        other_terms: false,
        index_made: peer.index_made,
        ms: 0,
    }
}

async fn one(node: &Arc<Node>, roster: &Roster, peer: &FindPeer, plan: Plan) -> AskedPeer {
    let mut report = not_asked(peer);
    let pair = match pair(node, roster, &peer.code) {
        Ok(pair) => pair,
        Err(why) => {
            report.state = AskState::Unreachable;
            report.why = Some(why);
            return report;
        }
    };
    let flows = pair.terms.purposes.get(&plan.purpose);
    report.one_sided = flows.is_some_and(|flows| flows.one_sided());
    let asked = match peer.state {
        FindState::NotYetIndexed => match contact::ask(node, &pair, plan).await {
            Ok(Contacted::Asked(asked)) => Ok(asked),
            Ok(Contacted::NotLinked) => {
                report.state = AskState::NotLinked;
                return report;
            }
            Ok(Contacted::Failed(error)) => {
                report.state = match error {
                    matching::Error::Network(_) => AskState::Unreachable,
                    _ => AskState::NotMatched,
                };
                report.why = Some(error.to_string());
                return report;
            }
            Err(error) => Err(error),
        },
        _ => asking::ask(node, &pair, plan).await,
    };
    let Asked { ended, took } = match asked {
        Ok(asked) => asked,
        Err(error) => {
            // Of this one exchange: the others go on.
            tracing::error!(peer = %peer.code, %error, "an exchange was broken off by this node");
            report.state = AskState::Failed;
            report.why = Some(error.to_string());
            return report;
        }
    };
    report.ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match ended {
        Ok(ended) => {
            fill(&mut report, ended);
        }
        Err(why) => {
            report.state = AskState::Unreachable;
            report.why = Some(why);
        }
    }
    report
}

fn fill(report: &mut AskedPeer, ended: Ended) {
    (report.state, report.why) = match ended.reply {
        _ if ended.quarantined => {
            let why = "about another person than ours; nothing of ours was shown";
            (AskState::Quarantined, Some(why.to_owned()))
        }
        Some(Reply::Delivered) if ended.received.is_empty() => (AskState::Failed, None),
        Some(Reply::Delivered) => (AskState::Delivered, None),
        Some(Reply::NothingToShow) => (AskState::NothingToShow, None),
        Some(Reply::Refused(code)) => (AskState::Refused, Some(code.to_string())),
        Some(Reply::Deferred(until)) => (AskState::Deferred, Some(format!("until {until}"))),
        None => (AskState::Failed, None),
    };
    if let Some(fault) = ended.fault {
        report.why = Some(fault.to_string());
    }
    report.exchange = ended.exchange;
    report.received = ended.received.into_iter().collect();
    report.shown = ended.shown.into_iter().collect();
    report.acknowledged = ended.acknowledged;
    report.stopped = ended.stopped.into_iter().collect();
    report.other_terms = ended.other_terms.is_some();
}
