//! Bundles: which kinds are taken, and what their entries ask for.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::json::{Json, Members, elements};
use super::reference::{self, Places, split};
use super::refusal::Refusal;
use super::{Kind, version};

/// The longest `fullUrl` that is kept, in bytes.
const MAX_URN: usize = 256;

/// The kinds of Bundle an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// All or nothing.
    Transaction,
    /// Each entry on its own: batch, collection, searchset and document.
    Collection,
}

/// A Bundle whose entries are found but not read.
pub struct Bundle<'a> {
    /// How its entries stand together.
    pub kind: BundleKind,
    /// Its entries, in order.
    pub entries: Vec<Result<Entry<'a>, Refusal>>,
    /// Where references in its entries lead.
    pub places: Places,
}

/// One entry that asks for its resource to be stored.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The resource's text as it stands in the file.
    pub text: &'a str,
    /// What the Bundle calls the resource, for one that has no id of its own.
    pub id: Option<String>,
    /// Its `fullUrl`, if that is a `urn:`: other entries refer to it by this.
    pub urn: Option<String>,
    /// An entry to pass over in silence: what a search says of itself.
    pub passed_over: bool,
}

/// What one JSON document is.
pub enum Document<'a> {
    /// A Bundle.
    Bundle(Bundle<'a>),
    /// A single resource, to be read with [`super::Resource::read`].
    Resource,
    /// The manifest of a Bulk Data export, and the address of the server exported, if it says.
    Manifest(Option<String>),
}

/// Tells what one JSON document is. `bases` says which servers are ours.
///
/// # Errors
/// If it is not JSON, not FHIR, or a Bundle of a kind we do not take.
pub fn document<'a>(text: &'a str, bases: &Places) -> Result<Document<'a>, Refusal> {
    let members = Members::find(text)?;
    match members.text_of("resourceType")?.as_deref() {
        Some("Bundle") => Bundle::find(text, bases).map(Document::Bundle),
        Some(_) => Ok(Document::Resource),
        None if members.raw("output").is_some() && members.raw("transactionTime").is_some() => {
            let request = members.text_of("request")?;
            Ok(Document::Manifest(request.as_deref().and_then(exported)))
        }
        None => Err(Refusal::NotFhir),
    }
}

/// The server an export's request was made to: what precedes `$export`, `Patient/$export` or
/// `Group/x/$export` (Bulk Data Access 2.0).
fn exported(request: &str) -> Option<String> {
    let (before, _) = request.split_once("/$export")?;
    let base = before
        .strip_suffix("/Patient")
        .unwrap_or_else(|| match split(before) {
            Some((Some(base), kind, _)) if kind.name == "Group" => base,
            _ => before,
        });
    Some(base.to_owned())
}

impl<'a> Bundle<'a> {
    /// The text of the resource in the entry of that number, from 1.
    pub fn text_of(&self, number: u64) -> Option<&'a str> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        Some(self.entries.get(at)?.as_ref().ok()?.text)
    }

    /// Finds the entries of a Bundle. `places` says which servers are ours.
    ///
    /// # Errors
    /// If it is not a Bundle of a kind we take, or not of FHIR R4.
    pub fn find(text: &'a str, bases: &Places) -> Result<Self, Refusal> {
        let members = Members::find(text)?;
        if let Some(meta) = members.member("meta")? {
            let bundle = Json::Object(vec![("meta".into(), meta)]);
            if let Some(version) = version::profile(&bundle) {
                return Err(Refusal::OtherVersion(version));
            }
        }
        let kind = kind(members.text_of("type")?.as_deref())?;
        let raw = members.raw("entry").map_or(Ok(Vec::new()), elements)?;
        let mut places = Places {
            entries: BTreeMap::new(),
            bases: bases.bases.clone(),
        };
        let entries = raw
            .into_iter()
            .map(|entry| find_entry(entry, &mut places))
            .collect();
        Ok(Self {
            kind,
            entries,
            places,
        })
    }
}

