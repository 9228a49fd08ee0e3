//! Each rule and each refusal.

use super::super::decision::NOTHING;
use super::*;
use crate::limits::{CLOCK_SKEW, MAX_ADDRESSES};
use crate::roster::decision::Succession;

#[test]
fn a_member_is_admitted_and_its_node_known_once_it_spoke() {
    let mut held = founded();
    let admit = next(&held, "L83024", &admission(11));
    assert_eq!(insert(&mut held, admit.clone()), Ok(Inserted::New));
    assert_eq!(insert(&mut held, admit), Ok(Inserted::Known));
    assert_eq!(member(&held, "L83024").status, Status::Admitted);
    assert_eq!(member(&held, "L83024").node, None);
    let named = said(&held, "L83024", (1, 1), &node(21), 11);
    insert(&mut held, named).unwrap();
    // Named by the organisation, but it has not spoken for it yet.
    assert_eq!(Roster::of(&held).by_node(&key(21).public()), None);
    let spoke = said(&held, "L83024", (1, 1), &contact(4850), 21);
    insert(&mut held, spoke).unwrap();
    let roster = Roster::of(&held);
    let found = roster.by_node(&key(21).public()).unwrap();
    assert_eq!(found.code, code("L83024"));
    assert_eq!(found.seal(), Some(SealKey::new([21; 32])));
    assert_eq!(found.population, 10_000);
    let at = &roster.addresses()[&key(21).public()];
    assert!(at.contains("/ip4/127.0.0.1/tcp/4850"));
}

#[test]
fn nobody_can_name_anothers_node_key_as_its_own() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let admit = next(&held, "B1", &admission(12));
    insert(&mut held, admit).unwrap();
    let stolen = said(&held, "B1", (1, 1), &node(21), 12);
    insert(&mut held, stolen).unwrap();
    let roster = Roster::of(&held);
    let owner = roster.by_node(&key(21).public()).unwrap();
    assert_eq!(owner.code, code("A1"));
    assert_eq!(roster.member(&code("B1")).unwrap().node, None);
    // If the key itself speaks for both, it serves the first, and the other says why it does not.
    let spoke = said(&held, "B1", (1, 1), &contact(1), 21);
    insert(&mut held, spoke).unwrap();
    assert_eq!(member(&held, "A1").node.unwrap().node, key(21).public());
    assert_eq!(member(&held, "B1").node, None);
    assert!(member(&held, "B1").why.unwrap().contains("A1"));
}

#[test]
fn limit_remove_reinstate_and_joining_anew_do_what_they_say() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let node_key = key(21).public();
    let mut decide = |decision: &Decision| {
        let statement = next(&held, "A1", decision);
        insert(&mut held, statement).unwrap();
        let roster = Roster::of(&held);
        let active = roster.by_node(&node_key).is_some();
        (roster.member(&code("A1")).unwrap().clone(), active)
    };
    let (limited, active) = decide(&Decision::Limit(reason("no answers")));
    assert_eq!(limited.status, Status::Limited);
    assert_eq!(limited.why.as_deref(), Some("no answers"));
    // A limit does not void what the member said of itself.
    assert!(active && limited.offer.is_some());
    let (removed, active) = decide(&Decision::Remove(reason("key stolen")));
    assert_eq!(removed.status, Status::Removed);
    assert!(!active && removed.node.is_none());
    let (back, active) = decide(&Decision::Reinstate(reason("found again")));
    assert_eq!((back.status, back.why), (Status::Admitted, None));
    // Reinstated, it must speak again under the new number.
    assert!(!active && back.anchor == 4 && back.offer.is_none());
    decide(&Decision::Remove(reason("gone")));
    let (anew, _) = decide(&admission(12));
    assert_eq!((anew.status, anew.anchor), (Status::Admitted, 6));
    assert_eq!(anew.organisation, key(12).public());
    join(&mut held, "B1", 13, 23);
    assert_eq!(member(&held, "B1").anchor, 1);
}

