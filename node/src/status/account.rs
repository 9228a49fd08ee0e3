//! How the account with each peer stands, for operators.

use fairshare_protocol::control::ledger::AccountState;
use fairshare_protocol::control::node::{Accounts, PeerReport, Problem};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::ladder::{Rung, Step};
use fairshare_protocol::ledger::standing::Standing;
use fairshare_protocol::roster::Member;
use fairshare_protocol::roster::own::Reach;

use crate::engine::ledger::standing::count;
use crate::node::Node;

/// The account with this peer; none if nothing was entered yet.
pub(super) fn account(node: &Node, peer: &OdsCode) -> Option<AccountState> {
    // A store that cannot be read is a problem of the node, told elsewhere.
    let count = count(node, peer).ok()?;
    if count.exchanges == 0 && count.forks == 0 {
        return None;
    }
    Some(AccountState {
        asked: answered(&count.theirs),
        asked_of_us: answered(&count.ours),
        their_step: count.their_step,
        our_step: count.our_step,
        overdue: count.overdue,
        forks: count.forks,
    })
}

/// Requests that count, and how many were answered, in both lanes.
fn answered(standing: &Standing) -> (u64, u64) {
    let lanes = standing.lanes.values();
    lanes.fold((0, 0), |sum, lane| {
        (sum.0 + lane.all.requests, sum.1 + lane.all.answered)
    })
}

/// All accounts, in short.
pub(super) fn accounts(peers: &[PeerReport]) -> Accounts {
    let held = || peers.iter().filter_map(|peer| peer.account.as_ref());
    let on = |account: &&AccountState, rung: Rung| {
        account.their_step.rung >= rung || account.our_step.rung >= rung
    };
    Accounts {
        peers: held().count() as u64,
        below: held().filter(|it| on(it, Rung::Shown)).count() as u64,
        paused: held().filter(|it| on(it, Rung::Paused)).count() as u64,
        overdue: held().map(|it| it.overdue).sum(),
    }
}

/// What of the account needs the node's operator, and not only whoever looks at the peer.
pub(super) fn owed(peer: &PeerReport) -> Vec<Problem> {
    let Some(account) = &peer.account else {
        return Vec::new();
    };
    let grave = [account.their_step, account.our_step];
    let grave = grave.iter().any(|step| step.rung >= Rung::Notified);
    if !grave && account.overdue == 0 && account.forks == 0 {
        return Vec::new();
    }
    let ours = |problem: &&Problem| {
        problem.remedy.contains("fairshare ledger") || problem.remedy.contains("fairshare standing")
    };
    peer.problems.iter().filter(ours).cloned().collect()
}

/// What is not as it should be in the account with this peer.
pub(super) fn owing(node: &Node, member: &Member, account: &AccountState) -> Vec<Problem> {
    let code = &member.code;
    let mut problems = Vec::new();
    if account.forks > 0 {
        problems.push(Problem {
            fact: format!("the ledger with {code} has pages that contradict each other"),
            remedy: format!(
                "see `fairshare ledger {code}`; if they are ours, two copies of this node ran: stop \
                 one; if not, show the stewards"
            ),
        });
    }
    if account.overdue > 0 {
        let number = account.overdue;
        problems.push(Problem {
            fact: format!(
                "{number} exchanges with {code} are not settled after a day: the two ledgers differ"
            ),
            remedy: format!("see which: `fairshare ledger {code}`, and compare with {code}"),
        });
    }
    let contact = contact(member).unwrap_or_else(|| code.to_string());
    let sides = [
        (account.their_step, account.asked, code, node.code()),
        (account.our_step, account.asked_of_us, node.code(), code),
    ];
    for (step, (asked, answered), about, by) in sides {
        if let Some(fact) = said(step, about, by, (asked, answered)) {
            problems.push(Problem {
                fact,
                remedy: format!("see `fairshare standing {code}`, and talk to {contact}"),
            });
        }
    }
    problems
}

/// The step in words; none if there is nothing to say.
fn said(step: Step, about: &OdsCode, by: &OdsCode, counts: (u64, u64)) -> Option<String> {
    let (asked, answered) = counts;
    let rate = format!("{about} answered {answered} of {asked} requests of {by} in time");
    let day = |at: Option<fairshare_protocol::time::Timestamp>| {
        at.map(|at| at.to_string()[..10].to_owned())
            .unwrap_or_default()
    };
    match step.rung {
        Rung::Even => None,
        Rung::Shown => Some(rate),
        Rung::Notified => Some(format!(
            "{rate}; the bulk lane between the two pauses on {} unless that changes",
            day(step.pauses)
        )),
        Rung::Paused => Some(format!(
            "{rate}: the bulk lane between the two is paused since {}; care goes on as ever",
            day(step.pauses)
        )),
    }
}

/// Whom to talk to at this member: name, and mail or telephone.
pub fn contact(member: &Member) -> Option<String> {
    let Reach {
        name,
        email,
        telephone,
    } = &member.contact.as_ref()?.exchange;
    let line = email.as_ref().or(telephone.as_ref());
    Some(match line {
        Some(line) => format!("{name} ({line})"),
        None => name.to_string(),
    })
}
