//! Who and what is withheld looks like anybody there is nothing to show of: in content, in size, and
//! by the same path in time; and after rollover like anybody who left.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_node::control::{Progress, dispatch};
use fairshare_node::engine::asking::{self, pair};
use fairshare_node::engine::drive::now;
use fairshare_node::engine::progress::Watch;
use fairshare_node::engine::{finding, matching, showing, withholding};
use fairshare_node::node::Node;
use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::codec;
use fairshare_protocol::control::Request;
use fairshare_protocol::control::index::FindState;
use fairshare_protocol::control::withholding::{Mask, Release, Whom, Withhold};
use fairshare_protocol::conversation::{Conversation, Input, Output};
use fairshare_protocol::exchange::answer::{Answer, Reply};
use fairshare_protocol::exchange::ask::{Ask, Ended, Fact, Load, Plan, Prepared, kind};
use fairshare_protocol::ids::{ExchangeId, Fixed, Hash};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::{Act, Outcome};
use fairshare_protocol::member::MemberKind;
use fairshare_protocol::offer::Service;
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::{DAY, Timestamp};
use fairshare_protocol::wire;
use fairshare_tests::figures::number;
use fairshare_tests::harness::mesh::{self, Peer, user};
use fairshare_tests::harness::people::Somebody;
use rand::Rng;
use rand::seq::SliceRandom;

fn key(number: u32) -> IndexKey {
    let person = Somebody::numbered(number);
    IndexKey {
        nhs: person.nhs.parse().unwrap(),
        born: person.born.parse().unwrap(),
    }
}

fn patient(number: u32, born: Option<&str>) -> String {
    let person = Somebody::numbered(number);
    let born = born.unwrap_or(&person.born);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","birthDate":"{born}","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{}"}}]}}"#,
        person.nhs
    )
}

fn about(kind: &str, id: &str, number: u32, more: &str) -> String {
    let subject = match kind {
        "Immunization" => "patient",
        _ => "subject",
    };
    format!(
        r#"{{"resourceType":"{kind}","id":"{id}","{subject}":{{"reference":"Patient/p{number}"}}{more}}}"#
    )
}

/// A Patient with so many conditions and immunisations.
fn somebody(number: u32, conditions: u32, immunisations: u32) -> Vec<String> {
    let mut lines = vec![patient(number, None)];
    for n in 0..conditions {
        lines.push(about("Condition", &format!("c{number}-{n}"), number, ""));
    }
    for n in 0..immunisations {
        lines.push(about("Immunization", &format!("i{number}-{n}"), number, ""));
    }
    lines
}

const SEXUAL_HEALTH: &str =
    r#","serviceType":{"coding":[{"system":"http://snomed.info/sct","code":"788122004"}]}"#;

/// A practice and a trust, not yet in a federation.
async fn two() -> (Peer, Peer) {
    let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let practice = Peer::start("L83024", MemberKind::GpPractice).await;
    (trust, practice)
}

async fn tell(node: &Arc<Node>, request: impl Into<Request>) -> serde_json::Value {
    let told = dispatch(node, &user(), request.into(), &Progress::none()).await;
    told.unwrap()
}

async fn withhold(node: &Arc<Node>, number: u32, reason: &str) -> serde_json::Value {
    let people = vec![Whom::Person(key(number))];
    let reason = reason.parse().unwrap();
    tell(node, Withhold { people, reason }).await
}

async fn mask(node: &Arc<Node>, service: &str, masked: bool) -> serde_json::Value {
    let (service, reason) = (service.parse().unwrap(), "a test".parse().unwrap());
    let question = Mask {
        service,
        reason,
        masked,
    };
    tell(node, question).await
}

fn plan(asker: &Node, holder: &Node, number: u32, only: &[Category]) -> Option<Plan> {
    let (match_id, handle) = asker.index.handle(&key(number), holder.code()).unwrap()?;
    let mut id = [0; 16];
    rand::rng().fill_bytes(&mut id);
    Some(Plan {
        exchange: ExchangeId::new(id),
        match_id,
        handle,
        subject: asking::subject(asker, key(number)).unwrap()?,
        purpose: Purpose::Care,
        categories: only.iter().copied().collect(),
        reason: None,
        user: user(),
    })
}

/// What the asker of one exchange saw.
struct Seen {
    /// Every frame the holder sent.
    frames: Vec<Vec<u8>>,
    /// From the request to the first of them.
    waited: Duration,
    ended: Ended,
}

