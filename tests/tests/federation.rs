//! A federation that governs itself, in real processes: seven members on a network that can be cut
//! in two.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fairshare_tests::harness::Site;
use fairshare_tests::harness::federation::about;
use fairshare_tests::harness::people::{self, Somebody};
use fairshare_tests::harness::town::{Part, Town};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::Value;

/// The first three are the stewards, of whom two must sign.
const MEMBERS: [[&str; 3]; 7] = [
    ["RH8", "acute-trust", "Royal Devon"],
    ["L83024", "gp-practice", "Mount Pleasant"],
    ["912", "adult-social-care", "Devon Council"],
    ["RDY", "mental-health-trust", "Dorset HealthCare"],
    ["L83099", "gp-practice", "Harbour Surgery"],
    ["L83100", "gp-practice", "Old Mill Surgery"],
    ["RK9", "acute-trust", "Plymouth Hospitals"],
];
const PARTS: [Part; 7] = [
    Part::East,
    Part::East,
    Part::West,
    Part::West,
    Part::East,
    Part::West,
    Part::East,
];

/// How long something may take that nodes do by themselves: they dial again within a minute.
const PATIENCE: Duration = Duration::from_secs(120);

fn until(what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(100));
    }
    begun.elapsed()
}

/// A node that is made, on the machine of that number.
fn made(town: &Town, machine: usize, who: [&str; 3]) -> (Site, String) {
    let mut site = Site::new();
    site.network = Some(town.machine(machine));
    let address = format!("{}:7440", Town::address(machine));
    let key = site.init_for("home", who, 5000, [&address, &address]);
    site.name_user();
    (site, key)
}

/// Three of the members found it and admit each other, by files.
fn found(sites: &mut [Site], keys: &[String]) -> String {
    let paper = |from: &Site, to: &Site, name: &str| {
        fs::copy(from.dir().join(name), to.dir().join(name)).unwrap();
    };
    fs::write(sites[0].dir().join("dsa.txt"), "We show each other.\n").unwrap();
    let others: Vec<String> = (1..3)
        .map(|n| format!("{}={}", MEMBERS[n][0], keys[n]))
        .collect();
    let mut command = vec![
        "federation",
        "found",
        "--name",
        "Devon",
        "--agreement",
        "dsa.txt",
    ];
    for other in &others {
        command.extend(["--steward", other]);
    }
    sites[0].ok(&command);
    paper(&sites[0], &sites[1], "charter.txt");
    sites[1].ok(&["federation", "sign", "charter.txt"]);
    for n in [0, 2] {
        paper(&sites[1], &sites[n], "charter.txt");
        sites[n].ok(&["federation", "sign", "charter.txt"]);
    }
    for site in &sites[..3] {
        site.ok(&["join"]);
    }
    for n in 0..3 {
        let code = MEMBERS[n][0];
        let [join, admission, welcome] =
            ["join", "admission", "welcome"].map(|it| format!("{it}-{code}.txt"));
        if n != 0 {
            paper(&sites[n], &sites[0], &join);
        }
        sites[0].ok(&["admit", &join, "--yes"]);
        paper(&sites[0], &sites[1], &admission);
        sites[1].ok(&["admit", &admission, "--yes"]);
        paper(&sites[1], &sites[0], &welcome);
        sites[0].ok(&["join", "--welcome", &welcome]);
        if n == 2 {
            paper(&sites[1], &sites[2], &welcome);
            sites[2].ok(&["join", "--welcome", &welcome]);
        }
    }
    let shown = sites[0].json(&["federation", "show"]);
    for site in &mut sites[..3] {
        site.start();
    }
    shown["invitation"].as_str().unwrap().to_owned()
}

/// What every node that runs says of everybody, without what differs by who says it.
fn roster(site: &Site) -> Value {
    let mut report = site.json(&["members"]);
    report["now"] = Value::Null;
    report["federation"]["invitation"] = Value::Null;
    for member in report["members"].as_array_mut().unwrap() {
        member["own"] = Value::Null;
    }
    report
}

