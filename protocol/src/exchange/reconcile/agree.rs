//! Before the first bundle: both say who is active and of whom there is news, draw an order, and
//! commit to the same list.

use rand_core::CryptoRng;

use super::active::Active;
use super::frame::{Frame, Why};
use super::orders::{Load, Round, Save};
use super::running::Running;
use super::said::{self, Agreement, Nonce, Proposal};
use super::{End, Out, Reconcile, State, Step, keep, send, stray, unfit};
use crate::category::Purpose;
use crate::conversation::Output;
use crate::crypto::stream::StreamKey;
use crate::exchange::ask::Fault;
use crate::ids::{Handle, Hash, MatchId, RoundId};
use crate::journal::Act;
use crate::limits::CLOCK_SKEW;
use crate::statement::{Body, Signed};
use crate::time::Timestamp;

/// A round that was proposed, as both sides know it.
struct Proposed {
    round: RoundId,
    match_id: MatchId,
    hash: Hash,
    /// What the proposer's nonce must be.
    nonce: Hash,
    at: Timestamp,
    /// What our bundles will be sealed under.
    secret: StreamKey,
}

/// The proposer, until it knows the other's people.
pub(super) struct Proposing {
    proposed: Proposed,
    nonce: Nonce,
    ours: Active,
    theirs: Option<Nonce>,
    heard: Active,
}

/// The proposer, once it has said what it agrees to.
pub(super) struct Sent {
    agreed: Agreed,
    theirs: Nonce,
}

/// The other, until the proposer agrees.
pub(super) struct Hearing {
    proposed: Proposed,
    /// Once it has said who its people are.
    ours: Option<(Nonce, Active)>,
    heard: Active,
}

/// The list one side commits to.
struct Agreed {
    proposed: Proposed,
    people: Vec<Handle>,
    leads: bool,
    signed: Signed<Agreement>,
}

impl Proposing {
    pub(super) fn accepted(mut self: Box<Self>, nonce: Nonce) -> Step {
        if self.theirs.replace(nonce).is_some() {
            return Err(unfit("a second nonce"));
        }
        Ok(State::Proposed(self))
    }
}

impl Hearing {
    pub(super) fn people(mut self: Box<Self>, people: Vec<(Handle, bool)>, last: bool) -> Step {
        self.heard.hear(people, last)?;
        Ok(State::Hearing(self))
    }
}

impl Reconcile {
    pub(super) fn offer(
        &mut self,
        match_id: MatchId,
        people: Vec<(Handle, bool)>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        self.flows()?;
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let (round, nonce) = (RoundId::new(id), chance(rng));
        let proposal = Proposal {
            federation: self.pair.federation,
            round,
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            match_id,
            terms: self.pair.terms.hash(),
            nonce: said::commit(&round, &nonce),
            at: now,
        };
        let signed = Signed::sign(&proposal, &self.pair.key);
        out.push(keep(&signed));
        let proposed = Proposed {
            round,
            match_id,
            hash: signed.hash(),
            nonce: proposal.nonce,
            at: now,
            secret: StreamKey::generate(rng),
        };
        out.push(send(&Frame::Proposal(signed)));
        let ours = Active::all(people);
        ours.send(out);
        Ok(State::Proposed(Box::new(Proposing {
            proposed,
            nonce,
            ours,
            theirs: None,
            heard: Active::default(),
        })))
    }

    /// Whether anything flows in bulk at all.
    fn flows(&self) -> Result<(), End> {
        let (me, peer) = (&self.pair.me, &self.pair.peer);
        let flows = |from, to| self.pair.terms.flows(from, to, Purpose::SharedCare);
        if flows(me, peer).is_empty() && flows(peer, me).is_empty() {
            return Err(declined(Why::OutsideOffer));
        }
        Ok(())
    }

    pub(super) fn proposed(
        &mut self,
        signed: Signed<Proposal>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        let proposal = self.theirs(&signed)?;
        let pair = &self.pair;
        if proposal.federation != pair.federation
            || proposal.from != pair.peer
            || proposal.to != pair.me
        {
            return Err(unfit("a proposal between other members"));
        }
        if proposal.at > now + CLOCK_SKEW || proposal.at + CLOCK_SKEW < now {
            return Err(unfit("a proposal of another time"));
        }
        self.flows()?;
        out.push(keep(&signed));
        out.push(Output::Load(Load::People(proposal.match_id)));
        Ok(State::Hearing(Box::new(Hearing {
            proposed: Proposed {
                round: proposal.round,
                match_id: proposal.match_id,
                hash: signed.hash(),
                nonce: proposal.nonce,
                at: proposal.at,
                secret: StreamKey::generate(rng),
            },
            ours: None,
            heard: Active::default(),
        })))
    }

    /// Who is active here is known: the proposer is told.
    pub(super) fn found(
        &mut self,
        mut hearing: Hearing,
        people: Result<Vec<(Handle, bool)>, Why>,
        rng: &mut dyn CryptoRng,
        out: &mut Out,
    ) -> Step {
        if hearing.ours.is_some() {
            return Err(Fault::Ours.into());
        }
        let ours = Active::all(people.map_err(declined)?);
        let nonce = chance(rng);
        out.push(send(&Frame::Accept(nonce)));
        ours.send(out);
        hearing.ours = Some((nonce, ours));
        Ok(State::Hearing(Box::new(hearing)))
    }

