//! `fairshare steward`

use std::path::{Path, PathBuf};

use fairshare_protocol::armour;
use fairshare_protocol::control::stewards::{
    ListProposals, Motion, ProposalReport, ProposalsReport, Propose as Draft, ShowProposal,
    SignProposal,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::proposal::Proposal;
use fairshare_protocol::text::Line;
use serde::Serialize;

use super::join;
use crate::client::Client;
use crate::output::{Page, Tone, ago, count};
use crate::paper;
use crate::signing::{Signing, confirm, say, wrong};

/// Decide about members, with the other stewards
///
/// What a steward proposes counts once as many stewards have signed it as the charter says. Their
/// nodes tell each other what is open; where no network is between them, the proposal is a file.
/// Newcomers are admitted with `fairshare admit`.
#[derive(Debug, clap::Subcommand)]
pub enum Steward {
    #[command(subcommand)]
    Propose(Propose),
    Sign(Sign),
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

/// Propose a decision about a member, and sign it
///
/// None of them touches what is asked for one person's care, unless it removes the member.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  $ fairshare steward propose limit L83024 --reason 'answers nothing, see the minutes of 3 March'
  $ fairshare steward propose key L83024 --reason 'their server was stolen'")]
pub enum Propose {
    /// The member's bulk lane is to be off; care goes on
    ///
    /// For whom goes on leaving requests unanswered. Nothing asked for one person's care changes.
    #[command(after_help = "Examples:
  $ fairshare steward propose limit L83024 --reason 'no round answered since March'")]
    Limit(Words),
    /// It is to be a member no more
    ///
    /// For a key in strange hands, unlawful access, an organisation that is gone; never for failing
    /// to show: limit it then. Its node is refused by everybody from then on.
    #[command(after_help = "Examples:
  $ fairshare steward propose remove L83024 --reason 'the practice closed on 31 March'")]
    Remove(Words),
    /// It is to be again what it was admitted as
    ///
    /// After a limit or a removal. Its node keys must be named anew: see `fairshare join`.
    #[command(after_help = "Examples:
  $ fairshare steward propose reinstate L83024 --reason 'rounds are answered again'")]
    Reinstate(Words),
    /// It is to have another organisation key: the old one, and every node it named, are void
    ///
    /// After a theft. The member makes a new home with `fairshare init` and asks with
    /// `fairshare join`; the key is taken from its request, whose fingerprint it reads to you over
    /// the telephone. Once this is decided its node enters by itself.
    #[command(after_help = "Examples:
  $ fairshare steward propose key L83024 --reason 'their server was stolen'
  $ fairshare steward propose key L83024 --key 3d1f… --reason 'passphrase lost'")]
    Key(Key),
}

/// A decision that is told in words.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// The member
    #[arg(value_name = "CODE")]
    about: OdsCode,
    /// Why, for everybody to read; without patient data
    #[arg(long, value_name = "WORDS")]
    reason: Line,
    #[command(flatten)]
    how: How,
}

/// A new organisation key.
#[derive(Debug, clap::Args)]
pub struct Key {
    /// The member
    #[arg(value_name = "CODE")]
    about: OdsCode,
    /// The new organisation key [default: that of its request, as `admissions` shows it]
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// Why, for everybody to read; without patient data
    #[arg(long, value_name = "WORDS")]
    reason: Line,
    #[command(flatten)]
    how: How,
}

/// How a proposal is signed, and where it goes.
#[derive(Debug, clap::Args)]
struct How {
    /// Do not ask whether it says what is meant
    #[arg(long)]
    yes: bool,
    /// Only write it into a file, to be signed where the organisation key is
    #[arg(long, conflicts_with_all = ["org_key", "passphrase_file"])]
    unsigned: bool,
    /// Where to write the proposal [default: proposal-CODE.txt, unless it is decided]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    proposal: ProposalReport,
    /// The file it is in, if it was written.
    file: Option<PathBuf>,
}

impl Propose {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let (about, motion, how) = match self {
            Self::Limit(it) => (it.about, Motion::Limit(it.reason), it.how),
            Self::Remove(it) => (it.about, Motion::Remove(it.reason), it.how),
            Self::Reinstate(it) => (it.about, Motion::Reinstate(it.reason), it.how),
            Self::Key(it) => {
                let (organisation, reason) = (it.key, it.reason);
                let motion = Motion::Key {
                    organisation,
                    reason,
                };
                (it.about, motion, it.how)
            }
        };
        let drafted = client.ask(Draft { about, motion }).await?;
        if how.unsigned {
            return finish(client, drafted, true, how.out.as_deref());
        }
        agreed(client, &drafted, how.yes)?;
        let mut proposal: Proposal = armour::read(&drafted.sheet).map_err(wrong)?;
        proposal.add(&how.signing.key(client)?);
        hand_over(client, &proposal, how.out.as_deref()).await
    }
}

