//! A bundle of ours: what of a person may be shown, as a manifest and a stream of plaintext.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read};

use fairshare_protocol::category::Category;
use fairshare_protocol::codec::Roomy;
use fairshare_protocol::crypto::hash;
use fairshare_protocol::crypto::stream::TAG;
use fairshare_protocol::exchange::bundle::{Content, Item, Manifest};
use fairshare_protocol::exchange::notice::{self, Correction};
use fairshare_protocol::ids::Hash;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::limits::BUNDLE_CHUNK;
use fairshare_protocol::offer::{Label, Offer};
use fairshare_protocol::time::Timestamp;

use super::drive::{Error, now};
use super::withholding::{self, Held, MASKED};
use crate::fhir::status;
use crate::node::Node;
use crate::store::notices::Holding;
use crate::store::records::{Attached, Record, Records};

/// Why nothing is shown, for the journal only: the wire does not say.
const NOT_HELD: &str = "nothing is held in these categories";
const RESTRICTED: &str = "restricted-label";

pub use self::ahead::Ahead;

mod ahead;

/// A bundle ready to be read.
pub struct Bundle {
    /// Records of each category.
    pub counts: Vec<(Category, u32)>,
    /// Bytes of plaintext.
    pub length: u64,
    /// Hash of its first bytes: the manifest with its length.
    pub head: Hash,
    /// What the manifest says of its time.
    pub as_of: Timestamp,
    plain: Plain,
}

/// What may be shown of somebody: records about them, then those they reference; or why nothing is.
type Shown = Result<Vec<(bool, Record)>, String>;

/// What is shown of the person with this key, and how much that is; or why nothing is. Blocks.
///
/// Until it is known that there is something to show, the same is done for everybody: how long it
/// takes does not tell somebody withheld from anybody else with as many records.
///
/// # Errors
/// If the store fails.
pub fn prepare(
    node: &Node,
    person: &IndexKey,
    categories: &BTreeSet<Category>,
) -> Result<Result<Bundle, String>, Error> {
    match shown(node, person, categories)? {
        Ok(records) => bundle(node, person, now(), records, vec![]).map(Ok),
        Err(why) => Ok(Err(why)),
    }
}

/// What is shown of the person with this key in a round: an empty bundle if nothing is, whyever.
/// Blocks.
///
/// # Errors
/// If the store fails.
pub fn prepare_round(
    node: &Node,
    person: &IndexKey,
    categories: &BTreeSet<Category>,
    as_of: Timestamp,
) -> Result<Bundle, Error> {
    let records = shown(node, person, categories)?.unwrap_or_default();
    bundle(node, person, as_of, records, vec![])
}

/// What a peer that holds a copy of this person's records is to be told of them; none if that is
/// nothing, or why it waits. Blocks.
///
/// A record that was amended goes as it is now, if it may still be shown; it is only said that it was
/// amended if not. One that is wrong is named without content. A peer is not told of records it was
/// never shown: they are in a category it was shown nothing of, or stayed home.
///
/// # Errors
/// If the store fails.
pub fn prepare_notice(
    node: &Node,
    person: &IndexKey,
    holding: &Holding,
    flows: &BTreeSet<Category>,
) -> Result<Result<Option<Bundle>, String>, Error> {
    let Held {
        home, masked, why, ..
    } = withholding::held(node, person)?;
    if let Some(why) = why {
        return Ok(Err(format!("withheld: {why}")));
    }
    let roster = node.membership.roster();
    let own = roster
        .as_ref()
        .and_then(|roster| roster.member(node.code()));
    let offer = own.and_then(|member| member.offer.as_ref());
    let open = |record: &Record| record.label.is_none_or(|label| opened(offer, label));
    let was_shown = |record: &Record| holding.categories.contains(&record.category) && open(record);
    let (mut records, mut corrected) = (Vec::new(), Vec::new());
    for id in node.records.people_by_key(person)? {
        for change in node.records.changes(&id, holding.upto)? {
            let Some(now) = change.last.filter(|_| !home.contains(&change.name)) else {
                continue;
            };
            let before = change.before.as_ref();
            // It may have been shown in between.
            let known = before.is_some() || change.versions > 1;
            let told = match before {
                Some(before) => was_shown(before),
                None => was_shown(&now),
            };
            let wrong = match change.is_here {
                false => Some(Correction::WrongPerson),
                true if is_in_error(node, &now)? => Some(Correction::EnteredInError),
                true => None,
            };
            if before.is_some_and(|before| *before == now) && wrong.is_none() {
                continue;
            }
            let may = flows.contains(&now.category) && open(&now);
            match wrong {
                Some(why) if known && told => corrected.push(correction(&now, why)),
                Some(_) => {}
                None if may && (known || notice::is_urgent(now.category)) => records.push(now),
                None if known && told => corrected.push(correction(&now, Correction::Amended)),
                None => {}
            }
        }
    }
    if records.is_empty() && corrected.is_empty() {
        return Ok(Ok(None));
    }
    let mut supporting = node.records.supporting_of(&records)?;
    supporting.retain(open);
    supporting.retain(|record| !record.marks.iter().any(|mark| masked.contains(mark)));
    let about = records.into_iter().map(|record| (true, record));
    let others = supporting.into_iter().map(|record| (false, record));
    let records = about.chain(others).collect();
    bundle(node, person, now(), records, corrected).map(|bundle| Ok(Some(bundle)))
}

