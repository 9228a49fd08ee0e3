//! Matches between real nodes: own stores, own journals, libp2p streams over loopback.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairshare_node::config::{Config, Desk};
use fairshare_node::engine::drive::now;
use fairshare_node::engine::progress::Watch;
use fairshare_node::engine::{advert, asking, contact, delta, finding, matching};
use fairshare_node::fhir::Rules;
use fairshare_node::home::Home;
use fairshare_node::home::keys::Keys;
use fairshare_node::import::{Options, import};
use fairshare_node::network::{Config as Wires, Contact as Where, Event, Frames, Network, Timing};
use fairshare_node::node::Node;
use fairshare_node::store::index::MatchedWith;
use fairshare_protocol::charter::Charter;
use fairshare_protocol::codec;
use fairshare_protocol::control::index::FindState;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::index::advert::{Header, Void, root as advert_root};
use fairshare_protocol::index::fetch::{Failure, Frame as Fetching};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::{MemberKind, User};
use fairshare_protocol::offer::Offer;
use fairshare_protocol::roster::own::{Dspt, Reach};
use fairshare_protocol::roster::{
    Admission, Claim, Contact, Decision, NodeKeys, Roster, SelfStatement, Statement, Statements,
};
use fairshare_protocol::statement::{CoSigned, Signed};
use fairshare_protocol::text::Line;
use fairshare_protocol::wire;
use tempfile::TempDir;
use tokio::task::JoinSet;

const KINDS: [(&str, MemberKind); 3] = [
    ("RH8", MemberKind::AcuteTrust),
    ("L83024", MemberKind::GpPractice),
    ("912", MemberKind::AdultSocialCare),
];

fn line(text: &str) -> Line {
    text.parse().unwrap()
}

fn create(dir: &Path, code: &str, kind: MemberKind) {
    let desk = || Desk {
        name: line("The desk"),
        email: Some(line("desk@example.org")),
        telephone: None,
    };
    let config = Config {
        ods: code.parse().unwrap(),
        kind,
        name: line(code),
        population: 10_000,
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        announce: Vec::new(),
        organisation_key: None,
        limits: Default::default(),
        dspt: None,
        exchange_contact: desk(),
        caldicott_guardian: desk(),
        categories: BTreeMap::new(),
        users: Vec::new(),
    };
    let home = Home::create(dir).unwrap();
    Keys::generate().write(&home.keys()).unwrap();
    home.settle(&config).unwrap();
}

/// A node on the network that answers what this test is about.
struct Running {
    node: Arc<Node>,
    network: Network,
    address: String,
    answering: tokio::task::JoinHandle<()>,
    lie: Lie,
}

/// What a node says of its advert, if not the truth.
type Lie = Arc<Mutex<Option<Header>>>;

