use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::*;
use crate::crypto::hash;
use crate::exchange::account::{Entry, Shown, Stage};
use crate::exchange::answer::{Answer, Receipt, RefusalCode, Reply, Verdict};
use crate::exchange::bundle::{Content, Item, Manifest};
use crate::exchange::review::{self, Review, WITHIN};
use crate::exchange::testing::{defaults, pairs, pairs_with};
use crate::ids::Fixed;
use crate::limits::BUNDLE_CHUNK;
use crate::offer::Offer;

mod lines;
mod notices;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn person(nhs: &str) -> Subject {
    let key = IndexKey {
        nhs: nhs.parse().unwrap(),
        born: "1948-11-08".parse().unwrap(),
    };
    let id = hash::bytes(nhs.as_bytes());
    Subject {
        person: PersonId(Fixed(*id.as_bytes().first_chunk().unwrap())),
        key,
        commitment: Commitment(id.0),
    }
}

/// One side with its little store.
struct Side {
    machine: Ask,
    own: Option<Vec<u8>>,
    link: bool,
    stopped: BTreeSet<Category>,
    /// After so many chunks an operator stops it.
    stop_after: Option<u32>,
    narrowed: bool,
    executed: BTreeMap<ExchangeId, (Hash, Signed<Answer>)>,
    heard: BTreeMap<ExchangeId, Signed<Receipt>>,
    shown: Vec<Hash>,
    plain: VecDeque<u8>,
    spool: Vec<u8>,
    filed: Vec<(Filed, Vec<u8>)>,
    accounts: Vec<(Stage, Entry)>,
    acts: Vec<Act>,
    reviews: Vec<Review>,
    /// `review` and `send`, as they were ordered.
    orders: Vec<&'static str>,
    sent: Vec<Vec<u8>>,
    ended: Option<Ended>,
}

impl Side {
    fn new(machine: Ask, body: Option<&[u8]>) -> Self {
        Self {
            machine,
            own: body.map(<[u8]>::to_vec),
            link: true,
            stopped: BTreeSet::new(),
            stop_after: None,
            narrowed: false,
            executed: BTreeMap::new(),
            heard: BTreeMap::new(),
            shown: vec![],
            plain: VecDeque::new(),
            spool: vec![],
            filed: vec![],
            accounts: vec![],
            acts: vec![],
            reviews: vec![],
            orders: vec![],
            sent: vec![],
            ended: None,
        }
    }

