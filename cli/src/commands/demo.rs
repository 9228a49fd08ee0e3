//! `fairshare demo`

use std::future::Future;
use std::io;
use std::path::PathBuf;

use fairshare_protocol::control::{DEGRADED, Failure};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;
use crate::demo;
use crate::signing::say;

/// See it work: three organisations share the records of people who do not exist
///
/// Starts three real nodes on this machine in a temporary directory: a hospital trust, a practice
/// and a council's adult social care, with about 300 made-up people. They found a federation, import
/// their records, find the people they share, ask each other, and prove what they did. Then all of it
/// is stopped and removed, also on Ctrl-C. Exits 0 if everything it claims held, 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare demo
  $ fairshare demo --json
  $ fairshare demo --from exports     (with exports/acute-RH8, exports/gp-L83024, exports/la-912)")]
pub struct Demo {
    /// Play with the FHIR files in these sub-directories instead: acute-CODE, gp-CODE, la-CODE; two
    /// to six
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

impl Demo {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let interrupted = interrupted().map_err(|error| Failure::from_error(DEGRADED, &error))?;
        let report = tokio::select! {
            biased;
            () = interrupted => {
                let fact = "stopped before its end: its nodes are ended, their homes removed";
                return Err(Failure::new(DEGRADED, fact, ""));
            }
            played = demo::play(self.from.as_deref(), client.output) => played?,
        };
        client.output.answer(&report, |_| {});
        for what in &report.broken {
            say(&format!("did not hold: {what}\n"));
        }
        Ok(if report.broken.is_empty() {
            0
        } else {
            DEGRADED
        })
    }
}

/// Until Ctrl-C, SIGTERM, or the end of the terminal.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
