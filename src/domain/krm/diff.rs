//! Changes for people: one line a field, and no value of a Secret in any of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::id::Digest;
use crate::domain::krm::base64;
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::predict::Change;

/// Longest value shown, in characters; longer ones are cut and their length is told.
const SHOWN: usize = 200;
/// Shortest secret that is looked for inside other texts; shorter ones are masked only where they are stored.
const FINDABLE: usize = 4;

/// Changes as lines: `+ path: value`, `- path: value`, `~ path: before -> after`; values as JSON, cut at 200 characters.
#[must_use]
pub fn render(changes: &[Change]) -> String {
    changes.iter().map(line).collect()
}

fn line(change: &Change) -> String {
    let path = &change.path;
    match (&change.before, &change.after) {
        (None, None) => String::new(),
        (None, Some(after)) => format!("+ {path}: {}\n", show(after)),
        (Some(before), None) => format!("- {path}: {}\n", show(before)),
        (Some(before), Some(after)) => format!("~ {path}: {} -> {}\n", show(before), show(after)),
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
        Self { key: key.to_vec(), marks: BTreeMap::new() }
    }

    /// A mask whose marks tell nothing at all, not even whether two values are equal; the same everywhere, so that a
    /// plan made in two places is the same plan.
    #[must_use]
    pub fn opaque() -> Self {
        Self::new(&[])
    }

    /// Learns the values of a Secret, plain and base64; other kinds teach nothing.
    pub fn learn(&mut self, object: &Value) {
        for (place, value) in stored(object) {
            let plain = plain(place, value);
            let mark = self.mark(&plain);
            let texts = [Some(value.to_owned()), Some(base64::encode(&plain)), String::from_utf8(plain).ok()];
            for text in texts.into_iter().flatten().filter(|text| text.len() >= FINDABLE) {
                self.marks.insert(text, mark.clone());
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
            path: change.path.clone(),
            before: hide(&change.path, &change.before),
            after: hide(&change.path, &change.after),
        };
        changes.iter().map(change).collect()
    }

    /// A text with every learnt value in it hidden, the longest first.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut found: Vec<_> = self.marks.iter().filter(|(secret, _)| text.contains(secret.as_str())).collect();
        found.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(text.to_owned(), |text, (secret, mark)| text.replace(secret.as_str(), mark))
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, field)| (name.clone(), self.value(field))).collect())
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

const PLACES: [&str; 2] = ["data", "stringData"];

fn is_secret(object: &Value) -> bool {
    object.get("apiVersion").and_then(Value::as_str) == Some("v1")
        && object.get("kind").and_then(Value::as_str) == Some("Secret")
}

/// The texts that a Secret stores, with the field they are in.
fn stored(object: &Value) -> Vec<(&'static str, &str)> {
    let places = if is_secret(object) { &PLACES[..] } else { &[] };
    let texts = |place: &&'static str| {
        let fields = object.get(*place).and_then(Value::as_object).into_iter().flatten();
        let place = *place;
        fields.filter_map(move |(_, value)| Some((place, value.as_str()?))).collect::<Vec<_>>()
    };
    places.iter().flat_map(texts).collect()
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
mod tests {
    use super::*;
    use crate::domain::krm::predict::changes;
    use crate::domain::krm::{Gvk, Schemas};
    use serde_json::json;

    const KEY: &[u8] = b"0123456789abcdef";

    fn secret(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data})
    }

    #[test]
    fn lines_show_path_and_values() {
        let change = |names: &[&str], before: Option<Value>, after: Option<Value>| Change {
            path: Path::fields(names),
            before,
            after,
        };
        let text = render(&[
            change(&["spec", "replicas"], Some(json!(2)), Some(json!(3))),
            change(&["metadata", "labels", "a"], None, Some(json!("x\u{1b}[31m"))),
            change(&["spec", "paused"], Some(json!(true)), None),
        ]);
        assert_eq!(text, "~ .spec.replicas: 2 -> 3\n+ .metadata.labels.a: \"x\\u001b[31m\"\n- .spec.paused: true\n");
        let long = render(&[change(&["data"], None, Some(json!("é".repeat(500))))]);
        assert!(long.ends_with("... (502 characters)\n") && long.len() < 500);
    }

    #[test]
    fn plain_and_encoded_values_have_one_fingerprint_and_show_nowhere() {
        let mut object = secret(&json!({"password": base64::encode(b"hunter22")}));
        object["metadata"]["annotations"] =
            json!({"note": "the password is hunter22", "raw": base64::encode(b"hunter22")});
        let mut sent = secret(&json!({}));
        sent["stringData"] = json!({"password": "hunter22"});
        let (masked, other) = (mask_secrets(&object, KEY), mask_secrets(&sent, KEY));
        let text = format!("{masked}{other}");
        assert!(!text.contains("hunter22") && !text.contains(&base64::encode(b"hunter22")), "{text}");
        assert_eq!(masked["data"]["password"], other["stringData"]["password"]);
        assert_ne!(mask_secrets(&object, b"another key")["data"], masked["data"]);
    }

    #[test]
    fn changes_of_a_secret_tell_that_and_not_what() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Secret"));
        let (old, new) = (secret(&json!({"a": "MQ==", "b": "Mg=="})), secret(&json!({"a": "Mw==", "b": "Mg=="})));
        let mut mask = Mask::new(KEY);
        mask.learn(&old);
        mask.learn(&new);
        let shown = render(&mask.changes(&new, &changes(&old, &new, schema)));
        assert!(shown.starts_with("~ .data.a: \"*** ("), "{shown}");
        assert!(!shown.contains("MQ==") && !shown.contains("Mw=="));
        let created = render(&mask.changes(&new, &changes(&Value::Null, &new, schema)));
        assert!(!created.contains("Mw=="), "{created}");
    }

    #[test]
    fn other_kinds_are_left_alone() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "MQ=="}});
        assert_eq!(mask_secrets(&object, KEY), object);
    }
}
