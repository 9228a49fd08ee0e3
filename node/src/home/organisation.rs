//! The organisation key: used to join, to speak for the organisation, and by stewards to sign.
//!
//! It lives in a file of one line, mode 0600, in the home or wherever the operator keeps it (a
//! memory stick in a safe). The usual form is sealed by a passphrase:
//!
//! `fairshare sealed organisation key v1 <public> argon2id <m> <t> <p> <salt> <sealed>`
//!
//! where the sealing key is Argon2id (RFC 9106) of passphrase and salt with m KiB of memory, t
//! passes and p lanes, and the seed is sealed under it with all that stands before as its place. The
//! plain form, `fairshare plain organisation key v1 <public> <seed>`, is for the demo and for those
//! whose disk or safe protects it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use fairshare_protocol::crypto::seal::{SecretKey, open_value, seal_value};
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::PublicKey;
use rand::Rng;
use zeroize::Zeroizing;

use super::keys::write_line;

/// Memory in KiB, passes and lanes for new files: the second recommendation of RFC 9106, section
/// 4, on one lane.
const COST: (u32, u32, u32) = (64 * 1024, 3, 1);
/// The most a file may ask for, so that a hostile one cannot hold the machine up.
const MAX_COST: (u32, u32, u32) = (1024 * 1024, 64, 16);
/// Fewer characters are no passphrase.
pub const MIN_PASSPHRASE: usize = 12;

const SEALED: &str = "fairshare sealed organisation key v1";
const PLAIN: &str = "fairshare plain organisation key v1";

/// An organisation key as its file holds it.
#[derive(Debug)]
pub struct OrganisationKey {
    path: PathBuf,
    public: PublicKey,
    form: Form,
}

enum Form {
    Plain(Zeroizing<[u8; 32]>),
    Sealed {
        cost: (u32, u32, u32),
        salt: Vec<u8>,
        /// What stands before the sealed seed in the file.
        place: String,
        sealed: Vec<u8>,
    },
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Sealed { .. } => "Sealed",
        })
    }
}

impl OrganisationKey {
    /// Writes `key` sealed by `passphrase`, where there must be no file yet.
    ///
    /// # Errors
    /// If the passphrase is too short, or the file is there or cannot be written.
    pub fn write_sealed(path: &Path, key: &KeyPair, passphrase: &str) -> Result<(), Error> {
        Self::seal(path, key, passphrase, COST)
    }

    fn seal(
        path: &Path,
        key: &KeyPair,
        passphrase: &str,
        cost: (u32, u32, u32),
    ) -> Result<(), Error> {
        if passphrase.chars().count() < MIN_PASSPHRASE {
            return Err(Error::ShortPassphrase);
        }
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        let (m, t, p) = cost;
        let salt_text = HEXLOWER.encode(&salt);
        let place = format!("{SEALED} {} argon2id {m} {t} {p} {salt_text}", key.public());
        let secret = stretch(path, passphrase, &salt, cost)?;
        let seed = key.seed();
        let sealed = seal_value(&secret, place.as_bytes(), &*seed, &mut rand::rng());
        write(path, &format!("{place} {}\n", HEXLOWER.encode(&sealed)))
    }

    /// Writes `key` as it is, where there must be no file yet.
    ///
    /// # Errors
    /// If the file is there or cannot be written.
    pub fn write_plain(path: &Path, key: &KeyPair) -> Result<(), Error> {
        let seed = Zeroizing::new(HEXLOWER.encode(&*key.seed()));
        let line = Zeroizing::new(format!("{PLAIN} {} {}\n", key.public(), *seed));
        write(path, &line)
    }

    /// Reads the file; the key itself stays sealed.
    ///
    /// # Errors
    /// If it cannot be read or is no organisation key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bad = || Error::Bad {
            path: path.to_owned(),
        };
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing {
                path: path.to_owned(),
            },
            io::ErrorKind::InvalidData => bad(),
            _ => Error::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        let line = text.trim_end();
        let plain = line.strip_prefix(PLAIN).map(parts);
        let sealed = line.strip_prefix(SEALED).map(parts);
        let (public, form) = match (plain.as_deref(), sealed.as_deref()) {
            (Some([public, seed]), _) => {
                let seed = HEXLOWER.decode(seed.as_bytes()).map(Zeroizing::new);
                let seed = seed.map_err(|_| bad())?;
                let seed = seed.as_slice().try_into().map_err(|_| bad())?;
                (public, Form::Plain(Zeroizing::new(seed)))
            }
            (_, Some([public, "argon2id", m, t, p, salt, sealed])) => {
                let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
                let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| bad());
                let cost = (number(m)?, number(t)?, number(p)?);
                if cost.0 > MAX_COST.0 || cost.1 > MAX_COST.1 || cost.2 > MAX_COST.2 {
                    return Err(bad());
                }
                let form = Form::Sealed {
                    cost,
                    salt: bytes(salt)?,
                    place: line.rsplit_once(' ').ok_or_else(bad)?.0.to_owned(),
                    sealed: bytes(sealed)?,
                };
                (public, form)
            }
            _ => return Err(bad()),
        };
        Ok(Self {
            path: path.to_owned(),
            public: public.parse().map_err(|_| bad())?,
            form,
        })
    }

    /// The public key.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether a passphrase is needed.
    pub const fn is_sealed(&self) -> bool {
        matches!(self.form, Form::Sealed { .. })
    }

    /// The key. `passphrase` is not looked at if none is needed. Takes about a tenth of a second
    /// and 64 MiB for a sealed key.
    ///
    /// # Errors
    /// If the passphrase is wrong, or the file was tampered with.
    pub fn open(&self, passphrase: &str) -> Result<KeyPair, Error> {
        let seed = match &self.form {
            Form::Plain(seed) => seed.clone(),
            Form::Sealed {
                cost,
                salt,
                place,
                sealed,
            } => {
                let secret = stretch(&self.path, passphrase, salt, *cost)?;
                let seed = open_value(&secret, place.as_bytes(), sealed);
                let seed = seed.map_err(|_| Error::Passphrase {
                    path: self.path.clone(),
                })?;
                let seed = seed.as_slice().try_into().map_err(|_| Error::Bad {
                    path: self.path.clone(),
                })?;
                Zeroizing::new(seed)
            }
        };
        let key = KeyPair::from_seed(&seed);
        if key.public() != self.public {
            return Err(Error::Bad {
                path: self.path.clone(),
            });
        }
        Ok(key)
    }
}

