//! `fairshare stop`, `fairshare stops` and `fairshare resume`

use fairshare_protocol::category::Category;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::stopping::{
    ListStops, Resume as Again, Standing, Stop as Question, StopsReport,
};
use fairshare_protocol::control::withholding::Whom;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::text::Line;

use super::person::{self, Person};
use super::withhold;
use crate::client::Client;
use crate::output::{Page, Tone, ago};

/// Stop showing records: to a member, of a category, of a person, or everything to everybody
///
/// What is named together is stopped together: `--peer RX1 --category results` stops results to
/// RX1. It counts at once, for exchanges under way too: a bundle on its way is broken off, a round
/// called off. Who asks is refused with the code `stopped`, in writing; in an emergency as well.
/// Of a stopped category whoever asks for more is told that it was left out. Receiving goes on, and
/// so does asking. It stands, over restarts, until `fairshare resume`.
///
/// Somebody who objects is for `fairshare withhold add`, which tells nobody that it did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare stop --peer RX1 --reason 'their network is compromised'
  $ fairshare stop --peer RX1 --category results --reason 'wrong patients in their feed'
  $ fairshare stop --person --reason 'identity in doubt'
  $ fairshare stop --everything --reason 'our store is being restored'")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["peer", "category", "person", "everything"])))]
pub struct Stop {
    /// Show this member nothing more
    #[arg(long, value_name = "CODE")]
    peer: Option<OdsCode>,
    /// Show nothing of this category more
    #[arg(long, value_name = "CATEGORY")]
    category: Option<Category>,
    /// Show nothing of one person more, who is asked for, or read from two lines of standard input
    #[arg(long)]
    person: bool,
    /// Show nobody anything more
    #[arg(long, conflicts_with_all = ["peer", "category", "person"])]
    everything: bool,
    /// Why, without anything that names somebody
    #[arg(long, value_name = "REASON")]
    reason: Line,
    /// Name the person by the id of their Patient here: for somebody without a valid NHS number
    #[arg(long, requires = "person", conflicts_with_all = ["nhs", "dob"])]
    local: bool,
    #[command(flatten)]
    whom: Person,
}

impl Stop {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        client.reach().await?;
        let person = match (self.person, self.local) {
            (false, _) => self.whom.read_given()?.map(Whom::Person),
            (true, true) => Some(withhold::local(&person::given(
                None,
                "id of their Patient",
            )?)?),
            (true, false) => Some(Whom::Person(self.whom.read()?)),
        };
        let question = Question {
            peer: self.peer,
            category: self.category,
            person,
            reason: self.reason,
        };
        let told = client.ask(question).await?;
        client.output.answer(&told, |page| {
            let number = told.stop.number;
            page.line(format_args!("Stop {number}: {}.", what(&told.stop)));
            for peer in &told.rounds {
                page.line(format_args!("The round with {peer} is called off."));
            }
            page.line(format_args!(
                "To show it again: fairshare resume {number} --reason REASON"
            ));
        });
        Ok(0)
    }
}

/// List what is stopped: since when, by whom and why
///
/// People are named by the id of their Patient here, never by NHS number. That somebody looked is
/// journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare stops
  $ fairshare stops --json")]
pub struct Stops {}

impl Stops {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(ListStops {}).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &StopsReport) {
    if report.stops.is_empty() {
        page.line("Nothing is stopped.");
        return;
    }
    let rows = report.stops.iter().map(|stop| {
        vec![
            stop.number.to_string(),
            page.tone(Tone::Bad, &what(stop)),
            ago(report.now, stop.at),
            format!("{} ({})", stop.by.name, stop.by.role),
            stop.reason.to_string(),
        ]
    });
    let rows = rows.collect();
    page.table(&["STOP", "NOT SHOWN", "SINCE", "BY", "WHY"], rows);
}

/// What a stop keeps back, in words.
fn what(stop: &Standing) -> String {
    let category = stop.category.map(|category| category.to_string());
    let what = category.unwrap_or_else(|| "everything".to_owned());
    let of = match &stop.person {
        None => String::new(),
        Some(ids) if ids.is_empty() => " of a person not held here".to_owned(),
        Some(ids) => format!(" of {}", ids.join(" = ")),
    };
    let to = stop.peer.as_ref();
    let to = to.map_or_else(|| "anybody".to_owned(), ToString::to_string);
    format!("{what}{of}, to {to}")
}

/// Show again what a stop kept back
///
/// It counts at once. Notices that waited are sent; rounds begin at their time, or with `fairshare
/// reconcile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare stops
  $ fairshare resume 2 --reason 'their network is clean, ticket 4711'")]
pub struct Resume {
    /// The number of the stop, as `fairshare stops` lists it
    #[arg(value_name = "STOP")]
    number: u64,
    /// Why, without anything that names somebody
    #[arg(long, value_name = "REASON")]
    reason: Line,
}

impl Resume {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let question = Again {
            number: self.number,
            reason: self.reason,
        };
        let stop = client.ask(question).await?;
        client.output.answer(&stop, |page| {
            page.line(format_args!(
                "Stop {} is lifted: {}, is shown again.",
                stop.number,
                what(&stop)
            ));
        });
        Ok(0)
    }
}
