//! What people and programs read: text that a tired person can read, or one JSON object.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use fairshare_protocol::control::Failure;
use fairshare_protocol::time::Timestamp;
use serde::Serialize;

pub use self::bar::Bar;

mod bar;

/// Tables are not squeezed into fewer columns than this.
const NARROW: u16 = 40;

/// Where and how a command answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    colour: bool,
    silent: bool,
}

impl Output {
    /// As asked for on the command line, with colours on a terminal unless `NO_COLOR` is set.
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: io::stdout().is_terminal() && !plain,
            silent: false,
        }
    }

    /// For a command given by this program to itself.
    pub const fn silent() -> Self {
        Self {
            json: false,
            colour: false,
            silent: true,
        }
    }

    /// Whether the answer is to be JSON.
    pub const fn json(self) -> bool {
        self.json
    }

    /// Prints an answer: as JSON, or as `show` writes it on a page.
    pub fn answer<A: Serialize>(self, answer: &A, show: impl FnOnce(&mut Page)) {
        if self.silent {
        } else if self.json {
            // Answers are read from JSON, so they have one.
            let text = serde_json::to_string(answer).unwrap_or_default();
            print(&format!("{text}\n"));
        } else {
            print(&self.text(show));
        }
    }

    /// Tells people how it goes, before there is an answer.
    pub fn tell(self, show: impl FnOnce(&mut Page)) {
        if !self.json && !self.silent {
            print(&self.text(show));
        }
    }

    /// The text `show` writes on a page.
    pub fn text(self, show: impl FnOnce(&mut Page)) -> String {
        let mut page = Page {
            text: String::new(),
            colour: self.colour,
            width: terminal_width(&mut Table::new()),
        };
        show(&mut page);
        page.text
    }

    /// Says on stderr why something was not done; as JSON on stdout too, if that was asked for.
    pub fn failure(self, failure: &Failure) {
        let failure = &plain(failure);
        if self.json {
            let object = serde_json::json!({ "failed": failure });
            print(&format!("{object}\n"));
        }
        let mut text = format!("error: {}\n", failure.fact);
        if !failure.remedy.is_empty() {
            let _ = writeln!(text, "  try: {}", failure.remedy);
        }
        if let Some(width) = terminal_width(Table::new().use_stderr()) {
            text = text
                .lines()
                .map(|line| wrapped(line, width, 2) + "\n")
                .collect();
        }
        // Nobody reads it: nothing is to be done.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Without the numbers the operating system has for its errors: the words before say the same.
fn plain(failure: &Failure) -> Failure {
    let mut fact = failure.fact.clone();
    while let Some((before, after)) = fact.split_once(" (os error ") {
        let Some((number, after)) = after.split_once(')') else {
            break;
        };
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        fact = format!("{before}{after}");
    }
    Failure::new(failure.code, fact, failure.remedy.as_str())
}

/// How wide the terminal is that a table is for; `None` if it is none.
fn terminal_width(table: &mut Table) -> Option<usize> {
    // Some terminals do not say.
    let said = |width| if width == 0 { 80 } else { width };
    table.width().map(|width| usize::from(said(width)))
}

/// The text in lines of at most `width`, broken between words; all lines but the first are indented.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut filled = 0;
    let mut words: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        // A number stays with what it counts: `results 45`, and `45 results` where an item begins.
        match words.last_mut() {
            Some(last) if with_before(last, word) => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    for word in &words {
        let length = visible(word.trim_end());
        if filled > indent && filled + length > width {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            filled = indent;
        }
        lines.push_str(word);
        filled += length + (word.len() - word.trim_end().len());
    }
    lines
}

/// Whether no line is broken between what came last and this word: one of them counts the other.
fn with_before(last: &str, word: &str) -> bool {
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let ends = |text: &str| text.trim_end().ends_with([',', ':', ';', '.', ')']);
    let alone = !last.trim_end().contains(' ');
    match number(word) {
        true => !ends(last),
        // What begins an item with a number has one more word: what it counts.
        false => alone && number(last) && !ends(last),
    }
}

/// How many characters of a text show: colours do not.
fn visible(text: &str) -> usize {
    let mut hidden = false;
    let shows = |character: &char| {
        let before = hidden;
        hidden = (hidden || *character == '\u{1b}') && *character != 'm';
        !before && !hidden
    };
    text.chars().filter(shows).count()
}

/// Writes to stdout. A reader that has gone (`| head`) is no fault.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Text for people.
#[derive(Debug)]
pub struct Page {
    text: String,
    colour: bool,
    /// Of the terminal; a reader that is a program gets whole lines.
    width: Option<usize>,
}

/// How a word is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Of little weight.
    Quiet,
}

