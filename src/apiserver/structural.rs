//! Structural schemas of custom resources: pruning, validation.
//!
//! Source: `apiextensions.k8s.io/v1` structural schemas, and the wording of the API server's validation (kube-openapi
//! `validation/errors`). Rules in CEL (`x-kubernetes-validations`) are looked at in `rules`.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::apiserver::status::Cause;
use crate::domain::krm::cel::is_duration;
use crate::domain::krm::value::same;

/// Deepest nesting that is walked; deeper values are left as they are.
const MAX_DEPTH: usize = 100;

/// Removes the fields that a schema does not declare and gives their paths, such as `spec.foo[0].bar`. The object's own
/// `apiVersion`, `kind` and `metadata` stay.
pub(super) fn prune(object: &mut Value, schema: &Value) -> Vec<String> {
    prune_part(object, schema, true)
}

/// As [`prune`], of a value that may be no resource.
pub(super) fn prune_part(value: &mut Value, schema: &Value, is_resource: bool) -> Vec<String> {
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

/// What is wrong with a value, in the API server's words. `metadata` of the object itself is not looked at.
#[must_use]
pub(super) fn validate(object: &Value, schema: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("metadata");
    }
    let mut schema = schema.clone();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("metadata");
    }
    check(&object, &schema, "", MAX_DEPTH, &mut found);
    found
}

fn check(value: &Value, schema: &Value, path: &str, depth: usize, found: &mut Vec<Cause>) {
    if depth == 0 || (value.is_null() && (flag(schema, "nullable") || schema.get("type").is_none())) {
        return;
    }
    if let Some(cause) = wrong_type(value, schema, path) {
        found.push(cause);
        return;
    }
    check_enum(value, schema, path, found);
    match value {
        Value::Object(fields) => check_fields(fields, schema, path, depth, found),
        Value::Array(items) => check_items(items, schema, path, depth, found),
        Value::String(text) => check_text(text, schema, path, found),
        Value::Number(number) => check_number(number.as_f64().unwrap_or_default(), value, schema, path, found),
        _ => {}
    }
    check_junctors(value, schema, path, depth, found);
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|n| n.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(value: &Value, schema: &Value, path: &str) -> Option<Cause> {
    let found = type_of(value);
    let (fits, wanted) = if flag(schema, "x-kubernetes-int-or-string") {
        (matches!(found, "integer" | "string"), "integer,string")
    } else {
        let wanted = schema.get("type").and_then(Value::as_str)?;
        (wanted == found || (wanted == "number" && found == "integer"), wanted)
    };
    let detail = || format!("{} in body must be of type {wanted}: {}", or_body(path), json!(found));
    (!fits).then(|| Cause::wrong_type(path, &json!(found), &detail()))
}

fn or_body(path: &str) -> &str {
    if path.is_empty() { "object" } else { path }
}

fn check_enum(value: &Value, schema: &Value, path: &str, found: &mut Vec<Cause>) {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return };
    if !allowed.iter().any(|one| same(one, value)) {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        found.push(Cause::not_supported(path, value, &allowed));
    }
}

fn check_fields(fields: &Map<String, Value>, schema: &Value, path: &str, depth: usize, found: &mut Vec<Cause>) {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
        found.push(Cause::required(join(path, name), ""));
    }
    let count = fields.len() as u64;
    let mut limit = |name: &str, broken: fn(u64, u64) -> bool, text: &str| {
        if let Some(limit) = schema.get(name).and_then(Value::as_u64).filter(|&limit| broken(count, limit)) {
            let detail = format!("{} in body should have {text} {limit} properties", or_body(path));
            found.push(Cause::invalid(path, &Value::from(count), &detail));
        }
    };
    limit("minProperties", |count, limit| count < limit, "at least");
    limit("maxProperties", |count, limit| count > limit, "at most");
    for (name, value) in fields {
        if let Some(below) = schema_of(schema, name) {
            check(value, below, &join(path, name), depth - 1, found);
        }
    }
}

fn check_items(items: &[Value], schema: &Value, path: &str, depth: usize, found: &mut Vec<Cause>) {
    let count = items.len() as u64;
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(least) = limit("minItems").filter(|&least| count < least) {
        let detail = format!("{} in body should have at least {least} items", or_body(path));
        found.push(Cause::invalid(path, &Value::from(count), &detail));
    }
    if let Some(most) = limit("maxItems").filter(|&most| count > most) {
        let message = format!("Too many: {count}: must have at most {most} items");
        found.push(Cause { reason: "FieldValueTooMany", message, field: path.to_owned() });
    }
    if let Some(below) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            check(item, below, &format!("{path}[{index}]"), depth - 1, found);
        }
    }
}

