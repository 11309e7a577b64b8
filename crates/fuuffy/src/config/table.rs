//! Walks the tables of a file and keeps note of every mistake, with its place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Mistake;
use super::keys::Section;
use super::quantity;

/// The text under reading, and what is wrong with it so far.
pub(super) struct Source<'a> {
    text: &'a str,
    mistakes: RefCell<Vec<(usize, String)>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, mistakes: RefCell::default() }
    }

    pub(super) fn note(&self, at: usize, words: impl Into<String>) {
        self.mistakes.borrow_mut().push((at, words.into()));
    }

    /// All mistakes, in the order of the text.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort();
        mistakes.dedup();
        let place = |at: usize| {
            let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        };
        mistakes.into_iter().map(|(at, words)| Mistake { place: Some(place(at)), words }).collect()
    }
}

/// One table of the text, read by the keys of its section.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    section: &'static Section,
    path: String,
    at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// A table, with its unknown keys noted.
    pub(super) fn new(
        source: &'a Source<'a>,
        section: &'static Section,
        path: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        let table = Self { source, section, path, at: span.start, entries };
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            if section.keys.iter().all(|known| known.name != name) {
                let likely =
                    section.keys.iter().map(|known| (strsim::damerau_levenshtein(known.name, name), known.name)).min();
                let hint = match likely {
                    Some((distance, likely)) if distance <= 2 => format!("did you mean `{likely}`?"),
                    _ => {
                        let names: Vec<&str> = section.keys.iter().map(|known| known.name).collect();
                        format!("expected one of: {}", names.join(", "))
                    }
                };
                source.note(key.span().start, format!("{}: unknown key; {hint}", table.name(name)));
            }
        }
        table
    }

    /// The full name of a key, for people.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.section.keys.iter().any(|known| known.name == key), "{key} is not in its section");
        self.entries.get(key)
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether the key's value is a table.
    pub(super) fn has_table(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Notes that a key's value is not what it must be.
    pub(super) fn wrong(&self, key: &str) {
        let expects = self.section.keys.iter().find(|known| known.name == key).map_or("", |known| known.expects);
        self.mistake(key, format!("expected {expects}"));
    }

    /// Notes a mistake at a key, or at the table where the key is missing.
    pub(super) fn mistake(&self, key: &str, words: impl AsRef<str>) {
        let at = self.value(key).map_or(self.at, |value| value.span().start);
        self.source.note(at, format!("{}: {}", self.name(key), words.as_ref()));
    }

    /// A string that must read as a `T`.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let parsed = value.get_ref().as_str().and_then(parse);
        if parsed.is_none() {
            self.wrong(key);
        }
        parsed
    }

    /// Like [`Table::parsed`], and noted as missing where it is.
    pub(super) fn required<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if !self.has(key) {
            let expects = self.section.keys.iter().find(|known| known.name == key).map_or("", |known| known.expects);
            self.mistake(key, format!("missing; expected {expects}"));
        }
        self.parsed(key, parse)
    }

    pub(super) fn duration(&self, key: &str, default: &str) -> std::time::Duration {
        self.parsed(key, quantity::duration).or_else(|| quantity::duration(default)).unwrap_or_default()
    }

    /// A whole number in a range.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer().filter(|number| number.radix() == 10);
        let number = number.and_then(|number| number.as_str().parse().ok()).filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(key);
        }
        number
    }

    /// A size in bytes: a whole number, or a string with a unit.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        let value = self.value(key)?.get_ref();
        let written = value.as_str().or_else(|| value.as_integer().map(|number| number.as_str()));
        let size = written.and_then(quantity::size);
        if size.is_none() {
            self.wrong(key);
        }
        size
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?.get_ref().as_bool();
        if value.is_none() {
            self.wrong(key);
        }
        value
    }

    /// A list of strings, each of which must read as a `T`; the mistakes of all of them are noted.
    pub(super) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let Some(values) = self.value(key)?.get_ref().as_array() else {
            self.wrong(key);
            return None;
        };
        let mut list = Vec::new();
        for value in values.iter() {
            match value.get_ref().as_str().map(&parse) {
                Some(Ok(item)) => list.push(item),
                Some(Err(words)) => self.source.note(value.span().start, format!("{}: {words}", self.name(key))),
                None => self.wrong(key),
            }
        }
        Some(list)
    }

    /// A table of strings under names of the operator's own choice.
    pub(super) fn texts(&self, key: &str) -> Option<BTreeMap<String, String>> {
        let texts = self.value(key).and_then(|value| value.get_ref().as_table()).and_then(|entries| {
            let text = |(name, value): (&Spanned<_>, &Spanned<DeValue<'a>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                Some((name.to_string(), value.get_ref().as_str()?.to_owned()))
            };
            entries.iter().map(text).collect()
        });
        if texts.is_none() {
            self.wrong(key);
        }
        texts
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &str, section: &'static Section) -> Option<Table<'a>> {
        let value = self.value(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong(key);
            return None;
        };
        Some(Table::new(self.source, section, self.name(key), value.span(), entries))
    }

    /// The tables of a list within this one, each under its number.
    pub(super) fn tables(&self, key: &str, section: &'static Section) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(values) = value.get_ref().as_array() else {
            self.wrong(key);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (number, value) in values.iter().enumerate() {
            match value.get_ref().as_table() {
                Some(entries) => {
                    let path = format!("{}[{number}]", self.name(key));
                    tables.push(Table::new(self.source, section, path, value.span(), entries));
                }
                None => self.wrong(key),
            }
        }
        tables
    }

    /// Tables under names of the operator's own choice.
    pub(super) fn named(&self, key: &str, section: &'static Section) -> Vec<(&'a str, Table<'a>)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong(key);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in entries {
            let (path, name) = (format!("{}.{}", self.name(key), name.get_ref()), name.get_ref().as_ref());
            match value.get_ref().as_table() {
                Some(entries) => tables.push((name, Table::new(self.source, section, path, value.span(), entries))),
                None => self.source.note(value.span().start, format!("{path}: expected a table")),
            }
        }
        tables
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn whole(&self, words: impl AsRef<str>) {
        self.source.note(self.at, format!("{}: {}", self.path, words.as_ref()));
    }
}
