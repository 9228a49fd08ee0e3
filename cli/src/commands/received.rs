//! `fairshare received`

use std::path::PathBuf;

use fairshare_protocol::control::disputes::TakeReleased;
use fairshare_protocol::control::exchange::{self, Fate, Filing, Note, ReceivedBundle, Which, Why};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;

use super::ask::by_category;
use super::person::Person;
use crate::client::{Client, absolute};
use crate::output::{bytes, count};

/// What peers have shown
///
/// It is kept apart from this node's own records, never shown on, and erased after its time (12
/// months, or `keep_days` under `copies` in config.toml) unless somebody files it.
#[derive(Debug, clap::Subcommand)]
pub enum Received {
    List(List),
    Show(Show),
    Export(Export),
    File(File),
    Erase(Erase),
    Open(Open),
}

impl Received {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::List(command) => command.run(client).await,
            Self::Show(command) => command.run(client).await,
            Self::Export(command) => command.run(client).await,
            Self::File(command) => command.run(client).await,
            Self::Erase(command) => command.run(client).await,
            Self::Open(command) => command.run(client).await,
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
  $ fairshare received list --person
  $ fairshare received list --all")]
pub struct List {
    /// Those that were erased too
    #[arg(long)]
    all: bool,
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
        let which = if self.all { Which::All } else { Which::Held };
        let bundles = client.ask(exchange::ListReceived { person, which }).await?;
        client.output.answer(&bundles, |page| {
            if bundles.is_empty() {
                page.line(match which {
                    Which::Held => "Nothing that was received is here.",
                    Which::All => "Nothing has been received.",
                });
                return;
            }
            let head = [
                "EXCHANGE", "FROM", "RECEIVED", "PURPOSE", "HOW", "RECORDS", "FILES", "SIZE",
                "KEPT",
            ];
            page.table(&head, bundles.iter().map(row).collect());
        });
        Ok(0)
    }
}

fn row(bundle: &ReceivedBundle) -> Vec<String> {
    let how = match bundle {
        bundle if bundle.quarantined => "quarantine",
        bundle if bundle.notice => "notice",
        bundle if bundle.in_return => "in return",
        _ => "asked",
    };
    let records = count(bundle.records.values().map(|n| u64::from(*n)).sum());
    let records = match bundle.corrected {
        0 => records,
        some => format!("{records}, {} corrected", count(some.into())),
    };
    vec![
        bundle.exchange.short(),
        bundle.from.to_string(),
        bundle.at.to_string(),
        bundle.purpose.to_string(),
        how.to_owned(),
        records,
        count(bundle.attachments.into()),
        bytes(bundle.bytes),
        match &bundle.fate {
            Fate::Expires(then) => format!("until {}", day(*then)),
            Fate::Filed(filing) => format!("for good, by {}", filing.by.name),
            Fate::Erased(erasure) => format!("erased {}", day(erasure.at)),
        },
    ]
}

/// The day, in UTC.
fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// The exchange that is named, or whose name begins so and no other's does.
async fn named(client: &Client, begins: &str) -> Result<ExchangeId, Failure> {
    if let Ok(exchange) = begins.parse() {
        return Ok(exchange);
    }
    let question = exchange::ListReceived {
        person: None,
        which: Which::All,
    };
    let listed = client.ask(question).await?;
    let found = listed.iter().map(|bundle| bundle.exchange);
    let mut found = found.filter(|exchange| exchange.to_string().starts_with(begins));
    match (found.next(), found.next()) {
        (Some(exchange), None) => Ok(exchange),
        (several, _) => {
            let number = several.map_or("nothing", |_| "more than one bundle");
            let fact = format!("{number} was received in an exchange that begins `{begins}`");
            let remedy = "`fairshare received list` shows what was";
            Err(Failure::new(WRONG, fact, remedy))
        }
    }
}

/// Show what is in one bundle
///
/// That somebody looked is journaled first. Of a bundle that was erased it says when and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received show 6f1c9e0b")]
pub struct Show {
    /// The exchange it came in, or how it begins
    #[arg(value_name = "EXCHANGE")]
    exchange: String,
}

impl Show {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let exchange = named(client, &self.exchange).await?;
        let shown = client.ask(exchange::ShowReceived { exchange }).await?;
        client.output.answer(&shown, |page| {
            let bundle = &shown.bundle;
            page.fields(&[
                ("from", bundle.from.to_string()),
                ("received", bundle.at.to_string()),
                ("as of", bundle.as_of.to_string()),
                ("purpose", bundle.purpose.to_string()),
                ("records", by_category(&bundle.records)),
                ("kept", fate(&bundle.fate)),
            ]);
            page.gap();
            if let Fate::Erased(erasure) = &bundle.fate {
                page.line(format_args!(
                    "Erased at {}: {}. Its key was deleted, then its file: nothing of it can be \
                     shown any more. The journal says the same.",
                    erasure.at,
                    why(&erasure.why)
                ));
                return;
            }
            let items = shown.items.iter().map(|item| {
                vec![
                    item.category
                        .map_or("-", |category| category.word())
                        .to_owned(),
                    item.kind.clone(),
                    item.id.clone(),
                    bytes(item.bytes),
                    item.note.as_ref().map(note).unwrap_or_default(),
                ]
            });
            let noted = shown.items.iter().any(|item| item.note.is_some());
            let mut head = vec!["CATEGORY", "TYPE", "ID", "SIZE"];
            let mut items: Vec<_> = items.collect();
            match noted {
                true => head.push("SINCE"),
                false => items.iter_mut().for_each(|row| drop(row.pop())),
            }
            page.table(&head, items);
        });
        Ok(0)
    }
}

