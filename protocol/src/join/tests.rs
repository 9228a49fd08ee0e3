use rand::SeedableRng;
use rand::rngs::StdRng;

use super::door::{Newcomer, Outcome, Save, Steward, enters};
use super::*;
use crate::armour;
use crate::conversation::pair::{End, run};
use crate::conversation::{Conversation, Input, Output};
use crate::crypto::sign::KeyPair;
use crate::journal::Act;
use crate::member::MemberKind;
use crate::roster::tests::{NOW, admission, code, contact, founded, key, node, offer};
use crate::roster::{Statement, Statements, Status};
use crate::wire;

/// A request of organisation key `org` and node key `org + 10` to be `member`.
fn request(on: &Statements, member: &str, org: u8, n: u32) -> Signed<JoinRequest> {
    let Decision::Admit(admission) = admission(org) else {
        unreachable!()
    };
    let say = |u, claim: &Claim, by: &KeyPair| {
        let body = SelfStatement::new(on.federation(), code(member), (n, u), NOW, claim);
        Signed::sign(&body, by)
    };
    let request = JoinRequest {
        federation: on.federation(),
        member: code(member),
        admission,
        statements: vec![
            say(1, &node(org + 10), &key(org)),
            say(1, &contact(4850), &key(org + 10)),
            say(2, &offer(MemberKind::GpPractice), &key(org + 10)),
        ],
        at: NOW,
    };
    Signed::sign(&request, &key(org))
}

fn altered(
    of: &Signed<JoinRequest>,
    by: u8,
    change: impl FnOnce(&mut JoinRequest),
) -> Signed<JoinRequest> {
    let mut request = of.peek().unwrap();
    change(&mut request);
    Signed::sign(&request, &key(by))
}

/// Stewards 1 and 2 admit what this request asks, and its statements are taken in.
fn admit(into: &mut Statements, request: &Signed<JoinRequest>) {
    let joining = Joining::check(request, into.federation(), NOW).unwrap();
    let body = joining.admit(&Roster::of(into), NOW).unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(2));
    into.insert(Statement::Steward(signed), NOW).unwrap();
}

fn refused(on: &Statements, request: &Signed<JoinRequest>) -> Refusal {
    Joining::check(request, on.federation(), NOW).unwrap_err()
}

#[test]
fn a_request_is_complete_and_wholly_the_newcomers_own() {
    let held = founded();
    let good = request(&held, "L83024", 11, 1);
    let joining = Joining::check(&good, held.federation(), NOW).unwrap();
    assert_eq!((joining.n, joining.node.node), (1, key(21).public()));
    assert_eq!(joining.hash, good.hash());

    let other = FederationId::new([9; 32]);
    assert_eq!(
        Joining::check(&good, other, NOW),
        Err(Refusal::OtherFederation)
    );
    let at = NOW + CLOCK_SKEW * 2;
    let ahead = altered(&good, 11, |r| r.at = at);
    assert_eq!(refused(&held, &ahead), Refusal::Ahead(at));
    let nobody = altered(&good, 11, |r| r.admission.population = 0);
    assert_eq!(
        refused(&held, &nobody),
        roster::Refusal::Population(0).into()
    );
    let forged = altered(&good, 12, |_| {});
    assert_eq!(
        refused(&held, &forged),
        statement::Error::OtherSigner.into()
    );

    let theirs = request(&held, "X1", 11, 1).peek().unwrap().statements;
    let later = request(&held, "L83024", 11, 2).peek().unwrap().statements;
    let changes: [&dyn Fn(&mut JoinRequest); 7] = [
        &|r| r.statements.clear(),
        &|r| r.statements.truncate(1),
        &|r| r.statements.swap(1, 2),
        &|r| r.statements.push(r.statements[1].clone()),
        &|r| r.statements[1] = theirs[1].clone(),
        &|r| r.statements[1] = later[1].clone(),
        &|r| r.member = code("X1"),
    ];
    for (i, change) in changes.iter().enumerate() {
        let changed = altered(&good, 11, |r| change(r));
        assert_eq!(refused(&held, &changed), Refusal::Statements, "{i}");
    }
    let stranger = request(&held, "L83024", 12, 1).peek().unwrap().statements;
    let changed = altered(&good, 11, |r| r.statements[1] = stranger[1].clone());
    assert_eq!(
        refused(&held, &changed),
        statement::Error::OtherSigner.into()
    );
}

