//! What exchanges leave behind: answers given, signed statements, bundles received, and the
//! openings of the journal's commitments.

use std::io::{self, Read};

use fairshare_protocol::exchange::answer::Answer;
use fairshare_protocol::exchange::ask::Filed;
use fairshare_protocol::ids::{Commitment, ExchangeId, Hash, PersonId};
use fairshare_protocol::journal::commit_person;
use fairshare_protocol::statement::Signed;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::blobs::spool::Spooled;
use super::blobs::{self, Blobs};
use super::{Error, Store, Table};

pub mod copies;

/// The tables of the exchange. Cheap to clone.
#[derive(Clone)]
pub struct Exchanges {
    executed: Table,
    statements: Table,
    received: Table,
    received_of: Table,
    openings: Table,
    filings: Table,
    erased: Table,
    erasing: Table,
}

/// A signed statement that was sent or received.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// The exchange it belongs to.
    pub exchange: ExchangeId,
    /// What it is: one of `exchange::ask::kind`.
    pub kind: u8,
    /// The whole statement, encoded.
    pub bytes: fairshare_protocol::codec::Bytes,
}

/// A bundle that was received whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Received {
    /// What is known of it.
    pub filed: Filed,
    /// Its plaintext as it was sealed: manifest with its length, bodies, padding.
    pub plaintext: Plaintext,
}

/// Where the plaintext of a received bundle lies. Whoever loses it has lost the bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Plaintext {
    /// In a blob of its own.
    Blob(blobs::Key),
    /// In the spool of a round, as its sender sealed it.
    Spooled(Spooled),
}

impl Plaintext {
    /// Bytes, padding included.
    pub const fn length(&self) -> u64 {
        match self {
            Self::Blob(key) => key.length,
            Self::Spooled(spooled) => spooled.size,
        }
    }

    /// Reads it from its beginning.
    ///
    /// # Errors
    /// If it is not there.
    pub fn open(&self, blobs: &Blobs) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Blob(key) => Box::new(blobs.open_blob(key)?),
            Self::Spooled(spooled) => Box::new(blobs.open_spooled(spooled)?),
        })
    }
}

