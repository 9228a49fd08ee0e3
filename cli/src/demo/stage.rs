//! The stage: homes in a temporary directory, their nodes, and the commands given to them.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use fairshare_node::home::{Home, user_number};
use fairshare_protocol::control::node::{Connection, Peers};
use fairshare_protocol::control::roster::Members;
use fairshare_protocol::control::{DEGRADED, Failure, Step};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::Status;
use tokio::time::sleep;

use super::process::Process;
use crate::args::Args;
use crate::client::Client;
use crate::output::{Bar, Output};

/// How long others may take until they are heard of.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// An organisation that takes part.
#[derive(Debug)]
pub struct Seat {
    pub ods: OdsCode,
    pub kind: MemberKind,
    pub name: String,
    /// Where its FHIR files are.
    pub files: PathBuf,
}

/// An organisation, its home and its node.
#[derive(Debug)]
pub struct Site {
    pub seat: Seat,
    pub address: String,
    /// Asks its node, and says nothing about it.
    pub client: Client,
    process: Option<Process>,
}

/// Everybody, in the order of the cast; the first founds the federation.
#[derive(Debug)]
pub struct Stage {
    // Dropped before the directory is removed, by whoever made it.
    pub sites: Vec<Site>,
    directory: PathBuf,
}

impl Stage {
    /// Makes a home for everybody, in `directory`.
    ///
    /// # Errors
    /// If one cannot be made.
    pub async fn set(cast: Vec<Seat>, directory: &Path) -> Result<Self, Failure> {
        let mut sites = Vec::new();
        // Held until all are chosen, so that no two are the same.
        let ports = cast.iter().map(|_| TcpListener::bind("127.0.0.1:0"));
        let ports: Vec<_> = ports.collect::<Result<_, _>>().map_err(failed)?;
        for (seat, port) in cast.into_iter().zip(&ports) {
            let address = port.local_addr().map_err(failed)?.to_string();
            let home = directory.join(seat.ods.as_str());
            let client = Client::new(home, Output::silent());
            let site = Site {
                seat,
                address,
                client,
                process: None,
            };
            site.init().await?;
            sites.push(site);
        }
        Ok(Self {
            sites,
            directory: directory.to_owned(),
        })
    }

    /// The first founds a federation, and admits the others; all of them meet.
    ///
    /// # Errors
    /// If a command fails, or somebody is not heard of in time.
    pub async fn federate(&mut self, name: &str, bar: &mut Bar) -> Result<(), Failure> {
        let total = Some(self.sites.len() as u64);
        let mut step = |done| {
            let (unit, what) = ("nodes".to_owned(), "started".to_owned());
            bar.show(&Step {
                done,
                total,
                unit,
                what,
            });
        };
        step(0);
        let agreement = self.directory.join("agreement.txt");
        let text = "What would be agreed, if this were no demonstration.\n";
        std::fs::write(&agreement, text).map_err(failed)?;
        let Some((founder, others)) = self.sites.split_first_mut() else {
            return Ok(());
        };
        founder.start().await?;
        let found = ["federation", "found", "--name", name, "--agreement"];
        founder
            .command(&[&found[..], &[&text_of(&agreement)]].concat())
            .await?;
        let members = founder.client.ask_running(Members {}).await?;
        for (nth, site) in (1..).zip(others) {
            step(nth);
            let code = &site.seat.ods;
            let request = text_of(&self.directory.join(format!("join-{code}.txt")));
            let welcome = text_of(&self.directory.join(format!("welcome-{code}.txt")));
            let invitation = &members.federation.invitation;
            site.command(&["join", invitation, "--out", &request])
                .await?;
            founder
                .command(&["admit", &request, "--yes", "--out", &welcome])
                .await?;
            site.command(&["join", "--welcome", &welcome]).await?;
            site.start().await?;
        }
        self.meet().await
    }

