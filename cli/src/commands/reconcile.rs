//! `fairshare reconcile`

use std::time::Duration;

use fairshare_protocol::category::Category;
use fairshare_protocol::control::reconcile::{
    self, Outlook, ReconcileReport, RoundReport, RoundState, Wish,
};
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED};
use fairshare_protocol::ids::OdsCode;

use crate::client::Client;
use crate::output::{Page, Tone, count, people};

/// Show a peer what is new of everybody both look after, and be shown the same
///
/// One person at a time: what one side shows is matched by what the other shows, and neither is ever
/// more than one person ahead. Only people who are active on both sides are in a round, and only
/// what both offers have in common for `shared-care`. A round that is broken off goes on by itself.
/// Whatever becomes of it, everything in it can be asked for person by person.
///
/// Exits 0 if everybody's turn came, 1 if it was broken off, 3 if one side did not want to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare reconcile L83024 --dry-run
  $ fairshare reconcile L83024
  $ fairshare reconcile L83024 --call-off")]
pub struct Reconcile {
    /// With this member
    #[arg(value_name = "CODE")]
    peer: OdsCode,
    /// Only say who would be in a round, and what would move
    #[arg(long, conflicts_with = "call_off")]
    dry_run: bool,
    /// Call off the round under way
    #[arg(long)]
    call_off: bool,
}

impl Reconcile {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let wish = match (self.dry_run, self.call_off) {
            (true, _) => Wish::Look,
            (_, true) => Wish::CallOff,
            _ => Wish::Run,
        };
        let peer = self.peer;
        let report = client
            .ask_running(reconcile::Reconcile { peer, wish })
            .await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(match &report.round {
            None => 0,
            Some(round) => match round.state {
                RoundState::Done | RoundState::NothingNew => 0,
                RoundState::BrokenOff | RoundState::Failed => DEGRADED,
                RoundState::Declined => REFUSED,
            },
        })
    }
}

fn show(page: &mut Page, report: &ReconcileReport) {
    let with = format!("{} ({})", report.name, report.peer);
    match (&report.outlook, &report.round) {
        (Some(outlook), _) => show_outlook(page, report, &with, outlook),
        (_, Some(round)) => show_round(page, report, &with, round),
        _ => page.line(format_args!("The round with {with} is called off.")),
    }
}

fn show_outlook(page: &mut Page, report: &ReconcileReport, with: &str, outlook: &Outlook) {
    page.line(format_args!(
        "A round with {with} would be about those of {} active here whom they look after too.",
        people(outlook.active)
    ));
    page.gap();
    page.fields(&[
        ("linked", count(outlook.linked)),
        ("active here", count(outlook.active)),
        ("with news here", count(outlook.news)),
        ("we show", words(&report.shows)),
        ("they show", words(&report.takes)),
    ]);
}

fn show_round(page: &mut Page, report: &ReconcileReport, with: &str, round: &RoundReport) {
    let took = Duration::from_millis(report.ms).as_secs_f64();
    match round.state {
        RoundState::Done => page.line(format_args!(
            "{} we and {with} have shown each other everything new of {}.",
            page.tone(Tone::Good, "Done:"),
            people(round.people.into())
        )),
        RoundState::NothingNew => {
            page.line(format_args!("Nothing is new between us and {with}."));
            return;
        }
        _ => {
            let why = round.why.as_deref().unwrap_or_default();
            let state = match round.state {
                RoundState::BrokenOff => "Broken off, and goes on by itself:",
                RoundState::Declined => "Not now:",
                _ => "Over before its end:",
            };
            let state = page.tone(Tone::Bad, state);
            page.line(format_args!("{state} {why}."));
        }
    }
    if round.people == 0 {
        return;
    }
    page.gap();
    let rate = f64::from(round.received) / took.max(0.001);
    let mut fields = vec![
        ("people", count(round.people.into())),
        ("shown", count(round.shown.into())),
        ("received", count(round.received.into())),
        (
            "took",
            format!("{took:.1} s, {rate:.0} people a second each way"),
        ),
    ];
    if round.quarantined > 0 {
        fields.push(("quarantined", count(round.quarantined.into())));
    }
    page.fields(&fields);
}

fn words(categories: &[Category]) -> String {
    if categories.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<_> = categories.iter().map(|category| category.word()).collect();
    words.join(", ")
}
