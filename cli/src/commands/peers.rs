//! `fairshare peers`

use fairshare_protocol::control::ledger::AccountState;
use fairshare_protocol::control::node::{self, Connection, PeerReport, Problem};
use fairshare_protocol::control::{DEGRADED, Failure};
use fairshare_protocol::ledger::ladder::Rung;

use crate::client::Client;
use crate::output::{Page, Tone, ago, count};

/// How every peer is
///
/// Exits 0 if all that take part are connected, 1 if one is not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare peers
  $ fairshare peers --json")]
pub struct Peers {}

impl Peers {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let peers = client.ask_running(node::Peers {}).await?;
        client.output.answer(&peers, |page| {
            if peers.is_empty() {
                page.line("No peers yet: this node is in no federation, or alone in it.");
                return;
            }
            let head = [
                "CODE",
                "NAME",
                "ROSTER",
                "CONNECTION",
                "SINCE",
                "INDEX",
                "LINKS",
                "COVERAGE",
                "LAST EXCHANGE",
                "ANSWERED",
                "LADDER",
                "ERRORS",
            ];
            page.table(&head, peers.iter().map(row).collect());
            for problem in peers.iter().flat_map(|peer| &peer.problems) {
                page.gap();
                show_problem(page, problem);
            }
        });
        let up = |peer: &PeerReport| !peer.takes_part || peer.connection == Connection::Up;
        Ok(if peers.iter().all(up) { 0 } else { DEGRADED })
    }
}

fn row(peer: &PeerReport) -> Vec<String> {
    let age = |at| ago(peer.now, at);
    let none = || "-".to_owned();
    vec![
        peer.code.to_string(),
        peer.name.clone(),
        peer.roster.clone(),
        connection(peer),
        peer.since.map_or_else(none, age),
        peer.index
            .as_ref()
            .map_or_else(none, |index| age(index.made)),
        peer.links.map_or_else(none, count),
        peer.coverage
            .filter(|coverage| coverage.named > 0)
            .map_or_else(none, |it| {
                format!("{} of {}", count(it.linked), count(it.named))
            }),
        peer.last_exchange.map_or_else(none, age),
        peer.account.as_ref().map_or_else(none, answered),
        peer.account.as_ref().map_or_else(none, ladder),
        count(peer.errors.len() as u64),
    ]
}

/// What is not as it should be, and what to do.
pub fn show_problem(page: &mut Page, problem: &Problem) {
    let fact = page.tone(Tone::Bad, &problem.fact);
    page.line(fact);
    page.line(format_args!("  try: {}", problem.remedy));
}

/// How many of our requests it answered in time.
fn answered(account: &AccountState) -> String {
    match account.asked {
        (0, _) => "-".to_owned(),
        (asked, answered) => format!("{} of {}", count(answered), count(asked)),
    }
}

/// The higher of the two steps of the ladder, and whose it is.
fn ladder(account: &AccountState) -> String {
    let (theirs, ours) = (account.their_step.rung, account.our_step.rung);
    match (theirs, ours) {
        (Rung::Even, Rung::Even) => Rung::Even.to_string(),
        _ if ours > theirs => format!("we: {ours}"),
        _ => theirs.to_string(),
    }
}

/// Connected, or why not.
pub fn connection(peer: &PeerReport) -> String {
    match &peer.connection {
        Connection::Up => "connected".to_owned(),
        Connection::Down(why) => why.clone(),
    }
}
