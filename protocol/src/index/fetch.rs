//! Fetching a member's advert over the stream [`ADVERT`](crate::wire::ADVERT).
//!
//! The client asks for the header, then for chunks a few at a time, from the first it does not
//! hold: a fetch that was cut goes on where it stopped, if the header is still the same. Every
//! chunk is checked against its hash when it arrives and saved at once; when all are there the
//! whole is checked for repeats, and for what is missing of an earlier generation. Nothing secret travels: an advert is the same for every member.
//!
//! | client | server |
//! |---|---|
//! | `AskHeader` | `Header`, or `NoAdvert`; `Working` as long as it is being made |
//! | `AskChunks {from, count}` | that many `Chunk`s |
//! | closes the stream | |

use serde::{Deserialize, Serialize};

use super::advert::{Expected, Header, Void, chunk_hash, root};
use super::evidence::{Evidence, Two};
use crate::codec::{self, Bytes};
use crate::conversation::{Conversation, Input, Output};
use crate::ids::{Hash, OdsCode};
use crate::journal::Act;
use crate::limits::{MATCH_PATIENCE, MAX_BULK_FRAME, SILENCE};
use crate::statement::Signed;
use crate::time::Timestamp;

pub mod serve;

/// Chunks asked for at a time: what may be under way, at 128 KiB each.
const WINDOW: u32 = 8;

/// What is said in this stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Client: which advert do you have?
    AskHeader,
    /// Server: this one. The hashes are those the header's root covers.
    Header {
        /// The newest header.
        header: Signed<Header>,
        /// The hash of every chunk.
        chunks: Vec<Hash>,
    },
    /// Server: none yet.
    NoAdvert,
    /// Client: these chunks, please.
    AskChunks {
        /// The first.
        from: u32,
        /// How many.
        count: u32,
    },
    /// Server: a chunk.
    Chunk {
        /// Its number.
        number: u32,
        /// Its entries, 32 bytes each.
        entries: Bytes,
    },
    /// Server: making the advert; please wait.
    Working,
}

/// The frame by which a server that is making its advert asks for patience: every
/// [`SIGN_OF_LIFE`](crate::limits::SIGN_OF_LIFE).
pub fn working() -> Vec<u8> {
    codec::encode(&Frame::Working)
}

/// What we hold of a member's advert before we ask.
#[derive(Debug, Clone)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// The first chunks of the advert with this header.
    Part(Box<Signed<Header>>, u32),
    /// All of it, checked.
    Whole(Box<Signed<Header>>),
}

/// What the client wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// A new header: what was held of another advert of this member may go, except the last whole
    /// one of this epoch, until this one is checked.
    Begin(Box<Signed<Header>>, Vec<Hash>),
    /// The entries of a chunk, 32 bytes each, after those of the chunks before it.
    Chunk(u32, Bytes),
}

/// What the client wants worked out once it has saved every chunk:
/// [`check_distinct`](super::advert::check_distinct) over all its entries, and
/// [`check_kept`](super::advert::check_kept) of those of an earlier generation, its batches included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckWhole;

/// How a fetch ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is here and checked.
    Fetched(Box<Header>),
    /// We hold the newest already.
    AlreadyHeld,
    /// The member has none yet.
    NoAdvert,
    /// It is not to be used.
    Failed(Failure),
}

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The line was lost; what arrived is kept.
    #[error("the line was lost; the fetch goes on where it stopped")]
    Lost,
    /// The other side was silent too long.
    #[error("the other side fell silent; the fetch goes on where it stopped")]
    Silent,
    /// What came is no message of this stream, or not the one whose turn it is.
    #[error("the other side does not speak this version of the advert stream")]
    Malformed,
    /// The advert is void.
    #[error(transparent)]
    Void(#[from] Void),
    /// A chunk is not the one its hash names.
    #[error("chunk {0} is not the one the header names")]
    Chunk(u32),
    /// An earlier generation than we have seen.
    #[error("the member offers an older advert than it published before; was it restored?")]
    Older,
    /// Two headers for one generation.
    #[error("the member signed two headers for one generation; show the evidence to the stewards")]
    TwoHeaders(Box<Evidence>),
    /// The node told something that was not asked.
    #[error("an internal answer did not fit; this is a fault in this program")]
    Internal,
}

impl Failure {
    /// In a word, for the journal and operators.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Malformed => "malformed",
            Self::Void(void) => void.code(),
            Self::Chunk(_) => "advert-chunk",
            Self::Older => "advert-older",
            Self::TwoHeaders(_) => "two-headers",
            Self::Internal => "internal",
        }
    }

    /// Whether the same fetch may well succeed later.
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Silent | Self::Void(Void::Epoch { .. })
        )
    }
}

/// The client's side.
pub struct Fetch {
    expected: Expected,
    peer: OdsCode,
    held: Held,
    state: State,
    heard: Timestamp,
    /// When it last got on.
    moved: Timestamp,
}

enum State {
    Idle,
    Header,
    Chunks(Chunks),
    Checking(Box<Header>),
    Over,
}

struct Chunks {
    header: Header,
    hashes: Vec<Hash>,
    next: u32,
    asked: u32,
}

type Step = Result<State, Outcome>;

impl Fetch {
    /// A fetch of the advert that `expected` describes, by who holds `held` of it.
    pub fn new(expected: Expected, held: Held) -> Self {
        Self {
            peer: expected.member.clone(),
            expected,
            held,
            state: State::Idle,
            heard: Timestamp(0),
            moved: Timestamp(0),
        }
    }

