#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::{MAX_REQUEST, REFUSED, Reply, WRONG};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::KnownUser;
use crate::config::tests::sample;
use crate::home::Home;
use crate::home::keys::Keys;
use crate::node::Node;
use crate::runtime;

struct Running {
    temp: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Running {
    async fn start(users: Vec<KnownUser>) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::create(temp.path()).unwrap();
        Keys::generate().write(&home.keys()).unwrap();
        let mut config = sample();
        config.users = users;
        config.listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
        home.settle(&config).unwrap();
        let node = Node::open(home).unwrap();
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let ready = || ready.send(()).unwrap();
            let stop = async { drop(stopped.await) };
            runtime::run(node, ready, stop).await.unwrap();
        });
        started.await.unwrap();
        Self {
            temp,
            stop,
            running,
        }
    }

    fn home(&self) -> &Path {
        self.temp.path()
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(Home::socket(self.home()))
            .await
            .unwrap()
    }

    /// Sends these bytes and gives the one reply.
    async fn send(&self, bytes: &[u8]) -> Reply<Value> {
        let mut stream = self.connect().await;
        // The node may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        timeout(Duration::from_secs(5), self.running)
            .await
            .unwrap()
            .unwrap();
        self.temp
    }
}

fn status() -> Vec<u8> {
    let request = json!({"version": 1, "request": {"command": "status"}});
    format!("{request}\n").into_bytes()
}

fn refused(reply: Reply<Value>) -> (u8, String) {
    match reply {
        Reply::Failed(failure) => (failure.code, failure.fact),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_answers_its_owner_and_leaves_no_socket() {
    let running = Running::start(Vec::new()).await;
    let socket = Home::socket(running.home());
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Reply::Done(report) = running.send(&status()).await else {
        unreachable!("no answer");
    };
    assert_eq!(report["member"], "RH8");
    assert_eq!(report["journal"]["entries"], 1);
    let temp = running.stop().await;
    assert!(!socket.exists());
    // Left by a node that was killed: no obstacle to the next.
    fs::write(Home::socket(temp.path()), "").unwrap();
    let node = Node::open(Home::open(temp.path()).unwrap()).unwrap();
    assert_eq!(node.journal_opened.verified.entries, 2);
    super::server::bind(temp.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_the_config_does_not_name_is_refused() {
    let other = KnownUser {
        uid: u32::MAX,
        name: "Somebody".parse().unwrap(),
        role: "Clerk".parse().unwrap(),
        id: "x".parse().unwrap(),
    };
    let running = Running::start(vec![other]).await;
    let (code, fact) = refused(running.send(&status()).await);
    assert_eq!(code, REFUSED);
    assert!(fact.contains("is not named in the node's config"), "{fact}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_not_repeated() {
    let running = Running::start(Vec::new()).await;
    let version = json!({"version": 2, "request": {"command": "status"}});
    let unknown = json!({"version": 1, "request": {"command": "9434765919"}});
    for bad in [
        version.to_string(),
        unknown.to_string(),
        "9434765919".to_owned(),
    ] {
        let (code, fact) = refused(running.send(format!("{bad}\n").as_bytes()).await);
        assert_eq!(code, WRONG);
        assert!(!fact.contains("9434765919"), "{fact}");
    }
    let long = vec![b'x'; MAX_REQUEST + 1];
    let (code, fact) = refused(running.send(&long).await);
    assert_eq!(code, WRONG);
    assert!(fact.contains("longer than"), "{fact}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_requests_than_it_takes_the_rest_are_refused_and_none_is_lost() {
    let running = Arc::new(Running::start(Vec::new()).await);
    // These have not asked yet, and hold a place each.
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(running.connect().await);
    }
    let (code, fact) = refused(running.send(&status()).await);
    assert_eq!(code, REFUSED);
    assert!(fact.contains("64 requests already"), "{fact}");
    for mut stream in waiting {
        stream.write_all(&status()).await.unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        assert!(line.starts_with("{\"done\":"), "{line}");
    }
    assert!(matches!(running.send(&status()).await, Reply::Done(_)));
    Arc::into_inner(running).unwrap().stop().await;
}