fn all_agree(sites: &[&Site]) -> bool {
    let rosters: Vec<_> = sites.iter().map(|site| roster(site)).collect();
    rosters.windows(2).all(|pair| pair[0] == pair[1])
}

/// Some publish another offer than the default of their kind.
fn offer_otherwise(sites: &[Site]) {
    for (n, from, to) in [
        (1, "show-in-return = true", "show-in-return = false"),
        (
            2,
            "documents = { shows = [\"clinical\"]",
            "documents = { shows = [\"gp-practice\"]",
        ),
        (3, "opened-services = []", "opened-services = [\"hiv\"]"),
    ] {
        let file = sites[n].dir().join("home/offer.toml");
        let offer = fs::read_to_string(&file).unwrap();
        assert!(offer.contains(from), "{offer}");
        fs::write(&file, offer.replace(from, to)).unwrap();
        sites[n].ok(&["offer", "publish", "--reason", "as agreed"]);
    }
}

/// Whether each two of these compute the same terms between them, which are not those of any others.
fn same_terms(sites: &[Site], who: &[usize]) -> bool {
    let hash = |one: usize, other: usize| {
        let terms = sites[one].json(&["terms", MEMBERS[other][0]]);
        terms["hash"].as_str().unwrap().to_owned()
    };
    let pairs = who.iter().flat_map(|one| {
        let others = who.iter().filter(move |other| *other > one);
        others.map(move |other| (*one, *other))
    });
    let mut all = BTreeSet::new();
    let mut count = 0;
    pairs.into_iter().all(|(one, other)| {
        count += 1;
        let terms = hash(one, other);
        let same = terms == hash(other, one);
        all.insert(terms);
        same && all.len() == count
    })
}

/// The name, the version and the stewards of the charter, as every one of these nodes has it.
fn charter(sites: &[Site], who: &[usize]) -> Option<(String, u64, String)> {
    let shown = who.iter().map(|n| {
        let report = sites[*n].json(&["federation", "show"]);
        let name = report["name"].as_str().unwrap().to_owned();
        let version = report["version"].as_u64().unwrap();
        (name, version, report["stewards"].to_string())
    });
    let shown: BTreeSet<_> = shown.collect();
    let [one] = &Vec::from_iter(shown)[..] else {
        return None;
    };
    Some(one.clone())
}

fn status_of(site: &Site, code: &str) -> String {
    let members = roster(site)["members"].clone();
    let found = members
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["code"] == code);
    found.map_or_else(String::new, |it| it["status"].as_str().unwrap().to_owned())
}

/// One steward proposes, and another signs what its node heard: about a member, or `charter`.
fn decide(sites: &[Site], by: [usize; 2], motion: &[&str], about: &str) {
    let proposed = sites[by[0]].json(&[&["steward", "propose"], motion, &["--yes"]].concat());
    until("the proposal is heard", || {
        let status = sites[by[1]].json(&["steward", "status"]);
        status["proposals"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["proposal"] == proposed["proposal"])
    });
    let signed = sites[by[1]].json(&["steward", "sign", about, "--yes"]);
    assert_eq!(signed["decided"], true);
}

/// What a node says, healthy or not.
fn told(site: &Site, of: &str) -> Value {
    let said = site.command([of, "--json"]).output().unwrap();
    serde_json::from_slice(&said.stdout).unwrap()
}

fn up(site: &Site) -> Vec<String> {
    let peers = told(site, "peers");
    let peers = peers.as_array().unwrap().iter();
    let up = peers.filter(|it| it["connection"] == "up");
    up.map(|it| it["code"].as_str().unwrap().to_owned())
        .collect()
}

/// Everybody here asks everybody else here about somebody all look after, and is answered.
fn care(sites: &[Site], who: &[usize]) {
    let somebody = &Somebody::all(0..1)[0];
    for asker in who {
        let others = who.iter().filter(|it| *it != asker);
        let others: Vec<&str> = others.map(|n| MEMBERS[*n][0]).collect();
        until("they are connected", || {
            let up = up(&sites[*asker]);
            others.iter().all(|code| up.iter().any(|it| it == code))
        });
        let mut command = vec!["ask"];
        for code in &others {
            command.extend(["--from", code]);
        }
        let (_, asked) = about(&sites[*asker], &command, somebody);
        for code in &others {
            let peer = asked["peers"]
                .as_array()
                .unwrap()
                .iter()
                .find(|it| it["code"] == *code);
            let peer = peer.unwrap_or(&Value::Null);
            let asker = MEMBERS[*asker][0];
            assert!(peer["state"] == "delivered", "{asker} asks {code}: {peer}");
        }
    }
}

