//! Peers that lie about the account.

use super::*;
use crate::codec;
use crate::ledger::chain::Refusal;
use crate::ledger::sync::kind;
use crate::wire;

/// Two sides that have agreed on two pages each.
fn agreed() -> ([Side; 2], StdRng) {
    let mut rng = StdRng::seed_from_u64(9);
    let [mut one, mut other] = pair();
    for n in 1..3 {
        one.enter(entry(n, "RH8"));
        other.enter(entry(n, "RH8"));
        settle(&mut one, &mut other, &mut rng);
    }
    ([one, other], rng)
}

/// What `side` does when its peer, having said hello, sends this.
fn told(side: &mut Side, frames: &[Vec<u8>]) -> Option<Outcome> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut machine = Sync::new(side.pair.clone(), side.key.clone());
    let hello = (
        side.pair.federation,
        side.kept.chains.theirs,
        side.kept.chains.ours,
    );
    let frames = [wire::frame(kind::HELLO, &hello)]
        .into_iter()
        .chain(frames.iter().cloned());
    let mut inputs: VecDeque<_> = [Input::Opened].into();
    inputs.extend(frames.map(Input::Received));
    while let Some(input) = inputs.pop_front() {
        for output in machine.handle(input, NOW, &mut rng) {
            match output {
                Output::Save(save) => side.save(save, NOW),
                Output::Load(load) => inputs.push_front(Input::Loaded(side.load(&load))),
                Output::Record(act) => side.kept.acts.push(act),
                Output::Close(outcome) => return Some(outcome),
                Output::Send(_) => {}
            }
        }
    }
    None
}

fn page(page: &Page, key: &KeyPair) -> Vec<u8> {
    wire::frame(kind::PAGE, &Signed::sign(page, key))
}

#[test]
fn a_page_that_is_not_the_next_of_this_chain_of_this_pair_is_refused_by_name() {
    let ([one, other], _) = agreed();
    let good = other
        .kept
        .chains
        .next(&other.pair, vec![entry(9, "RH8")], NOW);
    let (mine, theirs) = (key(1), key(2));
    let with = |change: fn(&mut Page)| {
        let mut page = good.clone();
        change(&mut page);
        page
    };
    let cases: [(&str, Page, &KeyPair, Refusal); 10] = [
        (
            "another's key",
            good.clone(),
            &mine,
            Refusal::Statement(crate::statement::Error::OtherSigner),
        ),
        (
            "another federation",
            with(|page| page.federation = FederationId::new([8; 32])),
            &theirs,
            Refusal::Federation,
        ),
        (
            "another reader",
            with(|page| page.reader = code("912")),
            &theirs,
            Refusal::OtherPair,
        ),
        (
            "a third writer",
            with(|page| page.writer = code("912")),
            &theirs,
            Refusal::OtherPair,
        ),
        (
            "a page after the next",
            with(|page| page.number += 1),
            &theirs,
            Refusal::OutOfOrder,
        ),
        (
            "the last number there is",
            with(|page| page.number = u64::MAX),
            &theirs,
            Refusal::OutOfOrder,
        ),
        (
            "number 0",
            with(|page| page.number = 0),
            &theirs,
            Refusal::Entries,
        ),
        (
            "an entry between others",
            with(|page| page.entries[0].asker = code("912")),
            &theirs,
            Refusal::Entries,
        ),
        (
            "a quote of a page we never wrote",
            with(|page| page.quoted.number += 1),
            &theirs,
            Refusal::NeverWritten,
        ),
        (
            "a quote of another page than ours",
            with(|page| {
                page.quoted = Head {
                    number: 1,
                    hash: Hash::new([3; 32]),
                }
            }),
            &theirs,
            Refusal::NeverWritten,
        ),
    ];
    for (what, lie, by, refusal) in cases {
        let mut one = Side {
            kept: one.kept.clone(),
            ..pair().into_iter().next().unwrap()
        };
        let ended = told(&mut one, &[page(&lie, by)]);
        assert_eq!(ended, Some(Outcome::Refused(refusal)), "{what}");
        assert!(
            matches!(one.kept.acts.last(), Some(Act::Refused { .. })),
            "{what}"
        );
    }
    let mut one = one;
    assert_eq!(
        told(&mut one, &[page(&good, &theirs)]),
        None,
        "the true one is read"
    );
    assert_eq!(one.kept.chains.theirs.number, good.number);
}

#[test]
fn a_page_that_comes_again_is_held_and_one_that_comes_too_early_is_not_read() {
    let ([mut one, other], _) = agreed();
    let before = one.kept.chains;
    let again = wire::frame(kind::PAGE, &other.kept.pages[&(Which::Ours, 1)]);
    assert_eq!(told(&mut one, &[again.clone(), again]), None);
    assert_eq!(one.kept.chains, before);
    let first = other.kept.chains.next(&other.pair, vec![], NOW);
    let mut chains = other.kept.chains;
    chains.append(
        Which::Ours,
        first.head(&Signed::sign(&first, &key(2))),
        &first,
        NOW,
    );
    let second = chains.next(&other.pair, vec![], NOW);
    let early = told(&mut one, &[page(&second, &key(2)), page(&first, &key(2))]);
    assert_eq!(early, Some(Outcome::Refused(Refusal::OutOfOrder)));
    assert_eq!(one.kept.chains, before);
}

