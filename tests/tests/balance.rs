//! `report balance`: the exports of three nodes come to one table, which says what the three ledgers
//! say; a forged one is refused with the reason (issue 5).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::thread::sleep;

use fairshare_protocol::limits::GATHER;
use fairshare_tests::area;
use fairshare_tests::harness::federation::{Federation, ORGANISATIONS, about, held_by};

#[test]
fn three_exports_come_to_one_table_that_says_what_the_ledgers_say() {
    let federation = Federation::found("info");
    federation.import(2000);
    federation.match_all();
    let [person, other] = [22, 27].map(|n| held_by("RH8")[n].clone());
    for (site, [code, ..]) in federation.sites.iter().zip(ORGANISATIONS) {
        let (done, asked) = about(site, &["ask"], &person);
        assert_eq!(done, 0, "{code}: {asked}");
        // The next is in another page.
        sleep(GATHER * 2);
        let urgent = [
            "ask",
            "--purpose",
            "emergency",
            "--reason",
            "found on the floor",
        ];
        let (done, asked) = about(site, &urgent, &other);
        assert_eq!(done, 0, "{code}: {asked}");
    }
    let round = federation.sites[1].json(&["reconcile", "RH8"]);
    assert_eq!(round["round"]["state"], "done", "{round}");
    let table = area::check(&federation);
    let rows = table["rows"].as_array().unwrap();
    let of = |purpose: &str| rows.iter().filter(|row| row["purpose"] == purpose).count();
    // Each asked both others; one pair had a round.
    assert_eq!(
        [of("care"), of("emergency"), of("shared-care")],
        [6, 6, 1],
        "{table}"
    );
    // Nothing of anybody's.
    let text = table.to_string();
    assert!(
        !text.contains(&person.nhs) && !text.contains(&person.born),
        "{text}"
    );
}
