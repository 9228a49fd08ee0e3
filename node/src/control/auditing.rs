//! The audit of this node's own advert, and copies of adverts for those who check one.
//!
//! What is known of the advert is reached in [`sample`] and [`Copy`] alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use fairshare_protocol::codec::Bytes;
use fairshare_protocol::control::index::{
    AdvertState, Audit, Audited, DrawSample, ExportAdvert, ExportedAdvert, Sample,
};
use fairshare_protocol::control::{DEGRADED, Failure, WRONG};
use fairshare_protocol::ids::{OdsCode, Point, PublicKey};
use fairshare_protocol::index::advert::own::Slot;
use fairshare_protocol::index::advert::{Header, from_bytes};
use fairshare_protocol::index::audit::{
    self, Behind, Demand, Ground, MadeOf, Opener, Passed, Report, copied,
};
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::{MAX_AUDIT_SAMPLE, MAX_CHUNK_ENTRIES};
use fairshare_protocol::member::User;
use fairshare_protocol::redact::Redacted;
use fairshare_protocol::roster::Roster;
use fairshare_protocol::statement::Signed;

use super::members::{member, operator, roster};
use super::{blocking, write_new, wrong};
use crate::engine::advert::Ours;
use crate::engine::drive::now;
use crate::node::Node;
use crate::store;
use crate::store::index::{Index, OwnAdvert, PeerAdvert};

/// Opens a sample of our own advert into a file; the audit is journaled before a byte is written.
///
/// # Errors
/// If there is no advert of this epoch, an entry does not open, or the file is there already or
/// cannot be written.
pub async fn audit(node: &Arc<Node>, user: &User, question: Audit) -> Result<Audited, Failure> {
    let demand = demand(question.seed, question.sample)?;
    let roster = roster(node)?;
    let ours = standing(node, &roster).await?;
    let report = Report {
        format: audit::FORMAT.to_owned(),
        holds: audit::WARNING.to_owned(),
        header: copy_of_own(node)?,
        seed: demand.seed.clone(),
        auditor: question.auditor,
        operator: user.clone(),
        at: now(),
        openings: Vec::new(),
    };
    let batches = ours.own.batches();
    let entries = batches.iter().map(|made| made.entries.len());
    // At most MAX_ADVERT in all, which fits.
    let not_opened = (batches.len() as u32, entries.sum::<usize>() as u32);
    let here = Arc::clone(node);
    let (report, passed) = blocking(move || open(&here, &ours, &demand, report)).await?;
    let header = report.header.peek().map_err(|error| wrong(&error))?;
    let advert = AdvertState::of(&report.header, &header);
    let what = format!(
        "opened {} entries of our advert of epoch {}, generation {}, to auditor {}",
        passed.opened, advert.epoch, advert.generation, report.auditor
    );
    operator(node, user, what).await?;
    let path = question.to;
    blocking(move || {
        write_new(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            out.write_all(b"\n")
        })?;
        Ok(Audited {
            now: now(),
            path,
            advert,
            opened: passed,
            not_opened,
        })
    })
    .await
}

fn demand(seed: fairshare_protocol::text::Line, sample: u32) -> Result<Demand, Failure> {
    if (1..=MAX_AUDIT_SAMPLE).contains(&sample) {
        return Ok(Demand { seed, sample });
    }
    let fact = format!("an audit opens 1 to {MAX_AUDIT_SAMPLE} entries");
    Err(Failure::new(WRONG, fact, "name another --sample"))
}

/// Our advert of this epoch. None is made here: a seed must come after what it is drawn on.
async fn standing(node: &Arc<Node>, roster: &Roster) -> Result<Arc<Ours>, Failure> {
    let epoch = roster.epoch(now());
    let header = node.index.own().map_err(|error| wrong(&error))?;
    let header = header.and_then(|own| own.header.peek().ok());
    if header.is_none_or(|header| header.epoch != epoch) {
        return Err(no_advert(node.code()));
    }
    let ours = node.adverts.standing(node, roster).await;
    ours.map_err(|error| wrong(&error))
}

fn no_advert(whose: &OdsCode) -> Failure {
    let fact = format!("there is no whole advert of {whose} for this epoch here");
    Failure::new(
        WRONG,
        fact,
        "`fairshare match` makes ours and fetches others'",
    )
}

fn copy_of_own(node: &Node) -> Result<Signed<Header>, Failure> {
    let own = node.index.own().map_err(|error| wrong(&error))?;
    own.map(|own| own.header)
        .ok_or_else(|| no_advert(node.code()))
}

fn open(
    node: &Node,
    ours: &Ours,
    demand: &Demand,
    mut report: Report,
) -> Result<(Report, Passed), Failure> {
    let header = ours.own.advert().header();
    let ground = Ground::new(&report.header, header, &demand.seed);
    let drawn = audit::draw(&report.header, header.count, demand);
    let mut entries = BTreeMap::new();
    for behind in sample(node, ours, &drawn).map_err(|error| wrong(&error))? {
        let opening = audit::open(&Opener::of(&ours.own), &ground, &behind, &mut rand::rng());
        entries.insert(behind.position, behind.entry);
        report.openings.push(opening.map_err(|finding| {
            let remedy = "its advert is not what this node should have made: keep a copy of the \
                          home, and report it";
            Failure::new(DEGRADED, finding.to_string(), remedy)
        })?);
    }
    let passed = audit::check(&report, demand, &report.header, &entries);
    Ok((report, passed.map_err(|finding| wrong(&finding))?))
}

