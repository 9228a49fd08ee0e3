//! Whom a command is about. Read from a prompt or standard input, so that no identifier lands in the
//! shell's history or in the list of processes.

use std::io::{self, BufRead, IsTerminal, Write};

use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::index::key::{IndexKey, NhsNumber, NotAnNhsNumber};
use fairshare_protocol::time::Date;

/// Whom it is about: asked for on a terminal; otherwise two lines of standard input, the NHS number
/// and the date of birth.
#[derive(clap::Args)]
pub struct Person {
    /// NHS number. Seen by anybody who may list processes, and kept in the shell's history: only
    /// for synthetic people
    #[arg(long, value_name = "NUMBER", requires = "dob")]
    nhs: Option<String>,
    /// Date of birth, YYYY-MM-DD; as --nhs
    #[arg(long, value_name = "DATE", requires = "nhs")]
    dob: Option<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(…)")
    }
}

impl Person {
    /// Whether the person is to be asked for at a terminal.
    pub fn is_asked_for(&self) -> bool {
        self.nhs.is_none() && io::stdin().is_terminal()
    }

    /// The index key of the person.
    pub fn read(self) -> Result<IndexKey, Failure> {
        let nhs = number(&given(self.nhs, "NHS number")?)?;
        let born = date(&given(self.dob, "date of birth (YYYY-MM-DD)")?)?;
        Ok(IndexKey { nhs, born })
    }

    /// The same, or nobody if none was given on the command line.
    pub fn read_given(self) -> Result<Option<IndexKey>, Failure> {
        self.nhs.is_some().then(|| self.read()).transpose()
    }
}

/// The index key of an NHS number and a date of birth.
pub fn key(nhs: &str, born: &str) -> Result<IndexKey, Failure> {
    let (nhs, born) = (number(nhs)?, date(born)?);
    Ok(IndexKey { nhs, born })
}

fn number(text: &str) -> Result<NhsNumber, Failure> {
    text.trim().parse().map_err(|error: NotAnNhsNumber| {
        let remedy = "ten digits, with or without spaces; check them against the record";
        Failure::new(WRONG, error.to_string(), remedy)
    })
}

fn date(text: &str) -> Result<Date, Failure> {
    text.trim().parse().map_err(|_| {
        let fact = "not a date of birth";
        Failure::new(WRONG, fact, "write it YYYY-MM-DD, as 1948-11-08")
    })
}

/// What was given, or asked for on a terminal, or the next line of standard input.
pub fn given(value: Option<String>, what: &str) -> Result<String, Failure> {
    if let Some(value) = value {
        return Ok(value);
    }
    if io::stdin().is_terminal() {
        // On stderr, so that the answer on stdout stays clean.
        let _ = write!(io::stderr(), "{what}: ").and_then(|()| io::stderr().flush());
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    match read {
        Ok(read) if read > 0 => Ok(line),
        _ => {
            let fact = format!("no {what} was given");
            let remedy = "type it when asked, or give it on standard input: NHS number and date \
                          of birth on two lines";
            Err(Failure::new(WRONG, fact, remedy))
        }
    }
}
