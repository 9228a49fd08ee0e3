//! Peers that break the rules of the index: real nodes on real connections that drive the protocol's
//! machines themselves, with entries, facts and frames of their own making.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};

use fairshare_node::engine::advert;
use fairshare_node::engine::drive::{Effects, Error, drive, now};
use fairshare_node::store::index::Index;
use fairshare_protocol::conversation::{Conversation, Input, Output};
use fairshare_protocol::ids::{OdsCode, Point};
use fairshare_protocol::index::advert::Advert;
use fairshare_protocol::index::advert::own::{Blinding, Own};
use fairshare_protocol::index::delta::job as telling;
use fairshare_protocol::index::delta::{self, Delta, Part};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::index::matching::{self, Match, job};
use fairshare_protocol::time::Timestamp;
use fairshare_protocol::wire;
use rand::CryptoRng;
use rayon::prelude::*;

use crate::mesh::{Running, key};

/// Entries raised or blinded in one go by one thread.
const RUN: usize = 256;
/// The first of the people who stand for entries that are nobody's.
const NOBODY: u32 = 400_000;

/// Which way a frame goes, as the liar sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the honest node.
    Out,
    /// From it.
    In,
}

/// What becomes of a frame: another in its place; nothing cuts the line.
pub type Line<'a> = Box<dyn FnMut(Way, Vec<u8>) -> Option<Vec<u8>> + Send + 'a>;

/// What becomes of a fact before the machine is told.
pub type Lie<'a, Load, Fact> = Box<dyn FnMut(&Load, Fact) -> Fact + Send + 'a>;

/// Frames as they are.
pub fn straight<'a>() -> Line<'a> {
    Box::new(|_, frame| Some(frame))
}

/// Facts as they are.
pub fn truly<'a, Load, Fact>() -> Lie<'a, Load, Fact> {
    Box::new(|_, fact| fact)
}

/// Whether a liar remembers what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It does.
    Keeps,
    /// It will say something else the next time.
    Forgets,
}

/// A machine whose frames pass through somebody's hands.
struct Spoiled<'a, M> {
    machine: M,
    line: Line<'a>,
}

impl<M: Conversation> Conversation for Spoiled<'_, M> {
    type Save = M::Save;
    type Load = M::Load;
    type Fact = M::Fact;
    type Outcome = M::Outcome;

    fn handle(
        &mut self,
        input: Input<M::Fact>,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Vec<Output<Self>> {
        let input = match input {
            Input::Received(frame) => {
                let frame = (self.line)(Way::In, frame);
                frame.map_or(Input::Lost, Input::Received)
            }
            other => other,
        };
        let (mut out, mut cut, mut over) = (Vec::new(), false, false);
        let mut orders = self.machine.handle(input, now, rng);
        loop {
            for order in mem::take(&mut orders) {
                match order {
                    Output::Send(_) if cut => {}
                    Output::Send(frame) => match (self.line)(Way::Out, frame) {
                        Some(frame) => out.push(Output::Send(frame)),
                        None => cut = true,
                    },
                    Output::Record(act) => out.push(Output::Record(act)),
                    Output::Save(save) => out.push(Output::Save(save)),
                    Output::Load(load) => out.push(Output::Load(load)),
                    Output::Close(outcome) => {
                        over = true;
                        out.push(Output::Close(outcome));
                    }
                }
            }
            if over || !mem::take(&mut cut) {
                return out;
            }
            orders = self.machine.handle(Input::Lost, now, rng);
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.machine.deadline()
    }
}

/// Makes the advert of a node out of whatever `entries` gives, and publishes it. Person n of it is
/// the n-th of `people`; entries beyond those are nobody's.
pub fn publish(
    running: &Running,
    people: &[IndexKey],
    rng: &mut dyn CryptoRng,
    entries: impl FnOnce(&Blinding) -> Vec<Point>,
) -> Arc<Own> {
    let node = &running.node;
    let roster = node.membership.roster().unwrap();
    let epoch = roster.epoch(now());
    let blinding = Blinding::generate(&roster.federation(), epoch, &mut rand::rng());
    let entries = entries(&blinding);
    let code = node.code().clone();
    let own = Own::first(code, &blinding, entries, &node.keys.node, now(), rng).unwrap();
    keep(running, &own, people);
    Arc::new(own)
}

/// Publishes this advert in place of the one before. A node that served another does not know it
/// before it is restarted.
pub fn keep(running: &Running, own: &Own, people: &[IndexKey]) {
    let nobody = NOBODY..NOBODY + own.people() - people.len() as u32;
    let people: Vec<_> = people.iter().copied().chain(nobody.map(key)).collect();
    running.node.index.keep_own(own, &people).unwrap();
}

/// `H(x)^k` of these people.
pub fn blinded(blinding: &Blinding, people: &[IndexKey]) -> Vec<Point> {
    let runs = people.par_chunks(RUN);
    runs.flat_map_iter(|run| blinding.entries(run)).collect()
}

/// A peer's advert, as it is fetched over the network.
pub async fn fetched(by: &Running, of: &Running) -> Arc<Advert> {
    let roster = by.node.membership.roster().unwrap();
    let key = of.node.keys.node.public();
    let frames = by.network.open(&key, wire::ADVERT).await.unwrap();
    let fetching = advert::fetch(&by.node, of.code(), &roster, frames);
    fetching.await.unwrap();
    let held = by.node.index.peer_advert(of.code()).unwrap();
    Arc::new(held.unwrap())
}

/// A member that breaks the rules.
pub struct Liar<'a> {
    running: &'a Running,
    /// Its advert, with batches it made since.
    pub own: Arc<Own>,
    /// The honest node's entries, raised: by chunk.
    raised: Mutex<BTreeMap<u32, Vec<Point>>>,
    /// How far its deltas with the honest node have come.
    kept: Mutex<Option<delta::Kept>>,
}

