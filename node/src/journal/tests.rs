#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use fairshare_protocol::codec;
use fairshare_protocol::ids::{Fixed, Hash, MatchId, PersonId};
use fairshare_protocol::journal::{MAX_ENTRY, Outcome, commit_person};
use fairshare_protocol::time::DAY;

use super::*;

fn key() -> KeyPair {
    KeyPair::from_seed(&[7; 32])
}

fn open(dir: &Path) -> Result<(Journal, Opened), Error> {
    Journal::open(dir, "RH8".parse().unwrap(), key())
}

fn started() -> Act {
    Act::Started {
        member: "RH8".parse().unwrap(),
        node: key().public(),
        federation: None,
    }
}

fn refused(n: u64) -> Act {
    Act::Refused {
        peer: None,
        what: format!("number {n}"),
    }
}

/// A journal of three days with `n` entries a day after its start, closed again.
fn three_days(dir: &Path, n: u64) {
    let (journal, _) = open(dir).unwrap();
    let mut last = journal.append(started(), Timestamp(0)).unwrap();
    for at in 0..3 * n {
        last = journal
            .append(refused(at), Timestamp(at / n * DAY + at))
            .unwrap();
    }
    journal.commit(last).unwrap();
}

#[test]
fn what_was_appended_reads_back_after_closing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 400);
    let (journal, opened) = open(&dir).unwrap();
    assert_eq!((opened.verified.entries, opened.dropped), (1201, 0));
    assert_eq!((opened.verified.heads, opened.verified.vouched), (3, 1201));
    assert_eq!(opened.verified.node, Some(key().public()));
    assert_eq!(opened.verified.head, journal.chain().head);
    for from in [1, 2, 256, 257, 258, 700, 1201, 1202, 5000] {
        let numbers: Vec<u64> = journal
            .entries(from)
            .unwrap()
            .map(|entry| entry.unwrap().number)
            .collect();
        assert_eq!(numbers, (from..=1201).collect::<Vec<_>>(), "from {from}");
    }
    for name in [ENTRIES, HEADS] {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_entry_torn_at_any_byte_is_dropped_and_the_rest_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 1);
    let whole = fs::read(dir.join(ENTRIES)).unwrap();
    // As they were before it stopped: a crash signs no head.
    let heads = fs::read(dir.join(HEADS)).unwrap();
    let before = file::HEADER as usize;
    let heads = &heads[..before + (heads.len() - before) / 3 * 2];
    let last = ENTRY
        .frame(&codec::encode(&{
            let (journal, _) = open(&dir).unwrap();
            journal.entries(4).unwrap().next().unwrap().unwrap()
        }))
        .len();
    for cut in 1..last {
        // A hash that lacks its last three bytes or fewer is called damage, lest damage be dropped.
        for zeros in [0, 1, cut]
            .into_iter()
            .filter(|zeros| *zeros < cut || cut > 3)
        {
            let mut torn = whole[..whole.len() - cut].to_vec();
            torn.resize(torn.len() + zeros, 0);
            fs::write(dir.join(ENTRIES), &torn).unwrap();
            fs::write(dir.join(HEADS), heads).unwrap();
            let found = verify(&dir, None).unwrap();
            assert_eq!(found.entries, 3, "cut {cut}, {zeros} zeros");
            assert_eq!(found.unfinished as usize, last - cut + zeros);
            let (journal, opened) = open(&dir).unwrap();
            assert_eq!(opened.dropped as usize, last - cut + zeros);
            let again = journal.append(refused(9), Timestamp(2 * DAY)).unwrap();
            journal.commit(again).unwrap();
            drop(journal);
            assert_eq!(verify(&dir, None).unwrap().entries, 4);
        }
    }
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 2);
    for name in [ENTRIES, HEADS] {
        let whole = fs::read(dir.join(name)).unwrap();
        for at in 0..whole.len() {
            for bit in [1, 0x80] {
                let mut changed = whole.clone();
                changed[at] ^= bit;
                fs::write(dir.join(name), &changed).unwrap();
                assert!(verify(&dir, None).is_err(), "{name}, byte {at}");
                assert!(open(&dir).is_err(), "{name}, byte {at}, opening");
            }
        }
        fs::write(dir.join(name), &whole).unwrap();
    }
    verify(&dir, Some(&key().public())).unwrap();
}

