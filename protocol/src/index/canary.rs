//! Canaries: entries `g^r` of our own advert for which we alone can tell the right tag.
//!
//! Nobody can tell `g^r` from `H(x)^k`. A peer that hides, drops or invents tags hits canaries as
//! often as people. With c canaries a peer that spoils a fraction f of its tags is missed with
//! probability (1 − f)^c: for 1 % and [`MIN_CANARIES`] that is 10⁻⁵. All `r` are drawn from one
//! seed, so that they need no room in the store.
//!
//! [`MIN_CANARIES`]: crate::limits::MIN_CANARIES

use zeroize::Zeroizing;

use crate::crypto::blind::{self, NotAPoint, Secret};
use crate::crypto::hash;
use crate::ids::Point;

/// The exponent `r` of one canary.
pub fn secret(seed: &[u8; 32], number: u32) -> Secret {
    let mut uniform = Zeroizing::new([0; 64]);
    hash::stream("canary", &[seed, &number.to_le_bytes()], &mut *uniform);
    Secret::from_uniform(&uniform)
}

/// The entries `g^r` of canaries `from` up to but not including `to`.
pub fn entries(seed: &[u8; 32], from: u32, to: u32) -> Vec<Point> {
    let secrets: Vec<_> = (from..to).map(|number| secret(seed, number)).collect();
    blind::base_to_each(secrets.iter())
}

/// What a peer of public key `g^k` must make of our first `count` canaries: `(g^k)^r`.
///
/// # Errors
/// If the peer's key is the identity or not canonical.
pub fn raised(seed: &[u8; 32], count: u32, key: &Point) -> Result<Vec<Point>, NotAPoint> {
    raised_of(seed, 0..count, key)
}

/// [`raised`], of the canaries with these numbers.
///
/// # Errors
/// If the peer's key is the identity or not canonical.
pub fn raised_of(
    seed: &[u8; 32],
    numbers: impl IntoIterator<Item = u32>,
    key: &Point,
) -> Result<Vec<Point>, NotAPoint> {
    let secrets: Vec<_> = numbers.into_iter().map(|n| secret(seed, n)).collect();
    blind::point_to_each(key, secrets.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_makes_of_a_canary_is_known_beforehand() {
        let seed = [5; 32];
        let peer = Secret::from_uniform(&[8; 64]);
        let canaries = entries(&seed, 0, 300);
        assert_eq!(
            peer.raise(&canaries).unwrap(),
            raised(&seed, 300, &peer.public()).unwrap()
        );
        assert_eq!(entries(&seed, 100, 300), canaries[100..]);
    }
}
