//! `fairshare admissions`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::roster::{self, Candidate, Dismiss};
use fairshare_protocol::ids::OdsCode;

use crate::client::Client;
use crate::commands::federation::now;
use crate::output::{Page, Tone, ago, count};

/// Who asks to be admitted
///
/// Requests that newcomers' nodes brought to this one. Compare each fingerprint with what the
/// newcomer reads over the telephone, on a number you have from elsewhere, before you `admit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare admissions
  $ fairshare admissions --dismiss L83024")]
pub struct Admissions {
    /// Take a request off the list: its code or fingerprint
    #[arg(long, value_name = "WHICH")]
    dismiss: Option<String>,
}

impl Admissions {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        if let Some(which) = self.dismiss {
            let gone = client.ask(Dismiss { which }).await?;
            client.output.answer(&gone, |page| {
                page.line(format_args!(
                    "The request of {} is off the list.",
                    gone.code
                ));
            });
            return Ok(0);
        }
        let waiting = client.ask(roster::Admissions {}).await?;
        client.output.answer(&waiting, |page| {
            if waiting.is_empty() {
                page.line("Nobody is waiting.");
            }
            for (at, candidate) in waiting.iter().enumerate() {
                if at > 0 {
                    page.gap();
                }
                show(page, candidate);
            }
        });
        Ok(0)
    }
}

/// One candidate, for a person who decides.
pub fn show(page: &mut Page, candidate: &Candidate) {
    let admission = &candidate.admission;
    page.line(format_args!(
        "{}  {}, {}",
        candidate.code, admission.name, admission.kind
    ));
    let reach = |reach: &fairshare_protocol::roster::own::Reach| {
        let parts = [
            Some(&reach.name),
            reach.email.as_ref(),
            reach.telephone.as_ref(),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().map(|it| it.as_str()).collect();
        parts.join(", ")
    };
    let contact = &candidate.contact;
    let expires = contact.dspt_expires.as_ref();
    let until = expires
        .map(|day| format!(" until {day}"))
        .unwrap_or_default();
    let addresses = match &contact.addresses[..] {
        [] => "none: it connects outwards only".to_owned(),
        some => some.join(", "),
    };
    let mut fields = vec![
        ("fingerprint", candidate.fingerprint.clone()),
        ("asked", ago(now(), candidate.at)),
        ("people", format!("at most {}", count(admission.population))),
        ("exchange contact", reach(&contact.exchange)),
        ("Caldicott Guardian", reach(&contact.guardian)),
        ("DSPT", format!("{}{until}", contact.dspt)),
        ("addresses", addresses),
        ("organisation key", admission.organisation.to_string()),
    ];
    if !candidate.signed.is_empty() {
        let signed: Vec<_> = candidate.signed.iter().map(OdsCode::as_str).collect();
        fields.push(("signed by", signed.join(", ")));
    }
    if let Some(problem) = &candidate.problem {
        fields.push(("problem", page.tone(Tone::Bad, problem)));
    }
    page.fields(&fields);
}
