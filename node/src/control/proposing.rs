//! Answers about what stewards decide.

use fairshare_protocol::armour;
use fairshare_protocol::control::stewards::{
    ListProposals, Motion, ProposalReport, ProposalsReport, Propose, ProposeCharter, ShowProposal,
    SignProposal,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::limits::MAX_PROPOSAL_AGE;
use fairshare_protocol::member::User;
use fairshare_protocol::proposal::{Checked, Proposal, Subject};
use fairshare_protocol::roster::Roster;
use fairshare_protocol::roster::decision::{Decision, NewKey, Reason, Succession};
use fairshare_protocol::statement::CoSigned;

use super::members::{member, operator, roster};
use crate::engine::drive::now;
use crate::engine::proposals::{self, Error};
use crate::membership;
use crate::node::Node;

/// A refusal by the rules.
fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(REFUSED, &error)
}

fn steward(node: &Node, roster: &Roster) -> Result<(), Failure> {
    let stewards = &roster.charter().stewards;
    if stewards.contains_key(node.code()) {
        return Ok(());
    }
    let who: Vec<_> = stewards.keys().map(OdsCode::as_str).collect();
    let fact = format!("{} is no steward", node.code());
    let remedy = format!(
        "stewards decide about members and the charter: ask one of {}",
        who.join(", ")
    );
    Err(Failure::new(REFUSED, fact, remedy))
}

/// Writes a decision, ready to be signed. Nothing is kept of it.
///
/// # Errors
/// If this organisation is no steward, or the decision does not fit the member.
pub fn propose(node: &Node, question: Propose) -> Result<ProposalReport, Failure> {
    let roster = roster(node)?;
    steward(node, &roster)?;
    let about = question.about;
    member(&roster, &about)?;
    let mut fingerprint = None;
    let decision = match question.motion {
        Motion::Limit(reason) => Decision::Limit(Reason { reason }),
        Motion::Remove(reason) => Decision::Remove(Reason { reason }),
        Motion::Reinstate(reason) => Decision::Reinstate(Reason { reason }),
        Motion::Key {
            organisation,
            reason,
        } => Decision::Key(NewKey {
            organisation: match organisation {
                Some(key) => key,
                None => {
                    let (key, spoken) = asked_for(node, &about)?;
                    fingerprint = Some(spoken);
                    key
                }
            },
            reason,
        }),
        Motion::Succeed {
            predecessors,
            reason,
        } => Decision::Succeed(Succession {
            predecessors,
            reason,
        }),
    };
    for code in decision.predecessors() {
        member(&roster, code)?;
    }
    let body = roster.decide(&about, &decision, now()).map_err(refused)?;
    let proposal = Proposal::Decision(CoSigned::draft(&body));
    let checked = proposal.check(&roster, now()).map_err(refused)?;
    let mut report = report(&roster, &proposal, checked);
    if let Some(spoken) = fingerprint {
        let name = "its request's fingerprint".to_owned();
        report.says.push((name, spoken));
    }
    Ok(report)
}

/// Writes the next version of the charter, ready to be signed. Nothing is kept of it.
///
/// # Errors
/// If this organisation is no steward, somebody named is nobody, or the version breaks a rule.
pub fn charter(node: &Node, question: ProposeCharter) -> Result<ProposalReport, Failure> {
    let roster = roster(node)?;
    steward(node, &roster)?;
    let mut change = question.change;
    let mut stewards = roster.charter().stewards.clone();
    for code in question.no_stewards {
        if stewards.remove(&code).is_none() {
            let fact = format!("{code} is no steward");
            let remedy = "`fairshare steward status` lists who is";
            return Err(Failure::new(WRONG, fact, remedy));
        }
    }
    for (code, key) in question.stewards {
        let key = match key {
            Some(key) => key,
            None => named(&roster, &code)?,
        };
        stewards.insert(code, key);
    }
    if stewards != roster.charter().stewards {
        change.stewards = Some(stewards);
    }
    let at = now();
    let next = roster.amend(&change, at).map_err(refused)?;
    let proposal = Proposal::charter(&next, at);
    let checked = proposal.check(&roster, at).map_err(refused)?;
    Ok(report(&roster, &proposal, checked))
}

/// The organisation key of a member that takes part.
fn named(roster: &Roster, code: &OdsCode) -> Result<PublicKey, Failure> {
    let member = roster.member(code).filter(|member| member.is_active());
    member.map(|member| member.organisation).ok_or_else(|| {
        let fact = format!("{code} is no member that takes part, so its key is not known");
        let remedy = "name the key `fairshare init` printed there: --steward CODE=KEY";
        Failure::new(WRONG, fact, remedy)
    })
}

/// The organisation key of the one request of this code that waits, and its fingerprint.
fn asked_for(node: &Node, about: &OdsCode) -> Result<(PublicKey, String), Failure> {
    let waiting = node.membership.waiting();
    let of_it = waiting.iter().filter_map(|(hash, request)| {
        let body = request.peek().ok()?;
        (body.member == *about).then(|| (body.admission.organisation, hash.spoken()))
    });
    let mut keys: Vec<_> = of_it.collect();
    match &mut keys[..] {
        [(key, spoken)] => Ok((*key, std::mem::take(spoken))),
        [] => {
            let fact = format!("no request of {about} waits that names its new key");
            let remedy = "give the key `fairshare init` printed there: --key KEY";
            Err(Failure::new(WRONG, fact, remedy))
        }
        _ => {
            let fact = format!("{} requests of {about} wait", keys.len());
            let remedy = "compare by telephone, and name the right one: --key KEY";
            Err(Failure::new(WRONG, fact, remedy))
        }
    }
}

