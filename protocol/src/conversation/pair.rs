//! Two conversations run against each other in memory, as tests and benches need them: no stream,
//! no clock, no store. What either side saved and recorded is kept to be looked at, and a line
//! between them may look at, change or cut every frame.

use std::collections::VecDeque;

use rand_core::CryptoRng;

use super::{Conversation, Input, Output};
use crate::journal::Act;
use crate::time::Timestamp;

/// What is told of everything a machine wants kept.
pub type Keep<'a, C> = Box<dyn FnMut(&<C as Conversation>::Save) + 'a>;

/// One side: a machine, what works for it, and what came of it.
pub struct End<'a, C: Conversation> {
    /// The machine.
    pub machine: C,
    /// What carries out its `Load` orders.
    pub work: Box<dyn FnMut(C::Load) -> C::Fact + 'a>,
    /// What is told of everything it wants kept, when it wants it.
    pub keep: Keep<'a, C>,
    /// What it wanted kept, in order.
    pub saved: Vec<C::Save>,
    /// What it wanted in the journal, in order.
    pub acts: Vec<Act>,
    /// How it ended.
    pub outcome: Option<C::Outcome>,
}

impl<'a, C: Conversation> End<'a, C> {
    /// A side that has not begun.
    pub fn new(machine: C, work: impl FnMut(C::Load) -> C::Fact + 'a) -> Self {
        Self {
            machine,
            work: Box::new(work),
            keep: Box::new(|_| ()),
            saved: Vec::new(),
            acts: Vec::new(),
            outcome: None,
        }
    }

    /// Gives it one fact and carries out the orders; frames to be sent go to `sent`.
    fn take(
        &mut self,
        input: Input<C::Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        sent: &mut VecDeque<Vec<u8>>,
    ) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if self.outcome.is_some() {
                return;
            }
            for output in self.machine.handle(input, now, rng) {
                match output {
                    Output::Record(act) => self.acts.push(act),
                    Output::Save(save) => {
                        (self.keep)(&save);
                        self.saved.push(save);
                    }
                    Output::Send(frame) => sent.push_back(frame),
                    Output::Load(order) => inputs.push_back(Input::Loaded((self.work)(order))),
                    Output::Close(outcome) => self.outcome = Some(outcome),
                }
            }
        }
    }
}

/// Which side a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first of the two.
    Left,
    /// The second.
    Right,
}

/// Runs both until neither has anything more to say. `line` is given every frame and gives back
/// what arrives: the frame, another, or nothing, and then the line is cut for both. A side that
/// has not ended when the line is quiet is told that its deadline has passed.
pub fn run<A: Conversation, B: Conversation>(
    left: &mut End<'_, A>,
    right: &mut End<'_, B>,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
    line: &mut dyn FnMut(Side, Vec<u8>) -> Option<Vec<u8>>,
) {
    let (mut to_right, mut to_left) = (VecDeque::new(), VecDeque::new());
    left.take(Input::Opened, now, rng, &mut to_right);
    right.take(Input::Opened, now, rng, &mut to_left);
    let mut cut = false;
    while !cut {
        if let Some(frame) = to_right.pop_front() {
            match line(Side::Left, frame) {
                Some(frame) => right.take(Input::Received(frame), now, rng, &mut to_left),
                None => cut = true,
            }
        } else if let Some(frame) = to_left.pop_front() {
            match line(Side::Right, frame) {
                Some(frame) => left.take(Input::Received(frame), now, rng, &mut to_right),
                None => cut = true,
            }
        } else if left.outcome.is_some() || right.outcome.is_some() {
            // Whoever has ended has also closed the stream.
            cut = true;
        } else {
            left.take(Input::DeadlinePassed, now, rng, &mut to_right);
            right.take(Input::DeadlinePassed, now, rng, &mut to_left);
            cut = left.outcome.is_none() && right.outcome.is_none();
        }
    }
    left.take(Input::Lost, now, rng, &mut to_right);
    right.take(Input::Lost, now, rng, &mut to_left);
}
