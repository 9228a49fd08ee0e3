//! Answers about founding, joining and admitting.

use std::fs;

use fairshare_protocol::armour;
use fairshare_protocol::control::roster::{
    Application, Apply, Enter, Entered, Found, Introduce, Introduction,
};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::join::{Invitation, JoinRequest, Joining};
use fairshare_protocol::journal::Act;
use fairshare_protocol::limits::MAX_WELCOME;
use fairshare_protocol::member::User;
use fairshare_protocol::roster::{NodeKeys, Roster, Welcome};
use fairshare_protocol::statement::Signed;

use super::members::{federation, operator, roster};
use crate::engine::drive::now;
use crate::engine::proposals::own_statements;
use crate::node::Node;
use crate::own::said::Made;
use crate::{own, store};

/// A failure of the operator's making.
pub(super) fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(WRONG, &error)
}

/// A refusal by the rules.
pub(super) fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(REFUSED, &error)
}

/// Something of ours failed.
pub(super) fn degraded(error: impl std::fmt::Display) -> Failure {
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
        let own = node.keys.node.public();
        match roster.member(node.code()) {
            Some(it) if it.is_active() && it.node.is_some_and(|keys| keys.node == own) => {
                let fact = format!("{} is a member already", node.code());
                return Err(Failure::new(WRONG, fact, "`fairshare members` shows it"));
            }
            // Reinstated, or given another key: the node is named anew.
            Some(it) if it.is_active() && it.node.is_none() => n = it.anchor,
            _ => n = roster.next_anchor(node.code()),
        }
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
