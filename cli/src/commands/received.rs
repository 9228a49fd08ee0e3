//! `fairshare received`

use std::path::PathBuf;

use fairshare_protocol::control::exchange::{self, ReceivedBundle};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::ExchangeId;

use super::ask::by_category;
use super::person::Person;
use crate::client::Client;
use crate::output::{bytes, count};

/// What peers have shown
#[derive(Debug, clap::Subcommand)]
pub enum Received {
    /// List the bundles received, newest first
    List(List),
    /// Show what is in one bundle
    Show(Show),
    /// Write one bundle as a FHIR Bundle with its provenance
    Export(Export),
}

impl Received {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::List(command) => command.run(client).await,
            Self::Show(command) => command.run(client).await,
            Self::Export(command) => command.run(client).await,
        }
    }
}

/// List the bundles received, newest first
///
/// Received bundles are kept apart from this node's own records and never shown on. Lists those of
/// everybody; with --nhs and --dob, or --person to be asked for them, those about one person.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received list
  $ fairshare received list --person")]
pub struct List {
    /// About one person only, who is asked for
    #[arg(long)]
    person: bool,
    #[command(flatten)]
    given: Person,
}

impl List {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let person = match self.person {
            true => Some(self.given.read()?),
            false => self.given.read_given()?,
        };
        let bundles = client.ask(exchange::ListReceived { person }).await?;
        client.output.answer(&bundles, |page| {
            if bundles.is_empty() {
                page.line("Nothing has been received.");
                return;
            }
            let head = [
                "EXCHANGE", "FROM", "RECEIVED", "PURPOSE", "", "RECORDS", "FILES", "SIZE",
            ];
            page.table(&head, bundles.iter().map(row).collect());
        });
        Ok(0)
    }
}

fn row(bundle: &ReceivedBundle) -> Vec<String> {
    let note = match (bundle.quarantined, bundle.in_return) {
        (true, _) => "quarantine",
        (_, true) => "in return",
        _ => "asked for",
    };
    vec![
        bundle.exchange.to_string(),
        bundle.from.to_string(),
        bundle.at.to_string(),
        bundle.purpose.to_string(),
        note.to_owned(),
        count(bundle.records.values().map(|n| u64::from(*n)).sum()),
        count(bundle.attachments.into()),
        bytes(bundle.bytes),
    ]
}

/// Show what is in one bundle
///
/// That somebody looked is journaled first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received show 6f1c9e0b7a5d4c3e8f2a1b0c9d8e7f60")]
pub struct Show {
    /// The exchange it came in
    #[arg(value_name = "EXCHANGE")]
    exchange: ExchangeId,
}

impl Show {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let exchange = self.exchange;
        let shown = client.ask(exchange::ShowReceived { exchange }).await?;
        client.output.answer(&shown, |page| {
            let bundle = &shown.bundle;
            page.fields(&[
                ("from", bundle.from.to_string()),
                ("received", bundle.at.to_string()),
                ("as of", bundle.as_of.to_string()),
                ("purpose", bundle.purpose.to_string()),
                ("records", by_category(&bundle.records)),
            ]);
            page.gap();
            let items = shown.items.iter().map(|item| {
                vec![
                    item.category
                        .map_or("-", |category| category.word())
                        .to_owned(),
                    item.kind.clone(),
                    item.id.clone(),
                    bytes(item.bytes),
                ]
            });
            page.table(&["CATEGORY", "TYPE", "ID", "SIZE"], items.collect());
        });
        Ok(0)
    }
}

/// Write one bundle as a FHIR Bundle with its provenance
///
/// Every record stands in it byte for byte as its author had it; attachments are Binary resources.
/// The file is new, of mode 0600, and holds patient data in the clear: keep it where that may be.
/// That somebody exported is journaled first. Exits 3 for a bundle in quarantine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received export 6f1c9e0b7a5d4c3e8f2a1b0c9d8e7f60 --to bundle.json")]
pub struct Export {
    /// The exchange it came in
    #[arg(value_name = "EXCHANGE")]
    exchange: ExchangeId,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Export {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let to = std::path::absolute(&self.to).map_err(|error| {
            let fact = format!("{}: {error}", self.to.display());
            Failure::new(WRONG, fact, "name a file in a directory that is there")
        })?;
        let exchange = self.exchange;
        let written = client
            .ask(exchange::ExportReceived { exchange, to })
            .await?;
        client.output.answer(&written, |page| {
            let (path, size) = (written.path.display(), bytes(written.bytes));
            page.line(format_args!(
                "wrote {path}: {size}, {}",
                by_category(&written.records)
            ));
        });
        Ok(0)
    }
}