/// Asks as a node does, keeps nothing, shows nothing in return, and looks at every byte that comes.
async fn ask(asker: &Node, holder: &Node, plan: Plan) -> Seen {
    let roster = asker.membership.roster().unwrap();
    let pair = pair(asker, &roster, holder.code()).unwrap();
    let network = asker.network().unwrap();
    let mut line = network.open(&pair.peer_key, wire::EXCHANGE).await.unwrap();
    let mut machine = Ask::requester(pair, plan);
    let mut inputs = VecDeque::from([Input::Opened]);
    let mut frames = Vec::new();
    let (mut asked, mut waited) = (Instant::now(), None);
    loop {
        let input = match inputs.pop_front() {
            Some(input) => input,
            None => match line.recv(1 << 20).await.unwrap() {
                Some(frame) => {
                    waited = waited.or(Some(asked.elapsed()));
                    frames.push(frame.clone());
                    Input::Received(frame)
                }
                None => Input::Lost,
            },
        };
        for output in machine.handle(input, now(), &mut rand::rng()) {
            match output {
                Output::Send(frame) => {
                    line.send(&frame).await.unwrap();
                    if waited.is_none() {
                        asked = Instant::now();
                    }
                }
                Output::Load(Load::Prepare { .. }) => {
                    let nothing = Prepared::Nothing(String::new());
                    inputs.push_back(Input::Loaded(Fact::Prepared(nothing, BTreeSet::new())));
                }
                Output::Load(_) => inputs.push_back(Input::Loaded(Fact::Examined(true))),
                Output::Close(ended) => {
                    line.finish().await.unwrap();
                    // What else comes, until the holder has closed.
                    while let Ok(Some(frame)) = line.recv(1 << 20).await {
                        frames.push(frame);
                    }
                    return Seen {
                        frames,
                        waited: waited.unwrap_or_default(),
                        ended,
                    };
                }
                Output::Record(_) | Output::Save(_) => {}
            }
        }
    }
}

async fn asked(asker: &Node, holder: &Node, number: u32, only: &[Category]) -> Seen {
    ask(asker, holder, plan(asker, holder, number, only).unwrap()).await
}

/// The one statement in what came, without what is of this exchange alone.
fn content(seen: &Seen) -> Answer {
    assert_eq!(seen.frames.len(), 1, "an answer and nothing else");
    let (kind, message) = wire::open(&seen.frames[0]);
    assert_eq!(kind, kind::ANSWER);
    let signed: Signed<Answer> = codec::decode(message, 1 << 16).unwrap();
    Answer {
        exchange: ExchangeId::new([0; 16]),
        request: Hash::new([0; 32]),
        at: Timestamp(0),
        ..signed.peek().unwrap()
    }
}

