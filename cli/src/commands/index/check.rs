//! `fairshare index check`

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use fairshare_protocol::control::index::{AdvertState, DrawSample};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::PublicKey;
use fairshare_protocol::index::audit::finding::Finding;
use fairshare_protocol::index::audit::{self, Demand, Passed, Report, Shown, copied};
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;
use serde::Serialize;

use super::{ALONE, Demanded, sample, show_sample};
use crate::client::Client;
use crate::output::{Page, Tone};
use crate::signing::wrong;

/// The largest report that is read, in bytes.
const MAX_REPORT: u64 = 64 * 1024 * 1024;

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
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
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
            show_verdict(page, &verdict, demand.sample);
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
    client.reach().await.map_err(|failure| {
        let remedy = "give a copy with --advert and its member's node key with --key, or name the \
                      home of a node that has one with --home";
        Failure::new(WRONG, failure.fact, remedy)
    })?;
    let question = DrawSample {
        member: header.member,
        seed: demand.seed.clone(),
        sample: demand.sample,
    };
    let sample = client.ask(question).await?;
    let signed = audit::header(&sample.header, &sample.node);
    Ok(signed.map(|_| (sample.header, sample.entries.into_iter().collect())))
}

fn show_verdict(page: &mut Page, verdict: &Verdict, demanded: u32) {
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
            page.line(format_args!("{}.", sample(advert, opened, demanded)));
            page.gap();
            show_sample(page, advert, opened, format!("not opened: {ALONE}"));
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
