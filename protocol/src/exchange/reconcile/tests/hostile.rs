//! Peers and lines that lie.

use super::*;
use crate::codec::Bytes;
use crate::crypto::seal::SecretKey;
use crate::crypto::sign::KeyPair;
use crate::crypto::stream::{Cipher, StreamKey, TAG};
use crate::exchange::bundle::Shown;
use crate::exchange::bundle::stream::Unreadable;
use crate::statement::Signed;
use crate::tests::seeds;

/// Frames doubled, dropped, swapped, repeated later and changed: every end has a name, and nobody
/// is more than one bundle ahead.
#[test]
fn whatever_the_line_does_both_end_by_name_and_neither_is_far_ahead() {
    for seed in seeds(2000) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut sides = sides(6);
        let at = rng.random_range(0..60);
        let mut number = 0;
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut held: Option<(usize, Vec<u8>)> = None;
        run(&mut sides, rng, &mut |from, mut frame, rng| {
            number += 1;
            seen.push(frame.clone());
            if let Some((_, before)) = held.take_if(|(of, _)| *of == from) {
                return Some(vec![frame, before]);
            }
            if number != at {
                return (number < 2_000).then(|| vec![frame]);
            }
            Some(match rng.random_range(0..5) {
                0 => vec![frame.clone(), frame],
                1 => vec![working()],
                2 => {
                    held = Some((from, frame));
                    vec![working()]
                }
                3 => vec![seen[rng.random_range(0..seen.len())].clone(), frame],
                _ => {
                    let byte = rng.random_range(0..frame.len());
                    frame[byte] ^= 1 << rng.random_range(0..8);
                    vec![frame]
                }
            })
        });
        for side in &sides {
            assert!(side.ended.is_some(), "seed {seed}");
            assert!(side.released <= side.opened + 1, "seed {seed}");
        }
    }
}

/// A peer that takes and gives nothing has one key at most.
#[test]
fn whoever_keeps_its_keys_gets_one_bundle_at_most() {
    let mut led = 0;
    for seed in 0..20 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut sides = sides(5);
        run(&mut sides, rng, &mut |from, frame, _| {
            let key = matches!(codec::decode(&frame, MAX_BULK_FRAME), Ok(Frame::Key(..)));
            (from == 0 || !key).then(|| vec![frame])
        });
        let leads = sides[0].disk.round.as_ref().unwrap().leads;
        led += u32::from(leads);
        assert!(sides[1].opened <= u32::from(leads), "seed {seed}");
        assert_eq!(sides[0].released, u32::from(leads), "seed {seed}");
    }
    assert!(led > 0);
}

fn working() -> Vec<u8> {
    codec::encode(&Frame::Working)
}

/// Runs a round in which the first frame of the other side for which `change` gives something is
/// replaced by it, and says how ours ended.
fn replaced(change: impl Fn(&Frame, &Side) -> Option<Frame>) -> End {
    let rng = &mut StdRng::seed_from_u64(7);
    let mut sides = sides(5);
    let liar = Side::new(sides[1].pair.clone(), BTreeMap::new());
    let mut changed = false;
    run(&mut sides, rng, &mut |from, frame, _| {
        let open: Frame = codec::decode(&frame, MAX_BULK_FRAME).unwrap();
        let lie = (from == 1 && !changed)
            .then(|| change(&open, &liar))
            .flatten();
        changed |= lie.is_some();
        Some(vec![lie.map_or(frame, |lie| codec::encode(&lie))])
    });
    assert!(changed, "there was no such frame");
    assert!(sides[0].released <= sides[0].opened + 1);
    sides[0].ended.clone().unwrap().how
}

type Lie = Box<dyn Fn(&Frame, &Side) -> Option<Frame>>;

