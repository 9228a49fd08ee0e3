//! What members would see under an offer, before it is published.

use std::sync::Arc;

use fairshare_protocol::control::preview::{PreviewOffer, PreviewReport};
use fairshare_protocol::control::{Failure, REFUSED, WRONG};

use super::members::{member, other, roster};
use super::{Progress, blocking, wrong};
use crate::engine::drive::now;
use crate::engine::preview;
use crate::node::Node;

/// Counts what members would see.
///
/// # Errors
/// If there is no federation, no offer, or it cannot be anyone's, if the member asked about takes no
/// part, or if the store fails.
pub async fn preview(
    node: &Arc<Node>,
    question: PreviewOffer,
    progress: &Progress,
) -> Result<PreviewReport, Failure> {
    let roster = roster(node)?;
    let published = member(&roster, node.code())?.offer.clone();
    let offer = question.offer.or_else(|| published.clone());
    let offer = offer.ok_or_else(|| {
        let fact = "no offer is published: nothing is visible to anybody";
        Failure::new(
            WRONG,
            fact,
            "name the file that is to be published with --file",
        )
    })?;
    offer.check().map_err(|refusal| wrong(&refusal))?;
    let us = roster.party(node.code(), Some(&offer));
    us.map_err(|none| Failure::from_error(REFUSED, &none))?;
    if let Some(code) = &question.member
        && !other(node, &roster, code)?.is_active()
    {
        let fact = format!("{code} takes no part: nothing is visible to it");
        return Err(Failure::new(
            WRONG,
            fact,
            "`fairshare members` shows who does",
        ));
    }
    let (node, progress) = (Arc::clone(node), progress.clone());
    blocking(move || {
        let asked = |code| question.member.as_ref().is_none_or(|only| only == code);
        let members = roster
            .members()
            .filter(|it| it.is_active() && it.code != *node.code() && asked(&it.code));
        let members: Vec<_> = members.collect();
        let step = |done, total| {
            progress.step(done, Some(total), "people", "counting what is held");
            !progress.is_gone()
        };
        let imported = node.records.imported().map_err(|error| wrong(&error))?;
        let counted = preview::count(&node, (&roster, &offer), &members, step);
        let counted = counted
            .map_err(|error| wrong(&error))?
            .ok_or_else(|| Failure::new(REFUSED, "nobody waits for the answer", "ask again"))?;
        Ok(PreviewReport {
            now: now(),
            imported,
            published: published.as_ref() == Some(&offer),
            findable: counted.findable,
            unfindable: counted.unfindable,
            members: counted.members,
        })
    })
    .await
}
