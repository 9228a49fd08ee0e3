//! A round that ends before everybody's turn came.

use super::orders::Fact;
use super::running::Running;
use super::{End, Out, Reconcile, State, Step};
use crate::conversation::Input;
use crate::exchange::ask::Fault;
use crate::time::Timestamp;

impl Reconcile {
    /// The round ends so; but what the peer gave of it is opened and filed before.
    pub(super) fn leave(&mut self, state: State, how: End, now: Timestamp, out: &mut Out) -> Step {
        match state {
            State::Running(running) if !how.goes_on() && running.taking.is_owed() => {
                self.file(running, how, now, out)
            }
            _ => Err(how),
        }
    }

    /// What comes while a round is left, with or without its line.
    pub(super) fn still(
        &mut self,
        mut running: Box<Running>,
        how: End,
        input: Input<Fact>,
        now: Timestamp,
        out: &mut Out,
    ) -> Step {
        if let Input::Loaded(fact @ (Fact::Opened(..) | Fact::Filed)) = input
            && let Err(End::Broken(Fault::Ours)) = running.loaded(&self.pair, fact, out)
        {
            return Err(how);
        }
        self.file(running, how, now, out)
    }

    fn file(&mut self, mut running: Box<Running>, how: End, now: Timestamp, out: &mut Out) -> Step {
        running
            .taking
            .file_all(&self.pair, &running.round, now, out);
        self.totals = running.totals();
        match running.taking.is_owed() {
            true => Ok(State::Leaving(running, how)),
            false => Err(how),
        }
    }
}
