//! Filing what was set aside under its people.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use fairshare_protocol::ids::{Hash, PersonId};

use super::neighbour::Problem;
use super::report::Tally;
use super::resolve::{Found, Resolved};
use super::stage::{Beside, Head, Staged};
use super::walk::Walked;
use super::{Error, Phase, Watch};
use crate::store::records::filing::{Filed, Filing, Incoming};
use crate::store::records::{Attached, Body, Person, Record};

/// The watcher is told this often.
const WATCH_EVERY: u64 = 64;

/// Files everything that has somebody to be filed under; the rest is reported.
pub(super) fn file_all(
    filing: &mut Filing<'_>,
    staged: &Staged,
    resolved: &Resolved<'_>,
    walked: &Walked,
    tally: &mut Tally,
    watch: Watch<'_>,
) -> Result<(), Error> {
    let mut bodies = staged.bodies()?;
    let mut attached = BTreeSet::new();
    for (number, head) in (0..).zip(staged.heads()?) {
        let head = head?;
        if number % WATCH_EVERY == 0
            && watch(tally.progress(Phase::Filing, number, staged.count)).is_break()
        {
            return Err(Error::Stopped);
        }
        let length = if head.has_body { head.size } else { 0 };
        let mut bytes = (&mut bodies).take(length);
        if !resolved.fell(&head) {
            match resolved.find(filing, &head)? {
                Ok(found) => file(filing, &head, found, &mut bytes, &mut attached, tally)?,
                Err(refusal) => tally.refuse_resource(&head, &refusal),
            }
        }
        io::copy(&mut bytes, &mut io::sink())?;
    }
    for (number, found) in (0..).zip(&walked.files) {
        if attached.contains(&found.path) {
            tally.is_attachment(number);
        }
    }
    Ok(())
}

fn file(
    filing: &mut Filing<'_>,
    head: &Head,
    found: Found,
    bytes: &mut dyn Read,
    attached: &mut BTreeSet<PathBuf>,
    tally: &mut Tally,
) -> Result<(), Error> {
    let (category, label) = match found.followed {
        // A Binary is what its referrer is; Provenance keeps its own category, and both are at
        // least as restricted as what they follow.
        Some((category, label)) if head.kind == "Binary" => (category, label.max(head.label)),
        Some((_, label)) => (head.category, label.max(head.label)),
        None => (head.category, head.label),
    };
    let attachments = attachments(filing, head, attached, tally)?;
    let record = Record {
        kind: head.kind.clone(),
        id: head.id.clone(),
        category,
        label,
        hash: head.hash,
        size: head.size,
        urn: head.urn.clone(),
        attachments,
        references: head.references.clone(),
        marks: head.marks.clone(),
        within: head.within.clone(),
        binaries: head.binaries.clone(),
        body: Body::default(),
    };
    let incoming = Incoming {
        name: head.name,
        person: found.person,
        record,
        bytes,
    };
    let (filed, repeated) = filing.file(incoming)?;
    tally.read(head.file);
    match found.person {
        None => {
            for name in &head.identifiers {
                filing.identifier(name, &head.name)?;
            }
            for mark in &head.marks {
                filing.provided(mark, &head.name)?;
            }
            for alias in &head.aliases {
                filing.provided(&head.name, alias)?;
            }
            count(&mut tally.report.supporting, filed, repeated);
        }
        Some(person) => {
            for mark in &head.marks {
                filing.served(mark, &person)?;
            }
            count(&mut tally.report.records, filed, repeated);
            if head.patient.is_some() {
                patient(filing, head, person, tally)?;
            }
        }
    }
    tally.report.repeated += u64::from(repeated);
    Ok(())
}

fn patient(
    filing: &mut Filing<'_>,
    head: &Head,
    id: PersonId,
    tally: &mut Tally,
) -> Result<(), Error> {
    let Some(facts) = head.patient else {
        return Ok(());
    };
    let person = Person {
        local: head.id.clone(),
        nhs: facts.nhs,
        key: facts.key,
        identifiers: head.identifiers.clone(),
        named: head.named.clone(),
    };
    tally.report.people.new += u64::from(filing.person(id, &person)?);
    tally.indexed(head, facts.why);
    Ok(())
}

fn count(changes: &mut fairshare_protocol::control::import::Changes, filed: Filed, repeated: bool) {
    match (filed, repeated) {
        (Filed::New, false) => changes.new += 1,
        (Filed::Changed, false) => changes.changed += 1,
        (Filed::Unchanged, false) => changes.unchanged += 1,
        // It was another version first, in this very import, and is now what it was before.
        (Filed::Unchanged, true) => {
            changes.changed -= 1;
            changes.unchanged += 1;
        }
        (Filed::New | Filed::Changed, true) => {}
    }
}

/// Files the attachments beside a resource, and says which it has.
fn attachments(
    filing: &mut Filing<'_>,
    head: &Head,
    attached: &mut BTreeSet<PathBuf>,
    tally: &mut Tally,
) -> Result<Vec<Attached>, Error> {
    let mut all = Vec::new();
    for one in &head.attachments {
        match one {
            Beside::Inline => tally.report.attachments.inline += 1,
            Beside::Remote => tally.report.attachments.remote += 1,
            Beside::Damaged(damage) => tally.attachment(head, true, &damage.to_string()),
            Beside::File {
                url,
                content_type,
                path,
                hash,
                size,
            } => {
                let path = PathBuf::from(OsStr::from_bytes(&path.0));
                if keep(filing, &path, hash, *size)? {
                    tally.report.attachments.taken += 1;
                    attached.insert(path);
                    all.push(Attached {
                        url: url.clone(),
                        content_type: content_type.clone(),
                        hash: *hash,
                        size: *size,
                    });
                } else {
                    tally.attachment(head, true, "its attachment changed while it was imported");
                }
            }
            Beside::Not { url, why } => match held_before(filing, head, url)? {
                Some(before) => all.push(before),
                None => {
                    tally.attachment(head, matches!(why, Problem::Damaged(_)), &why.to_string())
                }
            },
        }
    }
    Ok(all)
}

/// Files the bytes of a neighbour, unless they are held; `false` if it is no longer what it was.
fn keep(filing: &mut Filing<'_>, path: &PathBuf, hash: &Hash, size: u64) -> Result<bool, Error> {
    if filing.has_content(hash)? {
        return Ok(true);
    }
    match File::open(path) {
        Ok(mut file) => Ok(filing.content(hash, size, &mut file)?),
        Err(_) => Ok(false),
    }
}

/// A file that is gone now, but was here when the very same resource was imported before.
fn held_before(filing: &Filing<'_>, head: &Head, url: &str) -> Result<Option<Attached>, Error> {
    let visible = filing.visible(&head.name)?.map(|(_, record)| record);
    let same = visible.filter(|record| record.hash == head.hash);
    Ok(same.and_then(|record| record.attachments.into_iter().find(|one| one.url == url)))
}
