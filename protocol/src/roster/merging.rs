//! Members that are merged into others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Evidence, Member, Status};
use crate::ids::{Hash, OdsCode};
use crate::limits::MAX_ADVERT;

type Members = BTreeMap<OdsCode, Arc<Member>>;

/// Lets every `succeed` that was taken have its effect on the others.
pub(super) fn merge(members: &mut Members) {
    let mut named: Vec<(Hash, OdsCode, OdsCode)> = Vec::new();
    for (successor, member) in &*members {
        let all = member.predecessors.iter();
        named.extend(all.map(|(code, (_, hash))| (*hash, code.clone(), successor.clone())));
    }
    named.sort();
    let mut into: BTreeMap<OdsCode, OdsCode> = BTreeMap::new();
    for (hash, predecessor, successor) in named {
        if into.contains_key(&predecessor) || last(&into, &successor) == &predecessor {
            for code in [&predecessor, &successor] {
                if let Some(member) = members.get_mut(code) {
                    let member = Arc::make_mut(member);
                    let predecessor = predecessor.clone();
                    let passed = Evidence::Successors {
                        passed: hash,
                        predecessor,
                    };
                    member.evidence.push(passed);
                }
            }
            if let Some(member) = members.get_mut(&successor) {
                Arc::make_mut(member).predecessors.remove(&predecessor);
            }
        } else {
            into.insert(predecessor, successor);
        }
    }
    let own: BTreeMap<_, _> = into
        .keys()
        .filter_map(|code| Some((code.clone(), members.get(code)?.population)))
        .collect();
    for (predecessor, people) in own {
        add(members, &into, &predecessor, people);
    }
    for (predecessor, successor) in into {
        if let Some(member) = members.get_mut(&predecessor) {
            let member = Arc::make_mut(member);
            member.status = Status::Merged;
            member.why = Some(format!("into {successor}"));
            member.successor = Some(successor);
            member.node = None;
        }
    }
}

/// Who stands at the end of `code`'s successors.
fn last<'a>(into: &'a BTreeMap<OdsCode, OdsCode>, mut code: &'a OdsCode) -> &'a OdsCode {
    while let Some(next) = into.get(code) {
        code = next;
    }
    code
}

/// Adds what one was admitted with to the caps of those who succeed it, one after the other, as far
/// as stewards have not set a cap anew since.
fn add(
    members: &mut Members,
    into: &BTreeMap<OdsCode, OdsCode>,
    predecessor: &OdsCode,
    people: u64,
) {
    let mut code = predecessor;
    while let Some(successor) = into.get(code) {
        let Some(member) = members.get_mut(successor) else {
            return;
        };
        let since = member.predecessors.get(code).map(|(n, _)| *n);
        if since.is_none_or(|n| n < member.admitted) {
            return;
        }
        let member = Arc::make_mut(member);
        let most = MAX_ADVERT as u64;
        member.population = member.population.saturating_add(people).min(most);
        code = successor;
    }
}
