//! `fairshare verify`

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::SystemTime;

use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::dispute::{self, Bundle, Dispute, Lack};
use fairshare_protocol::ids::FederationId;
use fairshare_protocol::ledger::balance;
use fairshare_protocol::ledger::export::{self, Export};
use fairshare_protocol::time::{Period, Timestamp};
use serde::de::DeserializeOwned;

use super::ledger::show_export;
use super::report::{self, merge};
use crate::client::Client;
use crate::output::{Page, Tone, bytes};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024 * 1024;

/// Check a file somebody gave you: an exported ledger or balance, or a dispute
///
/// Needs no node, no network and no home: the file holds the charter and the statements by which
/// everything in it is checked. Compare the federation's id with what you know of it, or give it with
/// --federation. Exits 3 if the file is not in order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare verify l83024.ledger
  $ fairshare verify complaint.json --federation 5f0c…")]
pub struct Verify {
    /// What `fairshare ledger --export`, `report balance --export` or `dispute` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The federation it must be of, as `fairshare federation show` gives it [default: any, and named]
    #[arg(long, value_name = "HEX")]
    federation: Option<FederationId>,
}

/// What every such file begins with.
#[derive(serde::Deserialize)]
pub(super) struct Head {
    pub(super) format: String,
}

impl Verify {
    pub fn run(self, client: &Client) -> Result<u8, Failure> {
        let now: Timestamp = SystemTime::now().into();
        let path = &self.file;
        let head: Head = read(path, REMEDY)?;
        if head.format == dispute::FORMAT {
            let checked = read::<Dispute>(path, REMEDY)?.check(now);
            let checked = checked.map_err(|bad| self.bad(&bad.to_string()))?;
            self.is_of(&checked.federation, &checked.name)?;
            client
                .output
                .answer(&checked, |page| show_dispute(page, &checked));
        } else if head.format == export::FORMAT {
            let checked = read::<Export>(path, REMEDY)?.check(now);
            let checked = checked.map_err(|bad| self.bad(&bad.to_string()))?;
            self.is_of(&checked.federation, &checked.name)?;
            client
                .output
                .answer(&checked, |page| show_export(page, &checked));
        } else if head.format == balance::FORMAT {
            let table = merge::table(slice::from_ref(path), Period::default())?;
            self.is_of(&table.federation, &table.name)?;
            let report = report::balance::told(&table);
            client.output.answer(&table, |page| report.show(page));
        } else {
            return Err(another_kind(path, &head, REMEDY));
        }
        Ok(0)
    }

    fn is_of(&self, federation: &FederationId, name: &str) -> Result<(), Failure> {
        match self.federation.filter(|it| it != federation) {
            None => Ok(()),
            Some(_) => Err(self.bad(&format!(
                "it is of another federation: {name} ({federation})"
            ))),
        }
    }

    fn bad(&self, why: &str) -> Failure {
        Failure::new(
            REFUSED,
            format!("{} is NOT in order: {why}", self.file.display()),
            "keep the file as evidence, and ask for another, from either side",
        )
    }
}

const REMEDY: &str = "name the file that `fairshare ledger --export`, `fairshare report balance \
                      --export` or `fairshare dispute` wrote";

/// That a file begins as others do.
pub(super) fn another_kind(path: &Path, head: &Head, remedy: &str) -> Failure {
    let format: String = head.format.chars().take(40).collect();
    let format: String = format.chars().filter(|c| !c.is_control()).collect();
    let fact = format!("{} is a file of another kind: {format}", path.display());
    Failure::new(WRONG, fact, remedy)
}

/// What a file holds that somebody gave us.
pub(super) fn read<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<T, Failure> {
    let shown = path.display();
    let file = File::open(path)
        .map_err(|error| Failure::new(WRONG, format!("{shown}: {error}"), remedy))?;
    let bounded = BufReader::new(file).take(MAX_FILE);
    serde_json::from_reader(bounded).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let fact = format!("{shown} is no such file, or damaged at line {line}, column {column}");
        Failure::new(WRONG, fact, remedy)
    })
}

/// What a dispute shows.
pub(super) fn show_dispute(page: &mut Page, checked: &dispute::Checked) {
    let dispute::Checked { by, against, .. } = checked;
    let what = match checked.lack {
        Lack::Answer => format!("{by} asked {against}, and holds no answer."),
        Lack::Bundle => format!("{against} promised {by} a bundle, which did not come whole."),
        Lack::Key => format!("{by} holds a bundle of {against}; it says that its key never came."),
        Lack::Readable => {
            format!("{by} holds a bundle of {against}; it says that its key opens none.")
        }
        Lack::Receipt => format!("{by} showed {against} a bundle, and holds no receipt for it."),
        Lack::Nothing => format!("{by} lacks nothing: what {against} promised was done."),
    };
    let tone = match checked.lack {
        Lack::Nothing => Tone::Good,
        _ => Tone::Bad,
    };
    page.line(page.tone(tone, &what));
    page.gap();
    let bundle = |bundle: &Bundle| match (bundle.committed, bundle.opened, bundle.held) {
        (None, ..) => "not committed to".to_owned(),
        (_, Some(Verdict::Opened), _) => format!("{}, opened", bytes(bundle.size)),
        (_, Some(Verdict::WrongPerson), _) => {
            format!("{}, about another person", bytes(bundle.size))
        }
        (_, None, true) => format!("{}, held, not opened", bytes(bundle.size)),
        _ => format!("{}, committed to", bytes(bundle.size)),
    };
    let (theirs, ours) = (format!("bundle of {against}"), format!("bundle of {by}"));
    let mut fields = vec![
        ("federation", checked.name.clone()),
        ("federation id", checked.federation.to_string()),
        ("exchange", checked.exchange.to_string()),
    ];
    if let Some(round) = checked.round {
        fields.push(("round", round.to_string()));
    }
    fields.push(("complained", checked.at.to_string()));
    fields.push((&theirs, bundle(&checked.theirs)));
    fields.push((&ours, bundle(&checked.ours)));
    page.fields(&fields);
    page.gap();
    let rows = checked.said.iter().map(|said| {
        vec![
            said.by.to_string(),
            said.what.clone(),
            said.at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            said.statement.short(),
        ]
    });
    page.table(&["SIGNED BY", "WHAT", "WHEN", "STATEMENT"], rows.collect());
}