/// The largest record that is looked at for its status, in bytes.
const MOST: u64 = 1024 * 1024;

fn is_in_error(node: &Node, record: &Record) -> Result<bool, Error> {
    if record.size > MOST {
        return Ok(false);
    }
    let mut text = String::new();
    node.records.body(record)?.read_to_string(&mut text)?;
    Ok(status::is_in_error(&text))
}

fn correction(record: &Record, why: Correction) -> Item {
    Item {
        content: Content::Corrected {
            category: record.category,
            kind: record.kind.clone(),
            id: record.id.clone(),
            why,
        },
        length: 0,
        hash: hash::bytes(b""),
    }
}

fn shown(node: &Node, person: &IndexKey, categories: &BTreeSet<Category>) -> Result<Shown, Error> {
    let Held {
        records: mut held,
        home,
        masked,
        why,
    } = withholding::held(node, person)?;
    held.retain(|(_, record)| categories.contains(&record.category));
    let roster = node.membership.roster();
    let own = roster
        .as_ref()
        .and_then(|roster| roster.member(node.code()));
    let offer = own.and_then(|member| member.offer.as_ref());
    let any = !held.is_empty();
    held.retain(|(name, _)| !home.contains(name));
    let open = !held.is_empty();
    held.retain(|(_, record)| record.label.is_none_or(|label| opened(offer, label)));
    let nothing = match (any, open) {
        (false, _) => NOT_HELD,
        (true, false) => MASKED,
        (true, true) => RESTRICTED,
    };
    let nothing = held.is_empty().then(|| nothing.to_owned());
    if let Some(why) = why.or(nothing) {
        return Ok(Err(why));
    }
    let mut held: Vec<_> = held.into_iter().map(|(_, record)| record).collect();
    held.sort_by(|a, b| (a.category, &a.kind, &a.id).cmp(&(b.category, &b.kind, &b.id)));
    let mut supporting = node.records.supporting_of(&held)?;
    supporting.retain(|record| record.label.is_none_or(|label| opened(offer, label)));
    supporting.retain(|record| !record.marks.iter().any(|mark| masked.contains(mark)));
    let about = held.into_iter().map(|record| (true, record));
    let others = supporting.into_iter().map(|record| (false, record));
    Ok(Ok(about.chain(others).collect()))
}

fn bundle(
    node: &Node,
    person: &IndexKey,
    as_of: Timestamp,
    records: Vec<(bool, Record)>,
    corrected: Vec<Item>,
) -> Result<Bundle, Error> {
    // Without bodies: they may stand in front.
    let mut items = corrected;
    let mut bodies = VecDeque::new();
    for (about, record) in records {
        items.push(item(about, &record));
        for attached in &record.attachments {
            items.push(Item {
                content: Content::Attachment {
                    name: attached.url.clone(),
                    media: attached.content_type.clone().unwrap_or_default(),
                },
                length: attached.size,
                hash: attached.hash,
            });
        }
        let attachments = record.attachments.clone();
        bodies.push_back(Body::Record(Box::new(record)));
        bodies.extend(attachments.into_iter().map(Body::Attached));
    }
    let manifest = Manifest {
        author: node.code().clone(),
        as_of,
        subject: *person,
        items,
    };
    let Ok(head) = manifest.head() else {
        return Err(Error::Broken(
            "a person has more records than a bundle may have",
        ));
    };
    Ok(Bundle {
        counts: manifest.counts(),
        length: head.len() as u64 + manifest.bodies(),
        head: hash::bytes(&head),
        as_of,
        plain: Plain {
            now: Box::new(io::Cursor::new(head)),
            bodies,
            records: node.records.clone(),
        },
    })
}

fn item(about: bool, record: &Record) -> Item {
    let (kind, id, urn) = (record.kind.clone(), record.id.clone(), record.urn.clone());
    let content = match about {
        true => Content::Record {
            category: record.category,
            kind,
            id,
            urn,
        },
        false => Content::Supporting { kind, id, urn },
    };
    Item {
        content,
        length: record.size,
        hash: record.hash,
    }
}

/// Restricted records stay home unless the operator opened their label.
fn opened(offer: Option<&Offer>, label: Label) -> bool {
    offer.is_some_and(|offer| offer.opened_labels.contains(&label))
}

impl Bundle {
    /// The next plaintext: a whole chunk, less at the end. Blocks.
    ///
    /// # Errors
    /// If a body cannot be read.
    pub fn chunk(&mut self) -> io::Result<Roomy> {
        let mut chunk = Roomy::zeros(BUNDLE_CHUNK, TAG);
        let mut filled = 0;
        while filled < BUNDLE_CHUNK {
            match self.plain.read(&mut chunk.as_mut()[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        chunk.resize(filled);
        Ok(chunk)
    }
}

enum Body {
    Record(Box<Record>),
    Attached(Attached),
}

/// Manifest and bodies, one after the other, each opened when its turn comes.
struct Plain {
    now: Box<dyn Read + Send>,
    bodies: VecDeque<Body>,
    records: Records,
}

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.now.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let next = match self.bodies.pop_front() {
                None => return Ok(0),
                Some(Body::Record(record)) => self.records.body(&record),
                Some(Body::Attached(attached)) => self.records.attachment(&attached),
            };
            self.now = next.map_err(io::Error::other)?;
        }
    }
}
