//! Notices, told over lines that fail, and to members that lie.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::exchange::notice::{Notice, VALID};
use crate::tests::seeds;

const BODY: &[u8] = b"penicillin";

/// A teller with its bundle ready.
fn teller(pair: Pair, before: Option<Hash>) -> Side {
    let manifest = Manifest {
        author: pair.me.clone(),
        as_of: NOW,
        subject: person("9990001235").key,
        items: vec![Item {
            content: Content::Record {
                category: Category::Allergies,
                kind: "AllergyIntolerance".into(),
                id: "1".into(),
                urn: None,
            },
            length: BODY.len() as u64,
            hash: hash::bytes(BODY),
        }],
    };
    let plain = [&manifest.head().unwrap()[..], BODY].concat();
    let telling = Telling {
        exchange: ExchangeId::new([5; 16]),
        match_id: MatchId::new([6; 32]),
        handle: Handle(Fixed([7; 32])),
        subject: person("9990001235"),
        counts: manifest.counts(),
        length: plain.len() as u64,
        before,
    };
    let mut side = Side::new(Ask::teller(pair, telling), None);
    side.plain = plain.into();
    side
}

fn hearer(pair: Pair) -> Side {
    Side::new(Ask::holder(pair), None)
}

/// A hearer that knows what another conversation left there.
fn after(pair: Pair, before: &Side) -> Side {
    let mut side = hearer(pair);
    side.heard.clone_from(&before.heard);
    side.link = before.link;
    side
}

fn names(acts: &[Act]) -> Vec<String> {
    let name = |act: &Act| format!("{act:?}").split(' ').next().unwrap().to_owned();
    acts.iter().map(name).collect()
}

#[test]
fn a_notice_is_filed_acknowledged_and_in_both_journals_and_in_nobodys_account() {
    let (one, two) = pairs(defaults());
    let (mut one, mut two) = (teller(one, None), hearer(two));
    run(&mut one, &mut two, |_, frame| Some(frame));
    let (told, heard) = (one.ended.unwrap(), two.ended.unwrap());
    assert_eq!((told.fault, heard.fault), (None, None));
    assert!(told.acknowledged && !heard.quarantined);
    assert_eq!(heard.received, [(Category::Allergies, 1)]);
    assert_eq!(names(&one.acts), ["Told", "Shown", "ReceiptHeard"]);
    assert_eq!(names(&two.acts), ["Received"]);
    assert!(one.accounts.is_empty() && two.accounts.is_empty());
    assert!(one.reviews.is_empty() && two.reviews.is_empty());
    let [(filed, plain)] = &two.filed[..] else {
        panic!("filed {} times", two.filed.len());
    };
    assert!(plain.windows(BODY.len()).any(|window| window == BODY));
    assert!(!filed.in_return && filed.verdict == Verdict::Opened);
}

#[test]
fn told_again_after_the_line_was_cut_anywhere_it_is_filed_once_and_acknowledged() {
    for cut in 0..7 {
        let pair = || pairs(defaults());
        let (mut one, mut two) = (teller(pair().0, None), hearer(pair().1));
        run(&mut one, &mut two, |n, frame| (n < cut).then_some(frame));
        let mut filed = two.filed.len();
        if !one.ended.as_ref().unwrap().acknowledged {
            let mut again = teller(pair().0, one.shown.last().copied());
            let mut there = after(pair().1, &two);
            run(&mut again, &mut there, |_, frame| Some(frame));
            assert!(again.ended.unwrap().acknowledged, "cut at {cut}");
            filed += there.filed.len();
        }
        assert_eq!(filed, 1, "cut at {cut}");
    }
}

