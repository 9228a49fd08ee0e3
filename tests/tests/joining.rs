//! Founding, joining, admitting, offers and terms: with files, and between running nodes.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use fairshare_tests::harness::{Site, free_port};
use serde_json::Value;

const PHRASE: &str = "correct horse battery staple";

/// An organisation's node, made by `fairshare init`.
struct Organisation {
    site: Site,
    code: &'static str,
    /// Its organisation key.
    key: String,
}

impl Organisation {
    fn new(code: &'static str, kind: &str) -> Self {
        let site = Site::new();
        fs::write(site.dir().join("pass"), format!("{PHRASE}\n")).unwrap();
        fs::write(site.dir().join("dsa.txt"), "We share what care needs.").unwrap();
        let port = free_port().to_string();
        let address = format!("127.0.0.1:{port}");
        let name = format!("Organisation {code}");
        let mut arguments = vec!["init", "--ods", code, "--kind", kind, "--name", &name];
        arguments.extend(["--population", "5000", "--listen", &address]);
        arguments.extend(["--announce", &address, "--passphrase-file", "pass"]);
        arguments.extend(["--exchange-contact", "Desk <desk@example.org>, 01392 1"]);
        arguments.extend(["--guardian", "Dr A. Moss"]);
        let made = site.json(&arguments);
        let key = made["organisation"].as_str().unwrap().to_owned();
        Self { site, code, key }
    }

    /// A command that signs as the organisation.
    fn signing(&self, arguments: &[&str]) -> Value {
        self.site.json(&signed(arguments))
    }

    fn found(&self) -> Value {
        self.signing(&[
            "federation",
            "found",
            "--name",
            "Devon",
            "--agreement",
            "dsa.txt",
        ])
    }

    fn invitation(&self) -> String {
        let shown = self.site.json(&["federation", "show"]);
        shown["invitation"].as_str().unwrap().to_owned()
    }

    /// A file in another organisation's directory, as if it had been sent there.
    fn send(&self, file: &str, to: &Self) {
        fs::copy(self.site.dir().join(file), to.site.dir().join(file)).unwrap();
    }

    /// The roster without what tells whose node answers and when.
    fn members(&self) -> Vec<Value> {
        let report = self.site.json(&["members"]);
        let mut members = report["members"].as_array().unwrap().clone();
        for member in &mut members {
            member.as_object_mut().unwrap().remove("own");
        }
        members
    }

    fn terms(&self, peer: &str) -> Value {
        self.site.json(&["terms", peer])
    }
}

fn signed<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let with = ["--passphrase-file", "pass"];
    arguments.iter().copied().chain(with).collect()
}

/// The exit code and what it says on stderr.
fn failed(output: &Output) -> (i32, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), stderr)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(40),
            "not {what} in time"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn fingerprint(of: &Value) -> &str {
    of["fingerprint"].as_str().unwrap()
}

#[test]
fn an_organisation_joins_with_two_files_and_a_telephone_call() {
    let (trust, practice) = (
        Organisation::new("RH8", "acute-trust"),
        Organisation::new("L83024", "gp-practice"),
    );
    assert_eq!(trust.found()["status"], "admitted");
    let asked = practice.signing(&["join", &trust.invitation()]);
    // Asked again, the same request is shown: there is only one, and no passphrase is needed.
    let again = practice.site.json(&["join", &trust.invitation()]);
    assert_eq!(fingerprint(&again), fingerprint(&asked));
    assert_eq!(again["earlier"], true);
    practice.send("join-L83024.txt", &trust);

    let other = "12345 12345 12345 12345 12345 12345";
    let admit = ["admit", "join-L83024.txt", "--fingerprint", other];
    let (code, said) = failed(&trust.site.run(&signed(&admit)));
    assert_eq!(code, 3);
    assert!(
        said.contains(&format!("fingerprint is {}", fingerprint(&asked))),
        "{said}"
    );
    // Nobody at the terminal confirms that it was compared.
    let (code, said) = failed(&trust.site.run(&signed(&["admit", "join-L83024.txt"])));
    assert_eq!(code, 3);
    assert!(said.contains("L83024 was not admitted"), "{said}");
    assert_eq!(trust.members().len(), 1);

    let admit = [
        "admit",
        "join-L83024.txt",
        "--fingerprint",
        fingerprint(&asked),
    ];
    let admitted = trust.signing(&admit);
    assert_eq!(admitted["admitted"], true);
    trust.send("welcome-L83024.txt", &practice);
    let entered = practice
        .site
        .json(&["join", "--welcome", "welcome-L83024.txt"]);
    assert_eq!(
        (&entered["status"], &entered["members"]),
        (&"admitted".into(), &2.into())
    );
    assert_eq!(trust.members(), practice.members());
    assert_eq!(trust.terms("L83024")["hash"], practice.terms("RH8")["hash"]);

    let (code, said) = failed(&practice.site.run(&["join"]));
    assert_eq!(code, 2);
    assert!(said.contains("L83024 is a member already"), "{said}");
    let (code, _) = failed(
        &trust
            .site
            .run(&signed(&["admit", "join-L83024.txt", "--yes"])),
    );
    assert_eq!(code, 3);
    for home in [trust.site.home(), practice.site.home()] {
        assert!(
            fs::metadata(home.join("keys/organisation.key"))
                .unwrap()
                .mode()
                & 0o077
                == 0
        );
    }
}

