//! BLAKE3 with domain labels.

use crate::ids::Hash;

/// BLAKE3 in key-derivation mode: context `fairshare v1 <label>`, each part preceded by its length
/// as eight little-endian bytes, so that no two lists of parts give the same input.
pub fn parts(label: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(&format!("fairshare v1 {label}"));
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Hash::new(*hasher.finalize().as_bytes())
}

/// Plain BLAKE3 of one run of bytes: contents of files and chunks.
pub fn bytes(bytes: &[u8]) -> Hash {
    Hash::new(*blake3::hash(bytes).as_bytes())
}