/// Whatever the line does to frames, and however often either side is restarted.
#[test]
fn whatever_the_line_does_a_notice_ends_by_name_and_is_filed_once_at_most() {
    for seed in seeds(2000) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut commitment, mut filed, mut acknowledged) = (None, 0, false);
        let mut there = hearer(pairs(defaults()).1);
        for _ in 0..4 {
            let mut one = teller(pairs(defaults()).0, commitment);
            let mut two = after(pairs(defaults()).1, &there);
            let mut kept: Vec<Vec<u8>> = vec![];
            run(&mut one, &mut two, |_, mut frame| {
                kept.push(frame.clone());
                match rng.random_range(0..12) {
                    0 => None,
                    1 => {
                        let at = rng.random_range(0..frame.len());
                        frame[at] ^= 1 << rng.random_range(0..8);
                        Some(frame)
                    }
                    2 => Some(kept[rng.random_range(0..kept.len())].clone()),
                    3 => {
                        frame.truncate(rng.random_range(0..=frame.len()));
                        Some(frame)
                    }
                    _ => Some(frame),
                }
            });
            filed += two.filed.len();
            let ended = one.ended.as_ref().unwrap();
            assert!(two.ended.is_some(), "seed {seed}");
            assert!(ended.acknowledged || ended.fault.is_some() || ended.reply.is_some());
            commitment = one.shown.last().copied().or(commitment);
            there = two;
            if ended.acknowledged {
                assert_eq!(filed, 1, "seed {seed}: acknowledged and not filed");
                acknowledged = true;
                break;
            }
        }
        assert!(filed <= 1, "seed {seed}: filed {filed} times");
        if !acknowledged {
            let mut one = teller(pairs(defaults()).0, commitment);
            let mut two = after(pairs(defaults()).1, &there);
            run(&mut one, &mut two, |_, frame| Some(frame));
            assert!(one.ended.unwrap().acknowledged, "seed {seed}");
            assert_eq!(filed + two.filed.len(), 1, "seed {seed}");
        }
    }
}

#[test]
fn whoever_is_not_linked_there_is_not_told_of() {
    let (one, two) = pairs(defaults());
    let (mut one, mut two) = (teller(one, None), hearer(two));
    two.link = false;
    run(&mut one, &mut two, |_, frame| Some(frame));
    let told = one.ended.unwrap();
    assert_eq!(told.reply, Some(Reply::Refused(RefusalCode::NotLinked)));
    assert!(one.shown.is_empty() && two.filed.is_empty());
    assert_eq!(names(&one.acts), ["Told", "AnswerHeard"]);
    assert_eq!(names(&two.acts), ["Refused"]);
}

/// What a teller makes of the first word of whoever it tells.
fn said(word: impl FnOnce(&Pair, &Notice, Hash) -> Vec<u8>, before: Option<Hash>) -> Ended {
    let (one, two) = pairs(defaults());
    let mut one = teller(one, before);
    one.feed(Input::Opened, NOW);
    let (_, message) = wire::open(&one.sent[0]);
    let signed: Signed<Notice> = codec::decode(message, 1 << 20).unwrap();
    let notice = signed.verify(&two.peer_key).unwrap();
    let word = word(&two, &notice, signed.hash());
    one.feed(Input::Received(word), NOW);
    assert!(one.filed.is_empty());
    one.ended.unwrap()
}

#[test]
fn a_teller_takes_no_word_but_go_on_a_refusal_and_the_receipt_for_what_left() {
    let receipt = |pair: &Pair, notice: &Notice, commitment| {
        let receipt = Receipt {
            exchange: notice.exchange,
            commitment,
            from: pair.me.clone(),
            to: pair.peer.clone(),
            verdict: Verdict::Opened,
            at: NOW,
        };
        wire::frame(kind::RECEIPT, &Signed::sign(&receipt, &pair.key))
    };
    let answer = |pair: &Pair, notice: &Notice, request, reply| {
        let answer = Answer {
            exchange: notice.exchange,
            request,
            from: pair.me.clone(),
            to: pair.peer.clone(),
            in_return: false,
            reply,
            stopped: BTreeSet::new(),
            terms: pair.terms.hash(),
            at: NOW,
        };
        wire::frame(kind::ANSWER, &Signed::sign(&answer, &pair.key))
    };
    let left = Hash::new([8; 32]);
    let ended = said(|pair, notice, _| receipt(pair, notice, left), Some(left));
    assert!(ended.acknowledged);
    for (ended, fault) in [
        (
            said(|pair, notice, _| receipt(pair, notice, left), None),
            Fault::Unfit("a receipt for a bundle that never left"),
        ),
        (
            said(
                |pair, notice, _| receipt(pair, notice, Hash::new([9; 32])),
                Some(left),
            ),
            Fault::Unfit("a receipt for another bundle"),
        ),
        (
            said(
                |pair, notice, hash| answer(pair, notice, hash, Reply::Delivered),
                None,
            ),
            Fault::Unfit("an answer to a notice that is no refusal"),
        ),
        (
            said(
                |pair, notice, _| {
                    let reply = Reply::Refused(RefusalCode::NotLinked);
                    answer(pair, notice, left, reply)
                },
                None,
            ),
            Fault::Unfit("an answer to another notice"),
        ),
        (
            said(|_, _, _| wire::frame(kind::KEY, &()), None),
            Fault::OutOfOrder(kind::KEY),
        ),
    ] {
        assert_eq!(ended.fault, Some(fault));
        assert!(!ended.acknowledged);
    }
}

