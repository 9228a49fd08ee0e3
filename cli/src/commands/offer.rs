//! `fairshare offer`

mod diff;
mod edit;
mod preview;

use std::collections::BTreeSet;
use std::path::PathBuf;

use fairshare_node::offer_file;
use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::offer::{OfferReport, PublishOffer, Published, ShowOffer};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::{Offer, Section};
use fairshare_protocol::text::Line;
use serde::Serialize;

use crate::client::Client;
use crate::output::{Page, Tone, count};
use crate::questions::Questions;
use crate::signing::wrong;

/// What an organisation shows and needs
#[derive(Debug, clap::Subcommand)]
pub enum OfferCommand {
    Show(Show),
    Diff(diff::Diff),
    Preview(preview::Preview),
    Edit(edit::Edit),
    Publish(Publish),
}

impl OfferCommand {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Show(command) => command.run(client).await,
            Self::Diff(command) => command.run(client).await,
            Self::Preview(command) => command.run(client).await,
            Self::Edit(command) => command.run(client).await,
            Self::Publish(command) => command.run(client).await,
        }
    }
}

/// Show the offer, and whether it is published
///
/// This organisation's offer as its file has it, or what another member published.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare offer show
  $ fairshare offer show L83024")]
pub struct Show {
    /// Another member's ODS code
    #[arg(value_name = "CODE")]
    member: Option<OdsCode>,
    /// The offer's file [default: offer.toml in the home]
    #[arg(long, value_name = "FILE", conflicts_with = "member")]
    file: Option<PathBuf>,
}

/// An offer, and how it stands to the file.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    report: OfferReport,
    /// What the file says; none for another member's.
    file: Option<Offer>,
    /// Whether the file says what is published.
    as_published: bool,
}

impl Show {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let member = self.member;
        let own = member.is_none();
        let report = client.ask(ShowOffer { member }).await?;
        let own = own.then(|| read(client, self.file.as_ref()));
        let file = own.transpose()?;
        let shown = Shown {
            as_published: file.is_none() || report.published == file,
            report,
            file,
        };
        client.output.answer(&shown, |page| show(page, &shown));
        Ok(0)
    }
}

/// Publish the offer to all members
///
/// Signed by the node; every member that hears of it follows it from then on. Whoever changes what
/// is published says why: at a terminal it is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare offer publish --reason 'the council needs care plans'
  $ fairshare offer publish --file draft-offer.toml --reason 'agreed on 3 June'")]
pub struct Publish {
    /// The offer's file [default: offer.toml in the home]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why, for this node's own journal; without anything that names a patient
    #[arg(long, value_name = "WORDS")]
    reason: Option<Line>,
}

impl Publish {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let offer = read(client, self.file.as_ref())?;
        let reason = match self.reason {
            None => why(client, &offer).await?,
            given => given,
        };
        let published = client.ask(PublishOffer { offer, reason }).await?;
        let output = &client.output;
        output.answer(&published, |page| show_published(page, &published));
        Ok(0)
    }
}

fn show_published(page: &mut Page, published: &Published) {
    let hash = published.hash.short();
    if published.changed {
        let word = page.tone(Tone::Good, "published");
        let members = count(published.members);
        page.line(format_args!(
            "Offer {hash} is {word}. Other members who hear of it when connected: {members}."
        ));
    } else {
        page.line(format_args!("Offer {hash} is what is published already."));
    }
}

/// Asks the person at the terminal why the offer changes; none if nobody is there or it does not.
async fn why(client: &Client, offer: &Offer) -> Result<Option<Line>, Failure> {
    let Some(questions) = Questions::begin(false).filter(|_| !client.output.json()) else {
        return Ok(None);
    };
    let before = client.ask(ShowOffer { member: None }).await?.published;
    if before.as_ref() == Some(offer) {
        return Ok(None);
    }
    reason(&questions).map(Some)
}

/// Asks why the offer changes.
fn reason(questions: &Questions) -> Result<Line, Failure> {
    let hint = "for this node's own journal; without anything that names a patient";
    questions.ask("Why does the offer change?", hint)
}

fn read(client: &Client, file: Option<&PathBuf>) -> Result<Offer, Failure> {
    let usual = client.home().join("offer.toml");
    offer_file::read(file.unwrap_or(&usual)).map_err(wrong)
}

fn show(page: &mut Page, shown: &Shown) {
    let report = &shown.report;
    let state = match (&shown.file, &report.published) {
        (Some(_), Some(_)) if shown.as_published => page.tone(Tone::Good, "published"),
        (Some(_), Some(_)) => page.tone(
            Tone::Bad,
            "this file differs from what is published: `fairshare offer publish`",
        ),
        (None, Some(_)) => "as published".to_owned(),
        (_, None) => page.tone(Tone::Bad, "not published"),
    };
    page.line(format_args!(
        "The offer of {} {}, {}: {state}",
        report.member, report.name, report.kind
    ));
    if let Some(offer) = shown.file.as_ref().or(report.published.as_ref()) {
        show_offer(page, offer);
    }
}

fn show_offer(page: &mut Page, offer: &Offer) {
    page.gap();
    let opened: Vec<_> = offer
        .opened_labels
        .iter()
        .map(|label| label.word())
        .chain(offer.opened_services.iter().map(|service| service.word()))
        .collect();
    let opened = match &opened[..] {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    page.fields(&[
        ("presence shown to", kinds(&offer.presence.shows)),
        (
            "shows in return",
            if offer.show_in_return { "yes" } else { "no" }.to_owned(),
        ),
        ("opened labels, services", opened),
    ]);
    // Purposes that say the same stand together.
    let mut groups: Vec<(Vec<&str>, &Section)> = Vec::new();
    for (purpose, section) in &offer.matrix {
        match groups
            .iter_mut()
            .find(|(_, other)| other.rows == section.rows)
        {
            Some((purposes, _)) => purposes.push(purpose.word()),
            None => groups.push((vec![purpose.word()], section)),
        }
    }
    for (purposes, section) in groups {
        page.gap();
        let rows = section.rows.iter().map(|(category, row)| {
            vec![category.to_string(), kinds(&row.shows), kinds(&row.needs)]
        });
        let head = purposes.join(", ").to_uppercase();
        page.table(&[&head, "SHOWN TO", "NEEDED FROM"], rows.collect());
    }
    let closed: Vec<_> = Purpose::ALL
        .iter()
        .filter(|purpose| !offer.matrix.contains_key(purpose))
        .map(|purpose| purpose.word())
        .collect();
    if !closed.is_empty() {
        page.gap();
        page.line(format_args!("Nothing for: {}", closed.join(", ")));
    }
    page.gap();
    page.line(format_args!(
        "Never shown: `{}`, and whatever is withheld.",
        Category::Other
    ));
}

/// Kinds in few words.
fn kinds(kinds: &BTreeSet<MemberKind>) -> String {
    let clinical = MemberKind::ALL.iter().filter(|kind| kind.is_clinical());
    let all = clinical.clone().all(|kind| kinds.contains(kind));
    let rest = kinds.iter().filter(|kind| !(all && kind.is_clinical()));
    let words = all.then_some("clinical").into_iter();
    let words: Vec<_> = words.chain(rest.map(|kind| kind.word())).collect();
    if words.is_empty() {
        "nobody".to_owned()
    } else {
        words.join(", ")
    }
}