#[test]
fn a_request_and_a_welcome_travel_on_paper_as_well() {
    let mut held = founded();
    let asked = request(&held, "L83024", 11, 1);
    let read: Signed<JoinRequest> = armour::read(&armour::block(&asked)).unwrap();
    assert_eq!(read, asked);
    let read: Signed<JoinRequest> = armour::read(&armour::link(&asked)).unwrap();
    assert_eq!(read.hash().spoken(), asked.hash().spoken());
    assert_eq!(enters(&asked, &Welcome::of(&held), NOW), None);
    admit(&mut held, &asked);
    let text = armour::block(&Welcome::of(&held));
    let welcome: Welcome = armour::read(&text).unwrap();
    assert_eq!(enters(&asked, &welcome, NOW), Some(code("L83024")));
    // A welcome for the same code with another organisation key is not ours.
    let other = request(&held, "L83024", 12, 1);
    assert_eq!(enters(&other, &welcome, NOW), None);
    let charter: CoSigned<Charter> = armour::read(&armour::block(held.signed_charter())).unwrap();
    assert_eq!(charter, *held.signed_charter());
    let invitation = Invitation {
        federation: held.federation(),
        name: "Test".parse().unwrap(),
        steward: code("S1"),
        node: Some(key(1).public()),
        addresses: vec!["/ip4/10.0.0.1/tcp/4850".parse().unwrap()],
    };
    assert_eq!(armour::read(&armour::link(&invitation)), Ok(invitation));
}

#[test]
fn a_candidacy_goes_from_steward_to_steward_until_enough_signed() {
    let held = founded();
    let roster = Roster::of(&held);
    let asked = request(&held, "L83024", 11, 1);
    let joining = Joining::check(&asked, held.federation(), NOW).unwrap();
    let mut sheet = Candidacy {
        request: asked.clone(),
        decision: CoSigned::draft(&joining.admit(&roster, NOW).unwrap()),
    };
    sheet.decision.add(&key(3));
    let mut sheet: Candidacy = armour::read(&armour::block(&sheet)).unwrap();
    assert_eq!(sheet.check(&roster, NOW).unwrap().1, 1);
    sheet.decision.add(&key(1));
    assert_eq!(sheet.check(&roster, NOW).unwrap().1, 2);

    let mut strange = sheet.clone();
    strange.decision.add(&key(9));
    let error = strange.check(&roster, NOW).unwrap_err();
    assert_eq!(
        error,
        roster::Refusal::from(crate::charter::Refusal::NotASteward).into()
    );
    let bigger = altered(&asked, 11, |r| r.admission.population += 1);
    let swapped = Candidacy {
        request: bigger,
        ..sheet.clone()
    };
    assert_eq!(swapped.check(&roster, NOW), Err(Refusal::OtherDecision));
    let mut held = held;
    admit(&mut held, &asked);
    let member = Refusal::Member(code("L83024"));
    assert_eq!(sheet.check(&Roster::of(&held), NOW), Err(member));
}

#[test]
fn who_was_a_member_before_joins_under_the_next_number() {
    let mut held = founded();
    let asked = request(&held, "L83024", 11, 1);
    admit(&mut held, &asked);
    for statement in asked.peek().unwrap().statements {
        held.insert(Statement::Own(statement), NOW).unwrap();
    }
    let leave = SelfStatement::new(
        held.federation(),
        code("L83024"),
        (1, 2),
        NOW,
        &Claim::Leave,
    );
    let leave = Statement::Own(Signed::sign(&leave, &key(11)));
    held.insert(leave, NOW).unwrap();
    let left = Roster::of(&held).member(&code("L83024")).unwrap().status;
    assert_eq!(left, Status::Left);
    let joining = Joining::check(&asked, held.federation(), NOW).unwrap();
    let anchor = Refusal::Anchor {
        given: 1,
        expected: 2,
    };
    assert_eq!(joining.admit(&Roster::of(&held), NOW), Err(anchor));
    let again = request(&held, "L83024", 11, 2);
    admit(&mut held, &again);
    let back = Roster::of(&held).member(&code("L83024")).unwrap().clone();
    assert_eq!((back.status, back.anchor), (Status::Admitted, 2));
}