/// Sign what another steward proposed
///
/// Shows what it says and asks. A file that has enough signatures already is only taken.
///
/// With --offline no node is asked: for a machine without a network that has nothing but the
/// organisation key. The file it writes goes back to where the node is, and is signed there once
/// more with this command, which then needs no key.
///
/// Exits 3 if the rules refuse it, or it is not confirmed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare steward sign L83024
  $ fairshare steward sign 7c02 --yes
  $ fairshare steward sign proposal-L83024.txt --offline --org-key /media/stick/organisation.key")]
pub struct Sign {
    /// A file or link; or, of an open proposal, the code it is about or the beginning of its name
    #[arg(value_name = "WHICH")]
    which: String,
    /// Ask no node: sign the file, and write it
    #[arg(long, requires = "org_key")]
    offline: bool,
    /// Do not ask whether it says what is meant
    #[arg(long)]
    yes: bool,
    /// Where to write the proposal [default: proposal-CODE.txt, unless it is decided]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

impl Sign {
    async fn run(self, client: &Client) -> Result<u8, Failure> {
        let is_paper = self.which.starts_with("fairshare:") || Path::new(&self.which).exists();
        if self.offline {
            return self.offline(client);
        }
        let which = if is_paper {
            paper::text(&self.which)?
        } else {
            self.which.clone()
        };
        let shown = client.ask(ShowProposal { which }).await?;
        let mut proposal: Proposal = armour::read(&shown.sheet).map_err(wrong)?;
        let own = join::own_code(client)?;
        let enough = shown.signed.len() >= usize::from(shown.needed);
        if !enough && !shown.signed.contains(&own) {
            agreed(client, &shown, self.yes)?;
            proposal.add(&self.signing.key(client)?);
        }
        hand_over(client, &proposal, self.out.as_deref()).await
    }

    /// Signs on a machine that has the key and nothing else.
    fn offline(&self, client: &Client) -> Result<u8, Failure> {
        let mut proposal: Proposal =
            armour::read(&paper::text(&self.which)?).map_err(wrong)?;
        let (body, _) = proposal.decision().verify().map_err(wrong)?;
        let decision = body.decision().map_err(wrong)?;
        let mut shown = Offline {
            about: body.about,
            kind: decision.kind().to_string(),
            says: decision.says(),
            charter: body.charter.to_string(),
            file: None,
        };
        if !self.yes {
            say(&client.output.text(|page| shown.show(page)));
            if !confirm("\nSign this?") {
                return Err(unconfirmed());
            }
        }
        proposal.add(&self.signing.key(client)?);
        let usual = format!("proposal-{}.txt", shown.about);
        let text = armour::block(&proposal);
        shown.file = Some(paper::write(self.out.as_deref(), &usual, &text)?);
        client.output.answer(&shown, |page| {
            shown.show(page);
            page.gap();
            page.line("Signed. Where the node is:");
            page.line("  $ fairshare steward sign FILE");
        });
        Ok(0)
    }
}

/// A proposal as it is read without a roster.
#[derive(Debug, Serialize)]
struct Offline {
    about: OdsCode,
    kind: String,
    says: Vec<(String, String)>,
    charter: String,
    file: Option<PathBuf>,
}

impl Offline {
    fn show(&self, page: &mut Page) {
        let mut fields = vec![
            ("decision", format!("{} {}", self.kind, self.about)),
            ("charter", self.charter.clone()),
        ];
        fields.extend(self.says.iter().map(|(n, v)| (n.as_str(), v.clone())));
        if let Some(file) = &self.file {
            fields.push(("file", file.display().to_string()));
        }
        page.fields(&fields);
    }
}

fn unconfirmed() -> Failure {
    let fact = "the proposal was not signed";
    Failure::new(REFUSED, fact, "read what it says; with --yes nothing is asked")
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

fn finish(
    client: &Client,
    proposal: ProposalReport,
    write: bool,
    out: Option<&Path>,
) -> Result<u8, Failure> {
    let usual = format!("proposal-{}.txt", proposal.about);
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
            page.line(format_args!("{decided} Every member hears of it once it is connected."));
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
            it.about.to_string(),
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
        format!("{} {} {}", proposal.kind, proposal.about, proposal.name),
    )];
    let says = proposal.says.iter();
    fields.extend(says.map(|(name, value)| (name.as_str(), value.clone())));
    fields.push(("signed by", format!("{signed}; {} must sign", proposal.needed)));
    fields.push(("proposal", proposal.proposal.to_string()));
    page.fields(&fields);
}
