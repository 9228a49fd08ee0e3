//! `fairshare index`

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use fairshare_protocol::control::index::{self, AdvertState, Audited, DrawSample};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::index::audit::finding::Finding;
use fairshare_protocol::index::audit::{self, Demand, Passed, Report, Shown, copied};
use fairshare_protocol::limits::AUDIT_SAMPLE;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;
use serde::Serialize;

use crate::client::Client;
use crate::output::{Page, Tone, bytes, count};
use crate::signing::wrong;

/// The largest report that is read, in bytes.
const MAX_REPORT: u64 = 64 * 1024 * 1024;

/// This organisation's advert, audited
#[derive(Debug, clap::Subcommand)]
pub enum IndexCommand {
    Audit(Audit),
    Check(Check),
    Export(Export),
}

impl IndexCommand {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
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
        let audited = client.ask(question).await?;
        client
            .output
            .answer(&audited, |page| show_audit(page, &audited));
        Ok(0)
    }
}

fn show_audit(page: &mut Page, audited: &Audited) {
    page.line(format_args!(
        "Opened {}.",
        sample(&audited.advert, &audited.opened)
    ));
    page.gap();
    show_sample(page, &audited.advert, &audited.opened);
    page.gap();
    let loud = page.tone(Tone::Bad, "NHS NUMBERS AND DATES OF BIRTH");
    page.line(format_args!(
        "{} holds {loud}. It is for the auditor beside you: keep it on the premises, and destroy \
         it when the audit is over.",
        audited.path.display()
    ));
    page.line("The auditor checks it with `fairshare index check`, and looks the people up.");
}

fn sample(advert: &AdvertState, opened: &Passed) -> String {
    format!(
        "{} of {} entries of the advert of {}, epoch {}, generation {}",
        count(opened.opened.into()),
        count(advert.entries.into()),
        advert.member,
        advert.epoch,
        advert.generation
    )
}

fn show_sample(page: &mut Page, advert: &AdvertState, opened: &Passed) {
    let mut fields = vec![
        ("signed", advert.made.to_string()),
        ("header", advert.header.to_string()),
        ("people", count(opened.people.into())),
        ("canaries", count(opened.canaries.into())),
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

/// Check an audit's report
///
/// Needs no running node with --advert and --key: a copy of the advert as `fairshare index export`
/// writes it, best at another member, and the member's node key as `fairshare members --json` says
/// it there. Without them the auditor's own node gives its copy. The seed is the auditor's, never
/// the report's. Exits 0 if every entry opens, 3 if not.
///
/// A proof shows that an entry is that person's. That the person is real the patient system shows:
/// --people lists whom to look up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare index check report.json --seed 'dice 4 1 6 3 3 2'
  $ fairshare index check report.json --seed 'dice 4 1 6 3 3 2' --advert rh8.advert --key 5f0c…")]
pub struct Check {
    /// The report
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    #[command(flatten)]
    demanded: Demanded,
    /// A copy of the advert [default: that of the node at home]
    #[arg(long, value_name = "FILE", requires = "key")]
    advert: Option<PathBuf>,
    /// The node key that must have signed the advert
    #[arg(long, value_name = "HEX", requires = "advert")]
    key: Option<PublicKey>,
    /// List the people of the sample, to be looked up: prints NHS numbers and dates of birth
    #[arg(long)]
    people: bool,
}

/// What a check says.
#[derive(Debug, Serialize)]
struct Verdict {
    /// Whether all is in order.
    passed: bool,
    /// The advert of the auditor's copy; none if the copy is not in order.
    advert: Option<AdvertState>,
    /// What was opened, if all is in order.
    opened: Option<Passed>,
    /// What is not in order.
    finding: Option<Found>,
    /// Who audited, and when the report was made, as the report says.
    auditor: Line,
    at: Timestamp,
}

/// A finding, for screens.
#[derive(Debug, Serialize)]
struct Found {
    code: &'static str,
    position: Option<u32>,
    fact: String,
}

impl Check {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = read_report(&self.report)?;
        let demand = Demand {
            seed: self.demanded.seed,
            sample: self.demanded.sample,
        };
        let copy = match (&self.advert, &self.key) {
            (Some(path), Some(key)) => read_copy(path, key, &demand)?,
            _ => ask_for_copy(client, &report, &demand).await?,
        };
        let (advert, checked) = match copy {
            Err(finding) => (None, Err(finding)),
            Ok((signed, entries)) => (
                signed.peek().ok().map(|it| AdvertState::of(&signed, &it)),
                audit::check(&report, &demand, &signed, &entries),
            ),
        };
        let verdict = Verdict {
            passed: checked.is_ok(),
            advert,
            opened: checked.as_ref().ok().cloned(),
            finding: checked.err().map(|finding| Found {
                code: finding.code(),
                position: finding.position(),
                fact: finding.to_string(),
            }),
            auditor: report.auditor.clone(),
            at: report.at,
        };
        client.output.answer(&verdict, |page| {
            show_verdict(page, &verdict);
            if self.people {
                show_people(page, &report);
            }
        });
        Ok(if verdict.passed { 0 } else { REFUSED })
    }
}

fn read_report(path: &Path) -> Result<Report, Failure> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        let mut bounded = BufReader::new(file).take(MAX_REPORT);
        bounded.read_to_string(&mut text)
    });
    read.map_err(|error| {
        let remedy = "name the file that `fairshare index audit` wrote";
        Failure::new(WRONG, format!("{shown}: {error}"), remedy)
    })?;
    serde_json::from_str(&text).map_err(|error| {
        // Where it is damaged, and nothing of what it holds.
        let (line, column) = (error.line(), error.column());
        let fact =
            format!("{shown} is no audit report, or damaged at line {line}, column {column}");
        Failure::new(
            WRONG,
            fact,
            "name the file that `fairshare index audit` wrote",
        )
    })
}