/// The newcomer's and the steward's end of one conversation.
fn knock(
    asked: &Signed<JoinRequest>,
    held: &Statements,
    waiting: &Waiting,
    peer: u8,
) -> (End<'static, Newcomer>, End<'static, Steward>) {
    let steward = Steward::new(
        code("S1"),
        held.clone(),
        waiting.clone(),
        key(peer).public(),
    );
    let mut newcomer = End::new(Newcomer::new(asked.clone()), |never| match never {});
    let mut steward = End::new(steward, |never| match never {});
    let mut rng = StdRng::seed_from_u64(1);
    run(&mut newcomer, &mut steward, NOW, &mut rng, &mut |_, f| {
        Some(f)
    });
    (newcomer, steward)
}

#[test]
fn a_stranger_knocks_waits_is_admitted_and_welcomed() {
    let mut held = founded();
    let asked = request(&held, "L83024", 11, 1);
    let mut waiting = Waiting::default();
    let (newcomer, steward) = knock(&asked, &held, &waiting, 21);
    let waits = Some(Outcome::Waiting(code("L83024")));
    assert_eq!((&newcomer.outcome, &steward.outcome), (&waits, &waits));
    assert_eq!(steward.saved, vec![Save::Waiting(asked.clone())]);
    assert_eq!(steward.acts.len(), 1);
    assert_eq!(waiting.add(asked.clone()), Ok(Inserted::New));
    // Asking again changes nothing.
    let (newcomer, steward) = knock(&asked, &held, &waiting, 21);
    assert_eq!(newcomer.outcome, waits);
    assert_eq!((steward.saved, steward.acts), (vec![], vec![]));

    admit(&mut held, &asked);
    let (newcomer, steward) = knock(&asked, &held, &waiting, 21);
    let welcome = Some(Outcome::Welcome(code("L83024")));
    assert_eq!((&newcomer.outcome, &steward.outcome), (&welcome, &welcome));
    assert_eq!(steward.saved.len(), 3);
    let [welcome] = &newcomer.saved[..] else {
        panic!("one welcome")
    };
    let (statements, refused) = welcome.clone().open(NOW).unwrap();
    assert_eq!(refused, 0);
    let roster = Roster::of(&statements);
    let member = roster.by_node(&key(21).public()).unwrap();
    assert!(member.offer.is_some());
    assert!(matches!(&newcomer.acts[..], [Act::Statement { kind, .. }] if kind == "charter"));
}

#[test]
fn a_request_made_twice_does_not_contest_the_newcomer() {
    let mut held = founded();
    let first = request(&held, "L83024", 11, 1);
    admit(&mut held, &first);
    for statement in first.peek().unwrap().statements {
        held.insert(Statement::Own(statement), NOW).unwrap();
    }
    let claim = node(31);
    let body = SelfStatement::new(held.federation(), code("L83024"), (1, 1), NOW, &claim);
    let second = altered(&first, 11, |r| {
        r.statements[0] = Signed::sign(&body, &key(11));
        for (own, claim) in r.statements[1..].iter_mut().zip([contact(1)]) {
            let body = SelfStatement::new(held.federation(), code("L83024"), (1, 1), NOW, &claim);
            *own = Signed::sign(&body, &key(31));
        }
        r.statements.truncate(2);
    });
    let (_, steward) = knock(&second, &held, &Waiting::default(), 31);
    assert_eq!(steward.outcome, Some(Outcome::Welcome(code("L83024"))));
    for save in steward.saved {
        if let Save::Statement(statement) = save {
            held.insert(statement, NOW).unwrap();
        }
    }
    let member = Roster::of(&held).member(&code("L83024")).unwrap().clone();
    assert_eq!(member.status, Status::Admitted);
}

