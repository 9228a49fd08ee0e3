//! `fairshare report duty`

use fairshare_protocol::category::Purpose;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::reports::{DutyReport, ReportDuty};
use fairshare_protocol::exchange::answer::RefusalCode;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::duty::{Counts, Row, Way};

use super::{When, called, days};
use crate::client::Client;
use crate::output::count;
use crate::report::{Report, Section, Table, To};

/// How the duty to share was done: what was asked, how and how fast it was answered
///
/// Requests received and made, per peer and purpose: answered with records, with nothing to show,
/// refused by which code, put off, still waiting, overdue; how fast; emergencies and their reviews.
/// In a round each person counts once for either side. Counted from this node's own account, what is
/// not written into it yet included.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare report duty
  $ fairshare report duty L83024 --since 2026-01-01 --until 2026-03-31
  $ fairshare report duty --since 2026-01-01 --to duty.html")]
pub struct Duty {
    /// With this peer only
    #[arg(value_name = "PEER")]
    peer: Option<OdsCode>,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    to: To,
}

impl Duty {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let period = self.when.period()?;
        self.to.check()?;
        let question = ReportDuty {
            peer: self.peer,
            period,
        };
        let answer = client.ask(question).await?;
        self.to.give(client.output, &answer, &report(&answer))?;
        Ok(0)
    }
}

/// With whom, and what was counted.
type Line<'a> = (String, &'a Row);

fn report(answer: &DutyReport) -> Report {
    let own = called(answer.names.get(&answer.own), &answer.own);
    let mut lines: Vec<Line> = Vec::new();
    for (peer, rows) in &answer.peers {
        let peer = called(answer.names.get(peer), peer);
        lines.extend(rows.iter().map(|row| (peer.clone(), row)));
    }
    if answer.peers.len() > 1 {
        lines.extend(answer.all.iter().map(|row| ("all".to_owned(), row)));
    }
    let mut sections = vec![Section {
        heading: "What was asked, and how it was answered".to_owned(),
        text: match lines.is_empty() {
            true => "Nothing was asked, either way.".to_owned(),
            false => String::new(),
        },
        table: answered(&lines),
    }];
    let timed = table(&lines, &FAST, |row| {
        let counts = &row.counts;
        let ms =
            |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{} ms", count(ms)));
        (counts.median_ms.is_some() || counts.unsettled > 0).then(|| {
            vec![
                ms(counts.median_ms),
                ms(counts.p95_ms),
                count(counts.late),
                count(counts.returned),
                count(counts.unsettled),
            ]
        })
    });
    let reviews = table(&lines, &REVIEWS, |row| {
        let reviews = &row.counts.reviews;
        (row.purpose == Purpose::Emergency).then(|| {
            vec![
                count(reviews.opened),
                count(reviews.closed),
                count(reviews.closed_late),
                count(reviews.opened - reviews.closed),
                count(reviews.overdue),
            ]
        })
    });
    for (heading, table) in [
        ("How fast", timed),
        ("Emergencies and their reviews", reviews),
    ] {
        if !table.rows.is_empty() {
            sections.push(Section {
                heading: heading.to_owned(),
                text: String::new(),
                table,
            });
        }
    }
    let notes = [
        "ASKED: `of us` is what the peer asked and this organisation was to answer; `by us` the other way \
         round. Under shared-care a request is one person in a round, in which both show.",
        "NOTHING: whoever was asked said that there is nothing to show. Why, nobody is told: an objection \
         looks like having no record. PUT OFF: to be asked again later. WAITING: may still be answered. \
         OVERDUE: never answered in any way that counts.",
        "LATE: answered after the request had expired, five minutes after it was asked. RETURNED: whoever \
         asked showed its own in return, or said it had none. NOT SETTLED: the signed accounts of the two \
         differ after a day. A review is due after 72 hours.",
        "Times run from one organisation's clock to the other's. Nothing here is about any patient.",
    ];
    Report {
        title: format!("The duty to share: what was asked of {own} and by it"),
        fields: vec![
            ("period", days(&answer.period)),
            ("as of", answer.now.to_string()),
            ("Caldicott Guardian", answer.guardian.clone()),
        ],
        sections,
        notes: notes.map(str::to_owned).to_vec(),
        sheet: sheet(answer),
        holds: "Counts only: nothing in it is about any patient.".to_owned(),
    }
}