/// One proposal.
///
/// # Errors
/// If there is none such, or it is none any more.
pub fn show(node: &Node, question: &ShowProposal) -> Result<ProposalReport, Failure> {
    let roster = roster(node)?;
    let which = question.which.trim();
    let proposal = match armour::read::<Proposal>(which) {
        Ok(proposal) => proposal,
        Err(armour::Error::Nothing { .. }) => open(node, which)?,
        Err(error) => return Err(Failure::from_error(WRONG, &error)),
    };
    let checked = proposal.check(&roster, now()).map_err(refused)?;
    Ok(report(&roster, &proposal, checked))
}

fn open(node: &Node, which: &str) -> Result<Proposal, Failure> {
    let proposals = node.membership.proposals();
    let proposals = proposals.map_err(|error| Failure::from_error(WRONG, &error))?;
    let roster = roster(node)?;
    let meant = |proposal: &&Proposal| {
        let checked = proposal.check(&roster, now());
        checked.is_ok_and(|checked| {
            let about = checked.subject.about().map_or("charter", OdsCode::as_str);
            about == which || proposal.hash().to_string().starts_with(which)
        })
    };
    let found: Vec<_> = proposals.iter().map(|(_, it)| it).filter(meant).collect();
    match found[..] {
        [proposal] => Ok(proposal.clone()),
        [] => {
            let which: String = which.chars().take(60).collect();
            let fact = format!("no proposal `{which}` is open");
            let remedy = "`fairshare steward status` lists those that are, or name the file";
            Err(Failure::new(WRONG, fact, remedy))
        }
        _ => {
            let fact = format!("{} open proposals are meant by `{which}`", found.len());
            let remedy = "name one by the beginning of its name: `fairshare steward status`";
            Err(Failure::new(WRONG, fact, remedy))
        }
    }
}

/// Takes a proposal with the signatures it has.
///
/// # Errors
/// If it is none, nobody signed it, or it cannot be kept.
pub async fn sign(
    node: &Node,
    user: &User,
    question: SignProposal,
) -> Result<ProposalReport, Failure> {
    let roster = roster(node)?;
    let proposal: Proposal =
        armour::read(&question.sheet).map_err(|error| Failure::from_error(WRONG, &error))?;
    let (_, checked) =
        proposals::take(node, proposal.clone())
            .await
            .map_err(|error| match error {
                Error::Membership(membership::Error::Store(_)) | Error::Node(_) => {
                    Failure::from_error(WRONG, &error)
                }
                Error::Membership(_) => Failure::from_error(REFUSED, &error),
            })?;
    let held = node.membership.proposals().ok();
    let held = held.and_then(|all| all.get(&proposal.hash()).cloned());
    let report = report(&roster, &held.unwrap_or(proposal), checked);
    let done = if report.decided {
        "decided"
    } else {
        "proposed"
    };
    let about = report.about.as_ref();
    let about = about.map_or_else(String::new, |about| format!(" about {about}"));
    let what = format!(
        "{done} `{}`{about}, {} of {} signatures",
        report.kind,
        report.signed.len(),
        report.needed
    );
    operator(node, user, what).await?;
    Ok(report)
}

/// What is open.
///
/// # Errors
/// If there is no federation, or the store fails.
pub fn list(node: &Node, _: &ListProposals) -> Result<ProposalsReport, Failure> {
    let roster = roster(node)?;
    let proposals = node.membership.proposals();
    let proposals = proposals.map_err(|error| Failure::from_error(WRONG, &error))?;
    let mut reports: Vec<_> = proposals
        .iter()
        .filter_map(|(_, it)| Some(report(&roster, it, it.check(&roster, now()).ok()?)))
        .collect();
    reports.sort_by(|a, b| (a.at, &a.about).cmp(&(b.at, &b.about)));
    let charter = roster.charter();
    Ok(ProposalsReport {
        now: now(),
        federation: charter.name.to_string(),
        stewards: charter.stewards.keys().cloned().collect(),
        threshold: charter.threshold,
        own: charter.stewards.contains_key(node.code()),
        proposals: reports,
    })
}

fn report(roster: &Roster, proposal: &Proposal, checked: Checked) -> ProposalReport {
    let decided = checked.is_decided();
    let name = match &checked.subject {
        Subject::Decision(_, Decision::Admit(admission)) => Some(admission.name.to_string()),
        Subject::Decision(about, _) => roster.member(about).map(|it| it.name.to_string()),
        Subject::Charter(_) => Some(roster.charter().name.to_string()),
    };
    ProposalReport {
        proposal: proposal.hash(),
        name: name.unwrap_or_default(),
        kind: checked.subject.word().to_owned(),
        says: checked.subject.says(Some(roster.charter())),
        about: checked.subject.about().cloned(),
        at: checked.at,
        until: checked.at + MAX_PROPOSAL_AGE,
        signed: checked.signed,
        needed: checked.needed,
        decided,
        sheet: armour::block(proposal),
    }
}