/// Items that a list of type `set` or `map` holds more than once.
#[must_use]
pub(super) fn duplicates(object: &Value, schema: &Value) -> Vec<Cause> {
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

fn schema_of<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
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

/// The first thing that is wrong with a text.
fn check_text(text: &str, schema: &Value, path: &str, found: &mut Vec<Cause>) {
    let count = text.chars().count() as u64;
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    let pattern = schema.get("pattern").and_then(Value::as_str);
    // A pattern that our engine cannot read was accepted with the CRD: it restricts nothing here.
    let broken = |pattern: &&str| Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text));
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let fits = match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "duration" => is_duration(text),
        _ => true,
    };
    let name = or_body(path);
    let cause = if let Some(most) = limit("maxLength").filter(|&most| count > most) {
        Some(Cause::too_long(path, usize::try_from(most).unwrap_or(usize::MAX)))
    } else if let Some(least) = limit("minLength").filter(|&least| count < least) {
        let detail = format!("{name} in body should be at least {least} chars long");
        Some(Cause::invalid(path, &json!(text), &detail))
    } else if let Some(pattern) = pattern.filter(broken) {
        Some(Cause::invalid(path, &json!(text), &format!("{name} in body should match '{pattern}'")))
    } else if !fits {
        let detail = format!("{name} in body must be of type {format}: {}", json!(text));
        Some(Cause::wrong_type(path, &json!(text), &detail))
    } else {
        None
    };
    found.extend(cause);
}

fn check_number(number: f64, value: &Value, schema: &Value, path: &str, found: &mut Vec<Cause>) {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let shown = |name: &str| schema.get(name).map(ToString::to_string).unwrap_or_default();
    let mut refuse = |detail: String| {
        found.push(Cause::invalid(path, value, &format!("{} in body should be {detail}", or_body(path))));
    };
    if let Some(least) = limit("minimum") {
        let strict = flag(schema, "exclusiveMinimum");
        if number < least {
            refuse(format!("greater than {}{}", if strict { "" } else { "or equal to " }, shown("minimum")));
        } else if strict && number <= least {
            refuse(format!("greater than {}", shown("minimum")));
        }
    }
    if let Some(most) = limit("maximum") {
        let strict = flag(schema, "exclusiveMaximum");
        if number > most {
            refuse(format!("less than {}{}", if strict { "" } else { "or equal to " }, shown("maximum")));
        } else if strict && number >= most {
            refuse(format!("less than {}", shown("maximum")));
        }
    }
    if let Some(step) = limit("multipleOf").filter(|&step| step != 0.0 && (number / step).fract() != 0.0) {
        refuse(format!("a multiple of {step}"));
    }
}

fn check_junctors(value: &Value, schema: &Value, path: &str, depth: usize, found: &mut Vec<Cause>) {
    let all = |name: &str| schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let causes = |schema: &Value| {
        let mut found = Vec::new();
        check(value, schema, path, depth - 1, &mut found);
        found
    };
    let misfits: Vec<Vec<Cause>> = all("allOf").iter().map(causes).filter(|found| !found.is_empty()).collect();
    if !misfits.is_empty() {
        let none = if misfits.len() == all("allOf").len() { ". None validated" } else { "" };
        let detail = format!("{} must validate all the schemas (allOf){none}", quoted(path));
        found.push(Cause::invalid("<nil>", &json!(""), &detail));
    }
    found.extend(misfits.into_iter().flatten());
    let fitting = |name: &str| all(name).iter().filter(|schema| causes(schema).is_empty()).count();
    let mut refuse = |junctor: &str| {
        let detail = format!("{} in body must validate {junctor}", quoted(path));
        found.push(Cause::invalid(path, value, &detail));
    };
    if !all("anyOf").is_empty() && fitting("anyOf") == 0 {
        refuse("at least one schema (anyOf)");
    }
    if !all("oneOf").is_empty() && fitting("oneOf") != 1 {
        refuse("one and only one schema (oneOf)");
    }
    if schema.get("not").is_some_and(|not| causes(not).is_empty()) {
        refuse("must not validate the schema (not)");
    }
}

fn quoted(path: &str) -> String {
    format!("{path:?}")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let causes = [validate(&object, &schema()), duplicates(&object, &schema())].concat();
            assert_eq!(causes.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{spec}");
        }
        assert!(validate(&json!({"spec": {"size": 2, "port": "http"}}), &schema()).is_empty());
    }
}
