//! The control socket: who asks, one request a connection, called off when they go away.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::{
    DEGRADED, Envelope, Failure, MAX_REPLY, MAX_REQUEST, REFUSED, Reply, VERSION, WRONG,
};
use fairshare_protocol::member::User;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Progress, dispatch};
use crate::home::Home;
use crate::node::Node;

/// Requests answered at once; more are refused.
const MAX_REQUESTS: usize = 64;
/// How long a client may take to say what it wants.
const ASKING: Duration = Duration::from_secs(10);
/// How long requests may go on once the node is told to stop.
const STOPPING: Duration = Duration::from_secs(2);
/// How long a client may leave a reply unread.
const READING: Duration = Duration::from_secs(30);
/// Steps on their way to a client.
const STEPS: usize = 16;

/// Opens the control socket of the home at `root`, which this process has open.
///
/// # Errors
/// If there cannot be one.
pub fn bind(root: &Path) -> Result<UnixListener, Failure> {
    let path = Home::socket(root);
    let draft = path.with_extension("new");
    // Left by a node that was killed: the home's lock says that no other is running.
    let _ = fs::remove_file(&draft);
    let open = || {
        let listener = UnixListener::bind(&draft)?;
        // Its own name only once it is private.
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
        fs::rename(&draft, &path)?;
        Ok(listener)
    };
    open().map_err(|error: std::io::Error| {
        let fact = format!("no control socket at {}: {error}", path.display());
        Failure::new(
            WRONG,
            fact,
            "use a home whose path is under 90 bytes and that belongs to the user the node runs as",
        )
    })
}

/// Removes the socket's name.
pub fn unbind(root: &Path) {
    let _ = fs::remove_file(Home::socket(root));
}

/// Answers until `stop`; then lets what is being answered finish for two seconds.
pub async fn serve(node: Arc<Node>, socket: UnixListener, stop: impl Future<Output = ()> + Send) {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut requests = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = requests.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    let slot = Arc::clone(&slots).try_acquire_owned().ok();
                    let node = Arc::clone(&node);
                    requests.spawn(async move {
                        let free = slot.is_some();
                        converse(&node, stream, free).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(socket);
    let finish = async { while requests.join_next().await.is_some() {} };
    let _ = timeout(STOPPING, finish).await;
    requests.shutdown().await;
}

async fn converse(node: &Arc<Node>, stream: UnixStream, free: bool) {
    let uid = stream.peer_cred().map(|who| who.uid());
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let asked = match asked(node, &mut read, uid, free).await {
        Ok(Some(asked)) => asked,
        Ok(None) => return,
        Err(failure) => return send(&mut write, &Reply::Failed(failure)).await,
    };
    let (user, request) = asked;
    let name = request.name();
    tracing::debug!(request = name, user = user.id, "asked");
    let (steps, mut stepped) = mpsc::channel(STEPS);
    let progress = Progress::to(steps);
    let answering = async {
        let answered = dispatch(node, &user, request, &progress).await;
        drop(progress);
        answered
    };
    tokio::pin!(answering);
    let mut more = true;
    let answered = loop {
        tokio::select! {
            biased;
            () = gone(&mut read) => {
                tracing::debug!(request = name, "called off");
                return;
            }
            step = stepped.recv(), if more => match step {
                Some(step) => send(&mut write, &Reply::Progress(step)).await,
                None => more = false,
            },
            answered = &mut answering => break answered,
        }
    };
    let reply = answered.map_or_else(Reply::Failed, Reply::Done);
    send(&mut write, &reply).await;
}

/// Who asks, and what; nothing if they went away without asking.
async fn asked(
    node: &Node,
    read: &mut BufReader<OwnedReadHalf>,
    uid: std::io::Result<u32>,
    free: bool,
) -> Result<Option<(User, fairshare_protocol::control::Request)>, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    let mut limited = read.take(MAX_REQUEST as u64 + 1);
    let reading = limited.read_until(b'\n', &mut line);
    match timeout(ASKING, reading).await {
        Ok(Ok(length)) if length > 0 => {}
        _ => return Ok(None),
    }
    if !free {
        let fact = format!("the node is answering {MAX_REQUESTS} requests already");
        return Err(Failure::new(REFUSED, fact, "try again in a moment"));
    }
    let uid =
        uid.map_err(|error| Failure::new(WRONG, format!("who asks cannot be told: {error}"), ""))?;
    let user = node.config.user(uid, node.home.owner());
    let user = user.map_err(|error| Failure::from_error(REFUSED, &error))?;
    if line.last() != Some(&b'\n') {
        let fact = format!("the request is longer than {MAX_REQUEST} bytes or was cut short");
        return Err(Failure::new(WRONG, fact, "ask for less at once"));
    }
    // What it says may be about a person: an error must not repeat it.
    let envelope: Result<Envelope, _> = serde_json::from_slice(&line);
    let told = envelope.ok().filter(|envelope| envelope.version == VERSION);
    let envelope = told.ok_or_else(|| {
        Failure::new(
            WRONG,
            format!("the node (version {}) does not know this request", env!("CARGO_PKG_VERSION")),
            "use the `fairshare` of the node's own version, and start the node again after an upgrade",
        )
    })?;
    Ok(Some((user, envelope.request)))
}

/// Until the client has gone. What it sends besides its request is dropped.
async fn gone(read: &mut BufReader<OwnedReadHalf>) {
    let mut rest = [0; 1024];
    while read.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply<Value>) {
    let mut line = serde_json::to_vec(reply).unwrap_or_default();
    if line.len() >= MAX_REPLY {
        let failure = Failure::new(
            DEGRADED,
            format!("the answer is longer than {MAX_REPLY} bytes"),
            "ask for less at once, or have it written to a file",
        );
        line = serde_json::to_vec(&Reply::<Value>::Failed(failure)).unwrap_or_default();
    }
    line.push(b'\n');
    // Gone, or not reading: `gone` will notice, or the client will.
    let _ = timeout(READING, write.write_all(&line)).await;
}
