//! Exchanges: this node's part in [`fairshare_protocol::exchange`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_protocol::category::Category;
use fairshare_protocol::codec::Bytes;
use fairshare_protocol::exchange::ask::{
    Ask, Case, Ended, Fact, Fault, Load, NoticeCase, Pair, Plan, Prepared, Save, Telling,
};
use fairshare_protocol::ids::{ExchangeId, Handle, MatchId, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::{Act, Outcome};
use fairshare_protocol::roster::Roster;
use fairshare_protocol::wire;
use rand::Rng;
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::drive::{Effects, Error, drive, now};
use super::showing::{self, Ahead, Bundle};
use crate::fhir::export;
use crate::import::day_of;
use crate::network::Frames;
use crate::node::Node;
use crate::store::blobs::{self, behind::Behind};
use crate::store::exchanges::{Kept, Plaintext, Received};
use crate::store::notices::Due;

pub use self::subject::{linked, person, subject, subject_of};

mod subject;

/// To find that there is nothing to show takes a multiple of this, so that how much is held of
/// somebody of whom nothing is shown does not show.
const QUIET: Duration = Duration::from_millis(10);
/// How often a lost line is tried again, each time under a new exchange id.
const TRIES: u32 = 3;

/// What this node and `peer` need to know of each other, now.
///
/// # Errors
/// If there are no terms between them, or the peer has no node: the reason, in words.
pub fn pair(node: &Node, roster: &Roster, peer: &OdsCode) -> Result<Pair, String> {
    let terms = roster.terms(node.code(), peer);
    let terms = terms.map_err(|none| none.to_string())?;
    let keys = roster.member(peer).and_then(|member| member.node);
    let keys = keys.ok_or_else(|| format!("{peer} has named no node yet"))?;
    Ok(Pair {
        federation: roster.federation(),
        me: node.code().clone(),
        key: node.keys.node.clone(),
        seal: Arc::clone(&node.keys.seal),
        peer: peer.clone(),
        peer_key: keys.node,
        peer_seal: keys.seal,
        terms,
        max_bundle: node.config.limits.max_bundle,
    })
}

/// Answers a peer that asks.
///
/// # Errors
/// If this node cannot do its part.
pub async fn answer(node: &Arc<Node>, pair: Pair, frames: Frames) -> Result<Ended, Error> {
    let _care = node.care.begin();
    let mut asking = Asking::new(node, pair.peer.clone());
    let places = (&node.journal, &node.store);
    drive(Ask::holder(pair), frames, places, &mut asking).await
}

/// Tells a peer what changed of somebody it was shown; `due` is kept with what leaves.
///
/// # Errors
/// If this node cannot do its part.
pub(super) async fn tell(
    node: &Arc<Node>,
    pair: Pair,
    telling: Telling,
    (bundle, due): (Bundle, Due),
    frames: Frames,
) -> Result<Ended, Error> {
    let mut asking = Asking::new(node, pair.peer.clone());
    asking.person = Some(telling.subject.key);
    asking.categories = bundle
        .counts
        .iter()
        .map(|(category, _)| *category)
        .collect();
    asking.bundle = Some(Ahead::new(bundle));
    asking.due = Some(due);
    let places = (&node.journal, &node.store);
    drive(Ask::teller(pair, telling), frames, places, &mut asking).await
}

/// An exchange that was tried.
#[derive(Debug)]
pub struct Asked {
    /// How it ended; or why the peer could not be asked.
    pub ended: Result<Ended, String>,
    /// How long it took.
    pub took: Duration,
}

/// Asks one peer, and once more if the line is lost before an answer came.
///
/// # Errors
/// If this node cannot do its part.
pub async fn ask(node: &Arc<Node>, pair: &Pair, mut plan: Plan) -> Result<Asked, Error> {
    let began = Instant::now();
    let asked = |ended| Asked {
        ended,
        took: began.elapsed(),
    };
    let network = node
        .network()
        .ok_or(Error::Broken("the node has no network"))?;
    let mut tries = 0;
    loop {
        tries += 1;
        renew(node, &mut plan)?;
        let frames = match network.open(&pair.peer_key, wire::EXCHANGE).await {
            Ok(frames) => frames,
            Err(error) => {
                // What fails is journaled as fully as what succeeds.
                let failed = Act::AnswerHeard {
                    exchange: plan.exchange,
                    peer: pair.peer.clone(),
                    person: plan.subject.commitment,
                    answer: None,
                    outcome: Outcome::Failed(error.to_string()),
                };
                node.record([failed]).await?;
                return Ok(asked(Err(error.to_string())));
            }
        };
        let ended = request(node, pair, plan.clone(), frames).await?;
        if ended.reply.is_none() && ended.fault == Some(Fault::Lost) && tries < TRIES {
            continue;
        }
        return Ok(asked(Ok(ended)));
    }
}

/// Asks one peer over a stream on which it was just told of the person. A lost line is not tried
/// again: the person is linked now, and may be asked about as ever.
///
/// # Errors
/// If this node cannot do its part.
pub(super) async fn ask_over(
    node: &Arc<Node>,
    pair: &Pair,
    mut plan: Plan,
    frames: Frames,
    began: Instant,
) -> Result<Asked, Error> {
    renew(node, &mut plan)?;
    let ended = request(node, pair, plan, frames).await?;
    Ok(Asked {
        ended: Ok(ended),
        took: began.elapsed(),
    })
}

/// Gives the plan an exchange id and a commitment of its own.
fn renew(node: &Node, plan: &mut Plan) -> Result<(), Error> {
    let mut id = [0; 16];
    rand::rng().fill_bytes(&mut id);
    plan.exchange = ExchangeId::new(id);
    plan.subject.commitment = node.exchanges.commit_to(plan.subject.person)?;
    Ok(())
}

async fn request(
    node: &Arc<Node>,
    pair: &Pair,
    plan: Plan,
    frames: Frames,
) -> Result<Ended, Error> {
    let mut asking = Asking::new(node, pair.peer.clone());
    let places = (&node.journal, &node.store);
    drive(
        Ask::requester(pair.clone(), plan),
        frames,
        places,
        &mut asking,
    )
    .await
}

/// What one exchange needs of the node.
struct Asking {
    node: Arc<Node>,
    peer: OdsCode,
    bundle: Option<Ahead>,
    /// Whom it is about, and what is in it.
    person: Option<IndexKey>,
    categories: BTreeSet<Category>,
    /// The last import in it.
    upto: u64,
    /// The notice that is being told.
    due: Option<Due>,
    spool: Option<Behind>,
    spooled: Option<blobs::Key>,
}

impl Asking {
    fn new(node: &Arc<Node>, peer: OdsCode) -> Self {
        Self {
            node: Arc::clone(node),
            peer,
            bundle: None,
            person: None,
            categories: BTreeSet::new(),
            upto: 0,
            due: None,
            spool: None,
            spooled: None,
        }
    }

    fn case(
        &self,
        exchange: &ExchangeId,
        match_id: MatchId,
        handle: Handle,
    ) -> Result<Case, Error> {
        let index = &self.node.index;
        let found = index.person(&self.peer, &match_id, &handle)?;
        Ok(Case {
            subject: found.map(|key| linked(&self.node, key)).transpose()?,
            earlier: self.node.exchanges.executed(exchange)?,
        })
    }

    /// What an operator stopped showing to the peer of this person.
    fn stopped(&self, person: &IndexKey) -> Result<BTreeSet<Category>, Error> {
        let people = self.node.records.people_by_key(person)?;
        Ok(self.node.stops.of(&self.peer, person, &people))
    }

    /// Whether an operator stopped, meanwhile, showing what is in the bundle. A chunk that was read
    /// ahead of it does not leave either.
    fn is_stopped(&self) -> Result<bool, Error> {
        if self.node.stops.count() == 0 {
            return Ok(false);
        }
        let Some(person) = &self.person else {
            return Ok(false);
        };
        let stopped = self.stopped(person)?;
        let whole = stopped.len() == Category::ALL.len();
        Ok(whole || !stopped.is_disjoint(&self.categories))
    }

    /// The spooled bundle, whole and durable.
    async fn finish_spool(&mut self) -> Result<blobs::Key, Error> {
        if let Some(key) = &self.spooled {
            return Ok(key.clone());
        }
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => Behind::new(self.node.store.blobs().create()?),
        };
        let key = spool.finish().await?;
        self.spooled = Some(key.clone());
        Ok(key)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(key) = self.spooled.take() {
            // Whole, but never filed. Without its key, which goes now, it does not open anyway.
            let _ = self.node.store.blobs().remove(&key);
        }
    }
}

