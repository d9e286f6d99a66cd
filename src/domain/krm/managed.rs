//! `metadata.managedFields`: who owns which fields of an object.
//!
//! Source: `ManagedFieldsEntry` of the Kubernetes API reference and the behaviour of apimachinery's `managedfields`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::krm::fieldset::{FieldSet, FieldsError};
use crate::domain::krm::path::Path;
use crate::domain::krm::value::same;
use crate::domain::time::{Timestamp, rfc3339_seconds};

/// How an owner came to own its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// It applied them: it declares all that it wants, and what it no longer declares goes.
    Apply,
    /// It created or changed them by any other write.
    Update,
}

impl Operation {
    /// `Apply` or `Update`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who an owner is. An applier is the same one in every API version; an updater is one per version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Field manager, such as `kubectl`.
    pub manager: String,
    /// How it writes.
    pub operation: Operation,
    /// Version it writes in; empty for appliers, whose entry holds the last one they used.
    pub api_version: String,
    /// Subresource it writes to, such as `status`; empty for the object itself.
    pub subresource: String,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Field manager.
    pub manager: String,
    /// How it writes.
    pub operation: Operation,
    /// Version the fields are meant in.
    pub api_version: String,
    /// When the fields last changed hands; whole seconds.
    pub time: Option<Timestamp>,
    /// Subresource; empty for the object itself.
    pub subresource: String,
    /// The fields.
    pub fields: FieldSet,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManagedFieldsError {
    /// A part is missing or has another form.
    #[error("reading managedFields entry {index}: {what} is missing or not valid")]
    Entry {
        /// Position, from 0.
        index: usize,
        /// Which part.
        what: &'static str,
    },
    /// The field set does not parse.
    #[error("reading managedFields entry {index}: {source}")]
    Fields {
        /// Position, from 0.
        index: usize,
        /// Why.
        source: FieldsError,
    },
}

impl Entry {
    /// Who owns the fields.
    #[must_use]
    pub fn owner(&self) -> Owner {
        let applies = self.operation == Operation::Apply;
        Owner {
            manager: self.manager.clone(),
            operation: self.operation,
            api_version: if applies { String::new() } else { self.api_version.clone() },
            subresource: self.subresource.clone(),
        }
    }

    fn read(index: usize, value: &Value) -> Result<Self, ManagedFieldsError> {
        let wrong = |what| ManagedFieldsError::Entry { index, what };
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(wrong("operation")),
        };
        if text("apiVersion").is_empty() {
            return Err(wrong("apiVersion"));
        }
        if text("fieldsType") != "FieldsV1" {
            return Err(wrong("fieldsType"));
        }
        let fields = value.get("fieldsV1").map_or_else(|| Ok(FieldSet::new()), FieldSet::from_fields_v1);
        Ok(Self {
            manager: text("manager").to_owned(),
            operation,
            api_version: text("apiVersion").to_owned(),
            time: value.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok()),
            subresource: text("subresource").to_owned(),
            fields: fields.map_err(|source| ManagedFieldsError::Fields { index, source })?,
        })
    }

    fn write(&self) -> Value {
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        put("apiVersion", json!(self.api_version));
        put("fieldsType", json!("FieldsV1"));
        put("fieldsV1", self.fields.to_fields_v1());
        put("manager", json!(self.manager));
        put("operation", json!(self.operation.as_str()));
        if !self.subresource.is_empty() {
            put("subresource", json!(self.subresource));
        }
        if let Some(time) = self.time {
            put("time", json!(rfc3339_seconds(time)));
        }
        Value::Object(out)
    }

    /// Appliers first, then by time (in seconds), manager, version and subresource.
    fn rank(&self) -> (Operation, i64, &str, &str, &str) {
        let time = self.time.map_or(0, Timestamp::as_second);
        (self.operation, time, &self.manager, &self.api_version, &self.subresource)
    }
}

/// Reads the entries of an object; none when it has no `managedFields`.
///
/// # Errors
/// [`ManagedFieldsError`] naming the entry.
pub fn read(object: &Value) -> Result<Vec<Entry>, ManagedFieldsError> {
    let listed = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut entries: Vec<Entry> = Vec::new();
    for (index, entry) in listed.into_iter().flatten().enumerate() {
        let entry = Entry::read(index, entry)?;
        // Of two entries of one owner the API server knows the last.
        entries.retain(|other| other.owner() != entry.owner());
        entries.push(entry);
    }
    Ok(entries)
}

/// Puts `entries` on an object in the server's order; no entry leaves no `managedFields`.
pub fn write(object: &mut Value, mut entries: Vec<Entry>) {
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
        return;
    }
    entries.sort_by(|a, b| a.rank().cmp(&b.rank()));
    metadata.insert("managedFields".to_owned(), entries.iter().map(Entry::write).collect());
}

