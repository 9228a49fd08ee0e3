//! `fairshare steward`

use std::path::{Path, PathBuf};

use fairshare_protocol::armour;
use fairshare_protocol::control::stewards::{
    ListProposals, ProposalReport, ProposalsReport, SignProposal,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::proposal::Proposal;
use serde::Serialize;

use crate::client::Client;
use crate::output::{Page, Tone, ago, count};
use crate::paper;
use crate::signing::{confirm, say};

mod charter;
mod propose;
mod sign;

/// Decide about members and the charter, with the other stewards
///
/// What a steward proposes counts once as many stewards have signed it as the charter says. Their
/// nodes tell each other what is open; where no network is between them, the proposal is a file.
/// Newcomers are admitted with `fairshare admit`.
#[derive(Debug, clap::Subcommand)]
pub enum Steward {
    #[command(subcommand)]
    Propose(propose::Propose),
    Sign(sign::Sign),
    Status(Status),
}

impl Steward {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Propose(command) => command.run(client).await,
            Self::Sign(command) => command.run(client).await,
            Self::Status(command) => command.run(client).await,
        }
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    proposal: ProposalReport,
    /// The file it is in, if it was written.
    file: Option<PathBuf>,
}

fn unconfirmed() -> Failure {
    let fact = "the proposal was not signed";
    Failure::new(
        REFUSED,
        fact,
        "read what it says; with --yes nothing is asked",
    )
}

/// Whether the steward means what it says.
fn agreed(client: &Client, proposal: &ProposalReport, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if client.output.json() {
        let fact = "nobody read what the proposal says";
        return Err(Failure::new(WRONG, fact, "read it, and give --yes"));
    }
    say(&client.output.text(|page| show(page, proposal)));
    if confirm("\nSign this?") {
        Ok(())
    } else {
        Err(unconfirmed())
    }
}

/// Gives the node a proposal with the signatures it has.
async fn hand_over(
    client: &Client,
    proposal: &Proposal,
    out: Option<&Path>,
) -> Result<u8, Failure> {
    let sheet = armour::block(proposal);
    let report = client.ask(SignProposal { sheet }).await?;
    let write = !report.decided || out.is_some();
    finish(client, report, write, out)
}

/// What the file of a proposal is called.
fn usual(about: Option<&OdsCode>) -> String {
    format!("proposal-{}.txt", about.map_or("charter", OdsCode::as_str))
}

/// What is decided, in a line.
fn decided(kind: &str, about: Option<&OdsCode>, name: &str) -> String {
    let words = [kind, about.map_or("", OdsCode::as_str), name];
    let words: Vec<_> = words.into_iter().filter(|it| !it.is_empty()).collect();
    words.join(" ")
}

fn finish(
    client: &Client,
    proposal: ProposalReport,
    write: bool,
    out: Option<&Path>,
) -> Result<u8, Failure> {
    let usual = usual(proposal.about.as_ref());
    let file = write.then(|| paper::write(out, &usual, &proposal.sheet));
    let done = Done {
        file: file.transpose()?,
        proposal,
    };
    client.output.answer(&done, |page| {
        let proposal = &done.proposal;
        show(page, proposal);
        page.gap();
        if proposal.decided {
            let decided = page.tone(Tone::Good, "Decided.");
            page.line(format_args!(
                "{decided} Every member hears of it once it is connected."
            ));
            return;
        }
        page.line("The other stewards' nodes are told; each steward runs:");
        let name = proposal.proposal.to_string();
        page.line(format_args!("  $ fairshare steward sign {}", &name[..8]));
        if let Some(file) = &done.file {
            page.line(format_args!(
                "Where no network is between you, send {}.",
                file.display()
            ));
        }
    });
    Ok(0)
}

/// What stewards have still to sign
///
/// The proposals that are open, as far as this node heard, and who has signed. A proposal is over
/// when it is decided, when another about the same member is, or after 30 days.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare steward status
  $ fairshare steward status --json")]
pub struct Status {}

impl Status {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let report = client.ask(ListProposals {}).await?;
        client.output.answer(&report, |page| status(page, &report));
        Ok(0)
    }
}

fn status(page: &mut Page, report: &ProposalsReport) {
    let stewards: Vec<_> = report.stewards.iter().map(OdsCode::as_str).collect();
    let own = if report.own {
        ""
    } else {
        "; this organisation is none"
    };
    page.line(format_args!(
        "{}: stewards {}; {} must sign{own}.",
        report.federation,
        stewards.join(", "),
        report.threshold
    ));
    page.gap();
    if report.proposals.is_empty() {
        page.line("Nothing is open.");
        return;
    }
    let rows = report.proposals.iter().map(|it| {
        let signed: Vec<_> = it.signed.iter().map(OdsCode::as_str).collect();
        let reason = it.says.iter().find(|(name, _)| name == "reason");
        vec![
            it.proposal.to_string()[..8].to_owned(),
            it.kind.clone(),
            it.about
                .as_ref()
                .map(OdsCode::to_string)
                .unwrap_or_default(),
            it.name.clone(),
            reason.map(|(_, why)| why.clone()).unwrap_or_default(),
            format!("{} of {}", count(it.signed.len() as u64), it.needed),
            signed.join(", "),
            ago(report.now, it.at),
        ]
    });
    let head = [
        "PROPOSAL", "KIND", "CODE", "NAME", "REASON", "SIGNED", "BY", "SINCE",
    ];
    page.table(&head, rows.collect());
}

/// One proposal, for a person who decides.
fn show(page: &mut Page, proposal: &ProposalReport) {
    let signed: Vec<_> = proposal.signed.iter().map(OdsCode::as_str).collect();
    let signed = if signed.is_empty() {
        "nobody".to_owned()
    } else {
        signed.join(", ")
    };
    let mut fields = vec![(
        "decision",
        decided(&proposal.kind, proposal.about.as_ref(), &proposal.name),
    )];
    let says = proposal.says.iter();
    fields.extend(says.map(|(name, value)| (name.as_str(), value.clone())));
    fields.push((
        "signed by",
        format!("{signed}; {} must sign", proposal.needed),
    ));
    fields.push(("proposal", proposal.proposal.to_string()));
    page.fields(&fields);
}
