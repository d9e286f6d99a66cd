//! What the server would hold after an apply, and which fields that changes.

use serde_json::{Map, Value, json};

use crate::domain::krm::Gvk;
use crate::domain::krm::apply::{ApplyError, ApplyOptions, Conflict, LAST_APPLIED, take_over};
use crate::domain::krm::defaults::{TEMPLATE_GENERATION, keep_given};
use crate::domain::krm::managed;
use crate::domain::krm::merge::{elements, names};
use crate::domain::krm::normal::{canonical, drop_zeros, same_meaning};
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::schema::{Grade, ListShape, Node, Schema, Schemas, Shape, View};
use crate::domain::krm::value::{is_void, same};
use crate::domain::time::Timestamp;

/// Metadata that the server keeps for itself.
const BOOKKEEPING: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// One changed field.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Change {
    /// Where: the topmost path that appears, vanishes or differs as a whole.
    pub path: Path,
    /// What is there now; `None` when nothing is.
    pub before: Option<Value>,
    /// What will be there; `None` when nothing will be.
    pub after: Option<Value>,
}

/// The outcome of an apply, foretold.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// The object that the server would hold when all conflicts were taken over, with `managedFields`.
    pub object: Value,
    /// The fields that differ from the live object, in path order.
    pub changes: Vec<Change>,
    /// The fields that others own with other values. An apply without force fails when there is one.
    pub conflicts: Vec<Conflict>,
    /// How good the prediction is; never [`Grade::Server`].
    pub grade: Grade,
}

/// Foretells what applying `config` as `manager` leads to. Fields that are absent in `config` and were never applied by
/// `manager` stay as they are; those that `manager` gives up fall back to their defaults. A default that comes with
/// something new is part of the object, but not told as a change; what a service was given once it keeps. Status, the
/// server's metadata and the last-applied annotation are not looked at.
///
/// # Errors
/// [`ApplyError::ManagedFields`] when the ownership records of the live object cannot be read.
pub fn predict(
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    schemas: &Schemas,
) -> Result<Predicted, ApplyError> {
    let kind = gvk(config);
    let (schema, grade) = schemas.lookup(&kind);
    let config = canonical(&decoded_secret(config), schema);
    let status = [Path::fields(&["status"])];
    let options =
        ApplyOptions { manager, force: true, subresource: "", now: Timestamp::UNIX_EPOCH, reset: &status, blank: None };
    let applied = take_over(live, &config, &options, schema)?;
    let mut asked = applied.object;
    drop_zeros(&mut asked, schema.node());
    let mut object = asked.clone();
    schemas.fill(&kind, &mut object);
    if let Some(live) = live.filter(|_| kind == Gvk::new("", "v1", "Service")) {
        keep_given(live, &mut object);
    }
    let changes = compare(live.unwrap_or(&Value::Null), &object, &asked, schema);
    Ok(Predicted { object, changes, conflicts: applied.conflicts, grade })
}

/// The fields that differ in meaning between two objects of a kind, in path order, without bookkeeping, status and the
/// annotations that repeat the configuration or count for the server. Lists are compared by their keys, not by
/// position. A null `old` is an object that does not exist: every field of `new` but its identity is added.
#[must_use]
pub fn changes(old: &Value, new: &Value, schema: &Schema) -> Vec<Change> {
    compare(old, new, new, schema)
}

/// As [`changes`], but what appears is told only as far as it is part of `asked`, which is `new` without defaults.
fn compare(old: &Value, new: &Value, asked: &Value, schema: &Schema) -> Vec<Change> {
    let (new, asked) = (compared(new), compared(asked));
    let old = if old.is_null() { identity(&new) } else { compared(old) };
    let mut walk = Walk { path: Path::default(), found: Vec::new(), lenient: !schema.keeps_nulls() };
    walk.both(&old, &new, Some(&asked), schema.node());
    walk.found
}

fn gvk(object: &Value) -> Gvk {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    Gvk::parse(text("apiVersion"), text("kind"))
}

/// A Secret with its `stringData` moved into `data`, as the server stores it.
pub(super) fn decoded_secret(config: &Value) -> Value {
    if gvk(config) != Gvk::new("", "v1", "Secret") || config.get("stringData").is_none() {
        return config.clone();
    }
    let mut config = config.clone();
    let Some(fields) = config.as_object_mut() else { return config };
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return config };
    let data = fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if let Some(data) = data.as_object_mut() {
        // No text is an empty one.
        let text = |value: Value| if value.is_null() { Some(String::new()) } else { value.as_str().map(str::to_owned) };
        let encoded = |text: String| Value::String(super::base64::encode(text.as_bytes()));
        data.extend(texts.into_iter().filter_map(|(name, value)| Some((name, encoded(text(value)?)))));
    }
    config
}

/// An object without what no comparison looks at.
pub(super) fn compared(object: &Value) -> Value {
    let Some(fields) = object.as_object() else { return object.clone() };
    let part = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(metadata) if name == "metadata" => described(metadata),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(fields.iter().filter(|(name, _)| *name != "status").map(part).collect())
}