#[test]
fn a_welcome_for_somebody_else_is_refused() {
    let (trust, practice) = (
        Organisation::new("RH8", "acute-trust"),
        Organisation::new("L83024", "gp-practice"),
    );
    trust.found();
    practice.signing(&["join", &trust.invitation(), "--out", "join.txt"]);
    practice.send("join.txt", &trust);
    trust.signing(&["admit", "join.txt", "--yes", "--out", "welcome.txt"]);
    let council = Organisation::new("912", "adult-social-care");
    trust.send("welcome.txt", &council);
    let (code, said) = failed(&council.site.run(&["join", "--welcome", "welcome.txt"]));
    assert_eq!(code, 3);
    assert!(said.contains("does not make 912 a member"), "{said}");
    // The invitation is no welcome, and half a welcome is none.
    fs::write(
        council.site.dir().join("invitation.txt"),
        trust.invitation(),
    )
    .unwrap();
    let (code, said) = failed(&council.site.run(&["join", "--welcome", "invitation.txt"]));
    assert_eq!(code, 2);
    assert!(
        said.contains("this is a Fairshare invitation, not a welcome"),
        "{said}"
    );
    let text = fs::read_to_string(council.site.dir().join("welcome.txt")).unwrap();
    fs::write(council.site.dir().join("half.txt"), &text[..text.len() / 2]).unwrap();
    let (code, said) = failed(&council.site.run(&["join", "--welcome", "half.txt"]));
    assert_eq!(code, 2);
    assert!(said.contains("cut short"), "{said}");
}

