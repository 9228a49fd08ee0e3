//! One node: everything it has, and how it starts and stops.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fairshare_protocol::control::journal::Verified;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::journal::Act;
use fairshare_protocol::time::Timestamp;
use tokio::sync::{Notify, Semaphore};

use crate::config::{self, Config};
use crate::engine::advert::Adverts;
use crate::engine::advert::placing::Placing;
use crate::engine::care::Care;
use crate::engine::coverage::Coverages;
use crate::engine::drive::{self, now};
use crate::engine::ledger::Ledgers;
use crate::engine::progress::Progress;
use crate::engine::reconcile::Reconciling;
use crate::engine::turns::{Begun, Turns};
use crate::home::keys::{self, Keys};
use crate::home::reserve::Reserve;
use crate::home::{self, Home};
use crate::journal::{self, Journal};
use crate::membership::{self, Membership};
use crate::network::Network;
use crate::own::said::Said;
use crate::store::exchanges::Exchanges;
use crate::store::index::Index;
use crate::store::records::Records;
use crate::store::reviews::Reviews;
use crate::store::rounds::Rounds;
use crate::store::stops::Stops;
use crate::store::withheld::Withheld;
use crate::store::{self, Store};

/// One node, open: its home is locked for as long as this lives.
pub struct Node {
    /// What the operator decided.
    pub config: Config,
    /// The keys of the node.
    pub keys: Keys,
    /// The journal.
    pub journal: Journal,
    /// The store.
    pub store: Store,
    /// Who is a member.
    pub membership: Membership,
    /// What this node said when it asked to join.
    pub said: Said,
    /// What exchanges leave behind.
    pub exchanges: Exchanges,
    /// The account with every peer.
    pub ledgers: Ledgers,
    /// Emergencies to be reviewed.
    pub reviews: Reviews,
    /// What rounds of a reconcile leave behind.
    pub rounds: Rounds,
    /// The rounds under way.
    pub reconciling: Reconciling,
    /// What is being done for care.
    pub care: Care,
    /// People and their records.
    pub records: Records,
    /// Who and what stays home.
    pub withheld: Withheld,
    /// What is not shown any more.
    pub stops: Stops,
    /// What adverts and matches leave behind.
    pub index: Index,
    /// Our advert.
    pub adverts: Adverts,
    /// Where our people are with it.
    pub placing: Placing,
    /// How many of those who name a peer are linked with it.
    pub coverages: Coverages,
    /// Whose turn it is to match.
    pub matching: Turns,
    /// Whose advert is being fetched.
    pub fetching: Turns,
    /// With whom a match is under way, whoever began it.
    pub conversing: Turns,
    /// Which matches peers began.
    pub begun: Begun,
    /// Whose entries are being raised.
    pub raising: Turns,
    /// Whose turn it is to be told of new people, or to tell us.
    pub telling: Turns,
    /// What peers tell us of new people.
    pub told: Begun,
    /// How many matches may be under way at once: those begun here, and those answered.
    pub room: [Semaphore; 2],
    /// How far matches are.
    pub progress: Progress,
    /// Wakes what looks after the index: something may have become possible.
    pub stir: Notify,
    /// Held by whoever files or erases what peers showed.
    pub erasing: tokio::sync::Mutex<()>,
    /// Room for when the disk is full.
    pub reserve: Arc<Reserve>,
    /// When the node was opened.
    pub opened: Timestamp,
    /// What opening the journal found.
    pub journal_opened: journal::Opened,
    verified: Mutex<Timestamp>,
    network: OnceLock<Network>,
    // Last, so that it is unlocked when all else is closed.
    /// Where everything lies.
    pub home: Home,
}

impl Node {
    /// Opens everything in `home`, without network.
    ///
    /// # Errors
    /// If config, keys, store or journal do not open.
    pub fn open(home: Home) -> Result<Arc<Self>, Error> {
        let config = Config::read(&home.config())?;
        let keys = Keys::read(&home.keys())?;
        let reserve = Arc::new(Reserve::open(home.root(), config.limits.reserve));
        let store = Store::open(&home.store(), &home.blobs(), keys.store.clone())?;
        let (journal, journal_opened) =
            Journal::open(&home.journal(), config.ods.clone(), keys.node.clone())?;
        store.keep_room(Arc::clone(&reserve));
        journal.keep_room(Arc::clone(&reserve));
        reserve.tend();
        let opened = now();
        Ok(Arc::new(Self {
            membership: Membership::open(&store, opened)?,
            said: Said::open(&store)?,
            exchanges: Exchanges::open(&store)?,
            ledgers: Ledgers::open(&store, &journal.lately())?,
            reviews: Reviews::open(&store)?,
            rounds: Rounds::open(&store)?,
            reconciling: Reconciling::default(),
            care: Care::default(),
            records: Records::open(&store)?,
            withheld: Withheld::open(&store)?,
            stops: Stops::open(&store)?,
            index: Index::open(&store)?,
            adverts: Adverts::default(),
            placing: Placing::default(),
            coverages: Coverages::default(),
            matching: Turns::default(),
            fetching: Turns::default(),
            conversing: Turns::default(),
            begun: Begun::default(),
            raising: Turns::default(),
            telling: Turns::default(),
            told: Begun::default(),
            room: [Semaphore::new(1), Semaphore::new(2)],
            progress: Progress::default(),
            stir: Notify::new(),
            erasing: tokio::sync::Mutex::default(),
            reserve,
            config,
            keys,
            journal,
            store,
            opened,
            journal_opened,
            verified: Mutex::new(opened),
            network: OnceLock::new(),
            home,
        }))
    }

    /// This node's own code.
    pub const fn code(&self) -> &OdsCode {
        &self.config.ods
    }

    /// Checks the journal as it is on disk. Reads all of it, and blocks.
    ///
    /// # Errors
    /// If it is not as it was written.
    pub fn verify_journal(&self) -> Result<Verified, journal::Error> {
        let verified = journal::verify(self.journal.dir(), Some(&self.keys.node.public()))?;
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = now();
        Ok(verified)
    }

    /// When the whole journal was last checked and found sound; opening checks it too.
    pub fn verified(&self) -> Timestamp {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network, while the node runs.
    pub fn network(&self) -> Option<&Network> {
        self.network.get()
    }

    /// Gives the node its network; it keeps the first it is given.
    pub fn connect(&self, network: Network) {
        // A second network would be a second swarm under the same key: there is none.
        let _ = self.network.set(network);
    }

    /// Journals acts and makes them, and everything written to the store before, durable.
    ///
    /// # Errors
    /// If journal or store fail; nothing that depends on it may then be told to anybody.
    pub async fn record(&self, acts: impl IntoIterator<Item = Act>) -> Result<(), drive::Error> {
        let mut last = None;
        for act in acts {
            last = Some(self.journal.append(act, now())?);
        }
        if let Some(receipt) = last {
            self.journal.durable(receipt).await?;
        }
        self.store.commit().await?;
        Ok(())
    }
}

/// Why a node does not open or keep what it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The config.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The roster.
    #[error(transparent)]
    Membership(#[from] membership::Error),
}
