//! `fairshare withhold`

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fairshare_protocol::control::withholding::{
    ClosedService, ListWithheld, MAX_PEOPLE, Mask, Masked, MaskedService, Release, Whom, Withheld,
    WithheldPerson, WithheldReport, Withhold as Question,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::text::Line;

use super::person::{self, Person};
use crate::client::Client;
use crate::output::{Page, Tone, count, people};

/// People and services of whom nothing is shown
///
/// People who objected or are flagged sensitive, and services whose records stay closed. Nothing of
/// ours is shown of them to anybody, for any purpose, from the moment it is said; peers are told
/// that there is nothing to show, as of many others. They stand in no index made afterwards.
#[derive(Debug, clap::Subcommand)]
pub enum Withhold {
    Add(Add),
    List(List),
    Remove(Remove),
}

impl Withhold {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Add(command) => command.run(client).await,
            Self::List(command) => command.run(client).await,
            Self::Remove(command) => command.run(client).await,
        }
    }
}

/// Whom or what it is about.
#[derive(Debug, clap::Args)]
struct About {
    /// A service instead of a person: `system|code`, Organization/ and its ODS code or id, or
    /// HealthcareService/, Location/ or PractitionerRole/ and an id
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["nhs", "dob"])]
    service: Option<Line>,
    /// Name the person by the id of their Patient here: for somebody without a valid NHS number
    #[arg(long, conflicts_with_all = ["service", "nhs"])]
    local: bool,
    #[command(flatten)]
    person: Person,
}

impl About {
    fn whom(self) -> Result<Whom, Failure> {
        match self.local {
            true => local(&person::given(None, "id of their Patient")?),
            false => Ok(Whom::Person(self.person.read()?)),
        }
    }
}

/// Withhold people, or mask a service
///
/// The person is asked for, or read from two lines of standard input. Somebody not held here may be
/// withheld too: they are from the moment they come. Whom the organisation's own staff ask about,
/// they may ask as before; of ours nothing follows.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare withhold add --reason objection
  $ fairshare withhold add --reason sensitive --list people.txt
  $ fairshare withhold add --reason 'HIV clinic' --service Organization/RX1HV
  $ fairshare withhold add --reason 'fertility unit' --service 'https://example.nhs.uk/units|FERT'")]
pub struct Add {
    /// Why: objection, sensitive, or in other words; without anything that names somebody
    #[arg(long, value_name = "REASON")]
    reason: Line,
    /// Many people: a file with one a line, NHS number and date of birth with a comma between them
    /// (with --local: the id of their Patient); - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service", "nhs"])]
    list: Option<PathBuf>,
    #[command(flatten)]
    about: About,
}

impl Add {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        if let Some(service) = self.about.service {
            return mask(client, service, self.reason, true).await;
        }
        client.reach().await?;
        let people = match &self.list {
            Some(file) => listed(file, self.about.local)?,
            None => vec![self.about.whom()?],
        };
        let mut told = Withheld::default();
        for some in people.chunks(MAX_PEOPLE) {
            let question = Question {
                people: some.to_vec(),
                reason: self.reason.clone(),
            };
            let more = client.ask(question).await?;
            told.added += more.added;
            told.already += more.already;
            told.not_held += more.not_held;
        }
        client.output.answer(&told, |page| {
            page.line(format_args!(
                "{} withheld now, {} already were.",
                count(told.added),
                count(told.already)
            ));
            if told.not_held > 0 {
                page.line(format_args!(
                    "{} not held here: withheld from the moment they come.",
                    count(told.not_held)
                ));
            }
        });
        Ok(0)
    }
}

/// List who and what is withheld
///
/// People are named by the id of their Patient here, never by NHS number. That somebody looked is
/// journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare withhold list
  $ fairshare withhold list --json")]
pub struct List {}

impl List {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(ListWithheld {}).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

/// Withhold somebody, or mask a service, no more
///
/// Records are shown again at once; somebody who left an index is in the next.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare withhold remove --reason 'objection withdrawn'
  $ fairshare withhold remove --reason 'clinic closed' --service Organization/RX1HV")]
pub struct Remove {
    /// Why; without anything that names somebody
    #[arg(long, value_name = "REASON")]
    reason: Line,
    #[command(flatten)]
    about: About,
}

impl Remove {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let reason = self.reason;
        if let Some(service) = self.about.service {
            return mask(client, service, reason, false).await;
        }
        client.reach().await?;
        let whom = self.about.whom()?;
        let person = client.ask(Release { whom, reason }).await?;
        client.output.answer(&person, |page| {
            page.line(format_args!(
                "Withheld no more: {}, for the reason `{}` since {}.",
                named(&person),
                person.reason,
                person.at
            ));
        });
        Ok(0)
    }
}

