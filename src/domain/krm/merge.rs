//! Structured merge diff over plain JSON: field sets of values, merge, removal, extraction and comparison.
//!
//! Source: KEP-555 and the behaviour of `sigs.k8s.io/structured-merge-diff` v6, held by recorded vectors in `testdata`.
//! Values that do not fit their schema are leaves; [`super::validate()`] is what refuses them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::krm::fieldset::FieldSet;
use crate::domain::krm::path::{Atom, Path, PathElement};
use crate::domain::krm::schema::{ListKind, ListShape, Node, Schema, Shape, View};
use crate::domain::krm::value::same;

/// What changed between two values, as paths. An added or removed item or map is listed with everything in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Only in the new value.
    pub added: FieldSet,
    /// In both, different.
    pub modified: FieldSet,
    /// Only in the old value.
    pub removed: FieldSet,
}

impl Comparison {
    /// What is left without the members of `set` and what is below them.
    #[must_use]
    pub fn without(&self, set: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(set),
            modified: self.modified.recursive_difference(set),
            removed: self.removed.recursive_difference(set),
        }
    }
}

/// The paths that an applier of `value` owns.
#[must_use]
pub fn fields_of(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::new();
    collect(value, schema.node(), &mut set);
    set
}

/// `config` merged into `live`: fields of `config` win, everything else stays; list items keep the order of `config`.
#[must_use]
pub fn merge(live: &Value, config: &Value, schema: &Schema) -> Value {
    merge_values(Some(live), Some(config), schema.node()).unwrap_or(Value::Null)
}

/// `value` without the members of `set` and what is below them. A map or list that loses all it had becomes null.
#[must_use]
pub fn remove(value: &Value, set: &FieldSet, schema: &Schema) -> Value {
    remove_from(value, set, schema.node())
}

/// Only the members of `set` out of `value`, with the keys of the list items they are in.
#[must_use]
pub fn extract(value: &Value, set: &FieldSet, schema: &Schema) -> Value {
    extract_from(value, set, schema.node()).unwrap_or_else(|| Value::Object(Map::new()))
}

/// What changed from `old` to `new`.
#[must_use]
pub fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    let mut walk = Walk::default();
    walk.values(Some(old), Some(new), schema.node());
    walk.found
}

/// The path element of an item of a keyed list or set; its position when it has no key or is no scalar.
#[must_use]
pub fn element_of(list: &ListShape, index: usize, item: &Value) -> PathElement {
    match (&list.kind, item) {
        (ListKind::Keyed(keys), Value::Object(fields)) => {
            let value = |name: &str, default: &Option<Value>| fields.get(name).cloned().or_else(|| default.clone());
            let keys: BTreeMap<String, Atom> =
                keys.iter().filter_map(|key| Some((key.name.clone(), Atom(value(&key.name, &key.default)?)))).collect();
            if keys.is_empty() { PathElement::Index(index) } else { PathElement::Key(keys) }
        }
        (ListKind::Set, Value::Bool(_) | Value::Number(_) | Value::String(_)) => PathElement::Value(Atom(item.clone())),
        _ => PathElement::Index(index),
    }
}

/// Adds to `set` every declared field that has paths below it, as a removal needs it to take emptied structs along.
pub(super) fn ensure_named(set: &FieldSet, node: Node<'_>) -> FieldSet {
    let mut out = FieldSet::new();
    set.members().for_each(|member| out.add_member(member.clone()));
    for (element, child) in set.children() {
        if let (PathElement::Field(name), Shape::Map(map)) = (element, node.shape())
            && map.fields.contains_key(name)
        {
            out.add_member(element.clone());
        }
        out.put_child(element.clone(), ensure_named(child, step(node, element)));
    }
    out
}

/// The place that `element` leads to; [`Shape::Any`] where the schema ends.
fn step<'a>(node: Node<'a>, element: &PathElement) -> Node<'a> {
    static ANY: Shape = Shape::Any;
    let shape = match (node.shape(), element) {
        (Shape::Map(map), PathElement::Field(name)) => map.field(name),
        (Shape::List(list), PathElement::Key(_)) => Some(&*list.element),
        _ => None,
    };
    node.at(shape.unwrap_or(&ANY))
}

/// The items of a list with their elements.
pub(super) fn elements<'v>(list: &ListShape, value: Option<&'v Value>) -> Vec<(PathElement, &'v Value)> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().enumerate().map(|(index, item)| (element_of(list, index, item), item)).collect()
}

/// Adds the paths below `value` to `set`; returns whether `value` itself is one.
fn collect(value: &Value, node: Node<'_>, set: &mut FieldSet) -> bool {
    match node.view(value) {
        View::Leaf => return true,
        View::Map(fields) => {
            for (name, field) in value.as_object().into_iter().flatten() {
                let mut below = FieldSet::new();
                let leaf = collect(field, fields.get(name), &mut below);
                let void = field.is_null() || field.as_object().is_some_and(Map::is_empty);
                set.add(PathElement::field(name), leaf || void || !fields.is_declared(name), below);
            }
        }
        View::List(list) => collect_items(&elements(list, Some(value)), node.at(&list.element), set),
    }
    false
}

