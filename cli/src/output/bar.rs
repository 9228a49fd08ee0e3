//! How far something is, on a terminal.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use fairshare_protocol::control::Step;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Output, bytes, count, lasting};

/// Before so long nobody can say how fast it goes.
const SOON: Duration = Duration::from_secs(1);

/// Progress on a terminal's stderr; nothing elsewhere.
#[derive(Debug)]
pub struct Bar {
    shown: bool,
    now: Option<Work>,
}

/// One kind of work.
#[derive(Debug)]
struct Work {
    bar: ProgressBar,
    unit: String,
    /// When it was first heard of, and how much had been done then: it may go on from earlier.
    began: (Instant, u64),
}

impl Bar {
    /// A bar that shows nothing until the first step.
    pub fn new(output: Output) -> Self {
        Self {
            shown: !output.json && !output.silent && io::stderr().is_terminal(),
            now: None,
        }
    }

    /// Shows a step: how much is done, how fast, and how long the rest will take.
    pub fn show(&mut self, step: &Step) {
        if !self.shown {
            return;
        }
        if self.now.as_ref().is_none_or(|work| work.unit != step.unit) {
            self.clear();
            self.now = Some(Work::begin(step));
        }
        if let Some(work) = &self.now {
            work.show(step);
        }
    }

    fn clear(&mut self) {
        if let Some(work) = self.now.take() {
            work.bar.finish_and_clear();
        }
    }
}

impl Work {
    fn begin(step: &Step) -> Self {
        // Drawn only when it has something to say.
        let bar = ProgressBar::with_draw_target(step.total, ProgressDrawTarget::hidden());
        let style = match step.total {
            Some(_) => ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %{prefix}"),
            None => ProgressStyle::with_template("{spinner} {msg}{prefix}"),
        };
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let work = Self {
            bar,
            unit: step.unit.clone(),
            began: (Instant::now(), step.done),
        };
        work.show(step);
        work.bar.set_draw_target(ProgressDrawTarget::stderr());
        work
    }

    fn show(&self, step: &Step) {
        if let Some(total) = step.total {
            self.bar.set_length(total);
        }
        let (began, before) = self.began;
        self.bar.set_prefix(speed(step, began.elapsed(), before));
        // First, and last the words, so that no frame has the words of one step and the bar of another.
        self.bar.set_position(step.done);
        self.bar
            .set_message(format!("{} {}", step.what, done(step)));
    }
}

/// How much is done, in words.
fn done(step: &Step) -> String {
    match step.unit.as_str() {
        "bytes" => bytes(step.done),
        "people" if step.done == 1 => "1 person".to_owned(),
        // The units of steps are plurals.
        unit if step.done == 1 => format!("1 {}", one(unit)),
        unit => format!("{} {unit}", count(step.done)),
    }
}

/// The unit of one: `entry`, `peer`.
fn one(unit: &str) -> String {
    match unit.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => unit.strip_suffix('s').unwrap_or(unit).to_owned(),
    }
}

/// How fast it goes and how long the rest will take; nothing before that can be told.
fn speed(step: &Step, elapsed: Duration, before: u64) -> String {
    let work = step.done.saturating_sub(before);
    if elapsed < SOON || work == 0 {
        return String::new();
    }
    let rate = work as f64 / elapsed.as_secs_f64();
    let each = match step.unit.as_str() {
        "bytes" => format!("{}/s", bytes(rate as u64)),
        _ => format!("{}/s", count(rate as u64)),
    };
    let left = step.total.map(|total| total.saturating_sub(step.done));
    match left {
        Some(left) => {
            let left = lasting(Duration::from_secs_f64(left as f64 / rate));
            format!(", {each}, {left} left")
        }
        None => format!(", {each}"),
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: u64, unit: &str) -> Step {
        Step {
            done,
            total: Some(1000),
            unit: unit.to_owned(),
            what: "matching with L83024".to_owned(),
        }
    }

    #[test]
    fn speed_is_told_once_it_is_known_and_of_this_work_alone() {
        let at = Duration::from_secs;
        assert_eq!(speed(&step(900, "entries"), Duration::ZERO, 900), "");
        assert_eq!(speed(&step(900, "entries"), at(5), 900), "");
        let text = speed(&step(950, "entries"), at(5), 900);
        assert_eq!(text, ", 10/s, 5 s left");
    }

    #[test]
    fn one_of_a_thing_is_one() {
        for (unit, one, more) in [
            ("entries", "1 entry", "2 entries"),
            ("peers", "1 peer", "2 peers"),
            ("people", "1 person", "2 people"),
            ("bytes", "1 B", "2 B"),
        ] {
            assert_eq!(done(&step(1, unit)), one);
            assert_eq!(done(&step(2, unit)), more);
        }
    }
}
