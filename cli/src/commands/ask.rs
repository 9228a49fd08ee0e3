//! `fairshare ask`

use std::collections::BTreeSet;

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::exchange::{self, AskReport, AskState, AskedPeer, Counts};
use fairshare_protocol::control::offer::ShowTerms;
use fairshare_protocol::control::{DEGRADED, Failure, REFUSED, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::terms;
use fairshare_protocol::text::Line;
use fairshare_protocol::time::Timestamp;

use super::completeness;
use super::person::Person;
use crate::client::Client;
use crate::output::{Page, Tone, ago, count};

/// Ask peers for their records of one person, and show ours in return
///
/// Asks everybody the person is linked with, or those named, at the same time. Each answers at once
/// under its own offer; our own records of the person follow under ours. What comes is kept apart
/// from our own records: `fairshare received` lists and exports it. Both sides journal who asked,
/// what for, and what was shown.
///
/// Exits 0 if everybody asked answered, 1 if somebody could not be reached or something went wrong,
/// 3 if somebody refused or deferred.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare ask
  $ fairshare ask --from L83024 --only allergies,medications
  $ fairshare ask --purpose emergency --reason \"unconscious on arrival\"")]
pub struct Ask {
    /// Ask this member only; may be given several times
    #[arg(long, value_name = "CODE")]
    from: Vec<OdsCode>,
    /// What for: care, emergency or safeguarding
    #[arg(long, value_name = "PURPOSE", default_value = "care")]
    purpose: String,
    /// Only these categories, with commas between them [default: all that flows]
    #[arg(long, value_name = "CATEGORIES", value_delimiter = ',')]
    only: Vec<Category>,
    /// Why; an emergency needs it. Without names or numbers: it is kept by both sides
    #[arg(long, value_name = "TEXT")]
    reason: Option<Line>,
    #[command(flatten)]
    person: Person,
}

impl Ask {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let purpose: Purpose = terms::purpose(&self.purpose).map_err(|_| {
            let fact = format!(
                "nobody is asked for `{}` (not for planning or research either: the national data \
                 opt-out applies to them)",
                self.purpose
            );
            Failure::new(WRONG, fact, "use care, emergency or safeguarding")
        })?;
        client.reach_running().await?;
        if self.person.is_asked_for() {
            self.forewarned(client, purpose).await?;
        }
        let question = exchange::Ask {
            purpose,
            peers: self.from.into_iter().collect(),
            categories: self.only.into_iter().collect::<BTreeSet<_>>(),
            reason: self.reason,
            person: self.person.read()?,
        };
        let report = client.ask_running(question).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(code(&report))
    }
}

impl Ask {
    /// Says what the node would refuse, before somebody types in a person for nothing.
    async fn forewarned(&self, client: &Client, purpose: Purpose) -> Result<(), Failure> {
        if purpose == Purpose::Emergency && self.reason.is_none() {
            let fact = "an emergency needs a reason";
            return Err(Failure::new(WRONG, fact, "say why with --reason"));
        }
        for peer in self.from.iter().cloned() {
            match client.ask_running(ShowTerms { peer }).await {
                Err(failure) if failure.code == WRONG => return Err(failure),
                // Whom there are no terms with is told in the answer.
                _ => {}
            }
        }
        Ok(())
    }
}

fn code(report: &AskReport) -> u8 {
    let any = |wanted: &[AskState]| report.peers.iter().any(|peer| wanted.contains(&peer.state));
    if any(&[
        AskState::Failed,
        AskState::Unreachable,
        AskState::Quarantined,
    ]) {
        DEGRADED
    } else if any(&[AskState::Refused, AskState::Deferred]) {
        REFUSED
    } else {
        0
    }
}

