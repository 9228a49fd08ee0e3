//! What a newcomer is given, and what a file of a whole roster holds.

use serde::{Deserialize, Serialize};

use super::statements::{Statement, Statements};
use crate::charter::{self, Charter};
use crate::statement::CoSigned;
use crate::time::Timestamp;

/// A charter and all statements under it: what a newcomer is given, and what a file of them holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The charter.
    pub charter: CoSigned<Charter>,
    /// The statements.
    pub statements: Vec<Statement>,
}

impl Welcome {
    /// What is held, to hand on or keep in a file.
    pub fn of(statements: &Statements) -> Self {
        Self {
            charter: statements.signed_charter().clone(),
            statements: statements.iter().collect(),
        }
    }

    /// The statements of a welcome, each verified, and how many were not taken.
    ///
    /// # Errors
    /// If the charter does not count.
    pub fn open(self, now: Timestamp) -> Result<(Statements, usize), charter::Refusal> {
        let mut statements = Statements::new(self.charter)?;
        let (_, refused) = statements.gather(self.statements, now);
        Ok((statements, refused.len()))
    }
}
