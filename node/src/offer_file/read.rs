//! From text to offer, keeping hold of the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;

use fairshare_protocol::offer::{Presence, Row, may_travel};
use fairshare_protocol::terms;
use fairshare_protocol::text::Line;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{CLINICAL, Category, MemberKind, Mistake, Offer, Purpose};

type Value<'i> = Spanned<DeValue<'i>>;

struct Text<'i>(&'i str);

pub(super) fn offer(text: &str) -> Result<Offer, Mistake> {
    let here = Text(text);
    let table = DeTable::parse(text).map_err(|error| {
        let why = error.message().trim().replace('\n', " ");
        let remedy = "correct the line; the comments at the top show how lines are written";
        here.mistake(error.span().unwrap_or_default(), why, remedy)
    })?;
    let (mut in_return, mut presence) = (None, None);
    let (mut opened_labels, mut opened_services) = (BTreeSet::new(), BTreeSet::new());
    let mut matrix = BTreeMap::new();
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "show-in-return" => in_return = Some(here.yes_or_no(value)?),
            "opened-labels" => opened_labels = here.words(value)?,
            "opened-services" => opened_services = here.words(value)?,
            "presence" => presence = Some(here.presence(value)?),
            word => {
                let purpose = terms::purpose(word).map_err(|refusal| {
                    let remedy = "remove the section, or name it after a purpose that is";
                    here.mistake(key.span(), refusal.to_string(), remedy)
                })?;
                let rows = here.rows(purpose, value)?;
                if !rows.is_empty() {
                    matrix.insert(purpose, rows);
                }
            }
        }
    }
    let end = text.len()..text.len();
    let offer = Offer {
        show_in_return: in_return.ok_or_else(|| {
            let remedy = "add the line `show-in-return = true` (or false) before the first section";
            here.mistake(end.clone(), "`show-in-return` is missing", remedy)
        })?,
        presence: presence.ok_or_else(|| {
            let remedy = "add the section, with `shows = []` if nobody is to be shown it";
            here.mistake(end.clone(), "the section [presence] is missing", remedy)
        })?,
        matrix,
        opened_labels,
        opened_services,
    };
    offer
        .check()
        .map_err(|refusal| here.mistake(end, refusal.to_string(), "correct the section named"))?;
    Ok(offer)
}

