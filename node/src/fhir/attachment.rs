//! Attachments: bytes beside or inside a resource.
//!
//! Inline data stays where it is, in the resource's own bytes. A relative address names a file
//! beside the one being read. An address at another server is left alone.

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::json::Json;
use super::reference::{Places, Target, follow, percent_decode};
use super::refusal::Refusal;

/// The most attachments one resource may have.
const MAX_ATTACHMENTS: usize = 256;
/// The longest address of a file beside a resource, in bytes.
const MAX_ADDRESS: usize = 1024;
/// The longest media type, in bytes.
const MAX_CONTENT_TYPE: usize = 128;
/// Elements of type Attachment in R4; `content` is one only in Media.
const ELEMENTS: [&str; 8] = [
    "attachment",
    "contentAttachment",
    "sourceAttachment",
    "valueAttachment",
    "presentedForm",
    "photo",
    "image",
    "content",
];

/// One attachment of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its media type, if stated.
    pub content_type: Option<String>,
    /// Where its bytes are.
    pub at: At,
    /// What the resource says of its bytes.
    pub stated: Stated,
}

/// Where the bytes of an attachment are.
#[derive(Clone, PartialEq, Eq)]
pub enum At {
    /// In the resource; whether they are what it states of them.
    Inline(Result<(), Damage>),
    /// In a file at this relative address, as the resource writes it.
    Neighbour(String),
    /// At another server.
    Remote,
}

impl std::fmt::Debug for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A file's name may well be a person's.
        f.write_str(match self {
            Self::Inline(_) => "Inline",
            Self::Neighbour(_) => "Neighbour",
            Self::Remote => "Remote",
        })
    }
}

/// Size and SHA-1 a resource states of an attachment's bytes (R4, Attachment `size`, `hash`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stated {
    /// In bytes, before base64.
    pub size: Option<u64>,
    /// SHA-1; not for security, but to know a damaged file.
    pub sha1: Option<[u8; 20]>,
}

/// How an attachment's bytes are not what its resource states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Damage {
    /// The inline data is not base64.
    #[error("its inline data is not base64")]
    NotBase64,
    /// Another size.
    #[error("it is not of the size stated")]
    Size,
    /// Another SHA-1.
    #[error("it does not have the SHA-1 stated")]
    Hash,
}

/// Checks bytes against what was stated of them, piece by piece.
#[derive(Clone, Default)]
pub struct Check {
    stated: Stated,
    size: u64,
    sha1: Sha1,
}

impl Check {
    /// A check of bytes of which this was stated.
    pub fn of(stated: Stated) -> Self {
        Self {
            stated,
            ..Self::default()
        }
    }

    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.stated.sha1.is_some() {
            self.sha1.update(bytes);
        }
    }

    /// Whether the bytes were what was stated.
    ///
    /// # Errors
    /// If not.
    pub fn finish(self) -> Result<(), Damage> {
        if self.stated.size.is_some_and(|size| size != self.size) {
            return Err(Damage::Size);
        }
        match self.stated.sha1 {
            Some(sha1) if sha1[..] != self.sha1.finalize()[..] => Err(Damage::Hash),
            _ => Ok(()),
        }
    }
}

/// All attachments in a resource of this type.
pub(crate) fn all(
    kind: &str,
    resource: &Json<'_>,
    places: &Places,
) -> Result<Vec<Attachment>, Refusal> {
    let mut found = Vec::new();
    walk(kind, resource, places, &mut found);
    if found.len() > MAX_ATTACHMENTS {
        return Err(Refusal::TooMany {
            what: "attachments",
            limit: MAX_ATTACHMENTS,
        });
    }
    Ok(found)
}

fn walk(kind: &str, json: &Json<'_>, places: &Places, found: &mut Vec<Attachment>) {
    match json {
        Json::List(elements) => elements
            .iter()
            .for_each(|one| walk(kind, one, places, found)),
        Json::Object(members) => {
            for (name, value) in members {
                let named = ELEMENTS.contains(&&**name) && (name != "content" || kind == "Media");
                let ones = match value {
                    Json::List(elements) => elements,
                    one => std::slice::from_ref(one),
                };
                if named {
                    found.extend(ones.iter().filter_map(|one| read(one, places)));
                }
                walk(kind, value, places, found);
            }
        }
        _ => {}
    }
}