#[test]
fn cutting_off_the_end_is_found_by_the_signed_head() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 2);
    let mut entries = Entries::open(&dir.join(ENTRIES)).unwrap();
    for _ in 0..4 {
        entries.step().unwrap().unwrap();
    }
    let file = OpenOptions::new()
        .write(true)
        .open(dir.join(ENTRIES))
        .unwrap();
    file.set_len(entries.mark().at).unwrap();
    let cut = |error: Error| {
        matches!(
            error,
            Error::CutOff {
                found: 4,
                number: 5,
                day: 1
            }
        )
    };
    assert!(cut(verify(&dir, None).unwrap_err()));
    assert!(cut(open(&dir).unwrap_err()));
}

#[test]
fn after_a_clean_stop_a_head_vouches_for_the_last_entry_too() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    for stop in 1..=3 {
        let (journal, opened) = open(&dir).unwrap();
        assert_eq!(opened.verified.vouched, opened.verified.entries);
        let act = if stop == 1 { started() } else { refused(stop) };
        let last = journal.append(act, Timestamp(stop)).unwrap();
        journal.commit(last).unwrap();
        let running = verify(&dir, None).unwrap();
        assert_eq!((running.entries, running.vouched), (stop, stop - 1));
        drop(journal);
        // Opened without a word more, it signs nothing more.
        drop(open(&dir).unwrap());
        let found = verify(&dir, Some(&key().public())).unwrap();
        assert_eq!((found.heads, found.vouched), (stop, stop));
    }
    let mut entries = Entries::open(&dir.join(ENTRIES)).unwrap();
    entries.step().unwrap().unwrap();
    entries.step().unwrap().unwrap();
    let all = fs::read(dir.join(ENTRIES)).unwrap();
    let short = usize::try_from(entries.mark().at).unwrap();
    fs::write(dir.join(ENTRIES), &all[..short]).unwrap();
    let error = verify(&dir, None).unwrap_err();
    assert!(matches!(error, Error::CutOff { found: 2, .. }), "{error}");
}

#[test]
fn a_journal_written_anew_does_not_match_its_heads_or_its_key() {
    let temp = tempfile::tempdir().unwrap();
    let (ours, theirs) = (temp.path().join("ours"), temp.path().join("theirs"));
    three_days(&ours, 2);
    let forger = KeyPair::from_seed(&[8; 32]);
    {
        let (journal, _) = Journal::open(&theirs, "RH8".parse().unwrap(), forger.clone()).unwrap();
        for at in 0..7 {
            let act = Act::Started {
                member: "RH8".parse().unwrap(),
                node: forger.public(),
                federation: None,
            };
            let receipt = journal.append(act, Timestamp(at / 3 * DAY)).unwrap();
            journal.commit(receipt).unwrap();
        }
    }
    verify(&theirs, None).unwrap();
    assert!(matches!(
        verify(&theirs, Some(&key().public())),
        Err(Error::Signer { .. })
    ));
    fs::copy(ours.join(HEADS), theirs.join(HEADS)).unwrap();
    assert!(matches!(
        verify(&theirs, None),
        Err(Error::NotTheHead { .. })
    ));
    fs::remove_file(ours.join(HEADS)).unwrap();
    assert!(matches!(verify(&ours, None), Err(Error::Io { .. })));
    assert!(matches!(open(&ours), Err(Error::Io { .. })));
}

