//! Two chains over lines that lose, double, reorder and spoil frames, with kills, restarts and a
//! copy put back: whatever happened, they converge, and no number is signed twice.

use super::*;
use crate::tests::seeds;

#[test]
fn whatever_the_line_does_both_chains_converge_and_no_number_is_signed_twice() {
    for seed in seeds(2000) {
        converges(seed);
    }
}

fn converges(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let [mut one, mut other] = pair();
    let mut copy = None;
    let mut entered = 0;
    for step in 0..rng.random_range(5..25) {
        let now = Timestamp(NOW.0 + step);
        match rng.random_range(0..8) {
            0 => one.restart(),
            1 => other.restart(),
            2 if copy.is_none() => copy = Some(one.kept.clone()),
            3 => {
                if let Some(copy) = copy.take() {
                    one.restore(&copy);
                    if rng.random_bool(0.5) {
                        // The journal fell back with the store. What nobody ever read, nobody
                        // can give back: such a page never was.
                        one.known = one.kept.chains.ours;
                        let read = other.durable.chains.theirs.number;
                        one.signed.retain(|number, _| *number <= read);
                    }
                }
            }
            _ => {
                for _ in 0..rng.random_range(0..4) {
                    let asker = ["RH8", "L83024"][usize::from(rng.random_bool(0.5))];
                    one.enter(entry(entered, asker));
                    other.enter(entry(entered, asker));
                    entered += 1;
                }
            }
        }
        one.write(now);
        other.write(now);
        let line = Line::Bad(rng.random_range(2..30));
        let (first, second) = (&mut one, &mut other);
        talk((first, second), line, &mut rng, now);
        if copy.is_some() && rng.random_bool(0.3) {
            one.write(now);
        }
    }
    settle(&mut one, &mut other, &mut rng);
    for (mine, theirs) in [(&one, &other), (&other, &one)] {
        assert_eq!(
            mine.kept.chains.ours, theirs.kept.chains.theirs,
            "seed {seed}"
        );
        assert!(mine.kept.forks.is_empty(), "seed {seed}");
        assert!(!mine.kept.chains.owes_quote(), "seed {seed}");
        for (key, account) in &mine.kept.accounts {
            // What the side that was put back had entered since the copy may be gone there.
            let both = account.ours.is_some() && account.theirs.is_some();
            assert!(account.is_settled() || !both, "seed {seed}: {key:?}");
        }
        assert_eq!(
            mine.kept.accounts.keys().count(),
            theirs.kept.accounts.keys().count()
        );
    }
}
