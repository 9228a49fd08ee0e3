//! Exports that come to one table, and exports somebody tampered with.

use super::*;
use crate::category::{Category, Purpose};
use crate::exchange::answer::RefusalCode;
use crate::ids::ExchangeId;
use crate::ledger::chain::{Chains, Refusal, Which};
use crate::ledger::entry::{Entry, Shown};
use crate::ledger::page::{Page, Rewind};
use crate::roster::decision::NewKey;
use crate::roster::tests::{NOW, code, contact, founded, join, key, node, said};
use crate::roster::{Decision, Statement};
use crate::time::DAY;

/// Nodes of A, B and C sign with keys 11, 12 and 13.
const MEMBERS: [(&str, u8); 3] = [("A", 11), ("B", 12), ("C", 13)];

fn federation() -> Statements {
    let mut statements = founded();
    for (at, (member, node)) in (4..).zip(MEMBERS) {
        join(&mut statements, member, at, node);
    }
    statements
}

fn key_of(member: &str) -> KeyPair {
    let found = MEMBERS.iter().find(|(code, _)| *code == member);
    key(found.unwrap().1)
}

/// An exchange; what `asker` asked was answered so.
fn entry(n: u8, asker: &str, purpose: Purpose, answer: Shown) -> Entry {
    Entry {
        exchange: ExchangeId::new([n; 16]),
        asker: code(asker),
        purpose,
        categories: [Category::Results].into(),
        asked_at: NOW,
        answered_at: Some(NOW),
        answer,
        in_return: Shown::Nothing,
        statements: [Hash::new([n; 32])].into(),
    }
}

fn bundle() -> Shown {
    Shown::Bundle([Category::Results].into())
}

