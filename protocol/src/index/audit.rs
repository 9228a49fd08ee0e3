//! The audit: a member opens a drawn sample of its own advert to somebody who stands beside it
//! (protocol.md section 3).
//!
//! What no peer can see from outside is an advert with entries under a second secret key: its
//! member then links alone. On the member's premises it shows: every entry opens as `H(x)^k` of a
//! person the member holds, under the `k` of its header, or as a canary `g^r`.
//!
//! 1. The auditor chooses a seed, and tells it when the advert is signed and known to others.
//! 2. The member [draws](draw) the sample from the seed and the hash of its signed header, and
//!    [opens](open) each entry: a person's by the index key and a proof of its own that the header's
//!    key made it of that key's point, so that `k` is never shown; a canary by its `r`.
//! 3. The auditor [checks](check) the report with a copy of the advert that peers have too
//!    ([`Picked`]), and looks the people up in the organisation's own patient system: a proof shows
//!    that an entry is that person's, the patient system that the person is real.
//!
//! **Goals.** The member cannot choose the sample, open an entry in two ways, pass a report off for
//! another advert, or show an entry under another key. [`chance`] says what a sample finds. A false
//! entry is named by its position: hence a proof for each entry rather than one for all.
//!
//! **Non-goals.** A report says nothing of who is *missing* from an advert (a peer sees that as
//! coverage), nor of entries a later generation adds. It is not for peers: it names people, and which
//! entries are canaries.

use std::collections::BTreeMap;
use std::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use self::finding::Finding;
use super::advert::Header;
use super::advert::own::Own;
use super::canary;
use super::key::IndexKey;
use crate::crypto::blind::{Dst, Secret, compress, hash_to_group};
use crate::crypto::dleq::{self, Proof};
use crate::crypto::hash;
use crate::ids::{Fixed, Hash, Point, PublicKey};
use crate::member::User;
use crate::redact::Redacted;
use crate::statement::Signed;
use crate::text::Line;
use crate::time::Timestamp;

pub use self::picked::Picked;

pub mod copied;
pub mod finding;
mod picked;

/// What a report's first word must be: its name and version.
pub const FORMAT: &str = "fairshare-audit-report/1";
/// What every report says of itself first.
pub const WARNING: &str = "NHS numbers and dates of birth of real people. It is for the auditor beside the operator: \
     keep it on the organisation's premises, and destroy it when the audit is over.";

/// The sample as the auditor demands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// What the auditor chose. Whoever knows it before an advert is signed can make one that passes.
    pub seed: Line,
    /// How many entries; all of them if the advert has no more.
    pub sample: u32,
}

impl Demand {
    /// How many entries of an advert with `count` are drawn.
    pub fn of(&self, count: u32) -> u32 {
        self.sample.min(count)
    }
}

/// A member's account of a sample of its advert. Holds patient data: its `Debug` says only how much.
#[derive(Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// [`WARNING`].
    pub holds: String,
    /// The header of the advert.
    pub header: Signed<Header>,
    /// What the sample was drawn from.
    pub seed: Line,
    /// Who audits.
    pub auditor: Line,
    /// Who made the report at the member.
    pub operator: User,
    /// When.
    pub at: Timestamp,
    /// The sample, in the order of its positions.
    pub openings: Vec<Opening>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({} entries)", self.openings.len())
    }
}

/// One entry, opened.
#[derive(Clone, Serialize, Deserialize)]
pub struct Opening {
    /// Where it stands in the advert.
    pub position: u32,
    /// As what.
    #[serde(flatten)]
    pub shown: Shown,
}

/// What an entry is shown to be.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// `H(x)^k`.
    Person(Box<Person>),
    /// `g^r`: this is `r`.
    Canary(Fixed<32>),
}

/// The person behind an entry.
#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    /// The NHS number, ten digits.
    pub nhs: Redacted<String>,
    /// The date of birth, YYYY-MM-DD.
    pub born: Redacted<String>,
    /// What the organisation itself calls them, so that the auditor can look them up: usually one
    /// id. None if it holds them no more; nobody leaves an advert inside an epoch.
    pub local: Vec<Redacted<String>>,
    /// That the key of the header made the entry of `H(x)`.
    pub proof: Proof,
}