#[test]
fn a_new_organisation_key_voids_what_the_old_one_said() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let rekey = next(&held, "A1", &new_key(12));
    insert(&mut held, rekey).unwrap();
    assert_eq!(Roster::of(&held).by_node(&key(21).public()), None);
    // The stolen key goes on talking under the new number: taken, because it was once the
    // organisation's, and without effect.
    let thief = said(&held, "A1", (2, 1), &node(66), 11);
    assert_eq!(insert(&mut held, thief), Ok(Inserted::New));
    let leaves = said(&held, "A1", (2, 2), &Claim::Leave, 11);
    insert(&mut held, leaves).unwrap();
    assert_eq!(member(&held, "A1").status, Status::Admitted);
    for (claim, signer) in [(node(22), 12), (contact(1), 22)] {
        let statement = said(&held, "A1", (2, 1), &claim, signer);
        insert(&mut held, statement).unwrap();
    }
    assert!(Roster::of(&held).by_node(&key(22).public()).is_some());
}

#[test]
fn the_organisation_replaces_its_node_key_and_the_old_one_falls_silent() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    for (u, claim, signer) in [(2, node(22), 11), (1, contact(9), 22)] {
        let statement = said(&held, "A1", (1, u), &claim, signer);
        insert(&mut held, statement).unwrap();
    }
    // A thief of the old node key contradicts itself: the member is not contested by that.
    for port in [7, 8] {
        let statement = said(&held, "A1", (1, 5), &contact(port), 21);
        insert(&mut held, statement).unwrap();
    }
    let roster = Roster::of(&held);
    assert_eq!(roster.by_node(&key(21).public()), None);
    let now = roster.by_node(&key(22).public()).unwrap();
    assert_eq!(now.status, Status::Admitted);
    assert_eq!(Claim::Contact(now.contact.clone().unwrap()), contact(9));
}

#[test]
fn the_highest_unbroken_u_counts() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let fourth = said(&held, "A1", (1, 4), &contact(4), 21);
    insert(&mut held, fourth).unwrap();
    let shown = |held: &Statements| Claim::Contact(member(held, "A1").contact.unwrap());
    assert_eq!(shown(&held), contact(4850));
    let third = said(&held, "A1", (1, 3), &contact(3), 21);
    insert(&mut held, third).unwrap();
    assert_eq!(shown(&held), contact(4));
    assert_eq!(
        held.last_u(&code("A1"), 1, (Signer::Node, key(21).public())),
        4
    );
}

#[test]
fn who_says_two_things_at_once_is_contested_until_stewards_speak() {
    for (signer, claims) in [(11, [node(22), node(23)]), (21, [contact(1), contact(2)])] {
        let mut held = founded();
        join(&mut held, "A1", 11, 21);
        for claim in &claims {
            let statement = said(&held, "A1", (1, 3), claim, signer);
            insert(&mut held, statement).unwrap();
        }
        let contested = member(&held, "A1");
        assert_eq!(contested.status, Status::Contested);
        assert_eq!(contested.node, None);
        assert!(matches!(&contested.evidence[..],
            [Evidence::Own { u: 3, statements, .. }] if statements.len() == 2));
        assert_eq!(Roster::of(&held).by_node(&key(21).public()), None);
        let reinstate = next(
            &held,
            "A1",
            &Decision::Reinstate(reason("a restored backup")),
        );
        insert(&mut held, reinstate).unwrap();
        assert_eq!(member(&held, "A1").status, Status::Admitted);
        for (claim, signer) in [(node(21), 11), (contact(1), 21)] {
            let statement = said(&held, "A1", (2, 1), &claim, signer);
            insert(&mut held, statement).unwrap();
        }
        assert!(Roster::of(&held).by_node(&key(21).public()).is_some());
    }
}

#[test]
fn a_contest_of_node_statements_also_ends_when_the_organisation_names_another_node_key() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    for port in [1, 2] {
        let statement = said(&held, "A1", (1, 3), &contact(port), 21);
        insert(&mut held, statement).unwrap();
    }
    assert_eq!(member(&held, "A1").status, Status::Contested);
    for (u, claim, signer) in [(2, node(22), 11), (1, contact(1), 22)] {
        let statement = said(&held, "A1", (1, u), &claim, signer);
        insert(&mut held, statement).unwrap();
    }
    assert_eq!(member(&held, "A1").status, Status::Admitted);
}

