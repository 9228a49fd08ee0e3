//! What is missing of exchanges in both chains: found, given, entered.

use std::time::Duration;

use fairshare_protocol::exchange::account::Stage;
use fairshare_protocol::ids::{ExchangeId, Hash, OdsCode};
use fairshare_protocol::ledger::account::Account;
use fairshare_protocol::ledger::sync::Missing;
use fairshare_protocol::time::Timestamp;

use super::{Ledger, exchange_key, under};
use crate::store::Error;

/// An exchange younger than this may still be under way on the other side.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// The most unsettled exchanges looked at for what is missing.
const MOST_LOOKED_AT: usize = 2048;

impl Ledger {
    /// What their chain names and ours does not, of exchanges that are in both and no longer under
    /// way at `now`: at most so much.
    ///
    /// # Errors
    /// If sled fails.
    pub fn missing(
        &self,
        peer: &OdsCode,
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<Missing>, Error> {
        let mut found = Vec::new();
        for key in self.unsettled.keys(&under(peer)).take(MOST_LOOKED_AT) {
            let key = key?;
            let Some(account) = self.accounts.load::<Account>(&key)? else {
                continue;
            };
            let Some(ours) = account.ours.as_ref() else {
                continue;
            };
            // What waits may have it already.
            if now.since(account.since) < UNDER_WAY || self.waiting.contains(&key)? {
                continue;
            }
            let missing = account.missing().into_iter();
            found.extend(missing.map(|statement| Missing {
                exchange: ours.exchange,
                asker: ours.asker.clone(),
                statement,
            }));
            if found.len() >= at_most {
                break;
            }
        }
        found.truncate(at_most);
        Ok(found)
    }

    /// Enters a statement that was missing, in an exchange we have.
    ///
    /// # Errors
    /// If sled fails.
    pub fn fill(&self, peer: &OdsCode, missing: &Missing) -> Result<(), Error> {
        let key = exchange_key(peer, &missing.exchange, &missing.asker);
        let account = self.accounts.load::<Account>(&key)?;
        if let Some(mut entry) = account.and_then(|account| account.ours) {
            entry.statements.insert(missing.statement);
            self.enter(peer, Stage::Over, &entry)?;
        }
        Ok(())
    }

    /// Whether our chain names this statement of that exchange with this peer.
    ///
    /// # Errors
    /// If sled fails.
    pub fn names(
        &self,
        peer: &OdsCode,
        us: &OdsCode,
        exchange: &ExchangeId,
        statement: &Hash,
    ) -> Result<bool, Error> {
        for asker in [peer, us] {
            let account = self
                .accounts
                .load::<Account>(&exchange_key(peer, exchange, asker))?;
            let ours = account.and_then(|account| account.ours);
            if ours.is_some_and(|ours| ours.statements.contains(statement)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