fn show(page: &mut Page, report: &AskReport) {
    let head = [
        "CODE",
        "NAME",
        "ANSWER",
        "RECEIVED",
        "SHOWN IN RETURN",
        "THEIR INDEX",
        "TOOK",
    ];
    let rows = report.peers.iter().map(|peer| row(page, report.now, peer));
    let rows = rows.collect();
    page.table(&head, rows);
    for peer in &report.peers {
        if is_plain(peer) {
            continue;
        }
        page.gap();
        page.line(format_args!("{} {}", peer.code, peer.name));
        let mut fields = Vec::new();
        if let Some(why) = &peer.why {
            fields.push(("  why", why.clone()));
        }
        if !peer.stopped.is_empty() {
            fields.push(("  not shown", stopped(&peer.stopped)));
        }
        if !peer.received.is_empty() {
            fields.push(("  received", by_category(&peer.received)));
        }
        if !peer.shown.is_empty() {
            let doubt = if peer.acknowledged {
                ""
            } else {
                " (not acknowledged)"
            };
            fields.push(("  shown", by_category(&peer.shown) + doubt));
        }
        if peer.one_sided {
            let note = "for this purpose one side shows what the other has nothing equivalent to";
            fields.push(("  one-sided", note.to_owned()));
        }
        if peer.other_terms {
            let note = "the peer answered under a newer offer than this node knew";
            fields.push(("  terms", note.to_owned()));
        }
        if let Some(exchange) = peer.exchange {
            fields.push(("  exchange", exchange.to_string()));
        }
        page.fields(&fields);
    }
    page.gap();
    if report.completeness.not_matched > 0 {
        page.line("Not matched yet: `fairshare match` finds whom both hold; then ask again.");
    }
    page.line(completeness::of_asking(report.now, &report.completeness));
}

/// Whether the table says all there is to say.
fn is_plain(peer: &AskedPeer) -> bool {
    let nothing = peer.received.is_empty() && peer.shown.is_empty();
    nothing && peer.why.is_none() && peer.stopped.is_empty()
}

/// What is missing because somebody there decided so: not "none".
fn stopped(categories: &[Category]) -> String {
    let each: Vec<_> = categories.iter().map(ToString::to_string).collect();
    format!(
        "{}: stopped by an operator there; there may be some, ring them",
        each.join(", ")
    )
}

fn row(page: &Page, now: Timestamp, peer: &AskedPeer) -> Vec<String> {
    let total = |counts: &Counts| match counts.values().map(|n| u64::from(*n)).sum() {
        0 => "-".to_owned(),
        sum => format!("{} records", count(sum)),
    };
    let tone = match peer.state {
        AskState::Delivered => Tone::Good,
        AskState::Failed | AskState::Unreachable | AskState::Quarantined | AskState::Refused => {
            Tone::Bad
        }
        _ => Tone::Quiet,
    };
    vec![
        peer.code.to_string(),
        peer.name.clone(),
        page.tone(tone, &answer(peer)),
        total(&peer.received),
        total(&peer.shown),
        peer.index_made
            .map_or_else(|| "-".to_owned(), |made| ago(now, made)),
        match peer.ms {
            0 => "-".to_owned(),
            ms => format!("{ms} ms"),
        },
    ]
}

/// The answer in words; of a refusal its code too.
fn answer(peer: &AskedPeer) -> String {
    match (peer.state, &peer.why) {
        (AskState::Refused, Some(code)) => format!("refused: {code}"),
        _ => state(peer.state).to_owned(),
    }
}

const fn state(state: AskState) -> &'static str {
    match state {
        AskState::Delivered => "delivered",
        AskState::NothingToShow => "nothing to show",
        AskState::Refused => "refused",
        AskState::Deferred => "deferred",
        AskState::Quarantined => "in quarantine",
        AskState::Failed => "failed",
        AskState::Unreachable => "unreachable",
        AskState::NotLinked => "not linked",
        AskState::NotMatched => "not matched yet",
        AskState::NotYetIndexed => "not told yet",
        AskState::NotIndexable => "not indexable",
        AskState::NoPresence => "does not match with us",
    }
}

/// Records by category, in words: `allergies 2, medications 11`.
pub fn by_category(counts: &Counts) -> String {
    let each = counts.iter().map(|(category, n)| format!("{category} {n}"));
    each.collect::<Vec<_>>().join(", ")
}
