//! One set, one roster, and one set of statements kept: whatever the order in which they come.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::super::decision::NOTHING;
use super::*;
use crate::ids::Digest;

/// All that must not depend on the order in which statements came: the roster they make, the
/// statements kept, and the digests by which two nodes compare them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    roster: Roster,
    statements: BTreeSet<Hash>,
    digests: Vec<(OdsCode, Digest)>,
    len: usize,
}

impl Kept {
    pub(super) fn by(held: &Statements) -> Self {
        let digest = |code: &OdsCode| (code.clone(), held.digest(code));
        Self {
            roster: Roster::of(held),
            statements: held.iter().map(|statement| statement.hash()).collect(),
            digests: held.codes().map(digest).collect(),
            len: held.len(),
        }
    }
}

fn verified(statements: impl IntoIterator<Item = Statement>) -> Vec<Incoming> {
    let verify = |statement| Incoming::verified(statement).unwrap();
    statements.into_iter().map(verify).collect()
}

/// Everything said about one member in a short, quarrelsome life: a chain that forks, keys that
/// change, sequences with gaps and contradictions.
fn life(on: &Statements, name: &str, org: u8, others: &[&str]) -> Vec<Statement> {
    let admit = decided(on, name, (1, NOTHING), &admission(org));
    let again = decided(on, name, (1, NOTHING), &admission(org + 40));
    let limit = decided(on, name, (2, admit.hash()), &Decision::Limit(reason("x")));
    let remove = decided(on, name, (2, admit.hash()), &Decision::Remove(reason("x")));
    let rekey = decided(on, name, (2, admit.hash()), &new_key(org + 20));
    let back = Decision::Reinstate(reason("x"));
    let back_remove = decided(on, name, (3, remove.hash()), &back);
    let back_limit = decided(on, name, (3, limit.hash()), &back);
    let merge = decided(on, name, (2, admit.hash()), &succeed(others));
    let mut all = vec![admit, again, limit, remove, rekey, back_remove, back_limit];
    for n in 1..=3 {
        for (u, claim, signer) in [
            (1, node(org + 60), org),
            // Three contradict each other, and one of their keys is named once more.
            (2, node(org + 80), org),
            (2, node(org + 100), org),
            (2, node(org + 120), org),
            (2, Claim::Leave, org),
            (3, node(org + 100), org),
            (1, node(org + 80), org + 20),
            (1, contact(1), org + 60),
            (2, offer(MemberKind::AcuteTrust), org + 60),
            (2, contact(2), org + 60),
            (2, contact(3), org + 60),
            (3, contact(4), org + 60),
            (1, contact(5), org + 80),
            (1, contact(6), org + 100),
            (1, contact(7), org + 120),
            (2, contact(8), org + 120),
            // The organisation's key is its node's too.
            (4, node(org), org),
            (1, contact(9), org),
            (2, contact(10), org),
            (2, contact(11), org),
        ] {
            all.push(said(on, name, (n, u), &claim, signer));
        }
    }
    all.push(merge);
    all
}

/// The lives of five members who are merged into each other, and versions of the charter that
/// contradict each other and are settled, with what is decided under them.
fn federation(on: &Statements) -> Vec<Statement> {
    let names = ["A1", "B1", "C1", "D1", "E1"];
    let mut all = Vec::new();
    for (n, name) in (0_u8..).zip(names) {
        let others = [
            names[(usize::from(n) + 1) % 5],
            names[(usize::from(n) + 2) % 5],
        ];
        all.extend(life(on, name, 11 + n, &others));
    }
    let mut base = on.clone();
    for (n, name) in (11..).zip(names) {
        insert(&mut base, decided(on, name, (1, NOTHING), &admission(n))).unwrap();
    }
    let limit = Decision::Limit(reason("x"));
    let one = amended(&base, &renamed("One"), &[1, 2]);
    let two = amended(&base, &renamed("Two"), &[2, 3]);
    let mut on_one = base.clone();
    insert(&mut on_one, one.clone()).unwrap();
    all.push(next(&on_one, "A1", &limit));
    all.push(next(&on_one, "F1", &admission(16)));
    all.push(amended(&on_one, &renamed("One, next"), &[1, 2]));
    let mut settled = base.clone();
    settled.gather([one.clone(), two.clone()], NOW);
    let third = amended(&settled, &renamed("Three"), &[1, 3]);
    insert(&mut settled, third.clone()).unwrap();
    all.push(next(&settled, "B1", &Decision::Remove(reason("x"))));
    all.push(next(&settled, "F1", &admission(17)));
    all.push(amended(&settled, &renamed("Four"), &[1, 2]));
    all.extend([one, two, third]);
    all
}

