//! Receipts for bundles that were filed.

use super::orders::{Found, Round};
use super::said::Receipts;
use super::{Out, frame::Frame, keep, send};
use crate::conversation::Output;
use crate::exchange::answer::Verdict;
use crate::exchange::ask::Pair;
use crate::ids::{ExchangeId, Hash};
use crate::journal::{Act, Outcome};
use crate::limits::MAX_STATED;
use crate::statement::Signed;
use crate::time::Timestamp;

/// Signs and sends receipts for what is filed, from the place `first` on.
pub(super) fn receipt(
    pair: &Pair,
    round: &Round,
    first: u32,
    filed: &[(ExchangeId, Hash, Found)],
    now: Timestamp,
    out: &mut Out,
) {
    for (part, first) in filed.chunks(MAX_STATED).zip((first..).step_by(MAX_STATED)) {
        let (signed, acts) = receipts(pair, round, first, part, now);
        out.push(keep(&signed));
        out.extend(acts.into_iter().map(Output::Record));
        out.push(send(&Frame::Receipts(signed)));
    }
}

/// A receipt for what is filed, from the place `first` on, and what the journal says of it.
pub fn receipts(
    pair: &Pair,
    round: &Round,
    first: u32,
    filed: &[(ExchangeId, Hash, Found)],
    now: Timestamp,
) -> (Signed<Receipts>, Vec<Act>) {
    let bundles = filed
        .iter()
        .map(|(_, shown, found)| (*shown, found.verdict));
    let receipts = Receipts {
        round: round.id,
        from: pair.me.clone(),
        to: pair.peer.clone(),
        first,
        bundles: bundles.collect(),
        at: now,
    };
    let signed = Signed::sign(&receipts, &pair.key);
    let receipt = signed.hash();
    let acts = filed.iter().map(|(exchange, shown, found)| Act::Received {
        exchange: *exchange,
        peer: pair.peer.clone(),
        person: found.person,
        commitment: *shown,
        receipt,
        outcome: match found.verdict {
            Verdict::Opened => Outcome::Delivered(found.counts.clone()),
            Verdict::WrongPerson => Outcome::WrongPerson,
        },
    });
    let acts = acts.collect();
    (signed, acts)
}