impl Page {
    /// A line.
    pub fn line(&mut self, text: impl Display) {
        let text = text.to_string();
        let indent = text.len() - text.trim_start().len();
        // What is to be typed stays as it is.
        let typed = text[indent..].starts_with("$ ");
        let _ = match self.width.filter(|_| !typed) {
            Some(width) => writeln!(self.text, "{}", wrapped(&text, width, indent)),
            None => writeln!(self.text, "{text}"),
        };
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Lines of a name and a value, the values under each other.
    pub fn fields(&mut self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        for (name, value) in fields {
            let name = self.tone(Tone::Quiet, &format!("{name:width$}"));
            let value = match self.width {
                Some(all) => wrapped(&format!("{name}  {value}"), all, width + 2),
                None => format!("{name}  {value}"),
            };
            let _ = writeln!(self.text, "{value}");
        }
    }

    /// A table without lines. Cells may have several words; columns are aligned.
    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if self.colour {
            table.enforce_styling();
            // A terminal that does not say how wide it is says 0.
            if table.width().is_some_and(|width| width < NARROW) {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        } else {
            table.force_no_tty();
        }
        match self.width.and_then(|width| u16::try_from(width).ok()) {
            Some(width) => table.set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        let longest: Vec<u16> = (0..head.len())
            .map(|at| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                let texts = cells.map(String::as_str).chain([head[at]]);
                let words = texts.flat_map(str::split_whitespace).map(visible);
                u16::try_from(words.max().unwrap_or(0)).unwrap_or(u16::MAX)
            })
            .collect();
        let least: usize = longest.iter().map(|words| usize::from(*words) + 2).sum();
        if self.width.is_some_and(|width| least > width + 2) {
            return self.upright(head, &rows);
        }
        table.set_header(head.iter().map(|name| {
            Cell::new(name)
                .add_attribute(Attribute::Bold)
                .fg(Color::DarkGrey)
        }));
        for row in rows {
            table.add_row(row.iter().map(|text| cell(text)));
        }
        let columns = table.column_count();
        for (at, column) in table.column_iter_mut().enumerate() {
            let right = if at + 1 == columns { 0 } else { 2 };
            column.set_padding((0, right));
            // Codes, numbers and times stay whole, even on a terminal too narrow for that.
            let words = longest[at].saturating_add(right);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(words)));
        }
        for line in table.lines() {
            self.line(line.trim_end());
        }
    }

    /// A table too wide for the terminal: a line for each cell, an empty one between rows.
    fn upright(&mut self, head: &[&str], rows: &[Vec<String>]) {
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                self.gap();
            }
            let cells = head.iter().copied().zip(row.iter().cloned());
            let filled = cells.filter(|(_, cell)| !cell.is_empty());
            self.fields(&filled.collect::<Vec<_>>());
        }
    }

    /// A word in its colour, where there are colours.
    pub fn tone(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Quiet => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A cell of a table, which must be told apart from its colour to be aligned.
fn cell(text: &str) -> Cell {
    let toned = |code| {
        let start = format!("\u{1b}[{code}m");
        text.strip_prefix(&start)?.strip_suffix("\u{1b}[0m")
    };
    if let Some(text) = toned(32) {
        Cell::new(text).fg(Color::DarkGreen)
    } else if let Some(text) = toned(31) {
        Cell::new(text).fg(Color::DarkRed)
    } else if let Some(text) = toned(2) {
        Cell::new(text).add_attribute(Attribute::Dim)
    } else {
        Cell::new(text)
    }
}

/// How long ago something was: `just now`, `3 min ago`, `5 h ago`, `12 days ago`.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.since(then) {
        span if span < Duration::from_secs(5) => "just now".to_owned(),
        span => format!("{} ago", lasting(span)),
    }
}

