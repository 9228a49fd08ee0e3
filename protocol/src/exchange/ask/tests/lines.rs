//! Asks over lines that lose, delay, double, reorder, repeat and spoil frames, with either side
//! restarted between one conversation and the next.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::tests::seeds;

const OURS: &[u8] = b"ours";
const THEIRS: &[u8] = b"theirs";

/// What a bad line does to a frame.
struct BadLine {
    rng: StdRng,
    /// One frame in so many is hurt.
    often: u32,
    seen: Vec<Vec<u8>>,
    late: Option<Vec<u8>>,
}

impl BadLine {
    fn carry(&mut self, mut frame: Vec<u8>, now: &mut Timestamp) -> Option<Vec<Vec<u8>>> {
        self.seen.push(frame.clone());
        if self.rng.random_range(0..self.often) > 0 {
            let late = self.late.take();
            return Some([Some(frame), late].into_iter().flatten().collect());
        }
        Some(match self.rng.random_range(0..7) {
            0 => return None,
            1 => {
                *now = *now + Duration::from_secs(self.rng.random_range(1..120));
                vec![frame]
            }
            2 => vec![frame.clone(), frame],
            3 => {
                self.late = Some(frame);
                vec![]
            }
            4 => vec![
                self.seen[self.rng.random_range(0..self.seen.len())].clone(),
                frame,
            ],
            5 => {
                let at = self.rng.random_range(0..frame.len());
                frame[at] ^= 1 << self.rng.random_range(0..8);
                vec![frame]
            }
            _ => {
                frame.truncate(self.rng.random_range(0..frame.len()));
                vec![frame]
            }
        })
    }
}

/// One that starts again with what it saved.
fn restarted(machine: Ask, body: &[u8], before: &Side) -> Side {
    Side {
        executed: before.executed.clone(),
        ..Side::new(machine, Some(body))
    }
}

/// What came was shown, whole, and nothing came that was not; the account has one end.
fn assert_sound(side: &Side, other: &Side, theirs: &[u8], seed: u64) {
    let ended = side.ended.as_ref().unwrap();
    assert!(side.filed.len() <= 1, "seed {seed}: filed twice");
    assert_eq!(side.filed.len(), ended.received.len(), "seed {seed}");
    for (_, plain) in &side.filed {
        let whole = plain.windows(theirs.len()).any(|window| window == theirs);
        assert!(whole, "seed {seed}");
        assert_eq!(other.shown.len(), 1, "seed {seed}: came unshown");
    }
    if ended.acknowledged {
        assert_eq!(other.filed.len(), 1, "seed {seed}: receipt of nothing");
    }
    let over = side.accounts.iter().filter(|it| it.0 == Stage::Over);
    assert!(over.count() <= 1, "seed {seed}");
}

#[test]
fn whatever_the_line_does_an_ask_ends_by_name_and_is_executed_once() {
    for seed in seeds(2000) {
        let mut rng = StdRng::seed_from_u64(seed);
        let often = rng.random_range(2..20);
        let (mut one, mut two) = sides(defaults(), plan(), [Some(OURS), Some(THEIRS)]);
        let mut answers = Vec::new();
        for _ in 0..4 {
            let mut line = BadLine {
                rng: StdRng::seed_from_u64(rng.random()),
                often,
                seen: vec![],
                late: None,
            };
            carry(&mut one, &mut two, |_, frame, now| line.carry(frame, now));
            for side in [&one, &two] {
                let ended = side.ended.as_ref().unwrap();
                let named = ended.fault.is_some() || ended.reply.is_some();
                assert!(named, "seed {seed}: {ended:?}");
            }
            assert_sound(&one, &two, THEIRS, seed);
            assert_sound(&two, &one, OURS, seed);
            answers.extend(two.executed.values().map(|(_, answer)| answer.clone()));
            let (asked, held) = sides(defaults(), plan(), [Some(OURS), Some(THEIRS)]);
            two = restarted(held.machine, THEIRS, &two);
            one = restarted(asked.machine, OURS, &one);
        }
        // One exchange, one answer, however often it was asked for.
        answers.dedup();
        assert!(answers.len() <= 1, "seed {seed}");
    }
}
