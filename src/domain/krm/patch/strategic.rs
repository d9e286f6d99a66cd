//! Strategic merge patches: lists of things with names are merged by name.
//!
//! Source: "Strategic Merge Patch" of the Kubernetes API conventions, and the behaviour of apimachinery's
//! `strategicpatch` (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList`, `$setElementOrder`). What merges and by which
//! key is what OpenAPI says ([`PatchRule`]); it is not what server-side apply goes by.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::krm::path::Atom;
use crate::domain::krm::schema::{Node, PatchRule, PatchWay, Shape};
use crate::domain::krm::value::json_type;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList";
const ORDER: &str = "$setElementOrder";

/// A patch that does not go with the object, or with itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// `$retainKeys` is no list.
    #[error("invalid patch format of retainKeys")]
    RetainedNotAList,
    /// The patch sets a field that `$retainKeys` does not name; the server tells it in the same words.
    #[error("invalid patch format of retainKeys")]
    NotRetained,
    /// `$setElementOrder` of a field that there is not.
    #[error("unable to find api field in struct for the json field {field:?}")]
    NoField {
        /// The field.
        field: String,
    },
    /// `$deleteFromPrimitiveList` without a list behind it.
    #[error("invalid patch format of primitive list")]
    DeletedFromNothing,
    /// `$setElementOrder` without a list behind it.
    #[error("invalid patch format of setElementOrder list")]
    OrderOfNothing,
    /// A list in a list.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// `$patch` says something unknown.
    #[error("unknown patch type: {found}")]
    UnknownDirective {
        /// What it says, as JSON.
        found: String,
    },
    /// An item does not have the field that identifies it.
    #[error("an item of {list} does not contain declared merge key: {key}")]
    NoKey {
        /// The list.
        list: String,
        /// The field.
        key: String,
    },
    /// A list of maps that have nothing to be told apart by.
    #[error("cannot merge lists without merge key for {list}")]
    NoKeyDeclared {
        /// The list.
        list: String,
    },
    /// Items of different types, or none at all.
    #[error("list element types are not identical: {list}")]
    MixedItems {
        /// The list.
        list: String,
    },
    /// Something else than a list where a directive needs one.
    #[error("expected a []interface {{}}, but received a {found}")]
    NotAList {
        /// The list or directive.
        list: String,
        /// The type of what is there, as Go names it.
        found: &'static str,
    },
    /// Something else than a map among items that are told apart by a field.
    #[error("value for key {index} is not a map")]
    NotAMap {
        /// Where in the list.
        index: usize,
    },
    /// The items of the patch come in another order than `$setElementOrder` says.
    #[error("the order in the patch of {list} doesn't match $setElementOrder")]
    OtherOrder {
        /// The list.
        list: String,
    },
}

/// `object` after a strategic merge patch.
///
/// # Errors
/// [`StrategicError`] as the API server refuses it.
pub fn strategic(object: &Value, patch: &Value, node: Node<'_>) -> Result<Value, StrategicError> {
    let Value::Object(patch) = patch else { return Ok(patch.clone()) };
    merge_map(object.as_object().cloned().unwrap_or_default(), patch, node).map(Value::Object)
}

type Object = Map<String, Value>;

/// A field as a patch sees it.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    node: Node<'a>,
    rule: Option<&'a PatchRule>,
}

impl<'a> Place<'a> {
    fn of(holder: Node<'a>, name: &'a str) -> Self {
        static ANY: Shape = Shape::Any;
        let Shape::Map(map) = holder.shape() else { return Self { name, node: holder.at(&ANY), rule: None } };
        let shape = map.fields.get(name).or(map.element.as_deref()).unwrap_or(&ANY);
        let rule = map.marks.get(name).and_then(|mark| mark.patch.as_ref());
        Self { name, node: holder.at(shape), rule }
    }

