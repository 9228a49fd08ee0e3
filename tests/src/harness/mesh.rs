//! Nodes inside this process: their own stores and journals, libp2p streams over loopback, and a
//! federation that is made rather than joined. For what must be seen from within.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairshare_node::config::{Config, Desk, KnownUser};
use fairshare_node::engine::drive::now;
use fairshare_node::engine::sessions;
use fairshare_node::fhir::Rules;
use fairshare_node::home::Home;
use fairshare_node::home::keys::Keys;
use fairshare_node::import::{Options, import};
use fairshare_node::network::{Config as Wires, Network, Timing};
use fairshare_node::node::Node;
use fairshare_protocol::charter::Charter;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::member::{MemberKind, User};
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::own::{Dspt, Reach};
use fairshare_protocol::roster::{
    Admission, Claim, Contact, Decision, NodeKeys, Roster, SelfStatement, Statement, Statements,
};
use fairshare_protocol::statement::{Body, CoSigned, Signed};
use fairshare_protocol::text::Line;
use tempfile::TempDir;

/// One node that runs.
pub struct Peer {
    /// The node.
    pub node: Arc<Node>,
    network: Network,
    address: String,
    sessions: tokio::task::JoinHandle<()>,
    // Last, so that it is removed when all else is closed.
    dir: TempDir,
}

impl Peer {
    /// A node of this code and kind that listens and knows nobody yet.
    pub async fn start(code: &str, kind: MemberKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("home");
        settle(&root, code, kind, 10_000);
        let node = Node::open(Home::open(&root).unwrap()).unwrap();
        let (network, events) = Network::start(Wires {
            key: node.keys.node.clone(),
            listen: node.config.listen.clone(),
            timing: Timing::default(),
        })
        .await
        .unwrap();
        let address = network.listening().await.unwrap()[0].clone();
        node.connect(network.clone());
        let sessions = sessions::serve(Arc::clone(&node), network.clone(), events);
        Self {
            network,
            address,
            sessions: tokio::spawn(sessions),
            node,
            dir,
        }
    }

    /// Imports these resources, one a line.
    pub async fn import(&self, lines: &[String]) {
        let file = self.dir.path().join("import.ndjson");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let node = Arc::clone(&self.node);
        let importing = tokio::task::spawn_blocking(move || {
            let social = node.config.kind == MemberKind::AdultSocialCare;
            let rules = Rules::new(social, "2026-11-23".parse().unwrap());
            let mut watch = |_| ControlFlow::Continue(());
            let options = Options::new(rules, now());
            let report = import(&node.records, &[file], &options, &mut watch).unwrap();
            assert!(report.is_clean(), "{report:?}");
        });
        importing.await.unwrap();
    }

    /// Leaves the network.
    pub async fn stop(self) {
        self.network.shutdown().await;
        self.sessions.abort();
    }
}

/// Makes a federation of these nodes and waits until all are connected. `charter` may change the
/// charter before it is signed; each node's offer is the default of its kind, changed by `offer`.
pub async fn found(
    peers: &[&Peer],
    charter: impl FnOnce(&mut Charter),
    offer: impl Fn(&OdsCode, &mut Offer),
) {
    let members = peers
        .iter()
        .map(|peer| (&*peer.node, peer.address.as_str()));
    let held = statements(members, charter, offer);
    for peer in peers {
        let acts = peer.node.membership.adopt(&held, now()).unwrap();
        peer.node.record(acts).await.unwrap();
    }
    for peer in peers {
        for _ in 0..600 {
            let others = peer.network.peers().await.unwrap();
            let up = others.iter().filter(|other| other.connected).count();
            if up + 1 == peers.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What founds a federation of nodes at these addresses and admits them all.
pub(crate) fn statements<'a>(
    members: impl Iterator<Item = (&'a Node, &'a str)>,
    charter: impl FnOnce(&mut Charter),
    offer: impl Fn(&OdsCode, &mut Offer),
) -> Statements {
    let stewards = (1..=3).map(|n| (format!("S{n}").parse().unwrap(), seeded(n).public()));
    let agreement = Hash::new([7; 32]);
    let mut first = Charter::first(line("Test"), agreement, stewards.collect(), 2, now());
    charter(&mut first);
    let mut held = Statements::new(by_two(&first)).unwrap();
    for (member, n) in members.zip(10..) {
        admit(&mut held, member, n, &offer);
    }
    held
}

fn admit(
    held: &mut Statements,
    (node, address): (&Node, &str),
    n: u8,
    offer: &impl Fn(&OdsCode, &mut Offer),
) {
    let code = node.code().clone();
    let admission = Decision::Admit(Admission {
        kind: node.config.kind,
        name: node.config.name.clone(),
        organisation: seeded(n).public(),
        population: node.config.population,
    });
    let decided = Roster::of(held).decide(&code, &admission, now()).unwrap();
    held.insert(Statement::Steward(by_two(&decided)), now())
        .unwrap();
    let anchor = Roster::of(held).member(&code).unwrap().anchor;
    let reach = Reach {
        name: line("The desk"),
        email: None,
        telephone: None,
    };
    let mut shown = Offer::default_for(node.config.kind);
    offer(&code, &mut shown);
    let claims = [
        Claim::Node(NodeKeys {
            node: node.keys.node.public(),
            seal: node.keys.seal.public(),
        }),
        Claim::Contact(Contact {
            addresses: vec![line(address)],
            exchange: reach.clone(),
            guardian: reach,
            dspt: Dspt::Met,
            dspt_expires: None,
        }),
        Claim::Offer(shown),
    ];
    for (u, claim) in [1, 1, 2].into_iter().zip(claims) {
        let place = (anchor, u);
        let said = SelfStatement::new(held.federation(), code.clone(), place, now(), &claim);
        let signer = match claim {
            Claim::Node(_) => seeded(n),
            _ => node.keys.node.clone(),
        };
        held.insert(Statement::Own(Signed::sign(&said, &signer)), now())
            .unwrap();
    }
}

/// Somebody who uses a node.
pub fn user() -> User {
    User {
        name: "Sam Okafor".to_owned(),
        role: "Records manager".to_owned(),
        id: "sokafor".to_owned(),
    }
}

/// Makes the home of a node of this code, kind and population.
pub(crate) fn settle(root: &Path, code: &str, kind: MemberKind, population: u64) {
    let desk = || Desk {
        name: line("The desk"),
        email: None,
        telephone: None,
    };
    let config = Config {
        ods: code.parse().unwrap(),
        kind,
        name: line(code),
        population,
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        announce: Vec::new(),
        organisation_key: None,
        limits: Default::default(),
        copies: Default::default(),
        rounds: Default::default(),
        dspt: None,
        exchange_contact: desk(),
        caldicott_guardian: desk(),
        categories: BTreeMap::new(),
        users: vec![KnownUser {
            uid: 0,
            name: line(&user().name),
            role: line(&user().role),
            id: line(&user().id),
        }],
    };
    let home = Home::create(root).unwrap();
    Keys::generate().write(&home.keys()).unwrap();
    home.settle(&config).unwrap();
}

fn line(text: &str) -> Line {
    text.parse().unwrap()
}

/// The key of a steward (1 to 3), or of an organisation (10 and on, in the order of the nodes).
pub fn seeded(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

/// Signed by two stewards.
pub fn by_two<T: Body>(body: &T) -> CoSigned<T> {
    let mut signed = CoSigned::draft(body);
    signed.add(&seeded(1));
    signed.add(&seeded(2));
    signed
}
