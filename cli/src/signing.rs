//! Signing as the organisation: its key is opened here, in the command, and never reaches the node.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use fairshare_node::config::Config;
use fairshare_node::home::organisation::{Error, MIN_PASSPHRASE, OrganisationKey};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::redact::Redacted;

use crate::client::Client;

/// How often a passphrase may be mistyped.
const TRIES: usize = 3;

/// Where the organisation key and its passphrase come from.
#[derive(Debug, clap::Args)]
pub struct Signing {
    /// The organisation key's file, if it is kept elsewhere than the config says
    #[arg(long, value_name = "FILE")]
    org_key: Option<PathBuf>,
    /// A file with the passphrase in its first line, instead of being asked for it
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Signing {
    /// The files that were named: of the passphrase, and of the organisation key.
    pub fn files(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        (self.passphrase_file.clone(), self.org_key.clone())
    }

    /// The organisation key of the node's organisation, opened.
    pub fn key(&self, client: &Client) -> Result<KeyPair, Failure> {
        let path = match &self.org_key {
            Some(path) => path.clone(),
            None => {
                let config = Config::read(&client.home().join("config.toml")).map_err(wrong)?;
                let kept = config.organisation_key.unwrap_or_else(usual_place);
                client.home().join(kept)
            }
        };
        let held = OrganisationKey::read(&path).map_err(wrong)?;
        if !held.is_sealed() {
            return held.open("").map_err(wrong);
        }
        if let Some(file) = &self.passphrase_file {
            return held.open(from_file(file)?.expose()).map_err(wrong);
        }
        for _ in 1..TRIES {
            match held.open(prompt(&path)?.expose()) {
                Err(error @ Error::Passphrase { .. }) => say(&format!("{error}\n")),
                opened => return opened.map_err(wrong),
            }
        }
        held.open(prompt(&path)?.expose()).map_err(wrong)
    }
}

/// Where the organisation key is in a home, unless it is kept elsewhere.
pub fn usual_place() -> PathBuf {
    Path::new("keys").join("organisation.key")
}

/// A new passphrase: from the file, or typed twice.
pub fn new_passphrase(file: Option<&Path>) -> Result<Redacted<String>, Failure> {
    let given = if let Some(file) = file {
        from_file(file)?
    } else {
        say(&format!(
            "The organisation key is sealed by a passphrase of at least {MIN_PASSPHRASE} \
             characters:\nfour or more words. Write it down and keep it apart from this machine; \
             without it the\norganisation must be given a new key by the stewards.\n"
        ));
        typed_twice()?
    };
    if given.expose().chars().count() < MIN_PASSPHRASE {
        return Err(wrong(Error::ShortPassphrase));
    }
    Ok(given)
}

fn typed_twice() -> Result<Redacted<String>, Failure> {
    for _ in 0..TRIES {
        let first = ask("New passphrase: ")?;
        if first.expose().chars().count() < MIN_PASSPHRASE {
            say(&format!("{}\n", Error::ShortPassphrase));
        } else if first == ask("The same again: ")? {
            return Ok(first);
        } else {
            say("The two differ.\n");
        }
    }
    let fact = "no passphrase was typed the same twice";
    Err(Failure::new(WRONG, fact, "run the command again"))
}

fn from_file(path: &Path) -> Result<Redacted<String>, Failure> {
    let text = fs::read_to_string(path).map(Redacted::new);
    let text = text.map_err(|error| {
        let fact = format!("{}: {error}", path.display());
        Failure::new(
            WRONG,
            fact,
            "name a file with the passphrase in its first line",
        )
    })?;
    let line = text.expose().lines().next().unwrap_or_default();
    Ok(Redacted::new(line.to_owned()))
}

fn prompt(path: &Path) -> Result<Redacted<String>, Failure> {
    ask(&format!("Passphrase of {}: ", path.display()))
}

fn ask(question: &str) -> Result<Redacted<String>, Failure> {
    let answer = rpassword::prompt_password(question).map(Redacted::new);
    answer.map_err(|_| {
        let fact = "a passphrase is needed, and there is no terminal to ask for it";
        Failure::new(WRONG, fact, "give it in a file: --passphrase-file FILE")
    })
}

/// Says something to the person at the terminal, apart from the answer.
pub fn say(text: &str) {
    // Nobody reads it: nothing is to be done.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Asks the person at the terminal; no terminal is no.
pub fn confirm(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    say(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// A failure of the operator's making.
pub fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::from_error(WRONG, &error)
}