    fn feed(&mut self, input: Input<Fact>, now: Timestamp) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.machine.handle(input, now, &mut rand::rng()) {
                match output {
                    Output::Record(act) => self.acts.push(act),
                    Output::Save(save) => self.save(save),
                    Output::Send(frame) => {
                        self.orders.push("send");
                        self.sent.push(frame);
                    }
                    Output::Load(load) => inputs.push_back(Input::Loaded(self.load(load))),
                    Output::Close(ended) => self.ended = Some(ended),
                }
            }
        }
    }

    fn save(&mut self, save: Save) {
        match save {
            Save::Statement { .. } => {}
            Save::Executed {
                exchange,
                request,
                answer,
            } => {
                self.executed.insert(exchange, (request, answer));
            }
            Save::Review(review) => {
                self.orders.push("review");
                self.reviews.push(*review);
            }
            Save::Spool(plain) => self.spool.extend(plain),
            Save::File(filed) => self.filed.push((*filed, std::mem::take(&mut self.spool))),
            Save::Shown { commitment, .. } => self.shown.push(commitment),
            Save::Heard {
                exchange, receipt, ..
            } => {
                self.heard.insert(exchange, receipt);
            }
            Save::Account(stage, entry) => self.accounts.push((stage, *entry)),
        }
    }

    fn load(&mut self, load: Load) -> Fact {
        match load {
            Load::Case { exchange, .. } => Fact::Case(Case {
                subject: self.link.then(|| person("9990001235")),
                earlier: self.executed.get(&exchange).cloned(),
            }),
            Load::Notice { exchange, .. } => Fact::Notice(NoticeCase {
                subject: self.link.then(|| person("9990001235")),
                earlier: self.heard.get(&exchange).cloned(),
            }),
            Load::Prepare {
                subject,
                categories,
                ..
            } => {
                let stopped = &categories & &self.stopped;
                let left = &categories - &stopped;
                let prepared = match left.is_empty() && !stopped.is_empty() {
                    true => Prepared::Stopped,
                    false => self.prepare(subject, &left),
                };
                Fact::Prepared(prepared, stopped)
            }
            Load::Chunk if self.stop_after == Some(0) && self.narrowed => Fact::Narrowed,
            Load::Chunk if self.stop_after == Some(0) => Fact::Stopped,
            Load::Chunk => {
                self.stop_after = self.stop_after.map(|left| left - 1);
                let size = self.plain.len().min(BUNDLE_CHUNK);
                Fact::Chunk(self.plain.drain(..size).collect())
            }
            Load::Examine(_) => Fact::Examined(true),
        }
    }

    fn prepare(&mut self, subject: Subject, categories: &BTreeSet<Category>) -> Prepared {
        let Some(body) = &self.own else {
            return Prepared::Nothing("objection".into());
        };
        if !categories.contains(&Category::CarePlans) {
            return Prepared::Nothing("nothing in these categories".into());
        }
        let manifest = Manifest {
            author: self.machine.pair.me.clone(),
            as_of: NOW,
            subject: subject.key,
            items: vec![Item {
                content: Content::Record {
                    category: Category::CarePlans,
                    kind: "CarePlan".into(),
                    id: "1".into(),
                    urn: None,
                },
                length: body.len() as u64,
                hash: hash::bytes(body),
            }],
        };
        self.plain = [&manifest.head().unwrap()[..], body].concat().into();
        Prepared::Bundle {
            counts: manifest.counts(),
            length: self.plain.len() as u64,
        }
    }
}

fn everything() -> BTreeSet<Category> {
    Category::ALL.iter().copied().collect()
}

fn plan() -> Plan {
    Plan {
        exchange: ExchangeId::new([5; 16]),
        match_id: MatchId::new([6; 32]),
        handle: Handle(Fixed([7; 32])),
        subject: person("9990001235"),
        purpose: Purpose::Care,
        categories: BTreeSet::new(),
        reason: None,
        user: User {
            name: "Ada Nurse".into(),
            role: "nurse".into(),
            id: "u1".into(),
        },
    }
}

fn sides(offers: [Offer; 2], plan: Plan, bodies: [Option<&[u8]>; 2]) -> (Side, Side) {
    let (one, two) = pairs(offers);
    (
        Side::new(Ask::requester(one, plan), bodies[0]),
        Side::new(Ask::holder(two), bodies[1]),
    )
}

/// Carries frames until both rest; `change` may alter or drop each, numbered over both ways.
fn run(one: &mut Side, two: &mut Side, mut change: impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>>) {
    carry(one, two, |number, frame, _| {
        change(number, frame).map(|frame| vec![frame])
    });
}

/// The same over a line that says what arrives instead of each frame, and how late it is by then.
fn carry(
    one: &mut Side,
    two: &mut Side,
    mut line: impl FnMut(usize, Vec<u8>, &mut Timestamp) -> Option<Vec<Vec<u8>>>,
) {
    let mut now = NOW;
    one.feed(Input::Opened, now);
    two.feed(Input::Opened, now);
    let mut number = 0;
    loop {
        let (forth, back) = (std::mem::take(&mut one.sent), std::mem::take(&mut two.sent));
        if forth.is_empty() && back.is_empty() {
            break;
        }
        for (frames, to) in [(forth, &mut *two), (back, &mut *one)] {
            for frame in frames {
                let frames = line(number, frame, &mut now);
                number += 1;
                if to
                    .machine
                    .deadline()
                    .is_some_and(|deadline| deadline <= now)
                {
                    to.feed(Input::DeadlinePassed, now);
                }
                match frames {
                    Some(frames) => {
                        for frame in frames {
                            to.feed(Input::Received(frame), now);
                        }
                    }
                    None => to.feed(Input::Lost, now),
                }
            }
        }
    }
    for side in [one, two] {
        if side.ended.is_none() {
            side.feed(Input::Lost, now);
        }
    }
}

