//! `fairshare terms`

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::offer::{ShowTerms, TermsReport};
use fairshare_protocol::ids::OdsCode;

use crate::client::Client;
use crate::output::{Page, Tone};

/// What flows between this organisation and another
///
/// Computed from both offers; the other organisation computes the same, with the same hash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare terms L83024
  $ fairshare terms L83024 --json")]
pub struct Terms {
    /// The other's ODS code
    #[arg(value_name = "CODE")]
    peer: OdsCode,
}

impl Terms {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(ShowTerms { peer: self.peer }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &TermsReport) {
    let (peer, name, kind) = &report.peer;
    let terms = &report.terms;
    page.line(format_args!("Terms with {peer} {name}, {kind}"));
    page.gap();
    let yes = |shows: bool| if shows { "yes" } else { "no" }.to_owned();
    let matching = match terms.may_match {
        true => page.tone(Tone::Good, "yes"),
        false => page.tone(Tone::Bad, "no: one of the two does not show presence"),
    };
    let mut fields = vec![
        ("may match", matching),
        ("we show in return", yes(terms.shows_in_return(&report.own))),
        ("they show in return", yes(terms.shows_in_return(peer))),
        ("hash", terms.hash().to_string()),
    ];
    if !report.limited.is_empty() {
        let limited: Vec<_> = report.limited.iter().map(OdsCode::as_str).collect();
        let why = format!("{} limited: nothing flows in bulk", limited.join(", "));
        fields.push(("bulk", page.tone(Tone::Bad, &why)));
    }
    page.fields(&fields);
    page.gap();
    let columns = Purpose::ALL;
    let mut one_sided = false;
    let cell = |category: Category, purpose: Purpose| {
        let ours = terms.flows(&report.own, peer, purpose).contains(&category);
        let theirs = terms.flows(peer, &report.own, purpose).contains(&category);
        let flows = terms.purposes.get(&purpose);
        let alone = flows.is_some_and(|flows| {
            flows.one_sided_forth.contains(&category) || flows.one_sided_back.contains(&category)
        });
        let word = match (ours, theirs) {
            (true, true) => "both",
            (true, false) => "we show",
            (false, true) => "they show",
            (false, false) => "-",
        };
        (word, alone)
    };
    let mut rows = Vec::new();
    for category in Category::ALL {
        let cells: Vec<_> = columns.iter().map(|it| cell(*category, *it)).collect();
        if cells.iter().all(|(word, _)| *word == "-") {
            continue;
        }
        let mut row = vec![category.to_string()];
        row.extend(cells.into_iter().map(|(word, alone)| {
            one_sided |= alone;
            format!("{word}{}", if alone { " *" } else { "" })
        }));
        rows.push(row);
    }
    if rows.is_empty() {
        page.line("Nothing flows between the two, for any purpose.");
        return;
    }
    let heads: Vec<_> = columns.iter().map(|it| it.word().to_uppercase()).collect();
    let mut head = vec!["CATEGORY"];
    head.extend(heads.iter().map(String::as_str));
    page.table(&head, rows);
    if one_sided {
        page.gap();
        page.line("* one-sided: the other side shows nothing equivalent for this purpose.");
    }
}
