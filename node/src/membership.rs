//! Who is a member, as this node knows it: the statements it holds and the roster they make.

use std::sync::{Arc, Mutex, PoisonError};

use fairshare_protocol::charter::{self, Charter};
use fairshare_protocol::ids::{Hash, OdsCode};
use fairshare_protocol::join::{self, JoinRequest, Waiting};
use fairshare_protocol::journal::Act;
use fairshare_protocol::proposal::{self, Checked, Proposal, Proposals};
use fairshare_protocol::roster::statements::{Statement, Statements};
use fairshare_protocol::roster::{Incoming, Inserted, Member, Refusal, Roster};
use fairshare_protocol::statement::{CoSigned, Signed};
use fairshare_protocol::time::Timestamp;
use rayon::prelude::*;
use tokio::sync::{Notify, watch};

use crate::store::{self, Store, Table};

const CHARTER: &[u8] = b"charter";

/// The statements held, and the roster they make. Both only grow.
pub struct Membership {
    charter: Table,
    statements: Table,
    requests: Table,
    /// Proposals, and who is told of new ones.
    proposals: Mutex<Table>,
    proposed: Notify,
    held: Mutex<Option<Statements>>,
    roster: watch::Sender<Option<Arc<Roster>>>,
}

impl Membership {
    /// What the store holds.
    ///
    /// # Errors
    /// If the store fails, or what it holds does not count.
    pub fn open(store: &Store, now: Timestamp) -> Result<Self, Error> {
        let membership = Self {
            charter: store.table("charter")?,
            statements: store.table("roster")?,
            requests: store.table("join requests")?,
            proposals: Mutex::new(store.table("proposals")?),
            proposed: Notify::new(),
            held: Mutex::new(None),
            roster: watch::Sender::new(None),
        };
        if let Some(charter) = membership.charter.load::<CoSigned<Charter>>(CHARTER)? {
            let mut held = Statements::new(charter)?;
            let all: Result<Vec<_>, _> = membership
                .statements
                .scan::<Statement>(b"")
                .map(|pair| pair.map(|(_, statement)| statement))
                .collect();
            // They were taken when they came; one dated ahead of a clock that was set back since
            // waits in the store until the clock has caught up.
            // Nearly all the time is signatures', and each is on its own.
            let verified = all?.into_par_iter().map(Incoming::verified);
            let verified: Vec<_> = verified.filter_map(Result::ok).collect();
            held.gather(verified, now);
            membership.publish(held);
        }
        Ok(membership)
    }

    fn publish(&self, held: Statements) {
        let roster = Roster::of(&held);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        self.roster.send_replace(Some(Arc::new(roster)));
    }

    /// The roster; none before this node belongs to a federation.
    pub fn roster(&self) -> Option<Arc<Roster>> {
        self.roster.borrow().clone()
    }

    /// Tells of every change of the roster.
    pub fn changes(&self) -> watch::Receiver<Option<Arc<Roster>>> {
        self.roster.subscribe()
    }

    /// Comes back once `so` holds of the roster: at once if it does, or when a change makes it hold.
    pub async fn until(&self, so: impl Fn(Option<&Roster>) -> bool) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if so(self.roster().as_deref()) {
                return;
            }
            if changes.changed().await.is_err() {
                // The node is going down, and whatever waits for this with it.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The statements held. A cheap copy.
    pub fn statements(&self) -> Option<Statements> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// The member of this code.
    pub fn member(&self, code: &OdsCode) -> Option<Member> {
        self.roster()?.member(code).cloned()
    }

    /// The join requests that wait for the stewards.
    pub fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for pair in self.requests.scan::<Signed<JoinRequest>>(b"") {
            match pair {
                // The table is as bounded as the list.
                Ok((_, request)) => drop(waiting.add(request)),
                Err(error) => tracing::error!(%error, "a join request cannot be read"),
            }
        }
        waiting
    }

    /// Puts a request on the list of those waiting. Durable after the store's next commit.
    ///
    /// # Errors
    /// If the list is full or the store fails.
    pub fn wait(&self, request: Signed<JoinRequest>) -> Result<(), Error> {
        let hash = request.hash();
        self.waiting().add(request.clone())?;
        Ok(self.requests.put(hash.as_bytes(), &request)?)
    }

    /// Takes a request off the list.
    ///
    /// # Errors
    /// If the store fails.
    pub fn decided(&self, request: &Hash) -> Result<bool, Error> {
        Ok(self.requests.remove(request.as_bytes())?)
    }

    /// What stewards have still to sign, as far as this node heard.
    ///
    /// # Errors
    /// If the store fails.
    pub fn proposals(&self) -> Result<Proposals, store::Error> {
        let table = self
            .proposals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = table.scan::<Proposal>(b"");
        all.map(|pair| pair.map(|(_, proposal)| proposal)).collect()
    }

