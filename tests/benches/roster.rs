//! How long a roster of 1,000 members and 20,000 statements takes, three stewards signing each
//! decision: to open from its bytes, and once one more statement comes. Prints; asserts nothing of
//! time.
//!
//! `cargo bench -p fairshare-tests --bench roster` (`FAIRSHARE_MEMBERS` sets how many.)

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops if it cannot run"
)]

use std::time::{Duration, Instant};

use fairshare_node::engine::drive::now;
use fairshare_protocol::charter::Charter;
use fairshare_protocol::codec;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, SealKey};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::roster::decision::{NOTHING, Reason};
use fairshare_protocol::roster::own::{Dspt, Reach};
use fairshare_protocol::roster::{
    Admission, Claim, Contact, Decision, Incoming, NodeKeys, Roster, SelfStatement, Statement,
    Statements, StewardStatement, Welcome,
};
use fairshare_protocol::statement::{Body, CoSigned, Signed};
use rayon::prelude::*;

fn key(n: u64, what: u8) -> KeyPair {
    let mut seed = [what; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    KeyPair::from_seed(&seed)
}

fn by_all<T: Body>(body: &T) -> CoSigned<T> {
    let mut signed = CoSigned::draft(body);
    (1..=3).for_each(|n| signed.add(&key(n, 0)));
    signed
}

fn reason() -> Reason {
    Reason {
        reason: "no answers".parse().unwrap(),
    }
}

fn contact(port: u16) -> Claim {
    let reach = Reach {
        name: "The desk".parse().unwrap(),
        email: Some("desk@example.org".parse().unwrap()),
        telephone: None,
    };
    Claim::Contact(Contact {
        addresses: vec![format!("/ip4/10.0.0.5/tcp/{port}").parse().unwrap()],
        exchange: reach.clone(),
        guardian: reach,
        dspt: Dspt::Met,
        dspt_expires: None,
    })
}

/// Three decisions about member `n`, one word of its organisation and sixteen of its node.
fn life(on: &Statements, n: u64) -> Vec<Statement> {
    let (organisation, node) = (key(n, 1), key(n, 2));
    let code: fairshare_protocol::ids::OdsCode = format!("M{n}").parse().unwrap();
    let admit = Decision::Admit(Admission {
        kind: MemberKind::GpPractice,
        name: format!("Practice {n}").parse().unwrap(),
        organisation: organisation.public(),
        population: 10_000,
    });
    let decisions = [
        admit,
        Decision::Limit(reason()),
        Decision::Reinstate(reason()),
    ];
    let mut all = Vec::new();
    let mut previous = NOTHING;
    for (at, decision) in (1..).zip(&decisions) {
        let place = (at, previous);
        let body = StewardStatement::new(on.under(), code.clone(), place, now(), decision);
        let signed = by_all(&body);
        previous = signed.hash();
        all.push(Statement::Steward(signed));
    }
    let say = |u, claim: &Claim, by: &KeyPair| {
        let body = SelfStatement::new(on.federation(), code.clone(), (1, u), now(), claim);
        Statement::Own(Signed::sign(&body, by))
    };
    let keys = Claim::Node(NodeKeys {
        node: node.public(),
        seal: SealKey::new([9; 32]),
    });
    all.push(say(1, &keys, &organisation));
    all.extend((1..=16_u16).map(|u| say(u.into(), &contact(u), &node)));
    all
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = run();
    let took: Duration = begun.elapsed();
    println!("{what}: {took:.1?}");
    result
}

fn main() {
    let members = std::env::var("FAIRSHARE_MEMBERS").ok();
    let members: u64 = members.map_or(1000, |text| text.parse().unwrap());
    let stewards = (1..=3).map(|n| (format!("S{n}").parse().unwrap(), key(n, 0).public()));
    let name = "Bench".parse().unwrap();
    let charter = Charter::first(name, Hash::new([7; 32]), stewards.collect(), 3, now());
    let empty = Statements::new(by_all(&charter)).unwrap();
    let lives = (0..members).into_par_iter().map(|n| life(&empty, n));
    let statements: Vec<Statement> = lives.flatten().collect();
    let count = statements.len();
    let bytes = codec::encode(&Welcome {
        charter: empty.signed_charter().clone(),
        statements,
    });
    println!(
        "{members} members, {count} statements, {} KB",
        bytes.len() / 1000
    );
    let read = || codec::decode::<Welcome>(&bytes, bytes.len()).unwrap();

    let (held, _) = timed(
        "from its bytes, every signature verified, on one core",
        || {
            let opened = read().open(now()).unwrap();
            Roster::of(&opened.0);
            opened
        },
    );
    assert_eq!(held.len(), count);
    let verified: Vec<Incoming> = timed("only the signatures, on all cores", || {
        let statements = read().statements.into_par_iter();
        statements
            .map(|it| Incoming::verified(it).unwrap())
            .collect()
    });
    let mut held = timed("only the rest: what is kept, and the roster", || {
        let mut held = empty.clone();
        held.gather(verified, now());
        Roster::of(&held);
        held
    });
    let about = "M0".parse().unwrap();
    let limit = Decision::Limit(reason());
    let one_more = Roster::of(&held).decide(&about, &limit, now()).unwrap();
    let one_more = Statement::Steward(by_all(&one_more));
    timed("one more statement, and the roster anew", || {
        held.insert(one_more, now()).unwrap();
        Roster::of(&held)
    });
}
