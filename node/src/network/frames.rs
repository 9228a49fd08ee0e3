//! Frames over one stream: four bytes of length, big-endian, then that many bytes.
//!
//! Every wait is bounded. Between frames the other side may be silent for
//! [`Timing::silence`]; inside a frame it must move [`FLOOR_BYTES`] in every
//! [`Timing::floor_span`], whether it is reading or writing. Nothing is allocated for a frame
//! beyond what of it has arrived by more than [`MAX_BULK_FRAME`].

use std::io;
use std::mem;
use std::time::Duration;

use fairshare_protocol::limits::{FLOOR_BYTES, MAX_BULK_FRAME};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::Timing;

/// What the frames travel over.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Bytes for T {}

/// Two-way frames over one stream. Dropping them without [`Frames::finish`] cuts the stream.
pub struct Frames {
    out: FrameSender,
    back: FrameReceiver,
}

impl Frames {
    /// Frames over `bytes`. `slot` is what the stream occupies: given back when both halves are gone.
    pub(super) fn new(
        bytes: impl Bytes,
        slot: Option<OwnedSemaphorePermit>,
        timing: &Timing,
    ) -> Self {
        let boxed: Box<dyn Bytes> = Box::new(bytes);
        let (read, write) = boxed.split();
        let slot = std::sync::Arc::new(slot);
        Self {
            out: FrameSender {
                write,
                gathered: Vec::new(),
                broken: false,
                floor_span: timing.floor_span,
                _slot: std::sync::Arc::clone(&slot),
            },
            back: FrameReceiver {
                read,
                head: [0; 4],
                head_filled: 0,
                body: Vec::new(),
                body_filled: 0,
                piece_deadline: None,
                broken: false,
                silence: timing.silence,
                floor_span: timing.floor_span,
                _slot: slot,
            },
        }
    }

    /// Sends one frame. Whoever drops the future half-way has broken the stream.
    ///
    /// # Errors
    /// If the stream is lost or the other side does not read.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        self.out.send(frame).await
    }

    /// Sends one frame that may wait for those that follow, until [`Self::flush`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn feed(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        self.out.feed(frame).await
    }

    /// Lets everything leave that was [fed](Self::feed).
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        self.out.flush().await
    }

    /// Waits for one frame of at most `limit` bytes; `None` when the other side has finished. The
    /// future may be dropped and asked for again: nothing that arrived is lost.
    ///
    /// # Errors
    /// If the stream is lost, cut short, silent, too slow, or the frame is over the limit.
    pub async fn recv(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        self.back.recv(limit).await
    }

    /// Says that no more frames follow; what was sent still arrives.
    ///
    /// # Errors
    /// If the stream is lost or the other side does not read.
    pub async fn finish(&mut self) -> Result<(), FrameError> {
        self.out.finish().await
    }

    /// Both halves, to send and to receive at the same time.
    pub fn split(self) -> (FrameSender, FrameReceiver) {
        (self.out, self.back)
    }
}

/// The sending half of [`Frames`].
pub struct FrameSender {
    write: futures::io::WriteHalf<Box<dyn Bytes>>,
    /// Small frames that leave together.
    gathered: Vec<u8>,
    /// A frame went out in part, or not at all.
    broken: bool,
    floor_span: Duration,
    _slot: std::sync::Arc<Option<OwnedSemaphorePermit>>,
}

/// What of small frames is gathered: one muxer frame.
const GATHERED: usize = 16 * 1024;

