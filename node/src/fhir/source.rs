//! What a file is, told from its first bytes, and how it is read: whole or line by line.
//!
//! Names and extensions do not count. Memory is bounded by [`Limits`], whatever the file claims.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use serde_json::value::RawValue;

use super::json::Members;
use super::refusal::Refusal;

const MIB: u64 = 1024 * 1024;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// What is read of one file at once, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A Bundle or single resource.
    pub whole: u64,
    /// A line of NDJSON: one resource, with its inline attachments.
    pub line: u64,
    /// How many times gzip may grow; deflate can do 1,032, FHIR text seldom passes 60.
    pub growth: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            whole: 256 * MIB,
            line: 32 * MIB,
            growth: 250,
        }
    }
}

/// What is in a file.
pub enum Content {
    /// One JSON document.
    Whole(String),
    /// NDJSON.
    Lines(Lines),
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is not for us.
    Refused(Refusal),
    /// The file system failed.
    Io(io::Error),
}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        // What our own readers say of bad gzip travels through io::Error.
        if let Some(Grown(growth)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::Refused(Refusal::Bomb(*growth));
        }
        match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => Self::Refused(Refusal::DamagedGzip),
            _ => Self::Io(error),
        }
    }
}

type Input = Box<dyn BufRead + Send>;

/// Looks into a file and says how to read it.
///
/// # Errors
/// If it is not JSON, too large, or unreadable.
pub fn open(file: impl Read + Send + 'static, limits: Limits) -> Result<Content, Unread> {
    let mut input: Input = Box::new(BufReader::with_capacity(BUFFER, file));
    if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        let counted = Counted {
            inner: input,
            bytes: 0,
        };
        let unzipped = Unzipped {
            gzip: MultiGzDecoder::new(counted),
            out: 0,
            growth: limits.growth,
        };
        input = Box::new(BufReader::with_capacity(BUFFER, unzipped));
    }
    if input.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]) {
        input.consume(3);
    }
    skip_space(&mut input)?;
    let start = input.fill_buf()?;
    if let Some(refusal) = not_json(start) {
        return Err(refusal.into());
    }
    let mut first = Vec::new();
    let ended = read_line(&mut input, &mut first, limits.line)?;
    if ended == LineEnd::Newline {
        if is_document(&first) {
            let blank = skip_space(&mut input)?;
            if !input.fill_buf()?.is_empty() {
                return Ok(Content::Lines(Lines::new(
                    input,
                    limits.line,
                    vec![first],
                    blank,
                )));
            }
        } else if first.len() as u64 <= limits.line {
            // A damaged first line must not make the lines after it look like one document.
            let mut second = Vec::new();
            let end = read_line(&mut input, &mut second, limits.line)?;
            if is_resource(&second) {
                return Ok(Content::Lines(Lines::new(
                    input,
                    limits.line,
                    vec![first, second],
                    0,
                )));
            }
            first.push(b'\n');
            first.extend(second);
            if end == LineEnd::Newline {
                first.push(b'\n');
            }
        }
    }
    let left = (limits.whole + 1).saturating_sub(first.len() as u64);
    input.take(left).read_to_end(&mut first)?;
    if first.len() as u64 > limits.whole {
        return Err(Refusal::TooLarge {
            limit: limits.whole / MIB,
        }
        .into());
    }
    Ok(Content::Whole(
        String::from_utf8(first).map_err(|_| Refusal::NotUtf8)?,
    ))
}

/// What a file that does not start as a JSON object is instead.
fn not_json(start: &[u8]) -> Option<Refusal> {
    let starts = |magic: &[u8]| start.starts_with(magic);
    let text = |word: &str| {
        start
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    Some(match start {
        [] => Refusal::Empty,
        [0xff, 0xfe, ..]
        | [0xfe, 0xff, ..]
        | [0, b'{' | b'<' | b'[', ..]
        | [0, 0, 0, b'{' | b'<' | b'[', ..]
        | [b'{' | b'<' | b'[', 0, ..] => Refusal::Utf16,
        [b'{', b'\\', b'r', b't', b'f', ..] => Refusal::OtherFile("RTF"),
        [b'{', ..] => return None,
        [b'[', ..] => Refusal::NotAnObject,
        [b'<', ..] if text("http://hl7.org/fhir\"") || text("http://hl7.org/fhir'") => {
            Refusal::FhirXml
        }
        [b'<', ..] if text("<html") || text("<HTML") || text("<!DOCTYPE html") => {
            Refusal::OtherFile("HTML")
        }
        [b'<', ..] if text("urn:hl7-org:v3") => Refusal::OtherFile("a CDA document"),
        [b'<', ..] => Refusal::Xml,
        _ if starts(b"%PDF") => Refusal::OtherFile("PDF"),
        _ if starts(b"PK") => {
            Refusal::OtherFile("a zip archive or an office document; unpack an archive first")
        }
        _ if starts(&[0x1f, 0x8b]) => Refusal::OtherFile("gzip inside gzip; unpack it once"),
        _ if start.get(257..262) == Some(b"ustar") => {
            Refusal::OtherFile("a tar archive; unpack it first")
        }
        _ if start.get(128..132) == Some(b"DICM") => Refusal::OtherFile("DICOM"),
        _ if is_text(&start[..start.len().min(512)]) => Refusal::OtherFile("plain text"),
        _ => Refusal::OtherFile("a binary file"),
    })
}

/// Whether this beginning of a file is text, perhaps cut inside its last character.
fn is_text(start: &[u8]) -> bool {
    let whole =
        std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true);
    whole && !start.contains(&0)
}