/// What a notice says of a record.
fn note(note: &Note) -> String {
    match note {
        Note::Corrects(why) => format!("{why}: what was received before does not hold"),
        Note::Since {
            exchange,
            at,
            why: Some(why),
        } => format!("{why}, says {} of {at}", exchange.short()),
        Note::Since { exchange, at, .. } => format!("amended in {} of {at}", exchange.short()),
    }
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Expires(then) => format!("until {}, unless it is filed", day(*then)),
        Fate::Filed(Filing { by, at, reason }) => {
            format!(
                "for good: filed by {} ({}) at {at}: {reason}",
                by.name, by.role
            )
        }
        Fate::Erased(erasure) => format!("no longer, since {}", erasure.at),
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::Expired => "it had been here for its time, and nobody had filed it".to_owned(),
        Why::Wanted { by, reason } => format!("by {} ({}): {reason}", by.name, by.role),
    }
}

/// Write one bundle as a FHIR Bundle with its provenance
///
/// Every record stands in it byte for byte as its author had it; attachments are Binary resources.
/// Records that a later notice corrects are left out, and it says which notice has them.
/// The file is new, of mode 0600, and holds patient data in the clear: keep it where that may be.
/// That somebody exported is journaled first. Exits 3 for a bundle in quarantine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received export 6f1c9e0b --to bundle.json")]
pub struct Export {
    /// The exchange it came in, or how it begins
    #[arg(value_name = "EXCHANGE")]
    exchange: String,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Export {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let to = absolute(&self.to)?;
        let exchange = named(client, &self.exchange).await?;
        let written = client
            .ask(exchange::ExportReceived { exchange, to })
            .await?;
        client.output.answer(&written, |page| {
            let (path, size) = (written.path.display(), bytes(written.bytes));
            page.line(format_args!(
                "wrote {path}: {size}, {}",
                by_category(&written.records)
            ));
            if !written.corrected.is_empty() {
                let by = written.corrected.iter().map(ExchangeId::short);
                page.line(format_args!(
                    "Left out: records that were corrected since; what holds came in {}.",
                    by.collect::<Vec<_>>().join(", ")
                ));
            }
        });
        Ok(0)
    }
}

/// Open a bundle of a round whose key its author released again
///
/// FILE is what the author wrote with `fairshare release`, whoever brought it. The bundle lies here
/// since its round; it is opened, checked and filed as it would have been there. Exits 3 if the key is
/// for another node or another bundle.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received open key.json")]
pub struct Open {
    /// The file with the key
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Open {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let file = absolute(&self.file)?;
        let bundle = client.ask(TakeReleased { file }).await?;
        client.output.answer(&bundle, |page| {
            let (exchange, from) = (&bundle.exchange, &bundle.from);
            page.line(match bundle.quarantined {
                false => format!("Opened what {from} showed in exchange {exchange}."),
                true => format!("In quarantine: what {from} showed is about another person."),
            });
            page.line(by_category(&bundle.records));
        });
        Ok(if bundle.quarantined { REFUSED } else { 0 })
    }
}

/// Keep one bundle for good
///
/// What is received is erased after its time; what is filed stays until somebody erases it. Only
/// somebody the node's config names under `users` files. Who filed it and why is journaled. Exits 3
/// for a bundle in quarantine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received file 6f1c9e0b --reason 'part of the record of this admission'")]
pub struct File {
    /// The exchange it came in, or how it begins
    #[arg(value_name = "EXCHANGE")]
    exchange: String,
    /// Why; without anything that names a patient
    #[arg(long, value_name = "TEXT")]
    reason: Line,
}

impl File {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let exchange = named(client, &self.exchange).await?;
        let reason = self.reason;
        let filed = client
            .ask(exchange::FileReceived { exchange, reason })
            .await?;
        client.output.answer(&filed, |page| {
            let records = by_category(&filed.records);
            page.line(format_args!(
                "Filed: {records} of {}. It stays until somebody erases it.",
                filed.from
            ));
        });
        Ok(0)
    }
}

/// Erase one bundle
///
/// Its key is deleted, then its file: nothing of it can be shown any more, here or from a copy of the
/// file. What it was, who erased it and why stays in the journal. Only somebody the node's config
/// names under `users` erases. The member that showed it has its own records as before.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare received erase 6f1c9e0b --reason 'no longer under our care'")]
pub struct Erase {
    /// The exchange it came in, or how it begins
    #[arg(value_name = "EXCHANGE")]
    exchange: String,
    /// Why; without anything that names a patient
    #[arg(long, value_name = "TEXT")]
    reason: Line,
}

impl Erase {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let exchange = named(client, &self.exchange).await?;
        let reason = self.reason;
        let erased = client
            .ask(exchange::EraseReceived { exchange, reason })
            .await?;
        client.output.answer(&erased, |page| {
            let records = by_category(&erased.records);
            page.line(format_args!("Erased: {records} of {}.", erased.from));
        });
        Ok(0)
    }
}
