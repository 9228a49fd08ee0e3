//! The giver's part: a batch goes out, its answer is checked and confirmed.

use std::sync::Arc;

use rand_core::CryptoRng;

use super::job::{Fact, Load, Next};
use super::reason::{Failed, Reason};
use super::said::{Answer, Contact, list_hash};
use super::{Delta, End, Frame, Outputs, Save, State, Step, send, tags_hash};
use crate::codec::Bytes;
use crate::conversation::Output;
use crate::crypto::blind::Secret;
use crate::crypto::dleq::Proof;
use crate::ids::{Hash, Point};
use crate::index::advert::own::{Made, Slot};
use crate::index::advert::to_bytes;
use crate::index::evidence::{Evidence, Two};
use crate::index::matching::links::{Link, Pair, compare, handle};
use crate::index::matching::tags::{Tag, from_bytes};
use crate::journal::Act;
use crate::statement::Signed;
use crate::time::Timestamp;

/// What was given.
pub(super) struct Given {
    /// Hash of its statement.
    hash: Hash,
    what: What,
    /// What its answer told of our people, once it was checked.
    heard: Vec<(Tag, u32)>,
}

enum What {
    Batch(Arc<Made>),
    Contact(Point, u32),
}

impl Given {
    fn entries(&self) -> &[Point] {
        match &self.what {
            What::Batch(made) => &made.entries,
            What::Contact(entry, _) => std::slice::from_ref(entry),
        }
    }

    /// The position of its first entry.
    fn from(&self) -> u32 {
        match &self.what {
            What::Batch(made) => made.from,
            What::Contact(_, position) => *position,
        }
    }
}

/// An answer that is being checked.
pub(super) struct Checking {
    given: Given,
    answer: Signed<Answer>,
    tags: Vec<Tag>,
    /// The links of the answer, and their proof.
    claimed: Vec<Pair>,
    proof: Option<Proof>,
    /// The peer's entry of each.
    theirs: Vec<Point>,
    /// Their shared points.
    shared: Vec<Point>,
    /// The links we find.
    ours: Vec<Pair>,
}

impl Checking {
    /// The links both find, with the peer's entry and the shared point of each.
    fn common(&self) -> (Vec<Pair>, Vec<Point>, Vec<Point>) {
        let points = self.theirs.iter().zip(&self.shared);
        let all = self.claimed.iter().zip(points);
        let mut common = (Vec::new(), Vec::new(), Vec::new());
        for (pair, (entry, shared)) in all.filter(|(pair, _)| self.ours.binary_search(pair).is_ok())
        {
            common.0.push(*pair);
            common.1.push(*entry);
            common.2.push(*shared);
        }
        common
    }
}

impl Delta {
    pub(super) fn give(&mut self, next: Option<Next>, now: Timestamp, out: &mut Outputs) -> Step {
        let given = match next {
            None => {
                self.given_all = true;
                out.push(send(&Frame::Turn));
                return Ok(State::Await);
            }
            Some(Next::Batch(made)) => {
                out.push(send(&Frame::Batch {
                    batch: made.batch.clone(),
                    entries: Bytes(to_bytes(&made.entries)),
                }));
                Given {
                    hash: made.batch.hash(),
                    what: What::Batch(made),
                    heard: Vec::new(),
                }
            }
            Some(Next::Contact(entry)) => {
                let contact = Contact {
                    federation: self.ground.peer.federation,
                    from: self.ground.we().clone(),
                    to: self.ground.they().clone(),
                    match_id: self.ground.match_id,
                    entry,
                    at: now,
                };
                let contact = Signed::sign(&contact, &self.node);
                let hash = contact.hash();
                out.push(send(&Frame::Contact(contact)));
                Given {
                    hash,
                    what: What::Contact(entry, self.ground.own.len()),
                    heard: Vec::new(),
                }
            }
        };
        Ok(State::Given(given))
    }

    pub(super) fn answer(
        &mut self,
        given: Given,
        answer: Signed<Answer>,
        tags: &Bytes,
        (claimed, proof): (Vec<Pair>, Option<Proof>),
        out: &mut Outputs,
    ) -> Step {
        let said = answer
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        if said.by != *self.ground.they() || said.given != given.hash {
            return Err(Reason::Statement.into());
        }
        if said.match_id != self.ground.match_id {
            return Err(Reason::Stale.into());
        }
        if let (What::Batch(_), Some(known)) = (&given.what, &self.kept.answer)
            && known
                .peek()
                .is_ok_and(|known| known.names() == said.names() && known != said)
        {
            let (one, other) = (known.clone(), answer);
            let evidence = Evidence::Answers(Box::new(Two { one, other }));
            return Err(Failed::with(Reason::TwoAnswers, evidence).into());
        }
        let count = given.entries().len();
        let fits = |pair: &Pair| (pair.0 as usize) < count && pair.1 < self.kept.length;
        let sorted = claimed.windows(2).all(|two| two[0].0 < two[1].0);
        let read = from_bytes(&tags.0).filter(|read| read.len() == count);
        let (Some(read), true) = (read, sorted && claimed.iter().all(fits)) else {
            return Err(Reason::Answer.into());
        };
        if said.tags != tags_hash(tags) || said.links != list_hash(&claimed) {
            return Err(Reason::Answer.into());
        }
        if claimed.is_empty() != proof.is_none() {
            return Err(Reason::Proof.into());
        }
        let checking = Box::new(Checking {
            given,
            answer,
            tags: read,
            claimed,
            proof,
            theirs: Vec::new(),
            shared: Vec::new(),
            ours: Vec::new(),
        });
        match &checking.given.what {
            What::Batch(made) => {
                let (ground, made) = (Arc::clone(&self.ground), Arc::clone(made));
                self.order(Load::Canaries { ground, made }, out);
                Ok(State::Checking(checking))
            }
            What::Contact(..) => Ok(self.look_up(checking, out)),
        }
    }

