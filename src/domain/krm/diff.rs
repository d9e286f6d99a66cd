//! Changes for people: one line a field, and no value of a Secret in any of them.

mod forms;
mod object;
mod unified;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use crate::domain::id::Digest;
use crate::domain::krm::apply::LAST_APPLIED;
use crate::domain::krm::base64;
use crate::domain::krm::path::{Atom, Path, PathElement};
use crate::domain::krm::predict::Change;

pub use object::{Moved, ObjectDiff};

/// Longest value shown, in characters; longer ones are cut and their length is told.
const SHOWN: usize = 200;
/// Changes as lines: `+ path: value`, `- path: value`, `~ path: before -> after`; values as JSON, cut at 200
/// characters.
#[must_use]
pub fn render(changes: &[Change]) -> String {
    changes.iter().map(line).collect()
}

fn line(change: &Change) -> String {
    match line_of(&change.path.to_string(), change.before.as_ref(), change.after.as_ref()) {
        Some(line) => line + "\n",
        None => String::new(),
    }
}

/// A change as one line without its end; nothing when there is no value on either side.
#[must_use]
pub fn line_of(path: &str, before: Option<&Value>, after: Option<&Value>) -> Option<String> {
    match (before, after) {
        (None, None) => None,
        (None, Some(after)) => Some(format!("+ {path}: {}", show(after))),
        (Some(before), None) => Some(format!("- {path}: {}", show(before))),
        (Some(before), Some(after)) => Some(format!("~ {path}: {} -> {}", show(before), show(after))),
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}

/// Hides the values of Secrets behind fingerprints. Equal values have equal fingerprints under one key, so a change is
/// still seen; without the key nothing can be learnt from one. Texts in which a learnt value appears (annotations,
/// messages) are hidden too.
#[derive(Clone)]
pub struct Mask {
    key: Vec<u8>,
    marks: BTreeMap<String, String>,
    /// Finds all marks in a text at once; made when it is first needed.
    finder: OnceLock<Option<AhoCorasick>>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mask").field("values", &self.marks.len()).finish_non_exhaustive()
    }
}

/// One object with the values of a Secret hidden; other kinds come back as they are. To hide the same values elsewhere,
/// use [`Mask`].
#[must_use]
pub fn mask_secrets(object: &Value, key: &[u8]) -> Value {
    let mut mask = Mask::new(key);
    mask.learn(object);
    mask.object(object)
}

