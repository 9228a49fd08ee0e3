//! `config.toml`: what the operator of a node decides.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fairshare_protocol::category::Category;
use fairshare_protocol::ids::OdsCode;
use fairshare_protocol::limits::MAX_BUNDLE;
use fairshare_protocol::member::{MemberKind, User};
use fairshare_protocol::text::Line;
use fairshare_protocol::time::DAY;
use serde::{Deserialize, Serialize};

pub use self::rounds::{NoTime, Rounds, TimeOfDay};

mod rounds;

/// The port nodes listen on unless told otherwise, TCP and UDP alike.
pub const PORT: u16 = 7440;

/// The longest that what peers showed may be kept without being filed: 20 years.
const MAX_DAYS: u32 = 7305;

/// An operator's decisions. Unknown keys are refused, so that a mistyped one is not ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The organisation's ODS code.
    pub ods: OdsCode,
    /// What kind of member it is.
    pub kind: MemberKind,
    /// Its name, for people.
    pub name: Line,
    /// How many people it looks after at most: the cap on its advert.
    pub population: u64,
    /// Addresses to listen on, as multiaddr text.
    #[serde(default = "default_listen")]
    pub listen: Vec<String>,
    /// Addresses other members reach this node at, as multiaddr text; none if it only dials out.
    #[serde(default)]
    pub announce: Vec<Line>,
    /// Where the organisation key is, if not in the home: a path, relative to the home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation_key: Option<PathBuf>,
    /// Limits of this node.
    #[serde(default)]
    pub limits: Limits,
    /// What becomes of what peers showed.
    #[serde(default)]
    pub copies: Copies,
    /// When rounds are begun by themselves.
    #[serde(default)]
    pub rounds: Rounds,
    /// Data Security and Protection Toolkit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dspt: Option<Dspt>,
    /// Who is called when an exchange goes wrong.
    pub exchange_contact: Desk,
    /// The Caldicott Guardian.
    pub caldicott_guardian: Desk,
    /// Categories of record types, where this node's differ from the usual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, Category>,
    /// Who may use the control socket, by their user number on this machine. If nobody is named,
    /// the owner of the home is the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<KnownUser>,
}

/// A person or desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// Name or desk.
    pub name: Line,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Line>,
    /// Telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone: Option<Line>,
}

/// What the organisation published in the Data Security and Protection Toolkit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dspt {
    /// `standards-met`, `standards-exceeded`, `approaching-standards`, …
    pub status: Line,
    /// The last day it holds, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Line>,
}

/// Limits an operator may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest bundle sent or taken, in bytes.
    #[serde(default = "default_bundle")]
    pub max_bundle: u64,
    /// Room kept on disk for care and emergencies, in bytes.
    #[serde(default = "default_reserve")]
    pub reserve: u64,
}

/// What becomes of what peers showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// So many days after it came, what a peer showed is erased unless it was filed.
    #[serde(default = "default_days")]
    pub keep_days: u32,
}

impl Copies {
    /// How long what a peer showed is kept.
    pub fn kept(&self) -> Duration {
        Duration::from_millis(DAY * u64::from(self.keep_days))
    }
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            keep_days: default_days(),
        }
    }
}

/// 12 months.
const fn default_days() -> u32 {
    365
}

/// A user of this machine who may use the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownUser {
    /// The user number on this machine, as `id -u` says.
    pub uid: u32,
    /// The name, as the organisation's staff directory has it.
    pub name: Line,
    /// The role, in words.
    pub role: Line,
    /// The organisation's own identifier of the user.
    pub id: Line,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bundle: default_bundle(),
            reserve: default_reserve(),
        }
    }
}

const fn default_bundle() -> u64 {
    MAX_BUNDLE
}

const fn default_reserve() -> u64 {
    64 * 1024 * 1024
}

/// All interfaces, TCP and QUIC, on [`PORT`].
pub fn default_listen() -> Vec<String> {
    vec![
        format!("/ip4/0.0.0.0/tcp/{PORT}"),
        format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1"),
    ]
}

