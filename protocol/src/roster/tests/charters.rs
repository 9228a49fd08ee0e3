//! Charters that follow one another.

use super::super::decision::NOTHING;
use super::*;
use crate::charter::Pins;
use crate::time::DAY;

/// Three members, and a fourth who was removed.
fn four() -> Statements {
    let mut held = founded();
    for (n, name) in (0..).zip(["A1", "B1", "C1", "D1"]) {
        join(&mut held, name, 11 + n, 21 + n);
    }
    let remove = next(&held, "D1", &Decision::Remove(reason("gone")));
    insert(&mut held, remove).unwrap();
    held
}

/// A version whose body is changed after it was drafted.
fn tampered(
    on: &Statements,
    change: &dyn Fn(&mut Charter, &mut Pins),
    signers: &[u8],
) -> Statement {
    let other = renamed(&format!("Version after {}", on.charter().version));
    let roster = Roster::of(on);
    let mut pins = roster.pins();
    let mut body = roster.amend(&other, NOW).unwrap();
    let before = pins.hash();
    change(&mut body, &mut pins);
    if pins.hash() != before {
        body.pins = Some(pins.hash());
    }
    let mut charter = CoSigned::draft(&body);
    for signer in signers {
        charter.add(&key(*signer));
    }
    Statement::Charter(Version { charter, pins })
}

fn names(held: &Statements) -> Vec<(String, Status)> {
    let roster = Roster::of(held);
    let member = |it: &Member| (it.code.to_string(), it.status);
    roster.members().map(member).collect()
}

#[test]
fn a_version_that_enough_stewards_signed_is_current_and_everybody_stays() {
    let mut held = four();
    let before = Roster::of(&held);
    amend(&mut held, &renamed("Devon and Cornwall"));
    let roster = Roster::of(&held);
    assert_eq!(roster.charter().version, 2);
    assert_eq!(roster.charter().name, line("Devon and Cornwall"));
    assert_eq!(roster.federation(), before.federation());
    assert!(roster.members().eq(before.members()));
    assert!(roster.by_node(&key(21).public()).is_some());
    // What was decided under the version before and was not pinned does not count any more.
    let mut late = four();
    let limit = next(&late, "A1", &Decision::Limit(reason("x")));
    let admit = next(&late, "E1", &admission(15));
    let version = amended(&late, &renamed("Devon and Cornwall"), &[1, 2]);
    for statement in [&version, &limit, &admit] {
        assert_eq!(insert(&mut late, statement.clone()), Ok(Inserted::New));
    }
    assert_eq!(Roster::of(&late), roster);
    // It is decided anew, under the same number.
    let limit = next(&late, "A1", &Decision::Limit(reason("x")));
    let admit = next(&late, "E1", &admission(15));
    for statement in [limit, admit] {
        insert(&mut late, statement).unwrap();
    }
    assert_eq!(member(&late, "A1").status, Status::Limited);
    assert_eq!(member(&late, "A1").last.0, 2);
    assert_eq!(member(&late, "E1").status, Status::Admitted);
    // And a third version takes over all that.
    let before = names(&late);
    amend(&mut late, &renamed("The South West"));
    assert_eq!(Roster::of(&late).charter().version, 3);
    assert_eq!(names(&late), before);
}

#[test]
fn new_stewards_decide_and_those_replaced_do_not() {
    let mut held = four();
    let stewards = [
        (code("S1"), key(1).public()),
        (code("A1"), key(11).public()),
    ];
    let change = Amendment {
        stewards: Some(stewards.into()),
        ..Amendment::default()
    };
    amend(&mut held, &change);
    let place = (2, member(&held, "B1").last.1);
    let limit = Decision::Limit(reason("x"));
    let by_old = decided(&held, "B1", place, &limit);
    let refused = insert(&mut held, by_old);
    assert_eq!(refused, Err(charter::Refusal::NotASteward.into()));
    let body = Roster::of(&held).decide(&code("B1"), &limit, NOW).unwrap();
    let mut signed = CoSigned::draft(&body);
    signed.add(&key(1));
    signed.add(&key(11));
    insert(&mut held, Statement::Steward(signed)).unwrap();
    assert_eq!(member(&held, "B1").status, Status::Limited);
}

