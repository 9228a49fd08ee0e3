//! `fairshare find`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{self, FindPeer, FindReport, FindState};

use super::person::Person;
use crate::client::Client;
use crate::output::{Page, Tone, ago, count};

/// Who else holds a person
///
/// Answers from this node's own matches; nobody is asked, and who looked is journaled. An absence
/// is never "no record": it says who was matched, when, and how many people nobody can find.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare find
  $ fairshare find --json < person.txt")]
pub struct Find {
    #[command(flatten)]
    person: Person,
}

impl Find {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let person = self.person.read()?;
        let report = client.ask(index::Find { person }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &FindReport) {
    let held = match (report.held, report.indexed) {
        (false, _) => "not held here, so nobody can be linked",
        (true, false) => "held here, and not in the index yet: it is from the next match on",
        (true, true) => "held here, and in the index",
    };
    page.line(format_args!("This person is {held}."));
    if !report.peers.is_empty() {
        page.gap();
        let head = ["CODE", "NAME", "KIND", "", "THEIR INDEX", "MATCHED"];
        let rows = report.peers.iter().map(|peer| row(page, report, peer));
        let rows = rows.collect();
        page.table(&head, rows);
    }
    page.gap();
    page.line(completeness(
        report.peers.iter().map(|peer| peer.state),
        report.not_indexable,
    ));
}

fn row(page: &Page, report: &FindReport, peer: &FindPeer) -> Vec<String> {
    let age = |at: Option<_>| at.map_or("-".to_owned(), |at| ago(report.now, at));
    let state = match peer.state {
        FindState::Linked => page.tone(Tone::Good, state(peer.state)),
        _ => state(peer.state).to_owned(),
    };
    vec![
        peer.code.to_string(),
        peer.name.clone(),
        peer.kind.to_string(),
        state,
        age(peer.index_made),
        age(peer.matched),
    ]
}

/// A state in words.
pub const fn state(state: FindState) -> &'static str {
    match state {
        FindState::Linked => "linked",
        FindState::NotLinked => "not linked",
        FindState::NotMatched => "not matched yet",
        FindState::NoPresence => "does not match with us",
    }
}

/// How complete a search was.
fn completeness(states: impl Iterator<Item = FindState> + Clone, not_indexable: u64) -> String {
    let number = |wanted| states.clone().filter(|state| *state == wanted).count();
    format!(
        "Complete as far as this goes: {} linked, {} not linked, {} not matched yet, {} not \
         matching with us; {} people of this node cannot be found by anybody (no valid NHS number \
         or date of birth). Not linked does not mean no record.",
        number(FindState::Linked),
        number(FindState::NotLinked),
        number(FindState::NotMatched),
        number(FindState::NoPresence),
        count(not_indexable),
    )
}