/// How long something lasts, in its largest unit.
pub fn lasting(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number with its thousands apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many people: `1 person`, `1,234 people`.
pub fn people(number: u64) -> String {
    many(number, "person", "people")
}

/// A number of things, in the word for one or for more.
pub fn many(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// A number of bytes: `512 B`, `1.5 MiB`.
pub fn bytes(number: u64) -> String {
    let mut size = number as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{number} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page {
            text: String::new(),
            colour: false,
            width: None,
        }
    }

    #[test]
    fn ages_counts_and_sizes_are_short() {
        let at = |seconds: u64| Timestamp(seconds * 1000);
        for (seconds, text) in [
            (0, "just now"),
            (59, "59 s ago"),
            (200, "3 min ago"),
            (7200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(at(1_000_000), at(1_000_000 - seconds)), text);
        }
        assert_eq!(ago(at(1), at(2)), "just now");
        assert_eq!(count(0), "0");
        assert_eq!(count(123), "123");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536 * 1024), "1.5 MiB");
    }

    #[test]
    fn on_a_terminal_long_lines_break_between_words_and_colours_take_no_room() {
        let mut page = page();
        (page.width, page.colour) = (Some(20), true);
        page.fields(&[("shown", "allergies 2, results 45".into())]);
        page.line("  a line that is too long");
        page.line("  $ a command that is too long");
        let plain = page.text.replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
        assert_eq!(
            plain,
            "shown  allergies 2,\n       results 45\n  a line that is too\n  long\n  \
             $ a command that is too long\n"
        );
        page.text.clear();
        page.width = Some(80);
        let good = page.tone(Tone::Good, "up");
        page.table(&["STATE", "LINKS"], vec![vec![good, "57".into()]]);
        let shown: Vec<_> = page.text.lines().map(visible).collect();
        assert_eq!(shown, [12, 9]);
    }

    #[test]
    fn a_table_too_wide_for_the_terminal_stands_upright() {
        let mut page = page();
        page.width = Some(24);
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![
            row(["RH8", "2026-11-26T02:00:00Z", "up"]),
            row(["L83024", "2026-11-26T02:00:01Z", ""]),
        ];
        page.table(&["CODE", "SINCE", "STATE"], rows.clone());
        assert_eq!(
            page.text,
            "CODE   RH8\nSINCE  2026-11-26T02:00:00Z\nSTATE  up\n\n\
             CODE   L83024\nSINCE  2026-11-26T02:00:01Z\n"
        );
        // It just fits: no cell is broken, and no line.
        page.text.clear();
        page.width = Some(35);
        page.table(&["CODE", "SINCE", "STATE"], rows);
        assert_eq!(page.text.lines().count(), 3, "{}", page.text);
    }

    #[test]
    fn a_line_is_not_broken_between_a_number_and_what_it_counts() {
        let text = "came: 1 demographics, 2 problems, 4 medications, 8 results";
        for width in 16..60 {
            for line in wrapped(text, width, 0).lines() {
                let last = line.trim_end().rsplit(' ').next().unwrap_or_default();
                assert!(last.parse::<u32>().is_err(), "{width}: {line}");
            }
        }
        let text = "allergies 2, results 45, encounters 28, procedures 14";
        for width in 16..60 {
            for line in wrapped(text, width, 0).lines() {
                assert!(
                    !line.starts_with(|c: char| c.is_ascii_digit()),
                    "{width}: {line}"
                );
            }
        }
    }

    #[test]
    fn the_numbers_of_the_operating_system_are_left_out() {
        let fact = "a.txt: No such file or directory (os error 2), b (os error x)";
        let failure = plain(&Failure::new(2, fact, "name another"));
        assert_eq!(
            failure.fact,
            "a.txt: No such file or directory, b (os error x)"
        );
        assert_eq!((failure.code, &*failure.remedy), (2, "name another"));
    }

    #[test]
    fn fields_and_tables_are_aligned_without_lines() {
        let mut page = page();
        page.fields(&[("a", "1".into()), ("longer", "2".into())]);
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["RH8", "up"]), row(["L83024", "down"])];
        page.table(&["CODE", "STATE"], rows);
        let text = "a       1\nlonger  2\nCODE    STATE\nRH8     up\nL83024  down\n";
        assert_eq!(page.text, text);
    }
}
