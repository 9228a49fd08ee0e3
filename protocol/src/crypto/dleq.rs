//! Batched proofs of equal discrete logarithms (RFC 9497 sections 2.2.1 and 2.2.2).
//!
//! A prover who knows `k` shows that `g^k` is its public key and that `d[i] = c[i]^k` for every
//! `i`, at once and without showing `k`. The context string separates uses: RFC 9497 names suite
//! and mode in it, a match names match id, prover and list (`index::matching`).
//!
//! Variable time. The prover's composite is a sum over the `c[i]`, which both sides know, with
//! hashes of both lists as scalars: no secret enters it, so the library's variable-time sum is
//! used. Everything the prover does with `k` or the proof's nonce is constant-time. The verifier
//! holds no secret of its own: its scalars are hashes and the proof.

use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::blind::{Dst, NotAPoint, Secret, compress, decompress, hash_to_scalar};
use crate::ids::{Fixed, Point};

/// The most pairs one proof covers: RFC 9497 counts them in two bytes.
pub const MAX_PAIRS: usize = 65_535;

/// A proof: challenge and response, 32 bytes each (RFC 9497 section 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof(pub Fixed<64>);

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// Proves `d[i] = c[i]^key` for all `i`. `nonce` must be fresh and secret: two proofs with one
/// nonce give the key away.
///
/// # Errors
/// If the lists differ in length or are too long, or a `c[i]` is no point.
pub fn prove(
    key: &Secret,
    c: &[Point],
    d: &[Point],
    nonce: &Secret,
    context: &[u8],
) -> Result<Proof, Error> {
    let public = key.public();
    let weights = weights(&public, c, d, context)?;
    let m = sum(&weights, c)?;
    let z = key.scalar() * m;
    let t2 = RistrettoPoint::mul_base(nonce.scalar());
    let t3 = nonce.scalar() * m;
    let challenge = challenge(&public, [&m, &z, &t2, &t3], context);
    let hidden = Zeroizing::new(challenge * key.scalar());
    let response = nonce.scalar() - *hidden;
    let mut proof = [0; 64];
    proof[..32].copy_from_slice(challenge.as_bytes());
    proof[32..].copy_from_slice(response.as_bytes());
    Ok(Proof(Fixed(proof)))
}

/// Checks that whoever knows the key of `public` raised every `c[i]` to it and got `d[i]`.
///
/// # Errors
/// If it is not shown: see [`Error`].
pub fn verify(
    public: &Point,
    c: &[Point],
    d: &[Point],
    proof: &Proof,
    context: &[u8],
) -> Result<(), Error> {
    let scalar = |half: &[u8]| {
        let bytes = half.try_into().map_err(|_| Error::Malformed)?;
        Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes)).ok_or(Error::Malformed)
    };
    let (left, right) = proof.0.0.split_at(32);
    let (claimed, response) = (scalar(left)?, scalar(right)?);
    let weights = weights(public, c, d, context)?;
    let (m, z) = (sum(&weights, c)?, sum(&weights, d)?);
    let b = decompress(public)?;
    let t2 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&claimed, &b, &response);
    let t3 = RistrettoPoint::vartime_multiscalar_mul([response, claimed], [m, z]);
    if challenge(public, [&m, &z, &t2, &t3], context) == claimed {
        Ok(())
    } else {
        Err(Error::NotShown)
    }
}

/// The scalars of ComputeComposites (RFC 9497 section 2.2.1): a hash of each pair.
fn weights(b: &Point, c: &[Point], d: &[Point], context: &[u8]) -> Result<Vec<Scalar>, Error> {
    if c.len() != d.len() || c.len() > MAX_PAIRS {
        return Err(Error::Lengths);
    }
    let seed_dst = [b"Seed-", context].concat();
    let seed: [u8; 64] = Sha512::new()
        .chain_update(32u16.to_be_bytes())
        .chain_update(b.as_bytes())
        .chain_update((seed_dst.len() as u16).to_be_bytes())
        .chain_update(&seed_dst)
        .finalize()
        .into();
    let dst = Dst::new(&[b"HashToScalar-", context]);
    // seed length, seed, i, length, c[i], length, d[i], "Composite"
    let mut transcript = [
        &64u16.to_be_bytes(),
        seed.as_slice(),
        &[0; 2],
        &32u16.to_be_bytes(),
        &[0; 32],
        &32u16.to_be_bytes(),
        &[0; 32],
        b"Composite",
    ]
    .concat();
    let weight = |(i, (c, d)): (usize, (&Point, &Point))| {
        transcript[66..68].copy_from_slice(&(i as u16).to_be_bytes());
        transcript[70..102].copy_from_slice(c.as_bytes());
        transcript[104..136].copy_from_slice(d.as_bytes());
        hash_to_scalar(&transcript, &dst)
    };
    Ok(c.iter().zip(d).enumerate().map(weight).collect())
}