impl<'a> Liar<'a> {
    /// A liar at this node, whose advert this is.
    pub fn new(running: &'a Running, own: Arc<Own>) -> Self {
        Self {
            running,
            own,
            raised: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Begins a match with an honest node, remembering nothing of any before; gives how it ended
    /// for the liar.
    pub async fn match_with(
        &self,
        honest: &Running,
        lie: Lie<'_, job::Job, job::Fact>,
        line: Line<'_>,
    ) -> matching::Outcome {
        let node = &self.running.node;
        let peer_node = honest.node.keys.node.public();
        let machine = Match::new(matching::Setup {
            own: Arc::clone(&self.own),
            peer: fetched(self.running, honest).await,
            node: node.keys.node.clone(),
            peer_node,
            kept: matching::Kept::default(),
            heard: Vec::new(),
        });
        let opening = self.running.network.open(&peer_node, wire::MATCH);
        let frames = opening.await.unwrap();
        let keep = (&node.journal, &node.store);
        let raised = &self.raised;
        let mut effects = Matching { raised, lie };
        let ended = drive(Spoiled { machine, line }, frames, keep, &mut effects).await;
        ended.unwrap()
    }

    /// Begins a delta with an honest node, with whom its node was matched; gives how it ended for
    /// the liar.
    pub async fn tell(
        &self,
        honest: &Running,
        memory: Memory,
        lie: Lie<'_, telling::Load, telling::Fact>,
        line: Line<'_>,
    ) -> delta::Outcome {
        let (node, peer) = (&self.running.node, honest.code());
        let peer_node = honest.node.keys.node.public();
        let pair = node.index.pair(peer).unwrap().unwrap();
        let held = node.index.peer(peer).unwrap().unwrap();
        let kept = self.kept.lock().unwrap().clone();
        let machine = Delta::new(delta::Setup {
            ground: Arc::new(telling::Ground {
                own: Arc::clone(&self.own),
                peer: held.header.peek().unwrap(),
                theirs: pair.theirs,
                match_id: pair.match_id,
            }),
            node: node.keys.node.clone(),
            peer_node,
            kept: kept.unwrap_or(pair.kept),
            additions_per_day: u32::MAX,
            cap: u32::MAX,
            part: Part::Beginner,
        });
        let opening = self.running.network.open(&peer_node, wire::DELTA);
        let frames = opening.await.unwrap();
        let keep = (&node.journal, &node.store);
        let mut effects = Telling {
            index: node.index.clone(),
            peer: peer.clone(),
            own: Arc::clone(&self.own),
            kept: (memory == Memory::Keeps).then_some(&self.kept),
            lie,
        };
        let ended = drive(Spoiled { machine, line }, frames, keep, &mut effects).await;
        ended.unwrap()
    }
}

struct Matching<'a> {
    raised: &'a Mutex<BTreeMap<u32, Vec<Point>>>,
    lie: Lie<'a, job::Job, job::Fact>,
}

impl Effects<Spoiled<'_, Match>> for Matching<'_> {
    async fn save(&mut self, _: matching::Save) -> Result<(), Error> {
        Ok(())
    }

    async fn load(&mut self, job: job::Job) -> Result<job::Fact, Error> {
        let fact = match &job {
            job::Job::Raise { ground, chunk } => {
                let mut all = self.raised.lock().unwrap();
                let raised = all.entry(*chunk).or_insert_with(|| {
                    let runs = ground.peer.chunk(*chunk).par_chunks(RUN);
                    runs.flat_map_iter(|run| ground.own.raise(run).unwrap())
                        .collect()
                });
                job::Fact::Raised(ground.tags(raised))
            }
            _ => job::run(&job),
        };
        Ok((self.lie)(&job, fact))
    }
}

struct Telling<'a> {
    index: Index,
    peer: OdsCode,
    own: Arc<Own>,
    kept: Option<&'a Mutex<Option<delta::Kept>>>,
    lie: Lie<'a, telling::Load, telling::Fact>,
}

impl Telling<'_> {
    fn look(&self, load: &telling::Load) -> Result<telling::Fact, Error> {
        let pair = self.index.pair(&self.peer)?.unwrap();
        Ok(match load {
            telling::Load::Batch(number) => {
                let next = self.own.batches().get(*number as usize - 1);
                telling::Fact::Next(next.cloned().map(telling::Next::Batch))
            }
            telling::Load::Heard(tags) => {
                telling::Fact::Heard(self.index.look_up(&pair.heard, tags)?, false)
            }
            telling::Load::Expected(tags, positions) => {
                let entries = self.index.entries_at(&self.peer, positions)?;
                telling::Fact::Expected(self.index.look_up(&pair.expected, tags)?, entries)
            }
            other => telling::run(other).unwrap(),
        })
    }
}

impl Effects<Spoiled<'_, Delta>> for Telling<'_> {
    async fn save(&mut self, save: delta::Save) -> Result<(), Error> {
        // It needs nothing else of what it has heard, and may believe what it likes.
        if let (Some(last), delta::Save::Kept(kept)) = (self.kept, save) {
            *last.lock().unwrap() = Some(*kept);
        }
        Ok(())
    }

    async fn load(&mut self, load: telling::Load) -> Result<telling::Fact, Error> {
        let fact = self.look(&load)?;
        Ok((self.lie)(&load, fact))
    }
}
