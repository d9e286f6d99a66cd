//! Whether a schema is structural: every field has a type, and what `allOf`, `anyOf`, `oneOf` and `not` say only
//! restricts.
//!
//! Source: `pkg/apiserver/schema/validation.go` and `complete.go` of `k8s.io/apiextensions-apiserver` v0.36.

use serde_json::{Value, json};

use super::{MAX_DEPTH, below, flag, list, properties, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::cel;

/// Where a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Words that a schema within `allOf`, `anyOf`, `oneOf` or `not` cannot say, and what it should be instead.
const FORBIDDEN: [(&str, &str); 12] = [
    ("type", "empty"),
    ("additionalProperties", "undefined"),
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    ("x-kubernetes-preserve-unknown-fields", "false"),
    ("x-kubernetes-embedded-resource", "false"),
    ("x-kubernetes-int-or-string", "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
];

/// What keeps a schema from being structural.
pub(super) fn faults(path: &str, schema: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    invariants(path, schema, Level::Root, MAX_DEPTH, &mut found);
    for (name, part) in junctors(schema) {
        complete(path, schema, &below(path, &name), part, MAX_DEPTH, &mut found);
    }
    found
}

/// The parts of `allOf`, `anyOf`, `oneOf` and `not`, with where they are.
fn junctors(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for name in ["allOf", "anyOf", "oneOf"] {
        found.extend(list(schema, name).iter().enumerate().map(|(index, part)| (format!("{name}[{index}]"), part)));
    }
    found.extend(schema.get("not").map(|part| ("not".to_owned(), part)));
    found
}

fn invariants(path: &str, schema: &Value, level: Level, depth: usize, found: &mut Vec<Cause>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let items = schema.get("items").filter(|items| items.is_object());
    if text(schema, "type") == "array" && items.is_none() {
        found.push(Cause::required(below(path, "items"), "must be specified"));
    }
    if let Some(items) = items {
        invariants(&below(path, "items"), items, Level::Item, depth, found);
    }
    for (name, part) in properties(schema) {
        invariants(&format!("{path}.properties[{name}]"), part, Level::Field, depth, found);
    }
    if let Some(others) = schema.get("additionalProperties") {
        let path = below(path, "additionalProperties");
        if level == Level::Root {
            found.push(Cause::forbidden(path.as_str(), "must not be used at the root"));
        }
        if others.is_object() {
            invariants(&path, others, Level::Field, depth, found);
        }
    }
    extensions(path, schema, found);
    restrictions(path, schema, depth, found);
    types(path, schema, level, found);
    metadata(path, schema, level, found);
}

fn extensions(path: &str, schema: &Value, found: &mut Vec<Cause>) {
    if !flag(schema, "x-kubernetes-int-or-string") {
        return;
    }
    for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if flag(schema, name) {
            let why = "must be false if x-kubernetes-int-or-string is true";
            found.push(Cause::invalid(below(path, name), &json!(true), why));
        }
    }
}

fn types(path: &str, schema: &Value, level: Level, found: &mut Vec<Cause>) {
    let kind = text(schema, "type");
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let open = flag(schema, "x-kubernetes-preserve-unknown-fields");
    let at = || below(path, "type");
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        let is_missing = kind.is_empty();
        found.push(if is_missing { Cause::required(at(), why) } else { Cause::invalid(at(), &json!(kind), why) });
    } else if kind.is_empty() && !open && !flag(schema, "x-kubernetes-int-or-string") {
        let place = match level {
            Level::Root => "at the root",
            Level::Item => "for specified array items",
            Level::Field => "for specified object fields",
        };
        found.push(Cause::required(at(), &format!("must not be empty {place}")));
    }
    if embedded && schema.get("additionalProperties").is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        found.push(Cause::forbidden(below(path, "additionalProperties"), why));
    }
    if level == Level::Root && !matches!(kind, "" | "object") {
        found.push(Cause::invalid(at(), &json!(kind), "must be object at the root"));
    }
    if embedded && !open && properties(schema).next().is_none() {
        let why =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        found.push(Cause::required(below(path, "properties"), why));
    }
}

