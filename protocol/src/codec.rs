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

/// Bytes with room in front for the head of a message that ends with them: a large run of bytes leaves
/// from where it was made, without being copied.
#[derive(Clone, PartialEq, Eq)]
pub struct Roomy(Vec<u8>);

/// What is in front of [`Bytes`] in messages: one byte that says which it is, and their length.
const ROOM: usize = 6;

impl Roomy {
    /// So many zeros, and capacity for so many bytes more.
    pub fn zeros(length: usize, more: usize) -> Self {
        let mut bytes = Vec::with_capacity(ROOM + length + more);
        bytes.resize(ROOM + length, 0);
        Self(bytes)
    }

    /// How many bytes there are.
    pub const fn len(&self) -> usize {
        self.0.len() - ROOM
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts off what is beyond `length`, or appends zeros up to it.
    pub fn resize(&mut self, length: usize) {
        self.0.resize(ROOM + length, 0);
    }

    /// Appends bytes.
    pub fn push(&mut self, more: &[u8]) {
        self.0.extend_from_slice(more);
    }

    /// The message that ends with these bytes, as [`Bytes`]; `none` is the same message without any.
    pub fn into_message<T: Serialize>(mut self, none: &T) -> Vec<u8> {
        let mut head = encode(none);
        // A length of zero: one byte.
        head.pop();
        head = encode_after(head, &(self.len() as u64));
        match ROOM.checked_sub(head.len()) {
            Some(unused) => {
                self.0[unused..ROOM].copy_from_slice(&head);
                // Nothing of a whole chunk of a bundle; otherwise there is less to move.
                self.0.drain(..unused);
                self.0
            }
            None => [&head, self.as_ref()].concat(),
        }
    }
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.0[ROOM..]
    }
}

impl AsMut<[u8]> for Roomy {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0[ROOM..]
    }
}

impl FromIterator<u8> for Roomy {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut roomy = Self::zeros(0, 0);
        roomy.0.extend(bytes);
        roomy
    }
}

impl fmt::Debug for Roomy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
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
    fn a_message_made_around_its_bytes_is_the_one_that_is_encoded() {
        for length in [0, 1, 250, 251, 65_535, 65_536, 65_552, 70_000] {
            let bytes = vec![7; length];
            let roomy: Roomy = bytes.iter().copied().collect();
            let expected = encode(&(3_u8, Bytes(bytes.clone())));
            assert_eq!(roomy.into_message(&(3_u8, Bytes::default())), expected);
            let mut roomy = Roomy::zeros(0, 0);
            roomy.push(&bytes);
            let names = vec!["longer than the room".to_owned()];
            let expected = encode(&(&names, Bytes(bytes)));
            assert_eq!(roomy.into_message(&(&names, Bytes::default())), expected);
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut bomb = vec![5, 253];
        bomb.extend(u64::MAX.to_le_bytes());
        assert_eq!(decode::<Sample>(&bomb, 64), Err(Error::Malformed));
    }
}
