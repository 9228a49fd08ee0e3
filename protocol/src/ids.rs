//! Names of things: organisations, keys, hashes, exchanges, matches, handles.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A fixed number of bytes: raw on the wire, lower-case hexadecimal in JSON and on screens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> FromStr for Fixed<N> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map_err(|_| Error::NotHex)?;
        Ok(Self(bytes.try_into().map_err(|_| Error::NotHex)?))
    }
}

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return to.collect_str(self);
        }
        let mut tuple = to.serialize_tuple(N)?;
        for byte in &self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Array<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Array<N> {
            type Value = Fixed<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fixed<N>, A::Error> {
                let mut bytes = [0; N];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = seq
                        .next_element()?
                        .ok_or_else(|| A::Error::invalid_length(i, &self))?;
                }
                Ok(Fixed(bytes))
            }
        }
        if from.is_human_readable() {
            return String::deserialize(from)?.parse().map_err(D::Error::custom);
        }
        from.deserialize_tuple(N, Array)
    }
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $n:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Fixed<$n>);

        impl $name {
            /// The name made of these bytes.
            pub const fn new(bytes: [u8; $n]) -> Self {
                Self(Fixed(bytes))
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $n] {
                &self.0 .0
            }

            /// The first eight hexadecimal digits, for tables.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }
    };
}

fixed!(
    /// A BLAKE3 hash.
    Hash,
    32
);
fixed!(
    /// The first sixteen bytes of a hash: enough to find out who lacks what.
    Digest,
    16
);
fixed!(
    /// An Ed25519 public key (RFC 8032): an organisation key or a node key.
    PublicKey,
    32
);
fixed!(
    /// An Ed25519 signature (RFC 8032).
    Signature,
    64
);
fixed!(
    /// An X25519 public key (RFC 7748) to which things for one node are sealed.
    SealKey,
    32
);
fixed!(
    /// A compressed ristretto255 element (RFC 9496); not necessarily a valid one.
    Point,
    32
);
fixed!(
    /// A federation: the hash of its first charter.
    FederationId,
    32
);
fixed!(
    /// One exchange about one person, chosen at random by the requester.
    ExchangeId,
    16
);
fixed!(
    /// One round of a reconcile, chosen at random by whoever proposes it.
    RoundId,
    16
);
fixed!(
    /// One match of two adverts (protocol.md section 3).
    MatchId,
    32
);
fixed!(
    /// A commitment in the journal to something whose opening is kept elsewhere.
    Commitment,
    32
);

impl Hash {
    /// Thirty digits in groups of five, to read over the telephone: 99 bits of the hash, so that
    /// nobody can make another thing that reads the same.
    pub fn spoken(&self) -> String {
        let groups = self.as_bytes()[..30].chunks(5).map(|five| {
            let number = five.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        });
        groups.collect::<Vec<_>>().join(" ")
    }

    /// The first sixteen bytes.
    pub fn digest(&self) -> Digest {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.as_bytes()[..16]);
        Digest::new(digest)
    }
}

impl FederationId {
    /// See [`Hash::spoken`].
    pub fn spoken(&self) -> String {
        Hash(self.0).spoken()
    }
}

/// The name two members use for one person inside one match. Tells nothing without the match, yet
/// never reaches a log or the journal, so it has no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub Fixed<32>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(…)")
    }
}

/// A person as this node's store names them. Local, opaque, and never on the wire; no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub Fixed<16>);

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonId(…)")
    }
}

/// An organisation's ODS code: 1 to 9 characters, A–Z and 0–9.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OdsCode(String);

impl OdsCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OdsCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let ok = (1..=9).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::NotOds)
        }
    }
}

impl TryFrom<String> for OdsCode {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<OdsCode> for String {
    fn from(code: OdsCode) -> Self {
        code.0
    }
}

impl fmt::Display for OdsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for OdsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not hexadecimal of the right length.
    #[error("not hexadecimal of the right length")]
    NotHex,
    /// Not an ODS code.
    #[error("not an ODS code: 1 to 9 characters, A-Z and 0-9")]
    NotOds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ods_code_is_one_to_nine_capitals_and_digits() {
        for good in ["RH8", "L83024", "912", "A", "ABCDEFGH9"] {
            assert_eq!(good.parse::<OdsCode>().unwrap().as_str(), good);
        }
        for bad in ["", "rh8", "RH 8", "RH8 ", "ABCDEFGHIJ", "É1", "R-8"] {
            assert_eq!(bad.parse::<OdsCode>(), Err(Error::NotOds), "{bad:?}");
        }
    }

    #[test]
    fn a_hash_is_read_over_the_telephone_as_six_groups_of_five_digits() {
        let spoken = Hash::new([0xff; 32]).spoken();
        // 2^40 - 1 = 1099511627775
        assert_eq!(spoken, "27775 27775 27775 27775 27775 27775");
        assert_eq!(
            Hash::new([0; 32]).spoken(),
            "00000 00000 00000 00000 00000 00000"
        );
    }

    #[test]
    fn a_hash_reads_back_from_its_hexadecimal() {
        let hash = Hash::new([0xab; 32]);
        assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
        assert!("abc".parse::<Hash>().is_err());
    }
}