    /// Waits until everybody knows and reaches everybody.
    async fn meet(&self) -> Result<(), Failure> {
        let count = self.sites.len();
        for site in &self.sites {
            let meets = || async {
                // Before it has entered, a newcomer knows no members.
                let Ok(known) = site.client.ask_running(Members {}).await else {
                    return Ok(false);
                };
                let active = known
                    .members
                    .iter()
                    .filter(|it| it.status == Status::Admitted && it.offer);
                let peers = site.client.ask_running(Peers {}).await?;
                let up = peers
                    .iter()
                    .filter(|peer| peer.connection == Connection::Up);
                Ok(active.count() == count && up.count() + 1 == count)
            };
            until(&format!("{} did not meet the others", site.seat.ods), meets).await?;
        }
        Ok(())
    }

    /// Stops every node as an operator would.
    ///
    /// # Errors
    /// If one does not stop as it should; none of them runs any more.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let mut processes: Vec<_> = self
            .sites
            .iter_mut()
            .filter_map(|site| site.process.take())
            .collect();
        processes.iter_mut().for_each(Process::tell);
        for process in processes {
            process.stopped().await?;
        }
        Ok(())
    }
}

impl Site {
    /// Runs a command of this program on this node, exactly as typed, but in silence.
    ///
    /// # Errors
    /// If the command fails.
    async fn command(&self, words: &[&str]) -> Result<(), Failure> {
        let all = ["fairshare"].iter().chain(words);
        let args = Args::try_parse_from(all).map_err(failed)?;
        // Boxed: this is inside such a command.
        match Box::pin(args.command.run(&self.client)).await? {
            0 => Ok(()),
            code => Err(failed(format!("a command ended with {code}"))),
        }
    }

    /// Whether the offers usual for the two kinds let them match at all.
    pub fn may_meet(&self, other: &Self) -> bool {
        let shows = |one: MemberKind, other| {
            let presence = Offer::default_for(one).presence;
            presence.shows.contains(&other)
        };
        let (ours, theirs) = (self.seat.kind, other.seat.kind);
        shows(ours, theirs) && shows(theirs, ours)
    }

    async fn init(&self) -> Result<(), Failure> {
        let Seat {
            ods, kind, name, ..
        } = &self.seat;
        let (user, role) = on_duty(*kind);
        let words = [
            "init",
            "--ods",
            ods.as_str(),
            "--kind",
            kind.word(),
            "--name",
            name,
            "--population",
            "1000000",
            "--exchange-contact",
            "Records desk",
            "--guardian",
            "Caldicott Guardian",
            "--listen",
            &self.address,
            "--announce",
            &self.address,
            "--no-passphrase",
        ];
        self.command(&words).await?;
        // Who sits at this machine: named as an operator would.
        let Some(uid) = user_number() else {
            return Ok(());
        };
        let entry = format!(
            "\n[[users]]\nuid = {uid}\nname = \"{user}\"\nrole = \"{role}\"\nid = \"{}-1\"\n",
            ods.as_str().to_lowercase()
        );
        let config = self.client.home().join("config.toml");
        let file = OpenOptions::new().append(true).open(config);
        file.and_then(|mut file| file.write_all(entry.as_bytes()))
            .map_err(failed)
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let home = self.client.home();
        let mut process = Process::start(home)?;
        process.ready(&Home::socket(home)).await?;
        self.process = Some(process);
        Ok(())
    }
}

/// Who asks at an organisation of this kind. Nobody is called so.
pub const fn on_duty(kind: MemberKind) -> (&'static str, &'static str) {
    match kind {
        MemberKind::GpPractice => ("Dr Helen Marsh", "general practitioner"),
        MemberKind::AdultSocialCare => ("Janet Oyelaran", "social worker"),
        _ => ("Dr Ruth Adeyemi", "consultant"),
    }
}

/// A path of ours, as it is typed.
fn text_of(path: &Path) -> String {
    path.display().to_string()
}

/// Looks until it is so.
async fn until<F>(else_said: &str, so: impl Fn() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<bool, Failure>>,
{
    let begun = Instant::now();
    while !so().await? {
        if begun.elapsed() > PATIENCE {
            return Err(failed(else_said));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Something of the demo's own failed.
pub fn failed(what: impl std::fmt::Display) -> Failure {
    Failure::from_error(DEGRADED, &what)
}
