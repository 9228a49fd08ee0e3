use fairshare_protocol::codec::Bytes;
use fairshare_protocol::crypto::seal::SecretKey;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{FederationId, Fixed, OdsCode};
use fairshare_protocol::index::advert::own::{Blinding, Own, Slot};
use fairshare_protocol::index::fetch::Held;
use fairshare_protocol::index::matching::Kept;
use fairshare_protocol::index::matching::links::{Link, Matched, Tables};
use fairshare_protocol::index::matching::said::{Opening, TagCommitment};
use fairshare_protocol::index::matching::tags::{Tag, spans};
use fairshare_protocol::statement::Signed;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

struct Here {
    _dir: tempfile::TempDir,
    index: Index,
    own: Own,
    people: Vec<IndexKey>,
}

fn key(nhs: &str) -> IndexKey {
    IndexKey {
        nhs: nhs.parse().unwrap(),
        born: "1948-11-08".parse().unwrap(),
    }
}

fn here() -> Here {
    let dir = tempfile::tempdir().unwrap();
    let key_of_store = SecretKey::new([1; 32]);
    let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), key_of_store).unwrap();
    let rng = &mut rand::rng();
    let blinding = Blinding::generate(&FederationId::new([9; 32]), 4, rng);
    let people = vec![key("9990001235"), key("9990014965")];
    let entries = blinding.entries(&people);
    let (code, node) = ("RH8".parse().unwrap(), KeyPair::from_seed(&[1; 32]));
    let own = Own::first(code, &blinding, entries, &node, NOW, rng).unwrap();
    Here {
        _dir: dir,
        index: Index::open(&store).unwrap(),
        own,
        people,
    }
}

impl Here {
    fn link(&self, person: u32, match_id: u8, epoch: u32) -> (MatchId, Handle) {
        let is = |at: &u32| self.own.slot(*at) == Some(Slot::Person(person));
        let position = (0..2048).find(is).unwrap();
        let handle = Handle(Fixed([match_id; 32]));
        let hash = Hash::new([0; 32]);
        let matched = Matched {
            match_id: MatchId::new([match_id; 32]),
            peer: "L83024".parse().unwrap(),
            ours: hash,
            theirs: hash,
            links: vec![Link { position, handle }],
            ours_only: 0,
            theirs_only: 0,
        };
        let with = MatchedWith {
            match_id: matched.match_id,
            epoch,
            generation: 1,
            at: NOW,
            links: 1,
            ours_only: 0,
            theirs_only: 0,
            ours: hash,
            theirs: hash,
            made: NOW,
            batches: 0,
        };
        let tables = (&Tables::default(), 2048);
        let (own, people) = (&self.own, &self.people);
        self.index
            .link(&matched, tables, own, people, &with)
            .unwrap();
        (matched.match_id, handle)
    }
}

#[test]
fn our_advert_reads_back_whole_and_under_another_node_key() {
    let here = here();
    let kept = here.index.keep_own(&here.own, &here.people).unwrap();
    let (own, people) = here.index.restore(&kept).unwrap();
    assert_eq!(own.advert(), here.own.advert());
    assert_eq!(people, here.people);
    let late = key("9990028699");
    assert_eq!(here.index.indexed(&here.people[0]).unwrap(), Some(0));
    assert_eq!(here.index.indexed(&late).unwrap(), None);
    // A batch more.
    let entries = own.blinding().entries(&[late]);
    let node = KeyPair::from_seed(&[1; 32]);
    let own = own
        .with_batch(entries, &node, NOW, &mut rand::rng())
        .unwrap();
    let made = &own.batches()[0];
    let kept = here.index.keep_batch(kept, made, &[late], people.len());
    let kept = kept.unwrap();
    assert_eq!(here.index.indexed(&late).unwrap(), Some(1));
    let (again, people) = here.index.restore(&kept).unwrap();
    assert_eq!((again.len(), people.last()), (own.len(), Some(&late)));
    assert_eq!(again.batches(), own.batches());
    let other = KeyPair::from_seed(&[2; 32]);
    here.index.sign_again(kept, &other).unwrap();
    let kept = here.index.own().unwrap().unwrap();
    assert!(kept.header.verify(&other.public()).is_ok());
    assert!(here.index.restore(&kept).is_ok());
}

