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
        let receipts = Receipts {
            round: round.id,
            from: pair.me.clone(),
            to: pair.peer.clone(),
            first,
            bundles: part
                .iter()
                .map(|(_, shown, found)| (*shown, found.verdict))
                .collect(),
            at: now,
        };
        let signed = Signed::sign(&receipts, &pair.key);
        out.push(keep(&signed));
        for (exchange, shown, found) in part {
            out.push(Output::Record(Act::Received {
                exchange: *exchange,
                peer: pair.peer.clone(),
                person: found.person,
                commitment: *shown,
                receipt: signed.hash(),
                outcome: match found.verdict {
                    Verdict::Opened => Outcome::Delivered(found.counts.clone()),
                    Verdict::WrongPerson => Outcome::WrongPerson,
                },
            }));
        }
        out.push(send(&Frame::Receipts(signed)));
    }
}
