//! A blob written behind: sealed and written by a thread of its own, while what follows arrives.

use std::io;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Key, Writer};

/// So many pieces are written at once by whoever brings them: not worth a thread.
const FEW: usize = 8;
/// Pieces that may wait for the thread.
const WAITING: usize = 16;

/// Writes one blob. Dropped before [`Behind::finish`], it leaves nothing.
pub struct Behind(State);

enum State {
    Here(Box<Writer>, usize),
    There(mpsc::Sender<Vec<u8>>, JoinHandle<io::Result<Box<Writer>>>),
    Failed,
}

impl Behind {
    /// Goes on with a blob of which nothing is written yet.
    pub fn new(writer: Writer) -> Self {
        Self(State::Here(Box::new(writer), 0))
    }

    /// Writes the next piece, or has it written.
    ///
    /// # Errors
    /// If an earlier piece, or this one, could not be written.
    pub async fn write(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, State::Failed) {
            State::Here(mut writer, written) if written < FEW => {
                writer.push(piece)?;
                self.0 = State::Here(writer, written + 1);
                return Ok(());
            }
            State::Here(writer, _) => {
                let (send, receive) = mpsc::channel(WAITING);
                State::There(send, spawn_blocking(|| follow(writer, receive)))
            }
            other => other,
        };
        match &self.0 {
            State::There(send, _) if send.send(piece).await.is_ok() => Ok(()),
            _ => Err(self.failure().await),
        }
    }

    /// Why nothing more is taken.
    async fn failure(&mut self) -> io::Error {
        match std::mem::replace(&mut self.0, State::Failed) {
            State::There(_, writing) => match writing.await {
                Ok(Err(error)) => error,
                _ => gone(),
            },
            _ => gone(),
        }
    }

    /// Makes the blob durable and tells how to find it again.
    ///
    /// # Errors
    /// If the disk fails; then there is no blob.
    pub async fn finish(mut self) -> io::Result<Key> {
        let writer = match std::mem::replace(&mut self.0, State::Failed) {
            State::Here(writer, _) => writer,
            State::There(send, writing) => {
                drop(send);
                writing.await.map_err(io::Error::other)??
            }
            State::Failed => return Err(gone()),
        };
        spawn_blocking(|| writer.finish())
            .await
            .map_err(io::Error::other)?
    }
}

fn follow(mut writer: Box<Writer>, mut pieces: mpsc::Receiver<Vec<u8>>) -> io::Result<Box<Writer>> {
    while let Some(piece) = pieces.blocking_recv() {
        writer.push(piece)?;
    }
    Ok(writer)
}

fn gone() -> io::Error {
    io::Error::other("a blob is not written any more")
}
