//! `fairshare index show` and `fairshare index make`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{IndexReport, ShowIndex};

use crate::client::Client;
use crate::output::{Page, Tone, ago, count, lasting, people};

/// How this organisation's index is, and how far peers have come with it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare index show
  $ fairshare index show --json")]
pub struct Show {}

/// Take everybody new into the index now
///
/// New people go out by themselves once a day, in a batch whose size hides how many they are, and
/// with every `fairshare match`. This makes the batch now. If they are more than the charter allows
/// in a day, it makes a new advert, which every peer must match anew. The first advert of an epoch
/// takes about 35 s for a million people on two cores; made beforehand, no match waits for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare index make")]
pub struct Make {}

impl Show {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        tell(client, false).await
    }
}

impl Make {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        tell(client, true).await
    }
}

async fn tell(client: &Client, make: bool) -> Result<u8, Failure> {
    let report = client.ask(ShowIndex { make }).await?;
    client.output.answer(&report, |page| show(page, &report));
    Ok(0)
}

fn show(page: &mut Page, report: &IndexReport) {
    let (epoch, end) = report.epoch;
    let mut fields = vec![(
        "epoch",
        format!("{epoch}, ends in {}", lasting(end.since(report.now))),
    )];
    match &report.advert {
        None => fields.push((
            "advert",
            "none yet in this epoch; `fairshare index make` makes it, or the first match"
                .to_owned(),
        )),
        Some(advert) => {
            let batches: u64 = report.batches.iter().map(|it| u64::from(it.entries)).sum();
            fields.push((
                "advert",
                format!(
                    "{} entries, generation {}, made {}",
                    count(advert.entries.into()),
                    advert.generation,
                    ago(report.now, advert.made)
                ),
            ));
            fields.push((
                "batches",
                match report.batches.last() {
                    None => "none since".to_owned(),
                    Some(last) => format!(
                        "{} since, {} entries, the last made {}",
                        last.number,
                        count(batches),
                        ago(report.now, last.made)
                    ),
                },
            ));
        }
    }
    fields.push((
        "allowed",
        format!(
            "{} entries by the roster, {} new ones a day by the charter",
            count(report.cap.into()),
            count(report.additions_per_day.into())
        ),
    ));
    let places = &report.places;
    fields.push((
        "people",
        format!(
            "{} can be in it, {} are",
            count(places.possible),
            count(places.indexed)
        ),
    ));
    if places.waiting > 0 {
        fields.push(("waiting", waiting(report)));
    }
    fields.push((
        "not in it",
        format!(
            "{} without a valid NHS number and date of birth, {} withheld",
            people(report.not_indexable),
            count(places.withheld)
        ),
    ));
    page.fields(&fields);
    if report.peers.is_empty() {
        return;
    }
    page.gap();
    let head = ["CODE", "LINKS", "MATCHED", "BATCHES", "STATE"];
    let made = report.batches.len() as u32;
    let all = match places.waiting {
        0 => page.tone(Tone::Good, "up to date"),
        _ => "told of all but those waiting".to_owned(),
    };
    let rows = report.peers.iter().map(|peer| {
        let none = || "-".to_owned();
        let state = match (&peer.matching, peer.current, peer.batches < made) {
            (Some(state), ..) => {
                let percent = state.done * 100 / state.total.max(1);
                format!("a match is under way, at {percent} %")
            }
            (None, false, _) if peer.unfinished => {
                "a match was broken off: it goes on by itself".to_owned()
            }
            (None, false, _) if peer.matched.is_none() => "not matched yet".to_owned(),
            (None, false, _) => page.tone(Tone::Bad, "to be matched anew"),
            (None, true, true) => "not told of everybody yet".to_owned(),
            (None, true, false) => all.clone(),
        };
        let (links, batches) = match peer.matched {
            None => (none(), none()),
            Some(_) => (count(peer.links), format!("{} of {made}", peer.batches)),
        };
        vec![
            peer.code.to_string(),
            links,
            peer.matched.map_or_else(none, |at| ago(report.now, at)),
            batches,
            state,
        ]
    });
    let rows = rows.collect();
    page.table(&head, rows);
}

/// Who waits for the index, and until when.
fn waiting(report: &IndexReport) -> String {
    let places = &report.places;
    let all = people(places.waiting);
    if report.advert.is_none() {
        return format!("{all}, for the advert");
    }
    let now = places.waiting - places.later;
    let later = format!(
        "{} for another day: the charter has no room for them today",
        count(places.later)
    );
    match (now, places.later) {
        (0, _) => format!("{all}, {later}"),
        (_, 0) => format!("{all}, for the day's batch or the next `fairshare match`"),
        (now, _) => format!("{all}, {} for the next batch, {later}", count(now)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use fairshare_protocol::control::index::{IndexPeer, Places};
    use fairshare_protocol::control::node::MatchState;
    use fairshare_protocol::time::Timestamp;

    use super::*;
    use crate::output::Output;

    #[test]
    fn whoever_waits_is_told_and_no_peer_is_called_up_to_date() {
        let peer = IndexPeer {
            code: "RH8".parse().unwrap(),
            matched: Some(Timestamp(0)),
            matching: None,
            unfinished: false,
            current: true,
            batches: 0,
            links: 5,
        };
        let mut report = IndexReport {
            now: Timestamp(0),
            epoch: (0, Timestamp(1)),
            advert: None,
            batches: Vec::new(),
            cap: 100_000,
            additions_per_day: 20_000,
            not_indexable: 1,
            places: Places {
                possible: 20_000,
                indexed: 20_000,
                waiting: 0,
                later: 0,
                withheld: 3,
            },
            peers: vec![peer],
        };
        let shown = |report: &IndexReport| Output::silent().text(|page| show(page, report));
        let text = shown(&report);
        assert!(text.contains("20,000 can be in it, 20,000 are"), "{text}");
        assert!(
            text.contains("up to date") && !text.contains("waiting"),
            "{text}"
        );
        assert!(text.contains("not in it  1 person without"), "{text}");
        (report.places.indexed, report.places.waiting) = (14_336, 5_664);
        let text = shown(&report);
        assert!(
            text.contains("waiting    5,664 people, for the advert"),
            "{text}"
        );
        assert!(!text.contains("up to date"), "{text}");
        assert!(text.contains("told of all but those waiting"), "{text}");

        // Every peer is there, however far it is.
        let states = [
            (None, false, "not matched yet"),
            (None, true, "a match was broken off: it goes on by itself"),
            (Some((30, 100)), true, "a match is under way, at 30 %"),
        ];
        for (matching, unfinished, said) in states {
            report.peers[0] = IndexPeer {
                matched: None,
                matching: matching.map(|(done, total)| MatchState {
                    since: Timestamp(0),
                    done,
                    total,
                }),
                unfinished,
                current: false,
                ..report.peers[0].clone()
            };
            let text = shown(&report);
            assert!(text.contains(said), "{text}");
        }
    }
}
