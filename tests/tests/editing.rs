//! An information officer changes what is shown, at a terminal: what is asked for, what is said, and
//! that nothing that was edited is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::until;
use fairshare_tests::harness::terminal::Terminal;

/// A trust whose node runs, with the offer it founded a federation with.
fn trust() -> Site {
    let mut trust = Site::new();
    trust.init("home", "RH8", "acute-trust", "Royal Devon");
    fs::write(trust.dir().join("dsa.txt"), "We show each other.\n").unwrap();
    let found = ["federation", "found", "--name", "Devon"];
    trust.ok(&[&found[..], &["--agreement", "dsa.txt"]].concat());
    trust.start();
    trust
}

fn terminal(site: &Site, arguments: &[&str]) -> Terminal {
    let mut command = site.command(arguments);
    command.env_remove("VISUAL");
    // An editor with an argument: what it does is in this script.
    command.env(
        "EDITOR",
        format!("sh {}", site.dir().join("edits.sh").display()),
    );
    Terminal::start(command)
}

/// What the editor does next.
fn edits(site: &Site, script: &str) {
    fs::write(site.dir().join("edits.sh"), format!("set -e\n{script}\n")).unwrap();
}

fn offer(site: &Site) -> PathBuf {
    site.home().join("offer.toml")
}

fn draft(site: &Site) -> PathBuf {
    site.home().join("offer.edited.toml")
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

/// Whether this node's own journal has these words.
fn journaled(site: &Site, words: &str) -> bool {
    let files = fs::read_dir(site.home().join("journal")).unwrap();
    let mut texts = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    texts.any(|text| text.windows(words.len()).any(|at| at == words.as_bytes()))
}

fn as_published(site: &Site) -> bool {
    site.json(&["offer", "show"])["as_published"] == true
}

const NO_RETURN: &str = "sed -i 's/^show-in-return = true/show-in-return = false/' \"$1\"";

#[test]
fn publish_asks_for_a_reason_where_somebody_can_answer() {
    let site = trust();
    // Nothing changes: nothing is asked.
    let (code, shown) = terminal(&site, &["offer", "publish"]).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("is what is published already"), "{shown}");

    let text = read(offer(&site));
    let text = text.replace("show-in-return = true", "show-in-return = false");
    fs::write(offer(&site), text).unwrap();
    let mut asked = terminal(&site, &["offer", "publish"]);
    asked.until("Why does the offer change?\n");
    asked.until("without anything that names a patient\n> ");
    asked.types("");
    asked.until("> ");
    asked.types("the pilot is over");
    let (code, shown) = asked.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("is published. Other members"), "{shown}");
    assert!(journaled(&site, ": the pilot is over") && as_published(&site));
    // A number that may be somebody's is kept by nobody.
    fs::write(
        offer(&site),
        read(offer(&site)).replace("= false", "= true"),
    )
    .unwrap();
    let mut asked = terminal(&site, &["offer", "publish"]);
    asked.until("> ");
    asked.types("for 999 000 1235");
    let (code, shown) = asked.end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("the reason has a number in it"), "{shown}");
    assert!(!as_published(&site) && !journaled(&site, "999 000 1235"));
    // As JSON nothing is asked for, terminal or not.
    let (code, shown) = terminal(&site, &["offer", "publish", "--json"]).end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("nobody said why"), "{shown}");
}

