//! `withhold`: people withheld and services masked, each with who decided, when and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairshare_protocol::control::withholding::{
    ClosedService, MAX_PEOPLE, Mask, Masked, MaskedService, Release, Whom, Withheld,
    WithheldPerson, WithheldReport, Withhold,
};
use fairshare_protocol::control::{Failure, WRONG};
use fairshare_protocol::ids::PersonId;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::journal::Act;
use fairshare_protocol::member::User;
use fairshare_protocol::offer::Service;
use fairshare_protocol::text::Line;

use super::members::operator;
use super::naming::names_nobody;
use super::{blocking, ended, record, wrong};
use crate::engine::drive::now;
use crate::engine::finding::looked_for;
use crate::engine::withholding::{opened, reach};
use crate::fhir::Mark;
use crate::node::Node;
use crate::store::withheld::{self, Entry};

/// Withholds people; those withheld already stay as they are.
///
/// # Errors
/// If the reason may name somebody, one of them cannot be found, or store or journal fail; then
/// nobody was withheld.
pub async fn add(node: &Arc<Node>, user: &User, question: Withhold) -> Result<Withheld, Failure> {
    names_nobody(&question.reason)?;
    if question.people.len() > MAX_PEOPLE {
        let fact = format!("more than {MAX_PEOPLE} people at once");
        return Err(Failure::new(WRONG, fact, "name fewer at once"));
    }
    let (here, by) = (Arc::clone(node), user.clone());
    // A task of its own: who is withheld is journaled even if nobody waits any more.
    let adding = tokio::spawn(async move {
        let node = Arc::clone(&here);
        let (told, acts) = blocking(move || put(&node, &by, &question)).await?;
        record(&here, acts).await?;
        Ok(told)
    });
    ended(adding.await)?
}

fn put(node: &Node, user: &User, question: &Withhold) -> Result<(Withheld, Vec<Act>), Failure> {
    let found: Vec<_> = question
        .people
        .iter()
        .map(|whom| find(node, whom))
        .collect();
    let found: Vec<_> = found.into_iter().collect::<Result<_, _>>()?;
    let mut told = Withheld::default();
    let mut acts = Vec::new();
    for found in found {
        let before = node.withheld.of(found.key.as_ref(), &found.people);
        if before.map_err(|error| wrong(&error))?.is_some() {
            told.already += 1;
            continue;
        }
        told.added += 1;
        told.not_held += u64::from(found.people.is_empty());
        acts.push(act(node, user, &found, &question.reason, true)?);
        let (Found { key, people, .. }, reason) = (found, question.reason.clone());
        let added = node.withheld.add(key, people, reason, user.clone(), now());
        added.map_err(|error| wrong(&error))?;
    }
    Ok((told, acts))
}

/// Withholds somebody no more.
///
/// # Errors
/// If they are not withheld, or store or journal fail.
pub async fn release(
    node: &Arc<Node>,
    user: &User,
    question: Release,
) -> Result<WithheldPerson, Failure> {
    names_nobody(&question.reason)?;
    let (here, by) = (Arc::clone(node), user.clone());
    let releasing = tokio::spawn(async move {
        let node = Arc::clone(&here);
        let take = move || {
            let found = find(&node, &question.whom)?;
            let entry = node.withheld.of(found.key.as_ref(), &found.people);
            let entry = entry.map_err(|error| wrong(&error))?.ok_or_else(|| {
                let fact = "that person is not withheld here";
                Failure::new(WRONG, fact, "`fairshare withhold list` shows who is")
            })?;
            let told = person(&node, &entry).map_err(|error| wrong(&error))?;
            let act = act(&node, &by, &found, &question.reason, false)?;
            let removed = node.withheld.remove(&entry);
            removed.map_err(|error| wrong(&error))?;
            Ok((told, act))
        };
        let (told, act) = blocking(take).await?;
        record(&here, [act]).await?;
        // Whoever holds a copy may now be told what changed meanwhile.
        here.records.notices().stir();
        Ok(told)
    });
    ended(releasing.await)?
}

/// Masks a service, or masks it no more.
///
/// # Errors
/// If nothing is named, it is one that the offer opens, or store or journal fail.
pub async fn mask(node: &Arc<Node>, user: &User, question: Mask) -> Result<Masked, Failure> {
    names_nobody(&question.reason)?;
    let marks = Mark::named(question.service.as_str()).ok_or_else(|| {
        let fact = format!("`{}` names no service", question.service);
        let remedy = "write system|code, Organization/ and its ODS code or id, or \
                      HealthcareService/, Location/ or PractitionerRole/ and an id";
        Failure::new(WRONG, fact, remedy)
    })?;
    let (here, by) = (Arc::clone(node), user.clone());
    let masking = tokio::spawn(async move {
        let node = Arc::clone(&here);
        let change = move || {
            let (told, changed) = set(&node, &by, &question, &marks)?;
            let verb = if question.masked {
                "masked"
            } else {
                "unmasked"
            };
            let (service, reason) = (&question.service, &question.reason);
            let act = Act::Operator {
                user: by,
                what: format!("{verb} the service {service}: {reason}"),
            };
            Ok((told, changed.then_some(act)))
        };
        let (told, act) = blocking(change).await?;
        record(&here, act).await?;
        Ok(told)
    });
    ended(masking.await)?
}

