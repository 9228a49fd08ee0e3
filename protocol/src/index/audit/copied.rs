//! An advert in a file, so that it can be checked where no node is: what every peer has of it.
//!
//! A magic of twelve bytes, a version of four, the length of the signed header in four, the signed
//! header, and the entries, 32 bytes each, as many as the header says. Numbers are little-endian.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::finding::Finding;
use super::picked::Picked;
use super::{Demand, draw, header};
use crate::codec;
use crate::ids::{Point, PublicKey};
use crate::index::advert::{Header, Void};
use crate::limits::{MAX_ADVERT, MAX_STATEMENT};
use crate::statement::Signed;

const MAGIC: &[u8; 12] = b"fairshare ad";
const VERSION: u32 = 1;
/// What signer, signature and lengths add to a header.
const AROUND: usize = 256;

/// Writes what stands before the entries; all chunks follow it as they are.
///
/// # Errors
/// If it cannot be written.
pub fn begin(signed: &Signed<Header>, out: &mut impl Write) -> io::Result<()> {
    let bytes = codec::encode(signed);
    // A statement is far shorter than 32 bits can say.
    let length = bytes.len() as u32;
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&bytes)
}

/// A header and the entries of the sample, read from such a file and found to be what `node`
/// signed.
pub type Copied = (Signed<Header>, BTreeMap<u32, Point>);

/// Reads the file; memory does not grow with it.
///
/// # Errors
/// If it cannot be read, is none such, or is not what `node` signed.
pub fn read(
    input: &mut impl Read,
    node: &PublicKey,
    demand: &Demand,
) -> Result<Result<Copied, Finding>, Unread> {
    let signed = signed(input)?;
    let header = match header(&signed, node) {
        Ok(header) => header,
        Err(finding) => return Ok(Err(finding)),
    };
    if header.count as usize > MAX_ADVERT {
        return Ok(Err(Finding::Advert(Void::Length)));
    }
    let sample = draw(&signed, header.count, demand);
    let mut picked = Picked::new(&header, &sample);
    loop {
        let length = picked.next_len() as u64 * 32;
        let mut chunk = Vec::new();
        input.by_ref().take(length).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        if let Err(finding) = picked.take(&chunk) {
            return Ok(Err(finding));
        }
    }
    Ok(picked.end().map(|entries| (signed, entries)))
}

fn signed(input: &mut impl Read) -> Result<Signed<Header>, Unread> {
    let mut start = Vec::new();
    input.by_ref().take(20).read_to_end(&mut start)?;
    let rest = start.strip_prefix(MAGIC).ok_or(Unread::NotACopy)?;
    let (numbers, rest) = rest.as_chunks::<4>();
    let ([version, length], []) = (numbers, rest) else {
        return Err(Unread::NotACopy);
    };
    if *version != VERSION.to_le_bytes() {
        return Err(Unread::Version);
    }
    let limit = MAX_STATEMENT + AROUND;
    let length = u64::from(u32::from_le_bytes(*length)).min(limit as u64 + 1);
    let mut bytes = Vec::new();
    input.by_ref().take(length).read_to_end(&mut bytes)?;
    codec::decode(&bytes, limit).map_err(|_| Unread::NotACopy)
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("no copy of an advert; `fairshare index export` writes one")]
    NotACopy,
    /// Of another version.
    #[error("a copy of an advert of another version; bring both programs to the same")]
    Version,
}