#[test]
fn who_left_is_no_member_until_admitted_anew() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    for (u, claim) in [(2, Claim::Leave), (3, node(21))] {
        let statement = said(&held, "A1", (1, u), &claim, 11);
        insert(&mut held, statement).unwrap();
    }
    assert_eq!(member(&held, "A1").status, Status::Left);
    assert_eq!(Roster::of(&held).by_node(&key(21).public()), None);
    let admit = next(&held, "A1", &admission(11));
    insert(&mut held, admit).unwrap();
    assert_eq!(member(&held, "A1").status, Status::Admitted);
}

#[test]
fn where_two_decisions_count_the_ranked_one_is_taken_and_both_are_shown() {
    let ranked = [
        Decision::Remove(reason("x")),
        Decision::Limit(reason("x")),
        new_key(12),
        admission(12),
    ];
    for (i, taken) in ranked.iter().enumerate() {
        for other in &ranked[i + 1..] {
            let mut held = founded();
            join(&mut held, "A1", 11, 21);
            let place = (2, member(&held, "A1").last.1);
            let (first, second) = (
                decided(&held, "A1", place, taken),
                decided(&held, "A1", place, other),
            );
            let (first_hash, second_hash) = (first.hash(), second.hash());
            for statement in [second, first] {
                insert(&mut held, statement).unwrap();
            }
            let member = member(&held, "A1");
            assert_eq!(member.last, (2, first_hash));
            let evidence = Evidence::Decisions {
                n: 2,
                taken: first_hash,
                passed: vec![second_hash],
            };
            assert_eq!(member.evidence, vec![evidence]);
        }
    }
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let limit = next(&held, "A1", &Decision::Limit(reason("x")));
    insert(&mut held, limit).unwrap();
    let place = (3, member(&held, "A1").last.1);
    let reinstate = decided(&held, "A1", place, &Decision::Reinstate(reason("x")));
    let admit = decided(&held, "A1", place, &admission(12));
    let taken = reinstate.hash();
    insert(&mut held, admit).unwrap();
    insert(&mut held, reinstate).unwrap();
    assert_eq!(member(&held, "A1").last, (3, taken));
}

#[test]
fn of_two_equal_kinds_the_smaller_hash_is_taken_and_what_hangs_on_the_other_falls() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let place = (2, member(&held, "A1").last.1);
    let limits =
        ["one", "two"].map(|why| decided(&held, "A1", place, &Decision::Limit(reason(why))));
    let smaller = limits[0].hash().min(limits[1].hash());
    let larger = limits[0].hash().max(limits[1].hash());
    let on_larger = decided(&held, "A1", (3, larger), &Decision::Remove(reason("x")));
    for statement in limits.into_iter().chain([on_larger]) {
        insert(&mut held, statement).unwrap();
    }
    let member = member(&held, "A1");
    assert_eq!(
        (member.status, member.last),
        (Status::Limited, (2, smaller))
    );
}

#[test]
fn a_decision_that_does_not_fit_is_neither_made_nor_counted() {
    let mut held = founded();
    let remove = Decision::Remove(reason("x"));
    let refused = Roster::of(&held).decide(&code("A1"), &remove, NOW);
    assert!(matches!(
        refused,
        Err(Refusal::DoesNotFit {
            status: "not a member",
            ..
        })
    ));
    let first = decided(&held, "A1", (1, NOTHING), &remove);
    insert(&mut held, first).unwrap();
    assert_eq!(Roster::of(&held).member(&code("A1")), None);
    join(&mut held, "A1", 11, 21);
    let removed = next(&held, "A1", &remove);
    insert(&mut held, removed).unwrap();
    let limit = Decision::Limit(reason("x"));
    let refused = Roster::of(&held).decide(&code("A1"), &limit, NOW);
    assert!(matches!(
        refused,
        Err(Refusal::DoesNotFit {
            status: "removed",
            ..
        })
    ));
    let place = (3, member(&held, "A1").last.1);
    let third = decided(&held, "A1", place, &limit);
    insert(&mut held, third).unwrap();
    assert_eq!(member(&held, "A1").last.0, 2);
}

