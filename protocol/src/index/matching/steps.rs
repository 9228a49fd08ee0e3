//! Steps 1 to 3 of a match, each taking the state before it and giving the one after.

use std::mem;
use std::sync::Arc;

use super::job::{Ground, Job};
use super::links::Tables;
use super::reason::{Failed, Reason};
use super::rounds::{Ready, Rounds};
use super::said::{Nonce, Opening, Party, TagCommitment, match_id};
use super::tags::{Tag, order, spans, to_bytes};
use super::{Frame, Match, Outputs, State, Step, send};
use crate::conversation::Output;
use crate::ids::Hash;
use crate::index::advert::{Header, chunk_hash, root};
use crate::index::evidence::{Evidence, Two};
use crate::journal::Act;
use crate::statement::Signed;

/// Raising the peer's entries, chunk by chunk.
pub(super) struct Raising {
    ground: Arc<Ground>,
    next: u32,
    /// The tag of each of the peer's entries, by position.
    ours: Vec<Tag>,
    /// The tag the peer would show for each, with its position.
    expected: Vec<(Tag, u32)>,
}

impl Match {
    fn our_nonce(&self) -> Nonce {
        let (own, theirs) = (self.own.advert().signed(), self.peer.signed());
        Nonce::new(&self.own.key().to_bytes(), &own.hash(), &theirs.hash())
    }

    pub(super) fn opened(&self, out: &mut Outputs) -> State {
        let opening = Opening {
            federation: self.own.advert().header().federation,
            from: self.we().clone(),
            to: self.they().clone(),
            header: self.own.advert().signed().hash(),
            yours: self.peer.signed().hash(),
            nonce: self.our_nonce().hash(),
        };
        out.push(send(&Frame::Hello {
            header: self.own.advert().signed().clone(),
            opening: Signed::sign(&opening, &self.node),
        }));
        State::Hello
    }

    pub(super) fn hello(
        &mut self,
        header: &Signed<Header>,
        opening: Signed<Opening>,
        out: &mut Outputs,
    ) -> Step {
        self.check_header(header)?;
        let said = opening
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        let own = self.own.advert();
        if said.federation != own.header().federation
            || said.from != *self.they()
            || said.to != *self.we()
        {
            return Err(Reason::Statement.into());
        }
        if said.yours != own.signed().hash() || said.header != self.peer.signed().hash() {
            return Err(Reason::Stale.into());
        }
        if let Some(known) = &self.kept.opening {
            if known.peek() != Ok(said.clone()) {
                let (one, other) = (known.clone(), opening);
                let evidence = Evidence::Openings(Box::new(Two { one, other }));
                return Err(Failed::with(Reason::TwoOpenings, evidence).into());
            }
        } else {
            self.kept.opening = Some(opening);
            self.keep(out);
        }
        out.push(send(&Frame::Nonce(self.our_nonce())));
        Ok(State::Nonce(said.nonce))
    }

    fn check_header(&self, header: &Signed<Header>) -> Result<(), Failed> {
        let held = self.peer.signed();
        if header == held {
            return Ok(());
        }
        let other = header
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        if other != *self.peer.header() && other.names() == self.peer.header().names() {
            let (one, other) = (held.clone(), header.clone());
            let evidence = Evidence::Headers(Box::new(Two { one, other }));
            return Err(Failed::with(Reason::TwoHeaders, evidence));
        }
        Err(Reason::Stale.into())
    }

    pub(super) fn nonce(&mut self, hash: Hash, nonce: Nonce, out: &mut Outputs) -> Step {
        if nonce.hash() != hash {
            return Err(Reason::Nonce.into());
        }
        let header = self.own.advert().header();
        let parties = [
            Party {
                member: self.we(),
                header: self.own.advert().signed().hash(),
                nonce: self.our_nonce(),
            },
            Party {
                member: self.they(),
                header: self.peer.signed().hash(),
                nonce,
            },
        ];
        let ground = Arc::new(Ground {
            own: Arc::clone(&self.own),
            peer: Arc::clone(&self.peer),
            match_id: match_id(&header.federation, header.epoch, parties),
        });
        let count = self.peer.header().count as usize;
        let raising = Raising {
            ground,
            next: 0,
            ours: Vec::with_capacity(count),
            expected: Vec::with_capacity(count),
        };
        Ok(self.raise(raising, out))
    }