/// The private reasons the holder journaled for answering that there is nothing to show.
fn private(holder: &Node) -> Vec<String> {
    let acts = holder.journal.entries(1).unwrap();
    let why = acts.filter_map(|entry| match entry.unwrap().act {
        Act::Answered {
            outcome: Outcome::NothingToShow,
            private,
            ..
        } => private,
        _ => None,
    });
    why.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withheld_person_answers_as_anybody_there_is_nothing_to_show_of_does() {
    let (trust, practice) = two().await;
    let (holder, asker) = (&trust.node, &practice.node);
    let (withheld, empty, left, masked, open) = (0, 1, 2, 3, 4);
    let mut lines = somebody(withheld, 3, 2);
    lines.extend(somebody(empty, 5, 0));
    lines.extend(somebody(left, 3, 2));
    lines.extend([patient(masked, None), about("Encounter", "e", masked, "")]);
    lines.push(about(
        "Immunization",
        "i",
        masked,
        r#","encounter":{"reference":"Encounter/e"}"#,
    ));
    lines.extend(somebody(open, 3, 2));
    trust.import(&lines).await;
    let theirs: Vec<_> = (0..6).map(|number| patient(number, None)).collect();
    practice.import(&theirs).await;
    mesh::found(&[&trust, &practice], |_| {}, |_, _| {}).await;
    let found = matching::begin(holder, asker.code(), &Watch::nobody())
        .await
        .unwrap();
    assert_eq!(found.links, 5);

    // All of it after they were linked.
    withhold(holder, withheld, "objection").await;
    trust.import(&[patient(left, Some("1950-01-01"))]).await;
    let contact = about("Encounter", "e", masked, SEXUAL_HEALTH);
    trust.import(&[contact]).await;

    let only = [Category::Immunisations];
    let plain = asked(asker, holder, open, &only).await;
    assert_eq!(plain.ended.reply, Some(Reply::Delivered));
    let reference = asked(asker, holder, empty, &only).await;
    assert_eq!(content(&reference).reply, Reply::NothingToShow);
    for number in [withheld, left, masked] {
        for only in [&only[..], &[]] {
            let seen = asked(asker, holder, number, only).await;
            assert_eq!(content(&seen), content(&reference), "{number}");
            let sizes = [&seen, &reference].map(|seen| seen.frames[0].len());
            assert_eq!(sizes[0], sizes[1], "{number}");
            assert_eq!(
                seen.ended,
                Ended {
                    exchange: seen.ended.exchange,
                    ..reference.ended.clone()
                }
            );
        }
    }
    // For every purpose, an emergency too.
    for purpose in [Purpose::Emergency, Purpose::Safeguarding] {
        let mut plan = plan(asker, holder, withheld, &[]).unwrap();
        plan.purpose = purpose;
        plan.reason = Some("unconscious on arrival".parse().unwrap());
        let seen = ask(asker, holder, plan).await;
        assert_eq!(content(&seen), content(&reference), "{purpose}");
        assert_eq!(seen.frames[0].len(), reference.frames[0].len());
    }
    // A handle that is nobody's is answered so as ever.
    let mut nobody = plan(asker, holder, open, &[]).unwrap();
    nobody.handle.0 = Fixed([7; 32]);
    let refused = ask(asker, holder, nobody).await.ended.reply;
    assert!(matches!(refused, Some(Reply::Refused(_))), "{refused:?}");

    // Why, the journal knows, and nobody else.
    let why = private(holder);
    let not_held = "nothing is held in these categories";
    let expected = [
        not_held,
        "objection",
        "objection",
        not_held,
        not_held,
        withholding::MASKED,
        withholding::MASKED,
        "objection",
        "objection",
    ];
    assert_eq!(why, expected);

    // Our own user's ask goes out; nothing of ours follows.
    let theirs = plan(holder, asker, withheld, &[]).unwrap();
    let roster = holder.membership.roster().unwrap();
    let to = pair(holder, &roster, asker.code()).unwrap();
    let ended = asking::ask(holder, &to, theirs)
        .await
        .unwrap()
        .ended
        .unwrap();
    assert_eq!(ended.reply, Some(Reply::Delivered));
    assert!(ended.shown.is_empty() && ended.fault.is_none());
    let report = finding::find(holder, &user(), &key(withheld))
        .await
        .unwrap();
    assert!(report.held && report.withheld && report.indexed);

    // But of whom nobody was told yet, nobody is told by asking.
    trust.import(&somebody(5, 1, 1)).await;
    withhold(holder, 5, "objection").await;
    let question = fairshare_protocol::control::exchange::Ask {
        purpose: Purpose::Care,
        peers: BTreeSet::new(),
        categories: BTreeSet::new(),
        reason: None,
        person: key(5),
    };
    let told = tell(holder, question).await;
    assert_eq!(told["peers"][0]["state"], "not-indexable", "{told}");

    // And no more: the records are shown again at once.
    let released = Release {
        whom: Whom::Person(key(withheld)),
        reason: "objection withdrawn".parse().unwrap(),
    };
    tell(holder, released).await;
    let again = asked(asker, holder, withheld, &only).await;
    assert_eq!(again.ended.received, plain.ended.received);
    trust.stop().await;
    practice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_rollover_a_withheld_person_is_in_no_advert_and_no_link() {
    for seconds in [12, 40, 120] {
        let (trust, practice) = two().await;
        let (holder, asker) = (&trust.node, &practice.node);
        let all: Vec<_> = (0..4).flat_map(|number| somebody(number, 1, 1)).collect();
        trust.import(&all).await;
        practice.import(&all).await;
        let ends = Timestamp(now().0 + seconds * 1000);
        let charter = |charter: &mut fairshare_protocol::charter::Charter| {
            charter.epoch_days = 1;
            charter.epoch_start = Timestamp(ends.0 - DAY);
        };
        mesh::found(&[&trust, &practice], charter, |_, _| {}).await;
        let found = matching::begin(asker, holder.code(), &Watch::nobody())
            .await
            .unwrap();
        withhold(holder, 0, "sensitive").await;
        let roster = holder.membership.roster().unwrap();
        let made = holder.adverts.newest(holder, &roster).await.unwrap();
        let entries = made.own.advert().header().count;
        let again = matching::begin(asker, holder.code(), &Watch::nobody())
            .await
            .unwrap();
        if now() > ends {
            // Too slow a machine for so short an epoch.
            trust.stop().await;
            practice.stop().await;
            continue;
        }
        // Inside the epoch: the same advert, the same links.
        assert!(made.people.contains(&key(0)));
        assert_eq!((found.links, again.links), (4, 4));
        assert!(plan(asker, holder, 0, &[]).is_some());

        tokio::time::sleep(ends.since(now()) + Duration::from_millis(100)).await;
        let made = holder.adverts.newest(holder, &roster).await.unwrap();
        assert_eq!(made.own.advert().header().epoch, 1);
        let expected: BTreeSet<_> = (1..4).map(key).collect();
        assert_eq!(
            made.people.iter().copied().collect::<BTreeSet<_>>(),
            expected
        );
        assert_eq!(
            made.own.advert().header().count,
            entries,
            "padded to one size"
        );
        // A handle of the epoch before is answered as it was.
        let before = asked(asker, holder, 0, &[]).await;
        assert_eq!(content(&before).reply, Reply::NothingToShow);
        let found = matching::begin(asker, holder.code(), &Watch::nobody())
            .await
            .unwrap();
        assert_eq!(found.links, 3);
        let report = finding::find(asker, &user(), &key(1)).await.unwrap();
        assert_eq!(report.peers[0].state, FindState::Linked);
        // Whoever is withheld again in an epoch of its own was never in its advert.
        let report = finding::find(holder, &user(), &key(0)).await.unwrap();
        assert!(report.withheld && !report.indexed);
        trust.stop().await;
        practice.stop().await;
        return;
    }
    unreachable!("no epoch was long enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_a_masked_service_stays_home_and_who_is_known_by_nothing_else_is_in_no_index() {
    let (trust, practice) = two().await;
    let node = &trust.node;
    let within = |id: &str| format!(r#","encounter":{{"reference":"Encounter/{id}"}}"#);
    let mut lines = Vec::new();
    // 0: a contact with a closed service, its condition, and one of another.
    lines.extend(somebody(0, 1, 0));
    lines.push(about("Encounter", "e0", 0, SEXUAL_HEALTH));
    lines.push(about("Condition", "secret0", 0, &within("e0")));
    // 1: nothing but that.
    lines.push(patient(1, None));
    lines.push(about("Encounter", "e1", 1, SEXUAL_HEALTH));
    lines.push(about("Condition", "secret1", 1, &within("e1")));
    // 2: known to a clinic only, named by its id here and its ODS code there.
    lines.push(r#"{"resourceType":"Organization","id":"clinic","identifier":[{"system":"https://fhir.nhs.uk/Id/ods-organization-code","value":"RX1HV"}]}"#.to_owned());
    lines.push(r#"{"resourceType":"PractitionerRole","id":"role","organization":{"reference":"Organization/clinic"}}"#.to_owned());
    lines.push(patient(2, None));
    let provider = r#","serviceProvider":{"reference":"Organization/clinic"}"#;
    lines.push(about("Encounter", "e2", 2, provider));
    let custodian = r#","custodian":{"identifier":{"system":"https://fhir.nhs.uk/Id/ods-organization-code","value":"RX1HV"}}"#;
    lines.push(about("DocumentReference", "d2", 2, custodian));
    let role = r#","recorder":{"reference":"PractitionerRole/role"}"#;
    lines.push(about("Condition", "c2", 2, role));
    // 3: registered, and nothing more.
    lines.push(patient(3, None));
    trust.import(&lines).await;
    let opens = |code: &fairshare_protocol::ids::OdsCode,
                 offer: &mut fairshare_protocol::offer::Offer| {
        if code.as_str() == "L83024" {
            offer.opened_services.insert(Service::SexualHealth);
        }
    };
    practice.import(&lines).await;
    mesh::found(&[&trust, &practice], |_| {}, opens).await;

    let indexed = |node: &Node| {
        let keys = withholding::index_keys(node).unwrap();
        let numbers = (0..4).filter(|number| keys.contains(&key(*number)));
        numbers.collect::<Vec<_>>()
    };
    let all: BTreeSet<_> = Category::ALL.iter().copied().collect();
    let shown = |number: u32| {
        let bundle = showing::prepare(node, &key(number), &all).unwrap();
        bundle.map(|bundle| bundle.counts)
    };
    let demographics = (Category::Demographics, 1);
    assert_eq!(indexed(node), [0, 2, 3]);
    assert_eq!(indexed(&practice.node), [0, 1, 2, 3], "its offer opened it");
    assert_eq!(shown(0), Ok(vec![demographics, (Category::Problems, 1)]));
    assert_eq!(shown(1), Err(withholding::MASKED.to_owned()));
    assert_eq!(shown(2).unwrap().len(), 4);

    for token in ["Organization/RX1HV", "Organization/clinic"] {
        let told = mask(node, token, true).await;
        assert_eq!(
            (&told["people"], &told["only_so"]),
            (&1.into(), &1.into()),
            "{token}"
        );
        assert_eq!(indexed(node), [0, 3], "{token}");
        assert_eq!(shown(2), Err(withholding::MASKED.to_owned()), "{token}");
        mask(node, token, false).await;
        assert_eq!(indexed(node), [0, 2, 3], "{token}");
    }
    // Known through another service too: what is of that one is shown, and the other is not.
    trust.import(&[about("Immunization", "i2", 2, "")]).await;
    mask(node, "Organization/RX1HV", true).await;
    assert_eq!(indexed(node), [0, 2, 3]);
    assert_eq!(
        shown(2),
        Ok(vec![demographics, (Category::Immunisations, 1)])
    );
    trust.stop().await;
    practice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_objection_follows_a_person_whose_number_comes_later_or_is_corrected() {
    let trust = Peer::start("RH8", MemberKind::AcuteTrust).await;
    let node = &trust.node;
    let unnumbered = r#"{"resourceType":"Patient","id":"p7"}"#.to_owned();
    trust
        .import(&[unnumbered, patient(8, Some("1950-01-01"))])
        .await;
    let local = Withhold {
        people: vec![Whom::Local("p7".parse().unwrap())],
        reason: "objection".parse().unwrap(),
    };
    tell(node, local).await;
    // Not held yet, or under another date of birth.
    withhold(node, 9, "objection").await;
    let other = IndexKey {
        born: "1950-01-01".parse().unwrap(),
        ..key(8)
    };
    let people = vec![Whom::Person(other)];
    let reason = "sensitive".parse().unwrap();
    tell(node, Withhold { people, reason }).await;
    assert!(withholding::index_keys(node).unwrap().is_empty());
    trust
        .import(&[patient(7, None), patient(8, None), patient(9, None)])
        .await;
    withholding::follow(node).unwrap();
    assert!(withholding::index_keys(node).unwrap().is_empty());
    trust
        .import(&[patient(9, Some("1951-02-03")), patient(10, None)])
        .await;
    assert_eq!(withholding::index_keys(node).unwrap(), [key(10)]);
    let list = tell(
        node,
        fairshare_protocol::control::withholding::ListWithheld {},
    )
    .await;
    let text = list.to_string();
    for number in [7, 8, 9] {
        assert!(text.contains(&format!("p{number}")));
        assert!(!text.contains(&Somebody::numbered(number).nhs));
    }
    trust.stop().await;
}

/// Each kind of people as often as `FAIRSHARE_TRACES` says (10,000 and more in a long run), in an
/// order drawn anew for every round.
fn turns(usually: usize) -> Vec<u32> {
    let rounds = number("FAIRSHARE_TRACES", usually);
    let mut turns = Vec::new();
    for _ in 0..rounds {
        let mut round: Vec<u32> = (0..5).collect();
        round.shuffle(&mut rand::rng());
        turns.extend(round);
    }
    turns
}

/// What of several kinds of people took how long, in microseconds.
struct Traces(Vec<(&'static str, Vec<f64>)>);

impl Traces {
    fn of(kinds: &[&'static str]) -> Self {
        Self(kinds.iter().map(|kind| (*kind, Vec::new())).collect())
    }

    fn add(&mut self, kind: u32, took: Duration) {
        self.0[kind as usize].1.push(took.as_secs_f64() * 1e6);
    }

    /// Prints quantiles of each kind, and how well it is told from the first one: by chance a
    /// longer trace is of either kind in half of all cases (Mann and Whitney's U as a share), and
    /// |z| and |t| are below 2 in 95 of a hundred.
    fn print(mut self, what: &str) {
        eprintln!("\n{what}, {} traces of each kind, in µs", self.0[0].1.len());
        eprintln!(
            "                        p1       p25    median       p75       p99   longer       z       t"
        );
        for (_, all) in &mut self.0 {
            all.sort_by(f64::total_cmp);
        }
        for (name, all) in &self.0 {
            let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
            let (longer, z, t) = against(all, &self.0[0].1);
            eprintln!(
                "{name:16} {:10.1}{:10.1}{:10.1}{:10.1}{:10.1} {:7.1} %{z:8.2}{t:8.2}",
                at(0.01),
                at(0.25),
                at(0.5),
                at(0.75),
                at(0.99),
                100.0 * longer,
            );
        }
    }
}

/// How often one of `a` is longer than one of `b`, Mann and Whitney's z, and Welch's t. Both are
/// sorted.
fn against(a: &[f64], b: &[f64]) -> (f64, f64, f64) {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let wins: f64 = a
        .iter()
        .map(|x| {
            let below = b.partition_point(|y| y < x);
            let same = b.partition_point(|y| y <= x) - below;
            below as f64 + same as f64 / 2.0
        })
        .sum();
    let z = (wins - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let spread = |all: &[f64]| {
        let middle = mean(all);
        let squares = all.iter().map(|x| (x - middle).powi(2)).sum::<f64>();
        squares / (all.len() as f64 - 1.0) / all.len() as f64
    };
    let t = (mean(a) - mean(b)) / (spread(a) + spread(b)).sqrt();
    (wins / (n * m), z, t)
}

/// The kinds of people that are compared, by number: as many records each, but for whoever left and
/// whoever has many.
const KINDS: [&str; 5] = [
    "nothing to show",
    "withheld",
    "masked",
    "left",
    "withheld, many",
];

/// A trust that holds one of each kind, and a practice that is linked with it in all of them. That
/// they are asked for immunisations leaves nothing to show of the first.
async fn one_of_each() -> (Peer, Peer) {
    let (trust, practice) = two().await;
    let mut lines = somebody(0, 20, 0);
    lines.extend(somebody(1, 19, 1));
    lines.push(patient(2, None));
    lines.push(about("Encounter", "e", 2, SEXUAL_HEALTH));
    let within = r#","encounter":{"reference":"Encounter/e"}"#;
    lines.extend((0..19).map(|n| about("Condition", &format!("m{n}"), 2, within)));
    lines.extend(somebody(3, 20, 0));
    lines.extend(somebody(4, 200, 1));
    let theirs: Vec<_> = (0..5).map(|n| patient(n, None)).collect();
    practice.import(&theirs).await;
    // Linked before anything is withheld.
    let open = lines.iter().map(|line| line.replace(SEXUAL_HEALTH, ""));
    trust.import(&open.collect::<Vec<_>>()).await;
    mesh::found(&[&trust, &practice], |_| {}, |_, _| {}).await;
    let found = matching::begin(&practice.node, trust.node.code(), &Watch::nobody()).await;
    assert_eq!(found.unwrap().links, 5);
    trust.import(&lines).await;
    trust.import(&[patient(3, Some("1950-01-01"))]).await;
    withhold(&trust.node, 1, "objection").await;
    withhold(&trust.node, 4, "sensitive").await;
    (trust, practice)
}

// These two print, and claim nothing of a machine's clock: that all take one path is in the code.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_it_takes_to_find_nothing_to_show_does_not_tell_who_is_withheld() {
    let (trust, practice) = one_of_each().await;
    let wanted: BTreeSet<_> = [Category::Immunisations].into();
    let mut traces = Traces::of(&KINDS);
    for turn in turns(1000) {
        let (node, wanted) = (Arc::clone(&trust.node), wanted.clone());
        let one = move || {
            let began = Instant::now();
            let nothing = showing::prepare(&node, &key(turn), &wanted)
                .unwrap()
                .is_err();
            (began.elapsed(), nothing)
        };
        let (took, nothing) = tokio::task::spawn_blocking(one).await.unwrap();
        assert!(nothing);
        traces.add(turn, took);
    }
    traces.print("Finding that there is nothing to show");
    trust.stop().await;
    practice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_an_answer_takes_does_not_tell_who_is_withheld() {
    let (trust, practice) = one_of_each().await;
    let mut traces = Traces::of(&KINDS);
    for turn in turns(50) {
        let only = [Category::Immunisations];
        let seen = asked(&practice.node, &trust.node, turn, &only).await;
        assert_eq!(seen.ended.reply, Some(Reply::NothingToShow));
        traces.add(turn, seen.waited);
    }
    traces.print("From the request to the answer, as the peer sees it");
    trust.stop().await;
    practice.stop().await;
}