/// Changes what is said of a service; says also whether that was a change.
fn set(
    node: &Node,
    user: &User,
    question: &Mask,
    marks: &[Mark],
) -> Result<(Masked, bool), Failure> {
    let service = &question.service;
    let changed = if question.masked {
        let mask = withheld::Mask {
            token: service.clone(),
            reason: question.reason.clone(),
            by: user.clone(),
            at: now(),
        };
        node.withheld.mask(&mask).map_err(|error| wrong(&error))?
    } else {
        let removed = node.withheld.unmask(service);
        let removed = removed.map_err(|error| wrong(&error))?.is_some();
        let closed = |service: &&Service| Mark::closed(**service).any(|mark| marks.contains(&mark));
        match Service::ALL.iter().find(closed) {
            Some(of) if !removed => {
                let fact = format!("`{service}` is not masked by an operator: it is of `{of}`");
                let remedy = format!(
                    "name `{of}` under opened-services in offer.toml, then `fairshare offer publish`"
                );
                return Err(Failure::new(WRONG, fact, remedy));
            }
            None if !removed => {
                let fact = format!("`{service}` is not masked");
                let remedy = "`fairshare withhold list` shows what is";
                return Err(Failure::new(WRONG, fact, remedy));
            }
            _ => true,
        }
    };
    let (people, only_so) = reach(node, marks).map_err(|error| wrong(&error))?;
    let told = Masked {
        service: service.clone(),
        masked: question.masked,
        already: !changed,
        people,
        only_so,
    };
    Ok((told, changed))
}

/// Who and what is withheld; that somebody looked is journaled before it is told.
///
/// # Errors
/// If store or journal fail.
pub async fn list(node: &Arc<Node>, user: &User) -> Result<WithheldReport, Failure> {
    let looked = "looked at who and what is withheld";
    operator(node, user, looked.to_owned()).await?;
    let node = Arc::clone(node);
    blocking(move || {
        let entries = node.withheld.all().map_err(|error| wrong(&error))?;
        let people = entries.iter().map(|entry| person(&node, entry));
        let people = people.collect::<Result<_, _>>();
        let masks = node.withheld.masks().map_err(|error| wrong(&error))?;
        let opened = opened(&node);
        let closed = Service::ALL.iter().map(|service| ClosedService {
            service: *service,
            opened: opened.contains(service),
            codes: codes(*service),
        });
        Ok(WithheldReport {
            now: now(),
            people: people.map_err(|error| wrong(&error))?,
            services: masks.into_iter().map(service).collect(),
            closed: closed.collect(),
        })
    })
    .await
}

fn codes(service: Service) -> Vec<String> {
    let marks = Mark::closed(service);
    marks
        .filter_map(|mark| match mark {
            Mark::Code(code) => Some(code),
            Mark::Ods(_) | Mark::Provider(_) => None,
        })
        .collect()
}

fn service(mask: withheld::Mask) -> MaskedService {
    MaskedService {
        service: mask.token,
        reason: mask.reason,
        by: mask.by,
        at: mask.at,
    }
}

/// What an operator is told of somebody withheld.
fn person(node: &Node, entry: &Entry) -> Result<WithheldPerson, crate::store::Error> {
    Ok(WithheldPerson {
        local: local_ids(node, entry.key.as_ref(), &entry.people)?,
        reason: entry.reason.clone(),
        by: entry.by.clone(),
        at: entry.at,
    })
}

/// What the organisation's own systems know people by: those, and whoever is found by the key now.
pub(super) fn local_ids(
    node: &Node,
    key: Option<&IndexKey>,
    people: &[PersonId],
) -> Result<Vec<String>, crate::store::Error> {
    let mut people: BTreeSet<PersonId> = people.iter().copied().collect();
    if let Some(key) = key {
        people.extend(node.records.people_by_key(key)?);
    }
    let mut local = Vec::new();
    for id in &people {
        local.extend(node.records.person(id)?.map(|person| person.local));
    }
    Ok(local)
}

/// Whom it is about.
pub(super) struct Found {
    /// The key that names them.
    pub(super) key: Option<IndexKey>,
    /// Everybody held here whom it finds.
    pub(super) people: Vec<PersonId>,
    /// Of whom the journal is to tell. Somebody not held is named as a look for them is.
    pub(super) named: PersonId,
}

pub(super) fn find(node: &Node, whom: &Whom) -> Result<Found, Failure> {
    match whom {
        Whom::Person(key) => {
            let people = node.records.people_by_key(key);
            let people = people.map_err(|error| wrong(&error))?;
            let named = people.first().copied();
            Ok(Found {
                key: Some(*key),
                named: named.unwrap_or_else(|| looked_for(node, key)),
                people,
            })
        }
        Whom::Local(id) => {
            let found = node.records.by_local(id.as_str());
            let (id, person) = found.map_err(|error| wrong(&error))?.ok_or_else(|| {
                let fact = "nobody with that local id is held here";
                Failure::new(
                    WRONG,
                    fact,
                    "give the id of their Patient, as it was imported",
                )
            })?;
            Ok(Found {
                key: person.key,
                people: vec![id],
                named: id,
            })
        }
    }
}

fn act(
    node: &Node,
    user: &User,
    found: &Found,
    reason: &Line,
    withheld: bool,
) -> Result<Act, Failure> {
    let person = node.exchanges.commit_to(found.named);
    Ok(Act::Withheld {
        user: user.clone(),
        person: person.map_err(|error| wrong(&error))?,
        reason: reason.to_string(),
        withheld,
    })
}