    /// How many whole chunks of the peer's tags were heard before the line was lost.
    fn held_chunks(&self) -> u32 {
        let whole = spans(self.own.advert().header().count);
        let whole = whole.iter().take_while(|span| span.to <= self.held.len());
        // At most MAX_ADVERT tags, in fewer chunks.
        whole.count() as u32
    }

    fn raise(&mut self, raising: Raising, out: &mut Outputs) -> State {
        let ground = Arc::clone(&raising.ground);
        if raising.next < self.peer.header().chunks() {
            let chunk = raising.next;
            self.order(Job::Raise { ground, chunk }, out);
            State::Raising(raising)
        } else {
            self.order(Job::Canaries { ground }, out);
            State::Canaries(raising)
        }
    }

    pub(super) fn raised(
        &mut self,
        mut raising: Raising,
        tags: Vec<(Tag, Tag)>,
        out: &mut Outputs,
    ) -> Step {
        if tags.len() != self.peer.header().chunk_len(raising.next) {
            return Err(Reason::Internal.into());
        }
        for ((ours, theirs), position) in tags.into_iter().zip(raising.ours.len() as u32..) {
            raising.ours.push(ours);
            raising.expected.push((theirs, position));
        }
        raising.next += 1;
        Ok(self.raise(raising, out))
    }

    pub(super) fn commit(
        &mut self,
        mut raising: Raising,
        canaries: Vec<Tag>,
        out: &mut Outputs,
    ) -> Step {
        let match_id = raising.ground.match_id;
        raising.expected.sort_unstable();
        // Positions are below the count, so every one has its tag.
        let ours: Vec<_> = order(&match_id, self.we(), self.peer.header().count)
            .into_iter()
            .map(|position| raising.ours[position as usize])
            .collect();
        let chunks: Vec<_> = spans(self.peer.header().count)
            .into_iter()
            .map(|span| chunk_hash(&to_bytes(&ours[span.from..span.to])))
            .collect();
        let commitment = TagCommitment {
            match_id,
            raised_by: self.we().clone(),
            root: root(&chunks),
            count: self.peer.header().count,
        };
        let commitment = Signed::sign(&commitment, &self.node);
        let hash = commitment.hash();
        if let Some(known) = self.kept.committed {
            // It follows from the adverts; another one must never leave.
            if known != hash {
                return Err(Reason::Internal.into());
            }
        } else {
            self.kept.committed = Some(hash);
            out.push(Output::Record(Act::TagsCommitted {
                peer: self.they().clone(),
                match_id,
                ours: hash,
            }));
            self.keep(out);
        }
        let seen = self.held_chunks();
        out.push(send(&Frame::Commitment {
            commitment,
            chunks,
            seen,
        }));
        Ok(State::Commitment(Ready {
            ground: raising.ground,
            ours,
            tables: Tables {
                heard: Vec::with_capacity(self.own.people() as usize),
                expected: raising.expected,
            },
            canaries,
        }))
    }

    pub(super) fn commitment(
        &mut self,
        ready: Ready,
        commitment: Signed<TagCommitment>,
        (chunks, seen): (Vec<Hash>, u32),
        out: &mut Outputs,
    ) -> Step {
        let said = commitment
            .verify(&self.peer_node)
            .map_err(|_| Reason::Statement)?;
        if said.match_id != ready.ground.match_id || said.raised_by != *self.they() {
            return Err(Reason::Statement.into());
        }
        if let Some(known) = &self.kept.commitment {
            if known.peek() != Ok(said.clone()) {
                let (one, other) = (known.clone(), commitment);
                let evidence = Evidence::Commitments(Box::new(Two { one, other }));
                return Err(Failed::with(Reason::TwoCommitments, evidence).into());
            }
        } else {
            self.kept.commitment = Some(commitment.clone());
            out.push(Output::Record(Act::TagsHeard {
                peer: self.they().clone(),
                match_id: said.match_id,
                theirs: commitment.hash(),
            }));
            self.keep(out);
        }
        let count = self.own.advert().header().count;
        if said.count != count || chunks.len() != spans(count).len() || root(&chunks) != said.root {
            return Err(Reason::Commitment.into());
        }
        let order = order(&said.match_id, self.they(), count);
        let heard = mem::take(&mut self.held);
        let said = (commitment, chunks);
        Ok(Rounds::resume(ready, said, order, seen, &heard)?.show(out))
    }
}
