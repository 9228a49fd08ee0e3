//! `fairshare standing`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::ledger::{ShowStanding, StandingReport};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::ladder::{Rung, Step};
use fairshare_protocol::ledger::standing::{Standing, Tally};

use crate::client::Client;
use crate::output::{Page, Tone, count};

/// How peers and this node answer each other
///
/// Over 90 days, by lane, and for one peer by category: the share of requests answered in time, the
/// median time, refusals by code, and bundles shown without one in return. YIELD, the answers with
/// at least one record, is shown and never scored. Below 95 % of at least 30 requests both sides are
/// notified; after 14 days of that the bulk lane pauses. Care never does.
#[derive(Debug, clap::Args)]
#[command(
    name = "standing",
    after_help = "Examples:
  $ fairshare standing
  $ fairshare standing L83024
  $ fairshare standing L83024 --json"
)]
pub struct ShowStandings {
    /// With this peer only, by category
    #[arg(value_name = "PEER")]
    peer: Option<OdsCode>,
}

const HEAD: [&str; 9] = [
    "WHO",
    "LANE",
    "ASKED",
    "ANSWERED",
    "MEDIAN",
    "YIELD",
    "REFUSED",
    "SHOWN",
    "UNRETURNED",
];

impl ShowStandings {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let one = self.peer.is_some();
        let reports = client.ask(ShowStanding { peer: self.peer }).await?;
        client.output.answer(&reports, |page| {
            if reports.is_empty() {
                page.line("No peers yet: this node is in no federation, or alone in it.");
            }
            for (at, report) in reports.iter().enumerate() {
                if at > 0 {
                    page.gap();
                }
                show(page, report, one);
            }
        });
        Ok(0)
    }
}

fn show(page: &mut Page, report: &StandingReport, whole: bool) {
    let (own, peer) = (&report.own, &report.peer);
    page.line(format_args!("{peer} {} and {own}", report.name));
    page.gap();
    let mut rows = lanes(peer, &report.theirs, whole);
    rows.extend(lanes(own, &report.ours, whole));
    if rows.is_empty() {
        page.line("Nothing was asked in 90 days, either way.");
        return;
    }
    page.table(&HEAD, rows);
    page.gap();
    page.fields(&[
        ("ladder", ladder(page, report)),
        (
            "contact",
            report.contact.clone().unwrap_or_else(|| "not named".into()),
        ),
    ]);
}

fn lanes(who: &OdsCode, standing: &Standing, whole: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (lane, counts) in &standing.lanes {
        rows.push(row(who.to_string(), lane.to_string(), &counts.all));
        if whole {
            let categories = counts.categories.iter();
            rows.extend(
                categories
                    .map(|(category, tally)| row(String::new(), format!("  {category}"), tally)),
            );
        }
    }
    rows
}

fn row(who: String, what: String, tally: &Tally) -> Vec<String> {
    let none = || "-".to_owned();
    let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
    let refused = tally.refused.iter();
    let refused: Vec<_> = refused.map(|(code, n)| format!("{code} {n}")).collect();
    vec![
        who,
        what,
        count(tally.requests),
        match tally.rate_permille() {
            None => none(),
            Some(rate) => format!("{} ({})", count(tally.answered), percent(rate)),
        },
        tally.median_ms.map_or_else(none, |ms| format!("{ms} ms")),
        count(tally.yielded),
        if refused.is_empty() {
            none()
        } else {
            refused.join(", ")
        },
        count(tally.shown),
        count(tally.unreturned),
    ]
}

fn ladder(page: &Page, report: &StandingReport) -> String {
    let steps = [
        (&report.peer, report.their_step),
        (&report.own, report.our_step),
    ];
    let said: Vec<_> = steps
        .iter()
        .filter(|(_, step)| step.rung != Rung::Even)
        .map(|(code, step)| format!("{code} {}", word(*step)))
        .collect();
    if said.is_empty() {
        return page.tone(Tone::Good, "even");
    }
    page.tone(Tone::Bad, &said.join("; "))
}

/// A step in a few words.
pub fn word(step: Step) -> String {
    let day = step.pauses.map(|at| at.to_string()[..10].to_owned());
    let day = day.unwrap_or_default();
    match step.rung {
        Rung::Even => "even".to_owned(),
        Rung::Shown => "below 95 %, of too few requests to follow from".to_owned(),
        Rung::Notified => format!("below 95 %: bulk pauses on {day}"),
        Rung::Paused => format!("below 95 %: bulk paused since {day}"),
    }
}
