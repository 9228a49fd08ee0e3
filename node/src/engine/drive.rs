//! Runs one machine over one stream.

use std::collections::VecDeque;
use std::future::Future;
use std::time::SystemTime;

use fairshare_protocol::conversation::{Conversation, Input, Output};
use fairshare_protocol::limits::{MAX_BULK_FRAME, SIGN_OF_LIFE};
use fairshare_protocol::time::Timestamp;

use crate::home::reserve::Full;
use crate::journal::{self, Journal};
use crate::network::{self, FrameError, Frames};
use crate::store::{self, Store};

pub mod duplex;

/// This node's clock.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// What a conversation needs of its node beyond journal and stream.
pub trait Effects<C: Conversation>: Send {
    /// Keeps what the machine orders. Need not be durable when it returns: the driver commits.
    fn save(&mut self, save: C::Save) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether what is kept must be durable before anything else is said.
    fn is_lasting(_save: &C::Save) -> bool {
        true
    }

    /// Whether what the machine asks is at hand: what it said before may then wait for what it says
    /// next, and leave with it.
    fn is_at_hand(_load: &C::Load) -> bool {
        false
    }

    /// Finds or works out what the machine asks.
    fn load(&mut self, load: C::Load) -> impl Future<Output = Result<C::Fact, Error>> + Send;
}

/// Why a conversation was broken off by this node itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file failed.
    #[error("a file of this node failed: {0}")]
    Io(#[from] std::io::Error),
    /// The other node cannot be reached.
    #[error("the other node cannot be reached: {0}")]
    Network(#[from] network::Error),
    /// A task of ours ended early.
    #[error("a task of this node ended early")]
    Task(#[from] tokio::task::JoinError),
    /// No room for what can wait.
    #[error(transparent)]
    Full(#[from] Full),
    /// Something does not hold that should.
    #[error("{0}")]
    Broken(&'static str),
}

/// Runs `machine` over `frames` to its end, and says that no more follows.
///
/// # Errors
/// If this node cannot keep or find what the machine orders; the stream is then cut, and nothing
/// that depended on it was sent.
pub async fn drive<C: Conversation>(
    machine: C,
    mut frames: Frames,
    keep: (&Journal, &Store),
    effects: &mut impl Effects<C>,
) -> Result<C::Outcome, Error> {
    let outcome = part(machine, &mut frames, keep, effects).await?;
    // The other side may be gone already; nothing depends on this.
    let _ = frames.finish().await;
    Ok(outcome)
}

/// Runs `machine` over `frames` to its end; another conversation may follow on the same stream.
///
/// # Errors
/// As [`drive`].
pub async fn part<C: Conversation, E: Effects<C>>(
    mut machine: C,
    frames: &mut Frames,
    (journal, store): (&Journal, &Store),
    effects: &mut E,
) -> Result<C::Outcome, Error> {
    let mut inputs = VecDeque::from([Input::Opened]);
    let mut lost = false;
    let mut recorded = None;
    let mut saved = false;
    let mut fed = false;
    loop {
        if inputs.is_empty() && std::mem::take(&mut fed) {
            lost = lost || frames.flush().await.is_err();
        }
        let input = match inputs.pop_front() {
            _ if lost => Input::Lost,
            Some(input) => input,
            None => next(&machine, frames).await,
        };
        let ending = matches!(input, Input::Lost);
        // The thread's random source must not be held while the task may change threads.
        let outputs = machine.handle(input, now(), &mut rand::rng());
        for output in outputs {
            match output {
                Output::Record(act) => recorded = Some(journal.append(act, now())?),
                Output::Save(save) => {
                    saved |= E::is_lasting(&save);
                    effects.save(save).await?;
                }
                Output::Load(load) => {
                    if fed && !E::is_at_hand(&load) {
                        fed = false;
                        lost = lost || frames.flush().await.is_err();
                    }
                    inputs.push_back(Input::Loaded(effects.load(load).await?));
                }
                Output::Send(frame) => {
                    persist(journal, store, &mut recorded, &mut saved).await?;
                    // A line that cannot be written is lost; the machine hears it next.
                    lost = lost || frames.feed(&frame).await.is_err();
                    fed = true;
                }
                Output::Close(outcome) => {
                    persist(journal, store, &mut recorded, &mut saved).await?;
                    if fed && !lost {
                        // Nothing depends on it any more.
                        let _ = frames.flush().await;
                    }
                    return Ok(outcome);
                }
            }
        }
        if ending {
            return Err(Error::Broken(
                "a conversation went on after its line was lost",
            ));
        }
    }
}

/// Does what must be done before a machine can run, and lets the other side know that it is not
/// forgotten: `sign` says so.
pub async fn meanwhile<T>(frames: &mut Frames, sign: &[u8], work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {
                // A line that is lost shows when the machine runs.
                let _ = frames.send(sign).await;
            }
        }
    }
}

/// Tells the other side why there will be no conversation, and that this was all.
pub async fn last_word(frames: &mut Frames, why: &[u8]) {
    // It may be gone already.
    if frames.send(why).await.is_ok() {
        let _ = frames.finish().await;
    }
}

/// Makes durable, at the same time, what was appended to the journal and written to the store.
async fn persist(
    journal: &Journal,
    store: &Store,
    recorded: &mut Option<journal::Receipt>,
    saved: &mut bool,
) -> Result<(), Error> {
    let journalled = async {
        match recorded.take() {
            Some(receipt) => journal.durable(receipt).await.map_err(Error::from),
            None => Ok(()),
        }
    };
    let stored = async {
        match std::mem::take(saved) {
            true => store.commit().await.map_err(Error::from),
            false => Ok(()),
        }
    };
    tokio::try_join!(journalled, stored).map(|_| ())
}

/// The next fact from outside: a frame, the end of the line, or the deadline.
async fn next<C: Conversation>(machine: &C, frames: &mut Frames) -> Input<C::Fact> {
    tokio::select! {
        frame = frames.recv(MAX_BULK_FRAME) => arrived(frame),
        () = deadline(machine) => Input::DeadlinePassed,
    }
}

/// Returns when the machine's deadline has come.
async fn deadline<C: Conversation>(machine: &C) {
    match machine.deadline() {
        Some(deadline) => tokio::time::sleep(deadline.since(now())).await,
        None => std::future::pending().await,
    }
}

/// What a frame, or its failing to come, is to a machine.
fn arrived<Fact>(frame: Result<Option<Vec<u8>>, FrameError>) -> Input<Fact> {
    match frame {
        Ok(Some(frame)) => Input::Received(frame),
        Ok(None) | Err(_) => Input::Lost,
    }
}