#[test]
fn a_notice_that_is_anothers_or_of_another_time_is_refused_by_name() {
    let heard = |change: fn(&mut Notice), at: Timestamp| {
        let (one, two) = pairs(defaults());
        let mut notice = Notice {
            federation: one.federation,
            exchange: ExchangeId::new([5; 16]),
            from: one.me.clone(),
            to: one.peer.clone(),
            match_id: MatchId::new([6; 32]),
            handle: Handle(Fixed([7; 32])),
            issued: NOW,
            expires: NOW + VALID,
        };
        change(&mut notice);
        let signed = Signed::sign(&notice, &one.key);
        let mut two = hearer(two);
        two.feed(Input::Opened, at);
        two.feed(Input::Received(wire::frame(kind::NOTICE, &signed)), at);
        (two.ended.and_then(|ended| ended.fault), two.sent.len())
    };
    assert_eq!(heard(|_| {}, NOW), (None, 1));
    let refused = |why| (Some(Fault::Unfit(why)), 0);
    let later = NOW + VALID + Duration::from_secs(1);
    assert_eq!(heard(|_| {}, later), refused("a notice that has expired"));
    let between = "a notice between other members";
    assert_eq!(heard(|it| it.from = it.to.clone(), NOW), refused(between));
    assert_eq!(heard(|it| it.to = it.from.clone(), NOW), refused(between));
    let another = |it: &mut Notice| it.federation = FederationId::new([1; 32]);
    assert_eq!(
        heard(another, NOW),
        refused("a notice of another federation")
    );
    let long = "a notice dated ahead of time, or valid too long";
    assert_eq!(
        heard(|it| it.expires = it.expires + VALID, NOW),
        refused(long)
    );
    let ahead = |it: &mut Notice| {
        it.issued = NOW + Duration::from_secs(3600);
        it.expires = it.issued;
    };
    assert_eq!(heard(ahead, NOW), refused(long));
}

/// Another member that learnt the id of a notice gets nobody's receipt for it.
#[test]
fn a_receipt_is_given_again_only_to_whoever_it_was_given_to() {
    let (one, two) = pairs(defaults());
    let (mut one, mut there) = (teller(one, None), hearer(two));
    run(&mut one, &mut there, |_, frame| Some(frame));
    // Signed by the hearer's key, for somebody else.
    let (_, two) = pairs(defaults());
    let receipt = there.heard[&ExchangeId::new([5; 16])].clone();
    let mut body = receipt.verify(&two.key.public()).unwrap();
    body.to = "RA9".parse().unwrap();
    let mut other = after(two.clone(), &there);
    other
        .heard
        .insert(body.exchange, Signed::sign(&body, &two.key));
    let mut again = teller(pairs(defaults()).0, None);
    run(&mut again, &mut other, |_, frame| Some(frame));
    let fault = other.ended.unwrap().fault;
    assert_eq!(fault, Some(Fault::Unfit("another's exchange id")));
    assert!(!again.ended.unwrap().acknowledged);
}
