//! An offer that becomes narrower counts at once, also for what is on its way, whoever's it is and
//! wherever it is heard (protocol.md section 2).

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails panics, and its figures are for people"
)]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use fairshare_node::offer_file;
use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::journal::{Act, Outcome};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::{Label, Offer, Row};
use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::{Federation, ask, ask_in_emergency, until};
use fairshare_tests::harness::people::{self, Somebody};
use serde_json::{Value, json};

const FAR: Duration = Duration::from_millis(400);
const GP: MemberKind = MemberKind::GpPractice;
const ACUTE: MemberKind = MemberKind::AcuteTrust;

/// How many bundles a node's journal says left it.
fn shown(site: &Site) -> usize {
    site.count(|act| matches!(act, Act::Shown { .. }))
}

/// How many it says began to leave it: as answers, or in return for one.
fn begun(site: &Site) -> usize {
    site.count(|act| match act {
        Act::Answered { outcome, .. } | Act::Returned { outcome, .. } => {
            matches!(outcome, Outcome::Delivered(_))
        }
        _ => false,
    })
}

fn broken_off(site: &Site) -> usize {
    site.count(|act| matches!(act, Act::BrokenOff { .. }))
}

/// How the last round ended, as a node's journal has it.
fn last_round(site: &Site) -> Option<String> {
    let mut ended = site.acts().into_iter().filter_map(|act| match act {
        Act::RoundEnded { how, .. } => Some(how),
        _ => None,
    });
    ended.next_back()
}

fn published(site: &Site) -> Offer {
    let shown = site.json(&["offer", "show"]);
    serde_json::from_value(shown["published"].clone()).unwrap()
}

/// Publishes what is published, changed so.
fn publish(site: &Site, change: impl FnOnce(&mut Offer)) {
    let mut offer = published(site);
    change(&mut offer);
    let text = offer_file::text(&offer, &"X".parse().unwrap(), GP);
    fs::write(site.dir().join("changed.toml"), text).unwrap();
    let file = ["offer", "publish", "--file", "changed.toml"];
    let told = site.json(&[&file[..], &["--reason", "a test"]].concat());
    assert_eq!(told["changed"], true, "{told}");
}

/// The row of a category for a purpose.
fn row(offer: &mut Offer, purpose: Purpose, category: Category) -> &mut Row {
    let rows = &mut offer.matrix.get_mut(&purpose).unwrap().rows;
    rows.get_mut(&category).unwrap()
}

/// Waits until a node has heard that another member's offer is what it published.
fn until_heard(site: &Site, code: &str, by: &Site) {
    let offer = serde_json::to_value(published(by)).unwrap();
    until("the offer is heard of", || {
        site.json(&["offer", "show", code])["published"] == offer
    });
}

/// Asks, changes an offer while the answer's bundle is on its way from `holder`, and gives what the
/// asker was told and how long that took from then.
fn ask_and(
    (asker, peer, holder): (&Site, &str, &Site),
    person: &Somebody,
    narrow: impl FnOnce(),
) -> (String, Value) {
    let before = begun(holder);
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask(asker, peer, person));
        until("the bundle is on its way", || begun(holder) > before);
        narrow();
        let narrowed = Instant::now();
        let (state, told) = asking.join().unwrap();
        eprintln!(
            "{state} {:?} after the offer was published",
            narrowed.elapsed()
        );
        (state, told)
    })
}

fn not_offered((state, told): &(String, Value)) {
    assert_eq!(
        (&**state, &told["why"]),
        ("refused", &json!("outside-offer")),
        "{told}"
    );
    assert_eq!(told["received"], json!({}), "{told}");
}