/// Skips white space; says how many lines ended in it.
fn skip_space(input: &mut Input) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let buffer = input.fill_buf()?;
        let space = buffer
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        lines += buffer[..space].iter().filter(|b| **b == b'\n').count() as u64;
        let more = space > 0 && space == buffer.len();
        input.consume(space);
        if !more {
            return Ok(lines);
        }
    }
}

/// Whether these bytes are one whole JSON object.
fn is_document(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

/// Whether these bytes are one whole JSON object that calls itself a resource.
fn is_resource(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).ok();
    let members = text.and_then(|text| Members::find(text).ok());
    members.is_some_and(|members| members.raw("resourceType").is_some())
}

#[derive(Debug, PartialEq, Eq)]
enum LineEnd {
    Newline,
    File,
    /// The line is longer than the limit; what was read of it stays, the rest is still to come.
    Limit,
}

/// Reads to the end of the line, at most a byte more than `limit`; the newline is not kept.
fn read_line(input: &mut Input, line: &mut Vec<u8>, limit: u64) -> io::Result<LineEnd> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(LineEnd::File);
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let taken = end.unwrap_or(buffer.len());
        let room = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
            - line.len();
        line.extend_from_slice(&buffer[..taken.min(room)]);
        if taken > room || line.len() as u64 > limit {
            input.consume(taken.min(room));
            return Ok(LineEnd::Limit);
        }
        input.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(LineEnd::Newline);
        }
    }
}

