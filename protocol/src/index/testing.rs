//! What the tests of the index share: people.

use std::ops::Range;

use super::key::{IndexKey, NhsNumber};
use crate::time::Date;

/// Synthetic people, each number another one: NHS numbers 999 000 0000 upwards with valid checks.
pub fn people(numbers: Range<u32>) -> Vec<IndexKey> {
    numbers.map(person).collect()
}

fn person(number: u32) -> IndexKey {
    // One number in eleven has no check digit; two candidates a person always hold one.
    let nhs = (0..2)
        .flat_map(|second| {
            let nine = 999_000_000 + u64::from(number) * 2 + second;
            (0..10).map(move |check| nine * 10 + check)
        })
        .find_map(|candidate| NhsNumber::try_from(candidate).ok())
        .unwrap();
    let born = Date::new(1930 + (number % 90) as u16, 1 + (number % 12) as u8, 1).unwrap();
    IndexKey { nhs, born }
}