#[test]
fn an_edited_offer_is_checked_shown_and_published_for_a_reason() {
    let site = trust();
    let before = read(offer(&site));
    edits(
        &site,
        "stat -c %a \"$1\" > mode; sed -i 's/^medications = /medicines = /' \"$1\"",
    );
    let mut edit = terminal(&site, &["offer", "edit"]);
    let told = edit.until("Edit it again? [y/N] ");
    let line = before
        .lines()
        .position(|line| line.starts_with("medications = "));
    let says = format!("offer.edited.toml, line {}: ", line.unwrap() + 1);
    assert!(told.contains(&says), "{told}");
    assert!(
        told.contains("| medicines = {") && told.contains("\n  try: "),
        "{told}"
    );
    assert_eq!(read(site.dir().join("mode")), "600\n");
    edits(
        &site,
        &format!("sed -i 's/^medicines = /medications = /' \"$1\"; {NO_RETURN}"),
    );
    edit.types("y");
    let told = edit.until("What now?\n");
    assert!(told.contains("show-in-return  any"), "{told}");
    assert!(told.contains("narrows"), "{told}");
    edit.until("> ");
    edit.types("see");
    edit.until("Under this offer, which is not published,");
    edit.until("What now?");
    assert_eq!(read(offer(&site)), before, "nothing is done yet");
    edit.until("> ");
    edit.types("p");
    edit.until("Why does the offer change?");
    edit.until("> ");
    edit.types("a pilot with the council");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("is published. Other members"), "{shown}");
    assert!(journaled(&site, ": a pilot with the council") && as_published(&site));
    assert!(!draft(&site).exists());
    let after = before.replace("show-in-return = true", "show-in-return = false");
    assert_eq!(read(offer(&site)), after);

    // A comment changes nothing that is published; it is kept all the same.
    edits(&site, "echo '# seen by the DPO' >> \"$1\"");
    let (code, shown) = terminal(&site, &["offer", "edit"]).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("there is nothing to publish"), "{shown}");
    assert!(read(offer(&site)).ends_with("# seen by the DPO\n") && !draft(&site).exists());
    // A file that is not there yet begins as what is published.
    edits(&site, "grep -q '^show-in-return = false' \"$1\"");
    let (code, shown) = terminal(&site, &["offer", "edit", "--file", "new.toml"]).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(site.dir().join("new.toml").exists());
}

#[test]
fn nothing_that_was_edited_is_lost() {
    let site = trust();
    let before = read(offer(&site));
    let kept = |shown: &str| {
        assert!(
            shown.contains("offer.edited.toml: `fairshare offer edit`"),
            "{shown}"
        );
        assert_eq!(read(offer(&site)), before);
        let mode = fs::metadata(draft(&site)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    };
    // Given up at a mistake. The editor writes another file in its place, which all may read.
    edits(
        &site,
        "cp \"$1\" x; chmod 644 x; echo oops >> x; mv x \"$1\"",
    );
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("Edit it again? [y/N] ");
    edit.types("");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(2), "{shown}");
    kept(&shown);
    assert!(read(draft(&site)).ends_with("oops\n"));

    // Gone on with, corrected, and left.
    edits(&site, &format!("sed -i '$d' \"$1\"; {NO_RETURN}"));
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("Go on with it? [y/N] ");
    edit.types("y");
    edit.until("What now?");
    edit.until("> ");
    edit.types("leave");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(0), "{shown}");
    kept(&shown);

    // An editor that fails.
    edits(&site, "exit 3");
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("Go on with it? [y/N] ");
    edit.types("y");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("failed: exit status: 3"), "{shown}");
    kept(&shown);

    // An interrupt is the editor's while it is there; then it calls the command off.
    edits(
        &site,
        "touch ready; while test -e ready; do sleep 0.1; done",
    );
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("Go on with it? [y/N] ");
    edit.types("y");
    let ready = site.dir().join("ready");
    until("the editor is there", || ready.exists());
    let pid = edit.pid().to_string();
    let interrupt = || {
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        )
    };
    interrupt();
    fs::remove_file(&ready).unwrap();
    edit.until("What now?");
    edit.until("> ");
    interrupt();
    let (code, shown) = edit.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("error: called off"), "{shown}");
    kept(&shown);

    // Begun anew: what was left is put aside.
    edits(&site, "true");
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("Go on with it? [y/N] ");
    edit.types("n");
    edit.until("It is kept as ");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(0), "{shown}");
    let aside = read(site.home().join("offer.edited-1.toml"));
    assert!(aside.contains("show-in-return = false"));
    assert!(!draft(&site).exists());

    // Somebody else changes the file meanwhile: neither's work is written over.
    edits(&site, NO_RETURN);
    let mut edit = terminal(&site, &["offer", "edit"]);
    edit.until("What now?");
    edit.until("> ");
    fs::write(offer(&site), format!("{before}# theirs\n")).unwrap();
    edit.types("publish");
    let (code, shown) = edit.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(
        shown.contains("offer.toml was changed meanwhile"),
        "{shown}"
    );
    assert!(read(offer(&site)).ends_with("# theirs\n"));
    assert!(read(draft(&site)).contains("show-in-return = false"));
}