/// Items are members themselves; the fields of items that share an element belong to nobody.
fn collect_items(items: &[(PathElement, &Value)], node: Node<'_>, set: &mut FieldSet) {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for (element, _) in items {
        if !seen.insert(element) {
            twice.insert(element);
        }
    }
    for (element, item) in items {
        set.add_member(element.clone());
        if !twice.contains(element) {
            let mut below = FieldSet::new();
            collect(item, node, &mut below);
            set.put_child(element.clone(), below);
        }
    }
}

fn length(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(fields)) => fields.len(),
        _ => 0,
    }
}

fn merge_values(old: Option<&Value>, new: Option<&Value>, node: Node<'_>) -> Option<Value> {
    // Nothing on either side: the new one decides between null and empty.
    if length(old) == 0 && length(new) == 0 {
        return new.or(old).cloned();
    }
    match node.view_both(old, new) {
        View::Leaf => new.or(old).cloned(),
        View::Map(fields) => {
            let names = names(old, new);
            let merged = names.into_iter().filter_map(|name| {
                let (old, new) = (old.and_then(|map| map.get(name)), new.and_then(|map| map.get(name)));
                Some((name.clone(), merge_values(old, new, fields.get(name))?))
            });
            Some(Value::Object(merged.collect()))
        }
        View::List(list) => Some(Value::Array(merge_lists(list, old, new, node))),
    }
}

/// Field names of two maps, each once, sorted.
pub(super) fn names<'v>(old: Option<&'v Value>, new: Option<&'v Value>) -> Vec<&'v String> {
    let fields = [old, new].into_iter().flatten().filter_map(Value::as_object);
    let mut names: Vec<&String> = fields.flat_map(Map::keys).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One side of a list merge: the elements in order, and the item of each; none where several share an element.
struct Side<'v> {
    items: Vec<(PathElement, &'v Value)>,
    by_element: BTreeMap<PathElement, Option<&'v Value>>,
}

impl<'v> Side<'v> {
    fn new(list: &ListShape, value: Option<&'v Value>) -> Self {
        let items = elements(list, value);
        let mut by_element = BTreeMap::new();
        for (element, item) in &items {
            by_element.entry(element.clone()).and_modify(|item| *item = None).or_insert(Some(*item));
        }
        Self { items, by_element }
    }

    fn has(&self, element: &PathElement) -> bool {
        self.by_element.contains_key(element)
    }

    fn get(&self, element: &PathElement) -> Option<&'v Value> {
        self.by_element.get(element).copied().flatten()
    }
}

/// Walks both lists at once. Shared items come in the order of `new`; items of one side only keep their place between
/// their neighbours.
fn merge_lists(list: &ListShape, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) -> Vec<Value> {
    let (old, new) = (Side::new(list, old), Side::new(list, new));
    let item = node.at(&list.element);
    let both = |element: &PathElement| merge_values(old.get(element), new.get(element), item);
    let mut shared = new.items.iter().map(|(element, _)| element).filter(|element| old.has(element));
    // The first of `new` from `r` on that is in `old` too; once `old` is at its end, nobody asks.
    let mut next_shared = shared.next();
    let mut taken = BTreeSet::new();
    let mut out = Vec::with_capacity(old.items.len().max(new.items.len()));
    let (mut l, mut r) = (0, 0);
    while l < old.items.len() || r < new.items.len() {
        let (left, right) = (old.items.get(l), new.items.get(r));
        if let (Some((left, _)), Some((right, _))) = (left, right) {
            if left == right {
                taken.insert(right);
                out.extend(both(right));
                (l, r, next_shared) = (l + 1, r + 1, shared.next());
                continue;
            }
            if new.has(left) && next_shared.is_some_and(|next| next != left) {
                l += 1;
                continue;
            }
        }
        if let Some((element, value)) = left {
            if !new.has(element) {
                out.extend(merge_values(Some(value), None, item));
                l += 1;
                continue;
            }
            if taken.contains(element) {
                l += 1;
            }
        }
        if let Some((element, _)) = right {
            out.extend(both(element));
            r += 1;
        }
    }
    out
}

