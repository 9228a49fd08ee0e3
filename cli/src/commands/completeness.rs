//! How complete an answer about one person is, in words.

use fairshare_protocol::control::index::Completeness;
use fairshare_protocol::time::Timestamp;

use crate::output::{ago, count};

/// How it opens if nobody failed to answer.
const WHOLE: &str = "Complete as far as this goes";

/// What `find` says: nobody was asked.
pub fn of_search(now: Timestamp, all: &Completeness) -> String {
    let mut parts = vec![
        (all.linked, "linked"),
        (all.not_linked, "not linked"),
        (all.unreachable, "not connected now"),
    ];
    parts.extend(unknown(all));
    said(WHOLE, now, all, parts)
}

/// What `ask` says.
pub fn of_asking(now: Timestamp, all: &Completeness) -> String {
    let mut parts = vec![
        (all.asked, "asked"),
        (all.refused, "refused"),
        (all.unreachable, "unreachable"),
        (all.not_linked, "not linked"),
    ];
    let failed = [
        (all.failed, "failed"),
        (all.left_out, "linked and left out"),
    ];
    parts.extend(failed.into_iter().filter(|(number, _)| *number > 0));
    parts.extend(unknown(all));
    let opening = match all.unreachable + all.failed {
        0 => WHOLE,
        _ => "Not complete",
    };
    said(opening, now, all, parts)
}

/// Those of whom nothing is known, where there are any.
fn unknown(all: &Completeness) -> impl Iterator<Item = (u32, &'static str)> {
    let parts = [
        (all.not_matched, "not matched yet"),
        (all.not_yet_indexed, "not told of this person yet"),
        (all.not_indexable, "cannot find this person"),
        (
            all.not_held,
            "of no account, for this person is not held here",
        ),
        (all.no_presence, "not matching with us"),
    ];
    parts.into_iter().filter(|(number, _)| *number > 0)
}

fn said(opening: &str, now: Timestamp, all: &Completeness, parts: Vec<(u32, &str)>) -> String {
    let parts = parts
        .iter()
        .map(|(number, what)| format!("{number} {what}"));
    let index = match all.oldest_index {
        Some(made) => format!("their oldest index is of {}", ago(now, made)),
        None => "no index of theirs is here".to_owned(),
    };
    format!(
        "{opening}: of {} other members {}; {index}. {} people of this node cannot be found by \
         anybody (no valid NHS number or date of birth). Not linked does not mean no record: they \
         may hold people who are not in their index yet.",
        all.members,
        parts.collect::<Vec<_>>().join(", "),
        count(all.people_not_indexable),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_complete_is_not_called_so() {
        let all = Completeness {
            members: 1,
            asked: 1,
            ..Completeness::default()
        };
        let of = |all: &Completeness| of_asking(Timestamp(0), all);
        assert!(of(&all).starts_with("Complete as far as this goes: of 1 other"));
        let down = Completeness {
            unreachable: 1,
            ..all.clone()
        };
        let failed = Completeness { failed: 1, ..all };
        for one in [down, failed] {
            assert!(of(&one).starts_with("Not complete: of 1 other"), "{one:?}");
        }
    }
}
