//! `fairshare run`

use std::env;
use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use fairshare_node::home::Home;
use fairshare_node::node::Node;
use fairshare_node::runtime;
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::client::Client;

/// From the signal to the end, at most.
const STOPPING: Duration = Duration::from_secs(5);

/// Run the node in the foreground, until it is told to stop
///
/// Logs to stderr; a service manager gets READY=1 and STOPPING=1 on $NOTIFY_SOCKET. SIGTERM or
/// Ctrl-C stops it within five seconds. A node that is killed instead loses nothing it had
/// acknowledged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare run
  $ fairshare --home /srv/fairshare run
  $ fairshare run --log info,fairshare_node::network=debug")]
pub struct Run {
    /// Stop too when standard input ends: whoever started the node has gone
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

impl Run {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::from_error(WRONG, &error);
        let home = Home::open(client.home()).map_err(|error| wrong(&error))?;
        let node = Node::open(home).map_err(|error| wrong(&error))?;
        let (told, mut stopping) = oneshot::channel();
        let signals = signals().map_err(|error| wrong(&error))?;
        let alone = self.stop_with_parent.then(left_alone);
        let stop = async move {
            tokio::select! {
                () = signals => {}
                () = until_alone(alone) => {}
            }
            notify("STOPPING=1");
            // The other end waits as long as the node runs.
            let _ = told.send(());
        };
        let running = runtime::run(node, || notify("READY=1"), stop);
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => return ended.map(|()| 0),
            _ = &mut stopping => {}
        }
        tokio::time::timeout(STOPPING, running)
            .await
            .unwrap_or_else(|_| {
                let fact = format!("the node did not stop within {} s", STOPPING.as_secs());
                Err(Failure::new(
                    DEGRADED,
                    fact,
                    "nothing acknowledged is lost; start it again",
                ))
            })
            .map(|()| 0)
    }
}

/// Until SIGTERM or SIGINT.
fn signals() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Told when standard input ends: a pipe from the parent does when the parent is gone, however it
/// went.
fn left_alone() -> oneshot::Receiver<()> {
    let (gone, told) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Nobody listens if the node stops for another reason.
        let _ = gone.send(());
    });
    told
}

async fn until_alone(alone: Option<oneshot::Receiver<()>>) {
    match alone {
        Some(alone) => {
            let _ = alone.await;
        }
        None => std::future::pending().await,
    }
}

/// Tells the service manager, if there is one (sd_notify(3)).
fn notify(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, "the service manager could not be told {state}");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}