#[test]
fn pins_can_take_back_what_was_decided() {
    let mut held = four();
    let merge = next(&held, "A1", &succeed(&["B1"]));
    let admitted = member(&held, "A1").last.1;
    insert(&mut held, merge).unwrap();
    assert_eq!(member(&held, "B1").status, Status::Merged);
    let back = tampered(
        &held,
        &|_, pins| *pins.last.get_mut(&code("A1")).unwrap() = admitted,
        &[1, 2],
    );
    // No steward is asked to sign that, but what enough have signed counts.
    let Statement::Charter(version) = &back else {
        unreachable!()
    };
    let next = version.charter.peek().unwrap();
    let refused = Roster::of(&held).follows(&next, NOW);
    assert_eq!(refused, Err(charter::Refusal::SpokenSince));
    insert(&mut held, back).unwrap();
    assert_eq!(member(&held, "B1").status, Status::Admitted);
    assert_eq!(member(&held, "A1").population, 10_000);
    assert!(Roster::of(&held).by_node(&key(21).public()).is_some());
    // Whom it does not pin at all it does not know, until admitted anew.
    let forget = tampered(
        &held,
        &|_, pins| pins.last.retain(|it, _| *it != code("C1")),
        &[1, 2],
    );
    insert(&mut held, forget).unwrap();
    assert_eq!(Roster::of(&held).member(&code("C1")), None);
    join_again(&mut held, "C1", 13);
    assert!(Roster::of(&held).by_node(&key(23).public()).is_some());
}

fn join_again(held: &mut Statements, name: &str, organisation: u8) {
    let admit = next(held, name, &admission(organisation));
    insert(held, admit).unwrap();
}

#[test]
fn a_pinned_statement_counts_once_it_and_all_it_follows_are_held() {
    let mut held = four();
    for decision in [
        Decision::Limit(reason("x")),
        Decision::Reinstate(reason("x")),
    ] {
        let statement = next(&held, "A1", &decision);
        insert(&mut held, statement).unwrap();
    }
    amend(&mut held, &renamed("Other"));
    let all: Vec<_> = held.iter().collect();
    let about_a: Vec<_> = held.about(&code("A1")).collect();
    let decisions = about_a
        .iter()
        .filter(|it| matches!(it, Statement::Steward(_)));
    for missing in decisions {
        let mut partly = founded();
        partly.gather(all.iter().filter(|it| *it != missing).cloned(), NOW);
        assert_eq!(Roster::of(&partly).member(&code("A1")), None);
        partly.gather([missing.clone()], NOW);
        partly.gather(all.clone(), NOW);
        assert_eq!(Roster::of(&partly), Roster::of(&held));
    }
}

