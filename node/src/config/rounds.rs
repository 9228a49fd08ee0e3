//! Rounds: whom they are about, and when they are begun by themselves.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::time::{DAY, Timestamp};
use serde::{Deserialize, Serialize};

/// Whom rounds are about, when they are begun by themselves, and with whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// At which time of every day; never, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<TimeOfDay>,
    /// With whom; everybody who is matched, if it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<OdsCode>,
    /// Whether everybody who is linked counts as active here, whatever their records say of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everybody: bool,
}

/// A time of day, UTC: `HH:MM` or `HH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// How long after `now` it is this time again; never 0.
    pub fn after(self, now: Timestamp) -> Duration {
        let then = u64::from(self.0) * 1000;
        let passed = now.0 % DAY;
        let wait = (then + DAY - passed) % DAY;
        Duration::from_millis(if wait == 0 { DAY } else { wait })
    }
}

impl FromStr for TimeOfDay {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let parts: Vec<&str> = text.split(':').collect();
        let (hours, minutes, seconds) = match parts[..] {
            [hours, minutes] => (hours, minutes, "00"),
            [hours, minutes, seconds] => (hours, minutes, seconds),
            _ => return Err(NoTime),
        };
        let number = |text: &str, below: u32| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text
                .parse::<u32>()
                .ok()
                .filter(|number| digits && *number < below);
            number.ok_or(NoTime)
        };
        Ok(Self(
            number(hours, 24)? * 3600 + number(minutes, 60)? * 60 + number(seconds, 60)?,
        ))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Self, NoTime> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{hours:02}:{minutes:02}")?;
        match seconds {
            0 => Ok(()),
            _ => write!(f, ":{seconds:02}"),
        }
    }
}

/// It is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no time of day; write it like \"02:30\", in UTC")]
pub struct NoTime;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_two_or_three_pairs_of_digits() {
        for (text, shown) in [
            ("02:30", "02:30"),
            ("23:59:58", "23:59:58"),
            ("00:00:00", "00:00"),
        ] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "2:30",
            "24:00",
            "02:60",
            "02:30:60",
            "02:30:00:00",
            "+2:30",
            "0230",
        ] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(NoTime), "{text}");
        }
    }

    #[test]
    fn the_next_time_is_later_today_or_tomorrow() {
        let at: TimeOfDay = "02:30".parse().unwrap();
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let day = |minutes: u64| Timestamp(20_000 * DAY + minutes * 60_000);
        assert_eq!(at.after(day(0)), minutes(150));
        assert_eq!(at.after(day(149)), minutes(1));
        assert_eq!(at.after(day(150)), minutes(24 * 60));
        assert_eq!(at.after(day(151)), minutes(24 * 60 - 1));
    }
}
