//! Text that members write and others read on their screens: names, contacts, reasons.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_LINE;

/// One line of text, 1 to [`MAX_LINE`] bytes. It has no control or direction-changing characters,
/// so that nobody can draw on a steward's terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(String);

impl Line {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Line {
    type Err = NotALine;

    /// Takes the text without the white space around it.
    fn from_str(text: &str) -> Result<Self, NotALine> {
        text.trim().to_owned().try_into()
    }
}

impl TryFrom<String> for Line {
    type Error = NotALine;

    fn try_from(text: String) -> Result<Self, NotALine> {
        let draws = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{2069}' | '\u{feff}')
        };
        if !(1..=MAX_LINE).contains(&text.len()) || text.trim() != text || text.contains(draws) {
            return Err(NotALine);
        }
        Ok(Self(text))
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The text is not one line of acceptable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one line of 1 to {MAX_LINE} bytes without control characters")]
pub struct NotALine;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn text_that_could_draw_on_a_screen_is_refused_when_typed_and_when_received() {
        for bad in ["", " ", "a\nb", "\u{1b}[2J", "a\u{202e}b", &"x".repeat(401)] {
            assert_eq!(bad.parse::<Line>(), Err(NotALine), "{bad:?}");
            let bytes = codec::encode(bad);
            assert!(codec::decode::<Line>(&bytes, 1000).is_err(), "{bad:?}");
        }
        assert_eq!(
            " Dr Ó Brien ".parse::<Line>().unwrap().as_str(),
            "Dr Ó Brien"
        );
        assert!(codec::decode::<Line>(&codec::encode(" a"), 9).is_err());
    }
}
