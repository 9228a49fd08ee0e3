//! Lines that are cut and nodes that are killed, at every step.

use super::*;
use crate::tests::seeds;

/// One round under `seed`, cut and killed at random; it ends, and each person's turn came once.
fn survive(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let count = 1 + rng.random_range(0..12);
    let mut sides = sides(count);
    let often = rng.random_range(5..120);
    for attempt in 0..400 {
        let calm = attempt > 300;
        let waited = run(&mut sides, rng, &mut |_, frame, rng| {
            (calm || rng.random_range(0..often) > 0).then(|| vec![frame])
        });
        assert!(!waited, "seed {seed}: both wait for each other");
        for side in &mut sides {
            if rng.random_range(0..3) == 0 {
                side.kill(rng);
            }
            if let Some(ended) = &side.ended {
                let fine = ended.how == End::Done || ended.how.goes_on();
                assert!(fine, "seed {seed}: {ended:?}");
            }
        }
        let done = |side: &Side| side.disk.given.receipted == count;
        if sides.iter().all(done) {
            assert_done(&sides, count);
            return;
        }
        // News that came meanwhile changes what is shown of those whose turn is yet to come.
        if rng.random_range(0..4) == 0 {
            let side = &mut sides[rng.random_range(0..2)];
            let turn = side.disk.ours.len() as u32 + 2;
            let later = side.disk.round.as_ref().and_then(|round| round.at(turn));
            if let Some((handle, _)) = later {
                let known = side.known.get_mut(&handle).unwrap();
                known.body.push(rng.random());
            }
        }
    }
    panic!("seed {seed}: it never ended");
}

#[test]
fn every_round_ends_with_everybody_shown_once_however_often_it_is_broken_off() {
    for seed in seeds(2000) {
        survive(seed);
    }
}
