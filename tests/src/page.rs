//! Command pages: Markdown that reads as the manual and runs as a test.
//!
//! What stands in a `console` block after `$ ` is run by `sh` in a fresh directory, with `fairshare`
//! on the path; what stands below it is what it prints, stdout before stderr. `[..]` stands for
//! anything within a line, a line `...` for any lines, and a last line `[exit 2]` for another exit
//! code than 0; spaces between columns count as one. A comment `<!-- needs: node -->` at the head says what is there beforehand:
//! `nothing`; a `home`; a running `node`; the homes of two stewards-to-be, `rh8` and `l83024`;
//! the homes of two `stewards` and of a third member, `912`, whose nodes do not run; or a
//! `federation` of three whose nodes run, with `person.txt`, whom all three hold.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::harness::federation::{Federation, held_by};
use crate::harness::{Site, fairshare};

/// One command of a page, and what it shall print.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
    exit: i32,
}

/// What a page finds when it begins.
#[derive(Debug)]
pub enum Place {
    /// One home, or none.
    Alone(Site),
    /// Three nodes that run; pages share them.
    Federation(Federation),
}

impl Place {
    /// The place a page of this need finds.
    pub fn new(need: &str) -> Self {
        let mut site = Site::new();
        match need {
            "federation" => {
                let federation = Federation::found("info");
                federation.import(2000);
                federation.match_all();
                let person = federation.sites[0].dir().join("person.txt");
                fs::write(person, held_by("RH8")[25].lines()).unwrap();
                return Self::Federation(federation);
            }
            "homes" => {
                site.init("rh8", "RH8", "acute-trust", "Royal Devon");
                site.init("l83024", "L83024", "gp-practice", "Mount Pleasant");
                let agreement = "We show each other what we hold.\n";
                fs::write(site.dir().join("agreement.txt"), agreement).unwrap();
            }
            "stewards" => stewards(&site),
            "home" | "node" => {
                site.init("home", "RH8", "acute-trust", "Royal Devon");
            }
            _ => {}
        }
        if need == "node" {
            site.start();
        }
        Self::Alone(site)
    }

    fn site(&self) -> &Site {
        match self {
            Self::Alone(site) => site,
            Self::Federation(federation) => &federation.sites[0],
        }
    }
}

/// Two organisations that found a federation together and admit a third, by files.
fn stewards(site: &Site) {
    site.init("rh8", "RH8", "acute-trust", "Royal Devon");
    let other = site.init("l83024", "L83024", "gp-practice", "Mount Pleasant");
    site.init("912", "912", "adult-social-care", "Devon Council");
    let agreement = "We show each other what we hold.\n";
    fs::write(site.dir().join("agreement.txt"), agreement).unwrap();
    let of = |home: &'static str| {
        move |arguments: &[&str]| {
            let all: Vec<&str> = ["--home", home].iter().chain(arguments).copied().collect();
            site.json(&all)
        }
    };
    let [rh8, l83024, council] = ["rh8", "l83024", "912"].map(of);
    let other = format!("L83024={other}");
    let found = [
        "federation",
        "found",
        "--name",
        "Devon",
        "--agreement",
        "agreement.txt",
    ];
    rh8(&[&found[..], &["--steward", &other]].concat());
    l83024(&["federation", "sign", "charter.txt"]);
    rh8(&["federation", "sign", "charter.txt"]);
    let link = rh8(&["federation", "show"])["invitation"].clone();
    rh8(&["join"]);
    l83024(&["join"]);
    council(&["join", link.as_str().unwrap()]);
    for code in ["RH8", "L83024", "912"] {
        rh8(&["admit", &format!("join-{code}.txt"), "--yes"]);
        l83024(&["admit", &format!("admission-{code}.txt"), "--yes"]);
        rh8(&["join", "--welcome", &format!("welcome-{code}.txt")]);
    }
    council(&["join", "--welcome", "welcome-912.txt"]);
}

