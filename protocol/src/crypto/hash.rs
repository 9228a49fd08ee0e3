//! BLAKE3 with domain labels.

use crate::ids::Hash;

/// BLAKE3 in key-derivation mode: context `fairshare v1 <label>`, each part preceded by its length
/// as eight little-endian bytes, so that no two lists of parts give the same input.
pub fn parts(label: &str, parts: &[&[u8]]) -> Hash {
    Hash::new(*over(label, parts).finalize().as_bytes())
}

/// [`parts`], drawn out to as many bytes as `out` has.
pub fn stream(label: &str, parts: &[&[u8]], out: &mut [u8]) {
    over(label, parts).finalize_xof().fill(out);
}

fn over(label: &str, parts: &[&[u8]]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key(&format!("fairshare v1 {label}"));
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher
}

/// BLAKE3 keyed by a hash that has the label in it: for many short inputs under one label.
pub fn keyed(key: &Hash, bytes: &[u8]) -> Hash {
    Hash::new(*blake3::keyed_hash(key.as_bytes(), bytes).as_bytes())
}

/// Plain BLAKE3 of one run of bytes: contents of files and chunks.
pub fn bytes(bytes: &[u8]) -> Hash {
    Hash::new(*blake3::hash(bytes).as_bytes())
}
