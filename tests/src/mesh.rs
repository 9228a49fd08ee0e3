//! Nodes inside this process that answer what the index is about: own stores, own journals, libp2p
//! streams over loopback, and a federation that is made rather than joined. For what must be seen,
//! or spoiled, from within.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairshare_node::engine::drive::now;
use fairshare_node::engine::progress::Watch;
use fairshare_node::engine::{advert, asking, contact, delta, matching};
use fairshare_node::fhir::Rules;
use fairshare_node::home::Home;
use fairshare_node::import::{Options, import};
use fairshare_node::network::{Config as Wires, Contact as Where, Event, Frames, Network, Timing};
use fairshare_node::node::Node;
use fairshare_node::store::index::MatchedWith;
use fairshare_protocol::codec;
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::index::advert::{Header, root as advert_root};
use fairshare_protocol::index::fetch::Frame as Fetching;
use fairshare_protocol::index::key::{IndexKey, NhsNumber};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::wire;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::mesh::{settle, statements};

/// An acute trust, a practice and a council.
pub const KINDS: [(&str, MemberKind); 3] = [
    ("RH8", MemberKind::AcuteTrust),
    ("L83024", MemberKind::GpPractice),
    ("912", MemberKind::AdultSocialCare),
];

/// A node on the network that answers what this test is about.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Its network.
    pub network: Network,
    address: String,
    answering: tokio::task::JoinHandle<()>,
    /// What it says of its advert, if not the truth.
    pub lie: Lie,
}

/// What a node says of its advert, if not the truth.
pub type Lie = Arc<Mutex<Option<Header>>>;

impl Running {
    /// Starts the node in `dir`.
    async fn start(dir: &Path) -> Self {
        let node = Node::open(Home::open(dir).unwrap()).unwrap();
        let (network, mut events) = Network::start(Wires {
            key: node.keys.node.clone(),
            listen: node.config.listen.clone(),
            timing: Timing::default(),
        })
        .await
        .unwrap();
        let address = network.listening().await.unwrap()[0].clone();
        node.connect(network.clone());
        let lie = Lie::default();
        let (here, lying) = (Arc::clone(&node), Arc::clone(&lie));
        let answering = tokio::spawn(async move {
            // Dropped with this task, which ends what still runs.
            let mut conversations = JoinSet::new();
            while let Some(event) = events.recv().await {
                let Event::Incoming {
                    peer,
                    stream,
                    frames,
                    ..
                } = event
                else {
                    continue;
                };
                let roster = here.membership.roster().unwrap();
                let peer = roster.by_node(&peer).unwrap().code.clone();
                let here = Arc::clone(&here);
                let lie = lying.lock().unwrap().clone();
                conversations.spawn(async move {
                    if let (wire::ADVERT, Some(lie)) = (stream, lie) {
                        say(&here, &lie, frames).await;
                    } else if stream == wire::ADVERT {
                        advert::serve(&here, &peer, frames).await.unwrap();
                    } else if stream == wire::MATCH {
                        // The other side says why, if it fails.
                        let _ = matching::answer(&here, &peer, frames).await;
                    } else if stream == wire::DELTA {
                        let _ = delta::answer(&here, &peer, frames).await;
                    } else if stream == wire::CONTACT {
                        let pair = asking::pair(&here, &roster, &peer).unwrap();
                        let _ = contact::answer(&here, &peer, pair, frames).await;
                    }
                });
            }
        });
        Self {
            node,
            network,
            address,
            answering,
            lie,
        }
    }

    /// The header of its advert, as others are told it.
    pub fn header(&self) -> Header {
        let own = self.node.index.own().unwrap().unwrap();
        own.header.peek().unwrap()
    }

