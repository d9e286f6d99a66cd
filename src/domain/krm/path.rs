//! Paths into an object, as `managedFields` keys spell them and as the API server's conflict messages show them.
//!
//! Source: `FieldsV1` in the Kubernetes API reference (`f:<name>`, `k:<keys>`, `v:<value>`, `i:<index>`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::domain::krm::value;

/// A JSON value that identifies an item of a list; ordered and compared by value.
#[derive(Debug, Clone)]
pub struct Atom(pub Value);

impl fmt::Display for Atom {
    /// As JSON; a number without a fraction is written without one, as Go writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Beyond this a number is written with an exponent, or its digits are not all known.
        const WHOLE: f64 = 1e15;
        match self.0.as_f64().filter(|number| self.0.is_f64() && number.fract() == 0.0 && number.abs() < WHOLE) {
            Some(whole) => write!(f, "{whole:.0}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        value::same(&self.0, &other.0)
    }
}

impl Eq for Atom {}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        value::compare(&self.0, &other.0)
    }
}

/// One step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field of a map.
    Field(String),
    /// The item of a keyed list whose key fields have these values.
    Key(BTreeMap<String, Atom>),
    /// The item of a set that has this value.
    Value(Atom),
    /// The item of a list at this position, from 0.
    Index(usize),
}

/// A key of `FieldsV1` that names no path element.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading the field set key {key:?}: {why}")]
pub struct InvalidElement {
    /// The key, cut to 120 characters.
    pub key: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl PathElement {
    /// The position of the item in a list; `None` when it is not there, and of fields.
    fn index_in(&self, list: &Value) -> Option<usize> {
        let items = list.as_array()?;
        match self {
            Self::Field(_) => None,
            Self::Index(index) => Some(*index),
            Self::Value(atom) => items.iter().position(|item| *item == atom.0),
            Self::Key(keys) => {
                let has =
                    |item: &Value| keys.iter().all(|(name, atom)| item.get(name).is_none_or(|value| *value == atom.0));
                items.iter().position(has)
            }
        }
    }

    /// A field of a map.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// Reads one key of `FieldsV1`, such as `f:spec` or `k:{"name":"upf"}`.
    ///
    /// # Errors
    /// [`InvalidElement`] when the prefix is unknown or what follows it does not parse.
    pub fn parse(key: &str) -> Result<Self, InvalidElement> {
        let refuse = |why| InvalidElement { key: key.chars().take(120).collect(), why };
        let (kind, text) = key.split_once(':').ok_or_else(|| refuse("it has no prefix"))?;
        match kind {
            "f" => Ok(Self::field(text)),
            "k" => match serde_json::from_str(text) {
                Ok(Value::Object(keys)) => {
                    Ok(Self::Key(keys.into_iter().map(|(name, value)| (name, Atom(value))).collect()))
                }
                _ => Err(refuse("k: needs a JSON object")),
            },
            "v" => {
                serde_json::from_str(text).map(|v| Self::Value(Atom(v))).map_err(|_| refuse("v: needs a JSON value"))
            }
            "i" => text.parse().map(Self::Index).map_err(|_| refuse("i: needs a number")),
            _ => Err(refuse("its prefix is none of f, k, v, i")),
        }
    }

    /// The key of this element in `FieldsV1`.
    #[must_use]
    pub fn fields_v1(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
                format!("k:{}", Value::Object(keys))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Steps from an object to a part of it; displayed as `.spec.template.spec.containers[name="upf"].image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<PathElement>);

impl Path {
    /// The steps to take in `value`: names of fields, and list items by their number from 0. An item that is not there
    /// is taken to be the first.
    #[must_use]
    pub fn steps(&self, value: &Value) -> Vec<String> {
        let mut here = Some(value);
        let mut steps = Vec::new();
        for element in self.elements() {
            let (step, below) = match element {
                PathElement::Field(name) => (name.clone(), here.and_then(|value| value.get(name))),
                item => {
                    let index = here.and_then(|list| item.index_in(list)).unwrap_or_default();
                    (index.to_string(), here.and_then(|value| value.get(index)))
                }
            };
            here = below;
            steps.push(step);
        }
        steps
    }

    /// The path of nested map fields.
    #[must_use]
    pub fn fields(names: &[&str]) -> Self {
        names.iter().map(|name| PathElement::field(name)).collect()
    }

    /// The steps.
    #[must_use]
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    /// Whether `self` is `prefix` or lies below it.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// Goes one step down.
    pub fn push(&mut self, element: PathElement) {
        self.0.push(element);
    }

    /// Goes one step up.
    pub fn pop(&mut self) -> Option<PathElement> {
        self.0.pop()
    }
}

impl FromIterator<PathElement> for Path {
    fn from_iter<I: IntoIterator<Item = PathElement>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}

impl serde::Serialize for Path {
    /// As text: the form that [`fmt::Display`] shows.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_read_write_and_show() {
        let table = [
            ("f:spec", ".spec"),
            ("f:app.kubernetes.io/name", ".app.kubernetes.io/name"),
            (r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"[containerPort=80,protocol="TCP"]"#),
            (r#"v:"a/finalizer""#, r#"[="a/finalizer"]"#),
            ("v:3", "[=3]"),
            ("i:2", "[2]"),
        ];
        for (key, shown) in table {
            let element = PathElement::parse(key).unwrap();
            assert_eq!(element.fields_v1(), key);
            assert_eq!(element.to_string(), shown);
        }
    }

    #[test]
    fn broken_keys_are_refused_by_name() {
        for key in ["", "spec", "x:spec", "k:[1]", "k:{", "v:", "i:a", "i:-1"] {
            let error = PathElement::parse(key).unwrap_err();
            assert_eq!(error.key, key);
        }
    }

    #[test]
    fn paths_show_as_the_server_words_them() {
        let mut path = Path::fields(&["spec", "template", "spec", "containers"]);
        path.push(PathElement::parse(r#"k:{"name":"upf"}"#).unwrap());
        path.push(PathElement::field("image"));
        assert_eq!(path.to_string(), r#".spec.template.spec.containers[name="upf"].image"#);
        assert!(path.starts_with(&Path::fields(&["spec", "template"])));
        assert!(!path.starts_with(&Path::fields(&["spec", "replicas"])));
    }
}
