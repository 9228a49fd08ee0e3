//! `fairshare ledger`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::ledger::{self, LedgerReport, Unsettled};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::export::{ChainReport, Checked};

use crate::client::{Client, absolute};
use crate::output::{Page, Tone, ago, bytes, count};

/// The account with a peer, signed by both
///
/// Each side writes a chain of signed pages that quote the other's; an exchange is settled when both
/// chains name the same signed statements. --verify checks every page again; --export writes both
/// chains into a new file of mode 0600, without patient data, that anybody can check with `fairshare
/// verify`, without a node, knowing only the federation's id. Exits 0 if all is in order, 1 if the
/// ledger here is not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare ledger L83024
  $ fairshare ledger L83024 --verify
  $ fairshare ledger L83024 --export l83024.ledger
  $ fairshare verify l83024.ledger")]
pub struct Ledger {
    /// The peer's ODS code
    #[arg(value_name = "PEER")]
    peer: OdsCode,
    /// Check every page: signatures, order, quotes, counts
    #[arg(long)]
    verify: bool,
    /// Write all of it into this file; there must be none yet
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

impl Ledger {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let export = self.export.as_deref().map(absolute).transpose()?;
        let question = ledger::Ledger {
            peer: self.peer,
            verify: self.verify,
            export,
        };
        let report = client.ask(question).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

/// What an exported ledger comes to.
pub(super) fn show_export(page: &mut Page, checked: &Checked) {
    let order = page.tone(Tone::Good, "in order");
    page.line(format_args!(
        "The ledger of {} with {} is {order}.",
        checked.by, checked.with
    ));
    page.gap();
    show_checked(page, checked);
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
        page.line("It has no patient data. Anybody checks it with `fairshare verify`.");
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
            count(chain.void),
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
        "VOID",
        "FIRST",
        "LAST",
    ];
    let rows = vec![
        row(&checked.by, &checked.ours),
        row(&checked.with, &checked.theirs),
    ];
    page.table(&head, rows);
}
