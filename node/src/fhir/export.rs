//! A received bundle as a FHIR Bundle with its provenance, and the wrong-person check.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use fairshare_protocol::category::Category;
use fairshare_protocol::codec;
use fairshare_protocol::exchange::ask::Filed;
use fairshare_protocol::exchange::bundle::{Content, Item, MAX_MANIFEST, Manifest};
use fairshare_protocol::ids::ExchangeId;
use fairshare_protocol::index::key::IndexKey;
use fairshare_protocol::time::Date;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::reference::Places;
use super::{Resource, Rules};

/// The largest Patient that is read to see whose bundle it is in, in bytes. One that is larger is
/// nobody we know.
const MAX_PATIENT: u64 = 2 * 1024 * 1024;
/// Where an exported record's relative references start. Reserved by RFC 2606: it resolves nowhere.
const BASE: &str = "https://fairshare.invalid";

/// The manifest at the head of `plaintext`, which is left at the first body.
fn manifest(plaintext: &mut impl Read) -> io::Result<Manifest> {
    let mut length = [0; 4];
    plaintext.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length)).min(MAX_MANIFEST as u64);
    let mut bytes = Vec::new();
    plaintext.take(length).read_to_end(&mut bytes)?;
    codec::decode(&bytes, MAX_MANIFEST).map_err(io::Error::other)
}

/// Calls `with` for every item of a bundle's plaintext, with at `most` so many bytes of its body.
fn each(
    mut plaintext: impl Read,
    most: impl Fn(&Item) -> u64,
    mut with: impl FnMut(&Item, &[u8]) -> io::Result<()>,
) -> io::Result<Manifest> {
    let manifest = manifest(&mut plaintext)?;
    let mut body = Vec::new();
    // What comes after the last body that is wanted is not read.
    let wanted = manifest.items.iter().rposition(|item| most(item) > 0);
    for (at, item) in manifest.items.iter().enumerate() {
        body.clear();
        if wanted.is_none_or(|last| at > last) {
            with(item, &body)?;
            continue;
        }
        let wanted = item.length.min(most(item));
        plaintext.by_ref().take(wanted).read_to_end(&mut body)?;
        let mut rest = plaintext.by_ref().take(item.length - wanted);
        io::copy(&mut rest, &mut io::sink())?;
        with(item, &body)?;
    }
    Ok(manifest)
}

/// Whether every Patient in a bundle's plaintext who bears an NHS number bears this one, and this
/// date of birth.
///
/// # Errors
/// If reading fails.
pub fn is_about(plaintext: impl Read, key: &IndexKey, today: Date) -> io::Result<bool> {
    let rules = Rules::new(false, today);
    let places = Places::at([]);
    let mut ours = true;
    let is_patient =
        |item: &Item| matches!(&item.content, Content::Record { kind, .. } if kind == "Patient");
    // Whoever showed it chose its size: nothing else of it is held in memory.
    let most = |item: &Item| if is_patient(item) { MAX_PATIENT } else { 0 };
    each(plaintext, most, |item, body| {
        if !is_patient(item) {
            return Ok(());
        }
        let whole = Some(body).filter(|body| body.len() as u64 == item.length);
        let read = whole
            .and_then(|body| str::from_utf8(body).ok())
            .and_then(|text| Resource::read(text, None, &places, &rules).ok());
        let Some(patient) = read.and_then(|resource| resource.patient) else {
            // A Patient that cannot be read is nobody we know.
            ours = false;
            return Ok(());
        };
        ours &= patient.nhs.is_none_or(|nhs| nhs == key.nhs);
        ours &= patient.key.map_or(true, |found| found == *key);
        Ok(())
    })?;
    Ok(ours)
}

