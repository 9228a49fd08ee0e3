//! Answers about members, offers and terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairshare_protocol::armour;
use fairshare_protocol::control::offer::{
    OfferReport, PublishOffer, Published, ShowOffer, ShowTerms, TermsReport,
};
use fairshare_protocol::control::roster::{FederationReport, MemberReport, MembersReport};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::join::Invitation;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::{Claim, Member, Roster, Status};
use fairshare_protocol::text::Line;

use super::naming::names_nobody;
use crate::config::Desk;
use crate::engine::drive::now;
use crate::membership;
use crate::node::Node;
use crate::own;
use crate::status::asked_to_join;

/// The roster, or why there is none.
pub(super) fn roster(node: &Node) -> Result<Arc<Roster>, Failure> {
    let none = || match asked_to_join(node) {
        Some(invitation) => {
            let fact = format!("this node waits to be admitted to {}", invitation.name);
            let remedy = "keep `fairshare run` going: it enters by itself; or ask the steward how \
                          far the request is";
            Failure::new(WRONG, fact, remedy)
        }
        None => Failure::from_error(WRONG, &membership::Error::NoFederation),
    };
    node.membership.roster().ok_or_else(none)
}

/// Another member than this node's own, or that it is none.
pub(super) fn other<'r>(
    node: &Node,
    roster: &'r Roster,
    code: &OdsCode,
) -> Result<&'r Member, Failure> {
    if code == node.code() {
        return Err(is_own(code));
    }
    member(roster, code)
}

/// The name of a member that is not this node's own.
pub(super) fn peer_name(node: &Node, code: &OdsCode) -> Result<String, Failure> {
    let roster = roster(node)?;
    Ok(other(node, &roster, code)?.name.to_string())
}

/// What these members and this node's own organisation are called, as far as the roster has them.
pub(super) fn named(
    node: &Node,
    codes: impl IntoIterator<Item = OdsCode>,
) -> BTreeMap<OdsCode, String> {
    let Some(roster) = node.membership.roster() else {
        return BTreeMap::new();
    };
    let all = codes.into_iter().chain([node.code().clone()]);
    let found = all.filter_map(|code| {
        let name = roster.member(&code)?.name.to_string();
        Some((code, name))
    });
    found.collect()
}

/// A desk and how it is reached, in a line.
pub(super) fn desk(desk: &Desk) -> String {
    let reached = desk.email.iter().chain(&desk.telephone);
    let parts = [&desk.name].into_iter().chain(reached).map(Line::as_str);
    parts.collect::<Vec<_>>().join(", ")
}

/// That a command which is about others was given this node's own code.
pub fn is_own(code: &OdsCode) -> Failure {
    let fact = format!("{code} is this node's own organisation");
    let remedy = "name another member: `fairshare members` lists them";
    Failure::new(WRONG, fact, remedy)
}

/// The member of this code, or that there is none.
pub(super) fn member<'r>(roster: &'r Roster, code: &OdsCode) -> Result<&'r Member, Failure> {
    roster.member(code).ok_or_else(|| {
        let fact = format!("{code} is not a member");
        Failure::new(WRONG, fact, "`fairshare members` lists who is")
    })
}

/// Who is a member.
pub fn members(node: &Node) -> Result<MembersReport, Failure> {
    let roster = roster(node)?;
    let report = |member: &Member| MemberReport {
        code: member.code.clone(),
        name: member.name.to_string(),
        kind: member.kind,
        status: member.status,
        why: member.why.clone(),
        since: member.since,
        population: member.population,
        predecessors: member.predecessors.keys().cloned().collect(),
        successor: member.successor.clone(),
        steward: roster.charter().stewards.contains_key(&member.code),
        own: member.code == *node.code(),
        organisation: member.organisation,
        node: member.node.map(|keys| keys.node),
        contact: member.contact.as_ref().map(Into::into),
        offer: member.offer.is_some(),
        contradictions: member.evidence.len() as u64,
    };
    Ok(MembersReport {
        now: now(),
        federation: federation(node, &roster),
        members: roster.members().map(report).collect(),
    })
}