const FAST: [&str; 5] = [
    "HALF WITHIN",
    "95 % WITHIN",
    "LATE",
    "RETURNED",
    "NOT SETTLED",
];
const REVIEWS: [&str; 5] = ["REVIEWS", "CLOSED", "CLOSED LATE", "OPEN", "OVERDUE"];

fn answered(lines: &[Line]) -> Table {
    let head = [
        "REQUESTS", "RECORDS", "NOTHING", "REFUSED", "PUT OFF", "WAITING", "OVERDUE",
    ];
    table(lines, &head, |row| {
        let counts = &row.counts;
        let refused = counts
            .refused
            .iter()
            .map(|(code, n)| format!("{code} {}", count(*n)));
        let refused = refused.collect::<Vec<_>>().join(", ");
        Some(vec![
            count(counts.requests),
            count(counts.records),
            count(counts.nothing),
            if refused.is_empty() {
                "0".to_owned()
            } else {
                refused
            },
            count(counts.deferred),
            count(counts.waiting),
            count(counts.overdue),
        ])
    })
}

/// A table with a row for each line that has these cells.
fn table(
    lines: &[Line],
    head: &[&'static str],
    cells: impl Fn(&Row) -> Option<Vec<String>>,
) -> Table {
    let rows = lines.iter().filter_map(|(peer, row)| {
        let asked = match row.way {
            Way::AskedOfUs => "of us",
            Way::AskedByUs => "by us",
        };
        let first = [peer.clone(), asked.to_owned(), row.purpose.to_string()];
        Some(first.into_iter().chain(cells(row)?).collect())
    });
    Table {
        head: ["PEER", "ASKED", "PURPOSE"]
            .iter()
            .chain(head)
            .copied()
            .collect(),
        rows: rows.collect(),
    }
}

fn sheet(answer: &DutyReport) -> Table {
    let mut head = vec![
        "peer", "name", "way", "purpose", "requests", "records", "nothing",
    ];
    head.extend(RefusalCode::ALL.iter().map(|code| code.word()));
    head.extend([
        "deferred",
        "waiting",
        "overdue",
        "late",
        "median_ms",
        "p95_ms",
        "returned",
        "unsettled",
        "reviews",
        "reviews_closed",
        "reviews_closed_late",
        "reviews_overdue",
    ]);
    let row = |peer: &OdsCode, row: &Row| {
        let Counts {
            refused, reviews, ..
        } = &row.counts;
        let c = &row.counts;
        let ms = |ms: Option<u64>| ms.map_or_else(String::new, |ms| ms.to_string());
        let mut cells = vec![
            peer.to_string(),
            answer.names.get(peer).cloned().unwrap_or_default(),
            row.way.to_string(),
            row.purpose.to_string(),
        ];
        cells.extend([c.requests, c.records, c.nothing].map(|n| n.to_string()));
        let codes = RefusalCode::ALL.iter();
        cells.extend(codes.map(|code| refused.get(code).copied().unwrap_or(0).to_string()));
        cells.extend([c.deferred, c.waiting, c.overdue, c.late].map(|n| n.to_string()));
        cells.extend([ms(c.median_ms), ms(c.p95_ms)]);
        cells.extend([c.returned, c.unsettled].map(|n| n.to_string()));
        let reviews = [
            reviews.opened,
            reviews.closed,
            reviews.closed_late,
            reviews.overdue,
        ];
        cells.extend(reviews.map(|n| n.to_string()));
        cells
    };
    let rows = answer.peers.iter();
    Table {
        head,
        rows: rows
            .flat_map(|(peer, rows)| rows.iter().map(move |one| row(peer, one)))
            .collect(),
    }
}
