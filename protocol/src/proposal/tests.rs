use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::talk::{Outcome, Talk};
use super::*;
use crate::armour;
use crate::charter::Amendment;
use crate::conversation::pair::{self, End};
use crate::conversation::{Conversation as _, Input, Output};
use crate::journal::Act;
use crate::roster::Statements;
use crate::roster::decision::Reason;
use crate::roster::tests::{NOW, code, founded, join, key, line};
use crate::time::DAY;
use crate::wire;

fn federation() -> Statements {
    let mut held = founded();
    for (n, name) in [(1, "S1"), (2, "S2"), (3, "S3"), (4, "M4"), (5, "M5")] {
        join(&mut held, name, n, 100 + n);
    }
    held
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn limit(roster: &Roster, about: &str, why: &str, signers: &[u8]) -> Proposal {
    let reason = Reason { reason: line(why) };
    let body = roster.decide(&code(about), &Decision::Limit(reason), NOW);
    let mut proposal = Proposal::Decision(CoSigned::draft(&body.unwrap()));
    for signer in signers {
        proposal.add(&key(*signer));
    }
    proposal
}

#[test]
fn signatures_of_two_copies_add_up() {
    let mut held = federation();
    let roster = Roster::of(&held);
    let mut proposals = Proposals::default();
    let one = limit(&roster, "M4", "no answers", &[1]);
    let two = limit(&roster, "M4", "no answers", &[3]);
    assert_eq!(one.hash(), two.hash());
    let (inserted, kept) = proposals.add(one.clone(), &roster, NOW).unwrap();
    assert_eq!(inserted, Inserted::New);
    let checked = kept.check(&roster, NOW).unwrap();
    assert_eq!((checked.signed.len(), checked.needed), (1, 2));
    assert!(!checked.is_decided());
    let (inserted, kept) = proposals.add(two.clone(), &roster, NOW).unwrap();
    assert_eq!(inserted, Inserted::New);
    let checked = kept.check(&roster, NOW).unwrap();
    assert!(checked.is_decided());
    assert_eq!(checked.signed, [code("S1"), code("S3")]);
    // What they signed is what counts.
    let decided = kept.clone().statement(&roster);
    assert!(held.insert(decided, NOW).is_ok());
    for again in [one, two] {
        let (inserted, _) = proposals.add(again, &roster, NOW).unwrap();
        assert_eq!(inserted, Inserted::Known);
    }
    // Decided, it is no proposal any more.
    assert_eq!(proposals.tidy(&Roster::of(&held), NOW).len(), 1);
    assert_eq!(proposals.iter().count(), 0);
}

#[test]
fn every_refusal_is_named() {
    let mut held = federation();
    let roster = Roster::of(&held);
    let mut proposals = Proposals::default();
    let mut add = |proposal: Proposal, roster: &Roster, now| {
        let added = proposals.add(proposal, roster, now);
        added.map(|_| ()).unwrap_err()
    };
    let unsigned = limit(&roster, "M4", "why", &[]);
    assert_eq!(add(unsigned, &roster, NOW), Refusal::Unsigned);
    let stranger = limit(&roster, "M4", "why", &[1, 9]);
    let refusal = add(stranger, &roster, NOW);
    assert_eq!(refusal, Refusal::Charter(charter::Refusal::NotASteward));
    let good = limit(&roster, "M4", "why", &[1]);
    let later = NOW + MAX_PROPOSAL_AGE + Duration::from_millis(1);
    assert_eq!(add(good.clone(), &roster, later), Refusal::Stale(NOW));
    let before = Timestamp(NOW.0 - DAY);
    assert_eq!(add(good.clone(), &roster, before), Refusal::Ahead(NOW));
    let decided = limit(&roster, "M4", "sooner", &[1, 2]);
    let decided = decided.statement(&roster);
    held.insert(decided, NOW).unwrap();
    let overtaken = add(good, &Roster::of(&held), NOW);
    assert_eq!(overtaken, Refusal::Overtaken);
    assert!(overtaken.may_pass());
    assert_eq!(proposals, Proposals::default());
}

fn charter(roster: &Roster, change: &Amendment, signers: &[u8]) -> Proposal {
    let mut proposal = Proposal::charter(&roster.amend(change, NOW).unwrap(), NOW);
    for signer in signers {
        proposal.add(&key(*signer));
    }
    proposal
}

fn renamed(name: &str) -> Amendment {
    Amendment {
        name: Some(line(name)),
        ..Amendment::default()
    }
}

#[test]
fn a_charter_gathers_signatures_and_takes_effect() {
    let mut held = federation();
    let roster = Roster::of(&held);
    let mut proposals = Proposals::default();
    let one = charter(&roster, &renamed("Devon"), &[1]);
    let copy: Proposal = armour::read(&armour::block(&one)).unwrap();
    assert_eq!((&copy, copy.hash()), (&one, one.hash()));
    proposals.add(one, &roster, NOW).unwrap();
    // Another version, and a decision under the version that goes.
    let other = charter(&roster, &renamed("Cornwall"), &[1]);
    proposals.add(other.clone(), &roster, NOW).unwrap();
    let limit = limit(&roster, "M4", "no answers", &[1]);
    proposals.add(limit.clone(), &roster, NOW).unwrap();
    let two = charter(&roster, &renamed("Devon"), &[2]);
    let (_, kept) = proposals.add(two, &roster, NOW).unwrap();
    let checked = kept.check(&roster, NOW).unwrap();
    assert!(checked.is_decided());
    let subject = &checked.subject;
    assert_eq!((subject.word(), subject.about()), ("charter", None));
    let says = subject.says(Some(roster.charter()));
    let says: Vec<_> = says.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    assert_eq!(says, [("version", "2"), ("name", "Devon")]);
    let statement = kept.clone().statement(&roster);
    held.insert(statement, NOW).unwrap();
    let after = Roster::of(&held);
    assert_eq!(after.charter().name, line("Devon"));
    assert!(after.members().eq(roster.members()));
    for overtaken in [other, limit] {
        let refusal = proposals.add(overtaken, &after, NOW).unwrap_err();
        assert!(refusal.may_pass());
    }
    assert_eq!(proposals.tidy(&after, NOW).len(), 3);
}

#[test]
fn a_charter_is_refused_by_name() {
    let mut held = federation();
    let roster = Roster::of(&held);
    let refused = |proposal: &Proposal, roster: &Roster, now| {
        let mut none = Proposals::default();
        let added = none.add(proposal.clone(), roster, now);
        added.map(|_| ()).unwrap_err()
    };
    let good = charter(&roster, &renamed("Devon"), &[1]);
    let stranger = charter(&roster, &renamed("Devon"), &[1, 4]);
    let refusal = refused(&stranger, &roster, NOW);
    assert_eq!(refusal, charter::Refusal::NotASteward.into());
    let old = NOW + MAX_PROPOSAL_AGE + Duration::from_millis(1);
    assert_eq!(refused(&good, &roster, old), Refusal::Stale(NOW));
    // All have signed, but the new epochs have begun: it is not taken any more.
    let change = Amendment {
        epoch_days: Some(30),
        ..Amendment::default()
    };
    let late = NOW + Duration::from_millis(80 * DAY);
    let epochs = roster.amend(&change, Timestamp(late.0 - 10 * DAY)).unwrap();
    let mut proposal = Proposal::charter(&epochs, late);
    (1..=3).for_each(|n| proposal.add(&key(n)));
    assert!(proposal.check(&roster, late).unwrap().is_decided());
    let began = epochs.epoch_start;
    let passed = charter::Refusal::EpochPassed(began);
    assert_eq!(refused(&proposal, &roster, began), passed.into());
    // What it would not pin would be forgotten.
    let decided = limit(&roster, "M4", "sooner", &[1, 2]);
    held.insert(decided.statement(&roster), NOW).unwrap();
    let spoken = Refusal::Charter(charter::Refusal::SpokenSince);
    let after = Roster::of(&held);
    assert_eq!(refused(&good, &after, NOW), spoken);
    assert!(spoken.may_pass());
    let sooner = charter(&after, &renamed("Sooner"), &[1, 2]);
    held.insert(sooner.statement(&after), NOW).unwrap();
    let overtaken = charter::Refusal::Overtaken(2);
    assert_eq!(refused(&good, &Roster::of(&held), NOW), overtaken.into());
}

#[test]
fn one_steward_alone_cannot_fill_the_list() {
    let roster = Roster::of(&federation());
    let mut proposals = Proposals::default();
    for n in 0..MAX_PROPOSALS_BY_ONE {
        let more = limit(&roster, "M4", &format!("reason {n}"), &[1]);
        proposals.add(more, &roster, NOW).unwrap();
    }
    let more = limit(&roster, "M5", "one more", &[1]);
    let refused = proposals.add(more, &roster, NOW).unwrap_err();
    assert_eq!(refused, Refusal::Full);
    for (n, signers) in (0..MAX_PROPOSALS).zip([[2, 3]].iter().cycle()) {
        let more = limit(&roster, "M5", &format!("reason {n}"), signers);
        let taken = proposals.add(more, &roster, NOW).map(|_| ());
        let room = MAX_PROPOSALS - MAX_PROPOSALS_BY_ONE;
        assert_eq!(taken.is_ok(), n < room, "{n}");
    }
    assert_eq!(proposals.iter().count(), MAX_PROPOSALS);
}

fn talk(own: &str, peer: &str, roster: &Arc<Roster>, held: Vec<Proposal>) -> Talk {
    let held = held.into_iter().collect();
    Talk::new(&code(own), code(peer), Arc::clone(roster), held).unwrap()
}

#[test]
fn two_stewards_tell_each_other_what_is_open() {
    let roster = Arc::new(Roster::of(&federation()));
    let same = |signers: &[u8]| limit(&roster, "M4", "both know", signers);
    let mut left = vec![same(&[1])];
    left.extend((0..9).map(|n| limit(&roster, "M5", &format!("{n}"), &[1])));
    let right = vec![same(&[2]), limit(&roster, "S3", "mine", &[2])];
    let mut one = End::new(talk("S1", "S2", &roster, left), |never| match never {});
    let mut two = End::new(talk("S2", "S1", &roster, right), |never| match never {});
    let mut line = |_, frame| Some(frame);
    pair::run(&mut one, &mut two, NOW, &mut rng(), &mut line);
    let told = |learned| {
        Some(Outcome::Told {
            learned,
            skipped: 0,
        })
    };
    assert_eq!(one.outcome, told(2));
    assert_eq!(two.outcome, told(10));
    let complete = |saved: &[Proposal]| {
        let checked = saved.iter().map(|it| it.check(&roster, NOW).unwrap());
        checked.filter(Checked::is_decided).count()
    };
    assert_eq!(complete(&one.saved), 1);
    assert_eq!(complete(&two.saved), 1);
}

#[test]
fn who_is_no_steward_is_not_talked_with() {
    let roster = Arc::new(Roster::of(&federation()));
    let refused = Talk::new(&code("S1"), code("M4"), roster, Proposals::default());
    assert_eq!(refused.unwrap_err(), Outcome::NotASteward(code("M4")));
}

#[test]
fn what_a_lying_steward_sends_ends_the_conversation_by_name() {
    let roster = Arc::new(Roster::of(&federation()));
    let frame = |it: &Proposal| wire::frame(1, it);
    let good = limit(&roster, "M4", "why", &[2]);
    let mut forged = codec::encode(&good);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let mut forged_frame = vec![1];
    forged_frame.extend(forged);
    for (frames, expected) in [
        (vec![forged_frame], "Refused"),
        (vec![vec![1, 2, 3]], "OutOfTurn"),
        (vec![Vec::new()], "OutOfTurn"),
        (vec![vec![77]], "Unsupported(77)"),
        (vec![frame(&good); MAX_PROPOSALS + 1], "TooMuch"),
    ] {
        let mut machine = talk("S1", "S2", &roster, Vec::new());
        let mut rng = rng();
        let mut orders = machine.handle(Input::Opened, NOW, &mut rng);
        for frame in frames {
            orders.extend(machine.handle(Input::Received(frame), NOW, &mut rng));
        }
        let ended = orders.iter().find_map(|order| match order {
            Output::Close(outcome) => Some(format!("{outcome:?}")),
            _ => None,
        });
        assert!(ended.as_ref().unwrap().starts_with(expected), "{ended:?}");
        let journaled = orders
            .iter()
            .any(|it| matches!(it, Output::Record(Act::Refused { .. })));
        assert_eq!(journaled, expected == "Refused");
    }
}
