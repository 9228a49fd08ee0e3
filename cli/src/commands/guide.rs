//! `fairshare guide`

use std::io::{self, Write as _};

use clap::ValueEnum;
use fairshare_protocol::control::{Failure, WRONG};

use crate::client::Client;

/// Read a chapter of the manual
///
/// They are part of the program, so that a machine without a network has them too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare guide officer
  $ fairshare guide hazards > hazards.md")]
pub struct Guide {
    /// Which
    #[arg(value_enum)]
    chapter: Chapter,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Chapter {
    /// Install, network, backup, restore, upgrade, keys
    Engineer,
    /// Join, offer, stop, reports, stewards
    Officer,
    /// What it promises and does not
    Guardian,
    /// Clinical hazards, and the test of each mitigation
    Hazards,
}

impl Guide {
    pub fn run(self, client: &Client) -> Result<u8, Failure> {
        let text = match self.chapter {
            Chapter::Engineer => include_str!("../../guide/engineer.md"),
            Chapter::Officer => include_str!("../../guide/officer.md"),
            Chapter::Guardian => include_str!("../../guide/guardian.md"),
            Chapter::Hazards => include_str!("../../guide/hazards.md"),
        };
        if client.output.json() {
            client
                .output
                .answer(&serde_json::json!({ "text": text }), |_| {});
            return Ok(0);
        }
        match io::stdout().write_all(text.as_bytes()) {
            // A pager that was closed has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::from_error(WRONG, &error))
            }
            _ => Ok(0),
        }
    }
}
