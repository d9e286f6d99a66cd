//! Resources within custom resources (`x-kubernetes-embedded-resource`): their type and their metadata are those of any
//! object.
//!
//! Source: `pkg/apiserver/schema/objectmeta` of `k8s.io/apiextensions-apiserver` v0.36.

use serde_json::{Value, json};

use super::{MAX_DEPTH, flag, join, schema_of};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::cel::pattern_matches;
use crate::domain::krm::metadata;

/// Shows every embedded resource of a value, with its path, to `see`, until that fails.
///
/// # Errors
/// What `see` says.
pub fn visit<E>(
    value: &mut Value,
    schema: &Value,
    see: &mut impl FnMut(&mut Value, &str) -> Result<(), E>,
) -> Result<(), E> {
    visit_part(value, schema, "", MAX_DEPTH, see)
}

fn visit_part<E>(
    value: &mut Value,
    schema: &Value,
    path: &str,
    depth: usize,
    see: &mut impl FnMut(&mut Value, &str) -> Result<(), E>,
) -> Result<(), E> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    if value.is_object() && flag(schema, "x-kubernetes-embedded-resource") {
        see(value, path)?;
    }
    match value {
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| {
            let Some(below) = schema_of(schema, name) else { return Ok(()) };
            visit_part(value, below, &join(path, name), depth, see)
        }),
        Value::Array(items) => items.iter_mut().enumerate().try_for_each(|(index, item)| {
            let Some(below) = schema.get("items") else { return Ok(()) };
            visit_part(item, below, &format!("{path}[{index}]"), depth, see)
        }),
        _ => Ok(()),
    }
}

/// What is wrong with the embedded resources of an object.
#[must_use]
pub fn faults(object: &Value, schema: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let mut object = object.clone();
    let mut see = |resource: &mut Value, path: &str| {
        found.extend(faults_of(resource, path));
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(()) = visit(&mut object, schema, &mut see);
    found
}

fn faults_of(resource: &Value, path: &str) -> Vec<Cause> {
    let mut found: Vec<Cause> = ["apiVersion", "kind"]
        .into_iter()
        .filter(|name| resource.get(name).is_none())
        .map(|name| Cause::required(join(path, name), ""))
        .collect();
    for name in ["apiVersion", "kind"] {
        let Some(value) = resource.get(name) else { continue };
        let fault = if name == "kind" { kind_fault } else { version_fault };
        let detail = value.as_str().map_or_else(|| Some("must be a string".to_owned()), fault);
        found.extend(detail.map(|detail| Cause::invalid(join(path, name), value, &detail)));
    }
    let within = |cause: Cause| Cause { field: join(path, &cause.field), ..cause };
    found.extend(metadata_faults(resource).into_iter().map(within));
    found
}

fn version_fault(version: &str) -> Option<String> {
    match version.matches('/').count() {
        _ if version.is_empty() => Some("must not be empty".to_owned()),
        0 | 1 => None,
        _ => Some(format!("unexpected GroupVersion string: {version}")),
    }
}

/// What is wrong with a name that must be a label of DNS (RFC 1035).
#[must_use]
pub fn dns_1035_fault(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    let detail = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                  character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
                  validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    (!pattern_matches("^[a-z]([-a-z0-9]*[a-z0-9])?$", name)).then(|| detail.to_owned())
}

fn kind_fault(kind: &str) -> Option<String> {
    if kind.is_empty() {
        return Some("must not be empty".to_owned());
    }
    let detail = dns_1035_fault(&kind.to_lowercase())?;
    Some(format!("may have mixed case, but should otherwise match: {detail}"))
}

fn metadata_faults(resource: &Value) -> Vec<Cause> {
    let name = metadata::text(resource, "name");
    let name_fault = match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ => ['/', '%'].into_iter().find(|&letter| name.contains(letter)).map(|c| format!("may not contain '{c}'")),
    };
    let namespace = metadata::text(resource, "namespace");
    let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                 with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let misnamed = !namespace.is_empty() && !pattern_matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", namespace);
    let name_fault = name_fault.map(|detail| Cause::invalid("metadata.name", &json!(name), &detail));
    let namespace_fault = misnamed.then(|| Cause::invalid("metadata.namespace", &json!(namespace), label));
    let faults = name_fault.into_iter().chain(namespace_fault).chain(metadata::validate_entries(resource));
    faults.chain(owner_faults(resource)).collect()
}

fn owner_faults(resource: &Value) -> Vec<Cause> {
    let owners = resource.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let faults = |owner: &Value| {
        let is_empty = |name: &str| owner.get(name).and_then(Value::as_str).is_none_or(str::is_empty);
        let empty = ["apiVersion", "kind", "name", "uid"].into_iter().filter(|name| is_empty(name));
        let told = |name: &str| {
            let detail = if name == "apiVersion" { "version must not be empty" } else { "must not be empty" };
            Cause::invalid(format!("metadata.ownerReferences.{name}"), &json!(""), detail)
        };
        empty.map(told).collect::<Vec<_>>()
    };
    owners.flat_map(faults).collect()
}
