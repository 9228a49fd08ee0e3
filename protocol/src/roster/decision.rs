//! What stewards say about a member: steward statements (protocol.md section 1).
//!
//! Statements about one member form a chain: each has a number `n`, from 1, and names the hash of
//! the one before. Kinds are numbers on the wire, so that one from a later version is refused by
//! name rather than as garbage.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::codec::{self, Bytes};
use crate::ids::{FederationId, Hash, OdsCode, PublicKey};
use crate::limits::{MAX_ADVERT, MAX_PREDECESSORS, MAX_STATEMENT};
use crate::member::MemberKind;
use crate::statement::Body;
use crate::text::Line;
use crate::time::Timestamp;

/// What the first statement about a member names as the one before.
pub const NOTHING: Hash = Hash::new([0; 32]);

/// One statement of the stewards about one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StewardStatement {
    /// The federation.
    pub federation: FederationId,
    /// Hash of the charter version under which it was decided.
    pub charter: Hash,
    /// Whom it concerns.
    pub about: OdsCode,
    /// 1 for the first about this member.
    pub n: u32,
    /// Hash of the one before, or [`NOTHING`].
    pub previous: Hash,
    /// When it was written.
    pub at: Timestamp,
    /// See [`Kind`].
    kind: u16,
    body: Bytes,
}

impl Body for StewardStatement {
    const LABEL: &'static str = "steward statement";
}

impl StewardStatement {
    /// A statement to be signed by stewards.
    pub fn new(
        (federation, charter): (FederationId, Hash),
        about: OdsCode,
        (n, previous): (u32, Hash),
        at: Timestamp,
        decision: &Decision,
    ) -> Self {
        let body = match decision {
            Decision::Admit(admission) => codec::encode(admission),
            Decision::Limit(reason) | Decision::Remove(reason) | Decision::Reinstate(reason) => {
                codec::encode(reason)
            }
            Decision::Key(key) => codec::encode(key),
            Decision::Succeed(succession) => codec::encode(succession),
        };
        Self {
            federation,
            charter,
            about,
            n,
            previous,
            at,
            kind: decision.kind().number(),
            body: body.into(),
        }
    }

    /// What was decided.
    ///
    /// # Errors
    /// If the kind is not one we know, or the body is not what the kind carries.
    pub fn decision(&self) -> Result<Decision, Refusal> {
        fn body<T: Serialize + DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
            codec::decode(&bytes.0, MAX_STATEMENT).map_err(|_| Refusal::Body)
        }
        Ok(match Kind::of(self.kind)? {
            Kind::Remove => Decision::Remove(body(&self.body)?),
            Kind::Limit => Decision::Limit(body(&self.body)?),
            Kind::Key => Decision::Key(body(&self.body)?),
            Kind::Reinstate => Decision::Reinstate(body(&self.body)?),
            Kind::Succeed => {
                let succession: Succession = body(&self.body)?;
                succession.check(&self.about)?;
                Decision::Succeed(succession)
            }
            Kind::Admit => {
                let admission: Admission = body(&self.body)?;
                admission.check()?;
                Decision::Admit(admission)
            }
        })
    }
}

/// The kinds of steward statement, in the order in which one is taken before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// See [`Decision::Remove`].
    Remove,
    /// See [`Decision::Limit`].
    Limit,
    /// See [`Decision::Key`].
    Key,
    /// See [`Decision::Reinstate`].
    Reinstate,
    /// See [`Decision::Succeed`].
    Succeed,
    /// See [`Decision::Admit`].
    Admit,
}

impl Kind {
    /// Its number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Admit => 1,
            Self::Limit => 2,
            Self::Remove => 3,
            Self::Reinstate => 4,
            Self::Key => 5,
            Self::Succeed => 6,
        }
    }

    fn of(number: u16) -> Result<Self, Refusal> {
        match number {
            1 => Ok(Self::Admit),
            2 => Ok(Self::Limit),
            3 => Ok(Self::Remove),
            4 => Ok(Self::Reinstate),
            5 => Ok(Self::Key),
            6 => Ok(Self::Succeed),
            other => Err(Refusal::UnknownKind(other)),
        }
    }

    /// The word on screens and in the journal.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Limit => "limit",
            Self::Remove => "remove",
            Self::Reinstate => "reinstate",
            Self::Key => "key",
            Self::Succeed => "succeed",
        }
    }

    /// Whether it lets somebody in, or back in, or grow: nothing of the kind is taken while charters
    /// contradict each other.
    pub const fn admits(self) -> bool {
        matches!(self, Self::Admit | Self::Reinstate | Self::Succeed)
    }

    /// Whether self statements may hang on this kind: then those before it no longer count. A merger
    /// changes nobody's keys, so the one that goes on goes on as it is; nor does lifting a limit.
    pub const fn is_anchor(self) -> bool {
        matches!(self, Self::Admit | Self::Key | Self::Reinstate)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What stewards decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The organisation is a member, with these particulars, and nothing before weighs on it.
    Admit(Admission),
    /// Its bulk lane is off.
    Limit(Reason),
    /// It is no member: key compromised, unlawful access, organisation gone.
    Remove(Reason),
    /// It is again what it was admitted as.
    Reinstate(Reason),
    /// It has another organisation key.
    Key(NewKey),
    /// Others are merged into it: their history and their caps are its own from now on.
    Succeed(Succession),
}

