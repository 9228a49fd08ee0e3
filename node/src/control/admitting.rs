//! Answers about who asks to be admitted.

use std::sync::Arc;

use fairshare_protocol::armour;
use fairshare_protocol::control::roster::{Admit, Admitted, Candidate, Dismiss, Prepare, Prepared};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::join::{Candidacy, JoinRequest, Joining};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::proposal::Proposal;
use fairshare_protocol::roster::{Roster, Welcome};
use fairshare_protocol::statement::{CoSigned, Signed};

use super::joining::{degraded, refused, wrong};
use super::members::{operator, roster};
use crate::engine::drive::now;
use crate::engine::proposals::{self, own_statements};
use crate::node::Node;

/// Who asks to be admitted.
pub fn admissions(node: &Node) -> Result<Vec<Candidate>, Failure> {
    let roster = roster(node)?;
    let waiting = open(node, &roster)?;
    let mut candidates = Vec::new();
    for (request, sheet) in &waiting {
        let joining = Joining::check(request, roster.federation(), now());
        let Ok(joining) = joining else { continue };
        let member = roster.member(&joining.request.member);
        if member.is_some_and(|member| {
            member.is_active() && member.organisation == joining.request.admission.organisation
        }) {
            // Other stewards admitted it meanwhile.
            node.membership.decided(&joining.hash).map_err(degraded)?;
            continue;
        }
        let same = |other: &&Signed<JoinRequest>| {
            let other = other.peek();
            other.is_ok_and(|other| other.member == joining.request.member)
        };
        let rivals = waiting.iter().map(|(it, _)| it).filter(same).count();
        let mut candidate = candidate(&joining, &roster);
        if let Some(sheet) = sheet {
            candidate.signed = signers(&roster, sheet)?;
        }
        if rivals > 1 && candidate.problem.is_none() {
            let why = format!("{rivals} requests with this code wait: compare fingerprints");
            candidate.problem = Some(why);
        }
        candidates.push(candidate);
    }
    candidates.sort_by(|a, b| (&a.code, a.at).cmp(&(&b.code, b.at)));
    Ok(candidates)
}

fn candidate(joining: &Joining, roster: &Roster) -> Candidate {
    let problem = joining.admit(roster, now()).err();
    Candidate {
        code: joining.request.member.clone(),
        admission: joining.request.admission.clone(),
        contact: (&joining.contact).into(),
        node: joining.node.node,
        at: joining.request.at,
        request: joining.hash,
        fingerprint: joining.hash.spoken(),
        signed: Vec::new(),
        problem: problem.map(|refusal| refusal.to_string()),
    }
}

/// A request, and the admission stewards have signed some of, if any has.
type Open = (Signed<JoinRequest>, Option<Candidacy>);

/// Every request that waits here: brought to this node, or heard from another steward's.
fn open(node: &Node, roster: &Roster) -> Result<Vec<Open>, Failure> {
    let proposals = node.membership.proposals().map_err(degraded)?;
    let mut all = Vec::new();
    for (_, proposal) in proposals.iter() {
        match proposal {
            Proposal::Admission(sheet) if sheet.check(roster, now()).is_ok() => {
                all.push((sheet.request.clone(), Some(sheet.clone())));
            }
            _ => {}
        }
    }
    for (hash, request) in node.membership.waiting().iter() {
        if all.iter().all(|(other, _)| other.hash() != *hash) {
            all.push((request.clone(), None));
        }
    }
    Ok(all)
}

/// The waiting request an operator means.
fn waiting(node: &Node, roster: &Roster, which: &str) -> Result<Open, Failure> {
    let waiting = open(node, roster)?;
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let meant = |(request, _): &&Open| {
        let hash = request.hash();
        let code = request.peek().is_ok_and(|it| it.member.as_str() == which);
        let spoken = digits(&hash.spoken()) == digits(which) && !digits(which).is_empty();
        code || spoken || hash.to_string() == which
    };
    let found: Vec<_> = waiting.iter().filter(meant).collect();
    match found[..] {
        [open] => Ok(open.clone()),
        [] => {
            let which: String = which.chars().take(60).collect();
            let fact = format!("no request of `{which}` is waiting");
            let remedy =
                "`fairshare admissions` lists those that are, or name the file you were sent";
            Err(Failure::new(WRONG, fact, remedy))
        }
        _ => {
            let fact = format!("{} requests of {which} are waiting", found.len());
            let remedy = "name one by its fingerprint: `fairshare admissions` shows them";
            Err(Failure::new(WRONG, fact, remedy))
        }
    }
}

