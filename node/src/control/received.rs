//! What was received, and who saw what of one person.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::category::Category;
use fairshare_protocol::control::exchange::{
    Counts, ExportReceived, Exported, ListReceived, ReceivedBundle, ReceivedItem, ReceivedItems,
    Seen, ShowReceived, Sight, WhoSaw, WhoSawReport,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::bundle::Content;
use fairshare_protocol::ids::{Commitment, ExchangeId, OdsCode};
use fairshare_protocol::journal::{Act, Entry, Outcome};
use fairshare_protocol::member::User;

use super::{blocking, write_new};
use crate::engine::drive::now;
use crate::engine::finding;
use crate::fhir::export;
use crate::node::Node;
use crate::store::exchanges::Received;

fn wrong(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(WRONG, &error)
}

/// What was received, newest first.
///
/// # Errors
/// If the store fails.
pub fn list(node: &Node, question: &ListReceived) -> Result<Vec<ReceivedBundle>, Failure> {
    let mut found = Vec::new();
    match &question.person {
        None => found.extend(node.exchanges.all_received(None)),
        Some(person) => {
            let held = node.records.people_by_key(person);
            for id in held.map_err(|error| wrong(&error))? {
                found.extend(node.exchanges.all_received(Some(id)));
            }
        }
    }
    let found: Result<Vec<_>, _> = found.into_iter().collect();
    let found = found.map_err(|error| wrong(&error))?;
    let mut bundles: Vec<_> = found.iter().map(row).collect();
    bundles.sort_by_key(|bundle| (std::cmp::Reverse(bundle.at), bundle.exchange));
    Ok(bundles)
}

fn row(received: &Received) -> ReceivedBundle {
    let filed = &received.filed;
    let files = filed.manifest.items.iter();
    let files = files.filter(|item| matches!(item.content, Content::Attachment { .. }));
    ReceivedBundle {
        exchange: filed.exchange,
        from: filed.from.clone(),
        purpose: filed.purpose,
        at: filed.at,
        as_of: filed.manifest.as_of,
        in_return: filed.in_return,
        quarantined: filed.verdict == Verdict::WrongPerson,
        records: filed.manifest.counts().into_iter().collect(),
        attachments: u32::try_from(files.count()).unwrap_or(u32::MAX),
        bytes: filed.manifest.bodies(),
    }
}

/// What is in one bundle; the look is journaled before it is told.
///
/// # Errors
/// If there is no such bundle, or journal or store fail.
pub async fn show(
    node: &Arc<Node>,
    user: &User,
    question: &ShowReceived,
) -> Result<ReceivedItems, Failure> {
    let received = look(node, user, &question.exchange, "show").await?;
    let items = received.filed.manifest.items.iter().map(|item| {
        let (category, kind, id) = match &item.content {
            Content::Record {
                category, kind, id, ..
            } => (Some(*category), kind, id),
            Content::Supporting { kind, id, .. } => (None, kind, id),
            Content::Attachment { name, media } => (None, media, name),
        };
        ReceivedItem {
            category,
            kind: plain(kind),
            id: plain(id),
            bytes: item.length,
        }
    });
    Ok(ReceivedItems {
        items: items.collect(),
        bundle: row(&received),
    })
}

/// A peer's word as it may stand on a screen.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(200).collect()
}

/// Writes one bundle as FHIR; the export is journaled before a byte is written.
///
/// # Errors
/// If there is no such bundle, it is in quarantine, or the file is there already or cannot be
/// written.
pub async fn export(
    node: &Arc<Node>,
    user: &User,
    question: ExportReceived,
) -> Result<Exported, Failure> {
    let received = look(node, user, &question.exchange, "export").await?;
    if received.filed.verdict == Verdict::WrongPerson {
        let fact = "that bundle is in quarantine: it is about another person than ours";
        let remedy = "tell the member that showed it; nothing of it may be filed";
        return Err(Failure::new(REFUSED, fact, remedy));
    }
    let node = Arc::clone(node);
    blocking(move || {
        let bytes = write_new(&question.to, |out| {
            let plain = node.store.blobs().open_blob(&received.plaintext)?;
            export::write(&received.filed, plain, out)
        })?;
        Ok(Exported {
            path: question.to,
            bytes,
            records: received.filed.manifest.counts().into_iter().collect(),
        })
    })
    .await
}

/// The bundle of an exchange, once the look at it is durable in the journal.
async fn look(
    node: &Arc<Node>,
    user: &User,
    exchange: &ExchangeId,
    how: &str,
) -> Result<Received, Failure> {
    let received = node.exchanges.received(exchange);
    let received = received.map_err(|error| wrong(&error))?.ok_or_else(|| {
        let fact = format!("nothing was received in exchange {exchange}");
        Failure::new(WRONG, fact, "`fairshare received list` shows what was")
    })?;
    let looked = Act::Looked {
        user: user.clone(),
        exchange: *exchange,
        person: received.filed.commitment,
        how: how.to_owned(),
    };
    let recorded = node.record([looked]).await;
    recorded.map_err(|error| wrong(&error))?;
    Ok(received)
}

/// Everything the journal holds about one person. Reads all of it.
///
/// # Errors
/// If store or journal fail.
pub async fn who_saw(node: &Arc<Node>, question: WhoSaw) -> Result<WhoSawReport, Failure> {
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
            for entry in entries {
                let entry = entry.map_err(|error| wrong(&error))?;
                sights.extend(sight(node.code(), entry, &names));
            }
        }
        Ok(WhoSawReport {
            now: now(),
            held: !held.is_empty(),
            sights,
        })
    })
    .await
}

fn counts(counts: Vec<(Category, u32)>) -> Counts {
    counts.into_iter().collect()
}

/// What an entry says of a person the journal calls by one of these names.
fn sight(us: &OdsCode, entry: Entry, names: &BTreeSet<Commitment>) -> Option<Sight> {
    let mut sight = Sight {
        entry: entry.number,
        at: entry.at,
        member: us.clone(),
        user: None,
        purpose: None,
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
            let Outcome::Delivered(shown) = outcome else {
                return None;
            };
            (sight.member, sight.records) = (peer, counts(shown));
            (sight.purpose, sight.exchange) = (Some(purpose), Some(exchange));
            sight.what = Seen::ShownInReturn;
            person
        }
        Act::Received {
            exchange,
            peer,
            person,
            outcome,
            ..
        } => {
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
