//! `offer.toml`: the offer as a file an information-governance lead can read and edit.
//!
//! One section per purpose, one line per category: to which kinds of organisation it is shown, from
//! which it is needed. Mistakes are named with their line and what to do about them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::Offer;

mod read;

/// The word that stands for all kinds whose staff are clinicians first.
const CLINICAL: &str = "clinical";

const HEAD: &str = "\
# What this organisation shows to others, and what it needs from them.
#
# Nothing here takes effect until it is published: `fairshare offer publish`.
# See what follows from it with another organisation: `fairshare terms ODS-CODE`.
#
# How to read it. A line such as
#
#     medications = { shows = [\"clinical\"], needs = [\"gp-practice\"] }
#
# under [care] says: for direct care we show medications to every clinical organisation, and we
# need them from practices. A category goes from one organisation to another only if the one shows
# it and the other needs it. A category that does not stand under a purpose is closed for it.
#
# Kinds of organisation: acute-trust, mental-health-trust, community-trust, ambulance-trust,
#   gp-practice (all five together: clinical), adult-social-care, childrens-social-care,
#   care-provider.
# Categories: demographics, summary, problems, medications, allergies, results, encounters,
#   immunisations, procedures, documents, care-plans, social-care-assessments, safeguarding.
# `basis` is the legal basis. It stands once per section; a line may have one of its own:
#     documents = { shows = [\"clinical\"], needs = [], basis = \"...\" }
#
# Whatever stands here: records about people who objected, or are flagged sensitive, are never
# shown; nor is anything outside these categories.
";

const IN_RETURN: &str = "
# When we have asked about a person and were answered, do we show our own records about the same
# person in the same exchange? (Under the same rules: only what is shown below.)
";

const OPENED: &str = "
# Records labelled `restricted` or `very-restricted` stay closed unless the label is named here.
# Services that stay closed unless named: sexual-health, hiv, fertility, termination,
#   gender-identity, addiction, forensic, child-and-adolescent-mental-health, anonymous-access.
";

const PRESENCE: &str = "
# To whom we show that a person is known to us. Without this, we cannot find out with that kind of
# organisation which people we both look after, and nothing else can be shown or asked.
[presence]
";

const fn about(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Care => {
            "\
# One person, asked for direct care. Answered at once, always, whatever the other side showed.
"
        }
        Purpose::Emergency => {
            "\
# One person, in an emergency: a named user and a reason are demanded, and both sides review it.
"
        }
        Purpose::Safeguarding => {
            "\
# One person, for safeguarding. Besides emergencies, `safeguarding` records go out only here.
"
        }
        Purpose::SharedCare => {
            "\
# In bulk: keeping each other's records of people both look after current. Here a category flows
# only if the other side shows something equivalent. `safeguarding` never travels in bulk.
"
        }
    }
}

/// The text of an offer, with comments that explain it.
pub fn text(offer: &Offer, member: &OdsCode, kind: MemberKind) -> String {
    let mut text = format!("# The offer of {member}, a member of kind {kind}.\n#\n{HEAD}");
    // Writing to a string does not fail.
    let mut add = |part: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(part);
    };
    add(format_args!("{IN_RETURN}"));
    add(format_args!("show-in-return = {}\n", offer.show_in_return));
    add(format_args!("{OPENED}"));
    let labels = offer.opened_labels.iter().map(|label| label.word());
    add(format_args!("opened-labels = {}\n", list(labels)));
    let services = offer.opened_services.iter().map(|service| service.word());
    add(format_args!("opened-services = {}\n", list(services)));
    add(format_args!("{PRESENCE}"));
    add(format_args!("shows = {}\n", kinds(&offer.presence.shows)));
    add(format_args!(
        "basis = {}\n",
        quoted(offer.presence.basis.as_str())
    ));
    for purpose in Purpose::ALL {
        add(format_args!("\n{}[{purpose}]\n", about(*purpose)));
        let Some(section) = offer.matrix.get(purpose) else {
            continue;
        };
        let basis = quoted(section.basis.as_str());
        add(format_args!("basis = {basis}\n"));
        for (category, row) in &section.rows {
            let (shows, needs) = (kinds(&row.shows), kinds(&row.needs));
            add(format_args!(
                "{category} = {{ shows = {shows}, needs = {needs}"
            ));
            if let Some(basis) = &row.basis {
                add(format_args!(", basis = {}", quoted(basis.as_str())));
            }
            add(format_args!(" }}\n"));
        }
    }
    text
}

fn kinds(kinds: &std::collections::BTreeSet<MemberKind>) -> String {
    let clinical = MemberKind::ALL.iter().filter(|kind| kind.is_clinical());
    let all_clinical = clinical.clone().all(|kind| kinds.contains(kind));
    let rest = kinds
        .iter()
        .filter(|kind| !(all_clinical && kind.is_clinical()))
        .map(|kind| kind.word());
    list(all_clinical.then_some(CLINICAL).into_iter().chain(rest))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.map(quoted).collect();
    format!("[{}]", words.join(", "))
}

/// A TOML basic string. Lines have no control characters, so quotes and backslashes are all there
/// is to escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The offer in this text.
///
/// # Errors
/// The first mistake, with its line.
pub fn parse(text: &str) -> Result<Offer, Mistake> {
    read::offer(text)
}

/// Reads an offer file.
///
/// # Errors
/// If it cannot be read, or the first mistake in it, with its line.
pub fn read(path: &Path) -> Result<Offer, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|mistake| Error::Mistake {
        path: path.to_owned(),
        mistake,
    })
}

/// A mistake in an offer file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fact}; {remedy}")]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub fact: String,
    /// What to do.
    pub remedy: String,
}

/// Why an offer file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: {source}; `fairshare init` writes one, or name another with --file", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has a mistake.
    #[error("{}, {mistake}", path.display())]
    Mistake {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        mistake: Mistake,
    },
}

#[cfg(test)]
mod tests;
