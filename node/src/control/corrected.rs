//! What notices that came since say of a bundle that was received.

use std::collections::BTreeMap;

use fairshare_protocol::control::exchange::Note;
use fairshare_protocol::exchange::answer::Verdict;
use fairshare_protocol::exchange::bundle::Content;
use fairshare_protocol::ids::ExchangeId;

use crate::node::Node;
use crate::store::Error;
use crate::store::exchanges::Received;

/// Records of a bundle that do not hold any more, by type and id, and what the newest notice says.
pub(super) type Corrections = BTreeMap<(String, String), Note>;

/// Whether a bundle came with a notice.
pub(super) fn is_notice(node: &Node, exchange: &ExchangeId) -> Result<bool, Error> {
    Ok(node.records.notices().heard(exchange)?.is_some())
}

/// What the same member's later notices about the same person say of the records of a bundle.
pub(super) fn of(node: &Node, received: &Received) -> Result<Corrections, Error> {
    let ours = &received.filed;
    let mut notices = Vec::new();
    for other in node.exchanges.all_received(Some(ours.person)) {
        let other = other?.filed;
        let later = other.at > ours.at && other.exchange != ours.exchange;
        let theirs = other.from == ours.from && other.verdict == Verdict::Opened;
        if later && theirs && is_notice(node, &other.exchange)? {
            notices.push(other);
        }
    }
    if notices.is_empty() {
        return Ok(Corrections::new());
    }
    notices.sort_by_key(|notice| notice.at);
    let items = ours.manifest.items.iter();
    let held: std::collections::BTreeSet<_> = items
        .filter_map(|item| match &item.content {
            Content::Record { kind, id, .. } => Some((kind, id)),
            _ => None,
        })
        .collect();
    let mut corrections = Corrections::new();
    for notice in &notices {
        for item in &notice.manifest.items {
            let (kind, id, why) = match &item.content {
                Content::Record { kind, id, .. } => (kind, id, None),
                Content::Corrected { kind, id, why, .. } => (kind, id, Some(*why)),
                Content::Supporting { .. } | Content::Attachment { .. } => continue,
            };
            if held.contains(&(kind, id)) {
                let note = Note::Since {
                    exchange: notice.exchange,
                    at: notice.at,
                    why,
                };
                corrections.insert((kind.clone(), id.clone()), note);
            }
        }
    }
    Ok(corrections)
}
