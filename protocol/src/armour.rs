//! Things on paper: what people mail, print or paste. One value as a block of text with its name and
//! version in the first line, or as a link of one line. Either reads back as the same value.
//!
//! ```text
//! -----BEGIN FAIRSHARE JOIN REQUEST 1-----
//! base64, 64 characters to a line
//! -----END FAIRSHARE JOIN REQUEST 1-----
//!
//! fairshare:join-request:1:base64url
//! ```
//!
//! Text around the block and white space inside it are ignored, so a quoted mail can be pasted
//! whole. Nothing here is secret, and nothing is trusted because of its form.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// A value that travels on paper.
pub trait Paper: Serialize + DeserializeOwned {
    /// Its name, in lower-case words.
    const NAME: &'static str;
    /// The version of its encoding.
    const VERSION: u16;
    /// The most bytes its encoding may have.
    const LIMIT: usize;
}

/// The value as a block of text.
pub fn block<T: Paper>(value: &T) -> String {
    let (name, version) = (T::NAME.to_uppercase(), T::VERSION);
    let mut text = format!("-----BEGIN FAIRSHARE {name} {version}-----\n");
    let encoded = BASE64.encode(&codec::encode(value));
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END FAIRSHARE {name} {version}-----\n"));
    text
}

/// The value as a link of one line.
pub fn link<T: Paper>(value: &T) -> String {
    let name = T::NAME.replace(' ', "-");
    let encoded = BASE64URL_NOPAD.encode(&codec::encode(value));
    format!("fairshare:{name}:{}:{encoded}", T::VERSION)
}

/// The value in this text, be it a block or a link.
///
/// # Errors
/// If there is none, it is another kind or version, or it is damaged.
pub fn read<T: Paper>(text: &str) -> Result<T, Error> {
    let (name, version, encoded, encoding) = if let Some(found) = open_block(text)? {
        (found.0, found.1, found.2, BASE64)
    } else {
        let found = open_link(text).ok_or(Error::Nothing { wanted: T::NAME })?;
        (found.0, found.1, found.2, BASE64URL_NOPAD)
    };
    if name != T::NAME {
        return Err(Error::OtherKind {
            found: name.chars().filter(|c| !c.is_control()).take(40).collect(),
            wanted: T::NAME,
        });
    }
    if version != T::VERSION.to_string() {
        return Err(Error::OtherVersion { name: T::NAME });
    }
    let tight: String = encoded.chars().filter(|c| !c.is_whitespace()).collect();
    if tight.len() / 4 * 3 > T::LIMIT + 3 {
        return Err(Error::TooLong { name: T::NAME });
    }
    let damaged = Error::Damaged { name: T::NAME };
    let bytes = encoding.decode(tight.as_bytes());
    codec::decode(&bytes.map_err(|_| damaged.clone())?, T::LIMIT).map_err(|_| damaged)
}

/// Name, version and body of the first block in `text`.
fn open_block(text: &str) -> Result<Option<(String, &str, &str)>, Error> {
    const BEGIN: &str = "-----BEGIN FAIRSHARE ";
    let Some(start) = text.find(BEGIN) else {
        return Ok(None);
    };
    let after = &text[start + BEGIN.len()..];
    let (title, rest) = after.split_once("-----").ok_or(Error::CutShort)?;
    let (name, version) = title.rsplit_once(' ').ok_or(Error::CutShort)?;
    let end = format!("-----END FAIRSHARE {title}-----");
    let (body, _) = rest.split_once(&end).ok_or(Error::CutShort)?;
    Ok(Some((name.to_lowercase(), version, body)))
}

/// Name, version and body of a link.
fn open_link(text: &str) -> Option<(String, &str, &str)> {
    let mut parts = text.trim().strip_prefix("fairshare:")?.splitn(3, ':');
    let name = parts.next()?.replace('-', " ");
    Some((name, parts.next()?, parts.next()?))
}

/// Why a text does not hold what was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a block nor a link.
    #[error(
        "no Fairshare {wanted} in this text: it has a line `-----BEGIN FAIRSHARE …-----` or is a \
         link starting with `fairshare:`; name the file or paste the link you were sent"
    )]
    Nothing {
        /// What was looked for.
        wanted: &'static str,
    },
    /// The end is missing.
    #[error("the text is cut short: its last line should be `-----END FAIRSHARE …-----`")]
    CutShort,
    /// Something else of ours.
    #[error(
        "this is a Fairshare {found}, not a {wanted}; each paper says in its first line what it is: \
         name the one this command is about"
    )]
    OtherKind {
        /// What it is.
        found: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Written by another version.
    #[error("this {name} was written by another version of Fairshare; bring both to the same")]
    OtherVersion {
        /// What it is.
        name: &'static str,
    },
    /// Longer than any such thing.
    #[error("this {name} is longer than any can be")]
    TooLong {
        /// What it is.
        name: &'static str,
    },
    /// Some of it was changed or lost.
    #[error("this {name} is damaged; ask for it to be sent again")]
    Damaged {
        /// What it is.
        name: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Letter(Vec<u8>);
    impl Paper for Letter {
        const NAME: &'static str = "test letter";
        const VERSION: u16 = 1;
        const LIMIT: usize = 300;
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Bill(Vec<u8>);
    impl Paper for Bill {
        const NAME: &'static str = "bill";
        const VERSION: u16 = 1;
        const LIMIT: usize = 100;
    }

    #[test]
    fn a_block_and_a_link_read_back_even_from_the_middle_of_a_mail() {
        let letter = Letter((0..200).collect());
        let mail = format!("Dear all,\r\n\r\n{}\nBest", block(&letter)).replace('\n', "\r\n ");
        assert_eq!(read::<Letter>(&mail), Ok(letter));
        let letter = Letter(vec![255; 10]);
        let text = format!(" {}\n", link(&letter));
        assert!(text.starts_with(" fairshare:test-letter:1:"));
        assert_eq!(read::<Letter>(&text), Ok(letter));
    }

    #[test]
    fn what_is_not_there_cut_damaged_or_something_else_is_named() {
        let text = block(&Letter(vec![7; 100]));
        let found = "test letter".to_owned();
        let name = "test letter";
        for (text, error) in [
            ("hello".into(), Error::Nothing { wanted: name }),
            ("fairshare:x".into(), Error::Nothing { wanted: name }),
            (text[..90].into(), Error::CutShort),
            (text[..24].into(), Error::CutShort),
            (text.replace("ER 1-", "ER 2-"), Error::OtherVersion { name }),
            (text.replacen("BwcH", "B!cH", 1), Error::Damaged { name }),
            (text.replacen("BwcHBwcH", "", 1), Error::Damaged { name }),
            (block(&Letter(vec![7; 400])), Error::TooLong { name }),
        ] {
            assert_eq!(read::<Letter>(&text), Err(error), "{text}");
        }
        let wanted = "bill";
        assert_eq!(read::<Bill>(&text), Err(Error::OtherKind { found, wanted }));
    }
}