impl Effects<Ask> for Asking {
    async fn save(&mut self, save: Save) -> Result<(), Error> {
        let exchanges = &self.node.exchanges;
        match save {
            Save::Statement {
                exchange,
                kind,
                hash,
                bytes,
            } => {
                let kept = Kept {
                    exchange,
                    kind,
                    bytes: Bytes(bytes),
                };
                exchanges.keep(&hash, &kept)?;
            }
            Save::Executed {
                exchange,
                request,
                answer,
            } => {
                if !exchanges.execute(&exchange, request, &answer)? {
                    return Err(Error::Broken(
                        "the same request came twice at the same time",
                    ));
                }
            }
            Save::Review(review) => self.node.reviews.begin(&review)?,
            Save::Spool(plain) => {
                let spool = match &mut self.spool {
                    Some(spool) => spool,
                    none => none.insert(Behind::new(self.node.store.blobs().create()?)),
                };
                spool.write(plain).await?;
            }
            Save::File(filed) => {
                let plaintext = self.finish_spool().await?;
                let received = Received {
                    filed: *filed,
                    plaintext: Plaintext::Blob(plaintext),
                };
                if !self.node.exchanges.file(&received)? {
                    return Err(Error::Broken(
                        "the exchange's id was used before: nothing of it is filed",
                    ));
                }
                self.spooled = None;
            }
            Save::Shown {
                subject,
                counts,
                commitment,
            } => {
                let notices = self.node.records.notices();
                let place = (&subject.person, &self.peer);
                let categories = counts.into_iter().map(|(category, _)| category);
                notices.show(place, self.upto, categories)?;
                if let Some(due) = &mut self.due
                    && let Some(left) = &mut due.left
                {
                    left.commitment = Some(commitment);
                    notices.keep(&subject.person, &self.peer, due)?;
                }
            }
            Save::Heard {
                exchange, receipt, ..
            } => self.node.records.notices().hear(&exchange, &receipt)?,
            Save::Account(stage, entry) => self.node.ledgers.enter(&self.peer, stage, &entry)?,
        }
        Ok(())
    }