/// Every order of every subset of these, on top of what every node holds already: what is not
/// founded comes again with the next, as another node would send it.
pub(super) fn check_every_order(on: &Statements, set: &[Statement]) {
    let set = verified(set.iter().cloned());
    let mut expected = BTreeMap::new();
    let tree = Tree { set: &set };
    tree.check(on, &[], 0, &mut expected);
}

struct Tree<'a> {
    set: &'a [Incoming],
}

impl Tree<'_> {
    /// Goes on with each statement that has not come yet.
    fn check(
        &self,
        held: &Statements,
        waiting: &[usize],
        came: u32,
        expected: &mut BTreeMap<u32, Kept>,
    ) {
        let kept = Kept::by(held);
        if let Some(before) = expected.get(&came) {
            assert_eq!(&kept, before, "of {came:b}");
        } else {
            expected.insert(came, kept);
        }
        for at in (0..self.set.len()).filter(|at| came >> at & 1 == 0) {
            let mut held = held.clone();
            let coming: Vec<usize> = waiting.iter().copied().chain([at]).collect();
            let statements = coming.iter().map(|at| self.set[*at].clone());
            let (_, refused) = held.gather(statements, NOW);
            let refused: BTreeSet<Hash> = refused.into_iter().map(|(hash, _)| hash).collect();
            let still = |at: &usize| refused.contains(&self.set[*at].hash());
            let waiting: Vec<usize> = coming.into_iter().filter(still).collect();
            self.check(&held, &waiting, came | 1 << at, expected);
        }
    }
}

#[test]
fn every_order_of_every_subset_of_seven_leaves_the_same() {
    let on = founded();
    let all = life(&on, "A1", 11, &["B1", "C1"]);
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..6 {
        let set: Vec<_> = all.sample(&mut rng, 7).cloned().collect();
        check_every_order(&on, &set);
    }
    let all = federation(&on);
    let charters = &all[all.len() - 9..];
    for _ in 0..3 {
        let set: Vec<_> = charters.sample(&mut rng, 7).cloned().collect();
        check_every_order(&on, &set);
    }
}

#[test]
fn every_order_of_a_contested_life_leaves_the_same() {
    let on = founded();
    let all = life(&on, "A1", 11, &["B1", "C1"]);
    for chosen in [
        // Fork, re-key, node, contact and contradiction.
        [0, 2, 3, 7, 14, 15, 16],
        [0, 4, 7, 13, 14, 16, 17],
        [0, 1, 7, 8, 9, 11, 12],
        // Three node keys under one number, and what each of them says.
        [0, 8, 9, 10, 19, 20, 21],
        [0, 8, 9, 10, 11, 20, 22],
        // One of the three is named once more, or by another key of the organisation.
        [0, 8, 9, 10, 12, 19, 20],
        [0, 8, 9, 10, 13, 19, 20],
        // One key in both roles, under the same numbers.
        [0, 7, 8, 23, 24, 25, 26],
        [0, 8, 9, 10, 23, 25, 26],
    ] {
        check_every_order(&on, &chosen.map(|at| all[at].clone()));
    }
}

#[test]
fn random_histories_never_leave_two_rosters() {
    let on = founded();
    let all = verified(federation(&on));
    let by_hash: BTreeMap<_, _> = all.iter().map(|it| (it.hash(), it.clone())).collect();
    // More of them: FAIRSHARE_HISTORIES=1000000 cargo test random_histories
    let count = std::env::var("FAIRSHARE_HISTORIES").ok();
    let count: u64 = count.map_or(500, |text| text.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let seeds = (first as u64..count).step_by(threads);
            let (on, all, by_hash) = (&on, &all, &by_hash);
            scope.spawn(move || seeds.for_each(|seed| history(on, all, by_hash, seed)));
        }
    });
}

/// Some of these, in three orders, twice in pieces, leave the same.
fn history(on: &Statements, all: &[Incoming], by_hash: &BTreeMap<Hash, Incoming>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let size = rng.random_range(1..=all.len());
    let mut set: Vec<_> = all.sample(&mut rng, size).cloned().collect();
    let mut one = on.clone();
    one.gather(set.clone(), NOW);
    let one = Kept::by(&one);
    set.shuffle(&mut rng);
    // Twice, in pieces, over two nodes.
    let (mut left, mut right) = (on.clone(), on.clone());
    let (first, second) = set.split_at(size / 2);
    left.gather(first.to_vec(), NOW);
    right.gather(second.iter().chain(first).cloned(), NOW);
    left.gather(second.iter().chain(first).cloned(), NOW);
    assert_eq!(Kept::by(&left), one, "seed {seed}");
    assert_eq!(Kept::by(&right), one, "seed {seed}");
    // A third is told only what they keep.
    let mut third = on.clone();
    let told = left
        .iter()
        .map(|statement| by_hash[&statement.hash()].clone());
    third.gather(told, NOW);
    assert_eq!(Kept::by(&third), one, "seed {seed}");
}
