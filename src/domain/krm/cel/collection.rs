//! Lists and maps. Those of the object are read when they are needed, by their schema.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map as Fields, Value};

use super::escape::unescape;
use super::eval::{Budget, Fail};
use super::schema::{ListKind, Node, Shape};
use super::value::{Text, Val};
use crate::domain::krm::value::same;

/// A list.
#[derive(Debug, Clone)]
pub(super) struct List<'a> {
    pub(super) items: Items<'a>,
    /// What makes items the same; by this lists are compared and joined.
    pub(super) kind: &'a ListKind,
}

/// Items of a list.
#[derive(Debug, Clone)]
pub(super) enum Items<'a> {
    Own(Rc<[Val<'a>]>),
    Json(&'a [Value], &'a Node),
}

/// A map or an object.
#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Own(Rc<BTreeMap<Key, Val<'a>>>),
    Json(&'a Fields<String, Value>, &'a Node),
}

/// A key of a map; whole numbers are the same whatever their type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Number(i128),
    Text(String),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match &self.items {
            Items::Own(items) => items.len(),
            Items::Json(items, _) => items.len(),
        }
    }

    /// The item at a place.
    pub(super) fn get(&self, index: usize) -> Result<Val<'a>, Fail> {
        let item = match &self.items {
            Items::Own(items) => items.get(index).cloned(),
            Items::Json(items, node) => items.get(index).map(|item| Val::read(item, node)).transpose()?,
        };
        item.ok_or_else(|| Fail::error(format!("index out of bounds: {index}")))
    }

    /// All items; their number is charged.
    pub(super) fn all(&self, budget: &Budget) -> Result<Vec<Val<'a>>, Fail> {
        budget.work(self.len())?;
        (0..self.len()).map(|index| self.get(index)).collect()
    }

    /// Whether the list holds a value.
    pub(super) fn contains(&self, wanted: &Val<'a>, budget: &Budget) -> Result<bool, Fail> {
        for item in self.all(budget)? {
            if item.equals(wanted, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sets and lists with keys are equal in any order; the left side says what kind it is.
    fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Fail> {
        if self.len() != other.len() {
            return Ok(false);
        }
        let (ours, theirs) = (self.all(budget)?, other.all(budget)?);
        match self.kind {
            ListKind::Atomic => {
                for (a, b) in ours.iter().zip(&theirs) {
                    if !a.equals(b, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            ListKind::Set => {
                for theirs in &theirs {
                    if position(&ours, |ours| ours.equals(theirs, budget))?.is_none() {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            ListKind::Map(keys) => {
                for theirs in &theirs {
                    let place = position(&ours, |ours| same_keys(keys, ours, theirs, budget))?;
                    let Some(ours) = place.and_then(|place| ours.get(place)) else { return Ok(false) };
                    if !ours.equals(theirs, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// `self + other`: a union of sets, a merge by keys, or one after the other.
    pub(super) fn joined(&self, other: &Self, budget: &Budget) -> Result<Self, Fail> {
        let mut items = self.all(budget)?;
        let theirs = other.all(budget)?;
        budget.hold(items.len() + theirs.len())?;
        for theirs in theirs {
            let place = match self.kind {
                ListKind::Atomic => None,
                ListKind::Set => position(&items, |ours| ours.equals(&theirs, budget))?,
                ListKind::Map(keys) => position(&items, |ours| same_keys(keys, ours, &theirs, budget))?,
            };
            match place.and_then(|place| items.get_mut(place)) {
                Some(old) => *old = theirs,
                None => items.push(theirs),
            }
        }
        Ok(Self { items: Items::Own(items.into()), kind: self.kind })
    }
}

fn position<'a>(items: &[Val<'a>], fits: impl Fn(&Val<'a>) -> Result<bool, Fail>) -> Result<Option<usize>, Fail> {
    for (index, item) in items.iter().enumerate() {
        if fits(item)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn same_keys<'a>(keys: &[String], a: &Val<'a>, b: &Val<'a>, budget: &Budget) -> Result<bool, Fail> {
    let part = |value: &Val<'a>, key: &String| match value {
        Val::Map(Map::Json(fields, node)) => match (fields.get(key), &node.shape) {
            (Some(value), Shape::Object(nodes)) => nodes.get(key).map(|node| Val::read(value, node)).transpose(),
            _ => Ok(None),
        },
        Val::Map(map @ Map::Own(_)) => map.get(&Key::Text(key.clone())),
        _ => Ok(None),
    };
    for key in keys {
        let is_same = match (part(a, key)?, part(b, key)?) {
            (Some(a), Some(b)) => a.equals(&b, budget)?,
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Own(entries) => entries.len(),
            Self::Json(fields, _) => fields.len(),
        }
    }

    /// The value of a key. Fields of objects go by their escaped names, and a null field is absent.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Val<'a>>, Fail> {
        let (fields, node) = match (self, key) {
            (Self::Own(entries), key) => return Ok(entries.get(key).cloned()),
            (Self::Json(..), Key::Bool(_) | Key::Number(_)) => return Err(Fail::overload()),
            (Self::Json(fields, node), Key::Text(_)) => (*fields, *node),
        };
        let Key::Text(name) = key else { return Ok(None) };
        match &node.shape {
            Shape::Object(nodes) => {
                let Some(name) = unescape(name) else { return Ok(None) };
                match (fields.get(&name).filter(|value| !value.is_null()), nodes.get(&name)) {
                    (Some(value), Some(node)) => Val::read(value, node).map(Some),
                    _ => Ok(None),
                }
            }
            Shape::Map(element) => fields.get(name).map(|value| Val::read(value, element)).transpose(),
            _ => Ok(None),
        }
    }

    /// The keys, in order; their number is charged.
    pub(super) fn keys(&self, budget: &Budget) -> Result<Vec<Val<'a>>, Fail> {
        budget.work(self.len())?;
        let number = |number: i128| match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => Val::Int(number),
            (_, Ok(number)) => Val::Uint(number),
            _ => Val::Null,
        };
        Ok(match self {
            Self::Own(entries) => entries
                .keys()
                .map(|key| match key {
                    Key::Bool(value) => Val::Bool(*value),
                    Key::Number(key) => number(*key),
                    Key::Text(text) => Val::text(text.as_str()),
                })
                .collect(),
            Self::Json(fields, Node { shape: Shape::Map(_), .. }) => {
                fields.keys().map(|key| Val::Text(Text::Borrowed(key))).collect()
            }
            Self::Json(..) => Vec::new(),
        })
    }

    fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Fail> {
        if self.len() != other.len() {
            return Ok(false);
        }
        if let (Self::Json(ours, node), Self::Json(theirs, _)) = (self, other)
            && let Shape::Object(nodes) = &node.shape
        {
            return equal_fields(ours, theirs, nodes, budget);
        }
        for key in self.keys(budget)? {
            let key = key.key()?;
            let is_same = match (self.get(&key)?, other.get(&key)?) {
                (Some(a), Some(b)) => a.equals(&b, budget)?,
                _ => false,
            };
            if !is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Objects of one type: declared fields by their schemas, others only where both have them.
fn equal_fields<'a>(
    ours: &'a Fields<String, Value>,
    theirs: &'a Fields<String, Value>,
    nodes: &'a BTreeMap<String, Arc<Node>>,
    budget: &Budget,
) -> Result<bool, Fail> {
    budget.work(ours.len())?;
    for (name, value) in ours {
        let is_same = match (theirs.get(name), nodes.get(name)) {
            (Some(other), Some(node)) => Val::read(value, node)?.equals(&Val::read(other, node)?, budget)?,
            (Some(other), None) => same(value, other),
            (None, Some(_)) => value.is_null(),
            (None, None) => true,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}
