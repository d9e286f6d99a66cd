//! `apply-setters`: values of named setters go where a comment `# kpt-set: ${name}` asks for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Call, FunctionError};
use crate::domain::krm::document::{Limits, Node, NodeKind, YamlFile, scalar_text};
use crate::domain::package::resources::Place;

/// What marks a comment as a setter's.
const MARK: &str = "kpt-set:";

/// One place that refers to setters.
struct Use {
    place: Place,
    path: Vec<String>,
    pattern: String,
    line: usize,
    kind: Kind,
}

/// What stands there.
enum Kind {
    /// A scalar, with its present text.
    Scalar(String),
    /// A list.
    List,
}

pub(super) fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let values = call.data("setters")?;
    let uses = uses(call);
    let mut changed = 0;
    for found in &uses {
        changed += usize::from(apply(call, found, &values)?);
    }
    call.info(if uses.is_empty() { "no setter is used".to_owned() } else { format!("set {changed} values") });
    Ok(())
}

fn uses(call: &Call<'_>) -> Vec<Use> {
    let mut found = Vec::new();
    for place in &call.places {
        let Some(file) = call.resources.file(place) else { continue };
        if let Some(root) = file.documents().get(place.index) {
            walk(file, root, place, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn pattern_on(file: &YamlFile, line: usize) -> Option<String> {
    file.comment(line)?.trim().strip_prefix(MARK).map(|pattern| pattern.trim().to_owned())
}

fn walk(file: &YamlFile, node: &Node, place: &Place, path: &mut Vec<String>, found: &mut Vec<Use>) {
    let mut record = |path: &[String], pattern: String, line: usize, kind: Kind| {
        found.push(Use { place: place.clone(), path: path.to_vec(), pattern, line, kind });
    };
    match &node.kind {
        NodeKind::Scalar { text, block: false, .. } => {
            if let Some(pattern) = pattern_on(file, node.last_line) {
                record(path, pattern, node.line, Kind::Scalar(text.clone()));
            }
        }
        NodeKind::Sequence { items, flow } => {
            // A flow list has its comment behind it; its items share the line and are not places of their own.
            if *flow {
                if let Some(pattern) = pattern_on(file, node.last_line) {
                    record(path, pattern, node.line, Kind::List);
                }
                return;
            }
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(file, item, place, path, found);
                path.pop();
            }
        }
        NodeKind::Mapping { entries, .. } => {
            for entry in entries {
                path.push(entry.key.clone());
                let block_list = matches!(entry.value.kind, NodeKind::Sequence { flow: false, .. });
                if let Some(pattern) = pattern_on(file, entry.key_node.last_line).filter(|_| block_list) {
                    found.push(Use {
                        place: place.clone(),
                        path: path.clone(),
                        pattern,
                        line: entry.key_node.line,
                        kind: Kind::List,
                    });
                } else {
                    walk(file, &entry.value, place, path, found);
                }
                path.pop();
            }
        }
        _ => {}
    }
}

/// Names in `${...}`, in order.
fn names(pattern: &str) -> Vec<&str> {
    pattern.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

fn apply(call: &mut Call<'_>, found: &Use, values: &BTreeMap<String, String>) -> Result<bool, FunctionError> {
    let names = names(&found.pattern);
    // As upstream: a place is touched when at least one of its setters is given.
    if !names.iter().any(|name| values.contains_key(*name)) {
        return Ok(false);
    }
    match &found.kind {
        Kind::Scalar(current) => scalar(call, found, current, &names, values),
        Kind::List => list(call, found, &names, values),
    }
}

fn origin(found: &Use) -> String {
    format!("{}:{}", found.place.file, found.line)
}

fn scalar(
    call: &mut Call<'_>,
    found: &Use,
    current: &str,
    names: &[&str],
    values: &BTreeMap<String, String>,
) -> Result<bool, FunctionError> {
    let derived = derive(&found.pattern, current);
    let mut text = found.pattern.clone();
    let mut missing = BTreeSet::new();
    for name in names {
        match values.get(*name).or_else(|| derived.get(*name)) {
            Some(value) => text = text.replace(&format!("${{{name}}}"), value),
            None => drop(missing.insert((*name).to_owned())),
        }
    }
    if !missing.is_empty() {
        return Err(FunctionError::SettersMissing { names: missing.into_iter().collect(), origin: origin(found) });
    }
    if text == current {
        return Ok(false);
    }
    let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
    let quoted = present_is_text(call, found, &path);
    // A text stays a text: `"5"` in quotes must not turn into a number.
    let meaning = if quoted { Value::from(text.as_str()) } else { meaning(&text) };
    let raw = if text.is_empty() {
        "\"\"".to_owned()
    } else if quoted {
        scalar_text(&meaning)
    } else {
        text.clone()
    };
    let file = found.place.file.clone();
    let raw = if quoted || parses_as(&raw, &meaning) { raw } else { scalar_text(&Value::from(text)) };
    let meaning = if parses_as(&raw, &meaning) { meaning } else { Value::from(raw.as_str()) };
    call.resources.set_raw(&found.place, &path, &raw, &meaning).map_err(|source| FunctionError::Edit { file, source })
}

fn present_is_text(call: &Call<'_>, found: &Use, path: &[&str]) -> bool {
    let value = call.resources.value(&found.place);
    let plain = call
        .resources
        .file(&found.place)
        .and_then(|file| file.documents().get(found.place.index))
        .and_then(|root| root.at(path))
        .is_some_and(|node| matches!(node.kind, NodeKind::Scalar { plain: true, .. }));
    !plain && super::at(&value, path).is_some_and(Value::is_string)
}

fn meaning(text: &str) -> Value {
    if text.is_empty() {
        return Value::from("");
    }
    read(text).unwrap_or_else(|| Value::from(text))
}

fn read(text: &str) -> Option<Value> {
    let file = YamlFile::parse(format!("v: {text}").as_bytes(), &Limits::default()).ok()?;
    let value = file.value(0).ok()?.get("v").cloned()?;
    (!value.is_object() && !value.is_array() && !value.is_null()).then_some(value)
}

fn parses_as(raw: &str, meaning: &Value) -> bool {
    let file = YamlFile::parse(format!("v: {raw}").as_bytes(), &Limits::default());
    file.and_then(|file| file.value(0)).is_ok_and(|value| value.get("v") == Some(meaning))
}

/// Values that the present text gives to setters: the pattern's fixed parts split it. Ambiguity gives nothing.
fn derive(pattern: &str, current: &str) -> BTreeMap<String, String> {
    let mut derived = BTreeMap::new();
    let mut rest_pattern = pattern;
    let mut rest = current;
    while let Some((fixed, after)) = rest_pattern.split_once("${") {
        let (Some(tail), Some((name, next))) = (rest.strip_prefix(fixed), after.split_once('}')) else {
            return BTreeMap::new();
        };
        let end = match next.split_once("${").map_or(next, |(fixed, _)| fixed) {
            "" if next.is_empty() => Some(tail.len()),
            "" => None,
            separator => tail.find(separator),
        };
        let Some(end) = end else { return BTreeMap::new() };
        let value = tail[..end].to_owned();
        if derived.insert(name.to_owned(), value.clone()).is_some_and(|first: String| first != value) {
            return BTreeMap::new();
        }
        rest = &tail[end..];
        rest_pattern = next;
    }
    if rest == rest_pattern { derived } else { BTreeMap::new() }
}

fn list(
    call: &mut Call<'_>,
    found: &Use,
    names: &[&str],
    values: &BTreeMap<String, String>,
) -> Result<bool, FunctionError> {
    let wrong = |message: String| FunctionError::SetterValue { origin: origin(found), message };
    let [name] = names else { return Err(wrong("a list takes exactly one setter".to_owned())) };
    let text = values.get(*name).map_or("", String::as_str);
    let items = if text.trim().is_empty() {
        Value::Array(Vec::new())
    } else {
        parse_list(text).ok_or_else(|| wrong(format!("setter {name} is not a YAML list")))?
    };
    let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
    call.set(&found.place, &path, &items)
}

fn parse_list(text: &str) -> Option<Value> {
    let file = YamlFile::parse(text.as_bytes(), &Limits::default()).ok()?;
    file.value(0).ok().filter(Value::is_array)
}
