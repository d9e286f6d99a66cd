//! Structural schemas of custom resources: pruning, validation.
//!
//! Source: `apiextensions.k8s.io/v1` structural schemas, and the wording of the API server's validation (kube-openapi
//! `validation/errors`).

mod check;
mod embedded;
mod number;
mod past;
mod rules;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use self::check::{format_of, validate, validate_status};
pub use self::embedded::{dns_1035_fault, faults as embedded_faults, visit as visit_embedded};
pub use self::rules::{broken, cause_at};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::schema::Schema;

/// Deepest nesting that is walked; deeper values are left as they are.
pub(crate) const MAX_DEPTH: usize = 100;

/// Why the server would refuse an object of a custom kind, as it would hold it with its defaults. Beside `old`, what it
/// was, only what is new in it is told. Nothing is said of fields that nobody declares, which are told by
/// [`validate`](mod@crate::domain::krm::validate), and of built-in kinds. A null that may not be is told: of a
/// configuration that is applied the server does not take it away.
#[must_use]
pub fn refused(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<Cause> {
    let Some(structural) = schema.structural() else { return Vec::new() };
    let mut object = object.clone();
    drop(prune_part(&mut object, structural, true));
    let mut found = validate(&object, old, structural);
    found.extend(embedded_faults(&object, structural));
    found.extend(duplicates(&object, old, structural));
    if let Some(rules) = schema.rules() {
        found.extend(broken(rules, old, &object, &found));
    }
    found
}

/// Removes the fields that a schema does not declare and gives their paths, such as `spec.foo[0].bar`. The object's own
/// `apiVersion`, `kind` and `metadata` stay. Nulls where there may be none go, too, and nobody is told of them.
pub fn prune(object: &mut Value, schema: &Value) -> Vec<String> {
    let pruned = prune_part(object, schema, true);
    drop_nulls(object, schema, MAX_DEPTH);
    pruned
}

/// Removes the fields that are null, may not be, and have no default.
fn drop_nulls(value: &mut Value, schema: &Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let Some(below) = schema_of(schema, name).filter(|below| below.is_object()) else { return true };
            drop_nulls(value, below, depth);
            !value.is_null() || flag(below, "nullable") || below.get("default").is_some_and(|one| !one.is_null())
        }),
        Value::Array(items) => {
            let Some(below) = schema.get("items") else { return };
            for item in items {
                drop_nulls(item, below, depth);
            }
        }
        _ => {}
    }
}

/// As [`prune`], of a value that may be no resource.
pub fn prune_part(value: &mut Value, schema: &Value, is_resource: bool) -> Vec<String> {
    let mut found = Vec::new();
    prune_value(value, schema, is_resource, "", MAX_DEPTH, &mut found);
    found
}

fn prune_value(
    value: &mut Value,
    schema: &Value,
    is_resource: bool,
    path: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Object(fields) => prune_fields(fields, schema, is_resource, path, depth, found),
        Value::Array(items) => {
            let Some(below) = schema.get("items") else { return };
            for (index, item) in items.iter_mut().enumerate() {
                let is_resource = flag(below, "x-kubernetes-embedded-resource");
                prune_value(item, below, is_resource, &format!("{path}[{index}]"), depth - 1, found);
            }
        }
        _ => {}
    }
}

fn prune_fields(
    fields: &mut Map<String, Value>,
    schema: &Value,
    is_resource: bool,
    path: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    let keeps = flag(schema, "x-kubernetes-preserve-unknown-fields");
    let others = schema.get("additionalProperties");
    fields.retain(|name, value| {
        if is_resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            return true;
        }
        let here = join(path, name);
        let below = schema.get("properties").and_then(|properties| properties.get(name)).or(others);
        match below {
            Some(below) => {
                let is_resource = flag(below, "x-kubernetes-embedded-resource");
                prune_value(value, below, is_resource, &here, depth - 1, found);
                true
            }
            None if keeps => true,
            None => {
                found.push(here);
                false
            }
        }
    });
}

/// Items that a list of type `set` or `map` holds more than once, unless the object had such lists before.
#[must_use]
pub fn duplicates(object: &Value, old: Option<&Value>, schema: &Value) -> Vec<Cause> {
    if old.is_some_and(|old| !duplicates(old, None, schema).is_empty()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    find_duplicates(object, schema, "", MAX_DEPTH, &mut found);
    found
}

fn find_duplicates(value: &Value, schema: &Value, path: &str, depth: usize, found: &mut Vec<Cause>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(below) = schema_of(schema, name) {
                    find_duplicates(value, below, &join(path, name), depth - 1, found);
                }
            }
        }
        Value::Array(items) => {
            check_unique(items, schema, path, found);
            for (index, item) in items.iter().enumerate() {
                if let Some(below) = schema.get("items") {
                    find_duplicates(item, below, &format!("{path}[{index}]"), depth - 1, found);
                }
            }
        }
        _ => {}
    }
}

