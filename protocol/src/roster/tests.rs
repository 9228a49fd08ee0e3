//! Tests of the roster: the rules one by one, then the property that order never matters.

use std::collections::{BTreeMap, BTreeSet};

use super::decision::{NewKey, Reason};
use super::own::{Dspt, Reach, Signer};
use super::*;
use crate::charter::{Amendment, Version};
use crate::crypto::sign::KeyPair;
use crate::ids::SealKey;
use crate::statement::{CoSigned, Signed};
use crate::time::DAY;
use crate::{charter, codec, statement};

mod charters;
mod conversation;
mod order;
mod rules;
mod succession;

pub(crate) const NOW: Timestamp = Timestamp(20_000 * DAY);

pub(crate) fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

pub(crate) fn code(text: &str) -> OdsCode {
    text.parse().unwrap()
}

pub(crate) fn line(text: &str) -> Line {
    text.parse().unwrap()
}

/// A federation of three stewards (keys 1, 2, 3; two must sign), nobody admitted yet.
pub(crate) fn founded() -> Statements {
    let stewards = (1..=3).map(|n| (code(&format!("S{n}")), key(n).public()));
    let stewards: BTreeMap<_, _> = stewards.collect();
    let charter = Charter::first(line("Test"), Hash::new([7; 32]), stewards, 2, NOW);
    let mut signed = CoSigned::draft(&charter);
    signed.add(&key(1));
    signed.add(&key(2));
    Statements::new(signed).unwrap()
}

pub(crate) fn admission(organisation: u8) -> Decision {
    Decision::Admit(Admission {
        kind: MemberKind::GpPractice,
        name: line("A practice"),
        organisation: key(organisation).public(),
        population: 10_000,
    })
}

fn reason(text: &str) -> Reason {
    Reason { reason: line(text) }
}

fn new_key(organisation: u8) -> Decision {
    Decision::Key(NewKey {
        organisation: key(organisation).public(),
        reason: line("stolen"),
    })
}

fn succeed(predecessors: &[&str]) -> Decision {
    Decision::Succeed(Succession {
        predecessors: predecessors.iter().map(|text| code(text)).collect(),
        reason: line("merged"),
    })
}

fn too_few(given: usize) -> Refusal {
    charter::Refusal::TooFewSignatures { given, needed: 2 }.into()
}

fn renamed(name: &str) -> Amendment {
    Amendment {
        name: Some(line(name)),
        ..Amendment::default()
    }
}

/// A version that follows the current one, signed by these stewards.
fn amended(on: &Statements, change: &Amendment, signers: &[u8]) -> Statement {
    let roster = Roster::of(on);
    let mut charter = CoSigned::draft(&roster.amend(change, NOW).unwrap());
    for signer in signers {
        charter.add(&key(*signer));
    }
    let pins = roster.pins();
    Statement::Charter(Version { charter, pins })
}

/// Takes a version that follows the current one.
fn amend(held: &mut Statements, change: &Amendment) {
    let statement = amended(held, change, &[1, 2]);
    assert_eq!(insert(held, statement), Ok(Inserted::New));
}

/// A decision with a given place in the chain, signed by stewards 1 and 2.
fn decided(on: &Statements, about: &str, place: (u32, Hash), decision: &Decision) -> Statement {
    let body = StewardStatement::new(on.under(), code(about), place, NOW, decision);
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(2));
    Statement::Steward(signed)
}

/// The next decision about a member, as stewards would make it now.
fn next(on: &Statements, about: &str, decision: &Decision) -> Statement {
    let body = Roster::of(on).decide(&code(about), decision, NOW).unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(2));
    Statement::Steward(signed)
}

pub(crate) fn said(
    on: &Statements,
    member: &str,
    place: (u32, u32),
    claim: &Claim,
    signer: u8,
) -> Statement {
    let body = SelfStatement::new(on.federation(), code(member), place, NOW, claim);
    Statement::Own(Signed::sign(&body, &key(signer)))
}

pub(crate) fn node(n: u8) -> Claim {
    Claim::Node(NodeKeys {
        node: key(n).public(),
        seal: SealKey::new([n; 32]),
    })
}

pub(crate) fn contact(port: u16) -> Claim {
    let reach = Reach {
        name: line("The desk"),
        email: Some(line("desk@example.org")),
        telephone: None,
    };
    Claim::Contact(Contact {
        addresses: vec![line(&format!("/ip4/127.0.0.1/tcp/{port}"))],
        exchange: reach.clone(),
        guardian: reach,
        dspt: Dspt::Met,
        dspt_expires: Some("2027-06-30".parse().unwrap()),
    })
}

pub(crate) fn offer(kind: MemberKind) -> Claim {
    Claim::Offer(Offer::default_for(kind))
}

fn insert(into: &mut Statements, statement: Statement) -> Result<Inserted, Refusal> {
    into.insert(statement, NOW)
}

/// Admits `member` with this organisation key and lets its node speak.
pub(crate) fn join(into: &mut Statements, member: &str, organisation: u8, node_key: u8) {
    let statement = next(into, member, &admission(organisation));
    insert(into, statement).unwrap();
    let n = Roster::of(into).member(&code(member)).unwrap().anchor;
    for (u, claim, signer) in [
        (1, node(node_key), organisation),
        (1, contact(4850), node_key),
        (2, offer(MemberKind::GpPractice), node_key),
    ] {
        let statement = said(into, member, (n, u), &claim, signer);
        insert(into, statement).unwrap();
    }
}

fn member(of: &Statements, name: &str) -> Member {
    Roster::of(of).member(&code(name)).unwrap().clone()
}