impl Mask {
    /// A mask that knows no value yet. The key should be random and stay in this process.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: key.to_vec(), marks: BTreeMap::new(), finder: OnceLock::new() }
    }

    /// A mask whose marks tell nothing at all, not even whether two values are equal; the same everywhere, so that a
    /// plan made in two places is the same plan.
    #[must_use]
    pub fn opaque() -> Self {
        Self::new(&[])
    }

    /// An opaque mask of what all the Secrets among some objects hold.
    pub fn of<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut mask = Self::opaque();
        objects.into_iter().for_each(|object| mask.learn(object));
        mask
    }

    /// Learns the values of a Secret, stored or as they were applied last, in the forms in which they show elsewhere:
    /// plain, base64 (also of a longer text that holds them), for URLs, in hexadecimal digits, as JSON writes them
    /// inside of a text, and the longer lines of those with several; also of one that is written wrongly. Other kinds
    /// teach nothing. What is shorter than four bytes is hidden only where it is stored: every text holds it somewhere.
    pub fn learn(&mut self, object: &Value) {
        self.finder.take();
        let declared = declared(object);
        for object in std::iter::once(object).chain(&declared) {
            for (place, value) in stored(object) {
                let value = value.as_str();
                let plain = plain(place, value);
                let mark = self.mark(&plain);
                for form in forms::of(value, &plain) {
                    self.marks.insert(escaped(&form), mark.clone());
                    self.marks.insert(form, mark.clone());
                }
            }
        }
    }

    /// The object with all learnt values hidden, and with everything that a Secret stores hidden.
    #[must_use]
    pub fn object(&self, object: &Value) -> Value {
        let mut masked = self.value(object);
        for (place, name, mark) in self.stored_marks(object) {
            if let Some(slot) = masked.get_mut(place).and_then(|map| map.get_mut(name)) {
                *slot = Value::String(mark);
            }
        }
        masked
    }

    /// Changes of `object` with all learnt values hidden, and everything below `data` and `stringData` of a Secret.
    #[must_use]
    pub fn changes(&self, object: &Value, changes: &[Change]) -> Vec<Change> {
        let hide = |path: &Path, value: &Option<Value>| {
            let value = value.as_ref()?;
            Some(match place(path).filter(|_| is_secret(object)) {
                Some(place) => self.hidden(place, value),
                None => self.value(value),
            })
        };
        let change = |change: &Change| Change {
            path: self.path(&change.path),
            before: hide(&change.path, &change.before),
            after: hide(&change.path, &change.after),
        };
        changes.iter().map(change).collect()
    }

    /// A path in which no key of an item, value of a set or name of a field tells a learnt value.
    fn path(&self, path: &Path) -> Path {
        let atom = |atom: &Atom| Atom(self.value(&atom.0));
        let element = |element: &PathElement| match element {
            PathElement::Field(name) => PathElement::Field(self.text(name)),
            PathElement::Key(keys) => {
                PathElement::Key(keys.iter().map(|(name, value)| (name.clone(), atom(value))).collect())
            }
            PathElement::Value(value) => PathElement::Value(atom(value)),
            PathElement::Index(index) => PathElement::Index(*index),
        };
        path.elements().iter().map(element).collect()
    }

    /// A text with every learnt value in it hidden; values that overlap are hidden as one.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let marks: Vec<&String> = self.marks.values().collect();
        let Some(finder) = self.finder() else { return text.to_owned() };
        // From where to where, and the mark of the value that begins there.
        let mut hidden: Vec<(usize, usize, usize)> = Vec::new();
        let mut found: Vec<_> = finder.find_overlapping_iter(text).collect();
        found.sort_by_key(|found| (found.start(), std::cmp::Reverse(found.end())));
        for found in found {
            match hidden.last_mut() {
                Some((_, end, _)) if found.start() < *end => *end = (*end).max(found.end()),
                _ => hidden.push((found.start(), found.end(), found.pattern().as_usize())),
            }
        }
        let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
        for (start, end, mark) in hidden {
            shown.push_str(&text[at..start]);
            shown.push_str(marks[mark]);
            at = end;
        }
        shown + &text[at..]
    }

    /// `None` when nothing was learnt.
    fn finder(&self) -> Option<&AhoCorasick> {
        let build = || (!self.marks.is_empty()).then(|| AhoCorasick::new(self.marks.keys()).ok()).flatten();
        self.finder.get_or_init(build).as_ref()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, field)| (self.text(name), self.value(field))).collect())
            }
            Value::Number(number) => {
                self.marks.get(&number.to_string()).map_or_else(|| value.clone(), |mark| Value::String(mark.clone()))
            }
            _ => value.clone(),
        }
    }

    /// A value that a Secret stores, or a map of them.
    fn hidden(&self, place: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mark(&plain(place, text))),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, field)| (name.clone(), self.hidden(place, field))).collect())
            }
            other => Value::String(self.mark(other.to_string().as_bytes())),
        }
    }

    fn stored_marks<'v>(&self, object: &'v Value) -> Vec<(&'static str, &'v str, String)> {
        let fields = |place: &'static str| object.get(place).and_then(Value::as_object).into_iter().flatten();
        let places = if is_secret(object) { &PLACES[..] } else { &[] };
        let entries = places.iter().flat_map(|place| fields(place).map(|(name, value)| (*place, name.as_str(), value)));
        entries
            .map(|(place, name, value)| {
                let bytes = value.as_str().map_or_else(|| value.to_string().into_bytes(), |text| plain(place, text));
                (place, name, self.mark(&bytes))
            })
            .collect()
    }

    /// Twelve digits of a nested keyed digest, and the length.
    fn mark(&self, plain: &[u8]) -> String {
        if self.key.is_empty() {
            return "(hidden)".to_owned();
        }
        let inner = Digest::of(&[&self.key, plain].concat());
        let outer = Digest::of(&[&self.key, inner.as_str().as_bytes()].concat());
        format!("*** ({}, {} bytes)", outer.short(), plain.len())
    }
}

/// A text as JSON writes it between its quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// The Secret as `kubectl apply` was given it, when the object is one that remembers.
fn declared(object: &Value) -> Option<Value> {
    let text = object.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()?;
    serde_json::from_str(text).ok().filter(|_| is_secret(object))
}

const PLACES: [&str; 2] = ["data", "stringData"];

fn is_secret(object: &Value) -> bool {
    object.get("apiVersion").and_then(Value::as_str) == Some("v1")
        && object.get("kind").and_then(Value::as_str) == Some("Secret")
}

/// A text or number that a Secret stores.
enum Stored<'v> {
    Text(&'v str),
    Number(String),
}

impl Stored<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number,
        }
    }
}

/// The texts and numbers that a Secret stores, with the field they are in, however deep they are by mistake.
fn stored(object: &Value) -> Vec<(&'static str, Stored<'_>)> {
    let places = if is_secret(object) { &PLACES[..] } else { &[] };
    let mut found = Vec::new();
    for place in places {
        let mut open: Vec<&Value> = object.get(*place).into_iter().collect();
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => found.push((*place, Stored::Text(text))),
                Value::Number(number) => found.push((*place, Stored::Number(number.to_string()))),
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.values()),
                Value::Null | Value::Bool(_) => {}
            }
        }
    }
    found
}

/// What is wrong with an object, without the value that a Secret holds: messages of validation end with it.
#[must_use]
pub fn without_value<'m>(object: &Value, message: &'m str) -> &'m str {
    if is_secret(object) { message.split(", got ").next().unwrap_or(message) } else { message }
}

/// The bytes behind a stored text: `data` is base64, where it is not broken.
fn plain(place: &str, text: &str) -> Vec<u8> {
    let decoded = if place == "data" { base64::decode(text) } else { None };
    decoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Which place of a Secret a path is in.
fn place(path: &Path) -> Option<&str> {
    match path.elements().first() {
        Some(PathElement::Field(name)) if PLACES.contains(&name.as_str()) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
