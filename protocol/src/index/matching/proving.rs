//! Step 5 of a match: the common list, both proofs, and links.

use std::mem;
use std::sync::Arc;

use rand_core::CryptoRng;

use super::job::{Ground, Job};
use super::links::{Link, Matched, PROOF_BATCH, Pair, Tables, compare, handle, list_hash};
use super::reason::Reason;
use super::{Frame, Match, Outputs, Save, State, Step, send};
use crate::conversation::Output;
use crate::crypto::blind::Secret;
use crate::crypto::dleq::Proof;
use crate::ids::{Hash, Point};
use crate::journal::Act;
use crate::limits::MAX_CHUNK_ENTRIES;

/// Our candidates on their way, the peer's arriving.
pub(super) struct Listing {
    ground: Arc<Ground>,
    tables: Tables,
    ours: Vec<Pair>,
    /// How many frames of ours were sent.
    sent: usize,
    theirs: Vec<Pair>,
}

/// The list both sides have, and what is proved of it so far.
pub(super) struct Proving {
    ground: Arc<Ground>,
    tables: Tables,
    pairs: Arc<[Pair]>,
    list: Hash,
    shared: Arc<[Point]>,
    proofs: Vec<Proof>,
    ours_only: u32,
    theirs_only: u32,
}

impl Listing {
    /// Sends the first of our candidates: the next ones go out for each frame of the peer's. Two
    /// sides that sent all of theirs before they read would wait for each other.
    pub(super) fn begin(
        ground: Arc<Ground>,
        tables: Tables,
        mut ours: Vec<Pair>,
        out: &mut Outputs,
    ) -> State {
        ours.sort_unstable();
        ours.dedup();
        let mut listing = Self {
            ground,
            tables,
            ours,
            sent: 0,
            theirs: Vec::new(),
        };
        listing.send_next(out);
        State::Candidates(listing)
    }

    /// Sends one more frame of ours; says whether there was one.
    fn send_next(&mut self, out: &mut Outputs) -> bool {
        // An empty list is one empty frame.
        let runs = self.ours.len().div_ceil(MAX_CHUNK_ENTRIES).max(1);
        if self.sent == runs {
            return false;
        }
        let from = self.sent * MAX_CHUNK_ENTRIES;
        let to = self.ours.len().min(from + MAX_CHUNK_ENTRIES);
        self.sent += 1;
        out.push(send(&Frame::Candidates {
            pairs: self.ours[from..to].to_vec(),
            last: self.sent == runs,
        }));
        true
    }
}

impl Match {
    pub(super) fn candidates(
        &mut self,
        mut listing: Listing,
        pairs: &[Pair],
        last: bool,
        out: &mut Outputs,
    ) -> Step {
        let (ours, theirs) = (self.own.advert().header().count, self.peer.header().count);
        for pair in pairs {
            let at = listing.ground.split(*pair);
            let fits = at.0 < ours && at.1 < theirs;
            if !fits || listing.theirs.last().is_some_and(|before| before >= pair) {
                return Err(Reason::Candidates.into());
            }
            listing.theirs.push(*pair);
        }
        if listing.theirs.len() > ours as usize || (pairs.is_empty() && !last) {
            return Err(Reason::Candidates.into());
        }
        if !last {
            listing.send_next(out);
            return Ok(State::Candidates(listing));
        }
        // The peer has nothing more to send and reads.
        while listing.send_next(out) {}
        let compared = compare(&listing.ours, &listing.theirs);
        let proving = Proving {
            ground: listing.ground,
            tables: listing.tables,
            list: list_hash(&compared.both),
            shared: Arc::default(),
            proofs: Vec::new(),
            ours_only: compared.ours_only,
            theirs_only: compared.theirs_only,
            pairs: compared.both.into(),
        };
        if proving.pairs.is_empty() {
            return Ok(self.finish(proving, out));
        }
        let (ground, pairs) = (Arc::clone(&proving.ground), Arc::clone(&proving.pairs));
        self.order(Job::Share { ground, pairs }, out);
        Ok(State::Sharing(proving))
    }