impl Exchanges {
    /// The tables in `store`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn open(store: &Store) -> Result<Self, Error> {
        Ok(Self {
            executed: store.table("executed")?,
            statements: store.table("statements")?,
            received: store.table("received")?,
            received_of: store.table("received of")?,
            openings: store.table("openings")?,
            filings: store.table("filings")?,
            erased: store.table("erased")?,
            erasing: store.table("erasing")?,
        })
    }

    /// The answer given to this exchange before, and the hash of the request it answered.
    ///
    /// # Errors
    /// If sled fails.
    pub fn executed(&self, exchange: &ExchangeId) -> Result<Option<(Hash, Signed<Answer>)>, Error> {
        self.executed.load(exchange.as_bytes())
    }

    /// Remembers the answer to a request. Says whether it is the first under this exchange.
    ///
    /// # Errors
    /// If sled fails.
    pub fn execute(
        &self,
        exchange: &ExchangeId,
        request: Hash,
        answer: &Signed<Answer>,
    ) -> Result<bool, Error> {
        self.executed
            .put_new(exchange.as_bytes(), &(request, answer))
    }

    /// Keeps a signed statement.
    ///
    /// # Errors
    /// If sled fails.
    pub fn keep(&self, hash: &Hash, kept: &Kept) -> Result<(), Error> {
        self.statements.put(hash.as_bytes(), kept)
    }

    /// A signed statement that was kept.
    ///
    /// # Errors
    /// If sled fails.
    pub fn statement(&self, hash: &Hash) -> Result<Option<Kept>, Error> {
        self.statements.load(hash.as_bytes())
    }

    /// Files a received bundle, or puts it into quarantine, as its verdict says. Says whether it
    /// did: a peer chooses the id of an exchange it begins, and must not replace with it what came
    /// in another.
    ///
    /// # Errors
    /// If sled fails.
    pub fn file(&self, received: &Received) -> Result<bool, Error> {
        let exchange = received.filed.exchange;
        let of = [&received.filed.person.0.0[..], exchange.as_bytes()].concat();
        let erased = self.erased.contains(exchange.as_bytes())?;
        if erased || !self.received.put_new(exchange.as_bytes(), received)? {
            return Ok(false);
        }
        self.received_of.put(&of, &())?;
        Ok(true)
    }

    /// The bundle received in that exchange; none if it was erased.
    ///
    /// # Errors
    /// If sled fails.
    pub fn received(&self, exchange: &ExchangeId) -> Result<Option<Received>, Error> {
        if self.erased.contains(exchange.as_bytes())? {
            return Ok(None);
        }
        self.received.load(exchange.as_bytes())
    }

    /// Whether the key of what was received in that exchange is here, also if it is being erased.
    ///
    /// # Errors
    /// If sled fails.
    pub fn is_held(&self, exchange: &ExchangeId) -> Result<bool, Error> {
        self.received.contains(exchange.as_bytes())
    }

    /// How many bundles were received. None of them is opened.
    pub fn bundles(&self) -> usize {
        self.received.count()
    }

    /// All bundles received about one person, or about anybody.
    pub fn all_received(
        &self,
        person: Option<PersonId>,
    ) -> impl Iterator<Item = Result<Received, Error>> + '_ {
        let of = person.map(|person| {
            self.received_of.keys(&person.0.0).filter_map(|key| {
                let key = match key {
                    Ok(key) => key,
                    Err(error) => return Some(Err(error)),
                };
                let exchange = ExchangeId::new(*key.get(16..)?.first_chunk()?);
                self.received(&exchange).transpose()
            })
        });
        let all = person.is_none().then(|| {
            let all = self.received.scan::<Received>(b"");
            all.filter_map(|pair| match pair {
                Ok((key, received)) => match self.erased.contains(&key) {
                    Ok(erased) => (!erased).then_some(Ok(received)),
                    Err(error) => Some(Err(error)),
                },
                Err(error) => Some(Err(error)),
            })
        });
        of.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// A fresh commitment to a person, for the journal. Its opening is kept here.
    ///
    /// # Errors
    /// If sled fails.
    pub fn commit_to(&self, person: PersonId) -> Result<Commitment, Error> {
        let mut nonce = [0; 32];
        rand::rng().fill_bytes(&mut nonce);
        let commitment = commit_person(&nonce, &person);
        let key = [&person.0.0[..], commitment.as_bytes()].concat();
        self.openings.put(&key, &nonce)?;
        Ok(commitment)
    }

    /// All commitments by which the journal names this person; each is checked against its opening.
    ///
    /// # Errors
    /// If sled fails.
    pub fn commitments(
        &self,
        person: PersonId,
    ) -> Result<std::collections::BTreeSet<Commitment>, Error> {
        let mut found = std::collections::BTreeSet::new();
        for pair in self.openings.scan::<[u8; 32]>(&person.0.0) {
            let (key, nonce) = pair?;
            let commitment = commit_person(&nonce, &person);
            if key.get(16..) == Some(commitment.as_bytes()) {
                found.insert(commitment);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use fairshare_protocol::category::Purpose;
    use fairshare_protocol::crypto::seal::SecretKey;
    use fairshare_protocol::exchange::answer::Verdict;
    use fairshare_protocol::exchange::bundle::Manifest;
    use fairshare_protocol::ids::{Fixed, OdsCode};
    use fairshare_protocol::index::key::IndexKey;
    use fairshare_protocol::time::Timestamp;

    /// A member was asked in exchange 5 and showed its bundle; then it, or another it told the id,
    /// begins an exchange 5 of its own and shows something in return.
    #[test]
    fn what_came_in_one_exchange_is_not_replaced_by_another_of_the_same_id() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), key).unwrap();
        let exchanges = Exchanges::open(&store).unwrap();
        let received = |from: &str, in_return| {
            let from: OdsCode = from.parse().unwrap();
            let mut blob = store.blobs().create().unwrap();
            blob.write_all(from.as_str().as_bytes()).unwrap();
            let manifest = Manifest {
                author: from.clone(),
                as_of: Timestamp(1),
                subject: IndexKey {
                    nhs: "9990001235".parse().unwrap(),
                    born: "1948-11-08".parse().unwrap(),
                },
                items: vec![],
            };
            let filed = Filed {
                exchange: ExchangeId::new([5; 16]),
                from,
                person: PersonId(Fixed([1; 16])),
                commitment: Commitment::new([2; 32]),
                purpose: Purpose::Care,
                at: Timestamp(2),
                in_return,
                manifest,
                verdict: Verdict::Opened,
                shown: Hash::new([3; 32]),
            };
            let plaintext = Plaintext::Blob(blob.finish().unwrap());
            Received { filed, plaintext }
        };
        assert!(exchanges.file(&received("RH8", false)).unwrap());
        assert!(!exchanges.file(&received("RA9", true)).unwrap());
        let kept = exchanges.received(&ExchangeId::new([5; 16])).unwrap();
        assert_eq!(kept.unwrap().filed.from.as_str(), "RH8");
    }

    #[test]
    fn the_journals_names_of_a_person_are_many_and_open_here_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::new([1; 32]);
        let store = Store::open(&dir.path().join("s"), &dir.path().join("b"), key).unwrap();
        let exchanges = Exchanges::open(&store).unwrap();
        let [one, two] = [1, 2].map(|n| PersonId(Fixed([n; 16])));
        let names = [one, one, two].map(|person| exchanges.commit_to(person).unwrap());
        assert_ne!(names[0], names[1]);
        assert_eq!(
            exchanges.commitments(one).unwrap(),
            names[..2].iter().copied().collect()
        );
        assert_eq!(exchanges.commitments(two).unwrap(), [names[2]].into());
    }
}
