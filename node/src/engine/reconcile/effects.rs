//! What a round needs of the node.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairshare_protocol::codec::{self, Bytes};
use fairshare_protocol::exchange::ask::kind;
use fairshare_protocol::exchange::bundle::Shown;
use fairshare_protocol::exchange::reconcile::Reconcile;
use fairshare_protocol::exchange::reconcile::frame::Why;
use fairshare_protocol::exchange::reconcile::orders::{Fact, Given, Kept, Load, Round, Save};
use fairshare_protocol::ids::{ExchangeId, Hash, MatchId, OdsCode, PersonId, RoundId};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::{BUNDLE_CHUNK, CLOCK_SKEW};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::terms::Terms;
use tokio::task::spawn_blocking;

use super::under::{narrowed, under};
use super::{Going, named, people};
use crate::engine::drive::Error;
use crate::engine::drive::duplex::Parallel;
use crate::engine::ledger::standing;
use crate::engine::showing::Bundle;
use crate::node::Node;
use crate::store::blobs::spool;
use crate::store::exchanges;
use crate::store::rounds::{Made, Row, Under};

mod bundles;

/// The kind under which statements of rounds are kept, beside those of asks.
const ROUND: u8 = 64;

/// Bundles of at most so many bytes are sealed and opened between two messages.
const SMALL: u64 = BUNDLE_CHUNK as u64;

/// What one conversation about a round needs of its node.
pub(super) struct Rounding {
    node: Arc<Node>,
    peer: OdsCode,
    going: Arc<Going>,
    under: Under,
    at: Mutex<At>,
    bundle: Mutex<Option<Bundle>>,
}

/// Where the conversation is.
#[derive(Default)]
struct At {
    row: Option<Arc<Row>>,
    spool: Option<spool::Writer>,
    given: Given,
    /// Whose the bundles are that are prepared and not kept yet, and the last import in each.
    prepared: VecDeque<(PersonId, u64)>,
    /// What was said before there was a round.
    said: Vec<Hash>,
}

const NO_ROUND: Error = Error::Broken("something of a round came before the round");

impl Rounding {
    pub(super) fn new(
        node: &Arc<Node>,
        (peer, terms): (&OdsCode, &Terms),
        going: Arc<Going>,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            peer: peer.clone(),
            going,
            under: under(node, peer, Some(terms)),
            at: Mutex::default(),
            bundle: Mutex::default(),
        }
    }

    /// As [`Self::new`], about a round of which nothing is written any more.
    pub(super) fn about(self, row: Row) -> Self {
        self.at().row = Some(Arc::new(row));
        self
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self) -> Result<Arc<Row>, Error> {
        self.at().row.clone().ok_or(NO_ROUND)
    }

    fn id(&self) -> Result<RoundId, Error> {
        self.at()
            .row
            .as_ref()
            .map(|row| row.round.id)
            .ok_or(NO_ROUND)
    }

    /// All that is kept of a round; what comes next follows it in the spool.
    pub(super) async fn recall(self: &Arc<Self>, row: Row) -> Result<Kept, Error> {
        let this = Arc::clone(self);
        // What is sealed already may be what was stopped since; the peer's clock may be ahead.
        if let Some(stopped) = self.node.stops.last(&self.peer)
            && stopped + CLOCK_SKEW >= row.round.at
        {
            self.going.call_off(Why::Stopped);
        }
        let under = self.node.rounds.under(&row.round.id)?;
        if under.is_some_and(|under| !under.is_within(&self.under)) {
            self.going.call_off(Why::Narrowed);
        }
        spawn_blocking(move || {
            let kept = this.node.rounds.kept(&row)?;
            let mut spool = this.node.store.blobs().open_spool(&row.spool)?;
            spool.begin(kept.end())?;
            this.count(&kept);
            *this.at() = At {
                given: kept.given,
                spool: Some(spool),
                row: Some(Arc::new(row)),
                prepared: VecDeque::new(),
                said: Vec::new(),
            };
            Ok(kept)
        })
        .await?
    }

    fn count(&self, kept: &Kept) {
        let filed = kept.theirs.iter().filter(|theirs| theirs.found.is_some());
        self.going.people.store(kept.round.len(), Ordering::Relaxed);
        self.going
            .given
            .store(kept.given.released, Ordering::Relaxed);
        // At most as many as there are people.
        let filed = u32::try_from(filed.count()).unwrap_or(u32::MAX);
        self.going.taken.store(filed, Ordering::Relaxed);
    }

    fn keep(
        &self,
        (exchange, kind): (ExchangeId, u8),
        hash: &Hash,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        let kept = exchanges::Kept {
            exchange,
            kind,
            bytes: Bytes(bytes),
        };
        Ok(self.node.exchanges.keep(hash, &kept)?)
    }

    /// Keeps the signed root of a bundle, as that of any other exchange.
    fn keep_shown(&self, round: &Round, index: u32, shown: &Signed<Shown>) -> Result<(), Error> {
        let (_, exchange) = round.at(index).ok_or(NO_ROUND)?;
        let place = (exchange, kind::COMMITMENT);
        self.keep(place, &shown.hash(), codec::encode(shown))
    }

    /// Those whose keys leave are held over there from now on; those for whom there are receipts now
    /// have been shown all there was.
    fn give(&self, given: Given) -> Result<(), Error> {
        let (row, before) = {
            let mut at = self.at();
            let before = std::mem::replace(&mut at.given, given);
            (at.row.clone().ok_or(NO_ROUND)?, before)
        };
        self.going.given.store(given.released, Ordering::Relaxed);
        let round = &row.round;
        self.node.rounds.give(&round.id, &given)?;
        for index in before.released..given.released {
            if let Some(made) = self.node.rounds.ours(&round.id, index)? {
                let categories = made.ours.counts.iter().map(|(category, _)| *category);
                let place = (&made.person, &self.peer);
                let notices = self.node.records.notices();
                notices.show(place, made.import, categories)?;
            }
        }
        for index in before.receipted..given.receipted {
            let ours = self.node.rounds.ours(&round.id, index)?;
            if let (Some(Made { import, .. }), Some((handle, _))) = (ours, round.at(index))
                && let Some(person) =
                    self.node
                        .index
                        .person(&self.peer, &round.match_id, &handle)?
            {
                self.node.rounds.show(&self.peer, &person, import)?;
            }
        }
        Ok(())
    }

    fn people(&self, match_id: &MatchId) -> Result<Fact, Error> {
        let matched = self.node.index.matched(&self.peer)?;
        if matched.is_none_or(|with| with.match_id != *match_id) {
            return Ok(Fact::People(Err(Why::NotMatched)));
        }
        if self.node.reserve.spare().is_err() {
            // What is left of the disk is for care.
            return Ok(Fact::People(Err(Why::NotReasonablyAble)));
        }
        if standing::paused(&self.node, &self.peer)?.is_some() {
            return Ok(Fact::People(Err(Why::Paused)));
        }
        let people = people::active(&self.node, &self.peer, match_id)?;
        Ok(Fact::People(Ok(people.listed())))
    }

    /// Whom a handle of the round names here.
    fn person(&self, handle: &fairshare_protocol::ids::Handle) -> Result<IndexKey, Error> {
        let row = self.row()?;
        let person = self
            .node
            .index
            .person(&self.peer, &row.round.match_id, handle)?;
        person.ok_or(Error::Broken("a handle of a round names nobody any more"))
    }
}