/// Metadata without what the server keeps for itself and what repeats the configuration.
fn described(metadata: &Map<String, Value>) -> Value {
    let mut metadata = managed::without(metadata, |name| BOOKKEEPING.contains(&name));
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return metadata };
    annotations.remove(LAST_APPLIED);
    annotations.remove(TEMPLATE_GENERATION);
    if annotations.is_empty()
        && let Some(metadata) = metadata.as_object_mut()
    {
        metadata.remove("annotations");
    }
    metadata
}

/// An object of the same name with nothing in it.
fn identity(object: &Value) -> Value {
    let metadata = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let name = metadata.filter(|(field, _)| matches!(field.as_str(), "name" | "namespace"));
    let metadata: Map<String, Value> = name.map(|(field, value)| (field.clone(), value.clone())).collect();
    json!({"apiVersion": object.get("apiVersion"), "kind": object.get("kind"), "metadata": metadata})
}

struct Walk {
    path: Path,
    found: Vec<Change>,
    /// Whether null, and empty lists and plain maps, are the same as nothing.
    lenient: bool,
}

impl Walk {
    fn values(&mut self, [old, new, asked]: [Option<&Value>; 3], node: Node<'_>) {
        let something = |value: Option<&'_ Value>| value.is_some_and(|value| !self.is_nothing(value, node));
        match (old.filter(|_| something(old)), new.filter(|_| something(new))) {
            (None, None) => {}
            (Some(old), Some(new)) => self.both(old, new, asked, node),
            (None, Some(_)) => {
                if something(asked) {
                    self.report(None, asked);
                }
            }
            (Some(old), None) => self.report(Some(old), None),
        }
    }

    fn both(&mut self, old: &Value, new: &Value, asked: Option<&Value>, node: Node<'_>) {
        if same(old, new) {
            return;
        }
        match node.view_both(Some(old), Some(new)) {
            View::Map(fields) => {
                for name in names(Some(old), Some(new)) {
                    let asked = asked.and_then(|asked| asked.get(name));
                    if !matches!((old.get(name), new.get(name)), (Some(old), Some(new)) if same(old, new)) {
                        self.part(PathElement::field(name), [old.get(name), new.get(name), asked], fields.get(name));
                    }
                }
            }
            View::List(list) => self.items(list, [old, new, asked.unwrap_or(&Value::Null)], node.at(&list.element)),
            View::Leaf => {
                if !self.same_leaf(old, new, node) {
                    self.report(Some(old), Some(new));
                }
            }
        }
    }

    fn part(&mut self, element: PathElement, values: [Option<&Value>; 3], node: Node<'_>) {
        self.path.push(element);
        self.values(values, node);
        self.path.pop();
    }

    fn items(&mut self, list: &ListShape, [old, new, asked]: [&Value; 3], node: Node<'_>) {
        let [before, after, asked] = [old, new, asked].map(|items| elements(list, Some(items)));
        let unique = |items: &[(PathElement, &Value)]| {
            let all: std::collections::BTreeSet<_> = items.iter().map(|(element, _)| element.clone()).collect();
            all.len() == items.len()
        };
        if !unique(&before) || !unique(&after) {
            self.report(Some(old), Some(new));
            return;
        }
        let [before, after, asked] =
            [before, after, asked].map(|items| items.into_iter().collect::<std::collections::BTreeMap<_, _>>());
        let all: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
        for element in all {
            let values = [&before, &after, &asked].map(|items| items.get(&element).copied());
            self.part(element, values, node);
        }
    }

    fn report(&mut self, before: Option<&Value>, after: Option<&Value>) {
        self.found.push(Change { path: self.path.clone(), before: before.cloned(), after: after.cloned() });
    }

    fn is_nothing(&self, value: &Value, node: Node<'_>) -> bool {
        let plain = match node.shape() {
            Shape::List(_) => true,
            Shape::Map(map) => map.fields.is_empty(),
            _ => false,
        };
        self.lenient && (value.is_null() || (plain && is_void(value)))
    }

    /// Whether two values that are replaced as a whole mean the same, all the way down.
    fn same_leaf(&self, old: &Value, new: &Value, node: Node<'_>) -> bool {
        match (node.shape(), old, new) {
            (Shape::Map(map), Value::Object(a), Value::Object(b)) => {
                names(Some(old), Some(new)).into_iter().all(|name| {
                    let shape = map.field(name);
                    let node = node.at(shape.unwrap_or(node.shape()));
                    self.same_part(a.get(name), b.get(name), node)
                })
            }
            (Shape::List(list), Value::Array(a), Value::Array(b)) => {
                let node = node.at(&list.element);
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_part(Some(a), Some(b), node))
            }
            _ => same_meaning(old, new, node),
        }
    }

    fn same_part(&self, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) -> bool {
        let old = old.filter(|value| !self.is_nothing(value, node));
        let new = new.filter(|value| !self.is_nothing(value, node));
        match (old, new) {
            (None, None) => true,
            (Some(old), Some(new)) => self.same_leaf(old, new, node),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
