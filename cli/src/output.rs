//! What people and programs read: text that a tired person can read, or one JSON object.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use fairshare_protocol::control::{Failure, Step};
use fairshare_protocol::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

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
        };
        show(&mut page);
        page.text
    }

    /// Says on stderr why something was not done; as JSON on stdout too, if that was asked for.
    pub fn failure(self, failure: &Failure) {
        if self.json {
            let object = serde_json::json!({ "failed": failure });
            print(&format!("{object}\n"));
        }
        let mut text = format!("error: {}\n", failure.fact);
        if !failure.remedy.is_empty() {
            let _ = writeln!(text, "  try: {}", failure.remedy);
        }
        // Nobody reads it: nothing is to be done.
        let _ = io::stderr().write_all(text.as_bytes());
    }
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
        let _ = writeln!(self.text, "{text}");
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
            self.line(format_args!("{name}  {value}"));
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
            // A reader that is a program gets whole lines.
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(head.iter().map(|name| {
            Cell::new(name)
                .add_attribute(Attribute::Bold)
                .fg(Color::DarkGrey)
        }));
        for row in rows {
            table.add_row(row);
        }
        let columns = table.column_count();
        for (at, column) in table.column_iter_mut().enumerate() {
            let right = if at + 1 == columns { 0 } else { 2 };
            column.set_padding((0, right));
        }
        for line in table.lines() {
            self.line(line.trim_end());
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

/// Progress on a terminal's stderr; nothing elsewhere.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    unit: String,
}

impl Bar {
    /// A bar that shows nothing until the first step.
    pub fn new(output: Output) -> Self {
        let shown = !output.json && !output.silent && io::stderr().is_terminal();
        Self {
            bar: shown.then(|| ProgressBar::new(0).with_style(ProgressStyle::default_spinner())),
            unit: String::new(),
        }
    }

    /// Shows a step: how much is done, how fast, and how long the rest will take.
    pub fn show(&mut self, step: &Step) {
        let Some(bar) = &self.bar else { return };
        let done = match step.unit.as_str() {
            "bytes" => bytes(step.done),
            unit => format!("{} {unit}", count(step.done)),
        };
        if self.unit != step.unit {
            // Another kind of work: its speed says nothing of this one's.
            self.unit.clone_from(&step.unit);
            bar.reset();
            let rate = if step.unit == "bytes" {
                "{binary_bytes_per_sec}"
            } else {
                "{per_sec}"
            };
            let style = match step.total {
                Some(_) => ProgressStyle::with_template(&format!(
                    "{{msg}} {{wide_bar}} {{percent:>3}} %, {rate}, {{eta}} left"
                )),
                None => ProgressStyle::with_template(&format!("{{spinner}} {{msg}}, {rate}")),
            };
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
        if let Some(total) = step.total {
            bar.set_length(total);
        }
        bar.set_message(format!("{} {done}", step.what));
        bar.set_position(step.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page {
            text: String::new(),
            colour: false,
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