#[test]
fn another_page_under_a_held_number_is_a_fork_kept_and_journaled() {
    let ([one, other], _) = agreed();
    let held = other.kept.pages[&(Which::Ours, 2)].clone();
    let mut same = held.peek().unwrap();
    same.at = Timestamp(1);
    // And one that goes on from a page that was never shown.
    let mut next = other.kept.chains.next(&other.pair, vec![], NOW);
    next.previous = Hash::new([4; 32]);
    for lie in [same, next] {
        let mut one = Side {
            kept: one.kept.clone(),
            ..pair().into_iter().next().unwrap()
        };
        let before = one.kept.chains;
        let ended = told(&mut one, &[page(&lie, &key(2))]);
        assert_eq!(ended, Some(Outcome::Forked(Which::Theirs)));
        assert_eq!(one.kept.chains, before, "the chain stays as it was");
        let (which, fork) = &one.kept.forks[0];
        assert_eq!(
            one.pair.fork(*which, fork, NOW),
            Ok(()),
            "anybody can check it"
        );
        assert!(matches!(one.kept.acts.last(), Some(Act::Forked { .. })));
    }
}

#[test]
fn who_runs_a_copy_of_itself_is_told_and_both_hold_the_evidence() {
    let ([mut one, mut other], mut rng) = agreed();
    // Two nodes under one key: the copy writes what the other never saw.
    let copy = other.kept.clone();
    other.enter(entry(7, "RH8"));
    settle(&mut one, &mut other, &mut rng);
    other.kept = copy;
    other.recovered = true;
    other.signed.clear();
    other.enter(entry(8, "RH8"));
    other.write(NOW);
    talk((&mut one, &mut other), Line::Good, &mut rng, NOW);
    assert!(!one.kept.forks.is_empty() || !other.kept.forks.is_empty());
    assert!(
        one.kept
            .acts
            .iter()
            .chain(&other.kept.acts)
            .any(|act| matches!(act, Act::Forked { .. }))
    );
}

#[test]
fn an_accusation_without_a_contradiction_is_refused() {
    let ([mut one, _], _) = agreed();
    let held = one.kept.pages[&(Which::Ours, 1)].clone();
    let other = one.kept.pages[&(Which::Ours, 2)].clone();
    for fork in [
        Fork {
            held: held.clone(),
            other: held.clone(),
        },
        Fork {
            held: held.clone(),
            other,
        },
    ] {
        let ended = told(&mut one, &[wire::frame(kind::FORK, &fork)]);
        assert_eq!(ended, Some(Outcome::Refused(Refusal::NoFork)));
        assert!(one.kept.forks.is_empty());
    }
}

#[test]
fn a_rewind_goes_on_from_where_the_chain_stands_or_not_at_all() {
    let ([one, other], _) = agreed();
    let lost = |number| Head {
        number,
        hash: Hash::new([5; 32]),
    };
    let say = |held: Head, lost: Head, by: &KeyPair| {
        let rewind = Rewind {
            federation: other.pair.federation,
            writer: other.pair.me.clone(),
            reader: other.pair.peer.clone(),
            held,
            lost,
            at: NOW,
        };
        wire::frame(kind::REWIND, &Signed::sign(&rewind, by))
    };
    let head = other.kept.chains.ours;
    let earlier = Head {
        number: 1,
        hash: other.kept.pages[&(Which::Ours, 1)].hash(),
    };
    for (frame, refusal) in [
        (say(earlier, lost(9), &key(2)), Refusal::Rewind),
        (say(head, lost(head.number), &key(2)), Refusal::Rewind),
        (
            say(head, lost(9), &key(1)),
            Refusal::Statement(crate::statement::Error::OtherSigner),
        ),
    ] {
        let mut one = Side {
            kept: one.kept.clone(),
            ..pair().into_iter().next().unwrap()
        };
        assert_eq!(told(&mut one, &[frame]), Some(Outcome::Refused(refusal)));
        assert!(one.kept.rewinds.is_empty());
    }
    let mut one = one;
    assert_eq!(told(&mut one, &[say(head, lost(9), &key(2))]), None);
    assert_eq!(one.kept.chains.theirs, lost(9));
}

