//! `fairshare notices`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::notices::{ListNotices, NoticeItem, NoticesReport};

use crate::client::Client;
use crate::output::{Page, Tone, lasting};

/// What peers are told of people whose records they hold
///
/// Whoever was shown somebody's records is told at once of a new allergy, alert or safeguarding
/// concern, and of every record that was amended, entered in error, or turned out to be somebody
/// else's. The node tells it again until the peer has said that it has it. `fairshare status` says
/// so when a notice has waited for a day.
#[derive(Debug, clap::Subcommand)]
pub enum Notices {
    List(List),
}

impl Notices {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::List(command) => command.run(client).await,
        }
    }
}

/// List the notices that were not acknowledged yet, the oldest first
///
/// People are named by the id of their Patient here, never by NHS number. That somebody looked is
/// journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare notices list
  $ fairshare notices list --json")]
pub struct List {}

impl List {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(ListNotices {}).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &NoticesReport) {
    if report.notices.is_empty() {
        page.line("Everybody who holds a copy has been told.");
        return;
    }
    let rows = report.notices.iter();
    let rows = rows.map(|notice| row(page, notice, report)).collect();
    page.table(&["PEER", "PATIENT", "WAITING", "SENT", "WHY"], rows);
}

fn row(page: &Page, notice: &NoticeItem, report: &NoticesReport) -> Vec<String> {
    let waiting = lasting(report.now.since(notice.since));
    vec![
        notice.peer.to_string(),
        notice
            .local
            .clone()
            .unwrap_or_else(|| "not held here".to_owned()),
        match notice.is_late(report.now) {
            true => page.tone(Tone::Bad, &waiting),
            false => waiting,
        },
        match notice.tries {
            0 => "not yet".to_owned(),
            1 => "once".to_owned(),
            more => format!("{more} times"),
        },
        notice
            .why
            .clone()
            .unwrap_or_else(|| "on its way".to_owned()),
    ]
}