    pub(super) fn shared(
        &mut self,
        mut proving: Proving,
        shared: Vec<Point>,
        out: &mut Outputs,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        if shared.len() != proving.pairs.len() {
            return Err(Reason::Internal.into());
        }
        proving.shared = shared.into();
        Ok(self.prove(proving, out, rng))
    }

    fn prove(&mut self, proving: Proving, out: &mut Outputs, rng: &mut dyn CryptoRng) -> State {
        let batch = proving.proofs.len();
        if batch == proving.batches() {
            out.push(send(&Frame::Proofs(proving.proofs.clone())));
            return State::Proofs(proving);
        }
        let job = Job::Prove {
            ground: Arc::clone(&proving.ground),
            pairs: Arc::clone(&proving.pairs),
            shared: Arc::clone(&proving.shared),
            list: proving.list,
            batch: batch as u32,
            nonce: Secret::generate(rng),
        };
        self.order(job, out);
        State::Proving(proving)
    }

    pub(super) fn proved(
        &mut self,
        mut proving: Proving,
        proof: Proof,
        out: &mut Outputs,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        proving.proofs.push(proof);
        Ok(self.prove(proving, out, rng))
    }

    pub(super) fn proofs(
        &mut self,
        proving: Proving,
        proofs: Vec<Proof>,
        out: &mut Outputs,
    ) -> Step {
        if proofs.len() != proving.batches() {
            return Err(Reason::Proof.into());
        }
        Ok(self.verify(proving, proofs, 0, out))
    }

    fn verify(
        &mut self,
        proving: Proving,
        proofs: Vec<Proof>,
        batch: u32,
        out: &mut Outputs,
    ) -> State {
        let Some(proof) = proofs.get(batch as usize).copied() else {
            return self.finish(proving, out);
        };
        let job = Job::Verify {
            ground: Arc::clone(&proving.ground),
            pairs: Arc::clone(&proving.pairs),
            list: proving.list,
            batch,
            shared: Arc::clone(&proving.shared),
            proof,
        };
        self.order(job, out);
        State::Verifying(proving, proofs, batch)
    }

    pub(super) fn verified(
        &mut self,
        proving: Proving,
        proofs: Vec<Proof>,
        batch: u32,
        held: bool,
        out: &mut Outputs,
    ) -> Step {
        if !held {
            return Err(Reason::Proof.into());
        }
        Ok(self.verify(proving, proofs, batch + 1, out))
    }

    /// Links are proved by both: make them durable, then say so.
    fn finish(&mut self, mut proving: Proving, out: &mut Outputs) -> State {
        let tables = mem::take(&mut proving.tables);
        let matched = Box::new(proving.matched());
        out.push(Output::Save(Save::Links(matched.clone(), tables)));
        if !self.kept.done {
            self.kept.done = true;
            out.push(Output::Record(Act::Matched {
                peer: matched.peer.clone(),
                match_id: matched.match_id,
                links: matched.links.len() as u64,
                ours_only: u64::from(matched.ours_only),
                theirs_only: u64::from(matched.theirs_only),
            }));
            self.keep(out);
        }
        out.push(send(&Frame::Done));
        State::Finishing(matched)
    }
}

impl Proving {
    fn batches(&self) -> usize {
        self.pairs.len().div_ceil(PROOF_BATCH)
    }

    fn matched(&self) -> Matched {
        let Ground {
            own,
            peer,
            match_id,
        } = &*self.ground;
        let link = |(pair, shared): (&Pair, &Point)| Link {
            position: self.ground.split(*pair).0,
            handle: handle(match_id, shared),
        };
        let mut links: Vec<_> = self.pairs.iter().zip(&*self.shared).map(link).collect();
        links.sort_unstable_by_key(|link| link.position);
        Matched {
            match_id: *match_id,
            peer: peer.header().member.clone(),
            ours: own.advert().signed().hash(),
            theirs: peer.signed().hash(),
            links,
            ours_only: self.ours_only,
            theirs_only: self.theirs_only,
        }
    }
}
