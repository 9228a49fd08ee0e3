//! `fairshare import`

use std::path::PathBuf;
use std::time::Duration;

use fairshare_protocol::control::import::{self as asked, Changes, ImportReport, Rejection};
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};

use crate::client::Client;
use crate::output::{Page, Tone, bytes, count, many};

/// Refusals shown one by one; `--json` lists more.
const SHOWN: usize = 20;

/// Import FHIR files
///
/// Takes FHIR R4 in JSON: Bundles (transaction, batch, collection, searchset, document), single
/// resources, Bulk Data NDJSON, plain or gzip, and directories of them. What a file is, is told by
/// its content. Nothing is visible before the end, and an import that is stopped leaves nothing.
/// Importing the same thing twice changes nothing; a changed resource becomes its new version.
///
/// A person needs a valid NHS number and a full date of birth to be found by others; who has not is
/// stored all the same, and named below by local id. Exits 0 if all was taken, 1 if something was
/// rejected or an attachment is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare import exports/2026-11-23
  $ fairshare import Patient.ndjson.gz Condition.ndjson.gz --server https://ehr.example.nhs.uk/fhir")]
pub struct Import {
    /// Files and directories
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Address of the server that was exported, if the files refer to it by absolute URLs
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<String>,
}

impl Import {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let mut paths = Vec::new();
        for path in self.paths {
            let absolute = std::path::absolute(&path).map_err(|error| {
                let fact = format!("{}: {error}", path.display());
                Failure::new(WRONG, fact, "name a file or directory that is there")
            })?;
            paths.push(absolute);
        }
        let servers = self.servers;
        let report = client.ask(asked::Import { paths, servers }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(if report.is_clean() { 0 } else { DEGRADED })
    }
}

fn show(page: &mut Page, report: &ImportReport) {
    let what = match report.import {
        Some(number) => page.tone(Tone::Good, &format!("import {number} done")),
        None => "nothing new".to_owned(),
    };
    let took = Duration::from_millis(report.ms);
    let files = &report.files;
    page.line(format_args!(
        "{what}: {}, {}, in {:.1} s",
        many(
            files.taken + files.attachments + files.refused,
            "file",
            "files"
        ),
        bytes(files.bytes),
        took.as_secs_f64()
    ));
    page.gap();
    let row = |name: &str, changes: &Changes| {
        let counts = [
            changes.new,
            changes.changed,
            changes.unchanged,
            changes.held,
        ];
        let mut cells = vec![name.to_owned()];
        cells.extend(counts.map(count));
        cells
    };
    let rows = vec![
        row("records", &report.records),
        row("supporting", &report.supporting),
    ];
    page.table(&["WHAT", "NEW", "CHANGED", "UNCHANGED", "HELD NOW"], rows);
    page.gap();
    let people = &report.people;
    let attachments = &report.attachments;
    let mut fields = vec![
        (
            "people",
            format!(
                "{} held, {} of them can be in the index; {} new",
                count(people.held),
                count(people.indexable),
                count(people.new)
            ),
        ),
        (
            "files",
            format!(
                "{} taken, {} kept as attachments, {} refused",
                count(files.taken),
                count(files.attachments),
                count(files.refused)
            ),
        ),
        (
            "attachments",
            format!(
                "{} inside records, {} from files, {} left at other servers, {} missing, {} damaged",
                count(attachments.inline),
                count(attachments.taken),
                count(attachments.remote),
                count(attachments.missing),
                count(attachments.damaged)
            ),
        ),
    ];
    if report.repeated > 0 {
        let repeated = format!("{} resources; the last one counts", count(report.repeated));
        fields.push(("given twice", repeated));
    }
    page.fields(&fields);
    not_indexed(page, report);
    rejected(page, report);
    let problems = &report.attachment_problems;
    list(
        page,
        "MISSING OR DAMAGED ATTACHMENTS",
        problems,
        attachments.missing + attachments.damaged,
    );
}

fn not_indexed(page: &mut Page, report: &ImportReport) {
    let all = &report.not_indexable;
    if all.is_empty() {
        return;
    }
    page.gap();
    let rows = all.iter().take(SHOWN);
    let rows = rows.map(|one| vec![one.id.clone(), one.reason.clone()]);
    page.table(&["NEVER IN THE INDEX", "WHY"], rows.collect());
    more(page, all.len() as u64);
}

fn rejected(page: &mut Page, report: &ImportReport) {
    if report.rejected == 0 {
        return;
    }
    page.gap();
    page.line(page.tone(Tone::Bad, &format!("{} rejected", count(report.rejected))));
    let causes = report.causes.iter();
    let causes = causes.map(|(cause, number)| vec![cause.clone(), count(*number)]);
    page.table(&["CAUSE", "HOW MANY"], causes.collect());
    list(
        page,
        "REJECTED",
        &report.rejections,
        report.rejections.len() as u64,
    );
}

fn list(page: &mut Page, title: &str, all: &[Rejection], total: u64) {
    if all.is_empty() {
        return;
    }
    page.gap();
    let rows = all.iter().take(SHOWN).map(|one| {
        let place = one
            .place
            .map(|place| format!(", {place}"))
            .unwrap_or_default();
        let resource = one.resource.clone().unwrap_or_default();
        vec![format!("{}{place}", one.file), resource, one.reason.clone()]
    });
    page.table(&[title, "RESOURCE", "WHY"], rows.collect());
    more(page, total);
}

fn more(page: &mut Page, total: u64) {
    let left = total.saturating_sub(SHOWN as u64);
    if left > 0 {
        let text = format!("and {} more; `--json` lists up to 1,000", count(left));
        page.line(page.tone(Tone::Quiet, &text));
    }
}
