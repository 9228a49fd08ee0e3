//! `fairshare steward propose`

use std::path::PathBuf;

use fairshare_protocol::armour;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::stewards::{Motion, ProposalReport, Propose as Draft};
use fairshare_protocol::ids::{OdsCode, PublicKey};
use fairshare_protocol::proposal::Proposal;
use fairshare_protocol::text::Line;

use super::{agreed, finish, hand_over};
use crate::client::Client;
use crate::signing::{Signing, wrong};

/// Propose a decision about a member, or another charter, and sign it
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
    /// Others are to be merged into it, for good
    ///
    /// Their history and the people they may list are its own from then on; they are members no
    /// more. Its node does not take over their records: import those there.
    #[command(after_help = "Examples:
  $ fairshare steward propose succeed L83024 --predecessor L83099 --reason 'merged on 1 April'")]
    Succeed(Succeed),
    /// It is to have another organisation key: the old one, and every node it named, are void
    ///
    /// After a theft. The member makes a new home with `fairshare init` and asks with
    /// `fairshare join`; the key is taken from its request, whose fingerprint it reads to you over
    /// the telephone. Once this is decided its node enters by itself.
    #[command(after_help = "Examples:
  $ fairshare steward propose key L83024 --reason 'their server was stolen'
  $ fairshare steward propose key L83024 --key 3d1f… --reason 'passphrase lost'")]
    Key(Key),
    Charter(super::charter::Charter),
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

/// A merger.
#[derive(Debug, clap::Args)]
pub struct Succeed {
    /// The member that goes on
    #[arg(value_name = "CODE")]
    about: OdsCode,
    /// A member that is merged into it; may be given more than once
    #[arg(long = "predecessor", value_name = "CODE", required = true)]
    predecessors: Vec<OdsCode>,
    /// Why, for everybody to read; without patient data
    #[arg(long, value_name = "WORDS")]
    reason: Line,
    #[command(flatten)]
    how: How,
}

/// How a proposal is signed, and where it goes.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Do not ask whether it says what is meant
    #[arg(long)]
    yes: bool,
    /// Only write it into a file, to be signed where the organisation key is
    #[arg(long, conflicts_with_all = ["org_key", "passphrase_file"])]
    unsigned: bool,
    /// Where to write the proposal [default: proposal-CODE.txt, or proposal-charter.txt, unless it
    /// is decided]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

impl Propose {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let (drafted, how) = match self {
            Self::Limit(it) => ask(client, it.about, Motion::Limit(it.reason), it.how).await?,
            Self::Remove(it) => ask(client, it.about, Motion::Remove(it.reason), it.how).await?,
            Self::Reinstate(it) => {
                ask(client, it.about, Motion::Reinstate(it.reason), it.how).await?
            }
            Self::Succeed(it) => {
                let motion = Motion::Succeed {
                    predecessors: it.predecessors.into_iter().collect(),
                    reason: it.reason,
                };
                ask(client, it.about, motion, it.how).await?
            }
            Self::Key(it) => {
                let (organisation, reason) = (it.key, it.reason);
                let motion = Motion::Key {
                    organisation,
                    reason,
                };
                ask(client, it.about, motion, it.how).await?
            }
            Self::Charter(it) => (client.ask(it.question()?).await?, it.how),
        };
        if how.unsigned {
            return finish(client, drafted, true, how.out.as_deref());
        }
        agreed(client, &drafted, how.yes)?;
        let mut proposal: Proposal = armour::read(&drafted.sheet).map_err(wrong)?;
        proposal.add(&how.signing.key(client)?);
        hand_over(client, &proposal, how.out.as_deref()).await
    }
}

/// Has the node write a decision about a member.
async fn ask(
    client: &Client,
    about: OdsCode,
    motion: Motion,
    how: How,
) -> Result<(ProposalReport, How), Failure> {
    Ok((client.ask(Draft { about, motion }).await?, how))
}
