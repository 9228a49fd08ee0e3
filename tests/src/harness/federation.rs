//! Three organisations, each with a real node process: founded, joined and admitted as operators do
//! it, with the very same commands.

use std::io::Write as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::far::far;
use super::people::{self, Somebody};
use super::{Site, free_port};

/// How long nodes may take to find each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Code, kind and name of each organisation.
pub const ORGANISATIONS: [[&str; 3]; 3] = [
    ["RH8", "acute-trust", "Royal Devon"],
    ["L83024", "gp-practice", "Mount Pleasant"],
    ["912", "adult-social-care", "Devon Council"],
];

/// An acute trust, which is the steward, a practice and a council, in this order.
#[derive(Debug)]
pub struct Federation {
    /// Their nodes.
    pub sites: Vec<Site>,
}

impl Federation {
    /// Makes the nodes, founds the federation, lets all in, and waits until all are connected. Their
    /// logs have this level.
    pub fn found(log: &str) -> Self {
        Self::found_for(log, 5000)
    }

    /// [`Federation::found`] of organisations that look after so many people each.
    pub fn found_for(log: &str, population: u32) -> Self {
        Self::far(log, population, Duration::ZERO)
    }

    /// [`Federation::found_for`] with so much time between any two nodes and back.
    pub fn far(log: &str, population: u32, round_trip: Duration) -> Self {
        let made = |it: &_| made(*it, log, population, round_trip);
        Self::of(ORGANISATIONS.iter().map(made).collect())
    }

    /// [`Federation::found`] of nodes that were made: of the first of [`ORGANISATIONS`].
    pub fn of(mut sites: Vec<Site>) -> Self {
        let agreement = sites[0].dir().join("agreement.txt");
        std::fs::write(&agreement, "We show each other what we hold.\n").unwrap();
        sites[0].ok(&[
            "federation",
            "found",
            "--name",
            "Devon",
            "--agreement",
            "agreement.txt",
        ]);
        sites[0].start();
        let link = sites[0].json(&["federation", "show"])["invitation"].clone();
        let link = link.as_str().unwrap().to_owned();
        for at in 1..sites.len() {
            sites[at].ok(&["join", &link]);
            sites[at].start();
            let code = ORGANISATIONS[at][0];
            let asks = || sites[0].json(&["admissions"]).to_string().contains(code);
            until("the request is brought", asks);
            sites[0].ok(&["admit", code, "--yes"]);
        }
        let federation = Self { sites };
        federation.until_connected();
        federation
    }

    /// Waits until every node is connected to every other.
    pub fn until_connected(&self) {
        let up = |site: &Site| {
            let peers = site.command(["peers", "--json"]).output().unwrap();
            let peers: Value = serde_json::from_slice(&peers.stdout).unwrap_or_default();
            let peers = peers.as_array().map_or(&[][..], Vec::as_slice);
            peers.len() + 1 == self.sites.len() && peers.iter().all(|it| it["connection"] == "up")
        };
        let begun = Instant::now();
        while !self.sites.iter().all(up) {
            if begun.elapsed() > PATIENCE {
                let logs: String = self.sites.iter().map(Site::logs).collect();
                panic!("waited in vain until all are connected\n{logs}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Gives each organisation its people, with letters of `letter` bytes: the acute trust those
    /// numbered 0 to 29, the practice 10 to 49, the council 20 to 34. All three hold 20 to 29.
    pub fn import(&self, letter: usize) {
        for (site, [code, ..]) in self.sites.iter().zip(ORGANISATIONS) {
            let author = code.to_lowercase();
            people::write(site.dir(), "export", &author, &held_by(code), letter);
            site.ok(&["import", "export"]);
        }
    }

    /// Matches every pair; gives the links of each.
    pub fn match_all(&self) -> Vec<(String, String, u64)> {
        let mut links = Vec::new();
        for (site, [code, ..]) in self.sites.iter().zip(ORGANISATIONS) {
            for report in site.json(&["match"]).as_array().unwrap() {
                let peer = report["peer"].as_str().unwrap().to_owned();
                assert!(report["failed"].is_null(), "{report}");
                links.push((
                    code.to_owned(),
                    peer,
                    report["found"]["links"].as_u64().unwrap(),
                ));
            }
        }
        links
    }
}

/// The people an organisation holds after [`Federation::import`].
pub fn held_by(code: &str) -> Vec<Somebody> {
    match code {
        "RH8" => Somebody::all(0..30),
        "L83024" => Somebody::all(10..50),
        _ => Somebody::all(20..35),
    }
}

/// Runs a command that reads whom it is about from standard input, with `--json`; gives its exit
/// code and its answer.
pub fn about(site: &Site, arguments: &[&str], person: &Somebody) -> (i32, Value) {
    let with = arguments.iter().copied().chain(["--json"]);
    let mut command = site.command(with);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it reads everything.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(person.lines().as_bytes());
    let output = child.wait_with_output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap_or(-1), answer)
}

/// What `site` is told when it asks `peer` about somebody: the state, and the whole answer.
pub fn ask(site: &Site, peer: &str, person: &Somebody) -> (String, Value) {
    ask_for(site, peer, &[], person)
}

/// As [`ask()`], in an emergency.
pub fn ask_in_emergency(site: &Site, peer: &str, person: &Somebody) -> (String, Value) {
    let emergency = ["--purpose", "emergency", "--reason", "unconscious"];
    ask_for(site, peer, &emergency, person)
}

fn ask_for(site: &Site, peer: &str, purpose: &[&str], person: &Somebody) -> (String, Value) {
    let (_, told) = about(site, &[&["ask", "--from", peer], purpose].concat(), person);
    let peer = told["peers"][0].clone();
    let state = peer["state"].as_str().unwrap_or_default().to_owned();
    (state, peer)
}

/// Waits until something is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(50));
    }
}

fn made([code, kind, name]: [&str; 3], log: &str, population: u32, round_trip: Duration) -> Site {
    let mut site = Site::new();
    log.clone_into(&mut site.log);
    let port = free_port();
    let reached = match round_trip {
        Duration::ZERO => port,
        _ => far(port, round_trip / 2),
    };
    let [listen, announce] = [port, reached].map(|port| format!("127.0.0.1:{port}"));
    let reach = [listen.as_str(), &announce];
    site.init_for("home", [code, kind, name], population, reach);
    site.name_user();
    site
}
