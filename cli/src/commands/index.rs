//! `fairshare index`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{self, AdvertState, Audited};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::index::audit::{self, Passed};
use fairshare_protocol::limits::AUDIT_SAMPLE;
use fairshare_protocol::text::Line;

use crate::client::{Client, absolute};
use crate::output::{Page, Tone, bytes, count};

mod check;
mod own;

/// This organisation's index: its advert and batches, audited
#[derive(Debug, clap::Subcommand)]
pub enum IndexCommand {
    Show(own::Show),
    Make(own::Make),
    Audit(Audit),
    Check(check::Check),
    Export(Export),
}

impl IndexCommand {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Show(command) => command.run(client).await,
            Self::Make(command) => command.run(client).await,
            Self::Audit(command) => command.run(client).await,
            Self::Check(command) => command.run(client).await,
            Self::Export(command) => command.run(client).await,
        }
    }
}

/// What the auditor demands; the same for the report and its check.
#[derive(Debug, clap::Args)]
struct Demanded {
    /// What the auditor chose, and told only after the advert was made: a throw of dice, say
    #[arg(long, value_name = "TEXT")]
    seed: Line,
    /// How many entries; 300 find 1 % false ones with 95 %
    #[arg(long, value_name = "NUMBER", default_value_t = AUDIT_SAMPLE)]
    sample: u32,
}

/// Open a sample of this organisation's advert to an auditor
///
/// For an auditor who stands beside the operator. Entries drawn from the auditor's seed are opened:
/// as a person's, with a proof that the advert's key made it, or as a canary. The report is a new
/// file of mode 0600. It holds NHS NUMBERS AND DATES OF BIRTH, which the auditor compares with the
/// patient system: keep it on the premises, and destroy it afterwards. Who audited is journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare index audit --seed 'dice 4 1 6 3 3 2' --auditor 'A. Moss, Devon ICB' --out report.json
  $ fairshare index audit --seed 'dice 4 1 6' --sample 3000 --auditor 'A. Moss' --out report.json")]
pub struct Audit {
    #[command(flatten)]
    demanded: Demanded,
    /// Who audits: name and organisation, for the journal and the report
    #[arg(long, value_name = "NAME")]
    auditor: Line,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Audit {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let question = index::Audit {
            seed: self.demanded.seed,
            sample: self.demanded.sample,
            auditor: self.auditor,
            to: absolute(&self.out)?,
        };
        let demanded = question.sample;
        let audited = client.ask(question).await?;
        client
            .output
            .answer(&audited, |page| show_audit(page, &audited, demanded));
        Ok(0)
    }
}

fn show_audit(page: &mut Page, audited: &Audited, demanded: u32) {
    page.line(format_args!(
        "Opened {}.",
        sample(&audited.advert, &audited.opened, demanded)
    ));
    page.gap();
    let batches = match audited.not_opened {
        (0, _) => "none since the advert".to_owned(),
        (number, entries) => format!(
            "{} since, of {} entries, not opened: {ALONE}",
            count(number.into()),
            count(entries.into())
        ),
    };
    show_sample(page, &audited.advert, &audited.opened, batches);
    page.gap();
    let loud = page.tone(Tone::Bad, "NHS NUMBERS AND DATES OF BIRTH");
    page.line(format_args!(
        "{} holds {loud}. It is for the auditor beside you: keep it on the premises, and destroy \
         it when the audit is over.",
        audited.path.display()
    ));
    page.line("The auditor checks it with `fairshare index check`, and looks the people up.");
}

/// What an audit covers.
const ALONE: &str = "an audit opens the advert alone";

fn sample(advert: &AdvertState, opened: &Passed, demanded: u32) -> String {
    let all = match demanded > advert.entries {
        true => format!(", which is all: {} were demanded", count(demanded.into())),
        false => String::new(),
    };
    format!(
        "{} of {} entries of the advert of {}, epoch {}, generation {}{all}",
        count(opened.opened.into()),
        count(advert.entries.into()),
        advert.member,
        advert.epoch,
        advert.generation
    )
}

fn show_sample(page: &mut Page, advert: &AdvertState, opened: &Passed, batches: String) {
    let mut fields = vec![
        ("signed", advert.made.to_string()),
        ("header", advert.header.to_string()),
        ("people", count(opened.people.into())),
        ("canaries", count(opened.canaries.into())),
        ("batches", batches),
        ("finds", finds(advert, opened.opened)),
    ];
    if opened.gone > 0 {
        let note = "without a Patient here now; nobody leaves an advert inside an epoch";
        fields.push((
            "held no more",
            format!("{} {note}", count(opened.gone.into())),
        ));
    }
    page.fields(&fields);
}

/// What a sample of this size would have found.
fn finds(advert: &AdvertState, opened: u32) -> String {
    let chance = |hundred: u32| {
        let bad = advert.entries.div_ceil(hundred);
        let percent = 100.0 * audit::chance(advert.entries, opened, bad);
        // Never said to be more certain than it is.
        format!("{:.1} %", (percent * 10.0).floor() / 10.0)
    };
    format!(
        "1 false entry in 100 with {}, 1 in 1,000 with {}",
        chance(100),
        chance(1000)
    )
}

/// Write an advert into a file, as every peer has it
///
/// For an auditor without a node: signed header and entries, which tell nothing of anybody to whom
/// does not know the key. The file is new, of mode 0600.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare index export --peer RH8 --out rh8.advert
  $ fairshare index export --out ours.advert")]
pub struct Export {
    /// The advert of this member, as it was fetched [default: our own]
    #[arg(long, value_name = "CODE")]
    peer: Option<OdsCode>,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Export {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let question = index::ExportAdvert {
            member: self.peer,
            to: absolute(&self.out)?,
        };
        let written = client.ask(question).await?;
        client.output.answer(&written, |page| {
            let (path, size) = (written.path.display(), bytes(written.bytes));
            page.line(format_args!("wrote {path}: {size}"));
            page.gap();
            let advert = &written.advert;
            page.fields(&[
                ("advert of", advert.member.to_string()),
                (
                    "epoch",
                    format!("{}, generation {}", advert.epoch, advert.generation),
                ),
                ("entries", count(advert.entries.into())),
                ("signed", advert.made.to_string()),
                ("header", advert.header.to_string()),
                ("node key", written.node.to_string()),
            ]);
        });
        Ok(0)
    }
}