    fn look_up(&mut self, checking: Box<Checking>, out: &mut Outputs) -> State {
        let positions = checking.claimed.iter().map(|pair| pair.1).collect();
        self.order(Load::Expected(checking.tags.clone(), positions), out);
        State::Checking(checking)
    }

    pub(super) fn checked(
        &mut self,
        mut checking: Box<Checking>,
        fact: Fact,
        rng: &mut dyn CryptoRng,
        out: &mut Outputs,
    ) -> Step {
        let ground = Arc::clone(&self.ground);
        match fact {
            Fact::Canaries(canaries) => {
                let right =
                    |(place, tag): &(u32, Tag)| checking.tags.get(*place as usize) == Some(tag);
                if !canaries.iter().all(right) {
                    return Err(Reason::Canary.into());
                }
                Ok(self.look_up(checking, out))
            }
            Fact::Expected(found, Some(entries)) => {
                let hit = |(found, place): (Option<u32>, u32)| found.map(|at| (place, at));
                checking.ours = found.into_iter().zip(0..).filter_map(hit).collect();
                if checking.claimed.is_empty() {
                    return self.confirmed(checking, None, out);
                }
                checking.theirs.clone_from(&entries);
                self.order(Load::Raise { ground, entries }, out);
                Ok(State::Checking(checking))
            }
            Fact::Raised(shared) if shared.len() == checking.claimed.len() => {
                checking.shared = shared;
                let entries = checking.given.entries();
                let ours = checking.claimed.iter().map(|pair| entries[pair.0 as usize]);
                let points = (ours.collect(), checking.shared.clone());
                let about = (checking.given.hash, checking.claimed.clone());
                let proof = checking.proof.ok_or(Reason::Internal)?;
                let job = Load::Verify {
                    ground,
                    about,
                    points,
                    proof,
                };
                self.order(job, out);
                Ok(State::Checking(checking))
            }
            Fact::Verified(false) => Err(Reason::Proof.into()),
            Fact::Verified(true) => {
                let (links, entries, shared) = checking.common();
                if links.is_empty() {
                    return self.confirmed(checking, None, out);
                }
                let job = Load::Prove {
                    ground,
                    about: (checking.given.hash, links),
                    points: (entries, shared),
                    nonce: Secret::generate(rng),
                };
                self.order(job, out);
                Ok(State::Checking(checking))
            }
            Fact::Proved(proof) => self.confirmed(checking, Some(proof), out),
            _ => Err(Reason::Internal.into()),
        }
    }

    fn confirmed(
        &mut self,
        checking: Box<Checking>,
        proof: Option<Proof>,
        out: &mut Outputs,
    ) -> Step {
        let (common, _, shared) = checking.common();
        let compared = compare(&checking.ours, &checking.claimed);
        let Checking {
            mut given,
            answer,
            tags,
            ..
        } = *checking;
        let from = given.from();
        let link = |(pair, shared): (&Pair, &Point)| Link {
            position: from + pair.0,
            handle: handle(&self.ground.match_id, shared),
        };
        let links: Vec<_> = common.iter().zip(&shared).map(link).collect();
        self.told.given += 1;
        self.told.links += links.len() as u32;
        self.told.one_sided += compared.ours_only + compared.theirs_only;
        out.push(Output::Record(Act::Given {
            peer: self.ground.they().clone(),
            given: given.hash,
            answer: answer.hash(),
            links: links.len() as u64,
            theirs_only: compared.theirs_only.into(),
            ours_only: compared.ours_only.into(),
        }));
        out.push(Output::Save(Save::Links(links)));
        let confirm = Frame::Confirm {
            links: common,
            proof,
        };
        let What::Batch(made) = &given.what else {
            out.push(send(&confirm));
            return Err(End::Told);
        };
        let person = |((slot, tag), place): ((&Slot, Tag), u32)| match slot {
            Slot::Person(_) => Some((tag, from + place)),
            Slot::Canary(_) => None,
        };
        let slots = made.slots.iter().zip(tags).zip(0..);
        given.heard = slots.filter_map(person).collect();
        self.kept.answer = Some(answer);
        self.keep(out);
        out.push(send(&confirm));
        Ok(State::Confirmed(given))
    }

    /// Both sides have the links: the next batch may go out.
    pub(super) fn done(&mut self, given: &Given, out: &mut Outputs) -> Step {
        self.kept.answered += 1;
        self.kept.answer = None;
        let mut heard = given.heard.clone();
        heard.sort_unstable();
        out.push(Output::Save(Save::Heard(heard)));
        self.keep(out);
        Ok(self.next(out))
    }
}