/// Reads one Attachment; none if it has neither data nor an address that is not a Binary's.
fn read(element: &Json<'_>, places: &Places) -> Option<Attachment> {
    let stated = Stated {
        size: match element.member("size") {
            Some(Json::Number(size)) => *size,
            _ => None,
        },
        sha1: element
            .text_of("hash")
            .and_then(|hash| data_encoding::BASE64.decode(hash.as_bytes()).ok())
            .and_then(|hash| hash.try_into().ok()),
    };
    let at = match (element.text_of("data"), element.text_of("url")) {
        (Some(data), _) => At::Inline(inline(data, stated)),
        (None, Some(url)) => address(url, places)?,
        (None, None) => return None,
    };
    let content_type = element
        .text_of("contentType")
        .filter(|kind| kind.len() <= MAX_CONTENT_TYPE)
        .map(str::to_owned);
    Some(Attachment {
        content_type,
        at,
        stated,
    })
}

fn inline(data: &str, stated: Stated) -> Result<(), Damage> {
    // FHIR lets base64 be broken by white space.
    let spaced = data.bytes().any(|b| b.is_ascii_whitespace());
    let bytes = if spaced {
        let text: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        data_encoding::BASE64.decode(&text)
    } else {
        data_encoding::BASE64.decode(data.as_bytes())
    };
    let mut check = Check::of(stated);
    check.update(&bytes.map_err(|_| Damage::NotBase64)?);
    check.finish()
}

/// None for what is a resource here (`Binary/x`): that is a reference.
fn address(url: &str, places: &Places) -> Option<At> {
    if let Target::Name(_) = follow(url, places) {
        return None;
    }
    Some(match path(url) {
        Some(_) => At::Neighbour(url.to_owned()),
        None => At::Remote,
    })
}

/// The path a relative address stands for; none if it is not relative.
pub fn path(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let scheme = path
        .split('/')
        .next()
        .is_some_and(|first| first.contains(':'));
    if scheme || path.is_empty() || path.len() > MAX_ADDRESS {
        return None;
    }
    percent_decode(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn one(attachment: &str) -> At {
        let text = format!(r#"{{"content":[{{"attachment":{attachment}}}]}}"#);
        let found = all(
            "DocumentReference",
            &Json::read(&text).unwrap(),
            &Places::default(),
        );
        found.unwrap().remove(0).at
    }

    #[test]
    fn inline_data_is_checked_against_what_is_stated_of_it() {
        // printf hello | sha1sum | xxd -r -p | base64
        let hash = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";
        let good = format!(r#"{{"data":"aGVs bG8=","size":5,"hash":"{hash}"}}"#);
        assert_eq!(one(&good), At::Inline(Ok(())));
        let other = good.replace("aGVs", "aGVz");
        assert_eq!(one(&other), At::Inline(Err(Damage::Hash)));
        assert_eq!(
            one(&good.replace(":5", ":6")),
            At::Inline(Err(Damage::Size))
        );
        assert_eq!(one(r#"{"data":"a-b"}"#), At::Inline(Err(Damage::NotBase64)));
    }

    #[test]
    fn an_address_is_a_neighbour_or_left_alone() {
        let at = |url: &str| one(&format!(r#"{{"url":"{url}"}}"#));
        assert_eq!(
            at("attachments/a%20b.pdf"),
            At::Neighbour("attachments/a%20b.pdf".into())
        );
        assert_eq!(
            at("../x"),
            At::Neighbour("../x".into()),
            "refused where files are opened"
        );
        for remote in [
            "https://a/b",
            "urn:oid:1",
            "file:///etc/passwd",
            "http://fhir.nhs.uk/Id/dos-service-id|1",
        ] {
            assert_eq!(at(remote), At::Remote, "{remote}");
        }
        let text = r#"{"content":[{"attachment":{"url":"Binary/b"}}]}"#;
        assert_eq!(
            all(
                "DocumentReference",
                &Json::read(text).unwrap(),
                &Places::default()
            ),
            Ok(vec![])
        );
    }

    #[test]
    fn attachments_are_found_in_every_type_that_has_them() {
        for (kind, text) in [
            ("Media", r#"{"content":{"url":"a.jpg"}}"#),
            ("DiagnosticReport", r#"{"presentedForm":[{"url":"a.pdf"}]}"#),
            (
                "Communication",
                r#"{"payload":[{"contentAttachment":{"url":"a.pdf"}}]}"#,
            ),
            (
                "QuestionnaireResponse",
                r#"{"item":[{"answer":[{"valueAttachment":{"url":"a.pdf"}}]}]}"#,
            ),
        ] {
            let found = all(kind, &Json::read(text).unwrap(), &Places::default());
            assert_eq!(found.unwrap().len(), 1, "{kind}");
        }
    }
}
