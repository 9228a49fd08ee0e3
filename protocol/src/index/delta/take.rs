//! The taker's part: what is given is raised, looked up, answered, and its links proved.

use std::sync::Arc;

use rand_core::CryptoRng;

use super::job::{Fact, Load};
use super::reason::{Failed, Reason};
use super::said::{Answer, Batch, Contact, list_hash};
use super::{Delta, End, Frame, Outputs, Save, State, Step, Taken, send, tags_hash};
use crate::codec::{self, Bytes};
use crate::conversation::Output;
use crate::crypto::blind::Secret;
use crate::crypto::dleq::Proof;
use crate::ids::{Hash, Point};
use crate::index::advert;
use crate::index::evidence::{Evidence, Two};
use crate::index::matching::links::{Link, Pair, handle};
use crate::index::matching::tags::{Tag, to_bytes};
use crate::journal::Act;
use crate::limits::{BATCH_SIZES, CLOCK_SKEW, MAX_BULK_FRAME};
use crate::statement::Signed;
use crate::time::Timestamp;

/// Something given that is being answered.
pub(super) struct Taking {
    /// Hash of its statement.
    given: Hash,
    /// The batch; none for a first contact.
    batch: Option<(Signed<Batch>, Batch)>,
    entries: Vec<Point>,
    /// The answer as it was sent before, if it was.
    before: Option<Bytes>,
    raised: Vec<Point>,
    /// The tag the peer would show for each entry if it were also ours.
    expected: Vec<Tag>,
    /// The links of the answer; of those, what the peer confirms.
    links: Vec<Pair>,
    common: Vec<Pair>,
}

impl Taking {
    /// The entries and the shared points of these links.
    fn points(&self, links: &[Pair]) -> Option<(Vec<Point>, Vec<Point>)> {
        let at = |all: &[Point]| -> Option<Vec<Point>> {
            let point = |pair: &Pair| all.get(pair.0 as usize).copied();
            links.iter().map(point).collect()
        };
        Some((at(&self.entries)?, at(&self.raised)?))
    }
}