fn sum(weights: &[Scalar], points: &[Point]) -> Result<RistrettoPoint, NotAPoint> {
    let points: Vec<_> = points.iter().map(decompress).collect::<Result<_, _>>()?;
    Ok(RistrettoPoint::vartime_multiscalar_mul(weights, points))
}

fn challenge(b: &Point, elements: [&RistrettoPoint; 4], context: &[u8]) -> Scalar {
    let mut transcript = Vec::with_capacity(5 * 34 + 9);
    for element in [*b].into_iter().chain(elements.map(compress)) {
        transcript.extend_from_slice(&32u16.to_be_bytes());
        transcript.extend_from_slice(element.as_bytes());
    }
    transcript.extend_from_slice(b"Challenge");
    hash_to_scalar(&transcript, &Dst::new(&[b"HashToScalar-", context]))
}

/// Why a proof was not made, or does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The two lists are not of one length, or over [`MAX_PAIRS`].
    #[error("the two lists are not of one length, or too long")]
    Lengths,
    /// Challenge or response is no canonical scalar.
    #[error("the proof is malformed")]
    Malformed,
    /// A point is none.
    #[error("a point of the proof is {0}")]
    Point(#[from] NotAPoint),
    /// The proof does not show what it claims.
    #[error("the proof does not hold")]
    NotShown,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &[u8] = b"OPRFV1-\x01-ristretto255-SHA512";
    const KEY: &str = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909";
    const PUBLIC: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        text.parse::<Fixed<N>>().unwrap().0
    }

    fn key() -> Secret {
        Secret::from_bytes(&bytes(KEY)).unwrap()
    }

    /// RFC 9497 appendix A.1.2, test vectors 1 to 3: blinded, evaluated, nonce, proof.
    #[test]
    fn proofs_are_those_of_rfc_9497() {
        let blinded = [
            "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
            "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
        ];
        let evaluated = [
            "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468",
            "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
        ];
        let single = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";
        let batch = "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c";
        let vectors: [(&[usize], &str, &str); 3] = [
            (
                &[0],
                single,
                "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06\
                 6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
            ),
            (
                &[1],
                single,
                "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a\
                 67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
            ),
            (
                &[0, 2],
                batch,
                "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a\
                 5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
            ),
        ];
        let public = Point::new(bytes(PUBLIC));
        assert_eq!(key().public(), public);
        for (which, nonce, expected) in vectors {
            let c: Vec<_> = which
                .iter()
                .map(|&i| Point::new(bytes(blinded[i])))
                .collect();
            let d: Vec<_> = which
                .iter()
                .map(|&i| Point::new(bytes(evaluated[i])))
                .collect();
            let nonce = Secret::from_bytes(&bytes(nonce)).unwrap();
            let proof = prove(&key(), &c, &d, &nonce, CONTEXT).unwrap();
            assert_eq!(proof, Proof(Fixed(bytes(expected))));
            assert_eq!(verify(&public, &c, &d, &proof, CONTEXT), Ok(()));
        }
    }

    #[test]
    fn a_proof_holds_for_its_key_lists_and_context_only() {
        let c: Vec<_> = (1..20)
            .map(|n| Secret::from_uniform(&[n; 64]).public())
            .collect();
        let d = key().raise(&c).unwrap();
        let nonce = Secret::from_uniform(&[99; 64]);
        let proof = prove(&key(), &c, &d, &nonce, b"here").unwrap();
        let public = key().public();
        assert_eq!(verify(&public, &c, &d, &proof, b"here"), Ok(()));
        assert_eq!(
            verify(&public, &c, &d, &proof, b"there"),
            Err(Error::NotShown)
        );
        assert_eq!(verify(&c[0], &c, &d, &proof, b"here"), Err(Error::NotShown));
        assert_eq!(
            verify(&public, &c[1..], &d[1..], &proof, b"here"),
            Err(Error::NotShown)
        );
        assert_eq!(
            verify(&public, &c, &d[1..], &proof, b"here"),
            Err(Error::Lengths)
        );
        let mut swapped = d.clone();
        swapped.swap(3, 4);
        assert_eq!(
            verify(&public, &c, &swapped, &proof, b"here"),
            Err(Error::NotShown)
        );
        for at in 0..64 {
            let mut changed = proof;
            changed.0.0[at] ^= 1;
            assert!(
                verify(&public, &c, &d, &changed, b"here").is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn one_false_pair_among_many_spoils_the_proof() {
        let c: Vec<_> = (1..20)
            .map(|n| Secret::from_uniform(&[n; 64]).public())
            .collect();
        let mut d = key().raise(&c).unwrap();
        d[7] = c[7];
        let nonce = Secret::from_uniform(&[99; 64]);
        let proof = prove(&key(), &c, &d, &nonce, b"here").unwrap();
        let public = key().public();
        assert_eq!(
            verify(&public, &c, &d, &proof, b"here"),
            Err(Error::NotShown)
        );
    }
}
