//! Asking a person, one line after the other.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use fairshare_protocol::control::{Failure, REFUSED, WRONG};

use crate::signing::say;

/// Answers come from standard input: a person's at a terminal, or lines somebody prepared.
#[derive(Debug)]
pub struct Questions {
    /// Whether an answer that cannot be read is asked for again.
    again: bool,
}

impl Questions {
    /// Begins to ask, if somebody is there, or `prepared` says that the answers are.
    pub fn begin(prepared: bool) -> Option<Self> {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        (terminal || prepared).then_some(Self { again: terminal })
    }

    /// One answer.
    ///
    /// # Errors
    /// If there is none, or, without a terminal, if it cannot be read.
    pub fn ask<T: FromStr<Err: Display>>(&self, what: &str, hint: &str) -> Result<T, Failure> {
        self.read(what, hint, str::parse)
    }

    /// One answer; none if the line is empty.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn perhaps<T: FromStr<Err: Display>>(
        &self,
        what: &str,
        hint: &str,
    ) -> Result<Option<T>, Failure> {
        self.read(what, hint, |line| match line {
            "" => Ok(None),
            line => line.parse().map(Some),
        })
    }

    /// Whether the person says yes.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn yes(&self, what: &str) -> Result<bool, Failure> {
        say(&format!("\n{what} [y/N] "));
        let said = line(what)?;
        if !self.again {
            // No terminal has shown the end of the line.
            say("\n");
        }
        Ok(matches!(said.as_str(), "y" | "Y" | "yes"))
    }

    fn read<T, E: Display>(
        &self,
        what: &str,
        hint: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, Failure> {
        say(&format!("\n{what}\n"));
        for hint in hint.lines() {
            say(&format!("  {hint}\n"));
        }
        loop {
            say("> ");
            match read(&line(what)?) {
                Ok(answer) => return Ok(answer),
                Err(error) if self.again => say(&format!("{error}\n")),
                Err(error) => {
                    say("\n");
                    let fact = format!("{what}: {error}");
                    return Err(Failure::new(
                        WRONG,
                        fact,
                        "correct the answer and run it again",
                    ));
                }
            }
        }
    }
}

fn line(what: &str) -> Result<String, Failure> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(read) if read > 0 => Ok(line.trim().to_owned()),
        _ => {
            say("\n");
            let fact = format!("no answer to: {what}");
            let remedy = "nothing was made or sent; run it again";
            Err(Failure::new(REFUSED, fact, remedy))
        }
    }
}
