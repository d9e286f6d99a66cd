//! A total order and an equality over JSON values. Numbers compare by value, as the API server compares them: `1` is
//! `1.0`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Deepest nesting of maps and lists in an object, the object itself included; what owns its fields aside. Everything
/// that writes holds to it, however it is written (JSON, YAML, an apply, a patch), so that whatever is stored can be
/// read again: the reader of JSON goes 127 deep.
pub const MAX_DEPTH: usize = 100;

/// Deepest nesting of an object with its managed fields: an owner names a field five levels below the place of the
/// field, and three are to spare.
pub const MAX_DEPTH_OWNED: usize = MAX_DEPTH + 8;

/// How deep maps and lists are nested in a value; 0 for a scalar.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Orders two JSON values: null, booleans, numbers, texts, lists, maps; within a sort by value.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_all(a.iter().zip(b), a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().cmp(b.keys());
            keys.then_with(|| compare_all(a.values().zip(b.values()), Ordering::Equal))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Whether two JSON values are the same to the API server.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    compare(a, b) == Ordering::Equal
}

/// What stands at a path: keys of maps, and positions in lists as digits.
#[must_use]
pub fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(*part),
    })
}

/// A text by its JSON pointer (RFC 6901); empty when there is nothing, or something else.
#[must_use]
pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a value is null, an empty list or an empty map.
#[must_use]
pub fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn compare_all<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>, otherwise: Ordering) -> Ordering {
    pairs.map(|(a, b)| compare(a, b)).find(|order| order.is_ne()).unwrap_or(otherwise)
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

/// What the API server calls the type of a JSON value: `null`, `bool`, `number`, `string`, `array`, `object`.
#[must_use]
pub const fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_compare_by_value() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(same(&json!([{"a": 2.0}]), &json!([{"a": 2}])));
        assert!(!same(&json!(1), &json!("1")));
        assert_eq!(compare(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)), Ordering::Greater);
    }

    #[test]
    fn scalars_have_no_depth_and_containers_one_each() {
        let table =
            [(json!("a"), 0), (json!({}), 1), (json!([[], {"a": 1}]), 2), (json!({"a": {"b": [1]}, "c": 1}), 3)];
        for (value, expected) in table {
            assert_eq!(depth(&value), expected, "{value}");
        }
    }

    #[test]
    fn maps_and_lists_of_different_length_differ() {
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
        assert!(!same(&json!([1]), &json!([1, 2])));
        assert!(!same(&json!({"a": 1, "c": 0}), &json!({"a": 1, "b": 0})));
    }
}