#[test]
fn both_show_each_other_the_same_person_and_both_journal_it() {
    let big = vec![b'x'; 3 * BUNDLE_CHUNK + 5];
    for body in [&b"plan"[..], &big] {
        let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(body)]);
        run(&mut one, &mut two, |_, frame| Some(frame));
        let (asked, held) = (one.ended.unwrap(), two.ended.unwrap());
        assert_eq!((asked.fault, held.fault), (None, None));
        assert_eq!(asked.reply, Some(Reply::Delivered));
        assert_eq!(asked.received, [(Category::CarePlans, 1)]);
        assert_eq!(asked.shown, held.received);
        assert!(asked.acknowledged && held.acknowledged);
        assert!(one.filed[0].1.windows(body.len()).any(|w| w == body));
        assert!(two.filed[0].1.windows(4).any(|w| w == b"ours"));
        assert!(!one.filed[0].0.in_return && two.filed[0].0.in_return);
        let names = |acts: &[Act]| -> Vec<String> {
            let name = |act: &Act| format!("{act:?}").split(' ').next().unwrap().to_owned();
            acts.iter().map(name).collect()
        };
        assert_eq!(
            names(&one.acts),
            [
                "Asked",
                "AnswerHeard",
                "Received",
                "Returned",
                "Shown",
                "ReceiptHeard"
            ]
        );
        assert_eq!(
            names(&two.acts),
            [
                "Answered",
                "Shown",
                "ReceiptHeard",
                "AnswerHeard",
                "Received"
            ]
        );
    }
}

/// What both put into the account in the end: once each.
fn entered(sides: [&Side; 2]) -> [Entry; 2] {
    sides.map(|side| {
        let over: Vec<_> = side
            .accounts
            .iter()
            .filter(|it| it.0 == Stage::Over)
            .collect();
        assert_eq!(over.len(), 1, "{:?}", side.accounts);
        assert_eq!(side.accounts.last().unwrap().0, Stage::Over);
        over[0].1.clone()
    })
}

#[test]
fn both_enter_the_same_exchange_with_the_same_statements() {
    let with = Shown::Bundle([Category::CarePlans].into());
    let nothing = Shown::Nothing;
    let ours: Option<&[u8]> = Some(b"ours");
    for (bodies, statements, answer, in_return) in [
        ([ours, ours], 7, with.clone(), with.clone()),
        ([None, ours], 5, with.clone(), nothing.clone()),
        ([ours, None], 5, nothing.clone(), with),
        ([None, None], 3, nothing.clone(), nothing),
    ] {
        let (mut one, mut two) = sides(defaults(), plan(), bodies);
        run(&mut one, &mut two, |_, frame| Some(frame));
        let [asked, held] = entered([&one, &two]);
        assert_eq!(asked, held);
        assert_eq!(asked.statements.len(), statements);
        assert_eq!((asked.answer, asked.in_return), (answer, in_return));
        assert!(asked.categories.contains(&Category::Medications));
        // The request is down before it leaves; so is the answer.
        assert!(
            one.accounts
                .iter()
                .chain(&two.accounts)
                .any(|it| it.0 == Stage::Open)
        );
    }
    let (mut one, mut two) = sides(defaults(), plan(), [ours, ours]);
    two.stopped = everything();
    run(&mut one, &mut two, |_, frame| Some(frame));
    let [asked, held] = entered([&one, &two]);
    assert_eq!(asked.statements, held.statements);
    assert_eq!(asked.answer, Shown::Refused(RefusalCode::Stopped));
    assert_eq!(asked.in_return, Shown::NotDue);
}

