//! The demo's play: real nodes, real commands, records nobody needs to be afraid of.
//!
//! Three organisations (or those of a directory) found a federation, import, match, ask each other
//! and prove what they did. Everything claimed is held against the organisations' own files, read
//! here without their nodes. Whatever happens, the nodes end and their directory goes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fairshare_node::fhir::Rules;
use fairshare_node::import::day_of;
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::time::Timestamp;

use self::acts::Play;
use self::files::Files;
use self::report::Report;
use self::stage::{Seat, Stage, failed};
use crate::output::{Bar, Output, Tone, count};

mod acts;
mod files;
mod people;
mod process;
mod report;
mod stage;

/// The people of the demo are those of this seed.
const SEED: u64 = 2026;
/// How many organisations may take part.
const MANY: std::ops::RangeInclusive<usize> = 2..=6;
/// What a directory's name starts with, by kind.
const KINDS: [(&str, MemberKind); 3] = [
    ("acute", MemberKind::AcuteTrust),
    ("gp", MemberKind::GpPractice),
    ("la", MemberKind::AdultSocialCare),
];

/// Plays it, with the organisations found in `from` or with made-up ones.
///
/// # Errors
/// If it cannot be played to its end. What did not hold is in the report.
pub async fn play(from: Option<&Path>, output: Output) -> Result<Report, Failure> {
    let begun = Instant::now();
    // Outlives the stage: removed when the last node has ended.
    let directory = tempfile::Builder::new().prefix("fairshare-demo-").tempdir();
    let directory = directory.map_err(failed)?;
    let (cast, unknown) = match from {
        Some(from) => found(from)?,
        None => (made_up(directory.path())?, Vec::new()),
    };
    let said = from.map_or("Nobody in their records exists.".to_owned(), |from| {
        format!("Their records are those in {}.", from.display())
    });
    output.tell(|page| {
        let many = cast.len();
        page.line(format_args!(
            "{many} organisations, {many} nodes, on this machine. {said}"
        ));
        if !unknown.is_empty() {
            page.line(format_args!(
                "Left out, for they are not named like acute-RH8, gp-L83024 or la-912: {}.",
                unknown.join(", ")
            ));
        }
    });
    let files = read(&cast).await?;
    let mut stage = Stage::set(cast, directory.path()).await?;
    stage
        .federate("Demonstration", &mut Bar::new(output))
        .await?;
    let mut play = Play::new(stage, files, output);
    play.introduce();
    play.import().await?;
    play.find().await?;
    play.ask(directory.path()).await?;
    play.prove().await?;
    let (stage, mut report) = play.end();
    stage.stop().await?;
    directory.close().map_err(failed)?;
    report.seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    output.tell(|page| {
        page.gap();
        let word = match report.broken.len() {
            0 => page.tone(Tone::Good, "Everything held."),
            n => page.tone(
                Tone::Bad,
                &format!("{} things did not hold.", count(n as u64)),
            ),
        };
        let seconds = report.seconds;
        page.line(format_args!(
            "{word} The nodes are stopped and their homes removed. {seconds:.1} s."
        ));
        page.line("Next: \"For real: two organisations, two machines\" in the README.");
    });
    Ok(report)
}

/// The organisations whose files are in the sub-directories of `from`; the names of those that are
/// no organisation's.
fn found(from: &Path) -> Result<(Vec<Seat>, Vec<String>), Failure> {
    let wrong = |fact: String| {
        let remedy = "name two to six directories like acute-RH8, gp-L83024, la-912, with FHIR files in them";
        Failure::new(WRONG, fact, remedy)
    };
    let place = |error: std::io::Error| wrong(format!("{}: {error}", from.display()));
    let from = std::path::absolute(from).map_err(place)?;
    let mut cast: Vec<Seat> = Vec::new();
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(&from).map_err(place)? {
        let files = entry.map_err(place)?.path();
        if !files.is_dir() {
            continue;
        }
        let name = files.file_name().unwrap_or_default().to_owned();
        match seat(files) {
            Some(seat) => cast.push(seat),
            None => unknown.push(name.display().to_string()),
        }
    }
    unknown.sort();
    cast.sort_by(|a, b| a.files.cmp(&b.files));
    let mut codes: Vec<_> = cast.iter().map(|seat| &seat.ods).collect();
    codes.sort();
    if let Some(twice) = codes.windows(2).find(|two| two[0] == two[1]) {
        return Err(wrong(format!("{} is there twice", twice[0])));
    }
    if MANY.contains(&cast.len()) {
        return Ok((cast, unknown));
    }
    let many = cast.len();
    let left_out = match unknown.is_empty() {
        true => String::new(),
        false => format!("; left out, for their names: {}", unknown.join(", ")),
    };
    Err(wrong(format!(
        "{} has {many} directories of organisations{left_out}",
        from.display()
    )))
}

/// The organisation whose files are in a directory of that name.
fn seat(files: PathBuf) -> Option<Seat> {
    let (kind, ods) = files.file_name()?.to_str()?.split_once('-')?;
    let (_, kind) = KINDS.iter().find(|(word, _)| *word == kind)?;
    let ods: OdsCode = ods.parse().ok()?;
    let name = match kind {
        MemberKind::AcuteTrust => format!("Trust {ods}"),
        MemberKind::GpPractice => format!("Practice {ods}"),
        _ => format!("Council {ods}"),
    };
    Some(Seat {
        ods,
        kind: *kind,
        name,
        files,
    })
}

/// The three that do not exist, with their files.
fn made_up(directory: &Path) -> Result<Vec<Seat>, Failure> {
    let directory = directory.join("files");
    std::fs::create_dir(&directory).map_err(failed)?;
    people::write(&people::draw(SEED), SEED, &directory).map_err(failed)?;
    let seats = people::ORGANISATIONS.iter().map(|organisation| {
        Ok(Seat {
            ods: organisation.ods.parse().map_err(failed)?,
            kind: organisation.kind,
            name: organisation.name.to_owned(),
            files: directory.join(organisation.directory),
        })
    });
    seats.collect()
}

/// What everybody's files say.
async fn read(cast: &[Seat]) -> Result<Vec<Files>, Failure> {
    let today = day_of(Timestamp::from(std::time::SystemTime::now()));
    let mut all = Vec::new();
    for seat in cast {
        let directory = seat.files.clone();
        let rules = Rules::new(seat.kind == MemberKind::AdultSocialCare, today);
        let reading = tokio::task::spawn_blocking(move || Files::read(&directory, &rules));
        all.push(reading.await.map_err(failed)?.map_err(failed)?);
    }
    Ok(all)
}
