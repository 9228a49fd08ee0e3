//! `fairshare status`

use fairshare_protocol::control::index::Places;
use fairshare_protocol::control::node::{self, Accounts, ReviewsState, StatusReport};
use fairshare_protocol::control::{DEGRADED, Failure};

use crate::client::Client;
use crate::output::{Page, Tone, ago, bytes, count, lasting, people};

/// How the node is
///
/// Exits 0 if all is well, 1 if something needs attention, 2 if no node is running. A peer that is not
/// connected needs attention after a minute: nodes are started again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare status
  $ fairshare status --json")]
pub struct Status {}

impl Status {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask_running(node::Status {}).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(if report.problems.is_empty() {
            0
        } else {
            DEGRADED
        })
    }
}

fn show(page: &mut Page, report: &StatusReport) {
    let now = report.now;
    let never = || "never".to_owned();
    let state = match report.problems.len() {
        0 => page.tone(Tone::Good, "healthy"),
        1 => page.tone(Tone::Bad, "1 problem"),
        n => page.tone(Tone::Bad, &format!("{n} problems")),
    };
    let federation = report.federation.as_ref();
    let holdings = &report.holdings;
    let imported = holdings.imported.map_or_else(never, |at| ago(now, at));
    let journal = &report.journal;
    page.line(format_args!(
        "{} {}, {}: {state}",
        report.member, report.name, report.kind
    ));
    page.gap();
    let reviews = reviews(page, report.reviews);
    page.fields(&[
        (
            "federation",
            federation.map_or_else(
                || "none yet".to_owned(),
                |it| match it.standing.as_str() {
                    "waiting" => format!("{}, waiting to be admitted", it.name),
                    standing => format!("{}, {standing}", it.name),
                },
            ),
        ),
        (
            "running",
            format!(
                "for {}, version {}",
                lasting(now.since(report.started)),
                report.version
            ),
        ),
        ("listening", list(&report.listening)),
        (
            "peers",
            format!("{} of {} connected", report.connected, report.peers),
        ),
        (
            "people",
            format!(
                "{}, {} of them with a valid NHS number and date of birth",
                count(holdings.people),
                count(holdings.indexable)
            ),
        ),
        ("index", index(holdings.places)),
        (
            "records",
            format!("{}, last import {imported}", count(holdings.records)),
        ),
        ("received", format!("{} bundles", count(holdings.received))),
        (
            "journal",
            format!(
                "{} entries, head {}, checked {}",
                count(journal.entries),
                journal.head.short(),
                ago(now, journal.verified)
            ),
        ),
        (
            "last exchange",
            report.last_exchange.map_or_else(never, |at| ago(now, at)),
        ),
        ("stops", stops(report.stops)),
        ("accounts", accounts(&report.accounts)),
        ("reviews", reviews),
        (
            "disk",
            format!(
                "{} used, {} free, {} {}",
                bytes(report.disk.used),
                bytes(report.disk.free),
                bytes(report.disk.reserve.size),
                match report.disk.reserve.held {
                    true => "kept for care when it is full",
                    false => "kept for care given back",
                }
            ),
        ),
    ]);
    for problem in &report.problems {
        page.gap();
        let fact = page.tone(Tone::Bad, &problem.fact);
        page.line(format_args!("! {fact}"));
        page.line(format_args!("  try: {}", problem.remedy));
    }
}

/// How much is not shown by an operator's word, in words.
fn stops(number: u64) -> String {
    match number {
        0 => "nothing is stopped".to_owned(),
        n => format!(
            "{} stand: `fairshare stops` says what is not shown",
            count(n)
        ),
    }
}

/// How the accounts with peers stand, in words.
fn accounts(accounts: &Accounts) -> String {
    let Accounts {
        peers,
        below,
        paused,
        overdue,
    } = accounts;
    if *peers == 0 {
        return "none yet".to_owned();
    }
    let mut text = format!("with {} peers", count(*peers));
    text += &match (below, paused) {
        (0, _) => ", even".to_owned(),
        (below, 0) => format!(", {} below 95 %", count(*below)),
        (below, paused) => format!(", {} below 95 %, bulk paused with {paused}", count(*below)),
    };
    if *overdue > 0 {
        text += &format!(", {} exchanges overdue to be settled", count(*overdue));
    }
    text
}

fn reviews(page: &Page, reviews: ReviewsState) -> String {
    let open = match reviews.open {
        0 => "none open".to_owned(),
        more => format!("{} open", count(more)),
    };
    match reviews.overdue {
        0 => open,
        more => page.tone(Tone::Bad, &format!("{open}, {} overdue", count(more))),
    }
}

fn index(places: Option<Places>) -> String {
    let Some(places) = places else {
        return "being counted".to_owned();
    };
    let mut text = format!(
        "{} in it, {} waiting",
        people(places.indexed),
        count(places.waiting)
    );
    if places.withheld > 0 {
        text += &format!(", {} withheld", count(places.withheld));
    }
    text
}

fn list(addresses: &[String]) -> String {
    if addresses.is_empty() {
        return "nowhere".to_owned();
    }
    addresses.join(", ")
}
