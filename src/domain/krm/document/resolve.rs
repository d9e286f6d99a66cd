//! What plain scalars mean: YAML 1.1 as the Go decoder of Kubernetes reads it.

use serde_json::{Map, Number, Value};

use super::DocumentError;
use super::node::{Entry, Node, NodeKind};
use super::spell::disputed_boolean;
use crate::domain::krm::base64;

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
        Some("0x" | "0X") => (16, &body[2..]),
        Some("0b" | "0B") => (2, &body[2..]),
        Some("0o" | "0O") => (8, &body[2..]),
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
    DocumentError::new(code, (node.line, node.column), message)
}

/// The plain scalars that are numbers in YAML and not in JSON, as Go spells them.
fn special(text: &str) -> Option<&'static str> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(".inf"),
        "-.inf" | "-.Inf" | "-.INF" => Some("-.inf"),
        ".nan" | ".NaN" | ".NAN" => Some(".nan"),
        _ => None,
    }
}

/// Base64 of text; what is not text has no place in JSON.
fn binary(text: &str) -> Option<String> {
    String::from_utf8(base64::decode(text)?).ok()
}

fn scalar(node: &Node, text: &str, is_plain: bool, tag: Option<&str>) -> Result<Value, DocumentError> {
    let wrong = |kind: &str| error("yaml.tag", node, format!("it is not {kind}, as its tag says"));
    match tag {
        None if is_plain => {
            if special(text).is_some() {
                return Err(error("yaml.number", node, format!("{text} has no JSON form; quote it if it is a text")));
            }
            Ok(plain(text))
        }
        None | Some("str" | "timestamp") => Ok(Value::String(text.to_owned())),
        Some("binary") => binary(text).map(Value::String).ok_or_else(|| wrong("base64 of UTF-8 text")),
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
    if let Some(number) = special(text).filter(|_| *is_plain && tag.is_none()) {
        return Ok(number.to_owned());
    }
    match scalar(node, text, *is_plain, tag.as_deref())? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => number_key(&value)
            .ok_or_else(|| error("yaml.key", node, format!("the number {text} is too large for a key; quote it"))),
        _ => Err(error("yaml.key", node, "a key must not be null; quote it if it is a text")),
    }
}

/// A key as Go shows it: texts in quotes.
pub(super) fn shown_key(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar { text, plain: is_plain, tag, .. } => match scalar(node, text, *is_plain, tag.as_deref()) {
            Ok(Value::String(text)) => format!("{text:?}"),
            Ok(other) => other.to_string(),
            Err(_) => text.clone(),
        },
        _ => String::new(),
    }
}

/// A number as Go spells it in a key: whole ones must fit 64 bits with a sign, others go through 32 bits.
fn number_key(number: &Number) -> Option<String> {
    if number.is_i64() || number.is_u64() {
        return number.as_i64().map(|whole| whole.to_string());
    }
    let short: f32 = number.to_string().parse().ok()?;
    if short.is_infinite() {
        return Some(if short > 0.0 { ".inf" } else { "-.inf" }.to_owned());
    }
    let written = format!("{short:e}");
    let (digits, exponent) = written.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(if (-4..6).contains(&exponent) { short.to_string() } else { format!("{digits}e{sign}{:02}", exponent.abs()) })
}

/// The node as JSON; aliases and merge keys are followed within the budget.
pub(super) fn value(node: &Node, budget: usize) -> Result<Value, DocumentError> {
    convert(node, &mut Reading { left: budget, limit: budget, as_kpt: node.is_kptfile() })
}

/// As [`value`], but what is a text to kpt is one.
pub(super) fn value_of_kpt(node: &Node, budget: usize) -> Result<Value, DocumentError> {
    convert(node, &mut Reading { left: budget, limit: budget, as_kpt: true })
}

/// A document that is being read.
struct Reading {
    /// Nodes that may still come.
    left: usize,
    /// Nodes that there may be.
    limit: usize,
    /// Whether it is read as kpt reads it, for whom numbers that JSON has not, and `y`, `no`, `on` and their like,
    /// are the texts that they are written as: a Kptfile, and what configures a function, is kpt's alone.
    as_kpt: bool,
}

/// The text of a plain scalar that is one to kpt and none to Kubernetes.
pub(super) fn text_to_kpt(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Scalar { text, plain: true, tag: None, .. } => {
            (special(text).is_some() || disputed_boolean(text).is_some()).then_some(text)
        }
        _ => None,
    }
}

fn convert(node: &Node, reading: &mut Reading) -> Result<Value, DocumentError> {
    let limit = reading.limit;
    let grown = || {
        let message = format!("with what its aliases stand for, it has more than {limit} values");
        error("yaml.alias_limit", node, message)
    };
    reading.left = reading.left.checked_sub(1).ok_or_else(grown)?;
    match &node.kind {
        NodeKind::Scalar { text, plain, tag, .. } => match text_to_kpt(node).filter(|_| reading.as_kpt) {
            Some(own) => Ok(Value::String(own.to_owned())),
            None => scalar(node, text, *plain, tag.as_deref()),
        },
        NodeKind::Sequence { items, .. } => {
            let item = |(index, item)| convert(item, reading).map_err(|error| error.below(&format!("[{index}]")));
            items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::Array)
        }
        NodeKind::Alias(target) => convert(target, reading),
        NodeKind::Mapping { entries, .. } => {
            let mut map = Map::new();
            for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| is_merge(entry)) {
                let merged = merged(&entry.value, reading).map_err(|error| error.below("<<"))?;
                not_given_before(entry, &entries[..at], &merged)?;
                for (key, value) in merged {
                    map.entry(key).or_insert(value);
                }
            }
            for entry in entries.iter().filter(|entry| !is_merge(entry)) {
                let value = convert(&entry.value, reading).map_err(|error| error.below(&entry.key))?;
                let key = if reading.as_kpt { entry.key_of_kpt() } else { &entry.key };
                map.insert(key.to_owned(), value);
            }
            Ok(Value::Object(map))
        }
    }
}

/// Whether the key is `<<` itself, and not a text that is written so.
fn is_merge(entry: &Entry) -> bool {
    entry.key == "<<" && matches!(&entry.key_node.kind, NodeKind::Scalar { plain: true, tag: None, .. })
}

/// What a merge key brings; of several maps the first one counts.
fn merged(node: &Node, reading: &mut Reading) -> Result<Map<String, Value>, DocumentError> {
    let mut all = Map::new();
    match convert(node, reading)? {
        Value::Object(map) => all = map,
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for (key, value) in items.into_iter().filter_map(|item| item.as_object().cloned()).flatten() {
                all.entry(key).or_insert(value);
            }
        }
        _ => return Err(error("yaml.merge", node, "a merge key needs a map, or a list of maps")),
    }
    Ok(all)
}

/// A key that is given before a merge key that brings it, too, is the merge key's for kubectl and its own for kpt.
fn not_given_before(entry: &Entry, before: &[Entry], merged: &Map<String, Value>) -> Result<(), DocumentError> {
    let given = before.iter().find(|own| !is_merge(own) && merged.contains_key(&own.key));
    given.map_or(Ok(()), |own| {
        let message = format!(
            "{:?} stands before the merge key that brings it, too; readers differ on which one counts: write << first",
            own.key
        );
        Err(error("yaml.merge", &entry.key_node, message))
    })
}
