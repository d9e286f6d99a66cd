//! Who wins, field by field: a decision over values, without a word about their text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{OnConflict, Taken};
use crate::domain::krm::merge::element_of;
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::schema::{ListKind, ListShape, Node, Shape};
use crate::domain::krm::value::same;

/// What becomes of a value: all of one side, or parts of both.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pick {
    /// As the local package has it, be it nothing.
    Local,
    /// As the new version has it, be it nothing.
    Updated,
    /// Field by field.
    Map(BTreeMap<String, Pick>),
    /// Item by item, in this order.
    List(Vec<Item>),
}

/// An item of a merged list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Its place in the origin's list.
    pub(super) origin: Option<usize>,
    /// Its place in the updated list.
    pub(super) updated: Option<usize>,
    /// Its place in the local list.
    pub(super) local: Option<usize>,
    /// What becomes of it.
    pub(super) pick: Pick,
}

/// A value in three versions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Three<'a> {
    pub(super) origin: Option<&'a Value>,
    pub(super) updated: Option<&'a Value>,
    pub(super) local: Option<&'a Value>,
}

impl<'a> Three<'a> {
    fn each<T>(self, read: impl Fn(&'a Value) -> Option<T>) -> [Option<T>; 3] {
        [self.origin, self.updated, self.local].map(|value| value.and_then(&read))
    }

    pub(super) fn field(self, name: &str) -> Self {
        let [origin, updated, local] = self.each(|value| value.get(name));
        Self { origin, updated, local }
    }
}

/// A field that both sides changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clash {
    /// The field, list items by their keys.
    pub(super) path: Path,
    /// The field in the local document, list items by number.
    pub(super) local_at: Vec<String>,
    /// The field in the updated document.
    pub(super) updated_at: Vec<String>,
    pub(super) local: Option<Value>,
    pub(super) updated: Option<Value>,
    pub(super) taken: Taken,
}

/// A walk over an object.
#[derive(Debug)]
pub(super) struct Walk {
    winner: Taken,
    path: Path,
    local_at: Vec<String>,
    updated_at: Vec<String>,
    /// What both sides changed.
    pub(super) clashes: Vec<Clash>,
}

fn equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}

/// What a value with a pick becomes; nothing when nothing is left of what one side removed.
pub(super) fn picked(pick: &Pick, updated: Option<&Value>, local: Option<&Value>) -> Option<Value> {
    let gone = updated.is_none() || local.is_none();
    match pick {
        Pick::Local => local.cloned(),
        Pick::Updated => updated.cloned(),
        Pick::Map(fields) => {
            let below = |side: Option<&'_ Value>, name: &str| side.and_then(|value| value.get(name)).cloned();
            let kept = fields.iter().filter_map(|(name, pick)| {
                let (updated, local) = (below(updated, name), below(local, name));
                Some((name.clone(), picked(pick, updated.as_ref(), local.as_ref())?))
            });
            let map: Map<String, Value> = kept.collect();
            (!(gone && map.is_empty())).then_some(Value::Object(map))
        }
        Pick::List(items) => {
            let at = |side: Option<&'_ Value>, index: Option<usize>| index.and_then(|index| side?.get(index)).cloned();
            let kept = items.iter().filter_map(|item| {
                picked(&item.pick, at(updated, item.updated).as_ref(), at(local, item.local).as_ref())
            });
            let list: Vec<Value> = kept.collect();
            (!(gone && list.is_empty())).then_some(Value::Array(list))
        }
    }
}

pub(super) static ANY: Shape = Shape::Any;

/// The shape of a field.
pub(super) fn child<'a>(node: Node<'a>, name: &str) -> Node<'a> {
    match node.shape() {
        Shape::Map(map) => match map.field(name) {
            Some(shape) => node.at(shape),
            None => node.at(&ANY),
        },
        _ => node.at(&ANY),
    }
}

/// An item by key, with its place.
type Keyed<'a> = (PathElement, usize, &'a Value);

/// Items by key, with their places; `None` when they have none or share one.
fn by_key<'a>(list: &ListShape, items: &'a [Value]) -> Option<Vec<Keyed<'a>>> {
    let mut seen = BTreeSet::new();
    let keyed = items.iter().enumerate().map(|(index, item)| {
        let element = element_of(list, index, item);
        (element != PathElement::Index(index) && seen.insert(element.clone())).then_some((element, index, item))
    });
    keyed.collect()
}

fn find<'a>(items: &[Keyed<'a>], element: &PathElement) -> Option<(usize, &'a Value)> {
    items.iter().find(|(other, _, _)| other == element).map(|(_, index, item)| (*index, *item))
}

impl Walk {
    pub(super) fn new(on_conflict: OnConflict) -> Self {
        let winner = if on_conflict == OnConflict::Local { Taken::Local } else { Taken::Upstream };
        Self { winner, path: Path::default(), local_at: Vec::new(), updated_at: Vec::new(), clashes: Vec::new() }
    }

