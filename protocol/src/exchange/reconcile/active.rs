//! Who is active on one side of a round.

use std::collections::BTreeMap;

use super::frame::Frame;
use super::{End, Out, send, unfit};
use crate::ids::Handle;
use crate::limits::{MAX_LISTED, MAX_ROUND};

/// People who are active on one side, and whether there is something new of them there.
#[derive(Default)]
pub(super) struct Active {
    people: BTreeMap<Handle, bool>,
    pub(super) whole: bool,
}

impl Active {
    /// Everybody, as this side says it.
    pub(super) fn all(people: Vec<(Handle, bool)>) -> Self {
        Self {
            people: people.into_iter().take(MAX_ROUND).collect(),
            whole: true,
        }
    }

    /// The next of the other side's.
    pub(super) fn hear(&mut self, people: Vec<(Handle, bool)>, last: bool) -> Result<(), End> {
        let more = self.people.len() + people.len();
        if self.whole || people.len() > MAX_LISTED || more > MAX_ROUND {
            return Err(unfit("more people than a round may be about"));
        }
        self.people.extend(people);
        if self.people.len() < more {
            return Err(unfit("somebody stands twice in a list of people"));
        }
        self.whole = last;
        Ok(())
    }

    /// Everybody active on both sides of whom there is news on one.
    pub(super) fn both(&self, other: &Self) -> Vec<Handle> {
        let both = self.people.iter().filter_map(|(handle, news)| {
            let theirs = other.people.get(handle)?;
            (*news || *theirs).then_some(*handle)
        });
        both.collect()
    }

    pub(super) fn send(&self, out: &mut Out) {
        let all: Vec<_> = self.people.iter().map(|(h, news)| (*h, *news)).collect();
        let mut rest = &all[..];
        loop {
            let (now, later) = rest.split_at(rest.len().min(MAX_LISTED));
            rest = later;
            out.push(send(&Frame::People {
                people: now.to_vec(),
                last: rest.is_empty(),
            }));
            if rest.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Output;
    use crate::ids::Fixed;
    use crate::limits::MAX_BULK_FRAME;

    #[test]
    fn however_many_there_are_every_message_about_them_fits_a_frame() {
        let handle = |number: u32| {
            let mut bytes = [0xff; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            (Handle(Fixed(bytes)), true)
        };
        for count in [0, 1, 2048, 2049, 10_000] {
            let all = Active::all((0..count).map(handle).collect());
            let mut out = Out::new();
            all.send(&mut out);
            let mut heard = Active::default();
            for output in out {
                let Output::Send(frame) = output else {
                    unreachable!("nothing but frames")
                };
                assert!(frame.len() <= MAX_BULK_FRAME, "{} bytes", frame.len());
                let Ok(Frame::People { people, last }) =
                    crate::codec::decode(&frame, MAX_BULK_FRAME)
                else {
                    unreachable!("nothing but people")
                };
                heard.hear(people, last).ok().unwrap();
            }
            assert_eq!((heard.whole, heard.people), (true, all.people));
        }
    }
}