    fn does(self, way: PatchWay) -> bool {
        self.rule.is_some_and(|rule| rule.way == Some(way))
    }

    /// The field by which items of this list are told apart.
    fn key(self) -> Option<&'a str> {
        self.rule.and_then(|rule| rule.key.as_deref())
    }

    fn items(self) -> Node<'a> {
        match self.node.shape() {
            Shape::List(list) => self.node.at(&list.element),
            _ => self.node,
        }
    }

    /// What tells an item of this list from others: its key, or the item itself.
    fn identity(self, item: &Value) -> Result<Atom, StrategicError> {
        let Some(key) = self.key() else { return Ok(Atom(item.clone())) };
        let value =
            item.get(key).ok_or_else(|| StrategicError::NoKey { list: self.name.to_owned(), key: key.to_owned() });
        value.cloned().map(Atom)
    }

    /// Where each item is first.
    fn positions(self, items: &[Value]) -> Result<BTreeMap<Atom, usize>, StrategicError> {
        let mut positions = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            positions.entry(self.identity(item)?).or_insert(index);
        }
        Ok(positions)
    }
}

fn merge_map(mut object: Object, patch: &Object, node: Node<'_>) -> Result<Object, StrategicError> {
    match patch.get(PATCH).map(|word| (word.as_str(), word)) {
        None => {}
        Some((Some("replace"), _)) => {
            return Ok(patch.iter().filter(|(name, _)| *name != PATCH).map(|(n, v)| (n.clone(), v.clone())).collect());
        }
        Some((Some("delete"), _)) => return Ok(Object::new()),
        Some((_, found)) => return Err(StrategicError::UnknownDirective { found: found.to_string() }),
    }
    retain(&mut object, patch)?;
    let ordered = merge_ordered(&mut object, patch, node)?;
    for (name, value) in patch {
        if name == RETAIN || name.starts_with(ORDER) || ordered.contains(name.as_str()) {
            continue;
        }
        match name.strip_prefix(DELETE_ITEMS).map(|rest| rest.strip_prefix('/')) {
            Some(None) => return Err(StrategicError::DeletedFromNothing),
            Some(Some(list)) => merge_field(&mut object, Place::of(node, list), value, true)?,
            None => merge_field(&mut object, Place::of(node, name), value, false)?,
        }
    }
    Ok(object)
}

/// Drops the fields that `$retainKeys` does not name.
fn retain(object: &mut Object, patch: &Object) -> Result<(), StrategicError> {
    let Some(kept) = patch.get(RETAIN) else { return Ok(()) };
    let kept = kept.as_array().ok_or(StrategicError::RetainedNotAList)?;
    let kept: BTreeSet<&str> = kept.iter().filter_map(Value::as_str).collect();
    let is_plain = |name: &str| name != RETAIN && !name.starts_with(DELETE_ITEMS) && !name.starts_with(ORDER);
    if patch.iter().any(|(name, value)| is_plain(name) && !value.is_null() && !kept.contains(name.as_str())) {
        return Err(StrategicError::NotRetained);
    }
    object.retain(|name, _| kept.contains(name.as_str()));
    Ok(())
}

/// Merges one field; a list of what to delete merges as well where it is none of scalars.
fn merge_field(object: &mut Object, place: Place<'_>, value: &Value, deletes: bool) -> Result<(), StrategicError> {
    let merged = match (object.remove(place.name), value) {
        (_, Value::Null) => None,
        (Some(Value::Object(_)), Value::Object(_)) if place.does(PatchWay::Replace) => Some(value.clone()),
        (Some(Value::Object(old)), Value::Object(new)) => Some(Value::Object(merge_map(old, new, place.node)?)),
        (Some(Value::Array(old)), Value::Array(new)) if deletes || place.does(PatchWay::Merge) => {
            Some(Value::Array(merge_list(old, new, place, deletes)?))
        }
        (Some(Value::Array(_)), Value::Array(_)) => Some(value.clone()),
        (old, _) if deletes && old.as_ref().map(json_type) != Some(json_type(value)) => old,
        _ => fresh(value),
    };
    if let Some(merged) = merged {
        object.insert(place.name.to_owned(), merged);
    }
    Ok(())
}