fn read_copy(
    path: &Path,
    key: &PublicKey,
    demand: &Demand,
) -> Result<Result<copied::Copied, Finding>, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| wrong(format!("{shown}: {error}")))?;
    copied::read(&mut BufReader::new(file), key, demand)
        .map_err(|error| wrong(format!("{shown}: {error}")))
}

/// The auditor's own node's copy of the advert the report is about.
async fn ask_for_copy(
    client: &Client,
    report: &Report,
    demand: &Demand,
) -> Result<Result<copied::Copied, Finding>, Failure> {
    let header = report.header.peek();
    let header = header.map_err(|_| wrong(Finding::Format))?;
    let question = DrawSample {
        member: header.member,
        seed: demand.seed.clone(),
        sample: demand.sample,
    };
    let sample = client.ask(question).await?;
    let signed = audit::header(&sample.header, &sample.node);
    Ok(signed.map(|_| (sample.header, sample.entries.into_iter().collect())))
}

fn show_verdict(page: &mut Page, verdict: &Verdict) {
    if let Some(found) = &verdict.finding {
        let word = page.tone(Tone::Bad, "NOT in order");
        page.line(format_args!("The audit is {word}: {}.", found.fact));
    } else {
        let word = page.tone(Tone::Good, "in order");
        page.line(format_args!(
            "The audit is {word}: every entry drawn opens."
        ));
    }
    page.gap();
    match (&verdict.advert, &verdict.opened) {
        (Some(advert), Some(opened)) => {
            page.line(format_args!("{}.", sample(advert, opened)));
            page.gap();
            show_sample(page, advert, opened);
            page.gap();
            page.line(
                "Now look the people up in the patient system: a proof does not show that somebody \
                 is real.",
            );
        }
        (Some(advert), None) => page.fields(&[
            ("advert of", advert.member.to_string()),
            (
                "epoch",
                format!("{}, generation {}", advert.epoch, advert.generation),
            ),
            ("signed", advert.made.to_string()),
            ("header", advert.header.to_string()),
        ]),
        (None, _) => page.line("The copy of the advert is to blame, not the report."),
    }
}

fn show_people(page: &mut Page, report: &Report) {
    let people = report.openings.iter().filter_map(|opening| {
        let Shown::Person(person) = &opening.shown else {
            return None;
        };
        let local: Vec<_> = person.local.iter().map(|id| plain(id.expose())).collect();
        Some(vec![
            opening.position.to_string(),
            plain(person.nhs.expose()),
            plain(person.born.expose()),
            local.join(", "),
        ])
    });
    page.gap();
    page.table(
        &["ENTRY", "NHS NUMBER", "BORN", "PATIENT ID"],
        people.collect(),
    );
}

/// The report's word as it may stand on a screen.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(64).collect()
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

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let fact = format!("{}: {error}", path.display());
        Failure::new(WRONG, fact, "name a file in a directory that is there")
    })
}