#[test]
fn every_lie_about_who_is_in_a_round_is_refused_by_name() {
    let other = Hash::new([1; 32]);
    let unfit = |what| End::Broken(Fault::Unfit(what));
    let lies: Vec<(End, Lie)> = vec![
        (
            unfit("somebody stands twice in a list of people"),
            Box::new(|frame, _| match frame {
                Frame::People { people, last } => Some(Frame::People {
                    people: [&people[..], &people[..1]].concat(),
                    last: *last,
                }),
                _ => None,
            }),
        ),
        (
            unfit("an agreement to another list"),
            Box::new(move |frame, liar| match frame {
                Frame::Agreement(signed) => {
                    let said = said::Agreement {
                        list: other,
                        ..signed.peek().unwrap()
                    };
                    Some(Frame::Agreement(Signed::sign(&said, &liar.pair.key)))
                }
                _ => None,
            }),
        ),
        (
            unfit("an agreement to another list"),
            Box::new(move |frame, liar| match frame {
                Frame::Agreement(signed) => {
                    let said = said::Agreement {
                        nonce: other,
                        ..signed.peek().unwrap()
                    };
                    Some(Frame::Agreement(Signed::sign(&said, &liar.pair.key)))
                }
                _ => None,
            }),
        ),
    ];
    for (expected, lie) in lies {
        assert_eq!(replaced(lie), expected);
    }
}

#[test]
fn every_lie_about_bundles_is_refused_by_name() {
    let other = Hash::new([1; 32]);
    let unfit = |what| End::Broken(Fault::Unfit(what));
    let opens = |change: fn(&mut frame::Opens)| -> Lie {
        Box::new(move |frame, _| match frame {
            Frame::Bundle(opens) => {
                let mut lie = *opens;
                change(&mut lie);
                Some(Frame::Bundle(lie))
            }
            _ => None,
        })
    };
    let lies: Vec<(End, Lie)> = vec![
        (
            unfit("a commitment to another bundle than was sent"),
            Box::new(move |frame, liar| match frame {
                Frame::Commitment(signed) => {
                    let said = Shown {
                        root: other,
                        ..signed.peek().unwrap()
                    };
                    Some(Frame::Commitment(Signed::sign(&said, &liar.pair.key)))
                }
                _ => None,
            }),
        ),
        (
            End::Broken(Fault::TooLarge),
            opens(|opens| opens.size = 1 << 40),
        ),
        (
            unfit("chunks left out that are not here"),
            opens(|opens| opens.skipped = 1),
        ),
        (
            unfit("a bundle whose turn it is not"),
            opens(|opens| opens.index += 3),
        ),
        (
            End::Broken(Fault::Bundle(Unreadable::Sealed)),
            Box::new(|frame, _| match frame {
                Frame::Chunk(_) => Some(Frame::Chunk(Bytes(vec![0; BUNDLE_CHUNK + TAG + 1]))),
                _ => None,
            }),
        ),
    ];
    for (expected, lie) in lies {
        assert_eq!(replaced(lie), expected);
    }
}

#[test]
fn every_lie_about_keys_and_receipts_is_refused_by_name() {
    let other = Hash::new([1; 32]);
    let unfit = |what| End::Broken(Fault::Unfit(what));
    let lies: Vec<(End, Lie)> = vec![
        (
            unfit("another key than was committed to"),
            Box::new(|frame, _| match frame {
                Frame::Key(index, _) => Some(Frame::Key(
                    *index,
                    StreamKey::new(Cipher::Aes256Gcm, SecretKey::new([1; 32])),
                )),
                _ => None,
            }),
        ),
        (
            unfit("a key to a bundle that is not held"),
            Box::new(|frame, _| match frame {
                Frame::Key(_, key) => Some(Frame::Key(4_000, key.clone())),
                _ => None,
            }),
        ),
        (
            unfit("an acknowledgement of other bundles than were sent"),
            Box::new(move |frame, liar| match frame {
                Frame::Held(signed) => {
                    let said = said::Held {
                        bundles: vec![other],
                        ..signed.peek().unwrap()
                    };
                    Some(Frame::Held(Signed::sign(&said, &liar.pair.key)))
                }
                _ => None,
            }),
        ),
        (
            unfit("receipts for other bundles than were opened"),
            Box::new(move |frame, liar| match frame {
                Frame::Receipts(signed) => {
                    let mut said = signed.peek().unwrap();
                    said.bundles = vec![(other, Verdict::Opened); 200];
                    Some(Frame::Receipts(Signed::sign(&said, &liar.pair.key)))
                }
                _ => None,
            }),
        ),
        (
            End::Broken(Fault::Statement(crate::statement::Error::OtherSigner)),
            Box::new(|frame, _| match frame {
                Frame::Held(signed) => {
                    let said = signed.peek().unwrap();
                    let stranger = KeyPair::from_seed(&[9; 32]);
                    Some(Frame::Held(Signed::sign(&said, &stranger)))
                }
                _ => None,
            }),
        ),
    ];
    for (expected, lie) in lies {
        assert_eq!(replaced(lie), expected);
    }
}