impl Person {
    /// The index key, if it is one.
    pub fn key(&self) -> Option<IndexKey> {
        Some(IndexKey {
            nhs: self.nhs.expose().parse().ok()?,
            born: self.born.expose().parse().ok()?,
        })
    }
}

/// What the member knows of one entry.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Where it stands.
    pub position: u32,
    /// The entry.
    pub entry: Point,
    /// What made it.
    pub made_of: MadeOf,
}

/// What an entry was made of.
#[derive(Debug, Clone)]
pub enum MadeOf {
    /// A person, and what the organisation calls them.
    Person(IndexKey, Vec<Redacted<String>>),
    /// The canary of this number.
    Canary(u32),
}

/// The secrets that open an advert's entries.
pub struct Opener<'a> {
    key: &'a Secret,
    canaries: &'a [u8; 32],
}

impl<'a> Opener<'a> {
    /// Those of our advert.
    pub fn of(own: &'a Own) -> Self {
        Self {
            key: own.key(),
            canaries: own.seed(),
        }
    }
}

/// The positions of the sample, ascending: drawn without repetition from the seed and the hash of
/// the signed header.
pub fn draw(signed: &Signed<Header>, count: u32, demand: &Demand) -> Vec<u32> {
    let (seed, header) = (demand.seed.as_str(), signed.hash());
    // A shuffle of all positions, of which only what moved is written down.
    let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
    let mut drawn: Vec<_> = (0..demand.of(count))
        .map(|turn| {
            let mut number = [0; 16];
            let parts: [&[u8]; 3] = [seed.as_bytes(), header.as_bytes(), &turn.to_le_bytes()];
            hash::stream("audit sample", &parts, &mut number);
            // No position is likelier than another by more than 2^-96; below `count`, so it fits.
            let other = turn + (u128::from_le_bytes(number) % u128::from(count - turn)) as u32;
            let here = moved.get(&turn).copied().unwrap_or(turn);
            moved.insert(other, here).unwrap_or(other)
        })
        .collect();
    drawn.sort_unstable();
    drawn
}

/// The probability that a sample of `sample` out of `count` entries holds at least one of `of_them`.
pub fn chance(count: u32, sample: u32, of_them: u32) -> f64 {
    let missed = |turn: u32| {
        let left = f64::from(count - turn);
        ((left - f64::from(of_them)) / left).max(0.0)
    };
    1.0 - (0..sample.min(count)).map(missed).product::<f64>()
}

/// Opens one entry.
///
/// # Errors
/// If it is not what we have it for.
pub fn open(
    opener: &Opener<'_>,
    header: &Ground<'_>,
    behind: &Behind,
    rng: &mut dyn CryptoRng,
) -> Result<Opening, Finding> {
    let Behind {
        position, entry, ..
    } = *behind;
    let shown = match &behind.made_of {
        MadeOf::Canary(number) => {
            Shown::Canary(Fixed(*canary::secret(opener.canaries, *number).to_bytes()))
        }
        MadeOf::Person(key, local) => {
            let hashed = header.hashed(key);
            let context = header.context(position);
            let nonce = Secret::generate(rng);
            let proof = dleq::prove(opener.key, &[hashed], &[entry], &nonce, &context)
                .map_err(|_| Finding::OtherKey { position })?;
            Shown::Person(Box::new(Person {
                nhs: Redacted::new(key.nhs.expose().to_string()),
                born: Redacted::new(key.born.expose()),
                local: local.clone(),
                proof,
            }))
        }
    };
    let opening = Opening { position, shown };
    // What we cannot show to ourselves we show to nobody.
    header.holds(&opening, &entry)?;
    Ok(opening)
}

/// What every proof of one report is about.
#[derive(Debug)]
pub struct Ground<'a> {
    header: &'a Header,
    hash: Hash,
    seed: &'a Line,
}

