//! `fairshare find`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::index::{self, FindPeer, FindReport, FindState};

use super::completeness;
use super::person::Person;
use crate::client::Client;
use crate::output::{Page, Tone, ago};

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
        client.reach().await?;
        let person = self.person.read()?;
        let report = client.ask(index::Find { person }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &FindReport) {
    let waiting = match report.later {
        true => {
            "held here, and waiting for the index: more people wait than the charter allows in a \
             day, so peers may be told another day, and are at once if asked"
        }
        false => {
            "held here, and not in the index yet: peers are told within a day, and at once if asked"
        }
    };
    let held = match (report.held, report.indexable, report.indexed) {
        (false, ..) if report.withheld => "not held here, and withheld from the moment they come",
        (false, ..) => "not held here, so nobody can be linked",
        (true, _, false) if report.withheld => "held here and withheld: nobody is told of them",
        (true, _, true) if report.withheld => {
            "held here and withheld: nothing of ours is shown, and the next index is without them"
        }
        (true, false, _) => {
            "held here without a valid NHS number and date of birth of their own, so nobody can be \
             linked"
        }
        (true, true, false) => waiting,
        (true, true, true) => "held here, and in the index",
    };
    page.line(format_args!("This person is {held}."));
    if !report.peers.is_empty() {
        page.gap();
        let head = [
            "CODE",
            "NAME",
            "KIND",
            "STATE",
            "NOW",
            "THEIR INDEX",
            "MATCHED",
        ];
        let rows = report.peers.iter().map(|peer| row(page, report, peer));
        let rows = rows.collect();
        page.table(&head, rows);
    }
    page.gap();
    page.line(completeness::of_search(report.now, &report.completeness));
}

fn row(page: &Page, report: &FindReport, peer: &FindPeer) -> Vec<String> {
    let age = |at: Option<_>| at.map_or("-".to_owned(), |at| ago(report.now, at));
    let state = match peer.state {
        FindState::Linked => page.tone(Tone::Good, state(peer.state)),
        _ => state(peer.state).to_owned(),
    };
    let reached = match peer.reachable {
        Some(true) => "connected".to_owned(),
        Some(false) => page.tone(Tone::Bad, "unreachable"),
        None => "-".to_owned(),
    };
    vec![
        peer.code.to_string(),
        peer.name.clone(),
        peer.kind.to_string(),
        state,
        reached,
        age(peer.index_made),
        age(peer.matched),
    ]
}

/// A state in words.
const fn state(state: FindState) -> &'static str {
    match state {
        FindState::Linked => "linked",
        FindState::NotLinked => "not linked",
        FindState::NotMatched => "not matched yet",
        FindState::NotYetIndexed => "not told yet",
        FindState::NotIndexable => "not indexable",
        FindState::NotHeld => "not held here",
        FindState::NoPresence => "does not match with us",
    }
}
