//! `fairshare offer diff`

use std::path::PathBuf;

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::offer::ShowOffer;
use fairshare_protocol::control::roster::Members;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::offer::change::{Difference, Direction};
use fairshare_protocol::roster::Status;
use serde::Serialize;

use super::{kinds, read};
use crate::client::Client;
use crate::output::{Page, Tone};

/// What publishing the file would change
///
/// Against what is published: each category that begins or ceases to be shown or needed, for which
/// purpose and kinds of member, and which active members that touches.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare offer diff
  $ fairshare offer diff --file draft-offer.toml --json")]
pub struct Diff {
    /// The offer's file [default: offer.toml in the home]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What would change, and for whom.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    /// What is published; none if nothing is.
    #[serde(skip)]
    pub(super) published: Option<Offer>,
    #[serde(flatten)]
    difference: Difference,
    /// Other active members it touches, and what they are called.
    touches: Vec<(OdsCode, String)>,
}

impl Diff {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let offer = read(client, self.file.as_ref())?;
        let compared = Compared::with_published(client, &offer).await?;
        let output = &client.output;
        output.answer(&compared, |page| show(page, &compared));
        Ok(0)
    }
}

impl Compared {
    /// What publishing `offer` would change now.
    pub(super) async fn with_published(client: &Client, offer: &Offer) -> Result<Self, Failure> {
        let members = client.ask(Members {}).await?.members;
        let published = client.ask(ShowOffer { member: None }).await?.published;
        let difference = Difference::between(published.as_ref(), offer);
        let touched = members.into_iter().filter(|member| {
            !member.own
                && matches!(member.status, Status::Admitted | Status::Limited)
                && difference.touches(member.kind)
        });
        Ok(Self {
            touches: touched.map(|member| (member.code, member.name)).collect(),
            difference,
            published,
        })
    }
}

pub(super) fn show(page: &mut Page, compared: &Compared) {
    let found = &compared.difference;
    if found.is_none() {
        page.line("Publishing this changes nothing of what is shown and needed.");
    } else {
        let mut rows = Vec::new();
        for it in &found.changes {
            let purpose = it.purpose.map_or("any", |purpose| purpose.word());
            rows.push(vec![
                it.category.to_string(),
                purpose.to_owned(),
                it.half.to_string(),
                way(page, it.direction),
                kinds(&it.kinds),
            ]);
        }
        let labels = found
            .labels
            .iter()
            .map(|(it, way)| (it.word(), "label", way));
        let services = found
            .services
            .iter()
            .map(|(it, way)| (it.word(), "service", way));
        let in_return = found.in_return.iter();
        let in_return = in_return.map(|way| ("show-in-return", "-", way));
        for (what, sort, direction) in labels.chain(services).chain(in_return) {
            let way = way(page, *direction);
            let cells = [what, "any", sort].map(str::to_owned).into_iter();
            rows.push(cells.chain([way, "everybody".to_owned()]).collect());
        }
        page.table(&["WHAT", "PURPOSE", "HALF", "", "KINDS"], rows);
        page.gap();
        let touched = compared.touches.iter();
        let touched: Vec<_> = touched
            .map(|(code, name)| format!("{code} {name}"))
            .collect();
        let touched = match &touched[..] {
            [] => "nobody".to_owned(),
            some => some.join(", "),
        };
        page.line(format_args!("Active members it touches: {touched}."));
    }
    if found.bases > 0 {
        page.line(format_args!(
            "Legal bases that read otherwise: {}.",
            found.bases
        ));
    }
}

fn way(page: &Page, direction: Direction) -> String {
    let tone = match direction {
        Direction::Widens => Tone::Bad,
        Direction::Narrows => Tone::Good,
    };
    page.tone(tone, direction.word())
}
