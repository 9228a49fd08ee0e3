//! What one exchange needs of the node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::exchange::ask::{Ask, Case, Fact, Load, NoticeCase, Prepared, Save};
use fairshare_protocol::ids::{ExchangeId, Handle, MatchId, OdsCode};
use fairshare_protocol::index::key::IndexKey;
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::linked;
use super::offered::{Again, Leaving, Offered};
use crate::engine::drive::{Effects, Error, now};
use crate::engine::showing::{self, Ahead, Bundle};
use crate::engine::withholding;
use crate::fhir::export;
use crate::import::day_of;
use crate::node::Node;
use crate::store::blobs::{self, behind::Behind};
use crate::store::exchanges::{Kept, Plaintext, Received};
use crate::store::notices::Due;

/// To find that there is nothing to show takes a multiple of this, so that how much is held of
/// somebody of whom nothing is shown does not show.
const QUIET: Duration = Duration::from_millis(10);

/// What one exchange needs of the node.
pub(super) struct Asking {
    node: Arc<Node>,
    peer: OdsCode,
    bundle: Option<Ahead>,
    /// Whom it is about, and under what it is shown.
    leaving: Option<Leaving>,
    /// The last import in it.
    upto: u64,
    /// The notice that is being told.
    due: Option<Due>,
    spool: Option<Behind>,
    spooled: Option<blobs::Key>,
}

impl Asking {
    pub(super) fn new(node: &Arc<Node>, peer: OdsCode) -> Self {
        Self {
            node: Arc::clone(node),
            peer,
            bundle: None,
            leaving: None,
            upto: 0,
            due: None,
            spool: None,
            spooled: None,
        }
    }

    /// To tell of this person what is in the bundle.
    pub(super) fn telling(of: (Offered, IndexKey), bundle: Bundle, due: Due) -> Self {
        let mut telling = Self::new(&of.0.node, of.0.peer.clone());
        telling.due = Some(due);
        telling.show(of, bundle, Again::Not);
        telling
    }

    fn show(&mut self, of: (Offered, IndexKey), bundle: Bundle, again: Again) {
        self.leaving = Some(Leaving::new(of, &bundle, again));
        self.bundle = Some(Ahead::new(bundle));
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
                purpose,
                in_return,
            } => {
                // The exchange may have begun under wider offers.
                let roster = self.node.membership.roster();
                let shown_for = (&[purpose][..], in_return);
                let offered = Offered::by(&self.node, &self.peer, shown_for, roster);
                let wanted = categories;
                let categories = &wanted & &offered.flows();
                if categories.is_empty() && !wanted.is_empty() {
                    return Ok(Fact::Prepared(Prepared::NotOffered, BTreeSet::new()));
                }
                let stopped = withholding::stopped(&self.node, &self.peer, &subject.key)?;
                let stopped = &stopped & &categories;
                let categories = &categories - &stopped;
                if categories.is_empty() && !stopped.is_empty() {
                    return Ok(Fact::Prepared(Prepared::Stopped, stopped));
                }
                self.upto = self.node.records.visible();
                let (node, of) = (Arc::clone(&self.node), categories.clone());
                let ready = move || showing::prepare(&node, &subject.key, &of);
                let began = Instant::now();
                let prepared = match spawn_blocking(ready).await? {
                    Ok(Ok(bundle)) => {
                        let (counts, length) = (bundle.counts.clone(), bundle.length);
                        let again = Again::With(categories, bundle.as_of, bundle.head);
                        self.show((offered, subject.key), bundle, again);
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
            Load::Chunk => {
                // A chunk that was read ahead does not leave either.
                if let Some(leaving) = &mut self.leaving {
                    if leaving.is_stopped()? {
                        return Ok(Fact::Stopped);
                    }
                    if leaving.is_narrowed().await? {
                        return Ok(Fact::Narrowed);
                    }
                }
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