/// What is put where nothing was: without nulls, and without maps that hold a directive.
fn fresh(value: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(PATCH) => None,
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Some(fields.filter_map(|(name, value)| Some((name.clone(), fresh(value)?))).collect())
        }
        Value::Array(items) => Some(items.iter().filter_map(fresh).collect()),
        other => Some(other.clone()),
    }
}

/// The one type that all items have.
fn item_type(list: &str, items: &[&[Value]]) -> Result<&'static str, StrategicError> {
    let mut types = items.iter().copied().flatten().map(|item| (json_type(item), item.is_f64()));
    let mixed = || StrategicError::MixedItems { list: list.to_owned() };
    let first = types.next().filter(|(first, _)| *first != "null").ok_or_else(mixed)?;
    match first.0 {
        "array" => Err(StrategicError::ListOfLists),
        _ if types.any(|other| other != first) => Err(mixed()),
        name => Ok(name),
    }
}

fn merge_list(old: Vec<Value>, patch: &[Value], place: Place<'_>, deletes: bool) -> Result<Vec<Value>, StrategicError> {
    if old.is_empty() && patch.is_empty() {
        return Ok(old);
    }
    if item_type(place.name, &[&old, patch])? == "object" {
        return merge_items(old, patch, place);
    }
    let given: BTreeSet<Atom> = patch.iter().cloned().map(Atom).collect();
    if deletes {
        return Ok(old.into_iter().map(Atom).filter(|item| !given.contains(item)).map(|item| item.0).collect());
    }
    let mut seen = BTreeSet::new();
    let all = old.iter().chain(patch).cloned().map(Atom).filter(|item| seen.insert(item.clone()));
    sorted(all.map(|item| item.0).collect(), patch, &old, place)
}

fn merge_items(old: Vec<Value>, patch: &[Value], place: Place<'_>) -> Result<Vec<Value>, StrategicError> {
    if place.key().is_none() {
        return Err(StrategicError::NoKeyDeclared { list: place.name.to_owned() });
    }
    let (mut items, patch) = obeyed(old, patch, place)?;
    let before = items.clone();
    let mut positions = place.positions(&items)?;
    for item in &patch {
        let Value::Object(fields) = item else { continue };
        let identity = place.identity(item)?;
        if let Some(index) = positions.get(&identity) {
            let was = items[*index].as_object().cloned().unwrap_or_default();
            items[*index] = Value::Object(merge_map(was, fields, place.items())?);
        } else {
            positions.insert(identity, items.len());
            items.push(item.clone());
        }
    }
    sorted(items, &patch, &before, place)
}

/// Does what the directives among the items say: the list without what they delete, and the other items.
fn obeyed(old: Vec<Value>, patch: &[Value], place: Place<'_>) -> Result<(Vec<Value>, Vec<Value>), StrategicError> {
    let (mut gone, mut left, mut replaces) = (BTreeSet::new(), Vec::new(), false);
    for item in patch {
        match item.get(PATCH).map(|word| (word.as_str(), word)) {
            None => left.push(item.clone()),
            Some((Some("delete"), _)) => drop(gone.insert(place.identity(item)?)),
            Some((Some("replace"), _)) => replaces = true,
            Some((_, found)) => return Err(StrategicError::UnknownDirective { found: found.to_string() }),
        }
    }
    if replaces {
        return Ok((left, Vec::new()));
    }
    let stays = |item: &Value| !place.identity(item).is_ok_and(|identity| gone.contains(&identity));
    Ok((old.into_iter().filter(stays).collect(), left))
}

