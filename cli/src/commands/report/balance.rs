//! `fairshare report balance`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::reports::ReportBalance;
use fairshare_protocol::exchange::answer::RefusalCode;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::balance::{Row, Showed, Table as Balanced};

use super::{When, called, days};
use crate::client::{Client, absolute};
use crate::output::{bytes, count, many};
use crate::report::{Report, Section, Table, To};

/// What this member and each other asked and showed, in counts
///
/// Counted from the pages both sides signed, each exchange once; what only one side's chain has is
/// counted apart. --export writes all ledgers, whole and signed by this node, into a new file of mode
/// 0600: several members of one area do that, and anybody merges the files into the area's table with
/// `fairshare report merge`. No patient data is in it; it says when somebody was asked, not whom about.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare report balance
  $ fairshare report balance --since 2026-04-01 --until 2026-06-30 --to balance.csv
  $ fairshare report balance --export rh8.balance
  $ fairshare report merge rh8.balance l83024.balance 912.balance")]
pub struct Balance {
    #[command(flatten)]
    when: When,
    /// Write all ledgers, of all time, into this file, to be merged; there must be none yet
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    export: Option<PathBuf>,
    #[command(flatten)]
    to: To,
}

impl Balance {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let period = self.when.period()?;
        self.to.check()?;
        let export = self.export.as_deref().map(absolute).transpose()?;
        let answer = client.ask(ReportBalance { period, export }).await?;
        let mut report = told(&answer.table);
        if answer.waiting > 0 {
            let waiting = many(answer.waiting, "exchange", "exchanges");
            let waiting = format!("{waiting} in no page yet, and not counted");
            report.fields.push(("waiting", waiting));
        }
        if let Some((path, size)) = &answer.exported {
            let (path, size) = (path.display(), bytes(*size));
            report.sections.push(Section {
                heading: format!("wrote {path}: {size}"),
                text: "It has no patient data. Anybody merges it with `fairshare report merge`."
                    .to_owned(),
                table: Table::default(),
            });
        }
        self.to.give(client.output, &answer, &report)?;
        Ok(0)
    }
}

/// A table of what was asked and shown, as people read it.
pub fn told(balanced: &Balanced) -> Report {
    let name = |code: &OdsCode| called(balanced.names.get(code), code);
    let exports = balanced.exports.iter();
    let exports = exports.map(|(code, at)| format!("{}, of {at}", name(code)));
    let first = |row: &Row| vec![name(&row.asker), name(&row.asked), row.purpose.to_string()];
    let showed = table(
        balanced,
        &[
            "REQUESTS",
            "RECORDS",
            "NOTHING",
            "REFUSED",
            "PUT OFF",
            "NO ANSWER",
            "IN RETURN",
        ],
        |row| {
            let Showed {
                records,
                nothing,
                deferred,
                missing,
                ..
            } = &row.answer;
            let mut cells = first(row);
            cells.push(count(row.requests));
            cells.extend([records, nothing].map(|n| count(*n)));
            cells.push(refused(&row.answer));
            cells.extend([deferred, missing].map(|n| count(*n)));
            cells.push(in_return(&row.in_return));
            cells
        },
    );
    let agree = table(
        balanced,
        &["SETTLED", "DIFFER", "ASKER'S ALONE", "OTHER'S ALONE"],
        |row| {
            let mut cells = first(row);
            let counts = [row.settled, row.differ, row.asker_only, row.asked_only];
            cells.extend(counts.map(count));
            cells
        },
    );
    let chains = balanced.chains.iter().map(|chain| {
        let exported: Vec<_> = chain.exported.iter().map(ToString::to_string).collect();
        vec![
            name(&chain.writer),
            name(&chain.reader),
            count(chain.pages),
            count(chain.lost),
            count(chain.void),
            chain
                .last
                .map_or_else(|| "-".to_owned(), |at| at.to_string()),
            match exported.len() {
                1 => format!("{} alone", exported[0]),
                _ => exported.join(" and "),
            },
        ]
    });
    let chains = Table {
        head: vec![
            "CHAIN OF",
            "TO",
            "PAGES",
            "LOST",
            "VOID",
            "LAST PAGE",
            "EXPORTED BY",
        ],
        rows: chains.collect(),
    };
    let text = match balanced.rows.is_empty() {
        true => "Nothing was asked, either way.",
        false => "",
    };
    let sections = [
        ("Who asked whom, and what was shown", text, showed),
        ("Whether the two accounts agree", "", agree),
        ("What it was counted from", "", chains),
    ];
    let sections = sections
        .into_iter()
        .filter(|(_, text, table)| !text.is_empty() || !table.rows.is_empty());
    let notes = [
        "A request is one question about one person; under shared-care it is one person in a round, which \
         ASKED BY began and in which both show. RECORDS, NOTHING, REFUSED, PUT OFF and NO ANSWER say what \
         whoever was asked showed; IN RETURN what the asker showed.",
        "Every count is made from pages that both members signed. SETTLED: both accounts name the same signed \
         statements. DIFFER: both have the exchange, and not the same statements. ALONE: one account has it, \
         which is usual for some seconds and odd after a day.",
        "A chain of which one member alone exported was not held against the other's copy. Who exported \
         nothing appears only beside those who did.",
        "Counts of answered questions, not of their worth. Nothing here is about any patient.",
    ];
    Report {
        title: format!(
            "What members asked and showed each other: {}",
            balanced.name
        ),
        fields: vec![
            ("federation id", balanced.federation.to_string()),
            ("period", days(&balanced.period)),
            ("counted from", exports.collect::<Vec<_>>().join("; ")),
        ],
        sections: sections
            .map(|(heading, text, table)| Section {
                heading: heading.to_owned(),
                text: text.to_owned(),
                table,
            })
            .collect(),
        notes: notes.map(str::to_owned).to_vec(),
        sheet: sheet(balanced),
        holds: "Counts only: nothing in it is about any patient.".to_owned(),
    }
}

