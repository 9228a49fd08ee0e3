//! `fairshare ledger`

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fairshare_protocol::control::ledger::{self, LedgerReport, Unsettled};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::{FederationId, OdsCode};
use fairshare_protocol::ledger::export::{ChainReport, Checked, Export};

use crate::client::Client;
use crate::output::{Page, Tone, ago, bytes, count};
use crate::signing::wrong;

/// The largest exported ledger that is read, in bytes.
const MAX_EXPORT: u64 = 4 * 1024 * 1024 * 1024;

/// The account with a peer, signed by both
///
/// Each side writes a chain of signed pages that quote the other's; an exchange is settled when both
/// chains name the same signed statements. --verify checks every page again; --export writes both
/// chains into a new file of mode 0600, without patient data, that anybody can check with --check,
/// without a node, knowing only the federation's id. Exits 0 if all is in order, 1 if the ledger here
/// is not, 3 if a checked file is not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare ledger L83024
  $ fairshare ledger L83024 --verify
  $ fairshare ledger L83024 --export l83024.ledger
  $ fairshare ledger --check l83024.ledger --federation 5f0c…")]
pub struct Ledger {
    /// The peer's ODS code
    #[arg(value_name = "PEER", required_unless_present = "check")]
    peer: Option<OdsCode>,
    /// Check every page: signatures, order, quotes, counts
    #[arg(long)]
    verify: bool,
    /// Write all of it into this file; there must be none yet
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Check a file that --export wrote, here or anywhere
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peer", "verify", "export"])]
    check: Option<PathBuf>,
    /// The federation it must be of, as `fairshare federation show` gives it [default: any, and named]
    #[arg(long, value_name = "HEX", requires = "check")]
    federation: Option<FederationId>,
}

impl Ledger {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        if let Some(path) = &self.check {
            return check(client, path, self.federation);
        }
        // clap sees to it that there is one.
        let Some(peer) = self.peer else {
            return Err(wrong("no peer is named"));
        };
        let export = self.export.as_deref().map(std::path::absolute).transpose();
        let export = export.map_err(|error| wrong(format!("the file to write: {error}")))?;
        let question = ledger::Ledger {
            peer,
            verify: self.verify,
            export,
        };
        let report = client.ask(question).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn check(client: &Client, path: &Path, federation: Option<FederationId>) -> Result<u8, Failure> {
    let export = read(path)?;
    let checked = export.check(SystemTime::now().into());
    let checked = checked.map_err(|bad| bad.to_string()).and_then(|checked| {
        match federation.filter(|it| *it != checked.federation) {
            None => Ok(checked),
            Some(_) => Err(format!(
                "it is of another federation: {} ({})",
                checked.name, checked.federation
            )),
        }
    });
    match checked {
        Ok(checked) => {
            client.output.answer(&checked, |page| {
                let order = page.tone(Tone::Good, "in order");
                page.line(format_args!(
                    "The ledger of {} with {} is {order}.",
                    checked.by, checked.with
                ));
                page.gap();
                show_checked(page, &checked);
            });
            Ok(0)
        }
        Err(bad) => Err(Failure::new(
            REFUSED,
            format!("{} is NOT in order: {bad}", path.display()),
            "keep the file as evidence, and ask for another export, from either side",
        )),
    }
}

fn read(path: &Path) -> Result<Export, Failure> {
    let shown = path.display();
    let remedy = "name the file that `fairshare ledger --export` wrote";
    let file = File::open(path)
        .map_err(|error| Failure::new(WRONG, format!("{shown}: {error}"), remedy))?;
    let bounded = BufReader::new(file).take(MAX_EXPORT);
    serde_json::from_reader(bounded).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let fact =
            format!("{shown} is no exported ledger, or damaged at line {line}, column {column}");
        Failure::new(WRONG, fact, remedy)
    })
}