impl<'a> Ground<'a> {
    /// Of this header, as signed, and this seed.
    pub fn new(signed: &Signed<Header>, header: &'a Header, seed: &'a Line) -> Self {
        Self {
            header,
            hash: signed.hash(),
            seed,
        }
    }

    fn hashed(&self, key: &IndexKey) -> Point {
        let dst = Dst::index(&self.header.federation, self.header.epoch);
        compress(&hash_to_group(key.expose().as_bytes(), &dst))
    }

    /// The context string of one proof (RFC 9497 section 2.2): names federation, epoch, header, seed
    /// and position, so that no proof serves twice.
    fn context(&self, position: u32) -> Vec<u8> {
        let about = hash::parts(
            "audit proof",
            &[
                self.header.federation.as_bytes(),
                &self.header.epoch.to_le_bytes(),
                self.hash.as_bytes(),
                self.seed.as_str().as_bytes(),
                &position.to_le_bytes(),
            ],
        );
        let suite = b"FAIRSHARE-V01-AUDIT-ristretto255-SHA512-";
        [suite.as_slice(), about.as_bytes()].concat()
    }

    /// Checks that an entry is what it is shown to be.
    fn holds(&self, opening: &Opening, entry: &Point) -> Result<(), Finding> {
        let position = opening.position;
        match &opening.shown {
            Shown::Canary(r) => match Secret::from_bytes(&r.0) {
                Some(r) if r.public() == *entry => Ok(()),
                _ => Err(Finding::NotTheCanary { position }),
            },
            Shown::Person(person) => {
                let key = person.key().ok_or(Finding::Nobody { position })?;
                let hashed = self.hashed(&key);
                let context = self.context(position);
                let public = &self.header.key;
                dleq::verify(public, &[hashed], &[*entry], &person.proof, &context)
                    .map_err(|_| Finding::OtherKey { position })
            }
        }
    }
}

/// What was found in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Entries opened.
    pub opened: u32,
    /// Of these, people.
    pub people: u32,
    /// Of these, people the member says it holds no more.
    pub gone: u32,
    /// Canaries.
    pub canaries: u32,
}

/// Checks a member's header: whose it is, and who signed.
///
/// # Errors
/// If it is not signed by `node`, the member's node key in the roster.
pub fn header(signed: &Signed<Header>, node: &PublicKey) -> Result<Header, Finding> {
    signed.verify(node).map_err(Finding::Signature)
}

/// Checks a report against what the auditor demanded, and the sample's entries as peers have them.
/// `signed` is the header of the auditor's copy, which [`header`] found in order.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn check(
    report: &Report,
    demand: &Demand,
    signed: &Signed<Header>,
    entries: &BTreeMap<u32, Point>,
) -> Result<Passed, Finding> {
    if report.format != FORMAT {
        return Err(Finding::Format);
    }
    let header = signed.peek().map_err(Finding::Signature)?;
    // Before anybody is accused: what nobody signed is no evidence.
    let reported = &report.header;
    reported
        .verify(reported.signer())
        .map_err(|_| Finding::Altered)?;
    if reported.hash() != signed.hash() {
        return Err(Finding::other(reported, signed.signer(), &header));
    }
    if report.seed != demand.seed {
        return Err(Finding::OtherSeed);
    }
    let (opened, demanded) = (report.openings.len(), demand.of(header.count));
    if opened != demanded as usize {
        return Err(Finding::OtherSample { opened, demanded });
    }
    let ground = Ground::new(signed, &header, &demand.seed);
    let mut passed = Passed {
        opened: demanded,
        people: 0,
        gone: 0,
        canaries: 0,
    };
    for (opening, position) in report
        .openings
        .iter()
        .zip(draw(signed, header.count, demand))
    {
        if opening.position != position {
            return Err(Finding::NotDrawn { position });
        }
        let entry = entries
            .get(&position)
            .ok_or(Finding::Missing { position })?;
        ground.holds(opening, entry)?;
        match &opening.shown {
            Shown::Canary(_) => passed.canaries += 1,
            Shown::Person(person) => {
                passed.people += 1;
                passed.gone += u32::from(person.local.is_empty());
            }
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests;