    fn is_at_hand(load: &Load) -> bool {
        matches!(load, Load::Chunk)
    }

    async fn load(&mut self, load: Load) -> Result<Fact, Error> {
        Ok(match load {
            Load::Case {
                exchange,
                match_id,
                handle,
            } => Fact::Case(self.case(&exchange, match_id, handle)?),
            Load::Notice {
                exchange,
                match_id,
                handle,
            } => {
                let found = self.node.index.person(&self.peer, &match_id, &handle)?;
                Fact::Notice(NoticeCase {
                    subject: found.map(|key| linked(&self.node, key)).transpose()?,
                    earlier: self.node.records.notices().heard(&exchange)?,
                })
            }
            Load::Prepare {
                subject,
                categories,
            } => {
                let stopped = self.stopped(&subject.key)?;
                self.person = Some(subject.key);
                let stopped = &stopped & &categories;
                let categories = &categories - &stopped;
                if categories.is_empty() && !stopped.is_empty() {
                    return Ok(Fact::Prepared(Prepared::Stopped, stopped));
                }
                self.upto = self.node.records.visible();
                let node = Arc::clone(&self.node);
                let ready = move || showing::prepare(&node, &subject.key, &categories);
                let began = Instant::now();
                let prepared = match spawn_blocking(ready).await? {
                    Ok(Ok(bundle)) => {
                        let (counts, length) = (bundle.counts.clone(), bundle.length);
                        self.bundle = Some(Ahead::new(bundle));
                        self.categories = counts.iter().map(|(category, _)| *category).collect();
                        Prepared::Bundle { counts, length }
                    }
                    Ok(Err(why)) => {
                        let steps = began.elapsed().as_nanos() / QUIET.as_nanos() + 1;
                        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
                        sleep_until((began + QUIET.saturating_mul(steps)).into()).await;
                        Prepared::Nothing(why)
                    }
                    Err(error) => {
                        tracing::error!(%error, "a bundle could not be made");
                        Prepared::Unavailable(error.to_string())
                    }
                };
                Fact::Prepared(prepared, stopped)
            }
            Load::Chunk if self.is_stopped()? => Fact::Stopped,
            Load::Chunk => {
                let missing = Error::Broken("a chunk of no bundle was asked for");
                Fact::Chunk(self.bundle.as_mut().ok_or(missing)?.chunk().await?)
            }
            Load::Examine(key) => {
                let spooled = self.finish_spool().await?;
                let node = Arc::clone(&self.node);
                let examine = move || {
                    let plain = node.store.blobs().open_blob(&spooled)?;
                    export::is_about(plain, &key, day_of(now()))
                };
                Fact::Examined(spawn_blocking(examine).await??)
            }
        })
    }
}
