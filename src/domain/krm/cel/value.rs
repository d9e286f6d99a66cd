//! Values of expressions. Those of the object are read when they are needed, by their schema.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::{Map as Fields, Value};

use super::duration;
use super::escape::unescape;
use super::eval::{Budget, Fail};
use super::library::Format;
use super::library::url::Url;
use super::schema::{ListKind, Node, Shape, TextFormat};
use crate::domain::krm::Quantity;
use crate::domain::krm::base64;
use crate::domain::krm::value::same;

/// A value; `'a` is the object, its schema and the expression.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(Timestamp),
    /// In nanoseconds.
    Duration(i64),
    Type(&'static str),
    Optional(Option<Rc<Val<'a>>>),
    /// Data without schema: it can only be compared.
    Preserved(&'a Value),
    Url(Rc<Url>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Quantity(Quantity),
    Semver(Rc<semver::Version>),
    Format(&'static Format),
}

/// A text, of the object or made on the way.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

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

static ATOMIC: ListKind = ListKind::Atomic;

impl<'a> Val<'a> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Owned(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List { items: Items::Own(items.into()), kind: &ATOMIC })
    }

    pub(super) fn map(entries: BTreeMap<Key, Self>) -> Self {
        Self::Map(Map::Own(Rc::new(entries)))
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// Reads a part of an object by its schema.
    pub(super) fn read(value: &'a Value, node: &'a Node) -> Result<Self, Fail> {
        let wrong = |wanted: &str| Fail::error(format!("invalid data, expected {wanted}"));
        if value.is_null() {
            let fault = || Fail::error("invalid data, got null for schema with nullable=false");
            return if node.nullable { Ok(Self::Null) } else { Err(fault()) };
        }
        Ok(match (&node.shape, value) {
            (Shape::IntOrString | Shape::Text(TextFormat::Plain), Value::String(text)) => {
                Self::Text(Text::Borrowed(text))
            }
            (Shape::IntOrString | Shape::Integer, Value::Number(number)) => {
                Self::Int(number.as_i64().ok_or_else(|| wrong("int, got float64"))?)
            }
            (Shape::Number, Value::Number(number)) => Self::Double(number.as_f64().ok_or_else(|| wrong("float"))?),
            (Shape::Bool, Value::Bool(value)) => Self::Bool(*value),
            (Shape::Object(_) | Shape::Map(_) | Shape::Bare, Value::Object(fields)) => {
                Self::Map(Map::Json(fields, node))
            }
            (Shape::List(element, kind), Value::Array(items)) => {
                Self::List(List { items: Items::Json(items, element), kind })
            }
            (Shape::Text(format), Value::String(text)) => Self::read_text(text, *format)?,
            (Shape::Preserved, value) => Self::Preserved(value),
            _ => return Err(wrong(if node.word.is_empty() { "a declared type" } else { &node.word })),
        })
    }

    fn read_text(text: &'a str, format: TextFormat) -> Result<Self, Fail> {
        let wrong = |what: &str| Fail::error(format!("Invalid {what} {text}"));
        match format {
            TextFormat::Plain => Ok(Self::Text(Text::Borrowed(text))),
            TextFormat::Byte => {
                base64::decode(text).map(|b| Self::Bytes(b.into())).ok_or_else(|| wrong("byte formatted string"))
            }
            TextFormat::Duration => duration::parse_loose(text).map(Self::Duration).ok_or_else(|| wrong("duration")),
            TextFormat::Date => {
                format!("{text}T00:00:00Z").parse().map(Self::Timestamp).map_err(|_| wrong("date formatted string"))
            }
            TextFormat::DateTime => text.parse().map(Self::Timestamp).map_err(|_| wrong("date-time formatted string")),
        }
    }

    /// The name of the type at run time.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Preserved(_) => "unknown",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// As a key of a map.
    pub(super) fn key(&self) -> Result<Key, Fail> {
        match self {
            Self::Bool(value) => Ok(Key::Bool(*value)),
            Self::Int(number) => Ok(Key::Number(i128::from(*number))),
            Self::Uint(number) => Ok(Key::Number(i128::from(*number))),
            // A double is the same key as the whole number that it is.
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e18 => {
                format!("{number:.0}").parse().map(Key::Number).map_err(|_| Fail::overload())
            }
            Self::Text(text) => Ok(Key::Text(text.to_string())),
            _ => Err(Fail::overload()),
        }
    }

    /// What its cost is counted by: length of texts, lists and maps, 1 for everything else.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Optional(Some(inner)) => inner.size(),
            Self::Ip(ip) => {
                if ip.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            Self::Cidr(ip, _) => {
                if ip.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            _ => 1,
        }
    }

    /// Whether two values are equal; values of different types are not, but numbers are compared by what they are worth.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Fail> {
        budget.work(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                budget.work(a.len() / 64)?;
                **a == **b
            }
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.equals(b, budget)?,
            (Self::Map(a), Self::Map(b)) => a.equals(b, budget)?,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => a.equals(b, budget)?,
            (Self::Optional(None), Self::Optional(None)) => true,
            (Self::Preserved(a), Self::Preserved(b)) => same(a, b),
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, bits), Self::Cidr(b, others)) => a == b && bits == others,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b).is_eq(),
            (Self::Format(a), Self::Format(b)) => std::ptr::eq(*a, *b),
            _ => self.compare_numbers(other) == Some(Ordering::Equal),
        })
    }

    fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        let whole = |value: &Self| match value {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        };
        match (self, other) {
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), b) => compare_mixed(*a, whole(b)?),
            (a, Self::Double(b)) => compare_mixed(*b, whole(a)?).map(Ordering::reverse),
            (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
        }
    }

    /// The order of two values.
    pub(super) fn compare(&self, other: &Self) -> Result<Ordering, Fail> {
        let nan = |value: &Self| matches!(value, Self::Double(number) if number.is_nan());
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Ok(a.as_bytes().cmp(b.as_bytes())),
            (Self::Bytes(a), Self::Bytes(b)) => Ok(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Ok(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Ok(a.cmp(b)),
            (a, b) if nan(a) || nan(b) => Err(Fail::error("NaN values cannot be ordered")),
            (a, b) => a.compare_numbers(b).ok_or_else(Fail::overload),
        }
    }
}

/// A double beside a whole number, without rounding the whole number.
#[allow(clippy::cast_possible_truncation, reason = "the double is whole and within the range of 128 bits")]
fn compare_mixed(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() > 1.0e20 {
        return Some(if double > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    let floor = double.floor();
    let order = (floor as i128).cmp(&whole);
    Some(if order.is_eq() && double > floor { Ordering::Greater } else { order })
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
    nodes: &'a BTreeMap<String, std::sync::Arc<Node>>,
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
