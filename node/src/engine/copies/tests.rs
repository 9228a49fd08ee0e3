#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::control::exchange::Filing;
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::ask::Filed;
use fairshare_protocol::exchange::bundle::{Content, Item, Manifest};
use fairshare_protocol::ids::{Fixed, Hash, PersonId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::member::User;

use super::*;
use crate::config::tests::sample;
use crate::home::Home;
use crate::home::keys::Keys;
use crate::journal;
use crate::store::exchanges::{Plaintext, Received};

const THEN: Timestamp = Timestamp(1_800_000_000_000);
const YEAR: Duration = Duration::from_millis(365 * DAY);

fn made(dir: &Path) -> Arc<Node> {
    let home = Home::create(dir).unwrap();
    Keys::generate().write(&home.keys()).unwrap();
    home.settle(&sample()).unwrap();
    Node::open(home).unwrap()
}

/// A node that was killed knows what was durable, and nothing else.
fn again(node: Arc<Node>, dir: &Path) -> Arc<Node> {
    assert_eq!(Arc::strong_count(&node), 1);
    drop(node);
    Node::open(Home::open(dir).unwrap()).unwrap()
}

fn exchange(number: u8) -> ExchangeId {
    ExchangeId::new([number; 16])
}

fn receive(node: &Node, number: u8, at: Timestamp) -> bool {
    let mut blob = node.store.blobs().create().unwrap();
    blob.write_all(b"what they showed").unwrap();
    let subject = IndexKey {
        nhs: "9990001235".parse().unwrap(),
        born: "1948-11-08".parse().unwrap(),
    };
    let content = Content::Record {
        category: Category::Problems,
        kind: "Condition".into(),
        id: "c1".into(),
        urn: None,
    };
    let items = vec![Item {
        content,
        length: 16,
        hash: Hash::new([0; 32]),
    }];
    let manifest = Manifest {
        author: "L83024".parse().unwrap(),
        as_of: at,
        subject,
        items,
    };
    let person = PersonId(Fixed([1; 16]));
    let filed = Filed {
        exchange: exchange(number),
        from: manifest.author.clone(),
        person,
        commitment: node.exchanges.commit_to(person).unwrap(),
        purpose: Purpose::Care,
        at,
        in_return: false,
        manifest,
        verdict: Verdict::Opened,
        shown: Hash::new([3; 32]),
    };
    let plaintext = blob.finish().unwrap();
    let plaintext = Plaintext::Blob(plaintext);
    let received = Received { filed, plaintext };
    node.exchanges.file(&received).unwrap()
}

fn files(node: &Node) -> usize {
    fs::read_dir(node.home.blobs()).unwrap().count()
}

fn wanted() -> Erasure {
    Erasure {
        at: THEN,
        why: Why::Wanted {
            by: User {
                name: "Sam Okafor".into(),
                role: "Records manager".into(),
                id: "sokafor".into(),
            },
            reason: "moved away".parse().unwrap(),
        },
    }
}

/// The exchanges the journal says were erased, and why.
fn told(dir: &Path) -> Vec<(ExchangeId, Option<String>, String)> {
    let entries = journal::read(&dir.join("journal")).unwrap();
    let erased = entries.filter_map(|entry| match entry.unwrap().act {
        Act::CopyErased {
            exchange,
            user,
            why,
            counts,
            ..
        } => {
            assert_eq!(counts, [(Category::Problems, 1)]);
            Some((exchange, user.map(|user| user.name), why))
        }
        _ => None,
    });
    erased.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_a_year_ago_is_erased_unless_it_was_filed() {
    let dir = tempfile::tempdir().unwrap();
    let node = made(dir.path());
    let second = Duration::from_secs(1);
    for (number, at) in [(1, THEN), (2, THEN + second), (3, THEN)] {
        assert!(receive(&node, number, at));
    }
    let Why::Wanted { by, reason } = wanted().why else {
        unreachable!("it was wanted");
    };
    let filing = Filing {
        by,
        at: THEN,
        reason,
    };
    assert!(node.exchanges.file_for_good(&exchange(3), &filing).unwrap());
    let early = sweep(&node, THEN + YEAR - second).await.unwrap();
    assert_eq!((early, files(&node)), (0, 3));
    let opens = node.exchanges.received(&exchange(1)).unwrap().unwrap();
    assert_eq!(sweep(&node, THEN + YEAR).await.unwrap(), 1);
    assert_eq!(files(&node), 2);
    assert!(opens.plaintext.open(node.store.blobs()).is_err());
    assert!(node.exchanges.received(&exchange(1)).unwrap().is_none());
    let erased = node.exchanges.erased(&exchange(1)).unwrap().unwrap();
    assert_eq!(erased.erasure.at, THEN + YEAR);
    assert_eq!(erased.outline.counts, [(Category::Problems, 1)]);
    assert_eq!(node.exchanges.bundles(), 2);
    assert_eq!(sweep(&node, THEN + YEAR).await.unwrap(), 0);
    assert_eq!(sweep(&node, THEN + YEAR + YEAR).await.unwrap(), 1);
    // What is filed stays, until somebody has it erased.
    assert!(node.exchanges.received(&exchange(3)).unwrap().is_some());
    let last = erase(&node, exchange(3), &wanted()).await.unwrap();
    assert!(last.is_some());
    assert!(
        erase(&node, exchange(3), &wanted())
            .await
            .unwrap()
            .is_none()
    );
    // Nor does a peer that begins an exchange of that id put something else in its place.
    assert!(!receive(&node, 3, THEN));
    let expired = |number| (exchange(number), None, "expired".to_owned());
    let by_hand = (exchange(3), Some("Sam Okafor".into()), "moved away".into());
    assert_eq!(told(dir.path()), [expired(1), expired(2), by_hand]);
}

/// A node that is killed after each step of an erasure: nobody opens the bundle from the first on,
/// and when the node starts again nothing of it is left but the word that it was erased.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_interrupted_at_any_step_is_finished() {
    for step in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let node = made(dir.path());
        assert!(receive(&node, 1, THEN) && receive(&node, 2, THEN));
        node.store.commit().await.unwrap();
        let opens = node.exchanges.received(&exchange(1)).unwrap().unwrap();
        let decided = node.exchanges.decide(&exchange(1), wanted()).unwrap();
        let erased = decided.unwrap();
        node.store.commit().await.unwrap();
        if step > 0 {
            node.record([act(&erased)]).await.unwrap();
        }
        if step > 1 {
            node.exchanges.forget(&erased).unwrap();
            node.store.commit().await.unwrap();
        }
        if step > 2 {
            let Plaintext::Blob(file) = &opens.plaintext else {
                unreachable!("it came in an exchange");
            };
            node.store.blobs().remove(file).unwrap();
        }
        if step > 3 {
            let removed = node.exchanges.remove_file(node.store.blobs(), &erased);
            removed.unwrap();
        }
        let node = again(node, dir.path());
        assert!(node.exchanges.received(&exchange(1)).unwrap().is_none());
        assert_eq!(node.exchanges.all_received(None).count(), 1, "{step}");
        assert_eq!(files(&node), if step > 2 { 1 } else { 2 }, "{step}");
        if step == 2 {
            // The file is there, and nothing in the store opens it.
            assert_eq!(node.exchanges.bundles(), 1);
        }
        assert_eq!(sweep(&node, THEN).await.unwrap(), 0);
        assert_eq!((files(&node), node.exchanges.bundles()), (1, 1), "{step}");
        assert!(node.exchanges.erasing().unwrap().is_empty());
        let entries = told(dir.path());
        assert!(entries.iter().all(|it| it.0 == exchange(1)));
        // Twice only if it was journaled and its key was not gone yet.
        assert_eq!(entries.len(), if step == 1 { 2 } else { 1 }, "{step}");
        let erased = node.exchanges.erased(&exchange(1)).unwrap().unwrap();
        assert_eq!(erased.erasure, wanted());
        assert!(node.exchanges.received(&exchange(2)).unwrap().is_some());
    }
}