#[test]
fn an_exchange_cut_anywhere_is_entered_as_far_as_it_came() {
    let ours: Option<&[u8]> = Some(b"ours");
    for cut in 0..11 {
        let (mut one, mut two) = sides(defaults(), plan(), [ours, ours]);
        run(&mut one, &mut two, |n, frame| (n < cut).then_some(frame));
        let over = |side: &Side| {
            let over: Vec<_> = side
                .accounts
                .iter()
                .filter(|it| it.0 == Stage::Over)
                .collect();
            assert!(over.len() <= 1);
            over.first().map(|it| it.1.clone())
        };
        let asked = over(&one).unwrap();
        match over(&two) {
            None => assert_eq!(cut, 0, "the request never came"),
            Some(held) => {
                let (a, b) = (&asked.statements, &held.statements);
                assert!(a.is_subset(b) || b.is_subset(a), "cut at {cut}");
            }
        }
    }
}

#[test]
fn the_user_reaches_the_holder_sealed_and_stands_in_its_journal() {
    let (mut one, mut two) = sides(defaults(), plan(), [None, None]);
    let mut seen = vec![];
    run(&mut one, &mut two, |_, frame| {
        seen.extend_from_slice(&frame);
        Some(frame)
    });
    assert!(!seen.windows(3).any(|w| w == b"Ada"));
    assert!(
        matches!(&two.acts[0], Act::Answered { user, outcome: Outcome::NothingToShow, private: Some(why), .. }
        if user.name == "Ada Nurse" && why == "objection")
    );
    assert_eq!(one.ended.unwrap().reply, Some(Reply::NothingToShow));
}

#[test]
fn a_refusal_has_its_code_and_nothing_follows_it() {
    let refused = |offers, plan, link, stopped| {
        let (mut one, mut two) = sides(offers, plan, [Some(b"ours"), Some(b"theirs")]);
        two.link = link;
        if stopped {
            two.stopped = everything();
        }
        run(&mut one, &mut two, |_, frame| Some(frame));
        assert!(two.filed.is_empty() && one.filed.is_empty());
        let ended = one.ended.unwrap();
        assert_eq!(ended.fault, None);
        ended.reply.unwrap()
    };
    let code = Reply::Refused;
    assert_eq!(
        refused(defaults(), plan(), false, false),
        code(RefusalCode::NotLinked)
    );
    assert_eq!(
        refused(defaults(), plan(), true, true),
        code(RefusalCode::Stopped)
    );
    let wants = |purpose, category| Plan {
        purpose,
        categories: BTreeSet::from([category]),
        ..plan()
    };
    assert_eq!(
        refused(
            defaults(),
            wants(Purpose::Care, Category::Safeguarding),
            true,
            false
        ),
        code(RefusalCode::OutsideOffer)
    );
    assert_eq!(
        refused(
            defaults(),
            wants(Purpose::SharedCare, Category::Problems),
            true,
            false
        ),
        code(RefusalCode::PurposeNotSupported)
    );
}

#[test]
fn what_is_stopped_is_left_out_and_the_other_side_is_told_which() {
    let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
    two.stopped = BTreeSet::from([Category::Results, Category::Safeguarding]);
    run(&mut one, &mut two, |_, frame| Some(frame));
    let ended = one.ended.unwrap();
    assert_eq!(ended.reply, Some(Reply::Delivered));
    // Safeguarding is not in the offer, stop or no stop.
    assert_eq!(ended.stopped, BTreeSet::from([Category::Results]));
    assert_eq!((one.filed.len(), two.filed.len()), (1, 1));
}

