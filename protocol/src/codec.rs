//! Bytes on the wire and in files: bincode 2 `standard()`, always bounded, never with bytes left over.
//!
//! Only this module names bincode. Rules it enforces: a byte limit before anything is read, no
//! trailing bytes, and one encoding per value (bincode accepts over-long varints; we re-encode and
//! compare). Rules it cannot enforce and the house tests do: no recursive types, no zero-sized
//! elements, no unordered maps in what is encoded.

use std::fmt;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nothing decoded here may claim more than this, whatever its caller's limit.
const HARD_LIMIT: usize = 64 * 1024 * 1024;

/// The bytes of a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Our types are structs, enums, sequences and maps of known length: all of these encode.
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .expect("wire types have a bincode encoding; the codec tests encode each of them")
}

/// Appends the bytes of a value.
pub fn encode_after<T: Serialize + ?Sized>(mut before: Vec<u8>, value: &T) -> Vec<u8> {
    bincode::serde::encode_into_std_write(value, &mut before, bincode::config::standard())
        .expect("as above, and a vector takes every byte");
    before
}

/// The value of these bytes, which must be its one encoding and no longer than `limit`.
///
/// # Errors
/// If the bytes are longer than `limit`, not an encoding of `T`, or not its shortest one.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, Error> {
    if bytes.len() > limit {
        return Err(Error::TooLong {
            length: bytes.len(),
            limit,
        });
    }
    let config = bincode::config::standard().with_limit::<HARD_LIMIT>();
    let (value, read) =
        bincode::serde::decode_from_slice::<T, _>(bytes, config).map_err(|_| Error::Malformed)?;
    if read != bytes.len() {
        return Err(Error::Trailing);
    }
    let mut rest = Rest(bytes);
    let same = bincode::serde::encode_into_writer(&value, &mut rest, config);
    if same.is_err() || !rest.0.is_empty() {
        return Err(Error::NotCanonical);
    }
    Ok(value)
}

/// Takes what is written if it is what these bytes go on with: nothing is copied to compare.
struct Rest<'a>(&'a [u8]);

impl bincode::enc::write::Writer for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or(bincode::error::EncodeError::Other("not canonical"))?;
        Ok(())
    }
}

/// Why bytes were not decoded. Whoever sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than this kind of message may be.
    #[error("{length} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not an encoding of the expected type.
    #[error("malformed message")]
    Malformed,
    /// A whole value, and then more bytes.
    #[error("bytes after the end of the message")]
    Trailing,
    /// A value encoded in a longer way than need be.
    #[error("message not in its canonical encoding")]
    NotCanonical,
}

/// Bytes that encode and decode as one block rather than one by one.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return to.serialize_str(&data_encoding::BASE64.encode(&self.0));
        }
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Block;
        impl Visitor<'_> for Block {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                let bytes = data_encoding::BASE64.decode(text.as_bytes());
                bytes.map(Bytes).map_err(|_| E::custom("not base64"))
            }
        }
        if from.is_human_readable() {
            return from.deserialize_str(Block);
        }
        from.deserialize_byte_buf(Block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u64,
        bytes: Bytes,
        names: Vec<String>,
    }

    fn sample() -> Sample {
        Sample {
            number: 5,
            bytes: Bytes(vec![1, 2, 3]),
            names: vec!["a".into()],
        }
    }

    #[test]
    fn a_value_reads_back() {
        let bytes = encode(&sample());
        assert_eq!(decode::<Sample>(&bytes, 64), Ok(sample()));
    }

    #[test]
    fn what_is_too_long_cut_short_extended_or_padded_is_refused() {
        let bytes = encode(&sample());
        let long = Error::TooLong {
            length: bytes.len(),
            limit: 4,
        };
        assert_eq!(decode::<Sample>(&bytes, 4), Err(long));
        assert_eq!(
            decode::<Sample>(&bytes[..bytes.len() - 1], 64),
            Err(Error::Malformed)
        );
        let mut more = bytes.clone();
        more.push(0);
        assert_eq!(decode::<Sample>(&more, 64), Err(Error::Trailing));
        let mut padded = vec![251, 5, 0];
        padded.extend(&bytes[1..]);
        assert_eq!(decode::<Sample>(&padded, 64), Err(Error::NotCanonical));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut bomb = vec![5, 253];
        bomb.extend(u64::MAX.to_le_bytes());
        assert_eq!(decode::<Sample>(&bomb, 64), Err(Error::Malformed));
    }
}