fn remove_from(value: &Value, set: &FieldSet, node: Node<'_>) -> Value {
    let below = |element: &PathElement, part: &Value, node: Node<'_>| {
        if set.has(element) {
            return None;
        }
        Some(set.below(element).map_or_else(|| part.clone(), |below| remove_from(part, below, node)))
    };
    match node.view(value) {
        View::Map(fields) => {
            let all = value.as_object().filter(|all| !all.is_empty());
            let Some(all) = all else { return value.clone() };
            let left: Map<String, Value> = all
                .iter()
                .filter_map(|(name, part)| {
                    Some((name.clone(), below(&PathElement::field(name), part, fields.get(name))?))
                })
                .collect();
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        View::List(list) if length(Some(value)) > 0 => {
            let item = node.at(&list.element);
            let items = elements(list, Some(value));
            let left: Vec<Value> = items.iter().filter_map(|(element, part)| below(element, part, item)).collect();
            if left.is_empty() { Value::Null } else { Value::Array(left) }
        }
        View::List(_) | View::Leaf => value.clone(),
    }
}

fn extract_from(value: &Value, set: &FieldSet, node: Node<'_>) -> Option<Value> {
    let part = |element: &PathElement, part: &Value, node: Node<'_>| match (set.below(element), set.has(element)) {
        (Some(below), _) => extract_from(part, below, node),
        (None, true) => Some(shell(part, node)),
        (None, false) => None,
    };
    match node.view(value) {
        View::Map(fields) => {
            let all = value.as_object()?.iter();
            let kept: Map<String, Value> = all
                .filter_map(|(name, value)| {
                    Some((name.clone(), part(&PathElement::field(name), value, fields.get(name))?))
                })
                .collect();
            Some(Value::Object(kept))
        }
        View::List(list) => {
            let item = node.at(&list.element);
            let kept = elements(list, Some(value)).into_iter().filter_map(|(element, value)| {
                let mut kept = part(&element, value, item)?;
                if let (PathElement::Key(keys), Value::Object(kept)) = (&element, &mut kept) {
                    let given = keys.iter().filter(|(name, _)| value.get(name.as_str()).is_some());
                    kept.extend(given.map(|(name, value)| (name.clone(), value.0.clone())));
                }
                Some(kept)
            });
            Some(Value::Array(kept.collect()))
        }
        View::Leaf => Some(value.clone()),
    }
}

/// A member that has no paths below it: of a map or list only that it is there.
fn shell(value: &Value, node: Node<'_>) -> Value {
    match node.view(value) {
        View::Map(_) if length(Some(value)) > 0 => Value::Object(Map::new()),
        View::List(_) if length(Some(value)) > 0 => Value::Array(Vec::new()),
        _ => value.clone(),
    }
}

fn both_same(old: Option<&Value>, new: Option<&Value>) -> bool {
    matches!((old, new), (Some(old), Some(new)) if same(old, new))
}

/// A comparison under way.
#[derive(Default)]
struct Walk {
    path: Path,
    found: Comparison,
}

impl Walk {
    fn values(&mut self, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        if both_same(old, new) {
            return;
        }
        let void = length(old) == 0 && length(new) == 0;
        match node.view_both(old, new) {
            View::Map(fields) if !void => {
                for name in names(old, new) {
                    let (old, new) = (old.and_then(|map| map.get(name)), new.and_then(|map| map.get(name)));
                    if !both_same(old, new) {
                        self.part(PathElement::field(name), old, new, fields.get(name));
                    }
                }
            }
            View::List(list) if !void => self.items(list, old, new, node.at(&list.element)),
            _ if old.is_some() && new.is_some() => self.found.modified.insert(self.path.elements()),
            _ => {}
        }
        if old.is_none() {
            self.found.added.insert(self.path.elements());
        } else if new.is_none() {
            self.found.removed.insert(self.path.elements());
        }
    }

    fn part(&mut self, element: PathElement, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        self.path.push(element);
        self.values(old, new, node);
        self.path.pop();
    }

    fn items(&mut self, list: &ListShape, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        let mut groups: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (element, item) in elements(list, old) {
            groups.entry(element).or_default().0.push(item);
        }
        for (element, item) in elements(list, new) {
            groups.entry(element).or_default().1.push(item);
        }
        for (element, (old, new)) in groups {
            self.group(element, &old, &new, node);
        }
    }

    /// Items that share an element count as one thing: it appears, vanishes or is modified.
    fn group(&mut self, element: PathElement, old: &[&Value], new: &[&Value], node: Node<'_>) {
        let mut path = self.path.clone();
        path.push(element.clone());
        match (old.len() > 1, new.len() > 1) {
            (false, false) => self.part(element, old.first().copied(), new.first().copied(), node),
            (true, true) => {
                if old.len() != new.len() || !old.iter().zip(new).all(|(old, new)| same(old, new)) {
                    self.found.modified.insert(path.elements());
                }
            }
            (true, false) => {
                if let Some(new) = new.first() {
                    self.part(element, None, Some(new), node);
                }
                self.found.removed.insert(path.elements());
            }
            (false, true) => {
                if let Some(old) = old.first() {
                    self.part(element, Some(old), None, node);
                }
                self.found.added.insert(path.elements());
            }
        }
    }
}

#[cfg(test)]
mod tests;
