//! `fairshare offer preview`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::preview::{self, PreviewOffer, PreviewReport, Why};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::time::Timestamp;

use super::read;
use crate::client::Client;
use crate::output::{Page, Tone, ago, count, people};

/// What each member would see, in counts
///
/// Of what is held here now: which categories of how many people would be visible to each member
/// under the offer in a file, and what would be kept back and why. Without a file, under the offer
/// that is published. Nothing is sent, and nobody is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare offer preview
  $ fairshare offer preview 912 --file draft-offer.toml
  $ fairshare offer preview --file draft-offer.toml --json")]
pub struct Preview {
    /// Only this member
    #[arg(value_name = "CODE")]
    member: Option<OdsCode>,
    /// An offer that is not published yet
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Preview {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let file = self.file.as_ref();
        let offer = file.map(|file| read(client, Some(file))).transpose()?;
        let member = self.member;
        let report = client.ask(PreviewOffer { offer, member }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

pub(super) fn show(page: &mut Page, report: &PreviewReport) {
    let offer = match report.published {
        true => "the published offer",
        false => "this offer, which is not published,",
    };
    let held = report.imported.map_or_else(
        || "Nothing is held yet: nothing was imported.".to_owned(),
        |at| format!("What is held was imported {}.", ago(report.now, at)),
    );
    page.line(format_args!(
        "Under {offer} each member would see so much of what is held now. {held}"
    ));
    if report.members.is_empty() {
        page.gap();
        page.line("There is no other active member to see anything.");
    }
    for member in &report.members {
        page.gap();
        show_member(page, report.now, member);
    }
    if report.unfindable > 0 {
        page.gap();
        page.line(format_args!(
            "Not counted, for no member finds them: {}, held without an NHS number and a date of \
             birth or labelled restricted.",
            people(report.unfindable)
        ));
    }
}

fn show_member(page: &mut Page, now: Timestamp, member: &preview::Preview) {
    let (code, name) = (&member.code, &member.name);
    let whom = match member.matched {
        Some(at) => format!(
            "{} both hold, by the match made {}",
            people(member.people),
            ago(now, at)
        ),
        None => format!(
            "no match was made with it yet: counted is everybody it might find, {}, and it will \
             see no more than those it holds too",
            people(member.people)
        ),
    };
    page.line(format_args!("{code} {name}, {}: {whom}.", member.kind));
    let some = match member.some {
        0 => page.tone(Tone::Good, "nobody"),
        some => people(some),
    };
    page.line(format_args!("Something would be visible of: {some}."));
    if !member.visible.is_empty() {
        page.gap();
        let rows = member.visible.iter().map(|it| {
            let purposes: Vec<_> = it.purposes.iter().map(|it| it.word()).collect();
            vec![
                it.category.to_string(),
                purposes.join(", "),
                count(it.people),
                count(it.records),
            ]
        });
        page.table(&["VISIBLE", "FOR", "PEOPLE", "RECORDS"], rows.collect());
    }
    if !member.withheld.is_empty() {
        page.gap();
        let rows = member.withheld.iter().map(|it| {
            let category = it.category.map(|category| category.to_string());
            vec![
                category.unwrap_or_else(|| "everything".to_owned()),
                why(it.why).to_owned(),
                count(it.people),
                count(it.records),
            ]
        });
        page.table(&["WITHHELD", "WHY", "PEOPLE", "RECORDS"], rows.collect());
    }
}

const fn why(why: Why) -> &'static str {
    match why {
        Why::NoOffer => "it has published no offer",
        Why::NoPresence => "one of the two does not show presence to the other",
        Why::Objection => "withheld: objection",
        Why::Sensitive => "withheld: sensitive",
        Why::Withheld => "withheld for another reason",
        Why::OnlyMasked => "known only through closed or masked services",
        Why::Gone => "not held any more",
        Why::Never => "never shown",
        Why::NotOffered => "not in the offer for its kind",
        Why::NotNeeded => "it does not need it",
        Why::Limited => "in bulk only, and one of the two is limited",
        Why::NotLevel => "in bulk only, and it shows nothing equivalent",
        Why::Stopped => "stopped",
        Why::ClosedService => "from a service the offer does not open",
        Why::MaskedService => "from a service that is masked",
        Why::Label => "labelled restricted",
    }
}
