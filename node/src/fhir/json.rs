//! JSON as FHIR writes it, borrowed from the bytes it came in.
//!
//! serde_json does the reading; this module adds what FHIR and safety want of it: no name twice in
//! one object, no NUL character in a string, and errors that never repeat what they stumbled over.
//! Nesting beyond 128 levels is refused by serde_json's own limit.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal::Refusal;

/// One JSON value. Patient data: its `Debug` says only what shape it has.
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// The number, if it is a whole one that is not negative. Others are never looked at; the
    /// bytes keep them as they came.
    Number(Option<u64>),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads one whole value.
    pub(crate) fn read(text: &'a str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|error| not_json(&error))
    }

    /// The member of that name, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    /// The text of the member of that name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Self::text)
    }

    /// The elements of the member of that name: none if it is absent, one if it is not a list.
    pub(crate) fn each(&self, name: &str) -> &[Self] {
        self.member(name).map_or(&[], |value| match value {
            Self::List(elements) => elements,
            Self::Null => &[],
            one => std::slice::from_ref(one),
        })
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub(crate) const fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Object(_) => "object",
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(Some(number)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(None))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        // Borrowed means written without escapes, and JSON allows no raw control characters.
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json<'de>, E> {
        without_nul(text)?;
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        each_once(members.iter().map(|(name, _)| name))?;
        Ok(Json::Object(members))
    }
}

fn without_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') {
        return Err(E::custom(
            "a NUL character in a string, which FHIR does not allow",
        ));
    }
    Ok(())
}

/// Two members of one name have no one meaning: readers differ on which counts.
fn each_once<'n, E: serde::de::Error>(
    names: impl ExactSizeIterator<Item = &'n Cow<'n, str>> + Clone,
) -> Result<(), E> {
    let twice = if names.len() <= 16 {
        let mut rest = names;
        loop {
            let Some(name) = rest.next() else { break false };
            if rest.clone().any(|other| other == name) {
                break true;
            }
        }
    } else {
        let count = names.len();
        names.collect::<BTreeSet<_>>().len() != count
    };
    if twice {
        return Err(E::custom("a member appears twice in one object"));
    }
    Ok(())
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match from.deserialize_str(Any)? {
            Json::Text(name) => Ok(Self(name)),
            _ => Err(D::Error::custom("a name that is not a string")),
        }
    }
}

/// One object whose members are not read yet, only found.
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Finds the members of the one object that `text` is.
    pub(crate) fn find(text: &'a str) -> Result<Self, Refusal> {
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::NotAnObject);
        }
        serde_json::from_str(text).map_err(|error| not_json(&error))
    }

    /// The bytes of the member of that name, as they stand; `null` counts as absent.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, raw)| raw.get()).filter(|raw| *raw != "null")
    }

    /// The member of that name, read.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Json<'a>>, Refusal> {
        self.raw(name).map(Json::read).transpose()
    }

    /// The text of the member of that name; none if it is something else.
    pub(crate) fn text_of(&self, name: &str) -> Result<Option<String>, Refusal> {
        let read = match self.raw(name) {
            Some(raw) if raw.starts_with('"') => Some(Json::read(raw)?),
            _ => None,
        };
        Ok(read.and_then(|json| json.text().map(str::to_owned)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Found;
        impl<'de> Visitor<'de> for Found {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                each_once(members.iter().map(|(name, _)| name))?;
                Ok(Members(members))
            }
        }
        from.deserialize_map(Found)
    }
}

/// The elements of the one list that `text` is, not read yet.
pub(crate) fn elements(text: &str) -> Result<Vec<&RawValue>, Refusal> {
    if !text.starts_with('[') {
        return Err(Refusal::Shape("entry"));
    }
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

/// The refusal for text serde_json did not take. Its messages name what it expected and where;
/// those that would quote the text are never reached, since every shape is taken.
pub(crate) fn not_json(error: &serde_json::Error) -> Refusal {
    let mut why = error.to_string();
    if why.starts_with("recursion limit") {
        why = why.replacen(
            "recursion limit exceeded",
            "nested deeper than 127 levels",
            1,
        );
    }
    Refusal::NotJson(why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn why(text: &str) -> String {
        Json::read(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_json_is_refused_with_the_place_and_without_quoting() {
        assert!(why("{\"a\":1,\"a\":2}").contains("appears twice"));
        assert!(why(r#"{"a":"x\u0000y"}"#).contains("NUL"));
        assert!(why("{\"name\":\"Ada\" \"b\":1}").contains("line 1 column 15"));
        assert!(!why("{\"name\":\"Ada\" \"b\":1}").contains("Ada"));
        assert!(why("[1e999]").contains("number out of range"));
        assert!(why(r#""\ud800""#).contains("hex escape") || !why(r#""\ud800""#).is_empty());
        let wide: String = (0..40).map(|i| format!("\"k{}\":0,", i % 39)).collect();
        assert!(why(&format!("{{{}\"z\":1}}", wide)).contains("appears twice"));
    }

    #[test]
    fn nesting_a_million_deep_is_refused_and_overflows_nothing() {
        let deep = "[".repeat(1_000_000);
        assert!(why(&deep).contains("nested deeper than 127 levels"));
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        let members = Members::find(&closed).unwrap();
        assert!(
            members
                .member("a")
                .unwrap_err()
                .to_string()
                .contains("nested deeper")
        );
    }

    #[test]
    fn members_are_found_as_they_stand() {
        let members = Members::find("{ \"a\" : 1.50 , \"b\":null, \"c\": \"x\" }").unwrap();
        assert_eq!(members.raw("a"), Some("1.50"));
        assert_eq!(members.raw("b"), None);
        assert_eq!(members.text_of("c").unwrap().as_deref(), Some("x"));
        assert_eq!(members.text_of("a").unwrap(), None);
        assert!(Members::find("[]").is_err());
    }
}
