//! Words of a schema that are not supported, or do not go together.
//!
//! Source: `ValidateCustomResourceDefinitionOpenAPISchema` of `k8s.io/apiextensions-apiserver` v0.36.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{MAX_DEPTH, below, flag, list, properties, text};
use crate::domain::krm::cause::Cause;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const UNSUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
/// Fields that every resource has.
const META: [&str; 3] = ["metadata", "kind", "apiVersion"];

/// What is wrong with the words of a schema.
pub(super) fn faults(path: &str, schema: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let place = Place { root: true, meta: false, no_defaults: None };
    look(path, schema, &place, MAX_DEPTH, &mut found);
    found
}

/// Where a schema stands.
#[derive(Debug, Clone)]
struct Place {
    root: bool,
    /// Within the fields that every resource has.
    meta: bool,
    /// Why there can be no defaults.
    no_defaults: Option<String>,
}

fn look(path: &str, schema: &Value, place: &Place, depth: usize, found: &mut Vec<Cause>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    standard(path, schema, place, found);
    if flag(schema, "uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        found.push(Cause::forbidden(below(path, "uniqueItems"), why));
    }
    let inner = Place { root: false, ..place.clone() };
    if let Some(others) = schema.get("additionalProperties") {
        let path = below(path, "additionalProperties");
        if properties(schema).next().is_some() && *others != Value::Bool(true) {
            let why = "additionalProperties and properties are mutual exclusive";
            found.push(Cause::forbidden(path.as_str(), why));
        }
        let reason = "inside additionalProperties applying to object metadata".to_owned();
        let no_defaults = if place.meta { Some(reason) } else { place.no_defaults.clone() };
        look(&path, others, &Place { no_defaults, ..inner.clone() }, depth, found);
    }
    for (name, part) in properties(schema) {
        let resource = place.root || flag(schema, "x-kubernetes-embedded-resource");
        let mut inner = inner.clone();
        if resource && META.contains(&name.as_str()) {
            inner.meta = true;
            if place.root {
                inner.no_defaults = Some(format!("in top-level {name}"));
            }
        }
        look(&format!("{path}.properties[{name}]"), part, &inner, depth, found);
    }
    for name in ["allOf", "oneOf", "anyOf"] {
        for (index, part) in list(schema, name).iter().enumerate() {
            look(&format!("{path}.{name}[{index}]"), part, &inner, depth, found);
        }
    }
    for name in ["not", "items"] {
        if let Some(part) = schema.get(name) {
            look(&below(path, name), part, &inner, depth, found);
        }
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let at = below(path, "x-kubernetes-preserve-unknown-fields");
        found.push(Cause::invalid(at, &json!(false), "must be true or undefined"));
    }
    merging(path, schema, found);
    keys(path, schema, found);
}

fn standard(path: &str, schema: &Value, place: &Place, found: &mut Vec<Cause>) {
    let kind = text(schema, "type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        found.push(Cause::not_supported(below(path, "type"), &json!(kind), &quoted(&TYPES)));
    }
    if let Some(reason) = place.no_defaults.as_ref().filter(|_| schema.get("default").is_some_and(|d| !d.is_null())) {
        found.push(Cause::forbidden(below(path, "default"), &format!("must not be set {reason}")));
    }
    for name in UNSUPPORTED.into_iter().filter(|name| is_said(schema, name)) {
        found.push(Cause::forbidden(below(path, name), &format!("{name} is not supported")));
    }
    if kind == "null" {
        let why = "type cannot be set to null, use nullable as an alternative";
        found.push(Cause::forbidden(below(path, "type"), why));
    }
    if schema.get("items").is_some_and(Value::is_array) {
        let why = "items must be a schema object and not an array";
        found.push(Cause::forbidden(below(path, "items"), why));
    }
    if place.meta && flag(schema, "x-kubernetes-embedded-resource") {
        let at = below(path, "x-kubernetes-embedded-resource");
        found.push(Cause::forbidden(at, "must not be used inside of resource meta"));
    }
}

fn is_said(schema: &Value, name: &str) -> bool {
    schema.get(name).is_some_and(|value| !value.is_null() && *value != json!({}) && value != "")
}

/// Whether all words of a schema are supported.
pub(super) fn are_supported(schema: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let lists = ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|name| list(schema, name));
    let single = ["not", "items", "additionalProperties"].into_iter().filter_map(|name| schema.get(name));
    let mut parts = lists.chain(single).chain(properties(schema).map(|(_, part)| part));
    !UNSUPPORTED.iter().any(|name| is_said(schema, name)) && parts.all(|part| are_supported(part, depth))
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("{word:?}")).collect()
}

