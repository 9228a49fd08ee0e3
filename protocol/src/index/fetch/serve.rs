//! The other end of a fetch: serving our advert to a member.

use std::ops::Range;

use super::{Frame, WINDOW};
use crate::codec::{self, Bytes};
use crate::conversation::{Conversation, Input, Output};
use crate::ids::Hash;
use crate::index::advert::Header;
use crate::limits::{MAX_FRAME, SILENCE};
use crate::statement::Signed;
use crate::time::Timestamp;

/// What the server needs: the entries of this chunk of the advert it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadChunk(pub u32);

/// How serving ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client closed the stream after this many chunks.
    Served(u32),
    /// The client fell silent.
    Silent,
    /// The client said something that has no place here.
    Malformed,
    /// The advert is no longer there.
    Gone,
}

/// The server's side.
pub struct Serve {
    advert: Option<(Signed<Header>, Vec<Hash>)>,
    wanted: Range<u32>,
    sent: u32,
    heard: Timestamp,
    over: bool,
}

impl Serve {
    /// Serves the advert with this header and these chunk hashes, or says that there is none yet.
    pub const fn new(advert: Option<(Signed<Header>, Vec<Hash>)>) -> Self {
        Self {
            advert,
            wanted: 0..0,
            sent: 0,
            heard: Timestamp(0),
            over: false,
        }
    }

    fn received(&mut self, frame: &[u8]) -> Result<Option<Output<Self>>, Outcome> {
        let frame = codec::decode(frame, MAX_FRAME).map_err(|_| Outcome::Malformed)?;
        match (frame, &self.advert) {
            (Frame::AskHeader, None) => Ok(Some(send(&Frame::NoAdvert))),
            (Frame::AskHeader, Some((header, chunks))) => Ok(Some(send(&Frame::Header {
                header: header.clone(),
                chunks: chunks.clone(),
            }))),
            (Frame::AskChunks { from, count }, Some((_, chunks))) => {
                let to = from.checked_add(count).ok_or(Outcome::Malformed)?;
                let fits = (1..=WINDOW).contains(&count) && to as usize <= chunks.len();
                if !fits || !self.wanted.is_empty() {
                    return Err(Outcome::Malformed);
                }
                self.wanted = from..to;
                Ok(self.next())
            }
            _ => Err(Outcome::Malformed),
        }
    }

    fn next(&self) -> Option<Output<Self>> {
        let number = self.wanted.start;
        (!self.wanted.is_empty()).then_some(Output::Load(LoadChunk(number)))
    }
}

fn send(frame: &Frame) -> Output<Serve> {
    Output::Send(codec::encode(frame))
}

impl Conversation for Serve {
    type Save = ();
    type Load = LoadChunk;
    type Fact = Option<Bytes>;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Self::Fact>,
        now: Timestamp,
        _rng: &mut dyn rand_core::CryptoRng,
    ) -> Vec<Output<Self>> {
        if self.over {
            return Vec::new();
        }
        self.heard = now;
        let mut out = Vec::new();
        let step = match input {
            Input::Opened => Ok(None),
            Input::Received(frame) => self.received(&frame),
            Input::Loaded(Some(entries)) if !self.wanted.is_empty() => {
                let number = self.wanted.start;
                out.push(send(&Frame::Chunk { number, entries }));
                self.wanted.start += 1;
                self.sent += 1;
                Ok(self.next())
            }
            Input::Loaded(_) => Err(Outcome::Gone),
            Input::DeadlinePassed => Err(Outcome::Silent),
            Input::Lost => Err(Outcome::Served(self.sent)),
        };
        match step {
            Ok(output) => out.extend(output),
            Err(outcome) => {
                self.over = true;
                out.push(Output::Close(outcome));
            }
        }
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        (!self.over && self.wanted.is_empty()).then(|| self.heard + SILENCE)
    }
}
