//! `fairshare who-saw`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::exchange::{self, Seen, Sight, WhoSawReport};

use super::ask::by_category;
use super::person::Person;
use crate::client::Client;
use crate::output::{Page, count};

/// Who saw what of one person, when and why
///
/// Everything this node's journal holds about one person, oldest first: what was shown to whom, who
/// asked, who looked. For the Caldicott Guardian, and for the person.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare who-saw
  $ fairshare who-saw --json < person.txt")]
pub struct WhoSaw {
    #[command(flatten)]
    person: Person,
}

impl WhoSaw {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        client.reach().await?;
        let person = self.person.read()?;
        let report = client.ask(exchange::WhoSaw { person }).await?;
        client.output.answer(&report, |page| show(page, &report));
        Ok(0)
    }
}

fn show(page: &mut Page, report: &WhoSawReport) {
    if !report.held {
        page.line("Nobody with that NHS number and date of birth is held here.");
    }
    if report.sights.is_empty() {
        page.line("The journal holds nothing about this person.");
        return;
    }
    let head = ["ENTRY", "WHEN", "WHO", "WHAT", "PURPOSE", "RECORDS"];
    page.table(&head, report.sights.iter().map(row).collect());
}

fn row(sight: &Sight) -> Vec<String> {
    let user = sight.user.as_ref();
    let user = user.map(|user| format!("{} ({})", user.name, user.role));
    let member = sight.member.to_string();
    let ours = |what: &str| (user.clone().unwrap_or_default(), what.to_owned());
    let theirs = |what: String| match &user {
        Some(user) => (format!("{user} at {member}"), what),
        None => (member.clone(), what),
    };
    let (who, what) = match &sight.what {
        Seen::Shown => theirs("was shown our records".into()),
        Seen::ShownInReturn => theirs("was shown our records in return".into()),
        Seen::ShownInRound => theirs("was shown our records in a round".into()),
        Seen::Told => theirs("was told what had changed of our records".into()),
        Seen::NothingShown(why) => theirs(format!("asked; nothing was shown: {why}")),
        Seen::Refused(code) => theirs(format!("refused: {code}")),
        Seen::Searched => ours("looked the person up"),
        Seen::Asked => ours(&format!("asked {member}")),
        Seen::Received => theirs("showed us its records".into()),
        Seen::WrongPerson => theirs("showed us somebody else: in quarantine".into()),
        Seen::Failed(why) => theirs(format!("exchange failed: {why}")),
        Seen::Withheld(why) => ours(&format!("withheld the person: {why}")),
        Seen::Released(why) => ours(&format!("withheld the person no more: {why}")),
        Seen::Filed(why) => ours(&format!("filed what {member} had shown: {why}")),
        Seen::Erased(why) => match sight.user {
            Some(_) => ours(&format!("erased what {member} had shown: {why}")),
            None => ours(&format!("what {member} had shown was erased: {why}")),
        },
        Seen::Reviewed(note) => ours(&format!("closed the review with {member}: {note}")),
        Seen::Looked(how) if how == "export" => ours("exported what was received"),
        Seen::Looked(_) => ours("looked at what was received"),
    };
    vec![
        count(sight.entry),
        sight.at.to_string(),
        who,
        what,
        sight
            .purpose
            .map_or("-", |purpose| purpose.word())
            .to_owned(),
        by_category(&sight.records),
    ]
}
