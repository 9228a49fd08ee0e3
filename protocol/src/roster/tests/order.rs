//! One set, one roster: whatever the order in which statements come.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::super::decision::NOTHING;
use super::*;

/// Everything members and stewards might say about two members in a short, quarrelsome life:
/// chains that fork, keys that change, sequences with gaps and contradictions.
fn life(on: &Statements) -> Vec<Statement> {
    let mut all = Vec::new();
    for (name, org) in [("A1", 11_u8), ("B1", 12)] {
        let admit = decided(on, name, (1, NOTHING), &admission(org));
        let again = decided(on, name, (1, NOTHING), &admission(org + 40));
        let limit = decided(on, name, (2, admit.hash()), &Decision::Limit(reason("x")));
        let remove = decided(on, name, (2, admit.hash()), &Decision::Remove(reason("x")));
        let rekey = decided(on, name, (2, admit.hash()), &new_key(org + 20));
        let back = Decision::Reinstate(reason("x"));
        let back_remove = decided(on, name, (3, remove.hash()), &back);
        let back_limit = decided(on, name, (3, limit.hash()), &back);
        let other = if name == "A1" { "B1" } else { "A1" };
        let merge = decided(on, name, (2, admit.hash()), &succeed(&[other, "C1"]));
        all.extend([admit, again, limit, remove, rekey, back_remove, back_limit]);
        for n in 1..=3 {
            for (u, claim, signer) in [
                (1, node(org + 60), org),
                (2, node(org + 80), org),
                (2, Claim::Leave, org),
                (1, node(org + 80), org + 20),
                (1, contact(1), org + 60),
                (2, offer(MemberKind::AcuteTrust), org + 60),
                (2, contact(2), org + 60),
                (2, contact(3), org + 60),
                (3, contact(4), org + 60),
                (1, contact(5), org + 80),
            ] {
                all.push(said(on, name, (n, u), &claim, signer));
            }
        }
        all.push(merge);
    }
    all
}

fn gathered(on: &Statements, statements: impl IntoIterator<Item = Statement>) -> Roster {
    let mut held = on.clone();
    held.gather(statements, NOW);
    Roster::of(&held)
}

/// Calls `each` with every order of `items` (Heap's algorithm).
fn orders<T>(items: &mut [T], count: usize, each: &mut dyn FnMut(&[T])) {
    if count <= 1 {
        return each(items);
    }
    for at in 0..count {
        orders(items, count - 1, each);
        items.swap(if count.is_multiple_of(2) { at } else { 0 }, count - 1);
    }
}

/// Every order of a set gives one roster, and so does every order of each of its halves, one half
/// after the other (what a conversation does).
fn check_all_orders(set: &[Statement]) {
    check_all_orders_on(&founded(), set);
}

/// The same on top of what every node holds already.
pub(super) fn check_all_orders_on(on: &Statements, set: &[Statement]) {
    let expected = gathered(on, set.to_vec());
    let mut shuffled = set.to_vec();
    orders(&mut shuffled, set.len(), &mut |order| {
        assert_eq!(gathered(on, order.to_vec()), expected);
        let mut held = on.clone();
        let (first, second) = order.split_at(order.len() / 2);
        let mut waiting: Vec<_> = first.to_vec();
        held.gather(first.to_vec(), NOW);
        waiting.extend(second.to_vec());
        held.gather(waiting, NOW);
        assert_eq!(Roster::of(&held), expected);
    });
}

#[test]
fn every_order_of_every_subset_of_four_gives_one_roster() {
    let on = founded();
    let all = life(&on);
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..12 {
        let set: Vec<_> = all.sample(&mut rng, 4).cloned().collect();
        for subset in 0_u8..16 {
            let chosen = set.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
            let chosen: Vec<_> = chosen.map(|(_, statement)| statement.clone()).collect();
            check_all_orders(&chosen);
        }
    }
}

#[test]
fn every_order_of_a_contested_life_gives_one_roster() {
    let on = founded();
    let all = life(&on);
    // Fork, re-key, node, contact and contradiction of one member; 5 statements, 120 orders.
    for chosen in [
        [0, 2, 3, 7, 11],
        [0, 4, 7, 11, 13],
        [0, 1, 7, 8, 9],
        [0, 7, 11, 13, 14],
    ] {
        check_all_orders(&chosen.map(|at| all[at].clone()));
    }
}

#[test]
fn random_histories_never_give_two_rosters() {
    let on = founded();
    let all = life(&on);
    // More of them: FAIRSHARE_HISTORIES=1000000 cargo test random_histories
    let count = std::env::var("FAIRSHARE_HISTORIES").ok();
    let count: u64 = count.map_or(2000, |text| text.parse().unwrap());
    for seed in 0..count {
        let mut rng = StdRng::seed_from_u64(seed);
        let size = rng.random_range(1..=all.len());
        let mut set: Vec<_> = all.sample(&mut rng, size).cloned().collect();
        let one = gathered(&on, set.clone());
        set.shuffle(&mut rng);
        // Twice, in pieces, over two nodes that then tell each other what they hold.
        let (mut left, mut right) = (founded(), founded());
        let (first, second) = set.split_at(size / 2);
        left.gather(first.to_vec(), NOW);
        right.gather(second.iter().chain(first).cloned(), NOW);
        left.gather(second.iter().chain(first).cloned(), NOW);
        let told: Vec<_> = left.iter().collect();
        right.gather(told, NOW);
        assert_eq!(Roster::of(&left), one, "seed {seed}");
        assert_eq!(Roster::of(&right), one, "seed {seed}");
    }
}
