//! `fairshare who-saw`

use fairshare_protocol::control::Failure;
use fairshare_protocol::control::exchange::{self, Seen, Sight, WhoSawReport};
use fairshare_protocol::ids::OdsCode;

use super::ask::by_category;
use super::person::Person;
use super::report;
use crate::client::Client;
use crate::report::{Report, Section, Table, To};

/// Who saw what of one person, when and why
///
/// Everything this node's journal holds about one person, oldest first: what was shown to whom, who
/// asked, who looked. For the Caldicott Guardian, and for the person: --to writes it as a page to hand
/// over, which does not say whom it is about. That somebody asked is journaled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare who-saw
  $ fairshare who-saw --to for-the-person.html
  $ fairshare who-saw --json < person.txt")]
pub struct WhoSaw {
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    person: Person,
}

impl WhoSaw {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        client.reach().await?;
        self.to.check()?;
        let person = self.person.read()?;
        let answer = client.ask(exchange::WhoSaw { person }).await?;
        self.to.give(client.output, &answer, &told(&answer))?;
        Ok(0)
    }
}

fn told(answer: &WhoSawReport) -> Report {
    let (own, sights) = (called(answer, &answer.own), &answer.sights);
    let mut fields = vec![
        ("kept by", own),
        ("Caldicott Guardian", answer.guardian.clone()),
        ("as of", answer.now.to_string()),
    ];
    if !answer.held {
        let nobody = "nobody with that NHS number and date of birth is held here";
        fields.push(("held", nobody.to_owned()));
    }
    let text = match sights.is_empty() {
        true => "The journal holds nothing about this person.",
        false => "",
    };
    let notes = [
        "It lists what this organisation's journal has: what it showed, to whom, who asked, who looked, \
         and what others showed it. Who looked at the others, they can say.",
        "`Our records` are those of the organisation that keeps this list. `In return`: whoever asks \
         about somebody shows what they hold of the same person. `In a round`: both showed each other \
         what is new of those both look after.",
        "Of a record, the list says what kind it is and how many; not what is in it. Each line is an \
         entry of a journal that cannot be changed unnoticed (`fairshare journal verify`); times are UTC.",
    ];
    Report {
        title: "Who saw what of one person, when and why".to_owned(),
        fields,
        sections: vec![Section {
            heading: String::new(),
            text: text.to_owned(),
            table: Table {
                head: vec!["WHEN", "WHO", "WHAT", "WHY", "RECORDS", "ENTRY"],
                rows: sights.iter().map(|sight| row(answer, sight)).collect(),
            },
        }],
        notes: notes.map(str::to_owned).to_vec(),
        sheet: sheet(answer),
        holds: "It is about one person, and does not say who: note that elsewhere, and hand it to nobody \
                but them."
            .to_owned(),
    }
}

/// A member by name and code.
fn called(answer: &WhoSawReport, code: &OdsCode) -> String {
    report::called(answer.names.get(code), code)
}

fn sheet(answer: &WhoSawReport) -> Table {
    let row = |sight: &Sight| {
        let user = sight.user.as_ref();
        let records: u64 = sight.records.values().map(|n| u64::from(*n)).sum();
        let word = |word: Option<String>| word.unwrap_or_default();
        vec![
            sight.entry.to_string(),
            sight.at.to_string(),
            sight.member.to_string(),
            word(answer.names.get(&sight.member).cloned()),
            word(user.map(|user| user.name.clone())),
            word(user.map(|user| user.role.clone())),
            said(answer, sight).1,
            word(sight.purpose.map(|purpose| purpose.to_string())),
            word(sight.reason.as_ref().map(ToString::to_string)),
            records.to_string(),
            by_category(&sight.records),
            word(sight.exchange.map(|exchange| exchange.to_string())),
        ]
    };
    Table {
        head: vec![
            "entry",
            "when",
            "member",
            "name",
            "user",
            "role",
            "what",
            "purpose",
            "reason",
            "records",
            "categories",
            "exchange",
        ],
        rows: answer.sights.iter().map(row).collect(),
    }
}

fn row(answer: &WhoSawReport, sight: &Sight) -> Vec<String> {
    let (who, what) = said(answer, sight);
    let why = match (&sight.purpose, &sight.reason) {
        (Some(purpose), Some(reason)) => format!("{purpose}: {reason}"),
        (Some(purpose), None) => purpose.to_string(),
        (None, _) => "-".to_owned(),
    };
    vec![
        sight.at.to_string(),
        who,
        what,
        why,
        by_category(&sight.records),
        sight.entry.to_string(),
    ]
}

/// Who did what.
fn said(answer: &WhoSawReport, sight: &Sight) -> (String, String) {
    let user = sight.user.as_ref();
    let user = user.map(|user| match user.role.as_str() {
        "" => user.name.clone(),
        role => format!("{} ({role})", user.name),
    });
    let member = called(answer, &sight.member);
    // What nobody is named for, the node did.
    let us = || called(answer, &answer.own);
    let ours = |what: &str| (user.clone().unwrap_or_else(us), what.to_owned());
    let theirs = |what: String| match &user {
        Some(user) => (format!("{user} at {member}"), what),
        None => (member.clone(), what),
    };
    match &sight.what {
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
        Seen::BrokenOff => {
            ours("was broken off while it was on its way: stopped, or not offered any more")
        }
        Seen::Stopped(why) => ours(&format!("stopped showing: {why}")),
        Seen::Resumed(why) => ours(&format!("resumed showing: {why}")),
        Seen::Released(why) => ours(&format!("withheld the person no more: {why}")),
        Seen::Filed(why) => ours(&format!("filed what {member} had shown: {why}")),
        Seen::Erased(why) => match sight.user {
            Some(_) => ours(&format!("erased what {member} had shown: {why}")),
            None => ours(&format!("what {member} had shown was erased: {why}")),
        },
        Seen::Reviewed(note) => ours(&format!("closed the review with {member}: {note}")),
        Seen::Looked(how) if how == "export" => ours("exported what was received"),
        Seen::Looked(_) => ours("looked at what was received"),
    }
}