impl Running {
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
    fn header(&self) -> Header {
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

    fn code(&self) -> &OdsCode {
        self.node.code()
    }

    async fn import(&self, path: &Path) {
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

    async fn import_people(&self, numbers: Range<u32>) {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<_> = numbers.map(patient).collect();
        let file = dir.path().join("Patient.ndjson");
        std::fs::write(&file, lines.join("\n")).unwrap();
        self.import(&file).await;
    }

    fn acts(&self) -> Vec<Act> {
        let entries = self.node.journal.entries(1).unwrap();
        entries.map(|entry| entry.unwrap().act).collect()
    }
}

/// A synthetic person: an NHS number 999 … and a date of birth.
fn person(number: u32) -> (String, String) {
    let nine = 999_100_000 + u64::from(number) * 2;
    let nhs = (nine..nine + 2)
        .flat_map(|nine| (0..10).map(move |check| format!("{nine}{check}")))
        .find(|nhs| {
            nhs.parse::<fairshare_protocol::index::key::NhsNumber>()
                .is_ok()
        });
    let born = format!("{}-{:02}-11", 1930 + number % 80, 1 + number % 12);
    (nhs.unwrap(), born)
}

fn key(number: u32) -> IndexKey {
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

/// What founds a federation of these nodes and admits them all.
fn federation(all: &[&Running]) -> Statements {
    let stewards: BTreeMap<_, _> = (1..=3)
        .map(|n| (format!("S{n}").parse().unwrap(), seeded(n).public()))
        .collect();
    let charter = Charter::first(line("Test"), Hash::new([7; 32]), stewards, 2, now());
    let signed = by_two(&charter);
    let mut held = Statements::new(signed).unwrap();
    for (running, n) in all.iter().zip(10..) {
        let (node, code) = (&running.node, running.code().clone());
        let admit = Decision::Admit(Admission {
            kind: node.config.kind,
            name: node.config.name.clone(),
            organisation: seeded(n).public(),
            population: node.config.population,
        });
        let decided = Roster::of(&held).decide(&code, &admit, now()).unwrap();
        let decided = Statement::Steward(by_two(&decided));
        held.insert(decided, now()).unwrap();
        let anchor = Roster::of(&held).member(&code).unwrap().anchor;
        let reach = Reach {
            name: line("The desk"),
            email: None,
            telephone: Some(line("0300 000 0000")),
        };
        let claims = [
            Claim::Node(NodeKeys {
                node: node.keys.node.public(),
                seal: node.keys.seal.public(),
            }),
            Claim::Contact(Contact {
                addresses: vec![line(&running.address)],
                exchange: reach.clone(),
                guardian: reach,
                dspt: Dspt::Met,
                dspt_expires: None,
            }),
            Claim::Offer(Offer::default_for(node.config.kind)),
        ];
        for (u, claim) in [1, 1, 2].into_iter().zip(claims) {
            let place = (anchor, u);
            let said = SelfStatement::new(held.federation(), code.clone(), place, now(), &claim);
            let signer = match claim {
                Claim::Node(_) => seeded(n),
                _ => node.keys.node.clone(),
            };
            let said = Statement::Own(Signed::sign(&said, &signer));
            held.insert(said, now()).unwrap();
        }
    }
    held
}

fn seeded(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn by_two<T: fairshare_protocol::statement::Body>(body: &T) -> CoSigned<T> {
    let mut signed = CoSigned::draft(body);
    signed.add(&seeded(1));
    signed.add(&seeded(2));
    signed
}

/// Nodes that know each other.
struct Mesh {
    dirs: Vec<TempDir>,
    all: Vec<Running>,
}

impl Mesh {
    async fn of(kinds: &[(&str, MemberKind)]) -> Self {
        let mut mesh = Self {
            dirs: Vec::new(),
            all: Vec::new(),
        };
        for (code, kind) in kinds {
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path().join("home");
            create(&home, code, *kind);
            mesh.all.push(Running::start(&home).await);
            mesh.dirs.push(dir);
        }
        let held = federation(&mesh.all.iter().collect::<Vec<_>>());
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

    async fn restart(&mut self, at: usize) {
        self.all.remove(at).stop().await;
        let home = self.dirs[at].path().join("home");
        self.all.insert(at, Running::start(&home).await);
        self.introduce().await;
    }

    async fn stop(self) {
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

async fn match_up(node: &Arc<Node>, peer: &OdsCode) -> Result<MatchedWith, matching::Error> {
    matching::begin(node, peer, &Watch::nobody()).await
}

fn user() -> User {
    User {
        name: "Sam Okafor".to_owned(),
        role: "Records manager".to_owned(),
        id: "sokafor".to_owned(),
    }
}

async fn state(of: &Running, number: u32, at: &str) -> (FindState, bool) {
    let report = finding::find(&of.node, &user(), &key(number))
        .await
        .unwrap();
    let peer = report.peers.iter().find(|peer| peer.code.as_str() == at);
    (peer.unwrap().state, report.held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_match_over_the_network_find_and_match_again_when_people_come() {
    let mut mesh = Mesh::of(&KINDS[..2]).await;
    mesh.all[0].import_people(0..60).await;
    mesh.all[1].import_people(40..90).await;
    let [a, b] = [0, 1].map(|n| mesh.all[n].code().clone());
    assert_eq!(
        state(&mesh.all[0], 50, "L83024").await,
        (FindState::NotMatched, true)
    );

    let found = match_up(&mesh.all[0].node, &b).await.unwrap();
    assert_eq!(
        (found.links, found.ours_only, found.theirs_only),
        (20, 0, 0)
    );
    // The other side ends when it has heard that we are done.
    let theirs = mesh.all[1].node.index.matched(&a).unwrap().unwrap();
    assert_eq!((theirs.links, theirs.match_id), (20, found.match_id));
    for number in 0..90 {
        let handles = [(0, &b), (1, &a)].map(|(at, peer)| {
            let index = &mesh.all[at].node.index;
            let handle = index.handle(&key(number), peer).unwrap();
            if let Some((match_id, handle)) = handle {
                let named = index.person(peer, &match_id, &handle).unwrap();
                assert_eq!(named, Some(key(number)), "a handle names its person");
            }
            handle
        });
        assert_eq!(handles[0], handles[1], "both have one name for one person");
        assert_eq!(handles[0].is_some(), (40..60).contains(&number));
    }
    assert_eq!(
        state(&mesh.all[0], 50, "L83024").await,
        (FindState::Linked, true)
    );
    assert_eq!(
        state(&mesh.all[0], 5, "L83024").await,
        (FindState::NotLinked, true)
    );
    assert_eq!(
        state(&mesh.all[0], 85, "L83024").await,
        (FindState::NotHeld, false)
    );

    // The same adverts: the same match, said once.
    let again = match_up(&mesh.all[1].node, &a).await.unwrap();
    assert_eq!((again.links, again.match_id), (20, found.match_id));
    for running in &mesh.all {
        let acts = running.acts();
        let count = |is: fn(&Act) -> bool| acts.iter().filter(|act| is(act)).count();
        assert_eq!(count(|act| matches!(act, Act::Advert { .. })), 1);
        assert_eq!(count(|act| matches!(act, Act::TagsCommitted { .. })), 1);
        assert_eq!(count(|act| matches!(act, Act::TagsHeard { .. })), 1);
        assert_eq!(
            count(|act| matches!(act, Act::Matched { links: 20, .. })),
            1
        );
    }

    // Both restart; one has new people: they go out in a batch, and the match stays the same.
    mesh.restart(0).await;
    mesh.restart(1).await;
    mesh.all[1].import_people(0..10).await;
    assert_eq!(
        state(&mesh.all[1], 5, "RH8").await,
        (FindState::NotYetIndexed, true)
    );
    assert_eq!(
        state(&mesh.all[1], 50, "RH8").await,
        (FindState::Linked, true)
    );
    let grown = match_up(&mesh.all[1].node, &a).await.unwrap();
    assert_eq!((grown.links, grown.match_id), (30, found.match_id));
    assert_eq!(
        state(&mesh.all[1], 5, "RH8").await,
        (FindState::Linked, true)
    );
    let theirs = mesh.all[0].node.index.matched(&b).unwrap().unwrap();
    assert_eq!(theirs.links, 30);
    for number in 0..10 {
        let handle = |at: usize, peer| mesh.all[at].node.index.handle(&key(number), peer).unwrap();
        assert!(handle(0, &b).is_some());
        assert_eq!(handle(0, &b), handle(1, &a));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_beginning_at_once_is_one_match() {
    let mesh = Mesh::of(&KINDS[..2]).await;
    mesh.all[0].import_people(0..30).await;
    mesh.all[1].import_people(20..50).await;
    let [a, b] = [0, 1].map(|n| mesh.all[n].code().clone());
    let (one, two) = tokio::join!(
        match_up(&mesh.all[0].node, &b),
        match_up(&mesh.all[1].node, &a)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.links, two.links), (10, 10));
    assert_eq!(one.match_id, two.match_id);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_real_organisations_find_exactly_the_people_they_share() {
    let Some(orgs) = fairshare_tests::shared::data("orgs", "a match of real organisations") else {
        return;
    };
    let mesh = Mesh::of(&KINDS).await;
    let [acute, gp, la] = [0, 1, 2].map(|n| &mesh.all[n]);
    acute.import(&orgs.join("acute-RH8")).await;
    gp.import(&orgs.join("gp-L83024")).await;
    la.import(&orgs.join("la-912")).await;
    let reports = matching::match_with(&acute.node, None, &Watch::nobody())
        .await
        .unwrap();
    let links = |reports: &[fairshare_protocol::control::index::MatchReport], peer: &Running| {
        let report = reports
            .iter()
            .find(|report| report.peer == *peer.code())
            .unwrap();
        assert_eq!(report.failed, None);
        report.found.as_ref().unwrap().links
    };
    assert_eq!((links(&reports, gp), links(&reports, la)), (57, 23));
    let reports = matching::match_with(&la.node, Some(gp.code()), &Watch::nobody())
        .await
        .unwrap();
    assert_eq!(links(&reports, gp), 22);
    for (one, other) in [(acute, gp), (acute, la), (gp, la)] {
        let keys = |of: &Running| of.node.records.index_keys().unwrap();
        let both: BTreeSet<_> = keys(one).intersection(&keys(other)).copied().collect();
        let linked = keys(one).into_iter().filter(|key| {
            let handle = one.node.index.handle(key, other.code()).unwrap();
            assert_eq!(handle, other.node.index.handle(key, one.code()).unwrap());
            handle.is_some()
        });
        assert_eq!(linked.collect::<BTreeSet<_>>(), both);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_advert_makes_no_room_for_another_header_of_the_same_generation() {
    let mesh = Mesh::of(&KINDS[..2]).await;
    let (one, other) = (&mesh.all[0], &mesh.all[1]);
    one.import_people(0..40).await;
    other.import_people(20..60).await;
    match_up(&one.node, other.code()).await.unwrap();
    let shown = other.header();
    let told = async |lie: Header| {
        *other.lie.lock().unwrap() = Some(lie);
        match_up(&one.node, other.code()).await.unwrap_err()
    };
    let void = Header {
        count: 1_000_000,
        ..shown.clone()
    };
    let void = told(void).await;
    let over = |void: &Void| matches!(void, Void::OverCap { .. });
    assert!(
        matches!(&void, matching::Error::Fetch(Failure::Void(void)) if over(void)),
        "{void}"
    );
    // Another order of entries: another match, another first round.
    let second = told(shown).await;
    assert!(
        matches!(second, matching::Error::Fetch(Failure::TwoHeaders(_))),
        "{second}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_publishes_anothers_key_first_does_not_keep_the_other_from_matching() {
    let mesh = Mesh::of(&KINDS).await;
    let [one, thief, owner] = &mesh.all[..] else {
        unreachable!()
    };
    for (running, people) in [(one, 0..40), (thief, 0..40), (owner, 20..60)] {
        running.import_people(people).await;
    }
    // Everybody may fetch the owner's advert, the thief too.
    match_up(&thief.node, owner.code()).await.unwrap();
    let stolen = Header {
        member: thief.code().clone(),
        ..owner.header()
    };
    *thief.lie.lock().unwrap() = Some(stolen);
    let told = match_up(&one.node, thief.code()).await.unwrap_err();
    assert!(
        matches!(told, matching::Error::Fetch(Failure::Lost)),
        "it is held until its owner is known: {told}"
    );
    let found = match_up(&one.node, owner.code()).await.unwrap();
    assert_eq!(found.links, 20);
    // From now on the key is the owner's.
    let told = match_up(&one.node, thief.code()).await.unwrap_err();
    assert!(
        matches!(told, matching::Error::Fetch(Failure::Void(Void::Key))),
        "{told}"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_advert_is_signed_once_a_generation_whenever_whoever_needs_it_goes_away() {
    let mesh = Mesh::of(&KINDS[..1]).await;
    let node = &mesh.all[0].node;
    let roster = node.membership.roster().unwrap();
    for round in 0..12 {
        mesh.all[0].import_people(round..round + 1).await;
        let needing = {
            let (node, roster) = (Arc::clone(node), Arc::clone(&roster));
            tokio::spawn(async move { node.adverts.newest(&node, &roster).await.map(|_| ()) })
        };
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 3)).await;
        needing.abort();
        node.adverts.newest(node, &roster).await.unwrap();
    }
    let acts = mesh.all[0].acts();
    let made = acts.iter().filter_map(|act| match act {
        Act::Advert { generation, .. } => Some((*generation, 0)),
        Act::Batch { number, .. } => Some((1, *number)),
        _ => None,
    });
    let made: Vec<_> = made.collect();
    let once: Vec<_> = (0..12).map(|number| (1, number)).collect();
    assert_eq!(made, once);
    mesh.stop().await;
}
