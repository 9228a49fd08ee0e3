//! A bundle read ahead of its being sent: some chunks at once, while those before are on their way.

use std::collections::VecDeque;
use std::io;

use fairshare_protocol::codec::Roomy;
use fairshare_protocol::limits::BUNDLE_CHUNK;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Bundle;
use crate::engine::drive::Error;

/// Chunks read at once. Twice as many are held at most.
const AT_ONCE: usize = 8;

/// A bundle on its way.
pub struct Ahead {
    ready: VecDeque<Roomy>,
    reading: Option<JoinHandle<io::Result<Part>>>,
}

/// What was read, and the rest of the bundle if there is more.
type Part = (VecDeque<Roomy>, Option<Bundle>);

impl Ahead {
    /// Nothing is read yet.
    pub fn new(bundle: Bundle) -> Self {
        Self {
            ready: VecDeque::new(),
            reading: Some(spawn_blocking(|| read(bundle))),
        }
    }

    /// The next plaintext: a whole chunk, less at the end, nothing after it.
    ///
    /// # Errors
    /// If a body cannot be read.
    pub async fn chunk(&mut self) -> Result<Roomy, Error> {
        if self.ready.is_empty()
            && let Some(reading) = self.reading.take()
        {
            let (read_now, rest) = reading.await??;
            self.ready = read_now;
            self.reading = rest.map(|bundle| spawn_blocking(|| read(bundle)));
        }
        let none = || Roomy::zeros(0, 0);
        Ok(self.ready.pop_front().unwrap_or_else(none))
    }
}

fn read(mut bundle: Bundle) -> io::Result<Part> {
    let mut chunks = VecDeque::with_capacity(AT_ONCE);
    while chunks.len() < AT_ONCE {
        let chunk = bundle.chunk()?;
        let more = chunk.len() == BUNDLE_CHUNK;
        chunks.push_back(chunk);
        if !more {
            return Ok((chunks, None));
        }
    }
    Ok((chunks, Some(bundle)))
}