#[test]
fn whoever_claims_pages_of_ours_and_gives_none_keeps_us_from_writing_to_it_only() {
    let ([mut one, _], _) = agreed();
    let mut rng = StdRng::seed_from_u64(5);
    one.recovered = false;
    let mut machine = Sync::new(one.pair.clone(), one.key.clone());
    let claim = Head {
        number: 99,
        hash: Hash::new([1; 32]),
    };
    let hello = (one.pair.federation, one.kept.chains.theirs, claim);
    let mut inputs: VecDeque<_> = [
        Input::Opened,
        Input::Received(wire::frame(kind::HELLO, &hello)),
        Input::Received(wire::frame(kind::DONE, &true)),
    ]
    .into();
    let mut ended = None;
    while let Some(input) = inputs.pop_front() {
        for output in machine.handle(input, NOW, &mut rng) {
            match output {
                Output::Load(load) => inputs.push_front(Input::Loaded(one.load(&load))),
                Output::Close(outcome) => ended = Some(outcome),
                _ => {}
            }
        }
    }
    assert_eq!(ended, Some(Outcome::Behind));
}

#[test]
fn no_bytes_a_peer_can_send_do_more_than_end_the_conversation() {
    let ([one, other], mut rng) = agreed();
    let good = other
        .kept
        .chains
        .next(&other.pair, vec![entry(9, "RH8")], NOW);
    let frames = [
        page(&good, &key(2)),
        wire::frame(kind::HELD, &true),
        wire::frame(kind::DONE, &true),
        wire::frame(kind::HELLO, &true),
        wire::frame(99, &codec::encode(&good)),
        vec![],
    ];
    for _ in 0..2000 {
        let mut one = Side {
            kept: one.kept.clone(),
            ..pair().into_iter().next().unwrap()
        };
        let mut frame = frames[rng.random_range(0..frames.len())].clone();
        if !frame.is_empty() {
            let at = rng.random_range(0..frame.len());
            frame[at] = rng.random();
            frame.truncate(rng.random_range(0..=frame.len()));
        }
        let before = one.kept.chains;
        told(&mut one, &[frame.clone(), frame]);
        let after = one.kept.chains;
        assert!(after == before || after.theirs.number == before.theirs.number + 1);
    }
}

#[test]
fn what_a_stolen_key_signs_after_the_stewards_spoke_is_void_and_seen() {
    use crate::ledger::export::{Export, FORMAT, Link};
    use crate::ledger::keys::Keys;
    use crate::roster::decision::NewKey;
    use crate::roster::tests::{founded, join, line};
    use crate::roster::{Decision, Roster, Statement, Welcome};
    use crate::statement::CoSigned;

    let ([mut one, other], _) = agreed();
    let mut held = founded();
    join(&mut held, "RH8", 31, 1);
    join(&mut held, "L83024", 32, 2);
    let decision = Decision::Key(NewKey {
        organisation: key(33).public(),
        reason: line("stolen"),
    });
    let now = crate::roster::tests::NOW;
    let body = Roster::of(&held).decide(&code("L83024"), &decision, now);
    let mut signed = CoSigned::draft(&body.unwrap());
    signed.add(&key(1));
    signed.add(&key(2));
    held.insert(Statement::Steward(signed), now).unwrap();

    let keys = Keys::of(&held, &code("L83024"));
    let thief = key(2);
    let later = Timestamp(now.0 + 1);
    assert!(
        keys.contains(&thief.public()),
        "its earlier pages go on counting"
    );
    assert!(!keys.is_void(&thief.public(), now));
    assert!(keys.is_void(&thief.public(), later));

    // Nothing more is taken of it.
    one.pair.peer_keys = keys;
    let mut forged = other
        .kept
        .chains
        .next(&other.pair, vec![entry(9, "RH8")], later);
    let refused = told(&mut one, &[page(&forged, &thief)]);
    assert_eq!(refused, Some(Outcome::Refused(Refusal::Void)));
    forged.at = now;
    assert_ne!(told(&mut one, &[page(&forged, &thief)]), refused);

    // What was taken before this node heard of it stands in the chain, and counts for nothing.
    let federation = held.federation();
    let chain = |writer: &str, reader: &str, signer: &KeyPair, dates: &[Timestamp]| {
        let mut head = Head::ORIGIN;
        let mut links = Vec::new();
        for at in dates {
            let page = Page {
                federation,
                writer: code(writer),
                reader: code(reader),
                number: head.number + 1,
                previous: head.hash,
                at: *at,
                quoted: Head::ORIGIN,
                entries: vec![entry(head.number + 1, "RH8")],
            };
            let signed = Signed::sign(&page, signer);
            head = page.head(&signed);
            links.push(Link::Page(signed));
        }
        links
    };
    let export = Export {
        format: FORMAT.to_owned(),
        by: code("RH8"),
        with: code("L83024"),
        at: later,
        roster: Welcome::of(&held),
        ours: chain("RH8", "L83024", &key(1), &[now, later]),
        theirs: chain("L83024", "RH8", &thief, &[now, later, later]),
    };
    let checked = export.check(later).unwrap();
    assert_eq!((checked.ours.void, checked.ours.entries), (0, 2));
    assert_eq!((checked.theirs.void, checked.theirs.entries), (2, 1));
    assert_eq!((checked.theirs.pages, checked.exchanges), (3, 2));
}
