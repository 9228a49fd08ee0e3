//! `fairshare peer`

use fairshare_protocol::control::node::{self, Connection, PeerReport};
use fairshare_protocol::control::{DEGRADED, Failure};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::ladder::{Rung, Step};

use super::peers::{connection, show_problem};
use super::standing::word;
use crate::client::Client;
use crate::output::{Page, Tone, ago, count};

/// How one peer is
///
/// Exits 0 if it is connected, 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare peer L83024
  $ fairshare peer L83024 --json")]
pub struct Peer {
    /// The peer's ODS code
    #[arg(value_name = "CODE")]
    code: OdsCode,
}

impl Peer {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let peer = client.ask_running(node::Peer { code: self.code }).await?;
        client.output.answer(&peer, |page| show(page, &peer));
        let up = peer.connection == Connection::Up;
        Ok(if up { 0 } else { DEGRADED })
    }
}

fn show(page: &mut Page, peer: &PeerReport) {
    let now = peer.now;
    let never = || "never".to_owned();
    let tone = match peer.connection {
        Connection::Up => Tone::Good,
        Connection::Down(_) => Tone::Bad,
    };
    let state = page.tone(tone, &connection(peer));
    let since = peer
        .since
        .map(|at| format!(" since {at} ({})", ago(now, at)));
    let index = peer.index.as_ref().map_or_else(
        || "not fetched yet".to_owned(),
        |it| {
            let (epoch, generation) = (it.epoch, it.generation);
            let entries = count(it.entries);
            let age = ago(now, it.made);
            format!("{entries} entries, made {age}, epoch {epoch}, generation {generation}")
        },
    );
    let links = peer
        .links
        .map_or_else(|| "not matched yet".to_owned(), count);
    let matched = peer.matched.map(|at| format!(", proven {}", ago(now, at)));
    page.line(format_args!(
        "{} {}, {}: {state}",
        peer.code, peer.name, peer.kind
    ));
    page.gap();
    page.fields(&[
        ("roster", peer.roster.clone()),
        (
            "connection",
            format!("{}{}", connection(peer), since.unwrap_or_default()),
        ),
        (
            "addresses",
            match peer.addresses.is_empty() {
                true => "none: it dials, we wait".to_owned(),
                false => peer.addresses.join(", "),
            },
        ),
        ("index", index),
        ("links", links + &matched.unwrap_or_default()),
        ("coverage", coverage(peer)),
        (
            "last exchange",
            peer.last_exchange.map_or_else(never, |at| ago(now, at)),
        ),
        ("stops", stops(&peer.stops)),
        ("answers", answers(peer)),
        ("ladder", ladder(peer)),
    ]);
    for problem in &peer.problems {
        page.gap();
        show_problem(page, problem);
    }
    if !peer.errors.is_empty() {
        page.gap();
        let rows = peer.errors.iter();
        let rows = rows.map(|error| vec![ago(now, error.at), error.what.clone()]);
        page.table(&["WHEN", "ERROR"], rows.collect());
    }
}

/// What is not shown to it by an operator's word.
fn stops(numbers: &[u64]) -> String {
    if numbers.is_empty() {
        return "nothing is stopped".to_owned();
    }
    let each: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    format!(
        "{}: `fairshare stops` says what is not shown",
        each.join(", ")
    )
}

/// How the two answer each other, in words.
fn answers(peer: &PeerReport) -> String {
    let Some(account) = &peer.account else {
        return "nothing asked yet, either way".to_owned();
    };
    let (asked, answered) = account.asked;
    let (of_us, by_us) = account.asked_of_us;
    format!(
        "it answered {} of {} in 90 days, we {} of {}",
        count(answered),
        count(asked),
        count(by_us),
        count(of_us)
    )
}

/// Where the two stand on the ladder, in words.
fn ladder(peer: &PeerReport) -> String {
    let Some(account) = &peer.account else {
        return word(Step::EVEN);
    };
    match (account.their_step.rung, account.our_step.rung) {
        (Rung::Even, Rung::Even) => word(Step::EVEN),
        (Rung::Even, _) => format!("we are {}", word(account.our_step)),
        (_, Rung::Even) => format!("it is {}", word(account.their_step)),
        _ => format!(
            "it is {}; we are {}",
            word(account.their_step),
            word(account.our_step)
        ),
    }
}

/// How many of those whose record names the peer are linked, in words.
fn coverage(peer: &PeerReport) -> String {
    let Some(coverage) = peer.coverage else {
        return "not known yet: it is being counted, or waits for the next match".to_owned();
    };
    match coverage.percent() {
        None => "nobody's record here names it".to_owned(),
        Some(percent) => format!(
            "{} of {} people whose record here names it are linked ({percent} %)",
            count(coverage.linked),
            count(coverage.named)
        ),
    }
}