/// Makes an admission ready to be signed.
pub fn prepare(node: &Node, question: &Prepare) -> Result<Prepared, Failure> {
    let roster = roster(node)?;
    let which = question.which.trim();
    let sheet = match armour::read::<Candidacy>(which) {
        Ok(sheet) => sheet,
        Err(armour::Error::OtherKind { .. }) => {
            let request = armour::read(which).map_err(wrong)?;
            draft(&roster, request)?
        }
        Err(armour::Error::Nothing { .. }) => match waiting(node, &roster, which)? {
            (_, Some(sheet)) => sheet,
            (request, None) => draft(&roster, request)?,
        },
        Err(error) => return Err(wrong(error)),
    };
    let (joining, _) = sheet.check(&roster, now()).map_err(refused)?;
    Ok(Prepared {
        candidate: candidate(&joining, &roster),
        signed: signers(&roster, &sheet)?,
        needed: roster.charter().threshold,
        sheet: armour::block(&sheet),
    })
}

fn draft(roster: &Roster, request: Signed<JoinRequest>) -> Result<Candidacy, Failure> {
    let joining = Joining::check(&request, roster.federation(), now()).map_err(refused)?;
    let body = joining.admit(roster, now()).map_err(refused)?;
    Ok(Candidacy {
        request,
        decision: CoSigned::draft(&body),
    })
}

fn signers(roster: &Roster, sheet: &Candidacy) -> Result<Vec<OdsCode>, Failure> {
    let (_, keys) = sheet.decision.verify().map_err(refused)?;
    let signed = |(_, key): &(&OdsCode, &PublicKey)| keys.contains(key);
    let stewards = roster.charter().stewards.iter().filter(signed);
    Ok(stewards.map(|(code, _)| code.clone()).collect())
}

/// Takes an admission as far as it is signed.
pub async fn admit(node: &Arc<Node>, user: &User, question: Admit) -> Result<Admitted, Failure> {
    let sheet: Candidacy = armour::read(&question.sheet).map_err(wrong)?;
    let before = roster(node)?;
    let needed = before.charter().threshold;
    let code = sheet.request.peek().map_err(wrong)?.member;
    let held = node.membership.statements();
    let known = held.is_some_and(|held| held.hashes(&code).any(|h| h == sheet.decision.hash()));
    let joining = if known {
        Joining::check(&sheet.request, before.federation(), now()).map_err(refused)?
    } else {
        sheet.check(&before, now()).map_err(refused)?.0
    };
    let signed = signers(&before, &sheet)?;
    let enough = signed.len() >= usize::from(needed);
    let mut acts = Vec::new();
    if enough && !known {
        let decided = proposals::decide(node, &Proposal::Admission(sheet.clone())).await;
        decided.map_err(refused)?;
    }
    let admitted = enough || known;
    if known {
        acts.extend(own_statements(node, &sheet.request));
        node.membership.decided(&joining.hash).map_err(degraded)?;
    } else if !admitted && !signed.is_empty() {
        // What is too long for the network still goes as a file.
        let _ = proposals::take(node, Proposal::Admission(sheet.clone())).await;
    }
    let verb = if admitted {
        "admitted"
    } else {
        "signed the admission of"
    };
    let what = format!("{verb} {code}, {} of {needed} signatures", signed.len());
    let user = user.clone();
    acts.push(Act::Operator { user, what });
    node.record(acts).await.map_err(degraded)?;
    let paper = match node.membership.statements() {
        Some(held) if admitted => armour::block(&Welcome::of(&held)),
        _ => armour::block(&sheet),
    };
    let mut candidate = candidate(&joining, &before);
    if known {
        candidate.problem = None;
    }
    Ok(Admitted {
        candidate,
        signed,
        needed,
        admitted,
        paper,
    })
}

/// Takes a request off the list.
pub async fn dismiss(node: &Node, user: &User, question: Dismiss) -> Result<Candidate, Failure> {
    let roster = roster(node)?;
    let (request, sheet) = waiting(node, &roster, question.which.trim())?;
    if let Some(sheet) = sheet {
        let hash = sheet.decision.hash();
        node.membership.withdraw(&hash).map_err(degraded)?;
    }
    let joining = Joining::check(&request, roster.federation(), now()).map_err(refused)?;
    node.membership.decided(&joining.hash).map_err(degraded)?;
    let code = &joining.request.member;
    let what = format!("took a join request of {code} off the list");
    operator(node, user, what).await?;
    Ok(candidate(&joining, &roster))
}
