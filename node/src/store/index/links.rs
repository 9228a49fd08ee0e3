//! Links: whom a handle names, and which handle names whom.

use std::sync::PoisonError;

use fairshare_protocol::ids::{Fixed, Handle, MatchId, OdsCode};
use fairshare_protocol::index::advert::own::{Own, Slot};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::links::{Matched, Tables};

use super::{Index, MatchedWith};
use crate::store::Error;

/// A row of `links`: the epoch, the peer, the person.
pub(super) type Link = (u32, OdsCode, IndexKey);

impl Index {
    /// Keeps proven links in place of those before, and what later comers are looked for in; the
    /// peer's advert has `length` entries. Does nothing if those of this very match are kept: more
    /// may have come since. Durable after the next commit. Blocks.
    ///
    /// # Errors
    /// If the store fails, or a link is about nobody.
    pub fn link(
        &self,
        matched: &Matched,
        (tables, length): (&Tables, u32),
        own: &Own,
        people: &[IndexKey],
        with: &MatchedWith,
    ) -> Result<(), Error> {
        let _one = self.linking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.pair(&matched.peer)?;
        if before.is_some_and(|before| before.match_id == matched.match_id) {
            return Ok(());
        }
        let person_of = |position| match own.slot(position) {
            Some(Slot::Person(number)) => people.get(number as usize),
            _ => None,
        };
        let found = matched.links.iter().map(|link| {
            let person = person_of(link.position).ok_or(Error::Shape { table: "adverts" })?;
            Ok((person, link.handle))
        });
        let found = found.collect::<Result<Vec<_>, Error>>()?;
        // A handle that resolves before it is offered does no harm; the other way round it would.
        self.links.put_all(found.iter().map(|(person, handle)| {
            let key = handle_key(&matched.match_id, handle);
            (key, (with.epoch, &matched.peer, *person))
        }))?;
        self.linked.put_all(found.iter().map(|(person, handle)| {
            let name = self.person_key(person, &matched.peer);
            (name, (matched.match_id, *handle))
        }))?;
        let mut gone = Vec::new();
        for row in self
            .linked
            .scan::<(MatchId, Handle)>(&peer_key(&matched.peer))
        {
            let (key, (of, _)) = row?;
            if of != matched.match_id {
                gone.push(key);
            }
        }
        self.linked.remove_all(&gone)?;
        self.keep_matched(&matched.peer, with)?;
        // Last: who finds it takes the match for finished.
        self.pair_up(&matched.peer, with, length, tables)
    }

    /// Keeps further proven links, found since. Durable after the next commit.
    ///
    /// # Errors
    /// If the store fails, or a newer match has taken the place of this one.
    pub fn link_more(
        &self,
        (peer, match_id): (&OdsCode, &MatchId),
        found: impl IntoIterator<Item = (IndexKey, Handle)>,
    ) -> Result<(), Error> {
        let with = self.matched(peer)?;
        let with = with.filter(|with| with.match_id == *match_id);
        let mut with = with.ok_or(Error::Superseded)?;
        for (person, handle) in found {
            let row = (with.epoch, peer, &person);
            self.links.put(&handle_key(&with.match_id, &handle), &row)?;
            let key = self.person_key(&person, peer);
            let known = self.linked.load::<(MatchId, Handle)>(&key)?;
            if known.is_none_or(|(of, _)| of != with.match_id) {
                with.links += 1;
            }
            self.linked.put(&key, &(with.match_id, handle))?;
        }
        self.keep_matched(peer, &with)
    }

    pub(super) fn keep_matched(&self, peer: &OdsCode, with: &MatchedWith) -> Result<(), Error> {
        self.matched.put(peer.as_str().as_bytes(), with)
    }

    /// The newest match with a peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn matched(&self, peer: &OdsCode) -> Result<Option<MatchedWith>, Error> {
        self.matched.load(peer.as_str().as_bytes())
    }

    /// Whom a handle names that `peer` sent: only handles of links both sides proved do, and each
    /// is one peer's. One of a superseded match still does, for a peer that has not finished the
    /// new one: care does not wait for a match.
    ///
    /// # Errors
    /// If sled fails.
    pub fn person(
        &self,
        peer: &OdsCode,
        match_id: &MatchId,
        handle: &Handle,
    ) -> Result<Option<IndexKey>, Error> {
        let found = self.links.load::<Link>(&handle_key(match_id, handle))?;
        Ok(found.and_then(|(_, of, person)| (of == *peer).then_some(person)))
    }

    /// Everybody linked with this peer by one match, and the handles they have in it.
    ///
    /// # Errors
    /// If sled fails.
    pub fn people(
        &self,
        peer: &OdsCode,
        match_id: &MatchId,
    ) -> Result<Vec<(Handle, IndexKey)>, Error> {
        let mut people = Vec::new();
        for pair in self.links.scan::<Link>(match_id.as_bytes()) {
            let (key, (_, of, person)) = pair?;
            if let Some(handle) = key.get(32..).and_then(|rest| rest.first_chunk())
                && of == *peer
            {
                people.push((Handle(Fixed(*handle)), person));
            }
        }
        Ok(people)
    }

    /// The name to use for a person with this peer, if they are linked.
    ///
    /// # Errors
    /// If sled fails.
    pub fn handle(
        &self,
        person: &IndexKey,
        peer: &OdsCode,
    ) -> Result<Option<(MatchId, Handle)>, Error> {
        self.linked.load(&self.person_key(person, peer))
    }

    fn person_key(&self, person: &IndexKey, peer: &OdsCode) -> Vec<u8> {
        [peer_key(peer), self.name(person).to_vec()].concat()
    }
}

/// What all keys of one peer in `linked` begin with: no code is the beginning of another's.
fn peer_key(peer: &OdsCode) -> Vec<u8> {
    [peer.as_str().as_bytes(), b"\0"].concat()
}

fn handle_key(match_id: &MatchId, handle: &Handle) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(match_id.as_bytes());
    key[32..].copy_from_slice(&handle.0.0);
    key
}
