//! Lists cut into frames.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::roster::Statement;
use crate::roster::statements::MAX_ENCODED;
use crate::wire;

/// A list cut into frames; the last says so.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part<T> {
    pub(super) items: Vec<T>,
    pub(super) last: bool,
}

/// Statements in as many batches as their frames need.
pub(crate) fn batches(statements: Vec<Statement>) -> Vec<Vec<Statement>> {
    let mut batches: Vec<Vec<Statement>> = Vec::new();
    let mut room = 0;
    for statement in statements {
        let size = codec::encode(&statement).len();
        if size > room || batches.is_empty() {
            batches.push(Vec::new());
            room = MAX_ENCODED.max(size);
        }
        room -= size;
        if let Some(batch) = batches.last_mut() {
            batch.push(statement);
        }
    }
    batches
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