/// Both chains of a pair, as they are written.
struct Pages {
    pair: [&'static str; 2],
    statements: Statements,
    chains: [Chains; 2],
    pages: [Vec<Link>; 2],
}

impl Pages {
    fn new(pair: [&'static str; 2], statements: &Statements) -> Self {
        Self {
            pair,
            statements: statements.clone(),
            chains: Default::default(),
            pages: Default::default(),
        }
    }

    /// The one at `at` writes a page, which the other reads.
    fn write(&mut self, at: usize, entries: Vec<Entry>) {
        self.write_at(at, entries, NOW);
    }

    fn write_at(&mut self, at: usize, entries: Vec<Entry>, now: Timestamp) {
        let [me, peer] = [self.pair[at], self.pair[1 - at]];
        let pair = Pair::of_members(&self.statements, &code(me), &code(peer));
        let page = self.chains[at].next(&pair, entries, now);
        let signed = Signed::sign(&page, &key_of(me));
        let head = page.head(&signed);
        self.chains[at].append(Which::Ours, head, &page, NOW);
        self.chains[1 - at].append(Which::Theirs, head, &page, NOW);
        self.pages[at].push(Link::Page(signed));
    }

    /// Both write it.
    fn both(&mut self, entry: &Entry) {
        self.write(0, vec![entry.clone()]);
        self.write(1, vec![entry.clone()]);
    }

    fn ledger(&self, of: &str) -> Ledger {
        let at = usize::from(self.pair[1] == of);
        Ledger {
            with: code(self.pair[1 - at]),
            ours: self.pages[at].clone(),
            theirs: self.pages[1 - at].clone(),
        }
    }
}

fn heads(ledgers: &[Ledger]) -> Heads {
    let head = |links: &[Link]| match links.last() {
        Some(Link::Page(page)) => page.peek().unwrap().head(page),
        Some(Link::Rewind(rewind)) => rewind.peek().unwrap().lost,
        None => Head::ORIGIN,
    };
    let stand = |it: &Ledger| (it.with.clone(), (head(&it.ours), head(&it.theirs)));
    ledgers.iter().map(stand).collect()
}

fn signed(statements: &Statements, by: &str, ledgers: Vec<Ledger>, key: &KeyPair) -> Export {
    let stated = Stated::new(statements.federation(), code(by), NOW, &heads(&ledgers));
    Export::sign(&stated, Welcome::of(statements), ledgers, key)
}

/// A and B asked each other, B and C as well, and C never asked A; every member's export.
fn area() -> (Statements, [Pages; 2], Vec<Export>) {
    let statements = federation();
    let mut ab = Pages::new(["A", "B"], &statements);
    ab.both(&entry(1, "A", Purpose::Care, bundle()));
    ab.both(&entry(
        2,
        "A",
        Purpose::Care,
        Shown::Refused(RefusalCode::Stopped),
    ));
    ab.both(&entry(3, "B", Purpose::Emergency, Shown::Bundle([].into())));
    // The id is chosen by whoever asks: B may choose one of A's.
    ab.both(&entry(1, "B", Purpose::Care, Shown::Missing));
    ab.write(0, vec![entry(4, "A", Purpose::Care, Shown::Deferred)]);
    ab.write(1, vec![]);
    let mut bc = Pages::new(["B", "C"], &statements);
    let mut other = entry(5, "C", Purpose::SharedCare, bundle());
    bc.write(0, vec![other.clone()]);
    other.statements = [Hash::new([99; 32])].into();
    bc.write(1, vec![other]);
    let exports = vec![
        signed(&statements, "A", vec![ab.ledger("A")], &key(11)),
        signed(
            &statements,
            "B",
            vec![ab.ledger("B"), bc.ledger("B")],
            &key(12),
        ),
        signed(&statements, "C", vec![bc.ledger("C")], &key(13)),
    ];
    (statements, [ab, bc], exports)
}

fn merged(exports: &[Export]) -> Result<Table, Bad> {
    let mut merge = Merge::default();
    for export in exports {
        merge.take(export, NOW)?;
    }
    merge.table(Period::default())
}

#[test]
fn exports_in_any_order_and_number_come_to_one_table_in_which_each_exchange_counts_once() {
    let (_, _, exports) = area();
    let table = merged(&exports).unwrap();
    let asked = |row: &Row| format!("{} {} {}", row.asker, row.asked, row.purpose);
    let rows: Vec<_> = table
        .rows
        .iter()
        .map(|row| (asked(row), row.requests))
        .collect();
    let expected = [
        ("A B care", 3),
        ("B A care", 1),
        ("B A emergency", 1),
        ("C B shared-care", 1),
    ];
    assert_eq!(rows, expected.map(|(row, n)| (row.to_owned(), n)));
    let Showed {
        records,
        refused,
        deferred,
        ..
    } = &table.rows[0].answer;
    assert_eq!(
        (records, refused[&RefusalCode::Stopped], deferred),
        (&1, 1, &1)
    );
    assert_eq!((table.rows[0].settled, table.rows[0].asker_only), (2, 1));
    assert_eq!(
        (table.rows[1].answer.missing, table.rows[2].answer.nothing),
        (1, 1)
    );
    assert_eq!(table.rows[0].in_return.nothing, 3);
    assert_eq!((table.rows[3].differ, table.rows[3].settled), (1, 0));
    assert!(
        table.chains.iter().all(|chain| chain.exported.len() == 2),
        "{table:?}"
    );
    assert_eq!(table.names.len(), 3);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let turned = order.map(|at| exports[at].clone());
        assert_eq!(merged(&turned).unwrap(), table);
    }
    let twice = [&exports[..], &exports[..]].concat();
    assert_eq!(merged(&twice).unwrap(), table);
    assert_eq!(merged(&[]), Err(Bad::Nothing));
}

#[test]
fn what_one_side_alone_exported_is_counted_and_marked_and_the_longest_chain_counts() {
    let (statements, [mut ab, _], exports) = area();
    let table = merged(&exports[..1]).unwrap();
    assert_eq!(table.rows.len(), 3);
    let by: Vec<_> = table
        .chains
        .iter()
        .map(|chain| chain.exported.len())
        .collect();
    assert_eq!((by, table.exports.len()), (vec![1, 1], 1));
    // B exports later, when both have written on.
    ab.both(&entry(6, "B", Purpose::Safeguarding, bundle()));
    let later = signed(&statements, "B", vec![ab.ledger("B")], &key(12));
    for order in [[&exports[0], &later], [&later, &exports[0]]] {
        let table = merged(&order.map(Clone::clone)).unwrap();
        assert_eq!(table.rows.len(), 4);
        assert_eq!(table.chains[0].pages, 6);
    }
}

#[test]
fn a_period_takes_what_was_asked_in_it() {
    let (_, _, exports) = area();
    let mut merge = Merge::default();
    for export in exports {
        merge.take(&export, NOW).unwrap();
    }
    let day = Timestamp(NOW.0 + DAY);
    let rows = |since, until| merge.table(Period { since, until }).unwrap().rows.len();
    assert_eq!(rows(Some(NOW), Some(day)), 4);
    assert_eq!((rows(Some(day), None), rows(None, Some(NOW))), (0, 0));
}

#[test]
fn pages_one_side_lost_and_the_other_has_are_counted_and_those_nobody_has_are_told() {
    let (statements, [ab, _], exports) = area();
    let mut short = ab.ledger("A");
    // A's own chain, of which it lost pages 3 to 5.
    short.ours.truncate(2);
    let head = |link: &Link| match link {
        Link::Page(page) => page.peek().unwrap().head(page),
        Link::Rewind(_) => Head::ORIGIN,
    };
    let rewind = |lost: Head| {
        let rewind = Rewind {
            federation: statements.federation(),
            writer: code("A"),
            reader: code("B"),
            held: head(&ab.pages[0][1]),
            lost,
            at: NOW,
        };
        Link::Rewind(Signed::sign(&rewind, &key(11)))
    };
    short.ours.push(rewind(head(&ab.pages[0][4])));
    let lost = signed(&statements, "A", vec![short.clone()], &key(11));
    let alone = merged(std::slice::from_ref(&lost)).unwrap();
    assert_eq!((alone.chains[0].pages, alone.chains[0].lost), (5, 3));
    for order in [[&lost, &exports[1]], [&exports[1], &lost]] {
        let table = merged(&order.map(Clone::clone)).unwrap();
        assert_eq!((table.chains[0].pages, table.chains[0].lost), (5, 0));
        assert_eq!(table.rows[0].asker_only, 1);
    }
    // After the last number there is no next page.
    let last = Head {
        number: u64::MAX,
        hash: Hash::new([1; 32]),
    };
    *short.ours.last_mut().unwrap() = rewind(last);
    let absurd = signed(&statements, "A", vec![short], &key(11));
    assert_eq!(chain_refusal(merged(&[absurd])), Refusal::Rewind);
}

fn chain_refusal(of: Result<Table, Bad>) -> Refusal {
    match of {
        Err(Bad::Ledger { bad, .. }) => match *bad {
            export::Bad::Chain { refusal, .. } => refusal,
            bad => panic!("{bad}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_export_somebody_changed_on_its_way_is_refused_by_name() {
    let (statements, [ab, bc], exports) = area();
    let whole = &exports[1];
    let changed = |change: &dyn Fn(&mut Export)| {
        let mut export = whole.clone();
        change(&mut export);
        merged(&[export])
    };
    let by = || code("B");
    assert_eq!(changed(&|it| it.format.push('x')), Err(Bad::Format));
    assert_eq!(
        changed(&|it| drop(it.ledgers.pop())),
        Err(Bad::NotWhole(by()))
    );
    assert_eq!(
        changed(&|it| it.ledgers.push(bc.ledger("B"))),
        Err(Bad::NotWhole(by()))
    );
    // The last pages of either chain.
    assert_eq!(
        changed(&|it| drop(it.ledgers[0].ours.pop())),
        Err(Bad::NotWhole(by()))
    );
    let cut = changed(&|it| it.ledgers[1].theirs.truncate(0));
    assert_eq!(cut, Err(Bad::NotWhole(by())));
    // A page in the middle; a page of the other chain; one whose count somebody forged.
    let torn = changed(&|it| drop(it.ledgers[0].ours.remove(1)));
    assert_eq!(chain_refusal(torn), Refusal::OutOfOrder);
    let turned = changed(&|it| it.ledgers[0].ours.clone_from(&ab.pages[0]));
    assert_eq!(
        chain_refusal(turned),
        Refusal::Statement(statement::Error::OtherSigner)
    );
    let Link::Page(page) = &ab.pages[1][0] else {
        panic!()
    };
    let text = serde_json::to_string(page).unwrap();
    let body = codec::encode(&page.peek().unwrap());
    let mut forged_body = body.clone();
    *forged_body.last_mut().unwrap() ^= 1;
    let hex = |bytes: &[u8]| serde_json::to_string(&codec::Bytes::from(bytes.to_vec())).unwrap();
    let forged = text.replace(&hex(&body), &hex(&forged_body));
    assert_ne!(forged, text);
    let forged: Signed<Page> = serde_json::from_str(&forged).unwrap();
    let forged = changed(&|it| it.ledgers[0].ours[0] = Link::Page(forged.clone()));
    assert!(
        matches!(
            chain_refusal(forged),
            Refusal::Statement(statement::Error::Signature)
        ),
        "a changed page"
    );
    // Signed by another member, by nobody of this federation, or for another federation.
    let other = |signer: u8| {
        let export = signed(&statements, "B", vec![ab.ledger("B")], &key(signer));
        merged(&[export])
    };
    for signer in [11, 77] {
        let error = statement::Error::OtherSigner;
        assert_eq!(other(signer), Err(Bad::NotSigned { by: by(), error }));
    }
    assert!(other(12).is_ok());
    let mut ahead = Stated::new(statements.federation(), by(), NOW, &Heads::new());
    ahead.at = NOW + CLOCK_SKEW + CLOCK_SKEW;
    let ahead = Export::sign(&ahead, Welcome::of(&statements), vec![], &key(12));
    assert_eq!(merged(&[ahead]), Err(Bad::Ahead(by())));
    let strange = Stated::new(FederationId::new([1; 32]), by(), NOW, &Heads::new());
    let strange = Export::sign(&strange, Welcome::of(&statements), vec![], &key(12));
    assert!(matches!(
        merged(&[strange]),
        Err(Bad::OtherFederation { .. })
    ));
}

#[test]
fn exports_of_two_federations_and_under_replaced_keys_are_not_merged() {
    let (mut statements, [ab, _], exports) = area();
    let other = {
        let charter = charter::Charter::first(
            "Elsewhere".parse().unwrap(),
            Hash::new([8; 32]),
            [1, 2]
                .map(|n| (code(&format!("S{n}")), key(n).public()))
                .into(),
            2,
            NOW,
        );
        let mut draft = statement::CoSigned::draft(&charter);
        draft.add(&key(1));
        draft.add(&key(2));
        let mut elsewhere = Statements::new(draft).unwrap();
        join(&mut elsewhere, "A", 4, 11);
        signed(&elsewhere, "A", vec![], &key(11))
    };
    assert!(merged(std::slice::from_ref(&other)).is_ok());
    let both = merged(&[exports[1].clone(), other]);
    assert!(matches!(both, Err(Bad::OtherFederation { name, .. }) if name == "Elsewhere"));
    // A's node gets a new key, of which only B's export knows.
    let n = Roster::of(&statements).member(&code("A")).unwrap().anchor;
    for (u, claim, signer) in [(2, node(21), 4), (1, contact(4850), 21)] {
        let statement = said(&statements, "A", (n, u), &claim, signer);
        statements.insert(statement, NOW).unwrap();
    }
    let newer = signed(&statements, "B", vec![ab.ledger("B")], &key(12));
    assert!(merged(&exports[..1]).is_ok());
    for order in [[&exports[0], &newer], [&newer, &exports[0]]] {
        assert_eq!(
            merged(&order.map(Clone::clone)),
            Err(Bad::OldKey(code("A")))
        );
    }
    // What it signed before counts as ever.
    let again = signed(&statements, "A", vec![ab.ledger("A")], &key(21));
    assert!(merged(&[again, newer]).is_ok());
}

#[test]
fn who_writes_a_chain_anew_is_refused_with_the_two_pages() {
    let (statements, [ab, _], exports) = area();
    // A would have asked B for less, and signs its chain anew; what B wrote quotes the old one.
    let mut doctored = Pages::new(["A", "B"], &statements);
    doctored.write(0, vec![entry(1, "A", Purpose::Care, bundle())]);
    doctored.write(0, vec![]);
    let mut ledger = doctored.ledger("A");
    ledger.theirs.clone_from(&ab.pages[1]);
    let quoted = signed(&statements, "A", vec![ledger.clone()], &key(11));
    let error = merged(&[quoted]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("quotes a page that is not in the other chain"),
        "{error}"
    );
    // So it leaves B's out: alone that stands, and beside B's it does not.
    ledger.theirs.clear();
    ledger.ours.truncate(1);
    let Link::Page(first) = &ledger.ours[0] else {
        panic!()
    };
    let mut page = first.peek().unwrap();
    page.entries.push(entry(7, "A", Purpose::Care, bundle()));
    ledger.ours[0] = Link::Page(Signed::sign(&page, &key(11)));
    let forked = signed(&statements, "A", vec![ledger], &key(11));
    assert!(merged(std::slice::from_ref(&forked)).is_ok());
    for order in [[&forked, &exports[1]], [&exports[1], &forked]] {
        let error = merged(&order.map(Clone::clone)).unwrap_err();
        let Bad::Fork {
            writer,
            number,
            one,
            other,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((writer, number), (&code("A"), &1));
        assert_ne!(one, other);
    }
}

#[test]
fn what_a_stolen_key_signed_counts_for_nothing_once_one_export_knows() {
    let (mut statements, [mut ab, bc], _) = area();
    let later = Timestamp(NOW.0 + 1);
    ab.write_at(
        0,
        vec![entry(8, "A", Purpose::Safeguarding, bundle())],
        later,
    );
    let unaware = signed(
        &statements,
        "B",
        vec![ab.ledger("B"), bc.ledger("B")],
        &key(12),
    );
    let alone = merged(std::slice::from_ref(&unaware)).unwrap();
    assert_eq!((alone.rows.len(), alone.chains[0].void), (5, 0));
    let decision = Decision::Key(NewKey {
        organisation: key(9).public(),
        reason: "stolen".parse().unwrap(),
    });
    let body = Roster::of(&statements).decide(&code("A"), &decision, NOW);
    let mut draft = statement::CoSigned::draft(&body.unwrap());
    draft.add(&key(1));
    draft.add(&key(2));
    statements.insert(Statement::Steward(draft), NOW).unwrap();
    let aware = signed(&statements, "C", vec![bc.ledger("C")], &key(13));
    for order in [[&unaware, &aware], [&aware, &unaware]] {
        let table = merged(&order.map(Clone::clone)).unwrap();
        assert_eq!((table.rows.len(), table.chains[0].void), (4, 1));
        assert_eq!((table.chains[0].pages, table.chains[0].lost), (6, 0));
    }
}