    /// Decides about a value: what one side left alone goes to the other, what both changed is taken apart.
    pub(super) fn decide(&mut self, three: Three<'_>, node: Node<'_>) -> Pick {
        if equal(three.updated, three.origin) || equal(three.updated, three.local) {
            return Pick::Local;
        }
        if equal(three.local, three.origin) {
            return Pick::Updated;
        }
        if let Some(names) = names(three) {
            return self.fields(three, node, &names);
        }
        if let Some(items) = self.items(three, node) {
            return Pick::List(items);
        }
        self.clash(three)
    }

    /// Decides about each field of a map.
    pub(super) fn fields(&mut self, three: Three<'_>, node: Node<'_>, names: &BTreeSet<&str>) -> Pick {
        let decided = names.iter().map(|name| {
            let pick = self.field(name, |walk| walk.decide(three.field(name), child(node, name)));
            ((*name).to_owned(), pick)
        });
        Pick::Map(decided.collect())
    }

    /// Goes down to a field.
    pub(super) fn field<T>(&mut self, name: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        self.at(PathElement::field(name), name.to_owned(), name.to_owned(), act)
    }

    fn at<T>(&mut self, element: PathElement, local: String, updated: String, act: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(element);
        self.local_at.push(local);
        self.updated_at.push(updated);
        let done = act(self);
        self.path.pop();
        self.local_at.pop();
        self.updated_at.pop();
        done
    }

    fn clash(&mut self, three: Three<'_>) -> Pick {
        self.clashes.push(Clash {
            path: self.path.clone(),
            local_at: self.local_at.clone(),
            updated_at: self.updated_at.clone(),
            local: three.local.cloned(),
            updated: three.updated.cloned(),
            taken: self.winner,
        });
        match self.winner {
            Taken::Upstream => Pick::Updated,
            Taken::Local => Pick::Local,
        }
    }

    fn items(&mut self, three: Three<'_>, node: Node<'_>) -> Option<Vec<Item>> {
        let Shape::List(list) = node.shape() else { return None };
        let is_list = |value: Option<&Value>| value.is_none_or(Value::is_array);
        if list.kind == ListKind::Atomic || !is_list(three.updated) || !is_list(three.local) {
            return None;
        }
        let [origin, updated, local] = three.each(Value::as_array).map(|list| list.map_or(&[][..], Vec::as_slice));
        let (origin, updated, local) = (by_key(list, origin)?, by_key(list, updated)?, by_key(list, local)?);
        let element = node.at(&list.element);
        let versions = |key: &PathElement| [find(&origin, key), find(&updated, key), find(&local, key)];
        let mut items: Vec<(&PathElement, Item)> = Vec::new();
        for (key, _, _) in &local {
            items.extend(self.item(key, versions(key), element).map(|item| (key, item)));
        }
        let mut place = 0;
        for (key, _, _) in &updated {
            if let Some(at) = items.iter().position(|(other, _)| *other == key) {
                place = at + 1;
            } else if find(&local, key).is_none()
                && let Some(item) = self.item(key, versions(key), element)
            {
                items.insert(place, (key, item));
                place += 1;
            }
        }
        Some(items.into_iter().map(|(_, item)| item).collect())
    }

    /// Decides about an item; one that a side removed is there as a whole or not at all.
    fn item(&mut self, key: &PathElement, versions: [Option<(usize, &Value)>; 3], node: Node<'_>) -> Option<Item> {
        let [origin, updated, local] = versions.map(|found| found.map(|(_, value)| value));
        let three = Three { origin, updated, local };
        let [origin, updated, local] = versions.map(|found| found.map(|(index, _)| index));
        let name = |index: Option<usize>| index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let pick = self.at(key.clone(), name(local), name(updated), |walk| {
            let whole = three.updated.is_none() || three.local.is_none();
            let changed_by_both =
                three.origin.is_some() && !equal(three.updated, three.origin) && !equal(three.local, three.origin);
            if whole && changed_by_both { walk.clash(three) } else { walk.decide(three, node) }
        });
        let is_there = match pick {
            Pick::Local => local.is_some(),
            Pick::Updated => updated.is_some(),
            _ => true,
        };
        is_there.then_some(Item { origin, updated, local, pick })
    }
}

/// The fields of all three versions, when they can be merged as maps.
fn names(three: Three<'_>) -> Option<BTreeSet<&str>> {
    let is_map = |value: Option<&Value>| value.is_none_or(Value::is_object);
    if !is_map(three.updated) || !is_map(three.local) {
        return None;
    }
    let maps = three.each(Value::as_object);
    if maps[1].is_none() && maps[2].is_none() {
        return None;
    }
    // A side that removed the map has to have had one to remove.
    if (maps[1].is_none() || maps[2].is_none()) && maps[0].is_none() {
        return None;
    }
    Some(maps.into_iter().flatten().flat_map(Map::keys).map(String::as_str).collect())
}

/// The names of all fields, for a root that is taken apart in any case.
pub(super) fn all_names(three: Three<'_>) -> BTreeSet<&str> {
    three.each(Value::as_object).into_iter().flatten().flat_map(Map::keys).map(String::as_str).collect()
}
