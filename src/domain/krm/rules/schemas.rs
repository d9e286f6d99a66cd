//! What is wrong with the schemas of a CRD.
//!
//! Source: `pkg/apis/apiextensions/validation` and `pkg/apiserver/schema` of `k8s.io/apiextensions-apiserver` v0.36.
//! What rules may cost is not estimated.

mod keywords;
mod structure;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::krm::cause::Cause;
use crate::domain::krm::cel::{RuleFault, RuleFaultKind, Rules};
use crate::domain::krm::structural;

/// Deepest nesting of schemas that is looked at.
const MAX_DEPTH: usize = 64;

/// The faults of all schemas of a definition.
#[must_use]
pub(super) fn faults(definition: &Value) -> Vec<Cause> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).map(Vec::as_slice);
    let versions = versions.unwrap_or_default();
    let schema = |version: &Value| version.pointer("/schema/openAPIV3Schema").cloned();
    // A schema that all versions share is told of once, at the place where an older form of definitions has it.
    let shared = versions.iter().zip(versions.iter().skip(1)).all(|(a, b)| schema(a) == schema(b));
    let named = versions.iter().enumerate().filter_map(|(index, version)| {
        let place = if shared { "spec.validation".to_owned() } else { format!("spec.versions[{index}].schema") };
        let has_status = version.pointer("/subresources/status").is_some();
        Some((format!("{place}.openAPIV3Schema"), schema(version)?, has_status))
    });
    let count = if shared { 1 } else { versions.len() };
    named.take(count).flat_map(|(path, schema, has_status)| faults_of(&path, &schema, has_status)).collect()
}

fn faults_of(path: &str, schema: &Value, has_status: bool) -> Vec<Cause> {
    let mut found = Vec::new();
    let kind = text(schema, "type");
    if has_status && !matches!(kind, "" | "object") {
        let why =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        found.push(Cause::invalid(below(path, "type"), &json!(kind), why));
    }
    if flag(schema, "nullable") {
        found.push(Cause::forbidden(below(path, "nullable"), "nullable cannot be true at the root"));
    }
    // With words that are not supported the server does not get as far as the structure.
    let is_readable = keywords::are_supported(schema, MAX_DEPTH);
    let structure = if is_readable { structure::faults(path, schema) } else { Vec::new() };
    let is_structural = is_readable && structure.is_empty();
    found.extend(structure);
    if is_structural {
        defaults_at_root(path, schema, &mut found);
        defaults(path, schema, MAX_DEPTH, &mut found);
    }
    found.extend(keywords::faults(path, schema));
    let rules = Rules::of(Arc::new(schema.clone())).faults(found.is_empty());
    found.extend(rules.into_iter().map(|fault| cause(path, fault)));
    found
}

fn cause(path: &str, fault: RuleFault) -> Cause {
    let field = below(path, &fault.path);
    let detail = match fault.detail.split_once('\0') {
        Some((before, "")) => format!("{before}{path}"),
        Some((before, rest)) => format!("{before}{}", below(path, rest)),
        None => fault.detail,
    };
    match fault.kind {
        RuleFaultKind::Required => Cause::required(field, &detail),
        RuleFaultKind::Invalid => {
            let message = format!("Invalid value: {}: {detail}", fault.value);
            Cause { reason: "FieldValueInvalid", message, field }
        }
        RuleFaultKind::NotSupported => {
            let message = format!("Unsupported value: {}: supported values: {detail}", fault.value);
            Cause { reason: "FieldValueNotSupported", message, field }
        }
        RuleFaultKind::Internal => {
            Cause { reason: "InternalError", message: format!("Internal error: {detail}"), field }
        }
    }
}

/// What is the default of all of a custom resource is one.
fn defaults_at_root(path: &str, schema: &Value, found: &mut Vec<Cause>) {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let mut schema = schema.clone();
        schema["x-kubernetes-embedded-resource"] = Value::Bool(true);
        found.extend(faults_of_default(&below(path, "default"), default, &schema));
    }
}

/// Defaults within a schema that are not what they are the default of.
fn defaults(path: &str, schema: &Value, depth: usize, found: &mut Vec<Cause>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let items = schema.get("items").map(|items| (below(path, "items"), items));
    let fields = properties(schema).map(|(name, part)| (format!("{path}.properties[{name}]"), part));
    for (path, part) in items.into_iter().chain(fields) {
        if let Some(default) = part.get("default").filter(|default| !default.is_null()) {
            found.extend(faults_of_default(&below(&path, "default"), default, part));
        }
        defaults(&path, part, depth, found);
    }
}

fn faults_of_default(path: &str, default: &Value, schema: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let resource = flag(schema, "x-kubernetes-embedded-resource");
    let mut pruned = default.clone();
    if !structural::prune_part(&mut pruned, schema, resource).is_empty() {
        found.push(Cause::invalid(path, default, "must not have unknown fields"));
    }
    let within = |cause: Cause| {
        let dotted = cause.field.is_empty() || cause.field.starts_with('[');
        let field = if dotted { format!("{path}{}", cause.field) } else { below(path, &cause.field) };
        Cause { field, ..cause }
    };
    let misfits = structural::validate(default, None, schema);
    if !misfits.is_empty() {
        found.extend(misfits.into_iter().map(within));
        return found;
    }
    found.extend(structural::embedded_faults(default, schema).into_iter().map(within));
    let schema = Arc::new(schema.clone());
    let rules = if resource { Rules::of(schema) } else { Rules::of_part(schema) };
    let kept = rules.check(default, Some(default));
    let broken = if kept.is_empty() { rules.check(default, None) } else { kept };
    found.extend(broken.into_iter().map(|broken| structural::cause_at(path, broken)));
    found
}

fn below(path: &str, name: &str) -> String {
    format!("{path}.{name}")
}

fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn list<'a>(schema: &'a Value, name: &str) -> &'a [Value] {
    schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}
