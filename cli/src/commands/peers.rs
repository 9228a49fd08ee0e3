//! `fairshare peers`

use fairshare_protocol::control::node::{self, Connection, PeerReport};
use fairshare_protocol::control::{DEGRADED, Failure};

use crate::client::Client;
use crate::output::{ago, count};

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
                "LAST EXCHANGE",
                "ERRORS",
            ];
            page.table(&head, peers.iter().map(row).collect());
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
        peer.last_exchange.map_or_else(none, age),
        count(peer.errors.len() as u64),
    ]
}

/// Connected, or why not.
pub fn connection(peer: &PeerReport) -> String {
    match &peer.connection {
        Connection::Up => "connected".to_owned(),
        Connection::Down(why) => why.clone(),
    }
}