impl Parallel<Reconcile> for Rounding {
    fn save(&self, save: Save) -> Result<(), Error> {
        match save {
            Save::Round(round) => {
                let row = self.node.rounds.begin(&round, &self.under)?;
                let spool = self.node.store.blobs().open_spool(&row.spool)?;
                self.going.people.store(round.len(), Ordering::Relaxed);
                let mut at = self.at();
                for hash in std::mem::take(&mut at.said) {
                    self.node.rounds.say(&row.round.id, &hash)?;
                }
                at.spool = Some(spool);
                at.row = Some(Arc::new(row));
            }
            Save::Statement(hash, bytes) => {
                let id = self.id();
                match &id {
                    Ok(id) => self.node.rounds.say(id, &hash)?,
                    Err(_) => self.at().said.push(hash),
                }
                // What is said before there is a round is kept under the name of none.
                let id = id.unwrap_or(RoundId::new([0; 16]));
                self.keep((named(&id), ROUND), &hash, bytes)?;
            }
            Save::Given(given) => self.give(given)?,
            Save::Begin { key, size, offset } => {
                let id = self.id()?;
                self.at().spool.as_mut().ok_or(NO_ROUND)?.begin(offset)?;
                self.node.rounds.begun(&id, &(key, size, offset))?;
            }
            Save::Spool(chunk) => self.at().spool.as_mut().ok_or(NO_ROUND)?.add(&chunk)?,
            Save::Over => self.node.rounds.end(&self.id()?)?,
        }
        Ok(())
    }

    fn is_lasting(save: &Save) -> bool {
        matches!(save, Save::Round(_) | Save::Over)
    }

    fn is_bulk(load: &Load) -> bool {
        matches!(load, Load::Seal(_))
    }

    async fn turn(&self) {
        self.node.care.pass().await;
    }

    async fn load(self: Arc<Self>, load: Load) -> Result<Fact, Error> {
        let this = Arc::clone(&self);
        match load {
            Load::Cancellation => Ok(Fact::Cancelled(tokio::select! {
                why = self.going.called_off() => why,
                () = narrowed(&self.node, &self.peer, &self.under) => Why::Narrowed,
            })),
            Load::People(match_id) => spawn_blocking(move || this.people(&match_id)).await?,
            Load::Recall(round) => {
                let row = self.node.rounds.round(&round)?;
                let row = row.filter(|row| row.round.peer == self.peer && !row.round.proposed);
                Ok(Fact::Recalled(match row {
                    Some(row) => Some(Box::new(self.recall(row).await?)),
                    None => None,
                }))
            }
            Load::Prepare { .. } => spawn_blocking(move || this.prepare(load)).await?,
            // Not worth waking another thread for.
            Load::Seal(sealing) if sealing.size() <= SMALL => Ok(self.seal(sealing)),
            Load::Seal(sealing) => Ok(spawn_blocking(move || this.seal(sealing)).await?),
            Load::Keep(first, ours) => {
                spawn_blocking(move || this.keep_ours(first, &ours)).await??;
                self.node.store.commit().await?;
                Ok(Fact::Kept)
            }
            Load::Hold(first, theirs) => {
                spawn_blocking(move || this.hold(first, &theirs)).await??;
                self.node.store.commit().await?;
                Ok(Fact::Held)
            }
            // Nor these: what they read was written a moment ago.
            Load::Open(locked) if locked.iter().all(|one| one.theirs.size <= SMALL) => {
                self.open(locked)
            }
            Load::Open(locked) => spawn_blocking(move || this.open(locked)).await?,
            Load::File(unlocked) => {
                spawn_blocking(move || this.file(unlocked)).await??;
                self.node.store.commit().await?;
                Ok(Fact::Filed)
            }
        }
    }
}
