//! `who-saw`: who saw what of one person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairshare_protocol::category::Purpose;
use fairshare_protocol::control::Failure;
use fairshare_protocol::control::exchange::{Counts, Seen, Sight, WhoSaw, WhoSawReport};
use fairshare_protocol::exchange::review::Side;
use fairshare_protocol::ids::{Commitment, ExchangeId, OdsCode};
use fairshare_protocol::journal::{Act, Entry, Outcome};
use fairshare_protocol::member::User;
use fairshare_protocol::text::Line;

use super::members::{desk, named, operator};
use super::received::counts;
use super::{blocking, wrong};
use crate::engine::drive::now;
use crate::engine::finding;
use crate::node::Node;
use crate::store;

/// Everything the journal holds about one person. Reads all of it.
///
/// # Errors
/// If store or journal fail.
pub async fn who_saw(
    node: &Arc<Node>,
    user: &User,
    question: WhoSaw,
) -> Result<WhoSawReport, Failure> {
    operator(node, user, "asked who saw what of somebody".to_owned()).await?;
    let node = Arc::clone(node);
    blocking(move || {
        let held = node.records.people_by_key(&question.person);
        let held = held.map_err(|error| wrong(&error))?;
        let mut names = BTreeSet::new();
        for id in held
            .iter()
            .copied()
            .chain([finding::looked_for(&node, &question.person)])
        {
            let more = node.exchanges.commitments(id);
            names.extend(more.map_err(|error| wrong(&error))?);
        }
        let mut sights = Vec::new();
        if !names.is_empty() {
            let entries = node.journal.entries(1).map_err(|error| wrong(&error))?;
            let mut begun = BTreeMap::new();
            for entry in entries {
                let entry = entry.map_err(|error| wrong(&error))?;
                sights.extend(sight(node.code(), entry, &names, &mut begun));
            }
        }
        for sight in &mut sights {
            sight.reason = reason(&node, sight).map_err(|error| wrong(&error))?;
        }
        let members: BTreeSet<_> = sights.iter().map(|sight| sight.member.clone()).collect();
        Ok(WhoSawReport {
            now: now(),
            own: node.code().clone(),
            guardian: desk(&node.config.caldicott_guardian),
            names: named(&node, members),
            held: !held.is_empty(),
            sights,
        })
    })
    .await
}

/// Why an emergency was one, as whoever asked said: its review has it.
fn reason(node: &Node, sight: &Sight) -> Result<Option<Line>, store::Error> {
    let (Some(Purpose::Emergency), Some(exchange)) = (sight.purpose, &sight.exchange) else {
        return Ok(None);
    };
    let side = match sight.what {
        Seen::Asked => Side::Asked,
        Seen::Shown | Seen::NothingShown(_) | Seen::Refused(_) => Side::Answered,
        _ => return Ok(None),
    };
    let mut found = node.reviews.of(exchange)?.into_iter();
    let found = found.find(|it| it.review.side == side && it.review.peer == sight.member);
    Ok(found.map(|it| it.review.reason))
}

/// How an exchange came about in which something was shown; in a round nothing says so before it is.
enum Begun {
    /// By a question of ours.
    Asked(Purpose),
    /// By an answer, or in return for one: which said already what was shown.
    Answered(Purpose),
    /// By a notice.
    Told,
}

impl Begun {
    const fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Asked(purpose) | Self::Answered(purpose) => Some(*purpose),
            Self::Told => None,
        }
    }
}