impl Decision {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Admit(_) => Kind::Admit,
            Self::Limit(_) => Kind::Limit,
            Self::Remove(_) => Kind::Remove,
            Self::Reinstate(_) => Kind::Reinstate,
            Self::Key(_) => Kind::Key,
            Self::Succeed(_) => Kind::Succeed,
        }
    }

    /// What it says beside its kind, for people: names and values.
    pub fn says(&self) -> Vec<(String, String)> {
        let says: Vec<(&str, String)> = match self {
            Self::Admit(admission) => vec![
                ("name", admission.name.to_string()),
                ("kind", admission.kind.to_string()),
                ("people", format!("at most {}", admission.population)),
                ("organisation key", admission.organisation.to_string()),
            ],
            Self::Limit(reason) | Self::Remove(reason) | Self::Reinstate(reason) => {
                vec![("reason", reason.reason.to_string())]
            }
            Self::Key(key) => vec![
                ("organisation key", key.organisation.to_string()),
                ("reason", key.reason.to_string()),
            ],
            Self::Succeed(succession) => vec![
                ("succeeds", codes(&succession.predecessors)),
                ("reason", succession.reason.to_string()),
            ],
        };
        says.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Who would be merged, if anybody.
    pub fn predecessors(&self) -> impl Iterator<Item = &OdsCode> {
        let succession = match self {
            Self::Succeed(succession) => Some(succession),
            _ => None,
        };
        succession.into_iter().flat_map(|it| &it.predecessors)
    }

    /// The organisation key it names, if it names one.
    pub const fn organisation(&self) -> Option<PublicKey> {
        match self {
            Self::Admit(admission) => Some(admission.organisation),
            Self::Key(key) => Some(key.organisation),
            Self::Limit(_) | Self::Remove(_) | Self::Reinstate(_) | Self::Succeed(_) => None,
        }
    }
}

fn codes(codes: &BTreeSet<OdsCode>) -> String {
    let codes: Vec<_> = codes.iter().map(OdsCode::as_str).collect();
    codes.join(", ")
}

/// What a member is admitted as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Its kind.
    pub kind: MemberKind,
    /// Its name, for people.
    pub name: Line,
    /// Its organisation key.
    pub organisation: PublicKey,
    /// People it may at most put into its advert.
    pub population: u64,
}

impl Admission {
    /// Whether anyone can be admitted so.
    ///
    /// # Errors
    /// If the population is none or more than an advert holds.
    pub fn check(&self) -> Result<(), Refusal> {
        if (1..=MAX_ADVERT as u64).contains(&self.population) {
            Ok(())
        } else {
            Err(Refusal::Population(self.population))
        }
    }
}

/// Why stewards decided so, in words without patient data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The words.
    pub reason: Line,
}

/// Another organisation key, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// The key.
    pub organisation: PublicKey,
    /// Why, in words without patient data.
    pub reason: Line,
}

/// Who is merged into a member, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// The members that are merged into it.
    pub predecessors: BTreeSet<OdsCode>,
    /// Why, in words without patient data.
    pub reason: Line,
}

impl Succession {
    /// Whether `successor` can succeed these.
    ///
    /// # Errors
    /// If they are none, too many, or the successor itself is among them.
    pub fn check(&self, successor: &OdsCode) -> Result<(), Refusal> {
        let count = self.predecessors.len();
        if !(1..=MAX_PREDECESSORS).contains(&count) {
            Err(Refusal::Predecessors(count))
        } else if self.predecessors.contains(successor) {
            Err(Refusal::OwnPredecessor(successor.clone()))
        } else {
            Ok(())
        }
    }
}