#[test]
fn what_is_on_its_way_is_broken_off_once_it_is_not_offered_any_more() {
    let federation = Federation::far("info", 5000, FAR);
    federation.import(3000);
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    // Both hold a large document of somebody.
    let one = Somebody::numbered(12);
    let large = std::slice::from_ref(&one);
    for (site, author) in [(trust, "trusts"), (practice, "practices")] {
        people::write(site.dir(), "large", author, large, 16 * 1024 * 1024);
        site.ok(&["import", "large"]);
    }
    federation.match_all();
    let line = (practice, "RH8", trust);
    let documents = (Purpose::Care, Category::Documents);

    // The holder shows it to practices no more.
    let before = shown(trust);
    let told = ask_and(line, &one, || {
        publish(trust, |offer| {
            assert!(row(offer, documents.0, documents.1).shows.remove(&GP));
        });
    });
    not_offered(&told);
    assert_eq!((shown(trust), broken_off(trust)), (before, 1));
    // What is left is shown.
    let (state, told) = ask(practice, "RH8", &one);
    assert_eq!(state, "delivered", "{told}");
    assert!(told["received"].get("documents").is_none(), "{told}");
    publish(trust, |offer| {
        row(offer, documents.0, documents.1).shows.insert(GP);
    });
    until_heard(practice, "RH8", trust);

    // The asker needs it no more, and the holder hears of it.
    let before = shown(trust);
    let told = ask_and(line, &one, || {
        publish(practice, |offer| {
            assert!(row(offer, documents.0, documents.1).needs.remove(&ACUTE));
        });
    });
    not_offered(&told);
    assert_eq!((shown(trust), broken_off(trust)), (before, 2));
    publish(practice, |offer| {
        row(offer, documents.0, documents.1).needs.insert(ACUTE);
    });
    until_heard(trust, "L83024", practice);

    // What is not in it does not matter to it; and what goes back is broken off like any other.
    let (returned, before) = (begun(practice), shown(practice));
    thread::scope(|scope| {
        let (state, told) = scope
            .spawn(|| {
                ask_and(line, &one, || {
                    publish(trust, |offer| {
                        row(offer, documents.0, Category::Immunisations)
                            .shows
                            .clear();
                    });
                })
            })
            .join_when(
                || begun(practice) > returned,
                || {
                    publish(practice, |offer| offer.show_in_return = false);
                },
            );
        assert_eq!(state, "delivered", "{told}");
        assert!(told["received"].get("documents").is_some(), "{told}");
    });
    assert_eq!((shown(practice), broken_off(practice)), (before, 1));
    for site in [trust, practice] {
        site.ok(&["journal", "verify"]);
    }
}

/// Labels everything but Patients in these files restricted.
fn restrict(folder: &Path) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for entry in bundle["entry"].as_array_mut().unwrap() {
            let resource = &mut entry["resource"];
            if resource["resourceType"] != "Patient" {
                resource["meta"] = json!({ "security": [{
                    "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                    "code": "R",
                }] });
            }
        }
        fs::write(path, bundle.to_string()).unwrap();
    }
}

#[test]
fn what_a_label_closes_is_broken_off_and_nothing_else_is() {
    let federation = Federation::far("info", 5000, FAR);
    federation.import(3000);
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    let (open, labelled) = (Somebody::numbered(12), Somebody::numbered(14));
    for (one, author) in [(&open, "open"), (&labelled, "labelled")] {
        let one = std::slice::from_ref(one);
        let folder = people::write(trust.dir(), author, author, one, 16 * 1024 * 1024);
        if author == "labelled" {
            restrict(&folder);
        }
        trust.ok(&["import", author]);
    }
    let opens = |offer: &mut Offer| assert!(offer.opened_labels.insert(Label::Restricted));
    let closes = |offer: &mut Offer| assert!(offer.opened_labels.remove(&Label::Restricted));
    publish(trust, opens);
    federation.match_all();
    let line = (practice, "RH8", trust);
    let told = ask_and(line, &labelled, || publish(trust, closes));
    not_offered(&told);
    assert_eq!(broken_off(trust), 1);
    publish(trust, opens);
    let (state, told) = ask_and(line, &open, || publish(trust, closes));
    assert_eq!(state, "delivered", "{told}");
    assert!(told["received"].get("documents").is_some(), "{told}");
    assert_eq!(broken_off(trust), 1);
}

/// Something to be done while a thread goes on.
trait Meanwhile<T> {
    /// Does it once something is so, and gives what the thread gives.
    fn join_when(self, so: impl Fn() -> bool, meanwhile: impl FnOnce()) -> T;
}

impl<T: std::fmt::Debug> Meanwhile<T> for thread::ScopedJoinHandle<'_, T> {
    fn join_when(self, so: impl Fn() -> bool, meanwhile: impl FnOnce()) -> T {
        until("it is time", || self.is_finished() || so());
        if self.is_finished() {
            let early = self.join().unwrap();
            unreachable!("it is over before it is time: {early:?}");
        }
        meanwhile();
        self.join().unwrap()
    }
}

