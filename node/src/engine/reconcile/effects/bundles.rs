//! Bundles of a round: ours made and kept, the peer's held, opened and filed.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use fairshare_protocol::category::{Category, Purpose};
use fairshare_protocol::exchange::account::Stage;
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::ask::Filed;
use fairshare_protocol::exchange::bundle::Shown;
use fairshare_protocol::exchange::bundle::stream::Sealing;
use fairshare_protocol::exchange::reconcile::orders::{
    Fact, Found, Load, Locked, Ours, Prepared, Round, Theirs, Unlocked,
};
use fairshare_protocol::ledger::entry::{self, Entry};
use fairshare_protocol::statement::Signed;

use crate::engine::asking::{linked, person};
use crate::engine::drive::{Error, now};
use crate::engine::showing::{self, Bundle};
use crate::engine::withholding;
use crate::fhir::export;
use crate::import::day_of;
use crate::store::blobs::spool::{self, Spooled};
use crate::store::exchanges::{Plaintext, Received};
use crate::store::rounds::Made;

use super::{NO_ROUND, Rounding};

impl Rounding {
    pub(super) fn prepare(&self, load: Load) -> Result<Fact, Error> {
        let Load::Prepare {
            handle,
            categories,
            at,
            ..
        } = load
        else {
            return Err(Error::Broken("something else was to be prepared"));
        };
        let person = self.person(&handle)?;
        let categories = &categories - &withholding::stopped(&self.node, &self.peer, &person)?;
        let import = self.node.records.visible();
        let mut bundle = showing::prepare_round(&self.node, &person, &categories, at)?;
        if bundle.length > self.node.config.limits.max_bundle {
            // One person must not end a round for all others: they can be asked about.
            tracing::warn!(peer = %self.peer, bytes = bundle.length, "more of somebody than a bundle may have is left out of a round");
            bundle = showing::prepare_round(&self.node, &person, &BTreeSet::new(), at)?;
        }
        let subject = linked(&self.node, person)?;
        let prepared = Prepared {
            counts: bundle.counts.clone(),
            length: bundle.length,
            head: bundle.head,
            person: subject.commitment,
        };
        self.at().prepared.push_back((subject.person, import));
        *self.bundle.lock().unwrap_or_else(PoisonError::into_inner) = Some(bundle);
        Ok(Fact::Prepared(prepared))
    }

    pub(super) fn seal(&self, mut sealing: Box<Sealing>) -> Fact {
        let mut bundle = self.bundle.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = bundle.as_mut().map(Bundle::chunk);
        let chunk = match plain {
            Some(Ok(plain)) => sealing.seal(plain),
            Some(Err(error)) => {
                tracing::error!(%error, "a bundle could not be read");
                None
            }
            None => None,
        };
        Fact::Sealed(sealing, chunk)
    }

    pub(super) fn keep_ours(&self, first: u32, all: &[Ours]) -> Result<(), Error> {
        let row = self.row()?;
        let round = &row.round;
        for (ours, index) in all.iter().zip(first..) {
            let prepared = self.at().prepared.pop_front();
            let (person, import) = prepared.ok_or(Error::Broken("a bundle nobody prepared"))?;
            self.keep_shown(round, index, &ours.shown)?;
            let made = Made {
                ours: ours.clone(),
                person,
                import,
            };
            self.node.rounds.keep(&round.id, index, &made)?;
        }
        Ok(())
    }

    pub(super) fn hold(&self, first: u32, all: &[(Theirs, Signed<Shown>)]) -> Result<(), Error> {
        let row = self.row()?;
        let round = &row.round;
        let spool = self.at().spool.as_ref().map(spool::Writer::handle);
        spool.ok_or(NO_ROUND)??.sync_data()?;
        for ((theirs, shown), index) in all.iter().zip(first..) {
            self.keep_shown(round, index, shown)?;
            self.node.rounds.hold(&round.id, index, theirs)?;
        }
        Ok(())
    }

