//! Field paths as kustomize's replacements write them: `a.b`, `list.0`, `list.*`, `list.[name=x]`,
//! `map.[key.with/dots]`.

use std::fmt;

use serde_json::{Value, json};

use crate::domain::package::functions::scalar::key_in;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a map, or an index of a list.
    Key(String),
    /// Every item of a list.
    Every,
    /// The items of a list that have this value in this field.
    Item(String, String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) if key.contains('.') => write!(f, "[{key}]"),
            Self::Key(key) => f.write_str(key),
            Self::Every => f.write_str("*"),
            Self::Item(field, value) => write!(f, "[{field}={value}]"),
        }
    }
}

/// The steps of a path. A dot inside brackets or behind a backslash is part of a key.
pub(super) fn split(path: &str) -> Vec<Step> {
    let mut texts = vec![String::new()];
    let mut depth = 0;
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let last = texts.len() - 1;
        match c {
            '\\' if chars.next_if_eq(&'.').is_some() => texts[last].push('.'),
            '.' if depth == 0 => texts.push(String::new()),
            c => {
                depth += i32::from(c == '[') - i32::from(c == ']');
                texts[last].push(c);
            }
        }
    }
    texts.into_iter().filter(|text| !text.is_empty()).map(|text| step(&text)).collect()
}

fn step(text: &str) -> Step {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.map(|inner| inner.split_once('=')) {
        Some(Some((field, value))) => Step::Item(field.to_owned(), value.to_owned()),
        Some(None) => Step::Key(inner.unwrap_or_default().to_owned()),
        None if text == "*" => Step::Every,
        None => Step::Key(text.to_owned()),
    }
}

/// The places that a path means; with `create`, also the one that map keys would make. `None` when it leads nowhere.
pub(super) fn resolve(value: &Value, steps: &[Step], create: bool) -> Option<Vec<Vec<String>>> {
    let Some((first, rest)) = steps.split_first() else { return Some(vec![Vec::new()]) };
    let below = |key: String, inner: &Value| {
        resolve(inner, rest, create).unwrap_or_default().into_iter().map(move |path| [vec![key.clone()], path].concat())
    };
    match (first, value) {
        (Step::Key(text), Value::Object(map)) if key_in(map, text).is_some() => {
            let key = key_in(map, text)?;
            Some(below(key.to_owned(), &map[key]).collect())
        }
        (Step::Key(_), Value::Object(_) | Value::Null) if create => {
            let keys = steps.iter().map(|step| match step {
                Step::Key(key) => Some(key.clone()),
                _ => None,
            });
            keys.collect::<Option<Vec<_>>>().map(|keys| vec![keys])
        }
        (Step::Key(key), Value::Array(items)) => {
            let item = items.get(key.parse::<usize>().ok()?)?;
            Some(below(key.clone(), item).collect())
        }
        (Step::Every, Value::Array(items)) => {
            Some(items.iter().enumerate().flat_map(|(index, item)| below(index.to_string(), item)).collect())
        }
        (Step::Item(field, wanted), Value::Array(items)) => {
            let meant = items.iter().enumerate().filter(|(_, item)| is_meant(item, field, wanted));
            Some(meant.flat_map(|(index, item)| below(index.to_string(), item)).collect())
        }
        _ => None,
    }
}

/// The value with the item of a list, which is made too where there is none, that a path names first and that is not
/// there; `None` when there is nothing to make. What is behind the item is not made.
pub(super) fn grown(value: &Value, steps: &[Step]) -> Option<Value> {
    let (first, rest) = steps.split_first()?;
    match (first, value) {
        (Step::Key(text), Value::Object(map)) => {
            let key = key_in(map, text).unwrap_or(text);
            let below = grown(map.get(key).unwrap_or(&Value::Null), rest)?;
            let mut map = map.clone();
            map.insert(key.to_owned(), below);
            Some(Value::Object(map))
        }
        (Step::Key(key), Value::Null) => Some(json!({ key.as_str(): grown(value, rest)? })),
        (Step::Key(key), Value::Array(items)) => {
            let at = key.parse::<usize>().ok()?;
            let mut items = items.clone();
            *items.get_mut(at)? = grown(items.get(at)?, rest)?;
            Some(Value::Array(items))
        }
        (Step::Item(field, wanted), Value::Array(_) | Value::Null) => {
            let mut items = value.as_array().cloned().unwrap_or_default();
            match items.iter_mut().find(|item| is_meant(item, field, wanted)) {
                Some(item) => *item = grown(item, rest)?,
                None => items.push(json!({ field.as_str(): wanted })),
            }
            Some(Value::Array(items))
        }
        _ => None,
    }
}

fn is_meant(item: &Value, field: &str, wanted: &str) -> bool {
    match item.get(field) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(value)) => wanted == if *value { "true" } else { "false" },
        Some(Value::Number(number)) => wanted == number.to_string(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_what_they_say() {
        let value = json!({"spec": {"c": [{"name": "a", "i": 1}, {"name": "b", "i": 2}]}, "m": {"x.y/z": "v"}});
        let shown = |path: &str, create| {
            resolve(&value, &split(path), create).unwrap_or_default().iter().map(|p| p.join("|")).collect::<Vec<_>>()
        };
        assert_eq!(shown("spec.c.[name=b].i", false), ["spec|c|1|i"]);
        assert_eq!(shown("spec.c.*.i", false), ["spec|c|0|i", "spec|c|1|i"]);
        assert_eq!(shown("spec.c.0.i", false), ["spec|c|0|i"]);
        assert_eq!(shown("m.[x.y/z]", false), ["m|x.y/z"]);
        assert_eq!(shown("m.x\\.y/z", false), ["m|x.y/z"]);
        assert_eq!(shown("spec.none.deep", false), Vec::<String>::new());
        assert_eq!(shown("spec.none.deep", true), ["spec|none|deep"]);
        assert_eq!(shown("spec.none.[name=a]", true), Vec::<String>::new());
    }

    #[test]
    fn items_that_are_named_and_not_there_are_made() {
        let value = json!({"c": [{"name": "a", "env": [{"name": "x"}]}, {"name": "b"}], "n": null});
        let made = |path: &str| grown(&value, &split(path));
        let with = |at: &str, item: Value| {
            let mut value = value.clone();
            *value.pointer_mut(at).unwrap() = item;
            Some(value)
        };
        assert_eq!(made("c.[name=a].env.[name=y].value"), with("/c/0/env", json!([{"name": "x"}, {"name": "y"}])));
        assert_eq!(made("c.[name=b].env.[name=y].value"), with("/c/1", json!({"name": "b", "env": [{"name": "y"}]})));
        assert_eq!(made("c.1.env.[name=y]"), with("/c/1", json!({"name": "b", "env": [{"name": "y"}]})));
        assert_eq!(made("n.m.[k=v].z"), with("/n", json!({"m": [{"k": "v"}]})));
        for nothing in ["c.[name=a].env.[name=x].value", "c.*.env.[name=y]", "c.name.[k=v]", "c.[name=a].name.[k=v]"] {
            assert_eq!(made(nothing), None, "{nothing}");
        }
    }
}
