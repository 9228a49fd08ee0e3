//! Asking: the running node over its socket, or, where that will do, the home opened in process.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fairshare_node::control::{Progress, dispatch};
use fairshare_node::home::{self, Home};
use fairshare_node::node::Node;
use fairshare_protocol::control::{
    DEGRADED, Envelope, Failure, MAX_REPLY, Question, Reply, Request, WRONG,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::output::{Bar, Output};

/// Asks one node, and knows how to show what it says.
#[derive(Debug, Clone)]
pub struct Client {
    home: PathBuf,
    /// Where answers go.
    pub output: Output,
}

impl Client {
    /// A client of the node whose home is at `home`.
    pub const fn new(home: PathBuf, output: Output) -> Self {
        Self { home, output }
    }

    /// The home of the node.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Asks the running node; if none runs, opens the home and answers in process.
    pub async fn ask<Q: Question>(&self, question: Q) -> Result<Q::Answer, Failure> {
        let request = question.into();
        let answer = match self.connect().await? {
            Some(stream) => self.converse(stream, request).await?,
            None => self.in_process(request).await?,
        };
        read(answer)
    }

    /// Asks the running node, and no other.
    pub async fn ask_running<Q: Question>(&self, question: Q) -> Result<Q::Answer, Failure> {
        let stream = self.running().await?;
        read(self.converse(stream, question.into()).await?)
    }

    async fn running(&self) -> Result<UnixStream, Failure> {
        self.connect().await?.ok_or_else(|| {
            // A home that is none has another remedy.
            let there = self.home.join("config.toml").exists();
            if there {
                let fact = format!("no node is running at {}", self.home.display());
                Failure::new(WRONG, fact, "start it with `fairshare run`")
            } else {
                let path = self.home.clone();
                Failure::from_error(WRONG, &home::Error::None { path })
            }
        })
    }

    /// Fails as [`Self::ask`] would if there is nobody to ask: before anything is asked for at the
    /// terminal.
    pub async fn reach(&self) -> Result<(), Failure> {
        if self.connect().await?.is_some() || self.home.join("config.toml").exists() {
            return Ok(());
        }
        let path = self.home.clone();
        Err(Failure::from_error(WRONG, &home::Error::None { path }))
    }

    /// The same for [`Self::ask_running`].
    pub async fn reach_running(&self) -> Result<(), Failure> {
        self.running().await.map(drop)
    }

    /// The socket of the running node, if one runs.
    pub async fn connect(&self) -> Result<Option<UnixStream>, Failure> {
        let path = Home::socket(&self.home);
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(Failure::new(
                WRONG,
                format!("{}: {error}", path.display()),
                "use the user the node runs as, or name another home with --home",
            )),
        }
    }

    async fn converse(&self, stream: UnixStream, request: Request) -> Result<Value, Failure> {
        let lost = |error: &dyn std::fmt::Display| {
            Failure::new(
                WRONG,
                format!("the node went away without an answer: {error}"),
                "see its log; what it had acknowledged is kept",
            )
        };
        let (read, mut write) = stream.into_split();
        let mut line = serde_json::to_vec(&Envelope::from(request)).map_err(|e| lost(&e))?;
        line.push(b'\n');
        write.write_all(&line).await.map_err(|e| lost(&e))?;
        let mut read = BufReader::new(read);
        let mut bar = Bar::new(self.output);
        loop {
            line.clear();
            let mut limited = (&mut read).take(MAX_REPLY as u64 + 1);
            limited
                .read_until(b'\n', &mut line)
                .await
                .map_err(|e| lost(&e))?;
            if line.is_empty() {
                return Err(lost(&"the connection was closed"));
            }
            match serde_json::from_slice(&line).map_err(|e| lost(&e))? {
                Reply::Progress(step) => bar.show(&step),
                Reply::Done(answer) => return Ok(answer),
                Reply::Failed(failure) => return Err(failure),
            }
        }
    }

    async fn in_process(&self, request: Request) -> Result<Value, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::from_error(WRONG, &error);
        let home = Home::open(&self.home).map_err(|error| wrong(&error))?;
        let owner = home.owner();
        let node = Node::open(home).map_err(|error| wrong(&error))?;
        let uid = home::user_number().unwrap_or(owner);
        let user = node
            .config
            .user(uid, owner)
            .map_err(|error| wrong(&error))?;
        let (steps, mut stepped) = mpsc::channel(16);
        let progress = Progress::to(steps);
        let mut bar = Bar::new(self.output);
        let answering = async {
            let answer = dispatch(&node, &user, request, &progress).await;
            drop(progress);
            answer
        };
        let showing = async {
            while let Some(step) = stepped.recv().await {
                bar.show(&step);
            }
        };
        let (answer, ()) = tokio::join!(answering, showing);
        drop_node(node);
        answer
    }
}

/// Closes store and journal before the process ends.
fn drop_node(node: Arc<Node>) {
    tokio::task::block_in_place(|| drop(node));
}

fn read<A: DeserializeOwned>(answer: Value) -> Result<A, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        let fact = format!("the node's answer is not what this program expects: {error}");
        let remedy = "use the `fairshare` of the node's own version";
        Failure::new(DEGRADED, fact, remedy)
    })
}

/// A path as the node understands it, whose working directory is another.
///
/// # Errors
/// If it is empty, or there is no working directory.
pub fn absolute(path: impl AsRef<Path>) -> Result<PathBuf, Failure> {
    let path = path.as_ref();
    std::path::absolute(path).map_err(|error| {
        let fact = format!("{}: {error}", path.display());
        Failure::new(WRONG, fact, "name a file in a directory that is there")
    })
}