fn kind(name: Option<&str>) -> Result<BundleKind, Refusal> {
    let refused = |kind, why| Err(Refusal::BundleType { kind, why });
    match name {
        Some("transaction") => Ok(BundleKind::Transaction),
        Some("batch" | "collection" | "searchset" | "document") => Ok(BundleKind::Collection),
        Some("message") => refused("message", "a message is for the one it was sent to"),
        Some("history") => refused("history", "give the current resources instead"),
        Some("transaction-response") => refused(
            "transaction-response",
            "an answer to a transaction; give the transaction",
        ),
        Some("batch-response") => refused("batch-response", "an answer to a batch; give the batch"),
        _ => Err(Refusal::NoBundleType),
    }
}

/// Finds one entry, and notes in `places` what it is called.
fn find_entry<'a>(raw: &'a RawValue, places: &mut Places) -> Result<Entry<'a>, Refusal> {
    let entry = Members::find(raw.get())?;
    let url = entry.text_of("fullUrl")?;
    let Some(text) = entry.raw("resource") else {
        let method = entry.member("request")?;
        return Err(request_without_resource(method.as_ref()));
    };
    let resource = Members::find(text)?;
    let name = resource.text_of("resourceType")?.ok_or(Refusal::NotFhir)?;
    if name == "Bundle" {
        return Err(Refusal::NestedBundle);
    }
    let search = entry.member("search")?;
    let passed_over = search.is_some_and(|search| search.text_of("mode") == Some("outcome"));
    let own = resource.text_of("id")?;
    let id = own.or_else(|| url.as_deref().and_then(called));
    if let (Some(url), Ok(kind), Some(id)) = (&url, Kind::of(&name), &id) {
        if let Some((Some(base), _, _)) = split(url) {
            places.bases.insert(base.to_owned());
        }
        places.entries.insert(url.clone(), (kind, id.clone()));
    }
    if let Some(request) = entry.member("request")? {
        check_request(&request, Kind::of(&name)?, id.as_deref())?;
    }
    let urn = url.filter(|url| url.starts_with("urn:") && url.len() <= MAX_URN);
    Ok(Entry {
        text,
        id,
        urn,
        passed_over,
    })
}

/// The id a `fullUrl` gives: the UUID, or what ends its address.
fn called(url: &str) -> Option<String> {
    let id = match url.strip_prefix("urn:uuid:") {
        Some(uuid) => uuid,
        None => split(url)?.2,
    };
    reference::is_id(id).then(|| id.to_owned())
}

fn check_request(request: &Json<'_>, kind: &Kind, id: Option<&str>) -> Result<(), Refusal> {
    let url = request.text_of("url").unwrap_or_default();
    match request.text_of("method") {
        Some("POST" | "PUT") => {}
        other => return Err(method(other)),
    }
    // A supporting resource stored once more than a server would have harms nobody; a second
    // Patient would split one person's records in two.
    let condition = ["ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince"]
        .into_iter()
        .find(|name| request.member(name).is_some())
        .or_else(|| url.contains('?').then_some("conditional update"));
    if let Some(condition) = condition {
        let harmless =
            matches!(condition, "ifNoneExist" | "conditional update") && kind.is_supporting();
        return if harmless {
            Ok(())
        } else {
            Err(Refusal::Conditional(condition))
        };
    }
    let put = request.text_of("method") == Some("PUT");
    let named = split(url).map(|(_, _, id)| id);
    if put && named.is_some() && named != id {
        return Err(Refusal::Shape("request.url"));
    }
    Ok(())
}

fn request_without_resource(request: Option<&Json<'_>>) -> Refusal {
    match request.and_then(|request| request.text_of("method")) {
        None | Some("POST" | "PUT") => Refusal::NoResource,
        other => method(other),
    }
}