fn parts(rest: &str) -> Vec<&str> {
    rest.split_whitespace().collect()
}

fn stretch(
    path: &Path,
    passphrase: &str,
    salt: &[u8],
    (m, t, p): (u32, u32, u32),
) -> Result<SecretKey, Error> {
    let bad = |_| Error::Bad {
        path: path.to_owned(),
    };
    let params = Params::new(m, t, p, Some(32)).map_err(bad)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(bad)?;
    Ok(SecretKey::new(*key))
}

fn write(path: &Path, line: &str) -> Result<(), Error> {
    write_line(path, line).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// Why an organisation key was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file there.
    #[error("there is no organisation key at {}; name the file with --org-key", path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// Not such a file.
    #[error("{} is no organisation key, or it was changed; restore it from its backup", path.display())]
    Bad {
        /// Which file.
        path: PathBuf,
    },
    /// The wrong passphrase.
    #[error("the passphrase does not open {}; try again, capitals and spaces matter", path.display())]
    Passphrase {
        /// Which file.
        path: PathBuf,
    },
    /// Too easily guessed.
    #[error("the passphrase has fewer than {MIN_PASSPHRASE} characters; use four or more words")]
    ShortPassphrase,
    /// It cannot be read or written.
    #[error("{}: {source}; check that it belongs to you, and that no other file is there", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails panics")]

    use std::os::unix::fs::MetadataExt;

    use super::*;

    const PHRASE: &str = "correct horse battery staple";
    const CHEAP: (u32, u32, u32) = (64, 1, 1);

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("organisation.key");
        let key = KeyPair::from_seed(&[7; 32]);
        OrganisationKey::write_sealed(&path, &key, PHRASE).unwrap();
        let held = OrganisationKey::read(&path).unwrap();
        assert!(held.is_sealed());
        assert_eq!(held.public(), key.public());
        assert_eq!(*held.open(PHRASE).unwrap().seed(), [7; 32]);
        assert!(matches!(held.open("other"), Err(Error::Passphrase { .. })));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&HEXLOWER.encode(&[7; 32])));
        assert!(matches!(
            OrganisationKey::write_plain(&path, &key),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    fn a_plain_key_needs_no_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("organisation.key");
        let key = KeyPair::from_seed(&[7; 32]);
        OrganisationKey::write_plain(&path, &key).unwrap();
        let held = OrganisationKey::read(&path).unwrap();
        assert!(!held.is_sealed());
        assert_eq!(held.open("").unwrap().public(), key.public());
        assert!(!format!("{held:?}").contains("0707"));
    }

    #[test]
    fn a_file_that_was_changed_or_asks_for_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("organisation.key");
        let key = KeyPair::from_seed(&[7; 32]);
        OrganisationKey::seal(&path, &key, PHRASE, CHEAP).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let reopened = |text: &str| {
            fs::write(&path, text).unwrap();
            OrganisationKey::read(&path).and_then(|held| held.open(PHRASE))
        };
        assert!(reopened(&good).is_ok());
        let other = KeyPair::from_seed(&[8; 32]).public().to_string();
        let public = key.public().to_string();
        assert!(matches!(
            reopened(&good.replace(&public, &other)),
            Err(Error::Passphrase { .. })
        ));
        for text in [
            good.replace("argon2id 64 ", "argon2id 4000000000 "),
            good.replace("argon2id", "argon2d"),
            good.replace(" 64 1 1 ", " 64 0 1 "),
            good.replace("v1", "v2"),
            good[..good.len() - 20].replace(' ', "  x "),
            "hello".to_owned(),
        ] {
            assert!(matches!(reopened(&text), Err(Error::Bad { .. })), "{text}");
        }
        let missing = OrganisationKey::read(&dir.path().join("none"));
        assert!(matches!(missing, Err(Error::Missing { .. })));
        let short = OrganisationKey::write_sealed(&dir.path().join("x"), &key, "eleven char");
        assert!(matches!(short, Err(Error::ShortPassphrase)));
    }
}
