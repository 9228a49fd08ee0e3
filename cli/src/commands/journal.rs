//! `fairshare journal`

use std::path::{Path, PathBuf};

use fairshare_node::home::keys::Keys;
use fairshare_node::journal;
use fairshare_protocol::control::journal::{Verified, Verify as Question};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::PublicKey;

use crate::client::Client;
use crate::output::{Page, Tone, bytes, count, many};

/// Check the journal
#[derive(Debug, clap::Subcommand)]
pub enum Journal {
    Verify(Verify),
}

impl Journal {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        match self {
            Self::Verify(command) => command.run(client).await,
        }
    }
}

/// Check that the journal is as it was written
///
/// Follows the chain from its first entry to its last and holds it against the signed heads, of the
/// end of each day and of each clean stop. A changed, dropped or added entry is found, and so is an
/// end that was cut off before the last signed head. Of a running node's entries since then none is
/// vouched for yet; and whoever can cut off entries and heads alike leaves a shorter journal that is
/// sound: note the head elsewhere, or compare with a backup. Works while the node runs, and on a
/// copy. Exits 0 if all is sound, 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare journal verify
  $ fairshare journal verify /mnt/backup/fairshare/journal --key 5f0c…")]
pub struct Verify {
    /// A copy: a journal's directory, or the home it is in
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// The node key that must have signed the newest head [default: this node's, or for a copy none]
    #[arg(long, value_name = "HEX", requires = "path")]
    key: Option<PublicKey>,
}

impl Verify {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let verified = match self.path {
            Some(path) => check(&journal_in(path), self.key.as_ref())?,
            None if client.connect().await?.is_some() => client.ask_running(Question {}).await?,
            None => {
                let keys = Keys::read(&client.home().join("keys"));
                let keys = keys.map_err(|error| Failure::from_error(WRONG, &error))?;
                check(&client.home().join("journal"), Some(&keys.node.public()))?
            }
        };
        client
            .output
            .answer(&verified, |page| show(page, &verified));
        Ok(0)
    }
}

fn journal_in(path: PathBuf) -> PathBuf {
    let inner = path.join("journal");
    if inner.is_dir() { inner } else { path }
}

fn check(dir: &Path, key: Option<&PublicKey>) -> Result<Verified, Failure> {
    journal::verify(dir, key).map_err(|error| Failure::from_error(error.code(), &error))
}

fn show(page: &mut Page, found: &Verified) {
    let sound = page.tone(Tone::Good, "sound");
    page.line(match &found.member {
        Some(member) => format!("The journal of {member} is {sound}."),
        // Who writes is told when a node first starts.
        None => format!("The journal is {sound}, and no node has started in it yet."),
    });
    page.gap();
    let span = match (found.first, found.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "nothing written yet".to_owned(),
    };
    let mut fields = vec![
        ("entries", count(found.entries)),
        ("written", span),
        ("head", found.head.to_string()),
        (
            "signed heads",
            format!(
                "{}, vouching for the first {}",
                count(found.heads),
                many(found.vouched, "entry", "entries")
            ),
        ),
    ];
    if found.unfinished > 0 {
        let note = "being written, or cut short: by a crash, or by somebody";
        fields.push(("at the end", format!("{} {note}", bytes(found.unfinished))));
    }
    page.fields(&fields);
    let open = found.entries - found.vouched.min(found.entries);
    if open > 0 {
        page.gap();
        let none = page.tone(Tone::Bad, "no signed head vouches");
        page.line(format_args!(
            "For the last {} {none} yet: if an end was cut off among or after them, nothing here \
             shows it.",
            many(open, "entry", "entries")
        ));
    }
}
