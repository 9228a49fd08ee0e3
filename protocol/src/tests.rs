//! What long tests of machines are told from outside.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::ops::Range;

/// As many seeds as the everyday tests run, or as `FAIRSHARE_SEEDS` says, from `FAIRSHARE_SEED` on.
pub(crate) fn seeds(everyday: u64) -> Range<u64> {
    let number = |name, otherwise| {
        let given = std::env::var(name).ok();
        given.map_or(otherwise, |text: String| text.parse().unwrap())
    };
    let first = number("FAIRSHARE_SEED", 0);
    first..first + number("FAIRSHARE_SEEDS", everyday)
}
