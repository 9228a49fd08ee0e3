//! Removing what an import left that did not finish.

use super::{Body, Content, Error, Held, Records, Row, split_key};
use crate::store::blobs::{self, pack};

/// Removes everything of an import that did not finish. Does nothing if there was none.
pub(crate) fn sweep(records: &Records) -> Result<(), Error> {
    let tables = records.tables();
    let blobs = records.inner().store.blobs();
    let mut left = false;
    for row in tables.imports.scan::<blobs::Key>(b"staged ") {
        let (name, key) = row?;
        blobs.remove(&key)?;
        tables.imports.remove(&name)?;
        left = true;
    }
    let last = records.finished()?.import;
    if tables
        .imports
        .load::<u64>(b"begun")?
        .is_some_and(|begun| begun > last)
    {
        sweep_rows(records, last)?;
        // Only when all the rest is gone may the next start forget that there was something.
        records.inner().store.commit_now()?;
        tables.imports.remove(b"begun")?;
        left = true;
    }
    if left {
        records.inner().store.commit_now()?;
    }
    Ok(())
}

fn sweep_rows(records: &Records, last: u64) -> Result<(), Error> {
    let tables = records.tables();
    let blobs = records.inner().store.blobs();
    for table in [&tables.records, &tables.supporting] {
        for key in table.keys(b"") {
            let key = key?;
            if split_key(&key).1 <= last {
                continue;
            }
            if let Some(Row::Version(record)) = table.load::<Row>(&key)?
                && let Body::Large(import, blob) = &record.body
                && *import > last
            {
                blobs.remove(blob)?;
            }
            table.remove(&key)?;
        }
    }
    for key in tables.people.keys(b"") {
        let key = key?;
        if split_key(&key).1 > last {
            tables.people.remove(&key)?;
        }
    }
    for row in tables.packs.scan::<pack::Key>(b"") {
        let (key, pack) = row?;
        if key[..] > last.to_be_bytes()[..] {
            blobs.remove_pack(&pack)?;
            tables.packs.remove(&key)?;
        }
    }
    for table in [&tables.identifiers, &tables.served, &tables.provided] {
        for row in table.scan::<u64>(b"") {
            let (key, import) = row?;
            if import > last {
                table.remove(&key)?;
            }
        }
    }
    for row in tables.attachments.scan::<Content>(b"") {
        let (key, content) = row?;
        if content.import > last {
            if let Body::Large(_, blob) = &content.body {
                blobs.remove(blob)?;
            }
            tables.attachments.remove(&key)?;
        }
    }
    for row in tables.held.scan::<Held>(b"") {
        let (key, mut held) = row?;
        if held.0.pop_if(|version| version.import > last).is_none() {
            continue;
        }
        if held.0.is_empty() {
            tables.held.remove(&key)?;
        } else {
            tables.held.put(&key, &held)?;
        }
    }
    Ok(())
}
