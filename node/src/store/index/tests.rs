use fairshare_protocol::crypto::seal::SecretKey;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{FederationId, Fixed};
use fairshare_protocol::index::advert::own::{Blinding, Own, Slot};
use fairshare_protocol::index::fetch::Held;
use fairshare_protocol::index::matching::links::{Link, Matched};

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
        };
        let linked = self.index.link(&matched, &self.own, &self.people, &with);
        linked.unwrap();
        (matched.match_id, handle)
    }
}

#[test]
fn our_advert_reads_back_whole_and_under_another_node_key() {
    let here = here();
    let kept = here.index.keep_own(&here.own, &here.people, 0).unwrap();
    let (own, people) = here.index.restore(&kept).unwrap();
    assert_eq!(own.advert(), here.own.advert());
    assert_eq!(people, here.people);
    assert_eq!(here.index.indexed(&here.people[0]).unwrap(), Some((4, 1)));
    assert_eq!(here.index.indexed(&key("9990028699")).unwrap(), None);
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
    let old = here.link(0, 7, 4);
    assert_eq!(here.index.handle(first, &peer).unwrap(), Some(old));
    let new = here.link(1, 8, 5);
    // Who is no longer linked has no name; a peer that still uses the old one is understood.
    assert_eq!(here.index.handle(first, &peer).unwrap(), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), Some(new));
    here.index.turn_over(5).unwrap();
    assert_eq!(here.index.person(&old.0, &old.1).unwrap(), Some(*first));
    here.index.turn_over(6).unwrap();
    assert_eq!(here.index.person(&old.0, &old.1).unwrap(), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), Some(new));
    here.index.turn_over(7).unwrap();
    assert_eq!(here.index.person(&new.0, &new.1).unwrap(), None);
    assert_eq!(here.index.handle(second, &peer).unwrap(), None);
}

#[test]
fn a_handle_of_another_match_or_never_proved_names_nobody() {
    let here = here();
    let (match_id, handle) = here.link(0, 7, 4);
    let other = MatchId::new([9; 32]);
    assert_eq!(here.index.person(&other, &handle).unwrap(), None);
    let made_up = Handle(Fixed([1; 32]));
    assert_eq!(here.index.person(&match_id, &made_up).unwrap(), None);
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
    index.forget_peer(&peer).unwrap();
    assert!(matches!(index.held(&peer).unwrap(), Held::Nothing));
}