#[test]
fn a_head_that_a_crash_kept_from_being_signed_is_signed_on_opening() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 2);
    let whole = fs::read(dir.join(HEADS)).unwrap();
    for length in [file::HEADER as usize, whole.len() / 2, whole.len() - 1] {
        fs::write(dir.join(HEADS), &whole[..length]).unwrap();
        drop(open(&dir).unwrap());
        assert_eq!(fs::read(dir.join(HEADS)).unwrap(), whole, "cut to {length}");
    }
}

#[test]
fn something_else_is_not_taken_for_a_journal() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    three_days(&dir, 1);
    let mut whole = fs::read(dir.join(ENTRIES)).unwrap();
    whole[12] = 2;
    fs::write(dir.join(ENTRIES), &whole).unwrap();
    assert!(matches!(open(&dir), Err(Error::Version { version: 2, .. })));
    fs::write(dir.join(ENTRIES), "not a journal at all").unwrap();
    assert!(matches!(open(&dir), Err(Error::NotAJournal { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appending_at_once_make_one_chain() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    let (journal, _) = open(&dir).unwrap();
    let journal = Arc::new(journal);
    let first = journal.append(started(), Timestamp(0)).unwrap();
    journal.durable(first).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                for n in 0..25 {
                    let receipt = journal.append(refused(n), Timestamp(task)).unwrap();
                    journal.durable(receipt).await.unwrap();
                    assert!(verify(journal.dir(), None).unwrap().entries >= receipt.number);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(verify(&dir, None).unwrap().entries, 401);
}

#[test]
fn after_a_full_disk_nothing_is_durable_any_more() {
    let temp = tempfile::tempdir().unwrap();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let state = State {
        member: "RH8".parse().unwrap(),
        key: key(),
        chain: Chain::default(),
        day: None,
        node: None,
        signed: 0,
        entries: Vec::new(),
        heads: Vec::new(),
        length: file::HEADER,
        marks: Vec::new(),
        peers: Peers::default(),
        closing: false,
    };
    let journal = Journal::start(temp.path(), state, full(), full()).unwrap();
    let receipt = journal.append(refused(1), Timestamp(0)).unwrap();
    let error = journal.commit(receipt).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(matches!(
        journal.append(refused(2), Timestamp(0)),
        Err(Error::Write { .. })
    ));
    assert!(journal.failed().is_some());
}

#[test]
fn what_it_says_of_a_peer_is_the_same_after_opening_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    let peer = || "L83024".parse().unwrap();
    let (journal, _) = open(&dir).unwrap();
    for n in 0..9 {
        let failed = Act::MatchFailed {
            peer: peer(),
            why: format!("fault {n}"),
        };
        let _ = journal.append(failed, Timestamp(n)).unwrap();
    }
    let heard = Act::ReceiptHeard {
        exchange: fairshare_protocol::ids::ExchangeId::new([1; 16]),
        peer: peer(),
        receipt: Hash::new([1; 32]),
        filed: true,
    };
    let _ = journal.append(heard, Timestamp(100)).unwrap();
    // An ask that nobody answered is no exchange.
    let person = commit_person(&[3; 32], &PersonId(Fixed([4; 16])));
    let unheard = Act::AnswerHeard {
        exchange: fairshare_protocol::ids::ExchangeId::new([2; 16]),
        peer: peer(),
        person,
        answer: None,
        outcome: Outcome::Failed("the line was lost".to_owned()),
    };
    let receipt = journal.append(unheard, Timestamp(200)).unwrap();
    journal.commit(receipt).unwrap();
    let lately = journal.lately();
    let of = &lately[&peer()];
    assert_eq!(of.exchanged, Some(Timestamp(100)));
    let errors: Vec<_> = of.errors.iter().map(|error| error.what.as_str()).collect();
    assert_eq!(
        errors,
        [
            "the line was lost",
            "fault 8",
            "fault 7",
            "fault 6",
            "fault 5"
        ]
    );
    assert_eq!(of.over_cap, None);
    drop(journal);
    assert_eq!(open(&dir).unwrap().0.lately(), lately);
}

#[test]
fn a_refusal_for_being_over_a_cap_is_remembered_until_a_match_is_made() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    let peer = || "L83024".parse::<OdsCode>().unwrap();
    let (journal, _) = open(&dir).unwrap();
    let over = |what: &str| Act::Refused {
        peer: Some(peer()),
        what: what.to_owned(),
    };
    let then = |at: u64, act: Act| {
        let receipt = journal.append(act, Timestamp(at)).unwrap();
        journal.commit(receipt).unwrap();
        journal.lately()[&peer()].over_cap.clone()
    };
    assert_eq!(then(1, over("advert-root")), None);
    let first = then(2, over("advert-over-cap")).unwrap();
    assert_eq!(first, (Timestamp(2), "advert-over-cap".to_owned()));
    // Other errors do not push it out.
    for at in 3..20 {
        assert_eq!(then(at, over("advert-root")), Some(first.clone()));
    }
    let second = then(20, over("over-additions"));
    assert_eq!(second, Some((Timestamp(20), "over-additions".to_owned())));
    drop(journal);
    let (journal, _) = open(&dir).unwrap();
    assert_eq!(journal.lately()[&peer()].over_cap, second);
    let matched = Act::Matched {
        peer: peer(),
        match_id: MatchId::new([0; 32]),
        links: 1,
        ours_only: 0,
        theirs_only: 0,
    };
    let receipt = journal.append(matched, Timestamp(21)).unwrap();
    journal.commit(receipt).unwrap();
    assert_eq!(journal.lately()[&peer()].over_cap, None);
}

#[test]
fn an_entry_over_the_limit_is_refused_and_the_chain_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let (journal, _) = open(&temp.path().join("journal")).unwrap();
    let act = Act::Refused {
        peer: None,
        what: "x".repeat(MAX_ENTRY),
    };
    assert!(matches!(
        journal.append(act, Timestamp(0)),
        Err(Error::TooLong { .. })
    ));
    let receipt = journal.append(refused(1), Timestamp(0)).unwrap();
    assert_eq!(receipt.number, 1);
    journal.commit(receipt).unwrap();
}

const CHILD: &str = "FAIRSHARE_TEST_JOURNAL";

/// Not a test of its own: the writer that `what_was_acknowledged_survives_a_kill` kills.
#[test]
fn the_writer_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let (journal, _) = open(Path::new(&dir)).unwrap();
    let first = journal.append(started(), Timestamp(0)).unwrap();
    journal.commit(first).unwrap();
    thread::scope(|scope| {
        for task in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for n in 0.. {
                    let receipt = journal.append(refused(n), Timestamp(task)).unwrap();
                    journal.commit(receipt).unwrap();
                    writeln!(io::stdout(), "ack {} {}", receipt.number, receipt.hash).unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::the_writer_that_is_killed"])
            .args(["--nocapture", "--test-threads=1"])
            .env(CHILD, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(60 + 37 * round));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            // The last line may be cut short: then its acknowledgement was not given.
            let words: Vec<&str> = line.split(' ').collect();
            if let ["ack", number, hash] = words[..]
                && let (Ok(number), Ok(hash)) = (number.parse::<u64>(), hash.parse::<Hash>())
            {
                acknowledged.push((number, hash));
            }
        }
        killer.join().unwrap();
        let found: Vec<Hash> = Entries::open(&dir.join(ENTRIES))
            .unwrap()
            .map(|entry| entry.unwrap().hash())
            .collect();
        for (number, hash) in &acknowledged {
            assert_eq!(
                found.get(*number as usize - 1),
                Some(hash),
                "entry {number}"
            );
        }
        verify(&dir, None).unwrap();
    }
    assert!(
        acknowledged.len() > 20,
        "{} acknowledged",
        acknowledged.len()
    );
}