#[test]
fn two_versions_after_one_void_each_other_until_a_third_names_both() {
    let mut held = four();
    let base = held.clone();
    let early = next(&held, "E1", &admission(15));
    insert(&mut held, early).unwrap();
    let one = amended(&held, &renamed("One"), &[1, 2]);
    let two = amended(&base, &renamed("Two"), &[2, 3]);
    insert(&mut held, one.clone()).unwrap();
    assert_eq!(Roster::of(&held).charter().name, line("One"));
    // Decided under one of the two: it ends to count as well.
    let under_one = next(&held, "F1", &admission(16));
    insert(&mut held, under_one).unwrap();
    insert(&mut held, two.clone()).unwrap();
    let roster = Roster::of(&held);
    assert_eq!(
        (roster.charter().version, &roster.charter().name),
        (1, &line("Test"))
    );
    assert_eq!(roster.member(&code("F1")), None);
    // Who was admitted before either was signed stays: one of the two pins it.
    assert_eq!(member(&held, "E1").status, Status::Admitted);
    let rivals = BTreeSet::from([one.hash(), two.hash()]);
    let refusal = charter::Refusal::Rivals {
        version: 1,
        rivals: rivals.clone(),
    };
    for (about, decision) in [
        ("G1", admission(17)),
        ("D1", Decision::Reinstate(reason("x"))),
        ("A1", succeed(&["B1"])),
    ] {
        let refused = roster.decide(&code(about), &decision, NOW);
        assert_eq!(refused, Err(refusal.clone().into()));
        let place = roster
            .member(&code(about))
            .map_or((1, NOTHING), |it| (it.last.0 + 1, it.last.1));
        let mut signed_all_the_same = held.clone();
        let statement = decided(&held, about, place, &decision);
        insert(&mut signed_all_the_same, statement).unwrap();
        assert_eq!(names(&signed_all_the_same), names(&held));
    }
    // What protects members can be decided.
    let remove = next(&held, "B1", &Decision::Remove(reason("key stolen")));
    insert(&mut held, remove).unwrap();
    assert_eq!(member(&held, "B1").status, Status::Removed);
    // A third that names only one of them settles nothing.
    let only_one = tampered(
        &held,
        &|_, pins| pins.void.retain(|it| *it != one.hash()),
        &[1, 2],
    );
    insert(&mut held, only_one.clone()).unwrap();
    assert_eq!(Roster::of(&held).charter().version, 1);
    let third = amended(&held, &renamed("Three"), &[2, 3]);
    let Statement::Charter(version) = &third else {
        unreachable!()
    };
    assert_eq!(
        version.pins.void,
        [one.hash(), two.hash(), only_one.hash()].into()
    );
    let body = version.charter.peek().unwrap();
    Roster::of(&held).follows(&body, NOW).unwrap();
    insert(&mut held, third).unwrap();
    let roster = Roster::of(&held);
    assert_eq!(
        (roster.charter().version, &roster.charter().name),
        (2, &line("Three"))
    );
    assert_eq!(member(&held, "B1").status, Status::Removed);
    let admit = next(&held, "G1", &admission(17));
    insert(&mut held, admit).unwrap();
    assert_eq!(member(&held, "G1").status, Status::Admitted);
}

#[test]
fn every_order_of_rivals_and_what_hangs_on_them_gives_one_roster() {
    let base = four();
    let one = amended(&base, &renamed("One"), &[1, 2]);
    let two = amended(&base, &renamed("Two"), &[2, 3]);
    let mut on_one = base.clone();
    insert(&mut on_one, one.clone()).unwrap();
    let next_one = amended(&on_one, &renamed("One, next"), &[1, 2]);
    let limit = next(&on_one, "A1", &Decision::Limit(reason("x")));
    let mut both = base.clone();
    both.gather([one.clone(), two.clone()], NOW);
    let third = amended(&both, &renamed("Three"), &[1, 3]);
    let mut settled = both.clone();
    insert(&mut settled, third.clone()).unwrap();
    let remove = next(&settled, "A1", &Decision::Remove(reason("x")));
    order::check_every_order(&base, &[one, two, next_one, limit, third, remove]);
}

