//! Node processes that never outlive the demo.
//!
//! A node watches its standard input, which is a pipe from here: when this process ends, however it
//! ends, the pipe closes and the node stops by itself. Dropped here, it is killed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use fairshare_protocol::control::{DEGRADED, Failure};
use tokio::time::sleep;

/// How long a node may take to be ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

/// One node process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Open as long as the node shall run.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts this very program as the node of `home`; it logs beside its home.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(home: &Path) -> Result<Self, Failure> {
        let log = home.with_extension("log");
        let spawn = || {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .arg("--home")
                .arg(home)
                .args(["--log", "info", "run", "--stop-with-parent"]);
            command.env_remove("NOTIFY_SOCKET");
            // Ctrl-C at a terminal is for the demo, which then ends its nodes.
            command.process_group(0);
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            command.stderr(File::create(&log)?).spawn()
        };
        let mut child = spawn().map_err(|error| {
            Failure::new(
                DEGRADED,
                format!("a node process cannot be started: {error}"),
                "",
            )
        })?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, log })
    }

    /// Waits until `socket` is there.
    ///
    /// # Errors
    /// If the process ends before, or takes too long.
    pub async fn ready(&mut self, socket: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        while !socket.exists() {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let fact = ended.map_or("a node was not ready in time".to_owned(), |status| {
                    format!("a node ended by itself ({status})")
                });
                return Err(Failure::new(DEGRADED, fact, self.last_words()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The last line it logged.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(String::new, |line| format!("its last words: {line}"))
    }

    /// Tells it to stop. It records that it did.
    pub fn tell(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end after it was told.
    ///
    /// # Errors
    /// If it does not stop in time, or says that it did not stop as it should.
    pub async fn stopped(mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let wrong = match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => format!("a node ended badly ({status})"),
                Ok(None) if begun.elapsed() < PATIENCE => {
                    sleep(LOOK).await;
                    continue;
                }
                _ => "a node did not stop in time".to_owned(),
            };
            return Err(Failure::new(DEGRADED, wrong, self.last_words()));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