/// The schema of a field: the declared one, or that of the entries of a map.
pub(crate) fn schema_of<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties").and_then(|all| all.get(name)).or(schema.get("additionalProperties"))
}

/// Lists of type `set` hold each value once, lists of type `map` each key.
fn check_unique(items: &[Value], schema: &Value, path: &str, found: &mut Vec<Cause>) {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = match (list_type, keys) {
            ("set", _) => item.clone(),
            ("map", Some(keys)) => {
                let pair = |key: &str| Some((key.to_owned(), item.get(key)?.clone()));
                Value::Object(keys.iter().filter_map(Value::as_str).filter_map(pair).collect())
            }
            _ => return,
        };
        if !seen.insert(identity.to_string()) {
            found.push(Cause::duplicate(format!("{path}[{index}]"), &identity));
        }
    }
}

/// The path of a field, as in `spec.size`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether a mark of a schema is `true`.
pub(crate) fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": {"type": "integer", "minimum": 1, "maximum": 5},
                        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
                        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "port": {"x-kubernetes-int-or-string": true},
                        "items": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map",
                                  "x-kubernetes-list-map-keys": ["key"],
                                  "items": {"type": "object", "properties": {"key": {"type": "string"}, "on": {"type": "boolean", "default": true}}}},
                        "nested": {"type": "object", "default": {}, "properties": {"deep": {"type": "integer", "default": 3}}}
                    }
                }
            }
        })
    }

    #[test]
    fn defaults_reach_into_what_is_there_and_into_defaults() {
        let mut object = json!({"spec": {"size": 1, "mode": null, "items": [{"key": "x"}]}});
        crate::domain::krm::defaults::fill_structural(&mut object, &schema());
        let expected =
            json!({"spec": {"size": 1, "mode": "a", "items": [{"key": "x", "on": true}], "nested": {"deep": 3}}});
        assert_eq!(object, expected);
        let mut bare = json!({});
        crate::domain::krm::defaults::fill_structural(&mut bare, &schema());
        assert_eq!(bare, json!({}), "no default creates the spec");
    }

    #[test]
    fn undeclared_fields_are_pruned_and_named() {
        let mut object = json!({
            "apiVersion": "x/v1", "kind": "X", "metadata": {"name": "a", "anything": 1}, "extra": 1,
            "spec": {"size": 1, "other": 2, "free": {"any": {"thing": 1}}, "labels": {"a": "b"}, "items": [{"key": "k", "no": 1}]}
        });
        let mut pruned = prune(&mut object, &schema());
        pruned.sort();
        assert_eq!(pruned, ["extra", "spec.items[0].no", "spec.other"]);
        assert_eq!(object["spec"]["free"], json!({"any": {"thing": 1}}));
        assert_eq!(object["metadata"]["anything"], 1);
    }

    #[test]
    fn violations_are_worded_as_the_server_words_them() {
        let table = [
            (json!({}), "spec.size: Required value"),
            (json!({"size": 0}), "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
            (json!({"size": 6}), "spec.size: Invalid value: 6: spec.size in body should be less than or equal to 5"),
            (
                json!({"size": "1"}),
                r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#,
            ),
            (json!({"size": 1, "mode": "c"}), r#"spec.mode: Unsupported value: "c": supported values: "a", "b""#),
            (
                json!({"size": 1, "name": "A"}),
                r#"spec.name: Invalid value: "A": spec.name in body should match '^[a-z]+$'"#,
            ),
            (json!({"size": 1, "name": "abcde"}), "spec.name: Too long: may not be more than 4 bytes"),
            (
                json!({"size": 1, "labels": {"a": 1}}),
                r#"spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer""#,
            ),
            (
                json!({"size": 1, "items": [{"key": "x"}, {"key": "x"}]}),
                r#"spec.items[1]: Duplicate value: {"key":"x"}"#,
            ),
            (
                json!({"size": 1, "items": [{"key": "x"}, {"key": "y"}, {"key": "z"}]}),
                "spec.items: Too many: 3: must have at most 2 items",
            ),
        ];
        for (spec, expected) in table {
            let object = json!({"spec": spec});
            let causes = [validate(&object, None, &schema()), duplicates(&object, None, &schema())].concat();
            assert_eq!(causes.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{spec}");
        }
        assert!(validate(&json!({"spec": {"size": 2, "port": "http"}}), None, &schema()).is_empty());
    }
}
