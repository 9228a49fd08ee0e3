//! What benches are told and how they print what they measured.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

/// Whether this is run as a bench: `cargo test --benches` only asks whether it builds.
pub fn is_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The number an environment variable gives, or another.
pub fn number<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |number| number.parse().unwrap())
}

/// The milliseconds that these parts of all times do not exceed, each from 0 to 1; sorts them.
pub fn within<const N: usize>(times: &mut [Duration], parts: [f64; N]) -> [f64; N] {
    times.sort_unstable();
    parts.map(|part| {
        let index = ((times.len() - 1) as f64 * part).round();
        times[index as usize].as_secs_f64() * 1000.0
    })
}