#[test]
fn a_decision_counts_only_with_enough_stewards_of_our_charter() {
    let mut held = founded();
    let body = Roster::of(&held)
        .decide(&code("A1"), &admission(11), NOW)
        .unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(3));
    let few = insert(&mut held, Statement::Steward(signed.clone()));
    assert_eq!(few, Err(too_few(1)));
    let mut strange = signed.clone();
    strange.add(&key(9));
    let strange = insert(&mut held, Statement::Steward(strange));
    assert_eq!(strange, Err(charter::Refusal::NotASteward.into()));
    let (federation, _) = held.under();
    for (under, refusal) in [
        ((federation, Hash::new([1; 32])), Refusal::OtherCharter),
        (
            (FederationId::new([1; 32]), held.under().1),
            Refusal::OtherFederation,
        ),
    ] {
        let body = StewardStatement::new(under, code("A1"), (1, NOTHING), NOW, &admission(11));
        let mut signed = CoSigned::draft(&body);
        signed.add(&key(1));
        signed.add(&key(2));
        assert_eq!(insert(&mut held, Statement::Steward(signed)), Err(refusal));
    }
    signed.add(&key(1));
    assert_eq!(
        insert(&mut held, Statement::Steward(signed)),
        Ok(Inserted::New)
    );
}

#[test]
fn a_statement_from_the_future_waits() {
    let mut held = founded();
    let ahead = NOW + CLOCK_SKEW + std::time::Duration::from_millis(1);
    let body = Roster::of(&held)
        .decide(&code("A1"), &admission(11), ahead)
        .unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(2));
    let statement = Statement::Steward(signed);
    let refused = held.insert(statement.clone(), NOW).unwrap_err();
    assert_eq!(refused, Refusal::Ahead(ahead));
    assert!(refused.may_pass());
    assert_eq!(held.insert(statement, ahead), Ok(Inserted::New));
    let body = SelfStatement::new(held.federation(), code("A1"), (1, 1), ahead, &node(21));
    let statement = Statement::Own(Signed::sign(&body, &key(11)));
    assert_eq!(held.insert(statement, NOW), Err(Refusal::Ahead(ahead)));
}

#[test]
fn numbers_kinds_and_bodies_out_of_range_are_refused_by_name() {
    let mut held = founded();
    let some = Hash::new([3; 32]);
    for place in [(0, NOTHING), (2, NOTHING), (1, some), (1001, some)] {
        let statement = decided(&held, "A1", place, &admission(11));
        assert_eq!(
            insert(&mut held, statement),
            Err(Refusal::Number),
            "{place:?}"
        );
    }
    let Decision::Admit(mut admission) = admission(11) else {
        unreachable!()
    };
    for population in [0, 4_194_305] {
        admission.population = population;
        let decision = Decision::Admit(admission.clone());
        let statement = decided(&held, "A1", (1, NOTHING), &decision);
        assert_eq!(
            insert(&mut held, statement),
            Err(Refusal::Population(population))
        );
    }
    join(&mut held, "A1", 11, 21);
    for (u, signer, claim) in [(0, 11, node(1)), (65, 11, node(1)), (1025, 21, contact(1))] {
        let statement = said(&held, "A1", (1, u), &claim, signer);
        assert_eq!(insert(&mut held, statement), Err(Refusal::Number), "{u}");
    }
}

/// The same fields as a steward statement, for kinds and bodies we would not write.
#[derive(serde::Serialize, serde::Deserialize)]
struct Raw {
    federation: FederationId,
    charter: Hash,
    about: OdsCode,
    n: u32,
    previous: Hash,
    at: Timestamp,
    kind: u16,
    body: codec::Bytes,
}

impl statement::Body for Raw {
    const LABEL: &'static str = "steward statement";
}

#[test]
fn kinds_of_later_versions_are_refused_by_name() {
    let mut held = founded();
    let mut refused = |kind, body: &[u8]| {
        let (federation, charter) = held.under();
        let mut signed = CoSigned::draft(&Raw {
            federation,
            charter,
            about: code("A1"),
            n: 1,
            previous: NOTHING,
            at: NOW,
            kind,
            body: body.to_vec().into(),
        });
        signed.add(&key(1));
        signed.add(&key(2));
        let bytes = codec::encode(&signed);
        let signed = codec::decode::<CoSigned<StewardStatement>>(&bytes, 4096).unwrap();
        insert(&mut held, Statement::Steward(signed)).unwrap_err()
    };
    assert_eq!(refused(6, &[]), Refusal::Body);
    assert_eq!(refused(7, &[]), Refusal::UnknownKind(7));
    assert_eq!(refused(2, &[9, 9]), Refusal::Body);
    assert_eq!(refused(1, &[]), Refusal::Body);
}

