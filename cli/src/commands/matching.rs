//! `fairshare match`

use std::time::Duration;

use fairshare_protocol::control::index::{self, MatchReport};
use fairshare_protocol::control::{DEGRADED, Failure};
use fairshare_protocol::ids::OdsCode;

use crate::client::Client;
use crate::output::{Tone, count, people};

/// Find the people this node and its peers both hold
///
/// Both sides learn whom of their own the other also holds, prove it to each other, and learn
/// nothing of anybody else. Nothing is listed: a link shows only when somebody is looked for.
///
/// Exits 0 if every match was made, 1 if one was not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare match
  $ fairshare match L83024")]
pub struct Match {
    /// With this member only
    #[arg(value_name = "CODE")]
    peer: Option<OdsCode>,
}

impl Match {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let reports = client.ask_running(index::Match { peer: self.peer }).await?;
        client.output.answer(&reports, |page| {
            if reports.is_empty() {
                page.line("There is nobody to match with yet.");
                return;
            }
            let head = [
                "CODE",
                "NAME",
                "LINKS",
                "ONLY OURS",
                "ONLY THEIRS",
                "THEIR INDEX OF",
                "TOOK",
            ];
            page.table(&head, reports.iter().map(row).collect());
            if let Some(waiting) = reports.iter().map(|it| it.waiting).max().filter(|n| *n > 0) {
                page.gap();
                page.line(format_args!(
                    "{} wait for the index: peers are told of them by another day's batch, or at \
                     once if asked.",
                    people(waiting)
                ));
            }
            for report in &reports {
                if let Some(why) = &report.failed {
                    page.gap();
                    let code = page.tone(Tone::Bad, report.peer.as_str());
                    page.line(format_args!("{code}: {why}"));
                }
            }
        });
        let made = reports.iter().all(|report| report.found.is_some());
        Ok(if made { 0 } else { DEGRADED })
    }
}

fn row(report: &MatchReport) -> Vec<String> {
    let took = format!("{:.1} s", Duration::from_millis(report.ms).as_secs_f64());
    let mut cells = vec![report.peer.to_string(), report.name.clone()];
    cells.extend(match &report.found {
        Some(found) => [
            count(found.links),
            count(found.ours_only),
            count(found.theirs_only),
            found.index_made.to_string(),
        ],
        None => ["no match", "", "", ""].map(str::to_owned),
    });
    cells.push(took);
    cells
}
