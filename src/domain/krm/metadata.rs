//! What the metadata of any object may hold: labels, annotations, finalizers, owners.
//!
//! Source: apimachinery `api/validation` and `util/validation`.

mod names;
mod owners;

use serde_json::{Value, json};

pub use self::names::{
    is_label, key_fault, key_faults, label_fault, label_value_fault, label_value_faults, name_faults, name_warning,
    step_fault, subdomain_fault,
};
use crate::domain::krm::Gvk;
use crate::domain::krm::cause::Cause;

/// Longest annotations of an object together, names included, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// A text of `metadata`; empty when it is missing.
#[must_use]
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// The finalizers of an object.
#[must_use]
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// What is wrong with labels, annotations and finalizers, whatever the kind.
#[must_use]
pub fn validate_entries(object: &Value) -> Vec<Cause> {
    [named_faults(object), finalizer_faults(object)].concat()
}

/// What is wrong with the name of a new object and the beginning of one that is made up: what follows is good. Nothing
/// is said about an object without either. `is_custom` is as in [`name_faults`].
#[must_use]
pub fn naming_faults(kind: &Gvk, is_custom: bool, object: &Value) -> Vec<Cause> {
    let (base, name) = (text(object, "generateName"), text(object, "name"));
    let begun = base.strip_suffix('-').filter(|before| !before.is_empty());
    let begun = begun.map_or_else(|| base.to_owned(), |before| format!("{before}a"));
    let faults = |field: &'static str, shown: &str, seen: &str| {
        let found = if seen.is_empty() { Vec::new() } else { name_faults(kind, is_custom, seen) };
        found.into_iter().map(|detail| Cause::invalid(field, &json!(shown), &detail)).collect::<Vec<_>>()
    };
    [faults("metadata.generateName", base, &begun), faults("metadata.name", name, name)].concat()
}

/// What is wrong with the name of a new object of a built-in kind by a rule of this kind alone.
#[must_use]
pub fn own_naming_faults(kind: &Gvk, object: &Value) -> Vec<Cause> {
    let name = text(object, "name");
    let faults = names::own_name_fault(kind, name).into_iter();
    faults.map(|detail| Cause::invalid("metadata.name", &json!(name), &detail)).collect()
}

/// What is wrong with labels, annotations and owners.
#[must_use]
pub fn named_faults(object: &Value) -> Vec<Cause> {
    [label_faults(object), annotation_faults(object), owners::faults(object)].concat()
}

fn label_faults(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    for (key, value) in labels {
        found.extend(key_faults(key).iter().map(|detail| Cause::invalid("metadata.labels", &json!(key), detail)));
        let faults = value.as_str().map(label_value_faults).unwrap_or_default();
        found.extend(faults.into_iter().map(|detail| Cause::invalid("metadata.labels", value, detail)));
    }
    found
}

fn annotation_faults(object: &Value) -> Vec<Cause> {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
    let faulty = annotations.flat_map(|(key, _)| {
        let faults = key_faults(&key.to_lowercase());
        faults.into_iter().map(move |detail| Cause::invalid("metadata.annotations", &json!(key), &detail))
    });
    faulty.chain(too_many_annotations(object)).collect()
}

fn too_many_annotations(object: &Value) -> Option<Cause> {
    let annotations = object.pointer("/metadata/annotations")?.as_object()?;
    let size = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    let total: usize = annotations.iter().map(size).sum();
    (total > MAX_ANNOTATIONS).then(|| Cause::too_long("metadata.annotations", MAX_ANNOTATIONS))
}

fn finalizer_faults(object: &Value) -> Vec<Cause> {
    let names = finalizers(object);
    let faulty = names.iter().flat_map(|name| key_faults(name).into_iter().map(move |detail| (name, detail)));
    faulty.map(|(name, detail)| Cause::invalid("metadata.finalizers", &json!(name), &detail)).collect()
}