impl Text<'_> {
    fn mistake(&self, at: Range<usize>, fact: impl Into<String>, remedy: &str) -> Mistake {
        let before = self.0.get(..at.start).unwrap_or(self.0);
        Mistake {
            line: before.matches('\n').count() + 1,
            fact: fact.into(),
            remedy: remedy.to_owned(),
        }
    }

    fn presence(&self, value: &Value<'_>) -> Result<Presence, Mistake> {
        let (mut shows, mut basis) = (None, None);
        for (key, value) in self.table(value)? {
            match key.get_ref().as_ref() {
                "shows" => shows = Some(self.kinds(value)?),
                "basis" => basis = Some(self.line(value)?),
                other => return Err(self.unknown(key.span(), other, "shows, basis")),
            }
        }
        let missing = |what: &str| {
            let fact = format!("[presence] has no `{what}`");
            self.mistake(
                value.span(),
                fact,
                "add it; the comment above says what it is",
            )
        };
        Ok(Presence {
            shows: shows.ok_or_else(|| missing("shows"))?,
            basis: basis.ok_or_else(|| missing("basis"))?,
        })
    }

    fn rows(
        &self,
        purpose: Purpose,
        value: &Value<'_>,
    ) -> Result<BTreeMap<Category, Row>, Mistake> {
        let table = self.table(value)?;
        let mut shared = None;
        for (key, value) in table {
            if key.get_ref() == "basis" {
                shared = Some(self.line(value)?);
            }
        }
        let mut rows = BTreeMap::new();
        for (key, value) in table {
            let word = key.get_ref().as_ref();
            if word == "basis" {
                continue;
            }
            let category: Category = self.word(key.span(), word)?;
            if category == Category::Presence {
                let fact = format!("`presence` stands under [{purpose}]");
                let remedy = "it has a section of its own, for all purposes: remove the line";
                return Err(self.mistake(key.span(), fact, remedy));
            }
            if !may_travel(category, purpose) {
                let fact = format!("`{category}` is never shown under [{purpose}]");
                return Err(self.mistake(key.span(), fact, "remove the line"));
            }
            let row = self.row(word, key.span(), value, shared.as_ref())?;
            rows.insert(category, row);
        }
        Ok(rows)
    }

    fn row(
        &self,
        word: &str,
        at: Range<usize>,
        value: &Value<'_>,
        shared: Option<&Line>,
    ) -> Result<Row, Mistake> {
        let (mut shows, mut needs, mut basis) = (None, None, shared.cloned());
        for (key, value) in self.table(value)? {
            match key.get_ref().as_ref() {
                "shows" => shows = Some(self.kinds(value)?),
                "needs" => needs = Some(self.kinds(value)?),
                "basis" => basis = Some(self.line(value)?),
                other => return Err(self.unknown(key.span(), other, "shows, needs, basis")),
            }
        }
        let missing = |what: &str, remedy: &str| {
            self.mistake(at.clone(), format!("`{word}` has no `{what}`"), remedy)
        };
        let list = "add it, with [] if there is nobody";
        let text = "state the legal basis, here or once for the section: basis = \"...\"";
        Ok(Row {
            shows: shows.ok_or_else(|| missing("shows", list))?,
            needs: needs.ok_or_else(|| missing("needs", list))?,
            basis: basis.ok_or_else(|| missing("basis", text))?,
        })
    }

    fn table<'v, 'i>(&self, value: &'v Value<'i>) -> Result<&'v DeTable<'i>, Mistake> {
        value.get_ref().as_table().ok_or_else(|| {
            let remedy = "write it like { shows = [\"clinical\"], needs = [] }";
            self.mistake(
                value.span(),
                "a section or { ... } is expected here",
                remedy,
            )
        })
    }

    fn strings<'v>(&self, value: &'v Value<'_>) -> Result<Vec<(Range<usize>, &'v str)>, Mistake> {
        let wrong = |at| {
            let remedy = "write it like [\"clinical\", \"adult-social-care\"]";
            self.mistake(at, "a list of words in quotes is expected here", remedy)
        };
        let array = value.get_ref().as_array();
        let array = array.ok_or_else(|| wrong(value.span()))?;
        let word = |item: &'v Value<'_>| {
            let word = item.get_ref().as_str();
            word.map(|word| (item.span(), word))
                .ok_or_else(|| wrong(item.span()))
        };
        array.iter().map(word).collect()
    }

    fn words<T>(&self, value: &Value<'_>) -> Result<BTreeSet<T>, Mistake>
    where
        T: FromStr<Err: std::fmt::Display> + Ord,
    {
        let words = self.strings(value)?.into_iter();
        words.map(|(at, word)| self.word(at, word)).collect()
    }

    fn kinds(&self, value: &Value<'_>) -> Result<BTreeSet<MemberKind>, Mistake> {
        let mut kinds = BTreeSet::new();
        for (at, word) in self.strings(value)? {
            if word == CLINICAL {
                kinds.extend(MemberKind::ALL.iter().filter(|kind| kind.is_clinical()));
            } else {
                kinds.insert(self.word(at, word)?);
            }
        }
        Ok(kinds)
    }

    fn word<T: FromStr<Err: std::fmt::Display>>(
        &self,
        at: Range<usize>,
        word: &str,
    ) -> Result<T, Mistake> {
        word.parse().map_err(|error: T::Err| {
            let text = error.to_string();
            let (fact, known) = text.split_once("; ").unwrap_or((&text, ""));
            let remedy = if known.is_empty() {
                "correct it"
            } else {
                known
            };
            self.mistake(at, fact, remedy)
        })
    }

    fn unknown(&self, at: Range<usize>, given: &str, known: &str) -> Mistake {
        let given: String = given.chars().take(40).collect();
        let fact = format!("`{given}` is not known here");
        self.mistake(at, fact, &format!("known are: {known}"))
    }

    fn yes_or_no(&self, value: &Value<'_>) -> Result<bool, Mistake> {
        value.get_ref().as_bool().ok_or_else(|| {
            let remedy = "write true or false, without quotes";
            self.mistake(value.span(), "yes or no is expected here", remedy)
        })
    }

    fn line(&self, value: &Value<'_>) -> Result<Line, Mistake> {
        let text = value.get_ref().as_str();
        let line = text.and_then(|text| text.parse().ok());
        line.ok_or_else(|| {
            let remedy = "write one line in quotes, of at most 400 characters";
            self.mistake(value.span(), "a text is expected here", remedy)
        })
    }
}