#[test]
fn the_newest_match_names_people_and_handles_live_until_the_end_of_the_next_epoch() {
    let here = here();
    let peer = "L83024".parse().unwrap();
    let (first, second) = (&here.people[0], &here.people[1]);
    let person = |peer: &OdsCode, link: &(MatchId, Handle)| {
        here.index.person(peer, &link.0, &link.1).unwrap()
    };
    let old = here.link(0, 7, 4);
    assert_eq!(here.index.handle(first, &peer).unwrap(), Some(old));
    let new = here.link(1, 8, 5);
    // Who is no longer linked has no name; a peer that still uses the old one is understood.
    assert_eq!(here.index.handle(first, &peer).unwrap(), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), Some(new));
    here.index.turn_over(5).unwrap();
    assert_eq!(person(&peer, &old), Some(*first));
    let another = "RA9".parse().unwrap();
    assert_eq!(person(&another, &old), None, "a handle is one peer's");
    here.index.turn_over(6).unwrap();
    assert_eq!(person(&peer, &old), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), Some(new));
    here.index.turn_over(7).unwrap();
    assert_eq!(person(&peer, &new), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), None);
}

#[test]
fn links_of_a_match_that_is_finished_twice_keep_what_came_since() {
    let here = here();
    let peer = "L83024".parse().unwrap();
    here.link(0, 7, 4);
    let (new, handle) = (here.people[1], Handle(Fixed([9; 32])));
    let with = (&peer, &MatchId::new([7; 32]));
    here.index.link_more(with, [(new, handle)]).unwrap();
    // By the slower of two conversations about it.
    here.link(0, 7, 4);
    let found = here.index.handle(&new, &peer).unwrap();
    assert_eq!(found, Some((MatchId::new([7; 32]), handle)));
    assert_eq!(here.index.matched(&peer).unwrap().unwrap().links, 2);
}

#[test]
fn a_handle_of_another_match_or_never_proved_names_nobody() {
    let here = here();
    let (match_id, handle) = here.link(0, 7, 4);
    let (peer, other) = ("L83024".parse().unwrap(), MatchId::new([9; 32]));
    assert_eq!(here.index.person(&peer, &other, &handle).unwrap(), None);
    let made_up = Handle(Fixed([1; 32]));
    assert_eq!(here.index.person(&peer, &match_id, &made_up).unwrap(), None);
}

#[test]
fn a_peers_advert_grows_chunk_by_chunk_and_is_used_only_when_whole() {
    let here = here();
    let peer = "L83024".parse().unwrap();
    let theirs = here.own.advert();
    let index = &here.index;
    index.begin_peer(&peer, theirs.signed().clone()).unwrap();
    assert!(matches!(index.held(&peer).unwrap(), Held::Part(_, 0)));
    let bytes = fairshare_protocol::index::advert::to_bytes(theirs.chunk(0));
    assert!(index.add_chunk(&peer, 1, &bytes).is_err());
    index.add_chunk(&peer, 0, &bytes).unwrap();
    assert!(matches!(index.held(&peer).unwrap(), Held::Part(_, 1)));
    assert_eq!(index.peer_advert(&peer).unwrap(), None);
    index.complete(&peer, NOW).unwrap();
    assert!(matches!(index.held(&peer).unwrap(), Held::Whole(_)));
    assert_eq!(index.peer_advert(&peer).unwrap().as_ref(), Some(theirs));
    index.forget_entries(&peer).unwrap();
    let Held::Part(header, 0) = index.held(&peer).unwrap() else {
        unreachable!("the header stays")
    };
    assert_eq!(&*header, theirs.signed());
}

#[test]
fn the_last_whole_advert_of_an_epoch_stays_until_the_next_is_whole() {
    let here = here();
    let (index, rng) = (&here.index, &mut rand::rng());
    let peer = "L83024".parse().unwrap();
    let (node, other) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let mut all = vec![here.own.clone()];
    for _ in 0..2 {
        let next = all.last().map(|own| own.next(Vec::new(), &node, NOW, rng));
        all.push(next.unwrap().unwrap());
    }
    let fetch = |own: &Own| {
        let advert = own.advert();
        index.begin_peer(&peer, advert.signed().clone()).unwrap();
        for number in 0..advert.header().chunks() {
            let bytes = fairshare_protocol::index::advert::to_bytes(advert.chunk(number));
            index.add_chunk(&peer, number, &bytes).unwrap();
        }
    };
    let earlier = |key: &KeyPair| index.earlier_entries(&peer, &key.public()).unwrap();
    fetch(&all[0]);
    index.complete(&peer, NOW).unwrap();
    assert_eq!(earlier(&node), []);
    // The second is void: the third is held against the first.
    fetch(&all[1]);
    assert_eq!(earlier(&node), all[0].advert().entries());
    index.forget_entries(&peer).unwrap();
    fetch(&all[2]);
    assert_eq!(earlier(&node), all[0].advert().entries());
    assert_eq!(earlier(&other), [], "signed under another node key");
    index.complete(&peer, NOW).unwrap();
    assert_eq!(earlier(&node), []);
    // An epoch later nothing binds.
    let blinding = Blinding::generate(&FederationId::new([9; 32]), 5, rng);
    let code = here.own.advert().header().member.clone();
    let anew = Own::first(code, &blinding, Vec::new(), &node, NOW, rng).unwrap();
    fetch(&anew);
    assert_eq!(earlier(&node), []);
}

