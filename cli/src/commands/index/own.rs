//! `fairshare index show` and `fairshare index make`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{IndexReport, ShowIndex};

use crate::client::Client;
use crate::output::{Page, Tone, ago, count, lasting};

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
    fields.push((
        "not in it",
        format!(
            "{} people without a valid NHS number and date of birth",
            count(report.not_indexable)
        ),
    ));
    page.fields(&fields);
    if report.peers.is_empty() {
        return;
    }
    page.gap();
    let head = ["CODE", "LINKS", "MATCHED", "BATCHES", ""];
    let made = report.batches.len() as u32;
    let rows = report.peers.iter().map(|peer| {
        let state = match (peer.current, peer.batches < made) {
            (false, _) => page.tone(Tone::Bad, "to be matched anew"),
            (true, true) => "not told of everybody yet".to_owned(),
            (true, false) => page.tone(Tone::Good, "up to date"),
        };
        vec![
            peer.code.to_string(),
            count(peer.links),
            ago(report.now, peer.matched),
            format!("{} of {made}", peer.batches),
            state,
        ]
    });
    let rows = rows.collect();
    page.table(&head, rows);
}