/// Writes a received bundle as a FHIR R4 Bundle of type `collection`.
///
/// Every record stands in it byte for byte as its author had it. Its `fullUrl` is such that its
/// references resolve inside the Bundle: the `urn:` its author's records use, or a URL under
/// `https://fairshare.invalid/<ODS code>/`. Attachments are Binary resources under the URL by
/// which the record names them. A Provenance names author, exchange, purpose and time.
///
/// A record of which `holds` says no (by type and id) is left out with its attachments; the
/// Provenance then names the exchanges in which it was `corrected`. What a notice corrects stands in
/// none: it has no content. Gives how many records of each category were written.
///
/// # Errors
/// If reading or writing fails.
pub fn write(
    filed: &Filed,
    plaintext: impl Read,
    corrected: &BTreeSet<ExchangeId>,
    holds: impl Fn(&str, &str) -> bool,
    out: &mut impl Write,
) -> io::Result<Vec<(Category, u32)>> {
    let author = filed.from.as_str();
    let base = format!("{BASE}/{author}");
    let at = filed.at.to_string();
    let head = json!({
        "system": "urn:fairshare:exchange", "value": filed.exchange.to_string()
    });
    write!(
        out,
        r#"{{"resourceType":"Bundle","type":"collection","timestamp":"{at}","identifier":{head},"entry":["#
    )?;
    let mut targets = Vec::new();
    let mut written = BTreeMap::new();
    let mut left_out = false;
    let mut binaries = 0;
    let mut binary = |media: &str, body: &[u8]| {
        binaries += 1;
        json!({
            "resourceType": "Binary",
            "id": format!("{}-{binaries}", filed.exchange),
            "contentType": media,
            "data": data_encoding::BASE64.encode(body),
        })
    };
    let manifest = each(
        plaintext,
        |_| u64::MAX,
        |item, body| {
            match &item.content {
                Content::Record { kind, id, .. } => left_out = !holds(kind, id),
                Content::Supporting { .. } => left_out = false,
                Content::Attachment { .. } | Content::Corrected { .. } => {}
            }
            let (url, resource) = match &item.content {
                Content::Corrected { .. } => return Ok(()),
                Content::Record { .. } | Content::Attachment { .. } if left_out => return Ok(()),
                Content::Record { kind, id, urn, .. } | Content::Supporting { kind, id, urn } => {
                    let url = urn.clone().unwrap_or_else(|| format!("{base}/{kind}/{id}"));
                    if let Content::Record { category, .. } = item.content {
                        *written.entry(category).or_insert(0) += 1;
                        targets.push(json!({ "reference": url }));
                    }
                    match serde_json::from_slice::<&RawValue>(body) {
                        Ok(raw) if raw.get().starts_with('{') => (url, raw.get().to_owned()),
                        // Not FHIR at all: handed on as the bytes that came.
                        _ => (url, binary("application/octet-stream", body).to_string()),
                    }
                }
                Content::Attachment { name, media } => {
                    let url = match name.contains(':') {
                        true => name.clone(),
                        false => format!("{base}/{name}"),
                    };
                    (url, binary(media, body).to_string())
                }
            };
            write!(
                out,
                r#"{{"fullUrl":{},"resource":{resource}}},"#,
                Value::from(url)
            )
        },
    )?;
    let who = |code: &str| {
        json!({ "identifier": {
            "system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": code
        } })
    };
    let agent = |role: &str, code: &str| {
        let system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
        json!({ "type": { "coding": [{ "system": system, "code": role }] }, "who": who(code) })
    };
    let revised = corrected.iter().map(|exchange| {
        let system = "urn:fairshare:exchange";
        let identifier = json!({ "system": system, "value": exchange.to_string() });
        json!({ "role": "revision", "what": { "identifier": identifier } })
    });
    let source = json!({ "role": "source", "what": { "identifier": head } });
    let entities: Vec<_> = std::iter::once(source).chain(revised).collect();
    let provenance = json!({
        "resourceType": "Provenance",
        "target": targets,
        "occurredDateTime": manifest.as_of.to_string(),
        "recorded": at,
        "reason": [{ "text": filed.purpose.word() }],
        "agent": [agent("author", manifest.author.as_str()), agent("transmitter", author)],
        "entity": entities,
    });
    let url = format!("{BASE}/exchange/{}", filed.exchange);
    write!(
        out,
        r#"{{"fullUrl":{},"resource":{provenance}}}]}}"#,
        Value::from(url)
    )?;
    Ok(written.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use fairshare_protocol::category::{Category, Purpose};
    use fairshare_protocol::crypto::hash;
    use fairshare_protocol::exchange::answer::Verdict;
    use fairshare_protocol::ids::{Commitment, ExchangeId, Fixed, Hash, PersonId};
    use fairshare_protocol::time::Timestamp;

    use super::*;

    fn key() -> IndexKey {
        IndexKey {
            nhs: "9990001235".parse().unwrap(),
            born: "1948-11-08".parse().unwrap(),
        }
    }

    fn patient(nhs: &str, born: &str) -> String {
        format!(
            r#"{{"resourceType":"Patient","id":"p1","identifier":[{{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"{nhs}"}}],"birthDate":"{born}"}}"#
        )
    }

    fn record(category: Category, kind: &str, body: &[u8]) -> (Content, Vec<u8>) {
        let content = Content::Record {
            category,
            kind: kind.into(),
            id: "p1".into(),
            urn: None,
        };
        (content, body.to_vec())
    }

    fn filed(items: &[(Content, Vec<u8>)]) -> (Filed, Vec<u8>) {
        let item = |(content, body): &(Content, Vec<u8>)| Item {
            content: content.clone(),
            length: body.len() as u64,
            hash: hash::bytes(body),
        };
        let manifest = Manifest {
            author: "RH8".parse().unwrap(),
            as_of: Timestamp(1),
            subject: key(),
            items: items.iter().map(item).collect(),
        };
        let mut plain = manifest.head().unwrap();
        items.iter().for_each(|(_, body)| plain.extend(body));
        let filed = Filed {
            exchange: ExchangeId::new([5; 16]),
            from: "RH8".parse().unwrap(),
            person: PersonId(Fixed([1; 16])),
            commitment: Commitment::new([2; 32]),
            purpose: Purpose::Care,
            at: Timestamp(2),
            in_return: false,
            manifest,
            verdict: Verdict::Opened,
            shown: Hash::new([3; 32]),
        };
        (filed, plain)
    }

    #[test]
    fn a_bundle_about_another_person_is_told_by_its_own_patient() {
        let check = |nhs, born| {
            let text = patient(nhs, born);
            let (_, plain) = filed(&[record(Category::Demographics, "Patient", text.as_bytes())]);
            is_about(&plain[..], &key(), "2026-11-23".parse().unwrap()).unwrap()
        };
        assert!(check("9990001235", "1948-11-08"));
        assert!(!check("9990014965", "1948-11-08"));
        assert!(!check("9990001235", "1949-11-08"));
        let (_, plain) = filed(&[record(Category::Demographics, "Patient", b"not json")]);
        assert!(!is_about(&plain[..], &key(), "2026-11-23".parse().unwrap()).unwrap());
    }

    /// Gives zeros where a bundle is long, and remembers the most it was asked for at once.
    struct Long<'a> {
        head: &'a [u8],
        zeros: u64,
        most: usize,
    }

    impl Read for Long<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.most = self.most.max(into.len());
            if !self.head.is_empty() {
                return self.head.read(into);
            }
            let read = into.len().min(self.zeros as usize);
            into[..read].fill(0);
            self.zeros -= read as u64;
            Ok(read)
        }
    }

    #[test]
    fn a_large_body_is_never_held_in_memory_to_see_whose_it_is() {
        for (kind, ours) in [("Observation", true), ("Patient", false)] {
            let (mut filed, _) = filed(&[record(Category::Results, kind, b"")]);
            filed.manifest.items[0].length = 200 * 1024 * 1024;
            let head = filed.manifest.head().unwrap();
            let mut long = Long {
                head: &head,
                zeros: filed.manifest.items[0].length,
                most: 0,
            };
            let found = is_about(&mut long, &key(), "2026-11-23".parse().unwrap());
            assert_eq!(found.unwrap(), ours, "{kind}");
            assert!(long.most <= 2 * MAX_PATIENT as usize, "{}", long.most);
        }
    }

    #[test]
    fn an_export_is_a_bundle_of_the_very_bytes_with_provenance() {
        // A decimal's precision and the order of members are the author's.
        let body =
            r#"{"resourceType":"Observation","id":"p1","valueQuantity":{"value":1.50},"a":"é"}"#;
        let file = [0, 159, 255];
        let attachment = Content::Attachment {
            name: "attachments/x.bin".into(),
            media: "application/pdf".into(),
        };
        let (filed, plain) = filed(&[
            record(Category::Results, "Observation", body.as_bytes()),
            (attachment, file.to_vec()),
            record(Category::Results, "Observation", b"[not a resource"),
        ]);
        let mut out = Vec::new();
        write(&filed, &plain[..], &BTreeSet::new(), |_, _| true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(body));
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let entries = bundle["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(
            entries[0]["fullUrl"],
            "https://fairshare.invalid/RH8/Observation/p1"
        );
        assert_eq!(
            entries[1]["fullUrl"],
            "https://fairshare.invalid/RH8/attachments/x.bin"
        );
        let data = entries[1]["resource"]["data"].as_str().unwrap();
        assert_eq!(data_encoding::BASE64.decode(data.as_bytes()).unwrap(), file);
        assert_eq!(entries[2]["resource"]["resourceType"], "Binary");
        let provenance = &entries[3]["resource"];
        assert_eq!(provenance["resourceType"], "Provenance");
        assert_eq!(provenance["target"].as_array().unwrap().len(), 2);
        assert_eq!(provenance["agent"][0]["who"]["identifier"]["value"], "RH8");
    }
}
