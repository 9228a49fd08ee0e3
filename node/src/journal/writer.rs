//! The one thread that writes, and what it shares with those who append.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fairshare_protocol::codec;
use fairshare_protocol::crypto::sign::KeyPair;
use fairshare_protocol::ids::{Hash, OdsCode, PublicKey};
use fairshare_protocol::journal::{Act, Chain, Head, MAX_ENTRY};
use fairshare_protocol::statement::Signed;
use fairshare_protocol::time::Timestamp;
use tokio::sync::watch;

use super::check::{ENTRY, HEAD, Mark};
use super::lately::Peers;
use super::{Error, Receipt};
use crate::home::reserve::{Reserve, Room, is_full};

/// One entry in so many has its place remembered, for reading from the middle.
pub(super) const MARK_EVERY: u64 = 256;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// There is something to write, or to stop for.
    pub(super) work: Condvar,
    /// Something was written, or writing failed.
    pub(super) done: Condvar,
    pub(super) progress: watch::Sender<Progress>,
    /// Room for when the disk is full.
    pub(super) reserve: Room,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) member: OdsCode,
    pub(super) key: KeyPair,
    /// The node key that the last start named.
    pub(super) node: Option<PublicKey>,
    pub(super) chain: Chain,
    /// The latest day of any entry; its head is signed when a later one begins.
    pub(super) day: Option<u64>,
    /// The last entry that a signed head vouches for.
    pub(super) signed: u64,
    pub(super) entries: Vec<u8>,
    pub(super) heads: Vec<u8>,
    /// Length of the entries' file once all that is pending is in it.
    pub(super) length: u64,
    pub(super) marks: Vec<Mark>,
    pub(super) peers: Peers,
    pub(super) closing: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) durable: u64,
    pub(super) failed: Option<Arc<str>>,
}

impl State {
    pub(super) fn append(&mut self, act: Act, now: Timestamp) -> Result<Receipt, Error> {
        let entry = self.chain.entry(now, act);
        let bytes = codec::encode(&entry);
        if bytes.len() > MAX_ENTRY {
            return Err(Error::TooLong {
                length: bytes.len(),
            });
        }
        let (last, head) = (self.chain.next - 1, self.chain.head);
        self.chain.follow(&entry)?;
        self.peers.take(&entry);
        if let Act::Started { node, .. } = &entry.act {
            self.node = Some(*node);
        }
        if let Some(ended) = self.day.filter(|day| *day < now.day()) {
            self.sign_head(ended, last, head);
        }
        self.day = self.day.max(Some(now.day()));
        let frame = ENTRY.frame(&bytes);
        self.length += frame.len() as u64;
        self.entries.extend_from_slice(&frame);
        if entry.number.is_multiple_of(MARK_EVERY) {
            self.marks.push(Mark {
                at: self.length,
                chain: self.chain.clone(),
            });
        }
        Ok(Receipt {
            number: entry.number,
            hash: self.chain.head,
        })
    }

    /// Signs where the chain stands: nothing more is appended. Not before a start named the key:
    /// nobody could tell whose the head is.
    fn sign_end(&mut self) {
        let named = self.node == Some(self.key.public());
        if let Some(day) = self.day.filter(|_| named) {
            self.sign_head(day, self.chain.next - 1, self.chain.head);
        }
    }

    pub(super) fn sign_head(&mut self, day: u64, number: u64, hash: Hash) {
        if self.signed >= number {
            return;
        }
        self.signed = number;
        let member = self.member.clone();
        let head = Head {
            member,
            day,
            number,
            hash,
        };
        let signed = Signed::sign(&head, &self.key);
        self.heads
            .extend_from_slice(&HEAD.frame(&codec::encode(&signed)));
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // State is changed by `append` alone, which completes or leaves it as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer: takes all that is pending, writes it, fsyncs once, tells all who wait.
    pub(super) fn write_all(&self, mut entries_file: File, mut heads_file: File) {
        let mut entries = Vec::new();
        let mut heads = Vec::new();
        loop {
            let number = {
                let mut state = self.lock();
                while state.entries.is_empty() && state.heads.is_empty() && !state.closing {
                    state = self
                        .work
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                if state.closing {
                    state.sign_end();
                }
                if state.entries.is_empty() && state.heads.is_empty() {
                    return;
                }
                entries.clear();
                heads.clear();
                mem::swap(&mut state.entries, &mut entries);
                mem::swap(&mut state.heads, &mut heads);
                state.chain.next - 1
            };
            // Heads after the entries they speak of.
            let reserve = self.reserve.get().map(|reserve| &**reserve);
            let written = write_durably(&mut entries_file, &entries, reserve)
                .and_then(|()| write_durably(&mut heads_file, &heads, reserve));
            let failed = written.err();
            {
                // Under the lock, so that no waiter looks before and sleeps after.
                let _state = self.lock();
                self.progress.send_modify(|progress| match &failed {
                    None => progress.durable = number,
                    Some(error) => progress.failed = Some(error.to_string().into()),
                });
            }
            self.done.notify_all();
            if let Some(error) = failed {
                tracing::error!(%error, "the journal cannot be written; nothing more leaves this node");
                return;
            }
        }
    }
}

impl Progress {
    pub(super) fn holds(&self, receipt: Receipt) -> Result<(), Error> {
        match &self.failed {
            _ if self.durable >= receipt.number => Ok(()),
            Some(why) => Err(Error::Write {
                why: Arc::clone(why),
            }),
            None => Err(Error::closed()),
        }
    }
}

fn write_durably(file: &mut File, bytes: &[u8], reserve: Option<&Reserve>) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    if let Some(reserve) = reserve {
        reserve.ease();
    }
    let before = file.metadata()?.len();
    match file.write_all(bytes) {
        // The disk was filled meanwhile. What was written of it was never promised to be there.
        Err(error) if is_full(&error) && reserve.is_some_and(Reserve::release) => {
            file.set_len(before)?;
            file.write_all(bytes)?;
        }
        written => written?,
    }
    file.sync_data()
}