#[test]
fn a_requester_under_a_stop_is_answered_and_says_that_it_shows_nothing() {
    let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
    one.stopped = everything();
    run(&mut one, &mut two, |_, frame| Some(frame));
    assert_eq!((one.filed.len(), two.filed.len()), (1, 0));
    let said = one.acts.iter().find_map(|act| match act {
        Act::Returned { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    assert_eq!(said, Some(Outcome::Refused("stopped".into())));
    let [asked, held] = entered([&one, &two]);
    assert_eq!(asked.in_return, Shown::Refused(RefusalCode::Stopped));
    assert_eq!(asked, held);
}

#[test]
fn a_bundle_on_its_way_is_broken_off_when_it_is_stopped_or_an_offer_narrowed() {
    broken_off(false, RefusalCode::Stopped, Fault::Stopped);
    broken_off(true, RefusalCode::OutsideOffer, Fault::Narrowed);
}

fn broken_off(narrowed: bool, code: RefusalCode, fault: Fault) {
    let large = vec![7; 3 * BUNDLE_CHUNK];
    let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(&large)]);
    let mut chunks = 0;
    one.feed(Input::Opened, NOW);
    two.feed(Input::Opened, NOW);
    let request = one.sent.remove(0);
    // It comes when the answer, the key and the first chunks are out.
    (two.stop_after, two.narrowed) = (Some(2), narrowed);
    two.feed(Input::Received(request), NOW);
    for frame in &two.sent {
        chunks += usize::from(wire::open(frame).0 == kind::CHUNK);
    }
    assert_eq!(chunks, 2);
    assert!(two.shown.is_empty(), "it did not leave whole");
    assert!(
        two.acts
            .iter()
            .any(|act| matches!(act, Act::BrokenOff { .. }))
    );
    for frame in std::mem::take(&mut two.sent) {
        one.feed(Input::Received(frame), NOW);
    }
    assert!(one.filed.is_empty());
    let ended = one.ended.as_ref().unwrap();
    assert_eq!(ended.reply, Some(Reply::Refused(code)));
    assert_eq!(ended.fault, None);
    assert_eq!(two.ended.as_ref().unwrap().fault, Some(fault));
    let [asked, held] = entered([&one, &two]);
    assert_eq!(asked, held);
    assert_eq!(asked.answer, Shown::Refused(code));
    assert_eq!(asked.in_return, Shown::NotDue);
}

#[test]
fn nothing_but_a_stop_or_a_narrower_offer_is_said_in_place_of_the_rest_of_a_bundle() {
    let large = vec![7; 3 * BUNDLE_CHUNK];
    for (reply, fits) in [
        (Reply::NothingToShow, false),
        (Reply::Refused(RefusalCode::NotReasonablyAble), false),
        (Reply::Refused(RefusalCode::Stopped), true),
        (Reply::Refused(RefusalCode::OutsideOffer), true),
    ] {
        let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(&large)]);
        one.feed(Input::Opened, NOW);
        two.feed(Input::Opened, NOW);
        let request = one.sent.remove(0);
        two.feed(Input::Received(request), NOW);
        for frame in two.sent.drain(..).take(3) {
            one.feed(Input::Received(frame), NOW);
        }
        let exchange = one.machine.ended.exchange.unwrap();
        let request = two.executed[&exchange].0;
        let said = (reply, BTreeSet::new());
        let (answer, _) = two.machine.reply(exchange, request, said, NOW);
        one.feed(Input::Received(wire::frame(kind::ANSWER, &answer)), NOW);
        let ended = one.ended.unwrap();
        assert_eq!(ended.fault.is_none(), fits, "{reply:?}");
        assert!(one.filed.is_empty() && ended.received.is_empty());
    }
}

