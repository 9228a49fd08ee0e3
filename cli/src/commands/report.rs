//! `fairshare report`

use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::time::{DAY, Period, Timestamp};

use crate::client::Client;

pub(super) mod balance;
mod duty;
pub(super) mod merge;

/// What was asked, shown and refused, in counts
///
/// For the Caldicott Guardian, the board, and whoever they hand it to: nothing in a report is about
/// anybody. --to writes it as a page, a spreadsheet or JSON.
#[derive(Debug, clap::Subcommand)]
pub enum ReportCommand {
    Duty(duty::Duty),
    Balance(balance::Balance),
    Merge(merge::Merge),
}

impl ReportCommand {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Duty(command) => command.run(client).await,
            Self::Balance(command) => command.run(client).await,
            Self::Merge(command) => command.run(client),
        }
    }
}

/// When it was asked.
#[derive(Debug, clap::Args)]
pub(super) struct When {
    /// From the beginning of this day, UTC [default: whatever was asked first]
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<String>,
    /// To the end of this day, UTC [default: now]
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<String>,
}

impl When {
    /// The days in between, both included.
    pub fn period(&self) -> Result<Period, Failure> {
        let begins = |day: &str| {
            Timestamp::of_day(day).map_err(|_| {
                let fact = format!("`{day}` is not a day");
                Failure::new(WRONG, fact, "write it YYYY-MM-DD, as 2026-03-31")
            })
        };
        let since = self.since.as_deref().map(begins).transpose()?;
        let last = self.until.as_deref().map(begins).transpose()?;
        if let (Some(since), Some(last)) = (since, last)
            && last < since
        {
            let fact = "the period ends before it begins";
            return Err(Failure::new(WRONG, fact, "give --since the earlier day"));
        }
        let until = last.map(|last| Timestamp(last.0 + DAY));
        Ok(Period { since, until })
    }
}

/// A period as people name it: by its first day and its last.
fn days(period: &Period) -> String {
    let day = |at: Timestamp| {
        let text = at.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    };
    let last = |until: Timestamp| day(Timestamp(until.0.saturating_sub(1)));
    match (period.since.map(day), period.until.map(last)) {
        (None, None) => "everything until now".to_owned(),
        (Some(since), None) => format!("since {since}"),
        (None, Some(last)) => format!("until {last}"),
        (Some(since), Some(last)) => format!("{since} to {last}"),
    }
}

/// A member by name and code.
pub(super) fn called(name: Option<&String>, code: &OdsCode) -> String {
    match name {
        Some(name) => format!("{name} ({code})"),
        None => code.to_string(),
    }
}
