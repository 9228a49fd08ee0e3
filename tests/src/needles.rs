//! Looking for what identifies a person in places where it must not be.

use std::fs;
use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use crate::harness::people::Somebody;

/// Something that must not be found, and of what sort it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    /// What it is: never the identifier itself.
    pub what: String,
    bytes: Vec<u8>,
}

/// Everything by which these people could be recognised: NHS number, date of birth and names, plain,
/// spaced, as hexadecimal, as base64, as integers and dates in binary.
pub fn of(people: &[Somebody]) -> Vec<Needle> {
    let mut all = Vec::new();
    for (at, person) in people.iter().enumerate() {
        let nhs = &person.nhs;
        let number: u64 = nhs.parse().unwrap();
        let born: Vec<u16> = person
            .born
            .split('-')
            .map(|part| part.parse().unwrap())
            .collect();
        let mut add = |what: &str, bytes: &[u8]| {
            let what = format!("{what} of person {at}");
            all.push(Needle {
                what,
                bytes: bytes.to_vec(),
            });
        };
        for (gap, what) in [(" ", "spaced number"), ("-", "hyphenated number")] {
            let text = [&nhs[..3], &nhs[3..6], &nhs[6..]].join(gap);
            add(what, text.as_bytes());
        }
        add("number as an integer", &number.to_le_bytes());
        add("number as an integer, big end first", &number.to_be_bytes());
        add("number in hexadecimal", format!("{number:x}").as_bytes());
        // As the codec writes a date: a long integer of two bytes, then two short ones.
        let [low, high] = born[0].to_le_bytes();
        add(
            "date in binary",
            &[251, low, high, born[1] as u8, born[2] as u8],
        );
        let digits = person.born.replace('-', "");
        let texts = [
            ("number", nhs.as_str()),
            ("date of birth", &person.born),
            ("date in digits", &digits),
            ("family name", &person.family),
            ("given name", &person.given),
        ];
        for (what, text) in texts {
            let plain = text.as_bytes();
            add(what, plain);
            add(
                &format!("{what}, lower case"),
                text.to_lowercase().as_bytes(),
            );
            add(
                &format!("{what}, upper case"),
                text.to_uppercase().as_bytes(),
            );
            add(
                &format!("{what} in hexadecimal"),
                HEXLOWER.encode(plain).as_bytes(),
            );
            add(
                &format!("{what} in hexadecimal"),
                HEXUPPER.encode(plain).as_bytes(),
            );
            for shift in 0..3 {
                for encoding in [&BASE64, &BASE64URL_NOPAD] {
                    add(
                        &format!("{what} in base64"),
                        base64_inside(encoding, shift, plain).as_bytes(),
                    );
                }
            }
        }
    }
    all.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    all.dedup_by(|a, b| a.bytes == b.bytes);
    all
}

/// What is always there of the base64 of a longer text with `text` in it, `shift` bytes after a
/// multiple of three.
fn base64_inside(encoding: &data_encoding::Encoding, shift: usize, text: &[u8]) -> String {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(text);
    padded.resize(padded.len().next_multiple_of(3), 0);
    let encoded = encoding.encode(&padded);
    // Characters that also hold bits of a neighbour are left out.
    let first = (shift * 8).div_ceil(6);
    let last = (shift + text.len()) * 8 / 6;
    encoded[first..last].to_owned()
}

/// A set of needles, sorted by how they begin, so that a haystack is gone through once.
#[derive(Debug)]
pub struct Search {
    /// Needles by their first two bytes.
    by_start: Vec<Vec<Needle>>,
}

impl Search {
    /// A search for these.
    pub fn new(needles: Vec<Needle>) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        for needle in needles {
            let start = usize::from(needle.bytes[0]) << 8 | usize::from(needle.bytes[1]);
            by_start[start].push(needle);
        }
        Self { by_start }
    }

    /// Which needles are in these bytes.
    pub fn find(&self, haystack: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..haystack.len().saturating_sub(1) {
            let start = usize::from(haystack[at]) << 8 | usize::from(haystack[at + 1]);
            for needle in &self.by_start[start] {
                if haystack[at..].starts_with(&needle.bytes) {
                    found.push(needle.what.clone());
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Which needles are in the files below a directory, or in their names; with where.
    pub fn find_below(&self, dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = self.find(path.as_os_str().as_encoded_bytes());
            let inside = match fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => self.find_below(&path),
                Ok(about) if about.is_file() => self.find(&fs::read(&path).unwrap()),
                _ => Vec::new(),
            };
            let place = |what| format!("{}: {what}", path.display());
            found.extend(name.into_iter().chain(inside).map(place));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planted_is_found_in_every_disguise() {
        let person = Somebody::numbered(7);
        let search = Search::new(of(std::slice::from_ref(&person)));
        let number: u64 = person.nhs.parse().unwrap();
        let noise = "nothing of anybody: 9989990000 1066-10-14 Smith, 3f2a".repeat(10);
        assert_eq!(search.find(noise.as_bytes()), Vec::<String>::new());
        let spaced = format!(
            "{} {} {}",
            &person.nhs[..3],
            &person.nhs[3..6],
            &person.nhs[6..]
        );
        let mut plants = vec![number.to_le_bytes().to_vec(), spaced.into_bytes()];
        for text in [&person.nhs, &person.born, &person.family, &person.given] {
            plants.push(text.clone().into_bytes());
            plants.push(text.to_uppercase().into_bytes());
            plants.push(HEXLOWER.encode(text.as_bytes()).into_bytes());
            for before in ["", "x", "xy"] {
                let inside = format!("{before}{text} and more");
                plants.push(BASE64.encode(inside.as_bytes()).into_bytes());
            }
        }
        let (year, month, day): (u16, u8, u8) = person
            .born
            .parse::<fairshare_protocol::time::Date>()
            .unwrap()
            .into();
        plants.push(fairshare_protocol::codec::encode(&(year, month, day)));
        for plant in plants {
            let haystack = [noise.as_bytes(), &plant, noise.as_bytes()].concat();
            assert!(!search.find(&haystack).is_empty(), "{plant:?}");
        }
    }
}
