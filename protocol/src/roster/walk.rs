//! From the statements about one member to what it is.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Book, Decided};
use super::charters::Current;
use super::decision::{Decision, Kind, NOTHING};
use super::own::{Claim, Signer};
use super::{Evidence, Member, Status};
use crate::ids::{Hash, OdsCode, PublicKey};

/// Whether a decision of this kind fits a member of this status; none is someone never admitted.
pub(super) const fn fits(status: Option<Status>, kind: Kind) -> bool {
    match (kind, status) {
        (Kind::Admit, _) => true,
        (_, None) => false,
        (Kind::Key | Kind::Reinstate, Some(_)) => true,
        (Kind::Limit | Kind::Remove | Kind::Succeed, Some(status)) => {
            !matches!(status, Status::Removed)
        }
    }
}

/// The member these statements make, if stewards ever admitted it.
pub(super) fn member(code: &OdsCode, book: &Book, current: &Current) -> Option<Member> {
    let mut member = decided(code, book, current)?;
    if member.is_active() {
        let organisation = member.organisation;
        said_by_organisation(&mut member, book, organisation);
    }
    if member.is_active()
        && let Some(keys) = member.node
    {
        said_by_node(&mut member, book, keys.node);
    }
    if !member.is_active() || member.contact.is_none() {
        member.node = None;
    }
    Some(member)
}

/// What stewards made of it.
fn decided(code: &OdsCode, book: &Book, current: &Current) -> Option<Member> {
    let mut member: Option<Member> = None;
    let mut last = (0, NOTHING);
    if let Some(pinned) = current.pins().last.get(code) {
        for (n, hash, held) in followed(book, pinned)? {
            last = (n, hash);
            member = Some(apply(member, code, last, held)?);
        }
    }
    let admissible = Admissible::of(code, book, current);
    loop {
        let n = last.0 + 1;
        let status = member.as_ref().map(|member| member.status);
        let mut fitting: Vec<(Kind, Hash, &Decided)> = at(book, n)
            .filter(|(_, held)| held.charter == current.hash() && held.previous == last.1)
            .map(|(hash, held)| (held.decision.kind(), hash, held))
            .filter(|(kind, hash, _)| fits(status, *kind) && admissible.holds(*kind, hash))
            .collect();
        fitting.sort_by_key(|(kind, hash, _)| (*kind, *hash));
        let Some((_, taken, held)) = fitting.first() else {
            break;
        };
        let evidence = (fitting.len() > 1).then(|| Evidence::Decisions {
            n,
            taken: *taken,
            passed: fitting[1..].iter().map(|(_, hash, _)| *hash).collect(),
        });
        last = (n, *taken);
        member = apply(member, code, last, held);
        let Some(member) = &mut member else { break };
        member.evidence.extend(evidence);
    }
    member
}

/// A decision and all it follows, the first first; none if not all of them are held.
fn followed<'a>(book: &'a Book, hash: &Hash) -> Option<Vec<(u32, Hash, &'a Decided)>> {
    let mut decisions = book.decisions.iter();
    let ((n, _), held) = decisions.find(|((_, it), _)| it == hash)?;
    let mut followed = vec![(*n, *hash, held)];
    while let Some((n, _, held)) = followed.last()
        && *n > 1
    {
        let (n, hash) = (n - 1, held.previous);
        followed.push((n, hash, book.decisions.get(&(n, hash))?));
    }
    followed.reverse();
    Some(followed)
}

/// What may be taken while two charters claim to follow the current one: what limits or removes, or
/// changes a key; and of the rest what one of the two pins, which was there before.
enum Admissible {
    All,
    These(BTreeSet<Hash>),
}

impl Admissible {
    fn of(code: &OdsCode, book: &Book, current: &Current) -> Self {
        if current.uncontested().is_ok() {
            return Self::All;
        }
        let pins = current.rival_pins().filter_map(|pins| pins.last.get(code));
        let followed = pins.filter_map(|hash| followed(book, hash)).flatten();
        Self::These(followed.map(|(_, hash, _)| hash).collect())
    }

    fn holds(&self, kind: Kind, hash: &Hash) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => !kind.admits() || these.contains(hash),
        }
    }
}

fn at(book: &Book, n: u32) -> impl Iterator<Item = (Hash, &Decided)> {
    let range = (n, NOTHING)..=(n, Hash::new([0xff; 32]));
    let held = book.decisions.range(range);
    held.map(|((_, hash), held)| (*hash, held))
}