/// What an entry says of a person the journal calls by one of these names; `begun` remembers of the
/// entries before what tells how the exchange began.
fn sight(
    us: &OdsCode,
    entry: Entry,
    names: &BTreeSet<Commitment>,
    begun: &mut BTreeMap<ExchangeId, Begun>,
) -> Option<Sight> {
    let mut sight = Sight {
        entry: entry.number,
        at: entry.at,
        member: us.clone(),
        user: None,
        purpose: None,
        reason: None,
        what: Seen::Searched,
        records: Counts::new(),
        exchange: None,
    };
    let person = match entry.act {
        Act::Searched { user, person } => {
            sight.user = Some(user);
            person
        }
        Act::Asked {
            exchange,
            peer,
            purpose,
            user,
            person,
            ..
        } => {
            begun.insert(exchange, Begun::Asked(purpose));
            (sight.member, sight.user) = (peer, Some(user));
            (sight.purpose, sight.exchange) = (Some(purpose), Some(exchange));
            sight.what = Seen::Asked;
            person
        }
        Act::Answered {
            exchange,
            peer,
            purpose,
            user,
            person,
            outcome,
            private,
            ..
        } => {
            begun.insert(exchange, Begun::Answered(purpose));
            (sight.member, sight.user) = (peer, Some(user));
            (sight.purpose, sight.exchange) = (Some(purpose), Some(exchange));
            sight.what = match outcome {
                Outcome::Delivered(shown) => {
                    sight.records = counts(shown);
                    Seen::Shown
                }
                Outcome::Refused(code) => Seen::Refused(code),
                _ => Seen::NothingShown(private.unwrap_or_default()),
            };
            person?
        }
        Act::Returned {
            exchange,
            peer,
            purpose,
            person,
            outcome,
            ..
        } => {
            begun.insert(exchange, Begun::Answered(purpose));
            let Outcome::Delivered(shown) = outcome else {
                return None;
            };
            (sight.member, sight.records) = (peer, counts(shown));
            (sight.purpose, sight.exchange) = (Some(purpose), Some(exchange));
            sight.what = Seen::ShownInReturn;
            person
        }
        Act::Told { exchange, .. } => {
            begun.insert(exchange, Begun::Told);
            return None;
        }
        Act::Shown {
            exchange,
            peer,
            person,
            counts: shown,
            ..
        } => {
            sight.what = match begun.get(&exchange) {
                Some(Begun::Answered(_)) => return None,
                Some(Begun::Told) => Seen::Told,
                Some(Begun::Asked(_)) | None => {
                    sight.purpose = Some(Purpose::SharedCare);
                    Seen::ShownInRound
                }
            };
            (sight.member, sight.exchange) = (peer, Some(exchange));
            sight.records = counts(shown);
            person
        }
        Act::Received {
            exchange,
            peer,
            person,
            outcome,
            ..
        } => {
            sight.purpose = begun.get(&exchange).and_then(Begun::purpose);
            (sight.member, sight.exchange) = (peer, Some(exchange));
            sight.what = match outcome {
                Outcome::Delivered(shown) => {
                    sight.records = counts(shown);
                    Seen::Received
                }
                _ => Seen::WrongPerson,
            };
            person
        }
        Act::AnswerHeard {
            exchange,
            peer,
            person,
            outcome,
            ..
        } => {
            sight.purpose = begun.get(&exchange).and_then(Begun::purpose);
            (sight.member, sight.exchange) = (peer, Some(exchange));
            sight.what = match outcome {
                Outcome::Failed(why) => Seen::Failed(why),
                Outcome::Refused(code) => Seen::Refused(code),
                _ => return None,
            };
            person
        }
        Act::Withheld {
            user,
            person,
            reason,
            withheld,
        } => {
            sight.user = Some(user);
            sight.what = match withheld {
                true => Seen::Withheld(reason),
                false => Seen::Released(reason),
            };
            person
        }
        Act::BrokenOff {
            exchange,
            peer,
            person,
            ..
        } => {
            sight.purpose = begun.get(&exchange).and_then(Begun::purpose);
            (sight.member, sight.exchange) = (peer, Some(exchange));
            sight.what = Seen::BrokenOff;
            person
        }
        Act::Stop {
            user,
            peer,
            person,
            reason,
            stopped,
            ..
        } => {
            (sight.member, sight.user) = (peer.unwrap_or(sight.member), Some(user));
            sight.what = match stopped {
                true => Seen::Stopped(reason),
                false => Seen::Resumed(reason),
            };
            person?
        }
        Act::Reviewed {
            user,
            exchange,
            peer,
            person,
            note,
        } => {
            (sight.member, sight.user, sight.exchange) = (peer, Some(user), Some(exchange));
            sight.what = Seen::Reviewed(note);
            person?
        }
        Act::CopyFiled {
            user,
            exchange,
            peer,
            person,
            reason,
        } => {
            (sight.member, sight.user, sight.exchange) = (peer, Some(user), Some(exchange));
            sight.what = Seen::Filed(reason);
            person
        }
        Act::CopyErased {
            exchange,
            peer,
            person,
            counts: erased,
            user,
            why,
        } => {
            (sight.member, sight.user, sight.exchange) = (peer, user, Some(exchange));
            (sight.what, sight.records) = (Seen::Erased(why), counts(erased));
            person
        }
        Act::Looked {
            user,
            exchange,
            person,
            how,
        } => {
            (sight.user, sight.exchange) = (Some(user), Some(exchange));
            sight.what = Seen::Looked(how);
            person
        }
        _ => return None,
    };
    names.contains(&person).then_some(sight)
}
