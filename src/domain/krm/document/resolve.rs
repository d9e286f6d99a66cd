//! What plain scalars mean: YAML 1.1 as the Go decoder of Kubernetes reads it.

use serde_json::{Map, Number, Value};

use super::DocumentError;
use super::node::{Node, NodeKind};

/// Whether a plain scalar is null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Integers in decimal, octal (`0755`, `0o755`), hex and binary, with `_` between digits.
fn integer(text: &str) -> Option<Number> {
    let digits = text.replace('_', "");
    let (negative, body) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let (radix, body) = match body.get(..2) {
        Some("0x") => (16, &body[2..]),
        Some("0b") => (2, &body[2..]),
        Some("0o") => (8, &body[2..]),
        _ if body.len() > 1 && body.starts_with('0') => (8, &body[1..]),
        _ => (10, body),
    };
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(body, radix).ok()?;
    if !negative {
        return Some(magnitude.into());
    }
    let signed = i64::try_from(-i128::from(magnitude)).ok()?;
    Some(signed.into())
}

fn float(text: &str) -> Option<Number> {
    let digits = text.replace('_', "");
    let body = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
    let shaped = body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body.bytes().any(|b| b.is_ascii_digit())
        && body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !shaped {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    // A whole number that is no octal, such as 08, is read as the number it shows.
    if value.fract() == 0.0 && !digits.contains(['.', 'e', 'E']) && value.abs() < 9e15 {
        return digits.trim_start_matches(['+', '0']).parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(value)
}

/// What a plain scalar means.
pub(super) fn plain(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    let first = text.as_bytes()[0];
    if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        // Anything too large for a number stays text, as Go leaves it.
        if let Some(number) = integer(text).or_else(|| float(text)) {
            return Value::Number(number);
        }
    }
    Value::String(text.to_owned())
}

fn error(code: &'static str, node: &Node, message: impl Into<String>) -> DocumentError {
    DocumentError { code, line: node.line, column: node.column, message: message.into() }
}

fn scalar(node: &Node, text: &str, is_plain: bool, tag: Option<&str>) -> Result<Value, DocumentError> {
    let wrong = |kind: &str| error("yaml.tag", node, format!("{text:?} is not {kind}"));
    match tag {
        None if is_plain => {
            if matches!(text.trim_start_matches(['-', '+']), ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
                return Err(error("yaml.number", node, format!("{text} has no JSON form")));
            }
            Ok(plain(text))
        }
        None | Some("str" | "binary" | "timestamp") => Ok(Value::String(text.to_owned())),
        Some("null") => Ok(Value::Null),
        Some("bool") => boolean(text).map(Value::Bool).ok_or_else(|| wrong("a boolean")),
        Some("int") => integer(text).map(Value::Number).ok_or_else(|| wrong("an integer")),
        Some(_) => float(text).or_else(|| integer(text)).map(Value::Number).ok_or_else(|| wrong("a number")),
    }
}

/// A map key as JSON spells it.
pub(super) fn key(node: &Node) -> Result<String, DocumentError> {
    let NodeKind::Scalar { text, plain: is_plain, tag, .. } = &node.kind else {
        return Err(error("yaml.key", node, "a key must be a scalar"));
    };
    match scalar(node, text, *is_plain, tag.as_deref())? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        _ => Err(error("yaml.key", node, "a key must not be null")),
    }
}

/// The node as JSON; aliases and merge keys are followed within the budget.
pub(super) fn value(node: &Node, budget: usize) -> Result<Value, DocumentError> {
    let mut left = budget;
    convert(node, &mut left)
}

fn convert(node: &Node, left: &mut usize) -> Result<Value, DocumentError> {
    *left =
        left.checked_sub(1).ok_or_else(|| error("yaml.alias_limit", node, "aliases grow beyond the limit of nodes"))?;
    match &node.kind {
        NodeKind::Scalar { text, plain, tag, .. } => scalar(node, text, *plain, tag.as_deref()),
        NodeKind::Sequence { items, .. } => {
            items.iter().map(|item| convert(item, left)).collect::<Result<_, _>>().map(Value::Array)
        }
        NodeKind::Alias(target) => convert(target, left),
        NodeKind::Mapping { entries, .. } => {
            let mut map = Map::new();
            for entry in entries.iter().filter(|entry| entry.key == "<<") {
                merge(&entry.value, &mut map, left)?;
            }
            for entry in entries.iter().filter(|entry| entry.key != "<<") {
                map.insert(entry.key.clone(), convert(&entry.value, left)?);
            }
            Ok(Value::Object(map))
        }
    }
}

fn merge(node: &Node, into: &mut Map<String, Value>, left: &mut usize) -> Result<(), DocumentError> {
    match convert(node, left)? {
        Value::Object(map) => {
            for (key, value) in map {
                into.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for (key, value) in items.into_iter().filter_map(|item| item.as_object().cloned()).flatten() {
                into.entry(key).or_insert(value);
            }
            Ok(())
        }
        _ => Err(error("yaml.merge", node, "a merge key needs a map, or a list of maps")),
    }
}