    async fn stop(self) {
        self.network.shutdown().await;
        self.answering.await.unwrap();
        // What blocks a thread may hold it a moment longer.
        let mut node = self.node;
        for _ in 0..200 {
            match Arc::try_unwrap(node) {
                Ok(_) => return,
                Err(held) => node = held,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("somebody still holds the node");
    }

    /// Its code.
    pub fn code(&self) -> &OdsCode {
        self.node.code()
    }

    /// Imports what lies at `path`.
    pub async fn import(&self, path: &Path) {
        let node = Arc::clone(&self.node);
        let path = path.to_owned();
        let done = tokio::task::spawn_blocking(move || {
            let social = node.config.kind == MemberKind::AdultSocialCare;
            let options = Options::new(Rules::new(social, "2026-11-23".parse().unwrap()), now());
            let mut watch = |_| ControlFlow::Continue(());
            import(&node.records, &[path], &options, &mut watch).unwrap();
        });
        done.await.unwrap();
    }

    /// Imports the people of these numbers.
    pub async fn import_people(&self, numbers: Range<u32>) {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<_> = numbers.map(patient).collect();
        let file = dir.path().join("Patient.ndjson");
        std::fs::write(&file, lines.join("\n")).unwrap();
        self.import(&file).await;
    }

    /// What its journal says, in order.
    pub fn acts(&self) -> Vec<Act> {
        let entries = self.node.journal.entries(1).unwrap();
        entries.map(|entry| entry.unwrap().act).collect()
    }
}

/// A synthetic person: an NHS number 999 … and a date of birth.
fn person(number: u32) -> (String, String) {
    let nine = 999_100_000 + u64::from(number) * 2;
    let nhs = (nine..nine + 2)
        .flat_map(|nine| (0..10).map(move |check| format!("{nine}{check}")))
        .find(|nhs| nhs.parse::<NhsNumber>().is_ok());
    let born = format!("{}-{:02}-11", 1930 + number % 80, 1 + number % 12);
    (nhs.unwrap(), born)
}

/// What the person of this number is found by.
pub fn key(number: u32) -> IndexKey {
    let (nhs, born) = person(number);
    IndexKey {
        nhs: nhs.parse().unwrap(),
        born: born.parse().unwrap(),
    }
}

fn patient(number: u32) -> String {
    let (nhs, born) = person(number);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}]}}"#
    )
}

/// Nodes that know each other.
pub struct Mesh {
    /// The nodes, in the order they were asked for.
    pub all: Vec<Running>,
    // Last, so that they are removed when all else is closed.
    dirs: Vec<TempDir>,
}

impl Mesh {
    /// Members of these codes and kinds, of 10,000 people each.
    pub async fn of(kinds: &[(&str, MemberKind)]) -> Self {
        let sized = |(code, kind): &(_, _)| (*code, *kind, 10_000);
        Self::sized(&kinds.iter().map(sized).collect::<Vec<_>>()).await
    }

    /// Members of these codes, kinds and populations.
    pub async fn sized(members: &[(&str, MemberKind, u64)]) -> Self {
        let mut mesh = Self {
            dirs: Vec::new(),
            all: Vec::new(),
        };
        for (code, kind, population) in members {
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path().join("home");
            settle(&home, code, *kind, *population);
            mesh.all.push(Running::start(&home).await);
            mesh.dirs.push(dir);
        }
        let all = mesh.all.iter();
        let members = all.map(|running| (&*running.node, running.address.as_str()));
        let held = statements(members, |_| (), |_, _| ());
        for running in &mesh.all {
            let acts = running.node.membership.adopt(&held, now()).unwrap();
            running.node.record(acts).await.unwrap();
        }
        mesh.introduce().await;
        mesh
    }

    /// Tells every node where the others are.
    async fn introduce(&self) {
        for one in &self.all {
            let others = self.all.iter().filter(|other| other.code() != one.code());
            let contacts = others.map(|other| Where {
                key: other.node.keys.node.public(),
                addresses: vec![other.address.clone()],
            });
            one.network.set_members(contacts.collect()).await.unwrap();
        }
    }

    /// Restarts one of them.
    pub async fn restart(&mut self, at: usize) {
        self.all.remove(at).stop().await;
        let home = self.dirs[at].path().join("home");
        self.all.insert(at, Running::start(&home).await);
        self.introduce().await;
    }

    /// Stops them all.
    pub async fn stop(self) {
        for running in self.all {
            running.stop().await;
        }
    }
}

/// Answers who asks for an advert with this header, and goes away.
async fn say(node: &Node, header: &Header, mut frames: Frames) {
    let _ask = frames.recv(1000).await.unwrap();
    let chunks = vec![Hash::new([1; 32]); header.chunks() as usize];
    let root = advert_root(&chunks);
    let header = Signed::sign(
        &Header {
            root,
            ..header.clone()
        },
        &node.keys.node,
    );
    let said = codec::encode(&Fetching::Header { header, chunks });
    frames.send(&said).await.unwrap();
    frames.finish().await.unwrap();
}

/// Brings the links of a node with a peer up to date.
///
/// # Errors
/// Why they are not.
pub async fn match_up(node: &Arc<Node>, peer: &OdsCode) -> Result<MatchedWith, matching::Error> {
    matching::begin(node, peer, &Watch::nobody()).await
}