fn method(name: Option<&str>) -> Refusal {
    match name {
        Some("GET") => Refusal::Method("read or search (GET)"),
        Some("HEAD") => Refusal::Method("read (HEAD)"),
        Some("DELETE") => Refusal::Method("delete (DELETE)"),
        Some("PATCH") => Refusal::Method("patch (PATCH)"),
        _ => Refusal::Shape("request.method"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn find(text: &str) -> Result<Bundle<'_>, Refusal> {
        Bundle::find(text, &Places::default())
    }

    fn entry(entry: &str) -> Result<String, Refusal> {
        let text = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entry}]}}"#);
        let found = find(&text).unwrap().entries.remove(0);
        found.map(|entry| entry.id.unwrap_or_default())
    }

    #[test]
    fn kinds_of_bundle_are_taken_or_refused_by_name() {
        let kind = |name: &str| {
            let text = format!(r#"{{"resourceType":"Bundle","type":"{name}"}}"#);
            find(&text)
                .map(|bundle| bundle.kind)
                .map_err(|refusal| refusal.to_string())
        };
        assert_eq!(kind("transaction"), Ok(BundleKind::Transaction));
        for each in ["batch", "collection", "searchset", "document"] {
            assert_eq!(kind(each), Ok(BundleKind::Collection));
        }
        assert!(
            kind("message")
                .unwrap_err()
                .starts_with("a Bundle of type message:")
        );
        assert!(
            kind("batch-response")
                .unwrap_err()
                .contains("give the batch")
        );
        assert_eq!(kind("bag").unwrap_err(), "a Bundle without a type R4 knows");
    }

    #[test]
    fn an_entry_is_called_by_its_id_else_by_its_full_url() {
        let with = |url: &str, resource: &str| {
            entry(&format!(r#"{{"fullUrl":"{url}","resource":{resource}}}"#)).unwrap()
        };
        let bare = r#"{"resourceType":"Patient"}"#;
        assert_eq!(
            with("urn:uuid:u-1", r#"{"resourceType":"Patient","id":"a"}"#),
            "a"
        );
        assert_eq!(with("urn:uuid:u-1", bare), "u-1");
        assert_eq!(with("https://x.example/fhir/Patient/9", bare), "9");
        assert_eq!(with("urn:oid:1.2", bare), "");
    }

    #[test]
    fn entries_that_ask_for_something_else_are_refused_by_name() {
        let patient = r#""resource":{"resourceType":"Patient","id":"a"}"#;
        let request = |rest: &str| entry(&format!(r#"{{{patient},"request":{{{rest}}}}}"#));
        assert!(request(r#""method":"PUT","url":"Patient/a""#).is_ok());
        assert_eq!(
            request(r#""method":"PUT","url":"Patient/b""#),
            Err(Refusal::Shape("request.url"))
        );
        assert_eq!(
            request(r#""method":"PATCH","url":"Patient/a""#),
            Err(Refusal::Method("patch (PATCH)"))
        );
        assert_eq!(
            request(r#""method":"POST","url":"Patient","ifNoneExist":"identifier=a|b""#),
            Err(Refusal::Conditional("ifNoneExist"))
        );
        assert_eq!(
            entry(r#"{"request":{"method":"DELETE","url":"Patient/a"}}"#),
            Err(Refusal::Method("delete (DELETE)"))
        );
        assert_eq!(entry("{}"), Err(Refusal::NoResource));
        let practitioner = r#"{"resource":{"resourceType":"Practitioner","id":"a"},"request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=a|b"}}"#;
        assert!(entry(practitioner).is_ok());
    }

    #[test]
    fn references_between_entries_lead_by_full_url() {
        let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
            {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"p"}},
            {"fullUrl":"https://s.example/fhir/Patient/q","resource":{"resourceType":"Patient","id":"q"}}]}"#;
        let places = find(text).unwrap().places;
        for (text, id) in [
            ("urn:uuid:1", "p"),
            ("https://s.example/fhir/Patient/r", "r"),
        ] {
            let reference::Target::Name(name) = reference::follow(text, &places) else {
                unreachable!("{text}")
            };
            assert_eq!(name.by, reference::By::Id(id.into()));
        }
    }
}