fn apply(
    member: Option<Member>,
    code: &OdsCode,
    last: (u32, Hash),
    held: &Decided,
) -> Option<Member> {
    let mut member = match (&held.decision, member) {
        (Decision::Admit(admission), before) => Member {
            code: code.clone(),
            kind: admission.kind,
            name: admission.name.clone(),
            organisation: admission.organisation,
            population: admission.population,
            status: Status::Admitted,
            why: None,
            since: held.at,
            last,
            anchor: last.0,
            admitted: last.0,
            predecessors: before
                .as_ref()
                .map_or_else(BTreeMap::new, |it| it.predecessors.clone()),
            successor: None,
            node: None,
            contact: None,
            offer: None,
            evidence: before.map_or_else(Vec::new, |it| it.evidence),
        },
        (_, member) => member?,
    };
    // Whose limit is lifted, and nothing else, is named anew by nobody: its node goes on.
    let lifts = matches!(held.decision, Decision::Reinstate(_)) && member.status == Status::Limited;
    match &held.decision {
        Decision::Admit(_) => {}
        Decision::Key(key) => member.organisation = key.organisation,
        Decision::Limit(reason) => {
            member.status = Status::Limited;
            member.why = Some(reason.reason.to_string());
        }
        Decision::Remove(reason) => {
            member.status = Status::Removed;
            member.why = Some(reason.reason.to_string());
        }
        Decision::Reinstate(_) => {
            member.status = Status::Admitted;
            member.why = None;
        }
        Decision::Succeed(succession) => {
            for code in &succession.predecessors {
                let named = member.predecessors.entry(code.clone());
                named.or_insert(last);
            }
        }
    }
    if held.decision.kind().is_anchor() && !lifts {
        member.anchor = last.0;
    }
    member.since = held.at;
    member.last = last;
    Some(member)
}

fn said_by_organisation(member: &mut Member, book: &Book, key: PublicKey) {
    let by = (Signer::Organisation, key);
    let contested = contested(member, book, by);
    for claim in unbroken(member.anchor, book, by) {
        match claim {
            Claim::Node(keys) => member.node = Some(*keys),
            Claim::Leave => {
                member.status = Status::Left;
                member.why = None;
                return;
            }
            // These are the node's to say.
            Claim::Contact(_) | Claim::Offer(_) => {}
        }
    }
    if contested {
        member.status = Status::Contested;
        member.why = Some("its organisation key signed two different things at once".into());
    }
}

fn said_by_node(member: &mut Member, book: &Book, key: PublicKey) {
    let by = (Signer::Node, key);
    let contested = contested(member, book, by);
    let (mut last_contact, mut last_offer) = (None, None);
    for claim in unbroken(member.anchor, book, by) {
        match claim {
            Claim::Contact(contact) => last_contact = Some(contact),
            Claim::Offer(offer) => last_offer = Some(offer),
            // These are the organisation's to say.
            Claim::Node(_) | Claim::Leave => {}
        }
    }
    member.contact = last_contact.cloned();
    member.offer = last_offer.cloned();
    if contested {
        member.status = Status::Contested;
        member.why = Some("its node key signed two different things at once".into());
    }
}

/// Notes every `u` under which one of its keys said two things, and whether there is one.
fn contested(member: &mut Member, book: &Book, by: (Signer, PublicKey)) -> bool {
    let said = book.by(member.anchor, by, 1..=u32::MAX);
    let said: Vec<(u32, Hash)> = said.map(|(u, hash, _)| (u, hash)).collect();
    let twice = said.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let evidence: Vec<_> = twice
        .map(|pair| Evidence::Own {
            signer: by.1,
            u: pair[0].0,
            statements: vec![pair[0].1, pair[1].1],
        })
        .collect();
    let contested = !evidence.is_empty();
    member.evidence.extend(evidence);
    contested
}

/// What one of its keys said under `n`, from `u` = 1 as far as no number is missing.
fn unbroken(n: u32, book: &Book, by: (Signer, PublicKey)) -> impl Iterator<Item = &Claim> {
    let mut next = 1;
    book.by(n, by, 1..=u32::MAX)
        .take_while(move |(u, ..)| {
            let follows = *u == next || *u + 1 == next;
            next = *u + 1;
            follows
        })
        .map(|(_, _, said)| &said.claim)
}