/// What stands behind these entries of our advert.
fn sample(node: &Node, ours: &Ours, drawn: &[u32]) -> Result<Vec<Behind>, store::Error> {
    let damaged = || store::Error::Shape { table: "adverts" };
    let advert = Copy::of(&node.index, node.code(), true)?.ok_or_else(damaged)?;
    let mut behind = Vec::with_capacity(drawn.len());
    for (position, entry) in advert.entries(&node.index, drawn)? {
        let made_of = match ours.own.slot(position).ok_or_else(damaged)? {
            Slot::Canary(number) => MadeOf::Canary(number),
            Slot::Person(number) => {
                let key = ours.people.get(number as usize).ok_or_else(damaged)?;
                MadeOf::Person(*key, local(node, key)?)
            }
        };
        behind.push(Behind {
            position,
            entry,
            made_of,
        });
    }
    Ok(behind)
}

/// What this organisation calls the people of an index key.
fn local(node: &Node, key: &IndexKey) -> Result<Vec<Redacted<String>>, store::Error> {
    let mut local = Vec::new();
    for id in node.records.people_by_key(key)? {
        local.extend(node.records.person(&id)?.map(|it| Redacted::new(it.local)));
    }
    Ok(local)
}

/// An advert as it lies here.
enum Copy {
    Own(OwnAdvert),
    Peer(PeerAdvert),
}

impl Copy {
    /// That of a member, if all of it is here.
    fn of(index: &Index, member: &OdsCode, own: bool) -> Result<Option<Self>, store::Error> {
        if own {
            return Ok(index.own()?.map(Self::Own));
        }
        let whole = index.peer(member)?.filter(|held| held.whole.is_some());
        Ok(whole.map(Self::Peer))
    }

    const fn header(&self) -> &Signed<Header> {
        match self {
            Self::Own(own) => &own.header,
            Self::Peer(peer) => &peer.header,
        }
    }

    fn chunk(&self, index: &Index, number: u32) -> Result<Option<Bytes>, store::Error> {
        match self {
            Self::Own(own) => index.own_chunk(own, number),
            Self::Peer(peer) => index.peer_chunk(peer, number),
        }
    }

    /// The entries at these positions, which ascend.
    fn entries(&self, index: &Index, drawn: &[u32]) -> Result<Vec<(u32, Point)>, store::Error> {
        const SIZE: u32 = MAX_CHUNK_ENTRIES as u32;
        let damaged = || store::Error::Shape { table: "adverts" };
        let mut entries = Vec::with_capacity(drawn.len());
        for run in drawn.chunk_by(|a, b| a / SIZE == b / SIZE) {
            let number = run.first().map_or(0, |position| position / SIZE);
            let chunk = self.chunk(index, number)?.ok_or_else(damaged)?;
            let chunk = from_bytes(&chunk.0).ok_or_else(damaged)?;
            for position in run {
                let entry = chunk.get((position % SIZE) as usize);
                entries.push((*position, *entry.ok_or_else(damaged)?));
            }
        }
        Ok(entries)
    }
}

/// An advert here, its header, and the node key the roster has for its member.
fn found(node: &Node, whose: &OdsCode) -> Result<(Copy, Header, PublicKey), Failure> {
    let roster = roster(node)?;
    let key = member(&roster, whose)?.node.map(|keys| keys.node);
    let key = key.ok_or_else(|| {
        let fact = format!("{whose} has no node in the roster");
        Failure::new(WRONG, fact, "`fairshare members` shows who has")
    })?;
    let copy = Copy::of(&node.index, whose, whose == node.code());
    let copy = copy.map_err(|error| wrong(&error))?;
    let copy = copy.ok_or_else(|| no_advert(whose))?;
    let header = copy.header().peek().map_err(|error| wrong(&error))?;
    Ok((copy, header, key))
}

/// Writes an advert as it lies here into a file.
///
/// # Errors
/// If it is not here, or the file is there already or cannot be written.
pub async fn export(
    node: &Arc<Node>,
    user: &User,
    question: ExportAdvert,
) -> Result<ExportedAdvert, Failure> {
    let whose = question.member.unwrap_or_else(|| node.code().clone());
    let (copy, header, key) = found(node, &whose)?;
    let advert = AdvertState::of(copy.header(), &header);
    operator(node, user, format!("exported the advert of {whose}")).await?;
    let (index, path) = (node.index.clone(), question.to);
    blocking(move || {
        let bytes = write_new(&path, |out| {
            copied::begin(copy.header(), out)?;
            for number in 0..header.chunks() {
                let chunk = copy.chunk(&index, number).map_err(std::io::Error::other)?;
                out.write_all(&chunk.unwrap_or_default().0)?;
            }
            Ok(())
        })?;
        Ok(ExportedAdvert {
            now: now(),
            path,
            bytes,
            advert,
            node: key,
        })
    })
    .await
}

/// Draws a sample of an advert as it lies here.
///
/// # Errors
/// If it is not here.
pub async fn draw(node: &Arc<Node>, question: DrawSample) -> Result<Sample, Failure> {
    let demand = demand(question.seed, question.sample)?;
    let (copy, header, key) = found(node, &question.member)?;
    let index = node.index.clone();
    blocking(move || {
        let drawn = audit::draw(copy.header(), header.count, &demand);
        let entries = copy.entries(&index, &drawn);
        Ok(Sample {
            entries: entries.map_err(|error| wrong(&error))?,
            header: match copy {
                Copy::Own(own) => own.header,
                Copy::Peer(peer) => peer.header,
            },
            node: key,
        })
    })
    .await
}
