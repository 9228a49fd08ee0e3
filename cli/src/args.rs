//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use fairshare_protocol::control::Failure;

use crate::client::Client;
use crate::commands::{
    admissions, admit, ask, demo, dispute, federation, find, guide, import, index, init, join,
    journal, leave, ledger, matching, members, notices, offer, peer, peers, received, reconcile,
    report, reviews, run, standing, status, steward, stop, terms, verify, who_saw, withhold,
};

/// Show ours, show yours: health and care organisations share the records of the people they both
/// look after.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done or healthy, 1 degraded, 2 wrong use or unreachable, \
                        3 refused or deferred."
)]
pub struct Args {
    /// The node's home directory [default: $FAIRSHARE_HOME, else ~/.fairshare, or
    /// /var/lib/fairshare for root]
    #[arg(long, global = true, display_order = 900, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true, display_order = 901)]
    pub json: bool,
    /// What to log to stderr: error, warn, info, debug, trace or off [default: $FAIRSHARE_LOG]
    #[arg(long, global = true, display_order = 902, value_name = "LEVEL")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. One file each in `commands/`, and there what the help says of it.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Init(Box<init::Init>),
    #[command(subcommand)]
    Federation(federation::Federation),
    Join(join::Join),
    Admissions(admissions::Admissions),
    Admit(admit::Admit),
    Leave(leave::Leave),
    #[command(subcommand)]
    Steward(steward::Steward),
    Members(members::Members),
    #[command(subcommand)]
    Offer(offer::OfferCommand),
    Terms(terms::Terms),
    Run(run::Run),
    Import(import::Import),
    Match(matching::Match),
    #[command(subcommand)]
    Index(index::IndexCommand),
    Find(find::Find),
    Ask(ask::Ask),
    Reconcile(reconcile::Reconcile),
    #[command(subcommand)]
    Received(received::Received),
    WhoSaw(who_saw::WhoSaw),
    #[command(subcommand)]
    Notices(notices::Notices),
    #[command(subcommand)]
    Reviews(reviews::Reviews),
    #[command(subcommand)]
    Withhold(withhold::Withhold),
    Stop(stop::Stop),
    Stops(stop::Stops),
    Resume(stop::Resume),
    Status(status::Status),
    Peers(peers::Peers),
    Peer(peer::Peer),
    Ledger(ledger::Ledger),
    Dispute(dispute::Dispute),
    Release(dispute::Release),
    Verify(verify::Verify),
    Standing(standing::ShowStandings),
    #[command(subcommand)]
    Report(report::ReportCommand),
    #[command(subcommand)]
    Journal(journal::Journal),
    Guide(guide::Guide),
}

impl Command {
    /// Does it; gives the exit code.
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Demo(command) => command.run(client).await,
            Self::Init(command) => command.run(client),
            Self::Federation(command) => command.run(client).await,
            Self::Join(command) => command.run(client).await,
            Self::Admissions(command) => command.run(client).await,
            Self::Admit(command) => command.run(client).await,
            Self::Leave(command) => command.run(client).await,
            Self::Steward(command) => command.run(client).await,
            Self::Members(command) => command.run(client).await,
            Self::Offer(command) => command.run(client).await,
            Self::Terms(command) => command.run(client).await,
            Self::Run(command) => command.run(client).await,
            Self::Import(command) => command.run(client).await,
            Self::Match(command) => command.run(client).await,
            Self::Index(command) => command.run(client).await,
            Self::Find(command) => command.run(client).await,
            Self::Ask(command) => command.run(client).await,
            Self::Reconcile(command) => command.run(client).await,
            Self::Received(command) => command.run(client).await,
            Self::WhoSaw(command) => command.run(client).await,
            Self::Notices(command) => command.run(client).await,
            Self::Reviews(command) => command.run(client).await,
            Self::Withhold(command) => command.run(client).await,
            Self::Stop(command) => command.run(client).await,
            Self::Stops(command) => command.run(client).await,
            Self::Resume(command) => command.run(client).await,
            Self::Status(command) => command.run(client).await,
            Self::Peers(command) => command.run(client).await,
            Self::Peer(command) => command.run(client).await,
            Self::Ledger(command) => command.run(client).await,
            Self::Dispute(command) => command.run(client).await,
            Self::Release(command) => command.run(client).await,
            Self::Verify(command) => command.run(client),
            Self::Standing(command) => command.run(client).await,
            Self::Report(command) => command.run(client).await,
            Self::Journal(command) => command.run(client).await,
            Self::Guide(command) => command.run(client),
        }
    }

    /// What it logs unless told otherwise.
    pub const fn log(&self) -> &'static str {
        match self {
            Self::Run(_) => "info,libp2p_swarm=warn",
            _ => "warn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_examples() {
        Args::command().debug_assert();
        let mut command = Args::command();
        command.build();
        let mut left: Vec<_> = command.get_subcommands().collect();
        while let Some(one) = left.pop() {
            if one.get_name() == "help" {
                continue;
            }
            left.extend(one.get_subcommands());
            let examples = one.get_after_help().map(ToString::to_string);
            let has = examples.is_some_and(|text| text.contains("$ fairshare "));
            let group = one.get_subcommands().next().is_some();
            assert!(has || group, "{}: --help has no example", one.get_name());
        }
    }
}