    /// What one person of a round leaves in the account: the same on both sides.
    pub(super) fn entry(&self, round: &Round, theirs: &Unlocked, ours: &Ours) -> Entry {
        let shown = |counts: &[(Category, u32)]| {
            let records = counts.iter().filter(|(_, count)| *count > 0);
            let records: BTreeSet<_> = records.map(|(category, _)| *category).collect();
            match records.is_empty() {
                true => entry::Shown::Nothing,
                false => entry::Shown::Bundle(records),
            }
        };
        let us = shown(&ours.counts);
        let them = match theirs.found.verdict {
            Verdict::Opened => shown(&theirs.found.counts),
            Verdict::WrongPerson => entry::Shown::Missing,
        };
        let (asker, answer, in_return) = match round.proposed {
            true => (self.node.code().clone(), them, us),
            false => (self.peer.clone(), us, them),
        };
        Entry {
            exchange: theirs.locked.exchange,
            asker,
            purpose: Purpose::SharedCare,
            categories: BTreeSet::new(),
            asked_at: round.at,
            answered_at: Some(now()),
            answer,
            in_return,
            statements: BTreeSet::from([ours.shown.hash(), theirs.locked.theirs.shown]),
        }
    }

    pub(super) fn spooled(&self, locked: &Locked) -> Result<Spooled, Error> {
        Ok(Spooled {
            spool: self.row()?.spool,
            offset: locked.theirs.offset,
            size: locked.theirs.size,
            key: locked.key.clone(),
            context: locked.context,
        })
    }

    pub(super) fn open(&self, all: Vec<Locked>) -> Result<Fact, Error> {
        let mut unlocked = Vec::new();
        for locked in all {
            let person = self.person(&locked.handle)?;
            let mut reader = self
                .node
                .store
                .blobs()
                .open_spooled(&self.spooled(&locked)?)?;
            // Read once: whether it is a bundle at all shows at its end.
            let about = export::is_about(reader.by_ref(), &person, day_of(now()));
            let manifest = match reader.finish()? {
                Ok(manifest) => manifest,
                Err(unreadable) => {
                    let id = self.row()?.round.id;
                    self.node
                        .rounds
                        .cannot_read(&id, locked.index, &locked.key)?;
                    return Ok(Fact::Opened(unlocked, Some(unreadable)));
                }
            };
            let ours = manifest.subject == person && manifest.author == self.peer && about?;
            let found = Found {
                verdict: match ours {
                    true => Verdict::Opened,
                    false => Verdict::WrongPerson,
                },
                counts: manifest.counts(),
                person: linked(&self.node, person)?.commitment,
            };
            unlocked.push(Unlocked {
                locked,
                manifest,
                found,
            });
        }
        Ok(Fact::Opened(unlocked, None))
    }

    pub(super) fn file(&self, all: Vec<Unlocked>) -> Result<(), Error> {
        let row = self.row()?;
        let id = row.round.id;
        for one in all {
            let ours = self.node.rounds.ours(&id, one.locked.index)?;
            if let Some(made) = ours {
                let entry = self.entry(&row.round, &one, &made.ours);
                self.node.ledgers.enter(&self.peer, Stage::Over, &entry)?;
            }
            let person = person(&self.node, &self.person(&one.locked.handle)?)?;
            let plaintext = Plaintext::Spooled(self.spooled(&one.locked)?);
            let received = Received {
                filed: Filed {
                    exchange: one.locked.exchange,
                    from: self.peer.clone(),
                    person,
                    commitment: one.found.person,
                    purpose: Purpose::SharedCare,
                    at: now(),
                    in_return: false,
                    manifest: one.manifest,
                    verdict: one.found.verdict,
                    shown: one.locked.theirs.shown,
                },
                plaintext,
            };
            // Filed before, if a line was lost just then.
            self.node.exchanges.file(&received)?;
            self.node.rounds.found(&id, one.locked.index, one.found)?;
            self.going.taken.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