    fn received(&self, state: State, frame: &[u8], out: &mut Vec<Output<Self>>) -> Step {
        let frame = codec::decode(frame, MAX_BULK_FRAME).map_err(|_| Failure::Malformed)?;
        match (state, frame) {
            (State::Header, Frame::Working) => Ok(State::Header),
            (State::Header, Frame::NoAdvert) => Err(Outcome::NoAdvert),
            (State::Header, Frame::Header { header, chunks }) => self.header(header, chunks, out),
            (State::Chunks(state), Frame::Chunk { number, entries }) => {
                Self::chunk(state, number, entries, out)
            }
            _ => Err(Failure::Malformed.into()),
        }
    }

    fn header(
        &self,
        signed: Signed<Header>,
        hashes: Vec<Hash>,
        out: &mut Vec<Output<Self>>,
    ) -> Step {
        let header = Header::check(&signed, &self.expected).map_err(Failure::Void)?;
        let (known, mut next) = match &self.held {
            Held::Nothing => (None, 0),
            Held::Part(known, chunks) => (Some(known), *chunks),
            Held::Whole(known) => (Some(known), header.chunks()),
        };
        if let Some(known) = known {
            // A header signed under an earlier node key no longer binds its member.
            match known.verify(&self.expected.signer) {
                Ok(old) if old == header => {}
                Ok(old) if old.names() == header.names() => {
                    let (one, other) = ((**known).clone(), signed);
                    let evidence = Evidence::Headers(Box::new(Two { one, other }));
                    return Err(Failure::TwoHeaders(Box::new(evidence)).into());
                }
                Ok(old) if old.epoch == header.epoch && old.generation > header.generation => {
                    return Err(Failure::Older.into());
                }
                _ => next = 0,
            }
        }
        if hashes.len() != header.chunks() as usize || root(&hashes) != header.root {
            return Err(Failure::Void(Void::Root).into());
        }
        if matches!(self.held, Held::Whole(_)) && next != 0 {
            return Err(Outcome::AlreadyHeld);
        }
        if next == 0 {
            out.push(Output::Save(Save::Begin(Box::new(signed), hashes.clone())));
        }
        let asked = next;
        Ok(Self::ask(
            Chunks {
                header,
                hashes,
                next,
                asked,
            },
            out,
        ))
    }

    fn chunk(mut state: Chunks, number: u32, entries: Bytes, out: &mut Vec<Output<Self>>) -> Step {
        if number != state.next || state.next >= state.asked {
            return Err(Failure::Malformed.into());
        }
        if entries.0.len() != state.header.chunk_len(number) * 32
            || state.hashes.get(number as usize) != Some(&chunk_hash(&entries.0))
        {
            return Err(Failure::Chunk(number).into());
        }
        out.push(Output::Save(Save::Chunk(number, entries)));
        state.next += 1;
        Ok(Self::ask(state, out))
    }

    /// Asks for what is missing, or has the whole checked when nothing is.
    fn ask(mut state: Chunks, out: &mut Vec<Output<Self>>) -> State {
        let all = state.header.chunks();
        if state.next == all {
            out.push(Output::Load(CheckWhole));
            return State::Checking(Box::new(state.header));
        }
        if state.next == state.asked {
            let from = state.next;
            let count = WINDOW.min(all - from);
            state.asked += count;
            let ask = Frame::AskChunks { from, count };
            out.push(Output::Send(codec::encode(&ask)));
        }
        State::Chunks(state)
    }
}

impl Conversation for Fetch {
    type Save = Save;
    type Load = CheckWhole;
    type Fact = Result<(), Void>;
    type Outcome = Outcome;

    fn handle(
        &mut self,
        input: Input<Self::Fact>,
        now: Timestamp,
        _rng: &mut dyn rand_core::CryptoRng,
    ) -> Vec<Output<Self>> {
        let mut out = Vec::new();
        let state = std::mem::replace(&mut self.state, State::Over);
        self.heard = now;
        if !matches!(&input, Input::Received(frame) if *frame == working()) {
            self.moved = now;
        }
        let step = match (state, input) {
            (State::Over, _) => return out,
            (State::Idle, Input::Opened) => {
                out.push(Output::Send(codec::encode(&Frame::AskHeader)));
                Ok(State::Header)
            }
            (state, Input::Received(frame)) => self.received(state, &frame, &mut out),
            (State::Checking(header), Input::Loaded(Ok(()))) => Err(Outcome::Fetched(header)),
            (State::Checking(_), Input::Loaded(Err(void))) => Err(Failure::Void(void).into()),
            // Everything is here: what is left needs no line.
            (State::Checking(header), Input::Lost | Input::DeadlinePassed) => {
                Ok(State::Checking(header))
            }
            (_, Input::Lost) => Err(Failure::Lost.into()),
            (_, Input::DeadlinePassed) => Err(Failure::Silent.into()),
            (_, Input::Opened | Input::Loaded(_)) => Err(Failure::Internal.into()),
        };
        match step {
            Ok(state) => self.state = state,
            Err(outcome) => {
                if let Outcome::Failed(failure) = &outcome
                    && !failure.passes()
                {
                    out.push(Output::Record(Act::Refused {
                        peer: Some(self.peer.clone()),
                        what: failure.code().to_owned(),
                    }));
                }
                out.push(Output::Close(outcome));
            }
        }
        out
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Header | State::Chunks(_) => {
                Some((self.heard + SILENCE).min(self.moved + MATCH_PATIENCE))
            }
            State::Idle | State::Checking(_) | State::Over => None,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests;
