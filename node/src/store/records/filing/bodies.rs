//! Writing bytes: bodies of records, and attachments.

use std::io::{self, Read, Write};

use fairshare_protocol::ids::Hash;

use super::Filing;
use crate::store::blobs::pack;
use crate::store::records::{Body, Content, Error, SMALL};

/// Blobs written but not yet under their final names; more share one commit.
const MAX_UNNAMED: usize = 64;
/// Bytes written between two commits, so that sled's own buffers stay bounded.
const COMMIT_EVERY: u64 = 32 * 1024 * 1024;

impl Filing<'_> {
    /// Whether bytes of that content are held.
    pub(crate) fn has_content(&self, hash: &Hash) -> Result<bool, Error> {
        self.records
            .tables()
            .attachments
            .contains(&self.records.content_name(hash))
    }

    /// Files the bytes of an attachment; `false` if they are not those of that hash and size.
    pub(crate) fn content(
        &mut self,
        hash: &Hash,
        size: u64,
        bytes: &mut dyn Read,
    ) -> Result<bool, Error> {
        let mut hashed = Hashing {
            bytes,
            hasher: blake3::Hasher::new(),
        };
        let body = self.body(&mut hashed, size)?;
        let more = hashed.read(&mut [0])?;
        if more > 0 || *hashed.hasher.finalize().as_bytes() != *hash.as_bytes() {
            self.remove_body(&body)?;
            return Ok(false);
        }
        let content = Content {
            import: self.import,
            body,
        };
        self.records
            .tables()
            .attachments
            .put(&self.records.content_name(hash), &content)?;
        Ok(true)
    }

    /// Writes bytes: at most `size` of them.
    pub(super) fn body(&mut self, bytes: &mut dyn Read, size: u64) -> Result<Body, Error> {
        self.begin_writing()?;
        self.uncommitted += size;
        if self.unnamed.len() >= MAX_UNNAMED || self.uncommitted >= COMMIT_EVERY {
            self.name_blobs()?;
        }
        let mut bytes = bytes.take(size);
        if size > SMALL as u64 {
            let mut writer = self.records.blobs().create()?;
            io::copy(&mut bytes, &mut writer)?;
            writer.flush()?;
            let key = writer.key();
            self.unnamed.push(writer);
            return Ok(Body::Large(self.import, key));
        }
        let mut small = Vec::new();
        bytes.read_to_end(&mut small)?;
        let place = match &mut self.pack {
            Some(pack) => pack.add(&small)?,
            None => self.pack.insert(self.begin_pack()?).add(&small)?,
        };
        Ok(Body::Small(self.import, place))
    }

    /// Starts the pack of this import, once it is known that there will be one.
    fn begin_pack(&self) -> Result<pack::Writer, Error> {
        let key = pack::Key::new();
        self.records
            .tables()
            .packs
            .put(&self.import.to_be_bytes(), &key)?;
        self.records.inner().store.commit_now()?;
        Ok(self.records.blobs().create_pack(&key)?)
    }

    /// Commits what was written, and gives blobs known to it their final names.
    pub(super) fn name_blobs(&mut self) -> Result<(), Error> {
        self.uncommitted = 0;
        if let Some(pack) = &mut self.pack {
            pack.sync()?;
        }
        self.records.inner().store.commit_now()?;
        for writer in self.unnamed.drain(..) {
            writer.finish()?;
        }
        Ok(())
    }

    pub(super) fn remove_body(&mut self, body: &Body) -> Result<(), Error> {
        match body {
            // In the pack it is left as it is: no row leads to it.
            Body::Large(import, key) if *import == self.import => {
                // It may still be without its final name.
                self.name_blobs()?;
                self.records.blobs().remove(key)?;
            }
            Body::Small(..) | Body::Large(..) => {}
        }
        Ok(())
    }
}

struct Hashing<'a> {
    bytes: &'a mut dyn Read,
    hasher: blake3::Hasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}