#[test]
fn seven_members_join_and_are_limited_removed_rekeyed_and_merged_and_all_agree() {
    let Some(town) = Town::new(&PARTS) else {
        return;
    };
    let made = |n: usize| made(&town, n, MEMBERS[n]);
    let (mut sites, keys): (Vec<Site>, Vec<String>) = (0..7).map(made).unzip();
    let invitation = found(&mut sites, &keys);

    // They join one by one: brought to one steward, signed by two, and in by themselves.
    for n in 3..7 {
        let code = MEMBERS[n][0];
        sites[n].ok(&["join", &invitation]);
        sites[n].start();
        let listed = |site: &Site| {
            let waiting = site.json(&["admissions"]);
            waiting
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["code"] == code)
        };
        until("the request is brought", || listed(&sites[0]));
        sites[0].ok(&["admit", code, "--yes"]);
        until("the other steward hears of it", || listed(&sites[2]));
        sites[2].ok(&["admit", code, "--yes"]);
        until("it is in", || {
            told(&sites[n], "status")["federation"]["standing"] == "admitted"
        });
    }
    let every: Vec<usize> = (0..7).collect();
    until("all agree", || all_agree(&sites.iter().collect::<Vec<_>>()));
    for site in &sites {
        let author = "x";
        people::write(site.dir(), "export", author, &Somebody::all(0..3), 200);
        site.ok(&["import", "export"]);
    }
    for site in &sites {
        until("all are connected", || up(site).len() == 6);
        site.json(&["match"]);
    }
    care(&sites, &every);
    offer_otherwise(&sites);
    until("all know the terms", || same_terms(&sites, &every));
    // The charter has another version, and nobody notices but by its name.
    let words = [
        "charter",
        "--name",
        "Devon and Cornwall",
        "--additions",
        "9000",
    ];
    decide(&sites, [1, 2], &words, "charter");
    until("it is theirs everywhere", || {
        let stewards = r#"["912","L83024","RH8"]"#.to_owned();
        charter(&sites, &every) == Some(("Devon and Cornwall".to_owned(), 2, stewards))
    });
    care(&sites, &every);

    // One is limited; it is asked and asks as before.
    let words = ["limit", "RDY", "--reason", "no round answered"];
    decide(&sites, [2, 1], &words, "RDY");
    // One is removed.
    let words = ["remove", "L83100", "--reason", "closed"];
    decide(&sites, [0, 2], &words, "L83100");
    let remaining = [0, 1, 2, 3, 4, 6];
    for n in remaining {
        until("it is removed everywhere", || {
            !up(&sites[n]).contains(&"L83100".to_owned())
                && status_of(&sites[n], "RDY") == "limited"
        });
    }
    care(&sites, &remaining);

    // One was robbed: somebody else runs its node, keys and all, and is believed.
    let somebody = &Somebody::all(0..1)[0];
    let (_, asked) = about(&sites[4], &["ask", "--from", "RH8"], somebody);
    assert_eq!(asked["peers"][0]["state"], "delivered", "{asked}");
    let machine = town.machine(5);
    sites[5].kill();
    let (mut fresh, _) = {
        let mut site = Site::new();
        site.network = Some(machine);
        let address = format!("{}:7440", Town::address(5));
        let key = site.init_for("home", MEMBERS[4], 5000, [&address, &address]);
        site.name_user();
        (site, key)
    };
    // Stewards have spoken of it once: this will be the second time.
    fresh.ok(&["join", &invitation, "--number", "2"]);
    fresh.start();
    until("its request is brought", || {
        sites[0]
            .json(&["admissions"])
            .to_string()
            .contains("L83099")
    });
    let words = ["key", "L83099", "--reason", "the server was stolen"];
    sites[0].ok(&[&["steward", "propose"], &words[..], &["--yes"]].concat());
    until("the proposal is heard", || {
        let open = sites[1].json(&["steward", "status"]);
        !open["proposals"].as_array().unwrap().is_empty()
    });
    sites[1].ok(&["steward", "sign", "L83099", "--yes"]);
    let spoken = Instant::now();
    let answers = |site: &Site| {
        let (_, asked) = about(site, &["ask"], somebody);
        let peers = asked["peers"].as_array().into_iter().flatten();
        peers.filter(|it| it["state"] == "delivered").count()
    };
    until("nobody answers the thief", || answers(&sites[4]) == 0);
    let took = spoken.elapsed();
    eprintln!("from the last signature until no member answers the stolen key: {took:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    until("the robbed member is in again", || {
        told(&fresh, "status")["federation"]["standing"] == "admitted"
    });
    let thief = std::mem::replace(&mut sites[4], fresh);
    let remaining = [0, 1, 2, 3, 4, 6];
    people::write(sites[4].dir(), "export", "x", &Somebody::all(0..3), 200);
    sites[4].ok(&["import", "export"]);
    until("it is connected", || up(&sites[4]).len() == 5);
    sites[4].json(&["match"]);
    care(&sites, &remaining);

    // Two merge.
    let words = [
        "succeed",
        "RH8",
        "--predecessor",
        "RK9",
        "--reason",
        "merged",
    ];
    decide(&sites, [1, 0], &words, "RH8");
    let remaining = [0, 1, 2, 3, 4];
    for n in remaining {
        until("they are merged everywhere", || {
            !up(&sites[n]).contains(&"RK9".to_owned())
        });
    }
    care(&sites, &remaining);

    // One leaves, by its own word. It was a steward; two of three still can sign.
    sites[2].ok(&["leave", "--reason", "reorganised", "--yes"]);
    let remaining = [0, 1, 3, 4];
    for n in remaining {
        until("it has left everywhere", || {
            !up(&sites[n]).contains(&"912".to_owned()) && status_of(&sites[n], "912") == "left"
        });
    }
    care(&sites, &remaining);

    // The network is cut in two; either side goes on among itself, and decides what it can.
    town.cut();
    // The robbed member came back on a machine of the other part.
    let sides = [[0, 1].as_slice(), &[3, 4]];
    let words = ["reinstate", "RDY", "--reason", "rounds are answered"];
    decide(&sites, [0, 1], &words, "RDY");
    // Who left is replaced as a steward by one that cannot hear of it yet; epochs get shorter.
    let words = ["charter", "--no-steward", "912", "--steward", "RDY"];
    let words = [&words[..], &["--epoch-days", "30"]].concat();
    decide(&sites, [0, 1], &words, "charter");
    // Restarted in an order nobody chose, while the line is cut.
    let mut order = remaining.to_vec();
    order.shuffle(&mut StdRng::seed_from_u64(7));
    for n in order {
        sites[n].stop();
        sites[n].start();
    }
    for side in sides {
        care(&sites, side);
    }
    assert_eq!(status_of(&sites[3], "RDY"), "limited");
    town.mend();
    until("all agree again", || {
        let all: Vec<&Site> = remaining.iter().map(|n| &sites[*n]).collect();
        all_agree(&all)
    });
    let stewards = r#"["L83024","RDY","RH8"]"#.to_owned();
    let now = charter(&sites, &remaining);
    assert_eq!(now, Some(("Devon and Cornwall".to_owned(), 3, stewards)));
    // The new steward's word counts.
    let words = ["limit", "L83099", "--reason", "no round answered"];
    decide(&sites, [3, 0], &words, "L83099");
    until("all agree on that, too", || {
        let all: Vec<&Site> = remaining.iter().map(|n| &sites[*n]).collect();
        all_agree(&all) && status_of(&sites[4], "L83099") == "limited"
    });
    until("all know the terms", || same_terms(&sites, &remaining));
    care(&sites, &remaining);
    drop(thief);
}