fn table(balanced: &Balanced, head: &[&'static str], row: impl Fn(&Row) -> Vec<String>) -> Table {
    let first = ["ASKED BY", "OF", "PURPOSE"];
    Table {
        head: first.iter().chain(head).copied().collect(),
        rows: balanced.rows.iter().map(row).collect(),
    }
}

fn refused(showed: &Showed) -> String {
    let each = showed.refused.iter();
    let each: Vec<_> = each
        .map(|(code, n)| format!("{code} {}", count(*n)))
        .collect();
    match each.is_empty() {
        true => "0".to_owned(),
        false => each.join(", "),
    }
}

fn in_return(showed: &Showed) -> String {
    let refused = showed.refused.values().sum::<u64>();
    let each = [
        ("records", showed.records),
        ("nothing", showed.nothing),
        ("refused", refused),
        ("put off", showed.deferred),
        ("missing", showed.missing),
        ("not due", showed.not_due),
    ];
    let each = each.into_iter().filter(|(_, n)| *n > 0);
    let each = each.map(|(word, n)| format!("{word} {}", count(n)));
    each.collect::<Vec<_>>().join(", ")
}

fn sheet(balanced: &Balanced) -> Table {
    let mut head = vec![
        "asker",
        "asker_name",
        "asked",
        "asked_name",
        "purpose",
        "requests",
        "settled",
        "differ",
        "asker_only",
        "asked_only",
        "records",
        "nothing",
        "deferred",
        "missing",
        "not_due",
        "return_records",
        "return_nothing",
        "return_deferred",
        "return_missing",
        "return_not_due",
    ];
    head.extend(RefusalCode::ALL.iter().map(|code| code.word()));
    head.push("return_refused");
    let row = |row: &Row| {
        let name = |code: &OdsCode| balanced.names.get(code).cloned().unwrap_or_default();
        let mut cells = vec![
            row.asker.to_string(),
            name(&row.asker),
            row.asked.to_string(),
            name(&row.asked),
            row.purpose.to_string(),
        ];
        let mut numbers = vec![
            row.requests,
            row.settled,
            row.differ,
            row.asker_only,
            row.asked_only,
        ];
        for it in [&row.answer, &row.in_return] {
            numbers.extend([it.records, it.nothing, it.deferred, it.missing, it.not_due]);
        }
        let codes = RefusalCode::ALL.iter();
        numbers.extend(codes.map(|code| row.answer.refused.get(code).copied().unwrap_or(0)));
        numbers.push(row.in_return.refused.values().sum());
        cells.extend(numbers.iter().map(ToString::to_string));
        cells
    };
    Table {
        head,
        rows: balanced.rows.iter().map(row).collect(),
    }
}
