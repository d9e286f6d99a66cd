//! One object as it is and as it will be, for people. Every rendering tells the same, and no value of a Secret.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::unified::unified;
use super::{Mask, render};
use crate::domain::krm::document::to_yaml;
use crate::domain::krm::merge::elements;
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::predict::{Change, changes, compared};
use crate::domain::krm::schema::{Node, Schema, View};

/// An item of a keyed list or set that is in both objects, in another order among the others that are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Which item.
    pub path: Path,
    /// Its position now, from 0.
    pub from: usize,
    /// Its position then, from 0.
    pub to: usize,
}

/// The difference of two objects of a kind. As JSON it is `{object, changes, moved}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectDiff {
    /// Kind, namespace and name, such as `Deployment default/upf`.
    pub object: String,
    /// The fields that differ, in path order.
    pub changes: Vec<Change>,
    /// The items that only change their place, in path order.
    pub moved: Vec<Moved>,
    #[serde(skip)]
    before: String,
    #[serde(skip)]
    after: String,
}

impl ObjectDiff {
    /// Compares two objects of a kind by meaning, as [`changes`] does, and hides what `mask` knows. A null object does
    /// not exist.
    #[must_use]
    pub fn new(old: &Value, new: &Value, schema: &Schema, mask: &Mask) -> Self {
        let known = if new.is_null() { old } else { new };
        let text = |pointer: &str| known.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let namespace = Some(text("/metadata/namespace")).filter(|name| !name.is_empty());
        let name = namespace.map_or_else(String::new, |namespace| format!("{namespace}/")) + text("/metadata/name");
        let yaml = |object: &Value| {
            if object.is_null() { String::new() } else { to_yaml(&mask.object(&compared(object))) }
        };
        let mut moves = Moves { path: Path::default(), found: Vec::new() };
        moves.values(old, new, schema.node());
        let hidden = |moved: Moved| Moved { path: mask.path(&moved.path), ..moved };
        Self {
            object: mask.text(&format!("{} {name}", text("/kind"))),
            changes: mask.changes(known, &changes(old, new, schema)),
            moved: moves.found.into_iter().map(hidden).collect(),
            before: yaml(old),
            after: yaml(new),
        }
    }

    /// Whether the objects mean the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.moved.is_empty()
    }

    /// A line a field: `~ path: before -> after`, `+ path: value`, `- path: value`, `> path: from 0 to 2`.
    #[must_use]
    pub fn dotted(&self) -> String {
        let moved = self.moved.iter().map(|moved| format!("> {}: from {} to {}\n", moved.path, moved.from, moved.to));
        render(&self.changes) + &moved.collect::<String>()
    }

    /// Both objects as YAML, without what no comparison looks at, in the form of `kubectl diff` and `patch`: three
    /// lines around each difference. Empty when the objects mean the same, whatever their spelling.
    #[must_use]
    pub fn unified(&self) -> String {
        if self.is_empty() { String::new() } else { unified(&self.object, &self.before, &self.after) }
    }

    /// The unified form in a block that forges colour, under the object's name. Empty when the objects mean the same.
    #[must_use]
    pub fn markdown(&self) -> String {
        let body = self.unified();
        if body.is_empty() {
            return body;
        }
        // A fence that the content cannot close.
        let longest = body.lines().map(|line| line.bytes().filter(|byte| *byte == b'`').count()).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        format!("#### {}\n\n{fence}diff\n{body}{fence}\n", self.object)
    }
}

/// A walk over what both objects have.
struct Moves {
    path: Path,
    found: Vec<Moved>,
}

impl Moves {
    fn values(&mut self, old: &Value, new: &Value, node: Node<'_>) {
        match node.view_both(Some(old), Some(new)) {
            View::Map(fields) => {
                for (name, new) in new.as_object().into_iter().flatten() {
                    if let Some(old) = old.get(name) {
                        self.below(PathElement::field(name), old, new, fields.get(name));
                    }
                }
            }
            View::List(list) => {
                let unique = |items: Vec<(PathElement, &Value)>| {
                    let count = items.len();
                    let places: BTreeMap<PathElement, (usize, Value)> = items
                        .into_iter()
                        .enumerate()
                        .map(|(at, (element, item))| (element, (at, item.clone())))
                        .collect();
                    (places.len() == count).then_some(places)
                };
                let (before, after) = (unique(elements(list, Some(old))), unique(elements(list, Some(new))));
                let (Some(before), Some(after)) = (before, after) else { return };
                self.order(&before, &after);
                for (element, (_, old)) in &before {
                    if let Some((_, new)) = after.get(element) {
                        self.below(element.clone(), old, new, node.at(&list.element));
                    }
                }
            }
            View::Leaf => {}
        }
    }

    fn below(&mut self, element: PathElement, old: &Value, new: &Value, node: Node<'_>) {
        self.path.push(element);
        self.values(old, new, node);
        self.path.pop();
    }

    /// Tells the fewest items that had to move for the new order.
    fn order(&mut self, before: &BTreeMap<PathElement, (usize, Value)>, after: &BTreeMap<PathElement, (usize, Value)>) {
        let mut shared: Vec<(usize, usize, &PathElement)> =
            before.iter().filter_map(|(element, (from, _))| Some((*from, after.get(element)?.0, element))).collect();
        shared.sort_unstable_by_key(|(from, ..)| *from);
        let stays = longest_rise(&shared.iter().map(|(_, to, _)| *to).collect::<Vec<_>>());
        for (number, (from, to, element)) in shared.into_iter().enumerate() {
            if !stays.contains(&number) {
                let mut path = self.path.clone();
                path.push(element.clone());
                self.found.push(Moved { path, from, to });
            }
        }
    }
}

/// Positions of a longest part of a list that rises.
fn longest_rise(numbers: &[usize]) -> Vec<usize> {
    // For every length, where the part of it with the smallest end ends; and what stands before each position.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() { ends.push(at) } else { ends[length] = at }
    }
    let mut part = Vec::new();
    let mut next = ends.last().copied();
    while let Some(at) = next {
        part.push(at);
        next = before[at];
    }
    part
}
