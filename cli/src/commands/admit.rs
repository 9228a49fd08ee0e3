//! `fairshare admit`

use std::path::PathBuf;

use fairshare_protocol::armour;
use fairshare_protocol::control::roster::{self, Admitted, Prepare, Prepared};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::join::Candidacy;
use serde::Serialize;

use super::{admissions, join};
use crate::client::Client;
use crate::output::{Page, Tone};
use crate::paper;
use crate::signing::{Signing, confirm, say, wrong};

/// Admit an organisation, as a steward
///
/// Signs with the organisation key. If more stewards must sign, it writes the admission for the
/// next one, who runs the same command on it; the last writes the welcome for the newcomer. A
/// newcomer whose node brought its request needs no file: it enters by itself.
///
/// Exits 3 if the rules refuse it, or the fingerprint is not confirmed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare admit L83024
  $ fairshare admit join-L83024.txt --fingerprint '27775 01932 88410 00231 65002 19877'
  $ fairshare admit admission-L83024.txt")]
pub struct Admit {
    /// A code or fingerprint from `admissions`; or the request, or an admission another steward
    /// signed, as a file or link
    #[arg(value_name = "WHICH")]
    which: String,
    /// The fingerprint the newcomer read over the telephone, instead of being asked to compare
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Do not ask whether the fingerprint was compared
    #[arg(long)]
    yes: bool,
    /// Where to write the admission or the welcome [default: admission-CODE.txt, welcome-CODE.txt]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    admitted: Admitted,
    /// Where the admission or the welcome is.
    file: PathBuf,
}

impl Admit {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let listed = self.which.parse::<OdsCode>().is_ok()
            || self.which.chars().all(|c| c.is_ascii_digit() || c == ' ');
        let which = if listed && !PathBuf::from(&self.which).is_file() {
            self.which.clone()
        } else {
            let text = paper::text(&self.which)?;
            match armour::read::<Candidacy>(&text) {
                // Nor is it the name of a request that waits.
                Err(error @ armour::Error::Nothing { .. }) => return Err(wrong(error)),
                _ => text,
            }
        };
        let prepared = client.ask(Prepare { which }).await?;
        let own = join::own_code(client)?;
        let mut sheet: Candidacy = armour::read(&prepared.sheet).map_err(wrong)?;
        let enough = prepared.signed.len() >= usize::from(prepared.needed);
        if !enough && !prepared.signed.contains(&own) {
            self.compared(client, &prepared)?;
            sheet.decision.add(&self.signing.key(client)?);
        }
        let sheet = armour::block(&sheet);
        let admitted = client.ask(roster::Admit { sheet }).await?;
        let what = if admitted.admitted {
            "welcome"
        } else {
            "admission"
        };
        let usual = format!("{what}-{}.txt", admitted.candidate.code);
        let done = Done {
            file: paper::write(self.out.as_deref(), &usual, &admitted.paper)?,
            admitted,
        };
        client.output.answer(&done, |page| show(page, &done));
        Ok(0)
    }

    /// Whether the fingerprint is the newcomer's, as the operator says.
    fn compared(&self, client: &Client, prepared: &Prepared) -> Result<(), Failure> {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        let candidate = &prepared.candidate;
        if let Some(given) = &self.fingerprint {
            if digits(given) == digits(&candidate.fingerprint) {
                return Ok(());
            }
            let fact = format!("the request's fingerprint is {}", candidate.fingerprint);
            let remedy = "not what was read to you: do not admit it, and ask who sent it";
            return Err(Failure::new(REFUSED, fact, remedy));
        }
        if self.yes {
            return Ok(());
        }
        if client.output.json() {
            let fact = "the fingerprint was not compared";
            return Err(Failure::new(
                WRONG,
                fact,
                "give --fingerprint DIGITS, or --yes",
            ));
        }
        say(&client.output.text(|page| admissions::show(page, candidate)));
        if confirm("\nDid they read this fingerprint to you over the telephone?") {
            return Ok(());
        }
        let fact = format!("{} was not admitted", candidate.code);
        let remedy = "telephone the newcomer and compare the fingerprint, or give --fingerprint";
        Err(Failure::new(REFUSED, fact, remedy))
    }
}

fn show(page: &mut Page, done: &Done) {
    let admitted = &done.admitted;
    let (code, name) = (&admitted.candidate.code, &admitted.candidate.admission.name);
    let signed: Vec<_> = admitted.signed.iter().map(OdsCode::as_str).collect();
    let (signed, needed) = (signed.join(", "), admitted.needed);
    let file = done.file.display();
    if admitted.admitted {
        let word = page.tone(Tone::Good, "is a member");
        page.line(format_args!("{code} {name} {word}, signed by {signed}."));
        page.gap();
        page.line(format_args!(
            "Its welcome is {file}: send it, unless its node brought the request itself."
        ));
    } else {
        page.line(format_args!(
            "{code} {name}: signed by {signed}; {needed} must sign."
        ));
        page.gap();
        page.line(format_args!("Send {file} to the next steward, who runs:"));
        page.line(format_args!("  $ fairshare admit {file}"));
    }
}