/// What a resource says of the fields that every resource has.
fn metadata(path: &str, schema: &Value, level: Level, found: &mut Vec<Cause>) {
    let is_resource = level == Level::Root || flag(schema, "x-kubernetes-embedded-resource");
    for (name, part) in properties(schema).filter(|_| is_resource) {
        let kind = text(part, "type");
        let wanted = match name.as_str() {
            "kind" | "apiVersion" => "string",
            "metadata" => "object",
            _ => continue,
        };
        if kind != wanted {
            let why = format!("must be {wanted}");
            found.push(Cause::invalid(format!("{path}.properties[{name}].type"), &json!(kind), &why));
        }
        if name == "metadata" && level == Level::Root && says_more(part) {
            let why =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            found.push(Cause::forbidden(format!("{path}.properties[metadata]"), why));
        }
    }
}

fn says_more(metadata: &Value) -> bool {
    let words = metadata.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let more = words.map(|(word, _)| word.as_str()).any(|word| !matches!(word, "type" | "default" | "properties"));
    more || properties(metadata).any(|(name, _)| !matches!(name.as_str(), "name" | "generateName"))
}

fn is_int_or_string(parts: &[Value]) -> bool {
    parts == [json!({"type": "integer"}), json!({"type": "string"})]
}

/// What only restricts values, directly and within junctors.
fn restrictions(path: &str, schema: &Value, depth: usize, found: &mut Vec<Cause>) {
    let first = list(schema, "allOf").first().is_some_and(|part| is_int_or_string(list(part, "anyOf")));
    for (name, part) in junctors(schema) {
        let known = (name.starts_with("anyOf") && is_int_or_string(list(schema, "anyOf")))
            || (name == "allOf[0]" && first && part.as_object().is_some_and(|words| words.len() == 1));
        if !known {
            nested(&below(path, &name), part, depth, found);
        }
    }
    let pattern = text(schema, "pattern");
    if let Err(why) = cel::check_pattern(pattern) {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        found.push(Cause::invalid(below(path, "pattern"), &json!(pattern), &why));
    }
}

fn nested(path: &str, part: &Value, depth: usize, found: &mut Vec<Cause>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    restrictions(path, part, depth, found);
    if let Some(items) = part.get("items") {
        nested(&below(path, "items"), items, depth, found);
    }
    for (name, part) in properties(part) {
        nested(&format!("{path}.properties[{name}]"), part, depth, found);
    }
    let said = |name: &str| {
        let value = part.get(name);
        value.is_some_and(|value| {
            !matches!(value, Value::Null | Value::Bool(false)) && value != "" && *value != json!([])
        })
    };
    let forbidden = FORBIDDEN.iter().filter(|(name, _)| said(name));
    let rules = said("x-kubernetes-validations").then_some(&("x-kubernetes-validations", "empty"));
    for (name, wanted) in forbidden.chain(rules) {
        found.push(Cause::forbidden(below(path, name), &format!("must be {wanted} to be structural")));
    }
    if properties(part).any(|(name, _)| name == "metadata") {
        found.push(Cause::forbidden(
            format!("{path}.properties[metadata]"),
            "must not be specified in a nested context",
        ));
    }
}

/// Fields that a junctor names must be declared outside of it. Only those of the root are looked at, as the server
/// does.
fn complete(path: &str, schema: &Value, place: &str, part: &Value, depth: usize, found: &mut Vec<Cause>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for (name, part) in junctors(part) {
        complete(path, schema, &below(place, &name), part, depth, found);
    }
    let mut compare = |path: String, place: String, declared: Option<&Value>, part: &Value| match declared {
        Some(declared) => complete(&path, declared, &place, part, depth, found),
        None => found.push(Cause::required(path, &format!("because it is defined in {place}"))),
    };
    if let Some(items) = part.get("items") {
        compare(below(path, "items"), below(place, "items"), schema.get("items"), items);
    }
    for (name, part) in properties(part) {
        let declared = schema.get("properties").and_then(|fields| fields.get(name));
        let step = format!("properties[{name}]");
        compare(below(path, &step), below(place, &step), declared, part);
    }
}