/// Whether two objects differ in nothing but the times at which their owners came to own what they own: such a write is
/// none. Source: `IgnoreManagedFieldsTimestampsTransformer` of the API server.
#[must_use]
pub fn same_but_times(a: &Value, b: &Value) -> bool {
    same_fields(a, b, &|name, a, b| if name == "metadata" { same_metadata(a, b) } else { same(a, b) })
}

fn same_metadata(a: &Value, b: &Value) -> bool {
    let entries = |a: &Value, b: &Value| match (a.as_array(), b.as_array()) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_entry(a, b)),
        _ => same(a, b),
    };
    same_fields(a, b, &|name, a, b| if name == "managedFields" { entries(a, b) } else { same(a, b) })
}

fn same_entry(a: &Value, b: &Value) -> bool {
    let timeless = |entry: &Value| entry.as_object().map(|fields| without(fields, |field| field == "time"));
    timeless(a).zip(timeless(b)).is_some_and(|(a, b)| same(&a, &b))
}

fn same_fields(a: &Value, b: &Value, is_same: &dyn Fn(&str, &Value, &Value) -> bool) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return same(a, b) };
    let known = |(name, value): (&String, &Value)| b.get(name).is_some_and(|other| is_same(name, value, other));
    a.len() == b.len() && a.iter().all(known)
}

/// Takes `managedFields` off an object.
#[must_use]
pub fn stripped(object: &Value) -> Value {
    let Some(fields) = object.as_object() else { return object.clone() };
    let part = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(metadata) if name == "metadata" => without(metadata, |field| field == "managedFields"),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(fields.iter().map(part).collect())
}

/// A map without some of its fields. They are not copied: the owners of an object are longer than the object.
pub(super) fn without(fields: &Map<String, Value>, leaves: impl Fn(&str) -> bool) -> Value {
    let kept = fields.iter().filter(|(name, _)| !leaves(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Who owns the field at `path` of a live object; entries that cannot be read own nothing.
#[must_use]
pub fn field_owners(live: &Value, path: &Path) -> Vec<(String, Operation)> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let entries = entries.into_iter().flatten().enumerate().filter_map(|(i, entry)| Entry::read(i, entry).ok());
    let owned = entries.filter(|entry| entry.fields.contains(path.elements()));
    owned.map(|entry| (entry.manager, entry.operation)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appliers, then who wrote earlier, then by name. Source: `sortEncodedManagedFields` of apimachinery.
    #[test]
    fn entries_stand_in_the_order_of_the_server() {
        let entry = |manager: &str, operation: &str, second: u32, part: &str| {
            let time = format!("2026-11-21T10:00:{second:02}Z");
            json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time, "subresource": part,
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}})
        };
        let ordered = [
            entry("z", "Apply", 9, ""),
            entry("b", "Update", 1, ""),
            entry("a", "Update", 2, ""),
            entry("a", "Update", 2, "status"),
            entry("c", "Update", 2, ""),
        ];
        for turn in 0..ordered.len() {
            let mut mixed = ordered.to_vec();
            mixed.rotate_left(turn);
            mixed.swap(0, 2);
            let mut object = json!({"metadata": {"managedFields": mixed}});
            let entries = read(&object).unwrap();
            write(&mut object, entries);
            let told = |entry: &Value| ["manager", "operation", "time", "subresource"].map(|name| entry[name].clone());
            let found: Vec<_> = object["metadata"]["managedFields"].as_array().unwrap().iter().map(told).collect();
            let wanted: Vec<_> = ordered.iter().map(told).collect();
            let texts = |rows: &[[Value; 4]]| format!("{rows:?}").replace("Null", "String(\"\")");
            assert_eq!(texts(&found), texts(&wanted));
        }
    }

    #[test]
    fn times_alone_make_no_difference() {
        let object = |time: &str, manager: &str, value: &str| {
            json!({"metadata": {"name": "a", "managedFields": [{"manager": manager, "operation": "Update", "time": time}]},
                "data": {"a": value}})
        };
        let old = object("2026-11-21T10:00:00Z", "one", "1");
        assert!(same_but_times(&old, &old) && same_but_times(&old, &object("2026-11-21T10:00:01Z", "one", "1")));
        let mut undated = old.clone();
        undated["metadata"]["managedFields"][0].as_object_mut().unwrap().remove("time");
        assert!(same_but_times(&old, &undated) && same_but_times(&undated, &old));
        let mut unowned = old.clone();
        unowned["metadata"].as_object_mut().unwrap().remove("managedFields");
        for other in [object("2026-11-21T10:00:00Z", "two", "1"), object("2026-11-21T10:00:00Z", "one", "2"), unowned] {
            assert!(!same_but_times(&old, &other) && !same_but_times(&other, &old), "{other}");
        }
    }
}