#[test]
fn a_self_statement_needs_a_signer_somebody_named() {
    let mut held = founded();
    let unknown = said(&held, "A1", (1, 1), &node(21), 11);
    assert_eq!(insert(&mut held, unknown), Err(Refusal::Unfounded));
    join(&mut held, "A1", 11, 21);
    for (place, claim, signer) in [
        ((1, 2), node(22), 21),     // a node key names a node key
        ((1, 3), contact(1), 11),   // the organisation key speaks for the node
        ((2, 1), node(22), 11),     // hangs on a number not there
        ((1, 1), contact(1), 22),   // a node key nobody named
        ((1, 2), Claim::Leave, 21), // a node cannot leave for its organisation
    ] {
        let statement = said(&held, "A1", place, &claim, signer);
        assert_eq!(
            insert(&mut held, statement),
            Err(Refusal::Unfounded),
            "{place:?}"
        );
    }
    let limit = next(&held, "A1", &Decision::Limit(reason("x")));
    insert(&mut held, limit).unwrap();
    let on_limit = said(&held, "A1", (2, 1), &node(22), 11);
    assert_eq!(insert(&mut held, on_limit), Err(Refusal::Unfounded));
}

#[test]
fn a_forged_statement_is_refused() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let Statement::Own(signed) = said(&held, "A1", (1, 3), &contact(1), 21) else {
        unreachable!()
    };
    let mut bytes = codec::encode(&signed);
    *bytes.last_mut().unwrap() ^= 1;
    let forged = codec::decode(&bytes, 65536).unwrap();
    let refused = insert(&mut held, Statement::Own(forged)).unwrap_err();
    assert_eq!(refused, statement::Error::Signature.into());
    assert!(!refused.may_pass());
}

#[test]
fn addresses_and_offers_that_are_none_are_refused() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let Claim::Contact(good) = contact(1) else {
        unreachable!()
    };
    let many = (0..=MAX_ADDRESSES).map(|n| line(&format!("/ip4/10.0.0.{n}/tcp/1")));
    for addresses in [
        vec![line("10.0.0.1:4850")],
        vec![line("/ip4/10.0.0.1 /tcp/1")],
        vec![line("/ip4/10.0.0.1/tcp/1"); 2],
        many.collect(),
    ] {
        let claim = Claim::Contact(Contact {
            addresses,
            ..good.clone()
        });
        let statement = said(&held, "A1", (1, 3), &claim, 21);
        assert_eq!(insert(&mut held, statement), Err(Refusal::Addresses));
    }
    let mut offer = Offer::default_for(MemberKind::GpPractice);
    let rows = &mut offer.matrix.values_mut().next().unwrap().rows;
    let row = rows.values().next().unwrap().clone();
    rows.insert(crate::category::Category::Other, row);
    let statement = said(&held, "A1", (1, 3), &Claim::Offer(offer), 21);
    assert!(matches!(
        insert(&mut held, statement),
        Err(Refusal::Offer(_))
    ));
}

#[test]
fn a_member_that_floods_fills_only_its_own_quota() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    let place = (2, member(&held, "A1").last.1);
    let mut results = Vec::new();
    for n in 0..20 {
        let limit = Decision::Limit(reason(&format!("reason {n}")));
        let statement = decided(&held, "A1", place, &limit);
        results.push(insert(&mut held, statement));
    }
    assert!(results[..16].iter().all(Result::is_ok));
    assert!(results[16..].iter().all(|r| *r == Err(Refusal::Full)));
    // Of many statements with one `u`, two are kept.
    let before = held.len();
    for port in 0..10 {
        let statement = said(&held, "A1", (1, 9), &contact(port), 21);
        insert(&mut held, statement).unwrap();
    }
    assert_eq!(held.len(), before + 2);
}

