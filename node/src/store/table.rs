//! Tables: sorted maps from keys to sealed values.

use fairshare_protocol::codec;
use fairshare_protocol::crypto::seal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, MAX_VALUE, Store};

/// Rows changed in one go where they need not change together.
const AT_ONCE: usize = 256;

/// A sorted map from keys to sealed values.
#[derive(Clone)]
pub struct Table {
    pub(super) tree: sled::Tree,
    pub(super) name: &'static str,
    pub(super) store: Store,
}

impl Table {
    fn seal(&self, key: &[u8], value: &(impl Serialize + ?Sized)) -> Vec<u8> {
        let place = [self.name.as_bytes(), b"\0", key].concat();
        let plain = zeroize::Zeroizing::new(codec::encode(value));
        seal::seal_value(&self.store.0.key, &place, &plain, &mut rand::rng())
    }

    fn open<T: Serialize + DeserializeOwned>(&self, key: &[u8], sealed: &[u8]) -> Result<T, Error> {
        let place = [self.name.as_bytes(), b"\0", key].concat();
        let plain =
            seal::open_value(&self.store.0.key, &place, sealed).map_err(|_| Error::Sealed)?;
        codec::decode(&plain, MAX_VALUE).map_err(|_| Error::Shape { table: self.name })
    }

    /// Writes a value; durable after the next [`Store::commit`].
    ///
    /// # Errors
    /// If sled fails.
    pub fn put(&self, key: &[u8], value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.tree.insert(key, self.seal(key, value))?;
        Ok(())
    }

    /// Writes a value if there is none under `key` yet; says whether it did.
    ///
    /// # Errors
    /// If sled fails.
    pub fn put_new(&self, key: &[u8], value: &(impl Serialize + ?Sized)) -> Result<bool, Error> {
        let sealed = self.seal(key, value);
        let swap = self
            .tree
            .compare_and_swap(key, None as Option<&[u8]>, Some(sealed))?;
        Ok(swap.is_ok())
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// If sled fails, or the value does not open or is of another type.
    pub fn load<T: Serialize + DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        match self.tree.get(key)? {
            Some(sealed) => self.open(key, &sealed).map(Some),
            None => Ok(None),
        }
    }

    /// Whether there is a value under `key`.
    ///
    /// # Errors
    /// If sled fails.
    pub fn contains(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.tree.contains_key(key)?)
    }

    /// Removes the value under `key`; says whether there was one.
    ///
    /// # Errors
    /// If sled fails.
    pub fn remove(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.tree.remove(key)?.is_some())
    }

    /// All keys that start with `prefix`, in order, with their values.
    pub fn scan<T: Serialize + DeserializeOwned>(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, T), Error>> + use<'_, T> {
        self.tree.scan_prefix(prefix).map(|pair| {
            let (key, sealed) = pair?;
            let value = self.open(&key, &sealed)?;
            Ok((key.to_vec(), value))
        })
    }

    /// All keys that start with `prefix`, in order; values are not opened.
    pub fn keys(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Vec<u8>, Error>> + use<> {
        let keys = self.tree.scan_prefix(prefix).keys();
        keys.map(|key| Ok(key?.to_vec()))
    }

    /// How many values there are. Walks the table.
    pub fn count(&self) -> usize {
        self.tree.len()
    }

    /// Writes many values, a few at a time: sled holds every page it replaces until a batch is over.
    ///
    /// # Errors
    /// If sled fails; some may then be written.
    pub fn put_all<K: AsRef<[u8]>, T: Serialize>(
        &self,
        rows: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), Error> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut batch = self.batch();
            for (key, value) in rows.by_ref().take(AT_ONCE) {
                batch.put(key.as_ref(), &value);
            }
            batch.apply()?;
        }
        Ok(())
    }

    /// Removes many values, a few at a time.
    ///
    /// # Errors
    /// If sled fails; some may then be removed.
    pub fn remove_all(&self, keys: &[Vec<u8>]) -> Result<(), Error> {
        for some in keys.chunks(AT_ONCE) {
            let mut batch = self.batch();
            some.iter().for_each(|key| batch.remove(key));
            batch.apply()?;
        }
        Ok(())
    }

    /// Changes to this table that become visible together.
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            table: self,
            batch: sled::Batch::default(),
        }
    }
}

/// Changes to one table that are applied all at once or not at all.
pub struct Batch<'a> {
    table: &'a Table,
    batch: sled::Batch,
}

impl Batch<'_> {
    /// Writes a value.
    pub fn put(&mut self, key: &[u8], value: &(impl Serialize + ?Sized)) {
        let sealed = self.table.seal(key, value);
        self.batch.insert(key, sealed);
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
    }

    /// Applies the changes; durable after the next [`Store::commit`].
    ///
    /// # Errors
    /// If sled fails; then none of them happened.
    pub fn apply(self) -> Result<(), Error> {
        Ok(self.table.tree.apply_batch(self.batch)?)
    }
}
