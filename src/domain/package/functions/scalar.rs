//! Writing a text in the place of a scalar as a person would: what was in quotes stays in them, what was bare stays
//! bare where it can. A text that Kubernetes, or another reader, would take for something else is put into quotes.

use serde_json::Value;

use super::{Call, FunctionError, at, group_of, kind_of};
use crate::domain::krm::document::{Limits, NodeKind, YamlFile, scalar_text};
use crate::domain::krm::{Gvk, Schemas, validate};
use crate::domain::package::resources::Place;

impl Call<'_> {
    /// Writes `text`, to be read as that text whatever it looks like; says whether anything changed.
    pub(super) fn write(&mut self, place: &Place, path: &[&str], text: &str) -> Result<bool, FunctionError> {
        let meaning = Value::from(text);
        let raw = match self.quote_of(place, path) {
            _ if text.contains(['\n', '\r']) => return self.set(place, path, &meaning),
            Some('|') => return self.set(place, path, &meaning),
            Some('\'') => format!("'{}'", text.replace('\'', "''")),
            Some(_) => meaning.to_string(),
            None => scalar_text(&meaning),
        };
        self.write_raw(place, path, &raw, &meaning)
    }

    /// Writes what a person gave as text and may mean as a number or a boolean: it is one where the place holds such a
    /// value already, where a built-in kind has one, or where nothing is yet and `text` is spelled as JSON spells it.
    /// Quotes, a text that stands there, and places that hold texts by their kind keep it a text.
    pub(super) fn fill(&mut self, place: &Place, path: &[&str], text: &str) -> Result<bool, FunctionError> {
        let value = self.resources.value(place);
        let is_typed = |meaning: &Value| match at(&value, path) {
            None | Some(Value::Null) => spelled(meaning, text),
            Some(Value::Number(_)) => meaning.is_number() || spelled(meaning, text),
            Some(Value::Bool(_)) => meaning.is_boolean() || spelled(meaning, text),
            Some(_) => self.quote_of(place, path).is_none() && is_declared(&value, path, text, meaning),
        };
        match read(text).filter(|meaning| !meaning.is_string() && !holds_text(&value, path) && is_typed(meaning)) {
            Some(meaning) if at(&value, path).is_some() => self.write_raw(place, path, text, &meaning),
            Some(meaning) => self.set(place, path, &meaning),
            None => self.write(place, path, text),
        }
    }

    /// Writes what a text means where nothing is yet; the text itself where texts are held.
    pub(super) fn put(
        &mut self,
        place: &Place,
        path: &[&str],
        text: &str,
        meaning: &Value,
    ) -> Result<bool, FunctionError> {
        let is_text = holds_text(&self.resources.value(place), path);
        if is_text { self.write(place, path, text) } else { self.set(place, path, meaning) }
    }

    /// Writes a scalar as `raw`, or as may stand there. Inside of brackets more characters end a bare text; an edit
    /// that fails leaves the file as it was.
    fn write_raw(&mut self, place: &Place, path: &[&str], raw: &str, meaning: &Value) -> Result<bool, FunctionError> {
        if at(&self.resources.value(place), path).is_none() {
            return self.set(place, path, meaning);
        }
        let set = self.resources.edit(place, |file, index| file.set_raw(index, path, raw, meaning));
        set.or_else(|_| self.set(place, path, meaning))
    }

    /// How the scalar is written: its quote, `|` for several lines, nothing when it is bare or absent.
    fn quote_of(&self, place: &Place, path: &[&str]) -> Option<char> {
        let found = self.resources.document(place)?;
        let (file, node) = (found.file, found.at(path)?);
        match node.kind {
            NodeKind::Scalar { block: true, .. } => Some('|'),
            NodeKind::Scalar { plain: false, .. } => file.text().get(node.span.clone())?.chars().next(),
            _ => None,
        }
    }
}

/// Whether the kind of an object is built in and takes `meaning` at a path, and not `text`: what stood there was to be
/// replaced.
fn is_declared(object: &Value, path: &[&str], text: &str, meaning: &Value) -> bool {
    let word = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::parse(word("apiVersion"), word("kind")));
    let steps: String = path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
    let misfits = |candidate: Value| {
        let mut whole = object.clone();
        if let Some(place) = whole.pointer_mut(&steps) {
            *place = candidate;
        }
        validate(&whole, schema).len()
    };
    misfits(meaning.clone()) < misfits(Value::from(text))
}

/// Whether a number or boolean is written as JSON writes it: `3` and `true`, not `0x3`, `1e3` or `yes`.
fn spelled(meaning: &Value, text: &str) -> bool {
    scalar_text(meaning) == text
}

/// Whether a field holds texts only: names, labels and annotations, and the data of a `ConfigMap` or `Secret`.
fn holds_text(value: &Value, path: &[&str]) -> bool {
    let texts = ["name", "generateName", "namespace", "labels", "annotations"];
    let data = group_of(value).is_empty() && matches!(kind_of(value), "ConfigMap" | "Secret");
    path.windows(2).any(|pair| pair[0] == "metadata" && texts.contains(&pair[1]))
        || data && matches!(path.first(), Some(&("data" | "stringData")))
}

/// A text that has no place yet: a number or boolean as JSON spells it, else a text.
pub(super) fn guess(text: &str) -> Value {
    read(text).filter(|meaning| spelled(meaning, text)).unwrap_or_else(|| Value::from(text))
}

/// What a bare text means; `None` when it is no scalar of one piece.
pub(super) fn read(text: &str) -> Option<Value> {
    let file = YamlFile::parse(format!("v: {text}").as_bytes(), &Limits::default()).ok()?;
    let value = file.value(0).ok()?;
    let whole = value.as_object().is_some_and(|map| map.len() == 1) && file.documents().len() == 1;
    let node = file.documents().first()?.at(&["v"])?;
    let NodeKind::Scalar { plain: true, text: read, .. } = &node.kind else { return None };
    let meaning = value.get("v")?.clone();
    (whole && read == text && !meaning.is_null()).then_some(meaning)
}

/// The key of a map that a person means by `text`: Kubernetes reads `n: 1` as a key `false`.
pub(super) fn key_in<'t>(map: &'t serde_json::Map<String, Value>, text: &str) -> Option<&'t str> {
    let is_there = |key: &str| map.get_key_value(key).map(|(key, _)| key.as_str());
    is_there(text).or_else(|| {
        let file = YamlFile::parse(format!("{text}: 0").as_bytes(), &Limits::default()).ok()?;
        file.value(0).ok()?.as_object()?.keys().find_map(|key| is_there(key))
    })
}
