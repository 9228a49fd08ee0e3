//! `fairshare steward sign`

use std::path::{Path, PathBuf};

use fairshare_protocol::armour;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::stewards::ShowProposal;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::proposal::{Proposal, Subject};
use serde::Serialize;

use super::{agreed, decided, hand_over, unconfirmed, usual};
use crate::client::Client;
use crate::commands::join;
use crate::output::Page;
use crate::paper;
use crate::signing::{Signing, confirm, say, wrong};

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
  $ fairshare steward sign charter
  $ fairshare steward sign 7c02 --yes
  $ fairshare steward sign proposal-L83024.txt --offline --org-key /media/stick/organisation.key")]
pub struct Sign {
    /// A file or link; or, of an open proposal, the code it is about, `charter`, or how its name begins
    #[arg(value_name = "WHICH")]
    which: String,
    /// Ask no node: sign the file, and write it
    #[arg(long, requires = "org_key")]
    offline: bool,
    /// Do not ask whether it says what is meant
    #[arg(long)]
    yes: bool,
    /// Where to write the proposal [default: proposal-CODE.txt, or proposal-charter.txt, unless it
    /// is decided]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

impl Sign {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let is_paper = self.which.starts_with("fairshare:") || Path::new(&self.which).is_file();
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
        let mut proposal: Proposal = armour::read(&paper::text(&self.which)?).map_err(wrong)?;
        let (subject, _, _) = proposal.read().map_err(wrong)?;
        let under = match (&subject, proposal.decision()) {
            (Subject::Charter(next), _) => next.previous,
            (_, Some(decision)) => Some(decision.peek().map_err(wrong)?.charter),
            (_, None) => None,
        };
        let mut shown = Offline {
            about: subject.about().cloned(),
            kind: subject.word().to_owned(),
            says: subject.says(None),
            charter: under.as_ref().map(ToString::to_string).unwrap_or_default(),
            file: None,
        };
        if !self.yes {
            say(&client.output.text(|page| shown.show(page)));
            if !confirm("\nSign this?") {
                return Err(unconfirmed());
            }
        }
        proposal.add(&self.signing.key(client)?);
        let usual = usual(shown.about.as_ref());
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
    about: Option<OdsCode>,
    kind: String,
    says: Vec<(String, String)>,
    charter: String,
    file: Option<PathBuf>,
}

impl Offline {
    fn show(&self, page: &mut Page) {
        let follows = match self.about {
            Some(_) => "charter",
            None => "follows",
        };
        let mut fields = vec![
            ("decision", decided(&self.kind, self.about.as_ref(), "")),
            (follows, self.charter.clone()),
        ];
        fields.extend(self.says.iter().map(|(n, v)| (n.as_str(), v.clone())));
        if let Some(file) = &self.file {
            fields.push(("file", file.display().to_string()));
        }
        page.fields(&fields);
    }
}