impl Config {
    /// Reads a config.
    ///
    /// # Errors
    /// If it cannot be read, or is not one: with the line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| {
            let before = &text[..error.span().map_or(0, |span| span.start)];
            Error::Text {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                why: error.message().trim().replace('\n', " "),
            }
        })?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let wrong = |why: String| {
            Err(Error::Value {
                path: path.to_owned(),
                why,
            })
        };
        if self.population == 0 {
            return wrong("population is 0; say how many people you look after".to_owned());
        }
        if !(1024 * 1024..=1 << 40).contains(&self.limits.max_bundle) {
            return wrong(
                "limits.max_bundle is not between 1 MiB and 1 TiB; it is in bytes".to_owned(),
            );
        }
        if !(1..=MAX_DAYS).contains(&self.copies.keep_days) {
            return wrong(format!(
                "copies.keep_days is not between 1 and {MAX_DAYS}; file what is to be kept for good"
            ));
        }
        if !(8 * 1024 * 1024..=1 << 40).contains(&self.limits.reserve) {
            return wrong(
                "limits.reserve is not between 8 MiB and 1 TiB; it is in bytes".to_owned(),
            );
        }
        let announced = self.announce.iter().map(Line::as_str);
        for address in self.listen.iter().map(String::as_str).chain(announced) {
            if !address.starts_with('/') {
                return wrong(format!(
                    "`{address}` is not an address; write it like /ip4/192.0.2.7/tcp/{PORT}"
                ));
            }
        }
        let mut seen = BTreeMap::new();
        for user in &self.users {
            if seen.insert(user.uid, ()).is_some() {
                return wrong(format!("user {} stands twice; keep one", user.uid));
            }
        }
        Ok(())
    }

    /// The text of this config, for a new home.
    pub fn text(&self) -> String {
        // Every field has a TOML form; plain values stand before tables in the struct.
        let body = toml::to_string(self).unwrap_or_default();
        format!(
            "# Fairshare: what the operator of this node decides. The node reads it when it starts.\n\
             # Listen on all interfaces or one; announce what other members can reach.\n\
             # Name who may use the control socket, by `id -u`, or the owner of this file is the operator:\n\
             #   [[users]]\n\
             #   uid = 1001\n\
             #   name = \"Sam Okafor\"\n\
             #   role = \"Records manager\"\n\
             #   id = \"sokafor\"\n\
             # Reconcile with everybody who is matched at a time of day, UTC:\n\
             #   [rounds]\n\
             #   at = \"02:30\"\n\n{body}"
        )
    }

    /// Who the user of this number is, for the journal and for peers. `owner` owns the home.
    ///
    /// # Errors
    /// If the config does not say.
    pub fn user(&self, uid: u32, owner: u32) -> Result<User, Error> {
        if let Some(user) = self.users.iter().find(|user| user.uid == uid) {
            return Ok(User {
                name: user.name.to_string(),
                role: user.role.to_string(),
                id: user.id.to_string(),
            });
        }
        if self.users.is_empty() && uid == owner {
            return Ok(User {
                name: "operator".to_owned(),
                role: "operator".to_owned(),
                id: format!("uid {uid}"),
            });
        }
        Err(Error::Stranger { uid })
    }

    /// Whether this user stands in the config by name, and is not just the home's owner.
    pub fn names(&self, user: &User) -> bool {
        let is =
            |known: &KnownUser| known.id.as_str() == user.id && known.name.as_str() == user.name;
        self.users.iter().any(is)
    }
}

/// Why a config is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: {source}; check that it belongs to the user the node runs as", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML, or not this config.
    #[error("{} line {line}: {why}; correct it there", path.display())]
    Text {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A value cannot be.
    #[error("{}: {why}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A user the config does not name.
    #[error(
        "user {uid} of this machine is not named in the node's config; add a [[users]] entry with uid = {uid} to config.toml and start the node again"
    )]
    Stranger {
        /// The user's number.
        uid: u32,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use super::*;

    pub(crate) fn sample() -> Config {
        let desk = |name: &str| Desk {
            name: name.parse().unwrap(),
            email: Some("desk@example.nhs.uk".parse().unwrap()),
            telephone: None,
        };
        Config {
            ods: "RH8".parse().unwrap(),
            kind: MemberKind::AcuteTrust,
            name: "Royal Devon".parse().unwrap(),
            population: 500,
            listen: default_listen(),
            announce: Vec::new(),
            organisation_key: None,
            limits: Limits::default(),
            copies: Copies::default(),
            rounds: Rounds::default(),
            dspt: None,
            exchange_contact: desk("Records desk"),
            caldicott_guardian: desk("Dr A. Guardian"),
            categories: BTreeMap::new(),
            users: Vec::new(),
        }
    }

    fn read(text: &str) -> Result<Config, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::read(file.path())
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut config = sample();
        config.announce = vec!["/ip4/192.0.2.7/tcp/7440".parse().unwrap()];
        config.organisation_key = Some("/media/key/RH8.key".into());
        config.categories = BTreeMap::from([("Basic".to_owned(), Category::Documents)]);
        config.users = vec![KnownUser {
            uid: 1001,
            name: "Sam \"S\" Okafor".parse().unwrap(),
            role: "Records manager".parse().unwrap(),
            id: "sokafor".parse().unwrap(),
        }];
        assert_eq!(read(&config.text()).unwrap(), config);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let text = sample().text();
        let error = |text: &str| {
            let error = read(text).unwrap_err().to_string();
            error
                .split_once(" line ")
                .map_or(error.clone(), |it| it.1.to_owned())
        };
        let line = text
            .lines()
            .position(|line| line.starts_with("kind"))
            .unwrap()
            + 1;
        let mistyped = text.replace("acute-trust", "acute");
        assert!(error(&mistyped).starts_with(&format!("{line}: unknown variant `acute`")));
        let unknown = text.replace("population", "populaton");
        assert!(error(&unknown).contains("unknown field `populaton`"));
        let address = text.replace("/ip4/0.0.0.0/tcp", "0.0.0.0");
        assert!(error(&address).contains("is not an address; write it like"));
    }

    #[test]
    fn the_owner_is_the_operator_until_users_are_named() {
        let mut config = sample();
        let operator = config.user(1000, 1000).unwrap();
        assert_eq!(operator.role, "operator");
        assert!(!config.names(&operator));
        assert!(matches!(
            config.user(1001, 1000),
            Err(Error::Stranger { uid: 1001 })
        ));
        config.users = vec![KnownUser {
            uid: 1001,
            name: "Sam".parse().unwrap(),
            role: "Clerk".parse().unwrap(),
            id: "sam".parse().unwrap(),
        }];
        let sam = config.user(1001, 1000).unwrap();
        assert_eq!(sam.name, "Sam");
        assert!(config.names(&sam));
        assert!(config.user(1000, 1000).is_err());
    }
}
