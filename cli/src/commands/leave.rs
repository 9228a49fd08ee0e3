//! `fairshare leave`

use fairshare_protocol::control::roster::{Leave as Word, Leaving};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::roster::{Claim, SelfStatement};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::text::Line;

use super::federation::now;
use crate::client::Client;
use crate::output::count;
use crate::signing::{Signing, confirm, say};

/// Leave the federation
///
/// The organisation key signs it. Everybody who is connected hears of it at once, and answers this
/// node no more; it answers nobody. What was received stays until it expires or is erased, and the
/// journal stays. To come back: `fairshare join`, and the stewards admit it again.
///
/// Leave the node running until the others have heard: `fairshare peers` then shows none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare leave --reason 'the practice closes on 31 March'")]
pub struct Leave {
    /// Why, for this node's own journal
    #[arg(long, value_name = "WORDS")]
    reason: Line,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    signing: Signing,
}

impl Leave {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let place = client.ask(Leaving {}).await?;
        if !self.yes {
            if client.output.json() {
                let fact = "nobody was asked whether this is meant";
                return Err(Failure::new(WRONG, fact, "give --yes if it is"));
            }
            say(&format!(
                "{} leaves {}. Nobody answers its questions from then on.\n",
                place.member, place.name
            ));
            if place.steward {
                say("It is a steward: until the charter names others, one fewer can sign.\n");
            }
            if !confirm("Is this meant?") {
                let fact = format!("{} has not left", place.member);
                return Err(Failure::new(REFUSED, fact, "with --yes nothing is asked"));
            }
        }
        let key = self.signing.key(client)?;
        let at = (place.n, place.u);
        let word = SelfStatement::new(place.federation, place.member, at, now(), &Claim::Leave);
        let left = Word {
            statement: Signed::sign(&word, &key),
            reason: self.reason,
        };
        let left = client.ask(left).await?;
        client.output.answer(&left, |page| {
            page.line(format_args!(
                "This organisation has left {}. Members taking part: {}.",
                left.name,
                count(left.members)
            ));
            if !left.running {
                page.line(
                    "Start the node once more (`fairshare run`), so that the others hear of it.",
                );
            }
        });
        Ok(0)
    }
}
