//! The duty to share, counted over exchanges made for it.

use super::*;
use crate::exchange::answer::RefusalCode;
use crate::exchange::request::VALID;
use crate::exchange::review::Side;
use crate::ledger::duty::{Counts, Duty, Reviewed, Reviews, Way};
use crate::time::{DAY, Period};

const EARLIER: Timestamp = Timestamp(NOW.0 - DAY);

/// An exchange both chains have alike; `asker` asked, and was answered so after so many milliseconds.
fn both(n: u64, asker: &str, answer: Shown, ms: Option<u64>) -> Account {
    let one = Entry {
        asked_at: EARLIER,
        answered_at: ms.map(|ms| Timestamp(EARLIER.0 + ms)),
        answer,
        in_return: Shown::NotDue,
        ..entry(n, asker)
    };
    let mut account = Account::default();
    account.enter(Which::Ours, &one, EARLIER);
    account.enter(Which::Theirs, &one, EARLIER);
    account
}

fn bundle() -> Shown {
    Shown::Bundle([Category::Results].into())
}

#[test]
fn everything_asked_is_counted_once_by_who_was_to_answer_and_what_came() {
    let (us, peer) = (code("RH8"), code("L83024"));
    let mut duty = Duty::new(&us, Period::default(), NOW);
    let late = u64::try_from(VALID.as_millis()).unwrap() + 1;
    let mut returned = both(2, "L83024", bundle(), Some(20));
    for side in [&mut returned.ours, &mut returned.theirs] {
        side.as_mut().unwrap().in_return = Shown::Nothing;
    }
    let mut waiting = both(8, "L83024", Shown::Missing, None);
    waiting.ours.as_mut().unwrap().asked_at = NOW;
    let mut alone = both(9, "RH8", Shown::Nothing, Some(5));
    (alone.theirs, alone.since) = (None, Timestamp(NOW.0 - 2 * DAY));
    for account in [
        both(1, "L83024", bundle(), Some(10)),
        returned,
        both(3, "L83024", Shown::Bundle([].into()), Some(30)),
        both(4, "L83024", Shown::Nothing, Some(late)),
        both(5, "L83024", Shown::Refused(RefusalCode::Stopped), Some(1)),
        both(6, "L83024", Shown::Deferred, Some(2)),
        both(7, "L83024", Shown::Missing, None),
        waiting,
        alone,
    ] {
        duty.exchange(&peer, &account);
    }
    let rows = duty.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let (received, made) = (&rows[0], &rows[1]);
    assert_eq!((received.way, made.way), (Way::AskedOfUs, Way::AskedByUs));
    assert_eq!(
        received.counts,
        Counts {
            requests: 8,
            records: 2,
            nothing: 2,
            refused: [(RefusalCode::Stopped, 1)].into(),
            deferred: 1,
            waiting: 1,
            overdue: 1,
            late: 1,
            median_ms: Some(10),
            p95_ms: Some(late),
            returned: 1,
            unsettled: 0,
            reviews: Reviews::default(),
        }
    );
    let counts = &made.counts;
    assert_eq!(
        (counts.requests, counts.nothing, counts.unsettled),
        (1, 1, 1)
    );
}

#[test]
fn in_a_round_both_were_to_show_and_outside_the_period_nothing_counts() {
    let (us, peer) = (code("RH8"), code("L83024"));
    let mut round = both(1, "RH8", bundle(), Some(10));
    for side in [&mut round.ours, &mut round.theirs] {
        let entry = side.as_mut().unwrap();
        entry.purpose = Purpose::SharedCare;
        entry.in_return = Shown::Missing;
    }
    let count = |since, until| {
        let mut duty = Duty::new(&us, Period { since, until }, NOW);
        duty.exchange(&peer, &round);
        duty.rows()
    };
    let rows = count(Some(EARLIER), Some(NOW));
    let ways: Vec<_> = rows.iter().map(|row| (row.way, row.purpose)).collect();
    assert_eq!(
        ways,
        [
            (Way::AskedOfUs, Purpose::SharedCare),
            (Way::AskedByUs, Purpose::SharedCare)
        ]
    );
    assert_eq!((rows[0].counts.overdue, rows[1].counts.records), (1, 1));
    assert_eq!(count(None, Some(EARLIER)), []);
    assert_eq!(count(Some(NOW), None), []);
}

#[test]
fn reviews_are_counted_as_closed_in_time_late_open_and_overdue() {
    let us = code("RH8");
    let mut duty = Duty::new(
        &us,
        Period {
            since: Some(EARLIER),
            until: None,
        },
        NOW,
    );
    let review = |due: u64, closed| Reviewed {
        side: Side::Answered,
        opened: EARLIER,
        due: Timestamp(due),
        closed,
    };
    for one in [
        review(NOW.0, Some(NOW)),
        review(EARLIER.0, Some(NOW)),
        review(EARLIER.0, None),
        review(NOW.0 + 1, None),
        Reviewed {
            opened: Timestamp(1),
            ..review(1, None)
        },
    ] {
        duty.review(&one);
    }
    let rows = duty.rows();
    let expected = Reviews {
        opened: 4,
        closed: 2,
        closed_late: 1,
        overdue: 1,
    };
    assert_eq!((rows.len(), rows[0].counts.reviews), (1, expected));
}