async fn mask(client: &Client, service: Line, reason: Line, masked: bool) -> Result<u8, Failure> {
    let question = Mask {
        service,
        reason,
        masked,
    };
    let told = client.ask(question).await?;
    client.output.answer(&told, |page| {
        page.line(changed(&told));
        page.line(format_args!(
            "{} known through it, {} of them through nothing else that is open{}.",
            people_are(told.people),
            count(told.only_so),
            match told.masked {
                true => ": no new index has them",
                // Counted as it is now: others may have masked what they are known through.
                false => " and in no index; the others may be in the next",
            }
        ));
    });
    Ok(0)
}

fn changed(told: &Masked) -> String {
    let how = match (told.masked, told.already) {
        (true, true) => "was masked already; nothing changed",
        (true, false) => "is masked: its records stay home",
        (false, _) => "is masked no more",
    };
    format!("{} {how}.", told.service)
}

fn people_are(number: u64) -> String {
    let are = if number == 1 { "is" } else { "are" };
    format!("{} {are}", people(number))
}

fn named(person: &WithheldPerson) -> String {
    match person.local.is_empty() {
        true => "not held here".to_owned(),
        false => person.local.join(", "),
    }
}

fn show(page: &mut Page, report: &WithheldReport) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for person in &report.people {
        *reasons.entry(person.reason.as_str()).or_default() += 1;
    }
    let each = reasons
        .iter()
        .map(|(why, n)| format!("{why} {}", count(*n)));
    let each: Vec<_> = each.collect();
    page.line(match report.people.len() {
        0 => "Nobody is withheld.".to_owned(),
        all => format!("{} withheld: {}.", people_are(all as u64), each.join(", ")),
    });
    if !report.people.is_empty() {
        page.gap();
        let row = |person: &WithheldPerson| {
            let (why, since) = (person.reason.to_string(), person.at.to_string());
            vec![named(person), why, since, person.by.name.clone()]
        };
        let rows = report.people.iter().map(row).collect();
        page.table(&["PATIENT", "REASON", "SINCE", "BY"], rows);
    }
    if !report.services.is_empty() {
        page.gap();
        let row = |one: &MaskedService| {
            let (service, why) = (one.service.to_string(), one.reason.to_string());
            vec![service, why, one.at.to_string(), one.by.name.clone()]
        };
        let rows = report.services.iter().map(row).collect();
        page.table(&["MASKED SERVICE", "REASON", "SINCE", "BY"], rows);
    }
    page.gap();
    let rows = report.closed.iter().map(|one| closed(page, one)).collect();
    page.table(&["CLOSED UNTIL OPENED", "NOW", "KNOWN BY"], rows);
}

fn closed(page: &Page, one: &ClosedService) -> Vec<String> {
    let state = match one.opened {
        true => page.tone(Tone::Bad, "opened"),
        false => page.tone(Tone::Good, "closed"),
    };
    let codes = match one.codes.len() {
        0 => "no code: mask it with --service".to_owned(),
        1 => "1 code".to_owned(),
        more => format!("{more} codes"),
    };
    vec![one.service.to_string(), state, codes]
}

pub(super) fn local(text: &str) -> Result<Whom, Failure> {
    text.parse().map(Whom::Local).map_err(|_| {
        let fact = "not the id of a Patient";
        Failure::new(WRONG, fact, "give it as it was imported")
    })
}

/// The people of a list, one a line. Empty lines, and those that begin with #, are passed over.
fn listed(file: &Path, is_local: bool) -> Result<Vec<Whom>, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().lock().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| {
        let fact = format!("{}: {error}", file.display());
        Failure::new(WRONG, fact, "name a file of text, one person a line")
    })?;
    let mut people = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // An error names the line, never what stands in it.
        let one = match is_local {
            true => local(line),
            false => on_one_line(line).map(Whom::Person),
        };
        people.push(one.map_err(|failure| {
            let fact = format!("line {number}: {}; nobody was withheld", failure.fact);
            Failure::new(WRONG, fact, failure.remedy)
        })?);
    }
    if people.is_empty() {
        let fact = "nobody stands in the list";
        return Err(Failure::new(WRONG, fact, "write one person a line"));
    }
    Ok(people)
}

fn on_one_line(line: &str) -> Result<fairshare_protocol::index::key::IndexKey, Failure> {
    let cut = line.rsplit_once([',', ';', '\t', ' ']);
    let (nhs, born) = cut.ok_or_else(|| {
        let fact = "not an NHS number and a date of birth";
        let remedy = "write 999 000 1235, 1948-11-08: a comma between them";
        Failure::new(WRONG, fact, remedy)
    })?;
    person::key(nhs.trim_end_matches([',', ';', '\t', ' ']), born)
}
