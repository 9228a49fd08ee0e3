//! What one ledger conversation needs of the node.

use std::sync::Arc;

use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::ledger::sync::{Fact, Load, Save, Sync};
use fairshare_protocol::limits::MAX_WANTED;

use crate::engine::drive::{Effects, Error, now};
use crate::node::Node;
use crate::store::exchanges::Kept;

/// What one ledger conversation needs of the node.
pub(super) struct Talking {
    pub(super) node: Arc<Node>,
    pub(super) peer: OdsCode,
}

impl Effects<Sync> for Talking {
    async fn save(&mut self, save: Save) -> Result<(), Error> {
        let ledger = &self.node.ledgers.store;
        match save {
            // Not the next any more: another conversation brought it a moment ago.
            Save::Page(which, page) => drop(ledger.append(&self.peer, which, &page, now())?),
            Save::Rewind(which, rewind) => ledger.rewind(&self.peer, which, &rewind)?,
            Save::Fork(which, fork) => ledger.fork(&self.peer, which, &fork)?,
            Save::Filled(missing, kind, bytes) => {
                let kept = Kept {
                    exchange: missing.exchange,
                    kind,
                    bytes,
                };
                self.node.exchanges.keep(&missing.statement, &kept)?;
                ledger.fill(&self.peer, &missing)?;
                self.node.ledgers.stir.notify_one();
            }
        }
        Ok(())
    }

    async fn load(&mut self, load: Load) -> Result<Fact, Error> {
        let ledger = &self.node.ledgers.store;
        Ok(match load {
            Load::Chains => Fact::Chains {
                chains: ledger.chains(&self.peer)?,
                known: self.node.ledgers.with(&self.peer).known,
            },
            Load::Page(which, number) => match ledger.page(&self.peer, which, number)? {
                Some(page) => Fact::Page(page),
                None => match ledger.lost(&self.peer, which, number)? {
                    Some(rewind) => Fact::Rewind(rewind),
                    None => Fact::NoPage,
                },
            },
            Load::Missing => Fact::Missing(ledger.missing(&self.peer, MAX_WANTED, now())?),
            Load::Statements(hashes) => {
                let (peer, us) = (&self.peer, self.node.code());
                let mut all = Vec::new();
                for hash in hashes {
                    if let Some(kept) = self.node.exchanges.statement(&hash)?
                        && ledger.names(peer, us, &kept.exchange, &hash)?
                    {
                        all.push(kept.bytes);
                    }
                }
                Fact::Statements(all)
            }
        })
    }
}