#[test]
fn a_round_is_called_off_by_either_side_when_an_offer_becomes_narrower() {
    let mut federation = Federation::far("info", 5000, FAR);
    federation.import(3000);
    let others = Somebody::all(13..20);
    let results = (Purpose::SharedCare, Category::Results);
    {
        let [trust, practice, _] = &federation.sites[..] else {
            unreachable!("there are three");
        };
        people::write_for_rounds(trust.dir(), "many", "many", &others, 2 * 1024 * 1024);
        trust.ok(&["import", "many"]);
        federation.match_all();

        // Which side narrows, who hears of it, and what the proposer says then.
        let sides = [
            (trust, "RH8", practice, "peer says narrowed"),
            (practice, "L83024", trust, "narrowed"),
        ];
        for (by, code, other, said) in sides {
            let is_shown = by.dir() == trust.dir();
            let before = shown(trust);
            thread::scope(|scope| {
                let round = scope.spawn(|| practice.run(&["reconcile", "RH8", "--json"]));
                let is_under_way = || shown(trust) > before;
                let ended = round.join_when(is_under_way, || {
                    publish(by, |offer| {
                        let row = row(offer, results.0, results.1);
                        let narrowed = match is_shown {
                            true => row.shows.remove(&GP),
                            false => row.needs.remove(&ACUTE),
                        };
                        assert!(narrowed);
                    });
                });
                let told = String::from_utf8_lossy(&ended.stdout).into_owned();
                assert_eq!(ended.status.code(), Some(3), "{told}");
                assert!(told.contains(&format!("\"why\":\"{said}\"")), "{told}");
            });
            let both = ["narrowed", "peer says narrowed"];
            for site in [trust, practice] {
                until("the round is over there", || {
                    last_round(site).is_some_and(|how| both.contains(&&*how))
                });
            }
            until_heard(other, code, by);
            publish(by, |offer| {
                let row = row(offer, results.0, results.1);
                match is_shown {
                    true => row.shows.insert(GP),
                    false => row.needs.insert(ACUTE),
                };
            });
            until_heard(other, code, by);
        }
    }

    // Narrowed while the proposer is away: the round does not go on.
    let before = shown(&federation.sites[0]);
    thread::scope(|scope| {
        let [trust, practice, _] = &mut federation.sites[..] else {
            unreachable!("there are three");
        };
        let mut asked = practice.command(["reconcile", "RH8"]);
        let mut asked = asked.stderr(Stdio::null()).spawn().unwrap();
        let waiting = scope.spawn(move || drop(asked.wait()));
        until("the round is under way", || shown(trust) > before);
        practice.kill();
        waiting.join().unwrap();
        publish(trust, |offer| {
            row(offer, results.0, results.1).shows.remove(&GP);
        });
        let left = shown(trust);
        // Whichever of the two sees it first says so to the other.
        let ended = |act: &Act| matches!(act, Act::RoundEnded { .. });
        let before = practice.count(ended);
        practice.start();
        until("the round is over", || practice.count(ended) > before);
        let how = last_round(practice).unwrap();
        assert!(how.contains("narrowed"), "{how}");
        assert_eq!(
            shown(trust),
            left,
            "nothing left after the offer was narrowed"
        );
    });
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    federation.until_connected();
    let round = practice.json(&["reconcile", "RH8"]);
    assert_eq!(round["round"]["state"], "done", "{round}");
    assert!(!round["shows"].to_string().contains("results"), "{round}");
    for site in [trust, practice] {
        site.ok(&["journal", "verify"]);
    }
}

#[test]
fn a_match_is_called_off_and_an_earlier_one_is_of_no_use_without_presence() {
    let federation = Federation::far("info", 5000, FAR);
    federation.import(3000);
    let [trust, practice, _] = &federation.sites[..] else {
        unreachable!("there are three");
    };
    let hide = |offer: &mut Offer| assert!(offer.presence.shows.remove(&GP));
    let show = |offer: &mut Offer| assert!(offer.presence.shows.insert(GP));
    let matching = || {
        let index = trust.json(&["index", "show"]);
        let mut peers = index["peers"].as_array().unwrap().iter();
        let with = peers.find(|it| it["code"] == "L83024");
        with.is_some_and(|with| !with["matching"].is_null())
    };
    thread::scope(|scope| {
        let matched = scope.spawn(|| practice.run(&["match", "RH8", "--json"]));
        let ended = matched.join_when(matching, || publish(trust, hide));
        let told = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(!ended.status.success(), "{told}");
        assert!(told.contains("\"found\":null"), "{told}");
    });
    until_heard(practice, "RH8", trust);
    for site in [trust, practice] {
        let matched = site.logs().contains("matched peer=");
        assert!(!matched, "neither has learnt whom both hold");
    }
    publish(trust, show);
    until_heard(practice, "RH8", trust);
    federation.match_all();
    let one = Somebody::numbered(12);
    assert_eq!(ask(practice, "RH8", &one).0, "delivered");
    publish(trust, hide);
    until_heard(practice, "RH8", trust);
    let (state, told) = ask(practice, "RH8", &one);
    assert_eq!(state, "no-presence", "{told}");
    let (state, told) = ask_in_emergency(practice, "RH8", &one);
    assert_eq!(state, "no-presence", "{told}");
}
