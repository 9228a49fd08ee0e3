//! Runs one machine over one stream on which both sides speak at the same time, and which orders
//! several things at once.
//!
//! Everything that has come is handed to the machine before anything it orders is made durable, so
//! that many facts share one fsync; then what it orders to be sent leaves. A task of its own writes,
//! so that neither side waits for the other to read. What makes bytes to be sent waits until there is
//! room for them.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairshare_protocol::conversation::{Conversation, Input, Output};
use fairshare_protocol::limits::MAX_BULK_FRAME;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::{Error, arrived, deadline, now, persist};
use crate::journal::Journal;
use crate::network::{FrameReceiver, FrameSender, Frames};
use crate::store::Store;

/// The most facts handed over before what came of them is made durable, and the most frames written
/// before they are flushed.
const AT_ONCE: usize = 64;
/// Bytes that may wait to be written before no more are made.
const ROOM: usize = 1024 * 1024;

/// What such a conversation needs of its node beyond journal and stream.
pub trait Parallel<C: Conversation>: Send + Sync + 'static {
    /// Keeps what the machine orders, in order. Durable, if it [must be](Self::is_lasting), when
    /// the driver commits.
    ///
    /// # Errors
    /// If this node cannot.
    fn save(&self, save: C::Save) -> Result<(), Error>;

    /// Whether what is kept must be durable before anything else is said.
    fn is_lasting(save: &C::Save) -> bool;

    /// Whether what is ordered makes bytes to be sent.
    fn is_bulk(load: &C::Load) -> bool;

    /// Returns when it is this conversation's turn: what matters more goes first.
    fn turn(&self) -> impl Future<Output = ()> + Send;

    /// Finds or works out what the machine asks; several at the same time.
    fn load(
        self: Arc<Self>,
        load: C::Load,
    ) -> impl Future<Output = Result<C::Fact, Error>> + Send + 'static;
}

/// Runs `machine` over `frames` to its end, and says that no more follows.
///
/// # Errors
/// If this node cannot keep or find what the machine orders; the stream is then cut, and nothing
/// that depended on it was sent.
pub async fn duplex<C: Conversation, E: Parallel<C>>(
    mut machine: C,
    frames: Frames,
    (journal, store): (&Journal, &Store),
    effects: &Arc<E>,
) -> Result<C::Outcome, Error> {
    let (out, mut back) = frames.split();
    let writer = Writer::start(out);
    let mut loads: Loads<C> = FuturesUnordered::new();
    let mut inputs = VecDeque::from([Input::Opened]);
    let (mut recorded, mut saved) = (None, false);
    let mut lost = false;
    loop {
        if inputs.is_empty() {
            let next = next::<C>(&machine, (!lost).then_some(&mut back), &mut loads, &writer);
            inputs.push_back(next.await?);
        }
        effects.turn().await;
        while inputs.len() < AT_ONCE
            && let Some(input) = at_hand::<C>((!lost).then_some(&mut back), &mut loads)?
        {
            inputs.push_back(input);
        }
        let mut sent = Vec::new();
        let mut outcome = None;
        for input in inputs.drain(..) {
            lost |= matches!(input, Input::Lost);
            for output in machine.handle(input, now(), &mut rand::rng()) {
                match output {
                    Output::Record(act) => recorded = Some(journal.append(act, now())?),
                    Output::Save(save) => {
                        saved |= E::is_lasting(&save);
                        effects.save(save)?;
                    }
                    Output::Send(frame) => sent.push(frame),
                    Output::Load(load) => {
                        let room = E::is_bulk(&load).then(|| Arc::clone(&writer.waiting));
                        let effects = Arc::clone(effects);
                        let load = async move {
                            if let Some(waiting) = room {
                                waiting.room().await;
                            }
                            effects.load(load).await
                        };
                        loads.push(load.boxed());
                    }
                    Output::Close(ended) => outcome = Some(ended),
                }
            }
        }
        if !sent.is_empty() || outcome.is_some() {
            persist(journal, store, &mut recorded, &mut saved).await?;
        }
        for frame in sent {
            writer.send(frame);
        }
        if let Some(outcome) = outcome {
            // The other side may be gone already; nothing depends on this.
            writer.finish().await;
            return Ok(outcome);
        }
    }
}

/// What is being found or worked out.
type Loads<C> = FuturesUnordered<BoxFuture<'static, Result<<C as Conversation>::Fact, Error>>>;

/// The next fact: a frame or the end of the line if there still is one, something that was ordered,
/// or the deadline.
async fn next<C: Conversation>(
    machine: &C,
    line: Option<&mut FrameReceiver>,
    loads: &mut Loads<C>,
    writer: &Writer,
) -> Result<Input<C::Fact>, Error> {
    let Some(back) = line else {
        let fact = loads.next().await;
        return fact.map_or(Err(WAITS_FOR_NOTHING), |fact| fact.map(Input::Loaded));
    };
    tokio::select! {
        Some(fact) = loads.next() => fact.map(Input::Loaded),
        frame = back.recv(MAX_BULK_FRAME) => Ok(arrived(frame)),
        () = writer.waiting.broken.notified() => Ok(Input::Lost),
        () = deadline(machine) => Ok(Input::DeadlinePassed),
    }
}

const WAITS_FOR_NOTHING: Error =
    Error::Broken("a conversation without its line waits for nothing that was ordered");

/// A fact that is there already.
fn at_hand<C: Conversation>(
    line: Option<&mut FrameReceiver>,
    loads: &mut Loads<C>,
) -> Result<Option<Input<C::Fact>>, Error> {
    if let Some(Some(fact)) = loads.next().now_or_never() {
        return fact.map(|fact| Some(Input::Loaded(fact)));
    }
    let frame = line.and_then(|back| back.recv(MAX_BULK_FRAME).now_or_never());
    Ok(frame.map(arrived))
}

/// Writes frames in the order they are given.
struct Writer {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<Waiting>,
    task: JoinHandle<()>,
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    less: Notify,
    broken: Notify,
}

impl Waiting {
    /// Returns when there is room for more.
    async fn room(&self) {
        loop {
            let less = self.less.notified();
            if self.bytes.load(Ordering::Relaxed) < ROOM {
                return;
            }
            less.await;
        }
    }
}

impl Writer {
    fn start(mut out: FrameSender) -> Self {
        // Bounded by what the machine may say: bulk waits for room, all else is in step.
        let (frames, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
        let waiting = Arc::new(Waiting::default());
        let told = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let mut frames = Vec::new();
            while queue.recv_many(&mut frames, AT_ONCE).await > 0 {
                for frame in frames.drain(..) {
                    if out.feed(&frame).await.is_err() {
                        told.broken.notify_one();
                        return;
                    }
                    told.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
                    told.less.notify_waiters();
                }
                if out.flush().await.is_err() {
                    told.broken.notify_one();
                    return;
                }
            }
            // The other side may be gone already; nothing depends on this.
            let _ = out.finish().await;
        });
        Self {
            frames,
            waiting,
            task,
        }
    }

    fn send(&self, frame: Vec<u8>) {
        self.waiting.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        // Whoever writes may have given up: the line is lost, which the machine hears next.
        let _ = self.frames.send(frame);
    }

    async fn finish(self) {
        drop(self.frames);
        let _ = self.task.await;
    }
}