    /// The other's people, as the proposer hears them; after the last it agrees to the list.
    pub(super) fn hear(
        &mut self,
        mut proposing: Proposing,
        people: Vec<(Handle, bool)>,
        last: bool,
        out: &mut Out,
    ) -> Step {
        let theirs = proposing.theirs.ok_or(unfit("people without a nonce"))?;
        proposing.heard.hear(people, last)?;
        if !last {
            return Ok(State::Proposed(Box::new(proposing)));
        }
        let both = proposing.ours.both(&proposing.heard);
        let ours = proposing.nonce;
        let (people, leads) = said::draw(&proposing.proposed.round, [&ours, &theirs], both);
        let agreed = self.sign(proposing.proposed, people, leads, ours);
        out.push(keep(&agreed.signed));
        out.push(send(&Frame::Agreement(agreed.signed.clone())));
        Ok(State::Agreed(Box::new(Sent { agreed, theirs })))
    }

    /// The proposer's commitment to the list: must be to the same as ours.
    pub(super) fn agree(
        &mut self,
        hearing: Hearing,
        signed: &Signed<Agreement>,
        now: Timestamp,
        out: &mut Out,
    ) -> Step {
        let Hearing {
            proposed,
            ours,
            heard,
        } = hearing;
        let (nonce, ours) = ours.ok_or(stray())?;
        let theirs = self.theirs(signed)?.nonce;
        if said::commit(&proposed.round, &theirs) != proposed.nonce {
            return Err(unfit("another nonce than was committed to"));
        }
        if !heard.whole {
            return Err(unfit("an agreement before all people were named"));
        }
        let both = ours.both(&heard);
        let (people, proposer_leads) = said::draw(&proposed.round, [&theirs, &nonce], both);
        let agreed = self.sign(proposed, people, !proposer_leads, nonce);
        self.begin(agreed, &theirs, signed, false, now, out)
    }

    pub(super) fn agreed(
        &mut self,
        sent: Sent,
        signed: &Signed<Agreement>,
        now: Timestamp,
        out: &mut Out,
    ) -> Step {
        let Sent { agreed, theirs } = sent;
        self.begin(agreed, &theirs, signed, true, now, out)
    }

    fn sign(&self, proposed: Proposed, people: Vec<Handle>, leads: bool, nonce: Nonce) -> Agreed {
        let agreement = Agreement {
            from: self.pair.me.clone(),
            to: self.pair.peer.clone(),
            proposal: proposed.hash,
            nonce,
            // At most MAX_ROUND.
            people: u32::try_from(people.len()).unwrap_or(u32::MAX),
            list: said::list(&proposed.round, &people),
        };
        Agreed {
            signed: Signed::sign(&agreement, &self.pair.key),
            proposed,
            people,
            leads,
        }
    }

    /// Both have signed. The round stands before the other side can know that it does.
    fn begin(
        &mut self,
        agreed: Agreed,
        nonce: &Nonce,
        signed: &Signed<Agreement>,
        proposed: bool,
        now: Timestamp,
        out: &mut Out,
    ) -> Step {
        let (theirs, ours) = (self.theirs(signed)?, agreed.signed.peek());
        let ours = ours.map_err(Fault::from)?;
        let expected = Agreement {
            from: ours.to,
            to: ours.from,
            nonce: *nonce,
            ..ours
        };
        if theirs != expected {
            return Err(unfit("an agreement to another list"));
        }
        out.push(keep(signed));
        if !proposed {
            out.push(keep(&agreed.signed));
        }
        let answer = (!proposed).then(|| send(&Frame::Agreement(agreed.signed.clone())));
        if agreed.people.is_empty() {
            out.extend(answer);
            return Err(End::Nothing);
        }
        let round = Round {
            id: agreed.proposed.round,
            peer: self.pair.peer.clone(),
            proposed,
            match_id: agreed.proposed.match_id,
            at: agreed.proposed.at,
            leads: agreed.leads,
            secret: agreed.proposed.secret,
            people: agreed.people,
        };
        out.push(Output::Save(Save::Round(Box::new(round.clone()))));
        out.push(Output::Record(Act::RoundAgreed {
            round: round.id,
            peer: self.pair.peer.clone(),
            people: round.len(),
            ours: agreed.signed.hash(),
            theirs: signed.hash(),
        }));
        out.extend(answer);
        self.advance(Running::new(round), now, out)
    }

    /// A statement of the peer's, verified.
    fn theirs<T: Body>(&self, signed: &Signed<T>) -> Result<T, End> {
        let body = signed.verify(&self.pair.peer_key);
        body.map_err(|error| Fault::from(error).into())
    }
}

fn chance(rng: &mut dyn CryptoRng) -> Nonce {
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    Nonce::new(nonce)
}

fn declined(why: Why) -> End {
    End::Stopped {
        why,
        by_peer: false,
    }
}
