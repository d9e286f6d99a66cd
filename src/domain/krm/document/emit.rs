//! Writing YAML so that no scalar ever comes back as another type.

use std::fmt::Write as _;

use serde_json::Value;

use super::resolve;

/// A value as block YAML: two spaces a level, list items at the level of their key, keys in the map's order.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        other => {
            out.push_str(&scalar_text(other));
            out.push('\n');
        }
    }
    out
}

fn mapping(out: &mut String, map: &serde_json::Map<String, Value>, indent: usize) {
    for (n, (key, value)) in map.iter().enumerate() {
        if n > 0 {
            pad(out, indent);
        }
        out.push_str(&string_text(key));
        out.push(':');
        below(out, value, indent);
    }
}

fn below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            mapping(out, map, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, indent);
            sequence(out, items, indent);
        }
        Value::String(text) if literal_fits(text) => literal(out, text, indent + 2),
        other => {
            out.push(' ');
            out.push_str(&scalar_text(other));
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            pad(out, indent);
        }
        out.push('-');
        match item {
            Value::Object(map) if !map.is_empty() => {
                out.push(' ');
                mapping(out, map, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push(' ');
                sequence(out, items, indent + 2);
            }
            Value::String(text) if literal_fits(text) => literal(out, text, indent + 2),
            other => {
                out.push(' ');
                out.push_str(&scalar_text(other));
                out.push('\n');
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text of several lines reads better as `|` and survives it.
fn literal_fits(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| {
            c == '\n' || c == '\t' || (!c.is_control() && !matches!(c, '\u{feff}' | '\u{85}' | '\u{2028}' | '\u{2029}'))
        })
        && text.lines().all(|line| line.trim_end() == line)
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A scalar, or an empty collection, on one line.
#[must_use]
pub fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => string_text(text),
        other => other.to_string(),
    }
}

fn string_text(text: &str) -> String {
    if is_plain_safe(text) { text.to_owned() } else { quoted(text) }
}

/// Whether a text can stand bare: it reads back as itself, here and for readers of other YAML versions.
fn is_plain_safe(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts_well = first.is_ascii_alphanumeric()
        || matches!(first, '/' | '_' | '.' | '(' | '$')
        || !first.is_ascii() && first.is_alphabetic();
    starts_well
        && resolve::plain(text) == Value::String(text.to_owned())
        // At the root it would end the document.
        && !text.starts_with("...")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| !c.is_control() && (c.is_ascii() || c.is_alphanumeric()))
        && !looks_typed(text)
}

/// Forms that some reader takes for a number, a date or a time.
fn looks_typed(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | '_' | ':' | '-' | '+' | 'e' | 'E' | 'T' | 'Z' | ' '))
        && !text.chars().filter(|c| *c == '.').count().ge(&2);
    let radix = lower.starts_with("0x") || lower.starts_with("0o") || lower.starts_with("0b");
    numeric || radix || matches!(lower.as_str(), ".inf" | ".nan" | "=" | "<<" | "null" | "~")
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
