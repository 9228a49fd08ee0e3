//! Lists cut into frames.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Bytes};
use crate::limits::MAX_FRAME;
use crate::roster::statements::{self, MAX_ENCODED, Statement};
use crate::wire;

/// A list cut into frames; the last says so.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part<T> {
    pub(super) items: Vec<T>,
    pub(super) last: bool,
}

/// The most bytes of statements in one frame, and of one statement that is not cut.
const BATCH: usize = MAX_FRAME - 8 * 1024;

/// Statements in as many frames as they need, in their order: batches of the kind `batch`, and one
/// that is larger than a frame (a charter of many members) in pieces of the kind `piece`.
pub(crate) fn frames(statements: Vec<Statement>, batch: u8, piece: u8) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut waiting: Vec<Statement> = Vec::new();
    let mut room = BATCH;
    for statement in statements {
        let bytes = codec::encode(&statement);
        if bytes.len() > room && !waiting.is_empty() {
            frames.push(wire::frame(batch, &std::mem::take(&mut waiting)));
            room = BATCH;
        }
        if bytes.len() > BATCH {
            let mut chunks = bytes.chunks(BATCH).peekable();
            while let Some(chunk) = chunks.next() {
                let bytes = chunk.to_vec().into();
                let last = chunks.peek().is_none();
                frames.push(wire::frame(piece, &Piece { bytes, last }));
            }
        } else {
            room -= bytes.len();
            waiting.push(statement);
        }
    }
    if !waiting.is_empty() {
        frames.push(wire::frame(batch, &waiting));
    }
    frames
}

/// A piece of a statement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    bytes: Bytes,
    last: bool,
}

/// What was heard so far of a statement in pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Vec<u8>);

impl Pieces {
    /// Takes the next piece; with the last, the statement.
    ///
    /// # Errors
    /// If it is longer than a statement may be, or none.
    pub(crate) fn add(&mut self, piece: Piece) -> Result<Option<Statement>, codec::Error> {
        self.0.extend(piece.bytes.0);
        if !piece.last && self.0.len() <= MAX_ENCODED {
            return Ok(None);
        }
        statements::decode(&std::mem::take(&mut self.0)).map(Some)
    }
}

/// A list in as many frames of this kind as it needs.
pub(super) fn parts<T: Serialize>(kind: u8, items: Vec<T>, per_frame: usize) -> Vec<Vec<u8>> {
    let mut items = items.into_iter().peekable();
    let mut frames = Vec::new();
    loop {
        let part = Part {
            items: items.by_ref().take(per_frame).collect(),
            last: items.peek().is_none(),
        };
        frames.push(wire::frame(kind, &part));
        if part.last {
            return frames;
        }
    }
}
