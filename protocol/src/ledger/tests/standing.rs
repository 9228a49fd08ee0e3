//! Standing and ladder over entries made for it.

use super::*;
use crate::category::Lane;
use crate::exchange::answer::RefusalCode;
use crate::ledger::ladder::{Rung, step};
use crate::ledger::standing::Standing;
use crate::time::DAY;

fn asked(n: u64, at: Timestamp, answer: Shown, ms: u64) -> Entry {
    let answered = !matches!(answer, Shown::Missing);
    Entry {
        asked_at: at,
        answered_at: answered.then_some(Timestamp(at.0 + ms)),
        answer,
        ..entry(n, "RH8")
    }
}

#[test]
fn the_unit_is_the_answered_request_and_yield_is_only_shown() {
    let bundle = |with: &[Category]| Shown::Bundle(with.iter().copied().collect());
    let mut both = asked(2, NOW, bundle(&[Category::Results]), 30);
    both.categories.insert(Category::Results);
    let mut unreturned = entry(9, "L83024");
    unreturned.in_return = Shown::Missing;
    let entries = [
        asked(1, NOW, bundle(&[Category::Medications]), 10),
        both,
        asked(3, NOW, Shown::Nothing, 20),
        asked(4, NOW, Shown::Refused(RefusalCode::NotInBestInterests), 20),
        asked(5, NOW, Shown::Refused(RefusalCode::OutsideOffer), 20),
        asked(6, NOW, Shown::Refused(RefusalCode::Stopped), 20),
        asked(7, NOW, Shown::Missing, 0),
        asked(8, NOW, Shown::Nothing, 6 * 60 * 1000),
        unreturned,
        asked(10, Timestamp(NOW.0 - 91 * DAY), Shown::Missing, 0),
    ];
    let standing = Standing::of(&code("L83024"), &entries, NOW);
    let care = &standing.lanes[&Lane::Care];
    assert_eq!((care.all.requests, care.all.answered), (7, 4));
    assert_eq!((care.all.yielded, care.all.silent), (2, 1));
    assert_eq!(care.all.median_ms, Some(20));
    assert_eq!((care.all.shown, care.all.unreturned), (1, 1));
    assert_eq!(care.all.refused.values().sum::<u64>(), 3);
    assert_eq!(care.all.rate_permille(), Some(571));
    let results = &care.categories[&Category::Results];
    assert_eq!((results.requests, results.yielded), (1, 1));
    let medications = &care.categories[&Category::Medications];
    assert_eq!((medications.requests, medications.yielded), (7, 1));
    // Seen from the other end, the asker owes a return and no answer.
    let asker = Standing::of(&code("RH8"), &entries, NOW);
    assert_eq!(asker.lanes[&Lane::Care].all.requests, 1);
}

#[test]
fn in_bulk_each_side_owes_the_other_one() {
    let mut round = entry(1, "RH8");
    round.purpose = Purpose::SharedCare;
    round.in_return = Shown::Missing;
    for (who, answered) in [("L83024", 1), ("RH8", 0)] {
        let standing = Standing::of(&code(who), [&round], NOW);
        let all = &standing.lanes[&Lane::Bulk].all;
        assert_eq!((all.requests, all.answered), (1, answered), "{who}");
    }
}

/// So many requests a day since then, of which so many in a hundred answered.
fn days(since: u64, a_day: u64, percent: u64) -> Vec<Entry> {
    let today = NOW.day();
    let mut entries = Vec::new();
    for day in (today - since)..=today {
        for n in 0..a_day {
            let said = match n * 100 < percent * a_day {
                true => Shown::Nothing,
                false => Shown::Missing,
            };
            let at = Timestamp(day * DAY + n);
            entries.push(asked(day * 1000 + n, at, said, 5));
        }
    }
    entries
}

#[test]
fn the_ladder_takes_its_steps_in_order_and_only_downward_with_time() {
    let member = code("L83024");
    let rung = |entries: &[Entry]| step(&member, entries, NOW).rung;
    assert_eq!(rung(&[]), Rung::Even);
    assert_eq!(rung(&days(60, 20, 100)), Rung::Even);
    assert_eq!(rung(&days(60, 20, 95)), Rung::Even);
    assert_eq!(
        rung(&days(0, 20, 50)),
        Rung::Shown,
        "too few to follow from"
    );
    assert_eq!(rung(&days(1, 20, 50)), Rung::Notified);
    assert_eq!(
        rung(&days(14, 20, 50)),
        Rung::Notified,
        "fourteen days from the notice"
    );
    assert_eq!(rung(&days(15, 20, 50)), Rung::Paused);
    let paused = step(&member, &days(15, 20, 50), NOW);
    assert_eq!(
        paused.pauses.unwrap().day() - paused.since.unwrap().day(),
        14
    );
    // Good days in between end the run.
    let mut mended = days(40, 20, 50);
    mended.retain(|entry| entry.asked_at.day() < NOW.day() - 30);
    mended.extend(days(29, 200, 100));
    assert_eq!(rung(&mended), Rung::Even);
}

#[test]
fn both_sides_come_to_the_same_step_from_the_same_pages() {
    let mut rng = StdRng::seed_from_u64(4);
    let [mut one, mut other] = pair();
    for entry in days(15, 20, 50) {
        one.enter(entry);
    }
    settle(&mut one, &mut other, &mut rng);
    let ours = one.kept.accounts.values().filter_map(|it| it.ours.as_ref());
    let theirs = other
        .kept
        .accounts
        .values()
        .filter_map(|it| it.theirs.as_ref());
    let member = code("L83024");
    let seen = step(&member, ours, NOW);
    assert_eq!(seen.rung, Rung::Paused);
    assert_eq!(seen, step(&member, theirs, NOW));
}
