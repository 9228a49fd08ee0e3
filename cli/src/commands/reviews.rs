//! `fairshare reviews`

use fairshare_protocol::control::reviews::{
    CloseReviews, ListReviews, ReviewItem, ReviewsReport, Which,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::exchange::review::Side;
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::text::Line;

use crate::client::Client;
use crate::output::{Page, Tone, lasting};

/// Emergencies, looked at afterwards
///
/// Whoever asks in an emergency is answered at once; both sides review it afterwards. Each emergency
/// opens a review here, whether we asked or were asked and whatever the answer was. It stays open
/// until a named person closes it, and is overdue after 72 hours.
#[derive(Debug, clap::Subcommand)]
pub enum Reviews {
    List(List),
    Close(Close),
}

impl Reviews {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::List(command) => command.run(client).await,
            Self::Close(command) => command.run(client).await,
        }
    }
}

/// List the emergencies that are to be reviewed, the oldest first
///
/// People are named by the id of their Patient here, never by NHS number. That somebody looked is
/// journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare reviews list
  $ fairshare reviews list --all
  $ fairshare reviews list --json")]
pub struct List {
    /// Those that are closed too, with who closed them and what they found
    #[arg(long)]
    all: bool,
}

impl List {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let which = if self.all { Which::All } else { Which::Open };
        let report = client.ask(ListReviews { which }).await?;
        client
            .output
            .answer(&report, |page| show(page, which, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, which: Which, report: &ReviewsReport) {
    if report.reviews.is_empty() {
        page.line(match which {
            Which::Open => "No emergency waits to be reviewed.",
            Which::All => "There has been no emergency.",
        });
        return;
    }
    let mut head = vec![
        "EXCHANGE", "WHAT", "WHO", "PATIENT", "REASON", "OPENED", "REVIEW",
    ];
    if which == Which::All {
        head.push("FOUND");
    }
    let rows = report.reviews.iter().map(|review| {
        let mut row = row(page, review, report);
        if which == Which::All {
            let note = review.closed.as_ref().map(|closed| closed.note.to_string());
            row.push(note.unwrap_or_else(|| "-".to_owned()));
        }
        row
    });
    let rows = rows.collect();
    page.table(&head, rows);
}

fn row(page: &Page, review: &ReviewItem, report: &ReviewsReport) -> Vec<String> {
    let what = match review.side {
        Side::Asked => format!("we asked {}", review.peer),
        Side::Answered => format!("{} asked us", review.peer),
    };
    let who = match review.user.role.as_str() {
        "" => review.user.name.clone(),
        role => format!("{} ({role})", review.user.name),
    };
    let patient = match review.local.is_empty() {
        true => "not held here".to_owned(),
        false => review.local.join(", "),
    };
    let state = match &review.closed {
        Some(closed) => format!("closed {} by {}", closed.at, closed.by.name),
        None if review.is_overdue(report.now) => {
            let since = lasting(report.now.since(review.due));
            page.tone(Tone::Bad, &format!("overdue for {since}"))
        }
        None => format!("due in {}", lasting(review.due.since(report.now))),
    };
    vec![
        review.exchange.short(),
        what,
        who,
        patient,
        review.reason.to_string(),
        review.opened.to_string(),
        state,
    ]
}

/// Close reviews, with what was found
///
/// Only somebody the node's config names under `users` closes a review. Who closed it and what
/// they found is journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare reviews close 6f1c9e0b --note 'an emergency: the ambulance record agrees'
  $ fairshare reviews close 6f1c9e0b 81d2a07c --note 'not one: the ward manager has been told'")]
pub struct Close {
    /// The exchanges, or how each begins
    #[arg(value_name = "EXCHANGE", required = true)]
    exchanges: Vec<String>,
    /// What was found; without anything that names a patient
    #[arg(long, value_name = "TEXT")]
    note: Line,
}

impl Close {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let exchanges = named(client, &self.exchanges).await?;
        let note = self.note;
        let closed = client.ask(CloseReviews { exchanges, note }).await?;
        client.output.answer(&closed, |page| {
            for review in &closed {
                let (peer, user) = (&review.peer, &review.user.name);
                page.line(match review.side {
                    Side::Asked => format!("Closed: {user} asked {peer}."),
                    Side::Answered => format!("Closed: {user} at {peer} asked us."),
                });
            }
        });
        Ok(0)
    }
}

/// The exchanges that are named, or whose names begin so and no other open review's does.
async fn named(client: &Client, all: &[String]) -> Result<Vec<ExchangeId>, Failure> {
    let whole: Result<Vec<_>, _> = all.iter().map(|begins| begins.parse()).collect();
    if let Ok(whole) = whole {
        return Ok(whole);
    }
    let which = Which::Open;
    let listed = client.ask(ListReviews { which }).await?.reviews;
    let mut found = Vec::new();
    for begins in all {
        let exchanges = listed.iter().map(|review| review.exchange);
        let mut exchanges: Vec<_> = exchanges
            .filter(|exchange| exchange.to_string().starts_with(begins))
            .collect();
        exchanges.dedup();
        let [exchange] = exchanges[..] else {
            let number = if exchanges.is_empty() {
                "no"
            } else {
                "more than one"
            };
            let fact = format!("{number} open review is of an exchange that begins `{begins}`");
            let remedy = "`fairshare reviews list` shows those that are open";
            return Err(Failure::new(WRONG, fact, remedy));
        };
        found.push(exchange);
    }
    Ok(found)
}
