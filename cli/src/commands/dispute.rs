//! `fairshare dispute` and `fairshare release`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::disputes::{
    Complain, ListOwed, OwedBundle, OwedReport, ReleaseAgain,
};
use fairshare_protocol::ids::{ExchangeId, OdsCode};

use super::verify::show_dispute;
use crate::client::{Client, absolute};
use crate::output::{Page, Tone, ago, bytes, count};

/// What a peer promised and did not do, with the proof
///
/// Without EXCHANGE: the bundles of the peer's that lie here whole and were not opened, because their
/// keys did not come, or opened nothing. With it: every signed statement about that exchange, with a
/// signed complaint of what is lacking, in a new file of mode 0600 without patient data. Anybody checks
/// it with `fairshare verify`. Give it to the peer, by whatever way: it answers with `fairshare release`.
/// While a round is not over, its keys still come by themselves when the two are connected.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare dispute L83024
  $ fairshare dispute L83024 1f7126a7a0e013702da5fe3d90960a7e
  $ fairshare dispute L83024 1f7126a7a0e013702da5fe3d90960a7e --out complaint.json")]
pub struct Dispute {
    /// The peer's ODS code
    #[arg(value_name = "PEER")]
    peer: OdsCode,
    /// The exchange
    #[arg(value_name = "EXCHANGE")]
    exchange: Option<ExchangeId>,
    /// The file to write; there must be none yet [default: EXCHANGE.dispute]
    #[arg(long, value_name = "FILE", requires = "exchange")]
    out: Option<PathBuf>,
}

impl Dispute {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let peer = self.peer;
        let Some(exchange) = self.exchange else {
            let report = client.ask(ListOwed { peer }).await?;
            client
                .output
                .answer(&report, |page| show_owed(page, &report));
            return Ok(0);
        };
        let out = self
            .out
            .unwrap_or_else(|| format!("{exchange}.dispute").into());
        let to = absolute(&out)?;
        let complained = client.ask(Complain { peer, exchange, to }).await?;
        client.output.answer(&complained, |page| {
            show_dispute(page, &complained.checked);
            page.gap();
            let (file, size) = (complained.file.display(), bytes(complained.bytes));
            page.line(format_args!("wrote {file}: {size}"));
            page.line("It has no patient data. Anybody checks it with `fairshare verify`.");
        });
        Ok(0)
    }
}

fn show_owed(page: &mut Page, report: &OwedReport) {
    let with = format!("{} ({})", report.name, report.peer);
    if report.owed.is_empty() {
        page.line(format_args!("Nothing of {with} lies here unopened."));
        return;
    }
    let total = count(report.total);
    page.line(format_args!("{total} bundles of {with} lie here unopened."));
    page.gap();
    let row = |owed: &OwedBundle| {
        vec![
            owed.exchange.to_string(),
            ago(report.now, owed.at),
            bytes(owed.size),
            match (owed.unreadable, owed.over) {
                (true, _) => page.tone(Tone::Bad, "its key opens nothing"),
                (_, true) => page.tone(Tone::Bad, "the round ended before"),
                _ => "its key may still come: the round goes on".to_owned(),
            },
        ]
    };
    let rows = report.owed.iter().map(row).collect();
    page.table(&["EXCHANGE", "ROUND OF", "SIZE", "WHY"], rows);
}

/// Release the key of a bundle again, in answer to a complaint
///
/// FILE is what the peer wrote with `fairshare dispute`. It is checked, and the key goes into a new
/// file, sealed to the peer's node: anybody may carry it, a third member too, and nobody else can open
/// it. It is released only if the peer's own bundle about the same person was opened here, or the key
/// left before. The peer opens its copy with `fairshare received open`. Exits 3 if it is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare release complaint.json --out key.json")]
pub struct Release {
    /// The file with the complaint
    #[arg(value_name = "FILE")]
    complaint: PathBuf,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Release {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let question = ReleaseAgain {
            complaint: absolute(&self.complaint)?,
            to: absolute(&self.out)?,
        };
        let released = client.ask(question).await?;
        client.output.answer(&released, |page| {
            let (peer, exchange) = (&released.peer, &released.exchange);
            page.line(format_args!(
                "Released the key of our bundle in exchange {exchange} to {peer} again."
            ));
            page.line(format_args!("wrote {}", released.file.display()));
            page.line(format_args!(
                "It is sealed to {peer}, which opens it with `fairshare received open`."
            ));
        });
        Ok(0)
    }
}
