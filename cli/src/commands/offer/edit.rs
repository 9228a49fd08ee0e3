//! `fairshare offer edit`

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fairshare_node::offer_file::{self, Mistake};
use fairshare_protocol::control::offer::{OfferReport, PublishOffer, ShowOffer};
use fairshare_protocol::control::preview::PreviewOffer;
use fairshare_protocol::control::roster::Members;
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::offer::Offer;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::diff::{self, Compared};
use super::{preview, reason, show_published};
use crate::client::Client;
use crate::questions::Questions;
use crate::signing::say;

/// Change the offer in an editor, see what that changes, and publish it
///
/// Opens a copy of the offer's file in $VISUAL or $EDITOR (vi if neither is set). What is saved is
/// checked; a mistake is named with its line, and can be edited again. Then it is shown what
/// publishing would change, and it can be published, for a reason that is asked for, or left for
/// later. Nothing takes effect before it is published, and nothing that was edited is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  $ fairshare offer edit
  $ EDITOR=nano fairshare offer edit --file draft-offer.toml")]
pub struct Edit {
    /// The offer's file [default: offer.toml in the home]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Edit {
    pub async fn run(self, client: &Client) -> Result<u8, Failure> {
        let file = self.file;
        let file = file.unwrap_or_else(|| client.home().join("offer.toml"));
        let questions = Questions::begin(false);
        let there = io::stdout().is_terminal() && !client.output.json();
        let questions = questions.filter(|_| there).ok_or_else(|| {
            let fact = "there is no terminal to edit the offer at";
            let remedy = format!(
                "change {} with any program, look at it with `fairshare offer diff` and `fairshare \
                 offer preview --file FILE`, and publish it: `fairshare offer publish --reason WORDS`",
                file.display()
            );
            Failure::new(WRONG, fact, remedy)
        })?;
        // Whether there is anybody to publish it to, before anything is edited.
        client.ask(Members {}).await?;
        let report = client.ask(ShowOffer { member: None }).await?;
        let draft = Arc::new(Draft::begin(file, &report, &questions)?);
        let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
        // On a thread of its own: it waits for the person, and an interrupt must not wait for them.
        let editing = edit(client.clone(), Arc::clone(&draft), questions);
        let runtime = Handle::current();
        let editing = tokio::task::spawn_blocking(move || runtime.block_on(editing));
        tokio::pin!(editing);
        loop {
            tokio::select! {
                done = &mut editing => return done.map_err(|error| failed(&error))?,
                _ = interrupts.recv() => if !draft.in_editor.load(Ordering::Relaxed) {
                    return Err(draft.kept(REFUSED, "called off".to_owned()));
                },
            }
        }
    }
}

/// Has the draft edited until it is published, or left.
async fn edit(client: Client, draft: Arc<Draft>, questions: Questions) -> Result<u8, Failure> {
    let mut look = true;
    loop {
        if std::mem::replace(&mut look, true) {
            draft.in_editor()?;
        }
        let (text, offer) = match draft.read() {
            Ok(read) => read,
            Err(mistake) => {
                say(&format!("\n{mistake}\n"));
                if !questions.yes("Edit it again?")? {
                    return Err(draft.kept(WRONG, mistake));
                }
                continue;
            }
        };
        let compared = Compared::with_published(&client, &offer).await?;
        if compared.published.as_ref() == Some(&offer) {
            // Comments may have changed, or the file was another than what is published.
            draft.unchanged()?;
            draft.done(&text)?;
            let file = draft.file.display();
            let output = client.output;
            output.tell(|page| {
                page.line("This is what is published already: there is nothing to publish.");
                page.line(format_args!("{file} is as you left it."));
            });
            return Ok(0);
        }
        client.output.tell(|page| {
            page.gap();
            diff::show(page, &compared);
        });
        match questions.ask::<Next>("What now?", NEXT)? {
            Next::Edit => continue,
            Next::Leave => {
                let path = draft.path.display();
                client.output.tell(|page| {
                    page.line(format_args!(
                        "Nothing was published. What you edited is kept in {path}: `fairshare offer \
                         edit` goes on with it."
                    ));
                });
                return Ok(0);
            }
            Next::See => {
                let question = PreviewOffer {
                    offer: Some(offer),
                    member: None,
                };
                let report = client.ask(question).await?;
                client.output.tell(|page| {
                    page.gap();
                    preview::show(page, &report);
                });
                look = false;
                continue;
            }
            Next::Publish => {}
        }
        draft.unchanged()?;
        let reason = Some(reason(&questions)?);
        let now = client.ask(ShowOffer { member: None }).await?.published;
        if now != compared.published {
            say("\nAnother offer was published meanwhile: this is what yours changes now.\n");
            look = false;
            continue;
        }
        let published = client.ask(PublishOffer { offer, reason }).await;
        let published = published.map_err(|mut failure| {
            let kept = format!("what you edited is kept in {}", draft.path.display());
            failure.remedy = match failure.remedy.as_str() {
                "" => kept,
                remedy => format!("{remedy}; {kept}"),
            };
            failure
        })?;
        let output = &client.output;
        output.tell(|page| show_published(page, &published));
        draft.done(&text)?;
        return Ok(0);
    }
}

const NEXT: &str = "\
publish: publish it
edit: edit it again
see: see what each member would see of what is held now
leave: leave it for later";

/// What becomes of an offer that has no mistake.
enum Next {
    Publish,
    Edit,
    See,
    Leave,
}