#[test]
fn an_emergency_needs_a_named_user_and_a_reason() {
    let named = |name: &str, reason: Option<&str>| {
        let plan = Plan {
            purpose: Purpose::Emergency,
            reason: reason.map(|r| r.parse().unwrap()),
            user: User {
                name: name.into(),
                ..plan().user
            },
            ..plan()
        };
        let (mut one, mut two) = sides(defaults(), plan, [None, Some(b"theirs")]);
        run(&mut one, &mut two, |_, frame| Some(frame));
        (one.ended.unwrap().reply, two.ended.unwrap().fault)
    };
    assert_eq!(
        named("Ada", Some("unconscious")),
        (Some(Reply::Delivered), None)
    );
    let without = |fault| (None, Some(Fault::Unfit(fault)));
    assert_eq!(named("Ada", None), without("an emergency without a reason"));
    // Nor may a name draw on the screen of whoever reads the journal, or fill it.
    for name in [" ", "Ada\u{1b}[2J", "Ada\nEve", &"A".repeat(500)] {
        let why = "a request without a user named in plain text";
        assert_eq!(named(name, Some("x")), without(why), "{name:?}");
    }
}

fn emergency() -> Plan {
    Plan {
        purpose: Purpose::Emergency,
        reason: Some("unconscious".parse().unwrap()),
        ..plan()
    }
}

#[test]
fn an_emergency_opens_a_review_on_both_sides_before_anything_of_it_leaves() {
    let (mut one, mut two) = sides(defaults(), emergency(), [Some(b"ours"), Some(b"theirs")]);
    one.feed(Input::Opened, NOW);
    two.feed(Input::Opened, NOW);
    assert_eq!((one.reviews.len(), one.sent.len()), (1, 1));
    two.feed(Input::Received(one.sent.remove(0)), NOW);
    let before = |side: &Side| side.orders.iter().position(|order| *order == "review");
    let sent = |side: &Side| side.orders.iter().position(|order| *order == "send");
    for side in [&one, &two] {
        assert!(
            before(side).unwrap() < sent(side).unwrap(),
            "{:?}",
            side.orders
        );
    }
    let (ours, theirs) = (&one.reviews[0], &two.reviews[0]);
    assert_eq!(
        (ours.side, theirs.side),
        (review::Side::Asked, review::Side::Answered)
    );
    assert_eq!(
        (ours.peer.as_str(), theirs.peer.as_str()),
        ("L83024", "RH8")
    );
    for review in [ours, theirs] {
        assert_eq!(review.exchange, plan().exchange);
        assert_eq!(review.user, plan().user);
        assert_eq!(review.reason.as_str(), "unconscious");
        assert_eq!(review.person, Some(plan().subject.person));
        assert_eq!(review.due(), NOW + WITHIN);
    }
}

#[test]
fn an_emergency_is_reviewed_whatever_the_answer_and_care_never_is() {
    let reviews = |plan: Plan, link, body| {
        let (mut one, mut two) = sides(defaults(), plan, [None, body]);
        two.link = link;
        run(&mut one, &mut two, |_, frame| Some(frame));
        (one.reviews.len(), two.reviews.len())
    };
    assert_eq!(reviews(emergency(), true, None), (1, 1));
    assert_eq!(reviews(emergency(), false, Some(b"theirs")), (1, 1));
    assert_eq!(reviews(plan(), true, Some(b"theirs")), (0, 0));
    let reason = Some("a fall".parse().unwrap());
    let care = Plan { reason, ..plan() };
    assert_eq!(reviews(care, true, Some(b"theirs")), (0, 0));
    // The same request again is answered again, and reviewed once.
    let (mut one, mut two) = sides(defaults(), emergency(), [None, Some(b"theirs")]);
    let mut request = None;
    run(&mut one, &mut two, |_, frame| {
        request.get_or_insert_with(|| frame.clone());
        Some(frame)
    });
    let (_, mut again) = sides(defaults(), plan(), [None, None]);
    again.executed = two.executed;
    again.feed(Input::Opened, NOW);
    again.feed(Input::Received(request.unwrap()), NOW);
    assert_eq!((again.sent.len(), again.reviews.len()), (1, 0));
}