impl FrameSender {
    /// Sends one frame. Whoever drops the future half-way has broken the stream.
    ///
    /// # Errors
    /// If the frame is over 4 GiB, the stream is lost, or the other side does not read.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Sends one frame that may wait for those that follow, until [`Self::flush`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn feed(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let length = u32::try_from(frame.len()).map_err(|_| FrameError::TooLong {
            length: frame.len(),
            limit: u32::MAX as usize,
        })?;
        if mem::replace(&mut self.broken, true) {
            return Err(FrameError::Lost);
        }
        self.gathered.extend_from_slice(&length.to_be_bytes());
        if self.gathered.len() + frame.len() > GATHERED {
            self.write_gathered().await?;
        }
        // What fills muxer frames goes into them from where it is: the muxer's own copy of it is four
        // times as fast where both begin alike.
        let (whole, rest) = frame.split_at(frame.len() / GATHERED * GATHERED);
        for piece in whole.chunks(FLOOR_BYTES) {
            paced(self.floor_span, self.write.write_all(piece)).await?;
        }
        self.gathered.extend_from_slice(rest);
        self.broken = false;
        Ok(())
    }

    /// Lets everything leave that was [fed](Self::feed).
    ///
    /// # Errors
    /// If the stream is lost or the other side does not read.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        if mem::replace(&mut self.broken, true) {
            return Err(FrameError::Lost);
        }
        self.write_gathered().await?;
        paced(self.floor_span, self.write.flush()).await?;
        self.broken = false;
        Ok(())
    }

    async fn write_gathered(&mut self) -> Result<(), FrameError> {
        paced(self.floor_span, self.write.write_all(&self.gathered)).await?;
        self.gathered.clear();
        Ok(())
    }

    /// Says that no more frames follow; what was sent still arrives.
    ///
    /// # Errors
    /// If the stream is lost or the other side does not read.
    pub async fn finish(&mut self) -> Result<(), FrameError> {
        if mem::replace(&mut self.broken, true) {
            return Err(FrameError::Lost);
        }
        paced(self.floor_span, self.write.close()).await
    }
}

async fn paced(
    span: Duration,
    work: impl Future<Output = io::Result<()>>,
) -> Result<(), FrameError> {
    match timeout(span, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(FrameError::Lost),
        Err(_) => Err(FrameError::TooSlow(span)),
    }
}

/// The receiving half of [`Frames`].
pub struct FrameReceiver {
    read: futures::io::ReadHalf<Box<dyn Bytes>>,
    head: [u8; 4],
    head_filled: usize,
    body: Vec<u8>,
    body_filled: usize,
    piece_deadline: Option<Instant>,
    broken: bool,
    silence: Duration,
    floor_span: Duration,
    _slot: std::sync::Arc<Option<OwnedSemaphorePermit>>,
}

impl FrameReceiver {
    /// Waits for one frame of at most `limit` bytes; `None` when the other side has finished. The
    /// future may be dropped and asked for again: nothing that arrived is lost.
    ///
    /// # Errors
    /// If the stream is lost, cut short, silent, too slow, or the frame is over the limit. After
    /// an error the stream is of no more use.
    pub async fn recv(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        if self.broken {
            return Err(FrameError::Lost);
        }
        let result = self.next(limit).await;
        self.broken = result.is_err();
        result
    }

    async fn next(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        while self.head_filled < 4 {
            let read = self.read.read(&mut self.head[self.head_filled..]);
            let read = timeout(self.silence, read).await;
            match read.map_err(|_| FrameError::Silent(self.silence))? {
                Ok(0) if self.head_filled == 0 => return Ok(None),
                Ok(0) => return Err(FrameError::Cut),
                Ok(count) => self.head_filled += count,
                Err(_) => return Err(FrameError::Lost),
            }
        }
        let length = u32::from_be_bytes(self.head) as usize;
        if length > limit {
            return Err(FrameError::TooLong { length, limit });
        }
        while self.body_filled < length {
            if self.body_filled == self.body.len() {
                let left = length - self.body_filled;
                if self.body.capacity() == self.body_filled {
                    self.body.reserve_exact(left.min(MAX_BULK_FRAME));
                }
                self.body
                    .resize(self.body_filled + left.min(FLOOR_BYTES), 0);
                self.piece_deadline = None;
            }
            let deadline = *self
                .piece_deadline
                .get_or_insert_with(|| Instant::now() + self.floor_span);
            let read = self.read.read(&mut self.body[self.body_filled..]);
            let read = timeout_at(deadline, read).await;
            match read.map_err(|_| FrameError::TooSlow(self.floor_span))? {
                Ok(0) => return Err(FrameError::Cut),
                Ok(count) => self.body_filled += count,
                Err(_) => return Err(FrameError::Lost),
            }
        }
        self.head_filled = 0;
        self.body_filled = 0;
        self.piece_deadline = None;
        Ok(Some(mem::take(&mut self.body)))
    }
}

/// How a stream ended that was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame claimed more than it may have. Nothing of it was read.
    #[error("a frame of {length} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes claimed.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Nothing came for too long.
    #[error("the other node said nothing for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// Bytes move, or are taken, slower than the floor.
    #[error("the other node moved less than {FLOOR_BYTES} bytes in {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The stream ended inside a frame.
    #[error("the other node stopped inside a message")]
    Cut,
    /// The connection is gone, or the stream was dropped by the other side.
    #[error("the connection to the other node was lost")]
    Lost,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Frames")
    }
}