#[test]
fn who_may_not_come_in_is_told_why() {
    let mut held = founded();
    let asked = request(&held, "L83024", 11, 1);
    let told = |held: &Statements, asked: &Signed<JoinRequest>, waiting: &Waiting, peer| {
        let (newcomer, steward) = knock(asked, held, waiting, peer);
        assert!(steward.saved.is_empty());
        let Some(Outcome::Refused(refusal)) = steward.outcome else {
            panic!("{:?}", steward.outcome)
        };
        let said = Outcome::RefusedBy(refusal.to_string());
        assert_eq!(newcomer.outcome, Some(said));
        refusal
    };
    let none = Waiting::default();
    // Somebody found the request in a mail and brings it from a node of their own.
    assert_eq!(told(&held, &asked, &none, 66), Refusal::OtherNode);
    let late = request(&held, "L83024", 11, 4);
    let anchor = Refusal::Anchor {
        given: 4,
        expected: 1,
    };
    assert_eq!(told(&held, &late, &none, 21), anchor);
    let forged = altered(&asked, 12, |_| {});
    let refusal = told(&held, &forged, &none, 21);
    assert_eq!(refusal, statement::Error::OtherSigner.into());

    let mut crowd = Waiting::default();
    for at in 1..=4 {
        let another = altered(&asked, 11, |r| r.at = Timestamp(at));
        assert_eq!(crowd.add(another), Ok(Inserted::New));
    }
    assert_eq!(told(&held, &asked, &crowd, 21), Refusal::ListFull);
    let mut crowd = Waiting::default();
    for n in 0..256 {
        let another = altered(&asked, 11, |r| r.member = code(&format!("X{n}")));
        assert_eq!(crowd.add(another), Ok(Inserted::New));
    }
    assert_eq!(crowd.len(), 256);
    assert_eq!(told(&held, &asked, &crowd, 21), Refusal::ListFull);

    admit(&mut held, &asked);
    let other = request(&held, "L83024", 12, 1);
    let refusal = told(&held, &other, &none, 22);
    assert_eq!(refusal, Refusal::OtherOrganisation(code("L83024")));
    let mut rng = StdRng::seed_from_u64(1);
    let mut member = Steward::new(code("L83024"), held, none, key(22).public());
    member.handle(Input::Opened, NOW, &mut rng);
    let said = member.handle(Input::Received(wire::frame(1, &other)), NOW, &mut rng);
    let refusal = Refusal::NotASteward("S1, S2, S3".into());
    assert!(matches!(&said[..],
        [Output::Send(_), Output::Close(Outcome::Refused(r))] if *r == refusal));
}

#[test]
fn a_welcome_that_is_not_ours_is_not_taken() {
    let held = founded();
    let asked = request(&held, "L83024", 11, 1);
    let hear = |frames: &[Vec<u8>]| {
        let mut rng = StdRng::seed_from_u64(1);
        let mut newcomer = Newcomer::new(asked.clone());
        newcomer.handle(Input::Opened, NOW, &mut rng);
        let mut said = Vec::new();
        for frame in frames {
            said.extend(newcomer.handle(Input::Received(frame.clone()), NOW, &mut rng));
        }
        assert!(!said.iter().any(|o| matches!(o, Output::Save(_))));
        said.into_iter().find_map(|output| match output {
            Output::Close(outcome) => Some(outcome),
            _ => None,
        })
    };
    let charter = wire::frame(4, held.signed_charter());
    let end = wire::frame(6, &true);
    let unadmitted = hear(&[charter.clone(), end.clone()]);
    assert_eq!(unadmitted, Some(Outcome::NotWelcome));
    assert_eq!(hear(std::slice::from_ref(&end)), Some(Outcome::OutOfTurn));
    assert_eq!(hear(&[charter.clone(), charter]), Some(Outcome::OutOfTurn));
    assert_eq!(hear(&[vec![9]]), Some(Outcome::Unsupported(9)));
    assert_eq!(
        hear(&[wire::frame(0, &1_u8)]),
        Some(Outcome::Unsupported(1))
    );
    assert_eq!(
        hear(&[wire::frame(3, "\u{1b}[2J")]),
        Some(Outcome::OutOfTurn)
    );
}

#[test]
fn silence_at_the_door_has_a_name() {
    let held = founded();
    let asked = request(&held, "L83024", 11, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let mut newcomer = Newcomer::new(asked);
    let mut steward = Steward::new(code("S1"), held, Waiting::default(), key(21).public());
    newcomer.handle(Input::Opened, NOW, &mut rng);
    steward.handle(Input::Opened, NOW, &mut rng);
    let due = newcomer.deadline().unwrap();
    assert_eq!(steward.deadline(), Some(due));
    assert!(
        steward
            .handle(Input::DeadlinePassed, NOW, &mut rng)
            .is_empty()
    );
    let said = steward.handle(Input::DeadlinePassed, due, &mut rng);
    assert!(matches!(&said[..], [Output::Close(Outcome::Silent)]));
    let said = newcomer.handle(Input::DeadlinePassed, due, &mut rng);
    assert!(matches!(&said[..], [Output::Close(Outcome::Silent)]));
}