#[test]
fn a_limited_member_is_answered_for_care_and_emergencies_as_ever() {
    for bulk in [[false, true], [true, false], [false; 2]] {
        for plan in [plan(), emergency()] {
            let (one, two) = pairs_with(defaults(), bulk);
            let mut one = Side::new(Ask::requester(one, plan), Some(b"ours"));
            let mut two = Side::new(Ask::holder(two), Some(b"theirs"));
            run(&mut one, &mut two, |_, frame| Some(frame));
            let ended = one.ended.unwrap();
            assert_eq!((ended.reply, ended.fault), (Some(Reply::Delivered), None));
            assert_eq!((one.filed.len(), two.filed.len()), (1, 1));
        }
    }
}

#[test]
fn a_line_that_is_only_opened_leaves_nothing_in_the_journal() {
    for input in [Input::Lost, Input::DeadlinePassed] {
        let (_, two) = pairs(defaults());
        let mut holder = Side::new(Ask::holder(two), None);
        holder.feed(Input::Opened, NOW);
        holder.feed(input, NOW);
        assert_eq!(holder.acts, []);
        assert!(holder.ended.unwrap().fault.is_some());
    }
}

#[test]
fn show_in_return_can_be_switched_off_and_changes_no_answer() {
    let mut offers = defaults();
    offers[0].show_in_return = false;
    let (mut one, mut two) = sides(offers, plan(), [Some(b"ours"), Some(b"theirs")]);
    run(&mut one, &mut two, |_, frame| Some(frame));
    assert_eq!(one.ended.unwrap().reply, Some(Reply::Delivered));
    assert_eq!(one.filed.len(), 1);
    assert!(two.filed.is_empty());
    assert_eq!(two.ended.unwrap().fault, None);
}

#[test]
fn a_bundle_about_somebody_else_is_quarantined_and_nothing_follows_it() {
    let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
    // The requester's own person under this handle is somebody else than the holder's.
    one.machine = Ask::requester(
        pairs(defaults()).0,
        Plan {
            subject: person("9990014965"),
            ..plan()
        },
    );
    run(&mut one, &mut two, |_, frame| Some(frame));
    let (asked, held) = (one.ended.unwrap(), two.ended.unwrap());
    assert!(asked.quarantined && asked.received.is_empty() && asked.shown.is_empty());
    assert_eq!(one.filed[0].0.verdict, Verdict::WrongPerson);
    assert!(two.filed.is_empty());
    assert!(held.acknowledged);
    assert!(
        two.acts
            .iter()
            .any(|act| matches!(act, Act::ReceiptHeard { filed: false, .. }))
    );
}

#[test]
fn an_exchange_is_executed_once() {
    let (mut one, mut two) = sides(defaults(), plan(), [None, Some(b"theirs")]);
    let mut request = None;
    run(&mut one, &mut two, |number, frame| {
        if number == 0 {
            request = Some(frame.clone());
        }
        Some(frame)
    });
    let again = |frame: Vec<u8>, executed| {
        let (_, mut holder) = sides(defaults(), plan(), [None, Some(b"theirs")]);
        holder.executed = executed;
        holder.feed(Input::Opened, NOW);
        holder.feed(Input::Received(frame), NOW);
        (holder.sent, holder.ended.unwrap().fault)
    };
    let (sent, fault) = again(request.clone().unwrap(), two.executed.clone());
    assert_eq!((sent.len(), sent[0][0], fault), (1, kind::ANSWER, None));
    let other = Plan {
        purpose: Purpose::Safeguarding,
        ..plan()
    };
    let (mut one, _) = sides(defaults(), other, [None, None]);
    one.feed(Input::Opened, NOW);
    let (sent, fault) = again(one.sent.remove(0), two.executed);
    let used = "another request under an exchange id used before";
    assert_eq!((sent.len(), fault), (0, Some(Fault::Unfit(used))));
}

