//! Short ways to look into an object, and cells that many kinds share.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;

pub(super) const NONE: &str = "<none>";

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn texts<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    list(value, pointer).iter().filter_map(Value::as_str).collect()
}

pub(super) fn has(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).is_some_and(|v| !v.is_null())
}

/// Entries of a map in key order.
pub(super) fn entries<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// The text, or `<none>` when it is empty.
pub(super) fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { NONE } else { text })
}

/// At most three of the texts, then how many more there are.
pub(super) fn three(all: &[String]) -> String {
    let shown = all.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(",");
    match all.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// Number or text as text: the form of an int-or-string.
pub(super) fn plain(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// Whether the condition `kind` is True.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, "/status") == "True")
}

pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    list(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

pub(super) fn name(object: &Value, _: Timestamp) -> Value {
    json!(text(object, "/metadata/name"))
}

pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    json!(age::since(text(object, "/metadata/creationTimestamp"), now))
}

/// The raw instant; kubectl prints `date` columns as they come.
pub(super) fn created_at(object: &Value, _: Timestamp) -> Value {
    json!(text(object, "/metadata/creationTimestamp"))
}

fn join(object: &Value, pointer: &str, field: &str) -> Value {
    json!(list(object, pointer).iter().map(|c| text(c, field)).collect::<Vec<_>>().join(","))
}

pub(super) fn containers(object: &Value, _: Timestamp) -> Value {
    join(object, "/spec/template/spec/containers", "/name")
}

pub(super) fn images(object: &Value, _: Timestamp) -> Value {
    join(object, "/spec/template/spec/containers", "/image")
}

pub(super) fn selector(object: &Value, _: Timestamp) -> Value {
    or_none(&label_selector(object.pointer("/spec/selector")))
}

pub(super) fn labels(object: &Value, pointer: &str) -> Value {
    let pairs = entries(object, pointer).map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    or_none(&pairs.collect::<Vec<_>>().join(","))
}

/// A label selector in kubectl's notation, requirements in key order; empty when it selects everything.
pub(super) fn label_selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return String::new() };
    let mut parts: Vec<(String, String)> = entries(selector, "/matchLabels")
        .map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    parts.extend(list(selector, "/matchExpressions").iter().map(requirement));
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

fn requirement(expression: &Value) -> (String, String) {
    let key = text(expression, "/key");
    let mut values = texts(expression, "/values");
    values.sort_unstable();
    let values = values.join(",");
    let shown = match text(expression, "/operator") {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    };
    (key.to_owned(), shown)
}
