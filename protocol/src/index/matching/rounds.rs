//! Step 4 of a match: showing tags in turn, and checking the peer's as they come.

use std::sync::Arc;

use super::job::Ground;
use super::links::{Pair, Tables};
use super::proving::Listing;
use super::reason::{Failed, Reason};
use super::said::TagCommitment;
use super::tags::{Span, Tag, from_bytes, spans, to_bytes};
use super::{Frame, Outcome, Outputs, Save, State, Step, send};
use crate::codec::Bytes;
use crate::conversation::Output;
use crate::ids::Hash;
use crate::index::advert::chunk_hash;
use crate::index::advert::own::Slot;
use crate::index::evidence::{Evidence, WrongCanary};
use crate::limits::MATCH_ROUNDS;
use crate::statement::Signed;

/// Everything worked out, our commitment sent.
pub(super) struct Ready {
    pub ground: Arc<Ground>,
    /// Our tags in the order they are shown in.
    pub ours: Vec<Tag>,
    /// The tags of people who are also ours, sorted; and what the peer showed so far.
    pub tables: Tables,
    /// The tag each of our canaries must come back as.
    pub canaries: Vec<Tag>,
}

/// Showing tags in turn.
pub(super) struct Rounds {
    ready: Ready,
    commitment: Signed<TagCommitment>,
    chunks: Vec<Hash>,
    /// The order the peer shows its tags in: positions in our advert.
    order: Vec<u32>,
    ours: Vec<Span>,
    theirs: Vec<Span>,
    /// Rounds and chunks we have shown.
    shown: (u32, usize),
    /// Rounds and chunks the peer has shown.
    seen: (u32, usize),
    candidates: Vec<Pair>,
}

impl Rounds {
    /// What the peer has of ours it need not be shown again, and what we hold of the peer's
    /// (`heard`, whole chunks) is looked through at once. `order` is the order the peer shows its
    /// tags in.
    pub(super) fn resume(
        ready: Ready,
        said: (Signed<TagCommitment>, Vec<Hash>),
        order: Vec<u32>,
        seen_by_peer: u32,
        heard: &[Tag],
    ) -> Result<Box<Self>, Outcome> {
        let ours = spans(ready.ground.peer.header().count);
        let theirs = spans(ready.ground.own.advert().header().count);
        let (commitment, chunks) = said;
        let mut rounds = Box::new(Self {
            // At most MAX_ADVERT tags, in fewer chunks.
            shown: shown(&ours, (seen_by_peer as usize).min(ours.len())),
            seen: (0, 0),
            ours,
            theirs,
            ready,
            commitment,
            chunks,
            order,
            candidates: Vec::new(),
        });
        while let Some(span) = rounds.theirs.get(rounds.seen.1).copied()
            && let Some(tags) = heard.get(span.from..span.to)
        {
            rounds.take(rounds.seen.1, span, tags)?;
        }
        Ok(rounds)
    }

    /// Whether we move first in this round; the match id draws who does in the first.
    fn we_lead(&self, round: u32) -> bool {
        let ground = &self.ready.ground;
        let drawn = u32::from(ground.match_id.as_bytes()[0] & 1);
        (round + drawn).is_multiple_of(2) == (ground.we() < ground.they())
    }

    /// Shows what may be shown: a round we lead when the peer has shown all before it, any other
    /// when the peer has shown its part of it. When both have shown all, candidates follow.
    pub(super) fn show(mut self: Box<Self>, out: &mut Outputs) -> State {
        while self.shown.0 < MATCH_ROUNDS {
            let round = self.shown.0;
            if self.seen.0 < round + u32::from(!self.we_lead(round)) {
                return State::Rounds(self);
            }
            while let Some(span) = self.ours.get(self.shown.1)
                && span.round == round
            {
                out.push(send(&Frame::Tags {
                    chunk: self.shown.1 as u32,
                    tags: Bytes(to_bytes(&self.ready.ours[span.from..span.to])),
                }));
                self.shown.1 += 1;
            }
            self.shown.0 += 1;
        }
        if self.seen.0 < MATCH_ROUNDS {
            return State::Rounds(self);
        }
        let Ready {
            ground, mut tables, ..
        } = self.ready;
        tables.heard.sort_unstable();
        Listing::begin(ground, tables, self.candidates, out)
    }

    /// Takes one chunk of the peer's tags.
    pub(super) fn tags(mut self: Box<Self>, chunk: u32, bytes: &Bytes, out: &mut Outputs) -> Step {
        let at = self.seen.1;
        let Some(span) = self.theirs.get(at).copied() else {
            return Err(Reason::OutOfTurn.into());
        };
        if chunk as usize != at {
            return Err(Reason::OutOfTurn.into());
        }
        let tags = from_bytes(&bytes.0).filter(|tags| tags.len() == span.to - span.from);
        let (Some(tags), true) = (tags, self.chunks[at] == chunk_hash(&bytes.0)) else {
            return Err(Reason::Tags.into());
        };
        self.take(at, span, &tags)?;
        out.push(Output::Save(Save::Heard(chunk, bytes.clone())));
        Ok(self.show(out))
    }

    /// Looks through one chunk that is the one committed to.
    fn take(&mut self, at: usize, span: Span, tags: &[Tag]) -> Result<(), Outcome> {
        for (tag, place) in tags.iter().zip(span.from..) {
            let position = self.order[place];
            match self.ready.ground.own.slot(position) {
                Some(Slot::Person(_)) => self.look_up(*tag, position),
                Some(Slot::Canary(number)) => {
                    let expected = self.ready.canaries.get(number as usize).copied();
                    let expected = expected.ok_or(Reason::Internal)?;
                    if *tag != expected {
                        return Err(self
                            .wrong_canary(at as u32, tags, position, expected)
                            .into());
                    }
                }
                None => return Err(Reason::Internal.into()),
            }
        }
        self.seen = shown(&self.theirs, at + 1);
        Ok(())
    }

    fn look_up(&mut self, tag: Tag, ours: u32) {
        let Tables { heard, expected } = &mut self.ready.tables;
        heard.push((tag, ours));
        if let Ok(at) = expected.binary_search_by_key(&tag, |(tag, _)| *tag) {
            let theirs = expected[at].1;
            self.candidates.push(self.ready.ground.pair(ours, theirs));
        }
    }

    fn wrong_canary(&self, chunk: u32, tags: &[Tag], position: u32, expected: Tag) -> Failed {
        let evidence = Evidence::Canary(Box::new(WrongCanary {
            commitment: self.commitment.clone(),
            chunks: self.chunks.clone(),
            chunk,
            tags: Bytes(to_bytes(tags)),
            position,
            expected,
        }));
        Failed::with(Reason::Canary, evidence)
    }
}

/// Rounds and chunks that are shown when the first `chunks` of these are.
fn shown(spans: &[Span], chunks: usize) -> (u32, usize) {
    let round = spans.get(chunks).map_or(MATCH_ROUNDS, |span| span.round);
    (round, chunks)
}
