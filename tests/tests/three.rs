//! Three real nodes: founded, joined, matched, asked.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use fairshare_tests::harness::federation::{Federation, about, held_by};

#[test]
fn three_organisations_find_each_other_and_show_their_records_both_ways() {
    let mut federation = Federation::found("info");
    federation.import(20_000);
    for (one, other, links) in federation.match_all() {
        let theirs = held_by(&other);
        let both = held_by(&one)
            .into_iter()
            .filter(|person| theirs.contains(person));
        assert_eq!(links, both.count() as u64, "{one} and {other}");
    }
    let person = &held_by("RH8")[25];
    let (code, asked) = about(&federation.sites[0], &["ask"], person);
    assert_eq!(code, 0, "{asked}");
    for peer in asked["peers"].as_array().unwrap() {
        assert_eq!(peer["state"], "delivered", "{asked}");
        assert_eq!(peer["acknowledged"], true, "{asked}");
    }
    for site in &mut federation.sites {
        site.stop();
        site.ok(&["journal", "verify"]);
    }
}