#[test]
fn a_line_lost_at_any_frame_ends_both_sides_with_what_was_filed_before() {
    let frames = {
        let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
        let mut frames = 0;
        run(&mut one, &mut two, |number, frame| {
            frames = number + 1;
            Some(frame)
        });
        frames
    };
    assert!(frames >= 10, "{frames}");
    for cut in 0..frames {
        let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
        run(&mut one, &mut two, |number, frame| {
            (number < cut).then_some(frame)
        });
        let (asked, held) = (one.ended.unwrap(), two.ended.unwrap());
        assert!(asked.fault.is_some() || held.fault.is_some(), "{cut}");
        assert_eq!(
            one.filed.len(),
            usize::from(!asked.received.is_empty()),
            "{cut}"
        );
        assert_eq!(
            two.filed.len(),
            usize::from(!held.received.is_empty()),
            "{cut}"
        );
    }
}

#[test]
fn a_bit_changed_in_any_frame_is_never_filed() {
    let mut cut = 0;
    loop {
        let (mut one, mut two) = sides(defaults(), plan(), [Some(b"ours"), Some(b"theirs")]);
        let mut frames = 0;
        run(&mut one, &mut two, |number, mut frame| {
            frames = number + 1;
            if number == cut {
                let at = frame.len() / 2;
                frame[at] ^= 4;
            }
            Some(frame)
        });
        if cut >= frames {
            break;
        }
        let faults = [one.ended.unwrap().fault, two.ended.unwrap().fault];
        assert!(faults.iter().any(Option::is_some), "{cut}");
        cut += 1;
    }
    assert!(cut >= 10);
}

#[test]
fn requests_of_another_time_or_addressee_are_refused_by_name() {
    let fault = |now: Timestamp| {
        let (mut one, mut two) = sides(defaults(), plan(), [None, Some(b"theirs")]);
        one.feed(Input::Opened, NOW);
        two.feed(Input::Opened, now);
        two.feed(Input::Received(one.sent.remove(0)), now);
        two.ended.map(|ended| ended.fault.unwrap().to_string())
    };
    let minutes = |n: u64| Duration::from_secs(n * 60);
    assert_eq!(fault(NOW + minutes(4)), None);
    let late = "the other side's statement does not fit: a request that has expired";
    assert_eq!(fault(NOW + minutes(6)).as_deref(), Some(late));
    assert!(fault(NOW - minutes(6)).unwrap().contains("ahead of time"));
}

#[test]
fn a_silent_peer_and_a_stray_message_end_the_exchange_by_name() {
    let (mut one, mut two) = sides(defaults(), plan(), [None, None]);
    one.feed(Input::Opened, NOW);
    let deadline = one.machine.deadline().unwrap();
    one.feed(Input::DeadlinePassed, deadline);
    assert_eq!(one.ended.unwrap().fault, Some(Fault::Silent));
    assert!(
        one.acts
            .iter()
            .any(|act| matches!(act, Act::AnswerHeard { answer: None, .. }))
    );
    two.feed(Input::Opened, NOW);
    two.feed(Input::Received(vec![99]), NOW);
    assert_eq!(two.sent, [wire::frame(wire::UNSUPPORTED, &99_u8)]);
    assert_eq!(two.ended.unwrap().fault, Some(Fault::OutOfOrder(99)));
}

#[test]
fn a_bundle_over_the_receivers_limit_is_not_taken() {
    let big = vec![b'x'; 300_000];
    let (mut one, mut two) = sides(defaults(), plan(), [None, Some(&big)]);
    one.machine.pair.max_bundle = 100_000;
    run(&mut one, &mut two, |_, frame| Some(frame));
    assert_eq!(one.ended.unwrap().fault, Some(Fault::TooLarge));
    let (mut one, mut two) = sides(defaults(), plan(), [None, Some(&big)]);
    two.machine.pair.max_bundle = 100_000;
    run(&mut one, &mut two, |_, frame| Some(frame));
    let unable = Reply::Refused(RefusalCode::NotReasonablyAble);
    assert_eq!(one.ended.unwrap().reply, Some(unable));
}
