//! What this node says of its member: contact and offer, signed by the node key.
//!
//! One statement at a time, each with the next number, durable before it is told to anybody: a
//! number used twice would make the member contested.

use fairshare_protocol::ids::{FederationId, Hash};
use fairshare_protocol::limits::MAX_ADDRESSES;
use fairshare_protocol::roster::own::{Dspt, Reach, Signer};
use fairshare_protocol::roster::{Claim, Contact, Refusal, SelfStatement, Statement};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;

use crate::config::{Config, Desk};
use crate::engine::drive::{self, now};
use crate::membership;
use crate::node::Node;
use crate::offer_file;

pub mod said;

/// The contact the config makes.
///
/// # Errors
/// If a value in it cannot be published.
pub fn contact(config: &Config) -> Result<Contact, Error> {
    let reach = |desk: &Desk| Reach {
        name: desk.name.clone(),
        email: desk.email.clone(),
        telephone: desk.telephone.clone(),
    };
    let (mut dspt, mut dspt_expires) = (Dspt::NotPublished, None);
    if let Some(given) = &config.dspt {
        dspt = given.status.as_str().parse().map_err(|_| Error::Dspt {
            given: given.status.to_string(),
        })?;
        if let Some(expires) = &given.expires {
            let date = expires.as_str().parse();
            dspt_expires = Some(date.map_err(|_| Error::Expiry {
                given: expires.to_string(),
            })?);
        }
    }
    let contact = Contact {
        addresses: config
            .announce
            .iter()
            .take(MAX_ADDRESSES)
            .cloned()
            .collect(),
        exchange: reach(&config.exchange_contact),
        guardian: reach(&config.caldicott_guardian),
        dspt,
        dspt_expires,
    };
    contact.check()?;
    Ok(contact)
}

/// The first two statements of this node under a number no statement hangs on yet: its contact and
/// the offer its file has.
///
/// # Errors
/// If config or offer have a mistake.
pub fn introduction(
    node: &Node,
    federation: FederationId,
    n: u32,
    at: Timestamp,
) -> Result<Vec<Signed<SelfStatement>>, Error> {
    let claims = [
        Claim::Contact(contact(&node.config)?),
        Claim::Offer(offer_file::read(&node.home.offer())?),
    ];
    let sign = |(u, claim): (u32, &Claim)| {
        let body = SelfStatement::new(federation, node.code().clone(), (n, u), at, claim);
        Signed::sign(&body, &node.keys.node)
    };
    Ok((1..).zip(&claims).map(sign).collect())
}

/// Says something of this node's member, with the next number; gives the statement's hash.
///
/// # Errors
/// If the member takes no part, its organisation has named another node key, or the statement
/// cannot be kept.
pub async fn say(node: &Node, claim: &Claim) -> Result<Hash, Error> {
    let _one = node.said.speaking().await;
    let statements = node.membership.statements();
    let (Some(held), Some(roster)) = (statements, node.membership.roster()) else {
        return Err(membership::Error::NoFederation.into());
    };
    let member = roster
        .member(node.code())
        .filter(|member| member.is_active());
    let member = member.ok_or(Error::NoPart)?;
    let by = (Signer::Node, node.keys.node.public());
    let u = held.last_u(node.code(), member.anchor, by) + 1;
    let place = (member.anchor, u);
    let body = SelfStatement::new(held.federation(), node.code().clone(), place, now(), claim);
    let signed = Signed::sign(&body, &node.keys.node);
    let hash = signed.hash();
    let statement = Statement::Own(signed);
    // On disk before anybody can hear it: after a power cut it is not said anew.
    let act = node.membership.keep(&statement, now());
    let act = act.map_err(|error| match error {
        membership::Error::Refused(Refusal::Unfounded) => Error::NotNamed,
        error => error.into(),
    })?;
    node.record(act).await?;
    node.membership.learn(statement, now())?;
    Ok(hash)
}

/// Publishes the contact the config makes, if it differs from the one published.
///
/// # Errors
/// If the config has a mistake, or the statement cannot be kept.
pub async fn renew_contact(node: &Node) -> Result<bool, Error> {
    let Some(member) = node.membership.member(node.code()) else {
        return Ok(false);
    };
    let contact = contact(&node.config)?;
    if !member.is_active() || member.contact.as_ref() == Some(&contact) {
        return Ok(false);
    }
    say(node, &Claim::Contact(contact)).await?;
    Ok(true)
}

/// Why something is not said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not one of the words.
    #[error(
        "config.toml: `{given}` is no DSPT status; use standards-exceeded, standards-met, approaching-standards, standards-not-met or not-published"
    )]
    Dspt {
        /// As the config has it.
        given: String,
    },
    /// Not a date.
    #[error("config.toml: `{given}` is no date; write the day the DSPT status ends as YYYY-MM-DD")]
    Expiry {
        /// As the config has it.
        given: String,
    },
    /// The config's contact or the offer is none.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The offer's file.
    #[error(transparent)]
    Offer(#[from] offer_file::Error),
    /// The member takes no part.
    #[error(
        "this node's member takes no part in the federation; `fairshare members` says what it is and why"
    )]
    NoPart,
    /// The organisation named another node key.
    #[error(
        "the organisation has named another node key than this node's; use the home whose key it named"
    )]
    NotNamed,
    /// The roster.
    #[error(transparent)]
    Membership(#[from] membership::Error),
    /// It could not be kept.
    #[error(transparent)]
    Kept(#[from] drive::Error),
}