/// How maps and lists are merged.
fn merging(path: &str, schema: &Value, found: &mut Vec<Cause>) {
    let kind = text(schema, "type");
    let pairs = [
        ("x-kubernetes-map-type", "object", &["atomic", "granular"][..]),
        ("x-kubernetes-list-type", "array", &["atomic", "set", "map"][..]),
    ];
    for (name, wanted, known) in pairs {
        let Some(value) = schema.get(name).filter(|value| !value.is_null()) else { continue };
        if kind != wanted {
            let why = format!("must be {wanted} if {name} is specified");
            let at = below(path, "type");
            let is_missing = kind.is_empty();
            found.push(if is_missing { Cause::required(at, &why) } else { Cause::invalid(at, &json!(kind), &why) });
        } else if value == "set" {
            set_items(path, schema, found);
        }
        if !known.iter().any(|word| value == word) {
            found.push(Cause::not_supported(below(path, name), value, &quoted(known)));
        }
    }
}

/// Items of a set are owned as a whole.
fn set_items(path: &str, schema: &Value, found: &mut Vec<Cause>) {
    let Some(items) = schema.get("items") else { return };
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let list_type = items.get("x-kubernetes-list-type").filter(|kind| !kind.is_null());
    let at = |name: &str| below(path, &format!("items.{name}"));
    match text(items, "type") {
        "array" if list_type.is_some_and(|kind| kind != "atomic") => {
            found.push(Cause::invalid(at("x-kubernetes-list-type"), list_type.unwrap_or(&Value::Null), why));
        }
        "object" if text(items, "x-kubernetes-map-type") != "atomic" => {
            found.push(Cause::invalid(at("x-kubernetes-map-type"), list_type.unwrap_or(&Value::Null), why));
        }
        _ => {}
    }
}

/// Lists whose items are told apart by keys.
fn keys(path: &str, schema: &Value, found: &mut Vec<Cause>) {
    let (list_type, keys) = (text(schema, "x-kubernetes-list-type"), list(schema, "x-kubernetes-list-map-keys"));
    if !keys.is_empty() && list_type != "map" {
        let (at, why) =
            (below(path, "x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
        let is_missing = list_type.is_empty();
        found.push(if is_missing { Cause::required(at, why) } else { Cause::invalid(at, &json!(list_type), why) });
    }
    if !matches!(list_type, "set" | "map") {
        return;
    }
    if schema.get("items").is_some_and(|items| flag(items, "nullable")) {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        found.push(Cause::forbidden(below(path, "items.nullable"), &why));
    }
    if list_type == "set" {
        return;
    }
    if keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        found.push(Cause::required(below(path, "x-kubernetes-list-map-keys"), why));
    }
    match schema.get("items") {
        None => {
            let why = "must have a schema if x-kubernetes-list-type is map";
            found.push(Cause::required(below(path, "items"), why));
        }
        Some(items) if text(items, "type") != "object" => {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            found.push(Cause::invalid(below(path, "items.type"), &json!(text(items, "type")), why));
        }
        Some(items) => keys_of_items(path, items, keys, found),
    }
}

fn keys_of_items(path: &str, items: &Value, keys: &[Value], found: &mut Vec<Cause>) {
    let at = below(path, "x-kubernetes-list-map-keys");
    let mut seen = BTreeSet::new();
    for key in keys.iter().filter_map(Value::as_str) {
        if !seen.insert(key) {
            found.push(Cause::invalid(at.as_str(), &json!(keys), "must not contain duplicate entries"));
        }
        let Some((_, part)) = properties(items).find(|(name, _)| *name == key) else {
            found.push(Cause::invalid(at.as_str(), &json!(keys), "entries must all be names of item properties"));
            continue;
        };
        let of_key = |name: &str| below(path, &format!("items.properties[{key}].{name}"));
        if matches!(text(part, "type"), "array" | "object") {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            found.push(Cause::invalid(of_key("type"), &json!(text(items, "type")), why));
        }
        let is_required = list(items, "required").iter().any(|name| name == key);
        if !is_required && part.get("default").is_none_or(Value::is_null) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            found.push(Cause::required(of_key("default"), why));
        }
        if flag(part, "nullable") {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            found.push(Cause::forbidden(of_key("nullable"), why));
        }
    }
}
