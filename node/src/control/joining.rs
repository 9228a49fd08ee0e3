//! Answers about founding, joining and admitting.

use std::fs;
use std::sync::Arc;

use fairshare_protocol::armour;
use fairshare_protocol::control::roster::{
    Admit, Admitted, Application, Apply, Candidate, Dismiss, Enter, Entered, Found, Introduce,
    Introduction, Prepare, Prepared,
};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::join::{Candidacy, Invitation, JoinRequest, Joining};
use fairshare_protocol::journal::Act;
use fairshare_protocol::limits::MAX_WELCOME;
use fairshare_protocol::member::User;
use fairshare_protocol::proposal::Proposal;
use fairshare_protocol::roster::{NodeKeys, Roster, Welcome};
use fairshare_protocol::statement::{CoSigned, Signed};

use super::members::{federation, operator, roster};
use crate::engine::drive::now;
use crate::engine::proposals::{self, own_statements};
use crate::node::Node;
use crate::own::said::Made;
use crate::{own, store};

/// A failure of the operator's making.
fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(WRONG, &error)
}

/// A refusal by the rules.
fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(REFUSED, &error)
}

/// Something of ours failed.
fn degraded(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(DEGRADED, &error)
}

/// What this node would say of itself, joining.
pub async fn introduce(node: &Node, question: Introduce) -> Result<Introduction, Failure> {
    let held = node.membership.statements();
    let federation = match (question.federation, &held) {
        (Some(asked), Some(held)) if asked != held.federation() => {
            return Err(wrong(crate::membership::Error::OtherFederation));
        }
        (Some(asked), _) => asked,
        (None, Some(held)) => held.federation(),
        (None, None) => {
            let fact = "this node knows no federation yet";
            let remedy = "ask a steward for an invitation: `fairshare join INVITATION`";
            return Err(Failure::new(WRONG, fact, remedy));
        }
    };
    let mut n = question.n;
    if let Some(roster) = node.membership.roster() {
        if roster.member(node.code()).is_some_and(|it| it.is_active()) {
            let fact = format!("{} is a member already", node.code());
            return Err(Failure::new(WRONG, fact, "`fairshare members` shows it"));
        }
        n = roster.next_anchor(node.code());
    }
    let _one = node.said.speaking().await;
    let make = || own::introduction(node, federation, n, now()).map_err(wrong);
    let statements = node
        .said
        .introduction(federation, n, || make().map_err(Kept::Failed))
        .map_err(Kept::into_failure)?;
    let earlier = node.said.made(federation, n).map_err(degraded)?;
    node.record([]).await.map_err(degraded)?;
    Ok(Introduction {
        federation,
        member: node.code().clone(),
        kind: node.config.kind,
        name: node.config.name.to_string(),
        population: node.config.population,
        keys: NodeKeys {
            node: node.keys.node.public(),
            seal: node.keys.seal.public(),
        },
        statements,
        earlier: earlier.map(|made| application(&made.request)).transpose()?,
    })
}

/// What making or keeping an introduction fails with.
enum Kept {
    Failed(Failure),
    Store(store::Error),
}

impl From<store::Error> for Kept {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Kept {
    fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Store(error) => degraded(error),
        }
    }
}

fn application(request: &Signed<JoinRequest>) -> Result<Application, Failure> {
    let body = request.peek().map_err(degraded)?;
    Ok(Application {
        request: armour::block(request),
        link: armour::link(request),
        fingerprint: request.hash().spoken(),
        code: body.member,
        at: body.at,
    })
}

/// Keeps a join request this node's organisation signed.
pub async fn apply(node: &Node, user: &User, question: Apply) -> Result<Application, Failure> {
    let request: Signed<JoinRequest> = armour::read(&question.request).map_err(wrong)?;
    let invitation = question
        .invitation
        .as_deref()
        .map(armour::read::<Invitation>);
    let invitation = invitation.transpose().map_err(wrong)?;
    let of = request.peek().map_err(wrong)?.federation;
    let joining = Joining::check(&request, of, now()).map_err(refused)?;
    let ours = joining.request.member == *node.code()
        && joining.node.node == node.keys.node.public()
        && joining.node.seal == node.keys.seal.public();
    if !ours {
        let fact = "the request is not this node's own";
        let remedy = "make it here with `fairshare join`";
        return Err(Failure::new(WRONG, fact, remedy));
    }
    let made = Made {
        request,
        invitation,
    };
    let kept = node.said.make(of, joining.n, &made);
    if kept.map_err(degraded)? {
        let what = format!("asked to join the federation {}", of.short());
        operator(node, user, what).await?;
    }
    // Another may have been kept first: that one is this node's request.
    let kept = node.said.made(of, joining.n).map_err(degraded)?;
    application(&kept.map_or(made.request, |kept| kept.request))
}

/// Founds a federation, or takes over the charter of one.
pub async fn found(node: &Node, user: &User, question: Found) -> Result<Entered, Failure> {
    let welcome: Welcome = armour::read(&question.welcome).map_err(wrong)?;
    enter_with(node, user, welcome, false).await
}

/// Enters the federation that welcomes this node's member.
pub async fn enter(node: &Node, user: &User, question: Enter) -> Result<Entered, Failure> {
    let path = question.path;
    let unreadable = |why: &dyn std::fmt::Display| {
        let fact = format!("{}: {why}", path.display());
        let remedy = "name the file the steward sent, readable for the user the node runs as";
        Failure::new(WRONG, fact, remedy)
    };
    let size = fs::metadata(&path)
        .map_err(|error| unreadable(&error))?
        .len();
    if size > 2 * MAX_WELCOME as u64 {
        return Err(unreadable(&"longer than any welcome can be"));
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    let welcome: Welcome = armour::read(&text).map_err(wrong)?;
    enter_with(node, user, welcome, true).await
}

async fn enter_with(
    node: &Node,
    user: &User,
    welcome: Welcome,
    as_member: bool,
) -> Result<Entered, Failure> {
    let (statements, _) = welcome.open(now()).map_err(refused)?;
    let becomes = Roster::of(&statements);
    let ours = becomes.member(node.code());
    if as_member && ours.is_none() {
        let fact = format!("this welcome does not make {} a member", node.code());
        let remedy = "ask the steward whether it was meant for this organisation";
        return Err(Failure::new(REFUSED, fact, remedy));
    }
    let mut acts = node.membership.adopt(&statements, now()).map_err(refused)?;
    if let Some(member) = ours {
        let federation = statements.federation();
        let made = node.said.made(federation, member.anchor);
        if let Some(made) = made.map_err(degraded)? {
            acts.extend(own_statements(node, &made.request));
        }
    }
    let user = user.clone();
    let id = statements.federation().short();
    let what = format!("entered the federation {id}");
    acts.push(Act::Operator { user, what });
    node.record(acts).await.map_err(degraded)?;
    let roster = roster(node)?;
    Ok(Entered {
        federation: federation(node, &roster),
        status: roster.member(node.code()).map(|member| member.status),
        members: roster.members().filter(|it| it.is_active()).count() as u64,
    })
}

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
