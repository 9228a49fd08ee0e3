//! From text to offer, keeping hold of the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;

use fairshare_protocol::offer::{Presence, Row, Section, may_travel};
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
                if let Some(section) = here.section(purpose, value)? {
                    matrix.insert(purpose, section);
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

    /// A section without rows says nothing.
    fn section(&self, purpose: Purpose, value: &Value<'_>) -> Result<Option<Section>, Mistake> {
        let mut basis = None;
        let mut rows = BTreeMap::new();
        for (key, value) in self.table(value)? {
            let word = key.get_ref().as_ref();
            if word == "basis" {
                basis = Some(self.line(value)?);
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
            rows.insert(category, self.row(word, key.span(), value)?);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let basis = basis.ok_or_else(|| {
            let remedy = "state the legal basis at the top of the section: basis = \"...\"";
            self.mistake(value.span(), format!("[{purpose}] has no `basis`"), remedy)
        })?;
        Ok(Some(Section { basis, rows }))
    }

    fn row(&self, word: &str, at: Range<usize>, value: &Value<'_>) -> Result<Row, Mistake> {
        let (mut shows, mut needs, mut basis) = (None, None, None);
        for (key, value) in self.table(value)? {
            match key.get_ref().as_ref() {
                "shows" => shows = Some(self.kinds(value)?),
                "needs" => needs = Some(self.kinds(value)?),
                "basis" => basis = Some(self.line(value)?),
                other => return Err(self.unknown(key.span(), other, "shows, needs, basis")),
            }
        }
        let missing = |what: &str| {
            let fact = format!("`{word}` has no `{what}`");
            self.mistake(at.clone(), fact, "add it, with [] if there is nobody")
        };
        Ok(Row {
            shows: shows.ok_or_else(|| missing("shows"))?,
            needs: needs.ok_or_else(|| missing("needs"))?,
            basis,
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
