//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use fairshare_protocol::control::Failure;

use crate::client::Client;
use crate::commands::{
    admissions, admit, ask, demo, federation, find, import, init, join, journal, matching, members,
    offer, peer, peers, received, run, status, terms, who_saw,
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
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log to stderr: error, warn, info, debug, trace or off [default: $FAIRSHARE_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. One file each in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work on this machine, with people who do not exist
    Demo(demo::Demo),
    /// Make a node for an organisation
    Init(Box<init::Init>),
    /// Found a federation, or show the one this node is in
    #[command(subcommand)]
    Federation(federation::Federation),
    /// Ask to join a federation, or enter it once admitted
    Join(join::Join),
    /// Who asks to be admitted
    Admissions(admissions::Admissions),
    /// Admit an organisation, as a steward
    Admit(admit::Admit),
    /// Who is a member
    Members(members::Members),
    /// What an organisation shows and needs
    #[command(subcommand)]
    Offer(offer::OfferCommand),
    /// What flows between this organisation and another
    Terms(terms::Terms),
    /// Run the node in the foreground, until it is told to stop
    Run(run::Run),
    /// Import FHIR files
    Import(import::Import),
    /// Find the people this node and its peers both hold
    Match(matching::Match),
    /// Who else holds a person
    Find(find::Find),
    /// Ask peers for their records of one person, and show ours in return
    Ask(ask::Ask),
    /// What peers have shown
    #[command(subcommand)]
    Received(received::Received),
    /// Who saw what of one person, when and why
    WhoSaw(who_saw::WhoSaw),
    /// How the node is
    Status(status::Status),
    /// How every peer is
    Peers(peers::Peers),
    /// How one peer is
    Peer(peer::Peer),
    /// Check the journal
    #[command(subcommand)]
    Journal(journal::Journal),
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
            Self::Members(command) => command.run(client).await,
            Self::Offer(command) => command.run(client).await,
            Self::Terms(command) => command.run(client).await,
            Self::Run(command) => command.run(client).await,
            Self::Import(command) => command.run(client).await,
            Self::Match(command) => command.run(client).await,
            Self::Find(command) => command.run(client).await,
            Self::Ask(command) => command.run(client).await,
            Self::Received(command) => command.run(client).await,
            Self::WhoSaw(command) => command.run(client).await,
            Self::Status(command) => command.run(client).await,
            Self::Peers(command) => command.run(client).await,
            Self::Peer(command) => command.run(client).await,
            Self::Journal(command) => command.run(client).await,
        }
    }

    /// What it logs unless told otherwise.
    pub const fn log(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
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