#[test]
fn two_stewards_found_a_federation_and_a_third_joins_over_the_network() {
    let mut trust = Organisation::new("RH8", "acute-trust");
    let mut practice = Organisation::new("L83024", "gp-practice");
    let mut council = Organisation::new("912", "adult-social-care");

    let steward = format!("L83024={}", practice.key);
    let mut found = vec![
        "federation",
        "found",
        "--name",
        "Devon",
        "--agreement",
        "dsa.txt",
    ];
    found.extend(["--steward", &steward]);
    let drafted = trust.signing(&found);
    assert_eq!(
        (&drafted["signed"], &drafted["needed"]),
        (&1.into(), &2.into())
    );
    trust.send("charter.txt", &practice);
    practice.signing(&["federation", "sign", "charter.txt"]);
    practice.send("charter.txt", &trust);
    trust.signing(&["federation", "sign", "charter.txt"]);

    // Each asks to join, and both sign both admissions.
    for (newcomer, other) in [(&trust, &practice), (&practice, &trust)] {
        let join = format!("join-{}.txt", newcomer.code);
        let sheet = format!("admission-{}.txt", newcomer.code);
        let welcome = format!("welcome-{}.txt", newcomer.code);
        newcomer.signing(&["join"]);
        let once = newcomer.signing(&["admit", &join, "--yes"]);
        assert_eq!(
            (&once["admitted"], &once["signed"][0]),
            (&false.into(), &newcomer.code.into())
        );
        newcomer.send(&sheet, other);
        let twice = other.signing(&["admit", &sheet, "--yes"]);
        assert_eq!(
            (&twice["admitted"], &twice["needed"]),
            (&true.into(), &2.into())
        );
        other.send(&welcome, newcomer);
        newcomer.site.ok(&["join", "--welcome", &welcome]);
    }

    for one in [&mut trust, &mut practice, &mut council] {
        one.site.start();
    }
    let asked = council.signing(&["join", &trust.invitation()]);
    assert_eq!(asked["brought"], true);
    eventually("brought", || {
        let waiting = trust.site.json(&["admissions"]);
        waiting
            .as_array()
            .unwrap()
            .iter()
            .any(|it| fingerprint(it) == fingerprint(&asked))
    });
    // Nothing is told to who is not admitted.
    let (code, said) = failed(&council.site.run(&["members"]));
    assert_eq!(code, 2);
    assert!(said.contains("waits to be admitted to"), "{said}");
    trust.signing(&["admit", "912", "--fingerprint", fingerprint(&asked)]);
    trust.send("admission-912.txt", &practice);
    let admit = [
        "admit",
        "admission-912.txt",
        "--fingerprint",
        fingerprint(&asked),
    ];
    assert_eq!(practice.signing(&admit)["admitted"], true);

    let all = [&trust, &practice, &council];
    eventually("known to all", || {
        let members = |one: &Organisation| {
            let known = one.site.run(&["members"]).status.success();
            known.then(|| one.members())
        };
        let seen: Vec<_> = all.iter().map(|one| members(one)).collect();
        let complete = |it: &Option<Vec<Value>>| {
            let nodes = it.iter().flatten().filter(|it| !it["node"].is_null());
            nodes.count() == 3
        };
        seen.iter().all(|it| complete(it) && *it == seen[0])
    });
    assert!(
        trust
            .site
            .json(&["admissions"])
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(council.terms("RH8")["hash"], trust.terms("912")["hash"]);
    assert_eq!(trust.terms("912")["terms"]["may_match"], true);

    // A changed offer is heard of by everybody, and both sides compute the same terms.
    let file = council.site.home().join("offer.toml");
    edit(&file, "show-in-return = true", "show-in-return = false");
    let published = council
        .site
        .json(&["offer", "publish", "--reason", "a test"]);
    assert_eq!(
        (&published["changed"], &published["members"]),
        (&true.into(), &2.into())
    );
    let narrowed = council.terms("RH8");
    assert_eq!(narrowed["terms"]["first_shows_in_return"], false);
    eventually("heard of", || {
        all[..2]
            .iter()
            .all(|one| one.terms("912")["terms"]["first_shows_in_return"] == false)
    });
    assert_eq!(trust.terms("912")["hash"], narrowed["hash"]);

    // What was learnt outlives a kill, and a changed address is published by itself.
    let before = trust.members();
    trust.site.kill();
    assert_eq!(trust.members(), before);
    let config = trust.site.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let announced = text.lines().find(|it| it.starts_with("announce")).unwrap();
    let more = announced.replace(']', ", \"/dns/new.example.org/tcp/7440\"]");
    edit(&config, announced, &more);
    trust.site.start();
    eventually("renewed", || {
        let members = council.members();
        let trust = members.iter().find(|it| it["code"] == "RH8").unwrap();
        let addresses = trust["contact"]["addresses"].as_array().unwrap();
        addresses
            .iter()
            .any(|it| it == "/dns/new.example.org/tcp/7440")
    });
    for one in [&mut trust, &mut practice, &mut council] {
        one.site.stop();
        one.site.ok(&["journal", "verify"]);
        let logs = one.site.logs();
        assert!(!logs.contains("ERROR") && !logs.contains(PHRASE), "{logs}");
    }
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_steward_takes_an_unwanted_request_off_the_list() {
    let mut trust = Organisation::new("RH8", "acute-trust");
    let mut practice = Organisation::new("L83024", "gp-practice");
    trust.found();
    trust.site.start();
    practice.signing(&["join", &trust.invitation()]);
    practice.site.start();
    let waiting = || trust.site.json(&["admissions"]).as_array().unwrap().len();
    eventually("brought", || waiting() == 1);
    practice.site.stop();
    let gone = trust.site.json(&["admissions", "--dismiss", "L83024"]);
    assert_eq!(gone["code"], "L83024");
    assert_eq!(waiting(), 0);
    let (code, said) = failed(&trust.site.run(&["admit", "L83024", "--yes"]));
    assert_eq!(code, 2);
    assert!(said.contains("no request of `L83024` is waiting"), "{said}");
}

#[test]
fn what_is_typed_wrong_at_init_leaves_no_home() {
    let site = Site::new();
    fs::write(site.dir().join("pass"), PHRASE).unwrap();
    fs::write(site.dir().join("short"), "eleven char").unwrap();
    let base = [
        ("--ods", "RH8"),
        ("--kind", "acute-trust"),
        ("--name", "Royal Devon"),
        ("--population", "5000"),
        ("--exchange-contact", "Desk"),
        ("--guardian", "Dr A. Moss"),
        ("--passphrase-file", "pass"),
    ];
    let init = |change: (&str, &str)| {
        let mut pairs: Vec<_> = base.to_vec();
        match pairs.iter_mut().find(|it| it.0 == change.0) {
            Some(pair) => pair.1 = change.1,
            None => pairs.push(change),
        }
        let pairs = pairs.iter().flat_map(|(name, value)| [*name, *value]);
        let arguments: Vec<_> = ["init"].into_iter().chain(pairs).collect();
        failed(&site.run(&arguments))
    };
    for (change, expected) in [
        (("--ods", "rh8"), "not an ODS code"),
        (
            ("--kind", "acute"),
            "known are: acute-trust, mental-health-trust",
        ),
        (("--population", "0"), "a population of 0"),
        (("--announce", "nowhere"), "has no port"),
        (("--dspt", "fine"), "`fine` is no DSPT status"),
        (("--passphrase-file", "short"), "fewer than 12 characters"),
        (("--passphrase-file", "none"), "none: No such file"),
        (("--guardian", "Dr <x"), "the `>` is missing"),
    ] {
        let (code, said) = init(change);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!site.home().join("config.toml").exists());
    }
    let (code, said) = init(("--dspt", "standards-met"));
    assert_eq!(code, 0, "{said}");
    let (code, said) = init(("--dspt", "standards-met"));
    assert_eq!(code, 2);
    assert!(said.contains("there is a node at"), "{said}");
}

#[test]
fn an_organisation_key_kept_elsewhere_is_asked_for_and_a_wrong_passphrase_is_told() {
    let site = Site::new();
    fs::write(site.dir().join("pass"), PHRASE).unwrap();
    fs::write(site.dir().join("wrong"), "another passphrase").unwrap();
    fs::write(site.dir().join("dsa.txt"), "x").unwrap();
    let mut init = vec!["init", "--ods", "RH8", "--kind", "acute-trust"];
    init.extend(["--name", "Royal Devon", "--population", "5000"]);
    init.extend(["--exchange-contact", "Desk", "--guardian", "Dr A. Moss"]);
    init.extend(["--org-key", "stick.key", "--passphrase-file", "pass"]);
    let made = site.json(&init);
    assert!(!site.home().join("keys/organisation.key").exists());
    let key = fs::read_to_string(site.dir().join("stick.key")).unwrap();
    assert!(key.starts_with("fairshare sealed organisation key v1 "));
    assert!(key.contains(made["organisation"].as_str().unwrap()));

    let found = [
        "federation",
        "found",
        "--name",
        "Devon",
        "--agreement",
        "dsa.txt",
    ];
    let with = |pass: &'static str| [&found[..], &["--passphrase-file", pass]].concat();
    let (code, said) = failed(&site.run(&with("wrong")));
    assert_eq!(code, 2);
    assert!(said.contains("the passphrase does not open"), "{said}");
    // Taken out of the machine: nothing can be signed, and the home says where it was.
    fs::rename(site.dir().join("stick.key"), site.dir().join("safe.key")).unwrap();
    let (code, said) = failed(&site.run(&with("pass")));
    assert_eq!(code, 2);
    assert!(said.contains("there is no organisation key at"), "{said}");
    let elsewhere = [&with("pass")[..], &["--org-key", "safe.key"]].concat();
    site.ok(&elsewhere);
}

#[test]
fn a_mistake_in_the_offer_is_told_with_its_line_and_nothing_is_published() {
    let trust = Organisation::new("RH8", "acute-trust");
    trust.found();
    let before = trust.site.json(&["offer", "show"]);
    assert_eq!(before["as_published"], true);
    let file = trust.site.home().join("offer.toml");
    edit(&file, "\nproblems = {", "\nproblmes = {");
    let text = fs::read_to_string(&file).unwrap();
    let line = text
        .lines()
        .position(|it| it.starts_with("problmes"))
        .unwrap()
        + 1;
    for command in ["show", "publish"] {
        let (code, said) = failed(&trust.site.run(&["offer", command]));
        assert_eq!(code, 2);
        assert!(
            said.contains(&format!("line {line}: `problmes` is not known here")),
            "{said}"
        );
        assert!(
            said.contains("try: known are: presence, demographics"),
            "{said}"
        );
    }
    edit(&file, "\nproblmes = {", "\nproblems = {");
    assert_eq!(trust.site.json(&["offer", "show"]), before);
    let unchanged = trust.site.json(&["offer", "publish"]);
    assert_eq!(unchanged["changed"], false);
}