/// The lines of an NDJSON file that are not blank, in bounded memory.
pub struct Lines {
    input: Input,
    limit: u64,
    read_ahead: std::vec::IntoIter<Vec<u8>>,
    /// Blank lines skipped after those read ahead.
    blank: u64,
    number: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn new(input: Input, limit: u64, read_ahead: Vec<Vec<u8>>, blank: u64) -> Self {
        let read_ahead = read_ahead.into_iter();
        Self {
            input,
            limit,
            read_ahead,
            blank,
            number: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line's number, from 1, and its text, or why it cannot be read. `Err` when nothing
    /// after it can be read either.
    #[allow(
        clippy::type_complexity,
        reason = "a line or its refusal, or the end, or a failure"
    )]
    pub fn next_line(&mut self) -> Result<Option<(u64, Result<&str, Refusal>)>, Unread> {
        loop {
            let end = match self.read_ahead.next() {
                Some(line) => {
                    self.buffer = line;
                    LineEnd::Newline
                }
                None => {
                    self.number += std::mem::take(&mut self.blank);
                    self.buffer.clear();
                    read_line(&mut self.input, &mut self.buffer, self.limit)?
                }
            };
            if end == LineEnd::File && self.buffer.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if end == LineEnd::Limit {
                self.skip_line()?;
                return Ok(Some((
                    self.number,
                    Err(Refusal::LongLine {
                        limit: self.limit / MIB,
                    }),
                )));
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let text = std::str::from_utf8(&self.buffer).map(str::trim_ascii);
        Ok(Some((self.number, text.map_err(|_| Refusal::NotUtf8))))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|b| *b == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Counts what the decompressor takes.
struct Counted {
    inner: Input,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.inner.consume(bytes);
    }
}

/// A decompressor that stops when what comes out is out of all proportion to what went in.
struct Unzipped {
    gzip: MultiGzDecoder<Counted>,
    out: u64,
    growth: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("gzip grows too much")]
struct Grown(u64);

impl Read for Unzipped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.gzip.read(into)?;
        self.out += read as u64;
        let allowed = self
            .gzip
            .get_ref()
            .bytes
            .saturating_mul(self.growth)
            .max(16 * MIB);
        if self.out > allowed {
            return Err(io::Error::other(Grown(self.growth)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::{Cursor, Write};

    use super::*;

    const SMALL: Limits = Limits {
        whole: 4096,
        line: 64,
        growth: 250,
    };

    fn why(bytes: &[u8]) -> Refusal {
        match open(Cursor::new(bytes.to_vec()), Limits::default()) {
            Err(Unread::Refused(refusal)) => refusal,
            _ => unreachable!("taken: {bytes:?}"),
        }
    }

    fn lines(bytes: &[u8], limits: Limits) -> Vec<(u64, Result<String, Refusal>)> {
        let Ok(Content::Lines(mut lines)) = open(Cursor::new(bytes.to_vec()), limits) else {
            unreachable!("not NDJSON")
        };
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            all.push((number, line.map(str::to_owned)));
        }
        all
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_is_not_fhir_json_is_called_by_its_name() {
        assert_eq!(why(b""), Refusal::Empty);
        assert_eq!(why(b" \n\t "), Refusal::Empty);
        assert_eq!(why("\u{feff}[]".as_bytes()), Refusal::NotAnObject);
        assert_eq!(why(b"\xff\xfe{\0}\0"), Refusal::Utf16);
        assert_eq!(why(b"{\0}\0"), Refusal::Utf16);
        assert_eq!(
            why(b"<Patient xmlns=\"http://hl7.org/fhir\"/>"),
            Refusal::FhirXml
        );
        assert_eq!(
            why(b"<ClinicalDocument xmlns=\"urn:hl7-org:v3\"/>"),
            Refusal::OtherFile("a CDA document")
        );
        assert_eq!(why(b"<a/>"), Refusal::Xml);
        assert_eq!(why(b"%PDF-1.7"), Refusal::OtherFile("PDF"));
        assert_eq!(why(b"hello"), Refusal::OtherFile("plain text"));
        assert_eq!(
            why(b"\x00\x01\x02\x03"),
            Refusal::OtherFile("a binary file")
        );
        assert_eq!(why(b"{\"a\":\"\xff\"}"), Refusal::NotUtf8);
        assert_eq!(why(&gzip(&gzip(b"{}"))).code(), "not-fhir");
    }

    #[test]
    fn a_document_is_read_whole_and_lines_one_by_one() {
        for text in [
            "{}",
            "{\"a\":\n 1}",
            "\u{feff}{\"a\":1}\n\n",
            "  {\n}",
            "{\n\n\n}\n",
            "{\n \"a\":\n1\n}",
        ] {
            for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
                let content = open(Cursor::new(bytes), Limits::default());
                let Ok(Content::Whole(read)) = content else {
                    unreachable!("{text:?}")
                };
                assert_eq!(
                    read.trim(),
                    text.trim_start_matches('\u{feff}').trim(),
                    "byte for byte"
                );
            }
        }
        let two = b"{\"a\":1}\r\n\n{\"a\":2}";
        let both = vec![
            (1, Ok("{\"a\":1}".to_owned())),
            (3, Ok("{\"a\":2}".to_owned())),
        ];
        assert_eq!(lines(two, SMALL), both);
        assert_eq!(lines(&gzip(two), SMALL), both);
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let broken = b"{\"a\":\n{\"resourceType\":\"Patient\"}\n{\"b\":2}\n";
        assert_eq!(lines(broken, SMALL).len(), 3);
        let long = format!(
            "{{\"a\":1}}\n{{\"b\":\"{}\"}}\n{{\"c\":3}}\n\u{ff}",
            "x".repeat(200)
        );
        let found = lines(long.as_bytes(), SMALL);
        assert_eq!(found[1].1, Err(Refusal::LongLine { limit: 0 }));
        assert_eq!(found[2].1.as_deref(), Ok("{\"c\":3}"));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn sizes_are_bounded_whatever_a_file_claims() {
        let large = format!("{{\"a\":\n\"{}\"}}", "x".repeat(5000));
        let refused = open(Cursor::new(large.into_bytes()), SMALL);
        assert!(matches!(
            refused,
            Err(Unread::Refused(Refusal::TooLarge { .. }))
        ));
        let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);
        assert_eq!(why(&bomb), Refusal::Bomb(250));
        let mut cut = gzip(br#"{"resourceType":"Patient","id":"a"}"#);
        cut.truncate(cut.len() - 10);
        assert_eq!(why(&cut), Refusal::DamagedGzip);
    }
}
