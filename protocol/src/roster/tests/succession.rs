//! Members that are merged into others.

use super::super::decision::NOTHING;
use super::*;

fn three() -> Statements {
    let mut held = founded();
    for (n, name) in (0..).zip(["A1", "B1", "C1"]) {
        join(&mut held, name, 11 + n, 21 + n);
    }
    held
}

fn decide(held: &mut Statements, about: &str, decision: &Decision) {
    let statement = next(held, about, decision);
    insert(held, statement).unwrap();
}

fn refused(held: &Statements, about: &str, decision: &Decision) -> Refusal {
    let decided = Roster::of(held).decide(&code(about), decision, NOW);
    decided.unwrap_err()
}

fn merged(about: &str, into: &str) -> Refusal {
    Refusal::Merged {
        about: code(about),
        into: code(into),
    }
}

#[test]
fn a_successor_takes_over_caps_and_its_predecessors_are_members_no_more() {
    let mut held = three();
    decide(&mut held, "A1", &succeed(&["B1", "C1"]));
    let successor = member(&held, "A1");
    assert_eq!(successor.population, 30_000);
    assert!(successor.predecessors.keys().eq(&[code("B1"), code("C1")]));
    // Nobody's keys have changed: its node goes on, so that no care waits for a merger.
    assert!(successor.anchor == 1 && successor.node.is_some());
    for (n, name) in [(22, "B1"), (23, "C1")] {
        let before = member(&held, name);
        assert_eq!(before.status, Status::Merged);
        assert_eq!(before.successor, Some(code("A1")));
        assert_eq!(before.why.as_deref(), Some("into A1"));
        let roster = Roster::of(&held);
        assert_eq!(roster.by_node(&key(n).public()), None);
        for decision in [admission(44), Decision::Limit(reason("x")), new_key(45)] {
            assert_eq!(refused(&held, name, &decision), merged(name, "A1"));
        }
        // Stewards who sign it all the same change nothing.
        let place = (2, before.last.1);
        let again = decided(&held, name, place, &admission(44));
        insert(&mut held, again).unwrap();
        assert_eq!(member(&held, name).status, Status::Merged);
    }
}

#[test]
fn mergers_add_up_until_stewards_set_the_cap_anew() {
    let mut held = three();
    decide(&mut held, "B1", &succeed(&["C1"]));
    decide(&mut held, "A1", &succeed(&["B1"]));
    assert_eq!(member(&held, "A1").population, 30_000);
    assert_eq!(member(&held, "B1").population, 20_000);
    decide(&mut held, "A1", &admission(11));
    let anew = member(&held, "A1");
    assert_eq!(anew.population, 10_000);
    assert_eq!(member(&held, "B1").successor, Some(code("A1")));
    join(&mut held, "D1", 14, 24);
    decide(&mut held, "A1", &succeed(&["D1"]));
    assert_eq!(member(&held, "A1").population, 20_000);
    // No cap is above what an advert holds.
    let Decision::Admit(mut vast) = admission(15) else {
        unreachable!()
    };
    vast.population = crate::limits::MAX_ADVERT as u64;
    decide(&mut held, "E1", &Decision::Admit(vast));
    decide(&mut held, "A1", &succeed(&["E1"]));
    let most = crate::limits::MAX_ADVERT as u64;
    assert_eq!(member(&held, "A1").population, most);
}

#[test]
fn a_succession_that_cannot_be_is_refused_by_name() {
    let mut held = three();
    let many: Vec<String> = (0..65).map(|n| format!("X{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (names, refusal) in [
        (&[][..], Refusal::Predecessors(0)),
        (&many[..], Refusal::Predecessors(65)),
        (&["A1", "B1"][..], Refusal::OwnPredecessor(code("A1"))),
    ] {
        assert_eq!(refused(&held, "A1", &succeed(names)), refusal);
        let place = (2, member(&held, "A1").last.1);
        let signed = decided(&held, "A1", place, &succeed(names));
        assert_eq!(insert(&mut held, signed), Err(refusal));
    }
    let unknown = refused(&held, "A1", &succeed(&["X1"]));
    assert_eq!(unknown, Refusal::UnknownPredecessor(code("X1")));
    let stranger = refused(&held, "X1", &succeed(&["A1"]));
    assert!(matches!(stranger, Refusal::DoesNotFit { .. }));
    let leaves = said(&held, "C1", (1, 2), &Claim::Leave, 13);
    insert(&mut held, leaves).unwrap();
    let left = refused(&held, "C1", &succeed(&["A1"]));
    assert!(matches!(left, Refusal::DoesNotFit { status: "left", .. }));
    decide(&mut held, "A1", &succeed(&["B1"]));
    let twice = refused(&held, "A1", &succeed(&["B1"]));
    assert_eq!(twice, merged("B1", "A1"));
}

#[test]
fn two_successors_of_one_and_circles_leave_one_and_evidence() {
    let held = three();
    let place = |name: &str| (2, member(&held, name).last.1);
    let by_a = decided(&held, "A1", place("A1"), &succeed(&["B1"]));
    let by_b = decided(&held, "B1", place("B1"), &succeed(&["A1"]));
    let by_c = decided(&held, "C1", place("C1"), &succeed(&["B1"]));
    for (one, other) in [(&by_a, &by_b), (&by_a, &by_c)] {
        let mut held = held.clone();
        for statement in [one, other] {
            insert(&mut held, statement.clone()).unwrap();
        }
        let passed = one.hash().max(other.hash());
        let roster = Roster::of(&held);
        let merged = roster.members().filter(|it| it.status == Status::Merged);
        assert_eq!(merged.count(), 1);
        let taken = roster.members().filter(|it| !it.predecessors.is_empty());
        assert_eq!(taken.count(), 1);
        let shown = roster.members().filter(|it| {
            let mut evidence = it.evidence.iter();
            evidence.any(|it| matches!(it, Evidence::Successors { passed: p, .. } if *p == passed))
        });
        assert_eq!(shown.count(), 2);
    }
}

#[test]
fn whoever_is_merged_before_it_joins_never_joins() {
    let mut held = three();
    let place = (2, member(&held, "A1").last.1);
    let early = decided(&held, "A1", place, &succeed(&["D1"]));
    insert(&mut held, early).unwrap();
    let admit = decided(&held, "D1", (1, NOTHING), &admission(14));
    insert(&mut held, admit).unwrap();
    assert_eq!(member(&held, "D1").status, Status::Merged);
    assert_eq!(member(&held, "A1").population, 20_000);
}