impl Delta {
    pub(super) fn batch(
        &mut self,
        batch: Signed<Batch>,
        entries: &Bytes,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Step {
        let said = batch
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        let peer = &self.ground.peer;
        if said.federation != peer.federation || said.member != peer.member {
            return Err(Reason::Statement.into());
        }
        if said.header != self.ground.theirs {
            return Err(Reason::Stale.into());
        }
        let last = self.kept.taken.as_ref();
        let known = last.is_some_and(|last| last.number == said.number);
        if let (true, Some(last)) = (known, last)
            && last.batch.peek() != Ok(said.clone())
        {
            let (one, other) = (last.batch.clone(), batch);
            let evidence = Evidence::Batches(Box::new(Two { one, other }));
            return Err(Failed::with(Reason::TwoBatches, evidence).into());
        }
        // Whoever lost the line asks again at once, and once: it costs what a new batch costs.
        let again = known && self.told.taken == 0;
        let number = last.map_or(0, |last| last.number) + 1;
        let before = last.map_or(peer.made, |last| last.made);
        let next = said.number == number
            && said.from == self.kept.length
            && said.made >= before
            && said.made <= now + CLOCK_SKEW;
        let points = advert::from_bytes(&entries.0);
        let points = points.filter(|points| points.len() == said.count as usize);
        let fits = BATCH_SIZES.contains(&(said.count as usize))
            && said.entries == advert::chunk_hash(&entries.0);
        let (Some(entries), true) = (points, fits && (again || next)) else {
            return Err(Reason::Batch.into());
        };
        if !again {
            self.count(said.made, said.count)?;
        }
        let before = last_answer(again, self.kept.taken.as_ref());
        self.raise(batch.hash(), Some((batch, said)), entries, before, out)
    }

    pub(super) fn contact(
        &mut self,
        contact: &Signed<Contact>,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Step {
        let said = contact
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        if said.federation != self.ground.peer.federation
            || said.from != *self.ground.they()
            || said.to != *self.ground.we()
        {
            return Err(Reason::Statement.into());
        }
        if said.match_id != self.ground.match_id {
            return Err(Reason::Stale.into());
        }
        if said.at > now + CLOCK_SKEW || said.at + CLOCK_SKEW < now {
            return Err(Reason::Batch.into());
        }
        self.count(now, 1)?;
        self.kept.contacts += 1;
        self.raise(contact.hash(), None, vec![said.entry], None, out)
    }

    /// Counts entries towards what the charter allows in a day. Those of an earlier day than the
    /// last count towards the last: nobody gains by turning back.
    fn count(&mut self, made: Timestamp, entries: u32) -> Result<(), Reason> {
        let (last, added) = self.kept.day;
        let day = made.day().max(last);
        let added = if day == last { added } else { 0 } + entries;
        if added > self.additions_per_day {
            return Err(Reason::OverAdditions);
        }
        if self.kept.length + self.kept.contacts + entries > self.cap {
            return Err(Reason::OverCap);
        }
        self.kept.day = (day, added);
        Ok(())
    }

    fn raise(
        &mut self,
        given: Hash,
        batch: Option<(Signed<Batch>, Batch)>,
        entries: Vec<Point>,
        before: Option<Bytes>,
        out: &mut Outputs,
    ) -> Step {
        advert::check_distinct(&entries).map_err(|_| Reason::VoidEntry)?;
        let job = Load::Raise {
            ground: Arc::clone(&self.ground),
            entries: entries.clone(),
        };
        self.order(job, out);
        Ok(State::Taking(Box::new(Taking {
            given,
            batch,
            entries,
            before,
            raised: Vec::new(),
            expected: Vec::new(),
            links: Vec::new(),
            common: Vec::new(),
        })))
    }

    pub(super) fn worked(
        &mut self,
        mut taking: Box<Taking>,
        fact: Fact,
        rng: &mut dyn CryptoRng,
        out: &mut Outputs,
    ) -> Step {
        match fact {
            Fact::BadEntry(_) => Err(Reason::VoidEntry.into()),
            Fact::Raised(raised) if raised.len() == taking.entries.len() => {
                let theirs = self.ground.theirs();
                taking.expected = raised.iter().map(|point| theirs.tag(point)).collect();
                taking.raised = raised;
                self.order(Load::Heard(taking.expected.clone()), out);
                Ok(State::Taking(taking))
            }
            Fact::Heard(found, repeated) if found.len() == taking.entries.len() => {
                if let Some(frame) = taking.before.take() {
                    return self.answer_again(taking, frame, out);
                }
                // Who was given alone before comes in a batch of the same day.
                if repeated && taking.batch.is_some() {
                    return Err(Reason::VoidEntry.into());
                }
                let hit = |(found, place): (Option<u32>, u32)| found.map(|at| (place, at));
                taking.links = found.into_iter().zip(0..).filter_map(hit).collect();
                if taking.links.is_empty() {
                    return Ok(self.answered(taking, None, out));
                }
                let job = Load::Prove {
                    ground: Arc::clone(&self.ground),
                    about: (taking.given, taking.links.clone()),
                    points: taking.points(&taking.links).ok_or(Reason::Internal)?,
                    nonce: Secret::generate(rng),
                };
                self.order(job, out);
                Ok(State::Taking(taking))
            }
            Fact::Proved(proof) => Ok(self.answered(taking, Some(proof), out)),
            Fact::Verified(true) => self.linked(&taking, out),
            Fact::Verified(false) => Err(Reason::Proof.into()),
            _ => Err(Reason::Internal.into()),
        }
    }

    /// The very same answer to the very same batch.
    fn answer_again(&self, mut taking: Box<Taking>, frame: Bytes, out: &mut Outputs) -> Step {
        let Ok(Frame::Answer { links, .. }) = codec::decode(&frame.0, MAX_BULK_FRAME) else {
            return Err(Reason::Internal.into());
        };
        taking.links = links;
        out.push(Output::Send(frame.0));
        Ok(State::Answered(taking))
    }

    fn answered(&mut self, taking: Box<Taking>, proof: Option<Proof>, out: &mut Outputs) -> State {
        let ours = self.ground.ours();
        let tags: Vec<_> = taking.raised.iter().map(|point| ours.tag(point)).collect();
        let tags = Bytes(to_bytes(&tags));
        let answer = Answer {
            match_id: self.ground.match_id,
            by: self.ground.we().clone(),
            given: taking.given,
            tags: tags_hash(&tags),
            links: list_hash(&taking.links),
        };
        let answer = Signed::sign(&answer, &self.node);
        out.push(Output::Record(Act::Taken {
            peer: self.ground.they().clone(),
            given: taking.given,
            answer: answer.hash(),
            links: taking.links.len() as u64,
        }));
        let frame = codec::encode(&Frame::Answer {
            answer,
            tags,
            links: taking.links.clone(),
            proof,
        });
        if let Some((batch, said)) = &taking.batch {
            let positions = taking.expected.iter().copied().zip(said.from..);
            let mut expected: Vec<_> = positions.collect();
            expected.sort_unstable();
            out.push(Output::Save(Save::Entries {
                from: said.from,
                entries: Bytes(advert::to_bytes(&taking.entries)),
                expected,
            }));
            self.kept.length += said.count;
            self.kept.taken = Some(Taken {
                batch: batch.clone(),
                number: said.number,
                made: said.made,
                answer: Bytes(frame.clone()),
            });
        }
        self.keep(out);
        out.push(Output::Send(frame));
        State::Answered(taking)
    }

    pub(super) fn confirm(
        &mut self,
        mut taking: Box<Taking>,
        links: Vec<Pair>,
        proof: Option<Proof>,
        out: &mut Outputs,
    ) -> Step {
        let sorted = links.windows(2).all(|two| two[0] < two[1]);
        let ours = |pair: &Pair| taking.links.binary_search(pair).is_ok();
        if !sorted || !links.iter().all(ours) {
            return Err(Reason::Answer.into());
        }
        let proof = match (links.is_empty(), proof) {
            (true, None) => return self.linked(&taking, out),
            (false, Some(proof)) => proof,
            _ => return Err(Reason::Proof.into()),
        };
        let entry = |pair: &Pair| self.ground.own.entry(pair.1);
        let entries: Option<Vec<_>> = links.iter().map(entry).collect();
        let (_, shared) = taking.points(&links).ok_or(Reason::Internal)?;
        let job = Load::Verify {
            ground: Arc::clone(&self.ground),
            about: (taking.given, links.clone()),
            points: (entries.ok_or(Reason::Internal)?, shared),
            proof,
        };
        taking.common = links;
        self.order(job, out);
        Ok(State::Taking(taking))
    }

    fn linked(&mut self, taking: &Taking, out: &mut Outputs) -> Step {
        let (_, shared) = taking.points(&taking.common).ok_or(Reason::Internal)?;
        let link = |(pair, shared): (&Pair, &Point)| Link {
            position: pair.1,
            handle: handle(&self.ground.match_id, shared),
        };
        let links: Vec<_> = taking.common.iter().zip(&shared).map(link).collect();
        self.told.taken += 1;
        self.told.links += links.len() as u32;
        self.told.one_sided += (taking.links.len() - links.len()) as u32;
        out.push(Output::Save(Save::Links(links)));
        if taking.batch.is_none() {
            return Err(End::Told);
        }
        out.push(send(&Frame::Done));
        Ok(State::Await)
    }
}

fn last_answer(again: bool, last: Option<&Taken>) -> Option<Bytes> {
    last.filter(|_| again).map(|last| last.answer.clone())
}