/// The federation, for screens.
pub(super) fn federation(node: &Node, roster: &Roster) -> FederationReport {
    let charter = roster.charter();
    let epoch = roster.epoch(now());
    let invitation = Invitation {
        federation: roster.federation(),
        name: charter.name.clone(),
        steward: node.code().clone(),
        node: Some(node.keys.node.public()),
        addresses: node.config.announce.clone(),
    };
    FederationReport {
        name: charter.name.to_string(),
        id: roster.federation(),
        fingerprint: roster.federation().spoken(),
        version: roster.charter().version,
        agreement: charter.agreement,
        stewards: charter.stewards.keys().cloned().collect(),
        threshold: charter.threshold,
        epoch: (epoch, roster.epoch_end(epoch)),
        invitation: armour::link(&invitation),
    }
}

/// What a member offers.
pub fn show_offer(node: &Node, question: &ShowOffer) -> Result<OfferReport, Failure> {
    let code = question.member.as_ref().unwrap_or_else(|| node.code());
    let own = code == node.code();
    match node.membership.roster() {
        Some(roster) if !own || roster.member(code).is_some() => {
            let member = member(&roster, code)?;
            Ok(OfferReport {
                member: code.clone(),
                name: member.name.to_string(),
                kind: member.kind,
                hash: member.offer.as_ref().map(Offer::hash),
                published: member.offer.clone(),
            })
        }
        _ if own => Ok(OfferReport {
            member: code.clone(),
            name: node.config.name.to_string(),
            kind: node.config.kind,
            published: None,
            hash: None,
        }),
        _ => Err(Failure::from_error(WRONG, &membership::Error::NoFederation)),
    }
}

/// Publishes an offer.
pub async fn publish_offer(
    node: &Node,
    user: &User,
    question: PublishOffer,
) -> Result<Published, Failure> {
    let offer = question.offer;
    offer
        .check()
        .map_err(|refusal| Failure::from_error(WRONG, &refusal))?;
    let roster = roster(node)?;
    let before = member(&roster, node.code())?.offer.as_ref();
    let changed = before != Some(&offer);
    let hash = offer.hash();
    if changed {
        let reason = question.reason.ok_or_else(|| {
            let fact = "this offer differs from what is published, and nobody said why";
            let remedy = "give --reason WORDS: the journal keeps it; `fairshare offer show` shows \
                          the offer";
            Failure::new(WRONG, fact, remedy)
        })?;
        names_nobody(&reason)?;
        own::say(node, &Claim::Offer(offer))
            .await
            .map_err(|error| Failure::from_error(WRONG, &error))?;
        let what = format!("published the offer {}: {reason}", hash.short());
        operator(node, user, what).await?;
    }
    let others = roster.members().filter(|member| member.is_active());
    let others = others.filter(|member| member.code != *node.code());
    Ok(Published {
        hash,
        changed,
        members: others.count() as u64,
    })
}

/// What flows between this node's member and another.
pub fn show_terms(node: &Node, question: &ShowTerms) -> Result<TermsReport, Failure> {
    let roster = roster(node)?;
    let peer = other(node, &roster, &question.peer)?;
    let terms = roster.terms(node.code(), &question.peer);
    let terms = terms.map_err(|none| Failure::from_error(REFUSED, &none))?;
    let both = [node.code(), &question.peer];
    let limited = both.into_iter().filter(|code| {
        let member = roster.member(code);
        member.is_some_and(|member| member.status == Status::Limited)
    });
    Ok(TermsReport {
        own: node.code().clone(),
        peer: (peer.code.clone(), peer.name.to_string(), peer.kind),
        limited: limited.cloned().collect(),
        hash: terms.hash(),
        terms,
    })
}

/// Records what an operator did.
pub(super) async fn operator(node: &Node, user: &User, what: String) -> Result<(), Failure> {
    let user = user.clone();
    let recorded = node.record([Act::Operator { user, what }]).await;
    recorded.map_err(|error| Failure::from_error(WRONG, &error))
}
