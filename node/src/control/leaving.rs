//! Answers about leaving the federation.

use fairshare_protocol::control::roster::{Leave, LeavePlace, Leaving, Left};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::member::User;
use fairshare_protocol::roster::own::Signer;
use fairshare_protocol::roster::{Claim, Statement};

use super::members::{operator, roster};
use crate::engine::drive::now;
use crate::node::Node;

/// Where this member's word that it leaves would stand, to be signed by its organisation key.
///
/// # Errors
/// If it takes no part.
pub fn place(node: &Node, _: &Leaving) -> Result<LeavePlace, Failure> {
    let roster = roster(node)?;
    let member = roster.member(node.code()).filter(|it| it.is_active());
    let (Some(member), Some(held)) = (member, node.membership.statements()) else {
        let fact = format!("{} takes no part in the federation", node.code());
        return Err(Failure::new(
            WRONG,
            fact,
            "`fairshare members` says what it is",
        ));
    };
    Ok(LeavePlace {
        federation: roster.federation(),
        name: roster.charter().name.to_string(),
        member: member.code.clone(),
        n: member.anchor,
        u: held.last_u(
            &member.code,
            member.anchor,
            (Signer::Organisation, member.organisation),
        ) + 1,
        steward: roster.charter().stewards.contains_key(&member.code),
    })
}

/// Takes this member's word that it leaves; whoever is connected hears of it.
///
/// # Errors
/// If it is no such word, or cannot be kept.
pub async fn leave(node: &Node, user: &User, question: Leave) -> Result<Left, Failure> {
    let body = question.statement.peek();
    let own = body
        .as_ref()
        .is_ok_and(|body| body.member == *node.code() && matches!(body.claim(), Ok(Claim::Leave)));
    if !own {
        let fact = "that is not this organisation's word that it leaves";
        return Err(Failure::new(WRONG, fact, "say it with `fairshare leave`"));
    }
    let _one = node.said.speaking().await;
    let statement = Statement::Own(question.statement);
    // On disk before anybody can hear of it.
    let act = node.membership.keep(&statement, now());
    let act = act.map_err(|error| Failure::from_error(REFUSED, &error))?;
    let degraded = |error| Failure::from_error(DEGRADED, &error);
    node.record(act).await.map_err(degraded)?;
    let learnt = node.membership.learn(statement, now());
    learnt.map_err(|error| Failure::from_error(REFUSED, &error))?;
    operator(
        node,
        user,
        format!("left the federation: {}", question.reason),
    )
    .await?;
    let roster = roster(node)?;
    Ok(Left {
        name: roster.charter().name.to_string(),
        members: roster.members().filter(|it| it.is_active()).count() as u64,
        running: node.network().is_some(),
    })
}