/// What a page needs.
pub fn need(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let head = text
        .lines()
        .find_map(|line| line.strip_prefix("<!-- needs: "));
    let need = head.and_then(|line| line.strip_suffix(" -->"));
    need.unwrap_or("nothing").to_owned()
}

/// Runs a page.
///
/// # Errors
/// A description of every step that printed something else.
pub fn run(path: &Path, place: &Place) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let steps = steps(&text);
    if steps.is_empty() {
        return Err(format!("{name}: nothing to run"));
    }
    let mut wrong = String::new();
    for step in steps {
        let output = shell(place.site(), &step.command);
        let printed = [&output.stdout[..], &output.stderr[..]].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let lines: Vec<&str> = printed.lines().collect();
        let expected: Vec<&str> = step.expected.iter().map(String::as_str).collect();
        let code = output.status.code().unwrap_or(-1);
        if code != step.exit || !matches(&expected, &lines) {
            let Step {
                line,
                command,
                exit,
                ..
            } = step;
            wrong += &format!(
                "{name}:{line}: $ {command}\nexit {code}, expected {exit}; it printed:\n{printed}\n"
            );
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn shell(site: &Site, line: &str) -> Output {
    let binary = fairshare().parent().unwrap_or(Path::new("/"));
    let mut command = site.environment("sh");
    command.args(["-c", line]);
    command.env("PATH", format!("{}:/usr/bin:/bin", binary.display()));
    command.output().unwrap()
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: at + 1,
                command: command.to_owned(),
                expected: Vec::new(),
                exit: 0,
            });
        } else if let Some(step) = steps.last_mut() {
            if step.command.ends_with('\\') {
                step.command.push('\n');
                step.command
                    .push_str(line.strip_prefix("> ").unwrap_or(line));
                continue;
            }
            let exit = line
                .strip_prefix("[exit ")
                .and_then(|rest| rest.strip_suffix(']'));
            match exit.and_then(|code| code.parse().ok()) {
                Some(code) => step.exit = code,
                None => step.expected.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Whether lines are as expected; blank lines at the end count for nothing.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match expected {
        [] => lines.iter().all(|line| line.trim().is_empty()),
        ["...", rest @ ..] => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        [line, rest @ ..] if line.trim().is_empty() && lines.is_empty() => matches(rest, lines),
        [line, rest @ ..] => match lines {
            [first, others @ ..] => line_matches(line, first) && matches(rest, others),
            [] => false,
        },
    }
}

/// Columns are as wide as what happens to stand in them, so spaces count as one.
fn line_matches(expected: &str, line: &str) -> bool {
    let (expected, line) = (single(expected), single(line));
    let mut parts = expected.trim_end().split("[..]");
    let Some(mut left) = parts
        .next()
        .and_then(|first| line.trim_end().strip_prefix(first))
    else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return left.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn single(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    indent + &line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_what_they_say_and_no_more() {
        assert!(line_matches("a[..]c[..]", "abbc d"));
        assert!(line_matches("head [..], checked", "head 0a1b, checked"));
        assert!(!line_matches("a[..]c", "abcd"));
        assert!(!line_matches("abc", "abcd"));
        assert!(line_matches("CODE    NAME", "CODE NAME"));
        assert!(!line_matches("  indented", "indented"));
        assert!(matches(&["a", "...", "d"], &["a", "b", "c", "d", ""]));
        assert!(matches(&["..."], &[]));
        assert!(!matches(&["a"], &["a", "b"]));
        assert!(!matches(&["a", "b"], &["a"]));
    }

    #[test]
    fn a_page_is_prose_and_steps() {
        let text = "Prose\n```console\n$ one \\\n> two\nout\n\n$ three\n[exit 2]\n```\n```toml\n$ no\n```\n";
        let found = steps(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].command, "one \\\ntwo");
        assert_eq!(found[0].expected, ["out", ""]);
        assert_eq!((found[1].exit, found[1].line), (2, 7));
    }
}