fn show(page: &mut Page, report: &LedgerReport) {
    let now = report.now;
    let settled = match report.exchanges {
        0 => "nothing entered yet".to_owned(),
        all if all == report.settled => page.tone(Tone::Good, "all settled"),
        all => format!("{} of {} settled", count(report.settled), count(all)),
    };
    let (peer, name) = (&report.peer, &report.name);
    page.line(format_args!("The ledger with {peer} {name}: {settled}"));
    page.gap();
    let chain = |chain: &ledger::ChainState| match chain.head.number {
        0 => "no page yet".to_owned(),
        number => format!(
            "{} pages, agreed up to {}, last {}",
            count(number),
            count(chain.agreed),
            chain.head.hash.short()
        ),
    };
    let mut fields = vec![
        ("our chain", chain(&report.ours)),
        ("their chain", chain(&report.theirs)),
        ("exchanges", count(report.exchanges)),
        ("settled", count(report.settled)),
    ];
    if report.waiting > 0 {
        let waiting = format!("{} exchanges to be written", count(report.waiting));
        fields.push(("waiting", waiting));
    }
    page.fields(&fields);
    if !report.unsettled.is_empty() {
        page.gap();
        let rows = report.unsettled.iter().map(|it| unsettled(now, it));
        page.table(
            &["NOT SETTLED", "ASKED BY", "WHEN", "STATEMENTS", "NOTE"],
            rows.collect(),
        );
    }
    for fork in &report.forks {
        page.gap();
        let fact = page.tone(Tone::Bad, "signed two pages that cannot both be true");
        page.line(format_args!(
            "{} {fact}: page {} ({}), and page {} ({})",
            fork.writer,
            fork.held.number,
            fork.held.hash.short(),
            fork.number,
            fork.other.short()
        ));
        page.line(
            "  try: show both to the stewards: `fairshare ledger --export` has the chain held",
        );
    }
    if let Some(checked) = &report.verified {
        page.gap();
        let order = page.tone(Tone::Good, "in order");
        page.line(format_args!("Every page is {order}."));
        page.gap();
        show_checked(page, checked);
    }
    if let Some((path, size)) = &report.exported {
        page.gap();
        let (path, size) = (path.display(), bytes(*size));
        page.line(format_args!("wrote {path}: {size}"));
        page.line("It has no patient data. Anybody checks it with `fairshare ledger --check`.");
    }
}

fn unsettled(now: fairshare_protocol::time::Timestamp, it: &Unsettled) -> Vec<String> {
    let named = |side: Option<u64>| side.map_or_else(|| "none".to_owned(), count);
    let overdue = if it.overdue {
        "for more than a day"
    } else {
        ""
    };
    vec![
        it.exchange.to_string(),
        it.asker.to_string(),
        ago(now, it.asked_at),
        format!("ours {}, theirs {}", named(it.ours), named(it.theirs)),
        overdue.to_owned(),
    ]
}

fn show_checked(page: &mut Page, checked: &Checked) {
    let mut fields = vec![
        ("federation", checked.name.clone()),
        ("federation id", checked.federation.to_string()),
        ("exchanges", count(checked.exchanges)),
        ("settled", count(checked.settled)),
    ];
    if checked.overdue > 0 {
        fields.push(("not settled after a day", count(checked.overdue)));
    }
    page.fields(&fields);
    page.gap();
    let row = |code: &OdsCode, chain: &ChainReport| {
        let time = |at: Option<_>| {
            at.map_or_else(
                || "-".to_owned(),
                |at: fairshare_protocol::time::Timestamp| at.to_string(),
            )
        };
        vec![
            code.to_string(),
            count(chain.pages),
            count(chain.entries),
            count(chain.agreed),
            count(chain.lost),
            time(chain.first),
            time(chain.last),
        ]
    };
    let head = [
        "CHAIN OF",
        "PAGES",
        "ENTRIES",
        "AGREED TO",
        "LOST",
        "FIRST",
        "LAST",
    ];
    let rows = vec![
        row(&checked.by, &checked.ours),
        row(&checked.with, &checked.theirs),
    ];
    page.table(&head, rows);
}
