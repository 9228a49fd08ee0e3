//! Time is passed in, never read: UTC milliseconds, and civil dates for dates of birth.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// One day in milliseconds.
pub const DAY: u64 = 24 * 60 * 60 * 1000;

impl Timestamp {
    /// Whole days since 1970-01-01.
    pub const fn day(self) -> u64 {
        self.0 / DAY
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The first moment of a day of UTC, written `YYYY-MM-DD`.
    ///
    /// # Errors
    /// If it is not so written, there is no such day, or it is before 1970.
    pub fn of_day(text: &str) -> Result<Self, NotADate> {
        text.parse::<Date>()?;
        let begins = humantime::parse_rfc3339(&format!("{text}T00:00:00Z"));
        begins.map(Self::from).map_err(|_| NotADate)
    }

    /// This moment as the standard library has it, for display.
    pub fn to_system(self) -> SystemTime {
        // humantime shows years up to 9999 and panics beyond.
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.min(253_402_300_799_000))
    }
}

/// A span of time, from its first moment up to and without its last; an end that is open has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Its first moment.
    pub since: Option<Timestamp>,
    /// The first moment after it.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether that moment is in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let span = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(0) + span
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.to_system()).fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.to_system()).fmt(f)
    }
}

/// A civil date of the proleptic Gregorian calendar, years 1 to 9999.
///
/// A date of birth is patient data, so a date has neither `Display` nor a telling `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u8, u8)", into = "(u16, u8, u8)")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The date of this year, month and day.
    ///
    /// # Errors
    /// If there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, NotADate> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return Err(NotADate),
        };
        if (1..=9999).contains(&year) && (1..=days).contains(&day) {
            Ok(Self { year, month, day })
        } else {
            Err(NotADate)
        }
    }

    /// `YYYY-MM-DD`, as FHIR and the index key write it. Named, so that nobody prints it unaware.
    pub fn expose(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = NotADate;

    /// Reads `YYYY-MM-DD` and nothing else.
    fn from_str(text: &str) -> Result<Self, NotADate> {
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        if !shape {
            return Err(NotADate);
        }
        let number = |range: std::ops::Range<usize>| text[range].parse().map_err(|_| NotADate);
        let part = |range: std::ops::Range<usize>| text[range].parse().map_err(|_| NotADate);
        Self::new(number(0..4)?, part(5..7)?, part(8..10)?)
    }
}

impl TryFrom<(u16, u8, u8)> for Date {
    type Error = NotADate;

    fn try_from((year, month, day): (u16, u8, u8)) -> Result<Self, NotADate> {
        Self::new(year, month, day)
    }
}

impl From<Date> for (u16, u8, u8) {
    fn from(date: Date) -> Self {
        (date.year, date.month, date.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date(…)")
    }
}

/// There is no such day, or it is not written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date: write it YYYY-MM-DD")]
pub struct NotADate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_that_exists_written_in_one_way() {
        assert_eq!("2000-02-29".parse::<Date>().unwrap().expose(), "2000-02-29");
        for bad in [
            "1900-02-29",
            "2001-13-01",
            "2001-1-01",
            "2001-04-31",
            "0000-01-01",
            "20010101",
            "+201-01-01",
            "2001-01-011",
        ] {
            assert_eq!(bad.parse::<Date>(), Err(NotADate), "{bad}");
        }
    }

    #[test]
    fn a_period_has_its_first_moment_and_not_its_last() {
        let day = Timestamp::of_day("2026-03-01").unwrap();
        assert_eq!(day.to_string(), "2026-03-01T00:00:00Z");
        for bad in [
            "2026-02-29",
            "1-3-2026",
            "2026-03-01T00:00:00Z",
            "1969-12-31",
        ] {
            assert!(Timestamp::of_day(bad).is_err(), "{bad}");
        }
        let (since, until) = (Some(day), Some(Timestamp(day.0 + DAY)));
        let period = Period { since, until };
        let has =
            [day.0 - 1, day.0, day.0 + DAY - 1, day.0 + DAY].map(|at| period.has(Timestamp(at)));
        assert_eq!(has, [false, true, true, false]);
        assert!(Period::default().has(day));
    }

    #[test]
    fn a_timestamp_shows_as_utc_even_when_absurd() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert!(Timestamp(u64::MAX).to_string().starts_with("9999-12-31"));
    }
}