    /// Takes a proposal, or the signatures it has; forgets those that are none any more. Durable
    /// after the store's next commit.
    ///
    /// # Errors
    /// If it is none, there is no charter yet, or the store fails.
    pub fn propose(
        &self,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<(Inserted, Proposal, Checked), Error> {
        let roster = self.roster().ok_or(Error::NoFederation)?;
        // Two copies at once must not lose each other's signatures.
        let table = self
            .proposals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = table.scan::<Proposal>(b"");
        let all: Result<Proposals, store::Error> =
            all.map(|pair| pair.map(|(_, proposal)| proposal)).collect();
        let mut all = all?;
        for gone in all.tidy(&roster, now) {
            table.remove(gone.as_bytes())?;
        }
        let (inserted, held) = all.add(proposal, &roster, now)?;
        let checked = held.check(&roster, now)?;
        if inserted == Inserted::New {
            table.put(held.hash().as_bytes(), held)?;
            self.proposed.notify_one();
        }
        Ok((inserted, held.clone(), checked))
    }

    /// Takes a proposal off the list.
    ///
    /// # Errors
    /// If the store fails.
    pub fn withdraw(&self, proposal: &Hash) -> Result<bool, store::Error> {
        let table = self
            .proposals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.remove(proposal.as_bytes())
    }

    /// Returns when a proposal is new, or has a new signature.
    pub async fn proposed(&self) {
        self.proposed.notified().await;
    }

    /// Joins the federation these statements are of, and gives what to journal. Durable after the
    /// store's next commit.
    ///
    /// # Errors
    /// If this node belongs to another federation, or the store fails.
    pub fn adopt(&self, statements: &Statements, now: Timestamp) -> Result<Vec<Act>, Error> {
        let mut acts = Vec::new();
        match self.statements() {
            Some(held) if held.federation() != statements.federation() => {
                return Err(Error::OtherFederation);
            }
            Some(_) => {}
            None => {
                let charter = statements.signed_charter();
                self.charter.put(CHARTER, charter)?;
                self.publish(Statements::new(charter.clone())?);
                if let Some(steward) = statements.charter().stewards.keys().next() {
                    acts.push(Act::Statement {
                        about: steward.clone(),
                        kind: "charter".to_owned(),
                        statement: charter.hash(),
                    });
                }
            }
        }
        let mut guard = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = guard.as_mut().ok_or(Error::NoFederation)?;
        for statement in statements.iter() {
            match self.take(held, statement, now) {
                Ok(act) => acts.extend(act),
                // What this node holds already may leave no room; the rest counts all the same.
                Err(Error::Refused(refusal)) if refusal.may_pass() => {}
                Err(error) => return Err(error),
            }
        }
        self.roster.send_replace(Some(Arc::new(Roster::of(held))));
        drop(guard);
        Ok(acts)
    }

    /// Writes a statement to the store and nowhere else, and gives what to journal: what this node
    /// itself is about to say is recorded before anybody, this node included, goes by it. Then
    /// [`Self::learn`] it.
    ///
    /// # Errors
    /// If it does not count, there is no charter yet, or the store fails.
    pub fn keep(&self, statement: &Statement, now: Timestamp) -> Result<Option<Act>, Error> {
        let mut trial = self.statements().ok_or(Error::NoFederation)?;
        self.take(&mut trial, statement.clone(), now)
    }

    /// Takes one statement; if it is new, gives what to journal. Durable after the store's next
    /// commit.
    ///
    /// # Errors
    /// If it does not count, there is no charter yet, or the store fails.
    pub fn learn(&self, statement: Statement, now: Timestamp) -> Result<Option<Act>, Error> {
        let mut guard = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = guard.as_mut().ok_or(Error::NoFederation)?;
        let act = self.take(held, statement, now)?;
        if act.is_some() {
            // Under the lock, so that no older roster is published after a newer one.
            self.roster.send_replace(Some(Arc::new(Roster::of(held))));
        }
        drop(guard);
        Ok(act)
    }

    fn take(
        &self,
        held: &mut Statements,
        statement: Statement,
        now: Timestamp,
    ) -> Result<Option<Act>, Error> {
        let (about, kind) = statement.about()?;
        let hash = statement.hash();
        if held.insert(statement.clone(), now)? == Inserted::Known {
            return Ok(None);
        }
        self.statements.put(hash.as_bytes(), &statement)?;
        Ok(Some(Act::Statement {
            about,
            kind: kind.to_owned(),
            statement: hash,
        }))
    }
}

/// Why a statement or a federation was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The statement does not count.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The charter does not count.
    #[error(transparent)]
    Charter(#[from] charter::Refusal),
    /// A join request is not taken.
    #[error(transparent)]
    Request(#[from] join::Refusal),
    /// A proposal is not taken.
    #[error(transparent)]
    Proposal(#[from] proposal::Refusal),
    /// No federation yet.
    #[error(
        "this node belongs to no federation yet; `fairshare join` or `fairshare federation found`"
    )]
    NoFederation,
    /// Another federation.
    #[error(
        "this node already belongs to another federation; a node has one, so use another home for the other"
    )]
    OtherFederation,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