#[test]
fn terms_need_two_active_members_with_offers() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    join(&mut held, "B1", 12, 22);
    let (a, b, x) = (code("A1"), code("B1"), code("X1"));
    let admit = next(&held, "C1", &admission(13));
    insert(&mut held, admit).unwrap();
    let roster = Roster::of(&held);
    assert_eq!(roster.terms(&a, &b), roster.terms(&b, &a));
    let open = roster.terms(&a, &b).unwrap();
    assert!(
        open.purposes
            .contains_key(&crate::category::Purpose::SharedCare)
    );
    assert_eq!(roster.terms(&a, &a), Err(NoTerms::Oneself(a.clone())));
    assert_eq!(roster.terms(&a, &x), Err(NoTerms::Unknown(x)));
    let silent = roster.terms(&a, &code("C1"));
    assert_eq!(silent, Err(NoTerms::NoOffer(code("C1"))));
    let limit = next(&held, "B1", &Decision::Limit(reason("x")));
    insert(&mut held, limit).unwrap();
    let limited = Roster::of(&held).terms(&a, &b).unwrap();
    assert!(
        !limited
            .purposes
            .contains_key(&crate::category::Purpose::SharedCare)
    );
    let remove = next(&held, "B1", &Decision::Remove(reason("x")));
    insert(&mut held, remove).unwrap();
    let removed = Roster::of(&held).terms(&a, &b);
    assert_eq!(removed, Err(NoTerms::Inactive(b, Status::Removed)));
}

#[test]
fn a_welcome_carries_everything_and_is_verified_again() {
    let mut held = founded();
    join(&mut held, "A1", 11, 21);
    join(&mut held, "B1", 12, 22);
    let bytes = codec::encode(&Welcome::of(&held));
    let welcome: Welcome = codec::decode(&bytes, 1 << 20).unwrap();
    let (opened, refused) = welcome.open(NOW).unwrap();
    assert_eq!((opened.len(), refused), (held.len(), 0));
    assert_eq!(Roster::of(&opened), Roster::of(&held));
    for statement in held.iter() {
        let bytes = codec::encode(&statement);
        assert_eq!(statements::decode(&bytes), Ok(statement));
    }
}

#[test]
fn who_merges_or_is_no_longer_limited_needs_no_new_node() {
    let mut held = founded();
    join(&mut held, "A1", 4, 104);
    join(&mut held, "B1", 5, 105);
    let before = member(&held, "A1").node;
    assert!(before.is_some());
    for decision in [
        Decision::Limit(reason("no answers")),
        Decision::Reinstate(reason("answers again")),
        Decision::Succeed(Succession {
            predecessors: [code("B1")].into(),
            reason: line("merged"),
        }),
    ] {
        let statement = next(&held, "A1", &decision);
        insert(&mut held, statement).unwrap();
        assert_eq!(member(&held, "A1").node, before, "{decision:?}");
    }
    // Who is reinstated without a limit, as after a contest, names its node anew.
    let statement = next(&held, "A1", &Decision::Reinstate(reason("contest settled")));
    insert(&mut held, statement).unwrap();
    assert_eq!(member(&held, "A1").node, None);
}

#[test]
fn what_nothing_founds_any_more_takes_no_room() {
    let mut held = founded();
    let admit = next(&held, "A1", &admission(11));
    insert(&mut held, admit).unwrap();
    // Of three that name a node under one number, the one with the largest hash comes first, and
    // its node fills half the room: of the first nothing is left once the second needs it.
    for u in [1, 2] {
        let mut named: Vec<_> = (0..3)
            .map(|n| 100 + 10 * u + n)
            .map(|n| (said(&held, "A1", (1, u.into()), &node(n), 11), n))
            .collect();
        named.sort_by_key(|(statement, _)| statement.hash());
        let (largest, n) = named.pop().unwrap();
        insert(&mut held, largest).unwrap();
        for (at, port) in (1..=1024).flat_map(|at| [(at, 1), (at, 2)]) {
            let statement = said(&held, "A1", (1, at), &contact(port), n);
            assert_eq!(insert(&mut held, statement), Ok(Inserted::New));
        }
        let more: Vec<_> = named.into_iter().map(|(statement, _)| statement).collect();
        if u == 1 {
            held.gather(more, NOW);
            assert_eq!(held.len(), 3);
        } else {
            let before = held.len();
            assert!(before > 2000);
            let (new, refused) = held.gather(more, NOW);
            assert_eq!((new, refused), (2, vec![]));
            assert_eq!(held.len(), 5);
        }
    }
    assert_eq!(member(&held, "A1").status, Status::Contested);
}
