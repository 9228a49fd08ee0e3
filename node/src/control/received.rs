//! What was received.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::category::Category;
use fairshare_protocol::control::exchange::{
    Counts, ExportReceived, Exported, Fate, ListReceived, Note, ReceivedBundle, ReceivedItem,
    ReceivedItems, ShowReceived, Which,
};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::bundle::Content;
use fairshare_protocol::ids::{ExchangeId, PersonId};
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;

use super::{blocking, corrected, write_new, wrong};
use crate::fhir::export;
use crate::node::Node;
use crate::store::exchanges::Received;
use crate::store::exchanges::copies::Outline;

/// What was received, newest first.
///
/// # Errors
/// If the store fails.
pub fn list(node: &Node, question: &ListReceived) -> Result<Vec<ReceivedBundle>, Failure> {
    let bundles = match &question.person {
        None => of(node, None, question.which),
        Some(person) => node.records.people_by_key(person).and_then(|held| {
            let each = held
                .into_iter()
                .map(|id| of(node, Some(id), question.which));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }),
    };
    let mut bundles = bundles.map_err(|error| wrong(&error))?;
    bundles.sort_by_key(|bundle| (std::cmp::Reverse(bundle.at), bundle.exchange));
    Ok(bundles)
}

fn of(
    node: &Node,
    person: Option<PersonId>,
    which: Which,
) -> Result<Vec<ReceivedBundle>, crate::store::Error> {
    let mut found = Vec::new();
    for received in node.exchanges.all_received(person) {
        found.push(row(node, &received?)?);
    }
    if which == Which::All {
        for erased in node.exchanges.all_erased(person)? {
            found.push(told(node, &erased.outline, Fate::Erased(erased.erasure))?);
        }
    }
    Ok(found)
}

fn row(node: &Node, received: &Received) -> Result<ReceivedBundle, crate::store::Error> {
    let filed = &received.filed;
    let expires = || Fate::Expires(filed.at + node.config.copies.kept());
    let filing = node.exchanges.filing(&filed.exchange)?;
    let fate = filing.map_or_else(expires, Fate::Filed);
    let corrected = corrected::of(node, received)?.len();
    Ok(ReceivedBundle {
        corrected: u32::try_from(corrected).unwrap_or(u32::MAX),
        ..told(node, &Outline::from(received), fate)?
    })
}

/// What was received in one exchange.
///
/// # Errors
/// If it is not here, or the store fails.
pub(super) fn one(node: &Node, exchange: &ExchangeId) -> Result<ReceivedBundle, Failure> {
    row(node, &held(node, exchange)?).map_err(|error| wrong(&error))
}

/// The bundle of an exchange; or why there is none.
pub(super) fn held(node: &Node, exchange: &ExchangeId) -> Result<Received, Failure> {
    let received = node.exchanges.received(exchange);
    let received = received.map_err(|error| wrong(&error))?;
    received.map_or_else(|| Err(gone(node, exchange)), Ok)
}

/// What an operator is told of a bundle, whatever became of it.
pub(super) fn told(
    node: &Node,
    outline: &Outline,
    fate: Fate,
) -> Result<ReceivedBundle, crate::store::Error> {
    Ok(ReceivedBundle {
        exchange: outline.exchange,
        from: outline.from.clone(),
        purpose: outline.purpose,
        at: outline.at,
        as_of: outline.as_of,
        in_return: outline.in_return,
        notice: corrected::is_notice(node, &outline.exchange)?,
        quarantined: outline.verdict == Verdict::WrongPerson,
        corrected: 0,
        records: counts(outline.counts.clone()),
        attachments: outline.attachments,
        bytes: outline.bytes,
        fate,
    })
}

/// Why there is no bundle of that exchange.
pub(super) fn gone(node: &Node, exchange: &ExchangeId) -> Failure {
    match node.exchanges.erased(exchange) {
        Err(error) => wrong(&error),
        Ok(Some(erased)) => {
            let at = erased.erasure.at;
            let fact = format!("what was received in exchange {exchange} was erased at {at}");
            let remedy = "`fairshare received show` says why; ask the member again if it is needed";
            Failure::new(WRONG, fact, remedy)
        }
        Ok(None) => {
            let fact = format!("nothing was received in exchange {exchange}");
            Failure::new(WRONG, fact, "`fairshare received list` shows what was")
        }
    }
}

pub(super) fn quarantined() -> Failure {
    let fact = "that bundle is in quarantine: it is about another person than ours";
    let remedy = "tell the member that showed it; nothing of it may be filed";
    Failure::new(REFUSED, fact, remedy)
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
    let erased = node.exchanges.erased(&question.exchange);
    if let Some(erased) = erased.map_err(|error| wrong(&error))? {
        // Nothing of it is looked at: there is nothing.
        let bundle = told(node, &erased.outline, Fate::Erased(erased.erasure));
        return Ok(ReceivedItems {
            bundle: bundle.map_err(|error| wrong(&error))?,
            items: Vec::new(),
        });
    }
    let received = look(node, user, &question.exchange, "show").await?;
    let corrections = corrected::of(node, &received).map_err(|error| wrong(&error))?;
    let items = received.filed.manifest.items.iter().map(|item| {
        let note = match &item.content {
            Content::Record { kind, id, .. } => {
                corrections.get(&(kind.clone(), id.clone())).cloned()
            }
            Content::Corrected { why, .. } => Some(Note::Corrects(*why)),
            Content::Supporting { .. } | Content::Attachment { .. } => None,
        };
        let (category, kind, id) = match &item.content {
            Content::Record {
                category, kind, id, ..
            } => (Some(*category), kind, id),
            Content::Supporting { kind, id, .. } => (None, kind, id),
            Content::Attachment { name, media } => (None, media, name),
            Content::Corrected {
                category, kind, id, ..
            } => (Some(*category), kind, id),
        };
        ReceivedItem {
            category,
            kind: plain(kind),
            id: plain(id),
            bytes: item.length,
            note,
        }
    });
    Ok(ReceivedItems {
        items: items.collect(),
        bundle: row(node, &received).map_err(|error| wrong(&error))?,
    })
}

/// A peer's word as it may stand on a screen.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(200).collect()
}

/// Writes one bundle as FHIR, without records that do not hold any more; the export is journaled before a byte is written.
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
        return Err(quarantined());
    }
    let node = Arc::clone(node);
    blocking(move || {
        let corrections = corrected::of(&node, &received).map_err(|error| wrong(&error))?;
        let by = |note: &Note| match note {
            Note::Since { exchange, .. } => Some(*exchange),
            Note::Corrects(_) => None,
        };
        let corrected: BTreeSet<_> = corrections.values().filter_map(by).collect();
        let holds =
            |kind: &str, id: &str| !corrections.contains_key(&(kind.to_owned(), id.to_owned()));
        let mut records = Counts::new();
        let bytes = write_new(&question.to, |out| {
            let plain = received.plaintext.open(node.store.blobs())?;
            records = counts(export::write(
                &received.filed,
                plain,
                &corrected,
                holds,
                out,
            )?);
            Ok(())
        })?;
        Ok(Exported {
            path: question.to,
            bytes,
            records,
            corrected,
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
    let received = held(node, exchange)?;
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

pub(super) fn counts(counts: Vec<(Category, u32)>) -> Counts {
    counts.into_iter().collect()
}