#[test]
fn two_conversations_about_one_match_cannot_be_told_different_things() {
    let here = here();
    let (ours, theirs) = (Hash::new([1; 32]), Hash::new([2; 32]));
    let peer = KeyPair::from_seed(&[3; 32]);
    let opening = |nonce| {
        let opening = Opening {
            federation: FederationId::new([9; 32]),
            from: "L83024".parse().unwrap(),
            to: "RH8".parse().unwrap(),
            header: theirs,
            yours: ours,
            nonce: Hash::new([nonce; 32]),
        };
        Some(Signed::sign(&opening, &peer))
    };
    let commitment = |root| {
        let commitment = TagCommitment {
            match_id: MatchId::new([4; 32]),
            raised_by: "L83024".parse().unwrap(),
            root: Hash::new([root; 32]),
            count: 2048,
        };
        Some(Signed::sign(&commitment, &peer))
    };
    here.index.begin(4, &ours, &theirs).unwrap();
    let keep = |kept: &Kept| here.index.keep(&ours, &theirs, kept).unwrap();
    // Both began when nothing was kept.
    let (mut one, mut other) = (Kept::default(), Kept::default());
    one.opening = opening(1);
    other.opening = opening(2);
    assert!(keep(&one));
    assert!(!keep(&other), "another nonce would draw another order");
    one.commitment = commitment(1);
    assert!(keep(&one));
    // The slower one hears the same opening, and then must not hear another commitment.
    other.opening = opening(1);
    other.committed = Some(Hash::new([5; 32]));
    assert!(keep(&other));
    other.commitment = commitment(2);
    assert!(!keep(&other));
    let (kept, _) = here.index.begin(4, &ours, &theirs).unwrap();
    assert_eq!((kept.opening, kept.commitment), (opening(1), commitment(1)));
    assert_eq!(kept.committed, other.committed);
}

#[test]
fn a_sorted_table_of_any_size_finds_what_is_in_it_and_nothing_else() {
    let here = here();
    let name = |n: u32| {
        Tag(Fixed(
            *blake3::hash(&n.to_le_bytes())
                .as_bytes()
                .first_chunk()
                .unwrap(),
        ))
    };
    for rows in [0, 1, 1023, 1024, 1025, 5000] {
        let mut all: Vec<_> = (0..rows).map(|n| (name(n), n)).collect();
        all.sort_unstable();
        // All in one, or in two of which the first has every third.
        let (some, rest): (Vec<_>, Vec<_>) = all.iter().partition(|(_, n)| n % 3 == 0);
        for tables in [vec![all.clone()], vec![some, rest]] {
            let sorted = |rows: &Vec<(Tag, u32)>| here.index.sorted(rows).unwrap();
            let tables: Vec<_> = tables.iter().map(sorted).collect();
            let asked: Vec<_> = (0..rows + 7).rev().map(name).collect();
            let found = here.index.look_up(&tables, &asked).unwrap();
            let expected = (0..rows + 7).rev().map(|n| (n < rows).then_some(n));
            assert!(found.into_iter().eq(expected), "{rows}");
        }
    }
}

#[test]
fn the_steps_of_a_match_read_back_as_far_as_they_are_whole() {
    let here = here();
    let (ours, theirs) = (Hash::new([1; 32]), Hash::new([2; 32]));
    let spans = spans(2048);
    let (_, steps) = here.index.begin(4, &ours, &theirs).unwrap();
    let points = here.own.advert().entries();
    steps.keep_raised(3, points).unwrap();
    let tags = |n: u8| Bytes(vec![n; 32 * 16]);
    for chunk in [0, 1, 3] {
        steps.keep_heard(chunk, &tags(chunk as u8)).unwrap();
    }
    drop(steps);
    let (_, steps) = here.index.begin(4, &ours, &theirs).unwrap();
    assert_eq!(steps.raised(3).unwrap().as_deref(), Some(points));
    assert_eq!(steps.raised(0).unwrap(), None);
    assert_eq!(steps.chunks_raised(5).unwrap(), 1);
    assert_eq!(steps.heard(&spans).unwrap().len(), 64);
    steps.keep_heard(2, &tags(2)).unwrap();
    assert_eq!(steps.heard(&spans).unwrap().len(), 128);
    here.index.finish(&ours, &theirs).unwrap();
    let (_, steps) = here.index.begin(4, &ours, &theirs).unwrap();
    assert_eq!(steps.chunks_raised(5).unwrap(), 0);
    assert_eq!(steps.heard(&spans).unwrap(), []);
}
