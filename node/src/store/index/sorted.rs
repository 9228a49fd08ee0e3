//! Sorted tables: rows of a name of 16 bytes and a number, looked up without being read whole.
//!
//! A look-up reads some ten pages of a table of a million rows; many look-ups at once read each
//! page at most once.

use fairshare_protocol::ids::Fixed;
use fairshare_protocol::index::matching::tags::Tag;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Index;
use crate::store::Error;
use crate::store::blobs::pages::{self, Pages};

/// Rows in a page.
const ROWS: usize = 1024;
/// Bytes of a row.
const ROW: usize = 20;

/// Where a sorted table lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sorted {
    key: pages::Key,
    rows: u32,
}

impl Index {
    /// Writes a table of these rows, which are in order, durably. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn sorted(&self, rows: &[(Tag, u32)]) -> Result<Sorted, Error> {
        // At most MAX_ADVERT rows, which fits.
        let sorted = Sorted {
            key: pages::Key::new((ROWS * ROW) as u32),
            rows: rows.len() as u32,
        };
        let blobs = self.store.blobs();
        let pages = blobs.pages(&sorted.key)?;
        for (rows, number) in rows.chunks(ROWS).zip(0..) {
            let mut page = Zeroizing::new(Vec::with_capacity(ROWS * ROW));
            for (name, value) in rows {
                page.extend_from_slice(&name.0.0);
                page.extend_from_slice(&value.to_le_bytes());
            }
            pages.write(number, &page)?;
        }
        blobs.sync_pages(&pages)?;
        Ok(sorted)
    }

    /// The number found for each name, in the first of the tables that has it. Blocks.
    ///
    /// # Errors
    /// If the disk fails, or a table is damaged.
    pub fn look_up(&self, tables: &[Sorted], names: &[Tag]) -> Result<Vec<Option<u32>>, Error> {
        let mut found = vec![None; names.len()];
        let mut asked: Vec<_> = names.iter().copied().zip(0..).collect();
        asked.sort_unstable();
        for table in tables {
            let pages = self.store.blobs().pages(&table.key)?;
            within(&pages, 0..table.pages(), &asked, &mut found)?;
        }
        Ok(found)
    }

    pub(super) fn remove_sorted<'a>(
        &self,
        tables: impl IntoIterator<Item = &'a Sorted>,
    ) -> Result<(), Error> {
        for table in tables {
            self.store.blobs().remove_pages(&table.key)?;
        }
        Ok(())
    }
}

impl Sorted {
    fn pages(&self) -> u32 {
        self.rows.div_ceil(ROWS as u32)
    }
}

fn within(
    pages: &Pages,
    range: std::ops::Range<u32>,
    asked: &[(Tag, usize)],
    found: &mut [Option<u32>],
) -> Result<(), Error> {
    if range.is_empty() || asked.is_empty() {
        return Ok(());
    }
    let middle = range.start + (range.end - range.start) / 2;
    let page = pages.read(middle)?;
    let page = page.ok_or(Error::Shape { table: "pairs" })?;
    let (rows, _) = page.as_chunks::<ROW>();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(Error::Shape { table: "pairs" });
    };
    let from = asked.partition_point(|(name, _)| *name < self::name(first));
    let to = asked.partition_point(|(name, _)| *name <= self::name(last));
    for (name, at) in &asked[from..to] {
        if let Ok(row) = rows.binary_search_by_key(name, self::name)
            && found[*at].is_none()
        {
            found[*at] = Some(number(&rows[row]));
        }
    }
    within(pages, range.start..middle, &asked[..from], found)?;
    within(pages, middle + 1..range.end, &asked[to..], found)
}

fn name(row: &[u8; ROW]) -> Tag {
    let mut name = [0; 16];
    name.copy_from_slice(&row[..16]);
    Tag(Fixed(name))
}

fn number(row: &[u8; ROW]) -> u32 {
    u32::from_le_bytes([row[16], row[17], row[18], row[19]])
}