/// Merges the lists whose order the patch tells; returns their names.
fn merge_ordered<'p>(
    object: &mut Object,
    patch: &'p Object,
    node: Node<'_>,
) -> Result<BTreeSet<&'p str>, StrategicError> {
    let mut done = BTreeSet::new();
    for (directive, order) in patch.iter().filter(|(name, _)| name.starts_with(ORDER)) {
        let name = directive[ORDER.len()..].strip_prefix('/').ok_or(StrategicError::OrderOfNothing)?;
        let list = |value: &Value| {
            let found = go_type(value);
            value.as_array().cloned().ok_or_else(|| StrategicError::NotAList { list: name.to_owned(), found })
        };
        let (place, order) = (Place::of(node, name), list(order)?);
        if let Shape::Map(map) = node.shape()
            && map.element.is_none()
            && !map.fields.is_empty()
            && !map.fields.contains_key(name)
        {
            return Err(StrategicError::NoField { field: name.to_owned() });
        }
        let (old, new) = (object.get(name).map(list).transpose()?, patch.get(name).map(list).transpose()?);
        if let Some(index) = order.iter().position(|item| place.key().is_some() && !item.is_object()) {
            return Err(StrategicError::NotAMap { index });
        }
        check_order(new.as_deref().unwrap_or_default(), &order, place)?;
        let merged = match (old.clone(), &new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.iter().filter_map(fresh).collect(),
            (Some(old), Some(new)) if place.does(PatchWay::Merge) => merge_list(old, new, place, false)?,
            (Some(_), Some(new)) => new.clone(),
        };
        let old = old.unwrap_or_default();
        item_type(name, &[&old, new.as_deref().unwrap_or_default()])?;
        object.insert(name.to_owned(), Value::Array(sorted(merged, &order, &old, place)?));
        done.insert(name);
    }
    Ok(done)
}

/// The type of a value of JSON as Go names it.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The items of a patch come in the order that the patch tells.
fn check_order(items: &[Value], order: &[Value], place: Place<'_>) -> Result<(), StrategicError> {
    if items.is_empty() || order.is_empty() {
        return Ok(());
    }
    let says = |item: &Value, word: &str| item.get(PATCH).and_then(Value::as_str) == Some(word);
    let mut items = items.iter().filter(|item| !says(item, "delete")).peekable();
    let mut order = order.iter().peekable();
    while let (Some(item), Some(next)) = (items.peek(), order.peek()) {
        if item.get(PATCH).is_some() {
            items.next();
            continue;
        }
        if place.identity(item)? == place.identity(next)? {
            items.next();
        }
        order.next();
    }
    let is_over = items.peek().is_none();
    if is_over { Ok(()) } else { Err(StrategicError::OtherOrder { list: place.name.to_owned() }) }
}

/// Items that the order names come in its order. Each of the others comes before the first of them that it was before
/// on the server; otherwise behind them.
fn sorted(
    items: Vec<Value>,
    order: &[Value],
    server: &[Value],
    place: Place<'_>,
) -> Result<Vec<Value>, StrategicError> {
    let (order, server) = (place.positions(order)?, place.positions(server)?);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let identity = place.identity(&item)?;
        let on_server = server.get(&identity).copied();
        match order.get(&identity) {
            Some(index) => named.push((*index, on_server, item)),
            None => others.push((on_server, item)),
        }
    }
    named.sort_by_key(|(index, ..)| *index);
    others.sort_by_key(|(on_server, _)| on_server.unwrap_or(usize::MAX));
    let mut named = named.into_iter().peekable();
    let mut out = Vec::new();
    for (on_server, item) in others {
        let is_before = |next: Option<usize>| matches!((on_server, next), (Some(own), Some(next)) if own < next);
        while let Some((.., ahead)) = named.next_if(|(_, next, _)| !is_before(*next)) {
            out.push(ahead);
        }
        out.push(item);
    }
    out.extend(named.map(|(.., item)| item));
    Ok(out)
}