impl FromStr for Next {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, &'static str> {
        match word {
            "publish" | "p" => Ok(Self::Publish),
            "edit" | "e" => Ok(Self::Edit),
            "see" | "s" => Ok(Self::See),
            "leave" | "l" => Ok(Self::Leave),
            _ => Err("publish, edit, see or leave"),
        }
    }
}

/// What is edited: a copy beside the offer's file, there until it is published.
struct Draft {
    file: PathBuf,
    /// What the file says; none if it is not there.
    before: Option<String>,
    path: PathBuf,
    in_editor: AtomicBool,
}

impl Draft {
    /// A new one, or one that was left.
    fn begin(file: PathBuf, report: &OfferReport, questions: &Questions) -> Result<Self, Failure> {
        let before = text(&file)?;
        let usual = || {
            let usual = Offer::default_for(report.kind);
            let offer = report.published.as_ref().unwrap_or(&usual);
            offer_file::text(offer, &report.member, report.kind)
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let beside = |ending: &str| file.with_file_name(format!("{name}.{ending}.toml"));
        let path = beside("edited");
        if path.exists() {
            let what = format!(
                "{} is there, edited and not published. Go on with it?",
                path.display()
            );
            if !questions.yes(&what)? {
                let mut numbers = 1..;
                let free = numbers.find_map(|number: u32| {
                    let other = beside(&format!("edited-{number}"));
                    (!other.exists()).then_some(other)
                });
                let other = free.unwrap_or_else(|| beside("edited-before"));
                fs::rename(&path, &other).map_err(|error| cannot(&path, &error))?;
                say(&format!("\nIt is kept as {}.\n", other.display()));
            }
        }
        let mut new = OpenOptions::new();
        match new.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut copy) => {
                let text = before.clone().unwrap_or_else(usual);
                let written = copy.write_all(text.as_bytes());
                written.map_err(|error| cannot(&path, &error))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(&path, &error)),
        }
        Ok(Self {
            file,
            before,
            path,
            in_editor: AtomicBool::new(false),
        })
    }

    /// Has it edited.
    fn in_editor(&self) -> Result<(), Failure> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let editor = set("VISUAL").or_else(|| set("EDITOR"));
        let editor = editor.unwrap_or_else(|| OsString::from("vi"));
        let mut command = OsString::from(&editor);
        // It may have arguments: so the shell reads it, and the file's name is not read by it.
        command.push(" \"$1\"");
        self.in_editor.store(true, Ordering::Relaxed);
        let mut shell = Command::new("sh");
        let ended = shell.arg("-c").arg(command).arg("sh").arg(&self.path);
        let ended = ended.status();
        self.in_editor.store(false, Ordering::Relaxed);
        let editor = editor.to_string_lossy();
        let fact = match ended {
            // Editors write another file in its place, with a mode of their own.
            Ok(status) if status.success() => {
                let shut = fs::set_permissions(&self.path, Permissions::from_mode(0o600));
                return shut.map_err(|error| cannot(&self.path, &error));
            }
            Ok(status) => format!("the editor `{editor}` failed: {status}"),
            Err(error) => format!("the editor `{editor}` does not start: {error}"),
        };
        let remedy = format!(
            "name another editor in EDITOR; what was edited is kept in {}: `fairshare offer edit` \
             goes on with it",
            self.path.display()
        );
        Err(Failure::new(WRONG, fact, remedy))
    }

    /// What it says; or what is wrong with it, where, and what to do.
    fn read(&self) -> Result<(String, Offer), String> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path).map_err(|error| format!("{path}: {error}"))?;
        match offer_file::parse(&text) {
            Ok(offer) => Ok((text, offer)),
            Err(Mistake { line, fact, remedy }) => {
                let says = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                let says = match says.trim() {
                    "" => String::new(),
                    says => format!("\n  {line} | {says}"),
                };
                Err(format!(
                    "{path}, line {line}: {fact}{says}\n  try: {remedy}"
                ))
            }
        }
    }

    /// Fails if somebody changed the offer's file meanwhile: it is about to be written over.
    fn unchanged(&self) -> Result<(), Failure> {
        if text(&self.file)? == self.before {
            return Ok(());
        }
        let fact = format!("{} was changed meanwhile", self.file.display());
        Err(self.kept(REFUSED, fact))
    }

    /// The offer's file says what the draft said, and there is no draft.
    fn done(&self, text: &str) -> Result<(), Failure> {
        // Written over, not replaced: whose it is and who may read it stays as it is.
        let written = fs::write(&self.file, text);
        written.map_err(|error| cannot(&self.file, &error))?;
        fs::remove_file(&self.path).map_err(|error| cannot(&self.path, &error))
    }

    /// Nothing was published, for that reason, and nothing is lost.
    fn kept(&self, code: u8, fact: String) -> Failure {
        let remedy = format!(
            "nothing was published; what you edited is kept in {}: `fairshare offer edit` goes on \
             with it",
            self.path.display()
        );
        Failure::new(code, fact, remedy)
    }
}

/// What a file says; none if it is not there.
fn text(file: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot(file, &error)),
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let fact = format!("{}: {error}", path.display());
    let remedy = "use the user the node runs as, or name another file with --file";
    Failure::new(WRONG, fact, remedy)
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    let fact = format!("the offer cannot be edited here: {error}");
    Failure::new(WRONG, fact, "this is a fault of the program: report it")
}