#[test]
fn a_version_that_breaks_a_rule_is_refused_by_name() {
    use charter::Refusal as Charters;
    let mut held = four();
    let mut refused = |statement: Statement| insert(&mut held, statement).unwrap_err();
    let on = four();
    let tamper = |change: &dyn Fn(&mut Charter, &mut Pins)| tampered(&on, change, &[1, 2]);
    let few = tampered(&on, &|_, _| {}, &[3]);
    assert_eq!(refused(few), too_few(1));
    let strange = tampered(&on, &|_, _| {}, &[1, 2, 9]);
    assert_eq!(refused(strange), Charters::NotASteward.into());
    let skipped = refused(tamper(&|it, _| it.version = 3));
    assert_eq!(
        skipped,
        Charters::Version {
            given: 3,
            before: 1
        }
        .into()
    );
    let second_first = refused(tamper(&|it, _| it.version = 1));
    assert_eq!(second_first, Charters::FirstHasPast.into());
    let pastless = refused(tamper(&|it, _| it.previous = None));
    assert_eq!(pastless, Charters::LaterLacksPast.into());
    let elsewhere = tamper(&|it, _| it.previous = Some(Hash::new([9; 32])));
    assert_eq!(refused(elsewhere), Refusal::Unfounded);
    let other_pins = refused(tamper(&|it, _| it.pins = Some(Hash::new([9; 32]))));
    assert_eq!(other_pins, Charters::OtherPins.into());
    let void = |n: u8| Hash::new([n; 32]);
    let many = refused(tamper(&|_, pins| pins.void.extend((0..33).map(void))));
    assert_eq!(many, Charters::PinsTooMany.into());
    let minority = refused(tamper(&|it, _| it.threshold = 1));
    assert!(matches!(
        minority,
        Refusal::Charter(Charters::Threshold { .. })
    ));
    let moved = refused(tamper(&|it, _| it.epoch_start = Timestamp(NOW.0 + DAY)));
    assert!(matches!(moved, Refusal::Charter(Charters::EpochStart(_))));
    let within = NOW + std::time::Duration::from_millis(10 * DAY);
    let within = refused(tamper(&|it, _| {
        (it.epoch_start, it.epoch_days) = (within, 30)
    }));
    assert!(matches!(within, Refusal::Charter(Charters::EpochStart(_))));
    let Statement::Charter(late) = tamper(&|_, _| {}) else {
        unreachable!()
    };
    assert_eq!(
        Charter::verify(&late.charter),
        Err(Charters::NotTheFirst(2))
    );
    let nothing = Roster::of(&on).amend(&Amendment::default(), NOW);
    assert_eq!(nothing, Err(Charters::NothingChanged));
}

#[test]
fn another_epoch_length_begins_at_the_end_of_an_epoch_that_leaves_time_to_sign() {
    let change = Amendment {
        epoch_days: Some(30),
        ..Amendment::default()
    };
    let day = |n: u64| Timestamp(NOW.0 + n * DAY);
    for (drafted, begins) in [(10, 90), (76, 90), (77, 180), (90, 180)] {
        let mut held = four();
        let before = Roster::of(&held);
        let next = before.amend(&change, day(drafted)).unwrap();
        assert_eq!((next.epoch_start, next.epoch_days), (day(begins), 30));
        assert!(before.follows(&next, day(begins - 1)).is_ok());
        let late = before.follows(&next, day(begins));
        assert_eq!(late, Err(charter::Refusal::EpochPassed(day(begins))));
        let mut charter = CoSigned::draft(&next);
        charter.add(&key(1));
        charter.add(&key(2));
        let pins = before.pins();
        // Who hears of it afterwards takes it: it may have been complete in time.
        let complete = Statement::Charter(Version { charter, pins });
        assert_eq!(held.insert(complete, day(begins + 9)), Ok(Inserted::New));
        let roster = Roster::of(&held);
        let last = before.epoch(day(begins)) - 1;
        for n in 0..begins {
            assert_eq!(roster.epoch(day(n)), before.epoch(day(n)));
        }
        assert_eq!(roster.epoch(day(begins)), last + 1);
        assert_eq!(roster.epoch(day(begins + 30)), last + 2);
        assert_eq!(roster.epoch_end(last), day(begins));
        assert_eq!(roster.epoch_end(last + 1), day(begins + 30));
    }
}

#[test]
fn rivals_are_bounded_and_can_always_be_settled() {
    let base = four();
    let mut held = base.clone();
    for n in 0..16 {
        let rival = amended(&base, &renamed(&format!("Rival {n}")), &[1, 2]);
        insert(&mut held, rival).unwrap();
    }
    let full = amended(&base, &renamed("One more"), &[1, 2]);
    assert_eq!(insert(&mut held, full), Err(Refusal::Full));
    amend(&mut held, &renamed("Settled"));
    assert_eq!(Roster::of(&held).charter().name, line("Settled"));
}
