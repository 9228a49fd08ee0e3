//! Index keys: `nhs:<10 digits>|<date of birth>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::time::Date;

/// A valid NHS number: ten digits whose last is the modulus-11 check of the first nine.
///
/// Valid says nothing of whose it is: matching also needs the date of birth. No `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Zeroize)]
#[serde(try_from = "u64", into = "u64")]
pub struct NhsNumber(u64);

impl NhsNumber {
    /// The ten digits. Named, so that nobody prints them unaware.
    pub fn expose(self) -> Zeroizing<String> {
        Zeroizing::new(format!("{:010}", self.0))
    }
}

impl FromStr for NhsNumber {
    type Err = NotAnNhsNumber;

    /// Reads ten digits, with the spaces or hyphens people write between them.
    fn from_str(text: &str) -> Result<Self, NotAnNhsNumber> {
        let mut number = 0;
        let mut digits = 0;
        for c in text.chars() {
            match c {
                '0'..='9' if digits < 10 => {
                    number = number * 10 + u64::from(c as u32 - '0' as u32);
                    digits += 1;
                }
                ' ' | '-' | '\u{a0}' => {}
                _ => return Err(NotAnNhsNumber::Shape),
            }
        }
        if digits != 10 {
            return Err(NotAnNhsNumber::Shape);
        }
        Self::try_from(number)
    }
}

impl TryFrom<u64> for NhsNumber {
    type Error = NotAnNhsNumber;

    fn try_from(number: u64) -> Result<Self, NotAnNhsNumber> {
        if number > 9_999_999_999 {
            return Err(NotAnNhsNumber::Shape);
        }
        // Weights 10 to 2 over the first nine digits; 11 minus the sum modulo 11; 11 stands for 0,
        // and no number has 10.
        let mut rest = number / 10;
        let mut sum = 0;
        for weight in 2..=10 {
            sum += rest % 10 * weight;
            rest /= 10;
        }
        match (11 - sum % 11) % 11 {
            10 => Err(NotAnNhsNumber::Check),
            check if check == number % 10 => Ok(Self(number)),
            _ => Err(NotAnNhsNumber::Check),
        }
    }
}

impl From<NhsNumber> for u64 {
    fn from(number: NhsNumber) -> Self {
        number.0
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(…)")
    }
}

/// Why something is not an NHS number. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnNhsNumber {
    /// Not ten digits.
    #[error("not an NHS number: it has ten digits")]
    Shape,
    /// The check digit does not fit.
    #[error("not an NHS number: its check digit does not fit, so at least one digit is mistyped")]
    Check,
}

/// What a person is found by: NHS number and date of birth together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IndexKey {
    /// The person's NHS number.
    pub nhs: NhsNumber,
    /// The person's date of birth.
    pub born: Date,
}

impl IndexKey {
    /// `nhs:<10 digits>|<YYYY-MM-DD>`: what is hashed to the group.
    pub fn expose(&self) -> Zeroizing<String> {
        let nhs = self.nhs.expose();
        Zeroizing::new(format!("nhs:{}|{}", *nhs, self.born.expose()))
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_nhs_number_has_ten_digits_and_the_right_check() {
        for good in [
            "9434765919",
            "943 476 5919",
            "943-476-5919",
            "9990001235",
            "0000000000",
        ] {
            assert!(good.parse::<NhsNumber>().is_ok(), "{good}");
        }
        for shape in [
            "",
            "943476591",
            "94347659190",
            "943476591X",
            "９４３４７６５９１９",
        ] {
            assert_eq!(
                shape.parse::<NhsNumber>(),
                Err(NotAnNhsNumber::Shape),
                "{shape}"
            );
        }
        // 987654432x has no check digit at all: 11 minus the sum is 10.
        for check in ["9434765918", "9876544320"] {
            assert_eq!(
                check.parse::<NhsNumber>(),
                Err(NotAnNhsNumber::Check),
                "{check}"
            );
        }
    }

    #[test]
    fn an_index_key_is_written_one_way_and_never_printed() {
        let key = IndexKey {
            nhs: "999 000 1235".parse().unwrap(),
            born: "1948-11-08".parse().unwrap(),
        };
        assert_eq!(*key.expose(), "nhs:9990001235|1948-11-08");
        assert_eq!(format!("{key:?}"), "IndexKey(…)");
    }
}
