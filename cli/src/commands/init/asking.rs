//! What `fairshare join` asks an officer where no node has been made.

use std::path::PathBuf;
use std::str::FromStr;

use fairshare_node::network;
use fairshare_protocol::control::Failure;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::text::Line;

use super::{Init, Made, show};
use crate::client::Client;
use crate::questions::Questions;
use crate::signing::say;

const WHO: &str =
    "NAME <MAIL>, TELEPHONE, as in: Records desk <records@example.nhs.uk>, 01392 411611";

/// A kind by its word or its number in the list.
struct Kind(MemberKind);

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbered = text.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if let Some(kind) = numbered.and_then(|n| MemberKind::ALL.get(n)) {
            return Ok(Self(*kind));
        }
        text.parse().map(Self).map_err(|error| format!("{error}"))
    }
}

/// Where others reach a node.
struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        network::normal_address(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl Init {
    /// Asks for everything, shows it, and makes the node once it is right.
    ///
    /// # Errors
    /// If an answer is missing, or it is not right; then nothing was made.
    pub fn walk(
        questions: &Questions,
        client: &Client,
        passphrase_file: Option<PathBuf>,
        org_key: Option<PathBuf>,
    ) -> Result<(), Failure> {
        say(&format!(
            "There is no node in {} yet. Have at hand:\n\
             - your ODS code, and how many people you look after at most\n\
             - whom others call when an exchange goes wrong, and your Caldicott Guardian\n\
             - your DSPT status, and the day it ends\n\
             - from your engineer: where others reach this machine, if they can\n\
             - the invitation, and a telephone number of the steward you have from elsewhere\n\
             Nothing leaves this machine before the end.\n",
            client.home().display()
        ));
        let kinds: Vec<String> = (1..)
            .zip(MemberKind::ALL)
            .map(|(n, kind)| format!("{n} {kind}"))
            .collect();
        let ods = questions.ask("ODS code", "1 to 9 capital letters and digits")?;
        let Kind(kind) = questions.ask("Which kind of organisation?", &kinds.join("\n"))?;
        let name = questions.ask("Its name", "as others shall see it")?;
        let population = questions.ask(
            "How many people does it look after, at most?",
            "a number; nobody can list more in the index",
        )?;
        let exchange_contact = questions.ask("Who is called when an exchange goes wrong?", WHO)?;
        let guardian = questions.ask("Who is the Caldicott Guardian?", WHO)?;
        let dspt: Option<Line> = questions.perhaps(
            "DSPT status",
            "standards-exceeded, standards-met, approaching-standards or standards-not-met; \
             empty if none was published",
        )?;
        let dspt_expires = match dspt {
            None => None,
            Some(_) => {
                questions.perhaps("The last day it holds", "YYYY-MM-DD; empty if it has none")?
            }
        };
        let announce = questions.perhaps(
            "Where do others reach this machine?",
            "HOST:PORT, the port is usually 7440; empty if it only connects outwards",
        )?;
        let init = Self {
            ods,
            kind,
            name,
            population,
            exchange_contact,
            guardian,
            dspt,
            dspt_expires,
            listen: Vec::new(),
            announce: announce.map(|Address(at)| at).into_iter().collect(),
            org_key,
            passphrase_file,
            no_passphrase: false,
        };
        init.config()?;
        say(&client.output.text(|page| {
            page.gap();
            page.fields(&[
                (
                    "organisation",
                    format!("{} {}, {}", init.ods, init.name, init.kind),
                ),
                ("people", format!("at most {}", init.population)),
                ("exchange contact", init.exchange_contact.0.name.to_string()),
                ("Caldicott Guardian", init.guardian.0.name.to_string()),
                (
                    "DSPT",
                    init.dspt
                        .as_ref()
                        .map_or("not published", Line::as_str)
                        .to_owned(),
                ),
                (
                    "reached at",
                    init.announce
                        .first()
                        .map_or("it only connects outwards", String::as_str)
                        .to_owned(),
                ),
            ]);
        }));
        if !questions.yes("Is this right?")? {
            let fact = "nothing was made";
            return Err(Failure::new(
                fairshare_protocol::control::REFUSED,
                fact,
                "run `fairshare join` again",
            ));
        }
        let made: Made = init.home(client)?;
        say(&client.output.text(|page| {
            page.gap();
            show(page, &made);
        }));
        Ok(())
    }
}
