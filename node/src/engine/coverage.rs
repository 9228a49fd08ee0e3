//! Coverage: of the people whose own record names a peer, how many are linked with it (protocol.md
//! section 3). A peer that publishes entries under a second key links alone; here that shows.
//!
//! Counted in one walk over the people, when somebody asks and an import or a match has changed what
//! it rests on. Each Patient keeps the names of the organisations it names (`fhir::patient`); which
//! of them are a peer's is looked up once for each name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::control::node::Coverage;
use fairshare_protocol::ids::OdsCode;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::delta;
use super::drive::Error;
use crate::node::Node;
use crate::store;
use crate::store::index::MatchedWith;
use crate::store::records::{Named, Person};

/// How long whoever asks waits; a count of a million people goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);

/// The coverage of every peer.
pub type Counted = Arc<BTreeMap<OdsCode, Coverage>>;

/// What a count rests on: the last import, and the matches with the peers.
#[derive(PartialEq, Eq)]
struct Basis {
    import: u64,
    matches: Vec<(OdsCode, Option<MatchedWith>)>,
}

impl Basis {
    fn of(node: &Node) -> Result<Self, store::Error> {
        let roster = node.membership.roster();
        let members = roster.iter().flat_map(|roster| roster.members());
        let peers = members.filter(|member| member.code != *node.code());
        let with = |code: &OdsCode| Ok((code.clone(), node.index.matched(code)?));
        Ok(Self {
            import: node.records.visible(),
            matches: peers
                .map(|member| with(&member.code))
                .collect::<Result<_, store::Error>>()?,
        })
    }
}

/// Holds the last count. One is made at a time.
#[derive(Default)]
pub struct Coverages(Arc<Mutex<Option<(Basis, Counted)>>>);

impl Coverages {
    /// The coverage of every peer as of now; none while it is being counted. A peer whose match newer
    /// adverts have superseded has none until the next.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn now(&self, node: &Arc<Node>) -> Result<Option<Counted>, Error> {
        let (held, node) = (Arc::clone(&self.0), Arc::clone(node));
        let counting = tokio::spawn(async move {
            let mut held = held.lock_owned().await;
            let basis = Basis::of(&node)?;
            if let Some((of, counted)) = &*held
                && *of == basis
            {
                return Ok(Arc::clone(counted));
            }
            let count = move || Ok::<_, Error>((Arc::new(count(&node, &basis)?), basis));
            let (counted, basis) = spawn_blocking(count).await??;
            *held = Some((basis, Arc::clone(&counted)));
            Ok::<_, Error>(counted)
        });
        match timeout(PATIENCE, counting).await {
            Ok(counted) => counted?.map(Some),
            Err(_) => Ok(None),
        }
    }
}

fn count(node: &Node, basis: &Basis) -> Result<BTreeMap<OdsCode, Coverage>, Error> {
    let mut peers = Peers::of(node, basis)?;
    let mut failed = None;
    node.records.each_person(|_, person| {
        if failed.is_none() {
            failed = peers.count(&person).err();
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(peers.counted()),
    }
}

struct Peers<'a> {
    node: &'a Node,
    /// Each peer; how many of our batches it has answered, if it was matched with.
    all: Vec<(&'a OdsCode, Option<u32>, Coverage)>,
    /// Which peers a name is one of, by their places in `all`; grows with the names met.
    named: BTreeMap<Named, BTreeSet<usize>>,
}

impl<'a> Peers<'a> {
    fn of(node: &'a Node, basis: &'a Basis) -> Result<Self, Error> {
        let mut named: BTreeMap<Named, BTreeSet<usize>> = BTreeMap::new();
        let mut all = Vec::new();
        for (code, with) in &basis.matches {
            // Of a match that newer adverts superseded nobody can tell any more who was in it.
            if with.is_some() && !delta::continues(node, code)? {
                continue;
            }
            for name in node.records.organisation_names(code)? {
                named.entry(name).or_default().insert(all.len());
            }
            let told = with.as_ref().map(|with| with.batches);
            all.push((code, told, Coverage::default()));
        }
        Ok(Self { node, all, named })
    }

    fn count(&mut self, person: &Person) -> Result<(), store::Error> {
        // Whom nobody can find says nothing of anybody's index.
        let Some(key) = &person.key else {
            return Ok(());
        };
        let mut peers = BTreeSet::new();
        for name in &person.named {
            peers.extend(self.denoted(name)?);
        }
        for at in peers {
            let (code, told, coverage) = &mut self.all[at];
            let linked = self.node.index.handle(key, code)?.is_some();
            // Nor does who came since, and whom a peer was not told of.
            let counts = match told {
                Some(told) if !linked => {
                    let indexed = self.node.index.indexed(key)?;
                    indexed.is_some_and(|batch| batch <= *told)
                }
                _ => true,
            };
            coverage.named += u64::from(counts);
            coverage.linked += u64::from(linked);
        }
        Ok(())
    }

    /// The peers a name stands for: itself, or by what it references.
    fn denoted(&mut self, name: &Named) -> Result<BTreeSet<usize>, store::Error> {
        if let Some(known) = self.named.get(name) {
            return Ok(known.clone());
        }
        let references = self.node.records.references_of(name)?;
        let through = references.iter().filter_map(|name| self.named.get(name));
        let found: BTreeSet<usize> = through.flatten().copied().collect();
        self.named.insert(*name, found.clone());
        Ok(found)
    }

    fn counted(self) -> BTreeMap<OdsCode, Coverage> {
        let all = self.all.into_iter();
        all.map(|(code, _, coverage)| (code.clone(), coverage))
            .collect()
    }
}
